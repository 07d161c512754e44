//! Tombstones against forgetting, refutations, and keys that panic or use the tracker.
//!
//! Some faults that these tests guard against are endless loops. Such a test has no time limit of its own, because a
//! busy machine would exceed it: it hangs, and the test runner names it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use incarnation::{Claim, IncarnationTracker, Reclaimer, SweepScope, Timestamp, Verdict};
use incarnation_testkit::sync_point::{GatedKey, SyncPoint};

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

/// `forget` has returned and no claim about the node came since, so the node is unknown, as if it had never
/// been heard of.
#[test]
fn a_sweep_writes_no_tombstone_for_a_node_that_was_forgotten_meanwhile() {
    let sync_point = SyncPoint::default();
    let node = sync_point.key(1);
    let tracker: IncarnationTracker<GatedKey> = IncarnationTracker::builder()
        .reclaimer(Reclaimer::private())
        .build()
        .unwrap();
    let _ = tracker.update(&node, Claim::dead(5), Timestamp::ZERO);
    thread::scope(|scope| {
        sync_point.shut();
        let sweep = scope.spawn(|| tracker.sweep(Timestamp::from_millis(3_601_000)));
        sync_point.wait_for_thread(); // The sweep has judged the packed state and is about to write its tombstone.
        assert!(tracker.forget(&node).is_some());
        sync_point.open();
        let report = sweep.join().unwrap();
        assert_eq!(report.evicted(), 0);
    });
    assert_eq!(
        tracker.tombstones(),
        0,
        "a tombstone of a node that was forgotten"
    );
    assert_eq!(tracker.update(&node, Claim::alive(1), NOW), Verdict::Joined);
}

/// A removal that reports a failure has written no tombstone.
#[test]
fn a_removal_that_fails_leaves_no_tombstone() {
    let sync_point = SyncPoint::default();
    let node = sync_point.key(1);
    let tracker: IncarnationTracker<GatedKey> = IncarnationTracker::builder()
        .reclaimer(Reclaimer::private())
        .build()
        .unwrap();
    let _ = tracker.update(&node, Claim::dead(5), NOW);
    thread::scope(|scope| {
        sync_point.shut();
        let removal = scope.spawn(|| tracker.remove_if(&node, Claim::dead(5), NOW));
        sync_point.wait_for_thread();
        // The node refutes.
        let _ = tracker.update(&node, Claim::alive(6), NOW);
        sync_point.open();
        assert!(removal.join().unwrap().is_err());
    });
    assert_eq!(tracker.stats().tombstones_written, 0);
    assert_eq!(
        tracker.tombstones(),
        0,
        "a tombstone of a node that is alive"
    );
    // An operator takes the living node out, which leaves no tombstone.
    assert!(tracker.remove(&node, NOW).is_some());
    assert_eq!(
        tracker.rejoin(&node, 6, NOW),
        Verdict::Joined,
        "it did not die: it was removed alive"
    );
}

mod moody {
    use std::cell::Cell;
    use std::hash::{Hash, Hasher};

    thread_local! {
        pub(crate) static CALLS: Cell<u64> = const { Cell::new(0) };
        /// Which call of `Hash` panics; 0: none.
        pub(crate) static FUSE: Cell<u64> = const { Cell::new(0) };
    }

    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub(crate) struct Key(pub(crate) u64);

    impl Hash for Key {
        fn hash<H: Hasher>(&self, state: &mut H) {
            CALLS.set(CALLS.get() + 1);
            if CALLS.get() == FUSE.get() {
                std::panic::resume_unwind(Box::new(()));
            }
            self.0.hash(state);
        }
    }
}

/// Writes tombstones and forgets older ones, so that the map of tombstones fills with deleted slots. Has each rehash of
/// the map panic half way, until `lost` tombstones are lost; false if that never happens.
fn panic_while_the_map_rehashes(tracker: &IncarnationTracker<moody::Key>, lost: usize) -> bool {
    use moody::{CALLS, FUSE, Key};
    let kept = 400 * 4;
    for id in 0..300_000_u64 {
        let key = Key(id);
        let _ = tracker.update(&key, Claim::dead(1), NOW);
        CALLS.set(0);
        // Looking the node and its tombstone up takes three; more are the map's own.
        FUSE.set(if id > 2 * kept { 200 } else { 0 });
        let removed = catch_unwind(AssertUnwindSafe(|| tracker.remove(&key, NOW)));
        FUSE.set(0);
        if removed.is_err() {
            let _ = tracker.remove(&key, NOW);
            let remembered = tracker.snapshot(NOW).tombstones().len();
            println!(
                "at node {id}: {remembered} tombstones, {} are counted",
                tracker.tombstones()
            );
            if remembered + lost <= tracker.tombstones() {
                return true;
            }
        }
        if id >= kept {
            let _ = tracker.forget(&Key(id - kept));
        }
    }
    false
}

