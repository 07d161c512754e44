//! Datagrams: how messages and claims become bytes, and how bytes are read. `docs/wire.md` describes the format and what
//! of it can be trusted.
//!
//! `version | cluster (4, little-endian) | process (8, little-endian) | number of claims | message | claims`, message and
//! claims in postcard's encoding; a `Join` is followed by zeros. A datagram counts as a whole or not at all: it is decoded
//! to its last byte before anything acts on it.

use core::fmt;
use std::net::SocketAddr;

use incarnation::{Claim, Incarnation, Status};
use serde::{Deserialize, Serialize};

use crate::suspicions::MAX_ACCUSERS;

/// Of the wire format. Members of different versions don't hear each other.
const VERSION: u8 = 2;
const HEADER: usize = 14;
/// Their number is one byte.
const MAX_ITEMS: usize = u8::MAX as usize;
/// No message and no claim is longer: an address takes 19 bytes, a number 10.
const MAX_PART: usize = 32 + 19 * MAX_ACCUSERS;
/// The length of a `Join`, and more than that of any answer to a stranger: nothing is gained by sending one in another
/// node's name.
pub(crate) const JOIN_SIZE: usize = 128;

/// What a datagram asks or answers. Every datagram carries claims beside it (SWIM, section 4.1).
///
/// Numbers are chosen by the asker, so that no other host knows them ([`Numbers`](crate::numbers::Numbers)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Message {
    /// Are you there? Answered with an `Ack` of the same number.
    Ping { seq: u64 },
    /// I am.
    Ack {
        seq: u64,
        /// Are you? For a peer that is no member here: answered with an `Ack` of this number.
        ask: Option<u64>,
        /// Let me in, and tell me all you know. Answered with `Welcome`, `Refused` or `NoRoom` of this number.
        join: Option<u64>,
    },
    /// Please ping `target` for me. Answered with `Relayed` if it answers, `Nack` if not.
    PingReq { seq: u64, target: SocketAddr },
    /// It answered me.
    Relayed { seq: u64 },
    /// I asked, but it has not answered (Lifeguard, section IV-A: so the asker's own network works).
    Nack { seq: u64 },
    /// I would like to be let in. Answered with a `Ping`, whose `Ack` asks to join.
    Join,
    /// Come in. Part of all I know.
    Welcome { join: u64 },
    /// You died not long ago, or I know of a later you: come back at this incarnation or above.
    Refused { join: u64, required: u64 },
    /// My table is full.
    NoRoom { join: u64 },
    /// Part of all I know. `pull`: tell me all you know, with this number.
    Sync { pull: Option<u64> },
    /// Part of all I know, as you asked.
    State { pull: u64 },
    /// Just the claims. Never answered.
    Gossip,
}

/// A claim about a node on its way between datagram and tracker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) node: SocketAddr,
    pub(crate) claim: Claim,
    /// Nodes whose own probes failed, with a suspicion (Lifeguard, section IV-B).
    pub(crate) accusers: Vec<SocketAddr>,
}

impl Item {
    pub(crate) const fn new(node: SocketAddr, claim: Claim) -> Self {
        Self {
            node,
            claim,
            accusers: Vec::new(),
        }
    }
}

/// An item's encoding. After a suspicion come its accusers.
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
    /// Which run of which process sent it: chosen at random when it started.
    pub(crate) process: u64,
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
    /// From this node's own address, or from one that can't be a peer's.
    Sender,
    /// This node's own: it reached itself by another of its addresses.
    Own,
}

impl Dropped {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Oversized,
        Self::Version,
        Self::Foreign,
        Self::Malformed,
        Self::Sender,
        Self::Own,
    ];
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Oversized => "longer than max_datagram",
            Self::Version => "another version of the wire format",
            Self::Foreign => "another cluster's",
            Self::Malformed => "malformed",
            Self::Sender => "from an address that can't be a peer's",
            Self::Own => "this node's own, by another of its addresses",
        })
    }
}

impl core::error::Error for Dropped {}

pub(crate) fn decode(bytes: &[u8], cluster: u32, max_datagram: usize) -> Result<Packet, Dropped> {
    if bytes.len() > max_datagram {
        return Err(Dropped::Oversized);
    }
    // The version's place holds in all versions, the length of a header does not.
    if bytes.first().is_some_and(|version| *version != VERSION) {
        return Err(Dropped::Version);
    }
    let Some((header, body)) = bytes.split_first_chunk::<HEADER>() else {
        return Err(Dropped::Malformed);
    };
    let [_, c0, c1, c2, c3, p0, p1, p2, p3, p4, p5, p6, p7, count] = *header;
    if u32::from_le_bytes([c0, c1, c2, c3]) != cluster {
        return Err(Dropped::Foreign);
    }
    let process = u64::from_le_bytes([p0, p1, p2, p3, p4, p5, p6, p7]);
    read(process, body, usize::from(count)).ok_or(Dropped::Malformed)
}

