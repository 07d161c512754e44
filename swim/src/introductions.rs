//! How many addresses hearsay may bring into the table, and which of them were contacted: an invented address, or a
//! victim's, gets one probe for its time in the table, and few of them enter in a period. Numbers and addresses; whether a node
//! is alive is never written here.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// How many addresses of one IP enter by hearsay in a period. On the loopback, where all nodes of a host share one and
/// no victim is, there is no such limit.
const PER_IP: u32 = 4;

/// For how many periods a node may answer its probe. Then it leaves the table, and enters again when a member speaks of
/// it: a lost datagram does not keep an honest node out for long.
const PATIENCE: u32 = 4;

#[derive(Debug)]
pub(crate) struct Introductions {
    /// How many one sender may introduce in a period; all senders together, four times as many.
    per_sender: u32,
    senders: BTreeMap<SocketAddr, u32>,
    ips: BTreeMap<IpAddr, u32>,
    /// Unconfirmed nodes that were sent their probe, and how many periods ago.
    probed: BTreeMap<SocketAddr, u32>,
}

impl Introductions {
    pub(crate) const fn new(per_sender: u32) -> Self {
        Self {
            per_sender,
            senders: BTreeMap::new(),
            ips: BTreeMap::new(),
            probed: BTreeMap::new(),
        }
    }

    /// Whether `node` may enter because `sender` speaks of it (or is it); if so, it is counted.
    pub(crate) fn allow(&mut self, sender: SocketAddr, node: SocketAddr) -> bool {
        let ip = node.ip();
        let all: u32 = self.senders.values().sum();
        let by_sender = self.senders.get(&sender).copied().unwrap_or(0);
        let by_ip = self.ips.get(&ip).copied().unwrap_or(0);
        let full = by_sender >= self.per_sender
            || all >= self.per_sender.saturating_mul(4)
            || (by_ip >= PER_IP && !ip.is_loopback());
        if full {
            return false;
        }
        self.senders.insert(sender, by_sender + 1);
        self.ips.insert(ip, by_ip + 1);
        true
    }

    /// A node gets its probe now; false if it had it.
    pub(crate) fn probe(&mut self, node: SocketAddr) -> bool {
        let is_first = !self.probed.contains_key(&node);
        if is_first {
            self.probed.insert(node, 0);
        }
        is_first
    }

    /// Whether a node had its probe.
    pub(crate) fn was_probed(&self, node: &SocketAddr) -> bool {
        self.probed.contains_key(node)
    }

    /// A period begins. Nodes that are not Unconfirmed any more are forgotten; those that did not answer in time are
    /// returned, to leave the table.
    pub(crate) fn begin_period(
        &mut self,
        is_unconfirmed: impl Fn(&SocketAddr) -> bool,
    ) -> Vec<SocketAddr> {
        self.senders.clear();
        self.ips.clear();
        let mut silent = Vec::new();
        self.probed.retain(|node, periods| {
            *periods += 1;
            let stays = is_unconfirmed(node) && *periods <= PATIENCE;
            if !stays && is_unconfirmed(node) {
                silent.push(*node);
            }
            stays
        });
        silent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(ip: u8, port: u16) -> SocketAddr {
        SocketAddr::new([10, 0, 0, ip].into(), port)
    }

    #[test]
    fn introductions_are_bounded_by_sender_by_ip_and_in_all() {
        let mut introductions = Introductions::new(10);
        let mut allowed = |sender: u8, victims: &mut dyn Iterator<Item = SocketAddr>| {
            victims
                .filter(|victim| introductions.allow(node(sender, 1), *victim))
                .count()
        };
        assert_eq!(allowed(1, &mut (1..100).map(|port| node(99, port))), 4);
        assert_eq!(allowed(1, &mut (100..200).map(|ip| node(ip, 1))), 6);
        assert_eq!(allowed(2, &mut (100..200).map(|ip| node(ip, 1))), 10);
        assert_eq!(allowed(3, &mut (100..200).map(|ip| node(ip, 1))), 10);
        assert_eq!(allowed(4, &mut (100..200).map(|ip| node(ip, 1))), 10);
        assert_eq!(allowed(5, &mut (200..250).map(|ip| node(ip, 1))), 0);
        assert_eq!(introductions.begin_period(|_| false), []);
        assert!(introductions.allow(node(5, 1), node(99, 1)));
    }

    #[test]
    fn the_loopback_has_no_limit_by_ip() {
        let mut introductions = Introductions::new(100);
        let local = |port| SocketAddr::new([127, 0, 0, 1].into(), port);
        assert!((1..=100).all(|port| introductions.allow(node(1, 1), local(port))));
    }

    #[test]
    fn a_node_has_one_probe_for_its_stay_and_leaves_if_it_does_not_answer() {
        let mut introductions = Introductions::new(1);
        assert!(introductions.probe(node(1, 1)));
        assert!(!introductions.probe(node(1, 1)) && introductions.was_probed(&node(1, 1)));
        for _ in 0..PATIENCE {
            assert_eq!(introductions.begin_period(|_| true), []);
            assert!(!introductions.probe(node(1, 1)));
        }
        assert_eq!(introductions.begin_period(|_| true), [node(1, 1)]);
        assert!(introductions.probe(node(1, 1)));
        assert_eq!(introductions.begin_period(|_| false), []);
        assert!(!introductions.was_probed(&node(1, 1)));
    }
}
