//! Views that overlap, none of which is held for long.

use incarnation::{Claim, IncarnationTracker, Reclaimer, Timestamp};

#[test]
fn views_that_are_each_dropped_soon_hold_nothing_up_for_ever() {
    const NOW: Timestamp = Timestamp::ZERO;
    let tracker: IncarnationTracker<u64> = IncarnationTracker::builder()
        .max_nodes(8)
        .hard_limit(8)
        .reclaimer(Reclaimer::private())
        .build()
        .unwrap();
    // Hand over hand, as two tasks of one thread do that hold theirs across an await.
    let mut view = tracker.pin();
    for node in 0..10_000 {
        let next = tracker.pin();
        drop(std::mem::replace(&mut view, next));
        let verdict = tracker.update(&node, Claim::alive(1), NOW);
        assert!(
            verdict.accepted(),
            "{verdict} of {} nodes, {} entries wait",
            tracker.len(),
            tracker.waiting()
        );
        assert!(tracker.remove(&node, NOW).is_some());
        let _ = tracker.sweep(NOW);
    }
}
