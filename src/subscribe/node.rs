//! Waiting for one node, without a copy of the table.
//!
//! A wait looks the node up, enlists where writers that change the node notify, fences, and looks
//! again before it sleeps:
//!
//! ```text
//! the node is at an index     the waiters of the index's range
//! the node is absent          the waiters for joins
//! ```
//!
//! A node that moves between the two wakes the wait from the list it is in: an eviction notifies the
//! range, a join notifies both.
#![forbid(unsafe_code)]

use core::fmt;
use core::future::Future;
use core::hash::{BuildHasher, Hash};
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::net::SocketAddr;

use equivalent::Equivalent;

use crate::hash::RandomState;
use crate::notify::block;
use crate::notify::wake_list::Ticket;
use crate::table::{EntryState, Index};
use crate::tracker::{IncarnationTracker, NodeHandle, NodeState};

/// Resolves when a node's state meets a condition; made by [`IncarnationTracker::wait_for`],
/// [`NodeHandle::wait_for`] and [`NodeHandle::changed`].
///
/// Await it on any async runtime, or call [`wait`](Self::wait) on a thread. Dropping it ends the wait.
#[must_use = "a wait does nothing unless it is awaited, or `wait` is called"]
pub struct WaitForNode<'t, F, Q: ?Sized, K = SocketAddr, D = (), S = RandomState> {
    tracker: &'t IncarnationTracker<K, D, S>,
    target: Target<'t, Q>,
    condition: F,
    /// Where the wait is enlisted, once it is.
    enlisted: Option<(Option<Index>, Ticket)>,
}

/// What is waited for.
enum Target<'t, Q: ?Sized> {
    /// A node, whichever lifetimes it has.
    Node { hash: u32, key: &'t Q },
    /// One lifetime.
    Lifetime { index: Index, generation: u64 },
}

/// The node did not meet the condition in time; see [`WaitForNode::wait`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimedOut {
    /// How long was waited.
    pub timeout: Duration,
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the node did not meet the condition within {:?}",
            self.timeout
        )
    }
}

impl core::error::Error for TimedOut {}

impl<K, D, S> IncarnationTracker<K, D, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Waits until `condition` holds of a node's state (`None`: it is not in the table), and gives the
    /// state of which it held.
    ///
    /// The condition is asked at once, and after each change to the node; it may be asked more often. It
    /// sees the latest state: what came and went between two looks is not seen. It is called
    /// without locks, and may use the tracker.
    ///
    /// No copy of the table is kept (a [`Subscriber`](crate::Subscriber) keeps one). A wait is enlisted
    /// with its part of the table: a change wakes the waits for the nodes of 32 slots, and while a node
    /// is absent, every join wakes its waits. Cost: a lookup, a short lock, a fence that all cores take
    /// part in (about a microsecond), and some 40 bytes; the first wait in a tracker allocates 80 bytes
    /// for each 32 slots. (1,000 waits in a table of 10,000 nodes take 148,688 bytes in all, the boxes of their futures
    /// among them.) While a wait sleeps, an accepted claim pays three loads more.
    ///
    /// ```
    /// use incarnation::{Claim, IncarnationTracker, NodeState, Timestamp};
    /// use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let tracker: IncarnationTracker<String> = IncarnationTracker::builder().build()?;
    /// let is_alive = |state: Option<NodeState>| state.is_some_and(|state| state.is_alive());
    /// # let writer = tracker.clone();
    /// # let thread = std::thread::spawn(move || {
    /// #     let _ = writer.update("db-1", Claim::alive(1), Timestamp::ZERO);
    /// # });
    /// // In a task: tracker.wait_for("db-1", is_alive).await
    /// let state = tracker.wait_for("db-1", is_alive).wait(Duration::from_secs(10))?;
    /// assert_eq!(state.map(|state| state.claim()), Some(Claim::alive(1)));
    /// # thread.join().unwrap();
    /// # Ok(()) }
    /// ```
    pub fn wait_for<'t, Q, F>(&'t self, node: &'t Q, condition: F) -> WaitForNode<'t, F, Q, K, D, S>
    where
        Q: ?Sized + Hash + Equivalent<K>,
        F: FnMut(Option<NodeState>) -> bool,
    {
        WaitForNode {
            tracker: self,
            target: Target::Node {
                hash: self.core().hash(node),
                key: node,
            },
            condition,
            enlisted: None,
        }
    }
}

