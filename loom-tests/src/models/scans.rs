//! Scans come to entries without a head: the packed state alone must make them whole.

use incarnation::Claim;
use incarnation::model::with_two_classes;

use crate::world::{BEGIN, Chains, NODE, OTHER, World, builder, world};
use crate::{Model, USUAL};

/// Each key only ever with its own packed states.
fn scan(w: &World) {
    for (node, state) in w.tracker.pin().iter() {
        let expected = if *node == NODE { 1 } else { 2 };
        assert_eq!(state.incarnation.get(), expected);
    }
}

pub fn models() -> Vec<Model> {
    vec![
        Model::new(
            "scans::scanner_and_insert",
            USUAL,
            || world(builder(), &[]),
            &[scan, |w: &World| {
                let _ = w.claim(Claim::alive(1), BEGIN);
            }],
            |w: &World| assert_eq!(w.tracker.iter().count(), 1),
        ),
        Model::new(
            "scans::scanner_and_recycling",
            USUAL,
            || world(builder(), &[(NODE, Claim::alive(1))]),
            &[scan, |w: &World| {
                w.tracker.remove(&NODE, BEGIN);
                let _ = w.tracker.update(&OTHER, Claim::alive(2), BEGIN);
            }],
            |_| {},
        ),
        Model::new(
            "scans::a_node_that_stays_is_seen_once",
            USUAL,
            || {
                world(
                    builder(),
                    &[(NODE, Claim::alive(1)), (OTHER, Claim::alive(2))],
                )
            },
            &[
                |w: &World| {
                    let view = w.tracker.pin();
                    let seen = view.iter().filter(|(node, _)| **node == NODE).count();
                    assert_eq!(seen, 1);
                },
                |w: &World| {
                    w.tracker.remove(&OTHER, BEGIN);
                    let _ = w.tracker.update(&OTHER, Claim::alive(2), BEGIN);
                },
            ],
            |_| {},
        ),
        Model::new(
            "scans::a_scan_reaches_the_highest_of_two_marks",
            USUAL,
            // The two nodes are of different heads, and so of different classes.
            || with_two_classes(|| world(builder().hasher(Chains::Two), &[])),
            &[
                |w: &World| {
                    let _ = w.tracker.update(&NODE, Claim::alive(1), BEGIN);
                },
                |w: &World| {
                    let _ = w.tracker.update(&OTHER, Claim::alive(2), BEGIN);
                    if w.state(NODE).is_some() {
                        assert_eq!(w.tracker.pin().iter().count(), 2);
                    }
                },
            ],
            |w: &World| assert_eq!(w.tracker.iter().count(), 2),
        ),
    ]
}
