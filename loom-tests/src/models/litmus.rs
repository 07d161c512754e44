//! The checker itself: with shadows it must see every outcome of a load against a load-then-exchange.
//! If this fails, the green of the other models proves nothing.

use std::collections::BTreeSet;
use std::sync::Mutex;

use incarnation::model::atomic::{AtomicU64, Ordering};

use crate::{Bounds, Model};

struct Litmus {
    x: AtomicU64,
    y: AtomicU64,
}

/// What the reader saw in all executions so far of both arms.
static SEEN: Mutex<BTreeSet<(u64, u64)>> = Mutex::new(BTreeSet::new());

pub fn models() -> Vec<Model> {
    vec![Model::new(
        "litmus::load_then_exchange_is_explored",
        Bounds {
            plain: 3,
            shadowed: 3,
        },
        || Litmus {
            x: AtomicU64::new(0),
            y: AtomicU64::new(0),
        },
        &[
            |litmus: &Litmus| {
                let a = litmus.x.load(Ordering::Relaxed);
                let b = litmus.y.load(Ordering::Relaxed);
                SEEN.lock().unwrap().insert((a, b));
            },
            |litmus: &Litmus| {
                // The load in front of the exchange is what hides the reader from the checker.
                litmus.x.load(Ordering::Relaxed);
                let _ = litmus
                    .x
                    .compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed);
                litmus.y.fetch_max(1, Ordering::Relaxed);
            },
        ],
        |_| {},
    )]
}

/// To be asked after the litmus model has run: whether all four outcomes were seen.
pub fn saw_everything() -> bool {
    SEEN.lock().unwrap().len() == 4
}
