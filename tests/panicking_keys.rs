//! Keys that panic in `Eq`, `Hash`, `Clone` or `Drop`, at every call that an operation makes: the
//! panic is the caller's, and the table is as sound as before.

use incarnation::{
    Claim, Clock, IncarnationTracker, Reclaimer, SweepScope, Sweeper, Timestamp, Verdict,
};
use incarnation_testkit::colliding_hasher::CollidingHasher;
use incarnation_testkit::keys::{Act, Mood, Tantrum, TouchyKey, survive};
use std::time::Duration;

type Tracker = IncarnationTracker<TouchyKey, (), CollidingHasher>;

const NOW: Timestamp = Timestamp::from_millis(1_000_000);
/// So few that a count that is off by one shows.
const TOMBSTONES: usize = 2;

/// A table with few chains, so that keys are compared, with nodes 0 to 3 in it and 4 buried.
fn filled(mood: &Mood) -> Tracker {
    let tracker = IncarnationTracker::builder()
        .max_nodes(8)
        .hard_limit(8)
        .max_tombstones(TOMBSTONES)
        .reclaimer(Reclaimer::private())
        .hasher(CollidingHasher { bits: 1 })
        .build()
        .unwrap();
    for id in 0..4 {
        let _ = tracker.update(&mood.key(id), Claim::alive(1), NOW);
    }
    let _ = tracker.update(&mood.key(4), Claim::dead(1), NOW);
    assert!(tracker.remove(&mood.key(4), NOW).is_some());
    let _ = tracker.sweep(NOW);
    tracker
}