fn read(process: u64, body: &[u8], count: usize) -> Option<Packet> {
    let (head, mut rest) = postcard::take_from_bytes::<RawHead>(body).ok()?;
    let mut items = Vec::with_capacity(count);
    for _ in 0..count {
        let (raw, after) = postcard::take_from_bytes::<RawItem>(rest).ok()?;
        rest = after;
        let mut item = raw.check()?;
        if item.claim.status() == Status::Suspect {
            let (number, after) = rest.split_first()?;
            rest = after;
            for _ in 0..*number {
                let (accuser, after) = postcard::take_from_bytes::<SocketAddr>(rest).ok()?;
                rest = after;
                item.accusers.push(accuser);
            }
            if item.accusers.len() > MAX_ACCUSERS {
                return None;
            }
        }
        items.push(item);
    }
    let whole = if head.message == Message::Join {
        HEADER + body.len() >= JOIN_SIZE && rest.iter().all(|byte| *byte == 0)
    } else {
        rest.is_empty()
    };
    whole.then_some(Packet {
        process,
        incarnation: Incarnation::new(head.incarnation),
        message: head.message,
        items,
    })
}

impl RawItem {
    fn check(self) -> Option<Item> {
        let status = Status::from_rank(self.rank)?;
        // A node that was never heard from is not passed on, so no honest node sends `Unconfirmed`.
        (status != Status::Unconfirmed)
            .then(|| Item::new(self.node, Claim::new(status, self.incarnation)))
    }
}

/// A datagram in the making, never longer than it may be.
pub(crate) struct Writer {
    bytes: Vec<u8>,
    max: usize,
    items: usize,
    shortest: usize,
}

impl Writer {
    pub(crate) fn new(
        cluster: u32,
        process: u64,
        own: Incarnation,
        message: Message,
        max: usize,
    ) -> Self {
        let mut bytes = Vec::with_capacity(max);
        bytes.push(VERSION);
        bytes.extend(cluster.to_le_bytes());
        bytes.extend(process.to_le_bytes());
        bytes.push(0);
        let mut writer = Self {
            bytes,
            max,
            items: 0,
            shortest: if message == Message::Join {
                JOIN_SIZE
            } else {
                0
            },
        };
        let head = RawHead {
            incarnation: own.get(),
            message,
        };
        let mut part = Vec::new();
        encode(&head, &mut part);
        let fits = writer.append(&part);
        debug_assert!(fits, "the shortest datagram has room for a message");
        writer
    }

    fn append(&mut self, part: &[u8]) -> bool {
        let fits = self.bytes.len() + part.len() <= self.max;
        if fits {
            self.bytes.extend_from_slice(part);
        }
        fits
    }

    /// Adds a claim; false, and no change, if there is no room for it.
    pub(crate) fn push(&mut self, item: &Item) -> bool {
        debug_assert!(item.claim.status() != Status::Unconfirmed, "not passed on");
        if self.items == MAX_ITEMS {
            return false;
        }
        let mut part = Vec::with_capacity(MAX_PART);
        let raw = RawItem {
            node: item.node,
            rank: item.claim.status().rank(),
            incarnation: item.claim.incarnation().get(),
        };
        encode(&raw, &mut part);
        if item.claim.status() == Status::Suspect {
            let accusers = &item.accusers[..item.accusers.len().min(MAX_ACCUSERS)];
            // At most MAX_ACCUSERS.
            part.push(accusers.len() as u8);
            for accuser in accusers {
                encode(accuser, &mut part);
            }
        }
        let added = self.append(&part);
        self.items += usize::from(added);
        added
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        // At most MAX_ITEMS.
        self.bytes[HEADER - 1] = self.items as u8;
        if self.bytes.len() < self.shortest {
            self.bytes.resize(self.shortest, 0);
        }
        self.bytes
    }
}

