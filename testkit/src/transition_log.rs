//! The books of a concurrent run: which packed states each node entered and left, by what the tracker said.
//!
//! Every accepted claim enters one packed state and leaves the one before; joining leaves nothing, being
//! evicted enters nothing. So of a node that is gone all entries cancel, and of one that is there
//! exactly its last packed state remains: a flow from vacant to that packed state. A packed state that was written over
//! unseen, a verdict that names a wrong predecessor, a lifetime that ended twice: each leaves a rest.
//!
//! Each thread keeps books of its own; [`TransitionLog::merge`] adds them up at the end. An entry costs one
//! cache line: a node's packed states are summed up as hashes.
#![forbid(unsafe_code)]

use incarnation::rule::PackedState;
use incarnation::{Claim, NodeState, SweepReason, Verdict};

/// The packed states entered minus the packed states left, for each node by its number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransitionLog {
    balances: Vec<u64>,
}

/// A node's state is not what the verdicts about it say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imbalance {
    /// The number of the node.
    pub node: usize,
    /// What the tracker holds of it.
    pub found: Option<NodeState>,
}

impl std::fmt::Display for Imbalance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { node, found } = self;
        match found {
            Some(state) => write!(
                f,
                "the verdicts about node {node} don't lead to its {state}"
            ),
            None => write!(
                f,
                "the verdicts about node {node} don't lead to its absence"
            ),
        }
    }
}

impl std::error::Error for Imbalance {}

/// What stands for a packed state in a balance. The sums of different collections of packed states differ, up to a
/// chance of one in 2^64.
fn weight(claim: Claim) -> u64 {
    let packed = PackedState::of(claim).expect("it is in the table, so it is in range");
    // The finaliser of splitmix64.
    let mut mixed = packed.bits().wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

impl TransitionLog {
    /// Books for the nodes 0 to `nodes - 1`.
    #[must_use]
    pub fn new(nodes: usize) -> Self {
        Self {
            balances: vec![0; nodes],
        }
    }

    /// A packed state was entered.
    #[inline]
    pub fn entered(&mut self, node: usize, claim: Claim) {
        let balance = &mut self.balances[node];
        *balance = balance.wrapping_add(weight(claim));
    }

    /// A packed state was left: by eviction or removal, or because another replaced it.
    #[inline]
    pub fn left(&mut self, node: usize, claim: Claim) {
        let balance = &mut self.balances[node];
        *balance = balance.wrapping_sub(weight(claim));
    }

    /// What a verdict says of the claim it answers.
    #[inline]
    pub fn verdict(&mut self, node: usize, claim: Claim, verdict: Verdict) {
        match verdict {
            Verdict::Joined => self.entered(node, claim),
            Verdict::Applied { previous } => {
                self.left(node, previous);
                self.entered(node, claim);
            }
            _ => {}
        }
    }

    /// What a sweep says of a node.
    pub fn swept(&mut self, node: usize, last: NodeState, reason: SweepReason) {
        self.left(node, last.claim());
        if reason == SweepReason::SuspectExpired {
            self.entered(node, Claim::dead(last.incarnation));
        }
    }

    /// Adds another thread's books.
    pub fn merge(&mut self, other: &Self) {
        assert_eq!(self.balances.len(), other.balances.len());
        for (mine, theirs) in self.balances.iter_mut().zip(&other.balances) {
            *mine = mine.wrapping_add(*theirs);
        }
    }

    /// Whether a node's verdicts lead exactly to the state the tracker holds now that all is quiet.
    pub fn check(&self, node: usize, found: Option<NodeState>) -> Result<(), Imbalance> {
        let expected = found.map_or(0, |state| weight(state.claim()));
        if self.balances[node] == expected {
            Ok(())
        } else {
            Err(Imbalance { node, found })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use incarnation::{IncarnationTracker, Timestamp};

    #[test]
    fn the_log_balances_only_if_no_transition_is_missing() {
        let tracker: IncarnationTracker<u32> = IncarnationTracker::builder().build().unwrap();
        let mut transition_log = TransitionLog::new(2);
        let now = Timestamp::ZERO;
        for claim in [
            Claim::alive(1),
            Claim::suspect(1),
            Claim::alive(1),
            Claim::dead(4),
        ] {
            for node in [0, 1] {
                transition_log.verdict(node as usize, claim, tracker.update(&node, claim, now));
            }
        }
        let last = tracker.remove(&1, now).unwrap();
        assert!(transition_log.check(1, None).is_err());
        transition_log.left(1, last.claim());
        assert_eq!(transition_log.check(0, tracker.get(&0)), Ok(()));
        assert_eq!(transition_log.check(1, tracker.get(&1)), Ok(()));

        let mut without_one = TransitionLog::new(2);
        without_one.merge(&transition_log);
        without_one.left(0, Claim::suspect(1));
        assert!(without_one.check(0, tracker.get(&0)).is_err());
    }
}
