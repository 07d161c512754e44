//! Counts of what is rare: a node joined, left, was refused; a sweep ran.
//!
//! Each on a line of the thread that it befell; lookups, duplicates and stale claims touch nothing
//! here. The algorithms rely on none of these numbers but the joins, which move before
//! [`ProbeOrder`](crate::ProbeOrder) must see one, and before a snapshot can miss one, so under the model checker they stay the standard
//! library's and cost it nothing.
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicU64, Ordering};

use crate::rule::Rejection;
use crate::sync::Padded;
use crate::table::stripe_of_this_thread;

/// Lines of a large table.
const STRIPES: usize = 8;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Joined,
    UnconfirmedExpired,
    DeadRetention,
    CapacityEvicted,
    Removed,
    Forgotten,
    DeclaredDead,
    OutOfRange,
    Unrefutable,
    SuspiciousJump,
    Unconfirmed,
    AtCapacity,
    RefusedBuried,
    Zombie,
    Buried,
    /// A sweep, or a slice of one.
    Swept,
}

/// How many kinds of events there are.
const EVENTS: usize = Event::Swept as usize + 1;

impl From<Rejection> for Event {
    fn from(reason: Rejection) -> Self {
        match reason {
            Rejection::OutOfRange => Self::OutOfRange,
            Rejection::Unrefutable => Self::Unrefutable,
            Rejection::SuspiciousJump { .. } => Self::SuspiciousJump,
            Rejection::Unconfirmed => Self::Unconfirmed,
            Rejection::AtCapacity => Self::AtCapacity,
            Rejection::Buried { .. } => Self::RefusedBuried,
            Rejection::Zombie { .. } => Self::Zombie,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Tally(Box<[Padded<[AtomicU64; EVENTS]>]>);

impl Tally {
    pub(crate) fn new(large: bool) -> Self {
        let stripes = if large { STRIPES } else { 1 };
        Self((0..stripes).map(|_| Padded::default()).collect())
    }

    #[inline]
    pub(crate) fn count(&self, event: impl Into<Event>) {
        let line = &self.0[stripe_of_this_thread() % self.0.len()];
        // Release: who sees the number sees what it counts; see `of`.
        line[event.into() as usize].fetch_add(1, Ordering::Release);
    }

    /// How often it happened so far. Whoever asks again only when this has moved misses nothing: a
    /// number that is seen comes with the event.
    pub(crate) fn of(&self, event: Event) -> u64 {
        self.0
            .iter()
            // Acquire: see `count`.
            .map(|line| line[event as usize].load(Ordering::Acquire))
            .sum()
    }
}
