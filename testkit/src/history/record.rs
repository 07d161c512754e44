//! Recording: threads that do random things to a few nodes and note what they were told.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use fastrand::Rng;
use incarnation::rule::{PackedState, Proposal, ProposalKind};
use incarnation::{Claim, Status, SweepScope, Timestamp, Verdict};

use super::subject::Subject;
use super::yielding_key::YieldingKey;
use super::{Event, History, Key, Span, What};
use crate::model::{Held, Rules};

/// How a history comes about.
#[derive(Clone, Copy, Debug)]
pub struct Recording {
    /// How many threads there are.
    pub threads: u64,
    /// How many operations each does.
    pub operations: usize,
    /// On how many nodes.
    pub nodes: Key,
    /// A key rests at so many touches.
    pub yield_every: u32,
    /// Decides what is done.
    pub seed: u64,
}

impl Recording {
    /// Has the threads work on `subject`, and returns what happened.
    pub fn of(self, subject: &impl Subject, rules: &Rules) -> History {
        // Above zero, so that times may lie a little back.
        let clock = AtomicU64::new(1000);
        let start = Barrier::new(self.threads as usize);
        let notes: Vec<_> = thread::scope(|scope| {
            let workers: Vec<_> = (0..self.threads)
                .map(|thread| {
                    let mut worker = Worker {
                        subject,
                        clock: &clock,
                        random: Rng::with_seed(self.seed ^ (thread << 32)),
                        told: vec![1; usize::from(self.nodes)],
                        notes: Notes::default(),
                    };
                    let start = &start;
                    scope.spawn(move || {
                        // Each rests at another pace.
                        YieldingKey::every(self.yield_every * (thread as u32 + 1));
                        start.wait();
                        for _ in 0..self.operations {
                            worker.operate();
                        }
                        worker.notes
                    })
                })
                .collect();
            workers
                .into_iter()
                .map(|worker| match worker.join() {
                    Ok(notes) => notes,
                    Err(panic) => std::panic::resume_unwind(panic),
                })
                .collect()
        });
        let mut history = History {
            rules: rules.clone(),
            nodes: (0..self.nodes).map(|node| (node, Vec::new())).collect(),
            sweeps: Vec::new(),
            operations: self.threads as usize * self.operations,
        };
        for notes in notes {
            for (node, event) in notes.events {
                history.nodes.entry(node).or_default().push(event);
            }
            history.sweeps.extend(notes.sweeps);
        }
        history
    }
}

#[derive(Default)]
struct Notes {
    events: Vec<(Key, Event)>,
    sweeps: Vec<(Span, Timestamp)>,
}

struct Worker<'a, T> {
    subject: &'a T,
    clock: &'a AtomicU64,
    random: Rng,
    /// The incarnation each node was last heard to be at.
    told: Vec<u64>,
    notes: Notes,
}

