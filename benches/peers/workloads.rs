//! The workloads: what each thread does, and to which nodes.
//!
//! All threads share one table. Lookups, duplicates and packets reach all its nodes from every
//! thread; claims meant to be accepted are split by node among the threads, except those on the one
//! hot node, which all threads fight for.

use std::hint::black_box;
use std::net::SocketAddr;

use incarnation::{Claim, Status};
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, Zipf};

use crate::subjects::{Session, Subject, Task, Verb};

/// Operations between which a held guard is renewed.
const HELD_FOR: u64 = 1024;
/// Claims in a packet.
pub const PACKET: usize = 32;
/// Nodes of a churning thread that are out of the table at any time.
const AWAY: usize = 256;
/// Nodes that take turns at being the hot one.
const HOT: usize = 64;
/// The exponent of the skewed choice of nodes.
const SKEW: f64 = 0.99;
/// Incarnations that nodes begin with lie below it.
pub const FIRST_INCARNATIONS: u64 = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    LookupHot,
    LookupZipf,
    LookupUniform,
    LookupMiss,
    ClaimDuplicateHot,
    ClaimDuplicateZipf,
    ClaimStale,
    Packet32,
    Iterate,
    Mix955,
    ClaimAcceptedHot,
    ClaimAcceptedUniform,
    Churn,
}

use Workload::*;

impl Workload {
    /// In the order they run in: what leaves the table as it was comes first.
    pub const ALL: [Self; 13] = [
        LookupHot,
        LookupZipf,
        LookupUniform,
        LookupMiss,
        ClaimDuplicateHot,
        ClaimDuplicateZipf,
        ClaimStale,
        Iterate,
        Packet32,
        Mix955,
        ClaimAcceptedHot,
        ClaimAcceptedUniform,
        Churn,
    ];
    /// Those of a table too large for the caches.
    pub const LARGE: [Self; 3] = [LookupUniform, Iterate, Packet32];

    pub fn id(self) -> &'static str {
        match self {
            LookupHot => "lookup_hot",
            LookupZipf => "lookup_zipf",
            LookupUniform => "lookup_uniform",
            LookupMiss => "lookup_miss",
            ClaimDuplicateHot => "claim_duplicate_hot",
            ClaimDuplicateZipf => "claim_duplicate_zipf",
            ClaimStale => "claim_stale",
            ClaimAcceptedHot => "claim_accepted_hot",
            ClaimAcceptedUniform => "claim_accepted_uniform",
            Mix955 => "mix_95_5",
            Packet32 => "packet_32",
            Churn => "churn",
            Iterate => "iterate",
        }
    }

    pub fn task(self, threads: usize, nodes: usize) -> Task {
        let verb = match self {
            LookupHot | LookupZipf | LookupUniform | LookupMiss => Verb::Lookup,
            ClaimDuplicateHot | ClaimDuplicateZipf | ClaimStale => Verb::Claim,
            ClaimAcceptedHot | ClaimAcceptedUniform => Verb::Change,
            Mix955 => Verb::Mix,
            Packet32 => Verb::Packet,
            Churn => Verb::Churn,
            Iterate => Verb::Iterate,
        };
        Task {
            verb,
            one_node: matches!(self, LookupHot | ClaimDuplicateHot | ClaimAcceptedHot),
            threads,
            nodes,
        }
    }

    /// Whether accepted claims need incarnations that rise.
    pub fn changes(self) -> bool {
        matches!(
            self,
            ClaimAcceptedHot | ClaimAcceptedUniform | Mix955 | Packet32 | Churn
        )
    }

    /// Whether the tracker's sweeper runs meanwhile.
    pub fn swept(self) -> bool {
        matches!(self, Mix955 | Churn)
    }
}

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
    zipf: Vec<SocketAddr>,
    uniform: Vec<SocketAddr>,
    missing: Vec<SocketAddr>,
    duplicates: Vec<(SocketAddr, Claim)>,
    stale: Vec<(SocketAddr, Claim)>,
    /// One claim of each packet is to be accepted: the first, on a node of this thread's.
    packets: Vec<(SocketAddr, Claim)>,
    /// Nodes no other thread's claims are meant to change, in random order.
    own: Vec<SocketAddr>,
    /// The skewed choice of all, each with whether it is changed or looked up.
    mixed: Vec<(SocketAddr, bool)>,
    /// How many nodes the table has.
    nodes: u64,
    /// Where the next run goes on.
    position: usize,
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

/// Work that comes before the clock starts: the state the workload needs, and a first touch.
pub fn prepare<S: Subject>(subject: &S, workload: Workload, lane: &mut Lane, base: u64) {
    let session = subject.session();
    if workload == Churn {
        lane.position = 0;
        for (place, node) in lane.own.iter().enumerate() {
            // What an earlier thread or run left away comes back.
            let _ = session.claim(node, Claim::alive(base), base);
            if place < AWAY {
                session.remove(node, base);
            }
        }
    } else {
        black_box(session.lookup(&lane.hot.0));
    }
}

