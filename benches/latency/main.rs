//! How long a lookup takes while others disturb the table: `cargo bench --bench latency`.
//!
//! One thread looks nodes up on a fixed schedule, whatever happened to the lookup before, and counts
//! from the moment the lookup was due: a table that stops its readers for a while pays for every
//! lookup that came due in that time. Another thread does the disturbing. Each subject meets each
//! disturbance for a short while, in turn, many times, and its quantiles are those of the median turn. A
//! turn in which another program took the reader's core is repeated, but not for ever: the table says how
//! many are left. Writes `target/latency.json`; `--record` also the table for docs/performance.md.

#[path = "../machine.rs"]
mod machine;
#[path = "../record.rs"]
mod record;
#[path = "../subjects/mod.rs"]
#[allow(dead_code, unused_imports, reason = "shared with the other benches")]
mod subjects;

use std::fmt::Write as _;
use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use incarnation::{Claim, Status};
use machine::{preemptions, settle};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde::Serialize;
use subjects::*;

const NODES: usize = 1_000_000;
/// Nodes that come and go under churn, beside the others.
const CHURNING: usize = 10_000;
/// A lookup is due so often.
const EVERY: Duration = Duration::from_micros(5);
/// How long one turn takes.
const TURN: Duration = Duration::from_millis(20);
const TURNS: usize = 25;
/// The least of them, when time runs out.
const LEAST_TURNS: usize = 5;
/// From then on nothing is repeated. On a quiet machine it takes half as long.
const PATIENCE: Duration = Duration::from_secs(60);
/// So often a disturbed turn is repeated.
const TRIES: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Disturbance {
    /// Nothing happens.
    Idle,
    /// The table is swept over and over: all nodes are looked at, and a few have expired.
    Sweep,
    /// Nodes join and are removed.
    Churn,
    /// Packets of accepted claims hit the very node that is looked up.
    Storm,
}

use Disturbance::*;

impl Disturbance {
    const ALL: [Self; 4] = [Idle, Sweep, Churn, Storm];

    fn id(self) -> &'static str {
        match self {
            Idle => "idle",
            Sweep => "sweep",
            Churn => "churn",
            Storm => "storm",
        }
    }
}

fn node(number: usize) -> SocketAddr {
    let mixed = (number as u32).wrapping_mul(0x9e37_79b1);
    SocketAddr::from((mixed.to_be_bytes(), 7946))
}

/// What one turn came to.
struct Turn {
    histogram: Histogram<u64>,
    /// How often the reader had to leave its core to others.
    preemptions: u64,
}

/// A table under observation.
trait Observed {
    fn id(&self) -> &'static str;
    fn turn(&self, disturbance: Disturbance, number: u64) -> Turn;
}

struct Contestant<S>(S);

impl<S: Subject + 'static> Contestant<S> {
    fn boxed() -> Box<dyn Observed> {
        let subject = S::with_capacity(NODES + CHURNING);
        let claims = (0..NODES).map(|number| (node(number), Claim::alive(1)));
        subject.fill(claims, 1);
        Box::new(Self(subject))
    }

    fn disturb(&self, disturbance: Disturbance, turn: u64, over: &AtomicBool) {
        let subject = &self.0;
        // Above whatever an earlier turn left.
        let mut step = (turn + 1) << 32;
        while !over.load(Relaxed) {
            step += 1;
            match disturbance {
                Idle => std::thread::park_timeout(TURN),
                Sweep => {
                    // Dead for long by the time of the sweep.
                    for expired in NODES..NODES + 64 {
                        let claim = Claim::new(Status::Dead, step);
                        let _ = subject.session().claim(&node(expired), claim, 1);
                    }
                    subject.expire(4 * RETENTION);
                    // Else the reader of a locked table would get one lookup in between two sweeps.
                    std::thread::sleep(Duration::from_millis(2));
                }
                Churn => {
                    for number in NODES..NODES + CHURNING {
                        let claim = Claim::alive(step);
                        let _ = subject.session().claim(&node(number), claim, step);
                    }
                    for number in NODES..NODES + CHURNING {
                        subject.session().remove(&node(number), step);
                    }
                }
                Storm => {
                    let packet: [_; 32] = std::array::from_fn(|place| {
                        (node(0), Claim::alive(step * 32 + place as u64))
                    });
                    black_box(subject.session().packet(&packet, step));
                }
            }
        }
    }
}

impl<S: Subject> Observed for Contestant<S>
where
    S: 'static,
{
    fn id(&self) -> &'static str {
        S::ID
    }

    fn turn(&self, disturbance: Disturbance, number: u64) -> Turn {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let disturber = scope.spawn(|| {
                settle(1);
                self.disturb(disturbance, number, &over);
            });
            let reader = scope.spawn(|| {
                settle(0);
                let mut random = SmallRng::seed_from_u64(number);
                let nodes: Vec<_> = (0..1 << 14)
                    .map(|_| match disturbance {
                        Storm => node(0),
                        _ => node(random.random_range(0..NODES)),
                    })
                    .collect();
                let before = preemptions();
                Turn {
                    histogram: self.look_up(&nodes),
                    preemptions: preemptions() - before,
                }
            });
            let turn = reader.join().expect("the reader");
            over.store(true, Relaxed);
            disturber.thread().unpark();
            turn
        })
    }
}

