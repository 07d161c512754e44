//! A claim is refused with `AtCapacity` only where the table is full. Removed entries that still wait for a view
//! are a reason of their own, and a claim gives them a chance to be reclaimed before it is refused.

use std::cell::RefCell;
use std::hash::{Hash, Hasher};
use std::sync::{Barrier, mpsc};
use std::thread;
use std::time::Duration;

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

/// Joins a node. A refused join is tried again: other threads get the core first, and after some refusals this one sleeps,
/// so that a thread that waits for another core runs on this one.
fn join(tracker: &IncarnationTracker<u32>, node: u32, incarnation: u64) {
    const YIELDS: usize = 8;
    const TRIES: usize = 10_000;
    for step in 0..TRIES {
        match tracker.update(&node, Claim::alive(incarnation), NOW) {
            Verdict::Joined => return,
            Verdict::Rejected(Rejection::PendingReclaim) if step < YIELDS => thread::yield_now(),
            Verdict::Rejected(Rejection::PendingReclaim) => {
                thread::sleep(Duration::from_millis(1));
            }
            other => panic!("{other}, though there is room"),
        }
    }
    panic!("refused {TRIES} times in a row");
}

/// Each thread joins and removes a node of its own so many times. Returns how many answers were `PendingReclaim`.
fn join_and_remove(threads: u32, hard_limit: usize, rounds: u64) -> u64 {
    let tracker = tracker(hard_limit);
    at_once(threads as usize, |thread| {
        let node = thread as u32;
        for round in 0..rounds {
            join(&tracker, node, round);
            assert!(tracker.remove(&node, NOW).is_some());
        }
    });
    let stats = tracker.stats();
    assert_eq!(stats.rejections.at_capacity, 0);
    assert_eq!(stats.joins, u64::from(threads) * rounds);
    assert_eq!((tracker.len(), tracker.iter().count()), (0, 0));
    stats.rejections.pending_reclaim
}

