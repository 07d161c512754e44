//! A thread that sweeps a tracker, for programs without a loop of their own to sweep in.
//!
//! It sweeps at an interval, earlier when a claim was refused for lack of room, and at once when it
//! is asked to. The thread ends when its [`Sweeper`] is stopped or dropped.
#![forbid(unsafe_code)]

use core::hash::{BuildHasher, Hash};
use core::panic::{RefUnwindSafe, UnwindSafe};
use core::time::Duration;
use std::io;

use crate::notify::capacity_signal::Sleeper;
use crate::notify::unpark_current;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::catch_panic;
use crate::sync::thread::{self, JoinHandle};
use crate::sync::{Arc, Instant};
use crate::time::Clock;
use crate::tracker::{IncarnationTracker, SweepScope, Swept};

/// The first pause after an early sweep that made no room.
const FIRST_PAUSE: Duration = Duration::from_millis(1);

/// A thread, called `incarn-sweeper`, that sweeps a tracker; made by [`spawn`](Self::spawn).
///
/// - It sweeps when it begins, and then `interval` after the end of the sweep before.
/// - When a claim is refused with [`AtCapacity`](crate::Rejection::AtCapacity) or
///   [`PendingReclaim`](crate::Rejection::PendingReclaim) it sweeps at once. If that makes no room (nothing may be evicted, or a
///   view is held), it pauses before it lets itself be woken early again: a millisecond, twice as long each time, at most the
///   interval.
/// - If the callback panics, that sweep ends there; the thread goes on with the next one.
/// - [`stop`](Self::stop), or dropping it, ends the thread, and waits until it has ended; a sweep under
///   way is finished first.
///
/// It holds a clone of the tracker, so the table exists at least as long.
///
/// ```
/// use incarnation::{Claim, Clock, IncarnationTracker, SweepReason, Sweeper};
/// use std::sync::mpsc;
/// use std::time::Duration;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let clock = Clock::monotonic();
/// let tracker: IncarnationTracker<String> = IncarnationTracker::builder()
///     .dead_retention(Duration::from_millis(1))
///     .build()?;
/// let _ = tracker.update(&"a:1".to_string(), Claim::dead(3), clock.now());
///
/// let (swept, evicted) = mpsc::channel();
/// let sweeper = Sweeper::spawn(&tracker, clock, Duration::from_millis(2), move |gone| {
///     let _ = swept.send((gone.node.clone(), gone.reason));
/// })?;
/// assert_eq!(evicted.recv()?, ("a:1".to_string(), SweepReason::DeadRetention));
/// sweeper.stop(); // the thread has ended
/// assert!(evicted.recv().is_err());
/// # Ok(()) }
/// ```
///
/// A program on an asynchronous runtime may sweep there instead. A sweep does not wait for anything,
/// so it may run on the runtime's own threads; with tokio:
///
/// ```
/// # mod tokio {
/// #     pub mod time {
/// #         pub struct Interval;
/// #         pub fn interval(_: std::time::Duration) -> Interval { Interval }
/// #         impl Interval { pub async fn tick(&mut self) { std::future::pending().await } }
/// #     }
/// #     pub fn spawn<F: Future<Output = ()> + Send + 'static>(_: F) {}
/// # }
/// # use incarnation::{Clock, IncarnationTracker, SweepScope};
/// # use std::time::Duration;
/// # fn start(tracker: &IncarnationTracker, clock: &Clock) {
/// let (tracker, clock) = (tracker.clone(), clock.clone());
/// tokio::spawn(async move {
///     let mut interval = tokio::time::interval(Duration::from_secs(1));
///     loop {
///         interval.tick().await;
///         let _report = tracker.sweep_with(SweepScope::Everything, clock.now(), |gone| {
///             println!("{} is gone: {:?}", gone.node, gone.reason);
///         });
///     }
/// });
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping a `Sweeper` ends its thread: bind it to a name for as long as it is to sweep"]
pub struct Sweeper {
    shared: Arc<Shared>,
    /// `None` once it was joined.
    thread: Option<JoinHandle<()>>,
}

// Panics of the callback end in the thread, and a sweeper has no state that one could leave half done.
impl UnwindSafe for Sweeper {}
impl RefUnwindSafe for Sweeper {}

/// What the thread and its owner share.
#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    /// A sweep was asked for.
    asked: AtomicBool,
    sweeps: AtomicU64,
    panics: AtomicU64,
}

