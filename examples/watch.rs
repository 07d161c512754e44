//! Two subscribers of a table that changes all the time: one drains after each change, the other wakes up once in a while.
//! Each keeps a picture of the cluster; in the end both pictures equal the table.
//!
//! ```console
//! cargo run --release --example watch
//! ```
//!
//! The exit status is 1 if a picture differs from the table, or from the other one.

#[macro_use]
mod shared;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use incarnation::{Claim, Clock, IncarnationTracker, NodeState, Status, Subscriber, SweepScope};

const NODES: u16 = 40;
const WRITERS: u64 = 2;
const RUN: Duration = Duration::from_secs(3);
/// So many changes of one look are printed; the rest is counted.
const SHOWN: usize = 3;

/// And at most so often.
const PRINT_EVERY: Duration = Duration::from_millis(250);

/// A node's name.
type Name = String;

/// What a subscriber has been told.
#[derive(Default)]
struct Picture {
    nodes: BTreeMap<Name, Claim>,
    changes: usize,
    looks: usize,
    /// When it last printed.
    printed: Option<Instant>,
}

impl Picture {
    /// Takes in what is news, and prints some of it. Says what a subscriber must never be told.
    fn look(&mut self, name: &str, subscriber: &mut Subscriber<Name>) -> Result<(), String> {
        let mut lines = Vec::new();
        let mut wrong = None;
        let changes = subscriber.drain(|node, change| {
            let known = self.nodes.get(node).copied();
            let (told, current) = (change.previous(), change.current());
            if known != told.map(|state| state.claim()) {
                wrong = Some(format!(
                    "{name} knew {node} as {known:?}, and was told {change:?}"
                ));
            }
            match current {
                Some(state) => self.nodes.insert(node.clone(), state.claim()),
                None => self.nodes.remove(node),
            };
            if lines.len() < SHOWN {
                lines.push(line(node, told, current));
            }
        });
        if let Some(wrong) = wrong {
            return Err(wrong);
        }
        self.changes += changes;
        self.looks += 1;
        // The quick one looks thousands of times a second: a few of its looks are enough to read.
        if changes > 0
            && self
                .printed
                .is_none_or(|last| last.elapsed() >= PRINT_EVERY)
        {
            self.printed = Some(Instant::now());
            let more = changes - lines.len();
            println!("{name:>5}: {}{}", lines.join(", "), more_of(more));
        }
        Ok(())
    }
}

fn more_of(more: usize) -> String {
    if more == 0 {
        String::new()
    } else {
        format!(" and {more} more")
    }
}

fn line(node: &str, previous: Option<NodeState>, current: Option<NodeState>) -> String {
    match (previous, current) {
        (None, Some(current)) => format!("{node} joined as {}", current.claim()),
        (Some(previous), Some(current)) => {
            format!("{node} {} -> {}", previous.claim(), current.claim())
        }
        (Some(last), None) => format!("{node} is gone, last {}", last.claim()),
        (None, None) => format!("{node}?"),
    }
}

/// Gossips until it is told to stop: nodes join, are suspected, refute, die, and come back.
fn write(tracker: &IncarnationTracker<Name>, clock: &Clock, seed: u64, stop: &AtomicBool) -> u64 {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut accepted = 0;
    while !stop.load(Ordering::Relaxed) {
        let node = format!("node-{}", random.u16(..NODES));
        let known = tracker
            .get(&node)
            .map_or(0, |state| state.incarnation.get());
        let claim = match random.u8(..10) {
            0..4 => Claim::alive(known + 1),
            4..7 => Claim::suspect(known),
            7..9 => Claim::dead(known),
            _ => Claim::left(known),
        };
        if random.u16(..1000) == 0 {
            // An operator takes it out; the next claim is its first.
            tracker.forget(&node);
        }
        accepted += u64::from(tracker.update(&node, claim, clock.now()).accepted());
    }
    accepted
}

fn main() -> ExitCode {
    shared::only_help(include_str!("watch.rs"));
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => {
            eprintln!("{wrong}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let tracker: IncarnationTracker<Name> = IncarnationTracker::builder()
        .max_nodes(64)
        .dead_retention(Duration::from_millis(20))
        .build()
        .map_err(|error| error.to_string())?;
    let clock = Clock::monotonic();
    let stop = AtomicBool::new(false);
    let done = AtomicBool::new(false);
    let accepted = AtomicU64::new(0);

    let (quick, slow) = thread::scope(|scope| {
        let quick = scope.spawn(|| {
            let (mut subscriber, mut picture) = (tracker.subscribe(), Picture::default());
            while !done.load(Ordering::Acquire) {
                picture.look("quick", &mut subscriber)?;
                subscriber
                    .wait(Duration::from_millis(50))
                    .map_err(|closed| closed.to_string())?;
            }
            // Once more: what was written before `done` is in the table by now.
            picture.look("quick", &mut subscriber)?;
            Ok::<_, String>(picture)
        });
        let slow = scope.spawn(|| {
            let (mut subscriber, mut picture) = (tracker.subscribe(), Picture::default());
            while !done.load(Ordering::Acquire) {
                picture.look("slow", &mut subscriber)?;
                thread::sleep(Duration::from_millis(700));
            }
            picture.look("slow", &mut subscriber)?;
            Ok::<_, String>(picture)
        });
        let writers: Vec<_> = (0..WRITERS)
            .map(|seed| {
                let (tracker, clock, stop) = (&tracker, &clock, &stop);
                scope.spawn(move || write(tracker, clock, seed, stop))
            })
            .collect();
        let sweeper = scope.spawn(|| {
            let mut swept = 0;
            while !stop.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(10));
                swept += tracker
                    .sweep_with(SweepScope::Everything, clock.now(), |_| {})
                    .evicted();
            }
            swept
        });
        thread::sleep(RUN);
        stop.store(true, Ordering::Relaxed);
        for writer in writers {
            accepted.fetch_add(writer.join().unwrap_or(0), Ordering::Relaxed);
        }
        let swept = sweeper.join().unwrap_or(0);
        // Release: a reader of the flag sees what the writers and the sweeper, joined by now, wrote.
        done.store(true, Ordering::Release);
        println!(
            "\nwritten: {} changes, {swept} evictions",
            accepted.load(Ordering::Relaxed)
        );
        let joined = |result: thread::Result<Result<Picture, String>>| {
            result.unwrap_or_else(|_| Err("a subscriber panicked".into()))
        };
        (joined(quick.join()), joined(slow.join()))
    });
    let (quick, slow) = (quick?, slow?);

    let table: BTreeMap<Name, Claim> = tracker
        .iter()
        .map(|(node, state)| (node, state.claim()))
        .collect();
    for (name, picture) in [("quick", &quick), ("slow", &slow)] {
        println!(
            "{name:>5}: {} looks, {} changes, {} nodes in the end",
            picture.looks,
            picture.changes,
            picture.nodes.len()
        );
        if picture.nodes != table {
            return Err(format!(
                "{name} ended with {:?}, the table with {table:?}",
                picture.nodes
            ));
        }
    }
    let alive = table
        .values()
        .filter(|claim| claim.status() == Status::Alive)
        .count();
    println!(
        "both equal the table: {} nodes, {alive} of them alive",
        table.len()
    );
    Ok(())
}
