//! A lock-free, in-process store of SWIM cluster membership, shared by all threads: which nodes are alive, at which
//! incarnation, and since when.
//!
//! SWIM clusters agree by gossip. Each node has an *incarnation*, a number that only the node itself raises, and a
//! *status*. Of two claims about a node the newer one wins. This crate keeps that state once per process: each node's
//! (incarnation, status) is one `AtomicU64`, and a claim is applied by one compare-and-swap. It opens no socket, reads no
//! clock and starts no thread of its own accord.
//!
//! ```text
//!   gossip threads                 one table                      request threads
//!   hear, confirm ───────►  ┌──────────────────────────┐  ◄─────── get, find, pick
//!     │                     │ key → state, data        │           no lock, no wait
//!     ▼                     │ one cache line a node    │
//!   Verdict: joined,        └──────────────────────────┘  ◄─────── subscribe, wait_for
//!   applied, stale, ...        ▲          │                        woken by changes
//!                           sweep       tombstones
//!                    expires, evicts    remember the dead
//! ```
//!
//! # Quick start
//!
//! ```
//! use incarnation::{Claim, Clock, IncarnationTracker, Status, Verdict};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let tracker: IncarnationTracker<String> = IncarnationTracker::builder()
//!     .local_node("me".to_owned())
//!     .max_nodes(1_000)
//!     .build()?;
//! let clock = Clock::monotonic();
//!
//! // A third party mentions a node: hearsay introduces it.
//! assert_eq!(tracker.hear("db-1", Claim::alive(3), clock.now()), Verdict::Joined);
//! // Contact with the node itself confirms it.
//! assert!(tracker.confirm("db-1", 3, clock.now()).is_accepted());
//! // From here on the newest claim wins, in whatever order claims arrive.
//! assert!(tracker.hear("db-1", Claim::suspect(3), clock.now()).is_accepted());
//! let old = tracker.hear("db-1", Claim::alive(2), clock.now());
//! assert_eq!(old, Verdict::Stale { current: Claim::suspect(3) });
//!
//! // Any thread, at any time: no lock, no store to shared memory.
//! assert_eq!(tracker.get("db-1").map(|state| state.status), Some(Status::Suspect));
//!
//! // From time to time: expiry, eviction, recycling.
//! let _report = tracker.sweep(clock.now());
//! # Ok(()) }
//! ```
//!
//! Clones share the table, so each thread takes one. Data of the program's own goes into the same entries:
//!
//! ```
//! use incarnation::{Claim, IncarnationTracker, Sweeper, Clock};
//! use std::{thread, time::Duration};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let tracker = IncarnationTracker::<String>::builder()
//!     .data_with(|node| format!("http://{node}:8080/"))
//!     .build()?;
//! let clock = Clock::monotonic();
//! let _sweeper = Sweeper::spawn(&tracker, clock.clone(), Duration::from_secs(1), |swept| {
//!     println!("{} left: {}", swept.node, swept.reason);
//! })?;
//! let gossip = tracker.clone();
//! let receiver = thread::spawn(move || gossip.confirm("db-1", 1, clock.now()));
//! assert!(receiver.join().map_err(|_| "the receiver failed")?.is_accepted());
//!
//! // A view serves many operations in a row, and lends keys and data.
//! let view = tracker.pin();
//! let running = view.members().filter(|member| member.state().is_alive());
//! let urls: Vec<&str> = running.map(|member| member.data().as_str()).collect();
//! assert_eq!(urls, ["http://db-1:8080/"]);
//! # Ok(()) }
//! ```
//!
//! [`guide::getting_started`] goes on from here.
//!
//! # Contents
//!
//! | type | is |
//! |---|---|
//! | [`IncarnationTracker`], [`Builder`] | the table, and its limits |
//! | [`Claim`], [`Status`], [`Incarnation`], [`Verdict`] | what is said of a node, and what became of it; [`rule`] has the decision itself |
//! | [`View`], [`Member`] | many operations for one pin; a node with its key, state and data |
//! | [`NodeHandle`] | one lifetime of a node, read without a lookup: for connection objects |
//! | [`Local`] | this process's own node, its incarnation, and the answer to accusations |
//! | [`Sweeper`], [`Clock`], [`Timestamp`] | expiry on a thread of its own; time, which is always the caller's |
//! | [`Subscriber`], [`WaitForNode`] | changes of all nodes; a wait for one |
//! | [`Snapshot`], [`Digest`] | copies to send to peers, to store, and to merge |
//! | [`ProbeOrder`], [`pick`](IncarnationTracker::pick), [`sample`](IncarnationTracker::sample) | random nodes for failure detectors and request paths |
//! | [`mirror::Mirror`] | a tracker that is kept equal to another engine's members |
//!
//! # Instead of `RwLock<HashMap<Addr, Member>>`
//!
//! | map behind a lock | here |
//! |---|---|
//! | `map.read().unwrap().get(&addr)` | [`tracker.get(&addr)`](IncarnationTracker::get), [`is_alive`](IncarnationTracker::is_alive) |
//! | `map.write().unwrap().insert(..)` on an event | [`hear`](IncarnationTracker::hear), [`confirm`](IncarnationTracker::confirm), [`update`](IncarnationTracker::update) on the claim itself |
//! | compare incarnations, then write | one step; the [`Verdict`] says what happened |
//! | fields of `Member` | [data of your own](Builder::data_with) for each node |
//! | iterate under the read lock | [`iter`](IncarnationTracker::iter), [`View::members`]: no thread waits |
//! | a channel of events | [`subscribe`](IncarnationTracker::subscribe): the latest states; [`wait_for`](IncarnationTracker::wait_for) one node |
//! | `remove` on a Down event | [sweeps](IncarnationTracker::sweep), and tombstones that keep the node down |
//! | poisoned by a panic | cannot happen |
//!
//! # Promises
//!
//! - **One node.** All operations on one node are linearizable. Within one lifetime in the table its state only rises, and the
//!   `Applied { previous }` verdicts form one unbroken chain. There is at most one live entry for each key.
//! - **Reclamation.** An entry, its key and its data are not reused or dropped while a [`View`] can reach them, and are
//!   afterwards. A [`NodeHandle`] never acts on another lifetime.
//! - **Memory.** Live nodes never exceed [`hard_limit`](Builder::hard_limit), at any instant; tombstones and retired
//!   entries are bounded too.
//! - **Progress.** Lookups are wait-free but for a thread's first pin. No update waits for a reader, and no reader for an update.
//! - **Panics.** A panic in a key's, a data's or a callback's code ends that operation and leaves the table sound.
//!
//! [`guide::consistency`] has the details. Models under [loom](https://docs.rs/loom), tests with real threads, fuzzing and
//! sanitizers check them.
//!
//! # Costs
//!
//! A lookup loads two cache lines and stores nothing that is shared. A claim that changes nothing costs a lookup. An accepted one adds one
//! or two locked instructions on the node's own line. A node takes 70 to 80 bytes for keys up to 32 bytes and no data.
//! [`guide::patterns`] tells what each operation costs and when to hold a [`View`] or a [`NodeHandle`].
//!
//! # Async
//!
//! Lookups, claims, handles and sweeps never block on other threads' reads, and may be called from async code as they are.
//! A [`View`] stays on its thread, so a task that a runtime may move cannot hold one across an `.await`. Each operation of the
//! tracker pins for itself, and a [`NodeHandle`] is `Send`: keep those in tasks. [`Subscriber::changed`] and
//! [`wait_for`](IncarnationTracker::wait_for) are futures of no particular runtime. See [`guide::async_code`].
//!
//! # When not to use it
//!
//! It is the table, not the protocol: a failure detector and gossip are an engine's work. Where every event counts, use a channel.
//! Where one thread does everything, a `HashMap` with the rule of [`rule`] is simpler.
//!
//! # Chapters
//!
//! 1. [Getting started](guide::getting_started): how to build a tracker, feed it and read it
//! 2. [The rule](guide::the_rule): which claim wins, and what each refusal means
//! 3. [Consistency](guide::consistency): what a reader may and may not see
//! 4. [Patterns](guide::patterns): costs, views, batches, handles, data of the program's own
//! 5. [Async](guide::async_code): what may be called from async code, and how to wait
//! 6. [Subscribing](guide::subscribing): what a subscriber is told, beside `tokio::sync::watch` and `broadcast`
//! 7. [Sweeping](guide::sweeping): expiry and eviction
//! 8. [Snapshots](guide::snapshots): push-pull with peers, files, restarts
//! 9. [Limits](guide::limits): memory, and hostile input
//! 10. [Migrating](guide::migrating): from a queue, from a map behind a lock, from foca, from the original tracker (a
//!     single-threaded Python class that this crate replaces)
//! 11. [Python](guide::python), and the [glossary](guide::glossary)
//!
//! # Features
//!
//! None is on by default.
//!
//! | feature | adds |
//! |---|---|
//! | `persist` | a local incarnation that survives restarts and crashes; snapshots in files; implies `serde` |
//! | `serde` | snapshots, digests, claims, verdicts and statistics can be serialized |
//! | `foca` | a tracker kept equal to the members of a foca engine ([`mirror`] does it for any engine, without a feature) |
//! | `stream` | subscribers as a `futures::Stream` |
//! | `metrics` | a tracker's numbers for the `metrics` facade |
//! | `tracing` | sweeps, evictions and refusals as `tracing` events |

