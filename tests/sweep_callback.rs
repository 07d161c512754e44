//! Who is told of what a sweep does, and when: each node evicted or declared Dead, after the fact
//! and with nothing held; a panic there harms nothing. And sweeps at the same time.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use incarnation::{
    Claim, IncarnationTracker, Reclaimer, Status, SweepReason, SweepScope, Timestamp, Verdict,
};
use incarnation_testkit::start_together::{at_once, meanwhile};

const BEGAN: Timestamp = Timestamp::from_millis(5_000);
const LONG_AFTER: Timestamp = Timestamp::from_millis(100_000_000);

fn tracker(max_nodes: usize) -> IncarnationTracker<u32> {
    IncarnationTracker::builder()
        .max_nodes(max_nodes)
        .hard_limit(10_000)
        .eviction_headroom(0)
        .suspect_timeout(Duration::from_secs(1))
        .reclaimer(Reclaimer::private())
        .build()
        .unwrap()
}

/// So many nodes of one status, 0 and up, the older the higher.
fn filled(max_nodes: usize, nodes: u32, status: Status) -> IncarnationTracker<u32> {
    let tracker = tracker(max_nodes);
    for node in 0..nodes {
        let last_update = BEGAN + Duration::from_millis(u64::from(nodes - node));
        let verdict = tracker.update(&node, Claim::new(status, 1), last_update);
        assert_eq!(verdict, Verdict::Joined);
    }
    tracker
}

#[test]
fn each_eviction_and_declared_death_is_reported_once_with_the_last_state() {
    // More than a full sweep looks at under one pin.
    let tracker = filled(10_000, 3_000, Status::Dead);
    for node in 3_000..4_000 {
        let _ = tracker.update(&node, Claim::suspect(2), BEGAN);
    }
    let states: BTreeMap<_, _> = tracker.iter().collect();
    let mut told = BTreeMap::new();
    let report = tracker.sweep_with(SweepScope::Everything, LONG_AFTER, |swept| {
        assert_eq!(swept.last, states[swept.node]);
        let before = told.insert(*swept.node, swept.reason);
        assert_eq!(before, None, "{} is told of twice", swept.node);
    });
    assert_eq!((report.dead_evicted, report.declared_dead), (3_000, 1_000));
    assert_eq!(told.len(), 4_000);
    for (node, reason) in told {
        let expected = if node < 3_000 {
            SweepReason::DeadRetention
        } else {
            SweepReason::SuspectExpired
        };
        assert_eq!(reason, expected);
    }
}

#[test]
fn the_callback_comes_after_the_fact_and_may_use_the_tracker_as_it_likes() {
    for (scope, status) in [
        (SweepScope::Dead, Status::Dead),
        (SweepScope::Capacity, Status::Unconfirmed),
    ] {
        let tracker = filled(100, 300, status);
        let mut told = 0;
        let _ = tracker.sweep_with(scope, LONG_AFTER, |swept| {
            told += 1;
            let node = *swept.node;
            assert_eq!(tracker.get(&node), None, "not yet gone");
            // Everything that takes a shard lock, in the same shard and with the same selection.
            assert_eq!(
                tracker.update(&node, Claim::alive(2), LONG_AFTER),
                Verdict::Joined
            );
            assert!(tracker.remove(&node, LONG_AFTER).is_some());
            let _ = tracker.update(&node, Claim::alive(2), LONG_AFTER);
            let inner = tracker.sweep_with(scope, LONG_AFTER, |_| {});
            assert!(!inner.capacity_contended, "the outer selection is held");
        });
        assert!(told >= 1, "{status}");
        assert_eq!(tracker.counts().total(), tracker.iter().count());
    }
}

#[test]
fn a_panic_of_the_callback_harms_nothing() {
    for scope in [SweepScope::Dead, SweepScope::Capacity] {
        // The first it hears of, one in the middle, one in the second slice, the last.
        for panic_at in [1, 700, 1_500, 2_000] {
            let tracker = filled(1, 2_001, Status::Dead);
            let mut told = BTreeSet::new();
            let mut sweep = |panic_at: usize| {
                let sweep = || {
                    tracker.sweep_with(scope, LONG_AFTER, |swept| {
                        assert!(told.insert(*swept.node));
                        if told.len() == panic_at {
                            std::panic::resume_unwind(Box::new("the callback panics"));
                        }
                    })
                };
                catch_unwind(AssertUnwindSafe(sweep))
            };
            let panic = sweep(panic_at).unwrap_err();
            assert_eq!(panic.downcast_ref(), Some(&"the callback panics"));
            let left = tracker.len();
            assert_eq!(tracker.iter().count(), left);
            assert_eq!(tracker.counts().dead, left);
            // What was swept stays swept, and the next sweep does the rest.
            let report = sweep(0).unwrap();
            assert!(!report.capacity_contended);
            assert_eq!(report.evicted(), left - tracker.len());
            let stay = usize::from(scope == SweepScope::Capacity);
            assert_eq!(tracker.len(), stay);
            // Nothing is lost: every place can be used again.
            for node in 0..tracker.capacity() as u32 {
                let _ = tracker.update(&node, Claim::alive(2), LONG_AFTER);
                let _ = tracker.remove(&node, LONG_AFTER);
            }
            let _ = tracker.sweep(LONG_AFTER);
            assert_eq!(tracker.pending_reclaim(), 0);
        }
    }
}

