//! The body of the fuzz target `datagram`: any bytes, as one datagram or several, against a node.
//! Called by the fuzzer and, over a fixed set of inputs, by this crate's tests.

use std::net::SocketAddr;

use incarnation::{IncarnationTracker, Timestamp};

use crate::{Config, Protocol};

/// Handles `data` as datagrams: each begins with its length (2 bytes, little-endian) and a byte that
/// chooses its sender. Checks that a dropped datagram changes nothing, and that whatever the node
/// sends is short enough and understood by a peer.
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