/// `count` operations, beginning at the incarnation `base`, which is above all in the table.
/// Returns how many were done.
pub fn run<S: Subject>(
    subject: &S,
    workload: Workload,
    lane: &mut Lane,
    count: u64,
    base: u64,
) -> u64 {
    match workload {
        LookupHot => repeat(subject, count, |session, _| {
            black_box(session.lookup(black_box(&lane.hot.0)));
        }),
        LookupZipf => lookups(subject, &lane.zipf, &mut lane.position, count),
        LookupUniform => lookups(subject, &lane.uniform, &mut lane.position, count),
        LookupMiss => lookups(subject, &lane.missing, &mut lane.position, count),
        ClaimDuplicateHot => repeat(subject, count, |session, _| {
            let (node, claim) = black_box(&lane.hot);
            let _ = black_box(session.claim(node, *claim, base));
        }),
        ClaimDuplicateZipf => claims(subject, &lane.duplicates, &mut lane.position, count, base),
        ClaimStale => claims(subject, &lane.stale, &mut lane.position, count, base),
        ClaimAcceptedHot => accepted_hot(subject, &lane.hot.0, count, base),
        ClaimAcceptedUniform => {
            let (own, mut place) = (&lane.own, lane.position % lane.own.len());
            let done = repeat(subject, count, |session, step| {
                let _ = black_box(session.claim(&own[place], Claim::alive(base + step), step));
                place = following(place, own.len());
            });
            lane.position = place;
            done
        }
        Mix955 => {
            let (mixed, mut place) = (&lane.mixed, lane.position % lane.mixed.len());
            let done = repeat(subject, count, |session, step| {
                let (node, change) = &mixed[place];
                if *change {
                    let _ = black_box(session.claim(node, Claim::alive(base + step), step));
                } else {
                    black_box(session.lookup(node));
                }
                place = following(place, mixed.len());
            });
            lane.position = place;
            done
        }
        Packet32 => {
            let packets = &mut lane.packets;
            let mut place = lane.position % (packets.len() / PACKET);
            let rounds = count.div_ceil(PACKET as u64);
            for step in 0..rounds {
                let packet = &mut packets[place * PACKET..][..PACKET];
                packet[0].1 = Claim::alive(base + step);
                black_box(subject.session().packet(packet, base));
                place = following(place, packets.len() / PACKET);
            }
            lane.position = place;
            rounds * PACKET as u64
        }
        Churn => {
            let (own, mut place) = (&lane.own, lane.position);
            let ahead = AWAY.min(own.len() / 2);
            let done = repeat(subject, count, |session, step| {
                let joined = session.claim(&own[place], Claim::alive(base + step), step);
                let leaver = place + ahead;
                let leaver = if leaver < own.len() {
                    leaver
                } else {
                    leaver - own.len()
                };
                let removed = session.remove(&own[leaver], step);
                debug_assert!(joined.is_ok() && removed);
                black_box((joined.is_ok(), removed));
                place = following(place, own.len());
            });
            lane.position = place;
            done
        }
        Iterate => {
            let nodes = lane.nodes;
            let rounds = count.div_ceil(nodes);
            for _ in 0..rounds {
                black_box(subject.session().iterate());
            }
            rounds * nodes
        }
    }
}

#[inline(always)]
fn following(place: usize, len: usize) -> usize {
    if place + 1 < len { place + 1 } else { 0 }
}

/// Calls `step` with a session that is renewed every so often, and its number.
#[inline(always)]
fn repeat<'s, S: Subject>(
    subject: &'s S,
    count: u64,
    mut step: impl FnMut(&S::Session<'s>, u64),
) -> u64 {
    let mut done = 0;
    while done < count {
        let session = subject.session();
        let end = count.min(done + HELD_FOR);
        while done < end {
            step(&session, done);
            done += 1;
        }
    }
    done
}

#[inline(always)]
fn lookups<S: Subject>(subject: &S, nodes: &[SocketAddr], position: &mut usize, count: u64) -> u64 {
    if S::BATCHED {
        let groups = nodes.len() / PACKET;
        let mut group = *position % groups;
        let rounds = count.div_ceil(PACKET as u64);
        for _ in 0..rounds {
            let session = subject.session();
            session.lookups(&nodes[group * PACKET..][..PACKET], |state| {
                black_box(state);
            });
            group = following(group, groups);
        }
        *position = group;
        return rounds * PACKET as u64;
    }
    let mut place = *position % nodes.len();
    let done = repeat(subject, count, |session, _| {
        black_box(session.lookup(&nodes[place]));
        place = following(place, nodes.len());
    });
    *position = place;
    done
}

#[inline(always)]
fn claims<S: Subject>(
    subject: &S,
    claims: &[(SocketAddr, Claim)],
    position: &mut usize,
    count: u64,
    stamp: u64,
) -> u64 {
    let mut place = *position % claims.len();
    let done = repeat(subject, count, |session, _| {
        let (node, claim) = &claims[place];
        let _ = black_box(session.claim(node, *claim, stamp));
        place = following(place, claims.len());
    });
    *position = place;
    done
}

/// `count` accepted claims on one node that other threads raise too. A refused one is told what is
/// there and goes above it; the attempts are part of the cost.
#[inline(always)]
fn accepted_hot<S: Subject>(subject: &S, node: &SocketAddr, count: u64, base: u64) -> u64 {
    let mut incarnation = base;
    repeat(subject, count, |session, _| {
        while let Err(there) = session.claim(black_box(node), Claim::alive(incarnation), base) {
            incarnation = incarnation.max(there) + 1;
        }
        incarnation += 1;
    })
}
