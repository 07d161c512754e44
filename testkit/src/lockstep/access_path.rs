//! The ways into a tracker: its own methods, a view's, a handle's. They must all do the same.

use incarnation::rule::{Proposal, ProposalKind};
use incarnation::{Claim, NodeHandle, NodeState, Timestamp, Verdict, View};

use super::Tracker;
use crate::colliding_hasher::CollidingHasher;
use crate::ops::Key;

pub(super) enum AccessPath<'a, 't> {
    Tracker(&'t Tracker),
    /// A view for this operation.
    View(View<'t, Key, (), CollidingHasher>),
    /// The view that is held.
    Held(&'a View<'t, Key, (), CollidingHasher>),
    /// The node is the handle's, whatever node is named.
    Handle(&'a NodeHandle<Key, (), CollidingHasher>),
}

impl AccessPath<'_, '_> {
    /// The verdict; `None` if it was a handle of an ended lifetime.
    pub(super) fn propose(&self, node: Key, proposal: Proposal, now: Timestamp) -> Option<Verdict> {
        let handle = match self {
            Self::Tracker(tracker) => return Some(through_tracker(tracker, node, proposal, now)),
            Self::View(view) => return Some(through_view(view, node, proposal, now)),
            Self::Held(view) => return Some(through_view(view, node, proposal, now)),
            Self::Handle(handle) => handle,
        };
        match proposal.kind() {
            ProposalKind::Claim(claim) => handle.update(claim, now),
            ProposalKind::Hear(claim) => handle.hear(claim, now),
            ProposalKind::Confirm(incarnation) => handle.confirm(incarnation, now),
            ProposalKind::Rejoin(incarnation) => handle.rejoin(incarnation, now),
            // No handle's business: its node is known, so this says what is known.
            ProposalKind::Introduce => handle.state().map(|state| Verdict::Duplicate {
                current: state.claim(),
            }),
            other => unreachable!("the testkit knows no {other:?}"),
        }
    }

    pub(super) fn judge(&self, node: Key, claim: Claim, now: Timestamp) -> Option<Verdict> {
        match self {
            Self::Tracker(tracker) => Some(tracker.judge(&node, claim, now)),
            Self::View(view) => Some(view.judge(&node, claim, now)),
            Self::Held(view) => Some(view.judge(&node, claim, now)),
            Self::Handle(handle) => handle.judge(claim, now),
        }
    }

    pub(super) fn remove(&self, node: Key, now: Timestamp) -> Option<NodeState> {
        match self {
            Self::Tracker(tracker) => tracker.remove(&node, now),
            Self::View(view) => view.remove(&node, now),
            Self::Held(view) => view.remove(&node, now),
            Self::Handle(handle) => handle.remove(now),
        }
    }

    pub(super) fn remove_if(
        &self,
        node: Key,
        expected: Claim,
        now: Timestamp,
    ) -> Result<NodeState, Option<NodeState>> {
        match self {
            Self::Tracker(tracker) => tracker.remove_if(&node, expected, now),
            Self::View(view) => view.remove_if(&node, expected, now),
            Self::Held(view) => view.remove_if(&node, expected, now),
            Self::Handle(handle) => handle.remove_if(expected, now),
        }
    }

    pub(super) fn forget(&self, node: Key) -> Option<NodeState> {
        match self {
            Self::Tracker(tracker) => tracker.forget(&node),
            Self::View(view) => view.forget(&node),
            Self::Held(view) => view.forget(&node),
            Self::Handle(handle) => handle.forget(),
        }
    }
}

fn through_tracker(tracker: &Tracker, node: Key, proposal: Proposal, now: Timestamp) -> Verdict {
    match proposal.kind() {
        ProposalKind::Claim(claim) => tracker.update(&node, claim, now),
        ProposalKind::Hear(claim) => tracker.hear(&node, claim, now),
        ProposalKind::Confirm(incarnation) => tracker.confirm(&node, incarnation, now),
        ProposalKind::Rejoin(incarnation) => tracker.rejoin(&node, incarnation, now),
        ProposalKind::Introduce => tracker.add_unconfirmed(&node, now),
        other => unreachable!("the testkit knows no {other:?}"),
    }
}

fn through_view(
    view: &View<'_, Key, (), CollidingHasher>,
    node: Key,
    proposal: Proposal,
    now: Timestamp,
) -> Verdict {
    match proposal.kind() {
        ProposalKind::Claim(claim) => view.update(&node, claim, now),
        ProposalKind::Hear(claim) => view.hear(&node, claim, now),
        ProposalKind::Confirm(incarnation) => view.confirm(&node, incarnation, now),
        ProposalKind::Rejoin(incarnation) => view.rejoin(&node, incarnation, now),
        ProposalKind::Introduce => view.add_unconfirmed(&node, now),
        other => unreachable!("the testkit knows no {other:?}"),
    }
}
