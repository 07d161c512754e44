//! One step: done to the tracker, done to the model, answers compared.

use incarnation::rule::{Proposal, ProposalKind};
use incarnation::{
    Claim, NodeState, Rejection, SweepCursor, SweepReason, SweepReport, SweepScope, Verdict,
};

use super::access_path::AccessPath;
use super::{HeldHandle, Lockstep, Unequal, held, same};
use crate::model::{Held, Sweep, Swept};
use crate::ops::{Key, Op, Via};

impl<'t> Lockstep<'t> {
    pub(super) fn step(&mut self, op: &Op) -> Result<(), Unequal> {
        match *op {
            Op::Submit {
                node,
                proposal,
                via,
            } => self.submit(node, proposal, via),
            Op::Judge { node, claim, via } => {
                let judged = self.door(via).judge(node, claim, self.now);
                same(
                    "judgement",
                    self.preview(node, Proposal::claim(claim), via),
                    judged,
                )
            }
            Op::Batch(ref claims) => self.batch(claims),
            Op::Required { node } => same(
                "required incarnation",
                self.model.required_incarnation(&node, self.now),
                self.tracker.required_incarnation(&node, self.now),
            ),
            Op::Remove { node, via } => {
                let removed = self.door(via).remove(node, self.now);
                let target = self.target(node, via);
                let expected = target.and_then(|node| self.model.remove(&node, self.now));
                same("removed", expected, held(removed))
            }
            Op::RemoveIf {
                node,
                expected,
                via,
            } => self.remove_if(node, expected, via),
            Op::Forget { node, via } => {
                let forgotten = self.door(via).forget(node);
                let target = self.target(node, via);
                let expected = target.and_then(|node| self.model.forget(&node));
                same("forgotten", expected, held(forgotten))
            }
            Op::Sweep(scope) => self.sweep(scope),
            Op::Slices { places } => self.slices(places),
            Op::Grab { node, handle } => self.grab(node, handle),
            Op::Refute { accused } => same(
                "refutation",
                self.model.refute(accused),
                self.tracker.local().refute(accused),
            ),
            Op::Hold => {
                self.held = Some(self.tracker.pin());
                Ok(())
            }
            Op::Repin => {
                if let Some(view) = &mut self.held {
                    view.repin();
                }
                Ok(())
            }
            Op::Release => {
                self.held = None;
                Ok(())
            }
        }
    }

    fn door(&self, via: Via) -> AccessPath<'_, 't> {
        match (self.handle(via), &self.held) {
            (Some(kept), _) => AccessPath::Handle(&kept.handle),
            (None, Some(view)) if via == Via::View => AccessPath::Held(view),
            (None, None) if via == Via::View => AccessPath::View(self.tracker.pin()),
            _ => AccessPath::Tracker(self.tracker),
        }
    }

    /// The handle an operation goes through, if there is one.
    fn handle(&self, via: Via) -> Option<&HeldHandle> {
        match via {
            Via::Handle(number) => self.handles[usize::from(number)].as_ref(),
            _ => None,
        }
    }

    /// The node that an operation touches; `None` if it goes through a handle of an ended lifetime.
    fn target(&self, node: Key, via: Via) -> Option<Key> {
        match self.handle(via) {
            Some(kept) => kept.lasts_in(&self.model).then_some(kept.node),
            None => Some(node),
        }
    }

    fn preview(&self, node: Key, proposal: Proposal, via: Via) -> Option<Verdict> {
        let node = self.target(node, via)?;
        Some(self.model.preview(&node, proposal, self.now))
    }

    fn submit(&mut self, node: Key, proposal: Proposal, via: Via) -> Result<(), Unequal> {
        if let ProposalKind::Claim(claim) = proposal.kind() {
            let judged = self.door(via).judge(node, claim, self.now);
            same("judgement", self.preview(node, proposal, via), judged)?;
        }
        let verdict = self.door(via).propose(node, proposal, self.now);
        let target = self.target(node, via);
        if let (Some(verdict), Some(node)) = (verdict, target)
            && self.waits_for_the_view(node, proposal, verdict)
        {
            return Ok(());
        }
        let expected = target.map(|node| self.model.submit(&node, proposal, self.now));
        self.verdicts.extend(verdict);
        same("verdict", expected, verdict)
    }

