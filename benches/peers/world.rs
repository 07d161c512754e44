//! The nodes of a table and, for each thread, the order it works on them in.
//!
//! All threads share one table. Lookups, duplicates and packets reach all its nodes from every
//! thread; claims meant to be accepted are split by node among the threads, except those on the one
//! hot node, which all threads fight for.

use std::net::SocketAddr;

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
        while addresses.len() < nodes + nodes.min(1 << 16) {
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

/// What one of several threads works with.
pub struct Lane {
    /// Set for each round.
    pub hot: (SocketAddr, Claim),
    pub zipf: Vec<SocketAddr>,
    pub uniform: Vec<SocketAddr>,
    pub missing: Vec<SocketAddr>,
    pub duplicates: Vec<(SocketAddr, Claim)>,
    pub stale: Vec<(SocketAddr, Claim)>,
    /// One claim of each packet is to be accepted: the first, on a node of this thread's.
    pub packets: Vec<(SocketAddr, Claim)>,
    /// Nodes no other thread's claims are meant to change, in random order.
    pub own: Vec<SocketAddr>,
    /// The skewed choice of all, each with whether it is changed or looked up.
    pub mixed: Vec<(SocketAddr, bool)>,
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
        let mut skewed = || &known[zipf.sample(&mut random) as usize - 1];
        let short = if is_large { 0 } else { 1 << 13 };
        let zipf_nodes = (0..short).map(|_| skewed().0).collect();
        let duplicates = (0..short).map(|_| *skewed()).collect();
        let stale = (0..short)
            .map(|_| {
                let (node, claim) = *skewed();
                (
                    node,
                    Claim::new(claim.status(), claim.incarnation().get() - 1),
                )
            })
            .collect();
        let skewed_places: Vec<_> = (0..short)
            .map(|_| zipf.sample(&mut random) as usize - 1)
            .collect();
        let mut own: Vec<_> = known
            .iter()
            .skip(lane)
            .step_by(lanes)
            .map(|(node, _)| *node)
            .collect();
        own.shuffle(&mut random);
        let mixed = skewed_places
            .iter()
            .map(|place| {
                let change = random.random_range(0..100) < 5;
                // The nearest one of this thread's, which is about as hot.
                let mine = (place - place % lanes + lane).min(known.len() - lanes + lane);
                (known[if change { mine } else { *place }].0, change)
            })
            .collect();
        let long = if is_large { 1 << 20 } else { 1 << 14 };
        let uniform = (0..long)
            .map(|_| known[random.random_range(0..known.len())].0)
            .collect();
        let packets = (0..long)
            .map(|place| match place % PACKET {
                0 => (own[random.random_range(0..own.len())], Claim::alive(0)),
                kind => {
                    let (node, claim) = known[random.random_range(0..known.len())];
                    let old = u64::from(kind < 3);
                    let incarnation = claim.incarnation().get() - old;
                    (node, Claim::new(claim.status(), incarnation))
                }
            })
            .collect();
        let missing = (0..short.min(world.unknown.len() * 4))
            .map(|_| world.unknown[random.random_range(0..world.unknown.len())])
            .collect();
        Self {
            hot: known[0],
            zipf: zipf_nodes,
            uniform,
            missing,
            duplicates,
            stale,
            packets,
            own,
            mixed,
            nodes: known.len() as u64,
            position: 0,
        }
    }
}
