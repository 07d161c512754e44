//! The limits: never more live nodes than the hard limit at any instant, whoever inserts; past it
//! unknown nodes are refused and known ones never notice; a sweep makes room.

use std::cell::RefCell;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::thread;

use incarnation::{
    Claim, IncarnationTracker, Reclaimer, Rejection, SweepScope, Timestamp, Verdict,
};
use incarnation_testkit::start_together::{at_once, meanwhile};

const NOW: Timestamp = Timestamp::ZERO;
const FULL: Verdict = Verdict::Rejected(Rejection::AtCapacity);
const PENDING: Verdict = Verdict::Rejected(Rejection::PendingReclaim);

fn tracker(max_nodes: usize, hard_limit: usize) -> IncarnationTracker<u32> {
    IncarnationTracker::builder()
        .max_nodes(max_nodes)
        .hard_limit(hard_limit)
        .eviction_headroom(0)
        .max_tombstones(max_nodes)
        .reclaimer(Reclaimer::private())
        .build()
        .unwrap()
}

#[test]
fn a_full_table_refuses_the_unknown_by_every_way_in_and_changes_nothing() {
    let tracker = tracker(4, 4);
    for node in 0..4 {
        assert_eq!(tracker.update(&node, Claim::alive(1), NOW), Verdict::Joined);
    }
    let refused = [
        tracker.update(&9, Claim::alive(1), NOW),
        tracker.update(&9, Claim::dead(1).trusted(), NOW),
        tracker.judge(&9, Claim::alive(1), NOW),
        tracker.confirm(&9, 1, NOW),
        tracker.rejoin(&9, 1, NOW),
        tracker.add_unconfirmed(&9, NOW),
    ];
    assert_eq!(refused, [FULL; 6]);
    tracker
        .pin()
        .update_batch(&[(9, Claim::alive(1))], NOW, |_, verdict| {
            assert_eq!(verdict, FULL);
        });
    assert_eq!((tracker.len(), tracker.get(&9)), (4, None));
    assert_eq!((tracker.counts().total(), tracker.iter().count()), (4, 4));
    // The known go on as ever.
    for node in 0..4 {
        assert!(tracker.update(&node, Claim::suspect(1), NOW).accepted());
        assert!(tracker.confirm(&node, 2, NOW).accepted());
    }
}

#[test]
fn a_removal_or_a_sweep_makes_room() {
    let tracker = tracker(2, 4);
    for node in 0..4 {
        let _ = tracker.add_unconfirmed(&node, NOW);
    }
    assert_eq!(tracker.update(&9, Claim::alive(1), NOW), FULL);
    assert!(tracker.remove(&0, NOW).is_some());
    assert_eq!(tracker.update(&9, Claim::alive(1), NOW), Verdict::Joined);
    assert_eq!(tracker.update(&10, Claim::alive(1), NOW), FULL);
    assert_eq!(tracker.sweep(NOW).capacity_evicted, 2);
    for node in 10..12 {
        let verdict = tracker.update(&node, Claim::alive(1), NOW);
        assert_eq!(verdict, Verdict::Joined);
    }
    assert_eq!(tracker.len(), 4);
}

#[test]
fn no_limit_is_exceeded_at_any_instant_by_threads_that_insert_and_remove() {
    const LIMIT: i64 = 16;
    const NODES: u32 = 64;
    let tracker = tracker(16, 16);
    // Raised after a node joined and lowered before it is taken out: never above the truth.
    let live = AtomicI64::new(0);
    let (highest, refusals) = (AtomicI64::new(0), AtomicU64::new(0));
    let watch = || {
        let seen = live.load(Ordering::SeqCst);
        assert!(seen <= LIMIT, "{seen} nodes are live");
        assert!(tracker.len() <= LIMIT as usize);
        highest.fetch_max(seen, Ordering::SeqCst);
    };
    meanwhile(&[&watch], || {
        at_once(4, |thread| {
            for round in 0..2_000 {
                // Nodes of its own, so that it knows which of them are in.
                let nodes = (0..NODES).filter(|node| *node as usize % 4 == thread);
                let mut joined = Vec::new();
                for node in nodes {
                    match tracker.update(&node, Claim::alive(round), NOW) {
                        Verdict::Joined => {
                            live.fetch_add(1, Ordering::SeqCst);
                            joined.push(node);
                        }
                        FULL => drop(refusals.fetch_add(1, Ordering::SeqCst)),
                        // Another thread is not scheduled, in the middle of an operation.
                        PENDING => {}
                        other => panic!("{other}"),
                    }
                }
                thread::yield_now();
                for node in joined {
                    live.fetch_sub(1, Ordering::SeqCst);
                    assert!(tracker.remove(&node, NOW).is_some());
                }
            }
        });
    });
    assert_eq!(highest.into_inner(), LIMIT, "the limit was never met");
    assert!(refusals.into_inner() > 0);
    assert_eq!((tracker.len(), tracker.iter().count()), (0, 0));
    // No place was lost on the way.
    for node in 0..LIMIT as u32 {
        assert_eq!(tracker.update(&node, Claim::alive(0), NOW), Verdict::Joined);
    }
    assert_eq!(tracker.update(&100, Claim::alive(0), NOW), FULL);
}

#[test]
fn threads_that_insert_the_same_nodes_fill_the_table_exactly() {
    for _ in 0..100 {
        let tracker = tracker(8, 8);
        let joined = at_once(4, |_| {
            let all = (0..12).map(|node| tracker.update(&node, Claim::alive(1), NOW));
            all.filter(|verdict| *verdict == Verdict::Joined).count()
        });
        assert_eq!(joined.iter().sum::<usize>(), 8, "{joined:?}");
        assert_eq!((tracker.len(), tracker.iter().count()), (8, 8));
        assert_eq!(tracker.counts().alive, 8);
    }
}

