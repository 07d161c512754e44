//! One run of a cluster through all of its faults, for tests and the `simulate` example: all nodes start at once, one node
//! dies and its detection is timed, then come loss, a partition, freezes and restarts, and then peace.

use core::time::Duration;

use incarnation::{Status, Timestamp};

use super::{Memory, World};
use crate::Config;

/// The result of a [`lifecycle`].
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Periods from the start until all trackers held all nodes Alive; `None`: not within 100.
    pub started: Option<u32>,
    /// Suspicions raised before the first fault.
    pub suspicions_in_peace: u64,
    /// Periods from the death to the first suspicion in any tracker.
    pub detection: Option<f64>,
    /// Periods from the first suspicion until the last survivor held the node Suspect.
    pub dissemination: Option<f64>,
    /// Periods from the death until every survivor held the node Dead.
    pub death_known: Option<u32>,
    /// (Observer, node) pairs where a running node was held Dead or Left when the storm ended.
    pub false_deaths: usize,
    /// Periods from the end of the storm until all trackers were right; `None`: not within 100.
    pub healed: Option<u32>,
    /// Accusations that nodes refuted.
    pub refutations: u64,
    /// Datagrams sent.
    pub datagrams: u64,
    /// A hash of the run: see [`World::digest`].
    pub digest: u64,
    /// After each period, the share of (observer, node) pairs that were right.
    pub agreement: Vec<f64>,
    /// The period at which each phase began.
    pub marks: Vec<(u32, &'static str)>,
}

/// All nodes join by way of these. None of them dies for good.
const SEEDS: [usize; 3] = [0, 1, 2];
/// How many periods each phase may take.
const PATIENCE: u32 = 100;

/// The configuration that the simulation uses: periods of a second.
#[must_use]
pub fn config() -> Config {
    Config {
        probe_timeout: Duration::from_millis(200),
        introductions: 64,
        ..Config::default()
    }
}

/// Runs a cluster of `nodes` nodes (at least 16) from its start through all faults until it has healed, with all choices
/// made by `seed`.
#[must_use]
pub fn lifecycle(nodes: usize, seed: u64) -> Outcome {
    let mut play = Play {
        world: World::new(nodes, config(), seed),
        agreement: Vec::new(),
        marks: Vec::new(),
    };
    play.mark("start");
    for node in 0..nodes {
        play.world.start(node, Memory::Persisted, &SEEDS);
    }
    let started = play.until_agreed();
    play.run(5);
    let suspicions_in_peace = play.world.total(|stats| stats.suspicions);
    let victim = play.pick();
    play.mark("a death");
    let (detection, dissemination, death_known) = play.time_death(victim);
    play.storm(victim);
    let false_deaths = play.world.false_deaths();
    play.world.network.heal();
    play.mark("healed");
    let healed = play.until_agreed();
    Outcome {
        started,
        suspicions_in_peace,
        detection,
        dissemination,
        death_known,
        false_deaths,
        healed,
        refutations: play.world.total(|stats| stats.refutations),
        datagrams: play.world.total(|stats| stats.sent),
        digest: play.world.digest(),
        agreement: play.agreement,
        marks: play.marks,
    }
}

struct Play {
    world: World,
    agreement: Vec<f64>,
    marks: Vec<(u32, &'static str)>,
}

impl Play {
    fn mark(&mut self, what: &'static str) {
        self.marks.push((self.agreement.len() as u32, what));
    }

    /// Picks a node that runs and is not a seed.
    fn pick(&mut self) -> usize {
        let others = self.world.len() - SEEDS.len();
        loop {
            let node = SEEDS.len() + self.world.below(others);
            if self.world.node(node).is_some() {
                return node;
            }
        }
    }

    /// Runs for a period. Returns whether all trackers are right after it.
    fn period(&mut self) -> bool {
        self.world.run(self.world.config().period);
        let agreement = self.world.agreement();
        self.agreement.push(agreement);
        agreement == 1.0
    }

    fn run(&mut self, periods: u32) {
        for _ in 0..periods {
            self.period();
        }
    }

    fn until_agreed(&mut self) -> Option<u32> {
        (1..=PATIENCE).find(|_| self.period())
    }

    /// Kills a node. Reads from the trackers' last updates when each of them suspected it.
    fn time_death(&mut self, victim: usize) -> (Option<f64>, Option<f64>, Option<u32>) {
        // The death comes at a random moment of the nodes' periods.
        let pause = self
            .world
            .config()
            .period
            .mul_f64(self.world.below(1000) as f64 / 1000.0);
        self.world.run(pause);
        let address = self.world.address(victim);
        let died = self.world.now();
        self.world.kill(victim);
        let mut suspected: Vec<Option<Timestamp>> = vec![None; self.world.len()];
        let known = (1..=PATIENCE).find(|_| {
            let agreed = self.period();
            for (observer, suspected) in suspected.iter_mut().enumerate() {
                let Some(protocol) = self.world.node(observer) else {
                    continue;
                };
                let state = protocol.tracker().get(&address);
                // A suspicion lasts for many periods, so none is missed between two of them.
                if let Some(state) = state
                    && state.status == Status::Suspect
                {
                    suspected.get_or_insert(state.last_update);
                }
            }
            agreed
        });
        let period = self.world.config().period.as_secs_f64();
        let periods = |from: Timestamp, to: Timestamp| to.since(from).as_secs_f64() / period;
        let last_updates = suspected.iter().flatten();
        let (first, last) = (last_updates.clone().min(), last_updates.max());
        let dissemination = first.zip(last).map(|(first, last)| periods(*first, *last));
        (
            first.map(|first| periods(died, *first)),
            dissemination,
            known,
        )
    }

    /// Loss, duplication, reordering and a partition, while nodes freeze, die, restart with and without memory, and leave.
    /// It lasts longer than a suspicion.
    fn storm(&mut self, dead: usize) {
        let half = self.world.len() / 2;
        let storm = self
            .world
            .config()
            .suspicion_timeout(self.world.len())
            .as_secs_f64()
            / self.world.config().period.as_secs_f64();
        let part = (storm / 3.0).ceil() as u32;
        self.mark("loss");
        let network = &mut self.world.network;
        (network.loss, network.duplication, network.reordering) = (0.2, 0.05, 0.1);
        self.world.start(dead, Memory::Persisted, &SEEDS);
        let frozen = [self.pick(), self.pick(), self.pick()];
        frozen.into_iter().for_each(|node| self.world.pause(node));
        self.run(part);
        let (forgetful, returning) = (self.pick(), self.pick());
        self.world.kill(forgetful);
        self.world.kill(returning);
        self.mark("partition");
        let shift = self.world.below(self.world.len());
        let size = self.world.len();
        self.world
            .network
            .split(|node| (node + shift) % size < half);
        self.run(part);
        frozen.into_iter().for_each(|node| self.world.resume(node));
        let leaving = self.pick();
        self.world.leave(leaving);
        self.run(part);
        if self.world.node(forgetful).is_none() {
            self.world.start(forgetful, Memory::Lost, &SEEDS);
        }
        self.run(part);
        self.world.kill(leaving);
        if self.world.node(returning).is_none() {
            self.world.start(returning, Memory::Persisted, &SEEDS);
        }
        self.run(2);
    }
}
