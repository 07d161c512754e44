//! An owned reference to one lifetime of a node: no hashing, no lookup.
#![forbid(unsafe_code)]

use core::fmt;
use core::hash::{BuildHasher, Hash};
use std::net::SocketAddr;

use equivalent::Equivalent;

use super::IncarnationTracker;
use super::apply::{Attempt, Unfinished};
use super::state::NodeState;
use super::view::View;
use crate::hash::RandomState;
use crate::rule::{Claim, Incarnation, PackedState, Proposal, Verdict};
use crate::table::{EntryState, Index, Node, Operation, Pinned};
use crate::time::Timestamp;

/// An owned reference to one lifetime of a node, to be kept where the node is used: no hashing, no
/// lookup, one cache line of the table.
///
/// It keeps the table's memory alive past the tracker, never the node in the table. Once the lifetime
/// it was made in is over (eviction, removal) it says so for ever, also when the node joins again
/// or its entry serves another node; [`IncarnationTracker::handle`] finds the new lifetime.
///
/// [`state`](Self::state) and [`is_evicted`](Self::is_evicted) read the node's line without a pin; the methods that judge,
/// change the node or lend its data pin for themselves. Those that change the node write what the tracker's method of
/// that name writes. Judging needs no other node, so none of them walks a chain.
///
/// ```
/// use incarnation::{Claim, IncarnationTracker, Status, Timestamp, Verdict};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tracker: IncarnationTracker<String> = IncarnationTracker::builder().build()?;
/// let _ = tracker.update("a:1", Claim::alive(1), Timestamp::ZERO);
/// let node = tracker.handle("a:1").ok_or("unknown")?;
/// assert_eq!(node.state().map(|state| state.status), Some(Status::Alive));
/// let verdict = node.update(Claim::suspect(1), Timestamp::ZERO);
/// assert!(verdict.is_some_and(Verdict::accepted));
///
/// tracker.remove("a:1", Timestamp::ZERO);
/// assert!(node.is_evicted());
/// assert_eq!(node.update(Claim::alive(2), Timestamp::ZERO), None, "that lifetime is over");
/// # Ok(()) }
/// ```
pub struct NodeHandle<K = SocketAddr, D = (), S = RandomState> {
    tracker: IncarnationTracker<K, D, S>,
    index: Index,
    generation: u64,
    key: K,
}

impl<K: Clone, D, S> Clone for NodeHandle<K, D, S> {
    fn clone(&self) -> Self {
        Self {
            tracker: self.tracker.clone(),
            index: self.index,
            generation: self.generation,
            key: self.key.clone(),
        }
    }
}

/// A node's index in the table during one lifetime, for side arrays of a program's own data.
///
/// Keep the generation beside the data: a slot with the same index and another generation belongs to
/// another lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Slot {
    /// Below [`IncarnationTracker::capacity`]; no other live node has it.
    pub index: usize,
    /// Tells apart the lifetimes that used the index. Never 0, so a zero in an array belongs to no node.
    pub generation: u64,
}

impl Slot {
    /// The slot of an entry in the lifetime of a generation.
    pub(crate) fn of(index: Index, generation: u64) -> Self {
        Self {
            index: index.get() as usize - 1,
            // Even generations are those of free entries; lifetimes have odd ones.
            generation: generation.div_ceil(2),
        }
    }
}

