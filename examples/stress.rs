//! Hammers one tracker from many threads, and checks at the end that nothing was lost.
//!
//! ```text
//! cargo run --release --example stress -- --threads 4 --seconds 5 --nodes 10000
//!     --hot        all claims on one node
//!     --churn      nodes die, are evicted and rejoin all the time
//!     --claims N   stop after N claims instead of by time
//!     --any-memory don't check resident memory (sanitizers keep freed memory)
//! ```
//!
//! The check is a flow: of every node, each accepted claim takes it out of one word and into another,
//! each eviction takes it out of its last. Every thread adds up (wrapping) a mixed number for each word
//! entered and subtracts the one for each word left; over all threads what remains must be the number of
//! the word the node has at the end, or zero if it is gone. A lost, doubled or made-up transition leaves
//! another number. Meanwhile a reader checks through handles that no word ever falls within a life.
//! Exit status 1 on a violation.

use std::error::Error;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use incarnation::{
    Claim, Clock, IncarnationTracker, NodeHandle, Rejection, Status, SweepReason, SweepScope,
    Verdict,
};

type Tracker = IncarnationTracker<u64>;

/// Claims between two looks at clock, goal and stop flag.
const BATCH: usize = 64;
/// Resident memory may differ by this much between the first million claims and the last.
const FLAT: u64 = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Mixed,
    Hot,
    Churn,
}

#[derive(Clone, Copy, Debug)]
struct Options {
    threads: usize,
    seconds: u64,
    nodes: u64,
    claims: Option<u64>,
    any_memory: bool,
    mode: Mode,
}

fn options() -> Result<Options, Box<dyn Error>> {
    use lexopt::prelude::*;

    let mut options = Options {
        threads: 4,
        seconds: 5,
        nodes: 10_000,
        claims: None,
        any_memory: false,
        mode: Mode::Mixed,
    };
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("threads") => options.threads = args.value()?.parse::<usize>()?.max(1),
            Long("seconds") => options.seconds = args.value()?.parse()?,
            Long("nodes") => options.nodes = args.value()?.parse::<u64>()?.max(1),
            Long("claims") => options.claims = Some(args.value()?.parse()?),
            Long("any-memory") => options.any_memory = true,
            Long("hot") => (options.mode, options.nodes) = (Mode::Hot, 1),
            Long("churn") => options.mode = Mode::Churn,
            _ => return Err(arg.unexpected().into()),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(why) => {
            eprintln!("error: {why}");
            return ExitCode::from(2);
        }
    };
    match run(options) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::from(2)
        }
    }
}

/// Splitmix64: the random numbers, and the mixing of words.
fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The number of a node's word in the flow.
fn number(node: u64, claim: Claim) -> u64 {
    mix(mix(node) ^ (claim.incarnation().get() << 3 | u64::from(claim.status().rank())))
}

/// What one thread saw: for each node the numbers entered minus the numbers left, and counts.
struct Ledger {
    flow: Vec<u64>,
    buried: u64,
    zombies: u64,
    full: u64,
}

impl Ledger {
    fn new(nodes: u64) -> Self {
        Self {
            // Written, so that it is resident before memory is first looked at.
            flow: (0..nodes).map(|_| std::hint::black_box(0)).collect(),
            buried: 0,
            zombies: 0,
            full: 0,
        }
    }

    fn entered(&mut self, node: u64, claim: Claim) {
        let flow = &mut self.flow[node as usize];
        *flow = flow.wrapping_add(number(node, claim));
    }

    fn left(&mut self, node: u64, claim: Claim) {
        let flow = &mut self.flow[node as usize];
        *flow = flow.wrapping_sub(number(node, claim));
    }

    fn record(&mut self, node: u64, claim: Claim, verdict: Verdict) {
        match verdict {
            Verdict::Joined => self.entered(node, claim),
            Verdict::Applied { previous } => {
                self.left(node, previous);
                self.entered(node, claim);
            }
            Verdict::Rejected(Rejection::Buried { .. }) => self.buried += 1,
            Verdict::Rejected(Rejection::Zombie { .. }) => self.zombies += 1,
            Verdict::Rejected(Rejection::AtCapacity) => self.full += 1,
            _ => {}
        }
    }
}

/// What all threads share.
struct Shared {
    tracker: Tracker,
    clock: Clock,
    options: Options,
    stop: AtomicBool,
    claims: AtomicU64,
    lookups: AtomicU64,
    fallen: AtomicU64,
}

