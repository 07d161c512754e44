//! Tombstones against forgetting, refutations, and keys that panic or talk back.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use incarnation::{Claim, IncarnationTracker, Reclaimer, SweepScope, Timestamp, Verdict};
use incarnation_testkit::sync_point::{GatedKey, SyncPoint};

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

/// `forget` has returned, and nobody has said anything of the node since: it is as if it had never
/// been heard of.
#[test]
fn what_was_forgotten_is_not_buried_by_a_sweep_that_lost() {
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
        sync_point.wait_for_thread(); // The sweep has judged the packed state and is about to bury it.
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

/// A removal that says that it did not happen has buried nobody.
#[test]
fn a_removal_that_fails_buries_nobody() {
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
    assert_eq!(tracker.tombstones(), 0, "a tombstone of a node that lives");
    // An operator takes the living node out, which leaves no tombstone.
    assert!(tracker.remove(&node, NOW).is_some());
    assert_eq!(
        tracker.rejoin(&node, 6, NOW),
        Verdict::Joined,
        "it did not die: it was removed alive"
    );
}

/// Runs it on a thread of its own; false if it does not come back.
fn comes_back(work: impl FnOnce() + Send + 'static) -> bool {
    comes_back_within(Duration::from_secs(20), work)
}

fn comes_back_within(patience: Duration, work: impl FnOnce() + Send + 'static) -> bool {
    let (done, back) = mpsc::channel();
    thread::spawn(move || {
        work();
        let _ = done.send(());
    });
    back.recv_timeout(patience).is_ok()
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

/// Buries nodes one after the other and forgets older ones, so that the tombstones' map fills with places
/// that were in use, and has each reordering of it panic half way, until that has lost so many tombstones; false if it does not.
fn panic_while_the_map_puts_itself_in_order(
    tracker: &IncarnationTracker<moody::Key>,
    lost: usize,
) -> bool {
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
    assert!(!panic_while_the_map_puts_itself_in_order(&tracker, 1));
}

#[test]
fn panics_in_hash_stop_no_later_burial() {
    let is_back = comes_back(|| {
        let tracker = tracker_of_moody_keys();
        if panic_while_the_map_puts_itself_in_order(&tracker, 4096 / 8 + 1) {
            // No key panics any more.
            for id in 10_000_000..10_010_000 {
                let key = moody::Key(id);
                let _ = tracker.update(&key, Claim::dead(1), NOW);
                assert!(tracker.remove(&key, NOW).is_some());
            }
        }
    });
    assert!(is_back, "a burial never ends");
}

mod talkative {
    use super::*;
    use std::hash::{Hash, Hasher};
    use std::sync::OnceLock;

    pub(crate) static TRACKER: OnceLock<IncarnationTracker<Key>> = OnceLock::new();

    /// A key that, when the last of it goes, tells the tracker of another node.
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
    assert!(
        comes_back(|| {
            let tracker = TRACKER.get().unwrap();
            for id in 0..50 {
                let key = Key(id);
                let _ = tracker.update(&key, Claim::dead(1), Timestamp::ZERO);
                let _ = tracker.remove(&key, Timestamp::ZERO);
            }
            // All tombstones end.
            let much_later = Timestamp::ZERO + Duration::from_secs(1_000_000);
            let _ = tracker.sweep_with(SweepScope::Dead, much_later, |_| {});
        }),
        "a sweep waits for itself"
    );
}

/// While the thread writes a tombstone for node 1, cloning the key has that node removed elsewhere, and
/// dropping the clone, which is not needed any more, has node 2 removed.
#[test]
fn a_key_that_removes_nodes_while_it_is_cloned_and_dropped_waits_for_nobody() {
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
    let back = comes_back(move || {
        STAGE.set(1);
        // Removed already, by its own clone.
        assert!(tracker.remove(&Key(1, false), NOW).is_none());
        assert_eq!(STAGE.get(), 3);
    });
    assert!(back, "a removal waits for itself");
    assert!((1..=2).contains(&tracker.tombstones()));
}
