//! Federated health: one tracker for each remote datacentre, and a routing decision by all of them.
//!
//! A few managers in each datacentre report on it. What a datacentre's table holds is keyed by its
//! managers, with incarnations they gave themselves: this process is no member there, it only keeps what
//! it is told. Managers report late, twice and out of order; the table needs no more than that each of
//! them counts up.
//!
//! ```console
//! cargo run --release --example federated
//! ```

#[macro_use]
mod shared;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use incarnation::{BuildError, Claim, IncarnationTracker, Status, Timestamp, Verdict};

type Datacentre = &'static str;
type Manager = &'static str;

/// What this process knows of the other datacentres.
struct Federation {
    remotes: BTreeMap<Datacentre, IncarnationTracker<Manager>>,
}

/// How much of a datacentre's managers can be heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Health {
    /// Nobody there can be heard.
    Lost,
    /// A minority.
    Poor,
    /// A majority, but not all.
    Fair,
    /// All.
    Good,
}

impl Federation {
    fn new(remotes: &[Datacentre]) -> Result<Self, BuildError> {
        let remotes = remotes.iter().map(|datacentre| {
            let tracker = IncarnationTracker::builder()
                .max_nodes(16)
                // Links between datacentres are slow: give a silent manager some time.
                .suspect_timeout(Duration::from_secs(30))
                // A dead manager stays one that there should be: health gets no better by forgetting.
                .dead_retention(Duration::MAX)
                // The managers' incarnations are their own business, and may be times.
                .max_incarnation_jump(u64::MAX)
                .build()?;
            Ok((*datacentre, tracker))
        });
        Ok(Self {
            remotes: remotes.collect::<Result<_, _>>()?,
        })
    }

    /// A manager's report about itself or another one, with the incarnation that one gave itself.
    fn report(
        &self,
        datacentre: Datacentre,
        manager: Manager,
        claim: Claim,
        now: Timestamp,
    ) -> Option<Verdict> {
        Some(self.remotes.get(datacentre)?.update(&manager, claim, now))
    }

    fn sweep(&self, now: Timestamp) {
        for tracker in self.remotes.values() {
            let _report = tracker.sweep(now);
        }
    }

    fn health(&self, datacentre: Datacentre) -> Health {
        let Some(tracker) = self.remotes.get(datacentre) else {
            return Health::Lost;
        };
        let counts = tracker.counts();
        // One that left is no longer a manager; one never reached is none yet.
        let known = counts.of(Status::Alive) + counts.of(Status::Suspect) + counts.of(Status::Dead);
        match counts.of(Status::Alive) {
            0 => Health::Lost,
            heard if heard == known => Health::Good,
            heard if heard * 2 > known => Health::Fair,
            _ => Health::Poor,
        }
    }

    /// Where to send a request: the first of those preferred that is at its best.
    fn route(&self, preferred: &[Datacentre]) -> Option<Datacentre> {
        let best = preferred.iter().map(|one| self.health(one)).max()?;
        (best > Health::Lost).then_some(())?;
        preferred
            .iter()
            .copied()
            .find(|one| self.health(one) == best)
    }
}

/// The story, told and checked; also the example's test.
fn story(mut tell: impl FnMut(&str, &Federation)) -> Result<(), String> {
    let federation = Federation::new(&["east", "west"]).map_err(|error| error.to_string())?;
    let at = |seconds: u64| Timestamp::from_millis(seconds * 1000);
    let check = |what: &str, holds: bool| holds.then_some(()).ok_or(format!("not so: {what}"));
    let near_first = ["east", "west"];

    check(
        "nobody is heard yet",
        federation.route(&near_first).is_none(),
    )?;
    for (datacentre, manager) in [
        ("east", "e1"),
        ("east", "e2"),
        ("east", "e3"),
        ("west", "w1"),
        ("west", "w2"),
        ("west", "w3"),
    ] {
        federation.report(datacentre, manager, Claim::alive(100), at(0));
    }
    tell("all managers report", &federation);
    check(
        "the near one is taken",
        federation.route(&near_first) == Some("east"),
    )?;

    federation.report("east", "e2", Claim::suspect(100), at(10));
    tell("e1 can't hear e2", &federation);
    check("east is fair", federation.health("east") == Health::Fair)?;
    check(
        "west is better",
        federation.route(&near_first) == Some("west"),
    )?;

    // e2's own answer, and then, late, what was said before it.
    federation.report("east", "e2", Claim::alive(101), at(12));
    let late = federation.report("east", "e2", Claim::suspect(100), at(13));
    tell(
        "e2 answers; an old report arrives after its answer",
        &federation,
    );
    let current = Claim::alive(101);
    check(
        "what is old changes nothing",
        late == Some(Verdict::Stale { current }),
    )?;
    check(
        "east is taken again",
        federation.route(&near_first) == Some("east"),
    )?;

    for manager in ["e1", "e2", "e3"] {
        federation.report("east", manager, Claim::suspect(101), at(20));
    }
    federation.sweep(at(60));
    tell("the link to the east is cut", &federation);
    check("east is lost", federation.health("east") == Health::Lost)?;
    check(
        "west takes over",
        federation.route(&near_first) == Some("west"),
    )?;
    check(
        "west knows nothing of it",
        federation.health("west") == Health::Good,
    )?;

    federation.report("east", "e1", Claim::alive(102), at(90));
    tell("one manager is heard again", &federation);
    check("that is poor", federation.health("east") == Health::Poor)?;
    check(
        "but better than nothing",
        federation.route(&["east"]) == Some("east"),
    )?;
    check(
        "nobody else's business",
        federation.report("south", "s1", current, at(91)).is_none(),
    )
}

fn main() -> ExitCode {
    shared::only_help(include_str!("federated.rs"));
    let told = story(|what, federation| {
        println!("{what}");
        for (datacentre, tracker) in &federation.remotes {
            let mut managers: Vec<_> = tracker.iter().collect();
            managers.sort_by_key(|(manager, _)| *manager);
            let managers: Vec<_> = managers
                .into_iter()
                .map(|(manager, state)| format!("{manager} {}", state.claim()))
                .collect();
            let health = format!("{:?}", federation.health(datacentre));
            println!("  {datacentre}: {health:<5} {}", managers.join(", "));
        }
        println!(
            "  requests go to {}",
            federation.route(&["east", "west"]).unwrap_or("nobody")
        );
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
fn requests_go_to_the_cluster_with_most_live_managers_whatever_comes_late() {
    story(|_, _| {}).unwrap();
}
