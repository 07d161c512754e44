//! Hearsay while the node is contacted, evicted, or passes through a whole lifetime: it introduces, and it never confirms.

use incarnation::{Claim, Rejection, Verdict};

use crate::world::{BEGIN, NODE, World, builder, later, world};
use crate::{Bounds, Model, USUAL};

impl World {
    /// Hearsay of `NODE`, with its verdict written down.
    fn hear(&self, claim: Claim) -> Verdict {
        let verdict = self.tracker.hear(&NODE, claim, later());
        self.verdicts.lock().unwrap().push(verdict);
        verdict
    }
}

/// One role as a whole between two steps of the other.
const ONE_WITH_SHADOWS: Bounds = Bounds::new(
    2,
    1,
    "the other role as a whole between two steps is one preemption; the plain arm cuts that role, too. With shadows, one more \
     preemption takes minutes",
);

/// The same where the other role is a whole lifetime.
const NONE_WITH_SHADOWS: Bounds = Bounds::new(
    2,
    0,
    "the other role as a whole between two steps is one preemption; the plain arm cuts that role, too. With shadows, one \
     preemption takes minutes",
);

pub fn models() -> Vec<Model> {
    vec![
        Model::new(
            "hearsay::against_contact_of_an_unconfirmed_node",
            USUAL,
            || world(builder(), &[(NODE, Claim::unconfirmed(0))]),
            &[
                |w: &World| {
                    let verdict = w.hear(Claim::suspect(5));
                    let previous = Claim::alive(3);
                    let expected = [
                        Verdict::Rejected(Rejection::Unconfirmed),
                        Verdict::Applied { previous },
                    ];
                    assert!(expected.contains(&verdict), "{verdict}");
                },
                |w: &World| {
                    let previous = Claim::unconfirmed(0);
                    let verdict = w.tracker.confirm(&NODE, 3, BEGIN);
                    assert_eq!(verdict, Verdict::Applied { previous });
                },
            ],
            |w: &World| {
                let expected = match w.verdicts()[0] {
                    Verdict::Rejected(_) => Claim::alive(3),
                    _ => Claim::suspect(5),
                };
                assert_eq!(w.state(NODE), Some(expected));
            },
        ),
        Model::new(
            "hearsay::against_contact_of_an_unknown_node",
            ONE_WITH_SHADOWS,
            || world(builder(), &[]),
            &[
                |w: &World| {
                    let _ = w.hear(Claim::alive(5));
                },
                |w: &World| {
                    let _ = w.tracker.confirm(&NODE, 3, BEGIN);
                },
            ],
            |w: &World| {
                let expected = match w.verdicts()[0] {
                    // Contact came second, and counts at its own incarnation alone.
                    Verdict::Joined => Claim::alive(3),
                    Verdict::Applied { previous } => {
                        assert_eq!(previous, Claim::alive(3));
                        Claim::alive(5)
                    }
                    other => panic!("{other}"),
                };
                assert_eq!(w.state(NODE), Some(expected));
                assert_eq!(w.tracker.len(), 1);
                w.assert_nothing_lost();
            },
        ),
        // The node is evicted, and its tombstone written, before the hearsay, between its steps or after it.
        Model::new(
            "hearsay::against_eviction",
            ONE_WITH_SHADOWS,
            || world(builder().max_tombstones(2), &[(NODE, Claim::dead(1))]),
            &[
                |w: &World| {
                    let _ = w.hear(Claim::alive(2));
                },
                |w: &World| {
                    let _ = w.tracker.sweep(later());
                },
            ],
            |w: &World| {
                let expected = match w.verdicts()[0] {
                    Verdict::Applied { previous } => {
                        assert_eq!(previous, Claim::dead(1));
                        assert_eq!(w.tracker.tombstones(), 0);
                        Claim::alive(2)
                    }
                    // Only heard of, and dead for gossip until it is contacted.
                    Verdict::Joined => {
                        let verdict = w.tracker.update(&NODE, Claim::alive(1), later());
                        let current = Claim::unconfirmed(1);
                        let tombstone = Rejection::Tombstone {
                            incarnation: 1.into(),
                        };
                        let expected =
                            [Verdict::Rejected(tombstone), Verdict::Duplicate { current }];
                        assert!(expected.contains(&verdict), "{verdict}");
                        assert_eq!(w.tracker.tombstones(), 1);
                        current
                    }
                    other => panic!("{other}"),
                };
                assert_eq!(w.state(NODE), Some(expected));
                w.assert_nothing_lost();
            },
        ),
        // A confirmed node leaves and is heard of again: what was heard of its first lifetime is not held of the second.
        Model::new(
            "hearsay::against_a_removal_and_hearsay_again",
            NONE_WITH_SHADOWS,
            || world(builder().hard_limit(4), &[(NODE, Claim::alive(1))]),
            &[
                |w: &World| {
                    let verdict = w.hear(Claim::suspect(5));
                    let previous = Claim::alive(1);
                    let expected = [
                        Verdict::Applied { previous },
                        Verdict::Joined,
                        Verdict::Rejected(Rejection::Unconfirmed),
                    ];
                    assert!(expected.contains(&verdict), "{verdict}");
                },
                |w: &World| {
                    w.tracker.pin().remove(&NODE, later());
                    let _ = w.tracker.hear(&NODE, Claim::alive(9), later());
                },
            ],
            |w: &World| {
                assert_eq!(w.state(NODE), Some(Claim::unconfirmed(0)));
                w.assert_nothing_lost();
            },
        ),
        Model::new(
            "hearsay::a_whole_lifetime_inside_it",
            NONE_WITH_SHADOWS,
            || world(builder().max_tombstones(2), &[]),
            &[
                |w: &World| {
                    let _ = w.hear(Claim::alive(3));
                },
                |w: &World| {
                    let view = w.tracker.pin();
                    let _ = view.update(&NODE, Claim::dead(5), BEGIN);
                    view.remove(&NODE, BEGIN);
                },
            ],
            // Either the hearsay came first, and the node died, or it was old.
            |w: &World| {
                assert_eq!(w.state(NODE), None);
                assert_eq!(w.tracker.tombstones(), 1);
                w.assert_nothing_lost();
            },
        ),
    ]
}
