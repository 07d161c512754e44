//! How often whole states are sent on request: a request is small, a state is not. Numbers and addresses.
//!
//! Requests to be let in and requests of members are counted apart. The former come with a number that only the asking
//! address can have; the latter may be forged, and must not keep a newcomer out.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// How many states one address gets in a period: a newcomer may restart, a datagram get lost.
const PER_ADDRESS: u32 = 2;

/// How many states one IP gets in a period. On the loopback, where all nodes of a host share one, there is no such limit.
const PER_IP: u32 = 4;

/// What a whole state is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// A newcomer asks to be let in.
    Join,
    /// A member compares its state with this node's.
    Sync,
}

/// The states sent in this period.
#[derive(Debug)]
pub(crate) struct Requests {
    /// How many of each kind are sent in a period.
    limit: u32,
    joins: Sent,
    syncs: Sent,
}

#[derive(Debug, Default)]
struct Sent {
    count: u32,
    addresses: BTreeMap<SocketAddr, u32>,
    ips: BTreeMap<IpAddr, u32>,
}

impl Requests {
    pub(crate) fn new(limit: u32) -> Self {
        Self {
            limit,
            joins: Sent::default(),
            syncs: Sent::default(),
        }
    }

    /// Whether a state is sent to an address that asks for it; if so, it is counted.
    pub(crate) fn allow(&mut self, request: Request, to: SocketAddr) -> bool {
        let sent = match request {
            Request::Join => &mut self.joins,
            Request::Sync => &mut self.syncs,
        };
        let ip = to.ip();
        let by_ip = sent.ips.get(&ip).copied().unwrap_or(0);
        let by_address = sent.addresses.get(&to).copied().unwrap_or(0);
        let is_full = sent.count >= self.limit
            || by_address >= PER_ADDRESS
            || (by_ip >= PER_IP && !ip.is_loopback());
        if is_full {
            return false;
        }
        sent.count += 1;
        sent.addresses.insert(to, by_address + 1);
        sent.ips.insert(ip, by_ip + 1);
        true
    }

    /// A period begins.
    pub(crate) fn begin_period(&mut self) {
        self.joins = Sent::default();
        self.syncs = Sent::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(ip: u8, port: u16) -> SocketAddr {
        SocketAddr::new([10, 0, 0, ip].into(), port)
    }

    #[test]
    fn states_are_bounded_by_address_by_ip_and_in_all() {
        let mut requests = Requests::new(10);
        let mut allowed = |nodes: &mut dyn Iterator<Item = SocketAddr>| {
            nodes
                .filter(|node| requests.allow(Request::Join, *node))
                .count()
        };
        assert_eq!(allowed(&mut (0..9).map(|_| node(1, 1))), 2);
        assert_eq!(allowed(&mut (2..99).map(|port| node(1, port))), 2);
        assert_eq!(allowed(&mut (2..99).map(|ip| node(ip, 1))), 6);
        // The other kind has numbers of its own.
        assert!(requests.allow(Request::Sync, node(1, 1)));
        requests.begin_period();
        assert!(requests.allow(Request::Join, node(1, 1)));
    }

    #[test]
    fn the_loopback_has_no_limit_by_ip() {
        let mut requests = Requests::new(100);
        let local = |port| SocketAddr::new([127, 0, 0, 1].into(), port);
        assert!((1..=100).all(|port| requests.allow(Request::Sync, local(port))));
        assert!(!requests.allow(Request::Sync, local(101)));
    }
}