fn tracker_of_moody_keys() -> IncarnationTracker<moody::Key> {
    IncarnationTracker::builder()
        .max_nodes(4096)
        .max_tombstones(4096)
        .reclaimer(Reclaimer::private())
        .build()
        .unwrap()
}

#[test]
fn a_panic_in_hash_loses_no_tombstone() {
    let tracker = tracker_of_moody_keys();
    assert!(!panic_while_the_map_rehashes(&tracker, 1));
}

#[test]
fn tombstones_can_be_written_after_panics_in_hash() {
    let tracker = tracker_of_moody_keys();
    if panic_while_the_map_rehashes(&tracker, 4096 / 8 + 1) {
        // No key panics any more.
        for id in 10_000_000..10_010_000 {
            let key = moody::Key(id);
            let _ = tracker.update(&key, Claim::dead(1), NOW);
            assert!(tracker.remove(&key, NOW).is_some());
        }
    }
}

mod talkative {
    use super::*;
    use std::hash::{Hash, Hasher};
    use std::sync::OnceLock;

    pub(crate) static TRACKER: OnceLock<IncarnationTracker<Key>> = OnceLock::new();

    /// A key whose drop updates and removes another node.
    #[derive(Clone, Debug)]
    pub(crate) struct Key(pub(crate) u64);

    impl PartialEq for Key {
        fn eq(&self, other: &Self) -> bool {
            self.0 == other.0
        }
    }
    impl Eq for Key {}
    impl Hash for Key {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.0.hash(state);
        }
    }
    impl Drop for Key {
        fn drop(&mut self) {
            if self.0 < 100
                && let Some(tracker) = TRACKER.get()
            {
                let other = Key(self.0 + 1000);
                let _ = tracker.update(&other, Claim::dead(1), NOW);
                let _ = tracker.remove(&other, NOW);
            }
        }
    }
}

#[test]
fn a_keys_drop_may_use_the_tracker() {
    use talkative::{Key, TRACKER};
    let _ = TRACKER.set(
        IncarnationTracker::builder()
            .reclaimer(Reclaimer::private())
            .build()
            .unwrap(),
    );
    let tracker = TRACKER.get().unwrap();
    for id in 0..50 {
        let key = Key(id);
        let _ = tracker.update(&key, Claim::dead(1), Timestamp::ZERO);
        let _ = tracker.remove(&key, Timestamp::ZERO);
    }
    // All tombstones end. A sweep that waits for itself hangs here.
    let much_later = Timestamp::ZERO + Duration::from_secs(1_000_000);
    let _ = tracker.sweep_with(SweepScope::Dead, much_later, |_| {});
}

/// While the thread writes a tombstone for node 1, cloning the key has that node removed elsewhere, and
/// dropping the clone, which is not needed any more, has node 2 removed.
#[test]
fn a_key_may_remove_nodes_while_it_is_cloned_and_dropped() {
    use std::cell::Cell;
    use std::hash::{Hash, Hasher};
    use std::sync::OnceLock;

    thread_local! {
        static STAGE: Cell<u8> = const { Cell::new(0) };
    }
    static TRACKER: OnceLock<IncarnationTracker<Key>> = OnceLock::new();

    /// A number, and whether it is the clone that talks back.
    struct Key(u64, bool);

    impl PartialEq for Key {
        fn eq(&self, other: &Self) -> bool {
            self.0 == other.0
        }
    }

    impl Eq for Key {}

    impl Hash for Key {
        fn hash<H: Hasher>(&self, state: &mut H) {
            self.0.hash(state);
        }
    }

    impl Clone for Key {
        fn clone(&self) -> Self {
            if STAGE.get() == 1 {
                STAGE.set(2);
                assert!(TRACKER.get().unwrap().remove(&Key(1, false), NOW).is_some());
                return Self(self.0, true);
            }
            Self(self.0, false)
        }
    }

    impl Drop for Key {
        fn drop(&mut self) {
            if self.1 && STAGE.get() == 2 {
                STAGE.set(3);
                assert!(TRACKER.get().unwrap().remove(&Key(2, false), NOW).is_some());
            }
        }
    }

    let tracker = IncarnationTracker::builder()
        .max_tombstones(2)
        .reclaimer(Reclaimer::private())
        .build()
        .unwrap();
    let tracker = TRACKER.get_or_init(|| tracker);
    for node in [1, 2] {
        let _ = tracker.update(&Key(node, false), Claim::dead(1), NOW);
    }
    STAGE.set(1);
    // Removed already, by its own clone. A removal that waits for itself hangs here.
    assert!(tracker.remove(&Key(1, false), NOW).is_none());
    assert_eq!(STAGE.get(), 3);
    assert!((1..=2).contains(&tracker.tombstones()));
}
