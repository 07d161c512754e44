//! Subscribers of a table whose keys panic.

use incarnation::{Claim, IncarnationTracker, Reclaimer, Subscriber, Timestamp};
use incarnation_testkit::keys::{Act, Mood, TouchyKey, survive};
use std::collections::BTreeMap;

const NOW: Timestamp = Timestamp::from_millis(1_000);

fn seen(subscriber: &Subscriber<TouchyKey>) -> BTreeMap<String, Claim> {
    subscriber
        .seen()
        .map(|(key, state)| (format!("{key:?}"), state.claim()))
        .collect()
}

/// A key that panics in the middle of a drain takes no news from the drains that follow: what was told,
/// taken together, is what the table holds.
#[test]
fn a_callback_that_panics_at_a_departure_leaves_the_others_as_news() {
    let tracker: IncarnationTracker<u32> = IncarnationTracker::builder().build().unwrap();
    let mut subscriber = tracker.subscribe();
    for node in 0..3 {
        let _ = tracker.update(&node, Claim::alive(1), NOW);
    }
    assert_eq!(subscriber.drain(|_, _| {}), 3);
    for node in 0..3 {
        assert!(tracker.remove(&node, NOW).is_some());
    }
    let drain = std::panic::AssertUnwindSafe(|| {
        subscriber.drain(|_, _| std::panic::resume_unwind(Box::new("the callback panics")))
    });
    assert!(std::panic::catch_unwind(drain).is_err());
    assert!(subscriber.has_changed() && subscriber.wait(std::time::Duration::ZERO).unwrap());
    assert_eq!(subscriber.drain(|_, _| {}), 2);
    assert!(!subscriber.has_changed());
}

#[test]
fn a_key_that_panics_in_a_drain_hides_no_final_state() {
    let mut panics = 0;
    for act in [Act::Hash, Act::Eq, Act::Clone] {
        for nth in 1.. {
            let mood = Mood::default();
            let tracker: IncarnationTracker<TouchyKey> = IncarnationTracker::builder()
                .max_nodes(64)
                .reclaimer(Reclaimer::private())
                .build()
                .unwrap();
            let mut subscriber = tracker.subscribe();
            let mut told: BTreeMap<String, Claim> = BTreeMap::new();
            let mut drain = |subscriber: &mut Subscriber<TouchyKey>| {
                survive(|| {
                    subscriber.drain(|key, change| match change.current() {
                        Some(current) => {
                            told.insert(format!("{key:?}"), current.claim());
                        }
                        None => {
                            told.remove(&format!("{key:?}"));
                        }
                    })
                })
            };
            for id in 0..8 {
                let _ = tracker.update(&mood.key(id), Claim::alive(1), NOW);
            }
            assert!(drain(&mut subscriber).is_ok());
            // Some go, some come back elsewhere, some are new.
            for id in 0..6 {
                let _ = tracker.remove(&mood.key(id), NOW);
            }
            for id in [4, 5, 20, 21] {
                let _ = tracker.update(&mood.key(id), Claim::alive(2), NOW);
            }
            mood.panic_at(act, nth);
            let outcome = drain(&mut subscriber);
            let was_reached = !mood.calm();
            assert_eq!(outcome.is_err(), was_reached);
            assert!(drain(&mut subscriber).is_ok());
            let there: BTreeMap<String, Claim> = tracker
                .iter()
                .map(|(key, state)| (format!("{key:?}"), state.claim()))
                .collect();
            assert_eq!(seen(&subscriber), there, "seen, after {act:?} call {nth}");
            assert_eq!(told, there, "told, after {act:?} call {nth}");
            if !was_reached {
                break;
            }
            panics += 1;
        }
    }
    assert!(panics > 10, "only {panics} panics");
}
