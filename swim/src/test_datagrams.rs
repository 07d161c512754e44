//! Datagrams made by hand, true or not: for tests and demonstrations that need a zombie, a liar or a
//! flood. The protocol itself never calls this.

use std::net::SocketAddr;

use incarnation::{Claim, Incarnation, Status};

use crate::wire::{Item, Message, Writer};

/// The process number of all that is made here.
const PROCESS: u64 = 0x6d61_6465_2062_7920;

fn write(
    cluster: u32,
    incarnation: Incarnation,
    message: Message,
    claims: &[(SocketAddr, Claim)],
) -> Vec<u8> {
    let mut writer = Writer::new(cluster, PROCESS, incarnation, message, MAX);
    for &(node, claim) in claims {
        if claim.status() != Status::Unconfirmed && !writer.push(&Item::new(node, claim)) {
            break;
        }
    }
    writer.finish()
}

/// A request to be let in, by a node at this incarnation.
#[must_use]
pub fn join(cluster: u32, incarnation: Incarnation) -> Vec<u8> {
    write(cluster, incarnation, Message::Join, &[])
}

/// A ping by a node at this incarnation.
#[must_use]
pub fn ping(cluster: u32, incarnation: Incarnation) -> Vec<u8> {
    write(cluster, incarnation, Message::Ping { seq: 0 }, &[])
}

/// A request for the whole state, under a number.
#[must_use]
pub fn sync(cluster: u32, incarnation: Incarnation, number: u64) -> Vec<u8> {
    let pull = Some(number);
    write(cluster, incarnation, Message::Sync { pull }, &[])
}

/// Gossip by a node at this incarnation: as many of the claims as fit into 1400 bytes. Claims of
/// being Unconfirmed are left out; they can't be sent.
#[must_use]
pub fn gossip(cluster: u32, incarnation: Incarnation, claims: &[(SocketAddr, Claim)]) -> Vec<u8> {
    write(cluster, incarnation, Message::Gossip, claims)
}

/// One of each message with these claims, its numbers made of `number`. Any sender that
/// knows the format can send these.
#[must_use]
pub fn all_kinds(
    cluster: u32,
    incarnation: Incarnation,
    number: u64,
    target: SocketAddr,
    claims: &[(SocketAddr, Claim)],
) -> Vec<Vec<u8>> {
    let seq = number;
    let some = Some(number);
    let messages = [
        Message::Ping { seq },
        Message::Ack {
            seq,
            ask: some,
            join: some,
        },
        Message::PingReq { seq, target },
        Message::Relayed { seq },
        Message::Nack { seq },
        Message::Join,
        Message::Welcome { join: number },
        Message::Refused {
            join: number,
            required: number,
        },
        Message::NoRoom { join: number },
        Message::Sync { pull: some },
        Message::State { pull: number },
        Message::Gossip,
    ];
    let write = |message| write(cluster, incarnation, message, claims);
    messages.into_iter().map(write).collect()
}

/// The answer to the ping in `datagram` (or to an ack that asks back), as a peer gives it that is there. With a number
/// in `join`, it asks to be let in. `None` if the datagram asks nothing.
#[must_use]
pub fn answer(
    cluster: u32,
    incarnation: Incarnation,
    datagram: &[u8],
    join: Option<u64>,
) -> Option<Vec<u8>> {
    let packet = crate::wire::decode(datagram, cluster, MAX).ok()?;
    let seq = match packet.message {
        Message::Ping { seq } | Message::Ack { ask: Some(seq), .. } => seq,
        _ => return None,
    };
    let ask = None;
    let ack = Message::Ack { seq, ask, join };
    Some(write(cluster, incarnation, ack, &[]))
}

/// The default of [`Config::max_datagram`](crate::Config::max_datagram).
const MAX: usize = 1400;
