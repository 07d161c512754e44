//! Time passes: probes begin, widen and fail, suspicions end, states are exchanged, the tracker is
//! swept. One thread at a time, while any number of others handle datagrams.
//!
//! A suspicion began when the tracker says that it did: a further suspicion at the same incarnation
//! is a duplicate there and leaves its last update alone, so it pushes no end back. (One at a higher incarnation is news: only the
//! suspect itself rises there, so honest gossip tells of it once.) How long it lasts depends on its accusers: see
//! `suspicions`.

use core::time::Duration;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use incarnation::{Claim, Status, Timestamp};

use crate::probing::Probe;
use crate::protocol::{Datagram, Phase, Protocol, is_member, lock};
use crate::schedule::Schedule;
use crate::suspicions;
use crate::wire::Message;

impl Protocol {
    /// Does what is due by `now`, and says when to call again; calling earlier does no harm. What to
    /// send goes to `out`.
    ///
    /// Cost: most calls, that of a probe; once in a period a pass over the tracker if any node is
    /// suspected; a whole state once in [`sync_periods`](crate::Config::sync_periods).
    pub fn handle_timer(&self, now: Timestamp, out: &mut Vec<Datagram>) -> Timestamp {
        let mut schedule = lock(&self.schedule);
        let schedule = &mut *schedule;
        let next_period = *schedule.next_period.get_or_insert_with(|| {
            // Nodes that start together should not probe together.
            schedule.awake_since = now;
            schedule.due = now;
            now + self.config.period.mul_f64(self.unit_interval())
        });
        if now.since(schedule.due) > self.config.period {
            self.stalled(schedule, now);
        }
        self.end_relays(now, out);
        self.advance_probe(now, out);
        let begins = now >= next_period;
        if begins || schedule.next_death.is_some_and(|death| now >= death) {
            schedule.next_death = self.end_suspicions(schedule.awake_since, now);
        }
        if begins {
            // From now on, not from when it was due: after a break there is nothing to catch up with.
            schedule.next_period = Some(now + self.config.period);
            schedule.periods += 1;
            self.counters.periods.add(1);
            self.begin_period(schedule, now, out);
        }
        let probe = lock(&self.probing).deadline();
        let next = [schedule.next_period, schedule.next_death, probe];
        schedule.due = next.into_iter().flatten().min().unwrap_or(now).max(now);
        schedule.due
    }

    /// A number from 0 to 1.
    fn unit_interval(&self) -> f64 {
        self.random() as f64 / u64::MAX as f64
    }

    /// This node did not run for a while (it was suspended, or starved). What it missed is its own
    /// fault: no probe fails by it, and all suspicions get their full time again.
    fn stalled(&self, schedule: &mut Schedule, now: Timestamp) {
        self.counters.stalls.add(1);
        self.health.worse();
        schedule.awake_since = now;
        schedule.next_death = None;
        lock(&self.probing).own = None;
    }

    fn end_relays(&self, now: Timestamp, out: &mut Vec<Datagram>) {
        let over = lock(&self.probing).end_relays(now);
        for relay in over {
            let seq = relay.asker_seq;
            self.send(relay.asker, Message::Nack { seq }, &[], out);
        }
    }

    /// Asks others, or gives up.
    fn advance_probe(&self, now: Timestamp, out: &mut Vec<Datagram>) {
        let mut probing = lock(&self.probing);
        let Some(probe) = probing.own.clone() else {
            return;
        };
        if probe.ask_at.is_some_and(|at| now >= at) {
            let helpers = self.sample(self.config.indirect_probes, |node, status| {
                *node != probe.target && status == Status::Alive
            });
            let patience = self.config.probe_timeout * 2 * self.health.factor();
            let silent: Vec<_> = helpers
                .into_iter()
                .map(|(helper, _)| (helper, self.numbers.fresh()))
                .collect();
            let target = probe.target;
            probing.own = Some(Probe {
                ask_at: None,
                // Late or not, the helpers get their time.
                fails_at: probe.fails_at.max(now + patience),
                silent: silent.clone(),
                ..probe
            });
            drop(probing);
            for (helper, seq) in silent {
                self.send(helper, Message::PingReq { seq, target }, &[], out);
            }
        } else if now >= probe.fails_at {
            probing.own = None;
            drop(probing);
            self.failed(&probe, now);
        }
    }

