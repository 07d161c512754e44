//! Claims on one known node: the packed state only rises, the last update goes first, nothing is lost.

use std::time::Duration;

use incarnation::{Claim, Timestamp, Verdict};

use crate::world::{BEGIN, NODE, World, builder, later, world};
use crate::{Bounds, Model, USUAL};

const T1: Timestamp = Timestamp::from_nanos(1);
const T2: Timestamp = Timestamp::from_nanos(2);

/// Beyond any clock lead.
fn far_ahead() -> Timestamp {
    BEGIN + Duration::from_secs(1 << 30)
}

/// Within the clock lead of a sweep at the beginning.
fn soon() -> Timestamp {
    BEGIN + Duration::from_secs(30)
}

pub fn models() -> Vec<Model> {
    vec![
        Model::new(
            "claims::two_updates_of_one_node",
            USUAL,
            || world(builder(), &[(NODE, Claim::alive(1))]),
            &[
                |w: &World| {
                    let _ = w.claim(Claim::suspect(1), T1);
                },
                |w: &World| {
                    let _ = w.claim(Claim::alive(2), T2);
                },
            ],
            |w: &World| {
                assert_eq!(w.state(NODE), Some(Claim::alive(2)));
                assert!(w.tracker.get(&NODE).unwrap().last_update >= T2);
                // One unbroken chain from the first packed state to the last.
                let mut previous: Vec<Claim> = w
                    .verdicts()
                    .into_iter()
                    .filter_map(|verdict| match verdict {
                        Verdict::Applied { previous } => Some(previous),
                        _ => None,
                    })
                    .collect();
                previous.sort_by_key(|claim| (claim.incarnation(), claim.status()));
                assert_eq!(previous[0], Claim::alive(1));
                assert!(previous.len() == 1 || previous[1] == Claim::suspect(1));
            },
        ),
        Model::new(
            "claims::last_update_before_publish",
            Bounds::new(
                3,
                3,
                "the reader looks twice (packed, last_update) while the writer writes twice: each can be cut once, and one is spare",
            ),
            || world(builder(), &[(NODE, Claim::alive(1))]),
            &[
                |w: &World| {
                    let _ = w.claim(Claim::suspect(1), T2);
                },
                |w: &World| {
                    let state = w.tracker.get(&NODE).unwrap();
                    let own = if state.claim() == Claim::suspect(1) {
                        T2
                    } else {
                        BEGIN
                    };
                    assert!(state.last_update >= own);
                },
            ],
            |_| {},
        ),
        Model::new(
            "claims::a_handles_reader_never_sees_an_older_last_update",
            Bounds::new(
                3,
                3,
                "as for one claim, and one preemption more for the second",
            ),
            || world(builder(), &[(NODE, Claim::alive(1))]),
            &[
                |w: &World| {
                    let _ = w.claim(Claim::alive(2), T1);
                    let _ = w.claim(Claim::alive(3), T2);
                },
                |w: &World| {
                    let state = w.handle.as_ref().unwrap().state().unwrap();
                    assert!(state.last_update.as_nanos() >= state.incarnation.get() - 1);
                },
            ],
            |_| {},
        ),
        Model::new(
            "claims::packed_states_only_rise",
            USUAL,
            || world(builder(), &[(NODE, Claim::alive(1))]),
            &[
                |w: &World| {
                    let _ = w.claim(Claim::alive(3), T1);
                    let first = w.state(NODE).unwrap();
                    let second = w.state(NODE).unwrap();
                    let rank = |claim: Claim| (claim.incarnation(), claim.status());
                    assert!(rank(Claim::alive(3)) <= rank(first));
                    assert!(rank(first) <= rank(second));
                },
                |w: &World| {
                    let _ = w.claim(Claim::suspect(2), T1);
                },
            ],
            |_| {},
        ),
        Model::new(
            "claims::update_against_sweep_on_the_exact_packed_state",
            Bounds::new(
                2,
                1,
                "the claim as a whole between the sweep's judgement and its exchange is one preemption; the plain arm cuts the claim, too",
            ),
            || world(builder(), &[(NODE, Claim::dead(1))]),
            &[
                |w: &World| {
                    let _ = w.claim(Claim::alive(2), later());
                },
                |w: &World| {
                    let _ = w.tracker.sweep(later());
                },
            ],
            |w: &World| {
                // Whichever came first, the claim is what the table holds.
                assert_eq!(w.state(NODE), Some(Claim::alive(2)));
                assert_eq!(w.tracker.len(), 1);
                assert_eq!(w.tracker.iter().count(), 1);
            },
        ),
        Model::new(
            "claims::refutation_against_the_end_of_a_suspicion",
            USUAL,
            || {
                let builder = builder().suspect_timeout(std::time::Duration::from_secs(1));
                world(builder, &[(NODE, Claim::suspect(1))])
            },
            &[
                |w: &World| {
                    let _ = w.claim(Claim::alive(2), later());
                },
                |w: &World| {
                    let _ = w.tracker.sweep(later());
                },
            ],
            |w: &World| {
                assert_eq!(w.state(NODE), Some(Claim::alive(2)));
                let previous = match w.verdicts()[0] {
                    Verdict::Applied { previous } => previous,
                    other => panic!("{other}"),
                };
                assert!([Claim::suspect(1), Claim::dead(1)].contains(&previous));
            },
        ),
        // A claim that finds the last update high enough raises nothing, and the sweep brings it back meanwhile.
        Model::new(
            "claims::a_claim_against_a_last_update_brought_back",
            USUAL,
            || {
                let w = world(builder(), &[]);
                let _ = w.tracker.update(&NODE, Claim::alive(1), far_ahead());
                w
            },
            &[
                |w: &World| {
                    let _ = w.claim(Claim::suspect(1), soon());
                },
                |w: &World| {
                    let _ = w.tracker.sweep(BEGIN);
                },
                |w: &World| {
                    let state = w.tracker.get(&NODE).unwrap();
                    assert!(state.last_update >= soon(), "{state:?}");
                },
            ],
            |w: &World| {
                let state = w.tracker.get(&NODE).unwrap();
                assert_eq!(state.claim(), Claim::suspect(1));
                assert!(state.last_update >= soon(), "{state:?}");
                assert!(state.last_update < far_ahead());
            },
        ),
    ]
}