/// Asserts that few joins are refused in some run. How many are depends on what else runs on the machine: a thread that
/// has lost its core in the middle of an operation holds up all that was removed since. The tests that follow fix the
/// order of events instead, and are exact.
fn assert_rarely_refused(joins: u64, mut refused_in_a_run: impl FnMut() -> u64) {
    const RUNS: usize = 100;
    let refused = (0..RUNS).map(|_| refused_in_a_run());
    let fewest = refused
        .scan(u64::MAX, |fewest, refused| {
            *fewest = refused.min(*fewest);
            Some(*fewest)
        })
        .find(|fewest| fewest * 20 <= joins);
    assert!(
        fewest.is_some(),
        "more than one in twenty of {joins} joins were refused in each of {RUNS} runs"
    );
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

/// How many operations a view is held over.
const OPERATIONS: u32 = 1_024;

/// Two threads take turns of 64 joins and removals each. Each holds one view after the other over so many of them, and one
/// thread's views end in the middle of the other's.
#[test]
fn two_threads_in_turns_under_overlapping_views_are_never_refused() {
    const TURN: u32 = 64;
    const ROUNDS: u32 = 8;
    let tracker = tracker(2_000);
    let turns = Barrier::new(2);
    let unexpected = at_once(2, |thread| {
        let thread = thread as u32;
        let mut unexpected = Vec::new();
        let mut view = tracker.pin();
        for turn in 0..2 * ROUNDS * OPERATIONS / TURN {
            if turn % 2 == thread {
                for step in turn / 2 * TURN..(turn / 2 + 1) * TURN {
                    if (step + thread * OPERATIONS / 2).is_multiple_of(OPERATIONS) {
                        drop(view);
                        view = tracker.pin();
                    }
                    let node = 2 * (step % OPERATIONS) + thread;
                    let verdict = view.update(&node, Claim::alive(u64::from(step)), NOW);
                    if verdict != Verdict::Joined || view.remove(&node, NOW).is_none() {
                        // No panic: the other thread would wait for this one for ever.
                        unexpected.push((step, verdict));
                    }
                }
            }
            turns.wait();
        }
        unexpected
    });
    assert_eq!(unexpected, [[], []]);
    assert_eq!(tracker.stats().rejections.total(), 0);
}

/// The same without an order.
#[test]
fn a_table_is_never_at_capacity_under_long_views_of_two_threads() {
    let tracker = tracker(2_000);
    at_once(2, |thread| {
        let node = |step| thread as u32 * OPERATIONS + step;
        for round in 0..8 {
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
    assert_eq!(tracker.stats().rejections.at_capacity, 0);
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
    assert_eq!(joins as usize, tracker.capacity(), "every entry is used");
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
    let (pinned, exhausted) = (Barrier::new(2), Barrier::new(2));
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

#[test]
fn removals_under_a_view_have_twice_the_hard_limit_of_spare_entries_in_small_tables() {
    for hard_limit in [100, 1_000, 2_000] {
        let tracker = tracker(hard_limit);
        let _view = tracker.pin();
        let (joins, reason) = exhaust(&tracker);
        assert_eq!(reason, Rejection::PendingReclaim);
        assert!(joins as usize >= 3 * hard_limit, "{joins} of {hard_limit}");
    }
}

#[test]
fn entries_that_an_idle_thread_keeps_are_used_before_a_claim_is_refused() {
    /// More than share a ticket: the last few have none yet, and wait for the view of the thread that gives them one.
    const WITHOUT_TICKET: usize = 20;
    let tracker = tracker(200);
    let (kept, over) = (Barrier::new(2), Barrier::new(2));
    let (joins, reason) = thread::scope(|scope| {
        scope.spawn(|| {
            // Under a view, so that none of them can be used again at once.
            let view = tracker.pin();
            for node in 0..60 {
                let _ = view.update(&node, Claim::alive(1), NOW);
                let _ = view.remove(&node, NOW);
            }
            drop(view);
            kept.wait();
            over.wait();
        });
        kept.wait();
        // crossbeam-epoch lets time pass every so many pins.
        (0..1_000).for_each(|_| drop(tracker.pin()));
        let view = tracker.pin();
        let exhausted = exhaust(&tracker);
        drop(view);
        over.wait();
        exhausted
    });
    assert_eq!(reason, Rejection::PendingReclaim);
    assert!(
        joins as usize + WITHOUT_TICKET >= tracker.capacity(),
        "{joins}"
    );
}

#[test]
fn reservations_that_an_idle_thread_keeps_are_called_in_before_a_claim_is_refused() {
    let tracker = tracker(256);
    let (kept, over) = (Barrier::new(2), Barrier::new(2));
    let joined = thread::scope(|scope| {
        scope.spawn(|| {
            for node in 0..8 {
                let _ = tracker.update(&node, Claim::alive(1), NOW);
            }
            for node in 0..8 {
                let _ = tracker.remove(&node, NOW);
            }
            kept.wait();
            over.wait();
        });
        kept.wait();
        let join = |node: &u32| tracker.update(node, Claim::alive(1), NOW) == Verdict::Joined;
        let joined = (100..).take_while(join).count();
        over.wait();
        joined
    });
    assert_eq!(joined, 256);
    let rejections = tracker.stats().rejections;
    assert_eq!((rejections.at_capacity, rejections.total()), (1, 1));
}

thread_local! {
    /// What runs each time this thread hashes a key.
    static ON_HASH: RefCell<Box<dyn FnMut()>> = RefCell::new(Box::new(|| ()));
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Watched(u32);

impl Hash for Watched {
    fn hash<H: Hasher>(&self, state: &mut H) {
        ON_HASH.with_borrow_mut(|on_hash| on_hash());
        self.0.hash(state);
    }
}

/// While another thread holds a view and no entry is free, makes a claim during whose `nth` hash of the key that view is
/// dropped. Returns the verdict, and how often the key was hashed.
fn claim_while_a_view_is_dropped(nth: u32) -> (Verdict, u32) {
    let tracker = IncarnationTracker::<Watched>::builder()
        .max_nodes(50)
        .hard_limit(100)
        .reclaimer(Reclaimer::private())
        .build()
        .unwrap();
    // Where there is no tombstone no claim looks for one, and each attempt hashes the key for that look.
    let _ = tracker.update(&Watched(u32::MAX), Claim::dead(1), NOW);
    assert!(tracker.remove(&Watched(u32::MAX), NOW).is_some());
    let (pinned, is_pinned) = mpsc::channel();
    let (drop_it, is_to_drop) = mpsc::channel::<()>();
    let (dropped, is_dropped) = mpsc::channel();
    thread::scope(|scope| {
        let tracker = &tracker;
        scope.spawn(move || {
            let view = tracker.pin();
            pinned.send(()).unwrap();
            // An error where the view is never dropped before the end.
            let _ = is_to_drop.recv();
            drop(view);
            let _ = dropped.send(());
        });
        is_pinned.recv().unwrap();
        let refused = Verdict::Rejected(Rejection::PendingReclaim);
        let node = (0..)
            .find(|node| {
                let verdict = tracker.update(&Watched(*node), Claim::alive(1), NOW);
                let _ = tracker.remove(&Watched(*node), NOW);
                verdict == refused
            })
            .unwrap();
        let (count, counted) = mpsc::channel();
        let mut hashes = 0;
        ON_HASH.set(Box::new(move || {
            hashes += 1;
            let _ = count.send(hashes);
            if hashes == nth {
                drop_it.send(()).unwrap();
                is_dropped.recv().unwrap();
            }
        }));
        let verdict = tracker.update(&Watched(node), Claim::alive(1), NOW);
        ON_HASH.set(Box::new(|| ()));
        (verdict, counted.try_iter().last().unwrap_or(0))
    })
}

#[test]
fn a_claim_without_a_free_entry_is_tried_again_until_another_threads_view_is_dropped() {
    let (verdict, hashes) = claim_while_a_view_is_dropped(u32::MAX);
    assert_eq!(verdict, Verdict::Rejected(Rejection::PendingReclaim));
    // Once to look for the node, and once in each attempt: the first and those after eight yields.
    assert!(hashes > 8, "{hashes}");
    // Not at the last one: crossbeam-epoch frees nothing within the attempt during which the view is dropped.
    for nth in 1..hashes {
        let (verdict, _) = claim_while_a_view_is_dropped(nth);
        assert_eq!(
            verdict,
            Verdict::Joined,
            "dropped at hash {nth} of {hashes}"
        );
    }
}
