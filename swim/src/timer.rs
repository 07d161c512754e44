//! Time passes: probes begin, widen and fail, suspicions end, states are exchanged, the tracker is
//! swept. One thread at a time, while any number of others handle datagrams.
//!
//! A suspicion began when the tracker says that it did: a further suspicion at the same incarnation
//! is a duplicate there and leaves its last update alone, so it pushes no end back. (One at a higher incarnation is news: only the
//! suspect itself rises there, so honest gossip tells of it once.)

use core::time::Duration;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use incarnation::{Claim, ProbeOrder, Status, Timestamp};

use crate::probing::Probe;
use crate::protocol::{Datagram, Phase, Protocol, lock};
use crate::wire::Message;

/// What is due when.
#[derive(Debug)]
pub(crate) struct Timers {
    order: ProbeOrder<SocketAddr>,
    /// `None` before the first call.
    next_period: Option<Timestamp>,
    periods: u64,
    /// In which period the next probe may begin: a node in bad health probes more seldom.
    next_probe: u64,
    /// The earliest end of a suspicion at the last look.
    next_death: Option<Timestamp>,
    /// When it was promised to look again.
    due: Timestamp,
    /// Since when this node runs without a break. What it did not hear before says nothing.
    awake_since: Timestamp,
}

impl Timers {
    pub(crate) const fn new(order: ProbeOrder<SocketAddr>) -> Self {
        Self {
            order,
            next_period: None,
            periods: 0,
            next_probe: 0,
            next_death: None,
            due: Timestamp::ZERO,
            awake_since: Timestamp::ZERO,
        }
    }
}

impl Protocol {
    /// Does what is due by `now`, and says when to call again; calling earlier does no harm. What to
    /// send goes to `out`.
    ///
    /// Cost: most calls, that of a probe; once in a period a pass over the tracker if anybody is
    /// suspected; a whole state once in [`sync_periods`](crate::Config::sync_periods).
    pub fn handle_timer(&self, now: Timestamp, out: &mut Vec<Datagram>) -> Timestamp {
        let mut timers = lock(&self.timers);
        let timers = &mut *timers;
        let next_period = *timers.next_period.get_or_insert_with(|| {
            // Nodes that start together should not probe together.
            timers.awake_since = now;
            timers.due = now;
            now + self.config.period.mul_f64(self.unit_interval())
        });
        if now.since(timers.due) > self.config.period {
            self.stalled(timers, now);
        }
        self.end_relays(now, out);
        self.advance_probe(now, out);
        let begins = now >= next_period;
        if begins || timers.next_death.is_some_and(|death| now >= death) {
            timers.next_death = self.end_suspicions(timers.awake_since, now);
        }
        if begins {
            // From now on, not from when it was due: after a break there is nothing to catch up with.
            timers.next_period = Some(now + self.config.period);
            timers.periods += 1;
            self.begin_period(timers, now, out);
        }
        let probe = lock(&self.probing).deadline();
        let next = [timers.next_period, timers.next_death, probe];
        timers.due = next.into_iter().flatten().min().unwrap_or(now).max(now);
        timers.due
    }

    /// A number from 0 to 1.
    fn unit_interval(&self) -> f64 {
        self.random() as f64 / u64::MAX as f64
    }

    /// This node did not run for a while (it was suspended, or starved). What it missed is its own
    /// fault: no probe fails by it, and all suspicions get their full time again.
    fn stalled(&self, timers: &mut Timers, now: Timestamp) {
        self.counters.stalls.add(1);
        self.health.worse();
        timers.awake_since = now;
        timers.next_death = None;
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
        let Some(probe) = probing.own else {
            return;
        };
        if probe.ask_at.is_some_and(|at| now >= at) {
            let helpers = self.sample(self.config.indirect_probes, |node, status| {
                *node != probe.target && status == Status::Alive
            });
            let patience = self.config.probe_timeout * 2 * self.health.factor();
            probing.own = Some(Probe {
                ask_at: None,
                // Late or not, the helpers get their time.
                fails_at: probe.fails_at.max(now + patience),
                silent_helpers: helpers.len(),
                ..probe
            });
            drop(probing);
            let Probe { seq, target, .. } = probe;
            for (helper, _) in helpers {
                self.send(helper, Message::PingReq { seq, target }, &[], out);
            }
        } else if now >= probe.fails_at {
            probing.own = None;
            drop(probing);
            self.failed(probe, now);
        }
    }

