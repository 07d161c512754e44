//! Disks that refuse: no incarnation is given out that is not on the disk, the file stays as it was, and the node goes on
//! once the disk works again.
//!
//! Some refusals (a full disk, a file system mounted read-only, directories without permission) can't
//! be had in this process, not as root or only as root. For these the test runs itself again, under
//! a command that arranges it; where that command is not available the test says so and passes.
#![cfg(all(feature = "persist", unix))]

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use incarnation::persist::{DurableIncarnation, PersistError, Step};
use incarnation::{BuildError, IncarnationTracker, LocalError};
use tempfile::TempDir;

/// Says which scenario a test run again by [`again`] is to play, and where.
const SCENARIO: &str = "INCARNATION_DISK_SCENARIO";
const PLACE: &str = "INCARNATION_DISK_PLACE";

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().canonicalize().unwrap().join("incarnation");
    (directory, path)
}

/// Every incarnation but the first of a block needs the disk, so each is a block of its own.
fn start(path: &Path) -> Result<IncarnationTracker, BuildError> {
    IncarnationTracker::builder()
        .local_durable(
            DurableIncarnation::open(path)
                .map_err(BuildError::Durable)?
                .block(1),
        )
        .build()
}

/// At which step, and how, the operating system refused.
fn refusal(error: PersistError) -> (Step, ErrorKind) {
    match error {
        PersistError::Io { step, error, .. } => (step, error.kind()),
        other => panic!("{other}"),
    }
}

