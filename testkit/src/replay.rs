//! Replays a recorded case against the real tracker and compares everything.
//!
//! The original's packed states in ours: OK is Alive, INVALID `OutOfRange`, SUSPICIOUS `SuspiciousJump`,
//! REFUSED the `Unconfirmed` rejection; `validate: false` is a trusted claim; `cleanup_dead`,
//! `evict_if_needed` and `cleanup` are sweeps of limited scope.

use std::fmt::{Debug, Display};
use std::time::Duration;

use incarnation::{
    BuildError, Claim, Incarnation, IncarnationTracker, NodeState, Rejection, Status, SweepReason,
    SweepScope, Timestamp, Verdict,
};

use crate::trace::{
    Case, CleanedUp, Config, DeadRemoved, Evicted, Final, Freshness, Op, Row, State,
};

/// A result that is not the recorded one.
#[derive(Clone, Debug)]
pub struct Mismatch {
    /// The case.
    pub case: String,
    /// The number of the operation, from 1; `None` for the state at the end.
    pub op: Option<usize>,
    /// What was compared.
    pub what: &'static str,
    /// What the original gave.
    pub expected: String,
    /// What the tracker gave.
    pub got: String,
}

impl Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "case {}, ", self.case)?;
        match self.op {
            Some(op) => write!(f, "op {op}")?,
            None => f.write_str("at the end")?,
        }
        let Self {
            what,
            expected,
            got,
            ..
        } = self;
        write!(f, ", {what}: expected {expected}, got {got}")
    }
}

/// Replays a case; returns every result that is not the recorded one.
///
/// # Errors
///
/// The case's limits can't be had.
pub fn replay(case: &Case) -> Result<Vec<Mismatch>, BuildError> {
    let mut replay = Replay {
        tracker: tracker(&case.config)?,
        case: &case.case,
        op: None,
        now: Timestamp::ZERO,
        mismatches: Vec::new(),
    };
    for (number, op) in case.ops.iter().enumerate() {
        replay.op = Some(number + 1);
        replay.run(op);
    }
    replay.op = None;
    let last = Final {
        nodes: replay.rows(),
        self_incarnation: replay.tracker.local().current().get(),
    };
    replay.same("state", &case.last, &last);
    Ok(replay.mismatches)
}

fn tracker(config: &Config) -> Result<IncarnationTracker<String>, BuildError> {
    IncarnationTracker::builder()
        .max_nodes(config.max_nodes)
        .hard_limit(config.max_nodes.saturating_add(100_000))
        .eviction_headroom(config.eviction_headroom)
        .evict_alive(true)
        .dead_retention(Duration::from_millis(config.dead_retention_ms))
        .unconfirmed_timeout(None)
        .suspect_timeout(None)
        .max_tombstones(0)
        .max_incarnation(config.max_incarnation)
        .max_incarnation_jump(config.max_jump)
        .local_incarnation(config.self_incarnation)
        .zombie_window(Duration::from_millis(config.zombie_window_ms))
        .min_rejoin_bump(config.min_rejoin_bump)
        .build()
}

struct Replay<'a> {
    tracker: IncarnationTracker<String>,
    case: &'a str,
    op: Option<usize>,
    now: Timestamp,
    mismatches: Vec<Mismatch>,
}