    /// Whether a newcomer was refused because all free entries wait for the view that is held.
    fn waits_for_the_view(&self, node: Key, proposal: Proposal, verdict: Verdict) -> bool {
        self.held.is_some()
            && verdict == Verdict::Rejected(Rejection::PendingReclaim)
            && self.tracker.pending_reclaim() > 0
            && self.model.preview(&node, proposal, self.now) == Verdict::Joined
    }

    fn batch(&mut self, claims: &[(Key, Claim)]) -> Result<(), Unequal> {
        let mut verdicts = Vec::new();
        self.tracker.with(|view| {
            view.update_batch(claims, self.now, |number, verdict| {
                verdicts.push((number, verdict));
            });
        });
        same("verdicts", claims.len(), verdicts.len())?;
        for (place, (number, verdict)) in verdicts.into_iter().enumerate() {
            same("number in the batch", place, number)?;
            let (node, claim) = claims[place];
            let proposal = Proposal::claim(claim);
            if !self.waits_for_the_view(node, proposal, verdict) {
                let expected = self.model.submit(&node, proposal, self.now);
                same("verdict in the batch", expected, verdict)?;
            }
        }
        Ok(())
    }

    fn remove_if(&mut self, node: Key, expected: Option<Claim>, via: Via) -> Result<(), Unequal> {
        let target = self.target(node, via);
        let present = target.and_then(|node| self.model.get(&node));
        let expected = expected
            .or_else(|| present.map(|held| held.packed.claim()))
            .unwrap_or(Claim::alive(1));
        let removed = self.door(via).remove_if(node, expected, self.now);
        let result = match target {
            Some(node) => self.model.remove_if(&node, expected, self.now).map(Some),
            None => Err(None),
        };
        let state = |state: NodeState| held(Some(state));
        same("removed", result, removed.map(state).map_err(held))
    }

    fn sweep(&mut self, scope: SweepScope) -> Result<(), Unequal> {
        let mut swept = Vec::new();
        let report = self
            .tracker
            .sweep_with(scope, self.now, |done| swept.extend(to_model(&done)));
        self.swept(scope, swept, &[report])
    }

    fn slices(&mut self, places: usize) -> Result<(), Unequal> {
        let mut swept = Vec::new();
        let mut reports = Vec::new();
        let mut cursor = SweepCursor::default();
        loop {
            let on_swept = |done: incarnation::Swept<'_, Key>| swept.extend(to_model(&done));
            let report = self
                .tracker
                .sweep_slice(&mut cursor, places, self.now, on_swept);
            reports.push(report);
            if cursor.is_at_start() {
                break;
            }
        }
        self.swept(SweepScope::Expiry, swept, &reports)
    }

    fn swept(
        &mut self,
        scope: SweepScope,
        swept: Vec<Swept<Key>>,
        reports: &[SweepReport],
    ) -> Result<(), Unequal> {
        let Sweep {
            swept: expected,
            tombstones_ended,
            clock_leads,
        } = self.model.sweep(scope, self.now, &swept);
        let count = |reason| expected.iter().filter(|done| done.reason == reason).count();
        let sum = |of: fn(&SweepReport) -> usize| reports.iter().map(of).sum::<usize>();
        same(
            "reported",
            [
                count(SweepReason::UnconfirmedExpired),
                count(SweepReason::SuspectExpired),
                count(SweepReason::DeadRetention),
                count(SweepReason::Capacity),
                tombstones_ended,
                clock_leads,
            ],
            [
                sum(|report| report.unconfirmed_expired),
                sum(|report| report.declared_dead),
                sum(|report| report.dead_evicted),
                sum(|report| report.capacity_evicted),
                sum(|report| report.tombstones_expired),
                sum(|report| report.clock_leads),
            ],
        )?;
        same("swept", expected, swept)
    }
}

fn to_model(done: &incarnation::Swept<'_, Key>) -> Option<Swept<Key>> {
    Some(Swept {
        node: *done.node,
        last: Held::of(done.last)?,
        reason: done.reason,
    })
}
