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
use crate::table::PerThread;

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
pub(crate) struct EventCounters {
    /// Lines that one thread writes each, without locked instructions.
    own: PerThread<Line>,
    /// The line of the threads that have none.
    shared: Padded<Line>,
}

impl EventCounters {
    /// With a line for each thread that writes, or one for all.
    pub(crate) fn new(per_thread: bool) -> Self {
        Self {
            own: PerThread::new(per_thread),
            shared: Padded::default(),
        }
    }

    fn lines(&self) -> impl Iterator<Item = &Line> {
        self.own.iter().chain([&*self.shared])
    }

    /// A node joined.
    #[inline]
    pub(crate) fn count_join(&self) {
        // Release: who sees the number sees the node, or what became of it. Pinned by
        // `tombstones::a_judgement_while_a_whole_life_ends_the_tombstone`, as is its other side.
        self.count_for_all(|line| &line.joins, Ordering::Release);
    }

    /// A tombstone is about to be ended for a node that was seen to have joined, and that its joiner may not have
    /// counted yet.
    pub(crate) fn count_tombstone_cleared_for_joiner(&self) {
        // Release: as for a join. (That it is counted at all is shown by
        // `tombstones::a_snapshot_while_a_merged_tombstone_meets_a_join`.)
        self.count_for_all(|line| &line.ended, Ordering::Release);
    }

    /// Counts what other threads rely on.
    #[inline]
    fn count_for_all(&self, number: impl Fn(&Line) -> &AtomicU64, order: Ordering) {
        match self.own.own() {
            Some(line) => {
                // Relaxed: nobody else stores it. Pinned by `caches::a_judgement_while_a_line_of_its_own_counts_a_join`.
                let count = number(line).load(Ordering::Relaxed);
                number(line).store(count + 1, order);
            }
            None => {
                number(&self.shared).fetch_add(1, order);
            }
        }
    }

    /// How many nodes joined so far.
    pub(crate) fn joins(&self) -> u64 {
        // Relaxed: a number, and nothing else.
        let joins = |line: &Line| line.joins.load(Ordering::Relaxed);
        self.lines().map(joins).sum()
    }

    /// A number that has moved whenever a node joined. Whoever asks again only then misses nothing: a
    /// number that is seen comes with the node.
    pub(crate) fn arrivals(&self) -> u64 {
        // Acquire: see there.
        let arrivals =
            |line: &Line| line.joins.load(Ordering::Acquire) + line.ended.load(Ordering::Acquire);
        self.lines().map(arrivals).sum()
    }

    #[inline]
    pub(crate) fn count(&self, event: impl Into<Event>) {
        let event = event.into() as usize;
        // Relaxed, all: a number, and nothing else.
        match self.own.own().map(|line| &line.others[event]) {
            Some(number) => {
                let count = number.load(Ordering::Relaxed);
                number.store(count + 1, Ordering::Relaxed);
            }
            None => {
                self.shared.others[event].fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// How often it happened so far.
    pub(crate) fn of(&self, event: Event) -> u64 {
        // Relaxed: as above.
        let count = |line: &Line| line.others[event as usize].load(Ordering::Relaxed);
        self.lines().map(count).sum()
    }
}
