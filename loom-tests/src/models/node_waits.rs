//! Waits for single nodes: a change, a join or a departure wakes them.
//!
//! In a model no timeout ever ends, so a wait that missed its wake-up sleeps for ever, and the checker
//! reports that as a deadlock.

use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use incarnation::Claim;

use crate::world::{BEGIN, NODE, OTHER, World, builder, world};
use crate::{Bounds, Model, USUAL};

/// Longer than a model lives.
const NEVER: Duration = Duration::from_secs(3600);

fn alive() -> World {
    with_lists(world(builder(), &[(NODE, Claim::alive(1))]))
}

fn absent() -> World {
    with_lists(world(builder(), &[(OTHER, Claim::alive(1))]))
}

/// The first wait makes the lists, behind a lock of the standard library that the checker does not know.
fn with_lists(w: World) -> World {
    let mut wait = w.tracker.wait_for(&NODE, |_| false);
    let mut context = Context::from_waker(Waker::noop());
    assert!(Pin::new(&mut wait).poll(&mut context).is_pending());
    drop(wait);
    w
}

/// Waits until a node is in this state.
fn wait_until(w: &World, node: u8, claim: Option<Claim>) {
    let wait = w
        .tracker
        .wait_for(&node, |state| state.map(|state| state.claim()) == claim);
    assert!(wait.wait(NEVER).is_ok());
}

pub fn models() -> Vec<Model> {
    vec![
        Model::new(
            "node_waits::a_change_against_a_wait",
            USUAL,
            alive,
            &[
                |w: &World| {
                    let _ = w.claim(Claim::alive(2), BEGIN);
                },
                |w: &World| wait_until(w, NODE, Some(Claim::alive(2))),
            ],
            |_| {},
        ),
        Model::new(
            "node_waits::a_join_against_a_wait",
            USUAL,
            absent,
            &[
                |w: &World| {
                    let _ = w.claim(Claim::alive(2), BEGIN);
                },
                |w: &World| wait_until(w, NODE, Some(Claim::alive(2))),
            ],
            |_| {},
        ),
        Model::new(
            "node_waits::a_departure_against_a_wait",
            USUAL,
            alive,
            &[
                |w: &World| {
                    w.tracker.pin().remove(&NODE, BEGIN);
                },
                |w: &World| wait_until(w, NODE, None),
            ],
            |_| {},
        ),
        Model::new(
            "node_waits::a_node_that_moves_against_a_wait",
            Bounds::new(
                2,
                0,
                "the wait looks twice, and each look falls before, between or behind the two steps of the \
                 writer: that takes one; the plain arm has one more. With shadows, one preemption takes minutes",
            ),
            alive,
            &[
                |w: &World| {
                    w.tracker.pin().remove(&NODE, BEGIN);
                    let _ = w.claim(Claim::alive(2), BEGIN);
                },
                |w: &World| wait_until(w, NODE, Some(Claim::alive(2))),
            ],
            |_| {},
        ),
        Model::new(
            "node_waits::the_end_of_a_lifetime_against_a_handles_wait",
            USUAL,
            alive,
            &[
                |w: &World| {
                    w.tracker.pin().remove(&NODE, BEGIN);
                },
                |w: &World| {
                    let handle = w.handle.as_ref().unwrap();
                    let end = handle.wait_for(|_| false).wait(NEVER);
                    assert_eq!(end, Ok(None));
                },
            ],
            |_| {},
        ),
        Model::new(
            "node_waits::a_change_against_two_waits",
            Bounds::new(
                1,
                1,
                "three threads, two of which lock a list: one is cut inside the other",
            ),
            alive,
            &[
                |w: &World| {
                    let _ = w.claim(Claim::alive(2), BEGIN);
                },
                |w: &World| wait_until(w, NODE, Some(Claim::alive(2))),
                |w: &World| wait_until(w, NODE, Some(Claim::alive(2))),
            ],
            |_| {},
        ),
    ]
}
