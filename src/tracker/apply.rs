//! Carries a proposal out on one entry: it is judged against the packed state that is there, and exactly that
//! packed state is exchanged.
//!
//! A lost race is judged again, until the proposal is refused or written, or the entry's lifetime is over. A join takes the
//! same path: the claim that raises a packed state from vacant is answered `Joined`.
#![forbid(unsafe_code)]

use core::hash::{BuildHasher, Hash};

use super::core::Core;
use crate::rule::{Judgement, PackedState, Proposal, Rejection, Status, Verdict};
use crate::sync::contention_backoff;
use crate::table::{EntryState, Node, Reservation};
use crate::time::Timestamp;

/// What a first look at a claim came to, with the packed state it saw: two registers.
///
/// Without a packed state there is no verdict. So the caller asks for the verdict by one test of that, and the compiler
/// makes arithmetic of the three outcomes.
#[derive(Clone, Copy)]
pub(crate) struct Attempt(Option<PackedState>, Outcome);

/// How a claim fared against a packed state.
#[derive(Clone, Copy)]
enum Outcome {
    Applied,
    Duplicate,
    Stale,
}

/// A first look that came to no verdict.
pub(crate) enum Unfinished {
    /// Another look is needed.
    Open,
    /// The node was not there.
    Absent,
}

impl Attempt {
    /// Another look is needed. The outcome means nothing but that this is not [`ABSENT`](Self::ABSENT).
    const OPEN: Self = Self(None, Outcome::Applied);
    /// The node was not there.
    const ABSENT: Self = Self(None, Outcome::Stale);

    #[inline(always)]
    fn of(packed: PackedState, verdict: Option<Verdict>) -> Self {
        let (outcome, told) = match verdict {
            Some(Verdict::Applied { previous }) => (Outcome::Applied, previous),
            Some(Verdict::Duplicate { current }) => (Outcome::Duplicate, current),
            Some(Verdict::Stale { current }) => (Outcome::Stale, current),
            _ => return Self::OPEN,
        };
        debug_assert_eq!(told, packed.claim());
        Self(Some(packed), outcome)
    }

    /// The verdict, if it came to one.
    #[inline(always)]
    pub(crate) fn verdict(self) -> Result<Verdict, Unfinished> {
        let Self(packed, outcome) = self;
        let Some(packed) = packed else {
            return Err(match outcome {
                Outcome::Applied => Unfinished::Open,
                Outcome::Duplicate | Outcome::Stale => Unfinished::Absent,
            });
        };
        let current = packed.claim();
        Ok(match outcome {
            Outcome::Applied => Verdict::Applied { previous: current },
            Outcome::Duplicate => Verdict::Duplicate { current },
            Outcome::Stale => Verdict::Stale { current },
        })
    }
}

