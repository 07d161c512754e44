//! A datagram comes in; any number of threads may be here at once. This file decides which sender is believed, and which
//! one gets an answer. What the claims of a datagram do is in `apply_claims`.
//!
//! What bounds a stranger (`docs/wire.md`): only `Ping` and `Join` of one are answered, each with one datagram that is no longer
//! than a `Join`, and `Gossip`, `State` and `Welcome` are never answered at all.

use std::net::SocketAddr;

use incarnation::{Incarnation, Rejection, Timestamp, Verdict};

use crate::address;
use crate::apply_claims::{Findings, Standing};
use crate::numbers::Purpose;
use crate::probing::{Answered, Relay};
use crate::protocol::{Datagram, Members, Phase, Protocol, lock};
use crate::requests::Request;
use crate::wire::{self, Dropped, Message, Packet};

impl Protocol {
    /// Handles a datagram that came from `from`; what to send goes to `out`.
    ///
    /// Claims go straight into the tracker, so any number of threads may call this at once. A datagram
    /// takes effect as a whole or not at all.
    ///
    /// # Errors
    ///
    /// Why it was dropped; it is counted in the [stats](Self::stats), and has changed nothing else.
    pub fn handle_datagram(
        &self,
        from: SocketAddr,
        bytes: &[u8],
        now: Timestamp,
        out: &mut Vec<Datagram>,
    ) -> Result<(), Dropped> {
        let (from, packet) = self.read(from, bytes).inspect_err(|reason| {
            self.counters.drop_datagram(*reason);
        })?;
        self.counters.received.add(1);
        self.tracker
            .with(|view| self.handle(view, from, packet, now, out));
        Ok(())
    }

    /// Reads a datagram, with all addresses in it as this node knows them.
    fn read(&self, from: SocketAddr, bytes: &[u8]) -> Result<(SocketAddr, Packet), Dropped> {
        let mut packet = wire::decode(bytes, self.config.cluster, self.config.max_datagram)?;
        let from = address::sender(self.me, from).ok_or(Dropped::Sender)?;
        if packet.process == self.process {
            return Err(Dropped::Own);
        }
        if from == self.me {
            return Err(Dropped::Sender);
        }
        let peer = |address| address::peer(self.me, from, address);
        if let Message::PingReq { target, .. } = &mut packet.message {
            *target = peer(*target).ok_or(Dropped::Malformed)?;
        }
        packet.items.retain_mut(|item| match peer(item.node) {
            Some(node) => {
                item.node = node;
                item.accusers = item
                    .accusers
                    .iter()
                    .filter_map(|accuser| peer(*accuser))
                    .collect();
                true
            }
            None => {
                self.counters.unusable_addresses.add(1);
                false
            }
        });
        Ok((from, packet))
    }

