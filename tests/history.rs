//! What threads are told while all of them work on the same few nodes has one order that explains it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use incarnation::rule::Proposal;
use incarnation::{
    Claim, IncarnationTracker, Reclaimer, SweepReason, SweepScope, Timestamp, Verdict,
};
use incarnation_testkit::colliding_hasher::CollidingHasher;
use incarnation_testkit::history::check::{Violation, check};
use incarnation_testkit::history::record::Recording;
use incarnation_testkit::history::subject::Subject;
use incarnation_testkit::history::yielding_key::YieldingKey;
use incarnation_testkit::history::{History, Key};
use incarnation_testkit::model::{Held, Model, Node, Rules};

/// Operations in all. A debug build, slower by far, does less.
const OPERATIONS: usize = if cfg!(debug_assertions) {
    150_000
} else {
    1_200_000
};
/// Operations of one history.
const ROUND: usize = 12_000;
const THREADS: u64 = 3;
const NODES: Key = 4;

/// Limits that are reached all the time, in several mixtures. A nanosecond is an operation.
fn rules(round: u64) -> Rules {
    let mut rules = Rules {
        max_nodes: if round.is_multiple_of(3) { 2 } else { 4 },
        // From 128 on threads have caches.
        hard_limit: match round % 5 {
            1 => 4,
            2 | 3 => 128,
            _ => 64,
        },
        eviction_headroom: 1,
        evict_alive: round.is_multiple_of(2),
        dead_retention: Duration::from_nanos(if round % 4 == 1 { 5 } else { 60 }),
        unconfirmed_timeout: Some(Duration::from_nanos(40)),
        suspect_timeout: (round % 4 >= 2).then_some(Duration::from_nanos(30)),
        // More than there are nodes, and longer than a history: deaths are remembered.
        max_tombstones: 1000,
        ..Rules::default()
    };
    rules.policy.zombie_window = Duration::from_nanos(50);
    rules.policy.max_incarnation_jump = Some(5);
    rules
}

fn recording(round: u64) -> Recording {
    Recording {
        threads: THREADS,
        operations: ROUND / THREADS as usize,
        nodes: NODES,
        yield_every: [7, 0, 23, 101][round as usize % 4],
        seed: round,
    }
}

fn tracker(rules: &Rules, round: u64) -> IncarnationTracker<YieldingKey, (), CollidingHasher> {
    let builder = rules.builder().reclaimer(Reclaimer::private());
    // In every other history all nodes share a chain and a hash.
    let bits = if round % 2 == 1 { 0 } else { 64 };
    builder.hasher(CollidingHasher { bits }).build().unwrap()
}

/// A number from the environment.
fn number(name: &str, default: u64) -> u64 {
    let number = std::env::var(name).map_or(Ok(default), |text| text.parse());
    number.unwrap_or_else(|_| panic!("{name} is no number"))
}

#[test]
fn concurrent_verdicts_are_linearizable() {
    // How many, and from which round on, so that a long run can be done in parts.
    let goal = number("INCARNATION_OPERATIONS", OPERATIONS as u64) as usize;
    let first = number("INCARNATION_FIRST_ROUND", 0);
    let (mut operations, mut events, mut widest) = (0, 0, 0);
    for round in first.. {
        if operations >= goal {
            break;
        }
        let rules = rules(round);
        let history = recording(round).of(&tracker(&rules, round), &rules);
        operations += history.operations;
        match check(&history) {
            Ok(checked) => {
                events += checked.events;
                widest = widest.max(checked.widest);
            }
            Err(violation) => panic!("round {round}, {rules:?}: {violation}"),
        }
    }
    println!("{operations} operations, {events} events of nodes, {widest} states at once at most");
}

/// What a double does wrong, now and then.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mistake {
    /// Nothing.
    None,
    /// Writes what it judged a while ago, over whatever is there now.
    BlindWrite,
    /// Answers lookups with what was known a while ago.
    OldLookup,
    /// Evicts first and buries later.
    LateTombstone,
    /// Joins without looking at the tombstones.
    NoLookAtTombstones,
    /// Removes whatever is there from the state it saw before.
    BlindRemoval,
    /// Publishes a packed state before its last update.
    LateLastUpdate,
    /// Leaves a node out of an iteration.
    IncompleteIteration,
    /// Tells two removers that they ended the same lifetime.
    RemovedTwice,
}

/// The sequential model under a lock, with a mistake.
struct Double {
    model: Mutex<Model<Key>>,
    old: Mutex<Model<Key>>,
    mistake: Mistake,
}

impl Double {
    fn new(rules: &Rules, mistake: Mistake) -> Self {
        let model = Model::new(rules.clone(), None, 0.into());
        Self {
            model: Mutex::new(model.clone()),
            old: Mutex::new(model),
            mistake,
        }
    }

    fn model(&self) -> MutexGuard<'_, Model<Key>> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this operation is one of those that go wrong.
    fn slips(&self, mistake: Mistake, now: Timestamp) -> bool {
        self.mistake == mistake && now.as_nanos().is_multiple_of(16)
    }

