//! What the SWIM protocol makes of single datagrams, node by node: which peers count as heard from, which may
//! be accused, what is answered, and what is never believed. Time is set by hand.
#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use incarnation::{Claim, Incarnation, IncarnationTracker, Status, Timestamp};
use incarnation_swim::{
    Config, ConfigError, Datagram, Dropped, Phase, Protocol, fuzz, test_datagrams,
};

const PERIOD: Duration = Duration::from_secs(1);
const T0: Timestamp = Timestamp::from_millis(1);

fn address(port: u16) -> SocketAddr {
    SocketAddr::new([10, 0, 0, 1].into(), port)
}

fn tracker(me: SocketAddr) -> IncarnationTracker<SocketAddr> {
    IncarnationTracker::builder()
        .local_node(me)
        .max_nodes(64)
        .dead_retention(PERIOD * 60)
        .unconfirmed_timeout(PERIOD * 20)
        .build()
        .unwrap()
}

fn node(port: u16) -> Protocol {
    let me = address(port);
    Protocol::new(tracker(me), me, Config::default(), u64::from(port)).unwrap()
}

/// Hands datagrams over between nodes until none is left; those to others are lost.
fn deliver(nodes: &[&Protocol], from: &Protocol, out: Vec<Datagram>, now: Timestamp) -> usize {
    let mut queue: Vec<_> = out
        .into_iter()
        .map(|datagram| (from.me(), datagram))
        .collect();
    let mut delivered = 0;
    while let Some((from, Datagram { to, bytes })) = queue.pop() {
        let Some(receiver) = nodes.iter().find(|node| node.me() == to) else {
            continue;
        };
        delivered += 1;
        assert!(delivered < 10_000, "they never stop answering each other");
        let mut out = Vec::new();
        receiver
            .handle_datagram(from, &bytes, now, &mut out)
            .unwrap();
        queue.extend(out.into_iter().map(|datagram| (to, datagram)));
    }
    delivered
}

/// Lets each node's timers run for so many periods, a tenth of one at a time.
fn run(nodes: &[&Protocol], from: Timestamp, periods: u32) -> Timestamp {
    let mut now = from;
    for _ in 0..periods * 10 {
        now += PERIOD / 10;
        for node in nodes {
            let mut out = Vec::new();
            node.handle_timer(now, &mut out);
            deliver(nodes, node, out, now);
        }
    }
    now
}

fn gossip(
    to: &Protocol,
    from: SocketAddr,
    claims: &[(SocketAddr, Claim)],
    now: Timestamp,
) -> Vec<Datagram> {
    let mut out = Vec::new();
    let bytes = test_datagrams::gossip(0, Incarnation::ZERO, claims);
    to.handle_datagram(from, &bytes, now, &mut out).unwrap();
    out
}

fn ping(to: &Protocol, from: SocketAddr, incarnation: u64, now: Timestamp) -> Vec<Datagram> {
    let mut out = Vec::new();
    let bytes = test_datagrams::ping(0, Incarnation::new(incarnation));
    to.handle_datagram(from, &bytes, now, &mut out).unwrap();
    out
}

/// Makes a member of an address where no node is: it answers a ping of the node's, as anybody can that is there.
fn contact(node: &Protocol, peer: SocketAddr, incarnation: u64, now: Timestamp) -> Vec<Datagram> {
    let incarnation = Incarnation::new(incarnation);
    contact_as(node, peer, peer, incarnation.get(), now)
}

/// The same of a peer that comes by the address `from`, and is known by another.
fn contact_as(
    node: &Protocol,
    from: SocketAddr,
    peer: SocketAddr,
    incarnation: u64,
    now: Timestamp,
) -> Vec<Datagram> {
    let mut out = Vec::new();
    let incarnation = Incarnation::new(incarnation);
    let join = test_datagrams::join(0, incarnation);
    node.handle_datagram(from, &join, now, &mut out).unwrap();
    let asked = out.pop().expect("a join is answered with a ping");
    assert_eq!(asked.to, peer);
    let ack = test_datagrams::answer(0, incarnation, &asked.bytes, None).unwrap();
    node.handle_datagram(from, &ack, now, &mut out).unwrap();
    out
}

/// Makes members of each other.
fn introduce(a: &Protocol, b: &Protocol, now: Timestamp) {
    let mut out = Vec::new();
    b.join([a.me()], now, &mut out);
    deliver(&[a, b], b, out, now);
    assert_eq!(b.phase(), Phase::Member);
}