fn tracker(options: Options) -> Result<Tracker, Box<dyn Error>> {
    let nodes = options.nodes as usize;
    let builder = IncarnationTracker::builder()
        .max_incarnation_jump(u64::MAX)
        .dead_retention(Duration::from_millis(20))
        .zombie_window(Duration::from_millis(200))
        .grave_retention(Duration::from_secs(1));
    Ok(match options.mode {
        Mode::Hot => builder.max_nodes(16),
        // Fewer than there are, so that sweeps evict by capacity too.
        Mode::Mixed | Mode::Churn => builder
            .max_nodes((nodes * 3 / 4).max(1))
            .hard_limit(nodes)
            .max_graves(nodes / 2),
    }
    .build()?)
}

fn run(options: Options) -> Result<u64, Box<dyn Error>> {
    let shared = Shared {
        tracker: tracker(options)?,
        clock: Clock::monotonic(),
        options,
        stop: AtomicBool::new(false),
        claims: AtomicU64::new(0),
        lookups: AtomicU64::new(0),
        fallen: AtomicU64::new(0),
    };
    let begin = Instant::now();
    let (ledgers, memory) = thread::scope(|scope| {
        let claimers: Vec<_> = (0..options.threads)
            .map(|seed| {
                scope.spawn({
                    let shared = &shared;
                    move || claim(shared, mix(seed as u64 + 1))
                })
            })
            .collect();
        scope.spawn(|| read(&shared));
        let sweeper = scope.spawn(|| sweep(&shared));
        let memory = watch(&shared, begin);
        shared.stop.store(true, Ordering::Relaxed);
        let mut ledgers = Vec::new();
        for thread in claimers.into_iter().chain([sweeper]) {
            ledgers.push(thread.join().map_err(|_| "a thread panicked")?);
        }
        Ok::<_, &str>((ledgers, memory))
    })?;
    report(&shared, &ledgers, memory, begin.elapsed())
}

/// Claims at random until told to stop.
fn claim(shared: &Shared, mut random: u64) -> Ledger {
    let Options { nodes, mode, .. } = shared.options;
    let mut ledger = Ledger::new(nodes);
    let mut round = 0_u64;
    while !shared.stop.load(Ordering::Relaxed) {
        let now = shared.clock.now();
        // Incarnations rise with time, alike for all threads, so that claims meet.
        let base = now.as_millis() / if mode == Mode::Churn { 50 } else { 2 };
        let view = shared.tracker.pin();
        for _ in 0..BATCH {
            random = mix(random);
            let node = random % nodes;
            let incarnation = base + (random >> 32) % 4;
            let claim = match (random >> 40) % 16 {
                0 => Claim::dead(incarnation),
                1 => Claim::left(incarnation),
                2..5 => Claim::suspect(incarnation),
                5 => Claim::unconfirmed(incarnation),
                _ => Claim::alive(incarnation),
            };
            match (mode, (random >> 48) % 64) {
                (Mode::Churn, 0..8) => {
                    let verdict = view.rejoin(&node, incarnation, now);
                    ledger.record(node, Claim::alive(incarnation), verdict);
                }
                (Mode::Churn, 8) | (Mode::Mixed, 0) => {
                    if let Some(last) = view.remove(&node, now) {
                        ledger.left(node, last.claim());
                    }
                }
                _ => ledger.record(node, claim, view.update(&node, claim, now)),
            }
        }
        drop(view);
        round += 1;
        // Counted now and then, so that the counter is no contended line of its own.
        if round.is_multiple_of(16) {
            shared
                .claims
                .fetch_add(16 * BATCH as u64, Ordering::Relaxed);
        }
    }
    ledger
}

/// Looks all nodes up, and checks through handles that no word falls within a life.
fn read(shared: &Shared) {
    let mut known: Vec<Option<(NodeHandle<u64>, Claim)>> = Vec::new();
    known.resize_with(shared.options.nodes as usize, || None);
    let rank = |claim: Claim| (claim.incarnation(), claim.status());
    while !shared.stop.load(Ordering::Relaxed) {
        for (node, known) in (0..).zip(&mut known) {
            let last = known.take();
            let handle = match &last {
                Some((handle, _)) => Some(handle.clone()),
                None => shared.tracker.handle(&node),
            };
            if let Some(handle) = handle
                && let Some(state) = handle.state()
            {
                if last.is_some_and(|(_, before)| rank(state.claim()) < rank(before)) {
                    shared.fallen.fetch_add(1, Ordering::Relaxed);
                }
                *known = Some((handle, state.claim()));
            }
        }
        shared
            .lookups
            .fetch_add(known.len() as u64, Ordering::Relaxed);
    }
}

