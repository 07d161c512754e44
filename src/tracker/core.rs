//! What tracker, view and handle share: the table, the policies, and how a proposal gets into it.
//!
//! A proposal about a node goes through one loop: find its entry or link a vacant one, judge the
//! proposal against the packed state that is there, and exchange exactly that packed state. A lost race is judged
//! again. An insertion takes the same path: the claim that raises a packed state from vacant is answered `Joined`.
#![forbid(unsafe_code)]

use core::hash::{BuildHasher, Hash, Hasher};
use core::time::Duration;

use equivalent::Equivalent;

use crate::counters::event_counters::{Event, EventCounters};
use crate::counters::pin_age::PinAge;
use crate::counters::status_counts::StatusCounts;
use crate::key::ToKey;
use crate::local::Local;
use crate::notify::Notify;
use crate::notify::capacity_signal::CapacitySignal;
use crate::rule::{
    Judgement, PackedState, Policy, Proposal, Rejection, Situation, Status, Verdict, judge,
};
use crate::sync::atomic::AtomicBool;
use crate::sync::contention_backoff;
use crate::table::{EntryState, Link, Node, Pinned, Reservation, Table};
use crate::time::Timestamp;
use crate::tombstones::{Found, Tombstone, Tombstones, WriteOutcome};
use crate::tracker::{NodeState, SweepReason};

/// Why a node leaves the table, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Exit {
    Swept(SweepReason, Timestamp),
    Removed(Timestamp),
    /// Its tombstone is written already.
    Recorded,
    /// Without a tombstone, whatever it was.
    Forgotten,
}

impl From<Exit> for Event {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Swept(reason, _) => reason.into(),
            Exit::Removed(_) | Exit::Recorded => Self::Removed,
            Exit::Forgotten => Self::Forgotten,
        }
    }
}

/// When a sweep does what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SweepPolicy {
    pub(crate) unconfirmed_timeout: Option<Duration>,
    pub(crate) suspect_timeout: Option<Duration>,
    pub(crate) dead_retention: Duration,
    pub(crate) max_nodes: usize,
    pub(crate) hard_limit: usize,
    pub(crate) max_clock_lead: Option<Duration>,
    pub(crate) eviction_headroom: usize,
    pub(crate) evict_alive: bool,
}

/// Makes what a program keeps of a node, from its key.
pub(crate) struct MakeData<K, D>(Box<dyn Fn(&K) -> D + Send + Sync>);

impl<K, D> MakeData<K, D> {
    pub(crate) fn new(make: impl Fn(&K) -> D + Send + Sync + 'static) -> Self {
        Self(Box::new(make))
    }

    pub(crate) fn make(&self, key: &K) -> D {
        (self.0)(key)
    }
}

impl<K, D> core::fmt::Debug for MakeData<K, D> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("MakeData")
    }
}

/// What a claim that was not answered at once needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// The node has no live entry.
    Unknown,
    /// Another look at its entry, at least.
    Other,
}

/// How often a claim about an unknown node that finds no free entry lets other threads run, before it is refused.
const MAX_YIELDS: usize = if cfg!(incarnation_loom) { 1 } else { 8 };

#[derive(Debug)]
pub(crate) struct Core<K, D, S> {
    /// Makes what a program keeps of a node, when the node joins.
    pub(crate) make_data: MakeData<K, D>,
    pub(crate) table: Table<K, D>,
    pub(crate) tombstones: Tombstones<K>,
    pub(crate) policy: Policy,
    pub(crate) sweep_policy: SweepPolicy,
    pub(crate) status_counts: StatusCounts,
    pub(crate) event_counters: EventCounters,
    pub(crate) views: PinAge,
    pub(crate) notify: Notify,
    pub(crate) hasher: S,
    pub(crate) local: Local,
    /// The hash of the local node's key, so that most claims are told apart by one comparison; more
    /// than any hash if there is none.
    pub(crate) local_hash: u64,
    pub(crate) local_key: Option<K>,
    /// Held by the sweep that selects by capacity; no thread waits for it.
    pub(crate) selecting: AtomicBool,
    /// Claims that find no room notify the sweepers through it.
    pub(crate) capacity_signal: CapacitySignal,
}

