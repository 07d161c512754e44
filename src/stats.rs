//! What a tracker counts of itself: rare events, each on a line of the thread that it befell.
//!
//! Only what is rare is counted (a node joined, left, was refused; a sweep ran); lookups, duplicates
//! and stale claims touch nothing here. The algorithms never read these numbers, so under the model
//! checker they stay the standard library's and cost it nothing.
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicU64, Ordering};

use crate::sync::Padded;
use crate::table::stripe_of_this_thread;

/// Lines of a large table.
const STRIPES: usize = 8;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A node's life began.
    Joined,
}

/// How many kinds of events there are.
const EVENTS: usize = Event::Joined as usize + 1;

#[derive(Debug)]
pub(crate) struct Tally(Box<[Padded<[AtomicU64; EVENTS]>]>);

impl Tally {
    pub(crate) fn new(large: bool) -> Self {
        let stripes = if large { STRIPES } else { 1 };
        Self((0..stripes).map(|_| Padded::default()).collect())
    }

    #[inline]
    pub(crate) fn count(&self, event: Event) {
        let line = &self.0[stripe_of_this_thread() % self.0.len()];
        // Release: who sees the number sees what it counts; see `of`.
        line[event as usize].fetch_add(1, Ordering::Release);
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
