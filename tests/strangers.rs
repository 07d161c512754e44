//! Strangers on virtual time: a datagram from an address that is no member causes a bounded number of datagrams,
//! brings no phantom into any table and hides no death. Each run is made by its seed.
#![forbid(unsafe_code)]

use std::net::SocketAddr;

use fastrand::Rng;
use incarnation::{Claim, Incarnation, NodeState, Status};
use incarnation_swim::sim::scenario::config;
use incarnation_swim::sim::{Disagreement, Memory, World};
use incarnation_swim::{Phase, test_datagrams};

/// An address where no node is.
fn stranger(port: u16) -> SocketAddr {
    SocketAddr::new([192, 0, 2, 1].into(), port)
}

/// A cluster at rest.
fn cluster(nodes: usize, seed: u64) -> World {
    let mut world = World::new(nodes, config(), seed);
    for node in 0..nodes {
        world.start(node, Memory::Persisted, &[0, 1]);
    }
    assert!(world.run_periods(40, |world| world.agrees()).is_some());
    world
}

fn periods(world: &mut World, count: u32) {
    assert_eq!(world.run_periods(count, |_| false), None);
}

/// How many (observer, stranger) pairs there are in which a tracker holds a stranger to run.
fn phantoms(world: &World) -> usize {
    let known = |node| world.node(node).map(|protocol| protocol.tracker().pin());
    let is_node = |address| (0..world.len()).any(|node| world.address(node) == address);
    let views = (0..world.len()).filter_map(known);
    views
        .map(|view| {
            view.iter()
                .filter(|(node, state)| {
                    matches!(state.status, Status::Alive | Status::Suspect) && !is_node(**node)
                })
                .count()
        })
        .sum()
}

/// Periods until every survivor suspects a node that was killed, or holds it Dead.
fn noticed(world: &mut World, victim: usize) -> Option<u32> {
    let address = world.address(victim);
    world.kill(victim);
    world.run_periods(20, |world| {
        (0..world.len())
            .filter_map(|node| world.node(node))
            .all(|node| {
                node.tracker()
                    .get(&address)
                    .is_none_or(|state| state.status > Status::Alive)
            })
    })
}

#[test]
fn two_nodes_that_are_told_of_each_others_death_do_not_answer_each_other_for_ever() {
    let mut world = cluster(2, 1);
    let before = world.to_nodes().datagrams;
    for (node, other) in [(0, 1), (1, 0)] {
        let other = world.address(other);
        let claims = [(other, Claim::alive(1000)), (other, Claim::dead(2000))];
        let lie = test_datagrams::gossip(0, Incarnation::ZERO, &claims);
        world.inject(stranger(1), node, &lie);
    }
    periods(&mut world, 20);
    let sent = world.to_nodes().datagrams - before;
    // A ping and an ack of each node in each period, and an exchange of states now and then.
    assert!(sent <= 2 * 20 * 2 + 16, "{sent} datagrams");
    assert!(world.agrees());
}

#[test]
fn thousands_of_joins_bring_no_phantom_in_and_hide_no_death() {
    let mut world = cluster(30, 2);
    let quiet = world.to_nodes().bytes;
    periods(&mut world, 20);
    let quiet = world.to_nodes().bytes - quiet;
    let (before, mut received) = (world.to_nodes().bytes, 0);
    for node in 0..30 {
        for port in 1..=2000 {
            let join = test_datagrams::join(0, Incarnation::ZERO);
            received += join.len() as u64;
            world.inject(stranger(port), node, &join);
        }
    }
    periods(&mut world, 20);
    let (sent, inside) = (world.to_strangers(), world.to_nodes().bytes - before);
    println!(
        "{received} bytes in: {sent:?} to strangers, {inside} bytes among members (quiet: {quiet})"
    );
    let noticed = noticed(&mut world, 17);
    println!("noticed {noticed:?}");
    assert_eq!(phantoms(&world), 0);
    assert!(sent.bytes <= received, "{received} bytes in, {sent:?} out");
    assert!(
        inside <= quiet * 2,
        "{inside} bytes among members, {quiet} without a flood"
    );
    assert!(noticed.is_some());
}

