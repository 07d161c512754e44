//! What histories are recorded of: the real tracker, or a double with a planted mistake.

use std::hash::BuildHasher;

use incarnation::rule::{Proposal, ProposalKind};
use incarnation::{
    Claim, IncarnationTracker, NodeState, SweepReason, SweepScope, Timestamp, Verdict,
};

use super::Key;
use super::yielding_key::YieldingKey;
use crate::model::Held;

/// A table of nodes that many threads use at once.
pub trait Subject: Sync {
    /// Decides about a proposal and carries it out.
    fn submit(&self, node: Key, proposal: Proposal, now: Timestamp) -> Verdict;
    /// What would become of a claim.
    fn judge(&self, node: Key, claim: Claim, now: Timestamp) -> Verdict;
    /// Looks a node up.
    fn get(&self, node: Key) -> Option<Held>;
    /// Removes a node.
    fn remove(&self, node: Key, now: Timestamp) -> Option<Held>;
    /// Removes a node from one state.
    ///
    /// # Errors
    ///
    /// The other state it is in.
    fn remove_if(&self, node: Key, expected: Claim, now: Timestamp) -> Result<Held, Option<Held>>;
    /// Removes a node without a tombstone and opens the one it has.
    fn forget(&self, node: Key) -> Option<Held>;
    /// Sweeps; `swept` gets what was evicted or declared Dead.
    fn sweep(
        &self,
        scope: SweepScope,
        now: Timestamp,
        swept: &mut dyn FnMut(Key, Held, SweepReason),
    );
    /// Visits every node.
    fn iterate(&self, each: &mut dyn FnMut(Key, Held));
}

fn held(state: Option<NodeState>) -> Option<Held> {
    state.and_then(Held::of)
}

impl<S: BuildHasher + Send + Sync> Subject for IncarnationTracker<YieldingKey, (), S> {
    fn submit(&self, node: Key, proposal: Proposal, now: Timestamp) -> Verdict {
        let node = YieldingKey(node);
        match proposal.kind() {
            ProposalKind::Claim(claim) => self.update(&node, claim, now),
            ProposalKind::Hear(claim) => self.hear(&node, claim, now),
            ProposalKind::Confirm(incarnation) => self.confirm(&node, incarnation, now),
            ProposalKind::Rejoin(incarnation) => self.rejoin(&node, incarnation, now),
            _ => self.add_unconfirmed(&node, now),
        }
    }

    fn judge(&self, node: Key, claim: Claim, now: Timestamp) -> Verdict {
        self.judge(&YieldingKey(node), claim, now)
    }

    fn get(&self, node: Key) -> Option<Held> {
        held(self.get(&YieldingKey(node)))
    }

    fn remove(&self, node: Key, now: Timestamp) -> Option<Held> {
        held(self.remove(&YieldingKey(node), now))
    }

    fn remove_if(&self, node: Key, expected: Claim, now: Timestamp) -> Result<Held, Option<Held>> {
        match self.remove_if(&YieldingKey(node), expected, now) {
            Ok(last) => held(Some(last)).ok_or(None),
            Err(other) => Err(held(other)),
        }
    }

    fn forget(&self, node: Key) -> Option<Held> {
        held(self.forget(&YieldingKey(node)))
    }

    fn sweep(
        &self,
        scope: SweepScope,
        now: Timestamp,
        swept: &mut dyn FnMut(Key, Held, SweepReason),
    ) {
        let _report = self.sweep_with(scope, now, |done| {
            if let Some(last) = Held::of(done.last) {
                swept(done.node.0, last, done.reason);
            }
        });
    }

    fn iterate(&self, each: &mut dyn FnMut(Key, Held)) {
        for (node, state) in self.pin().iter() {
            if let Some(state) = Held::of(state) {
                each(node.0, state);
            }
        }
    }
}
