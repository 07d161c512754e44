//! Addresses: which one a node is known by, and which can be a peer's at all. Pure functions, called where datagrams
//! are read and where a node is made.
//!
//! One node has one key in the tracker, so each address is brought to one form before anything looks at it: an IPv4
//! address in IPv6 clothing (`::ffff:10.0.0.1`) becomes the IPv4 address, and a link-local IPv6 address gets the scope
//! of the interface here. Scopes are numbers of this host's interfaces, so they are never sent.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// The one form of an address: no IPv4-mapped ones, no flow label.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::new(ip.into(), address.port()),
        IpAddr::V6(ip) => SocketAddrV6::new(ip, address.port(), 0, scope(address)).into(),
    }
}

/// Whether a datagram can be sent to a canonical address, and only one node can be there.
pub(crate) fn is_addressable(address: SocketAddr) -> bool {
    let ip = address.ip();
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    !(address.port() == 0 || ip.is_unspecified() || ip.is_multicast() || broadcast)
}

/// The key of a peer that `from` (canonical, the sender of a datagram) calls `address`, on the node at `me`; `None` if
/// it can't be a peer's.
///
/// A loopback address means another host to each host, so only a node that is on the loopback itself takes one. A
/// link-local address is on the link by which the datagram came, or else on this node's own.
pub(crate) fn peer(me: SocketAddr, from: SocketAddr, address: SocketAddr) -> Option<SocketAddr> {
    let mut address = canonical(address);
    if let SocketAddr::V6(v6) = &mut address {
        v6.set_scope_id(0);
        if is_link_local(v6.ip()) {
            let scope = [from, me].map(scope).into_iter().find(|scope| *scope > 0)?;
            v6.set_scope_id(scope);
        }
    }
    let elsewhere = address.ip().is_loopback() && !me.ip().is_loopback();
    (is_addressable(address) && !elsewhere).then_some(address)
}

/// The key of a datagram's sender; `None` if it can't be a peer.
pub(crate) fn sender(me: SocketAddr, from: SocketAddr) -> Option<SocketAddr> {
    let from = canonical(from);
    peer(me, from, from)
}

const fn is_link_local(ip: &Ipv6Addr) -> bool {
    ip.is_unicast_link_local()
}

/// The scope of a link-local address; 0 for all others, which have none.
const fn scope(address: SocketAddr) -> u32 {
    match address {
        SocketAddr::V6(v6) if is_link_local(v6.ip()) => v6.scope_id(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> SocketAddr {
        address.parse().unwrap()
    }

    #[test]
    fn an_ipv4_mapped_address_is_the_ipv4_address() {
        assert_eq!(canonical(at("[::ffff:10.0.0.1]:7")), at("10.0.0.1:7"));
        let me = at("10.0.0.9:7");
        assert_eq!(
            peer(me, me, at("[::ffff:10.0.0.1]:7")),
            Some(at("10.0.0.1:7"))
        );
        for unusable in [
            "[::ffff:224.0.0.1]:7",
            "[::ffff:255.255.255.255]:7",
            "[::ffff:0.0.0.0]:7",
            "[::ffff:127.0.0.1]:7",
            "[::ffff:10.0.0.1]:0",
        ] {
            assert_eq!(peer(me, me, at(unusable)), None, "{unusable}");
        }
    }

    #[test]
    fn only_a_node_on_the_loopback_takes_loopback_addresses() {
        let (remote, local) = (at("10.0.0.9:7"), at("127.0.0.1:9"));
        let (other, other6) = (at("127.0.0.1:7"), at("[::1]:7"));
        assert_eq!(peer(remote, remote, other), None);
        assert_eq!(peer(remote, remote, other6), None);
        assert_eq!(peer(local, local, other), Some(other));
        assert_eq!(sender(remote, other), None);
        assert_eq!(sender(local, other), Some(other));
    }

    #[test]
    fn a_link_local_address_gets_the_scope_of_the_interface_here() {
        let me = at("[fe80::9%2]:7");
        let from = at("[fe80::1%2]:7");
        // The sender calls its interface 5; on the wire there is no scope at all.
        assert_eq!(peer(me, from, at("[fe80::9]:7")), Some(me));
        assert_eq!(
            peer(me, from, at("[fe80::3%5]:7")),
            Some(at("[fe80::3%2]:7"))
        );
        // A sender with a global address says nothing of links: this node's own it is.
        assert_eq!(
            peer(me, at("[2001:db8::1]:7"), at("[fe80::3]:7")),
            Some(at("[fe80::3%2]:7"))
        );
        let global = at("[2001:db8::9]:7");
        assert_eq!(peer(global, global, at("[fe80::3]:7")), None);
        assert_eq!(
            sender(global, at("[fe80::3%4]:7")),
            Some(at("[fe80::3%4]:7"))
        );
    }
}