fn claim(node: &Protocol, about: SocketAddr) -> Option<Claim> {
    node.tracker().get(&about).map(|state| state.claim())
}

#[test]
fn a_gossiped_node_is_unconfirmed_until_it_answers_a_probe() {
    let node = node(1);
    let (peer, other) = (address(2), address(3));
    contact(&node, peer, 0, T0);
    assert_eq!(claim(&node, peer), Some(Claim::alive(0)));
    for said in [Claim::alive(4), Claim::suspect(5), Claim::alive(900)] {
        gossip(&node, peer, &[(other, said)], T0);
        assert_eq!(claim(&node, other), Some(Claim::unconfirmed(0)), "{said}");
    }
    // A datagram with its address proves nothing: anybody can send one.
    ping(&node, other, 7, T0);
    assert_eq!(claim(&node, other), Some(Claim::unconfirmed(0)));
    contact(&node, other, 7, T0);
    assert_eq!(claim(&node, other), Some(Claim::alive(7)));
}

#[test]
fn a_strangers_gossip_introduces_only_the_stranger() {
    let node = node(1);
    let (stranger, other) = (address(2), address(3));
    gossip(&node, stranger, &[(other, Claim::alive(4))], T0);
    assert_eq!(claim(&node, other), None);
    assert_eq!(claim(&node, stranger), Some(Claim::unconfirmed(0)));
}

#[test]
fn only_an_ack_of_an_own_number_is_first_hand() {
    let node = node(1);
    let member = address(2);
    contact(&node, member, 5, T0);
    let forged = Incarnation::new(1 << 60);
    for number in [0, 1, u64::MAX] {
        for bytes in test_datagrams::all_kinds(0, forged, number, address(3), &[]) {
            node.handle_datagram(member, &bytes, T0, &mut Vec::new())
                .unwrap();
            assert_eq!(claim(&node, member), Some(Claim::alive(5)));
        }
    }
    // The member itself still counts.
    contact(&node, member, 6, T0);
    assert_eq!(claim(&node, member), Some(Claim::alive(6)));
}

#[test]
fn a_refutation_too_far_ahead_for_gossip_is_learned_by_contact() {
    let (node, member) = (node(1), address(2));
    contact(&node, member, 0, T0);
    contact(&node, address(3), 0, T0);
    let far = 1_000_000_001;
    gossip(&node, address(3), &[(member, Claim::alive(far))], T0);
    assert_eq!(claim(&node, member), Some(Claim::alive(0)));
    let mut now = T0;
    // Every other period the probe goes to a node that waits for contact.
    for _ in 0..30 {
        now += PERIOD / 10;
        let mut out = Vec::new();
        node.handle_timer(now, &mut out);
        for datagram in out {
            let incarnation = if datagram.to == member { far } else { 0 }.into();
            if let Some(ack) = test_datagrams::answer(0, incarnation, &datagram.bytes, None) {
                node.handle_datagram(datagram.to, &ack, now, &mut Vec::new())
                    .unwrap();
            }
        }
    }
    assert_eq!(claim(&node, member), Some(Claim::alive(far)));
}

#[test]
fn an_unreachable_node_is_never_accused_and_leaves_the_table() {
    let node = node(1);
    let introducer = address(2);
    contact(&node, introducer, 0, T0);
    gossip(&node, introducer, &[(address(3), Claim::alive(1))], T0);
    let mut now = T0;
    let mut probes = 0;
    // Long enough for the rounds of a node that doubts its own network, which come more rarely.
    for _ in 0..500 {
        now += PERIOD / 10;
        let mut out = Vec::new();
        node.handle_timer(now, &mut out);
        probes += out
            .iter()
            .filter(|datagram| datagram.to == address(3))
            .count();
        let status = claim(&node, address(3)).map(Claim::status);
        assert!(
            matches!(status, None | Some(Status::Unconfirmed)),
            "{status:?}"
        );
    }
    assert_eq!(probes, 1, "for its time in the table");
    assert_eq!(claim(&node, address(3)), None);
    // The one that had answered and went silent is accused all the same.
    assert!(claim(&node, introducer).is_some_and(|claim| claim.status() > Status::Alive));
    assert_eq!(node.tracker().tombstones(), 0);
}

