//! What the models are made of: roles that run at once, and a checker that runs them all ways.
//!
//! A model has a world, two or more roles (each a thread), and a last look at the world. It is checked with each role
//! on the main thread in turn: loom treats the main thread differently enough that a bug may show in one arrangement
//! only. It is checked in two arms: *plain*, and *shadowed*, where the facade's atomics carry shadows against the
//! checker's blind spot at compare-and-swap loops. Each arm has its preemption bound.
//!
//! A litmus test is a model of the checker itself: it lists the outcomes that must be seen and those that must not.
//! A model that must fail shows that the checker sees a mistake.
#![cfg(incarnation_loom)]

pub mod models;
pub mod world;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use incarnation::model::atomic::AtomicU64;
use incarnation::model::{Asymmetric, Membarrier, with_membarrier, with_shadows, with_threads};

/// How many preemptions each arm explores, and why that is enough. (A thread that ends or waits is
/// followed by another one for free: a bound of one still has both threads run in any order, and one of
/// them as a whole between any two steps of the other.) Every weakening in the list is caught with the
/// bounds its model has.
#[derive(Clone, Copy)]
pub struct Bounds {
    plain: usize,
    shadowed: usize,
    why: &'static str,
}

impl Bounds {
    pub const fn new(plain: usize, shadowed: usize, why: &'static str) -> Self {
        Self {
            plain,
            shadowed,
            why,
        }
    }
}

/// The bounds of most models.
pub const USUAL: Bounds = Bounds::new(
    2,
    2,
    "two roles, each with one step that decides: one is interrupted between two of its steps, and the \
     other between two of its own",
);

/// No bound at all.
pub const UNBOUNDED: usize = usize::MAX;

/// One model, ready to be checked.
pub struct Model {
    pub name: &'static str,
    /// Those that are on the main thread in turn.
    mains: Range<usize>,
    bounds: Bounds,
    /// Runs one execution with the given role on the main thread.
    execution: Arc<dyn Fn(usize) + Send + Sync>,
    system: Membarrier,
    threads: usize,
    /// Whether there is a shadowed arm.
    shadows: bool,
    /// Whether the checker must report it as failed.
    pub must_fail: bool,
    litmus: Option<Expected>,
}

/// What a litmus test is about, and what comes of it.
#[derive(Clone)]
pub struct Expected {
    /// The program in words.
    pub program: &'static str,
    /// Outcomes that every arrangement must see.
    pub must: &'static [&'static str],
    /// Outcomes that no arm may see.
    pub must_not: &'static [&'static str],
    seen: Arc<Mutex<BTreeSet<String>>>,
}

/// What checking a model took, in the plain and in the shadowed arm.
pub struct Outcome {
    pub executions: [usize; 2],
    pub took: Duration,
}

/// What the threads of a litmus test share.
pub struct Shared {
    pub x: AtomicU64,
    pub y: AtomicU64,
    pub z: AtomicU64,
    pub fences: Asymmetric,
    reads: Mutex<Vec<u64>>,
}

impl Shared {
    /// Notes what a thread read, as the digit of that number in the outcome.
    pub fn read(&self, digit: usize, value: u64) {
        self.reads.lock().unwrap()[digit] = value;
    }
}

