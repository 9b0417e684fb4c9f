//! Sets of IP addresses written as `10.0.0.0/8`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A set of address blocks; IPv4-mapped IPv6 addresses count as IPv4.
///
/// Blocks that touch or overlap are merged, so two sets of the same addresses are equal. `::/0` holds every
/// IPv6 address and no IPv4 one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CidrSet {
    /// Sorted, apart from each other; both ends are inside.
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

/// One block of addresses: a network address and how many of its leading bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cidr {
    network: IpAddr,
    prefix: u8,
}

/// Why a text is not a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CidrError {
    /// The part before `/` is not an IP address.
    Address,
    /// The part after `/` is not a whole number, or too large for the address.
    Prefix {
        /// The largest length for this kind of address: 32 or 128.
        max: u8,
    },
    /// Bits beyond the prefix are set: probably a typing error.
    HostBits {
        /// The block that holds the address.
        block: Cidr,
    },
}

impl CidrSet {
    /// Whether `address` is in one of the blocks.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => holds(&self.v4, address.to_bits()),
            IpAddr::V6(address) => holds(&self.v6, address.to_bits()),
        }
    }

    /// Whether no address is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }
}

impl FromIterator<Cidr> for CidrSet {
    fn from_iter<I: IntoIterator<Item = Cidr>>(blocks: I) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for Cidr { network, prefix } in blocks {
            match network {
                IpAddr::V4(network) => {
                    let first = network.to_bits();
                    v4.push((first, first | host_mask_v4(prefix)));
                }
                IpAddr::V6(network) => {
                    let first = network.to_bits();
                    v6.push((first, first | host_mask_v6(prefix)));
                }
            }
        }
        Self { v4: merged(v4, |last| last.checked_add(1)), v6: merged(v6, |last| last.checked_add(1)) }
    }
}

/// A list of blocks separated by commas or white space.
impl FromStr for CidrSet {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        text.split(|c: char| c == ',' || c.is_ascii_whitespace())
            .filter(|block| !block.is_empty())
            .map(str::parse::<Cidr>)
            .collect()
    }
}

impl Cidr {
    /// The block of the first `prefix` bits of `address`; the other bits are cleared.
    ///
    /// # Errors
    /// When `prefix` is larger than the address has bits.
    pub fn containing(address: IpAddr, prefix: u8) -> Result<Self, CidrError> {
        let max = bits(address);
        if prefix > max {
            return Err(CidrError::Prefix { max });
        }
        Ok(match address {
            IpAddr::V4(address) => {
                let network = Ipv4Addr::from_bits(address.to_bits() & !host_mask_v4(prefix));
                Self { network: network.into(), prefix }
            }
            IpAddr::V6(address) => {
                Self::from_v6(Ipv6Addr::from_bits(address.to_bits() & !host_mask_v6(prefix)), prefix)
            }
        })
    }

    /// The first address.
    #[must_use]
    pub fn network(self) -> IpAddr {
        self.network
    }

    /// How many leading bits count: 0 to 32 for IPv4, 0 to 128 for IPv6.
    #[must_use]
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// `::ffff:10.0.0.0/104` is `10.0.0.0/8`.
    fn from_v6(network: Ipv6Addr, prefix: u8) -> Self {
        match network.to_ipv4_mapped() {
            Some(mapped) if prefix >= 96 => Self { network: mapped.into(), prefix: prefix - 96 },
            _ => Self { network: network.into(), prefix },
        }
    }
}

/// `10.0.0.0/8`, `2001:db8::/32`, or a bare address for a block of one.
impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| CidrError::Address)?;
        let max = bits(address);
        let prefix = match prefix {
            Some(digits) => parse_prefix(digits).filter(|n| *n <= max).ok_or(CidrError::Prefix { max })?,
            None => max,
        };
        let block = Self::containing(address, prefix)?;
        if block.network.to_canonical() == address.to_canonical() {
            Ok(block)
        } else {
            Err(CidrError::HostBits { block })
        }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

impl fmt::Display for CidrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address => f.write_str("not an IP address or a block such as 10.0.0.0/8"),
            Self::Prefix { max } => write!(f, "the length after `/` must be a number from 0 to {max}"),
            Self::HostBits { block } => write!(f, "bits beyond the prefix are set; did you mean {block}"),
        }
    }
}

impl std::error::Error for CidrError {}