#[test]
fn a_joining_node_asks_its_seeds_and_accuses_nobody() {
    let node = node(1);
    let seed = address(9);
    let mut out = Vec::new();
    node.join([seed], T0, &mut out);
    contact(&node, seed, 0, T0);
    let mut now = T0;
    for _ in 0..60 {
        now += PERIOD;
        node.handle_timer(now, &mut out);
    }
    assert_eq!(node.phase(), Phase::Joining);
    assert!(out.len() >= 60 && out.iter().all(|datagram| datagram.to == seed));
    assert_eq!(claim(&node, seed), Some(Claim::alive(0)));
}

#[test]
fn suspicions_end_on_time_however_often_they_are_repeated() {
    let node = node(1);
    let (victim, accuser) = (address(2), address(3));
    contact(&node, victim, 5, T0);
    contact(&node, accuser, 0, T0);
    let mut out = Vec::new();
    node.handle_timer(T0, &mut out);
    gossip(&node, accuser, &[(victim, Claim::suspect(5))], T0);
    assert_eq!(claim(&node, victim), Some(Claim::suspect(5)));
    let shortest = node.config().suspicion_timeout(3);
    let longest = node.config().lone_suspicion_timeout(3);
    let mut now = T0;
    while claim(&node, victim) == Some(Claim::suspect(5)) {
        assert!(now.since(T0) <= longest + PERIOD, "starved");
        now += PERIOD / 20;
        gossip(&node, accuser, &[(victim, Claim::suspect(5))], now);
        node.handle_timer(now, &mut out);
    }
    assert_eq!(claim(&node, victim), Some(Claim::dead(5)));
    assert!(
        now.since(T0) >= shortest,
        "too early: after {:?}",
        now.since(T0)
    );
}

#[test]
fn an_accusation_is_refuted_above_it_and_only_once() {
    let (node, peer) = (node(1), node(2));
    introduce(&node, &peer, T0);
    for accused in [
        Claim::suspect(0),
        Claim::dead(3),
        Claim::alive(9),
        Claim::left(12),
        Claim::suspect(1_000_000_000),
    ] {
        let out = gossip(&node, peer.me(), &[(node.me(), accused)], T0);
        assert_eq!(out, [], "gossip is never answered");
        let now = node.tracker().local().current();
        assert_eq!(now.get(), accused.incarnation().get() + 1, "{accused}");
        // Heard again, it needs no new incarnation.
        gossip(&node, peer.me(), &[(node.me(), accused)], T0);
        assert_eq!(node.tracker().local().current(), now);
    }
    // More than `refute_limit` ahead.
    gossip(
        &node,
        peer.me(),
        &[(node.me(), Claim::suspect(1 << 60))],
        T0,
    );
    let own = node.tracker().local().current().get();
    assert_eq!((own, node.stats().unrefuted), (1_000_000_001, 1));
    // The peer learns of it by the next probes, although it is far ahead of what it knew.
    run(&[&node, &peer], T0, 6);
    assert_eq!(claim(&peer, node.me()), Some(Claim::alive(own)));
}

#[test]
fn the_highest_of_many_accusations_in_a_datagram_is_answered_once() {
    let (node, peer) = (node(1), address(2));
    contact(&node, peer, 0, T0);
    let rising: Vec<_> = (1..=120)
        .map(|n| (node.me(), Claim::suspect(n * 1000)))
        .collect();
    gossip(&node, peer, &rising, T0);
    let own = node.tracker().local().current().get();
    assert_eq!((own, node.stats().refutations), (120_001, 1));
}

#[test]
fn a_flood_of_rising_accusations_costs_few_refutations_in_a_period() {
    let (node, peer) = (node(1), address(2));
    contact(&node, peer, 0, T0);
    for n in 1..=1000 {
        gossip(&node, peer, &[(node.me(), Claim::suspect(n * 1000))], T0);
    }
    assert_eq!(node.stats().refutations, 16);
}

#[test]
fn strangers_cannot_raise_a_nodes_own_incarnation() {
    let node = node(1);
    for accused in [Claim::suspect(0), Claim::dead(1 << 31), Claim::alive(500)] {
        gossip(&node, address(2), &[(node.me(), accused)], T0);
    }
    assert_eq!(node.tracker().local().current(), Incarnation::ZERO);
}

