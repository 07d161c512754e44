//! Counts of rare events: a node joined or left, a claim was rejected, a sweep ran.
//!
//! Each thread counts on a cache line of its own. Lookups, duplicates and stale claims touch nothing here.
//!
//! The algorithms rely on one of these numbers only, the count of joins. It rises after the node is in the table and
//! before the node's tombstone ends. So [`ProbeOrder`](crate::ProbeOrder) sees each join, and neither a snapshot nor a
//! judgement takes a known node for an unknown one. A merge may end a tombstone before the joining thread has counted
//! the join; then the merge counts it too: see `arrivals`. The model checker sees the count of joins; the other counts
//! are plain atomics to it.
#![forbid(unsafe_code)]

use core::sync::atomic;

use crate::rule::Rejection;
use crate::sync::Padded;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::table::PerThread;

/// The events that are counted, besides joins.
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
    /// Tombstones that another thread ended for a joining thread.
    ended: AtomicU64,
    others: [atomic::AtomicU64; OTHERS],
}

#[derive(Debug)]
pub(crate) struct EventCounters {
    /// One line a thread, written without locked instructions.
    own: PerThread<Line>,
    /// The line that threads without one share.
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
        // Release: a thread that sees the number sees the node, or what became of it. Pinned by
        // `tombstones::a_judgement_while_a_whole_lifetime_ends_the_tombstone`, as is its other side.
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
    #[cfg_attr(incarnation_loom, track_caller)]
    fn count_for_all(&self, number: impl Fn(&Line) -> &AtomicU64, order: Ordering) {
        match self.own.own() {
            Some(line) => {
                // Relaxed: no other thread stores it. Pinned by `caches::a_judgement_while_a_line_of_its_own_counts_a_join`.
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
        // Relaxed: a statistic, which orders nothing.
        let joins = |line: &Line| line.joins.load(Ordering::Relaxed);
        self.lines().map(joins).sum()
    }

    /// A number that changes whenever a node joins. A caller that looks again only when it has changed misses no join:
    /// a thread that sees the number sees the node.
    pub(crate) fn arrivals(&self) -> u64 {
        // Acquire: see there.
        let arrivals =
            |line: &Line| line.joins.load(Ordering::Acquire) + line.ended.load(Ordering::Acquire);
        self.lines().map(arrivals).sum()
    }

    #[inline]
    pub(crate) fn count(&self, event: impl Into<Event>) {
        let event = event.into() as usize;
        // Relaxed, all: a statistic, which orders nothing.
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