impl<K, D, S> NodeHandle<K, D, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    pub(super) fn find<Q>(tracker: &IncarnationTracker<K, D, S>, node: &Q) -> Option<Self>
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        let view = tracker.pin();
        let (found, _) = view.pinned.find_live(view.core.hash(node), node)?;
        Some(Self {
            index: found.index(),
            // Read after the packed state, which is live, so it is this lifetime's.
            generation: found.generation(),
            key: found.key().clone(),
            tracker: tracker.clone(),
        })
    }

    /// A handle of a lifetime that was found at an index, with this generation and key.
    pub(crate) fn of(
        tracker: &IncarnationTracker<K, D, S>,
        index: Index,
        generation: u64,
        key: K,
    ) -> Self {
        Self {
            tracker: tracker.clone(),
            index,
            generation,
            key,
        }
    }

    /// The tracker, and where this lifetime is in its table.
    pub(crate) fn lifetime(&self) -> (&IncarnationTracker<K, D, S>, Index, u64) {
        (&self.tracker, self.index, self.generation)
    }

    /// The node's key.
    #[must_use]
    pub fn key(&self) -> &K {
        &self.key
    }

    /// The node's state; `None` once this lifetime is over. Cost: one cache line, and no pin: it
    /// holds up nothing, also where its thread stops in the middle of it. Wait-free.
    #[inline]
    #[must_use]
    pub fn state(&self) -> Option<NodeState> {
        let table = &self.tracker.core().table;
        let (packed, last_update) = table.glance(self.index, self.generation)?;
        Some(NodeState::new(packed, last_update))
    }

    /// As [`IncarnationTracker::update`]; `None` once this lifetime is over, and then the claim is not
    /// applied: put it to the tracker.
    #[inline]
    #[must_use]
    pub fn update(&self, claim: Claim, now: Timestamp) -> Option<Verdict> {
        self.submit(Proposal::claim(claim), now)
    }

    /// As [`IncarnationTracker::hear`]; `None` once this lifetime is over, and then nothing is applied: put
    /// it to the tracker.
    #[inline]
    #[must_use]
    pub fn hear(&self, claim: Claim, now: Timestamp) -> Option<Verdict> {
        self.submit(Proposal::hear(claim), now)
    }

    /// As [`IncarnationTracker::confirm`]; `None` once this lifetime is over.
    #[must_use]
    pub fn confirm(&self, incarnation: impl Into<Incarnation>, now: Timestamp) -> Option<Verdict> {
        self.submit(Proposal::confirm(incarnation.into()), now)
    }

    /// Whether this lifetime is over.
    #[must_use]
    pub fn is_evicted(&self) -> bool {
        self.state().is_none()
    }

    /// Runs `f` with what the program keeps of the node; `None` once this lifetime is over. Cost: a pin and
    /// one cache line, two where the data does not fit into the first.
    ///
    /// Lent to a closure, since the data is dropped once no view can reach it. [`Builder::data_with`](crate::Builder::data_with)
    /// has an example.
    #[inline]
    pub fn with_data<R>(&self, f: impl FnOnce(&D) -> R) -> Option<R> {
        let pinned = self.tracker.core().table.pin();
        let (node, _) = pinned.revisit(self.index, self.generation)?;
        Some(f(node.data()))
    }

    /// The node's slot in side arrays, during this lifetime.
    #[must_use]
    pub fn slot(&self) -> Slot {
        Slot::of(self.index, self.generation)
    }

    /// As [`IncarnationTracker::judge`]; `None` once this lifetime is over.
    #[must_use]
    pub fn judge(&self, claim: Claim, now: Timestamp) -> Option<Verdict> {
        let proposal = Proposal::claim(claim);
        self.visit(|view, node, mut packed| {
            loop {
                match view.core.judge_known(node, packed, proposal, now) {
                    Ok(judgement) => return Some(judgement.verdict()),
                    Err(EntryState::Live(now_there)) => packed = now_there,
                    Err(_over) => return None,
                }
            }
        })?
    }

    /// As [`IncarnationTracker::rejoin`]; `None` once this lifetime is over.
    #[must_use]
    pub fn rejoin(&self, incarnation: impl Into<Incarnation>, now: Timestamp) -> Option<Verdict> {
        self.submit(Proposal::rejoin(incarnation.into()), now)
    }

    /// Ends this lifetime, as [`IncarnationTracker::remove`]; `None` if it was over.
    pub fn remove(&self, now: Timestamp) -> Option<NodeState> {
        let removed = self.visit(|view, node, packed| {
            view.take_out_node(node, EntryState::Live(packed), Some(now), |_| true)
                .ok()
        })?;
        self.tracker.core().table.collect_if_due();
        removed
    }

    /// Ends this lifetime if the node is in exactly the expected state, as
    /// [`IncarnationTracker::remove_if`].
    ///
    /// # Errors
    ///
    /// The state the node is in instead; `None` if this lifetime was over.
    pub fn remove_if(
        &self,
        expected: Claim,
        now: Timestamp,
    ) -> Result<NodeState, Option<NodeState>> {
        let expected = PackedState::of(expected);
        let removed = self
            .visit(|view, node, packed| {
                let entry_state = EntryState::Live(packed);
                view.take_out_node(node, entry_state, Some(now), |packed| {
                    Some(packed) == expected
                })
            })
            .unwrap_or(Err(None));
        self.tracker.core().table.collect_if_due();
        removed
    }

    /// Ends this lifetime without a tombstone, and forgets deaths before it, as
    /// [`IncarnationTracker::forget`]; `None`, and nothing is forgotten, if it was over. Tombstones of later
    /// lifetimes of the key are kept.
    pub fn forget(&self) -> Option<NodeState> {
        let removed = self.visit(|view, node, packed| {
            let entry_state = EntryState::Live(packed);
            // Found while this lifetime goes on, so it is no later lifetime's.
            let found = view.core.tombstones.find(&self.key);
            let removed = view.take_out_node(node, entry_state, None, |_| true).ok()?;
            view.core.tombstones.forget_found(&self.key, found);
            Some(removed)
        })?;
        self.tracker.core().table.collect_if_due();
        removed
    }

    /// Runs `f` on the node if this lifetime still goes on.
    #[inline(always)]
    fn visit<R>(
        &self,
        f: impl FnOnce(&View<'_, K, D, S>, Node<'_, K, D>, PackedState) -> R,
    ) -> Option<R> {
        let view = self.tracker.pin();
        let (node, packed) = view.pinned.revisit(self.index, self.generation)?;
        Some(f(&view, node, packed))
    }

    #[inline(always)]
    fn submit(&self, proposal: Proposal, now: Timestamp) -> Option<Verdict> {
        let first_look = FirstLook {
            handle: self,
            proposal,
            now,
        };
        let attempt = match self.tracker.core().table.try_run(first_look) {
            Some(attempt) => attempt,
            None => self.first_look_rarer(proposal, now),
        };
        match attempt.verdict() {
            Ok(verdict) => Some(verdict),
            Err(Unfinished::Open) => self.submit_slow(proposal, now),
            Err(Unfinished::Absent) => None,
        }
    }

    #[cold]
    #[inline(never)]
    fn first_look_rarer(&self, proposal: Proposal, now: Timestamp) -> Attempt {
        self.tracker.core().table.run(FirstLook {
            handle: self,
            proposal,
            now,
        })
    }

    /// The same for what is not over at once.
    #[cold]
    #[inline(never)]
    fn submit_slow(&self, proposal: Proposal, now: Timestamp) -> Option<Verdict> {
        let core = self.tracker.core();
        // Pinned, so the entry can't begin another lifetime: any packed state read here belongs to this one.
        let pinned = core.table.pin();
        let (node, packed) = pinned.revisit(self.index, self.generation)?;
        core.apply(node, EntryState::Live(packed), proposal, now)
    }
}

