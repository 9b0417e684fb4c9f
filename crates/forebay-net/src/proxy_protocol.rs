//! The PROXY protocol: what a proxy says, before anything else, of the client it connects for (versions 1 and 2 of
//! HAProxy's specification).
//!
//! Codec without I/O: [`parse`] and the writers. [`read`] takes a header from a socket and leaves what follows there.

mod checksum;
mod read;
#[cfg(test)]
mod tests;
mod tlv;
mod v1;
mod v2;

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

pub use read::{ReadError, read};
pub use tlv::{Ssl, Tlvs};
pub use v1::write_v1;
pub use v2::write_v2;

/// Longest header of version 1, with its end of line.
pub const V1_MAX: usize = 107;
/// Longest header of version 2. Addresses take at most 232 bytes; the rest is for what a proxy adds.
pub const V2_MAX: usize = 4096;

/// What a proxy says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// For whom it connects.
    pub client: Client,
    /// What it says besides. Version 1 says nothing besides.
    pub tlvs: Tlvs,
}

/// For whom a proxy connects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Client {
    /// For itself, such as for a health check.
    #[default]
    Itself,
    /// It does not say: the addresses of the connection itself hold.
    Unknown,
    /// A client over IP.
    Ip {
        /// The client's address.
        source: SocketAddr,
        /// The address it connected to.
        destination: SocketAddr,
    },
    /// A client on the proxy's own machine.
    Unix,
}

/// What bytes are the beginning of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A whole header.
    Complete {
        /// Its length; what follows is not part of it.
        used: usize,
        /// What it says.
        header: Box<Header>,
    },
    /// All of it is part of a header, and at least so many bytes are missing.
    Partial {
        /// At least 1.
        missing: usize,
    },
}

/// Why bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// They begin in another way.
    NoHeader,
    /// They begin as a header does, and go on in a way that is not allowed.
    Broken(&'static str),
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoHeader => "it does not begin with a PROXY protocol header",
            Self::Broken(why) => why,
        })
    }
}

impl std::error::Error for Malformed {}

/// Reads a header of either version, without looking at anything behind it. Nothing at all is the beginning of one.
///
/// # Errors
/// It is no header, however it goes on.
pub fn parse(bytes: &[u8]) -> Result<Outcome, Malformed> {
    if bytes.is_empty() {
        return Ok(Outcome::Partial { missing: v1::LINE_MIN });
    }
    if begins(bytes, v2::SIGNATURE) {
        v2::parse(bytes)
    } else if begins(bytes, v1::SIGNATURE) {
        v1::parse(bytes)
    } else {
        Err(Malformed::NoHeader)
    }
}

/// Whether `bytes` begin with `signature`, or are part of it.
fn begins(bytes: &[u8], signature: &[u8]) -> bool {
    bytes.iter().zip(signature).all(|(byte, expected)| byte == expected)
}

/// Two addresses of the same family, as headers need them: IPv4 where both are, else IPv6.
fn paired(source: SocketAddr, destination: SocketAddr) -> (SocketAddr, SocketAddr) {
    let (from, to) = (source.ip().to_canonical(), destination.ip().to_canonical());
    let (from, to) = if from.is_ipv4() == to.is_ipv4() { (from, to) } else { (mapped(from), mapped(to)) };
    ((from, source.port()).into(), (to, destination.port()).into())
}

fn mapped(ip: IpAddr) -> IpAddr {
    let mapped: Ipv6Addr = match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    mapped.into()
}
