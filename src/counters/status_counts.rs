//! How many nodes there are of each status, kept beside the table so that asking needs no scan.
//!
//! The algorithms never read these numbers, so they stay plain atomics under the model checker. Each thread counts
//! its changes of status on a cache line of its own, which no other thread writes, so no locked instruction is needed.
//! Threads without a line share one. A read adds the lines up.
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicI64, Ordering};

use crate::rule::{PackedState, Status};
use crate::sync::Padded;
use crate::table::PerThread;

/// How many nodes there are of each status.
///
/// Each number counts every change that happened before the call. Concurrent changes may or may not be counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Counts {
    /// Heard of, never heard from.
    pub unconfirmed: usize,
    /// Known to run.
    pub alive: usize,
    /// Under suspicion.
    pub suspect: usize,
    /// Declared failed.
    pub dead: usize,
    /// Departed.
    pub left: usize,
}

impl core::fmt::Display for Counts {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for (place, status) in Status::ALL.into_iter().enumerate() {
            let comma = if place > 0 { ", " } else { "" };
            write!(f, "{comma}{} {status}", self.of(status))?;
        }
        Ok(())
    }
}

impl Counts {
    /// How many of one status.
    #[must_use]
    pub const fn of(&self, status: Status) -> usize {
        match status {
            Status::Unconfirmed => self.unconfirmed,
            Status::Alive => self.alive,
            Status::Suspect => self.suspect,
            Status::Dead => self.dead,
            Status::Left => self.left,
        }
    }

    /// How many in all.
    #[must_use]
    pub const fn total(&self) -> usize {
        self.unconfirmed + self.alive + self.suspect + self.dead + self.left
    }
}

#[derive(Debug)]
pub(crate) struct StatusCounts {
    own: PerThread<Line>,
    shared: Padded<Line>,
}

/// A number for each status.
type Line = [AtomicI64; Status::ALL.len()];

impl StatusCounts {
    /// With a line for each thread that writes, or one for all.
    pub(crate) fn new(per_thread: bool) -> Self {
        Self {
            own: PerThread::new(per_thread),
            shared: Padded::default(),
        }
    }

    /// A node's packed state changed (`None`: it was not, or is no longer, in the table).
    #[inline]
    pub(crate) fn moved(&self, from: Option<PackedState>, to: Option<PackedState>) {
        // By rank, of which a packed state has none but those of the statuses.
        let (from, to) = (from.map(PackedState::rank), to.map(PackedState::rank));
        if from == to {
            return;
        }
        let own = self.own.own();
        let line = own.unwrap_or(&self.shared);
        for (rank, change) in [(from, -1), (to, 1)] {
            if let Some(number) = rank.and_then(|rank| line.get(usize::from(rank) - 1)) {
                // Relaxed, all: a number that orders nothing.
                if own.is_some() {
                    number.store(number.load(Ordering::Relaxed) + change, Ordering::Relaxed);
                } else {
                    number.fetch_add(change, Ordering::Relaxed);
                }
            }
        }
    }

    pub(crate) fn read(&self) -> Counts {
        let sum = |status: Status| {
            let sum: i64 = self
                .own
                .iter()
                .chain([&*self.shared])
                // Relaxed: as above. Lines read at different moments may not even add up to zero.
                .map(|line| line[status as usize - 1].load(Ordering::Relaxed))
                .sum();
            usize::try_from(sum).unwrap_or(0)
        };
        Counts {
            unconfirmed: sum(Status::Unconfirmed),
            alive: sum(Status::Alive),
            suspect: sum(Status::Suspect),
            dead: sum(Status::Dead),
            left: sum(Status::Left),
        }
    }
}
