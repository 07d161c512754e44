//! Whole clusters on virtual time: after any storm of faults all trackers come to agree, failures are found as fast as the
//! papers say, and no node is accused while nothing is wrong. Nothing sleeps, and a run depends on its seed alone.
#![forbid(unsafe_code)]

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use incarnation_swim::sim::scenario::{Outcome, config, lifecycle};
use incarnation_swim::sim::traffic::traffic;
use incarnation_swim::sim::{Memory, World};

const NODES: usize = 256;
const SEEDS: u64 = 20;

/// The runs of many seeds, on all processors.
fn runs() -> Vec<Outcome> {
    let next = AtomicU64::new(0);
    let outcomes = Mutex::new(Vec::new());
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= SEEDS {
                        return;
                    }
                    let outcome = lifecycle(NODES, seed);
                    outcomes.lock().unwrap().push((seed, outcome));
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().unwrap();
    outcomes.sort_by_key(|(seed, _)| *seed);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

fn mean(times: impl Iterator<Item = f64>) -> f64 {
    let times: Vec<_> = times.collect();
    times.iter().sum::<f64>() / times.len() as f64
}

#[test]
fn twenty_clusters_of_256_nodes_come_through_storms_and_keep_to_the_papers_times() {
    let runs = runs();
    assert_eq!(runs.len() as u64, SEEDS);
    for (seed, run) in runs.iter().enumerate() {
        let told = Outcome {
            agreement: Vec::new(),
            ..run.clone()
        };
        assert!(
            run.started.is_some_and(|periods| periods <= 10),
            "{seed}: {told:?}"
        );
        assert_eq!(run.suspicions_in_peace, 0, "{seed}: {told:?}");
        assert!(run.death_known.is_some(), "{seed}: {told:?}");
        // The storm was one: nodes that ran were held for dead, and accusations refuted.
        assert!(
            run.false_deaths > 0 && run.refutations > 0,
            "{seed}: {told:?}"
        );
        assert!(run.healed.is_some(), "{seed}: {told:?}");
    }
    // SWIM, section 3: a failure meets the first probe after e/(e-1) = 1.58 rounds in lockstep.
    // Without lockstep probes of one node come at a rate of one a period: one period until the next
    // begins, and one more until it has failed. The mean of 20 has a deviation of 0.22.
    let detection = mean(runs.iter().filter_map(|run| run.detection));
    assert!((1.4..=2.7).contains(&detection), "{detection} periods");
    // SWIM, section 4.1, and epidemics in general: log n rounds, here with news both in the ping
    // and in the ack.
    let log = (NODES as f64).ln();
    let dissemination = mean(runs.iter().filter_map(|run| run.dissemination));
    assert!(
        (log / 2.0..=log * 1.5).contains(&dissemination),
        "{dissemination} periods"
    );
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_one_another() {
    let first = lifecycle(48, 7);
    assert_eq!(first, lifecycle(48, 7));
    assert_ne!(first.digest, lifecycle(48, 8).digest);
}

#[test]
fn dissemination_grows_with_the_logarithm_of_the_group() {
    let spread = |nodes| mean((0..6).filter_map(|seed| lifecycle(nodes, seed).dissemination));
    let (small, large) = (spread(16), spread(128));
    // ln 128 - ln 16 = 2.1; eight times the time if it grew with the group itself.
    let more = large - small;
    assert!((0.5..=4.0).contains(&more), "{small} to {large} periods");
}

/// A cluster at rest.
fn cluster(nodes: usize, seed: u64) -> World {
    let mut world = World::new(nodes, config(), seed);
    for node in 0..nodes {
        world.start(node, Memory::Persisted, &[0, 1]);
    }
    assert!(world.run_periods(30, |world| world.agrees()).is_some());
    world
}

#[test]
fn a_partition_that_outlasts_suspicions_heals() {
    let mut world = cluster(40, 1);
    world.network.split(|node| node % 2 == 0);
    // Each side holds the other for dead: 2 x 20 x 20.
    assert!(
        world
            .run_periods(100, |world| world.false_deaths() == 800)
            .is_some()
    );
    world.network.heal();
    assert!(world.run_periods(60, |world| world.agrees()).is_some());
    assert_eq!(world.false_deaths(), 0);
}

#[test]
fn a_node_that_froze_accuses_nobody_when_it_goes_on() {
    for seed in 0..5 {
        let mut world = cluster(24, seed);
        let before = world.total(|stats| stats.deaths);
        world.pause(5);
        // Long enough to be held for dead by all.
        assert!(
            world
                .run_periods(60, |world| world.false_deaths() == 23)
                .is_some()
        );
        let others = world.total(|stats| stats.deaths) - before;
        assert!(others > 0);
        world.resume(5);
        assert!(
            world.run_periods(60, |world| world.agrees()).is_some(),
            "seed {seed}"
        );
        let woken = world.node(5).unwrap();
        assert_eq!(
            (woken.stats().suspicions, woken.stats().deaths),
            (0, 0),
            "seed {seed}"
        );
        assert!(woken.stats().stalls > 0);
        assert!(
            woken.tracker().local().current().get() > 0,
            "it refuted its death"
        );
    }
}

#[test]
fn a_restarted_node_comes_back_with_or_without_its_memory() {
    for memory in [Memory::Persisted, Memory::Lost] {
        let mut world = cluster(24, 3);
        world.kill(7);
        assert!(world.run_periods(60, |world| world.agrees()).is_some());
        world.start(7, memory, &[0, 1]);
        assert!(
            world.run_periods(60, |world| world.agrees()).is_some(),
            "{memory:?}"
        );
        let incarnation = world.node(7).unwrap().tracker().local().current().get();
        assert!(
            incarnation >= 5,
            "{memory:?}: above its death by what peers ask: {incarnation}"
        );
        // Who remembers is let in at once, who does not is told first.
        assert_eq!(
            world.total(|stats| stats.zombies) > 0,
            memory == Memory::Lost
        );
    }
}

#[test]
fn a_node_that_leaves_is_never_accused() {
    let mut world = cluster(24, 4);
    let suspicions = world.total(|stats| stats.suspicions);
    world.leave(9);
    world.run_periods(4, |_| false);
    world.kill(9);
    assert!(world.run_periods(30, |world| world.agrees()).is_some());
    assert_eq!(world.total(|stats| stats.suspicions), suspicions);
}

#[test]
fn heavy_loss_kills_nobody_for_good() {
    let mut world = cluster(32, 5);
    world.network.loss = 0.35;
    world.run_periods(60, |_| false);
    assert!(world.total(|stats| stats.refutations) > 0);
    world.network.heal();
    assert!(world.run_periods(60, |world| world.agrees()).is_some());
}

#[test]
fn a_rolling_restart_without_memory_after_a_lossy_day_heals() {
    let mut world = cluster(16, 6);
    world.network.loss = 0.2;
    world.run_periods(8 * 3600, |_| false);
    let incarnation = (0..16)
        .map(|node| world.node(node).unwrap().tracker().local().current())
        .max();
    println!("incarnation {incarnation:?}");
    world.network.heal();
    for node in 0..16 {
        world.kill(node);
        world.run_periods(3, |_| false);
        let seed = (node + 1) % 16;
        world.start(node, Memory::Lost, &[seed, (node + 2) % 16]);
        world.run_periods(3, |_| false);
    }
    let healed = world.run_periods(60, |world| world.agrees());
    println!("healed after {healed:?}, agreement {}", world.agreement());
    assert!(
        healed.is_some_and(|periods| periods <= 20),
        "{healed:?}, agreement {}",
        world.agreement()
    );
}

#[test]
fn a_half_deaf_node_has_hardly_any_healthy_one_held_dead() {
    let mut world = cluster(24, 7);
    world.network.deafen(23, 0);
    let mut dead = std::collections::BTreeSet::new();
    let mut events = 0;
    world.run_periods(3600, |world| {
        let now: std::collections::BTreeSet<_> = world
            .disagreements()
            .filter(|wrong| {
                wrong.observer != 23
                    && wrong.subject != 23
                    && wrong.seen.is_some_and(|seen| seen.status.is_gone())
            })
            .map(|wrong| (wrong.observer, wrong.subject))
            .collect();
        events += now.difference(&dead).count();
        dead = now;
        false
    });
    println!(
        "{events} times; {} suspicions, {} deaths, {} refutations",
        world.total(|s| s.suspicions),
        world.total(|s| s.deaths),
        world.total(|s| s.refutations)
    );
    assert!(events <= 30, "{events} times");
}

#[test]
fn no_node_sends_much_over_a_blip_a_lossy_hour_and_a_rolling_restart() {
    let run = traffic(16, 1);
    assert!(
        run.healed.is_some_and(|periods| periods <= 20),
        "{:?}",
        run.healed
    );
    // In the first periods all nodes join by way of two.
    let blip = run.marks[1].0 as usize;
    let (start, later) = run.busiest.split_at(blip);
    let peaks = (start.iter().max(), later.iter().max());
    assert!(
        peaks.0 <= Some(&80) && peaks.1 <= Some(&40) && peaks.1 > Some(&0),
        "{peaks:?}"
    );
}
