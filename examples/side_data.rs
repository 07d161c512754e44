//! A program's own data of each node, kept in the table beside the node's state: round-trip times, as they are kept in a
//! map behind a lock otherwise.
//!
//! ```text
//! cargo run --release --example side_data
//! ```
//!
//! The table makes the data when a node joins and drops it after the node has left. Threads write and read it while nodes
//! come and go; the exit status is 1 if a thread ever read the data of another node.
#![forbid(unsafe_code)]

#[macro_use]
mod shared;

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread;

use incarnation::{Claim, IncarnationTracker, Timestamp};

const NODES: u64 = 500;

/// The mean of a node's round-trip times, in microseconds; 0 before the first.
#[derive(Default)]
struct RoundTrip(AtomicU32);

impl RoundTrip {
    /// A new measurement: an eighth of it goes into the mean.
    fn record(&self, measured: u32) {
        // Relaxed: one number, through which nothing else is read.
        let _ = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |mean| {
                Some(if mean == 0 {
                    measured
                } else {
                    mean - mean / 8 + measured / 8
                })
            });
    }

    fn mean(&self) -> Option<u32> {
        // Relaxed: as above.
        Some(self.0.load(Ordering::Relaxed)).filter(|mean| *mean > 0)
    }
}

/// Each node answers in a time of its own, so that another node's would be noticed.
fn round_trip_of(node: u64) -> u32 {
    1_000 + node as u32 * 8
}

fn main() -> ExitCode {
    shared::only_help(include_str!("side_data.rs"));
    let builder = IncarnationTracker::<u64>::builder().max_nodes(NODES as usize);
    let tracker = match builder.data_with(|_node| RoundTrip::default()).build() {
        Ok(tracker) => tracker,
        Err(error) => {
            eprintln!("side_data: {error}");
            return ExitCode::FAILURE;
        }
    };
    let stop = AtomicBool::new(false);
    let (right, wrong, unknown) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));

    thread::scope(|scope| {
        // Gossip: nodes join and are taken out, so that entries serve one node after another.
        let gossip = scope.spawn(|| {
            for round in 0..200_000 {
                let node = round * 7919 % (NODES * 3);
                let _ = tracker.update(&node, Claim::alive(round), Timestamp::ZERO);
                tracker.forget(&((node + NODES) % (NODES * 3)));
            }
            stop.store(true, Ordering::Relaxed);
        });
        // Probes: each node that is there is measured.
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for member in tracker.pin().members() {
                    member.data().record(round_trip_of(*member.key()));
                }
            }
        });
        // Requests: one lookup gives the node's state and data, without a lock.
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let view = tracker.pin();
                    for node in 0..NODES * 3 {
                        let count = match view.find(&node).map(|member| member.data().mean()) {
                            None => continue,
                            Some(None) => &unknown,
                            // The mean of equal times is that time, except for what division drops.
                            Some(Some(mean)) if mean.abs_diff(round_trip_of(node)) < 8 => &right,
                            Some(Some(_)) => &wrong,
                        };
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let _ = gossip.join();
    });

    let [right, wrong, unknown] = [right, wrong, unknown].map(AtomicU64::into_inner);
    println!("{right} round-trip times read, {unknown} not measured yet, {wrong} of another node");
    if wrong == 0 && right > 0 && unknown > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
