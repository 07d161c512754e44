//! Graves: there is no instant at which a dead node is remembered nowhere.

use incarnation::{Claim, Rejection, Verdict};

use crate::world::{BEGIN, NODE, OTHER, World, builder, later, world};
use crate::{Bounds, Model, USUAL};

const THIRD: u8 = 3;

fn buried(incarnation: u64) -> Verdict {
    Verdict::Rejected(Rejection::Buried {
        incarnation: incarnation.into(),
    })
}

fn stays_dead(w: &World) {
    assert_eq!(w.state(NODE), None);
    assert_eq!(w.tracker.graves(), 1);
    assert_eq!(w.tracker.judge(&NODE, Claim::alive(5), later()), buried(5));
    assert_eq!(
        w.tracker.judge(&NODE, Claim::alive(6), later()),
        Verdict::Joined
    );
}

/// An old claim, a removal that may hold the permit meanwhile, and the removal of the dead node.
const HANDED_OVER: [fn(&World); 3] = [
    |w| {
        let verdict = w.claim(Claim::alive(5), later());
        let current = Claim::dead(5);
        assert!([Verdict::Duplicate { current }, buried(5)].contains(&verdict));
    },
    |w| {
        w.tracker.pin().remove(&THIRD, later());
    },
    |w| {
        w.tracker.pin().remove(&NODE, later());
    },
];

pub fn models() -> Vec<Model> {
    vec![
        Model::new(
            "graves::old_claim_against_burial",
            USUAL,
            || world(builder().max_graves(2), &[(NODE, Claim::dead(5))]),
            &[
                |w: &World| {
                    let verdict = w.claim(Claim::alive(5), later());
                    let current = Claim::dead(5);
                    assert!([Verdict::Duplicate { current }, buried(5)].contains(&verdict));
                },
                |w: &World| {
                    w.tracker.pin().remove(&NODE, later());
                },
            ],
            stays_dead,
        ),
        Model::new(
            "graves::old_claim_against_burial_in_the_middle",
            USUAL,
            || {
                let nodes = [(NODE, Claim::dead(5)), (OTHER, Claim::alive(1))];
                world(builder().max_graves(2), &nodes)
            },
            &[
                |w: &World| {
                    let verdict = w.claim(Claim::alive(5), later());
                    let current = Claim::dead(5);
                    assert!([Verdict::Duplicate { current }, buried(5)].contains(&verdict));
                },
                |w: &World| {
                    w.tracker.pin().remove(&NODE, later());
                },
            ],
            stays_dead,
        ),
        Model::new(
            "graves::a_burial_whose_unlinking_is_handed_over",
            // Three threads, so one arm with two preemptions: the claim is interrupted by a removal
            // that holds the permit, and that by the burial.
            Bounds {
                plain: 2,
                shadowed: 0,
            },
            || {
                let nodes = [
                    (NODE, Claim::dead(5)),
                    (OTHER, Claim::alive(1)),
                    (THIRD, Claim::alive(1)),
                ];
                world(builder().hard_limit(4).max_graves(2), &nodes)
            },
            &HANDED_OVER,
            |_| {},
        ),
        Model::new(
            "graves::a_burial_at_the_head_is_handed_over",
            // As above.
            Bounds {
                plain: 2,
                shadowed: 0,
            },
            || {
                let nodes = [
                    (OTHER, Claim::alive(1)),
                    (THIRD, Claim::alive(1)),
                    (NODE, Claim::dead(5)),
                ];
                world(builder().hard_limit(4).max_graves(2), &nodes)
            },
            &HANDED_OVER,
            |_| {},
        ),
        Model::new(
            "graves::a_whole_life_inside_an_old_claim",
            Bounds {
                plain: 2,
                shadowed: 1,
            },
            || world(builder().max_graves(2), &[]),
            &[
                |w: &World| {
                    let _ = w.claim(Claim::alive(3), BEGIN);
                },
                |w: &World| {
                    let view = w.tracker.pin();
                    let _ = view.update(&NODE, Claim::dead(5), BEGIN);
                    view.remove(&NODE, BEGIN);
                },
            ],
            // Either the old claim came first, and died with the node, or it was refused.
            stays_dead,
        ),
        Model::new(
            "graves::two_removals_bury_one_node",
            USUAL,
            || world(builder().max_graves(2), &[(NODE, Claim::dead(5))]),
            &[
                |w: &World| {
                    w.tracker.pin().remove(&NODE, later());
                },
                |w: &World| {
                    w.tracker.pin().remove(&NODE, later());
                },
            ],
            stays_dead,
        ),
        Model::new(
            "graves::a_join_ends_a_grave_while_the_joiner_dies",
            Bounds {
                plain: 2,
                shadowed: 0,
            },
            || {
                let w = world(builder().max_graves(2), &[(NODE, Claim::dead(5))]);
                w.tracker.remove(&NODE, BEGIN);
                w
            },
            &[
                |w: &World| {
                    let _ = w.claim(Claim::alive(6), BEGIN);
                },
                |w: &World| {
                    let view = w.tracker.pin();
                    let _ = view.update(&NODE, Claim::dead(6), BEGIN);
                    view.remove(&NODE, BEGIN);
                },
            ],
            |w: &World| {
                assert_eq!(w.state(NODE), None);
                assert_eq!(w.tracker.graves(), 1);
                assert_eq!(w.tracker.judge(&NODE, Claim::alive(6), BEGIN), buried(6));
            },
        ),
    ]
}
