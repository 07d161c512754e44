//! Time as the caller tells it: nothing in this crate reads a clock behind the caller's back.
#![forbid(unsafe_code)]

use core::fmt;
use core::ops::Add;
use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Monotonic nanoseconds since the origin of the caller's clock.
///
/// Any clock will do that never goes back; [`Clock`] is one. A last update means nothing outside the
/// process (or after a restart): send ages, not last updates.
///
/// ```
/// use incarnation::Timestamp;
/// use std::time::Duration;
/// let later = Timestamp::ZERO + Duration::from_millis(3);
/// assert_eq!(later.since(Timestamp::ZERO), Duration::from_millis(3));
/// assert_eq!(Timestamp::ZERO.since(later), Duration::ZERO);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The origin of the clock.
    pub const ZERO: Self = Self(0);

    /// A time so many nanoseconds after the origin.
    #[must_use]
    #[inline]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// A time so many milliseconds after the origin, at most the end of time (584 years).
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the origin.
    #[must_use]
    #[inline]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Whole milliseconds since the origin.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// The time passed since `earlier`; zero if `earlier` is later.
    #[must_use]
    #[inline]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A duration as nanoseconds, at most `u64::MAX` of them.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    /// Stops at the end of time instead of wrapping.
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", Duration::from_nanos(self.0))
    }
}

/// A clock for the `now` that every operation takes: the system's monotonic one, or one set by hand
/// for tests and simulations. Clones tell the same time.
///
/// Reading the monotonic clock costs tens of nanoseconds, several times a lookup: read it once for
/// a packet, not once for a claim.
///
/// ```
/// use incarnation::Clock;
/// use std::time::Duration;
/// let clock = Clock::manual();
/// let start = clock.now();
/// clock.advance(Duration::from_secs(1));
/// assert_eq!(clock.now().since(start), Duration::from_secs(1));
/// ```
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    Monotonic(Instant),
    Manual(Arc<AtomicU64>),
}

impl Clock {
    /// The system's monotonic clock; its origin is now.
    #[must_use]
    pub fn monotonic() -> Self {
        Self(Source::Monotonic(Instant::now()))
    }

    /// A clock that stands at zero until it is [advanced](Self::advance).
    #[must_use]
    pub fn manual() -> Self {
        Self(Source::Manual(Arc::new(AtomicU64::new(0))))
    }

    /// The time now. Cost of the monotonic one: the operating system's clock, 20 to 30 ns, several lookups: read it once
    /// a packet.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::Monotonic(origin) => Timestamp(nanos(origin.elapsed())),
            // A number that orders nothing else.
            Source::Manual(nanos) => Timestamp(nanos.load(Ordering::Relaxed)),
        }
    }

    /// Moves a manual clock on; does nothing to the monotonic one, which moves by itself.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(time) = &self.0 {
            // Saturating, so that the clock never goes back. Orders nothing else.
            let _ = time.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
                Some(now.saturating_add(nanos(by)))
            });
        }
    }
}

impl Default for Clock {
    /// [`Clock::monotonic`].
    fn default() -> Self {
        Self::monotonic()
    }
}
