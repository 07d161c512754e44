//! What threads keep for themselves: numbers, cached entries, credits of the count of live entries, lines of counts.

use std::sync::atomic::{AtomicBool, Ordering as Unseen};

use incarnation::model::{NumbersModel, with_two_classes};
use incarnation::{Claim, Rejection, SweepScope, Verdict};

use crate::world::{BEGIN, Chains, NODE, OTHER, World, builder, world};
use crate::{Bounds, Model, USUAL};

const THIRD: u8 = 3;

const FULL: Verdict = Verdict::Rejected(Rejection::AtCapacity);

fn reader_is_consistent(w: &World) {
    let state = w.state(NODE);
    assert!(state.is_none() || state == Some(Claim::alive(1)));
}

/// Each occupied index is a node's, and each index can be taken again.
fn nothing_is_lost(w: &World) {
    w.assert_nothing_lost();
}

/// One node in a chain of its own, so that no head orders its removal before the join of an even key; and how far the threads
/// came, which the checker does not see.
struct CalledIn {
    world: World,
    is_removed: AtomicBool,
    are_called_in: AtomicBool,
}

fn one_among_even_keys() -> CalledIn {
    let builder = builder().per_thread().hard_limit(4).hasher(Chains::Two);
    CalledIn {
        world: world(builder, &[(NODE, Claim::alive(1))]),
        is_removed: AtomicBool::new(false),
        are_called_in: AtomicBool::new(false),
    }
}