impl Replay<'_> {
    fn same<T: PartialEq + Debug>(&mut self, what: &'static str, expected: &T, got: &T) {
        if expected != got {
            self.mismatches.push(Mismatch {
                case: self.case.to_owned(),
                op: self.op,
                what,
                expected: format!("{expected:?}"),
                got: format!("{got:?}"),
            });
        }
    }

    fn run(&mut self, op: &Op) {
        match op {
            Op::Update {
                node,
                status,
                incarnation,
                at_ms,
                validate,
                freshness,
                result,
                after,
            } => {
                self.now = Timestamp::from_millis(*at_ms);
                let claim = claim(*status, *incarnation, *validate);
                self.update(node, claim, *freshness, *result, *after);
            }
            Op::UpdateInvalid {
                node,
                status,
                incarnation,
                at_ms,
                validate,
                freshness,
                result,
                after,
            } => {
                self.now = Timestamp::from_millis(*at_ms);
                match incarnation.parse::<Incarnation>() {
                    Ok(incarnation) => {
                        let claim = claim(*status, incarnation.get(), *validate);
                        self.update(node, claim, *freshness, *result, *after);
                    }
                    // No number that a claim could carry: refused before there is a claim.
                    Err(_) => {
                        self.same("freshness", freshness, &Freshness::Invalid);
                        self.same("result", result, &false);
                        self.after(node, *after);
                    }
                }
            }
            Op::CheckFreshness {
                node,
                status,
                incarnation,
                validate,
                result,
            } => {
                let got = self.freshness(node, claim(*status, *incarnation, *validate));
                self.same("freshness", &Ok(*result), &got);
            }
            Op::CheckFreshnessInvalid {
                node,
                status,
                incarnation,
                validate,
                result,
            } => {
                let got = match incarnation.parse::<Incarnation>() {
                    Ok(incarnation) => {
                        self.freshness(node, claim(*status, incarnation.get(), *validate))
                    }
                    Err(_) => Ok(Freshness::Invalid),
                };
                self.same("freshness", &Ok(*result), &got);
            }
            Op::AddUnconfirmed {
                node,
                at_ms,
                result,
                after,
            } => {
                self.now = Timestamp::from_millis(*at_ms);
                let verdict = self.tracker.add_unconfirmed(node, self.now);
                self.same("result", result, &verdict.accepted());
                self.after(node, *after);
            }
            Op::Confirm {
                node,
                incarnation,
                at_ms,
                result,
                after,
            } => {
                self.now = Timestamp::from_millis(*at_ms);
                let verdict = self.tracker.confirm(node, *incarnation, self.now);
                self.same("result", result, &verdict.accepted());
                self.after(node, *after);
            }
            Op::Remove {
                node,
                result,
                after,
            } => {
                let removed = self.tracker.remove(node, self.now).is_some();
                self.same("result", result, &removed);
                self.after(node, *after);
            }
            Op::Get { node, result } => {
                let got = self.tracker.get(node).map(state);
                self.same("state", &result.map(comparable), &got);
            }
            Op::IsConfirmed { node, result } => {
                let got = self.tracker.is_confirmed(node);
                self.same("result", result, &got);
            }
            Op::CanSuspect { node, result } => {
                let got = self.tracker.can_suspect(node);
                self.same("result", result, &got);
            }
            Op::NodesByState { status, result } => {
                let mut got = self.tracker.nodes_with(incarnation::Status::from(*status));
                got.sort_unstable();
                self.same("nodes", result, &got);
            }
            Op::AllNodes { result } => {
                let rows = self.rows();
                self.same("nodes", result, &rows);
            }
            Op::CleanupDead { now_ms, result } => {
                self.now = Timestamp::from_millis(*now_ms);
                let removed = self.sweep(SweepScope::Dead, SweepReason::DeadRetention);
                let got = DeadRemoved {
                    count: removed.len(),
                    removed,
                };
                self.same("result", result, &got);
            }
            Op::EvictIfNeeded { now_ms, result } => {
                if let Some(now_ms) = now_ms {
                    self.now = Timestamp::from_millis(*now_ms);
                }
                let evicted = self.sweep(SweepScope::Capacity, SweepReason::Capacity);
                let got = Evicted {
                    count: evicted.len(),
                    evicted,
                };
                self.same("result", result, &got);
            }
            Op::Cleanup { now_ms, result } => {
                self.now = Timestamp::from_millis(*now_ms);
                let dead_removed_nodes = self.sweep(SweepScope::Dead, SweepReason::DeadRetention);
                let evicted_nodes = self.sweep(SweepScope::Capacity, SweepReason::Capacity);
                let got = CleanedUp {
                    dead_removed: dead_removed_nodes.len(),
                    evicted: evicted_nodes.len(),
                    total_nodes: self.tracker.len(),
                    dead_removed_nodes,
                    evicted_nodes,
                };
                self.same("result", result, &got);
            }
            Op::SelfIncrement { result } => {
                let local = self.tracker.local();
                let got = local.refute(local.current()).map(Incarnation::get);
                self.same("own incarnation", &Ok(*result), &got);
            }
            Op::SelfGet { result } => {
                let got = self.tracker.local().current().get();
                self.same("own incarnation", result, &got);
            }
        }
    }

    fn update(
        &mut self,
        node: &String,
        claim: Claim,
        freshness_before: Freshness,
        result: bool,
        after: Option<State>,
    ) {
        let judged = self.freshness(node, claim);
        self.same("freshness", &Ok(freshness_before), &judged);
        let verdict = self.tracker.update(node, claim, self.now);
        self.same("verdict", &Ok(freshness_before), &freshness(verdict));
        self.same("result", &result, &verdict.accepted());
        self.after(node, after);
    }

    fn freshness(&self, node: &String, claim: Claim) -> Result<Freshness, Verdict> {
        freshness(self.tracker.judge(node, claim, self.now))
    }

    fn after(&mut self, node: &str, expected: Option<State>) {
        let got = self.tracker.get(node).map(state);
        self.same("state after", &expected.map(comparable), &got);
    }

    /// The nodes a sweep took out, sorted; each must have gone for the expected reason.
    fn sweep(&mut self, scope: SweepScope, expected: SweepReason) -> Vec<String> {
        let mut nodes = Vec::new();
        let mut reasons = Vec::new();
        let report = self.tracker.sweep_with(scope, self.now, |swept| {
            nodes.push(swept.node.clone());
            reasons.push(swept.reason);
        });
        self.same("reported evictions", &nodes.len(), &report.evicted());
        reasons.retain(|reason| *reason != expected);
        self.same("other reasons", &Vec::new(), &reasons);
        nodes.sort_unstable();
        nodes
    }

    fn rows(&self) -> Vec<Row> {
        let view = self.tracker.pin();
        let mut rows: Vec<_> = view
            .iter()
            .map(|(node, at)| {
                let (status, incarnation, updated_ms) = state(at);
                Row(node.clone(), original(status), incarnation, updated_ms)
            })
            .collect();
        rows.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        rows
    }
}

