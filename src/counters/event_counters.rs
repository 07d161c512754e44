//! Counts of what is rare: a node joined, left, was refused; a sweep ran.
//!
//! Each on a line of the thread that it befell; lookups, duplicates and stale claims touch nothing
//! here. The algorithms rely on none of these numbers but the joins: they move after the node is in the table
//! and before its tombstone ends, so that [`ProbeOrder`](crate::ProbeOrder) sees each one, and neither a snapshot nor a
//! judgement takes a node for unknown that was not. (A merge may end a tombstone before the joiner has counted itself, and then counts for
//! it: see `arrivals`.) The model checker sees these, and the rest costs it nothing.
#![forbid(unsafe_code)]

use core::sync::atomic;

use crate::rule::Rejection;
use crate::sync::Padded;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::table::stripe_of_this_thread;

/// Lines of a large table.
const STRIPES: usize = 8;

/// What is counted, besides joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
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
    UnknownNode,
    AtCapacity,
    PendingReclaim,
    RefusedTombstone,
    Zombie,
    TombstoneWritten,
    /// A sweep, or a slice of one.
    Swept,
}

/// How many kinds of events there are besides joins.
const OTHERS: usize = Event::Swept as usize + 1;

impl From<Rejection> for Event {
    fn from(reason: Rejection) -> Self {
        match reason {
            Rejection::OutOfRange { .. } => Self::OutOfRange,
            Rejection::Unrefutable { .. } => Self::Unrefutable,
            Rejection::SuspiciousJump { .. } => Self::SuspiciousJump,
            Rejection::Unconfirmed => Self::Unconfirmed,
            Rejection::UnknownNode => Self::UnknownNode,
            Rejection::AtCapacity => Self::AtCapacity,
            Rejection::PendingReclaim => Self::PendingReclaim,
            Rejection::Tombstone { .. } => Self::RefusedTombstone,
            Rejection::Zombie { .. } => Self::Zombie,
        }
    }
}

#[derive(Debug, Default)]
struct Line {
    joins: AtomicU64,
    /// Tombstones that somebody else ended for a joiner.
    ended: AtomicU64,
    others: [atomic::AtomicU64; OTHERS],
}

#[derive(Debug)]
pub(crate) struct EventCounters(Box<[Padded<Line>]>);

impl EventCounters {
    pub(crate) fn new(large: bool) -> Self {
        let stripes = if large { STRIPES } else { 1 };
        Self((0..stripes).map(|_| Padded::default()).collect())
    }

    fn line(&self) -> &Line {
        &self.0[stripe_of_this_thread() % self.0.len()]
    }

    /// A node joined.
    #[inline]
    pub(crate) fn count_join(&self) {
        // Release: who sees the number sees the node, or what became of it. Pinned by
        // `tombstones::a_judgement_while_a_whole_life_ends_the_tombstone`, as is its other side.
        self.line().joins.fetch_add(1, Ordering::Release);
    }

    /// A tombstone is about to be ended for a node that was seen to have joined, and that its joiner may not have
    /// counted yet.
    pub(crate) fn count_tombstone_cleared_for_joiner(&self) {
        // Release: as for a join. (That it is counted at all is shown by
        // `tombstones::a_snapshot_while_a_merged_tombstone_meets_a_join`.)
        self.line().ended.fetch_add(1, Ordering::Release);
    }

    /// How many nodes joined so far.
    pub(crate) fn joins(&self) -> u64 {
        // Relaxed: a number, and nothing else.
        let joins = |line: &Padded<Line>| line.joins.load(Ordering::Relaxed);
        self.0.iter().map(joins).sum()
    }

    /// A number that has moved whenever a node joined. Whoever asks again only then misses nothing: a
    /// number that is seen comes with the node.
    pub(crate) fn arrivals(&self) -> u64 {
        // Acquire: see there.
        let arrivals = |line: &Padded<Line>| {
            line.joins.load(Ordering::Acquire) + line.ended.load(Ordering::Acquire)
        };
        self.0.iter().map(arrivals).sum()
    }

    #[inline]
    pub(crate) fn count(&self, event: impl Into<Event>) {
        // Relaxed: a number, and nothing else.
        self.line().others[event.into() as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How often it happened so far.
    pub(crate) fn of(&self, event: Event) -> u64 {
        // Relaxed: as above.
        let count = |line: &Padded<Line>| line.others[event as usize].load(Ordering::Relaxed);
        self.0.iter().map(count).sum()
    }
}
