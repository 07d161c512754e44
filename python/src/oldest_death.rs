//! The oldest death: a lower bound of the times of all dead nodes.
//!
//! A cleanup reads it first. If not even the oldest dead node is past its retention, no node is, and the
//! cleanup need not walk over the nodes. Each update that may leave a node dead lowers the bound; each
//! sweep of the dead nodes raises it to the oldest one that it leaves.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use incarnation::Timestamp;

/// The bound while no node is dead.
const NONE: u64 = u64::MAX;

/// A lower bound of the last updates of the dead nodes.
pub struct OldestDeath {
    /// In nanoseconds.
    bound: AtomicU64,
    /// Sweeps on their way. The bound lacks the nodes that they have not seen yet.
    sweeps: AtomicUsize,
}

impl OldestDeath {
    pub const fn new() -> Self {
        Self {
            bound: AtomicU64::new(NONE),
            sweeps: AtomicUsize::new(0),
        }
    }

    /// A node is dead since `time`. To be called after the update that made it so: an update that a sweep
    /// does not see has not lowered the bound yet when the sweep resets it.
    #[inline]
    pub fn note(&self, time: Timestamp) {
        // Release: a sweep that takes this bound away sees the update before it.
        self.bound.fetch_min(time.as_nanos(), Ordering::Release);
    }

    /// Whether a dead node may be older than `retention`. Nodes that become so while another sweep ends
    /// may be left to the next cleanup.
    pub fn is_due(&self, now: Timestamp, retention: Duration) -> bool {
        // Acquire: if a sweep has reset this bound, the load of its count below sees the sweep.
        let bound = self.bound.load(Ordering::Acquire);
        // Acquire: if that sweep has ended, what it removed is gone.
        self.sweeps.load(Ordering::Acquire) > 0
            || (bound != NONE && now.since(Timestamp::from_nanos(bound)) > retention)
    }

    /// Begins a sweep of the dead nodes.
    pub fn begin_sweep(&self) -> DeathSweep<'_> {
        // Relaxed: the swap below publishes it.
        self.sweeps.fetch_add(1, Ordering::Relaxed);
        // Acquire: the updates that lowered the bound are seen by the sweep. Release: see `is_due`.
        self.bound.swap(NONE, Ordering::AcqRel);
        DeathSweep {
            deaths: self,
            oldest: 0,
        }
    }
}

/// A sweep on its way. If it is dropped before it was told what it leaves, the next cleanup sweeps again.
pub struct DeathSweep<'a> {
    deaths: &'a OldestDeath,
    oldest: u64,
}

impl DeathSweep<'_> {
    /// Ends the sweep, which leaves dead nodes since these times.
    pub fn end(mut self, left: impl Iterator<Item = Timestamp>) {
        self.oldest = left.map(Timestamp::as_nanos).min().unwrap_or(NONE);
    }
}

impl Drop for DeathSweep<'_> {
    fn drop(&mut self) {
        // Release, both: a cleanup that sees the end of the sweep sees what it removed, and this bound.
        self.deaths.bound.fetch_min(self.oldest, Ordering::Release);
        self.deaths.sweeps.fetch_sub(1, Ordering::Release);
    }
}
