//! Threads that do nothing but look members up in the trackers, as the requests of a program would,
//! while everything else goes on.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use hdrhistogram::Histogram;

use crate::cast::Shared;

/// Lookups between two looks at which nodes run, and two naps: other work wants the processor too.
const BURST: u64 = 4096;
const NAP: Duration = Duration::from_millis(2);
/// One lookup of so many is timed on its own.
const TIMED: u64 = 64;

/// What the readers did.
pub struct Lookups {
    done: AtomicU64,
    found: AtomicU64,
    times: Mutex<Histogram<u64>>,
}

/// Reader threads; they end when this is dropped.
pub struct Readers {
    pub lookups: Arc<Lookups>,
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Lookups {
    pub fn done(&self) -> u64 {
        // Numbers that order nothing, here and below.
        self.done.load(Ordering::Relaxed)
    }

    pub fn found(&self) -> u64 {
        self.found.load(Ordering::Relaxed)
    }

    /// The time that `part` of the lookups stayed below, in nanoseconds, that of the clock included.
    pub fn quantile(&self, part: f64) -> u64 {
        let times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times.value_at_quantile(part)
    }

    fn burst(&self, cast: &Shared, dice: &mut Rng) {
        let trackers = cast.trackers();
        let addresses: Vec<_> = (0..=cast.len())
            .map(|player| cast.address(player))
            .collect();
        if trackers.is_empty() {
            return;
        }
        let mut found = 0;
        let mut times = Vec::with_capacity((BURST / TIMED) as usize);
        for lookup in 0..BURST {
            let (_, tracker) = &trackers[dice.usize(..trackers.len())];
            let node = &addresses[dice.usize(..addresses.len())];
            let state = if lookup % TIMED == 0 {
                let begin = Instant::now();
                let state = black_box(tracker.get(node));
                times.push(begin.elapsed().as_nanos() as u64);
                state
            } else {
                black_box(tracker.get(node))
            };
            found += u64::from(state.is_some());
        }
        self.done.fetch_add(BURST, Ordering::Relaxed);
        self.found.fetch_add(found, Ordering::Relaxed);
        let mut histogram = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        times
            .into_iter()
            .for_each(|time| histogram.saturating_record(time));
    }
}

impl Readers {
    /// Starts `threads` of them.
    pub fn start(cast: &Shared, threads: u64) -> Result<Self, hdrhistogram::CreationError> {
        let lookups = Arc::new(Lookups {
            done: AtomicU64::new(0),
            found: AtomicU64::new(0),
            times: Mutex::new(Histogram::new_with_bounds(1, 1_000_000_000, 2)?),
        });
        let stop = Arc::new(AtomicBool::new(false));
        let reader = |number| {
            let (cast, lookups, stop) = (cast.clone(), lookups.clone(), stop.clone());
            let mut dice = Rng::with_seed(number);
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    lookups.burst(&cast, &mut dice);
                    thread::sleep(NAP);
                }
            })
        };
        let threads = (0..threads).map(reader).collect();
        Ok(Self {
            lookups,
            stop,
            threads,
        })
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
