//! Probes under way: this node's own (SWIM, section 3.1), and those it makes for others; and the nodes to be probed next. Addresses,
//! numbers and times; whether a node is alive is never written here.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use incarnation::Timestamp;

/// Probes made for others at a time; further requests are dropped, as the network might.
const MAX_RELAYS: usize = 1024;
/// Of them, for one asker. It has one probe of its own at a time.
const MAX_RELAYS_PER_ASKER: usize = 16;
/// Nodes that wait for contact at most.
const MAX_CONTACTS: usize = 64;

/// This node's probe of a member.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    pub(crate) seq: u64,
    pub(crate) target: SocketAddr,
    pub(crate) started: Timestamp,
    /// When to ask others, if they have not been asked.
    pub(crate) ask_at: Option<Timestamp>,
    /// When it has failed.
    pub(crate) fails_at: Timestamp,
    /// Which helpers have not been heard from, and the number that each was given.
    pub(crate) silent: Vec<(SocketAddr, u64)>,
}

/// A probe made for another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Relay {
    pub(crate) target: SocketAddr,
    pub(crate) asker: SocketAddr,
    pub(crate) asker_seq: u64,
    /// When to tell the asker that there was no answer.
    pub(crate) ends_at: Timestamp,
}

/// What an ack was the answer to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answered {
    /// This node's own probe, which is over.
    Own,
    /// A probe for another node, which is to be told.
    Relayed(Relay),
    /// Nothing that is remembered: late, repeated, invented, or a contact's.
    Nothing,
}

/// Everything under way.
#[derive(Debug, Default)]
pub(crate) struct Probing {
    pub(crate) own: Option<Probe>,
    relays: BTreeMap<u64, Relay>,
    contacts: BTreeSet<SocketAddr>,
}

