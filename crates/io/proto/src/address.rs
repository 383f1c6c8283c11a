//! Where a caller is, for bounds on what one caller may take.

use std::net::{IpAddr, Ipv6Addr};

/// The address that stands for all that its owner has: who has one address of IPv6 has the 2^64 others of its network as well
/// (RFC 4291 section 2.5.4).
pub fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}
