//! `--churn`: threads that join and remove one node each as fast as they can, in tables that are nearly empty. None of the
//! joins may be refused with `AtCapacity`, and few with `PendingReclaim`.
//!
//! How many wait for a view depends on what else runs on the machine: a thread that loses its core in the middle of an operation
//! holds up all that is removed meanwhile. So a refused join is tried again after a while, which bounds what one such stop
//! counts for, and the best of a few runs counts.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use incarnation::{Claim, IncarnationTracker, Reclaimer, Rejection, Timestamp, Verdict};

use crate::world::World;

/// Threads, and the hard limit of their table.
const TABLES: [(u64, usize); 3] = [(2, 200), (4, 20_000), (8, 2_000)];
/// Joins of each thread in a run.
const JOINS: u64 = 100_000;
/// Runs at most, up to the first with few refusals.
const RUNS: usize = 10;
/// A refusal for so many joins at most: 2 in 100.
const JOINS_A_REFUSAL: u64 = 50;
/// How often a join is tried again at once, before the thread sleeps.
const YIELDS: u64 = 8;
/// Tries of a join, at most: some ten seconds.
const TRIES: u64 = 10_000;

/// Runs all of it, prints how many joins were refused and tells the world what must not be.
pub fn check(world: &World) {
    for (threads, hard_limit) in TABLES {
        let joins = threads * JOINS;
        let mut fewest = u64::MAX;
        for _ in 0..RUNS {
            fewest = fewest.min(refused(world, threads, hard_limit));
            if fewest * JOINS_A_REFUSAL <= joins || world.violations().0 > 0 {
                break;
            }
        }
        println!(
            "{threads} threads, hard limit {hard_limit}: {fewest} of {joins} joins refused with PendingReclaim"
        );
        if fewest * JOINS_A_REFUSAL > joins {
            world.violation(|| {
                format!(
                    "at least {fewest} of {joins} joins of {threads} threads were refused below the hard limit of {hard_limit}, in each of \
                     {RUNS} runs"
                )
            });
        }
    }
}

/// How many joins were refused with `PendingReclaim` in one run.
fn refused(world: &World, threads: u64, hard_limit: usize) -> u64 {
    let tracker: IncarnationTracker<u64> = IncarnationTracker::builder()
        .max_nodes(hard_limit / 2)
        .hard_limit(hard_limit)
        .reclaimer(Reclaimer::private())
        .build()
        .expect("small limits");
    let (begin, pending) = (Barrier::new(threads as usize), AtomicU64::new(0));
    thread::scope(|scope| {
        for node in 0..threads {
            let (tracker, begin, pending) = (&tracker, &begin, &pending);
            scope.spawn(move || {
                begin.wait();
                for round in 0..JOINS {
                    let refusals = join(world, tracker, node, Claim::alive(round));
                    pending.fetch_add(refusals, Ordering::Relaxed);
                    if refusals == TRIES {
                        break;
                    }
                    if tracker.remove(&node, Timestamp::ZERO).is_none() {
                        world.violation(|| format!("node {node} joined and was not there"));
                    }
                }
            });
        }
    });
    let (nodes, rejections) = (tracker.len(), tracker.stats().rejections);
    if nodes > 0 || rejections.at_capacity > 0 {
        world.violation(|| {
            format!(
                "{} joins of {threads} threads were refused with AtCapacity, below the hard limit of {hard_limit}; {nodes} nodes are left",
                rejections.at_capacity
            )
        });
    }
    pending.load(Ordering::Relaxed)
}

/// Joins a node; how often that was refused because entries wait for a view, [`TRIES`] times if it never joined.
fn join(world: &World, tracker: &IncarnationTracker<u64>, node: u64, claim: Claim) -> u64 {
    for refusals in 0..TRIES {
        match tracker.update(&node, claim, Timestamp::ZERO) {
            Verdict::Joined => return refusals,
            Verdict::Rejected(Rejection::PendingReclaim | Rejection::AtCapacity) => {}
            other => world.violation(|| format!("node {node} is {other}")),
        }
        if refusals < YIELDS {
            thread::yield_now();
        } else {
            thread::sleep(Duration::from_millis(1));
        }
    }
    world.violation(|| format!("node {node} was refused {TRIES} times in a row"));
    TRIES
}
