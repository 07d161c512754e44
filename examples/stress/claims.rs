//! The threads that make claims, and keep the books of what became of them.

use std::sync::atomic::Ordering;

use fastrand::Rng;
use incarnation::{Claim, Incarnation, Rejection, Status, Timestamp, Verdict, View};
use incarnation_testkit::transition_log::TransitionLog;

use crate::world::World;

/// Claims between two looks at the clock.
const BATCH: usize = 256;
/// How many ticks behind the clock claims may be.
const WINDOW: u64 = 8;
/// The same where nodes rejoin, so that there is old gossip.
const CHURN_WINDOW: u64 = 16;

/// Statuses of random claims, as often as they are here.
const STATUSES: [Status; 16] = {
    use Status::{Alive as A, Dead as D, Left as L, Suspect as S, Unconfirmed as U};
    [U, A, A, A, A, A, A, A, A, S, S, S, S, D, D, L]
};

/// How often each verdict was given.
#[derive(Clone, Copy, Debug, Default)]
pub struct EventCounters {
    pub joined: u64,
    pub applied: u64,
    pub duplicate: u64,
    pub stale: u64,
    pub at_capacity: u64,
    pub pending_reclaim: u64,
    pub buried: u64,
    pub zombie: u64,
    pub unconfirmed: u64,
    pub other: u64,
    pub removed: u64,
}

impl EventCounters {
    fn count(&mut self, verdict: Verdict) {
        *match verdict {
            Verdict::Joined => &mut self.joined,
            Verdict::Applied { .. } => &mut self.applied,
            Verdict::Duplicate { .. } => &mut self.duplicate,
            Verdict::Stale { .. } => &mut self.stale,
            Verdict::Rejected(Rejection::AtCapacity) => &mut self.at_capacity,
            Verdict::Rejected(Rejection::PendingReclaim) => &mut self.pending_reclaim,
            Verdict::Rejected(Rejection::Tombstone { .. }) => &mut self.buried,
            Verdict::Rejected(Rejection::Zombie { .. }) => &mut self.zombie,
            Verdict::Rejected(Rejection::Unconfirmed) => &mut self.unconfirmed,
            _ => &mut self.other,
        } += 1;
    }

    pub fn merge(&mut self, other: Self) {
        self.joined += other.joined;
        self.applied += other.applied;
        self.duplicate += other.duplicate;
        self.stale += other.stale;
        self.at_capacity += other.at_capacity;
        self.pending_reclaim += other.pending_reclaim;
        self.buried += other.buried;
        self.zombie += other.zombie;
        self.unconfirmed += other.unconfirmed;
        self.other += other.other;
        self.removed += other.removed;
    }
}

/// One thread's work, until the time or the number of claims is up.
pub fn make_claims(world: &World, mut rng: Rng) -> (TransitionLog, EventCounters) {
    let mut books = Books {
        transition_log: TransitionLog::new(world.options.nodes),
        event_counters: EventCounters::default(),
    };
    let wanted = world.options.updates.unwrap_or(u64::MAX);
    let mut packet = Vec::with_capacity(BATCH);
    while !world.is_over() {
        let begun = world.claims.fetch_add(BATCH as u64, Ordering::Relaxed);
        let count = wanted.saturating_sub(begun).min(BATCH as u64) as usize;
        if count < BATCH {
            // Those that were not wanted any more.
            let surplus = (BATCH - count) as u64;
            world.claims.fetch_sub(surplus, Ordering::Relaxed);
        }
        if count == 0 {
            break;
        }
        let now = world.clock.now();
        world.tracker.with(|view| {
            if world.options.churn {
                for _ in 0..count {
                    live_and_die(world, view, now, &mut rng, &mut books);
                }
            } else if rng.u8(..) < 32 {
                packet.clear();
                packet.extend((0..count).map(|_| {
                    let node = rng.usize(..world.options.nodes);
                    (World::address(node), random_claim(world, now, &mut rng))
                }));
                view.update_batch(&packet, now, |number, verdict| {
                    let (address, claim) = packet[number];
                    books.record(World::number(&address), claim, verdict);
                });
            } else {
                for _ in 0..count {
                    gossip(world, view, now, &mut rng, &mut books);
                }
            }
        });
    }
    (books.transition_log, books.event_counters)
}

