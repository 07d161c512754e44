//! The small worlds the models live in.

use std::hash::{BuildHasher, Hasher};
use std::sync::Mutex;
use std::time::Duration;

use incarnation::{
    Builder, Claim, IncarnationTracker, NodeHandle, Reclaimer, SweepScope, Timestamp, Verdict,
};

/// Which chain a key goes into, the same on every run.
#[derive(Clone, Copy)]
pub enum Chains {
    /// All keys into one.
    One,
    /// Odd keys into one, even keys into another.
    Two,
    /// All keys into one, each with a hash of its own.
    OneOfManyHashes,
}

/// What it has hashed of a key.
pub struct Chain {
    chains: Chains,
    chain: u8,
}

impl BuildHasher for Chains {
    type Hasher = Chain;

    fn build_hasher(&self) -> Chain {
        Chain {
            chains: *self,
            chain: 0,
        }
    }
}

impl Hasher for Chain {
    fn finish(&self) -> u64 {
        match self.chains {
            Chains::One => 0,
            // The table takes the high half.
            Chains::Two => u64::from(self.chain % 2) << 32,
            // And the low bits of that choose the chain.
            Chains::OneOfManyHashes => u64::from(self.chain) << 48,
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.chain = bytes
            .iter()
            .fold(self.chain, |sum, byte| sum.wrapping_add(*byte));
    }
}

pub type Tracker = IncarnationTracker<u8, (), Chains>;
pub type Handle = NodeHandle<u8, (), Chains>;

/// A tracker, and what its threads wrote down.
pub struct World {
    pub tracker: Tracker,
    pub handle: Option<Handle>,
    /// Not seen by the checker, so it adds nothing to explore.
    pub verdicts: Mutex<Vec<Verdict>>,
}

pub const NODE: u8 = 1;
pub const OTHER: u8 = 2;

/// The time at which everything in a world began.
pub const BEGIN: Timestamp = Timestamp::ZERO;

/// A time at which the dead of the beginning are evicted.
pub fn later() -> Timestamp {
    BEGIN + Duration::from_secs(100)
}

/// The smallest tracker: everything in one chain, the dead go after ten seconds.
pub fn builder() -> Builder<u8, (), Chains> {
    IncarnationTracker::<u8>::builder()
        .hasher(Chains::One)
        .max_nodes(1)
        .hard_limit(2)
        .dead_retention(Duration::from_secs(10))
        .max_tombstones(0)
        .reclaimer(Reclaimer::private())
}

/// A world whose tracker holds these nodes, the last one first in the chain.
pub fn world(builder: Builder<u8, (), Chains>, nodes: &[(u8, Claim)]) -> World {
    let tracker = builder.build().unwrap();
    for (node, claim) in nodes {
        assert_eq!(tracker.update(node, *claim, BEGIN), Verdict::Joined);
    }
    World {
        handle: tracker.handle(&NODE),
        tracker,
        verdicts: Mutex::default(),
    }
}

impl World {
    /// Puts a claim about `NODE` and writes the verdict down.
    pub fn claim(&self, claim: Claim, now: Timestamp) -> Verdict {
        let verdict = self.tracker.update(&NODE, claim, now);
        self.verdicts.lock().unwrap().push(verdict);
        verdict
    }

    /// Once no view is left, every occupied index is a node's.
    pub fn assert_nothing_lost(&self) {
        let _ = self.tracker.sweep_with(SweepScope::Capacity, BEGIN, |_| {});
        assert_eq!(self.tracker.pending_reclaim(), 0);
        let occupied = incarnation::model::occupied_indexes(&self.tracker);
        assert_eq!(occupied, self.tracker.len());
        assert_eq!(self.tracker.iter().count(), occupied);
    }

    /// What is known of a node.
    pub fn state(&self, node: u8) -> Option<Claim> {
        self.tracker.get(&node).map(|state| state.claim())
    }

    pub fn verdicts(&self) -> Vec<Verdict> {
        self.verdicts.lock().unwrap().clone()
    }

    /// How many node lifetimes began and how many claims were applied.
    pub fn joined_and_applied(&self) -> (usize, usize) {
        let verdicts = self.verdicts();
        let joined = verdicts.iter().filter(|v| **v == Verdict::Joined).count();
        let accepted = verdicts.iter().filter(|v| v.accepted()).count();
        (joined, accepted - joined)
    }
}