#[test]
fn a_flood_of_joins_from_addresses_where_no_node_is_keeps_no_honest_newcomer_out() {
    let mut world = World::new(31, config(), 4);
    for node in 0..30 {
        world.start(node, Memory::Persisted, &[0, 1]);
    }
    assert!(world.run_periods(40, |world| world.agrees()).is_some());
    let join = test_datagrams::join(0, Incarnation::ZERO);
    let mut dice = Rng::with_seed(4);
    let mut flood = |world: &mut World| {
        for _ in 0..20 {
            for node in 0..30 {
                for _ in 0..4 {
                    let ip = [198, 18, dice.u8(..), dice.u8(1..)];
                    world.inject(SocketAddr::new(ip.into(), 1), node, &join);
                }
            }
            world.run(world.config().period / 20);
        }
    };
    (0..5).for_each(|_| flood(&mut world));
    world.start(30, Memory::Persisted, &[0, 1]);
    let address = world.address(30);
    let is_known = |world: &World| {
        (0..30).all(|node| {
            let state = world.node(node).unwrap().tracker().get(&address);
            state.map(|state| state.status) == Some(Status::Alive)
        })
    };
    let known = (1..=20).find(|_| {
        flood(&mut world);
        is_known(&world)
    });
    let refused = world.total(|stats| stats.no_room);
    println!("known everywhere after {known:?} periods, {refused} answers that there is no room");
    assert!(
        known.is_some() && refused == 0,
        "{refused} answers that there is no room"
    );
    assert_eq!(phantoms(&world), 0);
}

#[test]
fn requests_for_states_with_forged_addresses_keep_no_newcomer_out_and_have_little_sent() {
    let mut world = World::new(8, config(), 6);
    for node in 0..7 {
        world.start(node, Memory::Persisted, &[0, 1]);
    }
    assert!(world.run_periods(40, |world| world.agrees()).is_some());
    let sync = test_datagrams::sync(0, Incarnation::ZERO, 1);
    let flood = |world: &mut World| {
        for _ in 0..20 {
            for node in 0..7 {
                for _ in 0..10 {
                    let forged = world.address((node + 1) % 7);
                    world.inject(forged, node, &sync);
                }
            }
            world.run(world.config().period / 20);
        }
    };
    let before = world.to_nodes().datagrams;
    flood(&mut world);
    let sent = (world.to_nodes().datagrams - before) / 7;
    world.start(7, Memory::Persisted, &[0, 1]);
    let known = (1..=10).find(|_| {
        flood(&mut world);
        world.agrees()
    });
    println!("{sent} datagrams a node in the first period; a newcomer is known after {known:?}");
    assert!(sent <= 10, "{sent} datagrams a node");
    assert!(
        known.is_some(),
        "{:?}",
        world.disagreements().collect::<Vec<_>>()
    );
}

#[test]
fn pings_with_forged_addresses_use_up_no_news_and_hide_no_death() {
    let mut world = cluster(30, 7);
    let ping = test_datagrams::ping(0, Incarnation::ZERO);
    let address = world.address(17);
    world.kill(17);
    let is_suspected = |world: &World| {
        let mut others = (0..30).filter_map(|node| world.node(node));
        others.all(|node| {
            let state = node.tracker().get(&address);
            state.is_none_or(|state| state.status > Status::Alive)
        })
    };
    let noticed = (1..=40).find(|_| {
        for _ in 0..10 {
            for node in 0..30 {
                for _ in 0..10 {
                    // A node that runs, always the same.
                    let forged = world.address(if node == 3 { 4 } else { 3 });
                    world.inject(forged, node, &ping);
                }
            }
            world.run(world.config().period / 10);
        }
        is_suspected(&world)
    });
    println!("noticed after {noticed:?} periods");
    assert!(noticed.is_some_and(|periods| periods <= 12), "{noticed:?}");
}

#[test]
fn a_flood_of_accusations_by_a_stranger_kills_nobody_and_hides_no_death() {
    let mut world = cluster(12, 5);
    let accused: Vec<_> = (0..12)
        .map(|node| (world.address(node), Claim::dead(1 << 40)))
        .collect();
    let lie = test_datagrams::gossip(0, Incarnation::ZERO, &accused);
    let (dead, dead_address) = (7, world.address(7));
    world.kill(dead);
    let holds_dead = |world: &World| {
        let mut others = (0..12).filter_map(|node| world.node(node));
        others.all(|node| {
            let state = node.tracker().get(&dead_address);
            state.is_none_or(|state| state.status.is_gone())
        })
    };
    let limit = config().lone_suspicion_timeout(12).as_secs() as u32 + 10;
    let mut killed = 0;
    let seen = (1..=limit).find(|_| {
        for _ in 0..10 {
            (0..12).for_each(|node| world.inject(stranger(1), node, &lie));
            world.run(world.config().period / 10);
        }
        killed += world.false_deaths();
        holds_dead(&world)
    });
    println!("held dead everywhere after {seen:?} of {limit} periods");
    assert_eq!(killed, 0, "healthy nodes were held dead");
    assert!(seen.is_some_and(|periods| periods <= 20), "{seen:?}");
    assert!(world.run_periods(20, |world| world.agrees()).is_some());
}

