//! A datagram comes in: any number of threads may be here at once.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use incarnation::{Incarnation, Timestamp};

use crate::apply_claims::Answer;
use crate::probing::{Answered, Relay};
use crate::protocol::{Datagram, Protocol, lock};
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
        let packet = self.read(from, bytes).inspect_err(|reason| {
            self.counters.drop_datagram(*reason);
        })?;
        self.counters.received.add(1);
        let mut answer = Answer::default();
        self.tracker.with(|view| {
            let joins = packet.message == Message::Join;
            let learns = matches!(packet.message, Message::Sync { .. }) && self.is_new(now);
            self.heard_from(view, from, packet.incarnation, joins, now, &mut answer);
            for item in packet.items {
                self.hear(view, item, learns, now, &mut answer);
            }
        });
        if !answer.corrections.is_empty() {
            self.counters.corrections.add(1);
        }
        self.reply(from, packet.message, &answer, now, out);
        Ok(())
    }

    fn read(&self, from: SocketAddr, bytes: &[u8]) -> Result<Packet, Dropped> {
        let packet = wire::decode(bytes, self.config.cluster, self.config.max_datagram)?;
        if from == self.me || !wire::is_addressable(from) {
            return Err(Dropped::Sender);
        }
        Ok(packet)
    }

    fn reply(
        &self,
        from: SocketAddr,
        message: Message,
        answer: &Answer,
        now: Timestamp,
        out: &mut Vec<Datagram>,
    ) {
        let replied = match message {
            Message::Ping { seq } => {
                self.send(from, Message::Ack { seq }, &answer.corrections, out);
                true
            }
            Message::Ack { seq } => {
                let answered = lock(&self.probing).acked(seq, from);
                self.answered(answered, out);
                false
            }
            Message::Relayed { seq } => {
                let answered = lock(&self.probing).relayed(seq);
                self.answered(answered, out);
                false
            }
            Message::Nack { seq } => {
                lock(&self.probing).nacked(seq);
                false
            }
            Message::PingReq { seq, target } => {
                self.relay(from, seq, target, now, out);
                false
            }
            Message::Join => match answer.refuse {
                Some(required) => {
                    let refused = Message::Refused {
                        required: required.get(),
                    };
                    self.send(from, refused, &[], out);
                    true
                }
                None => {
                    self.send_state_on_request(from, out);
                    false
                }
            },
            Message::Refused { required } => {
                if self.refused(Incarnation::new(required)) {
                    self.send(from, Message::Join, &[], out);
                }
                return;
            }
            Message::Sync { pull } => {
                self.joined();
                if pull {
                    self.send_state_on_request(from, out);
                }
                false
            }
            Message::Gossip => false,
        };
        if answer.knock {
            self.send(from, Message::Join, &[], out);
        } else if !replied && (answer.introduce || !answer.corrections.is_empty()) {
            self.send(from, Message::Gossip, &answer.corrections, out);
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

    /// Probes `target` for a member. Only for members, and only what this node knows itself: else
    /// anybody could have anything sent anywhere.
    fn relay(
        &self,
        asker: SocketAddr,
        asker_seq: u32,
        target: SocketAddr,
        now: Timestamp,
        out: &mut Vec<Datagram>,
    ) {
        let known = self.tracker.is_confirmed(&asker) && self.tracker.is_confirmed(&target);
        if !known || target == asker {
            return;
        }
        let ends_at = now + self.config.probe_timeout;
        let relay = Relay {
            target,
            asker,
            asker_seq,
            ends_at,
        };
        let seq = lock(&self.probing).relay(relay);
        if let Some(seq) = seq {
            self.send(target, Message::Ping { seq }, &[], out);
        }
    }

    /// Sends the whole state, but only so often in a period: a request is small, the state is not.
    fn send_state_on_request(&self, to: SocketAddr, out: &mut Vec<Datagram>) {
        // Relaxed: a number that orders nothing.
        if self.syncs.fetch_add(1, Ordering::Relaxed) < self.config.syncs_per_period {
            self.send_state(to, false, out);
        } else {
            self.send_some_state(to, out);
        }
    }
}
