//! Inserting: one live entry per key, whole when it is found, also while others come and go.

use incarnation::Claim;

use crate::world::{BEGIN, NODE, OTHER, World, builder, world};
use crate::{Bounds, Model, USUAL};

pub fn models() -> Vec<Model> {
    vec![
        Model::new(
            "inserts::two_inserts_of_one_key",
            USUAL,
            || world(builder(), &[]),
            &[
                |w: &World| {
                    let _ = w.claim(Claim::alive(1), BEGIN);
                },
                |w: &World| {
                    let _ = w.claim(Claim::suspect(1), BEGIN);
                },
            ],
            |w: &World| {
                assert_eq!(w.state(NODE), Some(Claim::suspect(1)));
                assert_eq!(w.joined_and_applied().0, 1);
                assert_eq!(w.tracker.len(), 1);
                w.assert_nothing_lost();
            },
        ),
        Model::new(
            "inserts::a_linked_entry_is_whole",
            USUAL,
            || world(builder(), &[]),
            &[
                |w: &World| {
                    let _ = w.claim(Claim::alive(1), BEGIN);
                },
                |w: &World| {
                    let state = w.state(NODE);
                    assert!(state.is_none() || state == Some(Claim::alive(1)));
                },
            ],
            |w: &World| assert_eq!(w.state(NODE), Some(Claim::alive(1))),
        ),
        Model::new(
            "inserts::two_keys_at_one_head",
            USUAL,
            || world(builder(), &[]),
            &[
                |w: &World| {
                    let _ = w.claim(Claim::alive(1), BEGIN);
                },
                |w: &World| {
                    let _ = w.tracker.update(&OTHER, Claim::alive(2), BEGIN);
                },
            ],
            |w: &World| {
                assert_eq!(w.state(NODE), Some(Claim::alive(1)));
                assert_eq!(w.state(OTHER), Some(Claim::alive(2)));
            },
        ),
        Model::new(
            "inserts::two_inserts_and_a_removal",
            Bounds::new(
                2,
                0,
                "a lifetime as a whole inside the other insertion takes one, and the plain arm cuts that lifetime, too; with shadows, one \
                 more preemption takes minutes",
            ),
            || world(builder(), &[]),
            &[
                |w: &World| {
                    let _ = w.claim(Claim::alive(1), BEGIN);
                },
                |w: &World| {
                    let _ = w.claim(Claim::alive(2), BEGIN);
                    w.tracker.pin().remove(&NODE, BEGIN);
                },
            ],
            |w: &World| {
                // At most one live entry, and every one that began was counted.
                let live = w.tracker.iter().count();
                assert_eq!(live, usize::from(w.state(NODE).is_some()));
                assert_eq!(w.tracker.len(), live);
                w.assert_nothing_lost();
            },
        ),
    ]
}
