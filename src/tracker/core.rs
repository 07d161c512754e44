//! What tracker, view and handle share: the table, the tombstones, the policies, and the counters.
//!
//! What is done with them lies in files of their own: [`judging`](super::judging) decides about a proposal,
//! [`apply`](super::apply) carries it out on one entry, [`submit`](super::submit) finds or links the entry, and
//! [`evict`](super::evict) takes a node out.
#![forbid(unsafe_code)]

use core::hash::{BuildHasher, Hash, Hasher};
use core::time::Duration;

use equivalent::Equivalent;

use super::state::NodeState;
use crate::counters::event_counters::EventCounters;
use crate::counters::pin_age::PinAge;
use crate::counters::status_counts::StatusCounts;
use crate::local::Local;
use crate::notify::Notify;
use crate::notify::capacity_signal::CapacitySignal;
use crate::rule::{PackedState, Policy, Rejection, Verdict};
use crate::sync::atomic::AtomicBool;
use crate::table::{Node, Operation, Pinned, Table};
use crate::time::Timestamp;
use crate::tombstones::Tombstones;

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

    /// A lookup with a pin of its own.
    #[inline(always)]
    pub(crate) fn get_once<Q>(&self, key: &Q) -> Seen
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        match self.table.try_run(Lookup { core: self, key }) {
            Some(seen) => seen,
            None => self.get_once_rarer(key),
        }
    }

    #[cold]
    #[inline(never)]
    fn get_once_rarer<Q>(&self, key: &Q) -> Seen
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        self.table.run(Lookup { core: self, key })
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

    /// An answer on its way out: refusals are counted.
    #[inline]
    pub(super) fn noted(&self, verdict: Verdict) -> Verdict {
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

    /// The answer where room was needed and there is none; notifies the sweepers, which can make some.
    #[cold]
    pub(super) fn no_room(&self, reason: Rejection) -> Verdict {
        self.capacity_signal.notify();
        Verdict::Rejected(reason)
    }
}

/// A lookup.
struct Lookup<'a, K, D, S, Q: ?Sized> {
    core: &'a Core<K, D, S>,
    key: &'a Q,
}

impl<K, D, S, Q> Operation<K, D> for Lookup<'_, K, D, S, Q>
where
    K: Eq + Hash + Clone,
    S: BuildHasher,
    Q: ?Sized + Hash + Equivalent<K>,
{
    type Answer = Seen;

    #[inline(always)]
    fn run(self, pinned: &Pinned<'_, K, D>) -> Seen {
        let hash = self.core.hash(self.key);
        Seen::of(pinned.find_live(hash, self.key))
    }
}

/// What a lookup saw of a node: two registers.
pub(crate) struct Seen(Option<PackedState>, Timestamp);

impl Seen {
    #[inline(always)]
    pub(crate) fn of<K, D>(found: Option<(Node<'_, K, D>, PackedState)>) -> Self {
        match found {
            Some((node, packed)) => Self(Some(packed), node.last_update()),
            None => Self(None, Timestamp::ZERO),
        }
    }

    #[inline(always)]
    pub(crate) fn state(self) -> Option<NodeState> {
        self.0.map(|packed| NodeState::new(packed, self.1))
    }
}
