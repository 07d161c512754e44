//! A join that stands still while its node is removed, comes back lower, and dies: that death is of a
//! later lifetime, and is remembered.

use std::cell::RefCell;
use std::hash::{Hash, Hasher};
use std::thread;

use incarnation::{Claim, IncarnationTracker, Reclaimer, Rejection, Timestamp, Verdict};
use incarnation_testkit::sync_point::SyncPoint;

const NOW: Timestamp = Timestamp::from_nanos(1);

thread_local! {
    /// At which of the next hashes, or comparisons, this thread is stopped, and where.
    static HASH: RefCell<Option<(u32, SyncPoint)>> = const { RefCell::new(None) };
    static EQ: RefCell<Option<(u32, SyncPoint)>> = const { RefCell::new(None) };
}

#[derive(Clone, Debug)]
struct Stopping(u32);

fn stop_at(place: &RefCell<Option<(u32, SyncPoint)>>) {
    let sync_point = {
        let mut stop = place.borrow_mut();
        let Some((left, _)) = &mut *stop else { return };
        *left -= 1;
        if *left > 0 {
            return;
        }
        stop.take()
    };
    if let Some((_, sync_point)) = sync_point {
        let _ = sync_point.key(0).clone();
    }
}

impl Hash for Stopping {
    fn hash<H: Hasher>(&self, state: &mut H) {
        HASH.with(stop_at);
        self.0.hash(state);
    }
}

impl PartialEq for Stopping {
    fn eq(&self, other: &Self) -> bool {
        EQ.with(stop_at);
        self.0 == other.0
    }
}

impl Eq for Stopping {}

#[test]
fn a_paused_join_clears_no_tombstone_of_a_later_lifetime() {
    for nth in 1..=6 {
        let tracker = IncarnationTracker::<Stopping>::builder()
            .reclaimer(Reclaimer::private())
            .build()
            .unwrap();
        // Where nobody is buried, nobody looks.
        let _ = tracker.update(&Stopping(2), Claim::dead(1), NOW);
        assert!(tracker.remove(&Stopping(2), NOW).is_some());
        let sync_point = SyncPoint::default();
        sync_point.shut();
        let node = Stopping(1);
        let was_stopped = thread::scope(|scope| {
            let joiner = scope.spawn(|| {
                HASH.set(Some((nth, sync_point.clone())));
                let _ = tracker.update(&Stopping(1), Claim::alive(6), NOW);
                if HASH.take().is_some() {
                    let _ = sync_point.key(0).clone();
                    return false;
                }
                true
            });
            sync_point.wait_for_thread();
            // If it has joined, an operator takes it out alive: that leaves no tombstone.
            let _ = tracker.remove(&node, NOW);
            let joined = tracker.update(&node, Claim::alive(1), NOW);
            assert_eq!(joined, Verdict::Joined, "hash {nth}");
            assert!(tracker.update(&node, Claim::dead(1), NOW).accepted());
            let last = tracker.remove(&node, NOW).unwrap();
            assert_eq!(last.claim(), Claim::dead(1));
            let old = tracker.judge(&node, Claim::alive(1), NOW);
            let buried = Verdict::Rejected(Rejection::Tombstone {
                incarnation: 1.into(),
            });
            assert_eq!(old, buried, "hash {nth}, before the join goes on");
            sync_point.open();
            let was_stopped = joiner.join().unwrap();
            if tracker.get(&node).is_none() {
                // The join came first, and its lifetime is over: the death at 1 is the last that is known.
                let old = tracker.update(&node, Claim::alive(1), NOW);
                assert_eq!(old, buried, "hash {nth}: a death is forgotten");
            }
            was_stopped
        });
        if !was_stopped {
            break;
        }
    }
}

#[test]
fn a_claim_is_refused_for_lack_of_room_only_if_the_table_was_full_while_its_node_was_unknown() {
    let tracker = IncarnationTracker::<Stopping>::builder()
        .max_nodes(1)
        .hard_limit(1)
        .reclaimer(Reclaimer::private())
        .build()
        .unwrap();
    let _ = tracker.update(&Stopping(2), Claim::dead(1), NOW);
    assert!(tracker.remove(&Stopping(2), NOW).is_some());
    let (looks, compares) = (SyncPoint::default(), SyncPoint::default());
    looks.shut();
    compares.shut();
    let node = Stopping(1);
    let verdict = thread::scope(|scope| {
        let claim = scope.spawn(|| {
            // Where it looks at the tombstone, having found that the node is unknown.
            HASH.set(Some((2, looks.clone())));
            EQ.set(Some((1, compares.clone())));
            let verdict = tracker.update(&Stopping(1), Claim::alive(6), NOW);
            HASH.take();
            EQ.take();
            verdict
        });
        looks.wait_for_thread();
        // The node itself takes the only place...
        assert_eq!(tracker.update(&node, Claim::alive(1), NOW), Verdict::Joined);
        looks.open();
        // ... and leaves it while the claim looks for it again.
        compares.wait_for_thread();
        assert!(tracker.remove(&node, NOW).is_some());
        compares.open();
        claim.join().unwrap()
    });
    // The table was full only while the node was in it.
    assert!(verdict.accepted(), "{verdict}");
}

#[test]
fn a_lifetime_does_not_inherit_the_last_update_of_its_entrys_earlier_node() {
    let tracker: IncarnationTracker<u32> = IncarnationTracker::builder()
        .max_nodes(8)
        .reclaimer(incarnation::Reclaimer::private())
        .build()
        .unwrap();
    let (early, late) = (Timestamp::from_millis(1_000), Timestamp::from_millis(9_000));
    let _ = tracker.update(&1, Claim::alive(1), late);
    let before = tracker.handle(&1).unwrap().slot();
    assert!(tracker.remove(&1, late).is_some());
    let _ = tracker.sweep(late);
    assert_eq!(tracker.pending_reclaim(), 0);
    // By a clock that lags, or out of a snapshot.
    let _ = tracker.update(&2, Claim::alive(1), early);
    assert_eq!(tracker.handle(&2).unwrap().slot().index, before.index);
    assert_eq!(tracker.get(&2).unwrap().last_update, early);
}
