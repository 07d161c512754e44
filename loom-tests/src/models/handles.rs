//! Handles: they never act on another lifetime, and keep the memory they need.

use incarnation::Claim;

use crate::world::{BEGIN, Handle, NODE, OTHER, Tracker, World, builder, world};
use crate::{Model, USUAL};
use std::sync::Mutex;

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
                    let state = w.handle.as_ref().unwrap().state();
                    assert!(state.is_none_or(|state| state.claim() == Claim::alive(1)));
                },
                |w: &World| {
                    w.tracker.remove(&NODE, BEGIN);
                    let _ = w.tracker.update(&OTHER, Claim::alive(2), BEGIN);
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
