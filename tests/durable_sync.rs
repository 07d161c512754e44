//! Against power failures: the new file is forced to the disk before it takes the old one's place,
//! and its directory before an incarnation is given out. No test can pull the plug; this one watches
//! the system calls of a node that refutes, in a process of its own under strace. Where there is
//! no strace, it says so and passes.
#![cfg(all(feature = "persist", target_os = "linux"))]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use incarnation::IncarnationTracker;
use incarnation::persist::DurableIncarnation;

const PLACE: &str = "INCARNATION_SYNC_PLACE";
const REFUTATIONS: u64 = 3;

/// Not a test by itself: the node that is watched. What it gives out, it writes to a log.
#[test]
fn the_node_to_be_watched() {
    let Ok(place) = std::env::var(PLACE) else {
        return;
    };
    let place = PathBuf::from(place);
    let durable = DurableIncarnation::open(place.join("incarnation")).unwrap();
    let tracker: IncarnationTracker = IncarnationTracker::builder()
        .local_durable(durable.block(1))
        .build()
        .unwrap();
    let announce = |own| fs::write(place.join(format!("given out {own}")), "").unwrap();
    announce(tracker.local().current());
    for _ in 0..REFUTATIONS {
        announce(tracker.local().refute(0).unwrap());
    }
}

#[test]
fn file_and_directory_are_synced_in_order_before_an_incarnation_is_given_out() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().canonicalize().unwrap();
    let trace = place.join("trace");
    let strace = Command::new("strace")
        .args(["-f", "-y", "-s", "200", "-o"])
        .arg(&trace)
        .args(["-e", "trace=openat,write,fsync,rename,renameat,renameat2"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "the_node_to_be_watched"])
        .env(PLACE, &place)
        .output();
    if !strace.is_ok_and(|output| output.status.success()) {
        eprintln!("not covered here: no strace, or it may not trace");
        return;
    }
    let trace = fs::read_to_string(trace).unwrap();
    let (directory, file) = (place.display(), place.join("incarnation"));
    let new = format!("{directory}/.incarnation.incarnation-tmp");
    // Each as strace writes it, with the file behind a descriptor in angle brackets.
    let steps = [
        ("write(", format!("<{new}>, ")),
        ("fsync(", format!("<{new}>)")),
        ("rename", format!("{new}\", ")),
        ("fsync(", format!("<{directory}>)")),
        ("openat(", format!("{directory}/given out ")),
    ];
    let seen: Vec<usize> = trace
        .lines()
        .filter(|line| !line.contains(" = -1"))
        .filter_map(|line| {
            let step = |(call, on): &(&str, String)| line.contains(call) && line.contains(on);
            steps.iter().position(step)
        })
        .collect();
    let rounds = usize::try_from(REFUTATIONS).unwrap() + 1;
    assert_eq!(seen, [0, 1, 2, 3, 4].repeat(rounds), "{trace}");
    assert!(trace.contains(&format!("\"{}\"", file.display())));
}
