//! What a thread does in each workload.
//!
//! Every workload of every subject is a function of its own, and its loop is written out by a macro:
//! a closure would leave it to the compiler's mood whether an operation is inlined, and the mood
//! differs from subject to subject.

use std::hint::black_box;

use incarnation::Claim;
use incarnation::rule::PackedState;

use crate::subjects::{Session, State, Subject};
use crate::workloads::Workload;
use crate::world::{Compact, Lane, PACKET};

/// Operations between which a held guard is renewed.
const HELD_FOR: u64 = 1024;
/// Nodes of a churning thread that are out of the table at any time.
const AWAY: usize = 256;

/// Runs the body `count` times, with a session that is renewed every so often and the number of the
/// operation. The bodies' numbers are added up, so that no answer goes unused; to write each answer
/// to memory instead would cost more than some of the lookups.
macro_rules! repeat {
    ($subject:expr, $count:expr, |$session:ident, $step:ident| $body:block) => {{
        let (subject, count): (_, u64) = ($subject, $count);
        let (mut $step, mut sum) = (0_u64, 0_u64);
        while $step < count {
            let $session = subject.session();
            let end = count.min($step + HELD_FOR);
            while $step < end {
                sum = sum.wrapping_add($body);
                $step += 1;
            }
        }
        black_box(sum);
        $step
    }};
}

/// The same with an element of a slice, one after the other and round again, beginning at `*position`.
macro_rules! repeat_over {
    ($subject:expr, $count:expr, $items:expr, $position:expr, |$session:ident, $step:ident, $item:ident| $body:block) => {{
        let items = $items;
        let mut place = $position % items.len();
        let done = repeat!($subject, $count, |$session, $step| {
            let $item = &items[place];
            place = following(place, items.len());
            $body
        });
        $position = place;
        done
    }};
}

/// The address of a node, as if it came off the wire: the compiler knows nothing of it.
macro_rules! opaque {
    ($node:expr) => {
        black_box(&$node.node())
    };
}

/// What a lookup answered, as a number.
#[inline(always)]
fn weight(found: Option<State>) -> u64 {
    match found {
        Some(state) => state
            .incarnation
            .wrapping_add(state.last_update)
            .wrapping_add(state.status as u64),
        None => 1,
    }
}

/// What became of a claim, as a number.
#[inline(always)]
fn outcome(outcome: Result<(), u64>) -> u64 {
    match outcome {
        Ok(()) => 1,
        Err(there) => there,
    }
}

#[inline(always)]
fn following(place: usize, len: usize) -> usize {
    if place + 1 < len { place + 1 } else { 0 }
}

