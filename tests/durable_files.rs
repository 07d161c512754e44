//! A file that is not exactly what this crate wrote is a typed error and stays as it is: a node never begins low because
//! its file is damaged.
#![cfg(feature = "persist")]

use std::fs;
use std::path::{Path, PathBuf};

use incarnation::IncarnationTracker;
use incarnation::persist::{DurableIncarnation, FormatError, PersistError, Step};
use tempfile::TempDir;

/// Bytes of a good file, by the layout documented in `src/persist/envelope.rs`, written down a
/// second time here: files outlive the code that wrote them.
fn file(content: u16, version: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x89INC\r\n\x1a\n".to_vec();
    bytes.extend(content.to_le_bytes());
    bytes.extend(version.to_le_bytes());
    bytes.extend((payload.len() as u64).to_le_bytes());
    bytes.extend(payload);
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

fn good() -> Vec<u8> {
    file(1, 1, &300_u64.to_le_bytes())
}

struct Place {
    directory: TempDir,
    path: PathBuf,
}

fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("incarnation");
    Place { directory, path }
}

impl Place {
    /// Why a file with these bytes is refused; it must stay as it is, with nothing left next to it
    /// but the lock file.
    fn refusal_of(&self, bytes: &[u8]) -> FormatError {
        fs::write(&self.path, bytes).unwrap();
        let error = DurableIncarnation::open(&self.path).unwrap_err();
        let PersistError::Format { path, error } = error else {
            panic!("{error}");
        };
        assert_eq!(path, self.path.canonicalize().unwrap());
        assert_eq!(fs::read(&self.path).unwrap(), bytes, "untouched");
        assert_eq!(self.names(), ["incarnation", "incarnation.lock"]);
        assert_eq!(DurableIncarnation::decode(bytes), Err(error));
        error
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

#[test]
fn the_file_is_laid_out_as_documented() {
    let place = place();
    fs::write(&place.path, good()).unwrap();
    let durable = DurableIncarnation::open(&place.path).unwrap();
    assert_eq!(durable.mark().unwrap().get(), 300);
    let tracker: IncarnationTracker = IncarnationTracker::builder()
        .local_durable(durable.block(4))
        .build()
        .unwrap();
    assert_eq!(tracker.local().current().get(), 305);
    let expected = file(1, 1, &308_u64.to_le_bytes());
    assert_eq!(fs::read(&place.path).unwrap(), expected, "305 to 308");
}

#[test]
fn an_empty_file_is_refused_and_not_taken_for_a_first_start() {
    assert!(matches!(
        place().refusal_of(b""),
        FormatError::Truncated { len: 0, .. }
    ));
}

#[test]
fn a_file_truncated_at_any_byte_is_refused() {
    let (place, good) = (place(), good());
    for end in 0..good.len() {
        let error = place.refusal_of(&good[..end]);
        assert!(matches!(error, FormatError::Truncated { .. }), "{error}");
    }
}

#[test]
fn a_file_with_any_single_bit_flipped_is_refused() {
    let (place, good) = (place(), good());
    for bit in 0..good.len() * 8 {
        let mut damaged = good.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        place.refusal_of(&damaged);
    }
}

#[test]
fn a_file_with_anything_appended_is_refused() {
    let (place, good) = (place(), good());
    for extra in [&b"\0"[..], b"\n", &good, &[0; 100_000]] {
        let longer = [&good[..], extra].concat();
        let error = place.refusal_of(&longer);
        assert_eq!(error, FormatError::TrailingBytes { expected: 32 });
    }
}

#[test]
fn another_version_or_content_is_refused_as_such() {
    let place = place();
    let payload = 300_u64.to_le_bytes();
    for version in [0, 2, u16::MAX] {
        assert_eq!(
            place.refusal_of(&file(1, version, &payload)),
            FormatError::Version {
                found: version,
                supported: 1
            }
        );
    }
    assert_eq!(
        place.refusal_of(&file(2, 1, &payload)),
        FormatError::OtherContent { found: 2 }
    );
}

#[test]
fn an_undamaged_file_with_an_impossible_mark_is_refused() {
    let place = place();
    let above_all = (1_u64 << 61).to_le_bytes();
    for payload in [&above_all[..], &[0xff; 8], &[], &[1], &[0; 7]] {
        let error = place.refusal_of(&file(1, 1, payload));
        assert_eq!(error, FormatError::Payload, "{payload:?}");
    }
    // A longer one is read only in part, which is enough to see that it is too long.
    assert!(matches!(
        DurableIncarnation::decode(&file(1, 1, &[0; 9])),
        Err(FormatError::Payload)
    ));
}

#[test]
fn a_file_of_another_program_is_refused() {
    let place = place();
    for foreign in [
        &b"42\n"[..],
        b"\x89PNG\r\n\x1a\n",
        &[0; 32],
        &[0xff; 1 << 20],
    ] {
        assert_eq!(place.refusal_of(foreign), FormatError::Foreign);
    }
}

#[test]
fn a_file_that_was_transferred_as_text_is_refused() {
    let place = place();
    let text: Vec<u8> = good().into_iter().filter(|&byte| byte != b'\r').collect();
    assert_eq!(place.refusal_of(&text), FormatError::Foreign);
}

fn is_not_a_file(path: impl AsRef<Path>) -> bool {
    matches!(
        DurableIncarnation::open(path),
        Err(PersistError::NotAFile { .. })
    )
}

#[test]
fn a_directory_in_its_place_is_refused_and_stays() {
    let place = place();
    fs::create_dir(&place.path).unwrap();
    fs::write(place.path.join("inside"), "kept").unwrap();
    assert!(is_not_a_file(&place.path));
    assert_eq!(fs::read(place.path.join("inside")).unwrap(), b"kept");
    assert_eq!(place.names(), ["incarnation"], "not even a lock file");
}

#[cfg(unix)]
#[test]
fn a_pipe_or_device_in_its_place_is_refused_without_waiting_for_it() {
    let place = place();
    let made = std::process::Command::new("mkfifo")
        .arg(&place.path)
        .status();
    assert!(made.unwrap().success());
    assert!(is_not_a_file(&place.path));
    let device = place.directory.path().join("device");
    std::os::unix::fs::symlink("/dev/null", &device).unwrap();
    assert!(is_not_a_file(&device));
    assert_eq!(place.names(), ["device", "incarnation"]);
}

#[cfg(unix)]
#[test]
fn a_pipe_in_the_lock_files_place_is_refused_without_waiting_for_it() {
    let place = place();
    let lock = place.directory.path().join("incarnation.lock");
    let made = std::process::Command::new("mkfifo").arg(&lock).status();
    assert!(made.unwrap().success());
    assert!(is_not_a_file(&place.path));
    assert_eq!(place.names(), ["incarnation.lock"]);
}

#[cfg(unix)]
#[test]
fn a_link_to_nothing_is_refused_and_not_taken_for_a_first_start() {
    let place = place();
    std::os::unix::fs::symlink("not mounted yet/incarnation", &place.path).unwrap();
    assert!(matches!(
        DurableIncarnation::open(&place.path),
        Err(PersistError::Io {
            step: Step::Resolve,
            ..
        })
    ));
    assert!(place.path.is_symlink());
}

#[test]
fn a_path_that_names_no_file_is_refused() {
    for path in ["/", "..", "."] {
        assert!(is_not_a_file(path), "{path}");
    }
    for path in [
        "",
        "no such directory/incarnation",
        "Cargo.toml/incarnation",
    ] {
        let error = DurableIncarnation::open(path).unwrap_err();
        let resolving = |step| step == Step::Resolve;
        assert!(
            matches!(error, PersistError::Io { step, .. } if resolving(step)),
            "{path:?}: {error}"
        );
    }
}
