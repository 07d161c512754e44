//! Handles: they never act on another lifetime, and keep the memory they need.

use incarnation::{Claim, Timestamp};

use crate::world::{BEGIN, Handle, NODE, OTHER, Tracker, World, builder, world};
use crate::{Bounds, Model, USUAL};
use std::sync::Mutex;

const T1: Timestamp = Timestamp::from_nanos(1);

struct Parts {
    tracker: Mutex<Option<Tracker>>,
    handle: Mutex<Option<Handle>>,
}

pub fn models() -> Vec<Model> {
    vec![
        Model::new(
            "handles::recycled_with_the_very_same_packed_state",
            USUAL,
            || world(builder(), &[(NODE, Claim::alive(1))]),
            &[
                |w: &World| {
                    let handle = w.handle.as_ref().unwrap();
                    let _ = handle.update(Claim::dead(1), BEGIN);
                },
                |w: &World| {
                    w.tracker.remove(&NODE, BEGIN);
                    let _ = w.tracker.update(&OTHER, Claim::alive(1), BEGIN);
                },
            ],
            |w: &World| {
                // The death of the old lifetime never reached the new one.
                assert_eq!(w.state(OTHER), Some(Claim::alive(1)));
                assert!(w.handle.as_ref().unwrap().is_evicted());
            },
        ),
        Model::new(
            "handles::a_read_never_shows_another_lifetime",
            USUAL,
            || world(builder(), &[(NODE, Claim::alive(1))]),
            &[
                |w: &World| {
                    if let Some(state) = w.handle.as_ref().unwrap().state() {
                        assert_eq!((state.claim(), state.last_update), (Claim::alive(1), BEGIN));
                    }
                },
                |w: &World| {
                    w.tracker.remove(&NODE, BEGIN);
                    let _ = w.tracker.update(&OTHER, Claim::alive(2), T1);
                },
            ],
            |w: &World| {
                assert!(w.handle.as_ref().unwrap().is_evicted());
                // It is the same entry, else this shows nothing.
                let entries = [&w.handle, &w.tracker.handle(&OTHER)].map(|handle| {
                    let slot = handle.as_ref().map(Handle::slot);
                    slot.map(|slot| slot.index)
                });
                assert_eq!(entries[0], entries[1]);
            },
        ),
        Model::new(
            "handles::a_read_never_shows_a_claim_on_another_lifetime",
            Bounds::new(
                2,
                0,
                "three threads, so one arm: the reader is cut once, by the others one after the other. What is shown is a release \
                 that an exchange of another thread passes on",
            ),
            || world(builder(), &[(NODE, Claim::alive(1))]),
            &[
                |w: &World| {
                    if let Some(state) = w.handle.as_ref().unwrap().state() {
                        assert_eq!((state.claim(), state.last_update), (Claim::alive(1), BEGIN));
                    }
                },
                |w: &World| {
                    w.tracker.remove(&NODE, BEGIN);
                    let _ = w.tracker.update(&OTHER, Claim::alive(2), BEGIN);
                },
                |w: &World| {
                    if let Some(other) = w.tracker.handle(&OTHER) {
                        let _ = other.update(Claim::alive(3), T1);
                    }
                },
            ],
            |_| {},
        ),
        Model::new(
            "handles::outlive_the_tracker",
            USUAL,
            || {
                let w = world(builder(), &[(NODE, Claim::alive(1))]);
                Parts {
                    handle: Mutex::new(w.handle.clone()),
                    tracker: Mutex::new(Some(w.tracker.clone())),
                }
            },
            &[
                |parts: &Parts| drop(parts.tracker.lock().unwrap().take()),
                |parts: &Parts| {
                    let handle = parts.handle.lock().unwrap().take().unwrap();
                    assert_eq!(handle.state().map(|s| s.claim()), Some(Claim::alive(1)));
                },
            ],
            |_| {},
        ),
    ]
}