impl<K, D, S> Core<K, D, S>
where
    K: Eq + Hash + Clone,
    S: BuildHasher,
{
    /// [`apply_fast`](Self::apply_fast) to what a search found.
    #[inline(always)]
    pub(crate) fn attempt_on(
        &self,
        found: Option<(Node<'_, K, D>, PackedState)>,
        proposal: Proposal,
        now: Timestamp,
    ) -> Attempt {
        match found {
            Some((node, packed)) => {
                Attempt::of(packed, self.apply_fast(node, packed, proposal, now))
            }
            None => Attempt::ABSENT,
        }
    }

    /// Judges a proposal against the packed state of a live entry and writes what wins; `None` if it is to be
    /// refused, or another thread was faster. This is all that nearly every claim needs, so it is straight
    /// code, and leaves everything else to [`apply`](Self::apply).
    #[inline(always)]
    pub(crate) fn apply_fast(
        &self,
        node: Node<'_, K, D>,
        packed: PackedState,
        proposal: Proposal,
        now: Timestamp,
    ) -> Option<Verdict> {
        match self.judge_standing(node, packed, proposal, now) {
            Judgement::Keep(Verdict::Rejected(_)) => None,
            // A node that was only heard of may still have a tombstone.
            Judgement::Keep(_) if proposal.is_rejoin() => None,
            Judgement::Keep(verdict) => Some(verdict),
            Judgement::Write(..)
                if packed.status() == Status::Unconfirmed
                    && proposal.needs_tombstone_of_unconfirmed() =>
            {
                None
            }
            Judgement::Write(to, verdict) => {
                self.write(node, packed, to, now).is_ok().then_some(verdict)
            }
        }
    }

    /// Replaces exactly this packed state, or says what is there instead. Not inlined: most claims write nothing,
    /// and what they need should fit into the processor's registers.
    ///
    /// The loser of a race backs off for a moment. The winner is likely to have more claims about a disputed node, and
    /// keeps the cache line meanwhile; otherwise the line would move to and fro for each claim.
    #[inline(never)]
    fn write(
        &self,
        node: Node<'_, K, D>,
        packed: PackedState,
        to: PackedState,
        now: Timestamp,
    ) -> Result<(), EntryState> {
        if node.raise(Some(packed), to, now).is_err() {
            contention_backoff();
            return Err(node.entry_state());
        }
        self.changed(node, Some(packed), Some(to));
        Ok(())
    }

    /// Judges a proposal against an entry, last seen in this state, until it is refused or written; `None`
    /// once the entry's lifetime is over.
    #[cold]
    #[inline(never)]
    pub(crate) fn apply(
        &self,
        node: Node<'_, K, D>,
        entry_state: EntryState,
        proposal: Proposal,
        now: Timestamp,
    ) -> Option<Verdict> {
        let verdict = self.settle(node, entry_state, None, proposal, now)?;
        Some(self.noted(verdict))
    }

    /// The same, with a refusal yet to be counted.
    #[inline(always)]
    pub(super) fn settle<'t>(
        &'t self,
        node: Node<'_, K, D>,
        mut entry_state: EntryState,
        mut reservation: Option<Reservation<'t, K, D>>,
        proposal: Proposal,
        now: Timestamp,
    ) -> Option<Verdict> {
        loop {
            let attempted = match entry_state {
                EntryState::Evicted => return None,
                EntryState::Live(packed) => match self.judge_known(node, packed, proposal, now) {
                    Ok(Judgement::Keep(verdict)) => Ok(verdict),
                    Ok(Judgement::Write(to, verdict)) => {
                        self.write(node, packed, to, now).map(|()| verdict)
                    }
                    Err(now_there) => Err(now_there),
                },
                EntryState::Vacant => self.join(node, &mut reservation, proposal, now),
            };
            match attempted {
                Ok(verdict) => return Some(verdict),
                Err(now_there) => entry_state = now_there,
            }
        }
    }

    /// Raises a linked, vacant entry, or says what it has become.
    #[inline(always)]
    pub(super) fn join<'t>(
        &'t self,
        node: Node<'_, K, D>,
        reservation: &mut Option<Reservation<'t, K, D>>,
        proposal: Proposal,
        now: Timestamp,
    ) -> Result<Verdict, EntryState> {
        // The tombstones again, now that the entry is linked: between the first look and the link the
        // node may have joined, died and got a tombstone. The tombstone was written before the node's eviction, and the
        // eviction came before our link could succeed, so this look finds it.
        let found = self.tombstones.find(node.key());
        let (to, verdict) = match self.judge_by_tombstone(found, proposal, now) {
            Judgement::Write(to, verdict) => (to, verdict),
            Judgement::Keep(verdict) => return Ok(verdict),
        };
        if reservation.is_none() {
            *reservation = self.table.reserve();
        }
        if reservation.is_none() {
            return match node.entry_state() {
                EntryState::Vacant => Ok(self.no_room(Rejection::AtCapacity)),
                // Another claim was faster, and may have taken the last entry for this very node.
                entry_state => Err(entry_state),
            };
        }
        node.raise(None, to, now)?;
        if let Some(reservation) = reservation.take() {
            reservation.keep();
        }
        self.changed(node, None, Some(to));
        self.event_counters.count_join();
        self.tombstones.end_below(node.key(), found, to);
        Ok(verdict)
    }
}
