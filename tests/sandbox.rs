//! Where a sandbox refuses `membarrier(2)`, readers use real fences, and nothing else is different.
//!
//! The one test here forbids it to its own process, before that has asked for it.
#![cfg(target_os = "linux")]

use incarnation::{Claim, IncarnationTracker, Timestamp, Verdict};
use incarnation_testkit::sandbox::forbid_membarrier;
use incarnation_testkit::start_together::meanwhile;

const NOW: Timestamp = Timestamp::ZERO;

#[test]
fn without_membarrier_views_protect_and_entries_are_recycled() {
    forbid_membarrier();
    let tracker: IncarnationTracker<u32> = IncarnationTracker::builder()
        .max_nodes(16)
        .hard_limit(16)
        .build()
        .unwrap();
    let view = tracker.pin();
    let _ = tracker.update(&1, Claim::alive(1), NOW);
    assert!(tracker.remove(&1, NOW).is_some());
    let _ = tracker.sweep(NOW);
    assert_eq!(tracker.pending_reclaim(), 1, "the view holds it");
    drop(view);
    let _ = tracker.sweep(NOW);

    // Far more lifetimes than there are entries, under readers that would notice another lifetime's data.
    let read = || {
        let view = tracker.pin();
        for (node, state) in view.iter() {
            assert_eq!(u64::from(*node), state.incarnation.get());
        }
        for node in 0..32 {
            if let Some(handle) = tracker.handle(&node)
                && let Some(state) = handle.state()
            {
                assert_eq!(u64::from(node), state.incarnation.get());
            }
        }
    };
    meanwhile(&[&read, &read], || {
        let mut lives = 0;
        for node in (0..32).cycle() {
            if tracker.update(&node, Claim::alive(u64::from(node)), NOW) == Verdict::Joined {
                lives += 1;
                assert!(tracker.remove(&node, NOW).is_some());
            } else {
                // All entries wait for a reader that is not running.
                std::thread::yield_now();
            }
            if lives == 5_000 {
                break;
            }
        }
    });
    for _ in 0..8 {
        let _ = tracker.sweep(NOW);
    }
    assert_eq!((tracker.len(), tracker.pending_reclaim()), (0, 0));
}
