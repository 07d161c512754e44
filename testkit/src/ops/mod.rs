//! Operations on a tracker as data, so that property tests, fuzzing and stored inputs can all make
//! them from bytes: eight an operation, sixteen a setup, and any bytes at all mean something.

mod decode;

use incarnation::rule::Proposal;
use incarnation::{Claim, Incarnation, SweepScope};

use crate::model::Rules;

/// The bytes a [`Setup`] is made from.
pub const SETUP_BYTES: usize = 16;
/// The bytes a [`Step`] is made from.
pub const STEP_BYTES: usize = 8;
/// How many handles a sequence of operations keeps at once.
pub const HANDLES: u8 = 4;

/// A node: few, so that operations meet.
pub type Key = u8;

/// The tracker that operations are done to.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Its limits and times; the times are nanoseconds, and few.
    pub rules: Rules,
    /// How many nodes there are to speak of.
    pub nodes: Key,
    /// Whether node 0 is the local one.
    pub has_local: bool,
    /// Its incarnation.
    pub own: Incarnation,
    /// How many bits hashes have.
    pub hash_bits: u32,
    /// Whether each operation has a time of its own, later than that of the one before; set where
    /// the order of deaths decides.
    pub distinct_times: bool,
}

/// An operation at a time.
#[derive(Clone, Debug)]
pub struct Step {
    /// Nanoseconds since the step before; clocks read by different threads may go back.
    pub passed: i64,
    /// What is done then.
    pub op: Op,
}

/// One operation.
#[derive(Clone, Debug)]
pub enum Op {
    /// A claim, a confirmation, a rejoin or an introduction.
    Submit {
        /// Of which node.
        node: Key,
        /// Which.
        proposal: Proposal,
        /// How.
        via: Via,
    },
    /// A claim that is only judged.
    Judge {
        /// Of which node.
        node: Key,
        /// Which.
        claim: Claim,
        /// How.
        via: Via,
    },
    /// Several claims at once.
    Batch(Vec<(Key, Claim)>),
    /// What a rejoin needs.
    Required {
        /// Of which node.
        node: Key,
    },
    /// A removal.
    Remove {
        /// Of which node.
        node: Key,
        /// How.
        via: Via,
    },
    /// A removal of a node in one state.
    RemoveIf {
        /// Of which node.
        node: Key,
        /// In which state; `None`: the one it is in.
        expected: Option<Claim>,
        /// How.
        via: Via,
    },
    /// A removal without a tombstone.
    Forget {
        /// Of which node.
        node: Key,
        /// How.
        via: Via,
    },
    /// A sweep.
    Sweep(SweepScope),
    /// A whole round of the time rules, in slices.
    Slices {
        /// How many places a slice has.
        places: usize,
    },
    /// A handle on a node's present lifetime is kept.
    Grab {
        /// Of which node.
        node: Key,
        /// In place of which one before.
        handle: u8,
    },
    /// The local node refutes.
    Refute {
        /// What.
        accused: Incarnation,
    },
    /// A view is held from here on: entries that are removed wait.
    Hold,
    /// The view that is held is pinned anew.
    Repin,
    /// The view that is held is dropped.
    Release,
}

/// The way an operation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// The tracker's own method.
    Tracker,
    /// A view: the one that is held, or a new one.
    View,
    /// A handle that was kept; the node is then the handle's.
    Handle(u8),
}