#[test]
fn a_strangers_death_claim_is_heard_as_a_suspicion_at_the_known_incarnation() {
    let (node, member, stranger) = (node(1), address(2), address(3));
    contact(&node, member, 5, T0);
    for said in [Claim::alive(900), Claim::dead(4), Claim::left(2)] {
        gossip(&node, stranger, &[(member, said)], T0);
        assert_eq!(claim(&node, member), Some(Claim::alive(5)), "{said}");
    }
    gossip(&node, stranger, &[(member, Claim::dead(900))], T0);
    assert_eq!(claim(&node, member), Some(Claim::suspect(5)));
    gossip(&node, stranger, &[(member, Claim::dead(900))], T0);
    assert_eq!(claim(&node, member), Some(Claim::suspect(5)));
    // A member's word counts.
    contact(&node, address(4), 0, T0);
    gossip(&node, address(4), &[(member, Claim::dead(5))], T0);
    assert_eq!(claim(&node, member), Some(Claim::dead(5)));
}

#[test]
fn a_ping_with_old_claims_is_acked_with_the_current_ones() {
    let (node, peer) = (node(1), node(2));
    introduce(&node, &peer, T0);
    let (third, fourth) = (address(3), address(4));
    for knows in [&node, &peer] {
        contact(knows, third, 5, T0);
        contact(knows, fourth, 5, T0);
    }
    gossip(&node, third, &[(fourth, Claim::dead(5))], T0);
    contact(&node, third, 8, T0);
    let stale = [(third, Claim::alive(5)), (fourth, Claim::suspect(5))];
    let ping = &test_datagrams::all_kinds(0, Incarnation::ZERO, 1, third, &stale)[0];
    let mut out = Vec::new();
    node.handle_datagram(peer.me(), ping, T0, &mut out).unwrap();
    assert_eq!(out.len(), 1);
    deliver(&[&node, &peer], &node, out, T0);
    assert_eq!(claim(&peer, third), Some(Claim::alive(8)));
    assert_eq!(claim(&peer, fourth), Some(Claim::dead(5)));
    assert!(node.stats().corrections > 0);
}

#[test]
fn gossip_and_states_are_never_answered() {
    let (node, peer) = (node(1), node(2));
    introduce(&node, &peer, T0);
    contact(&node, address(3), 8, T0);
    let old = [
        (address(3), Claim::alive(5)),
        (node.me(), Claim::dead(7)),
        (peer.me(), Claim::alive(0)),
    ];
    let kinds = test_datagrams::all_kinds(0, Incarnation::ZERO, 1, address(3), &old);
    for from in [peer.me(), address(9)] {
        // A welcome, a refusal, a table without room, a state, gossip.
        for kind in [6, 7, 8, 10, 11] {
            let mut out = Vec::new();
            node.handle_datagram(from, &kinds[kind], T0, &mut out)
                .unwrap();
            assert_eq!(out, [], "kind {kind} from {from}");
        }
    }
}

#[test]
fn tombstones_keep_the_dead_out_and_gossip_does_not_bring_them_back() {
    let (a, b) = (node(1), node(2));
    let dead = address(9);
    let nodes = [&a, &b];
    introduce(&a, &b, T0);
    for knows in nodes {
        contact(knows, dead, 3, T0);
    }
    // Both know of the death; one sweeps it out at once, the other has it for a minute more.
    gossip(&a, b.me(), &[(dead, Claim::dead(3))], T0);
    gossip(&b, a.me(), &[(dead, Claim::dead(3))], T0);
    a.tracker().remove(&dead, T0);
    assert_eq!((a.tracker().tombstones(), claim(&a, dead)), (1, None));
    // Two exchanges of whole states lie in here, and much gossip.
    let now = run(&nodes, T0, 55);
    assert_eq!(claim(&b, dead), Some(Claim::dead(3)));
    assert_eq!(claim(&a, dead), None, "what b says brought it back");
    for old in [Claim::alive(3), Claim::suspect(2), Claim::dead(3)] {
        gossip(&a, b.me(), &[(dead, old)], now);
        assert_eq!(claim(&a, dead), None, "{old}");
    }
    let mut now = run(&nodes, now, 10);
    assert_eq!(claim(&b, dead), None, "swept out");
    // Without any memory of it, neither gets it from the other, however it began.
    for knows in nodes {
        knows.tracker().forget(&dead);
    }
    contact(&a, dead, 3, now);
    gossip(&a, b.me(), &[(dead, Claim::dead(3))], now);
    for _ in 0..3 {
        now = run(&nodes, now, 70);
        assert!(claim(&b, dead).is_none_or(|claim| claim.status() == Status::Unconfirmed));
    }
    assert_eq!((claim(&a, dead), claim(&b, dead)), (None, None));
}

