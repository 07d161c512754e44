//! The tracker against what people use instead: `cargo bench --bench peers [-- --quick]`.
//!
//! `--quick` measures 1 and 2 threads, shorter; `--only WORKLOAD` (repeatable) a part, `--nodes N` (repeatable)
//! tables of some sizes, `--subject NAME` (repeatable) some subjects; `--record` also
//! writes the tables and charts of docs/performance.md and the README's table. Every run writes `target/peers.json`;
//! with `--add`, what this run does not measure stays there, and in the tables, as the run before left it.

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

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use measure::{Contestant, Effort, Figure, Measurable, Part, Results};
use subjects::*;
use workloads::Workload;
use world::{Lane, World};

const USAGE: &str = "--quick (1 and 2 threads, shorter), --only WORKLOAD, --nodes N and --subject NAME (more than once, if you like), \
                     --add (keeps what the run before measured and this one does not), \
                     --record (writes docs/performance.md, its charts and the README's table)";

/// The nodes of a table that is larger than the caches.
const LARGE: usize = 1_000_000;
/// The option that asks for the part with huge pages.
const HUGE: &str = "--huge";

struct Options {
    quick: bool,
    record: bool,
    /// Whether the figures of the run before stay, where this one has none.
    add: bool,
    only: Vec<String>,
    nodes: Vec<usize>,
    subjects: Vec<String>,
    /// The part that a whole run has done by a process of its own, whose allocator takes huge pages.
    huge: bool,
}

impl Options {
    fn of(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            quick: false,
            record: false,
            add: false,
            only: Vec::new(),
            nodes: Vec::new(),
            subjects: Vec::new(),
            huge: false,
        };
        let mut arguments = arguments.skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => options.quick = true,
                "--record" => options.record = true,
                "--add" => options.add = true,
                "--only" => options
                    .only
                    .push(arguments.next().ok_or("--only needs a workload")?),
                "--nodes" => {
                    let nodes = arguments.next().and_then(|nodes| nodes.parse().ok());
                    options.nodes.push(nodes.ok_or("--nodes needs a number")?);
                }
                "--subject" => options
                    .subjects
                    .push(arguments.next().ok_or("--subject needs a name")?),
                HUGE => options.huge = true,
                // What cargo itself adds.
                "--bench" => {}
                other => return Err(format!("unknown argument {other}; there are {USAGE}")),
            }
        }
        Ok(options)
    }

    fn wants(&self, nodes: usize, workload: Workload) -> bool {
        (self.only.is_empty() || self.only.iter().any(|id| id == workload.id()))
            && (self.nodes.is_empty() || self.nodes.contains(&nodes))
    }

    /// The tables to be filled, and what is to be measured in each.
    fn plan(&self) -> Vec<(usize, Vec<Workload>)> {
        let tables: &[(usize, &[Workload])] = if self.huge {
            &[(LARGE, &Workload::HUGE)]
        } else {
            &[
                (10_000, &Workload::ALL),
                (1_000, &Workload::SMALL),
                (100_000, &Workload::MIDDLE),
                (LARGE, &Workload::LARGE),
            ]
        };
        let wanted = tables.iter().map(|(nodes, workloads)| {
            let workloads = workloads.iter().copied();
            let workloads = workloads.filter(|workload| self.wants(*nodes, *workload));
            (*nodes, workloads.collect::<Vec<_>>())
        });
        wanted
            .filter(|(_, workloads)| !workloads.is_empty())
            .collect()
    }
}

/// All subjects that can do something of what is asked, with their tables filled; the `first` of
/// them first, so that it is not always the same one that gets the memory nobody used before.
fn contestants(
    world: &World,
    workloads: &[Workload],
    threads: &[usize],
    wanted: &[String],
    first: usize,
) -> Vec<Box<dyn Measurable>> {
    type Make = fn(&World) -> Box<dyn Measurable>;
    let mut makers: Vec<(usize, Make)> = Vec::new();
    macro_rules! enter {
        ($($subject:ty),* $(,)?) => {$(
            let is_wanted = wanted.is_empty() || wanted.iter().any(|id| id == <$subject>::ID);
            let can = is_wanted && workloads.iter().any(|workload| {
                threads.iter().any(|threads| <$subject>::can(workload.task(*threads, world.known.len())))
            });
            if can {
                makers.push((makers.len(), Contestant::<$subject>::boxed));
            }
        )*};
    }
    enter!(
        PerOperation,
        SameHasher,
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
    let first = first % makers.len().max(1);
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

/// The peers once more in a large table, by a process whose allocator takes huge pages for it.
fn with_huge_pages() -> Result<Vec<Figure>, Box<dyn std::error::Error>> {
    let child = Command::new(std::env::current_exe()?)
        .args([HUGE, "--quick"])
        .env("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")
        .stderr(Stdio::inherit())
        .output()?;
    let figures: Vec<Figure> = serde_json::from_slice(&child.stdout)?;
    let peers = figures
        .into_iter()
        .filter(|one| !targets::is_ours(&one.subject));
    Ok(peers.collect())
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
    let plan = options.plan();
    let machine = record::conditions();
    let width = machine::width();
    let begin = Instant::now();
    // On a quiet machine it takes half as long.
    let mut schedule = Schedule {
        end: begin + Duration::from_secs(if options.quick { 140 } else { 2_400 }),
        slots: effort.generations
            * threads.len()
            * plan
                .iter()
                .map(|(_, workloads)| workloads.len())
                .sum::<usize>(),
    };
    let mut results = Results::default();
    for (nodes, workloads) in plan {
        let world = World::new(nodes);
        for generation in 0..effort.generations {
            let contestants = contestants(
                &world,
                &workloads,
                threads,
                &options.subjects,
                5 * generation,
            );
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
    let mut figures = results.figures();
    if options.huge {
        figures.iter_mut().for_each(|figure| figure.huge = true);
        println!("{}", serde_json::to_string(&figures)?);
        return Ok(());
    }
    let is_whole =
        options.only.is_empty() && options.nodes.is_empty() && options.subjects.is_empty();
    if !options.quick && is_whole {
        figures.extend(with_huge_pages()?);
    }
    if options.add {
        let before: Vec<Figure> = record::read_json("peers.json")?;
        figures = targets::added(before, figures);
    }
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