#[test]
fn one_datagram_has_few_sent_to_a_victims_ports() {
    for member in [false, true] {
        let mut world = cluster(30, 3);
        let victim: Vec<_> = (1..=154)
            .map(stranger)
            .map(|port| (port, Claim::alive(1)))
            .collect();
        let gossip = test_datagrams::gossip(0, Incarnation::ZERO, &victim);
        for node in 1..30 {
            let from = if member {
                world.address(0)
            } else {
                stranger(1000)
            };
            world.inject(from, node, &gossip);
        }
        periods(&mut world, 40);
        let each = world.to_strangers().datagrams as f64 / 29.0;
        println!("a member: {member}: {each} datagrams to the victim for each one sent");
        assert!(
            each <= if member { 8.0 } else { 1.0 },
            "{each} datagrams for each one"
        );
    }
}

/// A claim about a node of the world or an address that is none, as a stranger invents it.
fn invented(dice: &mut Rng, world: &World) -> (SocketAddr, Claim) {
    let node = match dice.usize(..=world.len()) {
        node if node < world.len() => world.address(node),
        _ => stranger(dice.u16(1..500)),
    };
    let status = Status::ALL[1 + dice.usize(..4)];
    let incarnation = match dice.u8(..4) {
        0 => dice.u64(..3),
        1 => dice.u64(..2000),
        2 => 1 << dice.u64(..62),
        _ => 0,
    };
    (node, Claim::new(status, incarnation))
}

/// A small world in one of several situations: at rest, with a node that leaves, or that restarts without its memory.
fn situation(dice: &mut Rng, nodes: usize, seed: u64) -> World {
    let mut world = World::new(nodes, config(), seed);
    for node in 0..nodes {
        world.start(node, Memory::Persisted, &[0, 1]);
    }
    periods(&mut world, 4);
    let node = dice.usize(..nodes);
    match dice.u8(..6) {
        1 => world.leave(node),
        2 => {
            world.kill(node);
            world.start(
                node,
                Memory::Lost,
                &[(node + 1) % nodes, (node + 2) % nodes],
            );
        }
        _ => {}
    }
    let pause = world.config().period.mul_f64(dice.f64() * 2.0);
    world.run(pause);
    world
}

/// A small world with a lie told to one of its nodes, or without the lie: 20 periods later the datagrams to nodes and to
/// other addresses, and what the case is.
fn with_or_without_a_lie(
    case: u64,
    lies: bool,
    situation: impl Fn(&mut Rng, usize, u64) -> World,
) -> ([u64; 2], String) {
    let mut dice = Rng::with_seed(case);
    let nodes = 2 + dice.usize(..3);
    let mut world = situation(&mut dice, nodes, case);
    let claims: Vec<_> = (0..dice.usize(..8))
        .map(|_| invented(&mut dice, &world))
        .collect();
    let target = world.address(dice.usize(..nodes));
    let own = Incarnation::new(dice.u64(..3));
    let mut kinds = test_datagrams::all_kinds(0, own, dice.u64(..), target, &claims);
    let bytes = kinds.swap_remove(dice.usize(..kinds.len()));
    let (node, from) = (dice.usize(..nodes), stranger(dice.u16(1..500)));
    if lies {
        world.inject(from, node, &bytes);
    }
    periods(&mut world, 20);
    let counts = [world.to_nodes().datagrams, world.to_strangers().datagrams];
    let what = format!("{nodes} nodes, {bytes:?} to {node} from {from}");
    (counts, what)
}

/// The invariant, where all nodes run: a datagram of a stranger causes at most one datagram to addresses that are no
/// node's, and at most four among the nodes beyond what they would have sent, all within 20 periods.
#[test]
fn a_strangers_datagram_causes_at_most_one_outside_and_four_inside_among_nodes_that_run() {
    for case in 0..CASES {
        let ([inside, outside], what) = with_or_without_a_lie(case, true, situation);
        let ([quiet, none], _) = with_or_without_a_lie(case, false, situation);
        assert_eq!(none, 0);
        assert!(outside <= 1, "case {case}: {outside} to strangers: {what}");
        assert!(
            inside <= quiet + 4,
            "case {case}: {inside} datagrams instead of {quiet}: {what}"
        );
    }
}