/// A node that begins at an incarnation and knows these seeds.
fn joining(port: u16, incarnation: u64, now: Timestamp) -> (Protocol, Vec<Datagram>) {
    let me = address(port);
    let tracker = IncarnationTracker::builder()
        .local_node(me)
        .local_incarnation(Incarnation::new(incarnation))
        .dead_retention(PERIOD * RETENTION)
        .unconfirmed_timeout(PERIOD * 20)
        .build()
        .unwrap();
    let seed = u64::from(port) + incarnation;
    let node = Protocol::new(tracker, me, Config::default(), seed).unwrap();
    let mut out = Vec::new();
    node.join([address(1), address(2)], now, &mut out);
    (node, out)
}

/// Lets a peer where no node is ask to join, under the number 9. Returns how many datagrams let it in.
fn ask_to_join(node: &Protocol, peer: SocketAddr, now: Timestamp) -> usize {
    let mut out = Vec::new();
    let join = test_datagrams::join(0, Incarnation::ZERO);
    node.handle_datagram(peer, &join, now, &mut out).unwrap();
    let asked = out.pop().expect("a join is answered with a ping");
    let ack = test_datagrams::answer(0, Incarnation::ZERO, &asked.bytes, Some(9)).unwrap();
    node.handle_datagram(peer, &ack, now, &mut out).unwrap();
    out.iter().filter(|datagram| datagram.to == peer).count()
}

#[test]
fn one_host_that_asks_to_join_time_and_again_keeps_no_other_out() {
    let a = node(1);
    let greedy = |port| SocketAddr::new([10, 0, 9, 9].into(), port);
    let mut answers: usize = (0..200).map(|_| ask_to_join(&a, greedy(1), T0)).sum();
    assert_eq!(answers, 2, "two states for one address in a period");
    answers += (2..40)
        .map(|port| ask_to_join(&a, greedy(port), T0))
        .sum::<usize>();
    assert!(answers <= 4, "{answers} states for one host");
    let other = SocketAddr::new([10, 0, 9, 8].into(), 1);
    assert_eq!(ask_to_join(&a, other, T0), 1);
}

/// How many periods the dead stay.
const RETENTION: u32 = 60;

#[test]
fn newcomers_pass_no_death_on_for_ever() {
    let mut now = T0;
    let mut nodes: Vec<_> = (1..=3).map(|port| joining(port, 0, now).0).collect();
    now = run(&nodes.iter().collect::<Vec<_>>(), now, 20);
    nodes.pop();
    now = run(&nodes.iter().collect::<Vec<_>>(), now, 40);
    let gone = address(3);
    assert_eq!(claim(&nodes[0], gone), Some(Claim::dead(0)));
    // They restart in turn; each hears of the death from the other one.
    for round in 1..=8_u16 {
        let place = usize::from(round % 2);
        let (node, out) = joining(place as u16 + 1, u64::from(round) * 37, now);
        nodes[place] = node;
        deliver(&nodes.iter().collect::<Vec<_>>(), &nodes[place], out, now);
        now = run(&nodes.iter().collect::<Vec<_>>(), now, RETENTION / 2);
    }
    for node in &nodes {
        assert_eq!(claim(node, gone), None);
    }
}

#[test]
fn a_split_heals_even_after_the_dead_were_forgotten() {
    let nodes: Vec<_> = (1..=6).map(|port| joining(port, 0, T0).0).collect();
    let all: Vec<_> = nodes.iter().collect();
    let agree = || {
        all.iter().all(|node| {
            let mut others = all.iter().filter(|other| other.me() != node.me());
            others.all(|other| {
                claim(node, other.me()).is_some_and(|claim| claim.status() == Status::Alive)
            })
        })
    };
    let mut now = run(&all, T0, 20);
    assert!(agree());
    // The seeds are on different sides.
    for side in [[0, 2, 4], [1, 3, 5]] {
        run(&side.map(|place| all[place]), now, RETENTION * 3);
    }
    now += PERIOD * (RETENTION * 3);
    assert_eq!(claim(all[0], address(4)), None, "forgotten");
    let mut periods = 0;
    while !agree() {
        now = run(&all, now, 1);
        periods += 1;
        assert!(periods < 300, "it does not heal");
    }
}

