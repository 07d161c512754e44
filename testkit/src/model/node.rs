//! One node of the model: what is known of it, and what is remembered.
//!
//! Small, `Copy` and comparable, so that a search through histories can keep many of them.

use incarnation::rule::{Judgement, Proposal, Situation, Word, judge};
use incarnation::{Claim, NodeState, Status, SweepReason, SweepScope, Timestamp};

use super::Rules;

/// A word and the time it was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Held {
    /// The word.
    pub word: Word,
    /// Its stamp.
    pub at: Timestamp,
}

impl Held {
    /// What a lookup answered; `None` if that was no legal state.
    pub fn of(state: NodeState) -> Option<Self> {
        Some(Self {
            word: Word::of(state.claim())?,
            at: state.last_update,
        })
    }
}

/// One node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Node {
    /// Its state, while it is known.
    pub life: Option<Held>,
    /// Its last death that is remembered; its time may be over.
    pub grave: Option<Held>,
}

impl Node {
    /// Decides about a proposal. Room in the table is the caller's business.
    pub fn judge(&self, rules: &Rules, proposal: Proposal, now: Timestamp) -> Judgement {
        judge(self.situation(rules, now), proposal, &rules.policy)
    }

    /// Whether its grave, if it has one, still counts for claims although it is known.
    pub fn is_only_heard_of(&self) -> bool {
        self.life
            .is_some_and(|life| life.word.status() == Status::Unconfirmed)
    }

    fn situation(&self, rules: &Rules, now: Timestamp) -> Situation {
        let mut situation = Situation {
            stored: self.life.map(|life| life.word),
            ..Situation::default()
        };
        if let Some(life) = self.life
            && !self.is_only_heard_of()
        {
            situation.died_recently = rules.is_recent(life.at, now);
        } else if let Some(grave) = self.grave.filter(|grave| !rules.is_over(grave.at, now)) {
            situation.grave = Some(grave.word);
            situation.died_recently = rules.is_recent(grave.at, now);
        }
        situation
    }

    /// Carries out an accepted proposal. A stamp never goes back within a life; a join ends a grave
    /// below its word.
    pub fn write(&mut self, word: Word, now: Timestamp) {
        match &mut self.life {
            Some(held) => {
                held.word = word;
                held.at = held.at.max(now);
            }
            None => {
                self.life = Some(Held { word, at: now });
                self.grave = self.grave.filter(|grave| grave.word >= word);
            }
        }
    }

    /// What is to be remembered if the node leaves the table now.
    pub fn burial(&self, rules: &Rules, now: Timestamp) -> Option<Held> {
        self.life.filter(|last| {
            last.word.status().is_gone() && rules.max_graves > 0 && !rules.is_over(last.at, now)
        })
    }

    /// Remembers a death; where one is remembered already, the higher word of the two.
    pub fn bury(&mut self, rules: &Rules, death: Held, now: Timestamp) {
        match self.grave {
            Some(known) if known.word >= death.word && !rules.is_over(known.at, now) => {}
            _ => self.grave = Some(death),
        }
    }

    /// What time does to the node: the reason, and the word it is left with, if any.
    pub fn fate(
        &self,
        rules: &Rules,
        scope: SweepScope,
        now: Timestamp,
    ) -> Option<(SweepReason, Option<Word>)> {
        let life = self.life?;
        let age = now.since(life.at);
        let dead_only = scope == SweepScope::Dead;
        match life.word.status() {
            Status::Unconfirmed if !dead_only && rules.unconfirmed_timeout? < age => {
                Some((SweepReason::UnconfirmedExpired, None))
            }
            Status::Suspect if !dead_only && rules.suspect_timeout? < age => {
                let death = Claim::dead(life.word.incarnation()).trusted();
                match self.judge(rules, Proposal::claim(death), now) {
                    Judgement::Write(dead, _) => Some((SweepReason::SuspectExpired, Some(dead))),
                    Judgement::Keep(_) => None,
                }
            }
            Status::Dead | Status::Left if rules.dead_retention < age => {
                Some((SweepReason::DeadRetention, None))
            }
            _ => None,
        }
    }
}
