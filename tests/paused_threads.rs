//! Wherever a thread stands still in the middle of a join, a death that happens meanwhile is remembered:
//! the join ends the tombstone of an earlier lifetime, never that of its own.
#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::hash::{Hash, Hasher};
use std::thread;

use incarnation::{Claim, IncarnationTracker, Rejection, Timestamp, Verdict};
use incarnation_testkit::sync_point::SyncPoint;

const NOW: Timestamp = Timestamp::from_nanos(1);

thread_local! {
    /// At which of the next hashes this thread is stopped, and where.
    static STOP: RefCell<Option<(u32, SyncPoint)>> = const { RefCell::new(None) };
}

/// A key that can stop a thread that hashes it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stopping(u32);

impl Hash for Stopping {
    fn hash<H: Hasher>(&self, state: &mut H) {
        STOP.with_borrow_mut(|stop| {
            if let Some((left, sync_point)) = stop {
                *left -= 1;
                if *left == 0 {
                    go_through(sync_point);
                    *stop = None;
                }
            }
        });
        self.0.hash(state);
    }
}

/// Waits there, if it is shut.
fn go_through(sync_point: &SyncPoint) {
    let _ = sync_point.key(0).clone();
}

/// Stops a join at its `nth` hash, has the node die and be removed meanwhile; whether the join was
/// over before.
fn dies_at(nth: u32, join: Claim) -> bool {
    let tracker = IncarnationTracker::<Stopping>::builder().build().unwrap();
    // Where nobody is buried, nobody looks.
    let _ = tracker.update(&Stopping(2), Claim::dead(1), NOW);
    assert!(tracker.remove(&Stopping(2), NOW).is_some());
    let sync_point = SyncPoint::default();
    sync_point.shut();
    thread::scope(|scope| {
        let joiner = scope.spawn(|| {
            STOP.set(Some((nth, sync_point.clone())));
            let verdict = tracker.update(&Stopping(1), join, NOW);
            let is_over = STOP.take().is_some();
            if is_over {
                go_through(&sync_point);
            }
            (verdict, is_over)
        });
        sync_point.wait_for_thread();
        let _ = tracker.update(&Stopping(1), Claim::dead(5), NOW);
        let removed = tracker.remove(&Stopping(1), NOW);
        assert_eq!(removed.map(|last| last.claim()), Some(Claim::dead(5)));
        sync_point.open();
        let (verdict, is_over) = joiner.join().unwrap();
        let buried = Verdict::Rejected(Rejection::Tombstone {
            incarnation: 5.into(),
        });
        // It came before the death, or it is refused; either way the death is remembered.
        assert!(
            verdict == Verdict::Joined || verdict == buried,
            "hash {nth}: {verdict}"
        );
        assert_eq!(tracker.get(&Stopping(1)), None, "hash {nth}");
        let old = Claim::alive(5);
        assert_eq!(tracker.update(&Stopping(1), old, NOW), buried, "hash {nth}");
        is_over
    })
}

#[test]
fn a_death_during_a_paused_join_leaves_a_tombstone() {
    for join in [
        Claim::alive(4),
        Claim::alive(5),
        Claim::suspect(5),
        Claim::dead(5),
    ] {
        let stops = (1..100).take_while(|nth| !dies_at(*nth, join)).count();
        assert!(stops >= 3, "{join}: stopped at {stops} places only");
    }
}
