//! Datagrams: how messages and claims become bytes, and the suspicion with which bytes are read.
//!
//! `version | cluster (4, little-endian) | number of claims | message | claims`, message and claims
//! in postcard's encoding. A datagram counts as a whole or not at all: it is decoded to its last
//! byte before anything acts on it. Nothing here authenticates: that is the network's business.

use core::fmt;
use std::net::SocketAddr;

use incarnation::{Claim, Incarnation, Status};
use serde::{Deserialize, Serialize};

/// Of the wire format. Members of different versions don't hear each other.
const VERSION: u8 = 1;
const HEADER: usize = 6;
/// Their number is one byte.
const MAX_ITEMS: usize = u8::MAX as usize;
/// No message and no claim is longer: an address of 19 bytes, a number of 10, and change.
const MAX_PART: usize = 48;

/// What a datagram asks or answers. Every datagram carries claims beside it (SWIM, section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Message {
    /// Are you there? Answered with an `Ack` of the same number.
    Ping {
        seq: u32,
    },
    Ack {
        seq: u32,
    },
    /// Please ping `target` for me. Answered with `Relayed` if it answers, `Nack` if not.
    PingReq {
        seq: u32,
        target: SocketAddr,
    },
    Relayed {
        seq: u32,
    },
    /// I asked, but it has not answered (Lifeguard, section IV-A: so the asker's own network works).
    Nack {
        seq: u32,
    },
    /// I have just started: let me in, and tell me all you know. Answered with `Sync` or `Refused`.
    Join,
    /// You died not long ago: come back at this incarnation or above.
    Refused {
        required: u64,
    },
    /// Part of all I know; `pull`: tell me all you know.
    Sync {
        pull: bool,
    },
    /// Just the claims.
    Gossip,
}

/// A claim about a node on its way from datagram to tracker or back; nobody keeps one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) node: SocketAddr,
    pub(crate) claim: Claim,
}

/// An item's encoding.
#[derive(Serialize, Deserialize)]
struct RawItem {
    node: SocketAddr,
    rank: u8,
    incarnation: u64,
}

/// The part before the claims.
#[derive(Serialize, Deserialize)]
struct RawHead {
    incarnation: u64,
    message: Message,
}

/// A datagram, understood.
#[derive(Debug)]
pub(crate) struct Packet {
    /// The sender's own.
    pub(crate) incarnation: Incarnation,
    pub(crate) message: Message,
    pub(crate) items: Vec<Item>,
}

/// Why a datagram was dropped. It changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dropped {
    /// Longer than `max_datagram`.
    Oversized,
    /// Of another version of the wire format.
    Version,
    /// Of another cluster.
    Foreign,
    /// Not a whole datagram, or one that no node of this protocol sends.
    Malformed,
    /// From this node's own address, or from one that can't be a node's.
    Sender,
}

impl Dropped {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Oversized,
        Self::Version,
        Self::Foreign,
        Self::Malformed,
        Self::Sender,
    ];
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Oversized => "longer than a datagram may be",
            Self::Version => "another version of the wire format",
            Self::Foreign => "another cluster's",
            Self::Malformed => "malformed",
            Self::Sender => "from an address that can't be a peer's",
        })
    }
}

impl core::error::Error for Dropped {}

/// Whether a datagram can be sent there, and only one node lives there.
pub(crate) fn is_addressable(address: SocketAddr) -> bool {
    let ip = address.ip();
    let broadcast = matches!(ip, std::net::IpAddr::V4(ip) if ip.is_broadcast());
    !(address.port() == 0 || ip.is_unspecified() || ip.is_multicast() || broadcast)
}

pub(crate) fn decode(bytes: &[u8], cluster: u32, max_datagram: usize) -> Result<Packet, Dropped> {
    if bytes.len() > max_datagram {
        return Err(Dropped::Oversized);
    }
    let Some((header, body)) = bytes.split_first_chunk::<HEADER>() else {
        return Err(Dropped::Malformed);
    };
    let [version, c0, c1, c2, c3, count] = *header;
    if version != VERSION {
        return Err(Dropped::Version);
    }
    if u32::from_le_bytes([c0, c1, c2, c3]) != cluster {
        return Err(Dropped::Foreign);
    }
    read(body, usize::from(count)).ok_or(Dropped::Malformed)
}

fn read(body: &[u8], count: usize) -> Option<Packet> {
    let (head, mut rest) = postcard::take_from_bytes::<RawHead>(body).ok()?;
    if let Message::PingReq { target, .. } = head.message
        && !is_addressable(target)
    {
        return None;
    }
    let mut items = Vec::with_capacity(count);
    for _ in 0..count {
        let (raw, after) = postcard::take_from_bytes::<RawItem>(rest).ok()?;
        rest = after;
        items.push(raw.check()?);
    }
    rest.is_empty().then_some(Packet {
        incarnation: Incarnation::new(head.incarnation),
        message: head.message,
        items,
    })
}

impl RawItem {
    fn check(self) -> Option<Item> {
        let status = Status::from_rank(self.rank)?;
        // Whom nobody has reached is not passed on, so no honest node sends `Unconfirmed`.
        (status != Status::Unconfirmed && is_addressable(self.node)).then(|| Item {
            node: self.node,
            claim: Claim::new(status, self.incarnation),
        })
    }
}

