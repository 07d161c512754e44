//! A claim is refused with `AtCapacity` only where the table is full. Removed entries that still wait for a view
//! are a reason of their own, and a claim gives them a chance to be reclaimed before it is refused.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use incarnation::{Claim, IncarnationTracker, Reclaimer, Rejection, Timestamp, Verdict};
use incarnation_testkit::start_together::at_once;

const NOW: Timestamp = Timestamp::ZERO;

fn tracker(hard_limit: usize) -> IncarnationTracker<u32> {
    IncarnationTracker::builder()
        .max_nodes(hard_limit / 2)
        .hard_limit(hard_limit)
        .reclaimer(Reclaimer::private())
        .build()
        .unwrap()
}

/// Each thread joins and removes a node of its own so many times; a refused join is tried again, a bounded number of
/// times. Returns how many answers were `PendingReclaim`.
fn join_and_remove(threads: u32, hard_limit: usize, rounds: u64) -> u64 {
    const TRIES: usize = 1_000;
    let tracker = tracker(hard_limit);
    let pending = AtomicU64::new(0);
    at_once(threads as usize, |thread| {
        let node = thread as u32;
        for round in 0..rounds {
            let joined =
                (0..TRIES).any(|_| match tracker.update(&node, Claim::alive(round), NOW) {
                    Verdict::Joined => true,
                    Verdict::Rejected(Rejection::PendingReclaim) => {
                        pending.fetch_add(1, Ordering::Relaxed);
                        thread::yield_now();
                        false
                    }
                    other => panic!("{other}, with at most {threads} of {hard_limit} nodes live"),
                });
            assert!(joined, "refused {TRIES} times in a row");
            assert!(tracker.remove(&node, NOW).is_some());
        }
    });
    let stats = tracker.stats();
    assert_eq!(stats.rejections.at_capacity, 0);
    assert_eq!(
        stats.rejections.pending_reclaim,
        pending.load(Ordering::Relaxed)
    );
    assert_eq!((tracker.len(), tracker.iter().count()), (0, 0));
    stats.rejections.pending_reclaim
}

/// How many joins in a thousand may be refused.
const PER_MILLE: u64 = if cfg!(incarnation_portable) { 2 } else { 1 };

/// Asserts that few joins are refused. How many are depends on what else runs on the machine: a thread that has lost its
/// core in the middle of an operation holds up all that was removed since. So the best of many short runs counts.
fn assert_rarely_refused(joins: u64, mut refused_in_a_run: impl FnMut() -> u64) {
    const RUNS: usize = 500;
    let mut fewest = u64::MAX;
    for _ in 0..RUNS {
        fewest = fewest.min(refused_in_a_run());
        if fewest * 1_000 <= joins * PER_MILLE {
            return;
        }
    }
    panic!("at least {fewest} of {joins} joins were refused in each of {RUNS} runs");
}

#[test]
fn two_threads_that_join_and_remove_in_a_small_table_are_not_refused() {
    let rounds = 10_000;
    assert_rarely_refused(2 * rounds, || join_and_remove(2, 200, rounds));
}

#[test]
fn four_threads_that_join_and_remove_in_a_middling_table_are_not_refused() {
    let rounds = 10_000;
    assert_rarely_refused(4 * rounds, || join_and_remove(4, 20_000, rounds));
}

#[test]
fn more_threads_than_cores_that_join_and_remove_are_not_refused() {
    let rounds = 10_000;
    assert_rarely_refused(8 * rounds, || join_and_remove(8, 2_000, rounds));
}

/// Each of two threads joins and removes a thousand nodes under one view, so many times. Returns how many joins were
/// refused.
fn join_and_remove_under_views(rounds: u64) -> u64 {
    let tracker = tracker(2_000);
    at_once(2, |thread| {
        let node = |step| thread as u32 * OPERATIONS + step;
        for round in 0..rounds {
            let view = tracker.pin();
            for step in 0..OPERATIONS {
                match view.update(&node(step), Claim::alive(round), NOW) {
                    Verdict::Joined => assert!(view.remove(&node(step), NOW).is_some()),
                    // The other thread is not scheduled, and holds a view.
                    Verdict::Rejected(Rejection::PendingReclaim) => {}
                    other => panic!("{other}"),
                }
                // The other thread may be stopped while it uses its reservations: at most 128, which count as nodes then.
                assert!(tracker.len() <= 2 + 128);
            }
        }
    });
    let rejections = tracker.stats().rejections;
    assert_eq!(rejections.at_capacity, 0);
    rejections.pending_reclaim
}

/// How many operations a view is held over.
const OPERATIONS: u32 = 1_024;

#[test]
fn views_held_over_a_thousand_operations_do_not_exhaust_the_spare_entries() {
    let rounds = 8;
    let joins = 2 * u64::from(OPERATIONS) * rounds;
    assert_rarely_refused(joins, || join_and_remove_under_views(rounds));
}

/// Joins and removes nodes under a view until a join is refused; how many joins that took.
fn exhaust(tracker: &IncarnationTracker<u32>) -> (u32, Rejection) {
    for node in 0.. {
        match tracker.update(&node, Claim::alive(1), NOW) {
            Verdict::Joined => assert!(tracker.remove(&node, NOW).is_some()),
            Verdict::Rejected(reason) => return (node, reason),
            other => panic!("{other}"),
        }
    }
    unreachable!()
}

#[test]
fn entries_that_wait_for_a_view_are_reported_as_pending_reclaim() {
    let tracker = tracker(100);
    let view = tracker.pin();
    let (joins, reason) = exhaust(&tracker);
    assert_eq!(reason, Rejection::PendingReclaim);
    assert!(joins as usize >= 100, "{joins}");
    assert_eq!(tracker.pending_reclaim(), joins as usize);
    assert_eq!(tracker.len(), 0);
    let rejections = tracker.stats().rejections;
    assert_eq!((rejections.pending_reclaim, rejections.at_capacity), (1, 0));
    assert_eq!(rejections.total(), 1);
    // What `judge` answers does not depend on who waits for what.
    assert_eq!(
        tracker.judge(&1_000_000, Claim::alive(1), NOW),
        Verdict::Joined
    );
    drop(view);
    assert_eq!(
        tracker.update(&1_000_000, Claim::alive(1), NOW),
        Verdict::Joined
    );
}

#[test]
fn a_view_of_another_thread_is_reported_as_pending_reclaim_too() {
    let tracker = tracker(100);
    let (pinned, exhausted) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(|| {
            let view = tracker.pin();
            pinned.wait();
            exhausted.wait();
            drop(view);
        });
        pinned.wait();
        assert_eq!(exhaust(&tracker).1, Rejection::PendingReclaim);
        exhausted.wait();
    });
    assert_eq!(
        tracker.update(&1_000_000, Claim::alive(1), NOW),
        Verdict::Joined
    );
}

#[test]
fn a_full_table_is_at_capacity_whatever_waits_for_a_view() {
    let tracker = tracker(4);
    let _view = tracker.pin();
    for node in 0..4 {
        assert_eq!(tracker.update(&node, Claim::alive(1), NOW), Verdict::Joined);
    }
    let full = Verdict::Rejected(Rejection::AtCapacity);
    assert_eq!(tracker.update(&4, Claim::alive(1), NOW), full);
    assert!(tracker.remove(&3, NOW).is_some());
    assert_eq!(tracker.update(&4, Claim::alive(1), NOW), Verdict::Joined);
    assert_eq!(tracker.update(&5, Claim::alive(1), NOW), full);
    assert_eq!(tracker.stats().rejections.pending_reclaim, 0);
}
