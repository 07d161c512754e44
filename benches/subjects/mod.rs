//! What is measured: the tracker in the ways it can be used, and what people use instead.
//!
//! Every subject keeps status, incarnation and last update of each node under a `SocketAddr` key, is presized,
//! and applies the conflict rule by comparing packed states, so that no claim is lost. The peers hash with
//! ahash, the tracker with its own default state, which is ahash behind a packer; `SameHasher` is the tracker
//! with the peers' state. All seeds are the same. Subjects are called through a trait that is resolved statically.

mod arcswap;
mod dashmap;
mod flurry;
mod foca;
mod locked;
mod ours;
mod papaya;
mod scc;

use std::net::SocketAddr;

use incarnation::rule::PackedState;
use incarnation::{Claim, Status};

pub use self::arcswap::ArcSwapped;
pub use self::dashmap::Dashed;
pub use self::flurry::Flurried;
pub use self::foca::FocaMembers;
pub use self::locked::{LockedHashbrown, LockedStd};
pub use self::ours::{Batch, Handle, PerOperation, SameHasher, Unprotected, View};
pub use self::papaya::{Papaya, PapayaGuard};
pub use self::scc::{SccIndex, SccIndexGuard, SccMap};

/// What a lookup answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    pub status: Status,
    pub incarnation: u64,
    pub last_update: u64,
}

/// What the peers store of a node.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    pub packed: PackedState,
    pub last_update: u64,
}

impl Record {
    /// Whether it tells of somebody who has been dead for longer than [`RETENTION`].
    #[inline(always)]
    pub fn is_over(self, now: u64) -> bool {
        self.packed.status().is_gone() && now - self.last_update > RETENTION
    }

    #[inline(always)]
    pub fn state(self) -> State {
        State {
            status: self.packed.status(),
            incarnation: self.packed.incarnation().get(),
            last_update: self.last_update,
        }
    }
}

/// The conflict rule of the peers: the record that replaces `stored`, or the incarnation that is
/// there (0 if there is none).
#[inline(always)]
pub fn beats(claim: Claim, last_update: u64, stored: Option<PackedState>) -> Result<Record, u64> {
    match PackedState::of(claim) {
        Some(packed) if stored.is_none_or(|stored| packed > stored) => Ok(Record {
            packed,
            last_update,
        }),
        _ => Err(stored.map_or(0, |stored| stored.incarnation().get())),
    }
}

/// How long the dead stay, in nanoseconds.
pub const RETENTION: u64 = 3_600_000_000_000;

/// The seeds of every subject's hasher.
const SEEDS: [u64; 4] = [
    0x243f_6a88_85a3_08d3,
    0x1319_8a2e_0370_7344,
    0xa409_3822_299f_31d0,
    0x082e_fa98_ec4e_6c89,
];

/// The hasher of the peers.
pub fn hasher() -> ahash::RandomState {
    let [a, b, c, d] = SEEDS;
    ahash::RandomState::with_seeds(a, b, c, d)
}

/// What can be asked of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    pub verb: Verb,
    /// All operations are on one and the same node.
    pub one_node: bool,
    pub threads: usize,
    pub nodes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Lookup,
    /// Claims that change nothing.
    Claim,
    /// Claims that are accepted.
    Change,
    Packet,
    Mix,
    Churn,
    Iterate,
}

/// A table that many threads share.
pub trait Subject: Sized + Send + Sync {
    const ID: &'static str;
    /// The most operations of a changing workload in one measurement.
    const MOST_CHANGES: u64 = u64::MAX;
    /// Lookups are handed over 32 at a time.
    const BATCHED: bool = false;
    /// A thread's way to the table: the table itself, or a guard that is held for many operations.
    type Session<'s>: Session
    where
        Self: 's;

    /// An empty table, presized.
    fn with_capacity(nodes: usize) -> Self;
    fn session(&self) -> Self::Session<'_>;
    /// Whether the subject is made for this.
    fn can(_task: Task) -> bool {
        true
    }
    /// Enters nodes that are not in the table.
    fn fill(&self, nodes: impl Iterator<Item = (SocketAddr, Claim)>, last_update: u64) {
        let session = self.session();
        for (node, claim) in nodes {
            let _ = session.claim(&node, claim, last_update);
        }
    }
    /// Takes out all nodes; false if that is not to be had.
    fn clear(&self, mut nodes: impl Iterator<Item = SocketAddr>, last_update: u64) -> bool {
        let session = self.session();
        nodes.all(|node| session.remove(&node, last_update))
    }
    /// Called with the node that all operations will be on.
    fn prepare(&self, _hot: &SocketAddr) {}
    /// What a background thread does all the while, if there is something to do.
    fn sweep(&self, _last_update: u64) {}
    /// Takes out the nodes that have been dead for longer than [`RETENTION`].
    fn expire(&self, now: u64) {
        self.sweep(now);
    }
}

/// One thread's operations.
pub trait Session {
    fn lookup(&self, node: &SocketAddr) -> Option<State>;
    /// Looks up several nodes; calls `each` for every one.
    #[inline(always)]
    fn lookups(&self, nodes: &[SocketAddr], mut each: impl FnMut(Option<State>)) {
        for node in nodes {
            each(self.lookup(node));
        }
    }
    /// `Ok` if the claim was accepted, else the incarnation that is there (0 if that is unknown).
    fn claim(&self, node: &SocketAddr, claim: Claim, last_update: u64) -> Result<(), u64>;
    /// Puts a packet of claims; says how many were accepted.
    #[inline(always)]
    fn packet(&self, claims: &[(SocketAddr, Claim)], last_update: u64) -> usize {
        let mut accepted = 0;
        for (node, claim) in claims {
            accepted += usize::from(self.claim(node, *claim, last_update).is_ok());
        }
        accepted
    }
    fn remove(&self, node: &SocketAddr, last_update: u64) -> bool;
    /// Visits all nodes; returns a sum over keys and states.
    fn iterate(&self) -> u64;
}

/// What an iteration adds up of each node.
#[inline(always)]
pub fn digest(node: &SocketAddr, state: State) -> u64 {
    state
        .incarnation
        .wrapping_add(state.last_update)
        .wrapping_add(state.status as u64)
        .wrapping_add(u64::from(node.port()))
}
