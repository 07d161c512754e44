//! The nodes of a table and, for each thread, the order it works on them in.
//!
//! All threads share one table. Lookups, duplicates and packets reach all its nodes from every
//! thread; claims meant to be accepted are split by node among the threads, except those on the one
//! hot node, which all threads fight for.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use incarnation::rule::PackedState;
use incarnation::{Claim, Status};
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Zipf};

/// Claims in a packet.
pub const PACKET: usize = 32;
/// Nodes that take turns at being the hot one.
const HOT: usize = 64;
/// The exponent of the skewed choice of nodes.
const SKEW: f64 = 0.99;
/// Incarnations that nodes begin with lie below it.
pub const FIRST_INCARNATIONS: u64 = 200;

/// The nodes of a table: who is in it, in which state, and who is not.
pub struct World {
    pub known: Vec<(SocketAddr, Claim)>,
    unknown: Vec<SocketAddr>,
}

impl World {
    pub fn new(nodes: usize) -> Self {
        let mut random = SmallRng::seed_from_u64(nodes as u64);
        let mut addresses = std::collections::HashSet::with_capacity(nodes * 2);
        while addresses.len() < nodes + nodes.min(1 << 20) {
            addresses.insert(SocketAddr::from((
                random.random::<u32>().to_be_bytes(),
                random.random_range(1024..u16::MAX),
            )));
        }
        // A set's order differs from run to run.
        let mut addresses: Vec<_> = addresses.into_iter().collect();
        addresses.sort_unstable();
        addresses.shuffle(&mut random);
        let unknown = addresses.split_off(nodes);
        let known = addresses.into_iter().enumerate().map(|(place, node)| {
            let status = match random.random_range(0..100) {
                _ if place < HOT => Status::Alive,
                0..94 => Status::Alive,
                94..97 => Status::Suspect,
                97..99 => Status::Dead,
                _ => Status::Left,
            };
            let incarnation = random.random_range(1..FIRST_INCARNATIONS);
            (node, Claim::new(status, incarnation))
        });
        Self {
            known: known.collect(),
            unknown,
        }
    }

    /// The one node of a round's workloads of one node. It changes from round to round, so that it
    /// is not the luck of one key's place in a table that is compared.
    pub fn hot(&self, round: usize) -> (SocketAddr, Claim) {
        self.known[round % HOT]
    }
}

/// A node's address in eight bytes, so that long sequences of them leave the caches to the tables.
#[derive(Clone, Copy)]
pub struct Compact {
    ip: u32,
    port: u16,
}

impl Compact {
    fn of(node: SocketAddr) -> Self {
        match node {
            SocketAddr::V4(node) => Self {
                ip: node.ip().to_bits(),
                port: node.port(),
            },
            SocketAddr::V6(_) => unreachable!("made from 32 bits"),
        }
    }

    #[inline(always)]
    pub fn node(self) -> SocketAddr {
        SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::from_bits(self.ip), self.port))
    }
}

/// What one of several threads works with. The sequences are long, since a processor learns the
/// branches of a short one by heart.
pub struct Lane {
    /// Set for each round.
    pub hot: (SocketAddr, Claim),
    pub zipf: Vec<Compact>,
    pub uniform: Vec<Compact>,
    pub missing: Vec<Compact>,
    pub duplicates: Vec<(Compact, PackedState)>,
    pub stale: Vec<(Compact, PackedState)>,
    /// One claim of each packet is to be accepted: the first, on a node of this thread's.
    pub packets: Vec<(SocketAddr, Claim)>,
    /// Nodes no other thread's claims are meant to change, in random order, each once.
    pub own: Vec<Compact>,
    /// The skewed choice of all, each with whether it is changed or looked up.
    pub mixed: Vec<(Compact, bool)>,
    /// How many nodes the table has.
    pub nodes: u64,
    /// Where the next run goes on.
    pub position: usize,
}

impl Lane {
    pub fn new(world: &World, lane: usize, lanes: usize) -> Self {
        let mut random = SmallRng::seed_from_u64(1_000 + lane as u64);
        let known = &world.known;
        let is_large = known.len() > 100_000;
        let zipf = Zipf::new(known.len() as f64, SKEW).expect("a valid skew");
        let length = if is_large { 0 } else { 1 << 16 };
        let skewed_places: Vec<_> = (0..length)
            .map(|_| zipf.sample(&mut random) as usize - 1)
            .collect();
        let packed = |claim| PackedState::of(claim).expect("a low incarnation");
        let older = |claim: Claim| Claim::new(claim.status(), claim.incarnation().get() - 1);
        let skewed = skewed_places.iter().map(|place| known[*place]);
        let duplicates = skewed.map(|(node, claim)| (Compact::of(node), packed(claim)));
        let duplicates: Vec<_> = duplicates.collect();
        let stale = duplicates
            .iter()
            .map(|(node, known)| (*node, packed(older(known.claim()))));
        let mut own: Vec<_> = known.iter().skip(lane).step_by(lanes).collect();
        own.shuffle(&mut random);
        let own: Vec<_> = own
            .into_iter()
            .map(|(node, _)| Compact::of(*node))
            .collect();
        let mixed = skewed_places.iter().map(|place| {
            let change = random.random_range(0..100) < 5;
            // The nearest one of this thread's, which is about as hot.
            let mine = (place - place % lanes + lane).min(known.len() - lanes + lane);
            let (node, _) = known[if change { mine } else { *place }];
            (Compact::of(node), change)
        });
        let mixed = mixed.collect();
        let uniform = (0..if is_large { 1 << 20 } else { 1 << 16 })
            .map(|_| Compact::of(known[random.random_range(0..known.len())].0))
            .collect();
        let packets = (0..if is_large { 1 << 20 } else { 1 << 14 })
            .map(|place| match place % PACKET {
                0 => {
                    let mine = own[random.random_range(0..own.len())];
                    (mine.node(), Claim::alive(0))
                }
                kind => {
                    let (node, claim) = known[random.random_range(0..known.len())];
                    (node, if kind < 3 { older(claim) } else { claim })
                }
            })
            .collect();
        let unknown = &world.unknown;
        let missing = (0..if is_large { 1 << 20 } else { length })
            .map(|_| Compact::of(unknown[random.random_range(0..unknown.len())]))
            .collect();
        Self {
            hot: known[0],
            zipf: duplicates.iter().map(|(node, _)| *node).collect(),
            uniform,
            missing,
            stale: stale.collect(),
            duplicates,
            packets,
            own,
            mixed,
            nodes: known.len() as u64,
            position: 0,
        }
    }
}
