//! What a program does with a tracker. Each operation pins, works and unpins.

use core::hash::{BuildHasher, Hash};

use equivalent::Equivalent;

use super::{
    Builder, IncarnationTracker, Iter, Member, NodeHandle, NodeState, Removed, View, WeakTracker,
};
use crate::counters::Counts;
use crate::key::ToKey;
use crate::local::Local;
use crate::rule::{Claim, Incarnation, Policy, Proposal, Status, Verdict};
use crate::sync::downgrade;
use crate::time::Timestamp;

impl<K> IncarnationTracker<K> {
    /// A builder with the default limits and a randomly seeded ahash.
    pub fn builder() -> Builder<K> {
        Builder::default()
    }
}

impl<K, D, S> IncarnationTracker<K, D, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    /// The state of a node; `None` if it is unknown.
    ///
    /// Cost: a hash, a pin, two or three cache lines. Wait-free; writes nothing to shared memory.
    /// The key may be anything [`Equivalent`](https://docs.rs/equivalent) to `K`: a `String`-keyed tracker is read with `&str`.
    #[inline(always)]
    #[must_use]
    pub fn get<Q>(&self, node: &Q) -> Option<NodeState>
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        self.core.get_once(node).state()
    }

    /// Puts a claim to the table; the verdict says what became of it.
    ///
    /// Cost of a duplicate or stale claim: a lookup, and nothing is written. Of an accepted one: two
    /// atomic operations on the node's own cache line. Lock-free, with two exceptions, while there are
    /// tombstones: a claim about an unknown node, and one that would change an Unconfirmed node, look at
    /// the node's tombstone behind the lock of a part of them. Only an unknown node's key is made or cloned.
    #[inline(always)]
    pub fn update<Q>(&self, node: &Q, claim: Claim, now: Timestamp) -> Verdict
    where
        Q: ?Sized + ToKey<K>,
    {
        self.core.submit_once(node, Proposal::claim(claim), now)
    }

    /// Puts what a third party says of a node to the table: gossip, a peer's list of members.
    /// *Hearsay introduces, it never confirms.*
    ///
    /// | the table knows | the claim says | result |
    /// |---|---|---|
    /// | nothing, no tombstone | Unconfirmed, Alive or Suspect | enters Unconfirmed at incarnation 0: `Joined` |
    /// | a tombstone at `t` | the same, at most at `t` | [`Rejected(Tombstone)`](crate::Rejection::Tombstone) |
    /// | a tombstone at `t` | the same, above `t` | enters Unconfirmed at `t`: `Joined` |
    /// | nothing | Dead or Left | [`Rejected(UnknownNode)`](crate::Rejection::UnknownNode) |
    /// | the node as Unconfirmed | anything above that | [`Rejected(Unconfirmed)`](crate::Rejection::Unconfirmed) |
    /// | the node as anything else | anything | as [`update`](Self::update), untrusted |
    /// | that it is the local node | anything | `AboutSelf` |
    ///
    /// So invented nodes, however often they are mentioned, stay Unconfirmed: the sweep removes them
    /// after `unconfirmed_timeout` and evicts them first. The incarnation of an Unconfirmed node is learned
    /// by contact only ([`confirm`](Self::confirm), [`rejoin`](Self::rejoin)). The claim's
    /// [trusted](Claim::trusted) mark is ignored. Gossip on what is `Applied`; don't gossip on `Joined`.
    ///
    /// Cost: as [`update`](Self::update). About a node that is in the table it takes no lock.
    ///
    /// ```
    /// use incarnation::{Claim, IncarnationTracker, Rejection, Status, Timestamp, Verdict};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tracker: IncarnationTracker<u32> = IncarnationTracker::builder().build()?;
    /// let now = Timestamp::ZERO;
    /// // However often others mention node 7, it only counts once it was contacted.
    /// assert_eq!(tracker.hear(&7, Claim::alive(4), now), Verdict::Joined);
    /// let again = tracker.hear(&7, Claim::alive(4), now);
    /// assert_eq!(again, Verdict::Rejected(Rejection::Unconfirmed));
    /// assert!(!tracker.is_confirmed(&7));
    /// assert!(tracker.confirm(&7, 4, now).is_accepted());
    /// // From then on gossip counts.
    /// assert!(tracker.hear(&7, Claim::suspect(4), now).is_accepted());
    /// # Ok(()) }
    /// ```
    #[inline(always)]
    pub fn hear<Q>(&self, node: &Q, claim: Claim, now: Timestamp) -> Verdict
    where
        Q: ?Sized + ToKey<K>,
    {
        self.core.submit_once(node, Proposal::hear(claim), now)
    }

    /// First-hand contact with a node: trusted. An unconfirmed node becomes Alive at the higher of
    /// the stored and the given incarnation; an unknown one is inserted Alive unless it has a tombstone;
    /// any other merges Alive by the ordinary rule, so a suspicion stays unless `incarnation` is
    /// above it. Call it for what the node itself said, never for what others say of it.
    ///
    /// Cost: as [`update`](Self::update).
    ///
    /// ```
    /// use incarnation::{Claim, IncarnationTracker, Timestamp, Verdict};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tracker: IncarnationTracker<u32> = IncarnationTracker::builder().build()?;
    /// let now = Timestamp::ZERO;
    /// // A third party mentions node 7; then a datagram comes from it.
    /// assert_eq!(tracker.add_unconfirmed(&7, now), Verdict::Joined);
    /// assert!(!tracker.is_confirmed(&7));
    /// assert_eq!(
    ///     tracker.confirm(&7, 3, now),
    ///     Verdict::Applied { previous: Claim::unconfirmed(0) },
    /// );
    /// assert_eq!(tracker.get(&7).map(|state| state.claim()), Some(Claim::alive(3)));
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn confirm<Q>(
        &self,
        node: &Q,
        incarnation: impl Into<Incarnation>,
        now: Timestamp,
    ) -> Verdict
    where
        Q: ?Sized + ToKey<K>,
    {
        self.core
            .submit_once(node, Proposal::confirm(incarnation.into()), now)
    }

    /// Whether a node is known as Alive: what a request path asks. Cost: that of [`get`](Self::get).
    #[must_use]
    #[inline]
    pub fn is_alive<Q>(&self, node: &Q) -> bool
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        self.get(node).is_some_and(NodeState::is_alive)
    }

    /// All nodes with their states, keys cloned. [`View::iter`] lends the keys instead.
    ///
    /// A node that is in the table for the whole iteration is seen exactly once. One that comes or goes
    /// meanwhile is seen or not; one that is removed and inserted again may be seen more than once.
    /// Each state is one that the node was in at the moment it was read. The iterator is a view: it
    /// is not `Send`, and removed entries wait until it is dropped.
    ///
    /// Cost: a walk over the array of entries, in order: one or two nanoseconds a node, and a clone of its key.
    #[must_use]
    pub fn iter(&self) -> Iter<'_, K, D> {
        Iter::new(self.core.table.pin())
    }

    /// A pinned reader, for many operations in a row.
    ///
    /// Cost: about a nanosecond on Linux, a full fence elsewhere. While it is held, removed entries
    /// wait to be used again: drop or [`repin`](View::repin) it between packets.
    #[inline(always)]
    pub fn pin(&self) -> View<'_, K, D, S> {
        View::new(self, self.core.table.pin())
    }

    /// Runs `f` with a pinned reader.
    ///
    /// ```
    /// use incarnation::{Claim, IncarnationTracker, Timestamp};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let tracker: IncarnationTracker<String> = IncarnationTracker::builder().build()?;
    /// let packet = [("a:1".to_string(), Claim::alive(1)), ("b:1".to_string(), Claim::dead(4))];
    /// let news = tracker.with(|view| {
    ///     let claims = packet.iter();
    ///     let verdicts = claims.map(|(node, claim)| view.update(node, *claim, Timestamp::ZERO));
    ///     verdicts.filter(|verdict| verdict.is_accepted()).count()
    /// });
    /// assert_eq!(news, 2);
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn with<R>(&self, f: impl FnOnce(&View<'_, K, D, S>) -> R) -> R {
        f(&self.pin())
    }

    /// An owned reference to a node's present lifetime: no hashing, no lookup; `None` if it is unknown. Keep
    /// it in the connection object; [`NodeHandle`] has an example.
    ///
    /// Cost: a lookup, a clone of the key and of the tracker.
    #[must_use]
    pub fn handle<Q>(&self, node: &Q) -> Option<NodeHandle<K, D, S>>
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        NodeHandle::find(self, node)
    }

    /// The local node's own incarnation.
    ///
    /// It is there without a configured [local node](crate::Builder::local_node), too: it starts at
    /// [`local_incarnation`](crate::Builder::local_incarnation) and answers whatever it is asked. But no claim comes back as
    /// [`AboutSelf`](Verdict::AboutSelf) then, since the tracker does not know which key is its own: it stores such a
    /// claim as any other node's.
    #[must_use]
    pub fn local(&self) -> &Local {
        &self.core.local
    }

    /// As [`update`](Self::update), with the node's data made by this call if it is what brings the node in. `data`
    /// replaces the builder's function; see [`Builder::data_with`] for when it runs.
    ///
    /// ```
    /// use incarnation::{Claim, IncarnationTracker, Timestamp};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tracker = IncarnationTracker::<u32>::builder()
    ///     .data_with(|_node| String::from("?"))
    ///     .build()?;
    /// let zone = || String::from("eu-west");
    /// let _ = tracker.update_with(&7, Claim::alive(1), Timestamp::ZERO, zone);
    /// let found = tracker.with(|view| view.find(&7).map(|member| member.data().clone()));
    /// assert_eq!(found.as_deref(), Some("eu-west"));
    /// # Ok(()) }
    /// ```
    #[inline]
    pub fn update_with<Q>(
        &self,
        node: &Q,
        claim: Claim,
        now: Timestamp,
        data: impl FnMut() -> D,
    ) -> Verdict
    where
        Q: ?Sized + ToKey<K>,
    {
        let mut data = data;
        self.core
            .submit_once_with(node, Proposal::claim(claim), now, |_| data())
    }

    /// As [`confirm`](Self::confirm), with the node's data made by this call if it is what brings the node in, as in
    /// [`update_with`](Self::update_with).
    pub fn confirm_with<Q>(
        &self,
        node: &Q,
        incarnation: impl Into<Incarnation>,
        now: Timestamp,
        data: impl FnMut() -> D,
    ) -> Verdict
    where
        Q: ?Sized + ToKey<K>,
    {
        let proposal = Proposal::confirm(incarnation.into());
        let mut data = data;
        self.core.submit_once_with(node, proposal, now, |_| data())
    }

    /// What [`update`](Self::update) would answer now. Changes nothing. Cost: a lookup; for an unknown
    /// node, and a claim that would change an Unconfirmed one, a look at the tombstones, too.
    pub fn judge<Q>(&self, node: &Q, claim: Claim, now: Timestamp) -> Verdict
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        self.pin().judge(node, claim, now)
    }

    /// The join path: the node says that it is (back) at an incarnation. Trusted.
    ///
    /// A node that was declared Dead within `zombie_window` (inclusive) needs the incarnation of its
    /// death plus `min_rejoin_bump`, else it is a [`Zombie`](crate::Rejection::Zombie); one that Left,
    /// or died earlier, needs just a higher one. Call it for what the node itself said.
    ///
    /// Cost: as [`update`](Self::update).
    ///
    /// ```
    /// use incarnation::{Claim, IncarnationTracker, Rejection, Timestamp, Verdict};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tracker: IncarnationTracker<u32> = IncarnationTracker::builder().build()?;
    /// let now = Timestamp::ZERO;
    /// let _ = tracker.update(&7, Claim::dead(4), now);
    /// // It comes back too low, is told what it takes, and raises its incarnation to that.
    /// let Verdict::Rejected(Rejection::Zombie { required }) = tracker.rejoin(&7, 5, now) else {
    ///     unreachable!()
    /// };
    /// assert_eq!(required.get(), 9);
    /// assert!(tracker.rejoin(&7, required, now).is_accepted());
    /// # Ok(()) }
    /// ```
    pub fn rejoin<Q>(
        &self,
        node: &Q,
        incarnation: impl Into<Incarnation>,
        now: Timestamp,
    ) -> Verdict
    where
        Q: ?Sized + ToKey<K>,
    {
        self.core
            .submit_once(node, Proposal::rejoin(incarnation.into()), now)
    }

    /// The lowest incarnation at which [`rejoin`](Self::rejoin) would be accepted now; `None` if no
    /// incarnation would be (the local node, a node at `max_incarnation`, a full table). Cost: a few
    /// lookups; changes nothing.
    #[must_use]
    pub fn required_incarnation<Q>(&self, node: &Q, now: Timestamp) -> Option<Incarnation>
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        self.pin().required_incarnation(node, now)
    }

    /// A node was heard of: enters it Unconfirmed at incarnation 0, or at that of its tombstone, which then still counts: only
    /// a higher incarnation or first-hand contact makes it alive.
    /// A known node is a `Duplicate` and stays as it is. Cost: as [`update`](Self::update); for an
    /// example see [`confirm`](Self::confirm).
    pub fn add_unconfirmed<Q>(&self, node: &Q, now: Timestamp) -> Verdict
    where
        Q: ?Sized + ToKey<K>,
    {
        self.core.submit_once(node, Proposal::introduce(), now)
    }

    /// Whether a node is in the table, whatever its status. Cost: that of [`get`](Self::get).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use incarnation::{Claim, IncarnationTracker, Timestamp};
    /// let tracker: IncarnationTracker<String> = IncarnationTracker::builder().build()?;
    /// let _ = tracker.update("db-1", Claim::dead(3), Timestamp::ZERO);
    /// assert!(tracker.contains("db-1") && !tracker.contains("db-2"));
    /// # Ok(()) }
    /// ```
    #[must_use]
    #[inline]
    pub fn contains<Q>(&self, node: &Q) -> bool
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        self.get(node).is_some()
    }

    /// The nodes of a status, or of several, in no particular order. Cost: a scan, as [`iter`](Self::iter), and a clone of
    /// each key.
    ///
    /// ```
    /// use incarnation::{Claim, IncarnationTracker, Status, Timestamp};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tracker: IncarnationTracker<u32> = IncarnationTracker::builder().build()?;
    /// let _ = tracker.update(&1, Claim::alive(1), Timestamp::ZERO);
    /// let _ = tracker.update(&2, Claim::suspect(1), Timestamp::ZERO);
    /// assert_eq!(tracker.nodes_with(Status::Alive), [1]);
    /// assert_eq!(tracker.nodes_with([Status::Alive, Status::Suspect]).len(), 2);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn nodes_with(&self, statuses: impl AsRef<[Status]>) -> Vec<K> {
        self.pin().nodes_with(statuses)
    }

    /// Whether a node is known and has ever been heard from: anything but Unconfirmed.
    #[must_use]
    pub fn is_confirmed<Q>(&self, node: &Q) -> bool
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        self.pin().is_confirmed(node)
    }

    /// Whether a failure detector may suspect the node at its present incarnation (or does already):
    /// Alive or Suspect.
    #[must_use]
    pub fn can_suspect<Q>(&self, node: &Q) -> bool
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        self.pin().can_suspect(node)
    }

    /// How many nodes are in the table. Never more than `hard_limit`. A join or a removal that is under way may be counted or
    /// not, and reservations that a thread uses at this moment (at most 128) may be counted as nodes.
    ///
    /// Cost: one load, and four for each thread that writes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.core.table.live()
    }

    /// Whether the table is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many nodes there are of each status. Cost: a cache line for each thread that writes, no scan.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.core.status_counts.read()
    }

    /// Takes a node out of the table and returns its last state. A Dead or Left one leaves a tombstone
    /// (unless `now` is past its retention already); `None` if it is unknown.
    ///
    /// Cost: a lookup and a few atomic operations; for a tombstone a lock, and a clone of the key. Lookups
    /// are not held up.
    ///
    /// ```
    /// use incarnation::{Claim, IncarnationTracker, Rejection, Timestamp, Verdict};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tracker: IncarnationTracker<u32> = IncarnationTracker::builder().build()?;
    /// let now = Timestamp::ZERO;
    /// let _ = tracker.update(&7, Claim::dead(4), now);
    /// assert_eq!(tracker.remove(&7, now).map(|state| state.claim()), Some(Claim::dead(4)));
    /// // Old gossip does not raise it; an operator may have it forgotten.
    /// let old = tracker.update(&7, Claim::alive(4), now);
    /// assert!(matches!(old, Verdict::Rejected(Rejection::Tombstone { .. })));
    /// assert_eq!(tracker.forget(&7), None); // not in the table, but there was a tombstone
    /// assert_eq!(tracker.update(&7, Claim::alive(4), now), Verdict::Joined);
    /// # Ok(()) }
    /// ```
    pub fn remove<Q>(&self, node: &Q, now: Timestamp) -> Option<NodeState>
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        let removed = self.pin().remove(node, now);
        self.core.table.collect_if_due();
        removed
    }

    /// As [`remove`](Self::remove), and lends the node's key and data for a last use: to close its connection, say.
    ///
    /// ```
    /// use incarnation::{Claim, IncarnationTracker, Timestamp};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tracker = IncarnationTracker::<u32>::builder().data_with(|node| node * 2).build()?;
    /// let _ = tracker.update(&7, Claim::alive(1), Timestamp::ZERO);
    /// let closed = tracker.remove_with(&7, Timestamp::ZERO, |removed| *removed.data());
    /// assert_eq!(closed, Some(14));
    /// # Ok(()) }
    /// ```
    pub fn remove_with<Q, R>(
        &self,
        node: &Q,
        now: Timestamp,
        last: impl FnOnce(Removed<'_, K, D>) -> R,
    ) -> Option<R>
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        let view = self.pin();
        let result = view.take(node, now).map(last);
        drop(view);
        self.core.table.collect_if_due();
        result
    }

    /// Removes each node for which `keep` says no, as [`remove_if`](Self::remove_if) in the state that was shown: a node that
    /// changes meanwhile stays. Dead and Left nodes leave tombstones. Returns how many it removed.
    ///
    /// Cost: a scan, as [`iter`](Self::iter), and a removal each.
    ///
    /// ```
    /// use incarnation::{Claim, IncarnationTracker, Timestamp};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tracker: IncarnationTracker<u32> = IncarnationTracker::builder().build()?;
    /// for node in 0..10 {
    ///     let _ = tracker.update(&node, Claim::alive(1), Timestamp::ZERO);
    /// }
    /// assert_eq!(tracker.retain(Timestamp::ZERO, |member| *member.key() < 3), 7);
    /// assert_eq!(tracker.len(), 3);
    /// # Ok(()) }
    /// ```
    pub fn retain(&self, now: Timestamp, keep: impl FnMut(&Member<'_, K, D, S>) -> bool) -> usize {
        let removed = self.pin().retain(now, keep);
        self.core.table.collect_if_due();
        removed
    }

    /// Takes a node out of the table if it is still in exactly the expected state. Cost: as
    /// [`remove`](Self::remove).
    ///
    /// ```
    /// use incarnation::{Claim, IncarnationTracker, Timestamp};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tracker: IncarnationTracker<u32> = IncarnationTracker::builder().build()?;
    /// let now = Timestamp::ZERO;
    /// let _ = tracker.update(&7, Claim::alive(5), now);
    /// // Decided on what was known a moment ago; meanwhile the node has refuted.
    /// let refused = tracker.remove_if(&7, Claim::suspect(4), now).unwrap_err();
    /// assert_eq!(refused.map(|state| state.claim()), Some(Claim::alive(5)));
    /// assert!(tracker.remove_if(&7, Claim::alive(5), now).is_ok());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// The state the node is in instead; `None` if it is unknown.
    pub fn remove_if<Q>(
        &self,
        node: &Q,
        expected: Claim,
        now: Timestamp,
    ) -> Result<NodeState, Option<NodeState>>
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        let removed = self.pin().remove_if(node, expected, now);
        self.core.table.collect_if_due();
        removed
    }

    /// Takes a node out of the table, and out of the tombstones: as if it had never been heard of. For
    /// operators; old gossip about it will be believed again. Returns its last state if it was in the
    /// table. Cost: as [`remove`](Self::remove), where there is an example.
    pub fn forget<Q>(&self, node: &Q) -> Option<NodeState>
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        let removed = self.pin().forget(node);
        self.core.table.collect_if_due();
        removed
    }

    /// The key of the configured [local node](crate::Builder::local_node), if there is one. What is known of it:
    /// [`local`](Self::local).
    #[must_use]
    pub fn local_node(&self) -> Option<&K> {
        self.core.local_key.as_ref()
    }

    /// A reference that does not keep the table alive, for callbacks and caches that the table's owner outlives.
    ///
    /// ```
    /// use incarnation::IncarnationTracker;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tracker: IncarnationTracker<u32> = IncarnationTracker::builder().build()?;
    /// let weak = tracker.downgrade();
    /// assert!(weak.upgrade().is_some());
    /// drop(tracker);
    /// assert!(weak.upgrade().is_none());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn downgrade(&self) -> WeakTracker<K, D, S> {
        WeakTracker(downgrade(&self.core))
    }

    /// How many tombstones there are.
    #[must_use]
    #[doc(alias = "graves")]
    pub fn tombstones(&self) -> usize {
        self.core.tombstones.len()
    }

    /// How many indexes the table has: each [`Slot::index`](crate::Slot::index) is below it, so side arrays of this
    /// length fit every node there can be.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.core.table.capacity()
    }

    /// How many removed entries wait to be reused. A view may hold them up, or they wait for more to be
    /// collected together: they are collected by sweeps, by removals once there are enough (32 to 256, by the size of the
    /// table), and when no free entry is left.
    #[must_use]
    #[doc(alias = "waiting")]
    #[doc(alias = "limbo")]
    pub fn pending_reclaim(&self) -> usize {
        self.core.table.pending_reclaim()
    }

    /// How many nodes the table holds at most, at any instant: [`Builder::hard_limit`](crate::Builder::hard_limit). A claim
    /// about one more is refused as [`AtCapacity`](crate::Rejection::AtCapacity).
    ///
    /// ```
    /// use incarnation::IncarnationTracker;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tracker: IncarnationTracker<u32> =
    ///     IncarnationTracker::builder().max_nodes(10).hard_limit(16).build()?;
    /// // Leave the last quarter to nodes that were contacted.
    /// let has_room_for_hearsay = tracker.len() < tracker.hard_limit() / 4 * 3;
    /// assert!(has_room_for_hearsay);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn hard_limit(&self) -> usize {
        self.core.sweep_policy.hard_limit
    }

    /// The limits claims are judged by.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.core.policy
    }

    /// The lookup without its pin, as a floor for benchmarks.
    ///
    /// # Safety
    ///
    /// No entry may be removed from the table meanwhile.
    #[cfg(feature = "_bench_floor")]
    #[doc(hidden)]
    #[inline(always)]
    pub unsafe fn get_unprotected<Q>(&self, node: &Q) -> Option<NodeState>
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        let core = &self.core;
        // SAFETY: the caller vouches that no entry is removed meanwhile.
        let found = unsafe { core.table.get_unprotected(core.hash(node), node) };
        found.map(|(packed, last_update)| NodeState::new(packed, last_update))
    }
}
