//! Evicting and unlinking: exactly the judged packed state, never a lost claim, logically deleted entries handed over.

use incarnation::{Claim, Verdict};

use crate::world::{BEGIN, Chains, NODE, OTHER, World, builder, later, world};
use crate::{Bounds, Model, USUAL};

const THIRD: u8 = 3;

/// Two nodes removed at once; through views, which collect nothing, so what was unlinked waits.
const REMOVED: [fn(&World); 2] = [
    |w| {
        w.tracker.pin().remove(&NODE, BEGIN);
    },
    |w| {
        w.tracker.pin().remove(&OTHER, BEGIN);
    },
];

pub fn models() -> Vec<Model> {
    vec![
        Model::new(
            "evictions::two_removals_of_one_node",
            USUAL,
            || world(builder(), &[(NODE, Claim::alive(1))]),
            &[
                |w: &World| {
                    if let Some(last) = w.tracker.remove(&NODE, BEGIN) {
                        let previous = last.claim();
                        w.verdicts
                            .lock()
                            .unwrap()
                            .push(Verdict::Applied { previous });
                    }
                },
                |w: &World| {
                    if let Some(last) = w.tracker.remove(&NODE, BEGIN) {
                        let previous = last.claim();
                        w.verdicts
                            .lock()
                            .unwrap()
                            .push(Verdict::Applied { previous });
                    }
                },
            ],
            |w: &World| {
                let previous = Claim::alive(1);
                assert_eq!(w.verdicts(), [Verdict::Applied { previous }]);
                assert_eq!(w.tracker.len(), 0);
            },
        ),
        Model::new(
            "evictions::a_claim_that_races_a_removal_is_retried",
            USUAL,
            || world(builder(), &[(NODE, Claim::alive(1))]),
            &[
                |w: &World| {
                    let _ = w.claim(Claim::alive(2), BEGIN);
                },
                |w: &World| {
                    let removed = w.tracker.pin().remove(&NODE, BEGIN);
                    let current = removed.expect("the node is there").claim();
                    let mut verdicts = w.verdicts.lock().unwrap();
                    verdicts.push(Verdict::Duplicate { current });
                },
            ],
            |w: &World| {
                let verdicts = w.verdicts();
                let took = |current| verdicts.contains(&Verdict::Duplicate { current });
                let previous = Claim::alive(1);
                // Joined after the removal, or applied and then removed with it.
                if verdicts.contains(&Verdict::Joined) {
                    assert!(took(previous));
                    assert_eq!(w.state(NODE), Some(Claim::alive(2)));
                } else {
                    assert!(verdicts.contains(&Verdict::Applied { previous }));
                    assert!(took(Claim::alive(2)), "the claim is lost");
                    assert_eq!(w.state(NODE), None);
                }
            },
        ),
        Model::new(
            "evictions::pending_unlink_is_handed_over",
            USUAL,
            || {
                let builder = builder();
                world(
                    builder,
                    &[(NODE, Claim::alive(1)), (OTHER, Claim::alive(1))],
                )
            },
            &REMOVED,
            // Nothing is stranded, though there is no sweeper.
            |w: &World| {
                assert_eq!(w.tracker.pending_reclaim(), 2);
                w.assert_nothing_lost();
            },
        ),
        // One shard lock serves many chains: its holder looks at all of them.
        Model::new(
            "evictions::pending_unlink_of_another_chain_is_handed_over",
            USUAL,
            || {
                // Each of the two lies behind another, so that its unlinking takes the lock.
                let nodes = [NODE, OTHER, THIRD, 4].map(|node| (node, Claim::alive(1)));
                world(builder().hard_limit(4).hasher(Chains::Two), &nodes)
            },
            &REMOVED,
            |w: &World| {
                assert_eq!(w.tracker.pending_reclaim(), 2);
                w.assert_nothing_lost();
            },
        ),
        Model::new(
            "evictions::unlinking_in_the_middle",
            USUAL,
            || {
                let builder = builder().hard_limit(3);
                world(
                    builder,
                    &[
                        (NODE, Claim::alive(1)),
                        (OTHER, Claim::alive(2)),
                        (THIRD, Claim::alive(3)),
                    ],
                )
            },
            &[
                |w: &World| {
                    w.tracker.remove(&OTHER, BEGIN);
                },
                // What lies behind is found all the time.
                |w: &World| assert_eq!(w.state(NODE), Some(Claim::alive(1))),
            ],
            |w: &World| {
                assert_eq!(w.state(OTHER), None);
                assert_eq!(w.state(THIRD), Some(Claim::alive(3)));
            },
        ),
        Model::new(
            "evictions::an_only_entry_against_a_link_in_front",
            USUAL,
            || world(builder(), &[(NODE, Claim::alive(1))]),
            &[
                |w: &World| {
                    w.tracker.pin().remove(&NODE, BEGIN);
                },
                |w: &World| {
                    let _ = w.tracker.update(&OTHER, Claim::alive(2), BEGIN);
                },
            ],
            |w: &World| {
                assert_eq!(w.state(NODE), None);
                assert_eq!(w.state(OTHER), Some(Claim::alive(2)));
                assert_eq!(w.tracker.pending_reclaim(), 1);
                w.assert_nothing_lost();
            },
        ),
        // The lock's holder finds another entry in front of the one that it is about to unlink.
        Model::new(
            "evictions::the_first_of_two_against_a_link_in_front",
            Bounds::new(
                1,
                1,
                "the join as a whole between the holder's load of the head and its exchange takes one",
            ),
            || {
                let nodes = [(OTHER, Claim::alive(2)), (NODE, Claim::alive(1))];
                world(builder().hard_limit(3), &nodes)
            },
            &[
                |w: &World| {
                    w.tracker.pin().remove(&NODE, BEGIN);
                },
                |w: &World| {
                    let _ = w.tracker.update(&THIRD, Claim::alive(3), BEGIN);
                },
            ],
            |w: &World| {
                assert_eq!(w.state(NODE), None);
                assert_eq!(w.state(OTHER), Some(Claim::alive(2)));
                assert_eq!(w.state(THIRD), Some(Claim::alive(3)));
                assert_eq!(w.tracker.pending_reclaim(), 1);
                w.assert_nothing_lost();
            },
        ),
        Model::new(
            "evictions::two_sweeps_evict_once",
            USUAL,
            || world(builder(), &[(NODE, Claim::dead(1))]),
            &[
                |w: &World| {
                    let evicted = w.tracker.sweep(later()).evicted();
                    w.verdicts
                        .lock()
                        .unwrap()
                        .extend((0..evicted).map(|_| Verdict::Joined));
                },
                |w: &World| {
                    let evicted = w.tracker.sweep(later()).evicted();
                    w.verdicts
                        .lock()
                        .unwrap()
                        .extend((0..evicted).map(|_| Verdict::Joined));
                },
            ],
            |w: &World| {
                assert_eq!(w.verdicts().len(), 1);
                assert_eq!(w.tracker.len(), 0);
            },
        ),
    ]
}
