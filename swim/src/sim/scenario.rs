//! The life of a cluster as tests and the `simulate` example play it: a simultaneous start, a death
//! whose detection is timed, a storm of every fault there is, and peace again.

use core::time::Duration;

use incarnation::{Status, Timestamp};

use super::{Memory, World};
use crate::Config;

/// What came of a [`life`].
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Periods until all trackers held all nodes Alive after a start at once; `None`: not in time.
    pub started: Option<u32>,
    /// Suspicions before anything was wrong.
    pub suspicions_in_peace: u64,
    /// Periods from a death to the first suspicion anywhere.
    pub detection: Option<f64>,
    /// Periods from the first suspicion to the last survivor's.
    pub dissemination: Option<f64>,
    /// Periods from the death until every survivor held it Dead.
    pub death_known: Option<u32>,
    /// (Observer, node) pairs of running nodes held for dead when the storm ended.
    pub false_deaths: usize,
    /// Periods from the end of the storm until all trackers were right.
    pub healed: Option<u32>,
    /// Refutations made.
    pub refutations: u64,
    /// Datagrams sent.
    pub datagrams: u64,
    /// The run in a number: see [`World::digest`].
    pub digest: u64,
    /// The part of all pairs that were right, after each period.
    pub agreement: Vec<f64>,
    /// At which period what began.
    pub marks: Vec<(u32, &'static str)>,
}

/// The first few nodes, by way of which all join. None of them dies for good.
const SEEDS: [usize; 3] = [0, 1, 2];
/// How many periods each stage may take.
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

/// Plays a whole life of `nodes` nodes (at least 16) with all choices made by `seed`.
#[must_use]
pub fn entry_state(nodes: usize, seed: u64) -> Outcome {
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

    /// A node that runs and is no seed.
    fn pick(&mut self) -> usize {
        let others = self.world.len() - SEEDS.len();
        loop {
            let node = SEEDS.len() + self.world.below(others);
            if self.world.node(node).is_some() {
                return node;
            }
        }
    }

    /// A period later: whether all trackers are right.
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

    /// Kills a node and reads from the trackers' last updates who suspected it when.
    fn time_death(&mut self, victim: usize) -> (Option<f64>, Option<f64>, Option<u32>) {
        // At no special moment of anybody's period.
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
                // A suspicion outlasts many periods, so each is seen with its own last update.
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

    /// Loss, duplication, reordering, a partition, nodes that freeze, die, come back with and
    /// without memory, and leave; all at once, for longer than a suspicion lasts.
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
