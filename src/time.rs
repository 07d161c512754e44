//! Time as the caller tells it: nothing in this crate reads a clock unless it is given one.
#![forbid(unsafe_code)]

use core::fmt;
use core::ops::{Add, AddAssign, Sub};
use core::time::Duration;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Monotonic nanoseconds since the origin of the caller's clock.
///
/// Any clock will do that never goes back; [`Clock`] is one. A timestamp means nothing outside the
/// process (or after a restart): send ages, not timestamps. Arithmetic stops at both ends of time instead
/// of wrapping. Serialized (feature `serde`), it is its nanoseconds.
///
/// ```
/// use incarnation::Timestamp;
/// use std::time::Duration;
/// let start = Timestamp::from_secs(5);
/// let later = start + Duration::from_millis(3);
/// assert_eq!(later - start, Duration::from_millis(3));
/// assert_eq!(start - later, Duration::ZERO);
/// assert_eq!(later - Duration::from_millis(3), start);
/// assert_eq!(Timestamp::from(Duration::from_secs(5)), start);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
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

    /// A time so many seconds after the origin, at most the end of time (584 years).
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
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

    /// Whole seconds since the origin.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000_000_000
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

impl AddAssign<Duration> for Timestamp {
    /// As [`Add`].
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    /// Stops at the origin instead of wrapping.
    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(duration)))
    }
}

impl Sub for Timestamp {
    type Output = Duration;

    /// As [`since`](Self::since).
    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

/// The time so long after the origin, at most the end of time.
impl From<Duration> for Timestamp {
    fn from(since_origin: Duration) -> Self {
        Self(nanos(since_origin))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", Duration::from_nanos(self.0))
    }
}

/// A clock for the `now` that every operation takes: the system's monotonic one, one set by hand for
/// tests and simulations, or [a program's own](Self::from_fn). Clones tell the same time.
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

#[derive(Clone)]
enum Source {
    Monotonic(Instant),
    Manual(Arc<AtomicU64>),
    Function(Arc<dyn Fn() -> Timestamp + Send + Sync>),
}

// A clock is only read: a panic of a program's function leaves nothing half done here.
impl UnwindSafe for Clock {}
impl RefUnwindSafe for Clock {}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Monotonic(origin) => f.debug_tuple("Monotonic").field(origin).finish(),
            Self::Manual(time) => f.debug_tuple("Manual").field(time).finish(),
            Self::Function(_) => f.write_str("Function"),
        }
    }
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

    /// A program's own clock: the paused time of a runtime, the virtual time of a simulator, or a coarse
    /// clock that is cheaper to read.
    ///
    /// The function must never go back; nothing here enforces that. An age computed with an earlier `now` is
    /// zero, so a clock that goes back makes expiry late, and nothing worse.
    ///
    /// ```
    /// use incarnation::{Clock, Timestamp};
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// # use std::time::Duration;
    /// // Milliseconds that a ticker of the program's counts.
    /// let ticks = Arc::new(AtomicU64::new(0));
    /// let counter = ticks.clone();
    /// let clock = Clock::from_fn(move || Timestamp::from_millis(counter.load(Ordering::Relaxed)));
    /// ticks.store(1_500, Ordering::Relaxed);
    /// assert_eq!(clock.now(), Timestamp::from(Duration::from_millis(1_500)));
    /// ```
    ///
    /// With tokio, whose tests can pause time:
    /// `let origin = tokio::time::Instant::now(); Clock::from_fn(move || origin.elapsed().into())`.
    #[must_use]
    pub fn from_fn(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Source::Function(Arc::new(now)))
    }

    /// The time now. Cost of the monotonic one: the operating system's clock, 20 to 30 ns, several lookups: read it once
    /// a packet.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::Monotonic(origin) => Timestamp(nanos(origin.elapsed())),
            // A number that orders nothing else.
            Source::Manual(nanos) => Timestamp(nanos.load(Ordering::Relaxed)),
            Source::Function(now) => now(),
        }
    }

    /// Moves a manual clock on; does nothing to any other clock, which moves by itself.
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
