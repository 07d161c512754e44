//! Tombstones: there is no instant at which a dead node is remembered nowhere.

use std::time::Duration;

use incarnation::model::with_two_classes;
use incarnation::{Claim, Record, Rejection, Snapshot, Verdict};

use crate::world::{BEGIN, Chains, NODE, OTHER, World, builder, later, world};
use crate::{Bounds, Model, USUAL};

const THIRD: u8 = 3;
const SHORT: Duration = Duration::from_secs(10);

fn tombstone(incarnation: u64) -> Verdict {
    Verdict::Rejected(Rejection::Tombstone {
        incarnation: incarnation.into(),
    })
}

fn stays_dead(w: &World) {
    assert_eq!(w.state(NODE), None);
    assert_eq!(w.tracker.tombstones(), 1);
    assert_eq!(
        w.tracker.judge(&NODE, Claim::alive(5), later()),
        tombstone(5)
    );
    assert_eq!(
        w.tracker.judge(&NODE, Claim::alive(6), later()),
        Verdict::Joined
    );
}

fn sweep(w: &World) {
    let _ = w.tracker.sweep(later());
}

/// Takes the node out if it is dead yet.
fn take_out_the_dead(w: &World) {
    let _ = w.tracker.pin().remove_if(&NODE, Claim::dead(5), later());
}

/// The node died at 5, and is remembered by its tombstone alone.
fn only_a_tombstone() -> World {
    let w = world(builder().max_tombstones(2), &[(NODE, Claim::dead(5))]);
    w.tracker.remove(&NODE, BEGIN);
    w
}

/// What a claim of Alive at 5 must hear while the node of [`only_a_tombstone`] joins at 6.
fn is_told_of_either(verdict: Verdict) -> bool {
    let current = Claim::alive(6);
    [Verdict::Stale { current }, tombstone(5)].contains(&verdict)
}

/// An old claim, a removal that may hold the shard lock meanwhile, and the removal of the dead node.
const HANDED_OVER: [fn(&World); 3] = [
    |w| {
        let verdict = w.claim(Claim::alive(5), later());
        let current = Claim::dead(5);
        assert!([Verdict::Duplicate { current }, tombstone(5)].contains(&verdict));
    },
    |w| {
        w.tracker.pin().remove(&THIRD, later());
    },
    |w| {
        w.tracker.pin().remove(&NODE, later());
    },
];

const HANDED_OVER_IN: Bounds = Bounds::new(
    1,
    0,
    "three threads, and an order of steps: the claim walks between two steps of the removal that holds the lock; the burial \
     ends before it does. With one more, the model takes minutes",
);

const THREE: Bounds = Bounds::new(
    2,
    0,
    "three threads, so one arm of two: the claim is cut by a removal that holds the lock, and that by \
     the burial. What is shown is an order of steps behind a fence and a lock; what the shadows are \
     for is shown by the models with two threads",
);

