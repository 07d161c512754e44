//! A stress run: threads put random claims to one tracker, readers check what they see, a sweeper
//! evicts meanwhile; at the end each node must be in exactly the state that the verdicts lead to.
//!
//! `cargo run --release --example stress -- --threads 4 --seconds 5 [--hot | --churn]`
//!
//! The last line is `violations: 0`, or the exit status 1. A violation is
//!
//! - a packed state that falls within a lifetime, or is older than its last update can be, or a lifetime that is not found;
//! - a handle that comes back to life; more live nodes than the hard limit;
//! - at the end, a state that the books don't lead to, a scan that disagrees with the lookups, an
//!   entry that is not recycled;
//! - with `--churn`, a join that is refused with `AtCapacity` in a table that is nearly empty, or many with `PendingReclaim`;
//! - more than a mebibyte of memory used at the end on top of that at half time.

mod claims;
mod options;
mod readers;
mod refusals;
#[macro_use]
#[path = "../shared/mod.rs"]
mod shared;
mod world;

use std::collections::HashMap;
use std::error::Error;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use incarnation::{Claim, Sweeper};
use incarnation_testkit::resident;
use incarnation_testkit::transition_log::TransitionLog;

use claims::EventCounters;
use options::{Options, USAGE};
use world::World;

/// By so much the resident memory may grow in the second half of the run.
const MAY_GROW: usize = 1 << 20;

