//! The capacity signal and the sweeper: a claim that finds no room is swept for, and no sweeper sleeps
//! through it.
//!
//! In a model no interval ever ends, so a sweeper that missed its signal sleeps for ever, and the
//! checker reports that as a deadlock.
//!
//! Most models have one role: the other thread is the sweeper's own.

use std::time::Duration;

use incarnation::model::{Membarrier, thread};
use incarnation::{Claim, Clock, Rejection, Sweeper, Verdict};

use crate::world::{BEGIN, NODE, OTHER, World, builder, later, world};
use crate::{Bounds, Model};

/// Longer than a model lives.
const NEVER: Duration = Duration::from_secs(3600);

const FULL: Verdict = Verdict::Rejected(Rejection::AtCapacity);

/// The only entry is taken by a live node.
fn full() -> World {
    world(builder().hard_limit(1), &[(NODE, Claim::alive(1))])
}

/// A sweeper that wakes the calling thread when it has made room.
fn sweeper(w: &World) -> Sweeper {
    let clock = Clock::manual();
    clock.advance(later().since(BEGIN));
    let me = thread::current();
    Sweeper::spawn(&w.tracker, clock, NEVER, move |_| me.unpark()).unwrap()
}

/// From here on a sweep makes room.
fn the_node_dies(w: &World) {
    assert!(w.claim(Claim::dead(1), BEGIN).accepted());
}

fn wait_for_room(w: &World, sweeper: Sweeper) {
    while w.tracker.update(&OTHER, Claim::alive(2), later()) == FULL {
        thread::park();
    }
    assert_eq!(sweeper.panics(), 0);
}

const SWEPT_FOR: Bounds = Bounds::new(
    1,
    0,
    "the claim as a whole between taking the signal back and the scan, or a step of the sweeper between \
     two of the claim, takes one; with one more, the claim that is tried again and again takes minutes",
);

/// Here each claim is tried once.
const SWEPT_FOR_ONCE: Bounds = Bounds::new(
    2,
    0,
    "the claim as a whole between taking the signal back and the scan, or a step of the sweeper between \
     two of the claim, takes one; the plain arm has one more",
);

/// A claim is refused; then, inside a view, the node dies and a second claim is refused. A sweep must follow.
fn a_refusal_inside_a_view(w: &World) {
    let sweeper = sweeper(w);
    assert_eq!(w.tracker.update(&OTHER, Claim::alive(2), later()), FULL);
    // Here no pin of the second refused claim fences what was done before it.
    w.tracker.with(|view| {
        let died = view.update(&NODE, Claim::dead(1), BEGIN);
        assert!(died.accepted());
        let _ = view.update(&OTHER, Claim::alive(2), later());
    });
    // No further claim: that one must be enough.
    while w.state(NODE).is_some() {
        thread::park();
    }
    assert_eq!(sweeper.panics(), 0);
}

pub fn models() -> Vec<Model> {
    vec![
        Model::new(
            "capacity_signal::a_refused_claim_is_swept_for",
            SWEPT_FOR,
            full,
            &[|w: &World| {
                let sweeper = sweeper(w);
                the_node_dies(w);
                wait_for_room(w, sweeper);
            }],
            |w: &World| assert_eq!(w.state(OTHER), Some(Claim::alive(2))),
        )
        .with_another_thread(),
        Model::new(
            "capacity_signal::a_second_refusal_is_swept_for",
            SWEPT_FOR,
            full,
            &[|w: &World| {
                let sweeper = sweeper(w);
                // The sweep that this one wakes can do nothing, and may end too early.
                assert_eq!(w.tracker.update(&OTHER, Claim::alive(2), later()), FULL);
                the_node_dies(w);
                wait_for_room(w, sweeper);
            }],
            |w: &World| assert_eq!(w.state(OTHER), Some(Claim::alive(2))),
        )
        .with_another_thread(),
        Model::new(
            "capacity_signal::a_refusal_inside_a_view_is_swept_for",
            SWEPT_FOR_ONCE,
            full,
            &[a_refusal_inside_a_view],
            |w: &World| assert_eq!(w.state(NODE), None),
        )
        .with_another_thread(),
        Model::new(
            "capacity_signal::a_refusal_where_membarrier_is_refused_is_swept_for",
            SWEPT_FOR_ONCE,
            full,
            &[a_refusal_inside_a_view],
            |w: &World| assert_eq!(w.state(NODE), None),
        )
        .with_another_thread()
        .on(Membarrier::Refused),
        Model::new(
            "capacity_signal::a_refusal_while_the_list_is_held",
            Bounds::new(
                1,
                0,
                "three threads: another sweeper is cut while it holds the list, by a claim as a whole. The list by itself \
                 has models with more: `wake_list`",
            ),
            full,
            &[
                |w: &World| {
                    let sweeper = sweeper(w);
                    the_node_dies(w);
                    wait_for_room(w, sweeper);
                },
                |w: &World| incarnation::model::sleep_for_a_moment(&w.tracker),
            ],
            |w: &World| assert_eq!(w.state(OTHER), Some(Claim::alive(2))),
        )
        .with_another_thread(),
        Model::new(
            "capacity_signal::a_sweep_that_was_asked_for_is_made",
            SWEPT_FOR_ONCE,
            full,
            &[|w: &World| {
                let sweeper = sweeper(w);
                the_node_dies(w);
                sweeper.sweep_now();
                while w.state(NODE).is_some() {
                    thread::park();
                }
                assert_eq!(sweeper.panics(), 0);
            }],
            |w: &World| assert_eq!(w.tracker.len(), 0),
        )
        .with_another_thread(),
        Model::new(
            "capacity_signal::a_sweep_that_is_counted_is_seen",
            SWEPT_FOR_ONCE,
            full,
            &[|w: &World| {
                the_node_dies(w);
                let sweeper = sweeper(w);
                // Inside a view no fence of the sweep's helps.
                w.tracker.with(|view| {
                    if sweeper.sweeps() > 0 {
                        assert_eq!(view.get(&NODE), None);
                    }
                });
            }],
            |w: &World| assert_eq!(w.tracker.len(), 0),
        )
        .with_another_thread(),
    ]
}
