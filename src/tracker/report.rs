//! What a sweep may be asked to do, and what it says it did.
#![forbid(unsafe_code)]

use core::fmt;

use super::state::NodeState;
use crate::counters::event_counters::Event;

/// What a sweep does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SweepScope {
    /// The time rules, then the capacity rule; ends tombstones whose time is over.
    #[default]
    Everything,
    /// The time rules only: Unconfirmed, Suspect, Dead and Left; ends tombstones.
    Expiry,
    /// Only Dead and Left nodes past their retention; ends tombstones.
    Dead,
    /// Only what exceeds the limit: above `max_nodes` (or at `hard_limit`, where that is the same), down to
    /// `max_nodes - eviction_headroom`.
    Capacity,
}

/// Why a sweep touched a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SweepReason {
    /// Unconfirmed for longer than `unconfirmed_timeout`: removed.
    UnconfirmedExpired,
    /// Suspect for longer than `suspect_timeout`: declared Dead, and still in the table.
    SuspectExpired,
    /// Dead or Left for longer than `dead_retention`: evicted.
    DeadRetention,
    /// There were more than `max_nodes`: evicted.
    Capacity,
}

/// A node that a sweep evicted or declared Dead.
#[derive(Debug)]
#[non_exhaustive]
pub struct Swept<'a, K, D = ()> {
    /// The node.
    pub node: &'a K,
    /// What the program keeps of the node.
    pub data: &'a D,
    /// The state it had before.
    pub last: NodeState,
    /// Why.
    pub reason: SweepReason,
}

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
#[must_use]
pub struct SweepReport {
    /// Unconfirmed nodes removed after `unconfirmed_timeout`.
    pub unconfirmed_expired: usize,
    /// Suspect nodes declared Dead after `suspect_timeout`.
    pub declared_dead: usize,
    /// Dead and Left nodes evicted after `dead_retention`.
    pub dead_evicted: usize,
    /// Nodes evicted because there were too many.
    pub capacity_evicted: usize,
    /// Tombstones ended after `tombstone_retention`.
    #[doc(alias = "graves_closed")]
    #[doc(alias = "graves_expired")]
    pub tombstones_expired: usize,
    /// Last updates of nodes, and times of deaths in tombstones, that were more than `max_clock_lead` ahead
    /// of the sweep's clock and were brought back. Not 0: some clock is or was wrong.
    pub clock_leads: usize,
    /// Another sweep was selecting by capacity at the time, so this one left it to that.
    pub capacity_contended: bool,
}

impl SweepReport {
    /// How many nodes left the table.
    #[must_use]
    pub const fn evicted(&self) -> usize {
        self.unconfirmed_expired + self.dead_evicted + self.capacity_evicted
    }

    pub(super) fn count(&mut self, reason: SweepReason) {
        *match reason {
            SweepReason::UnconfirmedExpired => &mut self.unconfirmed_expired,
            SweepReason::SuspectExpired => &mut self.declared_dead,
            SweepReason::DeadRetention => &mut self.dead_evicted,
            SweepReason::Capacity => &mut self.capacity_evicted,
        } += 1;
    }
}

impl fmt::Display for SweepReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnconfirmedExpired => "unconfirmed for too long",
            Self::SuspectExpired => "suspected for too long",
            Self::DeadRetention => "dead for long enough",
            Self::Capacity => "too many nodes",
        })
    }
}

impl fmt::Display for SweepReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} declared dead; evicted: {} unconfirmed, {} dead, {} for lack of room; {} tombstones ended",
            self.declared_dead,
            self.unconfirmed_expired,
            self.dead_evicted,
            self.capacity_evicted,
            self.tombstones_expired,
        )
    }
}

/// How far a sweep in slices has come; see [`sweep_slice`](crate::IncarnationTracker::sweep_slice).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SweepCursor {
    /// The next index to visit; 0 and 1 are both the start.
    pub(super) index: u32,
}

impl SweepCursor {
    /// Whether the next slice begins a new round.
    #[must_use]
    pub const fn is_at_start(&self) -> bool {
        self.index == 0
    }
}

impl From<SweepReason> for Event {
    fn from(reason: SweepReason) -> Self {
        match reason {
            SweepReason::UnconfirmedExpired => Self::UnconfirmedExpired,
            SweepReason::SuspectExpired => Self::DeclaredDead,
            SweepReason::DeadRetention => Self::DeadRetention,
            SweepReason::Capacity => Self::CapacityEvicted,
        }
    }
}
