//! Floods: what hostile gossip invents, in whatever number, costs bounded memory and no live node its
//! place.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use incarnation::{Claim, IncarnationTracker, Reclaimer, Rejection, Status, Timestamp, Verdict};
use incarnation_testkit::resident;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

#[test]
fn introduced_nodes_are_evicted_before_confirmed_ones_in_a_flood() {
    let tracker: IncarnationTracker<u64> = IncarnationTracker::builder()
        .max_nodes(100)
        .hard_limit(200)
        .eviction_headroom(10)
        .build()
        .unwrap();
    for node in 0..80 {
        let _ = tracker.confirm(&node, 1, at(0));
    }
    for flood in 0..10_000 {
        let _ = tracker.add_unconfirmed(&(1_000 + flood), at(1 + flood));
    }
    assert_eq!(tracker.len(), 200);
    let newcomer = tracker.confirm(&80, 1, at(20_000));
    assert_eq!(newcomer, Verdict::Rejected(Rejection::AtCapacity));
    let report = tracker.sweep(at(20_001));
    assert_eq!(report.capacity_evicted, 110);
    assert_eq!(tracker.counts().of(Status::Alive), 80);
    assert_eq!(tracker.confirm(&80, 1, at(20_002)), Verdict::Joined);
}

#[test]
fn a_million_deaths_leave_at_most_the_tombstones_allowed_and_flat_memory() {
    const DEATHS: u64 = 1_000_000;
    const MAX_TOMBSTONES: usize = 1_000;
    let tracker: IncarnationTracker<u64> = IncarnationTracker::builder()
        .max_nodes(1_000)
        .max_tombstones(MAX_TOMBSTONES)
        .dead_retention(Duration::from_millis(1))
        .reclaimer(Reclaimer::private())
        .build()
        .unwrap();
    let mut warm = None;
    let mut buried = 0;
    for node in 0..DEATHS {
        let now = at(node);
        assert!(
            tracker.update(&node, Claim::dead(3), now).accepted(),
            "{node}"
        );
        if node % 500 == 499 {
            buried += tracker.sweep(at(node + 2)).dead_evicted;
            assert!(tracker.tombstones() <= MAX_TOMBSTONES);
        }
        if node == DEATHS / 10 {
            warm = resident::bytes();
        }
    }
    assert_eq!(buried as u64, DEATHS);
    assert!(tracker.is_empty() && tracker.tombstones() > MAX_TOMBSTONES / 2);
    if let (Some(warm), Some(end)) = (warm, resident::bytes()) {
        let grown = end.saturating_sub(warm);
        assert!(
            grown < 4 << 20,
            "{warm} bytes after a tenth, {end} in the end"
        );
    }
    // The latest are remembered, the oldest are not.
    let again = |node: u64| tracker.judge(&node, Claim::alive(3), at(DEATHS + 1));
    let incarnation = 3.into();
    let refusal = Verdict::Rejected(Rejection::Tombstone { incarnation });
    assert_eq!(again(DEATHS - 1), refusal);
    assert_eq!(again(0), Verdict::Joined);
}

#[test]
fn the_hard_limit_holds_at_every_instant_under_inserting_threads() {
    const HARD_LIMIT: usize = 64;
    let tracker: IncarnationTracker<u64> = IncarnationTracker::builder()
        .max_nodes(32)
        .hard_limit(HARD_LIMIT)
        .evict_alive(true)
        .reclaimer(Reclaimer::private())
        .build()
        .unwrap();
    let stop = AtomicBool::new(false);
    let (most, refused) = thread::scope(|scope| {
        let writers: Vec<_> = (0..4_u64)
            .map(|thread| {
                let tracker = &tracker;
                scope.spawn(move || {
                    let mut refused = 0;
                    for number in 0..20_000 {
                        let node = thread << 32 | number;
                        let verdict = tracker.update(&node, Claim::alive(1), at(number));
                        refused += u64::from(!verdict.accepted());
                        if number % 64 == 0 {
                            let _ = tracker.sweep(at(number));
                        }
                    }
                    refused
                })
            })
            .collect();
        let reader = scope.spawn(|| {
            let mut most = 0;
            while !stop.load(Ordering::Relaxed) {
                // Counted one by one: what the tracker says of its number is no witness.
                most = most.max(tracker.pin().iter().count());
                assert!(tracker.len() <= HARD_LIMIT);
            }
            most
        });
        let refused: u64 = writers
            .into_iter()
            .map(|writer| writer.join().unwrap())
            .sum();
        stop.store(true, Ordering::Relaxed);
        (reader.join().unwrap(), refused)
    });
    assert!(refused > 0, "the limit was never reached");
    assert!(
        tracker.iter().count() <= HARD_LIMIT,
        "{most} seen in one walk"
    );
}
