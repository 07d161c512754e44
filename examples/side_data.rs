//! A program's own data of each node, in arrays beside the tracker: round-trip times and addresses that
//! change, as they are kept in a map behind a lock today.
//!
//! ```text
//! cargo run --release --example side_data
//! ```
//!
//! A node's [`Slot`] is its index, below `capacity()`, and the generation of its life. The arrays are as long as the
//! capacity, are made once, and hold the generation beside the data: what belongs to another life is
//! not mistaken for this node's. Threads write and read while nodes come and go; the exit status is 1 if anyone ever
//! read another node's data.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use incarnation::{Claim, IncarnationTracker, NodeHandle, Slot, Timestamp};

const NODES: u64 = 500;

/// A round-trip time for each node: one packed state, so that it is read and written whole.
///
/// The low 32 bits are microseconds, the high 32 the generation. (Of 64; to be mistaken a slot would have to
/// be used again exactly 2^32 times between a write and a read.)
struct RoundTrips(Box<[AtomicU64]>);

impl RoundTrips {
    fn new(capacity: usize) -> Self {
        Self((0..capacity).map(|_| AtomicU64::new(0)).collect())
    }

    fn tag(slot: Slot) -> u64 {
        slot.generation << 32
    }

    /// A new measurement: an eighth of it goes into the mean that is kept.
    fn record(&self, slot: Slot, measured: Duration) {
        let measured = u32::try_from(measured.as_micros()).unwrap_or(u32::MAX);
        let place = &self.0[slot.index];
        let update = |packed: u64| {
            let mean = match packed >> 32 == Self::tag(slot) >> 32 {
                // Of another life, or of none: it begins anew.
                false => measured,
                true => {
                    let old = packed as u32;
                    old - old / 8 + measured / 8
                }
            };
            Some(Self::tag(slot) | u64::from(mean))
        };
        // Relaxed: nothing is read through it; the packed state says everything.
        let _ = place.fetch_update(Ordering::Relaxed, Ordering::Relaxed, update);
    }

    /// What is known of this life of the node.
    fn get(&self, slot: Slot) -> Option<Duration> {
        // Relaxed: as above.
        let packed = self.0[slot.index].load(Ordering::Relaxed);
        let is_of_this_life = packed >> 32 == Self::tag(slot) >> 32;
        is_of_this_life.then(|| Duration::from_micros(packed & u64::from(u32::MAX)))
    }
}

/// Every node answers in a time of its own, so that another's would show.
fn round_trip_of(node: u64) -> Duration {
    Duration::from_micros(1_000 + node * 8)
}

fn main() -> ExitCode {
    let builder = IncarnationTracker::<u64>::builder().max_nodes(NODES as usize);
    let tracker = match builder.build() {
        Ok(tracker) => tracker,
        Err(error) => {
            eprintln!("side_data: {error}");
            return ExitCode::FAILURE;
        }
    };
    let trips = RoundTrips::new(tracker.capacity());
    let stop = AtomicBool::new(false);
    let (right, wrong, unknown) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));

    thread::scope(|scope| {
        // The gossip thread: nodes join and are removed, so that slots are used again by others.
        let churn = scope.spawn(|| {
            for round in 0..200_000 {
                let node = round * 7919 % (NODES * 3);
                let _ = tracker.update(&node, Claim::alive(round), Timestamp::ZERO);
                tracker.forget(&((node + NODES) % (NODES * 3)));
            }
            stop.store(true, Ordering::Relaxed);
        });
        // The probing thread measures whoever is there.
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let nodes: Vec<NodeHandle<u64>> = (0..NODES * 3)
                    .filter_map(|node| tracker.handle(&node))
                    .collect();
                for handle in nodes {
                    trips.record(handle.slot(), round_trip_of(*handle.key()));
                }
            }
        });
        // Request threads choose by it, without a lock and without a lookup once they have a handle.
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    for node in 0..NODES * 3 {
                        let Some(handle) = tracker.handle(&node) else {
                            continue;
                        };
                        let count = match trips.get(handle.slot()) {
                            None => &unknown,
                            // The mean of equal times is that time, but for what division drops.
                            Some(time) if time.abs_diff(round_trip_of(node)).as_micros() < 8 => {
                                &right
                            }
                            Some(_) => &wrong,
                        };
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let _ = churn.join();
    });

    let [right, wrong, unknown] = [right, wrong, unknown].map(AtomicU64::into_inner);
    println!(
        "{right} round-trip times read, {unknown} not measured yet in this entry_state, {wrong} of another node"
    );
    if wrong == 0 && right > 0 && unknown > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
