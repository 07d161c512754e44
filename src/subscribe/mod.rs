//! Subscriptions: what changed in the table since the last look?
//!
//! State, not events: a [`Subscriber`] keeps a copy of what it saw ([`seen`]), learns *that* something
//! changed ([`marks`](crate::notify::marks)), and at its next look is told of each node whose latest
//! state differs from its copy. It may sleep as long as it likes. A wait for a single node ([`node`])
//! needs no copy.
#![forbid(unsafe_code)]

mod change;
mod node;
mod seen;
#[cfg(feature = "stream")]
mod stream;

use core::fmt;
use core::future::Future;
use core::hash::{BuildHasher, Hash};
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::net::SocketAddr;

use crate::hash::RandomState;
use crate::notify::block;
use crate::notify::marks::{NoOwner, RANGE, Subscription};
use crate::sync::Arc;
use crate::tracker::core::Core;
use crate::tracker::{IncarnationTracker, NodeState};
use seen::Seen;

pub use change::{Change, Closed};
pub use node::{TimedOut, WaitForNode};
#[cfg(feature = "stream")]
pub use stream::ChangeStream;

/// Learns what changed in a tracker, at its own pace; made by [`IncarnationTracker::subscribe`].
///
/// - It sees the latest states: each [`drain`](Self::drain) tells of the nodes that differ from what
///   it last saw, whatever happened in between. A node that is back at the state last seen, in the same
///   lifetime, has not changed.
/// - It misses no final state: a change is in the table before a subscriber is told of it, and a drain that
///   begins after an *accepted* update returned sees that update's state or a later one. (A caller that is
///   told that its claim is a duplicate may know of the state a moment earlier than subscribers do.)
/// - It costs the writers nothing while it sleeps: they wake it once, if it waits, and mark each part
///   of the table once between two of its drains.
/// - It learns of the end: once no tracker is left and everything was told, waiting answers [`Closed`].
///
/// It keeps a copy of what it saw: about 60 bytes and a key for each entry of the table that was ever
/// used. To wait for one node, use [`IncarnationTracker::wait_for`], which keeps none. A subscriber
/// belongs to one thread at a time, and keeps the table's memory. Drop it to unsubscribe.
///
/// Waiting may end without a difference to show (a change may be undone by another, or have been seen
/// already): drain and wait again. A program that wants news at most every so often sleeps between
/// the two.
///
/// ```
/// use incarnation::{Claim, IncarnationTracker, Timestamp};
/// use std::time::Duration;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let tracker: IncarnationTracker<String> = IncarnationTracker::builder().build()?;
/// let mut subscriber = tracker.subscribe_from_now();
///
/// let writer = tracker.clone();
/// std::thread::spawn(move || {
///     let _ = writer.update("a:1", Claim::alive(1), Timestamp::ZERO);
///     let _ = writer.update("a:1", Claim::suspect(1), Timestamp::ZERO);
/// })
/// .join()
/// .unwrap();
///
/// assert!(subscriber.wait(Duration::from_secs(10))?);
/// subscriber.drain(|node, change| {
///     assert_eq!(node, "a:1");
///     assert_eq!(change.previous(), None, "it was not there before");
///     assert_eq!(change.current().map(|state| state.claim()), Some(Claim::suspect(1)));
/// });
/// # Ok(()) }
/// ```
pub struct Subscriber<K = SocketAddr, D = (), S = RandomState> {
    core: Arc<Core<K, D, S>>,
    subscription: Subscription,
    seen: Seen<K>,
}

// A drain records each change before it calls the callback, so a panic leaves the copy whole.
impl<K, D, S> UnwindSafe for Subscriber<K, D, S>
where
    K: RefUnwindSafe,
    D: RefUnwindSafe,
    S: RefUnwindSafe,
{
}
impl<K, D, S> RefUnwindSafe for Subscriber<K, D, S>
where
    K: RefUnwindSafe,
    D: RefUnwindSafe,
    S: RefUnwindSafe,
{
}

impl<K, D, S> IncarnationTracker<K, D, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    /// A new subscriber, whose first drain tells of every node there is. Any number of them may exist,
    /// and each sees everything.
    ///
    /// While there is a subscriber, an accepted claim pays five loads more, and marks its part of the
    /// table if that was looked at since it was marked last. While there is none, it pays one load.
    #[must_use]
    pub fn subscribe(&self) -> Subscriber<K, D, S> {
        let core = self.core().clone();
        Subscriber {
            subscription: core.notify.subscribe(),
            core,
            seen: Seen::new(),
        }
    }

    /// A new subscriber that is told only of what follows: a node counts as seen in the state it is in
    /// now. Cost: a first drain.
    ///
    /// ```
    /// use incarnation::{Change, Claim, IncarnationTracker, Timestamp};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let tracker: IncarnationTracker<u32> = IncarnationTracker::builder().build()?;
    /// let _ = tracker.update(&1, Claim::alive(1), Timestamp::ZERO);
    /// let (mut all, mut news) = (tracker.subscribe(), tracker.subscribe_from_now());
    /// assert_eq!(all.drain(|_, change| assert!(matches!(change, Change::Joined { .. }))), 1);
    /// assert_eq!(news.drain(|_, _| {}), 0);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn subscribe_from_now(&self) -> Subscriber<K, D, S> {
        let mut subscriber = self.subscribe();
        subscriber.drain(|_, _| {});
        subscriber
    }
}

