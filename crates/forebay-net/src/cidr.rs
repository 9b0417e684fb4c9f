//! Sets of IP addresses written as `10.0.0.0/8`.

use std::net::IpAddr;

/// A set of address blocks; IPv4-mapped IPv6 addresses count as IPv4.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CidrSet {}

impl CidrSet {
    /// Whether `address` is in one of the blocks.
    #[must_use]
    pub fn contains(&self, _address: IpAddr) -> bool {
        false
    }
}