impl<S: Subject> Contestant<S> {
    /// Lookups on schedule; nanoseconds from when each was due.
    fn look_up(&self, nodes: &[SocketAddr]) -> Histogram<u64> {
        let mut histogram = Histogram::new(3).expect("a sensible precision");
        let begin = Instant::now();
        let lookups = (TURN.as_nanos() / EVERY.as_nanos()) as u32;
        for number in 0..lookups {
            let due = begin + EVERY * number;
            while Instant::now() < due {
                std::hint::spin_loop();
            }
            let found = self
                .0
                .session()
                .lookup(&nodes[number as usize % nodes.len()]);
            assert!(black_box(found).is_some());
            histogram += (Instant::now() - due).as_nanos() as u64;
        }
        histogram
    }
}

/// A row of `target/latency.json`; nanoseconds.
#[derive(Serialize)]
struct Figure {
    disturbance: &'static str,
    subject: &'static str,
    p50_ns: u64,
    p99_ns: u64,
    p999_ns: u64,
    /// Of all turns.
    max_ns: u64,
    /// Turns that other programs disturbed however often they were repeated.
    disturbed_turns: usize,
}

/// All turns of a subject under a disturbance.
#[derive(Default)]
struct Turns {
    histograms: Vec<Histogram<u64>>,
    disturbed: usize,
}

impl Turns {
    fn add(
        &mut self,
        subject: &dyn Observed,
        disturbance: Disturbance,
        number: usize,
        deadline: Instant,
    ) {
        let mut tries = (0..TRIES).map(|again| {
            let number = number * TRIES + again;
            subject.turn(disturbance, number as u64)
        });
        let mut last = None;
        for turn in tries.by_ref() {
            let clean = turn.preemptions == 0;
            last = Some(turn);
            if clean || Instant::now() > deadline {
                break;
            }
        }
        let last = last.expect("at least one try");
        self.disturbed += usize::from(last.preemptions > 0);
        self.histograms.push(last.histogram);
    }

    /// That of the median turn: what the table makes lookups wait for happens in every turn, while a
    /// machine that stops for a millisecond, as guests of others do, would be a thousandth of them all.
    fn quantile(&self, quantile: f64) -> u64 {
        let mut turns: Vec<_> = self
            .histograms
            .iter()
            .map(|turn| turn.value_at_quantile(quantile))
            .collect();
        turns.sort_unstable();
        turns[turns.len() / 2]
    }

    fn figure(&self, disturbance: Disturbance, subject: &'static str) -> Figure {
        Figure {
            disturbance: disturbance.id(),
            subject,
            p50_ns: self.quantile(0.5),
            p99_ns: self.quantile(0.99),
            p999_ns: self.quantile(0.999),
            max_ns: self
                .histograms
                .iter()
                .map(Histogram::max)
                .max()
                .unwrap_or(0),
            disturbed_turns: self.disturbed,
        }
    }
}

fn table(figures: &[Figure]) -> String {
    let mut table = String::from(
        "| disturbance | subject | p50, ns | p99 | p99.9 | highest | disturbed turns |\n|---|---|---|---|---|---|---|\n",
    );
    for figure in figures {
        let _ = writeln!(
            table,
            "| {} | {} | {} | {} | {} | {} | {} |",
            figure.disturbance,
            figure.subject,
            figure.p50_ns,
            figure.p99_ns,
            figure.p999_ns,
            figure.max_ns,
            figure.disturbed_turns,
        );
    }
    let ours = |disturbance: Disturbance| {
        let is_it = |figure: &&Figure| {
            (figure.disturbance, figure.subject) == (disturbance.id(), PerOperation::ID)
        };
        figures.iter().find(is_it).map(|figure| figure.p999_ns)
    };
    if let (Some(idle), Some(sweep)) = (ours(Idle), ours(Sweep)) {
        let ratio = sweep as f64 / idle as f64;
        let verdict = if ratio <= 2.0 { "met" } else { "missed" };
        let _ = writeln!(
            table,
            "\np99.9 during sweeps of {NODES} nodes / idle: {ratio:.2}, at most 2.00: {verdict}"
        );
    }
    table
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let machine = format!(
        "{} A core did {:.1} simple operations at a time.",
        record::conditions(),
        machine::width()
    );
    let begin = Instant::now();
    let contestants = [
        Contestant::<PerOperation>::boxed(),
        Contestant::<Dashed>::boxed(),
        Contestant::<Papaya>::boxed(),
        Contestant::<LockedHashbrown>::boxed(),
    ];
    let mut figures = Vec::new();
    for (place, disturbance) in Disturbance::ALL.into_iter().enumerate() {
        let share = (place + 1) as u32;
        let deadline = begin + PATIENCE * share / Disturbance::ALL.len() as u32;
        let mut turns: Vec<_> = contestants.iter().map(|_| Turns::default()).collect();
        eprintln!("{:5.0?} {}", begin.elapsed(), disturbance.id());
        for number in 0..TURNS {
            if number >= LEAST_TURNS && Instant::now() > deadline {
                break;
            }
            for (contestant, turns) in contestants.iter().zip(&mut turns) {
                turns.add(contestant.as_ref(), disturbance, number, deadline);
            }
        }
        for (contestant, turns) in contestants.iter().zip(&turns) {
            figures.push(turns.figure(disturbance, contestant.id()));
        }
    }
    let table = table(&figures);
    println!("{table}");
    record::json("latency.json", &figures)?;
    if std::env::args().any(|argument| argument == "--record") {
        record::section("latency", &format!("{machine}\n\n{table}"))?;
    }
    Ok(())
}
