//! Everything that fuzzing starts from, and everything it ever found, once more: without a fuzzer.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use incarnation::{Rejection, Verdict};
use incarnation_testkit::{fuzz, lockstep};

/// What a target does with an input.
type Body = fn(&[u8]);

/// The targets and their bodies; a target that is not here has no test.
const TARGETS: [(&str, Body); 6] = [
    ("datagram", incarnation_swim::fuzz::datagram),
    ("digest", digest),
    ("durable", durable),
    ("operations", fuzz::operations),
    ("snapshot", snapshot),
    ("traces", fuzz::traces),
];

#[cfg(feature = "persist")]
fn durable(bytes: &[u8]) {
    use incarnation::persist::DurableIncarnation;
    fuzz::durable(bytes, |bytes| DurableIncarnation::decode(bytes).ok());
}

#[cfg(feature = "persist")]
fn snapshot(bytes: &[u8]) {
    use incarnation::Snapshot;
    fuzz::snapshot(
        bytes,
        |bytes| Snapshot::decode(bytes).ok(),
        |snapshot| snapshot.encode().unwrap(),
    );
    fuzz::serialized_snapshot(
        bytes,
        |bytes| serde_json::from_slice(bytes).ok(),
        |snapshot| serde_json::to_vec(snapshot).unwrap(),
    );
}

#[cfg(feature = "persist")]
fn digest(bytes: &[u8]) {
    fuzz::digest(
        bytes,
        |bytes| postcard::from_bytes(bytes).ok(),
        |digest| postcard::to_allocvec(digest).unwrap(),
    );
    fuzz::digest(
        bytes,
        |bytes| serde_json::from_slice(bytes).ok(),
        |digest| serde_json::to_vec(digest).unwrap(),
    );
}

#[cfg(not(feature = "persist"))]
fn durable(_: &[u8]) {}

#[cfg(not(feature = "persist"))]
fn snapshot(_: &[u8]) {}

#[cfg(not(feature = "persist"))]
fn digest(_: &[u8]) {}

fn in_fuzz(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz")
        .join(path)
}

/// The names of what is in a directory; none if there is no such directory.
fn names(directory: &Path) -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir(directory) else {
        return BTreeSet::new();
    };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

fn replay(inputs: &str, target: &str, body: fn(&[u8])) -> usize {
    let directory = in_fuzz(inputs).join(target);
    let names = names(&directory);
    for name in &names {
        let path = directory.join(name);
        // Shown only if it fails.
        println!("{}", path.display());
        body(&fs::read(&path).unwrap());
    }
    names.len()
}

#[test]
fn all_seeds_pass() {
    for (target, body) in TARGETS {
        let seeds = replay("seeds", target, body);
        assert!(seeds >= 10, "{target} has {seeds} seeds");
    }
}

#[test]
fn inputs_that_once_failed_in_fuzzing_pass() {
    for (target, body) in TARGETS {
        replay("regressions", target, body);
    }
}

#[test]
fn every_target_has_its_test_and_its_seeds() {
    let targets: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let files = names(&in_fuzz("fuzz_targets"));
    let files: BTreeSet<_> = files.iter().map(|name| name.replace(".rs", "")).collect();
    assert_eq!(files, targets);
    assert_eq!(names(&in_fuzz("seeds")), targets);
    assert!(names(&in_fuzz("regressions")).is_subset(&targets));
}

/// The kind of a verdict, without the numbers in it.
fn kind(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Joined => "joined",
        Verdict::Applied { .. } => "applied",
        Verdict::Duplicate { .. } => "duplicate",
        Verdict::Stale { .. } => "stale",
        Verdict::AboutSelf { .. } => "about self",
        Verdict::Rejected(reason) => match reason {
            Rejection::OutOfRange { .. } => "out of range",
            Rejection::Unrefutable { .. } => "unrefutable",
            Rejection::SuspiciousJump { .. } => "suspicious jump",
            Rejection::Unconfirmed => "unconfirmed",
            Rejection::UnknownNode => "unknown node",
            Rejection::AtCapacity => "at capacity",
            Rejection::PendingReclaim => "pending reclaim",
            Rejection::Tombstone { .. } => "tombstone",
            Rejection::Zombie { .. } => "zombie",
            _ => "another reason",
        },
        _ => "another",
    }
}

#[test]
fn the_seeds_of_operations_meet_every_verdict() {
    let mut met = BTreeSet::new();
    let directory = in_fuzz("seeds/operations");
    for name in names(&directory) {
        let (setup, steps) = fuzz::decode(&fs::read(directory.join(name)).unwrap());
        let verdicts = lockstep::run(&setup, &steps).unwrap();
        met.extend(verdicts.into_iter().map(kind));
    }
    assert_eq!(met.len(), 13, "{met:?}");
}