impl Model {
    /// `world` is made anew for each execution, `roles` run at once, `after` looks at what is left.
    pub fn new<W: 'static>(
        name: &'static str,
        bounds: Bounds,
        world: fn() -> W,
        roles: &'static [fn(&W)],
        after: fn(&W),
    ) -> Self {
        let execution = move |main: usize| {
            // The standard library's, so that it adds nothing to explore: its last owner is the
            // main thread, which has joined all others.
            let world = Arc::new(world());
            let threads: Vec<_> = roles
                .iter()
                .enumerate()
                .filter(|(role, _)| *role != main)
                .map(|(_, role)| {
                    let world = world.clone();
                    loom::thread::spawn(move || role(&world))
                })
                .collect();
            roles[main](&world);
            for thread in threads {
                thread.join().unwrap();
            }
            after(&world);
        };
        Self {
            name,
            mains: 0..roles.len(),
            bounds,
            execution: Arc::new(execution),
            system: Membarrier::Works,
            threads: roles.len(),
            shadows: true,
            must_fail: false,
            litmus: None,
        }
    }

    /// A litmus test: an outcome is a digit for each read, in the order of their numbers.
    pub fn litmus(
        name: &'static str,
        program: &'static str,
        roles: &'static [fn(&Shared)],
        must: &'static [&'static str],
        must_not: &'static [&'static str],
    ) -> Self {
        let seen = Arc::<Mutex<BTreeSet<String>>>::default();
        let of_outcome = seen.clone();
        let digits = must
            .iter()
            .chain(must_not)
            .map(|outcome| outcome.len())
            .max();
        let digits = digits.expect("a litmus test has outcomes");
        let execution = move |main: usize| {
            let shared = Arc::new(Shared {
                x: AtomicU64::new(0),
                y: AtomicU64::new(0),
                z: AtomicU64::new(0),
                fences: Asymmetric::new(),
                reads: Mutex::new(vec![0; digits]),
            });
            let others = roles.iter().enumerate().filter(|(role, _)| *role != main);
            let threads: Vec<_> = others
                .map(|(_, role)| {
                    let shared = shared.clone();
                    loom::thread::spawn(move || role(&shared))
                })
                .collect();
            roles[main](&shared);
            for thread in threads {
                thread.join().unwrap();
            }
            let outcome = shared
                .reads
                .lock()
                .unwrap()
                .iter()
                .map(u64::to_string)
                .collect();
            of_outcome.lock().unwrap().insert(outcome);
        };
        Self {
            name,
            mains: 0..roles.len(),
            bounds: Bounds::new(
                UNBOUNDED,
                UNBOUNDED,
                "so few steps that all of them can be explored",
            ),
            execution: Arc::new(execution),
            system: Membarrier::Works,
            threads: roles.len(),
            shadows: true,
            must_fail: false,
            litmus: Some(Expected {
                program,
                must,
                must_not,
                seen,
            }),
        }
    }

    /// Has the system say this to `membarrier(2)`.
    pub fn on(mut self, system: Membarrier) -> Self {
        self.system = system;
        self
    }

    /// Has one thread more than roles: a role spawns it.
    pub fn with_another_thread(mut self) -> Self {
        self.threads += 1;
        self
    }

    /// The checker must report this model as failed: a mistake is in it.
    pub fn failing(mut self) -> Self {
        self.must_fail = true;
        self
    }

    /// Without the shadowed arm: for threads that don't load and then exchange, where the plain arm sees everything.
    pub fn without_shadows(mut self) -> Self {
        self.shadows = false;
        self
    }

    /// What a litmus test expects.
    pub fn expected(&self) -> Option<&Expected> {
        self.litmus.as_ref()
    }

    /// With these bounds, which take time, instead of its own.
    pub fn within(mut self, plain: usize, shadowed: usize) -> Self {
        self.bounds.plain = plain;
        self.bounds.shadowed = shadowed;
        self
    }

    /// Has this role alone on the main thread, where three threads would take too long otherwise.
    pub fn with_main(mut self, role: usize) -> Self {
        self.mains = role..role + 1;
        self
    }

    /// Its bounds, and why they are enough.
    pub fn bounds(&self) -> String {
        let Bounds {
            plain,
            shadowed,
            why,
        } = self.bounds;
        let number = |bound: usize| match bound {
            UNBOUNDED => "any".to_owned(),
            bound => bound.to_string(),
        };
        format!(
            "{} plain, {} shadowed: {why}",
            number(plain),
            number(shadowed)
        )
    }

    /// Its bounds, or the caps of the environment where those are lower. Tests of the checker itself have no caps.
    fn capped(&self) -> Bounds {
        match caps() {
            Some(caps) if self.litmus.is_none() && !self.must_fail => Bounds::new(
                self.bounds.plain.min(caps.plain),
                self.bounds.shadowed.min(caps.shadowed),
                caps.why,
            ),
            _ => self.bounds,
        }
    }

    /// Explores all arrangements in both arms; panics (or aborts) at the first bad execution.
    pub fn check(&self) -> Outcome {
        let begin = Instant::now();
        let counts: [Arc<AtomicUsize>; 2] = Default::default();
        let Bounds {
            plain, shadowed, ..
        } = bounds_by_hand().unwrap_or_else(|| self.capped());
        for main in self.mains.clone() {
            let arms = [(false, plain), (true, shadowed)];
            for (shadows, bound) in arms.into_iter().take(1 + usize::from(self.shadows)) {
                let mut checker = loom::model::Builder::new();
                checker.preemption_bound = (bound != UNBOUNDED).then_some(bound);
                checker.max_branches = 100_000;
                // Whatever the environment says: a model that ends early proves nothing.
                checker.max_permutations = None;
                checker.max_duration = None;
                let execution = self.execution.clone();
                let count = counts[usize::from(shadows)].clone();
                let check = || {
                    checker.check(move || {
                        count.fetch_add(1, Ordering::Relaxed);
                        execution(main);
                    });
                };
                let check = || with_membarrier(self.system, check);
                with_threads(self.threads, || with_shadows(shadows, check));
                if let Some(expected) = &self.litmus {
                    expected.compare(shadows || !self.shadows);
                }
            }
        }
        Outcome {
            executions: counts.map(|count| count.load(Ordering::Relaxed)),
            took: begin.elapsed(),
        }
    }
}

impl Expected {
    /// Compares what one arm of one arrangement saw with what it must see, and begins anew. A plain arm that has a
    /// shadowed one beside it may miss outcomes.
    fn compare(&self, sees_all: bool) {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap());
        for outcome in self.must_not {
            assert!(!seen.contains(*outcome), "{outcome} was seen: {seen:?}");
        }
        for outcome in self.must.iter().filter(|_| sees_all) {
            assert!(seen.contains(*outcome), "{outcome} was not seen: {seen:?}");
        }
    }
}

/// `MODEL_BOUNDS=3,2`: other bounds than the models' own, plain and shadowed, to look deeper by hand.
pub fn bounds_by_hand() -> Option<Bounds> {
    bounds_of("MODEL_BOUNDS", "by hand")
}

/// Bounds that no model exceeds, where the environment says so: CI has no time for the deepest ones.
pub fn caps() -> Option<Bounds> {
    bounds_of("MODEL_CAPS", "for want of time")
}

fn bounds_of(variable: &str, why: &'static str) -> Option<Bounds> {
    let bounds = std::env::var(variable).ok()?;
    let (plain, shadowed) = bounds.split_once(',').expect("PLAIN,SHADOWED");
    let number = |bound: &str| bound.parse().expect("bounds are two numbers");
    Some(Bounds::new(number(plain), number(shadowed), why))
}