impl<T: Subject> Worker<'_, T> {
    /// Runs an operation between two looks at the clock. Its time is that of its beginning, or
    /// somewhat before: as when a packet waited.
    fn timed<R>(&mut self, run: impl FnOnce(&T, Timestamp) -> R) -> (Span, Timestamp, R) {
        let late = if self.random.u64(..8) == 0 {
            self.random.u64(..40)
        } else {
            0
        };
        // Acquire: the operation begins after the look. Release: it ended before the count.
        let began = self.clock.load(Ordering::Acquire);
        let now = Timestamp::from_nanos(began.saturating_sub(late));
        let result = run(self.subject, now);
        let ended = self.clock.fetch_add(1, Ordering::AcqRel);
        (Span { began, ended }, now, result)
    }

    fn note(&mut self, node: Key, span: Span, what: What) {
        self.notes.events.push((node, Event { span, what }));
    }

    fn operate(&mut self) {
        let node = self.random.usize(..self.told.len()) as Key;
        match self.random.u64(..100) {
            0..28 => {
                let claim = self.claim(node);
                self.submit(node, Proposal::claim(claim));
            }
            28..42 => {
                let claim = self.claim(node);
                self.submit(node, Proposal::hear(claim));
            }
            42..46 => {
                let incarnation = self.incarnation(node);
                self.submit(node, Proposal::confirm(incarnation.into()));
            }
            46..56 => {
                let incarnation = self.incarnation(node) + self.random.u64(..6);
                self.submit(node, Proposal::rejoin(incarnation.into()));
            }
            56..60 => self.submit(node, Proposal::introduce()),
            60..68 => {
                let claim = self.claim(node);
                let (span, now, verdict) =
                    self.timed(|subject, now| subject.judge(node, claim, now));
                let what = What::Judged {
                    claim,
                    now,
                    verdict,
                };
                self.note(node, span, what);
            }
            68..82 => {
                let (span, _, state) = self.timed(|subject, _| subject.get(node));
                self.note_state(node, state);
                self.note(node, span, What::Seen(state));
            }
            82..86 => {
                let (span, now, last) = self.timed(|subject, now| subject.remove(node, now));
                self.note(node, span, What::Removed { now, last });
            }
            86..89 => {
                let expected = self.claim(node);
                let (span, now, result) =
                    self.timed(|subject, now| subject.remove_if(node, expected, now));
                let what = What::RemovedIf {
                    expected,
                    now,
                    result,
                };
                self.note(node, span, what);
            }
            89..90 => {
                let (span, _, last) = self.timed(|subject, _| subject.forget(node));
                self.note(node, span, What::Forgotten(last));
                self.note(node, span, What::Opened);
            }
            90..96 => self.sweep(),
            _ => self.iterate(),
        }
    }

    fn submit(&mut self, node: Key, proposal: Proposal) {
        let (span, now, verdict) = self.timed(|subject, now| subject.submit(node, proposal, now));
        match verdict {
            Verdict::Duplicate { current } | Verdict::Stale { current } => {
                self.told[usize::from(node)] = current.incarnation().get();
            }
            Verdict::Joined | Verdict::Applied { .. } => {
                if let ProposalKind::Claim(claim) | ProposalKind::Hear(claim) = proposal.kind() {
                    self.told[usize::from(node)] = claim.incarnation().get();
                }
            }
            _ => {}
        }
        let what = What::Submitted {
            proposal,
            now,
            verdict,
        };
        self.note(node, span, what);
    }

    fn sweep(&mut self) {
        let scope = match self.random.u64(..8) {
            0 => SweepScope::Dead,
            1 => SweepScope::Capacity,
            2..5 => SweepScope::Expiry,
            _ => SweepScope::Everything,
        };
        let mut swept = Vec::new();
        let (span, now, ()) = self.timed(|subject, now| {
            subject.sweep(scope, now, &mut |node, last, reason| {
                swept.push((node, last, reason));
            });
        });
        self.notes.sweeps.push((span, now));
        for (node, last, reason) in swept {
            self.note(node, span, What::Swept { reason, last, now });
        }
    }

    fn iterate(&mut self) {
        let mut seen: Vec<Vec<Held>> = vec![Vec::new(); self.told.len()];
        let (span, ..) = self.timed(|subject, _| {
            subject.iterate(&mut |node, state| seen[usize::from(node)].push(state));
        });
        for (node, states) in (0..).zip(seen) {
            // A lifetime that spans the iteration is seen exactly once; so one that is not, or that is
            // seen once more, was interrupted.
            if states.len() != 1 {
                self.note(node, span, What::Seen(None));
            }
            for state in states {
                self.note_state(node, Some(state));
                self.note(node, span, What::Seen(Some(state)));
            }
        }
    }

    fn note_state(&mut self, node: Key, state: Option<Held>) {
        if let Some(state) = state {
            self.told[usize::from(node)] = state.packed.incarnation().get();
        }
    }

    /// An incarnation near the one last heard of.
    fn incarnation(&mut self, node: Key) -> u64 {
        (self.told[usize::from(node)] + self.random.u64(..4)).saturating_sub(1)
    }

    fn claim(&mut self, node: Key) -> Claim {
        let status = match self.random.u64(..20) {
            0 => Status::Unconfirmed,
            1..8 => Status::Alive,
            8..13 => Status::Suspect,
            13..18 => Status::Dead,
            _ => Status::Left,
        };
        let incarnation = self.incarnation(node);
        PackedState::pack(status, incarnation.into()).map_or(Claim::alive(0), PackedState::claim)
    }
}