/// Operations, by name, on a known node (1), a buried one (4) and an unknown one (5).
type Operation = (&'static str, fn(&Tracker, &[TouchyKey]));

const OPERATIONS: &[Operation] = &[
    ("get", |tracker, keys| {
        let _ = (tracker.get(&keys[1]), tracker.get(&keys[5]));
    }),
    ("update a known node", |tracker, keys| {
        let _ = tracker.update(&keys[1], Claim::suspect(1), NOW);
    }),
    ("update an unknown node", |tracker, keys| {
        let _ = tracker.update(&keys[5], Claim::alive(1), NOW);
    }),
    ("update a buried node", |tracker, keys| {
        let _ = tracker.update(&keys[4], Claim::alive(1), NOW);
    }),
    ("raise a buried node", |tracker, keys| {
        let _ = tracker.update(&keys[4], Claim::alive(2), NOW);
    }),
    ("confirm", |tracker, keys| {
        let _ = tracker.confirm(&keys[5], 3, NOW);
    }),
    ("rejoin", |tracker, keys| {
        let _ = tracker.rejoin(&keys[4], 30, NOW);
    }),
    ("add_unconfirmed", |tracker, keys| {
        let _ = tracker.add_unconfirmed(&keys[4], NOW);
    }),
    ("judge", |tracker, keys| {
        let _ = tracker.judge(&keys[5], Claim::alive(1), NOW);
    }),
    ("a batch", |tracker, keys| {
        let claims = [
            (keys[1].clone(), Claim::dead(1)),
            (keys[5].clone(), Claim::alive(1)),
        ];
        tracker.pin().update_batch(&claims, NOW, |_, _| {});
    }),
    ("remove the living", |tracker, keys| {
        let _ = tracker.remove(&keys[1], NOW);
    }),
    ("remove the dead", |tracker, keys| {
        let _ = tracker.update(&keys[1], Claim::dead(1), NOW);
        let _ = tracker.remove(&keys[1], NOW);
    }),
    (
        "remove more dead than there are tombstones",
        |tracker, keys| {
            for key in &keys[..4] {
                let _ = tracker.update(key, Claim::dead(1), NOW);
                let _ = tracker.remove(key, NOW);
            }
        },
    ),
    ("forget", |tracker, keys| {
        let _ = tracker.forget(&keys[1]);
        let _ = tracker.forget(&keys[4]);
    }),
    ("handle", |tracker, keys| {
        let handle = tracker.handle(&keys[1]);
        let _ = handle
            .clone()
            .map(|handle| handle.update(Claim::dead(1), NOW));
        let _ = handle.map(|handle| handle.remove(NOW));
    }),
    ("iter", |tracker, _| {
        let _ = tracker.iter().count();
        let _ = tracker.pin().iter().count();
    }),
    ("nodes_with", |tracker, _| {
        let _ = tracker.nodes_with(incarnation::Status::Alive);
    }),
    ("sweep", |tracker, keys| {
        for key in &keys[..3] {
            let _ = tracker.update(key, Claim::dead(1), Timestamp::ZERO);
        }
        let long_after = NOW + Duration::from_secs(10_000);
        let _ = tracker.sweep(long_after);
    }),
    ("end tombstones", |tracker, _| {
        let much_later = NOW + Duration::from_secs(1_000_000);
        let _ = tracker.sweep_with(SweepScope::Dead, much_later, |_| {});
    }),
];

/// Everything works as in a table that nothing happened to, and nobody is lost.
fn assert_sound(tracker: &Tracker, mood: &Mood, case: &str) {
    let scanned: Vec<TouchyKey> = tracker.iter().map(|(key, _)| key).collect();
    assert_eq!(tracker.len(), scanned.len(), "{case}");
    assert_eq!(tracker.counts().total(), scanned.len(), "{case}");
    for (place, key) in scanned.iter().enumerate() {
        assert!(!scanned[..place].contains(key), "{case}: {key:?} twice");
        assert!(tracker.get(key).is_some(), "{case}: {key:?} is not found");
    }
    assert!(tracker.tombstones() <= TOMBSTONES, "{case}");
    // Out with them, each with a tombstone, and in again, more often than there are places.
    for round in 100..150 {
        for id in 0..8 {
            let key = mood.key(id);
            let alive = Claim::alive(round).trusted();
            let verdict = tracker.update(&key, alive, NOW);
            assert!(
                verdict.accepted(),
                "{case}: {key:?} in round {round}: {verdict}"
            );
            let dead = Claim::dead(round);
            assert!(tracker.update(&key, dead, NOW).accepted(), "{case}");
            assert!(tracker.remove(&key, NOW).is_some(), "{case}");
            // Its tombstone is the youngest but for equals.
            assert!(tracker.tombstones() <= TOMBSTONES, "{case}");
        }
        let _ = tracker.sweep(NOW);
    }
    assert_eq!((tracker.len(), tracker.pending_reclaim()), (0, 0), "{case}");
    for id in 0..8 {
        let _ = tracker.forget(&mood.key(id));
    }
    assert_eq!(
        tracker.tombstones(),
        0,
        "{case}: a tombstone that nobody is in"
    );
}

#[test]
fn a_panicking_key_leaves_the_table_sound_at_every_call() {
    let mut panics = 0;
    for (name, operate) in OPERATIONS {
        for act in Act::ALL {
            for nth in 1.. {
                let case = format!("{name}, panic in {act:?} call {nth}");
                let mood = Mood::default();
                let keys: Vec<TouchyKey> = (0..6).map(|id| mood.key(id)).collect();
                let tracker = filled(&mood);
                mood.panic_at(act, nth);
                let outcome = survive(|| operate(&tracker, &keys));
                let was_reached = !mood.calm();
                // A panic in a drop that no caller is to blame for ends in the table.
                if act != Act::Drop {
                    assert_eq!(outcome.is_err(), was_reached, "{case}");
                }
                assert!(outcome.is_ok() || outcome == Err(Tantrum(act)), "{case}");
                assert_sound(&tracker, &mood, &case);
                drop(tracker);
                drop(keys);
                // A key whose drop panics is counted as dropped before it does.
                assert_eq!(mood.living(), 0, "{case}: keys leak");
                if !was_reached {
                    break;
                }
                panics += 1;
            }
        }
    }
    assert!(panics > 100, "only {panics} panics");
}

#[test]
fn a_key_that_panics_on_drop_does_not_stop_other_drops() {
    for nth in 1..=4 {
        let mood = Mood::default();
        let tracker = filled(&mood);
        let _ = tracker.forget(&mood.key(4));
        mood.panic_at(Act::Drop, nth);
        assert_eq!(survive(|| drop(tracker)), Ok(()));
        assert!(!mood.calm(), "the panic came");
        assert_eq!(mood.living(), 0);
    }
}

#[test]
fn a_panicking_key_ends_a_sweep_but_not_the_sweeper_thread() {
    let mood = Mood::default();
    let tracker = filled(&mood);
    let _ = tracker.update(&mood.key(1), Claim::dead(1), Timestamp::ZERO);
    let clock = Clock::manual();
    let sweeper =
        Sweeper::spawn(&tracker, clock.clone(), Duration::from_millis(1), |_| {}).unwrap();
    let wait_for = |is_so: &dyn Fn() -> bool| {
        while !is_so() {
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    wait_for(&|| sweeper.sweeps() > 0);
    // The next one buries node 1, and hashes its key.
    mood.panic_at(Act::Hash, 1);
    clock.advance(Duration::from_secs(10_000));
    wait_for(&|| sweeper.panics() == 1);
    wait_for(&|| tracker.len() == 3);
    drop(sweeper);
    assert_eq!(
        tracker.update(&mood.key(1), Claim::alive(2), NOW),
        Verdict::Joined
    );
}