#[test]
fn a_node_that_restarts_too_low_is_told_the_required_incarnation_and_let_in() {
    let (a, b) = (node(1), node(2));
    introduce(&a, &b, T0);
    contact(&a, address(3), 0, T0);
    gossip(&a, address(3), &[(b.me(), Claim::dead(2))], T0);
    // The same node without its memory: a join at incarnation 0 is refused.
    let reborn = Protocol::new(tracker(b.me()), b.me(), Config::default(), 77).unwrap();
    let mut out = Vec::new();
    reborn.join([a.me()], T0, &mut out);
    deliver(&[&a, &reborn], &reborn, out, T0);
    assert_eq!(a.stats().zombies, 1);
    assert_eq!(
        claim(&a, b.me()),
        Some(Claim::alive(7)),
        "death at 2, and five more"
    );
    assert_eq!(
        (reborn.tracker().local().current().get(), reborn.phase()),
        (7, Phase::Member)
    );
}

#[test]
fn a_node_that_was_not_let_in_is_no_member_however_long_it_waits() {
    // A table without room.
    let me = address(1);
    let full = IncarnationTracker::builder()
        .local_node(me)
        .max_nodes(2)
        .hard_limit(2)
        .eviction_headroom(0)
        .build()
        .unwrap();
    let full = Protocol::new(full, me, Config::default(), 1).unwrap();
    contact(&full, address(8), 0, T0);
    contact(&full, address(9), 0, T0);
    let newcomer = node(2);
    let mut out = Vec::new();
    newcomer.join([me], T0, &mut out);
    deliver(&[&full, &newcomer], &newcomer, out, T0);
    assert_eq!(
        (newcomer.phase(), newcomer.stats().no_room),
        (Phase::Joining, 1)
    );
    let mut now = T0;
    for _ in 0..40 {
        now += PERIOD;
        let mut out = Vec::new();
        newcomer.handle_timer(now, &mut out);
        // The members of the full one, which hold it for alive, answer nothing here.
        deliver(&[&full, &newcomer], &newcomer, out, now);
        contact(&full, address(8), 0, now);
        contact(&full, address(9), 0, now);
    }
    assert_eq!(newcomer.phase(), Phase::Joining);
    assert!(newcomer.stats().no_room > 30);
    // A state that nobody asked for does not make it one either.
    for bytes in test_datagrams::all_kinds(0, Incarnation::ZERO, 1, address(9), &[]) {
        newcomer
            .handle_datagram(me, &bytes, now, &mut Vec::new())
            .unwrap();
    }
    assert_eq!(newcomer.phase(), Phase::Joining);
}

#[test]
fn a_newcomer_takes_deaths_only_from_a_seed_that_let_it_in() {
    let (seed, newcomer) = (node(1), node(2));
    let gone = address(9);
    contact(&seed, gone, 4, T0);
    contact(&seed, address(8), 0, T0);
    gossip(&seed, address(8), &[(gone, Claim::dead(4))], T0);
    let mut out = Vec::new();
    newcomer.join([seed.me()], T0, &mut out);
    let lies: Vec<_> = (20..40)
        .map(|port| (address(port), Claim::dead(7)))
        .collect();
    for from in [address(7), seed.me()] {
        for bytes in test_datagrams::all_kinds(0, Incarnation::ZERO, 1, gone, &lies) {
            newcomer
                .handle_datagram(from, &bytes, T0, &mut Vec::new())
                .unwrap();
        }
    }
    assert_eq!(newcomer.tracker().tombstones(), 0);
    deliver(&[&seed, &newcomer], &newcomer, out, T0);
    assert_eq!(newcomer.phase(), Phase::Member);
    assert_eq!(newcomer.tracker().tombstones(), 1);
    assert_eq!(
        newcomer.tracker().tombstone(&gone).map(|t| t.incarnation),
        Some(4.into())
    );
}

#[test]
fn a_node_has_one_entry_whatever_the_form_of_its_address() {
    let (node, peer) = (node(1), address(2));
    contact(&node, peer, 0, T0);
    let mapped = |port| format!("[::ffff:10.0.0.1]:{port}").parse().unwrap();
    assert_eq!(claim(&node, peer), Some(Claim::alive(0)));
    contact_as(&node, mapped(2), peer, 1, T0);
    assert_eq!(
        (claim(&node, peer), node.tracker().len()),
        (Some(Claim::alive(1)), 1)
    );
    let claims = [
        (mapped(2), Claim::alive(3)),
        (mapped(1), Claim::suspect(0)),
        ("127.0.0.1:2".parse().unwrap(), Claim::alive(1)),
        ("[::ffff:224.0.0.1]:2".parse().unwrap(), Claim::alive(1)),
    ];
    gossip(&node, peer, &claims, T0);
    assert_eq!(
        (claim(&node, peer), node.tracker().len()),
        (Some(Claim::alive(3)), 1)
    );
    assert_eq!(
        node.tracker().local().current().get(),
        1,
        "it is its own address, too"
    );
    assert_eq!(node.stats().unusable_addresses, 2);
}