impl Probing {
    /// An ack from `from` itself.
    pub(crate) fn acked(&mut self, seq: u64, from: SocketAddr) -> Answered {
        if self
            .own
            .as_ref()
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

    /// A helper says that the target answered it. True if it was asked, and this node's own probe is over.
    pub(crate) fn relayed(&mut self, seq: u64, from: SocketAddr) -> bool {
        let over = self
            .own
            .as_ref()
            .is_some_and(|own| own.silent.contains(&(from, seq)));
        if over {
            self.own = None;
        }
        over
    }

    /// A helper says that it got no answer either. It counts once, and only from one that was asked.
    pub(crate) fn nacked(&mut self, seq: u64, from: SocketAddr) {
        if let Some(own) = &mut self.own {
            own.silent.retain(|silent| *silent != (from, seq));
        }
    }

    /// Begins a probe for another under a number; false if there are too many.
    pub(crate) fn relay(&mut self, seq: u64, relay: Relay) -> bool {
        let relays = self.relays.values();
        let of_asker = relays.filter(|other| other.asker == relay.asker).count();
        let room = self.relays.len() < MAX_RELAYS && of_asker < MAX_RELAYS_PER_ASKER;
        if room {
            self.relays.insert(seq, relay);
        }
        room
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
        let own = self
            .own
            .as_ref()
            .map(|own| own.ask_at.unwrap_or(own.fails_at));
        let relays = self.relays.values().map(|relay| relay.ends_at).min();
        own.into_iter().chain(relays).min()
    }

    /// A node's own word is needed, since gossip of it is too far ahead to be believed: it is probed out of turn.
    pub(crate) fn want_contact(&mut self, node: SocketAddr) {
        if self.contacts.len() < MAX_CONTACTS {
            self.contacts.insert(node);
        }
    }

    /// A node to contact of which `fits` holds; it waits no longer.
    pub(crate) fn take_contact(
        &mut self,
        fits: impl Fn(&SocketAddr) -> bool,
    ) -> Option<SocketAddr> {
        let node = *self.contacts.iter().find(|node| fits(node))?;
        self.contacts.remove(&node);
        Some(node)
    }

    /// Drops the contacts of which `fits` does not hold.
    pub(crate) fn retain_contacts(&mut self, fits: impl Fn(&SocketAddr) -> bool) {
        self.contacts.retain(fits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(port: u16) -> SocketAddr {
        SocketAddr::new([10, 0, 0, 1].into(), port)
    }

    fn probing(asked: bool) -> Probing {
        Probing {
            own: Some(Probe {
                seq: 5,
                target: node(1),
                started: Timestamp::ZERO,
                ask_at: (!asked).then_some(Timestamp::from_millis(3)),
                fails_at: Timestamp::from_millis(10),
                silent: if asked {
                    vec![(node(2), 6), (node(3), 7)]
                } else {
                    Vec::new()
                },
            }),
            ..Probing::default()
        }
    }

    #[test]
    fn only_the_target_answers_a_probe_and_only_once() {
        let mut probing = probing(false);
        assert!(matches!(probing.acked(5, node(2)), Answered::Nothing));
        assert!(matches!(probing.acked(6, node(1)), Answered::Nothing));
        assert!(!probing.relayed(5, node(1)));
        assert!(matches!(probing.acked(5, node(1)), Answered::Own));
        assert!(matches!(probing.acked(5, node(1)), Answered::Nothing));
    }

    #[test]
    fn a_helper_speaks_with_its_own_number_and_counts_once() {
        let silent = |probing: &Probing| probing.own.as_ref().unwrap().silent.len();
        let mut probing = probing(true);
        for (seq, from) in [(5, node(2)), (6, node(3)), (6, node(4)), (7, node(2))] {
            assert!(!probing.relayed(seq, from), "{seq} {from}");
            probing.nacked(seq, from);
            assert_eq!(silent(&probing), 2, "{seq} {from}");
        }
        probing.nacked(6, node(2));
        probing.nacked(6, node(2));
        assert_eq!(silent(&probing), 1);
        assert!(probing.relayed(7, node(3)) && probing.own.is_none());
    }

    #[test]
    fn a_probe_for_another_is_answered_once_or_ends() {
        let mut probing = probing(false);
        let ends_at = Timestamp::from_millis(2);
        let relay = Relay {
            target: node(3),
            asker: node(4),
            asker_seq: 77,
            ends_at,
        };
        assert!(probing.relay(1, relay) && probing.relay(2, relay));
        assert_eq!(probing.deadline(), Some(ends_at));
        assert!(matches!(probing.acked(1, node(4)), Answered::Nothing));
        assert!(matches!(probing.acked(1, node(3)), Answered::Relayed(r) if r.asker_seq == 77));
        assert!(matches!(probing.acked(1, node(3)), Answered::Nothing));
        assert_eq!(probing.end_relays(Timestamp::from_millis(1)).len(), 0);
        assert_eq!(probing.end_relays(ends_at).len(), 1);
        assert!(matches!(probing.acked(2, node(3)), Answered::Nothing));
        assert_eq!(probing.deadline(), Some(Timestamp::from_millis(3)));
    }

    #[test]
    fn no_asker_takes_all_the_probes_for_others() {
        let mut probing = Probing::default();
        let relay = |asker| Relay {
            target: node(3),
            asker: node(asker),
            asker_seq: 0,
            ends_at: Timestamp::from_millis(2),
        };
        let mut seq = 0;
        let mut begun = |asker| {
            seq += 1;
            probing.relay(seq, relay(asker))
        };
        assert_eq!((0..2000).filter(|_| begun(9)).count(), MAX_RELAYS_PER_ASKER);
        assert!(begun(10));
        let all: usize = (100..300)
            .map(|asker| (0..99).filter(|_| begun(asker)).count())
            .sum();
        assert_eq!(all + MAX_RELAYS_PER_ASKER + 1, MAX_RELAYS);
    }

    #[test]
    fn contacts_wait_once_each_and_are_bounded() {
        let mut probing = Probing::default();
        for port in 1..=200 {
            probing.want_contact(node(port));
            probing.want_contact(node(1));
        }
        assert_eq!(probing.take_contact(|_| false), None);
        assert_eq!(
            probing.take_contact(|contact| *contact == node(1)),
            Some(node(1))
        );
        assert_eq!(probing.take_contact(|contact| *contact == node(1)), None);
        let left = core::iter::from_fn(|| probing.take_contact(|_| true)).count();
        assert_eq!(left, MAX_CONTACTS - 1);
    }
}
