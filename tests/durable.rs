//! A restarted node never uses an incarnation it may have used before.
#![cfg(feature = "persist")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use incarnation::persist::{DurableIncarnation, PersistError};
use incarnation::{BuildError, IncarnationTracker, LocalError};
use tempfile::TempDir;

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("incarnation");
    (directory, path)
}

/// A run with blocks of this size.
fn run(path: &Path, block: u64) -> IncarnationTracker {
    IncarnationTracker::builder()
        .local_durable(DurableIncarnation::open(path).unwrap().block(block))
        .build()
        .unwrap()
}

/// What the file says while somebody has it.
fn mark(path: &Path) -> u64 {
    DurableIncarnation::decode(&fs::read(path).unwrap())
        .unwrap()
        .get()
}

#[test]
fn a_missing_file_is_a_first_start() {
    let (_directory, path) = place();
    let durable = DurableIncarnation::open(&path).unwrap();
    assert_eq!(durable.mark(), None);
    assert!(!path.exists(), "opening writes nothing");
    let tracker: IncarnationTracker = IncarnationTracker::builder()
        .local_incarnation(17)
        .local_durable(durable)
        .build()
        .unwrap();
    assert_eq!(tracker.local().current().get(), 17);
    assert!(mark(&path) >= 17, "on disk before anybody sees it");
}

#[test]
fn a_restart_begins_at_least_min_rejoin_bump_above_every_incarnation_given_out() {
    for (block, bump) in [(1, 0), (1, 1), (1, 5), (2, 5), (7, 50), (64, 5), (120, 5)] {
        let (_directory, path) = place();
        let mut highest = None;
        for run in 0..20 {
            let durable = DurableIncarnation::open(&path).unwrap();
            let tracker: IncarnationTracker = IncarnationTracker::builder()
                .min_rejoin_bump(bump)
                .local_durable(durable.block(block))
                .build()
                .unwrap();
            let local = tracker.local();
            let start = local.current().get();
            if let Some(highest) = highest {
                assert!(start >= highest + bump.max(1), "{start} after {highest}");
                let skipped = start - highest;
                assert!(skipped <= block + bump.max(1), "skipped {skipped}");
            }
            highest = Some(start);
            // Runs of different lengths end at different places of a block.
            for _ in 0..run * 3 {
                highest = Some(local.refute(local.current()).unwrap().get());
            }
        }
    }
}

#[test]
fn a_restart_takes_local_incarnation_only_if_it_is_higher_than_the_mark() {
    let (_directory, path) = place();
    let start = |first: u64| {
        let tracker: IncarnationTracker = IncarnationTracker::builder()
            .local_incarnation(first)
            .local_durable(DurableIncarnation::open(&path).unwrap())
            .build()
            .unwrap();
        tracker.local().current().get()
    };
    assert_eq!(start(1000), 1000);
    assert_eq!(start(5000), 5000);
    assert!(start(1) > 5000);
}

#[test]
fn the_mark_on_disk_is_never_below_what_was_given_out_and_written_once_a_block() {
    let (_directory, path) = place();
    let tracker = run(&path, 10);
    let local = tracker.local();
    assert!(mark(&path) >= local.current().get());
    let mut marks = BTreeSet::from([mark(&path)]);
    for _ in 1..200 {
        let own = local.refute(local.current()).unwrap().get();
        let mark = mark(&path);
        assert!(mark >= own);
        assert!(mark < own + 10);
        marks.insert(mark);
    }
    assert_eq!(marks.len(), 20, "200 incarnations, 10 a block: {marks:?}");
}

#[test]
fn an_accusation_beyond_the_block_is_reserved_before_it_is_refuted() {
    let (_directory, path) = place();
    let tracker = run(&path, 10);
    assert_eq!(tracker.local().refute(900).unwrap().get(), 901);
    assert!(mark(&path) >= 901);
}

#[test]
fn eight_threads_refuting_across_blocks_get_distinct_incarnations_all_of_them_reserved() {
    let (_directory, path) = place();
    let tracker = run(&path, 5);
    let all: Vec<u64> = thread::scope(|scope| {
        let running: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let refute = |_| tracker.local().refute(0).unwrap().get();
                    (0..50).map(refute).collect::<Vec<_>>()
                })
            })
            .collect();
        running
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 400);
    assert_eq!(tracker.local().current().get(), 400, "none was skipped");
    assert!(mark(&path) >= 400);
}