/// A datagram in the making, never longer than it may be.
pub(crate) struct Writer {
    bytes: Vec<u8>,
    max: usize,
    items: usize,
}

impl Writer {
    pub(crate) fn new(cluster: u32, own: Incarnation, message: Message, max: usize) -> Self {
        let mut bytes = Vec::with_capacity(max);
        bytes.push(VERSION);
        bytes.extend(cluster.to_le_bytes());
        bytes.push(0);
        let mut writer = Self {
            bytes,
            max,
            items: 0,
        };
        let head = RawHead {
            incarnation: own.get(),
            message,
        };
        let fits = writer.append(&head);
        debug_assert!(fits, "the shortest datagram has room for a message");
        writer
    }

    fn append(&mut self, part: &impl Serialize) -> bool {
        let mut buffer = [0; MAX_PART];
        let Ok(part) = postcard::to_slice(part, &mut buffer) else {
            debug_assert!(false, "a part longer than any");
            return false;
        };
        let fits = self.bytes.len() + part.len() <= self.max;
        if fits {
            self.bytes.extend_from_slice(part);
        }
        fits
    }

    /// Adds a claim; false, and no change, if there is no room for it.
    pub(crate) fn push(&mut self, item: Item) -> bool {
        debug_assert!(item.claim.status() != Status::Unconfirmed, "not passed on");
        if self.items == MAX_ITEMS {
            return false;
        }
        let added = self.append(&RawItem {
            node: item.node,
            rank: item.claim.status().rank(),
            incarnation: item.claim.incarnation().get(),
        });
        self.items += usize::from(added);
        added
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        // At most MAX_ITEMS.
        self.bytes[HEADER - 1] = self.items as u8;
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 1400;

    fn datagram(message: Message, claims: &[(&str, Claim)]) -> Vec<u8> {
        let mut writer = Writer::new(7, Incarnation::new(3), message, MAX);
        for (node, claim) in claims {
            assert!(writer.push(Item {
                node: node.parse().unwrap(),
                claim: *claim
            }));
        }
        writer.finish()
    }

    fn example() -> Vec<u8> {
        let target = "[2001:db8::1]:65535".parse().unwrap();
        let claims = [
            ("10.0.0.1:7946", Claim::suspect(u64::MAX)),
            ("[2001:db8::2]:1", Claim::left(0)),
        ];
        datagram(
            Message::PingReq {
                seq: u32::MAX,
                target,
            },
            &claims,
        )
    }

    #[test]
    fn what_is_written_is_read() {
        let packet = decode(&example(), 7, MAX).unwrap();
        assert_eq!(packet.incarnation, Incarnation::new(3));
        assert!(matches!(
            packet.message,
            Message::PingReq { seq: u32::MAX, .. }
        ));
        assert_eq!(packet.items.len(), 2);
        assert_eq!(packet.items[0].claim, Claim::suspect(u64::MAX));
        assert_eq!(packet.items[1].claim, Claim::left(0));
    }

    #[test]
    fn every_truncation_and_every_extension_is_dropped() {
        let whole = example();
        for end in 0..whole.len() {
            assert!(decode(&whole[..end], 7, MAX).is_err(), "{end} bytes");
        }
        let mut longer = whole.clone();
        longer.push(0);
        assert_eq!(decode(&longer, 7, MAX).unwrap_err(), Dropped::Malformed);
    }

    #[test]
    fn strangers_are_told_apart() {
        let whole = example();
        assert_eq!(decode(&whole, 8, MAX).unwrap_err(), Dropped::Foreign);
        assert_eq!(
            decode(&whole, 7, whole.len() - 1).unwrap_err(),
            Dropped::Oversized
        );
        let mut newer = whole;
        newer[0] += 1;
        assert_eq!(decode(&newer, 7, MAX).unwrap_err(), Dropped::Version);
    }

    #[test]
    fn claims_that_no_node_makes_are_malformed() {
        let good = RawItem {
            node: "10.0.0.1:1".parse().unwrap(),
            rank: 2,
            incarnation: 0,
        };
        assert!(good.check().is_some());
        let bad = [
            ("10.0.0.1:0", 2),
            ("0.0.0.0:1", 2),
            ("224.0.0.1:1", 2),
            ("10.0.0.1:1", 0),
        ];
        for (node, rank) in bad
            .into_iter()
            .chain([("10.0.0.1:1", 1), ("10.0.0.1:1", 6)])
        {
            let raw = RawItem {
                node: node.parse().unwrap(),
                rank,
                incarnation: 0,
            };
            assert!(raw.check().is_none(), "{node} {rank}");
        }
    }

    #[test]
    fn a_datagram_is_never_too_long() {
        for max in [128, 500, 1400, 65_507] {
            let mut writer = Writer::new(7, Incarnation::MAX, Message::Gossip, max);
            for port in 1..=300 {
                let node = SocketAddr::new([10, 0, 0, 1].into(), port);
                writer.push(Item {
                    node,
                    claim: Claim::alive(u64::from(port)),
                });
            }
            let items = writer.items;
            let bytes = writer.finish();
            assert!(bytes.len() <= max && items <= 255);
            assert_eq!(decode(&bytes, 7, max).unwrap().items.len(), items);
        }
    }
}
