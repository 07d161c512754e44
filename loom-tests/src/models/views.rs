//! Views: what a view can reach is not used again while it is held.

use std::sync::Mutex;

#[cfg(not(incarnation_portable))]
use incarnation::model::Membarrier;
use incarnation::model::atomic::{AtomicBool, Ordering};
use incarnation::model::{heavy_fence, light_fence};
use incarnation::{Claim, Reclaimer};

use crate::world::{BEGIN, NODE, OTHER, World, builder, world};
use crate::{Bounds, Model, USUAL};

/// Removes the node, and has its entry serve another key as soon as it may.
fn remove_and_reuse(w: &World) {
    w.tracker.remove(&NODE, BEGIN);
    let _ = w.tracker.update(&OTHER, Claim::alive(2), BEGIN);
}

fn reader_is_consistent(w: &World) {
    let state = w.state(NODE);
    assert!(state.is_none() || state == Some(Claim::alive(1)));
}

/// The same with a record for this look alone.
#[cfg(not(incarnation_portable))]
fn get_alone(w: &World) {
    let state = incarnation::model::get_alone(&w.tracker, &NODE);
    assert!(state.is_none_or(|state| state.claim() == Claim::alive(1)));
}

/// There is none in the portable scheme, where this model does not run.
#[cfg(incarnation_portable)]
fn get_alone(_: &World) {}

#[cfg(not(incarnation_portable))]
const READERS: Bounds = Bounds::new(
    3,
    2,
    "the reader is cut between its pin and its read, the other between unlinking, ticket and scan of the \
     records; one is spare",
);

#[cfg(incarnation_portable)]
const READERS: Bounds = Bounds::new(
    2,
    1,
    "the reader is cut between its pin and its read, the other once; crossbeam's own steps are many, and every \
     weakening of this scheme is caught with these",
);

/// Of a view that is held while another removes and uses again.
#[cfg(not(incarnation_portable))]
const HELD: Bounds = USUAL;
#[cfg(incarnation_portable)]
const HELD: Bounds = READERS;

/// Two threads, each of which writes its own flag and then reads the other's.
struct Flags {
    reclaimer: Reclaimer,
    flags: [AtomicBool; 2],
    /// What each read, unseen by the checker.
    saw: Mutex<[bool; 2]>,
}

impl Flags {
    fn write_and_read(&self, me: usize, fence: impl FnOnce(&Reclaimer)) {
        self.flags[me].store(true, Ordering::Relaxed);
        fence(&self.reclaimer);
        let saw = self.flags[1 - me].load(Ordering::Relaxed);
        self.saw.lock().unwrap()[me] = saw;
    }
}

/// The pair of fences of a reclaimer, with nothing else around that could order anything.
fn a_light_fence_against_a_heavy_one() -> Model {
    Model::new(
        "views::a_light_fence_against_a_heavy_one",
        USUAL,
        || Flags {
            reclaimer: Reclaimer::private(),
            flags: Default::default(),
            saw: Mutex::default(),
        },
        &[
            |w: &Flags| w.write_and_read(0, light_fence),
            |w: &Flags| w.write_and_read(1, |reclaimer| assert!(heavy_fence(reclaimer))),
        ],
        |w: &Flags| {
            let saw = *w.saw.lock().unwrap();
            assert_ne!(saw, [false, false], "each missed the other's flag");
        },
    )
}

