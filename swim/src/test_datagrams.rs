//! Datagrams made by hand, true or not: for tests and demonstrations that need a zombie, a liar or a
//! flood. The protocol itself never calls this.

use std::net::SocketAddr;

use incarnation::{Claim, Incarnation, Status};

use crate::wire::{Item, Message, Writer};

/// A request to join by a node at this incarnation.
#[must_use]
pub fn join(cluster: u32, incarnation: Incarnation) -> Vec<u8> {
    Writer::new(cluster, incarnation, Message::Join, MAX).finish()
}

/// A ping by a node at this incarnation.
#[must_use]
pub fn ping(cluster: u32, incarnation: Incarnation) -> Vec<u8> {
    Writer::new(cluster, incarnation, Message::Ping { seq: 0 }, MAX).finish()
}

/// Gossip by a node at this incarnation: as many of the claims as fit into 1400 bytes. Claims of
/// being Unconfirmed are left out; they can't be sent.
#[must_use]
pub fn gossip(cluster: u32, incarnation: Incarnation, claims: &[(SocketAddr, Claim)]) -> Vec<u8> {
    let mut writer = Writer::new(cluster, incarnation, Message::Gossip, MAX);
    for &(node, claim) in claims {
        if claim.status() != Status::Unconfirmed && !writer.push(Item { node, claim }) {
            break;
        }
    }
    writer.finish()
}

/// The default of [`Config::max_datagram`](crate::Config::max_datagram).
const MAX: usize = 1400;
