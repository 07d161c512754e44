//! Probes under way: this node's own (SWIM, section 3.1), and those it makes for others. Addresses,
//! numbers and times; whether a node is alive is never written here.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use incarnation::Timestamp;

/// Probes made for others at a time; further requests are dropped, as the network might.
const MAX_RELAYS: usize = 1024;

/// This node's probe of a member.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe {
    pub(crate) seq: u32,
    pub(crate) target: SocketAddr,
    pub(crate) started: Timestamp,
    /// When to ask others, if they have not been asked.
    pub(crate) ask_at: Option<Timestamp>,
    /// When it has failed.
    pub(crate) fails_at: Timestamp,
    /// How many helpers have not been heard from.
    pub(crate) silent_helpers: usize,
}

/// A probe made for another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Relay {
    pub(crate) target: SocketAddr,
    pub(crate) asker: SocketAddr,
    pub(crate) asker_seq: u32,
    /// When to tell the asker that there was no answer.
    pub(crate) ends_at: Timestamp,
}

/// What an ack or a relayed ack was the answer to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answered {
    /// This node's own probe, which is over.
    Own,
    /// A probe for another, who is to be told.
    Relayed(Relay),
    /// Nothing under way: late, repeated, or an introduction's.
    Nothing,
}

/// Everything under way.
#[derive(Debug)]
pub(crate) struct Probing {
    next_seq: u32,
    pub(crate) own: Option<Probe>,
    relays: BTreeMap<u32, Relay>,
}

impl Probing {
    /// Numbers begin at random, so that acks can't be guessed across restarts.
    pub(crate) const fn new(first_seq: u32) -> Self {
        Self {
            next_seq: first_seq,
            own: None,
            relays: BTreeMap::new(),
        }
    }

    pub(crate) const fn seq(&mut self) -> u32 {
        self.next_seq = self.next_seq.wrapping_add(1);
        self.next_seq
    }

    /// An ack from `from` itself.
    pub(crate) fn acked(&mut self, seq: u32, from: SocketAddr) -> Answered {
        if self
            .own
            .is_some_and(|own| own.seq == seq && own.target == from)
        {
            self.own = None;
            return Answered::Own;
        }
        match self.relays.get(&seq) {
            Some(relay) if relay.target == from => {
                let relay = *relay;
                self.relays.remove(&seq);
                Answered::Relayed(relay)
            }
            _ => Answered::Nothing,
        }
    }

    /// An ack that a helper passes on.
    pub(crate) fn relayed(&mut self, seq: u32) -> Answered {
        if self
            .own
            .is_some_and(|own| own.seq == seq && own.ask_at.is_none())
        {
            self.own = None;
            return Answered::Own;
        }
        Answered::Nothing
    }

    /// A helper says that it got no answer either.
    pub(crate) fn nacked(&mut self, seq: u32) {
        if let Some(own) = &mut self.own
            && own.seq == seq
        {
            own.silent_helpers = own.silent_helpers.saturating_sub(1);
        }
    }

    /// Begins a probe for another; its number, unless there are too many.
    pub(crate) fn relay(&mut self, relay: Relay) -> Option<u32> {
        if self.relays.len() >= MAX_RELAYS {
            return None;
        }
        let seq = self.seq();
        self.relays.insert(seq, relay);
        Some(seq)
    }

    /// Ends the probes for others whose time is over.
    pub(crate) fn end_relays(&mut self, now: Timestamp) -> Vec<Relay> {
        let mut over = Vec::new();
        self.relays.retain(|_, relay| {
            let stays = relay.ends_at > now;
            if !stays {
                over.push(*relay);
            }
            stays
        });
        over
    }

    /// When something here is due.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        let own = self.own.map(|own| own.ask_at.unwrap_or(own.fails_at));
        let relays = self.relays.values().map(|relay| relay.ends_at).min();
        own.into_iter().chain(relays).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(port: u16) -> SocketAddr {
        SocketAddr::new([10, 0, 0, 1].into(), port)
    }

    fn probing(asked: bool) -> (Probing, u32) {
        let mut probing = Probing::new(u32::MAX);
        let seq = probing.seq();
        probing.own = Some(Probe {
            seq,
            target: node(1),
            started: Timestamp::ZERO,
            ask_at: (!asked).then_some(Timestamp::from_millis(3)),
            fails_at: Timestamp::from_millis(10),
            silent_helpers: 2,
        });
        (probing, seq)
    }

    #[test]
    fn only_the_target_or_a_helper_that_was_asked_can_answer_a_probe() {
        let (mut probing_, seq) = probing(false);
        assert!(matches!(probing_.acked(seq, node(2)), Answered::Nothing));
        assert!(matches!(
            probing_.acked(seq + 1, node(1)),
            Answered::Nothing
        ));
        assert!(matches!(probing_.relayed(seq), Answered::Nothing));
        assert!(matches!(probing_.acked(seq, node(1)), Answered::Own));
        assert!(matches!(probing_.acked(seq, node(1)), Answered::Nothing));
        let (mut asked, seq) = probing(true);
        assert!(matches!(asked.relayed(seq), Answered::Own));
    }

    #[test]
    fn a_probe_for_another_is_answered_once_or_ends() {
        let (mut probing, _) = probing(false);
        let ends_at = Timestamp::from_millis(2);
        let relay = Relay {
            target: node(3),
            asker: node(4),
            asker_seq: 77,
            ends_at,
        };
        let (first, second) = (probing.relay(relay).unwrap(), probing.relay(relay).unwrap());
        assert_eq!(probing.deadline(), Some(ends_at));
        assert!(matches!(probing.acked(first, node(4)), Answered::Nothing));
        assert!(matches!(probing.acked(first, node(3)), Answered::Relayed(r) if r.asker_seq == 77));
        assert!(matches!(probing.acked(first, node(3)), Answered::Nothing));
        assert_eq!(probing.end_relays(Timestamp::from_millis(1)).len(), 0);
        assert_eq!(probing.end_relays(ends_at).len(), 1);
        assert!(matches!(probing.acked(second, node(3)), Answered::Nothing));
        assert_eq!(probing.deadline(), Some(Timestamp::from_millis(3)));
        for _ in 0..MAX_RELAYS {
            assert!(probing.relay(relay).is_some());
        }
        assert!(probing.relay(relay).is_none());
    }
}