#![cfg_attr(docsrs, feature(doc_cfg))]

// First, since the documentation lists the methods of a type in the order of the modules.
mod tracker;

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

/// What the model checker's models need; not public API.
#[cfg(incarnation_loom)]
#[doc(hidden)]
pub mod model {
    pub use crate::notify::wake_list::{Ticket, WakeList};
    pub use crate::sync::{
        Asymmetric, Membarrier, atomic, thread, weakening, with_membarrier, with_shadows,
        with_threads,
    };
    pub use crate::table::{FreeIndexes, NumbersModel, with_two_classes};

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

    /// The hot side of the pair of fences that a reclaimer lends.
    #[track_caller]
    pub fn light_fence(reclaimer: &crate::Reclaimer) {
        reclaimer.0.light_fence();
    }

    /// The rare side; false if the system refused it.
    #[track_caller]
    pub fn heavy_fence(reclaimer: &crate::Reclaimer) -> bool {
        reclaimer.0.heavy_fence()
    }

    /// Finds out how far time has passed, for all threads.
    pub fn settle<K, D, S>(tracker: &crate::IncarnationTracker<K, D, S>) {
        drop(tracker.core().table.domain().horizon());
    }

    /// Takes the credits of all threads back into the count; whether there were any.
    pub fn call_in_credits<K, D, S>(tracker: &crate::IncarnationTracker<K, D, S>) -> bool {
        tracker.core().table.call_in_credits()
    }

    /// How many entries hold a key. Only while no other thread uses the table.
    pub fn occupied_indexes<K, D, S>(tracker: &crate::IncarnationTracker<K, D, S>) -> usize
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
#[doc(inline)]
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
pub use tracker::{
    BuildError, Builder, BuryOutcome, IncarnationTracker, Iter, Member, Members, NodeHandle,
    NodeState, Removed, Slot, SweepCursor, SweepReason, SweepReport, SweepScope, Swept, View,
    ViewIter, WeakTracker,
};