/// The high half of a key's hash.
///
/// Not by [`BuildHasher::hash_one`]: a hasher may have that depend on the key's *type* (ahash does), and then an integer
/// would not be found by what is equivalent to it.
#[allow(clippy::manual_hash_one, reason = "see above")]
#[inline(always)]
pub(crate) fn table_hash<Q: ?Sized + Hash>(hasher: &impl BuildHasher, key: &Q) -> u32 {
    let mut state = hasher.build_hasher();
    key.hash(&mut state);
    (state.finish() >> 32) as u32
}

impl<K, D, S> Core<K, D, S>
where
    K: Eq + Hash + Clone,
    S: BuildHasher,
{
    /// The high half of the hash: its low bits choose the chain, all of it is compared.
    #[inline(always)]
    pub(crate) fn hash<Q: ?Sized + Hash>(&self, key: &Q) -> u32 {
        table_hash(&self.hasher, key)
    }

    #[inline(always)]
    pub(crate) fn is_local<Q>(&self, hash: u32, key: &Q) -> bool
    where
        Q: ?Sized + Equivalent<K>,
    {
        u64::from(hash) == self.local_hash && self.is_local_key(key)
    }

    #[cold]
    fn is_local_key<Q>(&self, key: &Q) -> bool
    where
        Q: ?Sized + Equivalent<K>,
    {
        self.local_key
            .as_ref()
            .is_some_and(|local| key.equivalent(local))
    }

    /// A lookup.
    #[inline(always)]
    pub(crate) fn get<Q>(&self, pinned: &Pinned<'_, K, D>, key: &Q) -> Option<NodeState>
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        self.get_hashed(pinned, self.hash(key), key)
    }

    #[inline(always)]
    pub(crate) fn get_hashed<Q>(
        &self,
        pinned: &Pinned<'_, K, D>,
        hash: u32,
        key: &Q,
    ) -> Option<NodeState>
    where
        Q: ?Sized + Equivalent<K>,
    {
        let (node, packed) = pinned.find_live(hash, key)?;
        Some(NodeState::new(packed, node.last_update()))
    }

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

    /// Decides about a proposal and carries it out.
    #[inline(always)]
    pub(crate) fn submit<Q>(
        &self,
        pinned: &Pinned<'_, K, D>,
        key: &Q,
        proposal: Proposal,
        now: Timestamp,
    ) -> Verdict
    where
        Q: ?Sized + ToKey<K>,
    {
        self.submit_hashed(pinned, self.hash(key), key, proposal, now)
    }

    #[inline(always)]
    pub(crate) fn submit_hashed<Q>(
        &self,
        pinned: &Pinned<'_, K, D>,
        hash: u32,
        key: &Q,
        proposal: Proposal,
        now: Timestamp,
    ) -> Verdict
    where
        Q: ?Sized + ToKey<K>,
    {
        self.submit_with(pinned, hash, key, proposal, now, |key| {
            self.make_data.make(key)
        })
    }

    /// The same with data for the node, should this call bring it into the table.
    #[inline(always)]
    pub(crate) fn submit_with<Q>(
        &self,
        pinned: &Pinned<'_, K, D>,
        hash: u32,
        key: &Q,
        proposal: Proposal,
        now: Timestamp,
        data: impl FnMut(&K) -> D,
    ) -> Verdict
    where
        Q: ?Sized + ToKey<K>,
    {
        match self.submit_known(pinned, hash, key, proposal, now) {
            Ok(verdict) => verdict,
            Err(Left::Unknown) => self.apply_unknown(hash, key, proposal, now, data),
            Err(Left::Other) => self.apply_slow(hash, key, proposal, now, data),
        }
    }

    /// The same with a guard of its own, which is dropped before anything that may take long.
    #[inline(always)]
    pub(crate) fn submit_once<Q>(&self, key: &Q, proposal: Proposal, now: Timestamp) -> Verdict
    where
        Q: ?Sized + ToKey<K>,
    {
        self.submit_once_with(key, proposal, now, |key| self.make_data.make(key))
    }

    #[inline(always)]
    pub(crate) fn submit_once_with<Q>(
        &self,
        key: &Q,
        proposal: Proposal,
        now: Timestamp,
        data: impl FnMut(&K) -> D,
    ) -> Verdict
    where
        Q: ?Sized + ToKey<K>,
    {
        let hash = self.hash(key);
        let pinned = self.table.pin();
        match self.submit_known(&pinned, hash, key, proposal, now) {
            Ok(verdict) => verdict,
            Err(Left::Unknown) => {
                drop(pinned);
                self.apply_unknown(hash, key, proposal, now, data)
            }
            Err(Left::Other) => {
                drop(pinned);
                self.apply_slow(hash, key, proposal, now, data)
            }
        }
    }

    /// The part of it that nearly every claim needs, or what is left to do.
    #[inline(always)]
    fn submit_known<Q>(
        &self,
        pinned: &Pinned<'_, K, D>,
        hash: u32,
        key: &Q,
        proposal: Proposal,
        now: Timestamp,
    ) -> Result<Verdict, Left>
    where
        Q: ?Sized + Equivalent<K>,
    {
        if self.is_local(hash, key) {
            return Ok(about_self(proposal));
        }
        match pinned.find_live(hash, key) {
            Some((node, packed)) => self
                .apply_fast(node, packed, proposal, now)
                .ok_or(Left::Other),
            None => Err(Left::Unknown),
        }
    }

    /// The same for all that is not over at once: an unknown node, a lost race, a refusal.
    ///
    /// It pins for itself, so that the caller's guard need not be where a pointer can reach it.
    #[cold]
    #[inline(never)]
    fn apply_slow<Q>(
        &self,
        hash: u32,
        key: &Q,
        proposal: Proposal,
        now: Timestamp,
        mut data: impl FnMut(&K) -> D,
    ) -> Verdict
    where
        Q: ?Sized + ToKey<K>,
    {
        match self.attempt(hash, key, Left::Other, proposal, now, &mut data) {
            Some(verdict) => self.noted(verdict),
            None => self.apply_without_free_entry(hash, key, proposal, now, data),
        }
    }

    /// The same for a node that was not found a moment ago: a join, as a rule.
    #[inline(never)]
    fn apply_unknown<Q>(
        &self,
        hash: u32,
        key: &Q,
        proposal: Proposal,
        now: Timestamp,
        mut data: impl FnMut(&K) -> D,
    ) -> Verdict
    where
        Q: ?Sized + ToKey<K>,
    {
        // The head's line was only read so far, and another thread may have a copy of it.
        self.table.prefetch_head_to_write(hash);
        match self.attempt(hash, key, Left::Unknown, proposal, now, &mut data) {
            Some(verdict) => self.noted(verdict),
            None => self.apply_without_free_entry(hash, key, proposal, now, data),
        }
    }

    /// The same after an attempt that found no free entry.
    #[cold]
    #[inline(never)]
    fn apply_without_free_entry<Q>(
        &self,
        hash: u32,
        key: &Q,
        proposal: Proposal,
        now: Timestamp,
        mut data: impl FnMut(&K) -> D,
    ) -> Verdict
    where
        Q: ?Sized + ToKey<K>,
    {
        for step in 1..=MAX_YIELDS {
            if !self.table.wait_for_reclaim() {
                break;
            }
            if step < MAX_YIELDS
                && let Some(verdict) =
                    self.attempt(hash, key, Left::Other, proposal, now, &mut data)
            {
                return self.noted(verdict);
            }
        }
        self.table.collect();
        match self.attempt(hash, key, Left::Other, proposal, now, &mut data) {
            Some(verdict) => self.noted(verdict),
            None if self.table.may_wait_for_entries() => {
                self.noted(self.no_room(Rejection::PendingReclaim))
            }
            // The class of the key's head is full: the hasher does not spread.
            None => self.noted(self.no_room(Rejection::AtCapacity)),
        }
    }

    /// One attempt at it, with a guard of its own; `None` if the table is not full, but has no free entry.
    #[inline(always)]
    fn attempt<Q>(
        &self,
        hash: u32,
        key: &Q,
        mut left: Left,
        proposal: Proposal,
        now: Timestamp,
        mut data: impl FnMut(&K) -> D,
    ) -> Option<Verdict>
    where
        Q: ?Sized + ToKey<K>,
    {
        let pinned = &self.table.pin();
        loop {
            // The entry this call links, until it is raised; dropping it takes it back.
            let linked;
            let mut reservation = None;
            // Not found a moment ago: the link looks again anyway.
            let known_before = match core::mem::replace(&mut left, Left::Other) {
                Left::Unknown => None,
                Left::Other => pinned.find(hash, key),
            };
            let (node, entry_state) = match known_before {
                Some(found) => found,
                None => match self.introduce(pinned, hash, key, proposal, now, &mut data) {
                    Ok(Link::Found(node, entry_state)) => (node, entry_state),
                    Ok(Link::New(vacant, reserved)) => {
                        linked = vacant;
                        reservation = reserved;
                        (linked.node(), EntryState::Vacant)
                    }
                    refused => {
                        // Joined between the look for it and the look at its tombstone: judged anew.
                        if known(pinned, hash, key).is_some() {
                            continue;
                        }
                        return match refused {
                            Err(Some(verdict)) => Some(verdict),
                            // This thread took the last entry itself, and has given it back.
                            Err(None) if !self.table.is_full() => continue,
                            Ok(_) if !self.table.is_full() => None,
                            Err(None) | Ok(_) => Some(self.no_room(Rejection::AtCapacity)),
                        };
                    }
                },
            };
            if let Some(verdict) = self.settle(node, entry_state, reservation, proposal, now) {
                return Some(verdict);
            }
            // That lifetime ended meanwhile: the proposal is made again, to a fresh entry.
        }
    }

    /// Links a vacant entry for an unknown node, unless the proposal would be refused anyway (`Err(None)`: for
    /// lack of room).
    #[inline(always)]
    fn introduce<'p, Q>(
        &self,
        pinned: &'p Pinned<'_, K, D>,
        hash: u32,
        key: &Q,
        proposal: Proposal,
        now: Timestamp,
        data: impl FnOnce(&K) -> D,
    ) -> Result<Link<'p, K, D>, Option<Verdict>>
    where
        Q: ?Sized + ToKey<K>,
    {
        match self.judge_unknown(key, proposal, now) {
            Judgement::Write(..) if self.table.is_full() => Err(None),
            Judgement::Write(..) => Ok(pinned.link(hash, key, data, now)),
            Judgement::Keep(verdict) => Err(Some(verdict)),
        }
    }

    /// The answer where room was needed and there is none; notifies the sweepers, which can make some.
    #[cold]
    fn no_room(&self, reason: Rejection) -> Verdict {
        self.capacity_signal.notify();
        Verdict::Rejected(reason)
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
    fn settle<'t>(
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
    fn join<'t>(
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

    /// An answer on its way out: refusals are counted.
    #[inline]
    fn noted(&self, verdict: Verdict) -> Verdict {
        if let Verdict::Rejected(reason) = verdict {
            self.refused(reason);
        }
        verdict
    }

    #[cold]
    fn refused(&self, reason: Rejection) {
        self.event_counters.count(reason);
        #[cfg(feature = "tracing")]
        tracing::debug!(target: "incarnation", %reason, "claim refused");
    }

    /// To be called after every change of a node's packed state (`None`: not in the table).
    #[inline(always)]
    pub(crate) fn changed(
        &self,
        node: Node<'_, K, D>,
        from: Option<PackedState>,
        to: Option<PackedState>,
    ) {
        self.status_counts.moved(from, to);
        self.notify
            .changed(self.table.domain(), node.index(), from.is_none());
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
    fn judge_standing(
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

    fn judge_unknown<Q>(&self, key: &Q, proposal: Proposal, now: Timestamp) -> Judgement
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        self.judge_by_tombstone(self.tombstones.find(key), proposal, now)
    }

    fn judge_by_tombstone(
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

    /// Takes a node out of the table if its packed state is still the judged one. For a Dead or Left
    /// one it first writes a tombstone, unless that would have expired by then, or the node is to be forgotten. `evict` takes
    /// the entry out of the table.
    #[inline]
    pub(crate) fn evict<'p>(
        &self,
        evict: impl FnOnce(Node<'p, K, D>, PackedState) -> Result<(), EntryState>,
        node: Node<'p, K, D>,
        packed: PackedState,
        exit: Exit,
    ) -> Result<NodeState, EntryState> {
        let last = NodeState::new(packed, node.last_update());
        let mut written = WriteOutcome::NotStored;
        if packed.status().is_gone()
            && let Exit::Swept(_, now) | Exit::Removed(now) = exit
        {
            let tombstone = Tombstone {
                packed,
                died: last.last_update,
            };
            written = self.tombstones.write(node.key(), tombstone, now);
        }
        if let Err(entry_state) = evict(node, packed) {
            self.tombstones.take_back(node.key(), written);
            return Err(entry_state);
        }
        self.changed(node, Some(packed), None);
        self.event_counters.count(exit);
        if written != WriteOutcome::NotStored {
            self.event_counters.count(Event::TombstoneWritten);
        }
        #[cfg(feature = "tracing")]
        tracing::debug!(target: "incarnation", reason = ?Event::from(exit), %last, "node evicted");
        Ok(last)
    }
}

/// The node of a key, if it is in the table.
fn known<'p, K, D, Q>(
    pinned: &'p Pinned<'_, K, D>,
    hash: u32,
    key: &Q,
) -> Option<(Node<'p, K, D>, PackedState)>
where
    Q: ?Sized + Equivalent<K>,
{
    pinned.find_live(hash, key)
}

/// The answer to a proposal about the local node.
fn about_self(proposal: Proposal) -> Verdict {
    Verdict::AboutSelf {
        accused: proposal.as_claim(),
    }
}

#[cfg(all(
    test,
    target_os = "linux",
    not(incarnation_portable),
    not(incarnation_loom),
    not(miri)
))]
mod tests {
    use crate::reclaim::system_calls;
    use crate::{Claim, IncarnationTracker, Reclaimer, Rejection, Timestamp, Verdict};

