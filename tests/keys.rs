//! What becomes of keys: each is dropped exactly once, none while a view can see it, and all once
//! nothing needs them.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use incarnation::{Claim, IncarnationTracker, Reclaimer, Timestamp, Verdict};
use incarnation_testkit::keys::{Census, CountedKey};
use incarnation_testkit::start_together::meanwhile;

const NOW: Timestamp = Timestamp::ZERO;

fn tracker(max_nodes: usize) -> IncarnationTracker<CountedKey> {
    IncarnationTracker::builder()
        .max_nodes(max_nodes)
        .max_tombstones(8)
        .reclaimer(Reclaimer::private())
        .build()
        .unwrap()
}

#[test]
fn a_table_holds_one_key_per_node_and_one_per_tombstone() {
    let census = Census::default();
    let tracker = tracker(100);
    for id in 0..50 {
        let _ = tracker.update(&census.key(id), Claim::dead(1), NOW);
    }
    assert_eq!(census.living(), 50);
    for id in 0..50 {
        // Nothing of these takes in a key.
        let key = census.key(id);
        let _ = tracker.update(&key, Claim::alive(1), NOW);
        let _ = tracker.judge(&key, Claim::alive(9), NOW);
        let _ = tracker.get(&key);
        let _ = tracker.confirm(&key, 0, NOW);
        let _ = tracker.rejoin(&key, 0, NOW);
        assert!(!tracker.add_unconfirmed(&key, NOW).accepted());
    }
    assert_eq!(census.living(), 50);
    let handle = tracker.handle(&census.key(7)).unwrap();
    assert_eq!((census.living(), handle.key().id()), (51, 7));
    drop(handle);
    for id in 0..5 {
        let _ = tracker.remove(&census.key(id), NOW);
    }
    let _ = tracker.sweep(NOW);
    assert_eq!((tracker.pending_reclaim(), tracker.tombstones()), (0, 5));
    assert_eq!(census.living(), 45 + 5);
    for id in 0..5 {
        // Buried: refused, and nothing is kept of it.
        assert!(
            !tracker
                .update(&census.key(id), Claim::alive(1), NOW)
                .accepted()
        );
        let _ = tracker.forget(&census.key(id));
    }
    assert_eq!(census.living(), 45);
    drop(tracker);
    assert_eq!((census.living(), census.misuses()), (0, 0));
}

#[test]
fn a_key_borrowed_from_a_view_stays_valid_while_its_thread_uses_entries_of_its_cache() {
    let census = Census::default();
    let tracker = tracker(100);
    for id in 0..10 {
        let _ = tracker.update(&census.key(id), Claim::alive(1), NOW);
    }
    let view = tracker.pin();
    let lent: Vec<&CountedKey> = view.iter().map(|(key, _)| key).collect();
    for id in 0..10 {
        assert!(tracker.remove(&census.key(id), NOW).is_some());
    }
    // No sweep, which would clear the cache.
    for id in 100..1_000 {
        let key = census.key(id);
        let _ = tracker.update(&key, Claim::alive(1), NOW);
        let _ = tracker.remove(&key, NOW);
    }
    let mut ids: Vec<u64> = lent.iter().map(|key| key.id()).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..10).collect::<Vec<_>>());
    assert_eq!(census.misuses(), 0);
}

#[test]
fn a_key_borrowed_from_a_view_stays_valid_while_the_view_is_held() {
    let census = Census::default();
    let tracker = tracker(100);
    for id in 0..10 {
        let _ = tracker.update(&census.key(id), Claim::alive(1), NOW);
    }
    let view = tracker.pin();
    let lent: Vec<&CountedKey> = view.iter().map(|(key, _)| key).collect();
    for id in 0..10 {
        assert!(tracker.remove(&census.key(id), NOW).is_some());
    }
    // Everything that might use the entries again.
    for id in 100..200 {
        let key = census.key(id);
        let _ = tracker.update(&key, Claim::alive(1), NOW);
        let _ = tracker.remove(&key, NOW);
        let _ = tracker.sweep(NOW);
    }
    let mut ids: Vec<u64> = lent.iter().map(|key| key.id()).collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..10).collect::<Vec<_>>());
    drop(view);
    let _ = tracker.sweep(NOW);
    assert_eq!(census.living(), 0, "and goes once it is dropped");
    assert_eq!(census.misuses(), 0);
}

#[test]
fn a_handle_outlives_the_tracker_and_the_last_of_them_returns_everything() {
    let census = Census::default();
    let tracker = tracker(100);
    for id in 0..10 {
        let _ = tracker.update(&census.key(id), Claim::alive(1), NOW);
    }
    let clone = tracker.clone();
    let handle = tracker.handle(&census.key(3)).unwrap();
    drop(tracker);
    assert_eq!(census.living(), 11);
    drop(clone);
    assert_eq!(census.living(), 11, "the handle keeps the table");
    drop(handle);
    assert_eq!((census.living(), census.misuses()), (0, 0));
}