/// Sweeps every few milliseconds; what it takes out leaves the flow.
fn sweep(shared: &Shared) -> Ledger {
    let mut ledger = Ledger::new(shared.options.nodes);
    while !shared.stop.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(5));
        let now = shared.clock.now();
        let _ = shared
            .tracker
            .sweep_with(SweepScope::Everything, now, |swept| {
                ledger.left(*swept.node, swept.last.claim());
                if swept.reason == SweepReason::SuspectExpired {
                    ledger.entered(*swept.node, Claim::dead(swept.last.incarnation));
                }
            });
    }
    ledger
}

/// Resident memory of this process in bytes, where the system tells.
fn resident() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

/// Resident memory after the first million claims (and second, in a run by time), and at the end.
struct Memory {
    early: Option<u64>,
    late: Option<u64>,
}

/// Shows the progress until the goal is reached.
fn watch(shared: &Shared, begin: Instant) -> Memory {
    let mut early = None;
    let mut shown = 0;
    loop {
        thread::sleep(Duration::from_millis(10));
        let claims = shared.claims.load(Ordering::Relaxed);
        let elapsed = begin.elapsed();
        // Graves and spare entries fill up with time, not with claims: a run by time waits for them.
        let filled = shared.options.claims.is_some() || elapsed.as_secs() >= 1;
        if early.is_none() && filled && claims >= 1_000_000 {
            early = resident();
        }
        let done = match shared.options.claims {
            Some(goal) => claims >= goal,
            None => elapsed.as_secs() >= shared.options.seconds,
        };
        if elapsed.as_secs() > shown || done {
            shown = elapsed.as_secs();
            eprintln!(
                "{:>4.0} s  {:>7.1} M claims  {:>6} nodes  {:>6} graves",
                elapsed.as_secs_f64(),
                claims as f64 / 1e6,
                shared.tracker.len(),
                shared.tracker.graves(),
            );
        }
        if done {
            return Memory {
                early,
                late: resident(),
            };
        }
    }
}

fn report(
    shared: &Shared,
    ledgers: &[Ledger],
    memory: Memory,
    elapsed: Duration,
) -> Result<u64, Box<dyn Error>> {
    let mut unbalanced = 0;
    for node in 0..shared.options.nodes {
        let flow = ledgers.iter().fold(0_u64, |sum, ledger| {
            sum.wrapping_add(ledger.flow[node as usize])
        });
        let state = shared.tracker.get(&node);
        let expected = state.map_or(0, |state| number(node, state.claim()));
        if flow != expected {
            unbalanced += 1;
            println!("node {node}: the flow does not end at {state:?}");
        }
    }
    let total = |pick: fn(&Ledger) -> u64| ledgers.iter().map(pick).sum::<u64>();
    let per_second = |count: u64| count as f64 / elapsed.as_secs_f64() / 1e6;
    println!(
        "{} claim threads, {} nodes, {:?}: {:.1} M claims/s, {:.1} M lookups/s",
        shared.options.threads,
        shared.options.nodes,
        shared.options.mode,
        per_second(shared.claims.load(Ordering::Relaxed)),
        per_second(shared.lookups.load(Ordering::Relaxed)),
    );
    println!(
        "buried: {}  zombies: {}  refused for room: {}  alive now: {}",
        total(|ledger| ledger.buried),
        total(|ledger| ledger.zombies),
        total(|ledger| ledger.full),
        shared.tracker.counts().of(Status::Alive),
    );
    let mut grown = 0;
    match (memory.early, memory.late) {
        (Some(early), Some(late)) => {
            println!(
                "resident memory: {} KiB early on, {} KiB at the end",
                early / 1024,
                late / 1024,
            );
            grown = u64::from(late > early + FLAT && !shared.options.any_memory);
        }
        _ => println!("resident memory: not measured (no /proc, or under a million claims)"),
    }
    let too_many = u64::from(shared.tracker.len() != shared.tracker.iter().count());
    let violations = unbalanced + grown + too_many + shared.fallen.load(Ordering::Relaxed);
    println!("violations: {violations}");
    Ok(violations)
}
