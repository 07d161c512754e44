//! The tracker against what people use instead: `cargo bench --bench peers [-- --quick]`.
//!
//! `--quick` measures 1 and 2 threads, shorter; `--only WORKLOAD` (repeatable) a part; `--record` also
//! writes the tables and charts of docs/performance.md and the README's table. Every run writes `target/peers.json`.

mod chart;
mod costs;
#[path = "../machine.rs"]
mod machine;
mod measure;
#[path = "../record.rs"]
mod record;
mod run;
#[path = "../subjects/mod.rs"]
#[allow(dead_code, reason = "shared with the other benches")]
mod subjects;
mod targets;
mod workloads;
mod world;

use std::time::{Duration, Instant};

use measure::{Contestant, Effort, Measurable, Part, Results};
use subjects::*;
use workloads::Workload;
use world::{Lane, World};

const USAGE: &str = "--quick (1 and 2 threads, shorter), --only WORKLOAD (more than once, if you like), \
                     --record (writes docs/performance.md, its charts and the README's table)";

struct Options {
    quick: bool,
    record: bool,
    only: Vec<String>,
}

impl Options {
    fn of(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            quick: false,
            record: false,
            only: Vec::new(),
        };
        let mut arguments = arguments.skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => options.quick = true,
                "--record" => options.record = true,
                "--only" => options
                    .only
                    .push(arguments.next().ok_or("--only needs a workload")?),
                // What cargo itself adds.
                "--bench" => {}
                other => return Err(format!("unknown argument {other}; there are {USAGE}")),
            }
        }
        Ok(options)
    }

    fn wants(&self, workload: Workload) -> bool {
        self.only.is_empty() || self.only.iter().any(|id| id == workload.id())
    }
}

/// All subjects that can do something of what is asked, with their tables filled; the `first` of
/// them first, so that it is not always the same one that gets the memory nobody used before.
fn contestants(
    world: &World,
    workloads: &[Workload],
    threads: &[usize],
    first: usize,
) -> Vec<Box<dyn Measurable>> {
    type Make = fn(&World) -> Box<dyn Measurable>;
    let mut makers: Vec<(usize, Make)> = Vec::new();
    macro_rules! enter {
        ($($subject:ty),* $(,)?) => {$(
            let can = workloads.iter().any(|workload| {
                threads.iter().any(|threads| <$subject>::can(workload.task(*threads, world.known.len())))
            });
            if can {
                makers.push((makers.len(), Contestant::<$subject>::boxed));
            }
        )*};
    }
    enter!(
        PerOperation,
        View,
        Handle,
        Batch,
        Unprotected,
        Dashed,
        Papaya,
        PapayaGuard,
        SccIndex,
        SccIndexGuard,
        SccMap,
        Flurried,
        LockedHashbrown,
        LockedStd,
        ArcSwapped,
        FocaMembers,
    );
    let first = first % makers.len();
    makers.rotate_left(first);
    let made = makers.iter().map(|(place, make)| (*place, make(world)));
    let mut made: Vec<_> = made.collect();
    made.sort_by_key(|(place, _)| *place);
    made.into_iter().map(|(_, contestant)| contestant).collect()
}

/// Spreads the time there is over what is left to do.
struct Schedule {
    end: Instant,
    slots: usize,
}

impl Schedule {
    /// When the next piece of work is to be over.
    fn next(&mut self) -> Instant {
        let now = Instant::now();
        let slots = u32::try_from(self.slots.max(1)).unwrap_or(u32::MAX);
        self.slots = self.slots.saturating_sub(1);
        now + self.end.saturating_duration_since(now) / slots
    }
}

fn pairs<'a>(
    workloads: &'a [Workload],
    threads: &'a [usize],
) -> impl Iterator<Item = (Workload, usize)> + 'a {
    let each = workloads.iter().copied();
    each.flat_map(move |workload| threads.iter().map(move |threads| (workload, *threads)))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = Options::of(std::env::args())?;
    let effort = Effort {
        generations: if options.quick { 2 } else { 3 },
        rounds: 7,
        least_rounds: if options.quick { 4 } else { 7 },
        each: Duration::from_millis(if options.quick { 4 } else { 20 }),
    };
    let threads: &[usize] = if options.quick { &[1, 2] } else { &[1, 2, 4] };
    let machine = record::conditions();
    let width = machine::width();
    let begin = Instant::now();
    // On a quiet machine it takes half as long.
    let mut schedule = Schedule {
        end: begin + Duration::from_secs(if options.quick { 140 } else { 3_600 }),
        slots: effort.generations
            * threads.len()
            * [Workload::ALL.as_slice(), &Workload::LARGE]
                .concat()
                .iter()
                .filter(|one| options.wants(**one))
                .count(),
    };
    let mut results = Results::default();
    for (nodes, workloads) in [
        (10_000, Workload::ALL.as_slice()),
        (1_000_000, Workload::LARGE.as_slice()),
    ] {
        let workloads = workloads.iter().copied();
        let workloads: Vec<_> = workloads.filter(|one| options.wants(*one)).collect();
        if workloads.is_empty() {
            continue;
        }
        let world = World::new(nodes);
        for generation in 0..effort.generations {
            let contestants = contestants(&world, &workloads, threads, 5 * generation);
            for (workload, threads) in pairs(&workloads, threads) {
                let lanes = (0..threads).map(|lane| Lane::new(&world, lane, threads));
                eprintln!(
                    "{:5.0?} {}/{} {} of {nodes}, {threads} threads",
                    begin.elapsed(),
                    generation + 1,
                    effort.generations,
                    workload.id()
                );
                measure::measure_all(
                    Part {
                        effort,
                        generation,
                        deadline: schedule.next(),
                    },
                    workload,
                    &contestants,
                    &mut lanes.collect::<Vec<_>>(),
                    &world,
                    &mut results,
                );
            }
        }
    }
    let figures = results.figures();
    let (all, table) = (targets::all(&figures), targets::table(&figures));
    let machine = format!(
        "{machine} A core did {width:.1} simple operations at a time then, and {:.1} at the end.",
        machine::width()
    );
    println!("{all}\n{table}\n{machine}");
    record::json("peers.json", &figures)?;
    if options.record {
        record::section("peers-machine", &machine)?;
        record::section("targets", &table)?;
        record::section("peers", &targets::wide(&figures))?;
        record::section_of("README.md", "costs", &costs::table(&figures))?;
        chart::draw_all(&figures, &record::root().join("docs"))?;
    }
    eprintln!("took {:.0?}", begin.elapsed());
    Ok(())
}
