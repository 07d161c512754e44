//! Concurrent histories: what several threads did to one tracker and what they were told, checked for
//! linearizability against the sequential model.
//!
//! Each operation is recorded with the order of its beginning and its end in real time. A history is
//! right if the operations can be put into one order that respects that time, and in which the
//! sequential model gives the very same answers. Nodes don't touch each other (there are more tombstones
//! than nodes, and running out of room is allowed at any time), so each node's part is
//! checked [by itself](check), which is what makes the search cheap.
//!
//! What is *not* one atomic step, and therefore not demanded, is written where it is allowed: last updates
//! are upper bounds, tombstones go in before and out after the moments they belong to ([`tombstones`]).

pub mod check;
pub mod record;
pub mod subject;
pub mod tombstones;
pub mod yielding_key;

use std::collections::BTreeMap;

use incarnation::rule::Proposal;
use incarnation::{Claim, SweepReason, Timestamp, Verdict};

use crate::model::{Held, Rules};

/// A node: few, so that threads meet.
pub type Key = u8;

/// When an operation began and ended, by a counter that every ending operation raises: it read
/// `began` before it did anything, and `ended` after everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// How many operations had ended when it began.
    pub began: u64,
    /// How many had when it ended.
    pub ended: u64,
}

impl Span {
    /// Whether one might have gone on while the other did.
    pub fn overlaps(self, other: Self) -> bool {
        self.began <= other.ended && other.began <= self.ended
    }

    /// Whether it began after the other had ended.
    pub fn is_after(self, other: Self) -> bool {
        self.began > other.ended
    }
}

/// What an operation did to one node, or said of it.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// When.
    pub span: Span,
    /// What.
    pub what: What,
}

/// What an operation did to one node, or said of it.
#[derive(Clone, Copy, Debug)]
pub enum What {
    /// A proposal was made.
    Submitted {
        /// Which.
        proposal: Proposal,
        /// At which time.
        now: Timestamp,
        /// With which answer.
        verdict: Verdict,
    },
    /// A claim was judged.
    Judged {
        /// Which.
        claim: Claim,
        /// At which time.
        now: Timestamp,
        /// With which answer.
        verdict: Verdict,
    },
    /// The node was looked up, or an iteration came across it, or did not.
    Seen(Option<Held>),
    /// It was removed, if it was there.
    Removed {
        /// At which time.
        now: Timestamp,
        /// The last state.
        last: Option<Held>,
    },
    /// It was to be removed from one state.
    RemovedIf {
        /// Which.
        expected: Claim,
        /// At which time.
        now: Timestamp,
        /// The last state, or the other one that was found.
        result: Result<Held, Option<Held>>,
    },
    /// It was removed without a tombstone, if it was there.
    Forgotten(Option<Held>),
    /// Its tombstone was opened: the second half of forgetting it.
    Opened,
    /// A sweep evicted it or declared it Dead.
    Swept {
        /// Why.
        reason: SweepReason,
        /// Its state before.
        last: Held,
        /// At which time.
        now: Timestamp,
    },
}

/// A whole history.
#[derive(Clone, Debug)]
pub struct History {
    /// What the tracker went by.
    pub rules: Rules,
    /// What happened to each node, in no particular order.
    pub nodes: BTreeMap<Key, Vec<Event>>,
    /// When sweeps went on, whatever they did, and their times.
    pub sweeps: Vec<(Span, Timestamp)>,
    /// How many operations it holds: an iteration is one, and an event of every node.
    pub operations: usize,
}
