//! What a subscriber is told.
#![forbid(unsafe_code)]

use core::fmt;

use crate::tracker::{NodeState, Slot};

/// How a node differs from what a subscriber last saw of it.
///
/// Status and incarnation count as its state, and so does its lifetime in the table: a node that left
/// and came back is [`Rejoined`](Self::Rejoined), in whatever state, because data kept by its old
/// [`Slot`] (a connection, a buffer) is no longer its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Change {
    /// The node was not in the table, and is now.
    Joined {
        /// Where it is.
        slot: Slot,
        /// Its state.
        current: NodeState,
    },
    /// The node has another status or incarnation than before, in the same lifetime.
    #[doc(alias = "Changed")]
    Updated {
        /// Where it is.
        slot: Slot,
        /// The state last seen.
        previous: NodeState,
        /// Its state.
        current: NodeState,
    },
    /// The node left the table and came back since: a new lifetime, at another slot. Its state may be
    /// the same, or a lower one.
    Rejoined {
        /// Where it is.
        slot: Slot,
        /// Where it was.
        previous_slot: Slot,
        /// The state last seen, of an earlier lifetime.
        previous: NodeState,
        /// Its state.
        current: NodeState,
    },
    /// The node is no longer in the table.
    Gone {
        /// Where it was.
        slot: Slot,
        /// The state last seen.
        last: NodeState,
    },
}

impl Change {
    /// Where the node is; where it was, if it is gone.
    #[must_use]
    pub const fn slot(&self) -> Slot {
        match *self {
            Self::Joined { slot, .. }
            | Self::Updated { slot, .. }
            | Self::Rejoined { slot, .. }
            | Self::Gone { slot, .. } => slot,
        }
    }

    /// The node's state; `None` if it is gone.
    #[must_use]
    pub const fn current(&self) -> Option<NodeState> {
        match *self {
            Self::Joined { current, .. }
            | Self::Updated { current, .. }
            | Self::Rejoined { current, .. } => Some(current),
            Self::Gone { .. } => None,
        }
    }

    /// The state that this subscriber saw before; `None` if it saw none.
    #[must_use]
    pub const fn previous(&self) -> Option<NodeState> {
        match *self {
            Self::Joined { .. } => None,
            Self::Updated { previous, .. } | Self::Rejoined { previous, .. } => Some(previous),
            Self::Gone { last, .. } => Some(last),
        }
    }
}

/// As `alive@1 -> suspect@1`; `none` where there is no state.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let show = |f: &mut fmt::Formatter<'_>, state: Option<NodeState>| match state {
            Some(state) => write!(f, "{state}"),
            None => f.write_str("none"),
        };
        show(f, self.previous())?;
        f.write_str(" -> ")?;
        show(f, self.current())
    }
}

/// No tracker of the table is left, so nothing will change any more; see
/// [`Subscriber::changed`](super::Subscriber::changed).
///
/// Trackers, their clones, node handles and sweepers keep a table open; subscribers do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the last tracker of the table was dropped, so nothing will change any more")
    }
}

impl core::error::Error for Closed {}