#[test]
fn a_file_stays_locked_until_the_last_clone_of_its_tracker_is_dropped() {
    let (_directory, path) = place();
    let locked = || {
        matches!(
            DurableIncarnation::open(&path),
            Err(PersistError::Locked { .. })
        )
    };
    let durable = DurableIncarnation::open(&path).unwrap();
    assert!(locked(), "while open");
    let tracker: IncarnationTracker = IncarnationTracker::builder()
        .local_durable(durable)
        .build()
        .unwrap();
    let clone = tracker.clone();
    drop(tracker);
    assert!(locked(), "while a clone lives");
    drop(clone);
    assert!(!locked());
}

#[cfg(unix)]
#[test]
fn a_file_in_use_is_locked_under_every_name_that_leads_to_it() {
    let (directory, path) = place();
    let _tracker = run(&path, 1);
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let around = directory
        .path()
        .join("..")
        .join(directory.path().file_name().unwrap());
    for name in [link, around.join("incarnation")] {
        assert!(matches!(
            DurableIncarnation::open(name),
            Err(PersistError::Locked { .. })
        ));
    }
}

#[cfg(unix)]
#[test]
fn a_link_is_followed_and_stays_a_link() {
    let (directory, path) = place();
    let highest = run(&path, 1).local().current().get();
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(run(&link, 1).local().current().get() > highest);
    assert!(link.is_symlink());
    assert!(run(&path, 1).local().current().get() > highest + 5);
}

#[test]
fn a_block_that_could_make_a_restart_look_suspicious_is_refused() {
    let build = |block: Option<u64>, bump: u64, limit: u64| {
        let (_directory, path) = place();
        let mut durable = DurableIncarnation::open(path).unwrap();
        if let Some(block) = block {
            durable = durable.block(block);
        }
        let built: Result<IncarnationTracker, BuildError> = IncarnationTracker::builder()
            .min_rejoin_bump(bump)
            .refute_limit(limit)
            .local_durable(durable)
            .build();
        built.map(|tracker| tracker.local().current().get())
    };
    let refused = |block, bump, limit| {
        Err(BuildError::Durable(PersistError::BlockSize {
            block,
            bump,
            limit,
        }))
    };
    assert_eq!(build(Some(120), 5, 1000), Ok(0));
    assert_eq!(build(Some(121), 5, 1000), refused(121, 5, 125));
    assert_eq!(build(Some(u64::MAX), 5, 1000), refused(u64::MAX, 5, 125));
    assert_eq!(build(Some(0), 5, 1000), refused(0, 5, 125));
    assert_eq!(
        build(Some(u64::MAX), 5, u64::MAX),
        refused(u64::MAX, 5, u64::MAX / 8)
    );
    // The default shrinks to fit, down to one incarnation at a time.
    assert_eq!(build(None, 5, 1000), Ok(0));
    assert_eq!(build(None, 5, 48), Ok(0));
    assert_eq!(build(None, 5, 47), refused(1, 5, 5));
}

#[test]
fn several_restarts_in_a_row_never_look_suspicious_by_default() {
    let (_directory, path) = place();
    let restart = || {
        let tracker: IncarnationTracker = IncarnationTracker::builder()
            .local_durable(DurableIncarnation::open(&path).unwrap())
            .build()
            .unwrap();
        tracker.local().current().get()
    };
    let first = restart();
    for _ in 0..8 {
        assert!(restart() - first <= 1000);
    }
}

#[test]
fn at_the_end_of_the_range_a_node_begins_once_at_max_incarnation_and_then_building_fails() {
    let (_directory, path) = place();
    let start = || {
        let built: Result<IncarnationTracker, _> = IncarnationTracker::builder()
            .max_incarnation(1000)
            .local_incarnation(997)
            .local_durable(DurableIncarnation::open(&path).unwrap().block(1))
            .build();
        built
    };
    assert_eq!(start().unwrap().local().current().get(), 997);
    let last = start().unwrap();
    assert_eq!(
        last.local().current().get(),
        1000,
        "997 + 5 is out of range"
    );
    assert_eq!(
        last.local().refute(0),
        Err(LocalError::Exhausted { max: 1000.into() })
    );
    drop(last);
    let exhausted = PersistError::Exhausted {
        mark: 1000.into(),
        max: 1000.into(),
    };
    assert_eq!(start().unwrap_err(), BuildError::Durable(exhausted));
    assert_eq!(mark(&path), 1000);
}
