//! Threads come and go by the thousand, and more of them write at once than have numbers: no count goes wrong, no entry is
//! lost, and a thread that stands still holds up no other.

use std::sync::Barrier;
use std::thread;

use incarnation::{Claim, IncarnationTracker, Reclaimer, Timestamp, Verdict};

const NOW: Timestamp = Timestamp::ZERO;

fn tracker(max_nodes: usize) -> IncarnationTracker<u32> {
    IncarnationTracker::builder()
        .max_nodes(max_nodes)
        .reclaimer(Reclaimer::private())
        .build()
        .unwrap()
}

/// Joins a node and takes it out again.
fn come_and_go(tracker: &IncarnationTracker<u32>, node: u32) {
    // Another thread may not be scheduled, in the middle of an operation: then this is tried again.
    while tracker.update(&node, Claim::alive(1), NOW) != Verdict::Joined {
        thread::yield_now();
    }
    assert!(tracker.remove(&node, NOW).is_some());
}

/// No entry is hidden in a cache: the table can be filled to its limit.
fn assert_all_entries_are_there(tracker: &IncarnationTracker<u32>) {
    assert_eq!((tracker.len(), tracker.iter().count()), (0, 0));
    assert_eq!(tracker.counts().total(), 0);
    let limit = 2 * tracker.capacity() as u32;
    let joined = (0..limit)
        .take_while(|node| tracker.update(node, Claim::alive(1), NOW) == Verdict::Joined)
        .count();
    assert_eq!(tracker.len(), joined);
    let stats = tracker.stats();
    assert_eq!(stats.rejections.at_capacity, 1, "refused only when full");
    for node in 0..limit {
        tracker.remove(&node, NOW);
    }
    let _ = tracker.sweep(NOW);
    assert_eq!((tracker.len(), tracker.counts().total()), (0, 0));
}

#[test]
fn two_hundred_threads_at_once_count_what_they_do() {
    const THREADS: u32 = 200;
    const ROUNDS: u32 = 100;
    let tracker = tracker(1_000);
    let barrier = Barrier::new(THREADS as usize);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (tracker, barrier) = (&tracker, &barrier);
            scope.spawn(move || {
                // All of them hold a number, or found none left, before any goes on.
                come_and_go(tracker, thread);
                barrier.wait();
                for _ in 0..ROUNDS {
                    come_and_go(tracker, thread);
                }
                // None ends before all are done.
                barrier.wait();
            });
        }
    });
    let stats = tracker.stats();
    let expected = u64::from(THREADS * (ROUNDS + 1));
    assert_eq!((stats.joins, stats.evictions.removed), (expected, expected));
    assert_all_entries_are_there(&tracker);
}

#[test]
fn a_hundred_thousand_short_lived_threads_leave_nothing_behind() {
    const THREADS: u32 = 100_000;
    let tracker = tracker(100);
    for round in 0..THREADS / 4 {
        thread::scope(|scope| {
            for thread in 0..4 {
                let tracker = &tracker;
                scope.spawn(move || come_and_go(tracker, 4 * round + thread));
            }
        });
    }
    let stats = tracker.stats();
    let expected = u64::from(THREADS);
    assert_eq!((stats.joins, stats.evictions.removed), (expected, expected));
    assert_all_entries_are_there(&tracker);
}

#[test]
fn what_threads_that_ended_kept_is_used_by_others() {
    let tracker = tracker(100);
    // Each fills a cache with free and with retired entries, and ends.
    for _ in 0..8 {
        thread::scope(|scope| {
            for thread in 0..8 {
                let tracker = &tracker;
                scope.spawn(move || (0..200).for_each(|_| come_and_go(tracker, thread)));
            }
        });
    }
    assert_all_entries_are_there(&tracker);
}

#[cfg(target_os = "linux")]
#[test]
fn the_child_of_a_fork_goes_on_with_the_numbers_and_caches_of_threads_it_does_not_have() {
    let tracker = tracker(100);
    let (ready, over) = (Barrier::new(5), Barrier::new(5));
    let status = thread::scope(|scope| {
        for thread in 0..4 {
            let (tracker, ready, over) = (&tracker, &ready, &over);
            scope.spawn(move || {
                (0..100).for_each(|_| come_and_go(tracker, thread));
                ready.wait();
                over.wait();
            });
        }
        ready.wait();
        // SAFETY: the child uses the tracker only, whose other threads stand still, and ends without running
        // destructors.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let well = std::panic::catch_unwind(|| {
                (0..1_000).for_each(|node| come_and_go(&tracker, node));
                assert_eq!(tracker.len(), 0);
                assert_eq!(tracker.stats().joins, 1_400);
            });
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(i32::from(well.is_err())) };
        }
        let mut status = 0;
        // SAFETY: waits for the child just made.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        over.wait();
        status
    });
    assert_eq!(status, 0, "the child failed");
    assert_all_entries_are_there(&tracker);
}
