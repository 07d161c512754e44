//! A pinned reader: the same verbs as on the tracker, with the pin paid once.
#![forbid(unsafe_code)]

use core::fmt;
use core::hash::{BuildHasher, Hash};
use std::net::SocketAddr;

use equivalent::Equivalent;

use super::IncarnationTracker;
use super::core::Core;
use super::evict::Exit;
use super::iter::ViewIter;
use super::member::{Member, Removed};
use super::state::NodeState;
use crate::hash::RandomState;
use crate::key::ToKey;
use crate::rule::{Claim, Incarnation, Judgement, PackedState, Proposal, Status, Verdict};
use crate::table::{EntryState, Node, Pinned};
use crate::time::Timestamp;

/// A pinned reader of a tracker: operations through it pay no pin of their own, and the keys it
/// lends stay valid until it is dropped or [repinned](Self::repin).
///
/// ```
/// use incarnation::{Claim, IncarnationTracker, Timestamp};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tracker: IncarnationTracker<String> = IncarnationTracker::builder().build()?;
/// let view = tracker.pin();
/// for node in ["a:1", "b:1"] {
///     assert!(view.confirm(node, 1, Timestamp::ZERO).is_accepted());
/// }
/// let _ = view.hear("b:1", Claim::suspect(1), Timestamp::ZERO);
/// let alive: Vec<&str> = view
///     .iter()
///     .filter(|(_node, state)| state.is_alive())
///     .map(|(node, _state)| node.as_str())
///     .collect();
/// assert_eq!(alive, ["a:1"]);
/// # Ok(()) }
/// ```
///
/// While it is held, entries that are removed (by any thread, in any tracker that shares the
/// [`Reclaimer`](crate::Reclaimer)) wait to be used again. Held for ever it exhausts the spare entries
/// (and so do several of one thread that overlap without end, each taken before the last is dropped): then
/// unknown nodes are refused with `PendingReclaim`, and known ones never notice.
///
/// # Async code
///
/// A view belongs to the thread that pinned it: it is neither `Send` nor `Sync`, so a task that a
/// multi-threaded runtime may move to another thread can't hold one across an await. The compiler's message names
/// `ViewStaysOnItsThread_EndItsBlockBeforeAwait`:
///
/// ```compile_fail
/// # use incarnation::IncarnationTracker;
/// fn spawn<F: Future<Output = ()> + Send>(task: F) {}
/// # let tracker = IncarnationTracker::<String>::builder().build().unwrap();
/// spawn(async move {
///     let view = tracker.pin();
///     std::future::ready(()).await; // `view` lives across this await: the task is not `Send`
///     view.get("a:1");
/// });
/// ```
///
/// End the view's block before the await, or use [`tracker.with`](IncarnationTracker::with); pin anew after the await.
/// `drop(view)` before the await is not enough for the compiler once the view was used. The same holds for a loop over
/// [`tracker.iter()`](IncarnationTracker::iter) or [`view.members()`](Self::members) whose body awaits: collect first.
///
/// ```
/// # use incarnation::IncarnationTracker;
/// # fn spawn<F: Future<Output = ()> + Send>(task: F) {}
/// # let tracker = IncarnationTracker::<String>::builder().build().unwrap();
/// spawn(async move {
///     let state = {
///         let view = tracker.pin();
///         view.get("a:1")
///     };
///     std::future::ready(state).await;
///     let _later = tracker.with(|view| view.get("a:1"));
/// });
/// ```
///
/// On a single-threaded executor, whose tasks need not be `Send`, a task can hold a view across an await. The entries then
/// wait as long as the task does:
///
/// ```
/// # use incarnation::IncarnationTracker;
/// fn spawn_local<F: Future<Output = ()>>(task: F) {}
/// # let tracker = IncarnationTracker::<String>::builder().build().unwrap();
/// spawn_local(async move {
///     let view = tracker.pin();
///     std::future::ready(()).await;
///     view.get("a:1");
/// });
/// ```
pub struct View<'t, K = SocketAddr, D = (), S = RandomState> {
    /// For the handles of members.
    pub(super) tracker: &'t IncarnationTracker<K, D, S>,
    pub(crate) core: &'t Core<K, D, S>,
    pub(crate) pinned: Pinned<'t, K, D>,
}

