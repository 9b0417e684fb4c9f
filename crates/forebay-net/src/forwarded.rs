//! Who the client is behind proxies: `Forwarded` (RFC 7239) and `X-Forwarded-For`, read and written.
//!
//! Anybody can write anything into these headers, so only what trusted proxies appended counts: the walk
//! goes from the right, over trusted addresses, to the first that is not.

use std::io::Write;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use crate::cidr::CidrSet;

mod element;
#[cfg(test)]
mod tests;

pub use element::{Element, Elements, Malformed, Node};

/// Longest chain of proxies that is walked, and most elements read from one `Forwarded` line.
pub const HOPS_MAX: usize = 32;

/// The address of the client: the rightmost one that no trusted proxy has.
///
/// `x_forwarded_for` and `forwarded` yield the values of these header fields in the order of the message. When
/// there are both, `X-Forwarded-For` counts, which nearly every proxy appends to. An untrusted peer is the
/// client whatever it sends. Where an element is no address, or the chain is longer than [`HOPS_MAX`], the last
/// trusted address is the answer. IPv4-mapped addresses come out as IPv4.
pub fn client_address<'a>(
    peer: IpAddr,
    x_forwarded_for: impl DoubleEndedIterator<Item = &'a [u8]>,
    forwarded: impl DoubleEndedIterator<Item = &'a [u8]>,
    trusted: &CidrSet,
) -> IpAddr {
    let mut walk = Walk { client: peer.to_canonical(), hops: 0, trusted };
    if !trusted.contains(peer) {
        return walk.client;
    }
    let mut lines = x_forwarded_for.rev().peekable();
    if lines.peek().is_some() {
        let _ = lines.try_for_each(|line| walk.x_forwarded_for(line));
    } else {
        let _ = forwarded.rev().try_for_each(|line| walk.forwarded(line));
    }
    walk.client
}

/// Appends `for=192.0.2.1` or `for="[2001:db8::1]"`.
pub fn write_for(client: IpAddr, out: &mut Vec<u8>) {
    // Writing to a `Vec` cannot fail.
    let _ = match client.to_canonical() {
        IpAddr::V4(address) => write!(out, "for={address}"),
        IpAddr::V6(address) => write!(out, "for=\"[{address}]\""),
    };
}

/// Appends `192.0.2.1` or `2001:db8::1`: an element of `X-Forwarded-For`, or the value of `X-Real-IP`.
pub fn write_address(client: IpAddr, out: &mut Vec<u8>) {
    // Writing to a `Vec` cannot fail.
    let _ = write!(out, "{}", client.to_canonical());
}

/// Appends a whole element of `Forwarded`: `for=192.0.2.1;host=example.com;proto=https`.
///
/// `host` must be canonical, as [`crate::host::parse`] gives it, with or without a port; `proto` is `http` or
/// `https`.
pub fn write_element(client: IpAddr, host: Option<&str>, proto: &str, out: &mut Vec<u8>) {
    write_for(client, out);
    if let Some(host) = host {
        // A colon or bracket is not part of a token.
        let quote: &[u8] = if host.bytes().any(|b| matches!(b, b':' | b'[')) { b"\"" } else { b"" };
        for piece in [b";host=", quote, host.as_bytes(), quote] {
            out.extend_from_slice(piece);
        }
    }
    out.extend_from_slice(b";proto=");
    out.extend_from_slice(proto.as_bytes());
}

/// The way from the peer towards the client.
struct Walk<'a> {
    /// The farthest address that a trusted peer vouches for.
    client: IpAddr,
    /// At most [`HOPS_MAX`].
    hops: usize,
    trusted: &'a CidrSet,
}

impl Walk<'_> {
    /// Goes on to the next address; `None` when the walk is over.
    fn step(&mut self, address: Option<IpAddr>) -> Option<()> {
        self.hops += 1;
        if self.hops > HOPS_MAX {
            return None;
        }
        self.client = address?.to_canonical();
        self.trusted.contains(self.client).then_some(())
    }

    fn x_forwarded_for(&mut self, line: &[u8]) -> Option<()> {
        for text in line.rsplit(|byte| *byte == b',') {
            match text.trim_ascii() {
                // Empty list elements count for nothing (RFC 9110 section 5.6.1), but they do count as a hop here.
                b"" => self.hops += 1,
                text => self.step(parse_address(text))?,
            }
        }
        Some(())
    }

    /// The line is read from the left, since a comma may stand in quotes: one bad element spoils all of it.
    fn forwarded(&mut self, line: &[u8]) -> Option<()> {
        let mut addresses = [None; HOPS_MAX];
        let mut len = 0;
        for element in Elements::new(line) {
            *addresses.get_mut(len)? = match element.ok()?.client {
                Some(Node::Address(address)) => Some(address),
                Some(Node::Hidden) | None => None,
            };
            len += 1;
        }
        addresses[..len].iter().rev().try_for_each(|address| self.step(*address))
    }
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`.
fn parse_address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    if let Some(inside) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        return inside.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    let address = text.parse::<IpAddr>().ok();
    address.or_else(|| text.parse::<SocketAddr>().ok().filter(is_unscoped).map(|address| address.ip()))
}

/// `[fe80::1%2]:80` names an interface, which means nothing to others.
fn is_unscoped(address: &SocketAddr) -> bool {
    match address {
        SocketAddr::V4(_) => true,
        SocketAddr::V6(address) => SocketAddrV6::scope_id(address) == 0,
    }
}