impl<K, D, S> NodeHandle<K, D, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Waits until the node's status or incarnation is another than at this call, and gives its new
    /// state; `None` once this lifetime is over.
    ///
    /// A change between an earlier look and this call is not waited for: to wait for a change from a
    /// state seen earlier, use [`wait_for`](Self::wait_for).
    ///
    /// ```
    /// use incarnation::{Claim, IncarnationTracker, Timestamp};
    /// use std::time::Duration;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let tracker: IncarnationTracker<String> = IncarnationTracker::builder().build()?;
    /// let _ = tracker.update("db-1", Claim::alive(1), Timestamp::ZERO);
    /// let node = tracker.handle("db-1").ok_or("unknown")?;
    /// let changed = node.changed();
    /// let _ = tracker.update("db-1", Claim::suspect(1), Timestamp::ZERO);
    /// // In a task: changed.await
    /// let state = changed.wait(Duration::from_secs(10))?;
    /// assert_eq!(state.map(|state| state.claim()), Some(Claim::suspect(1)));
    /// # Ok(()) }
    /// ```
    pub fn changed(
        &self,
    ) -> WaitForNode<'_, impl FnMut(Option<NodeState>) -> bool + use<K, D, S>, K, K, D, S> {
        let seen = self.state().map(NodeState::claim);
        self.wait_for(move |state| state.map(NodeState::claim) != seen)
    }

    /// Waits until `condition` holds of the node's state, or its lifetime is over, and gives its state then
    /// (`None`: its lifetime is over). Otherwise as [`IncarnationTracker::wait_for`], with no hashing and no
    /// lookup by key.
    ///
    /// ```
    /// # use incarnation::{NodeHandle, NodeState};
    /// /// Waits until the node is in another state than one seen earlier.
    /// async fn next(node: &NodeHandle<String>, seen: NodeState) -> Option<NodeState> {
    ///     node.wait_for(|state| state.is_some_and(|state| state.claim() != seen.claim())).await
    /// }
    /// ```
    pub fn wait_for<F>(&self, condition: F) -> WaitForNode<'_, F, K, K, D, S>
    where
        F: FnMut(Option<NodeState>) -> bool,
    {
        let (tracker, index, generation) = self.lifetime();
        WaitForNode {
            tracker,
            target: Target::Lifetime { index, generation },
            condition,
            enlisted: None,
        }
    }
}

impl<F, Q, K, D, S> WaitForNode<'_, F, Q, K, D, S>
where
    F: FnMut(Option<NodeState>) -> bool,
    Q: ?Sized + Hash + Equivalent<K>,
    K: Eq + Hash + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Waits on the calling thread, at most for `timeout`.
    ///
    /// # Errors
    ///
    /// [`TimedOut`] if the condition did not hold in time.
    pub fn wait(mut self, timeout: Duration) -> Result<Option<NodeState>, TimedOut> {
        block(timeout, |context| Pin::new(&mut self).poll(context)).ok_or(TimedOut { timeout })
    }

    /// The node's state and index, if it is in the table, and whether that may still change.
    fn look(&self) -> (Option<(NodeState, Index)>, bool) {
        let pinned = self.tracker.core().table.pin();
        let (found, is_final) = match &self.target {
            Target::Node { hash, key } => match pinned.find(*hash, *key) {
                Some((node, EntryState::Live(packed))) => (Some((node, packed)), false),
                _ => (None, false),
            },
            Target::Lifetime { index, generation } => {
                let found = pinned.revisit(*index, *generation);
                (found, found.is_none())
            }
        };
        let found =
            found.map(|(node, packed)| (NodeState::new(packed, node.last_update()), node.index()));
        (found, is_final)
    }
}

impl<F, Q: ?Sized, K, D, S> WaitForNode<'_, F, Q, K, D, S> {
    /// Leaves the list that the wait is enlisted in.
    fn cancel(&mut self) {
        if let Some((index, mut ticket)) = self.enlisted.take() {
            let notify = &self.tracker.core().notify;
            notify.node_waiters(index).cancel(&mut ticket);
            notify.end_node_wait();
        }
    }
}

// Nothing in it is ever pinned.
impl<F, Q: ?Sized, K, D, S> Unpin for WaitForNode<'_, F, Q, K, D, S> {}

impl<F, Q, K, D, S> Future for WaitForNode<'_, F, Q, K, D, S>
where
    F: FnMut(Option<NodeState>) -> bool,
    Q: ?Sized + Hash + Equivalent<K>,
    K: Eq + Hash + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    type Output = Option<NodeState>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<NodeState>> {
        let this = &mut *self;
        let mut fenced_at = None;
        loop {
            let (found, is_final) = this.look();
            let state = found.map(|(state, _)| state);
            if is_final || (this.condition)(state) {
                this.cancel();
                return Poll::Ready(state);
            }
            let core = this.tracker.core();
            let index = found.map(|(_, index)| index);
            if fenced_at == Some(index) {
                // Enlisted since before the look: a change that it missed wakes, or has woken already.
                return Poll::Pending;
            }
            if this
                .enlisted
                .as_ref()
                .is_none_or(|(known, _)| *known != index)
            {
                this.cancel();
                core.notify.begin_node_wait();
                this.enlisted = Some((index, Ticket::default()));
            }
            if let Some((_, ticket)) = &mut this.enlisted
                && !core
                    .notify
                    .node_waiters(index)
                    .enlist(ticket, context.waker())
            {
                // Enlisted since before the look: a later change wakes.
                return Poll::Pending;
            }
            // Between enlisting and the next look, against the light fences of the writers. Pinned by
            // `node_waits::a_change_against_a_wait`.
            if !core.table.domain().heavy_fence() {
                // A writer may go by unseen: look again, after the runtime had a turn.
                this.cancel();
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            fenced_at = Some(index);
        }
    }
}

impl<F, Q: ?Sized, K, D, S> Drop for WaitForNode<'_, F, Q, K, D, S> {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl<F, Q: ?Sized, K, D, S> fmt::Debug for WaitForNode<'_, F, Q, K, D, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitForNode")
            .field("is_enlisted", &self.enlisted.is_some())
            .finish_non_exhaustive()
    }
}