impl<'t, K, D, S> View<'t, K, D, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    #[inline(always)]
    pub(super) fn new(tracker: &'t IncarnationTracker<K, D, S>, pinned: Pinned<'t, K, D>) -> Self {
        Self {
            tracker,
            core: tracker.core(),
            pinned,
        }
    }

    /// As [`IncarnationTracker::get`](crate::IncarnationTracker::get).
    #[inline(always)]
    #[must_use]
    pub fn get<Q>(&self, node: &Q) -> Option<NodeState>
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        self.core.get(&self.pinned, node)
    }

    /// As [`IncarnationTracker::update`](crate::IncarnationTracker::update).
    #[inline(always)]
    pub fn update<Q>(&self, node: &Q, claim: Claim, now: Timestamp) -> Verdict
    where
        Q: ?Sized + ToKey<K>,
    {
        self.submit(node, Proposal::claim(claim), now)
    }

    /// As [`IncarnationTracker::hear`](crate::IncarnationTracker::hear).
    #[inline(always)]
    pub fn hear<Q>(&self, node: &Q, claim: Claim, now: Timestamp) -> Verdict
    where
        Q: ?Sized + ToKey<K>,
    {
        self.submit(node, Proposal::hear(claim), now)
    }

    /// As [`IncarnationTracker::confirm`](crate::IncarnationTracker::confirm).
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
        self.submit(node, Proposal::confirm(incarnation.into()), now)
    }

    /// As [`IncarnationTracker::is_alive`](crate::IncarnationTracker::is_alive).
    #[must_use]
    #[inline]
    pub fn is_alive<Q>(&self, node: &Q) -> bool
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        self.get(node)
            .is_some_and(|state| state.status == Status::Alive)
    }

    /// As [`IncarnationTracker::contains`](crate::IncarnationTracker::contains).
    #[must_use]
    #[inline]
    pub fn contains<Q>(&self, node: &Q) -> bool
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        self.get(node).is_some()
    }

    /// All nodes with their states; the guarantees are those of
    /// [`IncarnationTracker::iter`](crate::IncarnationTracker::iter).
    ///
    /// Cost: a walk over the array of entries, one cache line each, in order.
    #[must_use]
    pub fn iter(&self) -> ViewIter<'_, K, D> {
        ViewIter::new(&self.pinned)
    }

    /// As [`IncarnationTracker::nodes_with`](crate::IncarnationTracker::nodes_with).
    #[must_use]
    pub fn nodes_with(&self, statuses: impl AsRef<[Status]>) -> Vec<K> {
        let statuses = statuses.as_ref();
        self.iter()
            .filter(|(_, state)| statuses.contains(&state.status))
            .map(|(node, _)| node.clone())
            .collect()
    }

    /// Lets entries removed so far be used again, and goes on with a fresh view: for long loops.
    /// Does nothing while the thread holds other views.
    ///
    /// ```
    /// # use incarnation::{IncarnationTracker, Timestamp};
    /// # let tracker: IncarnationTracker<u32> = IncarnationTracker::builder().build().unwrap();
    /// let mut view = tracker.pin();
    /// for (number, node) in (0..10_000_u32).enumerate() {
    ///     let _ = view.confirm(&(node % 100), 1, Timestamp::ZERO);
    ///     if number % 1024 == 0 {
    ///         view.repin();
    ///     }
    /// }
    /// ```
    pub fn repin(&mut self) {
        self.pinned.repin();
    }

    /// As [`IncarnationTracker::update_with`](crate::IncarnationTracker::update_with).
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
        self.submit_with(node, Proposal::claim(claim), now, data)
    }

    /// As [`IncarnationTracker::confirm_with`](crate::IncarnationTracker::confirm_with).
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
        self.submit_with(node, Proposal::confirm(incarnation.into()), now, data)
    }

    /// As [`IncarnationTracker::judge`](crate::IncarnationTracker::judge).
    pub fn judge<Q>(&self, node: &Q, claim: Claim, now: Timestamp) -> Verdict
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        self.preview(node, Proposal::claim(claim), now).verdict()
    }

    /// As [`IncarnationTracker::rejoin`](crate::IncarnationTracker::rejoin).
    pub fn rejoin<Q>(
        &self,
        node: &Q,
        incarnation: impl Into<Incarnation>,
        now: Timestamp,
    ) -> Verdict
    where
        Q: ?Sized + ToKey<K>,
    {
        self.submit(node, Proposal::rejoin(incarnation.into()), now)
    }

    /// As [`IncarnationTracker::required_incarnation`](crate::IncarnationTracker::required_incarnation).
    #[must_use]
    pub fn required_incarnation<Q>(&self, node: &Q, now: Timestamp) -> Option<Incarnation>
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        use crate::rule::Rejection::{Tombstone, Zombie};

        let mut incarnation = Incarnation::ZERO;
        // Each answer names an incarnation above the one that was tried; a few steps settle it.
        loop {
            let verdict = match self.preview(node, Proposal::rejoin(incarnation), now) {
                Judgement::Write(..) => return Some(incarnation),
                Judgement::Keep(verdict) => verdict,
            };
            let required = match verdict {
                Verdict::Rejected(Zombie { required }) => required,
                Verdict::Rejected(Tombstone { incarnation }) => incarnation.saturating_add(1),
                Verdict::Duplicate { current } => current.incarnation().saturating_add(1),
                Verdict::Stale { current } => current.incarnation(),
                _ => return None,
            };
            if required <= incarnation {
                return None;
            }
            incarnation = required;
        }
    }

    /// As [`IncarnationTracker::add_unconfirmed`](crate::IncarnationTracker::add_unconfirmed).
    pub fn add_unconfirmed<Q>(&self, node: &Q, now: Timestamp) -> Verdict
    where
        Q: ?Sized + ToKey<K>,
    {
        self.submit(node, Proposal::introduce(), now)
    }

    /// As [`IncarnationTracker::is_confirmed`](crate::IncarnationTracker::is_confirmed).
    #[must_use]
    pub fn is_confirmed<Q>(&self, node: &Q) -> bool
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        self.get(node)
            .is_some_and(|state| state.status != Status::Unconfirmed)
    }

    /// As [`IncarnationTracker::can_suspect`](crate::IncarnationTracker::can_suspect).
    #[must_use]
    pub fn can_suspect<Q>(&self, node: &Q) -> bool
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        self.get(node)
            .is_some_and(|state| matches!(state.status, Status::Alive | Status::Suspect))
    }

    /// As [`IncarnationTracker::remove`](crate::IncarnationTracker::remove).
    pub fn remove<Q>(&self, node: &Q, now: Timestamp) -> Option<NodeState>
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        self.take_out(node, Some(now), |_| true).ok()
    }

    /// As [`remove`](Self::remove), with the node's key and data for a last use while this view is held.
    pub fn take<Q>(&self, node: &Q, now: Timestamp) -> Option<Removed<'_, K, D>>
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        let (node, entry_state) = self.pinned.find(self.core.hash(node), node)?;
        let last = self.take_out_node(node, entry_state, Some(now), |_| true);
        Some(Removed::new(node, last.ok()?))
    }

    /// As [`IncarnationTracker::remove_if`](crate::IncarnationTracker::remove_if).
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
        let expected = PackedState::of(expected);
        self.take_out(node, Some(now), |packed| Some(packed) == expected)
    }

    /// As [`IncarnationTracker::retain`](crate::IncarnationTracker::retain).
    pub fn retain(
        &self,
        now: Timestamp,
        mut keep: impl FnMut(&Member<'_, K, D, S>) -> bool,
    ) -> usize {
        let mut removed = 0;
        for member in self.members() {
            if !keep(&member) {
                let expected = PackedState::of(member.state().claim());
                let is_it = |packed| Some(packed) == expected;
                let (node, entry_state) = member.entry();
                removed += usize::from(
                    self.take_out_node(node, entry_state, Some(now), is_it)
                        .is_ok(),
                );
            }
        }
        removed
    }

    /// As [`IncarnationTracker::forget`](crate::IncarnationTracker::forget).
    pub fn forget<Q>(&self, node: &Q) -> Option<NodeState>
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        let removed = self.take_out(node, None, |_| true).ok();
        self.core.tombstones.forget(node);
        removed
    }

    fn submit_with<Q>(
        &self,
        node: &Q,
        proposal: Proposal,
        now: Timestamp,
        mut data: impl FnMut() -> D,
    ) -> Verdict
    where
        Q: ?Sized + ToKey<K>,
    {
        let hash = self.core.hash(node);
        let data = |_: &K| data();
        self.core
            .submit_with(&self.pinned, hash, node, proposal, now, data)
    }

    #[inline(always)]
    fn submit<Q>(&self, node: &Q, proposal: Proposal, now: Timestamp) -> Verdict
    where
        Q: ?Sized + ToKey<K>,
    {
        self.core.submit(&self.pinned, node, proposal, now)
    }

    fn preview<Q>(&self, node: &Q, proposal: Proposal, now: Timestamp) -> Judgement
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        self.core.preview(&self.pinned, node, proposal, now)
    }

    /// Takes a node out, with a tombstone if `now` is given and it died.
    ///
    /// Inlined, so that the state that is returned is not written to memory in parts and read back as a whole, which a
    /// processor does only after the writes.
    #[inline(always)]
    fn take_out<Q>(
        &self,
        node: &Q,
        now: Option<Timestamp>,
        is_expected: impl Fn(PackedState) -> bool,
    ) -> Result<NodeState, Option<NodeState>>
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        let hash = self.core.hash(node);
        // The node is there, as a rule, and then its head is about to be written.
        self.core.table.prefetch_head_to_write(hash);
        let (found, packed) = self.pinned.find_live(hash, node).ok_or(None)?;
        self.take_out_node(found, EntryState::Live(packed), now, is_expected)
    }

    #[inline(always)]
    pub(super) fn take_out_node<'v>(
        &'v self,
        node: Node<'v, K, D>,
        mut entry_state: EntryState,
        now: Option<Timestamp>,
        is_expected: impl Fn(PackedState) -> bool,
    ) -> Result<NodeState, Option<NodeState>> {
        let exit = now.map_or(Exit::Forgotten, Exit::Removed);
        loop {
            let EntryState::Live(packed) = entry_state else {
                return Err(None);
            };
            if !is_expected(packed) {
                return Err(Some(NodeState::new(packed, node.last_update())));
            }
            let evict = |node, packed| self.pinned.evict(node, packed);
            match self.core.evict(evict, node, packed, exit) {
                Ok(last) => return Ok(last),
                Err(now_there) => entry_state = now_there,
            }
        }
    }
}

/// As [`View::iter`].
impl<'v, K, D, S> IntoIterator for &'v View<'_, K, D, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    type Item = (&'v K, NodeState);
    type IntoIter = ViewIter<'v, K, D>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Shows up to this many nodes.
const SHOWN: usize = 8;

impl<K, D, S> fmt::Debug for View<'_, K, D, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static + fmt::Debug,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        let mut nodes = self.iter();
        for (node, state) in nodes.by_ref().take(SHOWN) {
            map.entry(node, &format_args!("{state}"));
        }
        if nodes.next().is_some() {
            return map.finish_non_exhaustive();
        }
        map.finish()
    }
}