/// Digits only: `u8::from_str` would take a leading `+`.
fn parse_prefix(digits: &str) -> Option<u8> {
    if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// Ones where the host part is. `prefix` is at most 32.
fn host_mask_v4(prefix: u8) -> u32 {
    u32::MAX.checked_shr(prefix.into()).unwrap_or(0)
}

/// Ones where the host part is. `prefix` is at most 128.
fn host_mask_v6(prefix: u8) -> u128 {
    u128::MAX.checked_shr(prefix.into()).unwrap_or(0)
}

fn holds<N: Ord + Copy>(ranges: &[(N, N)], address: N) -> bool {
    let after = ranges.partition_point(|(first, _)| *first <= address);
    after > 0 && address <= ranges[after - 1].1
}

/// Sorts ranges and joins those that touch. `next` is the number after, if there is one.
fn merged<N: Ord + Copy>(mut ranges: Vec<(N, N)>, next: impl Fn(N) -> Option<N>) -> Vec<(N, N)> {
    ranges.sort_unstable();
    let mut apart: Vec<(N, N)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match apart.last_mut() {
            Some(before) if next(before.1).is_none_or(|after| first <= after) => {
                before.1 = before.1.max(last)
            }
            _ => apart.push((first, last)),
        }
    }
    apart
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("a test address")
    }

    fn set(text: &str) -> CidrSet {
        text.parse().expect("a test set")
    }

    #[track_caller]
    fn check(blocks: &str, inside: &[&str], outside: &[&str]) {
        let set = set(blocks);
        for address in inside {
            assert!(set.contains(ip(address)), "{address} in {blocks}");
        }
        for address in outside {
            assert!(!set.contains(ip(address)), "{address} not in {blocks}");
        }
    }

    #[test]
    fn blocks_hold_their_addresses_and_no_others() {
        check("10.0.0.0/8", &["10.0.0.0", "10.255.255.255"], &["9.255.255.255", "11.0.0.0", "::10.0.0.1"]);
        check("127.0.0.1", &["127.0.0.1"], &["127.0.0.2", "::1"]);
        check("::1", &["::1"], &["::2", "127.0.0.1"]);
        check("2001:db8::/32", &["2001:db8::", "2001:db8:ffff::1"], &["2001:db9::"]);
        check("0.0.0.0/0", &["0.0.0.0", "255.255.255.255"], &["::", "::1"]);
        check("::/0", &["::", "ffff::"], &["1.2.3.4", "::ffff:1.2.3.4"]);
        check("10.0.0.0/8, 192.168.0.0/16\n::1", &["10.1.1.1", "192.168.7.7", "::1"], &["192.169.0.0"]);
        check("", &[], &["0.0.0.0", "::"]);
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address() {
        check("10.0.0.0/8", &["::ffff:10.1.2.3"], &["::ffff:11.1.2.3"]);
        check("::ffff:10.0.0.0/104", &["10.1.2.3", "::ffff:10.1.2.3"], &["11.1.2.3"]);
        check("::ffff:10.0.0.1", &["10.0.0.1"], &["10.0.0.2"]);
    }

    #[test]
    fn neighbours_are_merged() {
        assert_eq!(set("10.0.0.0/9 10.128.0.0/9"), set("10.0.0.0/8"));
        assert_eq!(set("10.0.0.0/8 10.1.0.0/16"), set("10.0.0.0/8"));
        assert_eq!(set("0.0.0.0/0 255.255.255.255"), set("0.0.0.0/0"));
        assert_ne!(set("10.0.0.0/9"), set("10.0.0.0/8"));
    }

    #[test]
    fn what_is_no_block_is_refused_with_the_reason() {
        let cases = [
            ("", "not an IP address or a block such as 10.0.0.0/8"),
            ("example.com", "not an IP address or a block such as 10.0.0.0/8"),
            ("10.0.0/8", "not an IP address or a block such as 10.0.0.0/8"),
            ("010.0.0.1", "not an IP address or a block such as 10.0.0.0/8"),
            ("fe80::1%eth0", "not an IP address or a block such as 10.0.0.0/8"),
            ("10.0.0.0/33", "the length after `/` must be a number from 0 to 32"),
            ("10.0.0.0/+8", "the length after `/` must be a number from 0 to 32"),
            ("10.0.0.0/", "the length after `/` must be a number from 0 to 32"),
            ("10.0.0.0/8/8", "the length after `/` must be a number from 0 to 32"),
            ("::/129", "the length after `/` must be a number from 0 to 128"),
            ("10.0.0.1/8", "bits beyond the prefix are set; did you mean 10.0.0.0/8"),
            ("2001:db8::1/32", "bits beyond the prefix are set; did you mean 2001:db8::/32"),
            ("::ffff:10.0.0.1/104", "bits beyond the prefix are set; did you mean 10.0.0.0/8"),
        ];
        for (text, expected) in cases {
            let error = text.parse::<Cidr>().expect_err(text);
            assert_eq!(error.to_string(), expected, "{text}");
        }
    }

    #[test]
    fn a_block_prints_as_it_is_written() {
        for text in ["10.0.0.0/8", "0.0.0.0/0", "2001:db8::/32", "::1/128"] {
            assert_eq!(text.parse::<Cidr>().map(|block| block.to_string()).as_deref(), Ok(text));
        }
    }
}