#[test]
fn a_nodes_own_datagrams_are_dropped_by_whatever_address_they_come() {
    let node = node(1);
    let mut out = Vec::new();
    node.join([address(5)], T0, &mut out);
    for from in [address(5), address(6)] {
        let handled = node.handle_datagram(from, &out[0].bytes, T0, &mut Vec::new());
        assert_eq!(handled, Err(Dropped::Own));
    }
}

#[test]
fn a_peer_that_restarts_at_its_old_incarnation_is_counted() {
    let (a, b) = (node(1), node(2));
    introduce(&a, &b, T0);
    assert_eq!(a.stats().same_incarnation_restarts, 0);
    let again = Protocol::new(tracker(b.me()), b.me(), Config::default(), 77).unwrap();
    introduce(&a, &again, T0);
    assert_eq!(a.stats().same_incarnation_restarts, 1);
}

#[test]
fn a_node_that_leaves_is_left_everywhere_and_refutes_nothing() {
    let (a, b) = (node(1), node(2));
    let mut out = Vec::new();
    b.join([a.me()], T0, &mut out);
    deliver(&[&a, &b], &b, out, T0);
    let mut out = Vec::new();
    b.leave(&mut out);
    deliver(&[&a, &b], &b, out, T0);
    assert_eq!(claim(&a, b.me()), Some(Claim::left(0)));
    // Whatever it still says does not raise it, nor does it defend itself.
    run(&[&a, &b], T0, 5);
    gossip(&b, a.me(), &[(b.me(), Claim::dead(0))], T0);
    assert_eq!(claim(&a, b.me()), Some(Claim::left(0)));
    assert_eq!(b.tracker().local().current(), Incarnation::ZERO);
}

#[test]
fn a_probe_widens_through_others_before_it_accuses() {
    let (a, helper) = (node(1), node(2));
    let cut_off = address(3);
    introduce(&a, &helper, T0);
    contact(&a, cut_off, 0, T0);
    contact(&helper, cut_off, 0, T0);
    let mut now = T0;
    let mut helped = 0;
    // `a` never hears from the one that is cut off, but the helper does: each probe is answered.
    for _ in 0..400 {
        now += PERIOD / 20;
        let mut out = Vec::new();
        a.handle_timer(now, &mut out);
        for datagram in out
            .extract_if(.., |datagram| datagram.to == helper.me())
            .collect::<Vec<_>>()
        {
            let mut answers = Vec::new();
            helper
                .handle_datagram(a.me(), &datagram.bytes, now, &mut answers)
                .unwrap();
            for answer in answers {
                if answer.to == cut_off {
                    helped += 1;
                    let silent = node(3);
                    let mut acks = Vec::new();
                    silent
                        .handle_datagram(helper.me(), &answer.bytes, now, &mut acks)
                        .unwrap();
                    for ack in acks {
                        let mut relayed = Vec::new();
                        helper
                            .handle_datagram(cut_off, &ack.bytes, now, &mut relayed)
                            .unwrap();
                        for answer in relayed {
                            a.handle_datagram(helper.me(), &answer.bytes, now, &mut Vec::new())
                                .unwrap();
                        }
                    }
                } else {
                    a.handle_datagram(helper.me(), &answer.bytes, now, &mut Vec::new())
                        .unwrap();
                }
            }
        }
    }
    assert!(helped > 3);
    assert_eq!(claim(&a, cut_off), Some(Claim::alive(0)));
    assert_eq!(a.stats().suspicions, 0);
}

