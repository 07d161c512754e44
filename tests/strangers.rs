//! Strangers on virtual time: a datagram from an address that is no member causes a bounded number of datagrams,
//! brings no phantom into any table and hides no death. Each run is made by its seed.
#![forbid(unsafe_code)]

use std::net::SocketAddr;

use fastrand::Rng;
use incarnation::{Claim, Incarnation, Status};
use incarnation_swim::sim::scenario::config;
use incarnation_swim::sim::{Memory, World};
use incarnation_swim::test_datagrams;

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
            world.start(node, Memory::Lost, &[(node + 1) % nodes]);
        }
        _ => {}
    }
    let pause = world.config().period.mul_f64(dice.f64() * 2.0);
    world.run(pause);
    world
}

/// The invariant, where all nodes run (a failed probe of one that does not costs more than four datagrams, and a suspicion
/// that begins earlier shifts such a probe): a datagram of a stranger causes at most one datagram to addresses that are no node's, and at most four among
/// the nodes beyond what they would have sent, all within 20 periods.
#[test]
fn a_strangers_datagram_causes_at_most_one_outside_and_four_inside_among_nodes_that_run() {
    for case in 0..CASES {
        let run = |lies: bool| {
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
            let counts = (world.to_nodes().datagrams, world.to_strangers().datagrams);
            (
                counts,
                format!("{nodes} nodes, {bytes:?} to {node} from {from}"),
            )
        };
        let ((inside, outside), what) = run(true);
        let ((quiet, none), _) = run(false);
        assert_eq!(none, 0);
        assert!(outside <= 1, "case {case}: {outside} to strangers: {what}");
        assert!(
            inside <= quiet + 4,
            "case {case}: {inside} datagrams instead of {quiet}: {what}"
        );
    }
}

const CASES: u64 = 10_000;