impl<K, D, S> Subscriber<K, D, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    /// Calls `each` for every node whose state or lifetime differs from what this subscriber last saw,
    /// and returns how many there were. Only status and incarnation count as state.
    ///
    /// `each` may use the tracker. If it panics, the change it was called with counts as seen, and the
    /// next drain goes on behind it.
    ///
    /// Cost: one load if nothing happened. Else two fences (one that all cores take part in), a
    /// mark for each 32 entries of the table, and the entries of the marked ones. No locks.
    pub fn drain(&mut self, mut each: impl FnMut(&K, Change)) -> usize {
        self.drain_with_data(|node, change, _data| each(node, change))
    }

    /// As [`drain`](Self::drain), and lends each node's data: that of the lifetime whose state is told.
    ///
    /// A node that is [gone](Change::Gone) has no data here. A subscriber learns of the end some time after it, when the
    /// entry and its data may have been reclaimed. For a last use of the data, such as closing a connection, take it where
    /// the lifetime ends: [`Swept::data`](crate::Swept), [`remove_with`](IncarnationTracker::remove_with) or the
    /// `on_change` of a [mirror](crate::mirror). Or keep a shared part of it (an `Arc`) from the change that brought the node.
    ///
    /// ```
    /// use incarnation::{Change, Claim, IncarnationTracker, Timestamp};
    /// use std::collections::HashMap;
    /// use std::sync::Arc;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// struct Connection(u32);
    /// let tracker = IncarnationTracker::<u32>::builder()
    ///     .data_with(|node| Arc::new(Connection(*node)))
    ///     .build()?;
    /// let mut subscriber = tracker.subscribe();
    /// let mut open: HashMap<u32, Arc<Connection>> = HashMap::new();
    /// let mut follow = || {
    ///     subscriber.drain_with_data(|node, change, data| match (change, data) {
    ///         (Change::Gone { .. }, _) => drop(open.remove(node)), // the last use of its connection
    ///         (Change::Joined { .. } | Change::Rejoined { .. }, Some(connection)) => {
    ///             open.insert(*node, connection.clone());
    ///         }
    ///         _ => {}
    ///     });
    ///     open.values().map(|connection| connection.0).collect::<Vec<_>>()
    /// };
    /// let _ = tracker.update(&7, Claim::alive(1), Timestamp::ZERO);
    /// assert_eq!(follow(), [7]);
    /// tracker.remove(&7, Timestamp::ZERO);
    /// assert!(follow().is_empty());
    /// # Ok(()) }
    /// ```
    pub fn drain_with_data(&mut self, mut each: impl FnMut(&K, Change, Option<&D>)) -> usize {
        let Self {
            core,
            subscription,
            seen,
        } = self;
        let mut count = 0;
        let mut each = |node: &K, change, data: Option<&D>| {
            count += 1;
            each(node, change, data);
        };
        let hash = |key: &K| core.hasher.hash_one(key);
        if let Some(look) = core.notify.look(core.table.domain(), subscription) {
            let mut pinned = core.table.pin();
            let mark = pinned.mark();
            seen.reserve(mark);
            for range in 0..=mark / RANGE {
                if !core.notify.is_marked(range, &look) {
                    continue;
                }
                let first = range * RANGE;
                for index in first..=mark.min(first + RANGE - 1) {
                    seen.compare(index, &pinned, hash, &mut each);
                }
                pinned.repin();
            }
            core.notify.looked(look, subscription);
        }
        seen.report_gone(hash, &mut each);
        count
    }

    /// Waits until there are changes, and returns them: never an empty list.
    ///
    /// As [`changed`](Self::changed) and [`drain`](Self::drain), with the keys cloned. Works with any
    /// async runtime. Cancel-safe: a future that is dropped has taken no change.
    ///
    /// ```
    /// # use incarnation::{Closed, Subscriber};
    /// async fn log(mut subscriber: Subscriber<String>) -> Result<(), Closed> {
    ///     loop {
    ///         for (node, change) in subscriber.next_changes().await? {
    ///             println!("{node}: {change}");
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Closed`] once no tracker is left and everything was told.
    pub async fn next_changes(&mut self) -> Result<Vec<(K, Change)>, Closed> {
        loop {
            self.changed().await?;
            let mut changes = Vec::new();
            self.drain(|node, change| changes.push((node.clone(), change)));
            if !changes.is_empty() {
                return Ok(changes);
            }
        }
    }

    /// Whether anything happened since the last [`drain`](Self::drain). One load.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.seen.has_untold() || self.core.notify.has_news(&self.subscription)
    }

    /// Waits until something happened since the last [`drain`](Self::drain): at once, if it has
    /// already, and the first time after [`subscribe`](IncarnationTracker::subscribe) always.
    ///
    /// Works with any async runtime. Cancel-safe: dropping the future loses nothing. The future is
    /// `Send`.
    ///
    /// ```
    /// # use incarnation::{Closed, Subscriber};
    /// async fn log(mut subscriber: Subscriber<String>) -> Result<(), Closed> {
    ///     loop {
    ///         subscriber.changed().await?;
    ///         subscriber.drain(|node, change| println!("{node}: {change}"));
    ///     }
    /// }
    /// ```
    ///
    /// The future resolves to the error [`Closed`] once no tracker is left and everything was told.
    ///
    /// Where the operating system refuses `membarrier(2)` after the process has begun to rely on it, a
    /// waiter cannot be sure to be woken. Then the future is pending once, has itself polled again, and
    /// resolves: the caller looks, again and again, and its runtime has a turn in between.
    pub fn changed(&mut self) -> WaitForChange<'_, K, D, S> {
        WaitForChange { subscriber: self }
    }

    /// The same for threads: waits at most for `timeout`, and says whether anything happened.
    ///
    /// # Errors
    ///
    /// [`Closed`] once no tracker is left and everything was told.
    pub fn wait(&mut self, timeout: Duration) -> Result<bool, Closed> {
        let mut changed = self.changed();
        block(timeout, |context| Pin::new(&mut changed).poll(context))
            .map_or(Ok(false), |changed| changed.map(|()| true))
    }

    /// What this subscriber last saw, in no particular order: what its drains amount to.
    pub fn seen(&self) -> impl Iterator<Item = (&K, NodeState)> {
        self.seen.iter()
    }
}

