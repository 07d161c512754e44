//! Hierarchical failure detection: machines below, jobs above, each layer a tracker.
//!
//! The machine layer is what a SWIM protocol keeps. A job runs on several machines, and its peers suspect
//! each other much faster, by what they see of the job alone: the job layer is keyed by (job, node). Two
//! rules tie the layers together, both by reading:
//!
//! - a machine's death settles every suspicion of a job on it: the machine is what failed;
//! - a suspicion within a job never becomes one of the machine: a stuck job is no dead machine.
//!
//! ```console
//! cargo run --release --example hierarchical
//! ```

#[macro_use]
mod shared;

use std::process::ExitCode;
use std::time::Duration;

use incarnation::{BuildError, Claim, IncarnationTracker, Status, Timestamp, Verdict};

type Node = &'static str;
/// A job's number, and the machine its part runs on.
type Part = (u32, Node);

/// Both layers. Neither knows of the other; what ties them is in the methods.
struct Layers {
    machines: IncarnationTracker<Node>,
    jobs: IncarnationTracker<Part>,
}

/// What a job should do about one of its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Advice {
    /// Go on.
    Use,
    /// Route around it, and keep asking: the machine lives, the job there does not answer.
    Avoid,
    /// Start it somewhere else.
    Replace,
}

impl Layers {
    fn new() -> Result<Self, BuildError> {
        Ok(Self {
            machines: IncarnationTracker::builder().build()?,
            // A job that stays suspect this long has failed, whatever its machine does.
            jobs: IncarnationTracker::builder()
                .suspect_timeout(Duration::from_secs(5))
                .build()?,
        })
    }

    /// A part says that it cannot reach another one of its job.
    fn job_suspects(&self, part: Part, now: Timestamp) -> Option<Verdict> {
        // On a dead machine there is nothing left to suspect.
        if self.machine_is_gone(part.1) {
            return None;
        }
        let known = self.jobs.get(&part)?;
        Some(
            self.jobs
                .update(&part, Claim::suspect(known.incarnation), now),
        )
    }

    /// A part says that it is well after all: it answers with a higher incarnation.
    fn job_answers(&self, part: Part, incarnation: u64, now: Timestamp) -> Verdict {
        self.jobs.update(&part, Claim::alive(incarnation), now)
    }

    /// The machine layer changed: what ran on machines that are gone is settled.
    fn apply(&self, now: Timestamp) -> usize {
        let mut settled = 0;
        for (part, state) in self.jobs.iter() {
            if self.machine_is_gone(part.1) && !state.status.is_gone() {
                let death = Claim::dead(state.incarnation);
                settled += usize::from(self.jobs.update(&part, death, now).accepted());
            }
        }
        settled
    }

    fn machine_is_gone(&self, machine: Node) -> bool {
        self.machines
            .get(&machine)
            .is_none_or(|state| state.status.is_gone())
    }

    fn advice(&self, part: Part) -> Advice {
        match self.jobs.get(&part).map(|state| state.status) {
            _ if self.machine_is_gone(part.1) => Advice::Replace,
            None | Some(Status::Dead | Status::Left) => Advice::Replace,
            Some(Status::Suspect) => Advice::Avoid,
            Some(_) => Advice::Use,
        }
    }
}

/// The story, told and checked; also the example's test.
fn story(mut tell: impl FnMut(&str, &Layers)) -> Result<(), String> {
    let layers = Layers::new().map_err(|error| error.to_string())?;
    let at = |seconds: u64| Timestamp::from_millis(seconds * 1000);
    let check = |what: &str, holds: bool| holds.then_some(()).ok_or(format!("not so: {what}"));

    for machine in ["m1", "m2", "m3"] {
        let _ = layers.machines.update(&machine, Claim::alive(1), at(0));
        for job in [7, 8] {
            let _ = layers.jobs.update(&(job, machine), Claim::alive(1), at(0));
        }
    }
    tell("three machines run two jobs", &layers);

    layers.job_suspects((7, "m2"), at(1));
    tell("job 7 can't reach its part on m2", &layers);
    check("job 7 avoids m2", layers.advice((7, "m2")) == Advice::Avoid)?;
    check("job 8 does not", layers.advice((8, "m2")) == Advice::Use)?;
    let m2 = layers.machines.get(&"m2").map(|state| state.claim());
    check(
        "no suspicion of a job reaches the machine",
        m2 == Some(Claim::alive(1)),
    )?;

    let refuted = layers.job_answers((7, "m2"), 2, at(2));
    tell("it answers, one incarnation higher", &layers);
    check("that takes the suspicion back", refuted.accepted())?;
    check(
        "job 7 uses m2 again",
        layers.advice((7, "m2")) == Advice::Use,
    )?;

    layers.job_suspects((7, "m3"), at(3));
    layers.job_suspects((8, "m3"), at(3));
    let _ = layers.machines.update(&"m3", Claim::dead(1), at(4));
    let settled = layers.apply(at(4));
    tell("m3 dies, and with it what it ran", &layers);
    check("both suspicions are settled", settled == 2)?;
    check(
        "none is left",
        layers.jobs.nodes_with(Status::Suspect).is_empty(),
    )?;
    check(
        "job 8 is to be replaced",
        layers.advice((8, "m3")) == Advice::Replace,
    )?;
    check(
        "nobody suspects the dead",
        layers.job_suspects((8, "m3"), at(5)).is_none(),
    )?;

    layers.job_suspects((8, "m1"), at(6));
    let report = layers.jobs.sweep(at(12));
    tell("job 8 hangs on m1 for too long", &layers);
    check("its part there has failed", report.declared_dead == 1)?;
    check("job 8 moves", layers.advice((8, "m1")) == Advice::Replace)?;
    check("job 7 stays", layers.advice((7, "m1")) == Advice::Use)?;
    let alive = layers.machines.counts().of(Status::Alive);
    check("m1 lives as before", alive == 2)
}

fn main() -> ExitCode {
    shared::only_help(include_str!("hierarchical.rs"));
    let told = story(|what, layers| {
        println!("{what}");
        let mut parts: Vec<_> = layers.jobs.iter().collect();
        parts.sort_by_key(|(part, _)| *part);
        for (part, state) in parts {
            println!(
                "  job {} on {}: {:<12} {:?}",
                part.0,
                part.1,
                state.claim().to_string(),
                layers.advice(part)
            );
        }
    });
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => {
            eprintln!("{wrong}");
            ExitCode::FAILURE
        }
    }
}

#[test]
fn a_machines_death_settles_its_jobs_and_no_job_accuses_a_machine() {
    story(|_, _| {}).unwrap();
}
