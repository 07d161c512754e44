//! One key for one socket address.
#![forbid(unsafe_code)]

use std::net::{SocketAddr, SocketAddrV6};

/// The one form of a socket address that should be a node's key.
///
/// A socket bound to `[::]` reports IPv4 senders as IPv4-mapped IPv6 addresses (`[::ffff:10.0.0.1]:7946`), which are
/// other keys than the IPv4 addresses (`10.0.0.1:7946`): the same node would be known twice. This makes them IPv4
/// addresses. It also clears the flow information of IPv6 addresses, which belongs to a packet and not to a node. The
/// scope of an IPv6 address stays, since `fe80::1%2` and `fe80::1%3` are two nodes.
///
/// Call it for each address that a socket or a configuration gives, before it becomes a key. Cost: a few instructions.
///
/// ```
/// use std::net::SocketAddr;
/// # fn main() -> Result<(), std::net::AddrParseError> {
/// let mapped: SocketAddr = "[::ffff:10.0.0.1]:7946".parse()?;
/// assert_eq!(incarnation::canonical_address(mapped), "10.0.0.1:7946".parse()?);
/// # Ok(()) }
/// ```
#[must_use]
pub fn canonical_address(address: SocketAddr) -> SocketAddr {
    let SocketAddr::V6(v6) = address else {
        return address;
    };
    match v6.ip().to_ipv4_mapped() {
        Some(ip) => SocketAddr::new(ip.into(), v6.port()),
        None => SocketAddrV6::new(*v6.ip(), v6.port(), 0, v6.scope_id()).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_to_write_an_address_becomes_one() {
        let flow =
            |flow, scope| SocketAddrV6::new([0xfe80, 0, 0, 0, 0, 0, 0, 1].into(), 7, flow, scope);
        let text = |text: &str| text.parse::<SocketAddr>().unwrap();
        for (address, canonical) in [
            (text("[::ffff:10.0.0.1]:7"), text("10.0.0.1:7")),
            (text("10.0.0.1:7"), text("10.0.0.1:7")),
            // Not mapped: an IPv6 address that ends in an IPv4 address.
            (text("[::10.0.0.1]:7"), text("[::10.0.0.1]:7")),
            (text("[::1]:7"), text("[::1]:7")),
            (flow(9, 2).into(), flow(0, 2).into()),
            (flow(0, 3).into(), flow(0, 3).into()),
        ] {
            assert_eq!(canonical_address(address), canonical);
            assert_eq!(canonical_address(canonical), canonical);
        }
    }
}
