//! The statistics of a tracker: totals since it was made, and what it holds now.
//!
//! This module only reads. `event_counters` counts events and states their cost, and `pin_age` finds
//! views that are held.
#![forbid(unsafe_code)]

use core::hash::{BuildHasher, Hash};
use core::time::Duration;

use crate::counters::event_counters::Event;
use crate::rule::Rejection;
use crate::tracker::IncarnationTracker;

/// What a tracker did since it was made, and what it holds now; made by
/// [`IncarnationTracker::stats`].
///
/// Totals only rise; a field whose description says *now* may fall. Each counts every event that happened before the
/// call. Concurrent events may or may not be counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Stats {
    /// Node lifetimes that began: nodes that joined.
    pub joins: u64,
    /// Node lifetimes that ended, by reason.
    pub evictions: Evictions,
    /// Suspect nodes that sweeps declared Dead.
    pub declared_dead: u64,
    /// Rejected claims, by reason. Duplicates and stale claims are not rejected, so they are not counted.
    pub rejections: Rejections,
    /// How often [`Local::answer`](crate::Local::answer) was
    /// [`Overtaken`](crate::Answer::Overtaken): once for an earlier lifetime of this node, again and again while
    /// two processes share its key.
    pub overtaken: u64,
    /// Tombstones written when dead nodes left the table.
    #[doc(alias = "graves_dug")]
    #[doc(alias = "buried")]
    pub tombstones_written: u64,
    /// Tombstones kept now.
    #[doc(alias = "graves")]
    pub tombstones: usize,
    /// Sweeps, and slices of sweeps.
    pub sweeps: u64,
    /// Removed entries that are still linked in their chains now: another thread is about to unlink them.
    #[doc(alias = "debris")]
    pub pending_unlink: usize,
    /// Removed entries that wait now to be reused: see [`IncarnationTracker::pending_reclaim`].
    #[doc(alias = "waiting")]
    #[doc(alias = "limbo")]
    pub pending_reclaim: usize,
    /// A lower bound of the age of the oldest view, as the last sweep found it. Zero if no view was held across the last
    /// two sweeps. A pin pays nothing for it: each sweep marks a moment, and the next one checks whether a view from
    /// before that moment is still held. Views of all trackers that share the [`Reclaimer`](crate::Reclaimer) count. On
    /// platforms other than Linux it may be too high while many threads pin at once.
    pub longest_view: Duration,
}

/// Node lifetimes that ended, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Evictions {
    /// Unconfirmed for too long.
    pub unconfirmed_expired: u64,
    /// Dead or Left for long enough.
    pub dead_retention: u64,
    /// Evicted because there were too many nodes.
    pub capacity: u64,
    /// Removed by a caller.
    pub removed: u64,
    /// Forgotten by a caller.
    pub forgotten: u64,
}

impl Evictions {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.unconfirmed_expired
            + self.dead_retention
            + self.capacity
            + self.removed
            + self.forgotten
    }
}

/// Rejected claims, by [`Rejection`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Rejections {
    /// [`Rejection::OutOfRange`].
    pub out_of_range: u64,
    /// [`Rejection::Unrefutable`].
    pub unrefutable: u64,
    /// [`Rejection::SuspiciousJump`].
    pub suspicious_jump: u64,
    /// [`Rejection::Unconfirmed`].
    pub unconfirmed: u64,
    /// [`Rejection::UnknownNode`].
    pub unknown_node: u64,
    /// [`Rejection::AtCapacity`].
    pub at_capacity: u64,
    /// [`Rejection::PendingReclaim`].
    pub pending_reclaim: u64,
    /// [`Rejection::Tombstone`].
    #[doc(alias = "buried")]
    pub tombstone: u64,
    /// [`Rejection::Zombie`].
    pub zombie: u64,
}

impl Rejections {
    pub(crate) fn count(&mut self, reason: Rejection) {
        *match reason {
            Rejection::OutOfRange { .. } => &mut self.out_of_range,
            Rejection::Unrefutable { .. } => &mut self.unrefutable,
            Rejection::SuspiciousJump { .. } => &mut self.suspicious_jump,
            Rejection::Unconfirmed => &mut self.unconfirmed,
            Rejection::UnknownNode => &mut self.unknown_node,
            Rejection::AtCapacity => &mut self.at_capacity,
            Rejection::PendingReclaim => &mut self.pending_reclaim,
            Rejection::Tombstone { .. } => &mut self.tombstone,
            Rejection::Zombie { .. } => &mut self.zombie,
        } += 1;
    }

    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.out_of_range
            + self.unrefutable
            + self.suspicious_jump
            + self.unconfirmed
            + self.unknown_node
            + self.at_capacity
            + self.pending_reclaim
            + self.tombstone
            + self.zombie
    }
}

impl<K, D, S> IncarnationTracker<K, D, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    /// The totals of this tracker since it was made, and what it holds now. For the nodes by status there is
    /// [`counts`](Self::counts).
    ///
    /// Cost: a few cache lines for each thread that writes; no scan, no locks. Cheap enough for every scrape.
    ///
    /// ```
    /// use incarnation::{Claim, IncarnationTracker, Timestamp};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tracker: IncarnationTracker<String> = IncarnationTracker::builder().build()?;
    /// let _ = tracker.update("a:1", Claim::alive(1), Timestamp::ZERO);
    /// let _ = tracker.update("a:1", Claim::suspect(5_000), Timestamp::ZERO);
    /// let stats = tracker.stats();
    /// assert_eq!((stats.joins, stats.rejections.suspicious_jump), (1, 1));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        let core = self.core();
        let of = |event| core.event_counters.of(event);
        Stats {
            joins: core.event_counters.joins(),
            evictions: Evictions {
                unconfirmed_expired: of(Event::UnconfirmedExpired),
                dead_retention: of(Event::DeadRetention),
                capacity: of(Event::CapacityEvicted),
                removed: of(Event::Removed),
                forgotten: of(Event::Forgotten),
            },
            declared_dead: of(Event::DeclaredDead),
            rejections: Rejections {
                out_of_range: of(Event::OutOfRange),
                unrefutable: of(Event::Unrefutable),
                suspicious_jump: of(Event::SuspiciousJump),
                unconfirmed: of(Event::Unconfirmed),
                unknown_node: of(Event::UnknownNode),
                at_capacity: of(Event::AtCapacity),
                pending_reclaim: of(Event::PendingReclaim),
                tombstone: of(Event::RefusedTombstone),
                zombie: of(Event::Zombie),
            },
            overtaken: core.local.overtaken(),
            tombstones_written: of(Event::TombstoneWritten),
            tombstones: core.tombstones.len(),
            sweeps: of(Event::Swept),
            pending_unlink: core.table.pending_unlink(),
            pending_reclaim: core.table.pending_reclaim(),
            longest_view: core.views.longest(),
        }
    }
}
