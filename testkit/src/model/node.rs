//! One node of the model: what is known of it, and what is remembered.
//!
//! Small, `Copy` and comparable, so that a search through histories can keep many of them.

use incarnation::rule::{Judgement, PackedState, Proposal, Situation, judge};
use incarnation::{Claim, NodeState, Status, SweepReason, SweepScope, Timestamp};

use super::Rules;

/// A packed state and the time it was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Held {
    /// The packed state.
    pub packed: PackedState,
    /// Its last update.
    pub at: Timestamp,
}

impl Held {
    /// What a lookup answered; `None` if that was no legal state.
    pub fn of(state: NodeState) -> Option<Self> {
        Some(Self {
            packed: PackedState::of(state.claim())?,
            at: state.last_update,
        })
    }
}

/// One node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Node {
    /// Its state and last update, while it is known.
    pub state: Option<Held>,
    /// Its last death that is remembered; its time may be over.
    pub tombstone: Option<Held>,
}

impl Node {
    /// Decides about a proposal. Room in the table is the caller's business.
    pub fn judge(&self, rules: &Rules, proposal: Proposal, now: Timestamp) -> Judgement {
        judge(self.situation(rules, now), proposal, &rules.policy)
    }

    /// Whether its tombstone, if it has one, still counts for claims although it is known.
    pub fn is_only_heard_of(&self) -> bool {
        self.state
            .is_some_and(|state| state.packed.status() == Status::Unconfirmed)
    }

    fn situation(&self, rules: &Rules, now: Timestamp) -> Situation {
        let mut situation = Situation::default();
        situation.stored = self.state.map(|state| state.packed);
        if let Some(state) = self.state
            && !self.is_only_heard_of()
        {
            situation.died_recently = rules.is_recent(state.at, now);
        } else if let Some(tombstone) = self
            .tombstone
            .filter(|tombstone| !rules.is_over(tombstone.at, now))
        {
            situation.tombstone = Some(tombstone.packed);
            situation.died_recently = rules.is_recent(tombstone.at, now);
        }
        situation
    }

    /// Carries out an accepted proposal. A last update never goes back within a lifetime; a join ends a tombstone
    /// below its packed state.
    pub fn write(&mut self, packed: PackedState, now: Timestamp) {
        match &mut self.state {
            Some(held) => {
                held.packed = packed;
                held.at = held.at.max(now);
            }
            None => {
                self.state = Some(Held { packed, at: now });
                self.tombstone = self
                    .tombstone
                    .filter(|tombstone| tombstone.packed >= packed);
            }
        }
    }

    /// What is to be remembered if the node leaves the table now.
    pub fn tombstone_on_removal(&self, rules: &Rules, now: Timestamp) -> Option<Held> {
        self.state.filter(|last| {
            last.packed.status().is_gone()
                && rules.max_tombstones > 0
                && !rules.is_over(last.at, now)
        })
    }

    /// Remembers a death; where one is remembered already, the higher word of the two.
    pub fn write_tombstone(&mut self, rules: &Rules, death: Held, now: Timestamp) {
        match self.tombstone {
            Some(known) if known.packed >= death.packed && !rules.is_over(known.at, now) => {}
            _ => self.tombstone = Some(death),
        }
    }

    /// What time does to the node: the reason, and the packed state it is left with, if any.
    pub fn fate(
        &self,
        rules: &Rules,
        scope: SweepScope,
        now: Timestamp,
    ) -> Option<(SweepReason, Option<PackedState>)> {
        let state = self.state?;
        let age = now.since(state.at);
        let dead_only = scope == SweepScope::Dead;
        match state.packed.status() {
            Status::Unconfirmed if !dead_only && rules.unconfirmed_timeout? < age => {
                Some((SweepReason::UnconfirmedExpired, None))
            }
            Status::Suspect if !dead_only && rules.suspect_timeout? < age => {
                let death = Claim::dead(state.packed.incarnation()).trusted();
                match self.judge(rules, Proposal::claim(death), now) {
                    Judgement::Write(dead, _) => Some((SweepReason::SuspectExpired, Some(dead))),
                    _ => None,
                }
            }
            Status::Dead | Status::Left if rules.dead_retention < age => {
                Some((SweepReason::DeadRetention, None))
            }
            _ => None,
        }
    }
}
