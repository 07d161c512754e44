//! Operations on single tombstones: a caller writes one, or looks one up.
//!
//! A tombstone is written before the entry that it ends is evicted, as by a sweep: at every instant the node
//! is in the table or has a tombstone.
#![forbid(unsafe_code)]

use core::hash::{BuildHasher, Hash};

use equivalent::Equivalent;

use super::evict::Exit;
use super::{IncarnationTracker, NodeState, View};
use crate::counters::event_counters::Event;
use crate::key::ToKey;
use crate::rule::{
    Claim, Incarnation, Judgement, PackedState, Proposal, Rejection, Situation, Verdict, judge,
};
use crate::table::EntryState;
use crate::time::Timestamp;
use crate::tombstones::{Tombstone, WriteOutcome};

/// What [`IncarnationTracker::bury`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "the death may not have been recorded"]
#[non_exhaustive]
pub enum BuryOutcome {
    /// The node was in the table at or below the incarnation. It is out of it, and the tombstone remembers
    /// its death.
    Evicted(NodeState),
    /// The tombstone remembers the death. The node is not in the table, or it is known at a higher
    /// incarnation and stays.
    Recorded,
    /// The node's tombstone remembers this death already, or a later one. Nothing was written.
    AlreadyRecorded,
    /// The tracker keeps no tombstones (`max_tombstones` is 0). Nothing was done.
    NotKept,
    /// The node is the local node. Nothing was done.
    AboutSelf,
    /// The incarnation is out of range, or is `max_incarnation`: the node could never come back. Nothing
    /// was done.
    Rejected(Rejection),
}

impl<K, D, S> IncarnationTracker<K, D, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Records that a node died at an incarnation, without entering it: gossip at or below that incarnation
    /// no longer brings it into the table. If it is in the table at or below the incarnation, it is
    /// evicted, whatever its status.
    ///
    /// For deaths that are no news here: a newcomer takes those that its seed remembers. It is no ban: a
    /// higher incarnation brings the node back, and so does first-hand contact if gossip introduced it
    /// meanwhile. A ban is the caller's own filter in front of the tracker.
    ///
    /// A death that is recorded at the very moment its node joins may end up beside the joined node, as if it
    /// had come before an entry at a higher incarnation.
    ///
    /// Cost: a lookup, the lock of a part of the tombstones, a clone of the key; for an eviction a few atomic
    /// operations.
    ///
    /// ```
    /// use incarnation::{BuryOutcome, Claim, IncarnationTracker, Rejection, Timestamp, Verdict};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tracker: IncarnationTracker<u32> = IncarnationTracker::builder().build()?;
    /// let now = Timestamp::ZERO;
    /// assert_eq!(tracker.bury(&7, 4, now), BuryOutcome::Recorded);
    /// assert_eq!(tracker.tombstone(&7).map(|death| death.claim()), Some(Claim::dead(4)));
    /// let old = tracker.hear(&7, Claim::alive(4), now);
    /// assert!(matches!(old, Verdict::Rejected(Rejection::Tombstone { .. })));
    /// # Ok(()) }
    /// ```
    pub fn bury<Q>(
        &self,
        node: &Q,
        incarnation: impl Into<Incarnation>,
        now: Timestamp,
    ) -> BuryOutcome
    where
        Q: ?Sized + ToKey<K>,
    {
        let outcome = self.pin().bury(node, incarnation, now);
        self.core().table.collect_if_due();
        outcome
    }

    /// What a node's tombstone remembers: Dead or Left, the incarnation, and as
    /// [`last_update`](NodeState::last_update) the time of the death. It may be past
    /// `tombstone_retention`, until a sweep expires it. `None` if the node has no tombstone.
    ///
    /// Cost: without tombstones one load; else the lock of a part of them. For an example see
    /// [`bury`](Self::bury).
    #[must_use]
    pub fn tombstone<Q>(&self, node: &Q) -> Option<NodeState>
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        let found = self.core().tombstones.find(node)?;
        let Tombstone { packed, died } = found.tombstone;
        Some(NodeState::new(packed, died))
    }
}

impl<K, D, S> View<'_, K, D, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    /// As [`IncarnationTracker::bury`].
    pub fn bury<Q>(
        &self,
        node: &Q,
        incarnation: impl Into<Incarnation>,
        now: Timestamp,
    ) -> BuryOutcome
    where
        Q: ?Sized + ToKey<K>,
    {
        let core = self.core;
        let death = Claim::dead(incarnation).trusted();
        let hash = core.hash(node);
        if core.is_local(hash, node) {
            return BuryOutcome::AboutSelf;
        }
        // Out of range, or never to be outbid: such a tombstone would keep its node away for good.
        let unknown = judge(Situation::default(), Proposal::claim(death), &core.policy);
        let dead = match unknown {
            Judgement::Write(packed, _) => packed,
            Judgement::Keep(Verdict::Rejected(reason)) => return BuryOutcome::Rejected(reason),
            Judgement::Keep(_) => return BuryOutcome::AlreadyRecorded,
        };
        if !core.tombstones.are_kept() {
            return BuryOutcome::NotKept;
        }
        let key = node.to_key();
        let mut recorded = false;
        loop {
            let doomed = match self.pinned.find(hash, node) {
                Some((entry, EntryState::Live(packed)))
                    if packed.incarnation() <= dead.incarnation() =>
                {
                    Some((entry, packed))
                }
                _ => None,
            };
            // A node that left at this incarnation is remembered as such.
            let packed = doomed.map_or(dead, |(_, packed)| packed.max(dead));
            let tombstone = Tombstone { packed, died: now };
            let written = core.tombstones.write(&key, tombstone, now);
            recorded |= matches!(written, WriteOutcome::New(_) | WriteOutcome::Raised(_));
            let Some((entry, packed)) = doomed else {
                // It may have joined before the tombstone could stop it.
                if self.is_live_at_or_below(hash, node, dead) {
                    continue;
                }
                if !recorded {
                    return BuryOutcome::AlreadyRecorded;
                }
                core.event_counters.count(Event::TombstoneWritten);
                return BuryOutcome::Recorded;
            };
            // A claim that was faster is met again in the next round.
            let exit = Exit::Recorded;
            let evict = |entry, packed| self.pinned.evict(entry, packed);
            if let Ok(last) = core.evict(evict, entry, packed, exit) {
                core.event_counters.count(Event::TombstoneWritten);
                return BuryOutcome::Evicted(last);
            }
        }
    }

    fn is_live_at_or_below<Q>(&self, hash: u32, node: &Q, dead: PackedState) -> bool
    where
        Q: ?Sized + Equivalent<K>,
    {
        matches!(
            self.pinned.find(hash, node),
            Some((_, EntryState::Live(packed))) if packed.incarnation() <= dead.incarnation()
        )
    }
}