fn main() -> ExitCode {
    match Options::parse() {
        Ok(None) => {
            println!("{USAGE}");
            ExitCode::SUCCESS
        }
        Ok(Some(options)) => match run(options) {
            Ok(0) => ExitCode::SUCCESS,
            Ok(_) => ExitCode::FAILURE,
            Err(error) => {
                eprintln!("stress: {error}");
                ExitCode::FAILURE
            }
        },
        Err(error) => {
            eprintln!("stress: {error}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// Returns the number of violations.
fn run(options: Options) -> Result<u64, Box<dyn Error>> {
    println!("{options:?}");
    let at_start = resident::bytes();
    let world = World::new(options)?;
    let swept = Arc::new(Mutex::new((TransitionLog::new(options.nodes), 0_u64)));
    let books = swept.clone();
    let interval = Duration::from_millis(if options.nodes > 100_000 { 20 } else { 1 });
    let sweeper = Sweeper::spawn(
        &world.tracker,
        world.clock.clone(),
        interval,
        move |swept| {
            let mut books = books.lock().expect("nobody panics with it");
            let number = World::number(swept.node);
            books.0.swept(number, swept.last, swept.reason);
            books.1 += 1;
        },
    )?;

    let begun = Instant::now();
    let mut event_counters = EventCounters::default();
    let mut transition_log = TransitionLog::new(options.nodes);
    let memory = thread::scope(|scope| {
        let writers: Vec<_> = (0..options.threads)
            .map(|thread| {
                let (world, rng) = (&world, Rng::with_seed(thread as u64));
                scope.spawn(move || claims::make_claims(world, rng))
            })
            .collect();
        for reader in 0..options.readers {
            let (world, rng) = (&world, Rng::with_seed(!(reader as u64)));
            scope.spawn(move || readers::look_up(world, rng));
        }
        let memory = watch_over(&world, begun, || writers.iter().all(|w| w.is_finished()));
        world.stop.store(true, Ordering::Relaxed);
        for writer in writers {
            let (books, verdicts) = writer.join().expect("a thread panicked: see above");
            transition_log.merge(&books);
            event_counters.merge(verdicts);
        }
        memory
    });
    let elapsed = begun.elapsed();
    let (sweeps, panics) = (sweeper.sweeps(), sweeper.panics());
    // Its thread has ended after this, so the books are closed.
    drop(sweeper);
    let evicted = {
        let swept = swept.lock().expect("nobody panics with it");
        transition_log.merge(&swept.0);
        swept.1
    };
    if panics > 0 {
        world.violation(|| format!("{panics} sweeps panicked"));
    }
    check_books(&world, &transition_log);
    let tombstones = world.tracker.tombstones();
    check_recycling(&world);

    let claims = world.claims.load(Ordering::Relaxed);
    let lookups = world.lookups.load(Ordering::Relaxed);
    let rate = |count: u64| count as f64 / elapsed.as_secs_f64();
    println!(
        "{claims} claims, {} claims/s; {lookups} lookups, {} lookups/s; {sweeps} sweeps, {evicted} nodes swept",
        short(rate(claims)),
        short(rate(lookups)),
    );
    println!("{event_counters:?}");
    println!(
        "refused in this table, whose limits are reached: {} with AtCapacity, {} with PendingReclaim",
        event_counters.at_capacity, event_counters.pending_reclaim
    );
    println!(
        "Buried: {}, Zombie: {}, tombstones: {tombstones}",
        event_counters.buried, event_counters.zombie
    );
    report_memory(&world, at_start, memory);
    if options.churn {
        refusals::check(&world);
    }

    let (violations, told) = world.violations();
    for violation in told {
        println!("violation: {violation}");
    }
    println!("violations: {violations}");
    Ok(violations)
}

/// The resident memory, where the system tells it.
struct Memory {
    /// At half time, with the number of claims by then.
    halfway: Option<(u64, usize)>,
    /// Before the threads' books are merged to be checked, which takes memory of its own.
    at_end: Option<usize>,
}

/// Shows how it goes until it is over.
fn watch_over(world: &World, begun: Instant, finished: impl Fn() -> bool) -> Memory {
    let Options {
        updates,
        duration,
        nodes,
        ..
    } = world.options;
    // By then every node was met several times, so the table's memory is touched.
    let warm_at = 1_000_000.max(16 * nodes as u64);
    let half_time = |claims| match updates {
        Some(updates) => claims >= updates / 2,
        None => begun.elapsed() >= duration / 2,
    };
    let mut halfway = None;
    let mut next_line = Duration::from_secs(1);
    while !finished() && (updates.is_some() || begun.elapsed() < duration) {
        thread::sleep(Duration::from_millis(5));
        let claims = world.claims.load(Ordering::Relaxed);
        if halfway.is_none() && claims >= warm_at && half_time(claims) {
            halfway = resident::bytes().map(|bytes| (claims, bytes));
        }
        if begun.elapsed() >= next_line {
            progress(world, begun.elapsed(), claims);
            next_line += Duration::from_secs(1);
        }
    }
    if io::stderr().is_terminal() {
        eprintln!();
    }
    Memory {
        halfway,
        at_end: resident::bytes(),
    }
}

/// One line, on a terminal always the same.
fn progress(world: &World, elapsed: Duration, claims: u64) {
    let (start, end) = if io::stderr().is_terminal() {
        ("\r\x1b[K", "")
    } else {
        ("", "\n")
    };
    let seconds = elapsed.as_secs_f64();
    eprint!(
        "{start}{seconds:.0} s: {} claims/s, {} lookups/s, {} nodes, {} tombstones, {}{end}",
        short(claims as f64 / seconds),
        short(world.lookups.load(Ordering::Relaxed) as f64 / seconds),
        world.tracker.len(),
        world.tracker.tombstones(),
        mebibytes(resident::bytes()),
    );
    let _ = io::stderr().flush();
}

/// Each node is where its verdicts lead, and every way of asking agrees.
fn check_books(world: &World, transition_log: &TransitionLog) {
    let tracker = &world.tracker;
    let mut found = HashMap::new();
    for (address, state) in tracker.iter() {
        if found.insert(address, state).is_some() {
            world.violation(|| format!("{address} is in the table twice"));
        }
    }
    for node in 0..world.options.nodes {
        let address = World::address(node);
        let state = tracker.get(&address);
        if let Err(imbalance) = transition_log.check(node, state) {
            world.violation(|| imbalance.to_string());
        }
        if found.get(&address) != state.as_ref() {
            world.violation(|| format!("{address}: a scan and a lookup disagree"));
        }
    }
    let (len, counts) = (tracker.len(), tracker.counts().total());
    if (len, counts) != (found.len(), found.len()) {
        let scanned = found.len();
        world.violation(|| format!("{scanned} nodes, len says {len}, counts say {counts}"));
    }
}

/// No entry is lost: emptied, the table takes as many nodes again as its limit says.
fn check_recycling(world: &World) {
    let (tracker, now) = (&world.tracker, world.clock.now());
    for node in 0..world.options.nodes {
        tracker.forget(&World::address(node));
    }
    // crossbeam-epoch may need some before it hands out everything.
    let _ = (0..16).find(|_| {
        let _ = tracker.sweep(now);
        tracker.pending_reclaim() == 0
    });
    let (len, waiting) = (tracker.len(), tracker.pending_reclaim());
    if len + waiting > 0 {
        world.violation(|| format!("{len} nodes and {waiting} entries are left in the end"));
    }
    let spare = tracker.capacity() - world.hard_limit;
    // As often as it takes to come by every entry.
    for round in 0..=tracker.capacity() / spare {
        for node in 0..world.hard_limit {
            let claim = Claim::alive(u64::MAX >> 4).trusted();
            let verdict = tracker.update(&World::address(node), claim, now);
            if !verdict.accepted() {
                world.violation(|| format!("round {round}: node {node} is {verdict}"));
                return;
            }
        }
        for node in 0..world.hard_limit {
            tracker.forget(&World::address(node));
        }
        let _ = tracker.sweep(now);
    }
}

fn report_memory(world: &World, at_start: Option<usize>, memory: Memory) {
    let claims = world.claims.load(Ordering::Relaxed);
    let Memory { halfway, at_end } = memory;
    let mut line = format!("resident: {} at the start", mebibytes(at_start));
    if halfway.is_none() {
        line += ", not checked, for there were too few claims or the system does not tell";
    }
    if let Some((claims, bytes)) = halfway {
        line += &format!(", {} after {claims} claims", mebibytes(Some(bytes)));
        if let Some(at_end) = at_end
            && at_end > bytes + MAY_GROW
        {
            let grown = at_end - bytes;
            world.violation(|| format!("memory grew by {grown} bytes after {claims} claims"));
        }
    }
    println!("{line}, {} after {claims}", mebibytes(at_end));
}

fn mebibytes(bytes: Option<usize>) -> String {
    bytes.map_or("unknown".into(), |bytes| {
        format!("{:.2} MiB", bytes as f64 / f64::from(1 << 20))
    })
}

/// A rate in millions.
fn short(rate: f64) -> String {
    format!("{:.2} million", rate / 1e6)
}