impl<K, D, S> Subscriber<K, D, S> {
    /// As [`changed`](Self::changed), for futures written by hand: the latest waker is woken once,
    /// until it is polled again.
    pub fn poll_changed(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        if self.seen.has_untold() {
            return Poll::Ready(Ok(()));
        }
        let domain = self.core.table.domain();
        let notify = &self.core.notify;
        notify
            .wait(domain, &mut self.subscription, context.waker())
            .map_err(|NoOwner| Closed)
    }

    /// This subscriber's changes as a stream (feature `stream`), from what it saw last on.
    ///
    /// ```
    /// use incarnation::{Change, Claim, IncarnationTracker, Timestamp};
    /// # use std::{future::poll_fn, pin::Pin, task::{Context, Poll, Waker}};
    /// # use futures_core::Stream;
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let tracker: IncarnationTracker<String> = IncarnationTracker::builder().build()?;
    /// let mut changes = tracker.subscribe().into_stream();
    /// let _ = tracker.update("a:1", Claim::alive(1), Timestamp::ZERO);
    /// # let mut context = Context::from_waker(Waker::noop());
    /// # let next = Pin::new(&mut changes).poll_next(&mut context);
    /// // let next = changes.next().await;
    /// # let Poll::Ready(next) = next else { panic!() };
    /// assert!(matches!(next, Some((node, Change::Joined { .. })) if node == "a:1"));
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "stream")]
    #[must_use]
    pub fn into_stream(self) -> ChangeStream<K, D, S> {
        ChangeStream::new(self)
    }
}

impl<K, D, S> Drop for Subscriber<K, D, S> {
    fn drop(&mut self) {
        self.core.notify.unsubscribe(&mut self.subscription);
    }
}

impl<K, D, S> fmt::Debug for Subscriber<K, D, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber")
            .field("seen", &self.seen.len())
            .field(
                "has_changed",
                &self.core.notify.has_news(&self.subscription),
            )
            .finish_non_exhaustive()
    }
}

/// Resolves when something happened since the last drain; made by [`Subscriber::changed`].
#[doc(alias = "Changed")]
#[must_use = "futures do nothing unless awaited"]
pub struct WaitForChange<'s, K = SocketAddr, D = (), S = RandomState> {
    subscriber: &'s mut Subscriber<K, D, S>,
}

impl<K, D, S> Future for WaitForChange<'_, K, D, S> {
    type Output = Result<(), Closed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.subscriber.poll_changed(context)
    }
}

impl<K, D, S> Drop for WaitForChange<'_, K, D, S> {
    fn drop(&mut self) {
        let Subscriber {
            core, subscription, ..
        } = &mut *self.subscriber;
        core.notify.cancel(subscription);
    }
}

impl<K, D, S> fmt::Debug for WaitForChange<'_, K, D, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitForChange")
            .field("subscriber", &self.subscriber)
            .finish()
    }
}
