//! How it is measured: all subjects of a workload in turn, round after round.
//!
//! Each measurement starts its threads, lets them touch the table, releases them at a barrier, and
//! takes from each the times of its own loop, [`CHUNK`] operations at a time. A thread's figure is the
//! median of those times but for the first quarter, during which the caches warm up: so a moment in
//! which another program had the core is in it no more than any other. The number of operations is
//! set once per workload and subject, so that a measurement takes about the time asked for. The order of the subjects shifts
//! by one each round, so that a slow moment of the machine does not always hit the same one. A
//! measurement that another program's work fell into is made again, and all tables are made anew a
//! few times on the way.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Barrier, OnceLock};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::machine::{cores, preemptions, settle};
use crate::run;
use crate::subjects::{Session, Subject, Task};
use crate::workloads::Workload;
use crate::world::{FIRST_INCARNATIONS, Lane, World};

/// How often the tracker is swept where it is.
const SWEEP_EVERY: Duration = Duration::from_millis(10);

/// So many operations are timed at once: far more than the clock costs, far less than a time slice.
const CHUNK: u64 = 1024;

/// More memory than the last cache holds, of a common machine.
const FLUSHED: usize = 96 << 20;

/// A result, as written to `target/peers.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Figure {
    pub workload: String,
    pub threads: usize,
    pub nodes: usize,
    pub subject: String,
    /// Whether the allocator was asked for huge pages.
    pub huge: bool,
    /// Nanoseconds an operation and thread.
    pub median_ns: f64,
    pub min_ns: f64,
    pub max_ns: f64,
}

impl Figure {
    /// Its subject, by the name that tables show.
    pub fn label(&self) -> String {
        let huge = if self.huge { "+huge" } else { "" };
        format!("{}{huge}", self.subject)
    }

    fn is_of(&self, other: &Self) -> bool {
        (&self.workload, self.threads, self.nodes, self.label())
            == (&other.workload, other.threads, other.nodes, other.label())
    }
}

/// A subject with its table filled.
pub struct Contestant<S> {
    subject: S,
    /// Above all incarnations in the table.
    next_incarnation: AtomicU64,
}

/// What the rounds need of a subject.
pub trait Measurable {
    fn id(&self) -> &'static str;
    fn is_batched(&self) -> bool;
    fn can(&self, task: Task) -> bool;
    fn most(&self, workload: Workload) -> u64;
    /// Does `count` operations on each lane; returns nanoseconds an operation and thread. Until the
    /// deadline it does so again if other programs disturbed it.
    fn measure(&self, workload: Workload, lanes: &mut [Lane], count: u64, deadline: Instant)
    -> f64;
}

impl<S: Subject> Contestant<S> {
    pub fn boxed(world: &World) -> Box<dyn Measurable>
    where
        S: 'static,
    {
        let subject = S::with_capacity(world.known.len());
        subject.fill(world.known.iter().copied(), 1);
        let (node, hot) = world.hot(0);
        let found = subject.session().lookup(&node);
        assert_eq!(
            found.map(|state| (state.status, state.incarnation)),
            Some((hot.status(), hot.incarnation().get())),
            "{} does not hold what was put into it",
            S::ID
        );
        Box::new(Self {
            subject,
            next_incarnation: AtomicU64::new(FIRST_INCARNATIONS),
        })
    }

    /// The incarnation a measurement begins at.
    fn base(&self, workload: Workload, lanes: usize, count: u64) -> u64 {
        if !workload.changes() {
            return 0;
        }
        // Contended claims may go further than their number: each can be pushed up by all others.
        let spent = count * lanes as u64 + 2;
        self.next_incarnation.fetch_add(spent, Ordering::Relaxed)
    }
}

impl<S: Subject> Measurable for Contestant<S> {
    fn id(&self) -> &'static str {
        S::ID
    }

    fn is_batched(&self) -> bool {
        S::BATCHED
    }

    fn can(&self, task: Task) -> bool {
        S::can(task)
    }

    fn most(&self, workload: Workload) -> u64 {
        if workload.cold() {
            8
        } else if workload.changes() {
            S::MOST_CHANGES
        } else {
            u64::MAX
        }
    }

    fn measure(
        &self,
        workload: Workload,
        lanes: &mut [Lane],
        count: u64,
        deadline: Instant,
    ) -> f64 {
        if workload.task(0, 0).one_node {
            self.subject.prepare(&lanes[0].hot.0);
        }
        // Where there is a core for each thread, a worker that was driven off its core was so by some
        // other program, and its time is that program's.
        let alone = !workload.swept() && lanes.len() <= cores().len();
        for _ in 1..TRIES {
            let measured = self.measure_once(workload, lanes, count);
            if !alone || measured.preemptions == 0 || Instant::now() > deadline {
                return measured.nanos;
            }
        }
        self.measure_once(workload, lanes, count).nanos
    }
}

/// A measurement that other programs disturbed is made again, but not for ever.
const TRIES: usize = 5;

/// Has the caches hold something else.
fn flush() {
    static OTHER: OnceLock<Vec<u8>> = OnceLock::new();
    let other = OTHER.get_or_init(|| vec![1; FLUSHED]);
    let lines = other.iter().step_by(64);
    black_box(lines.fold(0_u64, |sum, line| sum + u64::from(*line)));
}

/// What one measurement came to.
struct Measured {
    /// Nanoseconds an operation and thread.
    nanos: f64,
    /// How often workers had to leave their cores to others.
    preemptions: u64,
}

