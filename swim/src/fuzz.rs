//! The body of the fuzz target `datagram`: any bytes, as one datagram or several, against a node that joins, is a member,
//! and leaves. Called by the fuzzer and, over a fixed set of inputs, by this crate's tests.

use std::net::SocketAddr;

use incarnation::{IncarnationTracker, Timestamp};

use crate::{Config, Protocol};

/// Handles `data` as datagrams: each begins with its length (2 bytes, little-endian) and a byte that
/// chooses its sender. The sender 255 is none: the low bits of the length say whether the node joins by way of its
/// peer, leaves, or lets the peer answer what was sent to it. Checks that a dropped datagram changes nothing, that each
/// datagram of the node is short enough and understood by a peer, and that a datagram is answered by few.
///
/// # Panics
///
/// If one of these does not hold: that is what the fuzzer looks for.
pub fn datagram(data: &[u8]) {
    let (me, peer) = (address(1), address(2));
    let (Some(node), Some(other)) = (node(me), node(peer)) else {
        return;
    };
    let mut now = Timestamp::ZERO;
    let mut out = Vec::new();
    let mut rest = data;
    while let Some((&[low, high, sender], after)) = rest.split_first_chunk::<3>() {
        let length = usize::from(u16::from_le_bytes([low, high])).min(after.len());
        let (bytes, after) = after.split_at(length);
        rest = after;
        if sender == COMMAND {
            match low % 3 {
                0 => node.join([peer], now, &mut out),
                1 => node.leave(&mut out),
                _ => converse(&node, &other, now),
            }
            out.clear();
            continue;
        }
        let before = contents(&node);
        let handled = node.handle_datagram(address(sender), bytes, now, &mut out);
        if handled.is_err() {
            assert_eq!(
                before,
                contents(&node),
                "a dropped datagram changed something"
            );
            assert!(out.is_empty(), "a dropped datagram was answered");
        }
        assert!(
            out.len() <= ANSWERS,
            "{} answers to one datagram",
            out.len()
        );
        now = node.handle_timer(now, &mut out);
        for datagram in out.drain(..) {
            assert!(datagram.bytes.len() <= node.config().max_datagram);
            let understood = other.handle_datagram(me, &datagram.bytes, now, &mut Vec::new());
            assert_eq!(understood, Ok(()));
        }
        assert!(node.tracker().len() <= HARD_LIMIT);
    }
}

const HARD_LIMIT: usize = 48;
/// The sender byte that stands for a command.
const COMMAND: u8 = 255;
/// An ack, and the whole state in as many datagrams as it takes here.
const ANSWERS: usize = 4;

/// The node joins by way of its peer, and both answer each other until they have nothing more to say.
fn converse(node: &Protocol, peer: &Protocol, now: Timestamp) {
    let mut out = Vec::new();
    node.join([peer.me()], now, &mut out);
    let mut said: Vec<_> = out
        .drain(..)
        .map(|datagram| (node.me(), datagram))
        .collect();
    let mut count = 0;
    while let Some((from, datagram)) = said.pop() {
        count += 1;
        assert!(count < 100, "they never stop answering each other");
        let to = match datagram.to {
            to if to == node.me() => node,
            to if to == peer.me() => peer,
            _ => continue,
        };
        let handled = to.handle_datagram(from, &datagram.bytes, now, &mut out);
        assert_eq!(handled, Ok(()));
        said.extend(out.drain(..).map(|datagram| (to.me(), datagram)));
    }
}

fn address(port: u8) -> SocketAddr {
    SocketAddr::new([10, 0, 0, 1].into(), u16::from(port))
}

fn node(me: SocketAddr) -> Option<Protocol> {
    let tracker = IncarnationTracker::builder()
        .local_node(me)
        .max_nodes(32)
        .hard_limit(HARD_LIMIT)
        .build();
    Protocol::new(tracker.ok()?, me, Config::default(), 7).ok()
}

/// All that a datagram could change.
fn contents(node: &Protocol) -> impl PartialEq + core::fmt::Debug + use<> {
    let mut members: Vec<_> = node.tracker().iter().collect();
    members.sort_by_key(|(key, _)| *key);
    let members: Vec<_> = members.iter().map(|(key, state)| (*key, *state)).collect();
    let tracker = node.tracker();
    let own = (tracker.local().current(), node.phase(), node.health());
    (members, tracker.tombstones(), own, node.pending_news())
}
