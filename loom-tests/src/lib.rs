//! What the models are made of: roles that run at once, and a checker that runs them all ways.
//!
//! A model has a world, two or more roles (each a thread), and a last look at the world. It is checked
//! with each role on the main thread in turn (loom treats the main thread differently enough that a
//! bug may show in one arrangement only), and in two arms: *plain*, and *shadowed*, where the facade's
//! atomics carry shadows against the checker's blind spot at compare-and-swap loops. Each arm has its
//! preemption bound.
#![cfg(incarnation_loom)]

pub mod models;
pub mod world;

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

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
    /// Whether changes are told to subscribers: a fence that most models must do without.
    tells: bool,
    /// Asked after each arm, shadowed or not, of each arrangement.
    after_arm: fn(bool),
}

/// What checking a model took.
pub struct Outcome {
    pub executions: usize,
    pub took: Duration,
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
            tells: false,
            after_arm: |_| {},
        }
    }

    /// Has trackers tell subscribers of changes.
    pub fn telling(mut self) -> Self {
        self.tells = true;
        self
    }

    /// Has this role alone on the main thread, where three threads would take too long otherwise.
    pub fn with_main(mut self, role: usize) -> Self {
        self.mains = role..role + 1;
        self
    }

    /// Has `look` called after each arm of each arrangement; it is told whether it was the shadowed.
    pub fn after_each_arm(mut self, look: fn(bool)) -> Self {
        self.after_arm = look;
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

    /// Explores all arrangements in both arms; panics (or aborts) at the first bad execution.
    pub fn check(&self) -> Outcome {
        let begin = Instant::now();
        let executions = Arc::new(AtomicUsize::new(0));
        let Bounds {
            plain, shadowed, ..
        } = bounds_by_hand().unwrap_or(self.bounds);
        for main in self.mains.clone() {
            for (shadows, bound) in [(false, plain), (true, shadowed)] {
                let mut checker = loom::model::Builder::new();
                checker.preemption_bound = (bound != UNBOUNDED).then_some(bound);
                checker.max_branches = 100_000;
                // Whatever the environment says: a model that ends early proves nothing.
                checker.max_permutations = None;
                checker.max_duration = None;
                let execution = self.execution.clone();
                let count = executions.clone();
                let check = || {
                    checker.check(move || {
                        count.fetch_add(1, Ordering::Relaxed);
                        execution(main);
                    });
                };
                incarnation::model::with_shadows(shadows, || {
                    incarnation::model::without_notices(!self.tells, check);
                });
                (self.after_arm)(shadows);
            }
        }
        Outcome {
            executions: executions.load(Ordering::Relaxed),
            took: begin.elapsed(),
        }
    }
}

/// `MODEL_BOUNDS=3,2`: other bounds than the models' own, plain and shadowed, to look deeper by hand.
pub fn bounds_by_hand() -> Option<Bounds> {
    let bounds = std::env::var("MODEL_BOUNDS").ok()?;
    let (plain, shadowed) = bounds.split_once(',').expect("MODEL_BOUNDS=PLAIN,SHADOWED");
    let number = |bound: &str| bound.parse().expect("MODEL_BOUNDS are two numbers");
    Some(Bounds::new(number(plain), number(shadowed), "by hand"))
}
