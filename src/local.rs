//! The local node's own incarnation.
#![forbid(unsafe_code)]

use core::fmt;

use crate::rule::Incarnation;
use crate::sync::atomic::{AtomicU64, Ordering};

/// The local node's own incarnation.
#[derive(Debug)]
pub struct Local {
    incarnation: AtomicU64,
    max: Incarnation,
    max_jump: u64,
}

/// Why the local node's incarnation was not raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LocalError {
    /// At `max_incarnation` already.
    Exhausted,
    /// The accusation is further above than anybody honest can have seen.
    SuspiciousAccusation {
        /// Our own.
        own: Incarnation,
        /// The accusation's.
        accused: Incarnation,
    },
}

impl fmt::Display for LocalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl core::error::Error for LocalError {}

impl Local {
    pub(crate) fn new(start: Incarnation, max: Incarnation, max_jump: u64) -> Self {
        Self {
            incarnation: AtomicU64::new(start.get()),
            max,
            max_jump,
        }
    }

    /// The incarnation now.
    pub fn current(&self) -> Incarnation {
        Incarnation::new(self.incarnation.load(Ordering::Acquire))
    }

    /// Raises it above an accusation.
    pub fn refute(&self, accused: impl Into<Incarnation>) -> Result<Incarnation, LocalError> {
        let accused = accused.into();
        let mut own = self.incarnation.load(Ordering::Relaxed);
        loop {
            if accused.get() > own.saturating_add(self.max_jump) {
                return Err(LocalError::SuspiciousAccusation {
                    own: own.into(),
                    accused,
                });
            }
            let next = own.max(accused.get()).saturating_add(1);
            if next > self.max.get() {
                return Err(LocalError::Exhausted);
            }
            match self
                .incarnation
                .compare_exchange(own, next, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return Ok(next.into()),
                Err(now) => own = now,
            }
        }
    }
}