#[test]
fn a_bad_datagram_is_counted_and_changes_nothing() {
    let node = node(1);
    let claims = [
        (address(3), Claim::alive(1)),
        (address(1), Claim::suspect(0)),
    ];
    let good = test_datagrams::gossip(0, Incarnation::ZERO, &claims);
    let foreign = test_datagrams::gossip(5, Incarnation::ZERO, &claims);
    let mut newer = good.clone();
    newer[0] = 200;
    let cases = [
        (
            good[..good.len() - 1].to_vec(),
            address(2),
            Dropped::Malformed,
        ),
        ([&good[..], &[0]].concat(), address(2), Dropped::Malformed),
        (Vec::new(), address(2), Dropped::Malformed),
        (foreign, address(2), Dropped::Foreign),
        (newer, address(2), Dropped::Version),
        (vec![0; 2000], address(2), Dropped::Oversized),
        (good.clone(), address(1), Dropped::Sender),
        (good.clone(), address(0), Dropped::Sender),
    ];
    for (bytes, from, reason) in cases {
        let before = node.stats().dropped(reason);
        let mut out = Vec::new();
        assert_eq!(
            node.handle_datagram(from, &bytes, T0, &mut out),
            Err(reason)
        );
        assert_eq!(node.stats().dropped(reason), before + 1);
        assert!(out.is_empty() && node.tracker().is_empty(), "{reason}");
        assert_eq!(node.tracker().local().current(), Incarnation::ZERO);
    }
    assert_eq!(node.stats().all_dropped(), 8);
    node.handle_datagram(address(2), &good, T0, &mut Vec::new())
        .unwrap();
    assert_eq!(node.tracker().len(), 1);
}

#[test]
fn arbitrary_datagrams_break_no_node() {
    let mut dice = Rng::with_seed(1);
    for round in 0..3000 {
        let claims: Vec<_> = (0..dice.u64(..9))
            .map(|_| {
                let status = Status::ALL[dice.usize(..5)];
                (
                    address(dice.u16(..70)),
                    Claim::new(status, dice.u64(..) >> dice.u64(..64)),
                )
            })
            .collect();
        let own = Incarnation::new(dice.u64(..) >> dice.u64(..64));
        let mut data = Vec::new();
        for _ in 0..1 + dice.u64(..6) {
            let target = address(dice.u16(1..70));
            let mut kinds = test_datagrams::all_kinds(0, own, dice.u64(..), target, &claims);
            let mut bytes = kinds.swap_remove(dice.usize(..kinds.len()));
            if round % 2 == 0 {
                let at = dice.usize(..bytes.len());
                bytes[at] ^= 1 << dice.u64(..8);
            }
            if dice.u64(..4) == 0 {
                // It joins, leaves, or talks to a peer.
                data.extend([dice.u8(..3), 0, 255]);
            }
            data.extend((bytes.len() as u16).to_le_bytes());
            data.push(dice.u8(..9));
            data.extend(bytes);
        }
        fuzz::datagram(&data);
    }
}

#[test]
fn many_threads_may_receive_at_once() {
    const THREADS: u16 = 4;
    const PEERS: u16 = 50;
    let node = node(1);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let node = &node;
            scope.spawn(move || {
                let mut dice = Rng::with_seed(u64::from(thread));
                let mut out = Vec::new();
                for round in 0..2000_u64 {
                    let now = T0 + Duration::from_millis(round);
                    let from = address(2 + dice.u16(..PEERS));
                    let about = address(1 + dice.u16(..=PEERS));
                    let said = Claim::new(Status::ALL[1 + dice.usize(..2)], round / 100);
                    let bytes =
                        test_datagrams::gossip(0, Incarnation::new(round / 100), &[(about, said)]);
                    node.handle_datagram(from, &bytes, now, &mut out).unwrap();
                    if dice.u64(..10) == 0 {
                        node.handle_timer(now, &mut out);
                    }
                    out.clear();
                }
            });
        }
    });
    assert_eq!(node.stats().received, u64::from(THREADS) * 2000);
    // A last word of each at a higher incarnation, and the table is what was said last.
    for port in 2..2 + PEERS {
        contact(&node, address(port), 30, T0 + Duration::from_secs(3));
        assert_eq!(claim(&node, address(port)), Some(Claim::alive(30)));
    }
    assert_eq!(node.tracker().len(), usize::from(PEERS));
    assert!(node.pending_news() <= usize::from(PEERS) + 1);
}

#[test]
fn news_stops_when_it_was_told_often_enough() {
    let (a, b) = (node(1), node(2));
    let mut out = Vec::new();
    b.join([a.me()], T0, &mut out);
    deliver(&[&a, &b], &b, out, T0);
    assert!(a.pending_news() + b.pending_news() > 0);
    // News of the receiver itself is kept for others, of whom there are none.
    run(&[&a, &b], T0, 20);
    let known = [&a, &b].map(|node| node.pending_news());
    assert!(known.into_iter().all(|news| news <= 1), "{known:?}");
}

#[test]
fn the_tracker_must_be_the_nodes_own() {
    let made = Protocol::new(tracker(address(1)), address(2), Config::default(), 1);
    assert_eq!(made.unwrap_err(), ConfigError::NotTheLocalNode);
}
