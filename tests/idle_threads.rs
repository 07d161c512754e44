//! What a thread removed is recycled by others, also when that thread never does anything again.

use std::sync::Barrier;
use std::thread;

use incarnation::{Claim, IncarnationTracker, Reclaimer, Timestamp};

const NOW: Timestamp = Timestamp::ZERO;

#[test]
fn entries_removed_by_an_idle_thread_are_recycled_by_others() {
    let tracker: IncarnationTracker<u32> = IncarnationTracker::builder()
        .reclaimer(Reclaimer::private())
        .build()
        .unwrap();
    assert!(tracker.update(&1, Claim::alive(1), NOW).accepted());
    let (removed, swept) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(|| {
            tracker.remove(&1, NOW);
            removed.wait();
            swept.wait();
        });
        removed.wait();
        assert_eq!(tracker.pending_reclaim(), 1);
        for _ in 0..10 {
            let _ = tracker.sweep(NOW);
        }
        let waiting = tracker.pending_reclaim();
        swept.wait();
        assert_eq!(waiting, 0);
    });
}