#[test]
fn a_view_held_for_ever_exhausts_the_spare_entries_and_only_the_unknown_notice() {
    let tracker = tracker(4, 4);
    let known = 1_000;
    let _ = tracker.update(&known, Claim::alive(0), NOW);
    let view = tracker.pin();
    // Each of them uses up an entry that the view may still be looking at.
    let mut churned = 0;
    let refused = (0..1_000).find(|node| {
        let verdict = tracker.update(node, Claim::dead(0), NOW);
        if verdict == Verdict::Joined {
            assert!(tracker.remove(node, NOW).is_some());
            churned += 1;
        }
        verdict == PENDING
    });
    assert!(refused.is_some(), "the entries never ran out");
    assert_eq!(churned, tracker.capacity() - 1, "none was used twice");
    assert_eq!(tracker.pending_reclaim(), churned);
    assert_eq!(tracker.sweep(NOW).evicted(), 0);
    assert_eq!(
        tracker.pending_reclaim(),
        churned,
        "a sweep frees nothing either"
    );
    for incarnation in 1..100 {
        let verdict = tracker.update(&known, Claim::alive(incarnation), NOW);
        assert!(verdict.accepted(), "{verdict}");
        assert_eq!(view.get(&known), tracker.get(&known));
    }
    assert!(tracker.tombstones() <= 4);

    drop(view);
    let _ = tracker.sweep(NOW);
    assert_eq!(tracker.pending_reclaim(), 0);
    assert_eq!(
        tracker.update(&5_000, Claim::alive(0), NOW),
        Verdict::Joined
    );
}

#[test]
fn a_long_loop_that_repins_holds_nothing_up() {
    let tracker = tracker(4, 4);
    let mut view = tracker.pin();
    for node in 0..10_000 {
        let verdict = view.update(&node, Claim::dead(1), NOW);
        assert_eq!(verdict, Verdict::Joined, "{node}");
        assert!(view.remove(&node, NOW).is_some());
        view.repin();
    }
}

#[test]
fn views_one_inside_another_protect_until_the_last_is_gone() {
    let tracker = tracker(4, 4);
    let _ = tracker.update(&1, Claim::alive(1), NOW);
    let outer = tracker.pin();
    let mut inner = tracker.pin();
    assert!(tracker.remove(&1, NOW).is_some());
    inner.repin();
    let _ = tracker.sweep(NOW);
    assert_eq!(
        tracker.pending_reclaim(),
        1,
        "the outer one is as old as before"
    );
    drop(inner);
    let _ = tracker.sweep(NOW);
    assert_eq!(tracker.pending_reclaim(), 1);
    // The other way round, too.
    let inner = tracker.pin();
    drop(outer);
    let _ = tracker.sweep(NOW);
    assert_eq!(tracker.pending_reclaim(), 1);
    drop(inner);
    let _ = tracker.sweep(NOW);
    assert_eq!(tracker.pending_reclaim(), 0);
}

#[test]
fn a_capacity_sweep_under_insertion_restores_the_soft_limit() {
    let tracker = tracker(100, 200);
    let next = AtomicU64::new(0);
    let insert = || {
        let node = next.fetch_add(1, Ordering::Relaxed) as u32;
        let _ = tracker.add_unconfirmed(&node, NOW);
    };
    meanwhile(&[&insert, &insert], || {
        for _ in 0..200 {
            let before = tracker.len();
            let report = tracker.sweep_with(SweepScope::Capacity, NOW, |_| {});
            assert!(!report.capacity_contended);
            assert!(before <= 100 || report.capacity_evicted > 0, "{before}");
            thread::yield_now();
        }
    });
    // On a busy machine the threads may have inserted few.
    while tracker.len() <= 100 {
        insert();
    }
    let _ = tracker.sweep_with(SweepScope::Capacity, NOW, |_| {});
    assert_eq!(tracker.len(), 100);
}

thread_local! {
    /// Runs at the next clone of a [`Clonable`] on this thread.
    static AT_CLONE: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}

/// A key in the middle of whose clone something else may happen.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Clonable(u32);

impl Clone for Clonable {
    fn clone(&self) -> Self {
        if let Some(work) = AT_CLONE.take() {
            work();
        }
        Self(self.0)
    }
}

#[test]
fn what_leaves_while_a_capacity_sweep_evicts_counts_for_it() {
    let tracker: IncarnationTracker<Clonable> = IncarnationTracker::builder()
        .max_nodes(4)
        .hard_limit(8)
        .eviction_headroom(0)
        .reclaimer(Reclaimer::private())
        .build()
        .unwrap();
    for node in 0..8 {
        let since = Timestamp::from_millis(node.into());
        assert!(
            tracker
                .update(&Clonable(node), Claim::dead(1), since)
                .accepted()
        );
    }
    // Four are to go, the oldest first. While the first is buried, three of the younger are forgotten.
    let others = tracker.clone();
    AT_CLONE.set(Some(Box::new(move || {
        for node in 5..8 {
            assert!(others.forget(&Clonable(node)).is_some());
        }
    })));
    let report = tracker.sweep_with(SweepScope::Capacity, Timestamp::from_millis(8), |_| {});
    assert_eq!(report.capacity_evicted, 1);
    let mut left: Vec<u32> = tracker.iter().map(|(node, _)| node.0).collect();
    left.sort_unstable();
    assert_eq!(left, [1, 2, 3, 4]);
}