pub fn models() -> Vec<Model> {
    vec![
        a_light_fence_against_a_heavy_one(),
        Model::new(
            "views::lookup_across_unlink_and_recycling",
            READERS,
            || world(builder(), &[(NODE, Claim::alive(1))]),
            &[reader_is_consistent, remove_and_reuse],
            |w: &World| assert_eq!(w.state(OTHER), Some(Claim::alive(2))),
        ),
        // Where the kernel refuses membarrier from the start, both sides use real fences.
        #[cfg(not(incarnation_portable))]
        Model::new(
            "views::a_lookup_where_membarrier_is_refused",
            READERS,
            || world(builder(), &[(NODE, Claim::alive(1))]),
            &[reader_is_consistent, remove_and_reuse],
            |w: &World| assert_eq!(w.state(OTHER), Some(Claim::alive(2))),
        )
        .on(Membarrier::Refused),
        // Where it fails once readers rely on it, nothing may be used again.
        #[cfg(not(incarnation_portable))]
        Model::new(
            "views::a_lookup_where_membarrier_fails_later",
            READERS,
            || world(builder(), &[(NODE, Claim::alive(1))]),
            &[reader_is_consistent, remove_and_reuse],
            |w: &World| {
                let _ = w.tracker.sweep(BEGIN);
                assert_eq!(w.tracker.pending_reclaim(), 1);
            },
        )
        .on(Membarrier::FailsLater),
        Model::new(
            "views::a_repinned_view_keeps_what_it_sees",
            READERS,
            || world(builder(), &[(NODE, Claim::alive(1))]),
            &[
                |w: &World| {
                    let mut view = w.tracker.pin();
                    view.repin();
                    let state = view.get(&NODE);
                    assert!(state.is_none_or(|state| state.claim() == Claim::alive(1)));
                },
                remove_and_reuse,
            ],
            |w: &World| assert_eq!(w.state(OTHER), Some(Claim::alive(2))),
        ),
        Model::new(
            "views::a_second_pin_keeps_the_first_unpin",
            READERS,
            || world(builder(), &[(NODE, Claim::alive(1))]),
            &[
                |w: &World| {
                    reader_is_consistent(w);
                    drop(w.tracker.pin());
                },
                remove_and_reuse,
            ],
            |_| {},
        ),
        Model::new(
            "views::a_held_view_reads_on",
            HELD,
            || world(builder(), &[(NODE, Claim::alive(1))]),
            &[
                |w: &World| {
                    let view = w.tracker.pin();
                    let first = view.get(&NODE).is_some();
                    let second = view.get(&NODE).is_some();
                    assert!(first || !second);
                },
                remove_and_reuse,
            ],
            |_| {},
        ),
        Model::new(
            "views::an_inner_view_leaves_the_outer_pinned",
            READERS,
            || world(builder(), &[(NODE, Claim::alive(1))]),
            &[
                |w: &World| {
                    let outer = w.tracker.pin();
                    drop(w.tracker.pin());
                    let _ = w.tracker.get(&OTHER);
                    assert!(
                        outer
                            .get(&NODE)
                            .is_none_or(|state| state.incarnation.get() == 1)
                    );
                },
                remove_and_reuse,
            ],
            |_| {},
        ),
        Model::new(
            "views::a_view_keeps_what_it_saw_and_lets_it_go",
            USUAL,
            || world(builder(), &[(NODE, Claim::alive(1))]),
            &[
                |w: &World| {
                    let mut view = w.tracker.pin();
                    for (node, state) in view.iter() {
                        assert_eq!((*node, state.claim()), (NODE, Claim::alive(1)));
                        // Still the same, however far the other thread came meanwhile.
                        assert_eq!(*node, NODE);
                    }
                    view.repin();
                    let _ = view.get(&NODE);
                },
                |w: &World| {
                    w.tracker.remove(&NODE, BEGIN);
                },
            ],
            |w: &World| {
                let held = w.tracker.pin();
                let _ = w.tracker.update(&OTHER, Claim::alive(2), BEGIN);
                w.tracker.remove(&OTHER, BEGIN);
                assert!(w.tracker.pending_reclaim() >= 1, "the view held it back");
                drop(held);
                let _ = w.tracker.sweep(BEGIN);
                assert_eq!(w.tracker.pending_reclaim(), 0);
            },
        ),
        // In a world of two roles one of them made the world, and has its record already.
        Model::new(
            "views::two_threads_that_are_new",
            Bounds::new(
                2,
                0,
                "three threads, of which one does nothing: the others register at once, each cut once while it does",
            ),
            || world(builder(), &[(NODE, Claim::alive(1))]),
            &[|_: &World| {}, reader_is_consistent, remove_and_reuse],
            |w: &World| assert_eq!(w.state(OTHER), Some(Claim::alive(2))),
        ),
        Model::new(
            "views::a_record_that_is_passed_on_while_another_takes_it",
            Bounds::new(
                1,
                0,
                "three threads: one is cut between two steps of giving its record back or taking it, by the others as a \
                 whole",
            ),
            || world(builder(), &[(NODE, Claim::alive(1))]),
            &[get_alone, get_alone, remove_and_reuse],
            |w: &World| assert_eq!(w.state(OTHER), Some(Claim::alive(2))),
        ),
    ]
}
