//! Lock-free SWIM membership state.

mod bell;
mod counters;
mod graves;
#[cfg(feature = "metrics")]
mod integrations;
mod local;
mod notify;
#[cfg(feature = "persist")]
pub mod persist;
mod probe;
mod reclaim;
pub mod rule;
mod sample;
mod stats;
#[cfg(feature = "stream")]
mod stream;
mod subscribe;
mod sweeper;
mod sync;
mod table;
mod tally;
mod time;
mod tracker;
mod watch;

/// What the model checker's models need; not public API.
#[cfg(all(loom, feature = "loom"))]
#[doc(hidden)]
pub mod model {
    pub use crate::sync::{atomic, with_shadows, without_notices};
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use counters::Counts;
#[cfg(feature = "metrics")]
pub use integrations::describe_metrics;
pub use local::{Local, LocalError};
pub use probe::ProbeOrder;
pub use reclaim::Reclaimer;
pub use rule::{Claim, Incarnation, ParseStatusError, Rejection, Status, Verdict};
pub use stats::{Evictions, Rejections, Stats};
#[cfg(feature = "stream")]
pub use stream::Changes;
pub use subscribe::{Change, Changed, Subscriber};
pub use sweeper::Sweeper;
pub use time::{Clock, Timestamp};
pub use tracker::{
    BuildError, Builder, IncarnationTracker, Iter, NodeHandle, NodeState, Slot, SweepCursor,
    SweepReason, SweepReport, SweepScope, Swept, View, ViewIter,
};
