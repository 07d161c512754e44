//! The node's own incarnation: no value is given out twice, and one that is seen was reserved before.

use std::sync::Mutex;

use incarnation::model::atomic::{AtomicBool, Ordering};

use crate::world::{Tracker, builder};
use crate::{Model, USUAL};

struct Refuting {
    tracker: Tracker,
    given: Mutex<Vec<u64>>,
}

fn refute(w: &Refuting) {
    let given = w.tracker.local().refute(3).unwrap();
    w.given.lock().unwrap().push(given.get());
}

/// A thread writes something before it takes a new incarnation, as a durable one does on the disk.
struct Reserving {
    tracker: Tracker,
    reserved: AtomicBool,
}

fn reserving() -> Reserving {
    Reserving {
        tracker: builder().build().unwrap(),
        reserved: AtomicBool::new(false),
    }
}

/// Only this thread reaches the incarnation 4.
fn reserve_and_refute(w: &Reserving) {
    w.reserved.store(true, Ordering::Relaxed);
    // Nothing is given out once the node has left.
    let _ = w.tracker.local().refute(3);
}

impl Reserving {
    fn assert_reserved(&self, seen: u64) {
        assert!(seen < 4 || self.reserved.load(Ordering::Relaxed));
    }
}

pub fn models() -> Vec<Model> {
    vec![
        Model::new(
            "local::two_threads_refute",
            USUAL,
            || Refuting {
                tracker: builder().build().unwrap(),
                given: Mutex::default(),
            },
            &[refute, refute],
            |w: &Refuting| {
                let mut given = w.given.lock().unwrap().clone();
                given.sort_unstable();
                assert_eq!(given, [4, 5]);
                assert_eq!(w.tracker.local().current().get(), 5);
            },
        ),
        Model::new(
            "local::an_incarnation_is_seen_after_it_was_reserved",
            USUAL,
            reserving,
            &[reserve_and_refute, |w: &Reserving| {
                w.assert_reserved(w.tracker.local().current().get());
            }],
            |_| {},
        ),
        Model::new(
            "local::a_thread_that_advances_sees_what_was_reserved",
            USUAL,
            reserving,
            &[reserve_and_refute, |w: &Reserving| {
                let own = w.tracker.local().advance_to(3).unwrap();
                w.assert_reserved(own.get());
            }],
            |w: &Reserving| assert_eq!(w.tracker.local().current().get(), 4),
        ),
        Model::new(
            "local::a_thread_that_leaves_sees_what_was_reserved",
            USUAL,
            reserving,
            &[reserve_and_refute, |w: &Reserving| {
                let left = w.tracker.local().leave();
                w.assert_reserved(left.incarnation().get());
            }],
            |w: &Reserving| assert!(w.tracker.local().has_left()),
        ),
    ]
}
