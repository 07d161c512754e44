//! Whether a view is being held, and for how long at least. Sweeps find it out; a pin pays nothing for it.
#![forbid(unsafe_code)]

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::sync::{Mutex, TryLockError};

use crate::reclaim::{Domain, Ticket};
use crate::time::Timestamp;

/// Finds out at sweeps whether a view is being held, and for how long at least.
#[derive(Debug, Default)]
pub(crate) struct PinAge {
    probe: Mutex<Option<Probe>>,
    /// Nanoseconds.
    longest: AtomicU64,
}

/// A ticket drawn at an earlier sweep: it passes once all views of that time are gone.
#[derive(Debug)]
struct Probe {
    ticket: Ticket,
    drawn: Timestamp,
}

impl PinAge {
    /// To be called at sweeps, by a caller that holds no pin of the sweep's own.
    pub(crate) fn look(&self, domain: &Domain, now: Timestamp) {
        let mut probe = match self.probe.try_lock() {
            Ok(probe) => probe,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Another sweep is in here.
            Err(TryLockError::WouldBlock) => return,
        };
        let longest = match &*probe {
            Some(known) if !domain.horizon().passed(&known.ticket) => now.since(known.drawn),
            _ => {
                *probe = Some(Probe {
                    ticket: domain.ticket(&domain.pin()),
                    drawn: now,
                });
                Duration::ZERO
            }
        };
        let nanos = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX);
        // Relaxed: a statistic, which orders nothing.
        self.longest.store(nanos, Ordering::Relaxed);
    }

    pub(crate) fn longest(&self) -> Duration {
        // Relaxed: see the store.
        Duration::from_nanos(self.longest.load(Ordering::Relaxed))
    }
}
