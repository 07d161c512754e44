//! Views that are leaked, more of them than a record can count.

use incarnation::{Claim, IncarnationTracker, Reclaimer, Timestamp};
use incarnation_testkit::keys::{Census, CountedKey};

/// Slow: run it with `cargo test --release --test leaked_views -- --ignored`.
#[test]
#[ignore = "leaks 2^32 views: half a minute with optimizations"]
fn a_view_protects_its_entries_after_two_to_the_32_leaked_views() {
    let tracker: IncarnationTracker<CountedKey> = IncarnationTracker::builder()
        .max_nodes(8)
        .hard_limit(8)
        .reclaimer(Reclaimer::private())
        .build()
        .unwrap();
    let census = Census::default();
    let node = census.key(1);
    let _ = tracker.update(&node, Claim::alive(1), Timestamp::ZERO);

    let reader = tracker.pin();
    let another = tracker.pin();
    for _ in 0..u32::MAX {
        std::mem::forget(tracker.pin());
    }
    let (lent, _) = reader.iter().next().unwrap();
    assert_eq!(lent.id(), 1);
    drop(another);

    // On another thread, so that its own record is a sound one.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(tracker.remove(&node, Timestamp::ZERO).is_some());
            let _ = tracker.sweep(Timestamp::ZERO);
        });
    });
    assert_eq!(census.living(), 2, "a key was dropped that a view lends");
    assert_eq!(tracker.pending_reclaim(), 1);
    assert_eq!(lent.id(), 1, "lent by a view that is still held");
    drop(reader);
}