/// A small world in which a node was killed a while ago, or just now, or is cut off.
fn with_a_loss(dice: &mut Rng, nodes: usize, seed: u64) -> World {
    let mut world = situation(dice, nodes, seed);
    let node = dice.usize(..nodes);
    match dice.bool() {
        true => world.kill(node),
        false => world.network.split(|other| other == node),
    }
    let pause = world.config().period.mul_f64(dice.f64() * 12.0);
    world.run(pause);
    world
}

/// Where a node is dead or cut off, a stranger can have it suspected earlier (a suspicion that its neighbours would have
/// raised themselves a moment later). That moves the probes that fail, of up to ten datagrams each, and the choices of
/// helpers: a single run has some datagrams more or less. In the mean there are no more.
#[test]
fn where_a_node_is_lost_a_strangers_datagram_causes_none_in_the_mean_and_few_in_any_case() {
    let (mut sum, mut most) = (0, 0);
    for case in 0..CASES {
        let ([inside, outside], what) = with_or_without_a_lie(case, true, with_a_loss);
        let ([quiet, none], _) = with_or_without_a_lie(case, false, with_a_loss);
        assert_eq!(none, 0);
        assert!(outside <= 1, "case {case}: {outside} to strangers: {what}");
        assert!(
            inside <= quiet + 24,
            "case {case}: {inside} datagrams instead of {quiet}: {what}"
        );
        let more = inside.cast_signed() - quiet.cast_signed();
        sum += more;
        most = most.max(more);
    }
    let mean = sum as f64 / CASES as f64;
    println!("{mean} datagrams more in the mean, {most} at most");
    assert!(mean < 0.25, "{mean} datagrams more in the mean");
}

const CASES: u64 = 10_000;

/// What trackers are wrong about. Of a node that runs no more, or has left, it is right that it is Dead or Left, or
/// Unconfirmed: a node that still asks it to be let in holds it so.
fn wrong(world: &World) -> Vec<Disagreement> {
    let is_gone = |node| {
        let running = world.node(node);
        running.is_none_or(|protocol| protocol.phase() == Phase::Leaving)
    };
    world
        .disagreements()
        .filter(|wrong| {
            let runs = |seen: NodeState| matches!(seen.status, Status::Alive | Status::Suspect);
            !is_gone(wrong.subject) || wrong.seen.is_some_and(runs)
        })
        .collect()
}

/// Lies from the nodes' own addresses and from strangers, in any number and of all kinds, in a small world with or without
/// losses: once they end, all trackers come to agree, and hold no node that is none.
#[test]
fn after_any_lies_a_small_cluster_heals() {
    let mut slowest = 0;
    for case in 0..HEALED_CASES {
        let mut dice = Rng::with_seed(case);
        let nodes = 2 + dice.usize(..4);
        let mut world = match dice.bool() {
            true => situation(&mut dice, nodes, case),
            false => with_a_loss(&mut dice, nodes, case),
        };
        for _ in 0..dice.usize(1..20) {
            let claims: Vec<_> = (0..dice.usize(..8))
                .map(|_| invented(&mut dice, &world))
                .collect();
            let target = world.address(dice.usize(..nodes));
            let own = Incarnation::new(if dice.bool() {
                dice.u64(..3)
            } else {
                1 << dice.u64(..62)
            });
            let mut kinds = test_datagrams::all_kinds(0, own, dice.u64(..), target, &claims);
            let bytes = kinds.swap_remove(dice.usize(..kinds.len()));
            let node = dice.usize(..nodes);
            let from = match dice.u8(..4) {
                0 => stranger(dice.u16(1..500)),
                // Another node's.
                _ => world.address((node + dice.usize(1..nodes)) % nodes),
            };
            world.inject(from, node, &bytes);
            if dice.bool() {
                let pause = world.config().period.mul_f64(dice.f64() * 3.0);
                world.run(pause);
            }
        }
        world.network.heal();
        let healed =
            world.run_periods(200, |world| wrong(world).is_empty() && phantoms(world) == 0);
        let Some(periods) = healed else {
            panic!("case {case}: {nodes} nodes, {:?}", wrong(&world));
        };
        slowest = slowest.max(periods);
    }
    println!("the slowest healed after {slowest} periods");
}

const HEALED_CASES: u64 = 10_000;
