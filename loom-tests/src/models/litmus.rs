//! The checker itself: with shadows it must see every outcome of a load against a load-then-exchange.
//! If this fails, the green of the other models proves nothing.

use std::collections::BTreeSet;
use std::sync::Mutex;

use incarnation::model::atomic::{AtomicU64, Ordering};

use crate::{Bounds, Model, UNBOUNDED};

struct Litmus {
    x: AtomicU64,
    y: AtomicU64,
}

/// What the reader saw in the executions of one arm.
static SEEN: Mutex<BTreeSet<(u64, u64)>> = Mutex::new(BTreeSet::new());

pub fn models() -> Vec<Model> {
    vec![
        Model::new(
            "litmus::load_then_exchange_is_explored",
            Bounds::new(
                UNBOUNDED,
                UNBOUNDED,
                "so few steps that all of them can be explored",
            ),
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
                    litmus.x.load(Ordering::Acquire);
                    let _ = litmus
                        .x
                        .compare_exchange(0, 1, Ordering::AcqRel, Ordering::Acquire);
                    litmus.y.fetch_max(1, Ordering::AcqRel);
                },
            ],
            |_| {},
        )
        .after_each_arm(|shadowed| {
            let seen = std::mem::take(&mut *SEEN.lock().unwrap());
            println!("  litmus: shadows {shadowed}: outcomes {seen:?}");
            assert!(!shadowed || seen.len() == 4, "the checker misses outcomes");
        }),
    ]
}