    const NOW: Timestamp = Timestamp::ZERO;

    /// Fills the spare entries with removed nodes, then has so many more claims refused. Returns how many system calls
    /// these cost.
    fn system_calls_of_refused_claims(tracker: &IncarnationTracker<u64>, claims: u64) -> usize {
        let refused = Verdict::Rejected(Rejection::PendingReclaim);
        let first = (0..).find(|node| {
            let verdict = tracker.update(node, Claim::alive(1), NOW);
            let _ = tracker.remove(node, NOW);
            verdict == refused
        });
        let before = system_calls();
        for node in first.into_iter().flat_map(|first| first..first + claims) {
            assert_eq!(tracker.update(&node, Claim::alive(1), NOW), refused);
        }
        system_calls() - before
    }

    fn tracker() -> IncarnationTracker<u64> {
        let builder = IncarnationTracker::builder().max_nodes(500);
        builder.reclaimer(Reclaimer::private()).build().unwrap()
    }

    #[test]
    fn claims_refused_under_a_view_of_their_own_thread_pay_for_no_fence() {
        let tracker = tracker();
        let view = tracker.pin();
        let calls = system_calls_of_refused_claims(&tracker, 100_000);
        assert!(calls <= 10, "{calls} system calls");
        drop(view);
        assert_eq!(tracker.update(&0, Claim::alive(1), NOW), Verdict::Joined);
    }

    #[test]
    fn claims_refused_under_a_view_of_another_thread_pay_for_no_fence() {
        let tracker = tracker();
        let (pinned, is_pinned) = std::sync::mpsc::channel();
        let (over, is_over) = std::sync::mpsc::channel::<()>();
        std::thread::scope(|scope| {
            // Dropped when this closure ends, also by a panic: then the other thread ends too.
            let _over = over;
            let tracker = &tracker;
            scope.spawn(move || {
                let view = tracker.pin();
                let _ = pinned.send(());
                let _ = is_over.recv();
                drop(view);
            });
            is_pinned.recv().unwrap();
            // Few: each of them yields to other threads first, which takes time on a busy machine.
            let calls = system_calls_of_refused_claims(tracker, 500);
            assert!(calls <= 10, "{calls} system calls");
        });
        assert_eq!(tracker.update(&0, Claim::alive(1), NOW), Verdict::Joined);
    }
}