pub fn models() -> Vec<Model> {
    vec![
        Model::new(
            "tombstones::old_claim_against_tombstone",
            USUAL,
            || world(builder().max_tombstones(2), &[(NODE, Claim::dead(5))]),
            &[
                |w: &World| {
                    let verdict = w.claim(Claim::alive(5), later());
                    let current = Claim::dead(5);
                    assert!([Verdict::Duplicate { current }, tombstone(5)].contains(&verdict));
                },
                |w: &World| {
                    w.tracker.pin().remove(&NODE, later());
                },
            ],
            stays_dead,
        ),
        // The dead node lies behind another one, which becomes the only entry of the chain and is unlinked without the
        // lock.
        Model::new(
            "tombstones::old_claim_against_an_only_entry_that_hid_the_dead",
            THREE,
            || {
                let nodes = [(NODE, Claim::dead(5)), (OTHER, Claim::alive(1))];
                world(builder().max_tombstones(2), &nodes)
            },
            &[
                |w: &World| {
                    let verdict = w.claim(Claim::alive(5), later());
                    let current = Claim::dead(5);
                    assert!([Verdict::Duplicate { current }, tombstone(5)].contains(&verdict));
                },
                |w: &World| {
                    w.tracker.pin().remove(&NODE, later());
                },
                |w: &World| {
                    w.tracker.pin().remove(&OTHER, later());
                },
            ],
            stays_dead,
        )
        .with_main(1),
        Model::new(
            "tombstones::old_claim_against_tombstone_in_the_middle",
            USUAL,
            || {
                let nodes = [(NODE, Claim::dead(5)), (OTHER, Claim::alive(1))];
                world(builder().max_tombstones(2), &nodes)
            },
            &[
                |w: &World| {
                    let verdict = w.claim(Claim::alive(5), later());
                    let current = Claim::dead(5);
                    assert!([Verdict::Duplicate { current }, tombstone(5)].contains(&verdict));
                },
                |w: &World| {
                    w.tracker.pin().remove(&NODE, later());
                },
            ],
            stays_dead,
        ),
        // In a large table a lookup goes from the first entry to the second before it compares the first one's hash.
        Model::new(
            "tombstones::a_judgement_in_a_large_table_against_the_burial_of_the_second_in_the_chain",
            USUAL,
            || {
                let nodes = [(NODE, Claim::dead(5)), (OTHER, Claim::alive(1))];
                let builder = builder().hard_limit(4).max_tombstones(2);
                with_two_classes(|| world(builder.hasher(Chains::OneOfManyHashes), &nodes))
            },
            &[
                |w: &World| {
                    // But for the chain, nothing that it reads tells it of the tombstone.
                    let verdict = w.tracker.judge(&NODE, Claim::alive(5), later());
                    let current = Claim::dead(5);
                    let expected = [Verdict::Duplicate { current }, tombstone(5)];
                    assert!(expected.contains(&verdict), "{verdict}");
                },
                |w: &World| {
                    w.tracker.pin().remove(&NODE, later());
                },
            ],
            stays_dead,
        ),
        Model::new(
            "tombstones::a_tombstone_written_while_others_end",
            USUAL,
            || {
                let builder = builder().max_tombstones(2).tombstone_retention(SHORT).zombie_window(SHORT);
                let w = world(builder, &[(NODE, Claim::dead(5))]);
                // Remembered for longer than the other one.
                let _ = w.tracker.update(&OTHER, Claim::dead(5), BEGIN + SHORT);
                w.tracker.remove(&OTHER, BEGIN + SHORT);
                w
            },
            &[
                |w: &World| {
                    w.tracker.pin().remove(&NODE, BEGIN);
                },
                |w: &World| {
                    // As nothing else would, a merge of nothing ends the tombstones that are over.
                    let nothing = Snapshot::new(Vec::new(), Vec::new()).unwrap();
                    let after = BEGIN + SHORT + SHORT / 2;
                    let _ = w.tracker.merge(&nothing, after);
                    let verdict = w.tracker.update(&OTHER, Claim::alive(5), after);
                    assert_eq!(verdict, tombstone(5));
                },
            ],
            |_| {},
        ),
        Model::new(
            "tombstones::an_eviction_whose_unlinking_is_handed_over",
            HANDED_OVER_IN,
            || {
                let nodes = [
                    (NODE, Claim::dead(5)),
                    (OTHER, Claim::alive(1)),
                    (THIRD, Claim::alive(1)),
                ];
                world(builder().hard_limit(4).max_tombstones(2), &nodes)
            },
            &HANDED_OVER,
            |_| {},
        ),
        Model::new(
            "tombstones::an_eviction_at_the_head_is_handed_over",
            HANDED_OVER_IN,
            || {
                let nodes = [
                    (OTHER, Claim::alive(1)),
                    (THIRD, Claim::alive(1)),
                    (NODE, Claim::dead(5)),
                ];
                world(builder().hard_limit(4).max_tombstones(2), &nodes)
            },
            &HANDED_OVER,
            |_| {},
        ),
        Model::new(
            "tombstones::a_whole_lifetime_inside_an_old_claim",
            Bounds::new(
                2,
                0,
                "the whole lifetime lies between two steps of the old claim, which is one preemption; the plain arm cuts \
                 the lifetime, too. With shadows, one more preemption takes minutes",
            ),
            || world(builder().max_tombstones(2), &[]),
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
            |w: &World| {
                stays_dead(w);
                w.assert_nothing_lost();
            },
        ),
        Model::new(
            "tombstones::two_removals_bury_one_node",
            USUAL,
            || world(builder().max_tombstones(2), &[(NODE, Claim::dead(5))]),
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
            "tombstones::two_sweeps_bury_one_node",
            USUAL,
            || world(builder().max_tombstones(2), &[(NODE, Claim::dead(5))]),
            &[sweep, sweep],
            stays_dead,
        ),
        Model::new(
            "tombstones::a_newer_claim_against_a_tombstone",
            Bounds::new(
                2,
                1,
                "the exchange of the packed against a sweep is shown with two by \
                 `claims::update_against_sweep_on_the_exact_packed_state`; here it is about the tombstone beside it",
            ),
            || world(builder().max_tombstones(2), &[(NODE, Claim::dead(5))]),
            &[
                |w: &World| {
                    let verdict = w.claim(Claim::alive(6), later());
                    let previous = Claim::dead(5);
                    assert!([Verdict::Joined, Verdict::Applied { previous }].contains(&verdict));
                },
                sweep,
            ],
            // The tombstone may have been written before the claim: then the claim has cleared it.
            |w: &World| {
                assert_eq!(w.state(NODE), Some(Claim::alive(6)));
                assert_eq!(w.tracker.tombstones(), 0);
                let verdict = w.tracker.update(&NODE, Claim::suspect(6), later());
                assert!(verdict.accepted());
                w.assert_nothing_lost();
            },
        ),
        Model::new(
            "tombstones::a_judgement_while_a_join_ends_the_tombstone",
            USUAL,
            only_a_tombstone,
            &[
                |w: &World| {
                    let _ = w.claim(Claim::alive(6), BEGIN);
                },
                |w: &World| {
                    // Dead and buried, or alive, but at no instant unknown.
                    let verdict = w.tracker.judge(&NODE, Claim::alive(5), BEGIN);
                    assert!(is_told_of_either(verdict), "{verdict}");
                },
            ],
            |w: &World| assert_eq!(w.tracker.tombstones(), 0),
        ),
        Model::new(
            "tombstones::an_old_claim_while_a_join_ends_the_tombstone",
            USUAL,
            only_a_tombstone,
            &[
                |w: &World| {
                    let _ = w.claim(Claim::alive(6), BEGIN);
                },
                |w: &World| {
                    let verdict = w.tracker.update(&NODE, Claim::alive(5), BEGIN);
                    assert!(is_told_of_either(verdict), "{verdict}");
                },
            ],
            |w: &World| {
                assert_eq!(w.state(NODE), Some(Claim::alive(6)));
                assert_eq!(w.tracker.tombstones(), 0);
            },
        ),
        Model::new(
            "tombstones::a_tombstone_over_an_expired_one",
            USUAL,
            || {
                let builder = builder().max_tombstones(2).tombstone_retention(SHORT).zombie_window(SHORT);
                let w = world(builder, &[(NODE, Claim::dead(9))]);
                w.tracker.remove(&NODE, BEGIN);
                // Of another lifetime, lower than the old tombstone, which has expired and is not looked at.
                assert_eq!(w.claim(Claim::dead(5), later()), Verdict::Joined);
                assert_eq!(w.tracker.tombstones(), 1);
                w
            },
            &[
                |w: &World| {
                    w.tracker.pin().remove(&NODE, later());
                },
                sweep,
            ],
            stays_dead,
        ),
        Model::new(
            "tombstones::a_join_ends_a_tombstone_while_the_joiner_dies",
            Bounds::new(
                2,
                0,
                "the death lies as a whole between the join and the end of its tombstone, which takes one; the plain arm \
                 cuts the burial, too. With shadows, one more preemption takes minutes",
            ),
            only_a_tombstone,
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
                assert_eq!(w.tracker.tombstones(), 1);
                assert_eq!(w.tracker.judge(&NODE, Claim::alive(6), BEGIN), tombstone(6));
            },
        ),
        Model::new(
            "tombstones::a_judgement_while_a_whole_lifetime_ends_the_tombstone",
            Bounds::new(
                3,
                0,
                "the judgement is cut before and after its look at the tombstones, and the lifetime between its \
                 two tombstones: three in the plain arm. There is no exchange in a judgement, which is what \
                 the shadows are for",
            ),
            only_a_tombstone,
            &[
                |w: &World| {
                    let view = w.tracker.pin();
                    let _ = view.update(&NODE, Claim::dead(6), BEGIN);
                    view.remove(&NODE, BEGIN);
                },
                |w: &World| {
                    // In one tombstone, dead, or in another tombstone, but at no instant unknown.
                    let verdict = w.tracker.judge(&NODE, Claim::alive(5), BEGIN);
                    let current = Claim::dead(6);
                    let answers = [tombstone(5), Verdict::Stale { current }, tombstone(6)];
                    assert!(answers.contains(&verdict), "{verdict}");
                },
            ],
            |w: &World| assert_eq!(w.tracker.tombstones(), 1),
        ),
        Model::new(
            "tombstones::a_judgement_while_a_joiner_is_taken_out",
            Bounds::new(
                3,
                0,
                "three threads: the judgement is cut between its looks, and the joiner in the middle of its join, which \
                 another thread undoes. An order of steps, and no exchange in a judgement",
            ),
            only_a_tombstone,
            &[
                |w: &World| {
                    let _ = w.tracker.pin().update(&NODE, Claim::dead(6), BEGIN);
                },
                |w: &World| {
                    w.tracker.pin().remove(&NODE, BEGIN);
                },
                |w: &World| {
                    let verdict = w.tracker.judge(&NODE, Claim::alive(5), BEGIN);
                    let current = Claim::dead(6);
                    let answers = [tombstone(5), Verdict::Stale { current }, tombstone(6)];
                    assert!(answers.contains(&verdict), "{verdict}");
                },
            ],
            |w: &World| assert_eq!(w.tracker.tombstones(), usize::from(w.state(NODE).is_none())),
        )
        .with_main(2),
        Model::new(
            "tombstones::a_late_join_ends_no_later_tombstone",
            USUAL,
            only_a_tombstone,
            &[
                |w: &World| {
                    let _ = w.claim(Claim::alive(9), BEGIN);
                },
                |w: &World| {
                    // Of a living one nothing is remembered, so it may come back lower than it was.
                    w.tracker.pin().remove(&NODE, BEGIN);
                    let death = Record::new(NODE, Claim::dead(6), Duration::ZERO).unwrap();
                    let heard = Snapshot::new(Vec::new(), vec![death]).unwrap();
                    let _ = w.tracker.merge(&heard, BEGIN);
                },
            ],
            // The join came last, or was undone.
            |w: &World| match w.state(NODE) {
                Some(state) => assert_eq!(state, Claim::alive(9)),
                None => {
                    let verdict = w.tracker.judge(&NODE, Claim::alive(6), BEGIN);
                    assert_eq!(verdict, tombstone(6));
                }
            },
        ),
        Model::new(
            "tombstones::a_newer_claim_against_two_tombstones",
            Bounds::new(
                2,
                0,
                "three threads: each burial is cut once, between burying and evicting; what is shown is an order of steps",
            ),
            || world(builder().max_tombstones(2), &[(NODE, Claim::dead(5))]),
            &[
                take_out_the_dead,
                take_out_the_dead,
                |w: &World| {
                    let _ = w.tracker.pin().update(&NODE, Claim::alive(6), later());
                },
            ],
            |w: &World| {
                assert_eq!(w.state(NODE), Some(Claim::alive(6)));
                let joined = w.tracker.stats().joins;
                assert!(w.tracker.tombstones() == 0 || joined == 2, "tombstones {} joined {joined}", w.tracker.tombstones());
            },
        ),
        Model::new(
            "tombstones::a_snapshot_while_a_merged_tombstone_meets_a_join",
            Bounds::new(
                3,
                0,
                "three threads: the snapshot is cut between nodes and tombstones, the merge before its second look, and the \
                 join before it is counted; an order of steps",
            ),
            only_a_tombstone,
            &[
                |w: &World| {
                    let _ = w.tracker.pin().update(&NODE, Claim::alive(6), BEGIN);
                },
                |w: &World| {
                    let death = Record::new(NODE, Claim::dead(5), Duration::ZERO).unwrap();
                    let heard = Snapshot::new(Vec::new(), vec![death]).unwrap();
                    let _ = w.tracker.merge(&heard, BEGIN);
                },
                |w: &World| {
                    let seen = w.tracker.snapshot(BEGIN);
                    assert!(seen.node(&NODE).is_some() || seen.tombstone(&NODE).is_some());
                },
            ],
            |_| {},
        )
        .with_main(2),
        Model::new(
            "tombstones::a_judgement_of_one_heard_of_while_it_is_forgotten",
            USUAL,
            || {
                let w = only_a_tombstone();
                assert!(w.tracker.add_unconfirmed(&NODE, BEGIN).accepted());
                w
            },
            &[
                |w: &World| {
                    w.tracker.pin().forget(&NODE);
                },
                |w: &World| {
                    let verdict = w.tracker.judge(&NODE, Claim::alive(5), BEGIN);
                    assert!([tombstone(5), Verdict::Joined].contains(&verdict), "{verdict}");
                },
            ],
            |_| {},
        ),
        Model::new(
            "tombstones::forgotten_against_two_tombstones",
            Bounds::new(
                2,
                0,
                "three threads: each burial is cut once, between burying and evicting; with three preemptions the model \
                 takes minutes",
            ),
            || world(builder().max_tombstones(2), &[(NODE, Claim::dead(5))]),
            &[
                take_out_the_dead,
                take_out_the_dead,
                |w: &World| {
                    let _ = w.tracker.pin().forget(&NODE);
                },
            ],
            |w: &World| {
                if w.tracker.stats().evictions.forgotten == 1 {
                    assert_eq!(w.tracker.update(&NODE, Claim::alive(1), later()), Verdict::Joined);
                }
            },
        ),
    ]
}