#[test]
fn a_panic_in_a_slice_leaves_the_cursor_where_it_was() {
    let tracker = filled(10_000, 10, Status::Dead);
    let mut cursor = incarnation::SweepCursor::default();
    let _ = tracker.sweep_slice(&mut cursor, 4, LONG_AFTER, |_| {});
    let before = cursor;
    let panicking = || {
        tracker.sweep_slice(&mut cursor, 4, LONG_AFTER, |_| {
            std::panic::resume_unwind(Box::new(()));
        })
    };
    assert!(catch_unwind(AssertUnwindSafe(panicking)).is_err());
    assert_eq!(cursor, before);
    while {
        let _ = tracker.sweep_slice(&mut cursor, 4, LONG_AFTER, |_| {});
        !cursor.is_at_start()
    } {}
    assert!(tracker.is_empty());
}

#[test]
fn sweeps_at_the_same_time_never_evict_more_than_one_would() {
    for round in 0..30 {
        let tracker = filled(1_000, 1_500, Status::Dead);
        let told = Mutex::new(Vec::new());
        let reports = at_once(4, |_| {
            tracker.sweep_with(SweepScope::Capacity, BEGAN, |swept| {
                told.lock().unwrap().push(*swept.node);
            })
        });
        let evicted: usize = reports.iter().map(|report| report.evicted()).sum();
        assert_eq!(evicted, 500, "round {round}");
        assert_eq!(tracker.len(), 1_000);
        let mut told = told.into_inner().unwrap();
        told.sort_unstable();
        assert_eq!(told, (1_000..1_500).collect::<Vec<_>>(), "the oldest");
    }
}

#[test]
fn expiring_at_the_same_time_tells_of_each_node_once() {
    for _ in 0..20 {
        let tracker = filled(10_000, 3_000, Status::Dead);
        for node in 3_000..4_000 {
            let _ = tracker.update(&node, Claim::suspect(2), BEGAN);
        }
        let told = Mutex::new(Vec::new());
        let reports = at_once(3, |_| {
            tracker.sweep_with(SweepScope::Expiry, LONG_AFTER, |swept| {
                told.lock().unwrap().push(*swept.node);
            })
        });
        let evicted: usize = reports.iter().map(|report| report.dead_evicted).sum();
        let declared: usize = reports.iter().map(|report| report.declared_dead).sum();
        assert_eq!((evicted, declared), (3_000, 1_000));
        let mut told = told.into_inner().unwrap();
        told.sort_unstable();
        assert_eq!(told, (0..4_000).collect::<Vec<_>>());
    }
}

#[test]
fn a_candidate_that_moved_meanwhile_stays_and_no_other_is_evicted_for_it() {
    // The nodes are refuted while a sweep selects among them: whoever was faster, no node goes that
    // was not among the oldest, and none whose refutation was accepted.
    const NODES: u32 = 2_000;
    for _ in 0..20 {
        let tracker = filled(1_000, NODES, Status::Suspect);
        let next = AtomicUsize::new(0);
        let refuted = Mutex::new(BTreeSet::new());
        let refute = || {
            let node = NODES - 1 - next.fetch_add(1, Ordering::Relaxed) as u32 % NODES;
            let handle = tracker.handle(&node);
            let verdict = handle.and_then(|node| node.update(Claim::alive(2), LONG_AFTER));
            if verdict.is_some_and(Verdict::accepted) {
                refuted.lock().unwrap().insert(node);
            }
        };
        let mut gone = BTreeSet::new();
        let report = meanwhile(&[&refute], || {
            tracker.sweep_with(SweepScope::Capacity, BEGAN, |swept| {
                assert_eq!(swept.last.claim(), Claim::suspect(1));
                gone.insert(*swept.node);
            })
        });
        let refuted = refuted.into_inner().unwrap();
        assert_eq!(report.capacity_evicted, gone.len());
        assert!(gone.len() <= 1_000);
        assert!(refuted.is_disjoint(&gone), "a refuted node was evicted");
        assert_eq!(tracker.len(), NODES as usize - gone.len());
        for node in refuted {
            let state = tracker.get(&node).unwrap();
            assert_eq!(state.claim(), Claim::alive(2));
        }
    }
}