/// Work that comes before the clock starts: the state the workload needs, and a first touch.
pub fn prepare<S: Subject>(subject: &S, workload: Workload, lane: &mut Lane, base: u64) {
    let session = subject.session();
    if workload == Workload::Churn {
        lane.position = 0;
        for (place, node) in lane.own.iter().enumerate() {
            // What an earlier thread or run left away comes back.
            let _ = session.claim(&node.node(), Claim::alive(base), base);
            if place < AWAY {
                session.remove(&node.node(), base);
            }
        }
    } else {
        black_box(session.lookup(&lane.hot.0));
        // Other subjects' tables were in the caches before. All threads together touch each node.
        if workload.fits_caches(lane.nodes) {
            for node in &lane.own {
                black_box(session.lookup(&node.node()));
            }
        }
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
    use Workload::*;
    match workload {
        LookupHot => lookup_hot(subject, lane, count),
        LookupZipf => lookups(subject, &lane.zipf, &mut lane.position, count),
        LookupUniform => lookups(subject, &lane.uniform, &mut lane.position, count),
        LookupDependent => dependent(subject, lane, count),
        LookupMiss => lookups(subject, &lane.missing, &mut lane.position, count),
        LookupCold => lookups(subject, &lane.uniform, &mut lane.position, count),
        ClaimDuplicateHot => duplicate_hot(subject, lane, count, base),
        ClaimDuplicateZipf => claims(subject, &lane.duplicates, &mut lane.position, count, base),
        ClaimStale => claims(subject, &lane.stale, &mut lane.position, count, base),
        ClaimAcceptedHot => accepted_hot(subject, lane, count, base),
        ClaimAcceptedUniform => accepted_uniform(subject, lane, count, base),
        Mix955 => mix(subject, lane, count, base),
        Packet32 => packets(subject, lane, count, base),
        Churn => churn(subject, lane, count, base),
        Iterate => iterate(subject, lane.nodes, count),
    }
}

#[inline(never)]
fn lookup_hot<S: Subject>(subject: &S, lane: &Lane, count: u64) -> u64 {
    let node = &lane.hot.0;
    repeat!(subject, count, |session, step| {
        weight(session.lookup(black_box(node)))
    })
}

#[inline(never)]
fn lookups<S: Subject>(subject: &S, nodes: &[Compact], position: &mut usize, count: u64) -> u64 {
    if !S::BATCHED {
        return repeat_over!(subject, count, nodes, *position, |session, step, node| {
            weight(session.lookup(opaque!(node)))
        });
    }
    let groups = nodes.len() / PACKET;
    let mut group = *position % groups;
    let rounds = count.div_ceil(PACKET as u64);
    let mut sum = 0_u64;
    for _ in 0..rounds {
        let packet: [_; PACKET] = std::array::from_fn(|place| nodes[group * PACKET + place].node());
        let session = subject.session();
        session.lookups(black_box(&packet), |found| {
            sum = sum.wrapping_add(weight(found));
        });
        group = following(group, groups);
    }
    *position = group;
    black_box(sum);
    rounds * PACKET as u64
}

/// Each lookup waits for the answer before: its latency, where the others measure how many go on at once.
#[inline(never)]
fn dependent<S: Subject>(subject: &S, lane: &mut Lane, count: u64) -> u64 {
    let nodes = &lane.uniform;
    let mut place = lane.position % nodes.len();
    let done = repeat!(subject, count, |session, step| {
        let answer = weight(session.lookup(opaque!(nodes[place])));
        // The sum's highest bit is never set, which the processor finds out when the answer is there.
        place = following(place, nodes.len()) ^ (answer >> 63) as usize;
        answer
    });
    lane.position = place;
    done
}

#[inline(never)]
fn duplicate_hot<S: Subject>(subject: &S, lane: &Lane, count: u64, last_update: u64) -> u64 {
    let hot = &lane.hot;
    repeat!(subject, count, |session, step| {
        let (node, claim) = black_box(hot);
        outcome(session.claim(node, *claim, last_update))
    })
}

#[inline(never)]
fn claims<S: Subject>(
    subject: &S,
    claims: &[(Compact, PackedState)],
    position: &mut usize,
    count: u64,
    last_update: u64,
) -> u64 {
    repeat_over!(subject, count, claims, *position, |session, step, item| {
        let (node, claim) = item;
        outcome(session.claim(opaque!(node), claim.claim(), last_update))
    })
}

/// Claims on one node that other threads raise too. A refused one is told what is there and goes
/// above it; the attempts are part of the cost.
#[inline(never)]
fn accepted_hot<S: Subject>(subject: &S, lane: &Lane, count: u64, base: u64) -> u64 {
    let node = &lane.hot.0;
    let mut incarnation = base;
    repeat!(subject, count, |session, step| {
        while let Err(there) = session.claim(black_box(node), Claim::alive(incarnation), base) {
            incarnation = incarnation.max(there) + 1;
        }
        incarnation += 1;
        1
    })
}

#[inline(never)]
fn accepted_uniform<S: Subject>(subject: &S, lane: &mut Lane, count: u64, base: u64) -> u64 {
    repeat_over!(
        subject,
        count,
        &lane.own,
        lane.position,
        |session, step, node| {
            outcome(session.claim(opaque!(node), Claim::alive(base + step), step))
        }
    )
}

#[inline(never)]
fn mix<S: Subject>(subject: &S, lane: &mut Lane, count: u64, base: u64) -> u64 {
    repeat_over!(
        subject,
        count,
        &lane.mixed,
        lane.position,
        |session, step, item| {
            let (node, change) = item;
            if *change {
                outcome(session.claim(opaque!(node), Claim::alive(base + step), step))
            } else {
                weight(session.lookup(opaque!(node)))
            }
        }
    )
}

#[inline(never)]
fn packets<S: Subject>(subject: &S, lane: &mut Lane, count: u64, base: u64) -> u64 {
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

/// A join and a removal each.
#[inline(never)]
fn churn<S: Subject>(subject: &S, lane: &mut Lane, count: u64, base: u64) -> u64 {
    let own = &lane.own;
    let mut leaving = lane.position % own.len();
    for _ in 0..AWAY.min(own.len() / 2) {
        leaving = following(leaving, own.len());
    }
    repeat_over!(subject, count, own, lane.position, |session, step, node| {
        let joined = session.claim(opaque!(node), Claim::alive(base + step), step);
        let removed = session.remove(opaque!(own[leaving]), step);
        debug_assert!(joined.is_ok() && removed);
        leaving = following(leaving, own.len());
        outcome(joined) + u64::from(removed)
    })
}

#[inline(never)]
fn iterate<S: Subject>(subject: &S, nodes: u64, count: u64) -> u64 {
    let rounds = count.div_ceil(nodes);
    for _ in 0..rounds {
        black_box(subject.session().iterate());
    }
    rounds * nodes
}