    fn remove_slowly(&self, node: Key, now: Timestamp) -> Option<Held> {
        let mut before = self.model().node(&node);
        match self.mistake {
            Mistake::LateTombstone => {
                let mut model = self.model();
                before = model.node(&node);
                model.put(
                    &node,
                    Node {
                        state: None,
                        ..before
                    },
                );
                drop(model);
                thread::yield_now();
                let mut model = self.model();
                let mut after = model.node(&node);
                if let Some(death) = before.tombstone_on_removal(model.rules(), now) {
                    after.write_tombstone(model.rules(), death, now);
                }
                model.put(&node, after);
            }
            Mistake::RemovedTwice => {
                thread::yield_now();
                let _ = self.model().remove(&node, now);
            }
            _ => {
                thread::yield_now();
                self.model().put(
                    &node,
                    Node {
                        state: None,
                        ..before
                    },
                );
            }
        }
        before.state
    }
}

impl Subject for Double {
    fn submit(&self, node: Key, proposal: Proposal, now: Timestamp) -> Verdict {
        if self.slips(Mistake::BlindWrite, now) {
            let mut judged = self.model().clone();
            let verdict = judged.submit(&node, proposal, now);
            thread::yield_now();
            self.model().put(&node, judged.node(&node));
            return verdict;
        }
        let mut model = self.model();
        if self.slips(Mistake::NoLookAtTombstones, now) {
            let known = model.node(&node);
            model.put(
                &node,
                Node {
                    tombstone: None,
                    ..known
                },
            );
        }
        let before = model.get(&node);
        let verdict = model.submit(&node, proposal, now);
        if self.slips(Mistake::LateLastUpdate, now)
            && let (Some(before), Some(after)) = (before, model.get(&node))
        {
            let known = model.node(&node);
            let early = Held {
                at: before.at,
                ..after
            };
            model.put(
                &node,
                Node {
                    state: Some(early),
                    ..known
                },
            );
        }
        let now_known = model.clone();
        drop(model);
        if now.as_nanos().is_multiple_of(8) {
            *self.old.lock().unwrap_or_else(PoisonError::into_inner) = now_known;
        }
        verdict
    }

    fn judge(&self, node: Key, claim: Claim, now: Timestamp) -> Verdict {
        self.model().preview(&node, Proposal::claim(claim), now)
    }

    fn get(&self, node: Key) -> Option<Held> {
        if self.mistake == Mistake::OldLookup {
            let old = self.old.lock().unwrap_or_else(PoisonError::into_inner);
            return old.get(&node);
        }
        self.model().get(&node)
    }

    fn remove(&self, node: Key, now: Timestamp) -> Option<Held> {
        match self.mistake {
            Mistake::LateTombstone | Mistake::BlindRemoval | Mistake::RemovedTwice => {
                self.remove_slowly(node, now)
            }
            _ => self.model().remove(&node, now),
        }
    }

    fn remove_if(&self, node: Key, expected: Claim, now: Timestamp) -> Result<Held, Option<Held>> {
        self.model().remove_if(&node, expected, now)
    }

    fn forget(&self, node: Key) -> Option<Held> {
        self.model().forget(&node)
    }

    fn sweep(
        &self,
        scope: SweepScope,
        now: Timestamp,
        swept: &mut dyn FnMut(Key, Held, SweepReason),
    ) {
        let sweep = self.model().sweep(scope, now, &[]);
        for done in sweep.swept {
            swept(done.node, done.last, done.reason);
        }
    }

    fn iterate(&self, each: &mut dyn FnMut(Key, Held)) {
        let model = self.model();
        let skipped = usize::from(self.mistake == Mistake::IncompleteIteration);
        for (node, state) in model.iter().skip(skipped) {
            each(*node, state);
        }
    }
}

fn history_of(mistake: Mistake, round: u64) -> History {
    let rules = rules(round);
    recording(round).of(&Double::new(&rules, mistake), &rules)
}

fn violation_within(rounds: u64, mistake: Mistake) -> Option<Box<Violation>> {
    (0..rounds).find_map(|round| check(&history_of(mistake, round)).err())
}

#[test]
fn the_history_checker_accepts_a_correct_double() {
    if let Some(violation) = violation_within(6, Mistake::None) {
        panic!("{violation}");
    }
}

#[test]
fn the_history_checker_finds_every_planted_mistake() {
    for mistake in [
        Mistake::BlindWrite,
        Mistake::OldLookup,
        Mistake::LateTombstone,
        Mistake::NoLookAtTombstones,
        Mistake::BlindRemoval,
        Mistake::LateLastUpdate,
        Mistake::IncompleteIteration,
        Mistake::RemovedTwice,
    ] {
        assert!(
            violation_within(20, mistake).is_some(),
            "{mistake:?} is not found"
        );
    }
}