pub fn models() -> Vec<Model> {
    vec![
        Model::new(
            "caches::a_number_is_passed_on_with_all_that_was_written_under_it",
            USUAL,
            NumbersModel::new,
            &[
                |numbers: &NumbersModel| {
                    let _ = numbers.count_under_zero();
                },
                |numbers: &NumbersModel| {
                    let _ = numbers.count_under_zero();
                },
            ],
            |numbers: &NumbersModel| {
                let before = numbers.counted();
                assert!((1..=2).contains(&before));
                assert_eq!(numbers.count_under_zero(), 0, "given back by both");
                assert_eq!(numbers.counted(), before + 1);
            },
        ),
        Model::new(
            "caches::a_cache_is_cleared_between_two_visits_of_its_owner",
            Bounds::new(
                2,
                0,
                "the sweep as a whole between two visits, or cut once within one. What is shown is a lock that is tried, with no \
                 load before its exchange, which is what the shadows are for",
            ),
            || {
                let nodes = [(NODE, Claim::alive(1))];
                world(builder().per_thread(), &nodes)
            },
            &[
                |w: &World| {
                    w.tracker.pin().remove(&NODE, BEGIN);
                    let verdict = w.tracker.update(&OTHER, Claim::alive(2), BEGIN);
                    assert_eq!(verdict, Verdict::Joined);
                },
                |w: &World| {
                    let _ = w.tracker.sweep_with(SweepScope::Dead, BEGIN, |_| {});
                },
            ],
            |w: &World| {
                assert_eq!(w.state(NODE), None);
                assert_eq!(w.state(OTHER), Some(Claim::alive(2)));
                nothing_is_lost(w);
            },
        ),
        // The entry of a removed node is of another class than the node that joins next, so the cache keeps it.
        Model::new(
            "caches::a_cache_of_two_classes_is_cleared_between_two_visits_of_its_owner",
            Bounds::new(
                2,
                0,
                "as for one class",
            ),
            || {
                let nodes = [(NODE, Claim::alive(1))];
                with_two_classes(|| world(builder().hasher(Chains::Two).per_thread(), &nodes))
            },
            &[
                |w: &World| {
                    w.tracker.pin().remove(&NODE, BEGIN);
                    for (node, claim) in [(OTHER, Claim::alive(2)), (NODE, Claim::alive(3))] {
                        let verdict = w.tracker.update(&node, claim, BEGIN);
                        assert_eq!(verdict, Verdict::Joined);
                    }
                },
                |w: &World| {
                    let _ = w.tracker.sweep_with(SweepScope::Dead, BEGIN, |_| {});
                },
            ],
            |w: &World| {
                assert_eq!(w.state(NODE), Some(Claim::alive(3)));
                assert_eq!(w.state(OTHER), Some(Claim::alive(2)));
                nothing_is_lost(w);
            },
        ),
        // While all records were idle a horizon was found out; it says nothing of what is unlinked afterwards.
        Model::new(
            "caches::a_horizon_of_before_frees_nothing_that_is_unlinked_after",
            Bounds::new(
                2,
                1,
                "the reader is cut between finding the entry and reading it, by the other as a whole",
            ),
            || {
                let nodes = [(NODE, Claim::alive(1)), (OTHER, Claim::alive(1))];
                let w = world(builder().per_thread(), &nodes);
                w.tracker.remove(&OTHER, BEGIN);
                let _ = w.tracker.sweep(BEGIN);
                assert_eq!(w.tracker.pending_reclaim(), 0);
                w
            },
            &[reader_is_consistent, |w: &World| {
                w.tracker.pin().remove(&NODE, BEGIN);
                let _ = w.tracker.update(&OTHER, Claim::alive(2), BEGIN);
            }],
            nothing_is_lost,
        ),
        // One thread reads, another one finds out that it is done, a third one relies on that.
        Model::new(
            "caches::a_horizon_that_another_thread_found_out",
            Bounds::new(
                2,
                0,
                "three threads, so one arm: the reader runs first, and the finder as a whole between the third's removal and its \
                 join. What is shown is a chain of a release and an acquire, with no exchange in it",
            ),
            || {
                world(builder().per_thread(), &[(NODE, Claim::alive(1))])
            },
            &[
                |w: &World| {
                    w.tracker.pin().remove(&NODE, BEGIN);
                    let _ = w.tracker.update(&OTHER, Claim::alive(2), BEGIN);
                },
                reader_is_consistent,
                |w: &World| incarnation::model::settle(&w.tracker),
            ],
            nothing_is_lost,
        )
        .with_main(1),
        Model::new(
            "caches::credits_are_called_in_while_their_owner_joins",
            Bounds::new(
                1,
                0,
                "one is cut between its look at the credits and its exchange, by the other as a whole; with shadows it takes \
                 more than minutes",
            ),
            // One is live, and its thread has the credit of the second.
            || world(builder().per_thread(), &[(NODE, Claim::alive(1))]),
            &[
                |w: &World| {
                    let verdict = w.tracker.update(&OTHER, Claim::alive(2), BEGIN);
                    w.verdicts.lock().unwrap().push(verdict);
                },
                |w: &World| {
                    let verdict = w.tracker.update(&THIRD, Claim::alive(3), BEGIN);
                    w.verdicts.lock().unwrap().push(verdict);
                },
            ],
            |w: &World| {
                let mut verdicts = w.verdicts();
                verdicts.sort_by_key(|verdict| *verdict == FULL);
                assert_eq!(verdicts, [Verdict::Joined, FULL]);
                assert_eq!((w.tracker.len(), w.tracker.iter().count()), (2, 2));
                for node in [NODE, OTHER, THIRD] {
                    w.tracker.remove(&node, BEGIN);
                }
                assert_eq!(w.tracker.len(), 0);
                nothing_is_lost(w);
            },
        )
        .with_main(0),
        Model::new(
            "caches::a_join_while_a_judgement_calls_credits_in",
            Bounds::new(
                2,
                1,
                "the judgement between the two looks of the join, or the join within the judgement",
            ),
            // One is live, and the main thread has the credit of the second: there is room for one.
            || world(builder().per_thread(), &[(NODE, Claim::alive(1))]),
            &[
                |w: &World| {
                    let _ = w.tracker.judge(&OTHER, Claim::alive(2), BEGIN);
                },
                |w: &World| {
                    let verdict = w.tracker.update(&THIRD, Claim::alive(3), BEGIN);
                    assert_eq!(verdict, Verdict::Joined);
                },
            ],
            |w: &World| assert_eq!(w.tracker.len(), 2),
        )
        .with_main(0),
        Model::new(
            "caches::a_count_while_credits_are_drawn",
            Bounds::new(2, 1, "the draw between the looks of the count"),
            // One is live, and no thread has a credit.
            || {
                let w = world(builder().per_thread().hard_limit(4), &[(NODE, Claim::alive(1))]);
                assert!(incarnation::model::call_in_credits(&w.tracker));
                w
            },
            &[
                |w: &World| {
                    let nodes = w.tracker.len();
                    assert!((1..=4).contains(&nodes), "{nodes}");
                },
                |w: &World| {
                    let _ = w.tracker.update(&OTHER, Claim::alive(2), BEGIN);
                },
            ],
            |w: &World| assert_eq!(w.tracker.len(), 2),
        ),
        Model::new(
            "caches::a_count_while_credits_are_called_in",
            USUAL,
            // One is live, and the main thread has the credit of the second.
            || world(builder().per_thread(), &[(NODE, Claim::alive(1))]),
            &[
                |w: &World| {
                    let nodes = w.tracker.len();
                    assert!((1..=2).contains(&nodes), "{nodes}");
                },
                |w: &World| {
                    let _ = w.tracker.judge(&OTHER, Claim::alive(2), BEGIN);
                },
            ],
            |w: &World| assert_eq!(w.tracker.len(), 1),
        ),
        Model::new(
            "caches::a_join_on_called_in_credits_sees_the_removal_they_stem_from",
            Bounds::new(
                1,
                1,
                "the removal as a whole between two steps of the joins",
            ),
            || world(builder().per_thread().hard_limit(4), &[(NODE, Claim::alive(1))]),
            &[
                |w: &World| {
                    w.tracker.pin().remove(&NODE, BEGIN);
                },
                |w: &World| {
                    let view = w.tracker.pin();
                    let join = |node| view.update(&node, Claim::alive(2), BEGIN);
                    let joined = (10..14).filter(|node| join(*node) == Verdict::Joined).count();
                    assert!(view.iter().count() <= 4);
                    assert!(joined >= 3);
                },
            ],
            |_| {},
        )
        .with_main(0),
        // One thread leaves a credit, another one calls it in, a third one joins on the room.
        Model::new(
            "caches::a_join_on_a_credit_that_another_thread_called_in",
            Bounds::new(
                0,
                0,
                "three threads, one after the other. What is shown is a chain of releases and acquires, which takes no \
                 interruption",
            ),
            one_among_even_keys,
            &[
                |w: &CalledIn| {
                    w.world.tracker.pin().remove(&NODE, BEGIN);
                    w.is_removed.store(true, Unseen::Relaxed);
                },
                |w: &CalledIn| {
                    let is_removed = w.is_removed.load(Unseen::Relaxed);
                    let are_called_in = incarnation::model::call_in_credits(&w.world.tracker);
                    w.are_called_in
                        .store(is_removed && are_called_in, Unseen::Relaxed);
                },
                |w: &CalledIn| {
                    let is_later = w.are_called_in.load(Unseen::Relaxed);
                    let view = w.world.tracker.pin();
                    assert_eq!(view.update(&10, Claim::alive(2), BEGIN), Verdict::Joined);
                    assert!(!is_later || view.get(&NODE).is_none());
                },
            ],
            |_| {},
        )
        .with_main(0),
        Model::new(
            "caches::a_judgement_while_a_line_of_its_own_counts_a_join",
            Bounds::new(
                3,
                0,
                "as for the line that all threads share: `tombstones::a_judgement_while_a_whole_lifetime_ends_the_tombstone`",
            ),
            || {
                let builder = builder().per_thread().max_tombstones(2);
                let w = world(builder, &[(NODE, Claim::dead(5))]);
                w.tracker.remove(&NODE, BEGIN);
                w
            },
            &[
                |w: &World| {
                    let view = w.tracker.pin();
                    let _ = view.update(&NODE, Claim::dead(6), BEGIN);
                    view.remove(&NODE, BEGIN);
                },
                |w: &World| {
                    let tombstone = |incarnation: u64| {
                        Verdict::Rejected(Rejection::Tombstone {
                            incarnation: incarnation.into(),
                        })
                    };
                    let verdict = w.tracker.judge(&NODE, Claim::alive(5), BEGIN);
                    let current = Claim::dead(6);
                    let answers = [tombstone(5), Verdict::Stale { current }, tombstone(6)];
                    assert!(answers.contains(&verdict), "{verdict}");
                },
            ],
            |w: &World| assert_eq!(w.tracker.tombstones(), 1),
        ),
    ]
}