fn refused_start(path: &Path) -> (Step, ErrorKind) {
    let BuildError::Durable(error) = start(path).unwrap_err() else {
        panic!("not the disk's fault");
    };
    refusal(error)
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// What must hold while a disk refuses a running node.
fn refuses(tracker: &IncarnationTracker, path: &Path) -> PersistError {
    let local = tracker.local();
    let (current, file) = (local.current(), fs::read(path).ok());
    let mut last = None;
    for _ in 0..3 {
        let Err(LocalError::Unreserved(error)) = local.refute(current) else {
            panic!("given out though the disk refused");
        };
        last = Some(error);
    }
    assert_eq!(local.current(), current, "nothing was given out");
    assert_eq!(fs::read(path).ok(), file, "the file is as it was");
    last.unwrap()
}

#[test]
fn a_running_node_whose_new_file_cannot_be_written_refuses_until_it_can() {
    let (directory, path) = place();
    let tracker = start(&path).unwrap();
    let in_the_way = directory.path().join(".incarnation.incarnation-tmp");
    fs::create_dir(&in_the_way).unwrap();
    assert_eq!(refusal(refuses(&tracker, &path)).0, Step::Write);
    fs::remove_dir(in_the_way).unwrap();
    assert_eq!(tracker.local().refute(0).unwrap().get(), 1);
}

#[test]
fn a_running_node_whose_file_cannot_be_replaced_refuses_and_leaves_nothing_behind() {
    let (directory, path) = place();
    let tracker = start(&path).unwrap();
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(refusal(refuses(&tracker, &path)).0, Step::Replace);
    assert_eq!(names(directory.path()), ["incarnation", "incarnation.lock"]);
    fs::remove_dir(&path).unwrap();
    assert_eq!(tracker.local().refute(0).unwrap().get(), 1);
}

#[test]
fn a_running_node_whose_directory_is_gone_refuses_even_if_another_one_takes_its_place() {
    let (directory, path) = place();
    let tracker = start(&path).unwrap();
    fs::remove_dir_all(directory.path()).unwrap();
    let lost = PersistError::LockLost {
        path: directory.path().join("incarnation.lock"),
    };
    assert_eq!(refuses(&tracker, &path), lost);
    // With its lock another process may be at work there.
    fs::create_dir(directory.path()).unwrap();
    let other = start(&path).unwrap();
    assert_eq!(refuses(&tracker, &path), lost);
    assert_eq!(other.local().refute(0).unwrap().get(), 1);
}

#[test]
fn a_running_node_whose_lock_file_was_removed_refuses() {
    let (directory, path) = place();
    let tracker = start(&path).unwrap();
    fs::remove_file(directory.path().join("incarnation.lock")).unwrap();
    assert!(matches!(
        refuses(&tracker, &path),
        PersistError::LockLost { .. }
    ));
}

#[test]
fn a_half_written_temporary_file_of_a_killed_process_is_removed() {
    let (directory, path) = place();
    let leftover = directory.path().join(".incarnation.incarnation-tmp");
    for content in [&b""[..], b"\x89INC\r\n", &[7; 5000]] {
        fs::write(&leftover, content).unwrap();
        start(&path).unwrap();
        assert_eq!(names(directory.path()), ["incarnation", "incarnation.lock"]);
    }
}

#[test]
fn no_directory_is_a_typed_error_and_none_is_made() {
    let (directory, _) = place();
    let path = directory.path().join("none/incarnation");
    let error = DurableIncarnation::open(path).unwrap_err();
    assert_eq!(refusal(error), (Step::Resolve, ErrorKind::NotFound));
    assert!(names(directory.path()).is_empty());
}

/// Plays a scenario in another process, at `place`, under a command that arranges it: `wrapper`
/// around a shell that first runs `arrange`, in which `$PLACE` is the directory.
fn play(scenario: &str, directory: &Path, wrapper: &[&str], arrange: &str) {
    let shell = |line: &str| {
        let packed_states: Vec<&str> = [wrapper, &["sh", "-c", line]].concat();
        let mut command = Command::new(packed_states[0]);
        command
            .args(&packed_states[1..])
            .arg(std::env::current_exe().unwrap())
            .env(SCENARIO, scenario)
            .env(PLACE, directory);
        command
    };
    let probe = shell(&format!("test -x \"$0\" && cd \"${PLACE}\" && {arrange}")).output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        eprintln!("not covered here: {scenario} (by {wrapper:?}, {arrange:?})");
        return;
    }
    let output = shell(&format!(
        "{arrange} || exit; exec \"$0\" --exact scenario --nocapture"
    ))
    .output()
    .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains(&format!("played {scenario}")),
        "{scenario}: {:?}\n{said}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Not a test by itself: what [`play`] runs in the other process.
#[test]
fn scenario() {
    let Ok(scenario) = std::env::var(SCENARIO) else {
        return;
    };
    let directory = PathBuf::from(std::env::var(PLACE).unwrap());
    let path = directory.join("incarnation");
    match scenario.as_str() {
        "full" => full(&directory, &path),
        "read_only" => read_only(&directory, &path),
        "forbidden" => forbidden(&directory, &path),
        "too_large" => too_large(&path),
        other => panic!("{other}"),
    }
    println!("played {scenario}");
}

#[test]
fn a_full_disk_refuses_until_there_is_room() {
    let (directory, _) = place();
    let mount = &format!("mount -t tmpfs -o size=64k none \"${PLACE}\"");
    play("full", directory.path(), &["unshare", "-m"], mount);
}

fn full(directory: &Path, path: &Path) {
    let tracker = start(path).unwrap();
    let filler = directory.join("filler");
    let mut file = fs::File::create(&filler).unwrap();
    while file.write_all(&[0; 512]).is_ok() {}
    drop(file);
    let full = (Step::Write, ErrorKind::StorageFull);
    assert_eq!(refusal(refuses(&tracker, path)), full);
    assert_eq!(
        names(directory),
        ["filler", "incarnation", "incarnation.lock"]
    );
    drop(tracker);
    // Nor does it start, since even the first incarnation must be remembered.
    assert_eq!(refused_start(path), full);
    fs::remove_file(filler).unwrap();
    let tracker = start(path).unwrap();
    assert_eq!(tracker.local().current().get(), 5, "0 and the bump");
    assert_eq!(tracker.local().refute(0).unwrap().get(), 6);
}

#[test]
fn a_file_system_that_turns_read_only_refuses() {
    let (directory, _) = place();
    play("read_only", directory.path(), &["unshare", "-m"], "true");
}

fn read_only(directory: &Path, path: &Path) {
    let tracker = start(path).unwrap();
    let place = format!("\"${PLACE}\"");
    let mount = format!("mount --bind {place} {place} && mount -o remount,ro,bind {place}");
    if !Command::new("sh")
        .arg("-c")
        .arg(mount)
        .status()
        .unwrap()
        .success()
    {
        return eprintln!("not covered here: read_only");
    }
    let read_only = |step| (step, ErrorKind::ReadOnlyFilesystem);
    assert_eq!(refusal(refuses(&tracker, path)), read_only(Step::Write));
    drop(tracker);
    let error = DurableIncarnation::open(path).unwrap_err();
    assert_eq!(refusal(error), read_only(Step::Lock));
    let error = DurableIncarnation::open(directory.join("another")).unwrap_err();
    assert_eq!(refusal(error), read_only(Step::Lock));
}

#[test]
fn a_directory_or_file_without_permission_refuses() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    let (directory, path) = place();
    let allow = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    start(&path).unwrap();
    fs::write(directory.path().join("secret"), "").unwrap();
    fs::write(directory.path().join("secret.lock"), "").unwrap();
    allow(&directory.path().join("secret"), 0o000);
    allow(&directory.path().join("secret.lock"), 0o666);
    allow(&directory.path().join("incarnation.lock"), 0o666);
    allow(directory.path(), 0o555);
    let before = fs::read(&path).unwrap();
    // Permissions are nothing to root.
    let root = fs::metadata(&path).unwrap().uid() == 0;
    let nobody = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
    ];
    let wrapper = if root { &nobody[..] } else { &[] };
    play("forbidden", directory.path(), wrapper, "true");
    assert_eq!(fs::read(&path).unwrap(), before);
    allow(directory.path(), 0o755);
}

fn forbidden(directory: &Path, path: &Path) {
    let forbidden = |step| (step, ErrorKind::PermissionDenied);
    let error = DurableIncarnation::open(directory.join("another")).unwrap_err();
    assert_eq!(refusal(error), forbidden(Step::Lock));
    let error = DurableIncarnation::open(directory.join("secret")).unwrap_err();
    assert_eq!(refusal(error), forbidden(Step::Read));
    assert_eq!(refused_start(path), forbidden(Step::Write));
}

#[test]
fn a_write_that_fails_half_way_leaves_the_old_file() {
    let (directory, path) = place();
    start(&path).unwrap();
    let before = fs::read(&path).unwrap();
    let limit = "trap '' XFSZ && ulimit -f 0";
    play("too_large", directory.path(), &[], limit);
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(names(directory.path()), ["incarnation", "incarnation.lock"]);
}

fn too_large(path: &Path) {
    assert_eq!(refused_start(path), (Step::Write, ErrorKind::FileTooLarge));
}
