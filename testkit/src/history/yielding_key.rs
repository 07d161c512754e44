//! A key that gives up the processor in the middle of operations.
//!
//! A table compares, hashes and clones keys at its most delicate moments: while it walks a chain,
//! before it links an entry, between a look at the tombstones and the next. A thread that is sent away
//! there leaves the others room for whole lifetimes. On a machine with few processors that is what
//! makes rare interleavings common.

use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::thread;

use super::Key;

thread_local! {
    /// Calls until the next rest, and how many there are between two; 0 never rests.
    static REST: Cell<(u32, u32)> = const { Cell::new((0, 0)) };
}

/// A restless key.
#[derive(Debug)]
pub struct YieldingKey(pub Key);

impl YieldingKey {
    /// Makes this thread's keys rest at every `period`-th touch; 0: never.
    pub fn every(period: u32) {
        REST.set((period, period));
    }

    fn touch() {
        let (left, period) = REST.get();
        if period == 0 {
            return;
        }
        if left > 1 {
            REST.set((left - 1, period));
        } else {
            REST.set((period, period));
            thread::yield_now();
        }
    }
}

impl Clone for YieldingKey {
    fn clone(&self) -> Self {
        Self::touch();
        Self(self.0)
    }
}

impl PartialEq for YieldingKey {
    fn eq(&self, other: &Self) -> bool {
        Self::touch();
        self.0 == other.0
    }
}

impl Eq for YieldingKey {}

impl Hash for YieldingKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Self::touch();
        state.write_u8(self.0);
    }
}
