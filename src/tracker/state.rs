//! What a lookup answers.
#![forbid(unsafe_code)]

use core::fmt;
use core::time::Duration;

use crate::rule::{Claim, Incarnation, PackedState, Status};
use crate::time::Timestamp;

/// The state of a known node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct NodeState {
    /// Its status.
    pub status: Status,
    /// At which incarnation.
    pub incarnation: Incarnation,
    /// When the claim that made it so was accepted, by the `now` of that call. An upper bound: a
    /// claim that lost a race may have raised it. Not when the node was last heard of: duplicates
    /// write nothing.
    pub last_update: Timestamp,
}

impl NodeState {
    #[inline(always)]
    pub(crate) fn new(packed: PackedState, last_update: Timestamp) -> Self {
        Self {
            status: packed.status(),
            incarnation: packed.incarnation(),
            last_update,
        }
    }

    /// Whether the node is known to run and not under suspicion.
    #[must_use]
    #[inline]
    pub const fn is_alive(self) -> bool {
        self.status.is_alive()
    }

    /// How long ago the state was set, at most (see [`last_update`](Self::last_update)); zero if
    /// `now` is earlier.
    ///
    /// ```
    /// use incarnation::{Claim, IncarnationTracker, Timestamp};
    /// use std::time::Duration;
    /// # let tracker: IncarnationTracker<u32> = IncarnationTracker::builder().build().unwrap();
    /// let _ = tracker.update(&7, Claim::alive(1), Timestamp::from_secs(3));
    /// let state = tracker.get(&7).unwrap();
    /// assert!(state.is_alive());
    /// assert_eq!(state.age(Timestamp::from_secs(5)), Duration::from_secs(2));
    /// ```
    #[must_use]
    #[inline]
    pub const fn age(self, now: Timestamp) -> Duration {
        now.since(self.last_update)
    }

    /// Status and incarnation as a claim that can be sent on.
    #[must_use]
    #[inline]
    pub fn claim(self) -> Claim {
        Claim::new(self.status, self.incarnation)
    }
}

impl From<NodeState> for Claim {
    fn from(state: NodeState) -> Self {
        state.claim()
    }
}

impl fmt::Display for NodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.claim().fmt(f)
    }
}
