//! How many datagrams the nodes of a cluster send over a run with a blip, a lossy hour and a rolling restart without
//! persistence: the chart `docs/traffic.svg` of the `simulate` example.

use super::scenario::config;
use super::{Memory, World};

/// The result of a [`traffic`] run.
#[derive(Clone, Debug, PartialEq)]
pub struct TrafficRun {
    /// Datagrams sent in each period, a node of the cluster: the mean over all nodes.
    pub mean: Vec<f64>,
    /// Datagrams sent in each period by the node that sent most.
    pub busiest: Vec<u64>,
    /// The period at which each phase began.
    pub marks: Vec<(u32, &'static str)>,
    /// Periods from the last restart until all trackers were right; `None`: not within 100.
    pub healed: Option<u32>,
}

/// The periods between two disturbances.
const QUIET: u32 = 200;
/// The periods in which no datagram arrives.
const BLIP: u32 = 4;
/// The periods with a loss of 20 %: an hour.
const LOSSY: u32 = 3600;
/// The periods between a node's end and its start, and between its start and the next node's end.
const PAUSE: u32 = 3;

/// Runs a cluster of `nodes` nodes, at least 4, with all choices made by `seed`.
#[must_use]
pub fn traffic(nodes: usize, seed: u64) -> TrafficRun {
    let nodes = nodes.max(4);
    let mut run = Run {
        world: World::new(nodes, config(), seed),
        sent: vec![0; nodes],
        found: TrafficRun {
            mean: Vec::new(),
            busiest: Vec::new(),
            marks: Vec::new(),
            healed: None,
        },
    };
    run.mark("start");
    for node in 0..nodes {
        run.world.start(node, Memory::Persisted, &[0, 1]);
    }
    run.periods(QUIET);
    run.mark("blip");
    run.world.network.loss = 1.0;
    run.periods(BLIP);
    run.world.network.heal();
    run.periods(QUIET);
    run.mark("20 % loss");
    run.world.network.loss = 0.2;
    run.periods(LOSSY);
    run.world.network.heal();
    run.mark("healed");
    run.periods(QUIET);
    run.mark("rolling restart");
    for node in 0..nodes {
        run.world.kill(node);
        run.periods(PAUSE);
        let seeds = [(node + 1) % nodes, (node + 2) % nodes];
        run.world.start(node, Memory::Lost, &seeds);
        run.periods(PAUSE);
    }
    run.mark("done");
    run.found.healed = (0..=100).find(|period| {
        if *period > 0 {
            run.periods(1);
        }
        run.world.agrees()
    });
    run.periods(QUIET);
    run.found
}

struct Run {
    world: World,
    /// By node: how many datagrams its present process has sent.
    sent: Vec<u64>,
    found: TrafficRun,
}

impl Run {
    fn mark(&mut self, phase: &'static str) {
        self.found.marks.push((self.found.mean.len() as u32, phase));
    }

    fn periods(&mut self, count: u32) {
        for _ in 0..count {
            self.world.run(self.world.config().period);
            let (mut all, mut busiest) = (0, 0);
            for (node, before) in self.sent.iter_mut().enumerate() {
                let now = self.world.node(node).map_or(0, |node| node.stats().sent);
                // A restarted process counts from zero.
                let sent = now.checked_sub(*before).unwrap_or(now);
                *before = now;
                all += sent;
                busiest = busiest.max(sent);
            }
            self.found.mean.push(all as f64 / self.sent.len() as f64);
            self.found.busiest.push(busiest);
        }
    }
}