    fn handle(
        &self,
        view: &Members<'_>,
        from: SocketAddr,
        packet: Packet,
        now: Timestamp,
        out: &mut Vec<Datagram>,
    ) {
        let Packet {
            process,
            incarnation,
            message,
            items,
        } = packet;
        let mut found = Findings::default();
        let is_number = |number, purpose| self.numbers.is_of(number, purpose, from, now);
        let mut standing = match view.can_suspect(&from) {
            true => Standing::Member,
            false => Standing::Stranger,
        };
        found.is_complete = match message {
            Message::Welcome { join } => self.is_seed(from) && is_number(join, Purpose::Join),
            Message::State { pull } => is_number(pull, Purpose::Pull),
            _ => false,
        };
        found.is_welcome = found.is_complete && matches!(message, Message::Welcome { .. });
        if found.is_complete {
            // The number was this node's own.
            standing = Standing::FirstHand;
        }
        let mut contact = None;
        if let Message::Ack { seq, join, .. } = message {
            let answered = lock(&self.probing).acked(seq, from);
            let is_own = !matches!(answered, Answered::Nothing) || is_number(seq, Purpose::Contact);
            if is_own {
                standing = Standing::FirstHand;
                let verdict = self.contacted(view, from, process, incarnation, join.is_some(), now);
                contact = Some(verdict);
                self.answered(answered, out);
            }
        }
        if contact.is_none() {
            self.hear_of_sender(view, from, incarnation, standing, now, &mut found);
        }
        for item in items {
            self.apply(view, from, standing, item, now, &mut found);
        }
        self.answer_accusation(&found);
        self.reply(view, from, standing, message, contact, &found, now, out);
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "all that a datagram was found to be"
    )]
    fn reply(
        &self,
        view: &Members<'_>,
        from: SocketAddr,
        standing: Standing,
        message: Message,
        contact: Option<Verdict>,
        found: &Findings,
        now: Timestamp,
        out: &mut Vec<Datagram>,
    ) {
        match message {
            Message::Ping { seq } => {
                // A peer that is no member is asked in the same datagram, so that it costs no second one.
                let ask = (!view.can_suspect(&from)).then(|| self.probe_number(view, from, now));
                if !found.corrections.is_empty() {
                    self.counters.corrections.add(1);
                }
                self.send(from, self.ack(seq, ask, from, now), &found.corrections, out);
            }
            Message::Ack { ask, join, .. } => {
                let Some(verdict) = contact else {
                    return;
                };
                if let Some(ask) = ask {
                    self.send(from, self.ack(ask, None, from, now), &[], out);
                }
                if let Some(join) = join {
                    self.answer_join(view, from, join, verdict, now, out);
                } else if verdict.accepted() && self.was_sought(from) {
                    self.exchange_states(from, now, out);
                }
            }
            Message::PingReq { seq, target } => self.relay(from, seq, target, now, out),
            Message::Relayed { seq } => {
                if lock(&self.probing).relayed(seq, from) {
                    self.health.better();
                }
            }
            Message::Nack { seq } => lock(&self.probing).nacked(seq, from),
            // Leaving, it lets no node in.
            Message::Join if self.phase() == Phase::Leaving => {}
            Message::Join => {
                let seq = self.probe_number(view, from, now);
                self.send(from, Message::Ping { seq }, &[], out);
            }
            Message::Welcome { .. } => {
                if found.is_welcome {
                    self.joined();
                }
            }
            Message::Refused { join, required } => {
                let is_answer =
                    self.is_seed(from) && self.numbers.is_of(join, Purpose::Join, from, now);
                if is_answer && self.raise_to(Incarnation::new(required)) {
                    self.ask(from, now, out);
                }
            }
            Message::NoRoom { join } => {
                if self.is_seed(from) && self.numbers.is_of(join, Purpose::Join, from, now) {
                    self.counters.no_room.add(1);
                }
            }
            Message::Sync { pull: Some(pull) } if standing == Standing::Member => {
                self.send_state_on_request(Request::Sync, from, Message::State { pull }, out);
            }
            Message::Sync { .. } | Message::State { .. } | Message::Gossip => {}
        }
    }

    /// An ack. A node that wants to be let in says so to its seeds.
    fn ack(&self, seq: u64, ask: Option<u64>, to: SocketAddr, now: Timestamp) -> Message {
        let joins = self.phase() == Phase::Joining && self.is_seed(to);
        let join = joins.then(|| self.numbers.of(Purpose::Join, to, now));
        Message::Ack { seq, ask, join }
    }

    /// The number for a probe of a peer that just spoke; if it is Unconfirmed, that is the one probe it gets.
    fn probe_number(&self, view: &Members<'_>, peer: SocketAddr, now: Timestamp) -> u64 {
        if view.get(&peer).is_some() {
            let _ = lock(&self.introductions).probe(peer);
        }
        self.contact_number(peer, now)
    }

    /// A peer asked to join with an ack of this node's own number, and that is how it was judged.
    fn answer_join(
        &self,
        view: &Members<'_>,
        from: SocketAddr,
        join: u64,
        verdict: Verdict,
        now: Timestamp,
        out: &mut Vec<Datagram>,
    ) {
        if self.phase() == Phase::Leaving {
            return;
        }
        let message = match verdict {
            Verdict::Rejected(Rejection::AtCapacity) => Message::NoRoom { join },
            _ if view.can_suspect(&from) && !matches!(verdict, Verdict::Stale { .. }) => {
                let welcome = Message::Welcome { join };
                return self.send_state_on_request(Request::Join, from, welcome, out);
            }
            // It died not long ago, or a later run of it is known.
            Verdict::Stale { current } | Verdict::Duplicate { current } => {
                let above = current.incarnation().saturating_add(1);
                self.refusal(view, from, join, above, now)
            }
            Verdict::Rejected(Rejection::Tombstone { incarnation }) => {
                self.refusal(view, from, join, incarnation.saturating_add(1), now)
            }
            Verdict::Rejected(Rejection::Zombie { required }) => {
                self.refusal(view, from, join, required, now)
            }
            _ => return,
        };
        self.post(from, self.writer(message), out);
    }

    fn refusal(
        &self,
        view: &Members<'_>,
        from: SocketAddr,
        join: u64,
        above: Incarnation,
        now: Timestamp,
    ) -> Message {
        let required = view
            .required_incarnation(&from, now)
            .unwrap_or(above)
            .max(above);
        Message::Refused {
            join,
            required: required.get(),
        }
    }

    fn answered(&self, answered: Answered, out: &mut Vec<Datagram>) {
        match answered {
            Answered::Own => self.health.better(),
            Answered::Relayed(Relay {
                asker,
                asker_seq: seq,
                ..
            }) => {
                self.send(asker, Message::Relayed { seq }, &[], out);
            }
            Answered::Nothing => {}
        }
    }

    /// Probes `target` for a member. Only for members, and only members: else
    /// any host could have anything sent anywhere.
    fn relay(
        &self,
        asker: SocketAddr,
        asker_seq: u64,
        target: SocketAddr,
        now: Timestamp,
        out: &mut Vec<Datagram>,
    ) {
        let known = self.tracker.can_suspect(&asker) && self.tracker.can_suspect(&target);
        if !known || target == asker || target == self.me {
            return;
        }
        let relay = Relay {
            target,
            asker,
            asker_seq,
            ends_at: now + self.config.probe_timeout,
        };
        let seq = self.numbers.fresh();
        if lock(&self.probing).relay(seq, relay) {
            self.send(target, Message::Ping { seq }, &[], out);
        }
    }
}
