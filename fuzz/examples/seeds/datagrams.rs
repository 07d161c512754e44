//! Datagrams as nodes send them: what two of them say to each other, and what was made by hand.

use std::net::SocketAddr;

use incarnation::{Claim, Incarnation, IncarnationTracker, Status, Timestamp};
use incarnation_swim::{Config, Protocol, test_datagrams};

use super::Seeds;

/// The cluster of the target's node, which has the port 1.
const CLUSTER: u32 = 0;

fn address(port: u16) -> SocketAddr {
    SocketAddr::new([10, 0, 0, 1].into(), port)
}

fn node(port: u16) -> Protocol {
    let me = address(port);
    let tracker = IncarnationTracker::builder().local_node(me).build();
    let tracker = tracker.expect("its limits are the default ones");
    Protocol::new(tracker, me, Config::default(), u64::from(port)).expect("the default")
}

/// Datagrams of these ports, each behind its length and its sender.
fn input(datagrams: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut input = Vec::new();
    for (sender, bytes) in datagrams {
        let length = u16::try_from(bytes.len()).expect("shorter than a datagram may be");
        input.extend(length.to_le_bytes());
        input.push(*sender);
        input.extend(bytes);
    }
    input
}

/// What a node hears, and says, that joins the target's, for some rounds: joins, whole states, pings,
/// acks, indirect probes of a node that does not answer.
fn conversation() -> Vec<(u8, Vec<u8>)> {
    let nodes = [node(1), node(2), node(3)];
    let (mut out, mut heard) = (Vec::new(), Vec::new());
    let mut now = Timestamp::ZERO;
    for joining in 1..nodes.len() {
        nodes[joining].join([address(1)], now, &mut out);
        deliver(&nodes, joining, &mut out, now, &mut heard);
    }
    let lost = test_datagrams::gossip(CLUSTER, Incarnation::ZERO, &[(address(9), Claim::alive(1))]);
    let _ = nodes[1].handle_datagram(address(3), &lost, now, &mut out);
    for _ in 0..12 {
        for (number, node) in nodes.iter().enumerate() {
            now = now.max(node.handle_timer(now, &mut out));
            deliver(&nodes, number, &mut out, now, &mut heard);
        }
    }
    heard
}

/// Delivers all of it, and what is answered; notes what the first node hears.
fn deliver(
    nodes: &[Protocol],
    from: usize,
    out: &mut Vec<incarnation_swim::Datagram>,
    now: Timestamp,
    heard: &mut Vec<(u8, Vec<u8>)>,
) {
    // The first node has the port 1.
    let from = address(from as u16 + 1);
    let mut left: Vec<_> = out.drain(..).map(|datagram| (from, datagram)).collect();
    while let Some((sender, datagram)) = left.pop() {
        let number = usize::from(datagram.to.port()).wrapping_sub(1);
        let Some(to) = nodes.get(number) else {
            continue;
        };
        if datagram.to == address(1) {
            heard.push((sender.port() as u8, datagram.bytes.clone()));
        }
        let mut answers = Vec::new();
        let _ = to.handle_datagram(sender, &datagram.bytes, now, &mut answers);
        left.extend(answers.into_iter().map(|answer| (datagram.to, answer)));
    }
}

pub fn seeds() -> Seeds {
    let own = Incarnation::new(3);
    let said = |claims: &[(u16, Claim)]| {
        let claims: Vec<_> = claims
            .iter()
            .map(|(port, claim)| (address(*port), *claim))
            .collect();
        test_datagrams::gossip(CLUSTER, own, &claims)
    };
    let flood: Vec<_> = (4..80).map(|port| (port, Claim::alive(1))).collect();
    let statuses: Vec<_> = (4..)
        .zip(&Status::ALL[1..])
        .map(|(port, status)| (port, Claim::new(*status, 7)))
        .collect();
    let mut damaged = said(&statuses);
    damaged[17] ^= 0x40;
    let mut seeds: Seeds = [
        ("join", vec![(2, test_datagrams::join(CLUSTER, own))]),
        (
            "zombie",
            vec![
                (3, said(&[(2, Claim::dead(9))])),
                (2, test_datagrams::join(CLUSTER, own)),
            ],
        ),
        (
            "accusation",
            vec![
                (2, said(&[(1, Claim::suspect(0))])),
                (2, said(&[(1, Claim::dead(5000))])),
            ],
        ),
        ("statuses", vec![(2, said(&statuses))]),
        ("flood", vec![(2, said(&flood))]),
        (
            "highest",
            vec![(2, test_datagrams::ping(CLUSTER, Incarnation::MAX))],
        ),
        ("foreign", vec![(2, test_datagrams::ping(CLUSTER + 1, own))]),
        ("own-address", vec![(1, test_datagrams::ping(CLUSTER, own))]),
        ("nobody", vec![(0, test_datagrams::ping(CLUSTER, own))]),
        ("damaged", vec![(2, damaged)]),
        ("empty", vec![(2, Vec::new())]),
        ("conversation", conversation()),
    ]
    .map(|(name, datagrams)| (name.to_owned(), input(&datagrams)))
    .into();
    for (name, message) in kinds() {
        seeds.push((format!("message-{name}"), input(&[(2, message)])));
    }
    // The sender 255 is a command: 0 joins, 1 leaves, 2 joins and lets the peer answer.
    let command = |which: u8| vec![which, 0, 255];
    let accusation = input(&[(2, said(&[(1, Claim::suspect(9))]))]);
    let ping = input(&[(2, test_datagrams::ping(CLUSTER, own))]);
    for (name, parts) in [
        ("joins", [command(0), ping.clone(), accusation.clone()]),
        ("is-let-in", [command(2), ping.clone(), accusation.clone()]),
        (
            "leaves",
            [command(2), command(1), [ping, accusation].concat()],
        ),
    ] {
        seeds.push((name.to_owned(), parts.concat()));
    }
    seeds
}

/// Each kind of message, of a sender at incarnation 3, without claims.
fn kinds() -> Vec<(&'static str, Vec<u8>)> {
    let names = [
        "ping", "ack", "ping-req", "relayed", "nack", "join", "welcome", "refused", "no-room",
        "sync", "state", "gossip",
    ];
    let kinds = test_datagrams::all_kinds(CLUSTER, Incarnation::new(3), 5, address(9), &[]);
    assert_eq!(names.len(), kinds.len());
    names.into_iter().zip(kinds).collect()
}
