//! Recycling: an entry that serves another lifetime is whole, and is handed out once.

use std::num::NonZeroU32;
use std::sync::Mutex;

use incarnation::model::{FreeIndexes, with_two_classes};
use incarnation::{Claim, SweepScope};

use crate::world::{BEGIN, NODE, OTHER, World, builder, later, world};
use crate::{Bounds, Model, USUAL};

/// The free indexes, and those that are taken.
type Shared = (FreeIndexes, Mutex<Vec<NonZeroU32>>);

/// An index that a head of the class can name.
fn take_of_class(indexes: &FreeIndexes, class: u32) -> Option<NonZeroU32> {
    let index = indexes.take_for(class)?;
    assert_eq!(index.get() % 2, class);
    Some(index)
}

/// Gives an index of one class back, and takes one of each class.
fn use_two_classes((indexes, taken): &Shared, class: u32) {
    let first = take_of_class(indexes, class).unwrap();
    indexes.give_back(first);
    for class in [class, 1 - class] {
        // Before the lock, which no switch of threads must happen under.
        let index = take_of_class(indexes, class);
        taken.lock().unwrap().extend(index);
    }
}

pub fn models() -> Vec<Model> {
    vec![
        Model::new(
            "recycling::a_recycled_entry_is_whole",
            Bounds::new(
                2,
                1,
                "the reuse is cut between two of its steps, and the removal between two of its own, in the plain arm; with \
                 shadows one of the two",
            ),
            || world(builder(), &[(NODE, Claim::alive(1))]),
            &[
                |w: &World| {
                    w.tracker.remove(&NODE, BEGIN);
                },
                |w: &World| {
                    let _ = w.tracker.update(&OTHER, Claim::alive(2), BEGIN);
                },
            ],
            |w: &World| {
                assert_eq!(w.state(NODE), None);
                assert_eq!(w.state(OTHER), Some(Claim::alive(2)));
            },
        ),
        Model::new(
            "recycling::the_free_list_goes_on_where_it_says",
            Bounds::new(
                2,
                0,
                "the reuse as a whole between two steps of the removal takes one; the plain arm cuts the reuse, too. With \
                 shadows, one more preemption takes minutes",
            ),
            // The entry that is recycled used to point to the other one.
            || {
                let nodes = [(OTHER, Claim::alive(2)), (NODE, Claim::alive(1))];
                world(builder().hard_limit(4), &nodes)
            },
            &[
                |w: &World| {
                    w.tracker.remove(&NODE, BEGIN);
                },
                |w: &World| {
                    let _ = w.tracker.update(&3, Claim::alive(3), BEGIN);
                    let _ = w.tracker.update(&4, Claim::alive(4), BEGIN);
                },
            ],
            |w: &World| {
                for node in [OTHER, 3, 4] {
                    assert_eq!(w.state(node), Some(Claim::alive(u64::from(node))));
                }
            },
        ),
        Model::new(
            "recycling::a_batch_is_whole",
            USUAL,
            || world(builder(), &[(NODE, Claim::alive(1))]),
            &[
                |w: &World| {
                    w.tracker.pin().remove(&NODE, BEGIN);
                },
                |w: &World| {
                    let _ = w.tracker.sweep(BEGIN);
                },
            ],
            |w: &World| {
                let _ = w.tracker.sweep(BEGIN);
                assert_eq!(w.tracker.pending_reclaim(), 0);
            },
        ),
        Model::new(
            "recycling::two_collectors_share_the_work",
            USUAL,
            || {
                let w = world(
                    builder(),
                    &[(NODE, Claim::alive(1)), (OTHER, Claim::alive(1))],
                );
                let view = w.tracker.pin();
                view.remove(&NODE, BEGIN);
                view.remove(&OTHER, BEGIN);
                drop(view);
                w
            },
            &[
                |w: &World| {
                    let _ = w.tracker.sweep(BEGIN);
                },
                |w: &World| {
                    let _ = w.tracker.sweep(BEGIN);
                },
            ],
            |w: &World| {
                let _ = w.tracker.sweep(BEGIN);
                assert_eq!(w.tracker.pending_reclaim(), 0);
                // Both entries can be had again, each once.
                let _ = w.tracker.update(&NODE, Claim::alive(3), BEGIN);
                let _ = w.tracker.update(&OTHER, Claim::alive(4), BEGIN);
                assert_eq!(w.state(NODE), Some(Claim::alive(3)));
                assert_eq!(w.state(OTHER), Some(Claim::alive(4)));
            },
        ),
        Model::new(
            "recycling::what_a_view_holds_up_is_merged_and_let_go",
            USUAL,
            || {
                let nodes = [(OTHER, Claim::alive(1)), (NODE, Claim::alive(1))];
                world(builder(), &nodes)
            },
            &[
                |w: &World| {
                    let view = w.tracker.pin();
                    for (_, state) in view.iter() {
                        assert_eq!(state.claim(), Claim::alive(1));
                    }
                },
                |w: &World| {
                    w.tracker.remove(&NODE, BEGIN);
                    w.tracker.remove(&OTHER, BEGIN);
                },
            ],
            |w: &World| {
                let _ = w.tracker.sweep(BEGIN);
                assert_eq!(w.tracker.pending_reclaim(), 0);
                // Both entries can be had again, each once.
                let _ = w.tracker.update(&3, Claim::alive(3), BEGIN);
                let _ = w.tracker.update(&4, Claim::alive(4), BEGIN);
                assert_eq!(w.state(3), Some(Claim::alive(3)));
                assert_eq!(w.state(4), Some(Claim::alive(4)));
            },
        ),
        // The array by itself: in a table this takes three claims at once, two of them about one unknown node, of
        // which the slower one gives back at once what it took.
        Model::new(
            "recycling::an_index_comes_back_while_another_thread_takes_it",
            USUAL,
            || {
                let indexes = FreeIndexes::new(3);
                let two = [(); 2].map(|()| indexes.take().unwrap());
                for index in two {
                    indexes.give_back(index);
                }
                (indexes, Mutex::default())
            },
            &[
                |(indexes, taken): &Shared| {
                    let index = indexes.take().unwrap();
                    taken.lock().unwrap().push(index);
                },
                |(indexes, taken): &Shared| {
                    let (first, second) = (indexes.take(), indexes.take());
                    if let Some(first) = first {
                        indexes.give_back(first);
                    }
                    taken.lock().unwrap().extend(second);
                },
            ],
            |(indexes, taken): &Shared| {
                let mut taken = taken.lock().unwrap();
                taken.extend(std::iter::from_fn(|| indexes.take()));
                taken.sort_unstable();
                assert_eq!(taken.len(), 3);
                taken.dedup();
                assert_eq!(taken.len(), 3, "no index is taken twice");
            },
        ),
        Model::new(
            "recycling::an_index_returns_to_its_own_class",
            USUAL,
            || (with_two_classes(|| FreeIndexes::new(4)), Mutex::default()),
            &[
                |shared: &Shared| use_two_classes(shared, 0),
                |shared: &Shared| use_two_classes(shared, 1),
            ],
            |(indexes, taken): &Shared| {
                let mut taken = taken.lock().unwrap();
                for class in [0, 1] {
                    taken.extend(std::iter::from_fn(|| take_of_class(indexes, class)));
                }
                taken.sort_unstable();
                taken.dedup();
                assert_eq!(taken.len(), 4, "each index once, and none is lost");
            },
        ),
        // What was settled before the batches were taken says nothing of those that came in between.
        Model::new(
            "recycling::a_collection_while_a_sweep_tells",
            USUAL,
            || world(builder(), &[(NODE, Claim::dead(1))]),
            &[
                |w: &World| {
                    let _ = w.tracker.sweep(BEGIN);
                },
                |w: &World| {
                    let everything = SweepScope::Everything;
                    let _ = w.tracker.sweep_with(everything, later(), |swept| {
                        assert_eq!(*swept.node, NODE);
                    });
                },
            ],
            |w: &World| {
                let _ = w.tracker.sweep(BEGIN);
                assert_eq!(w.tracker.pending_reclaim(), 0);
            },
        ),
    ]
}