struct Books {
    transition_log: TransitionLog,
    event_counters: EventCounters,
}

impl Books {
    #[inline]
    fn record(&mut self, node: usize, claim: Claim, verdict: Verdict) {
        self.transition_log.verdict(node, claim, verdict);
        self.event_counters.count(verdict);
    }
}

/// An incarnation up to `window` ticks behind the clock.
fn random_incarnation(world: &World, now: Timestamp, window: u64, rng: &mut Rng) -> Incarnation {
    let behind = rng.u64(..window);
    Incarnation::new(world.ticks(now).saturating_sub(behind))
}

fn random_claim(world: &World, now: Timestamp, rng: &mut Rng) -> Claim {
    let status = STATUSES[rng.usize(..STATUSES.len())];
    Claim::new(status, random_incarnation(world, now, WINDOW, rng))
}

/// One random claim, most of them as gossip brings it.
fn gossip(world: &World, view: &View<'_>, now: Timestamp, rng: &mut Rng, books: &mut Books) {
    let node = rng.usize(..world.options.nodes);
    let address = World::address(node);
    let claim = random_claim(world, now, rng);
    let verdict = match rng.u16(..4096) {
        0 => {
            take_out(world, view, node, now, rng, books);
            return;
        }
        1..8 => match world.tracker.handle(&address) {
            Some(handle) => match handle.update(claim, now) {
                Some(verdict) => verdict,
                None => return,
            },
            None => return,
        },
        8..64 => {
            let incarnation = claim.incarnation();
            let verdict = view.confirm(&address, incarnation, now);
            let claim = confirmed(incarnation, verdict);
            books.record(node, claim, verdict);
            return;
        }
        64..128 => {
            let claim = Claim::alive(claim.incarnation());
            let verdict = view.rejoin(&address, claim.incarnation(), now);
            books.record(node, claim, verdict);
            return;
        }
        _ => view.update(&address, claim, now),
    };
    books.record(node, claim, verdict);
}

/// What a confirmation entered: an unconfirmed node keeps the higher incarnation.
fn confirmed(incarnation: Incarnation, verdict: Verdict) -> Claim {
    match verdict {
        Verdict::Applied { previous } if previous.status() == Status::Unconfirmed => {
            Claim::alive(incarnation.max(previous.incarnation()))
        }
        _ => Claim::alive(incarnation),
    }
}

fn take_out(
    world: &World,
    view: &View<'_>,
    node: usize,
    now: Timestamp,
    rng: &mut Rng,
    books: &mut Books,
) {
    let address = World::address(node);
    let removed = if rng.bool() {
        view.remove(&address, now)
    } else {
        let found = view.get(&address);
        found.and_then(|state| world.tracker.remove_if(&address, state.claim(), now).ok())
    };
    if let Some(last) = removed {
        books.transition_log.left(node, last.claim());
        books.event_counters.removed += 1;
    }
}

/// One event in the life of a node that dies and rejoins all the time.
fn live_and_die(world: &World, view: &View<'_>, now: Timestamp, rng: &mut Rng, books: &mut Books) {
    let node = rng.usize(..world.options.nodes);
    let address = World::address(node);
    let incarnation = random_incarnation(world, now, CHURN_WINDOW, rng);
    let claim = match view.get(&address) {
        Some(state) if !state.status.is_gone() => match rng.u8(..16) {
            0 => Claim::dead(state.incarnation),
            1 => Claim::left(state.incarnation),
            2..4 => Claim::suspect(state.incarnation),
            _ => Claim::alive(incarnation),
        },
        // Dead, gone or never known: old gossip, and attempts to come back.
        _ if rng.bool() => Claim::alive(incarnation),
        _ => {
            let verdict = view.rejoin(&address, incarnation, now);
            books.record(node, Claim::alive(incarnation), verdict);
            return;
        }
    };
    let verdict = view.update(&address, claim, now);
    books.record(node, claim, verdict);
}