    /// A probe went unanswered: its target is suspected (SWIM, section 4.2), if the tracker lets it.
    fn failed(&self, probe: Probe, now: Timestamp) {
        self.counters.failed_probes.add(1);
        self.health.worse();
        if probe.silent_helpers > 0 {
            self.health.worse();
        }
        let Some(state) = self.tracker.get(&probe.target) else {
            return;
        };
        // Whatever was heard of it since the probe began is later than what the probe could tell.
        if state.status != Status::Alive || state.last_update > probe.started {
            return;
        }
        let suspicion = Claim::suspect(state.incarnation);
        if self
            .tracker
            .update(&probe.target, suspicion, now)
            .accepted()
        {
            self.counters.suspicions.add(1);
            self.announce(probe.target);
        }
    }

    /// Declares those dead who did not refute in time; when to look again.
    fn end_suspicions(&self, awake_since: Timestamp, now: Timestamp) -> Option<Timestamp> {
        if self.tracker.counts().suspect == 0 {
            return None;
        }
        let timeout = self.config.suspicion_timeout(self.members());
        let mut next = None;
        let view = self.tracker.pin();
        for (node, state) in view.iter() {
            if state.status != Status::Suspect {
                continue;
            }
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

    fn begin_period(&self, timers: &mut Timers, now: Timestamp, out: &mut Vec<Datagram>) {
        // Relaxed: a number that orders nothing.
        self.syncs.store(0, Ordering::Relaxed);
        let every = |periods: u32| periods > 0 && timers.periods.is_multiple_of(u64::from(periods));
        let (syncs, sweeps) = (
            every(self.config.sync_periods),
            every(self.config.sweep_periods),
        );
        let counts = self.tracker.counts();
        if self.phase() == Phase::Joining || counts.alive + counts.suspect == 0 {
            self.knock(now, out);
        }
        // Lifeguard, section IV.A: bad health stretches the time between probes. All else goes on, for it is what mends.
        if timers.periods >= timers.next_probe {
            timers.next_probe = timers.periods + u64::from(self.health.factor());
            self.begin_probe(timers, now, out);
        }
        if counts.unconfirmed > 0 {
            self.reach_out(self.config.introductions, Status::Unconfirmed, out);
        }
        // Who was declared dead behind a partition would otherwise never be spoken to again.
        if counts.dead > 0 {
            self.reach_out(1, Status::Dead, out);
        }
        if syncs {
            // Whoever was cut off for so long that the dead are forgotten is found by its seeds alone.
            self.knock_on_lost(now, out);
            for (partner, _) in self.sample(1, |_, status| status == Status::Alive) {
                self.send_state(partner, true, out);
            }
        }
        if sweeps {
            let _report = self.tracker.sweep(now);
        }
    }

    /// Probes the next member in turn (SWIM, section 4.3), unless the last probe is still under way.
    fn begin_probe(&self, timers: &mut Timers, now: Timestamp, out: &mut Vec<Datagram>) {
        let mut probing = lock(&self.probing);
        if probing.own.is_some() {
            return;
        }
        let next = timers.order.next(
            || self.random(),
            |_, state| matches!(state.status, Status::Alive | Status::Suspect),
        );
        let Some(target) = next.map(|member| *member.key()) else {
            return;
        };
        let seq = probing.seq();
        let patience: Duration = self.config.probe_timeout * self.health.factor();
        probing.own = Some(Probe {
            seq,
            target,
            started: now,
            ask_at: Some(now + patience),
            fails_at: now + self.config.period * self.health.factor(),
            silent_helpers: 0,
        });
        drop(probing);
        self.send(target, Message::Ping { seq }, &[], out);
    }

    /// Pings some nodes that are no members (yet, or any more). Whether they answer is up to them:
    /// nothing follows if not.
    fn reach_out(&self, count: usize, to: Status, out: &mut Vec<Datagram>) {
        for (node, _) in self.sample(count, |_, status| status == to) {
            let seq = lock(&self.probing).seq();
            self.send(node, Message::Ping { seq }, &[], out);
        }
    }
}
