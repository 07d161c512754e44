//! The small worlds the models live in.

use std::hash::{BuildHasher, Hasher};
use std::sync::Mutex;
use std::time::Duration;

use incarnation::{Builder, Claim, IncarnationTracker, NodeHandle, Reclaimer, Timestamp, Verdict};

/// Puts every key into one chain, and every run on the same path.
#[derive(Clone, Copy, Default)]
pub struct OneChain;

impl BuildHasher for OneChain {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self
    }
}

impl Hasher for OneChain {
    fn finish(&self) -> u64 {
        0
    }

    fn write(&mut self, _: &[u8]) {}
}

pub type Tracker = IncarnationTracker<u8, OneChain>;
pub type Handle = NodeHandle<u8, OneChain>;

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
pub fn builder() -> Builder<u8, OneChain> {
    IncarnationTracker::<u8>::builder()
        .hasher(OneChain)
        .max_nodes(1)
        .hard_limit(2)
        .dead_retention(Duration::from_secs(10))
        .max_graves(0)
        .reclaimer(Reclaimer::private())
}

/// A world whose tracker holds these nodes, the last one first in the chain.
pub fn world(builder: Builder<u8, OneChain>, nodes: &[(u8, Claim)]) -> World {
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

    /// What is known of a node.
    pub fn state(&self, node: u8) -> Option<Claim> {
        self.tracker.get(&node).map(|state| state.claim())
    }

    pub fn verdicts(&self) -> Vec<Verdict> {
        self.verdicts.lock().unwrap().clone()
    }

    /// How many lives began and how many claims were applied.
    pub fn joined_and_applied(&self) -> (usize, usize) {
        let verdicts = self.verdicts();
        let joined = verdicts.iter().filter(|v| **v == Verdict::Joined).count();
        let accepted = verdicts.iter().filter(|v| v.accepted()).count();
        (joined, accepted - joined)
    }
}