    /// A probe went unanswered: its target is suspected (SWIM, section 4.2), if the tracker lets it.
    fn failed(&self, probe: &Probe, now: Timestamp) {
        self.counters.failed_probes.add(1);
        self.health.worse();
        if !probe.silent.is_empty() {
            self.health.worse();
        }
        let Some(state) = self.tracker.get(&probe.target) else {
            return;
        };
        let accuses = match state.status {
            // What was heard of it since the probe began is later than what the probe could tell.
            Status::Alive if state.last_update > probe.started => false,
            Status::Alive => {
                let suspicion = Claim::suspect(state.incarnation);
                let accepted = self
                    .tracker
                    .update(&probe.target, suspicion, now)
                    .accepted();
                self.counters.suspicions.add(accepted.into());
                accepted
            }
            // It is suspected already; this node is one more accuser.
            Status::Suspect => true,
            _ => false,
        };
        if accuses && lock(&self.suspicions).accuse(probe.target, state.incarnation, self.me) {
            self.announce(probe.target);
        }
    }

    /// Declares those dead that did not refute in time; when to look again.
    fn end_suspicions(&self, awake_since: Timestamp, now: Timestamp) -> Option<Timestamp> {
        lock(&self.suspicions).retain(|node| {
            let state = self.tracker.get(node);
            state.is_some_and(|state| state.status == Status::Suspect)
        });
        if self.tracker.counts().suspect == 0 {
            return None;
        }
        let members = self.members();
        let shortest = self.config.suspicion_timeout(members);
        let longest = self.config.lone_suspicion_timeout(members);
        let mut next = None;
        let view = self.tracker.pin();
        for (node, state) in view.iter() {
            if state.status != Status::Suspect {
                continue;
            }
            let accusers = lock(&self.suspicions)
                .accusers(node, state.incarnation)
                .len();
            let timeout = suspicions::timeout(shortest, longest, accusers, members);
            let ends = state.last_update.max(awake_since) + timeout;
            if now < ends {
                next = Some(next.map_or(ends, |next: Timestamp| next.min(ends)));
                continue;
            }
            // Of this very incarnation: a refutation that arrives first wins.
            if view
                .update(node, Claim::dead(state.incarnation), now)
                .accepted()
            {
                self.counters.deaths.add(1);
                self.announce(*node);
            }
        }
        next
    }

