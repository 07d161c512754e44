//! Operations out of bytes. Each byte decides one thing, so that a changed byte is a small change:
//! what fuzzers mutate well and property tests shrink well.

use std::time::Duration;

use incarnation::rule::{Policy, Proposal};
use incarnation::{Claim, Incarnation, Status, SweepScope};

use super::{HANDLES, Key, Op, SETUP_BYTES, STEP_BYTES, Setup, Step, Via};
use crate::model::Rules;

/// One of a few.
fn pick<T: Copy>(of: &[T], byte: u8) -> T {
    of[usize::from(byte) % of.len()]
}

fn nanos(times: &[u64], byte: u8) -> Duration {
    Duration::from_nanos(pick(times, byte))
}

impl Setup {
    /// The setup some bytes stand for. Its limits never contradict each other.
    pub fn from_bytes(bytes: &[u8; SETUP_BYTES]) -> Self {
        let [
            nodes,
            max_nodes,
            above,
            headroom,
            flags,
            retention,
            unconfirmed,
            suspect,
            tombstones,
            tombstone_retention,
            max,
            jump,
            first,
            window,
            bump,
            hash,
        ] = *bytes;
        let nodes = 1 + nodes % 12;
        let max_nodes = 1 + usize::from(max_nodes % 12);
        let max_incarnation = Incarnation::new(pick(
            &[Incarnation::MAX.get(), 12, 1, (1 << 31) - 1, 0],
            max,
        ));
        let mut policy = Policy::default();
        policy.max_incarnation = max_incarnation;
        policy.min_rejoin_bump = pick(&[5, 0, 1, 3], bump);
        policy.max_incarnation_jump = match jump % 6 {
            5 => None,
            other => Some(policy.min_rejoin_bump + pick(&[3, 0, 1, 1000, u64::MAX - 5], other)),
        };
        policy.refute_limit = pick(&[1 << 32, 0, 3, u64::MAX], jump / 6);
        policy.max_first_incarnation = (first % 4 == 1)
            .then(|| Incarnation::new(u64::from(first / 4 % 12)).min(max_incarnation));
        policy.zombie_window = nanos(&[60, 0, 10, 1_000_000], window);
        // Few tombstones: then the oldest give way, and what is oldest must be certain.
        let few_tombstones = tombstones % 3 == 2;
        let max_tombstones = match tombstones % 3 {
            0 => usize::from(nodes),
            1 => 0,
            _ => 1 + usize::from(tombstones / 3 % 4),
        };
        let tombstone_retention = nanos(&[1_000_000, 0, 50, 200], tombstone_retention);
        if max_tombstones > 0 {
            policy.zombie_window = policy.zombie_window.min(tombstone_retention);
        }
        Self {
            rules: Rules {
                policy,
                max_nodes,
                hard_limit: max_nodes + pick(&[12, 0, 1, 3], above),
                eviction_headroom: pick(&[0, 1, 2, 20], headroom),
                evict_alive: flags & 1 == 1,
                max_clock_lead: match hash / 4 % 4 {
                    0 => Some(Duration::from_secs(60)),
                    1 => None,
                    other => Some(nanos(&[0, 300], other)),
                },
                dead_retention: nanos(&[20, 0, 100, 1_000_000], retention),
                unconfirmed_timeout: (unconfirmed % 4 > 0)
                    .then(|| nanos(&[0, 20, 5, 100], unconfirmed)),
                suspect_timeout: (suspect % 4 > 0 && !few_tombstones)
                    .then(|| nanos(&[0, 20, 5, 100], suspect)),
                max_tombstones,
                tombstone_retention,
            },
            nodes,
            has_local: flags & 2 == 2,
            own: Incarnation::new(u64::from(flags / 4 % 8)).min(max_incarnation),
            hash_bits: pick(&[64, 0, 1, 2], hash),
            distinct_times: few_tombstones,
        }
    }
}

impl Step {
    /// The step some bytes stand for.
    pub fn from_bytes(bytes: &[u8; STEP_BYTES], setup: &Setup) -> Self {
        let [kind, node, status, class, number, time, via, extra] = *bytes;
        let node = node % setup.nodes;
        let incarnation = incarnation(class, number, &setup.rules.policy);
        let claim = claim(status, incarnation);
        let via = match via % 8 {
            0..=2 => Via::Tracker,
            3..=4 => Via::View,
            handle => Via::Handle(handle % HANDLES),
        };
        let submit = |proposal| Op::Submit {
            node,
            proposal,
            via,
        };
        let op = match kind {
            0..72 => submit(Proposal::claim(claim)),
            72..96 => submit(Proposal::hear(claim)),
            96..108 => submit(Proposal::confirm(incarnation)),
            108..128 => submit(Proposal::rejoin(incarnation)),
            128..138 => submit(Proposal::introduce()),
            138..148 => Op::Judge { node, claim, via },
            148..156 if setup.distinct_times => submit(Proposal::claim(claim)),
            148..156 => Op::Batch(batch(bytes, setup)),
            156..164 => Op::Required { node },
            164..176 => Op::Remove { node, via },
            176..188 => Op::RemoveIf {
                node,
                expected: (extra % 4 == 0).then_some(claim),
                via,
            },
            188..194 => Op::Forget { node, via },
            194..214 => Op::Sweep(pick(
                &[
                    SweepScope::Everything,
                    SweepScope::Expiry,
                    SweepScope::Dead,
                    SweepScope::Capacity,
                ],
                extra,
            )),
            214..218 => Op::Slices {
                places: usize::from(extra % 16),
            },
            218..236 => Op::Grab {
                node,
                handle: extra % HANDLES,
            },
            236..242 => Op::Refute {
                accused: incarnation,
            },
            242..247 => Op::Hold,
            247..251 => Op::Repin,
            _ => Op::Release,
        };
        Self {
            passed: passed(time, setup.distinct_times),
            op,
        }
    }
}

/// Mostly near the others, sometimes at the edges of what the limits allow.
fn incarnation(class: u8, number: u8, policy: &Policy) -> Incarnation {
    let small = u64::from(number % 12);
    Incarnation::new(match class {
        0..180 => small,
        180..210 => small.saturating_add(policy.max_incarnation_jump.unwrap_or(1 << 32)),
        210..240 => {
            let edge = policy.max_incarnation.get() + 1;
            edge.saturating_sub(small % 3)
        }
        240..250 => Incarnation::MAX.get() + 1 - small % 3,
        250..253 => u64::MAX - small,
        _ => u64::from(number) * 16,
    })
}

fn claim(status: u8, incarnation: Incarnation) -> Claim {
    let claim = Claim::new(pick(&Status::ALL, status), incarnation);
    if status >= 200 {
        claim.trusted()
    } else {
        claim
    }
}

/// Two to nine claims, each from the bytes one further on.
fn batch(bytes: &[u8; STEP_BYTES], setup: &Setup) -> Vec<(Key, Claim)> {
    let mut bytes = *bytes;
    let count = 2 + usize::from(bytes[STEP_BYTES - 1] % 8);
    (0..count)
        .map(|_| {
            bytes.rotate_left(1);
            let [_, node, status, _, number, ..] = bytes;
            let incarnation = incarnation(0, number, &setup.rules.policy);
            (node % setup.nodes, claim(status, incarnation))
        })
        .collect()
}

fn passed(time: u8, distinct: bool) -> i64 {
    let short = i64::from(time % 8);
    let passed = match time {
        0..160 => short,
        160..200 => short * 8,
        200..220 => -short,
        220..240 => short * 64,
        240..254 => short * 4096,
        _ => 2_000_000,
    };
    if distinct { passed.max(1) } else { passed }
}