fn claim(status: crate::trace::Status, incarnation: u64, validate: bool) -> Claim {
    let claim = Claim::new(status.into(), incarnation);
    if validate { claim } else { claim.trusted() }
}

/// A verdict in the original's packed states.
///
/// # Errors
///
/// The verdict itself, if the original had no packed state for it.
pub fn freshness(verdict: Verdict) -> Result<Freshness, Verdict> {
    Ok(match verdict {
        Verdict::Joined | Verdict::Applied { .. } => Freshness::Fresh,
        Verdict::Duplicate { .. } => Freshness::Duplicate,
        Verdict::Stale { .. } => Freshness::Stale,
        Verdict::Rejected(Rejection::OutOfRange { .. }) => Freshness::Invalid,
        Verdict::Rejected(Rejection::SuspiciousJump { .. }) => Freshness::Suspicious,
        Verdict::Rejected(Rejection::Unconfirmed) => Freshness::Refused,
        other => return Err(other),
    })
}

type Comparable = (Status, u64, u64);

fn state(state: NodeState) -> Comparable {
    (
        state.status,
        state.incarnation.get(),
        state.last_update.as_millis(),
    )
}

fn comparable(state: State) -> Comparable {
    (state.status.into(), state.incarnation, state.updated_ms)
}

/// A status in the original's packed states, which had none for Left.
fn original(status: Status) -> crate::trace::Status {
    match status {
        Status::Unconfirmed => crate::trace::Status::Unconfirmed,
        Status::Suspect => crate::trace::Status::Suspect,
        Status::Dead | Status::Left => crate::trace::Status::Dead,
        _ => crate::trace::Status::Ok,
    }
}
