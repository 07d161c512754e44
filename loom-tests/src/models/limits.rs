//! The hard limit holds at every instant.

use incarnation::{Claim, Rejection, SweepScope, Verdict};

use crate::world::{BEGIN, Chains, NODE, OTHER, World, builder, world};
use crate::{Bounds, Model, USUAL};

fn sweep_by_capacity(w: &World) {
    let _ = w.tracker.sweep_with(SweepScope::Capacity, BEGIN, |_| {});
}

pub fn models() -> Vec<Model> {
    vec![
        Model::new(
            "limits::two_inserts_for_one_free_entry",
            USUAL,
            || world(builder().hard_limit(1), &[]),
            &[
                |w: &World| {
                    let _ = w.claim(Claim::alive(1), BEGIN);
                },
                |w: &World| {
                    let verdict = w.tracker.update(&OTHER, Claim::alive(2), BEGIN);
                    w.verdicts.lock().unwrap().push(verdict);
                },
            ],
            |w: &World| {
                let full = Verdict::Rejected(Rejection::AtCapacity);
                let verdicts = w.verdicts();
                assert!(verdicts.contains(&Verdict::Joined));
                assert!(verdicts.contains(&full));
                assert_eq!(w.tracker.stats().rejections.at_capacity, 1);
                assert_eq!(w.tracker.iter().count(), 1);
            },
        ),
        Model::new(
            "limits::reserve_at_the_hard_limit",
            USUAL,
            // In two chains: in one, the exchange of its head would order the removal before the join.
            || {
                let builder = builder().hard_limit(1).hasher(Chains::Two);
                world(builder, &[(NODE, Claim::alive(1))])
            },
            &[
                |w: &World| {
                    w.tracker.pin().remove(&NODE, BEGIN);
                },
                |w: &World| {
                    let view = w.tracker.pin();
                    if view.update(&OTHER, Claim::alive(2), BEGIN) == Verdict::Joined {
                        // The thread that was let in sees the end of the lifetime that made room.
                        assert_eq!(view.iter().count(), 1);
                    }
                },
            ],
            |_| {},
        ),
        Model::new(
            "limits::two_claims_of_one_node_for_the_last_free_entry",
            Bounds::new(
                2,
                1,
                "one claim as a whole between two steps of the other takes one; the plain arm cuts it, too",
            ),
            || world(builder().hard_limit(1), &[]),
            &[
                |w: &World| {
                    let _ = w.claim(Claim::alive(1), BEGIN);
                },
                |w: &World| {
                    let _ = w.claim(Claim::suspect(1), BEGIN);
                },
            ],
            |w: &World| {
                let full = Verdict::Rejected(Rejection::AtCapacity);
                let verdicts = w.verdicts();
                assert!(verdicts.contains(&Verdict::Joined));
                // The reservation that the faster one takes is the node's, but no thread can tell before it
                // joined: until then the slower one may find the table full.
                if !verdicts.contains(&full) {
                    assert_eq!(w.state(NODE), Some(Claim::suspect(1)));
                }
                // No reservation is left behind, and no entry.
                assert_eq!(w.tracker.len(), 1);
                w.assert_nothing_lost();
                w.tracker.remove(&NODE, BEGIN);
                assert_eq!(w.tracker.len(), 0);
            },
        ),
        Model::new(
            "limits::two_sweeps_take_one_surplus",
            USUAL,
            || {
                let nodes = [(NODE, Claim::dead(1)), (OTHER, Claim::dead(2))];
                world(builder(), &nodes)
            },
            &[sweep_by_capacity, sweep_by_capacity],
            |w: &World| {
                assert_eq!(w.tracker.len(), 1);
                assert_eq!(w.tracker.iter().count(), 1);
            },
        ),
    ]
}
