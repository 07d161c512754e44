//! A node as a view shows it: key, state, slot and the program's data, found once.
#![forbid(unsafe_code)]

use core::fmt;
use core::hash::{BuildHasher, Hash};
use std::net::SocketAddr;

use equivalent::Equivalent;

use super::iter::ViewIter;
use super::{IncarnationTracker, NodeHandle, NodeState, Slot, View};
use crate::hash::RandomState;
use crate::rule::PackedState;
use crate::table::{EntryState, Node};

/// A node that a [`View`] found: its key, state, slot and data, without a second lookup.
///
/// The state is the one that the node was in when it was found; [`now`](Self::now) reads it anew. Key and
/// data stay valid as long as the view is held, also when the node leaves the table meanwhile.
///
/// ```
/// use incarnation::{Claim, IncarnationTracker, Timestamp};
/// use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // For each node a counter of its own, made when the node joins.
/// let tracker = IncarnationTracker::<String>::builder()
///     .data_with(|_node| AtomicU32::new(0))
///     .build()?;
/// let _ = tracker.update("db-1", Claim::alive(1), Timestamp::ZERO);
/// let view = tracker.pin();
/// let member = view.find("db-1").ok_or("unknown")?;
/// member.data().fetch_add(1, Relaxed);
/// assert!(member.state().is_alive());
/// assert_eq!((member.key().as_str(), member.slot().index), ("db-1", 0));
/// # Ok(()) }
/// ```
pub struct Member<'v, K = SocketAddr, D = (), S = RandomState> {
    tracker: &'v IncarnationTracker<K, D, S>,
    node: Node<'v, K, D>,
    /// Read behind the packed state, so it is that lifetime's.
    generation: u64,
    state: NodeState,
}

impl<K, D, S> Clone for Member<'_, K, D, S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, D, S> Copy for Member<'_, K, D, S> {}

impl<'v, K, D, S> Member<'v, K, D, S> {
    #[inline(always)]
    pub(super) fn new(
        tracker: &'v IncarnationTracker<K, D, S>,
        node: Node<'v, K, D>,
        packed: PackedState,
    ) -> Self {
        Self {
            tracker,
            node,
            generation: node.generation(),
            state: NodeState::new(packed, node.last_update()),
        }
    }

    /// The node and the state it was found in, for operations that go on with it.
    pub(super) fn entry(&self) -> (Node<'v, K, D>, EntryState) {
        (self.node, self.node.entry_state())
    }

    /// The node's key.
    #[must_use]
    #[inline]
    pub fn key(&self) -> &'v K {
        self.node.key()
    }

    /// The state that the node was found in. Costs nothing.
    #[must_use]
    #[inline]
    pub fn state(&self) -> NodeState {
        self.state
    }

    /// The state that the node is in now; `None` if it left the table meanwhile. Cost: one cache line.
    #[must_use]
    #[inline]
    pub fn now(&self) -> Option<NodeState> {
        // The view is still held, so the entry is not reused: what is live there is this lifetime.
        match self.node.entry_state() {
            EntryState::Live(packed) => Some(NodeState::new(packed, self.node.last_update())),
            EntryState::Vacant | EntryState::Evicted => None,
        }
    }

    /// Where the node is in the table, for arrays beside it.
    #[must_use]
    #[inline]
    pub fn slot(&self) -> Slot {
        Slot::of(self.node.index(), self.generation)
    }

    /// What the program keeps of the node: see [`Builder::data_with`](crate::Builder::data_with).
    #[must_use]
    #[inline]
    pub fn data(&self) -> &'v D {
        self.node.data()
    }
}

impl<K, D, S> Member<'_, K, D, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    /// A handle of this lifetime of the node. Cost: a clone of the key and of the tracker; no lookup.
    #[must_use]
    pub fn handle(&self) -> NodeHandle<K, D, S> {
        let key = self.key().clone();
        NodeHandle::of(self.tracker, self.node.index(), self.generation, key)
    }
}

impl<K: fmt::Debug, D: fmt::Debug, S> fmt::Debug for Member<'_, K, D, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member")
            .field("key", self.key())
            .field("state", &self.state)
            .field("slot", &self.slot())
            .field("data", self.data())
            .finish()
    }
}

/// The members a [`View`] sees; made by [`View::members`].
pub struct Members<'v, K = SocketAddr, D = (), S = RandomState> {
    tracker: &'v IncarnationTracker<K, D, S>,
    nodes: ViewIter<'v, K, D>,
}

impl<'v, K, D, S> Iterator for Members<'v, K, D, S> {
    type Item = Member<'v, K, D, S>;

    fn next(&mut self) -> Option<Self::Item> {
        let (node, packed) = self.nodes.next_node()?;
        Some(Member::new(self.tracker, node, packed))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.nodes.size_hint()
    }
}

impl<K, D, S> core::iter::FusedIterator for Members<'_, K, D, S> {}

impl<K, D, S> fmt::Debug for Members<'_, K, D, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Members").field(&self.nodes).finish()
    }
}

impl<'t, K, D, S> View<'t, K, D, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    /// The node of a key with its state, slot and data. [`Member`] has an example.
    ///
    /// Cost: as [`get`](Self::get).
    #[must_use]
    #[inline]
    pub fn find<Q>(&self, node: &Q) -> Option<Member<'_, K, D, S>>
    where
        Q: ?Sized + Hash + Equivalent<K>,
    {
        let (node, packed) = self.pinned.find_live(self.core.hash(node), node)?;
        Some(Member::new(self.tracker, node, packed))
    }

    /// All nodes with their states, slots and data; the guarantees are those of
    /// [`IncarnationTracker::iter`].
    ///
    /// Cost: a walk over the array of entries, one cache line each, in order.
    ///
    /// ```
    /// use incarnation::{Claim, IncarnationTracker, Timestamp};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let tracker = IncarnationTracker::<u32>::builder().data_with(|node| node * 10).build()?;
    /// for node in 1..=3 {
    ///     let _ = tracker.update(&node, Claim::alive(1), Timestamp::ZERO);
    /// }
    /// let sum: u32 = tracker.pin().members().map(|member| *member.data()).sum();
    /// assert_eq!(sum, 60);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn members(&self) -> Members<'_, K, D, S> {
        Members {
            tracker: self.tracker,
            nodes: self.iter(),
        }
    }
}

/// What remains of a node that was taken out of the table, while the view that did it is held.
pub struct Removed<'v, K = SocketAddr, D = ()> {
    node: Node<'v, K, D>,
    last: NodeState,
}

impl<'v, K, D> Removed<'v, K, D> {
    pub(super) fn new(node: Node<'v, K, D>, last: NodeState) -> Self {
        Self { node, last }
    }

    /// The node's key.
    #[must_use]
    pub fn key(&self) -> &'v K {
        self.node.key()
    }

    /// The state that the node was in when it was taken out.
    #[must_use]
    pub fn last(&self) -> NodeState {
        self.last
    }

    /// What the program keeps of the node, for a last use: to close a connection, say. It is dropped once no view
    /// can reach it.
    #[must_use]
    pub fn data(&self) -> &'v D {
        self.node.data()
    }
}

impl<K: fmt::Debug, D: fmt::Debug> fmt::Debug for Removed<'_, K, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Removed")
            .field("key", self.key())
            .field("last", &self.last)
            .field("data", self.data())
            .finish()
    }
}