impl<S: Subject> Contestant<S> {
    /// Does `count` operations; nanoseconds an operation.
    fn timed(&self, workload: Workload, lane: &mut Lane, count: u64, base: u64) -> f64 {
        let chunk = if workload.cold() { 1 } else { CHUNK };
        let mut times = Vec::with_capacity(count.div_ceil(chunk) as usize);
        let mut done = 0;
        while done < count {
            if workload.cold() {
                flush();
            }
            let begin = Instant::now();
            let more = run::run(
                &self.subject,
                workload,
                lane,
                chunk.min(count - done),
                base + done,
            );
            times.push(begin.elapsed().as_nanos() as f64 / more as f64);
            done += more;
        }
        let warming = times.len() / 4;
        let warm = &mut times[warming..];
        let middle = warm.len() / 2;
        *warm.select_nth_unstable_by(middle, f64::total_cmp).1
    }

    fn measure_once(&self, workload: Workload, lanes: &mut [Lane], count: u64) -> Measured {
        let base = self.base(workload, lanes.len(), count);
        let barrier = Barrier::new(lanes.len());
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let sweeper = workload.swept().then(|| {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        self.subject.sweep(base);
                        std::thread::park_timeout(SWEEP_EVERY);
                    }
                })
            });
            let workers: Vec<_> = lanes
                .iter_mut()
                .enumerate()
                .map(|(number, lane)| {
                    let barrier = &barrier;
                    scope.spawn(move || {
                        settle(number);
                        run::prepare(&self.subject, workload, lane, base);
                        let before = preemptions();
                        barrier.wait();
                        let nanos = self.timed(workload, lane, count, base + 1);
                        (nanos, preemptions() - before)
                    })
                })
                .collect();
            let threads = workers.len() as f64;
            let each = workers
                .into_iter()
                .map(|worker| worker.join().expect("a worker"));
            let sum = each.fold((0.0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
            over.store(true, Ordering::Relaxed);
            if let Some(sweeper) = sweeper {
                sweeper.thread().unpark();
            }
            Measured {
                nanos: sum.0 / threads,
                preemptions: sum.1,
            }
        })
    }
}

/// How long and how often.
#[derive(Clone, Copy)]
pub struct Effort {
    /// How often every table is made anew: where one happens to lie in memory makes a difference.
    pub generations: usize,
    /// Measurements of each workload and subject in a generation.
    pub rounds: usize,
    /// The least of them, when time runs out.
    pub least_rounds: usize,
    pub each: Duration,
}

/// What is due now.
#[derive(Clone, Copy)]
pub struct Part {
    pub effort: Effort,
    pub generation: usize,
    /// When it should be over.
    pub deadline: Instant,
}

/// All measurements of a workload and subject.
struct Series {
    figure: Figure,
    times: Vec<f64>,
}

/// What was measured so far, in the order it was first measured in.
#[derive(Default)]
pub struct Results(Vec<Series>);

impl Results {
    fn add(&mut self, figure: Figure, times: Vec<f64>) {
        let is_it = |series: &&mut Series| series.figure.is_of(&figure);
        match self.0.iter_mut().find(is_it) {
            Some(series) => series.times.extend(times),
            None => self.0.push(Series { figure, times }),
        }
    }

    pub fn figures(self) -> Vec<Figure> {
        let figures = self.0.into_iter().map(|Series { figure, mut times }| {
            times.sort_by(f64::total_cmp);
            Figure {
                median_ns: times[times.len() / 2],
                min_ns: times[0],
                max_ns: times[times.len() - 1],
                ..figure
            }
        });
        figures.collect()
    }
}

/// Measures one workload on all subjects, round by round.
#[allow(
    clippy::too_many_arguments,
    reason = "called once, with the parts of a run"
)]
pub fn measure_all(
    part: Part,
    workload: Workload,
    contestants: &[Box<dyn Measurable>],
    lanes: &mut [Lane],
    world: &World,
    results: &mut Results,
) {
    let Part {
        effort,
        generation,
        deadline,
    } = part;
    let nodes = world.known.len();
    let taking_part: Vec<_> = contestants
        .iter()
        .filter(|contestant| contestant.can(workload.task(lanes.len(), nodes)))
        .filter(|contestant| workload.batched() || !contestant.is_batched())
        .collect();
    let counts: Vec<_> = taking_part
        .iter()
        .map(|contestant| calibrate(effort, workload, contestant.as_ref(), lanes, deadline))
        .collect();
    let mut times = vec![Vec::new(); taking_part.len()];
    for done in 0..effort.rounds {
        if done >= effort.least_rounds && Instant::now() > deadline {
            break;
        }
        let round = generation * effort.rounds + done;
        for lane in lanes.iter_mut() {
            lane.hot = world.hot(round);
        }
        for turn in 0..taking_part.len() {
            let who = (round + turn) % taking_part.len();
            let time = taking_part[who].measure(workload, lanes, counts[who], deadline);
            times[who].push(time);
        }
    }
    for (contestant, times) in taking_part.iter().zip(times) {
        let figure = Figure {
            workload: workload.id().to_owned(),
            threads: lanes.len(),
            nodes,
            subject: contestant.id().to_owned(),
            huge: false,
            median_ns: 0.0,
            min_ns: 0.0,
            max_ns: 0.0,
        };
        results.add(figure, times);
    }
}

/// How many operations take about the time asked for; warms up on the way.
fn calibrate(
    effort: Effort,
    workload: Workload,
    contestant: &dyn Measurable,
    lanes: &mut [Lane],
    deadline: Instant,
) -> u64 {
    let most = contestant.most(workload);
    let target = effort.each.as_nanos() as f64;
    let mut count = 64.min(most);
    loop {
        let each = contestant.measure(workload, lanes, count, deadline);
        let fitting = ((target / each) as u64).clamp(1, most);
        if count >= most || each * count as f64 > target / 8.0 {
            return fitting;
        }
        count = (count * 16).min(fitting);
    }
}