fn encode(part: &impl Serialize, to: &mut Vec<u8>) {
    let mut buffer = [0; MAX_PART];
    match postcard::to_slice(part, &mut buffer) {
        Ok(part) => to.extend_from_slice(part),
        Err(error) => debug_assert!(false, "a part longer than any: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 1400;

    fn at(address: &str) -> SocketAddr {
        address.parse().unwrap()
    }

    fn datagram(message: Message, claims: &[(&str, Claim)], accusers: &[&str]) -> Vec<u8> {
        let mut writer = Writer::new(7, 99, Incarnation::new(3), message, MAX);
        for (node, claim) in claims {
            assert!(writer.push(&Item {
                accusers: accusers.iter().map(|accuser| at(accuser)).collect(),
                ..Item::new(at(node), *claim)
            }));
        }
        writer.finish()
    }

    fn example() -> Vec<u8> {
        let target = at("[2001:db8::1]:65535");
        let claims = [
            ("10.0.0.1:7946", Claim::suspect(u64::MAX)),
            ("[2001:db8::2]:1", Claim::left(0)),
        ];
        let message = Message::PingReq {
            seq: u64::MAX,
            target,
        };
        datagram(message, &claims, &["10.0.0.2:7946", "[2001:db8::3]:1"])
    }

    #[test]
    fn a_datagram_reads_as_it_was_written() {
        let packet = decode(&example(), 7, MAX).unwrap();
        assert_eq!(
            (packet.process, packet.incarnation),
            (99, Incarnation::new(3))
        );
        assert!(matches!(
            packet.message,
            Message::PingReq { seq: u64::MAX, .. }
        ));
        assert_eq!(packet.items.len(), 2);
        assert_eq!(packet.items[0].claim, Claim::suspect(u64::MAX));
        assert_eq!(
            packet.items[0].accusers,
            [at("10.0.0.2:7946"), at("[2001:db8::3]:1")]
        );
        assert_eq!(
            packet.items[1],
            Item::new(at("[2001:db8::2]:1"), Claim::left(0))
        );
    }

    #[test]
    fn every_truncation_and_every_extension_is_malformed() {
        let whole = example();
        for end in 0..whole.len() {
            assert!(decode(&whole[..end], 7, MAX).is_err(), "{end} bytes");
        }
        let mut longer = whole.clone();
        longer.push(0);
        assert_eq!(decode(&longer, 7, MAX).unwrap_err(), Dropped::Malformed);
    }

    #[test]
    fn other_clusters_versions_and_lengths_are_told_apart() {
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
    fn a_claim_of_no_status_or_of_unconfirmed_is_malformed() {
        for (rank, good) in [(0, false), (1, false), (2, true), (5, true), (6, false)] {
            let raw = RawItem {
                node: at("10.0.0.1:1"),
                rank,
                incarnation: 0,
            };
            assert_eq!(raw.check().is_some(), good, "{rank}");
        }
    }

    #[test]
    fn a_suspicion_names_no_more_accusers_than_matter() {
        let suspicion = [("10.0.0.1:1", Claim::suspect(1))];
        let few = datagram(Message::Gossip, &suspicion, &["10.0.0.2:1"; MAX_ACCUSERS]);
        assert_eq!(
            decode(&few, 7, MAX).unwrap().items[0].accusers.len(),
            MAX_ACCUSERS
        );
        let mut more = few;
        let count = more.len() - MAX_ACCUSERS * 6 - 1;
        assert_eq!(usize::from(more[count]), MAX_ACCUSERS);
        more[count] += 1;
        let accuser = more[more.len() - 6..].to_vec();
        more.extend(accuser);
        assert_eq!(decode(&more, 7, MAX).unwrap_err(), Dropped::Malformed);
    }

    #[test]
    fn a_join_is_padded_and_a_shorter_one_is_malformed() {
        let join = datagram(Message::Join, &[], &[]);
        assert_eq!(join.len(), JOIN_SIZE);
        assert!(decode(&join, 7, MAX).is_ok());
        assert_eq!(
            decode(&join[..JOIN_SIZE - 1], 7, MAX).unwrap_err(),
            Dropped::Malformed
        );
        let mut dirty = join;
        dirty[JOIN_SIZE - 1] = 1;
        assert_eq!(decode(&dirty, 7, MAX).unwrap_err(), Dropped::Malformed);
    }

    #[test]
    fn no_answer_to_a_stranger_is_longer_than_a_join() {
        // The longest: each number at its highest, of a node that leaves, to one that it holds dead.
        let own = Incarnation::MAX;
        let ack = Message::Ack {
            seq: u64::MAX,
            ask: Some(u64::MAX),
            join: Some(u64::MAX),
        };
        let mut writer = Writer::new(7, u64::MAX, own, ack, MAX);
        for claim in [Claim::left(own), Claim::dead(own)] {
            assert!(writer.push(&Item::new(at("[2001:db8::2]:65535"), claim)));
        }
        let longest = writer.finish().len();
        assert!(longest <= JOIN_SIZE, "{longest}");
    }

    #[test]
    fn a_datagram_is_never_too_long() {
        for max in [256, 500, 1400, 65_507] {
            let mut writer = Writer::new(7, 1, Incarnation::MAX, Message::Gossip, max);
            for port in 1..=300 {
                let node = SocketAddr::new([10, 0, 0, 1].into(), port);
                let item = Item {
                    accusers: vec![node; usize::from(port) % 5],
                    ..Item::new(node, Claim::suspect(u64::from(port)))
                };
                writer.push(&item);
            }
            let items = writer.items;
            let bytes = writer.finish();
            assert!(bytes.len() <= max && items <= 255);
            assert_eq!(decode(&bytes, 7, max).unwrap().items.len(), items);
        }
    }
}
