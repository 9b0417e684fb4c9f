//! Addresses that no name or file may lead to unasked: who controls a name must not reach what only this machine
//! may ask for, above all a cloud's metadata with its keys.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use forebay_net::cidr::CidrSet;

/// Metadata services outside of the link-local block: Alibaba Cloud, Azure (whose host answers to it), Oracle
/// Cloud.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(192, 0, 0, 192)];

/// The same for IPv6: Google Cloud, Oracle Cloud, Linode, Scaleway, Alibaba Cloud. AWS has a block.
const METADATA_V6: [Ipv6Addr; 5] = [
    Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254),
    Ipv6Addr::new(0xfd00, 0x00c1, 0, 0, 0, 0, 0xa9fe, 0xa9fe),
    Ipv6Addr::new(0xfd00, 0xa9fe, 0xa9fe, 0, 0, 0, 0, 0x0001),
    Ipv6Addr::new(0xfd00, 0x0042, 0, 0, 0, 0, 0, 0x0042),
    Ipv6Addr::new(0xfd00, 0x0100, 0, 0, 0, 0, 0x0100, 0x0200),
];

/// Whether a discovered or added endpoint may not be at `address`, because it is link-local, serves a cloud's
/// metadata, or is no single host's: unspecified (`0.0.0.0/8` and `::`), multicast or broadcast. An IPv6 address
/// that stands for an IPv4 one, be it mapped, compatible, through NAT64 or 6to4, is judged as that too. `allow`
/// goes before all of this.
///
/// Loopback and private addresses are taken: that is where services are.
#[must_use]
pub fn is_denied(address: IpAddr, allow: &CidrSet) -> bool {
    if allow.contains(address) {
        return false;
    }
    match address.to_canonical() {
        IpAddr::V4(v4) => is_denied_v4(v4),
        IpAddr::V6(v6) => {
            is_denied_v6(v6) || embedded(v6).is_some_and(|v4| is_denied_v4(v4) && !allow.contains(v4.into()))
        }
    }
}

fn is_denied_v4(address: Ipv4Addr) -> bool {
    address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.octets()[0] == 0
        || METADATA_V4.contains(&address)
}

fn is_denied_v6(address: Ipv6Addr) -> bool {
    address.is_unicast_link_local()
        || address.is_multicast()
        || address.is_unspecified()
        || METADATA_V6.contains(&address)
        || matches!(address.segments(), [0xfd00, 0x0ec2, ..])
}

/// The IPv4 address that an IPv6 address leads to.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let last = Ipv4Addr::from_bits((address.to_bits() & 0xffff_ffff) as u32);
    match address.segments() {
        // IPv4-compatible (RFC 4291 §2.5.5.1), but for loopback.
        [0, 0, 0, 0, 0, 0, ..] if !address.is_loopback() => Some(last),
        // NAT64: the well-known prefix (RFC 6052), and the one for local use (RFC 8215).
        [0x64, 0xff9b, 0, 0, 0, 0, ..] | [0x64, 0xff9b, 1, ..] => Some(last),
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, allow: &str, expected: bool) {
        let (address, allow) = (address.parse().expect("it is one"), allow.parse().expect("it is one"));
        assert_eq!(is_denied(address, &allow), expected, "{address} with {allow:?}");
    }

    #[test]
    fn metadata_and_link_local_addresses_are_denied_in_every_form() {
        for address in [
            "169.254.169.254",
            "169.254.0.1",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "255.255.255.255",
            "fe80::1",
            "febf::1",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "fd00:c1::a9fe:a9fe",
            "fd00:a9fe:a9fe::1",
            "fd00:42::42",
            "fd00:100::100:200",
            "::",
            "ff02::1",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::169.254.169.254",
            "2002:a9fe:a9fe::1",
        ] {
            check(address, "", true);
        }
    }

    #[test]
    fn where_services_are_is_not_denied() {
        for address in [
            "127.0.0.1",
            "10.0.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "203.0.113.1",
            "::1",
            "fd00::1",
            "fd00:ec3::254",
            "fec0::1",
            "2001:db8::1",
            "::ffff:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "2002:a00:1::1",
        ] {
            check(address, "", false);
        }
    }

    #[test]
    fn what_is_allowed_is_allowed_in_every_form() {
        check("169.254.1.1", "169.254.1.0/24", false);
        check("169.254.2.1", "169.254.1.0/24", true);
        check("::ffff:169.254.1.1", "169.254.1.0/24", false);
        check("64:ff9b::169.254.1.1", "169.254.1.0/24", false);
        check("64:ff9b::169.254.1.1", "64:ff9b::/96", false);
        check("fe80::1", "fe80::/10", false);
    }
}