impl Sweeper {
    /// Starts the thread. `on_swept` gets each node that was evicted or declared Dead, after the
    /// fact; it may use the tracker. `clock` is the one whose times the program's claims carry: it may be
    /// [a program's own](Clock::from_fn).
    ///
    /// Cost: a thread, which sleeps between sweeps; each sweep is
    /// [`sweep_with`](crate::IncarnationTracker::sweep_with).
    ///
    /// The thread sweeps as long as the returned `Sweeper` is held. A call that drops it at once does not
    /// compile without a warning:
    ///
    /// ```compile_fail
    /// #![deny(unused_must_use)]
    /// # use incarnation::{Clock, IncarnationTracker, Sweeper};
    /// # fn start(tracker: &IncarnationTracker, clock: Clock) -> std::io::Result<()> {
    /// Sweeper::spawn(tracker, clock, std::time::Duration::from_secs(1), |_| {})?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the interval is zero; the system's error if it
    /// starts no thread.
    pub fn spawn<K, D, S>(
        tracker: &IncarnationTracker<K, D, S>,
        clock: Clock,
        interval: Duration,
        on_swept: impl FnMut(Swept<'_, K, D>) + Send + 'static,
    ) -> io::Result<Self>
    where
        K: Eq + Hash + Clone + Send + Sync + 'static,
        D: Send + Sync + 'static,
        S: BuildHasher + Send + Sync + 'static,
    {
        if interval.is_zero() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the interval between sweeps is zero; it must be longer",
            ));
        }
        let shared = Arc::new(Shared::default());
        let duty = Duty {
            tracker: tracker.clone(),
            clock,
            interval,
            shared: shared.clone(),
        };
        let thread = thread::Builder::new()
            // The kernel keeps 15 bytes.
            .name("incarn-sweeper".into())
            .spawn(move || duty.run(on_swept))?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Ends the thread, and waits until it has ended; a sweep under way is finished first. Dropping the
    /// sweeper does the same. Called from the sweeper's own callback, it does not wait.
    pub fn stop(self) {
        drop(self);
    }

    /// Has the thread sweep at once, and does not wait for it.
    pub fn sweep_now(&self) {
        // Release: what the caller did before is seen by the sweep. Pinned by
        // `capacity_signal::a_sweep_that_was_asked_for_is_made`. (An exchange, as on the other side: the checker
        // models stores among exchanges wrongly.)
        self.shared.asked.swap(true, Ordering::Release);
        self.wake();
    }

    /// How many sweeps have ended, by a panic of the callback or without.
    #[must_use]
    pub fn sweeps(&self) -> u64 {
        // Acquire: a caller that sees a sweep counted sees what it did. Pinned by
        // `capacity_signal::a_sweep_that_is_counted_is_seen`.
        self.shared.sweeps.load(Ordering::Acquire)
    }

    /// How many sweeps ended in a panic of the callback (or of a key's `Hash`, `Eq` or `Clone`).
    #[must_use]
    pub fn panics(&self) -> u64 {
        // Relaxed: a statistic, which orders nothing.
        self.shared.panics.load(Ordering::Relaxed)
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        // Relaxed: nothing but the flag, and the unparking publishes it.
        self.shared.stop.store(true, Ordering::Relaxed);
        self.wake();
        if let Some(thread) = self.thread.take()
            // The callback may own its sweeper; a thread cannot wait for itself.
            && thread.thread().id() != thread::current().id()
        {
            // An error is a panic of the callback's own drop: the panic hook has reported it.
            let _ = thread.join();
        }
    }
}

/// The state of the thread.
struct Duty<K, D, S> {
    tracker: IncarnationTracker<K, D, S>,
    clock: Clock,
    interval: Duration,
    shared: Arc<Shared>,
}

impl<K, D, S> Duty<K, D, S>
where
    K: Eq + Hash + Clone + Send + Sync + 'static,
    D: Send + Sync + 'static,
    S: BuildHasher,
{
    fn run(self, mut on_swept: impl FnMut(Swept<'_, K, D>)) {
        let mut sleeper = self
            .tracker
            .core()
            .capacity_signal
            .sleeper(unpark_current());
        let mut pause = Duration::ZERO;
        loop {
            // Before the sweep: a claim refused during it wants the next one.
            let was_early = sleeper.is_pending();
            sleeper.begin_sweep();
            let made_room = self.sweep(&mut on_swept);
            pause = match (made_room, was_early) {
                (true, _) => Duration::ZERO,
                (false, true) => (pause * 2).max(FIRST_PAUSE).min(self.interval),
                (false, false) => pause,
            };
            if !self.wait(&mut sleeper, pause) {
                return;
            }
        }
    }

    /// One sweep; whether it made room.
    fn sweep(&self, on_swept: &mut impl FnMut(Swept<'_, K, D>)) -> bool {
        let now = self.clock.now();
        let panics = &self.shared.panics;
        // One by one: a callback that panics ends neither the other calls nor the rest of the sweep.
        let mut tell = |swept: Swept<'_, K, D>| {
            if catch_panic(|| on_swept(swept)).is_none() {
                // Relaxed: a number.
                panics.fetch_add(1, Ordering::Relaxed);
            }
        };
        let sweep = || {
            self.tracker
                .sweep_with(SweepScope::Everything, now, &mut tell)
        };
        let report = catch_panic(sweep);
        if report.is_none() {
            self.shared.panics.fetch_add(1, Ordering::Relaxed);
        }
        // Release: see `Sweeper::sweeps`.
        self.shared.sweeps.fetch_add(1, Ordering::Release);
        report.is_some_and(|report| report.evicted() > 0)
    }

    /// Sleeps until the next sweep is due; false once the thread is to end.
    fn wait(&self, sleeper: &mut Sleeper<'_>, pause: Duration) -> bool {
        let ended = Instant::now();
        loop {
            sleeper.enlist();
            // Relaxed: see `Drop`.
            if self.shared.stop.load(Ordering::Relaxed) {
                return false;
            }
            // Relaxed: the fence in `begin_sweep`, which comes before the sweep, acquires what
            // `Sweeper::sweep_now` released.
            if self.shared.asked.swap(false, Ordering::Relaxed) {
                return true;
            }
            let passed = ended.elapsed();
            let due = if sleeper.is_pending() {
                pause
            } else {
                self.interval
            };
            if passed >= due {
                return true;
            }
            // A thread that sets one of the flags unparks this one after it.
            thread::park_timeout(due - passed);
        }
    }
}