#[test]
fn a_tracker_dropped_with_retired_entries_drops_their_keys_once() {
    let census = Census::default();
    let tracker = tracker(100);
    let fences = tracker.pin();
    for id in 0..50 {
        let key = census.key(id);
        let _ = tracker.update(&key, Claim::alive(1), NOW);
        if id % 2 == 0 {
            let _ = tracker.remove(&key, NOW);
        }
    }
    assert_eq!((tracker.pending_reclaim(), census.living()), (25, 50));
    drop(fences);
    drop(tracker);
    assert_eq!((census.living(), census.misuses()), (0, 0));
}

#[test]
fn keys_are_dropped_exactly_once_under_concurrent_joins_and_removals() {
    const NODES: u64 = 40;
    const ROUNDS: u64 = 20_000;
    let census = Census::default();
    let tracker = tracker(16);
    let seed = AtomicU64::new(1);
    thread_local! {
        static RANDOM: Cell<Option<fastrand::Rng>> = const { Cell::new(None) };
    }
    let draw = |below: u64| {
        let new = || fastrand::Rng::with_seed(seed.fetch_add(1, Ordering::Relaxed));
        let mut random = RANDOM.take().unwrap_or_else(new);
        let drawn = random.u64(..below);
        RANDOM.set(Some(random));
        drawn
    };
    let claim = || {
        let key = census.key(draw(NODES));
        let incarnation = draw(1_000);
        let claim = match draw(3) {
            0 => Claim::dead(incarnation),
            _ => Claim::alive(incarnation),
        };
        let _ = tracker.update(&key, claim, NOW);
    };
    let read = || {
        // Keys are compared with keys that others remove meanwhile, lent, and cloned.
        let view = tracker.pin();
        let lent: Vec<_> = view.iter().take(4).collect();
        std::thread::yield_now();
        for (key, _) in lent {
            assert!(key.id() < NODES);
        }
        let handle = tracker.handle(&census.key(draw(NODES)));
        assert!(handle.is_none_or(|handle| handle.key().id() < NODES));
        assert!(tracker.iter().all(|(key, _)| key.id() < NODES));
    };
    meanwhile(&[&claim, &claim, &read], || {
        for round in 0..ROUNDS {
            let key = census.key(draw(NODES));
            match round % 8 {
                0 => drop(tracker.sweep(NOW)),
                1 => drop(tracker.forget(&key)),
                _ => drop(tracker.remove(&key, NOW)),
            }
        }
    });
    let _ = tracker.sweep(NOW);
    assert_eq!(tracker.pending_reclaim(), 0);
    let expected = tracker.len() + tracker.tombstones();
    assert_eq!(census.living(), expected as i64);
    drop(tracker);
    assert_eq!((census.living(), census.misuses()), (0, 0));
}

#[test]
fn when_threads_insert_one_key_all_but_one_clone_are_dropped() {
    for _ in 0..200 {
        let census = Census::default();
        let tracker = tracker(16);
        let verdicts = incarnation_testkit::start_together::at_once(4, |_| {
            tracker.update(&census.key(1), Claim::alive(1), NOW)
        });
        let joined = verdicts
            .iter()
            .filter(|verdict| **verdict == Verdict::Joined);
        assert_eq!((joined.count(), census.living()), (1, 1));
    }
}

/// A hasher that writes down what a key writes to it.
#[derive(Clone, Default)]
struct Recording(std::sync::Arc<std::sync::Mutex<Vec<String>>>);

struct Recorder(Recording);

impl Recording {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl std::hash::BuildHasher for Recording {
    type Hasher = Recorder;

    fn build_hasher(&self) -> Recorder {
        Recorder(self.clone())
    }
}

impl Recorder {
    fn note(&self, write: String) {
        self.0.0.lock().unwrap().push(write);
    }
}

impl std::hash::Hasher for Recorder {
    fn finish(&self) -> u64 {
        1 << 32
    }

    fn write(&mut self, bytes: &[u8]) {
        self.note(format!("{bytes:?}"));
    }

    fn write_u16(&mut self, number: u16) {
        self.note(format!("{number}_u16"));
    }

    fn write_u32(&mut self, number: u32) {
        self.note(format!("{number}_u32"));
    }

    fn write_isize(&mut self, number: isize) {
        self.note(format!("{number}_isize"));
    }
}

#[test]
fn a_hasher_of_the_users_sees_the_writes_of_the_key_itself() {
    use std::hash::{BuildHasher, Hash};

    let node: std::net::SocketAddr = "10.1.2.3:7946".parse().unwrap();
    let recording = Recording::default();
    node.hash(&mut recording.build_hasher());
    let own = recording.take();
    assert_eq!(
        own.len(),
        3,
        "the kind of address, the address, the port: {own:?}"
    );

    let tracker = IncarnationTracker::builder()
        .hasher(recording.clone())
        .build()
        .unwrap();
    let _ = tracker.update(&node, Claim::alive(1), NOW);
    assert!(recording.take().starts_with(&own));
    assert!(tracker.get(&node).is_some());
    assert_eq!(recording.take(), own);
}
