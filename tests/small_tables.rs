//! Small tables, and many of them: a tracker per tenant, per test, per shard.

use incarnation::{Claim, IncarnationTracker, Reclaimer, Rejection, Timestamp, Verdict};
use incarnation_testkit::resident;

const NOW: Timestamp = Timestamp::ZERO;

fn small() -> IncarnationTracker<u32> {
    IncarnationTracker::builder().max_nodes(16).build().unwrap()
}

#[test]
fn ten_thousand_trackers_of_sixteen_nodes_cost_kilobytes_each_and_work() {
    const TRACKERS: usize = 10_000;
    let before = resident::bytes();
    let trackers: Vec<_> = (0..TRACKERS).map(|_| small()).collect();
    // One thread after another, so that each table meets several.
    for thread in 0..4_u32 {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for (tracker, incarnation) in trackers.iter().zip(0..) {
                    for node in thread * 4..thread * 4 + 4 {
                        let joined = tracker.update(&node, Claim::alive(incarnation), NOW);
                        assert_eq!(joined, Verdict::Joined);
                    }
                }
            });
        });
    }
    if let (Some(before), Some(after)) = (before, resident::bytes()) {
        let each = (after - before) / TRACKERS;
        assert!(each < 16 << 10, "{each} bytes each, with sixteen nodes");
    }
    for (tracker, incarnation) in trackers.iter().zip(0..) {
        assert_eq!(tracker.len(), 16);
        for node in 0..16 {
            let state = tracker.get(&node).unwrap();
            assert_eq!(state.claim(), Claim::alive(incarnation));
        }
        assert_eq!(tracker.get(&16), None);
    }
}

#[test]
fn the_smallest_table_holds_one_node_and_admits_the_next_after_its_removal() {
    let tracker: IncarnationTracker<u32> = IncarnationTracker::builder()
        .max_nodes(1)
        .hard_limit(1)
        // No view of the other test's thread, which may not be scheduled for long, holds its few spare entries up.
        .reclaimer(Reclaimer::private())
        .build()
        .unwrap();
    for node in 0..10_000 {
        assert_eq!(
            tracker.update(&node, Claim::dead(1), NOW),
            Verdict::Joined,
            "{node}"
        );
        let other = tracker.update(&(node + 1), Claim::alive(1), NOW);
        assert_eq!(other, Verdict::Rejected(Rejection::AtCapacity));
        assert!(tracker.remove(&node, NOW).is_some());
    }
    assert!(tracker.tombstones() <= 1);
}
