//! The public type, a thin file for each of its sides.

// First, since the documentation lists the methods of a type in the order of the modules.
mod operations;
mod view;

mod apply;
mod batch;
mod builder;
mod bury;
pub(crate) mod core;
mod evict;
mod handle;
mod iter;
mod judging;
mod member;
mod report;
mod state;
mod submit;
mod sweep;

pub use builder::{BuildError, Builder};
pub use bury::BuryOutcome;
pub use handle::{NodeHandle, Slot};
pub use iter::{Iter, ViewIter};
pub use member::{Member, Members, Removed};
pub use report::{SweepCursor, SweepReason, SweepReport, SweepScope, Swept};
pub use state::NodeState;
pub use view::View;

use ::core::fmt;
use ::core::hash::{BuildHasher, Hash};
use ::core::panic::{RefUnwindSafe, UnwindSafe};
use std::net::SocketAddr;

use self::core::Core;
use crate::hash::RandomState;
use crate::sync::{Arc, Weak};

/// The one table of SWIM membership state of a process, for all its threads.
///
/// Cloning it is cheap: clones share the table. It is `Send + Sync`. Lookups are wait-free and write
/// nothing, claims about known nodes are compare-and-swap loops, and an eviction never
/// stops a reader. Only the tombstones are in a map with locks, one for each shard. These operations may
/// wait there for each other, and for a sweep (or the writing of a tombstone that makes room) while it looks
/// through that part: a join while there are tombstones, the writing of a tombstone, and an
/// [`update`](Self::update) or [`rejoin`](Self::rejoin) that would change an Unconfirmed node.
/// [`hear`](Self::hear) and [`confirm`](Self::confirm) take no lock for a node that is in the table.
///
/// Every operation here pins, works, and unpins; a [`View`] ([`pin`](Self::pin),
/// [`with`](Self::with)) pays the pin once for many operations.
///
/// ```
/// use incarnation::{Claim, Clock, IncarnationTracker, Status, Verdict};
/// use std::net::SocketAddr;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let clock = Clock::monotonic();
/// let tracker: IncarnationTracker<SocketAddr> = IncarnationTracker::builder().build()?;
/// let node: SocketAddr = "10.0.0.7:7946".parse()?;
///
/// assert_eq!(tracker.update(&node, Claim::alive(3), clock.now()), Verdict::Joined);
/// let _ = tracker.update(&node, Claim::suspect(3), clock.now());
///
/// let state = tracker.get(&node).ok_or("unknown")?;
/// assert_eq!((state.status, state.incarnation.get()), (Status::Suspect, 3));
/// # Ok(()) }
/// ```
pub struct IncarnationTracker<K = SocketAddr, D = (), S = RandomState> {
    core: Arc<Core<K, D, S>>,
}

impl<K, D, S> Clone for IncarnationTracker<K, D, S> {
    fn clone(&self) -> Self {
        Self::new(self.core.clone())
    }
}

impl<K, D, S> Drop for IncarnationTracker<K, D, S> {
    /// The drop of the last tracker tells the subscribers that nothing will change any more.
    fn drop(&mut self) {
        self.core.notify.remove_owner(self.core.table.domain());
    }
}

// No panic of a key, of data or of a callback leaves the table in a state that breaks a promise.
impl<K, D, S> UnwindSafe for IncarnationTracker<K, D, S>
where
    K: RefUnwindSafe,
    D: RefUnwindSafe,
    S: RefUnwindSafe,
{
}
impl<K, D, S> RefUnwindSafe for IncarnationTracker<K, D, S>
where
    K: RefUnwindSafe,
    D: RefUnwindSafe,
    S: RefUnwindSafe,
{
}

impl<K, D, S> IncarnationTracker<K, D, S> {
    pub(crate) fn new(core: Arc<Core<K, D, S>>) -> Self {
        core.notify.add_owner();
        Self { core }
    }

    pub(crate) fn core(&self) -> &Arc<Core<K, D, S>> {
        &self.core
    }

    /// The size of a node's entry in bytes, for benchmarks.
    #[cfg(feature = "_bench_floor")]
    #[doc(hidden)]
    #[must_use]
    pub const fn entry_size() -> usize {
        crate::table::entry_size::<K, D>()
    }
}

/// A tracker that this reference does not keep alive; made by [`IncarnationTracker::downgrade`].
pub struct WeakTracker<K = SocketAddr, D = (), S = RandomState>(Weak<Core<K, D, S>>);

impl<K, D, S> WeakTracker<K, D, S> {
    /// The tracker, while a clone of it exists: one of the caller's, of a handle or of a sweeper. A subscriber holds none:
    /// once it was told that the tracker is [`Closed`](crate::Closed), no tracker comes back.
    #[must_use]
    pub fn upgrade(&self) -> Option<IncarnationTracker<K, D, S>> {
        let core = self.0.upgrade()?;
        core.notify
            .add_owner_again()
            .then(|| IncarnationTracker { core })
    }
}

impl<K, D, S> Clone for WeakTracker<K, D, S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K, D, S> fmt::Debug for WeakTracker<K, D, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakTracker")
    }
}

/// A tracker with the [builder's](IncarnationTracker::builder) defaults.
///
/// Where the system has no memory for it this aborts, as other collections do; the builder reports it.
impl<K> Default for IncarnationTracker<K>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
{
    fn default() -> Self {
        Self::builder().build().unwrap_or_else(|_no_memory| {
            // The defaults agree with each other, so nothing else can be wrong.
            std::alloc::handle_alloc_error(::core::alloc::Layout::new::<Core<K, (), RandomState>>())
        })
    }
}

/// Shows the counts and the first few nodes.
impl<K, D, S> fmt::Debug for IncarnationTracker<K, D, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static + fmt::Debug,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IncarnationTracker")
            .field("counts", &self.counts())
            .field("tombstones", &self.tombstones())
            .field("local", &self.local())
            .field("view", &self.pin())
            .finish()
    }
}