    fn begin_period(&self, schedule: &mut Schedule, now: Timestamp, out: &mut Vec<Datagram>) {
        lock(&self.requests).begin_period();
        self.tell_all_again();
        // Relaxed: a number that orders nothing.
        self.refutations.store(0, Ordering::Relaxed);
        let is = |node: &SocketAddr, fits: fn(Status) -> bool| {
            self.tracker
                .get(node)
                .is_some_and(|state| fits(state.status))
        };
        let silent = lock(&self.introductions)
            .begin_period(|node| is(node, |status| status == Status::Unconfirmed));
        for node in silent {
            if let Some(state) = self.tracker.get(&node) {
                // If it was confirmed at this very moment, its state is another, and it stays.
                let unanswered = Claim::unconfirmed(state.incarnation);
                let _ = self.tracker.remove_if(&node, unanswered, now);
            }
        }
        lock(&self.probing).retain_contacts(|node| match self.tracker.get(node) {
            Some(state) => state.status != Status::Unconfirmed,
            None => self.tracker.tombstone(node).is_some(),
        });
        let every =
            |periods: u32| periods > 0 && schedule.periods.is_multiple_of(u64::from(periods));
        let (syncs, sweeps) = (
            every(self.config.sync_periods),
            every(self.config.sweep_periods),
        );
        let counts = self.tracker.counts();
        let joining = self.phase() == Phase::Joining;
        if joining || (counts.alive + counts.suspect == 0 && self.phase() == Phase::Member) {
            self.ask_seeds(now, out);
        }
        // A node that was not let in accuses no node, and none would listen.
        if !joining {
            self.probe_and_contact(schedule, now, out);
            if syncs {
                // Nodes that were cut off for so long that the dead are forgotten are found by their seeds alone.
                self.ask_lost_seed(now, out);
                for (partner, _) in self.sample(1, |_, status| status == Status::Alive) {
                    self.exchange_states(partner, now, out);
                }
            }
        }
        if sweeps {
            let _report = self.tracker.sweep(now);
        }
        let mut processes = lock(&self.processes);
        // The tracker may be the program's to sweep.
        if sweeps || processes.len() > self.tracker.capacity() {
            processes.retain(|node, _| self.tracker.get(node).is_some());
        }
    }

    fn probe_and_contact(&self, schedule: &mut Schedule, now: Timestamp, out: &mut Vec<Datagram>) {
        // Lifeguard, section IV.A: bad health stretches the time between probes. All else goes on, for it is what mends.
        if schedule.periods >= schedule.next_probe {
            schedule.next_probe = schedule.periods + u64::from(self.health.factor());
            self.begin_probe(schedule, now, out);
        }
        let unconfirmed = self.tracker.sample(
            self.config.introductions,
            || self.random(),
            |node, state| {
                state.status == Status::Unconfirmed && !lock(&self.introductions).was_probed(node)
            },
        );
        for (node, _) in unconfirmed {
            if lock(&self.introductions).probe(node) {
                self.contact(node, now, out);
            }
        }
        // Without it, a node that was declared dead behind a partition would never be spoken to again.
        let is_gone = |node: &SocketAddr| !self.tracker.can_suspect(node);
        let wanted = lock(&self.probing).take_contact(is_gone);
        let dead = wanted.or_else(|| {
            let sample = self.sample(1, |_, status| status == Status::Dead);
            sample.first().map(|(node, _)| *node)
        });
        if let Some(dead) = dead {
            self.contact(dead, now, out);
        }
    }

    /// Probes the next member in turn (SWIM, section 4.3), unless the last probe is still under way. In every other
    /// period one that waits for contact goes first.
    fn begin_probe(&self, schedule: &mut Schedule, now: Timestamp, out: &mut Vec<Datagram>) {
        let mut probing = lock(&self.probing);
        if probing.own.is_some() {
            return;
        }
        let wanted = match schedule.periods.is_multiple_of(2) {
            true => probing.take_contact(|node| self.tracker.can_suspect(node)),
            false => None,
        };
        let in_turn = || {
            let next = schedule
                .order
                .next_member(|| self.random(), |_, state| is_member(state.status));
            next.map(|member| *member.key())
        };
        let Some(target) = wanted.or_else(in_turn) else {
            return;
        };
        let seq = self.numbers.fresh();
        let patience: Duration = self.config.probe_timeout * self.health.factor();
        probing.own = Some(Probe {
            seq,
            target,
            started: now,
            ask_at: Some(now + patience),
            fails_at: now + self.config.period * self.health.factor(),
            silent: Vec::new(),
        });
        drop(probing);
        self.send(target, Message::Ping { seq }, &[], out);
    }

    /// Pings a node that is no member (yet, or any more). Nothing follows if it does not answer.
    fn contact(&self, node: SocketAddr, now: Timestamp, out: &mut Vec<Datagram>) {
        let seq = self.contact_number(node, now);
        self.send(node, Message::Ping { seq }, &[], out);
    }
}
