//! Lock-free SWIM membership state: who is alive, at which incarnation, for all threads of a process.
//!
//! [`IncarnationTracker`] is the table. Gossip threads [`update`](IncarnationTracker::update) it with
//! [`Claim`]s, each answered with a [`Verdict`]; request threads [`get`](IncarnationTracker::get)
//! states from it, and neither waits for the other.
//!
//! ```
//! use incarnation::{Claim, IncarnationTracker, Status, Timestamp};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let tracker: IncarnationTracker<String> = IncarnationTracker::builder().max_nodes(1_000).build()?;
//! let _ = tracker.update("db-1", Claim::suspect(3), Timestamp::ZERO);
//! assert_eq!(tracker.get("db-1").map(|state| state.status), Some(Status::Suspect));
//! # Ok(()) }
//! ```
//!
//! # Chapters
//!
//! [Getting started](guide::getting_started); [the rule](guide::the_rule);
//! [consistency](guide::consistency): what a reader may and may not see;
//! [performance and patterns](guide::patterns); [async](guide::async_code);
//! [sweeping](guide::sweeping); [snapshots, push-pull, restarts](guide::snapshots); [limits and hostile input](guide::limits);
//! [migrating](guide::migrating) from a queue, from `RwLock<HashMap>`, from the original tracker.
//!
//! # Features
//!
//! None is on by default: `persist` (an incarnation that survives crashes, snapshots in files), `serde`
//! (snapshots, digests and claims can be sent), `foca` (a mirror of that engine's members), `stream` (subscribers as `futures::Stream`), `metrics` and
//! `tracing` (a tracker's numbers and events for those facades).

#![cfg_attr(docsrs, feature(doc_cfg))]

mod address;
mod counters;
#[cfg(any(doc, doctest))]
pub mod guide;
mod hash;
#[cfg(any(feature = "foca", feature = "metrics", feature = "serde"))]
mod integrations;
mod key;
mod local;
pub mod mirror;
mod notify;
#[cfg(feature = "persist")]
pub mod persist;
mod reclaim;
pub mod rule;
mod select;
mod snapshot;
mod stats;
mod subscribe;
mod sweeper;
mod sync;
mod table;
mod time;
mod tombstones;
mod tracker;

/// What the model checker's models need; not public API.
#[cfg(incarnation_loom)]
#[doc(hidden)]
pub mod model {
    pub use crate::notify::wake_list::{Ticket, WakeList};
    pub use crate::sync::{
        Asymmetric, Membarrier, atomic, thread, weakening, with_membarrier, with_shadows,
    };
    pub use crate::table::{NumbersModel, Places, with_two_classes};

    /// Enlists with a tracker's capacity signal, as its sweepers do, and leaves again.
    pub fn sleep_for_a_moment<K, D, S>(tracker: &crate::IncarnationTracker<K, D, S>) {
        let signal = &tracker.core().capacity_signal;
        signal.sleeper(core::task::Waker::noop().clone()).enlist();
    }

    /// Looks a node up with a record for this look alone, as in a thread-local's destructor.
    #[cfg(not(incarnation_portable))]
    pub fn get_alone<K, D, S>(
        tracker: &crate::IncarnationTracker<K, D, S>,
        node: &K,
    ) -> Option<crate::NodeState>
    where
        K: Eq + core::hash::Hash + Clone + Send + Sync + 'static,
        D: Send + Sync + 'static,
        S: core::hash::BuildHasher,
    {
        let pinned = tracker.core().table.pin_alone();
        tracker.core().get(&pinned, node)
    }

    /// Finds out how far time has passed, for all threads.
    pub fn settle<K, D, S>(tracker: &crate::IncarnationTracker<K, D, S>) {
        drop(tracker.core().table.domain().horizon());
    }

    /// How many entries hold a key. Only while no other thread uses the table.
    pub fn occupied_places<K, D, S>(tracker: &crate::IncarnationTracker<K, D, S>) -> usize
    where
        K: Eq + core::hash::Hash + Clone + Send + Sync + 'static,
        D: Send + Sync + 'static,
        S: core::hash::BuildHasher,
    {
        tracker.core().table.occupied()
    }
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use address::canonical_address;
pub use counters::Counts;
pub use hash::RandomState;
#[cfg(feature = "metrics")]
pub use integrations::describe_metrics;
#[cfg(feature = "foca")]
pub use integrations::foca;
pub use key::ToKey;
pub use local::{Answer, Local, LocalError};
pub use reclaim::Reclaimer;
pub use rule::{Claim, Incarnation, ParseClaimError, ParseStatusError, Rejection, Status, Verdict};
pub use select::ProbeOrder;
#[cfg(feature = "persist")]
pub use snapshot::Loaded;
pub use snapshot::{Digest, MergeReport, Record, Snapshot, SnapshotError};
pub use stats::{Evictions, Rejections, Stats};
#[cfg(feature = "stream")]
pub use subscribe::ChangeStream;
pub use subscribe::{Change, Closed, Subscriber, TimedOut, WaitForChange, WaitForNode};
pub use sweeper::Sweeper;
pub use time::{Clock, Timestamp};
#[cfg(not(incarnation_loom))]
pub use tracker::WeakTracker;
pub use tracker::{
    BuildError, Builder, BuryOutcome, IncarnationTracker, Iter, Member, Members, NodeHandle,
    NodeState, Removed, Slot, SweepCursor, SweepReason, SweepReport, SweepScope, Swept, View,
    ViewIter,
};