/// The first look of a claim at the node.
struct FirstLook<'a, K, D, S> {
    handle: &'a NodeHandle<K, D, S>,
    proposal: Proposal,
    now: Timestamp,
}

impl<K, D, S> Operation<K, D> for FirstLook<'_, K, D, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    type Answer = Attempt;

    #[inline(always)]
    fn run(self, pinned: &Pinned<'_, K, D>) -> Attempt {
        let handle = self.handle;
        let found = pinned.revisit(handle.index, handle.generation);
        handle
            .tracker
            .core()
            .attempt_on(found, self.proposal, self.now)
    }
}

impl<K, D, S> fmt::Debug for NodeHandle<K, D, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static + fmt::Debug,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeHandle")
            .field("key", &self.key)
            .field("slot", &self.slot())
            .field("state", &self.state())
            .finish()
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
    use crate::{Claim, IncarnationTracker, Reclaimer, Timestamp};

    #[test]
    fn a_thread_that_reads_a_handles_state_is_never_pinned() {
        let builder = IncarnationTracker::builder().reclaimer(Reclaimer::private());
        let tracker: IncarnationTracker<u8> = builder.build().unwrap();
        let _ = tracker.update(&1, Claim::alive(1), Timestamp::ZERO);
        let handle = tracker.handle(&1).unwrap();
        let records = || tracker.core().table.domain().records();
        let before = records();
        // A thread's first pin takes a record, and the one there is belongs to this thread.
        std::thread::scope(|scope| {
            scope.spawn(|| assert!(handle.state().is_some() && !handle.is_evicted()));
        });
        assert_eq!(records(), before);
        std::thread::scope(|scope| {
            scope.spawn(|| assert!(tracker.get(&1).is_some()));
        });
        assert_eq!(records(), before + 1, "a lookup is pinned");
    }
}
