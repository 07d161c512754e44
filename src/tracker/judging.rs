//! Brings together what a judgement needs: the packed state that stands, the tombstone, the policy.
//!
//! The rule itself is [`judge`], and knows none of them. Nothing here changes anything. Where a packed state and a
//! tombstone both count, they are of one moment: what a thread read of one is looked at again after the other.
#![forbid(unsafe_code)]

use core::hash::{BuildHasher, Hash};

use equivalent::Equivalent;

use super::core::Core;
use crate::rule::{Judgement, PackedState, Proposal, Rejection, Situation, Status, Verdict, judge};
use crate::table::{EntryState, Node, Pinned};
use crate::time::Timestamp;
use crate::tombstones::{Found, Tombstone};

impl<K, D, S> Core<K, D, S>
where
    K: Eq + Hash + Clone,
    S: BuildHasher,
{
    /// What `submit` would answer now; changes nothing.
    pub(crate) fn preview<Q>(
        &self,
        pinned: &Pinned<'_, K, D>,
        key: &Q,
        proposal: Proposal,
        now: Timestamp,
    ) -> Judgement
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        let hash = self.hash(key);
        if self.is_local(hash, key) {
            return Judgement::Keep(about_self(proposal));
        }
        loop {
            let joins = self.event_counters.arrivals();
            if let Some((node, packed)) = known(pinned, hash, key) {
                match self.judge_known(node, packed, proposal, now) {
                    Ok(judgement) => return judgement,
                    Err(_moved) => continue,
                }
            }
            let judgement = self.within_capacity(self.judge_unknown(key, proposal, now));
            // If the node joined between the two looks, it may have ended the tombstone that the second
            // one missed: then it was never as unknown as this judgement says. It may even be gone
            // again, into another tombstone. But a join is counted before it ends a tombstone.
            if known(pinned, hash, key).is_none() && self.event_counters.arrivals() == joins {
                return judgement;
            }
            // Some node joined, which happens all the time and need not be this one. While its tombstone is
            // locked, this node can neither end it by joining nor be evicted into another: if it is not
            // in the table, this is its tombstone.
            let (found, is_known) = self
                .tombstones
                .find_locked(key, || known(pinned, hash, key).is_some());
            if !is_known {
                return self.within_capacity(self.judge_by_tombstone(found, proposal, now));
            }
        }
    }

    fn within_capacity(&self, judgement: Judgement) -> Judgement {
        match judgement {
            Judgement::Write(..) if self.table.is_full() => {
                Judgement::Keep(Verdict::Rejected(Rejection::AtCapacity))
            }
            judgement => judgement,
        }
    }

    /// Judges a proposal against a live entry, or says what has become of it meanwhile.
    pub(crate) fn judge_known(
        &self,
        node: Node<'_, K, D>,
        packed: PackedState,
        proposal: Proposal,
        now: Timestamp,
    ) -> Result<Judgement, EntryState> {
        if packed.status() == Status::Unconfirmed && proposal.needs_tombstone_of_unconfirmed() {
            self.judge_heard_of(node, packed, proposal, now)
        } else {
            Ok(self.judge_standing(node, packed, proposal, now))
        }
    }

    /// The same where no tombstone can count: for all but Unconfirmed nodes, and for claims that change nothing anyway.
    #[inline(always)]
    pub(super) fn judge_standing(
        &self,
        node: Node<'_, K, D>,
        packed: PackedState,
        proposal: Proposal,
        now: Timestamp,
    ) -> Judgement {
        let situation = Situation {
            died_recently: proposal.is_rejoin()
                && packed.status() == Status::Dead
                && self.is_recent(node.last_update(), now),
            ..Situation::known(packed)
        };
        judge(situation, proposal, &self.policy)
    }

    /// The same for a node that was only heard of: it may have been entered over its tombstone, which then still
    /// counts.
    #[cold]
    #[inline(never)]
    fn judge_heard_of(
        &self,
        node: Node<'_, K, D>,
        packed: PackedState,
        proposal: Proposal,
        now: Timestamp,
    ) -> Result<Judgement, EntryState> {
        let situation_by_tombstone =
            self.situation_by_tombstone(self.tombstones.find(node.key()), now);
        // Packed state and tombstone belong to one moment only if the packed state is unchanged: the node may have been
        // forgotten meanwhile, with its tombstone.
        match node.entry_state() {
            EntryState::Live(still) if still == packed => {
                let stored = Some(packed);
                let situation = Situation {
                    stored,
                    ..situation_by_tombstone
                };
                Ok(judge(situation, proposal, &self.policy))
            }
            moved => Err(moved),
        }
    }

    #[inline(always)]
    pub(super) fn judge_unknown<Q>(&self, key: &Q, proposal: Proposal, now: Timestamp) -> Judgement
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        self.judge_by_tombstone(self.tombstones.find(key), proposal, now)
    }

    #[inline(always)]
    pub(super) fn judge_by_tombstone(
        &self,
        found: Option<Found>,
        proposal: Proposal,
        now: Timestamp,
    ) -> Judgement {
        judge(
            self.situation_by_tombstone(found, now),
            proposal,
            &self.policy,
        )
    }

    /// The situation of an unknown node by its tombstone.
    #[inline(always)]
    fn situation_by_tombstone(&self, found: Option<Found>, now: Timestamp) -> Situation {
        match self.tombstones.current(found, now) {
            None => Situation::default(),
            Some(Tombstone { packed, died }) => Situation {
                stored: None,
                tombstone: Some(packed),
                died_recently: self.is_recent(died, now),
            },
        }
    }

    fn is_recent(&self, death: Timestamp, now: Timestamp) -> bool {
        now.since(death) <= self.policy.zombie_window
    }
}

/// The node of a key, if it is in the table.
pub(super) fn known<'p, K, D, Q>(
    pinned: &'p Pinned<'_, K, D>,
    hash: u32,
    key: &Q,
) -> Option<(Node<'p, K, D>, PackedState)>
where
    Q: ?Sized + Equivalent<K>,
{
    pinned.find_live(hash, key)
}

/// The answer to a proposal about the local node. Not inlined: all other claims would prepare for it.
#[cold]
#[inline(never)]
pub(super) fn about_self(proposal: Proposal) -> Verdict {
    Verdict::AboutSelf {
        accused: proposal.as_claim(),
    }
}
