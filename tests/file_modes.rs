//! What files look like to other users of the machine, and what is read of files that this crate did not write.
#![cfg(all(feature = "persist", unix))]

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use incarnation::persist::{DurableIncarnation, FormatError, PersistError};
use incarnation::{IncarnationTracker, Snapshot};
use tempfile::TempDir;

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().canonicalize().unwrap().join("members");
    (directory, path)
}

fn empty() -> Snapshot<u32> {
    Snapshot::new(Vec::new(), Vec::new()).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn lock_of(path: &Path) -> PathBuf {
    path.with_extension("lock")
}

fn start(path: &Path) -> IncarnationTracker {
    IncarnationTracker::builder()
        .local_durable(DurableIncarnation::open(path).unwrap())
        .build()
        .unwrap()
}

#[test]
fn a_replaced_file_keeps_its_mode() {
    for mode_before in [0o600, 0o640, 0o400, 0o664] {
        let (_directory, path) = place();
        empty().save(&path).unwrap();
        allow(&path, mode_before);
        for _ in 0..2 {
            empty().save(&path).unwrap();
            assert_eq!(mode(&path), mode_before, "{mode_before:o}");
        }
    }
    let (_directory, path) = place();
    drop(start(&path));
    allow(&path, 0o600);
    drop(start(&path));
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn a_replaced_file_keeps_its_owner_and_group_where_that_is_allowed() {
    let (_directory, path) = place();
    empty().save(&path).unwrap();
    allow(&path, 0o640);
    if chown(&path, Some(65534), Some(65534)).is_err() {
        return eprintln!("not covered here: only root can give files away");
    }
    empty().save(&path).unwrap();
    let there = fs::metadata(&path).unwrap();
    assert_eq!(
        (there.uid(), there.gid(), mode(&path)),
        (65534, 65534, 0o640)
    );
}

#[test]
fn a_lock_file_is_readable_by_its_owner_alone() {
    let (_directory, path) = place();
    empty().save(&path).unwrap();
    assert_eq!(mode(&lock_of(&path)), 0o600);
}

#[test]
fn a_link_in_place_of_the_lock_file_is_refused_and_its_target_not_made() {
    let (directory, path) = place();
    let target = directory.path().join("elsewhere");
    symlink(&target, lock_of(&path)).unwrap();
    let refused = PersistError::NotAFile {
        path: lock_of(&path),
    };
    assert_eq!(empty().save(&path), Err(refused.clone()));
    assert_eq!(DurableIncarnation::open(&path).unwrap_err(), refused);
    assert!(!target.exists());
    fs::write(&target, "there already").unwrap();
    assert_eq!(empty().save(&path), Err(refused));
    assert!(!path.exists());
}

/// Bytes that this thread has read from files so far.
fn bytes_read() -> Option<u64> {
    let io = fs::read_to_string("/proc/thread-self/io").ok()?;
    let line = io.lines().find_map(|line| line.strip_prefix("rchar: "))?;
    line.parse().ok()
}

#[test]
fn loading_reads_only_the_first_bytes_of_a_file_that_is_no_snapshot() {
    const LARGE: u64 = 64 << 20;

    let (_directory, path) = place();
    // A file of zeroes; one that begins as a snapshot and is far too long.
    let begins_well = empty().encode().unwrap();
    for (begin, expected) in [
        (&[][..], FormatError::Foreign),
        (
            &begins_well,
            FormatError::TrailingBytes {
                expected: begins_well.len() as u64,
            },
        ),
    ] {
        fs::write(&path, begin).unwrap();
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(LARGE)
            .unwrap();
        let Some(before) = bytes_read() else {
            return eprintln!("not covered here: nothing tells how much is read");
        };
        let Err(PersistError::Format { error, .. }) = Snapshot::<u32>::load(&path) else {
            panic!("loaded");
        };
        let read = bytes_read().unwrap() - before;
        assert_eq!(error, expected);
        assert!(read < LARGE / 16, "{read} bytes read");
    }
}
