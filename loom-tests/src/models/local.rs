//! The node's own incarnation: no value is given out twice.

use std::sync::Mutex;

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

pub fn models() -> Vec<Model> {
    vec![Model::new(
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
    )]
}
