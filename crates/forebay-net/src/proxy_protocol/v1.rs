//! Version 1: a line of text.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Client, Header, Malformed, Outcome, V1_MAX, paired};

/// What it begins with.
pub(super) const SIGNATURE: &[u8] = b"PROXY ";
/// The shortest line.
pub(super) const LINE_MIN: usize = b"PROXY UNKNOWN\r\n".len();

/// Reads a header that begins with `SIGNATURE`, as far as it is there.
pub(super) fn parse(bytes: &[u8]) -> Result<Outcome, Malformed> {
    let window = &bytes[..bytes.len().min(V1_MAX)];
    let Some(end) = memchr::memchr(b'\n', window) else {
        if window.len() == V1_MAX {
            return Err(Malformed::Broken("the line is longer than 107 bytes"));
        }
        // Of its end, which is CRLF.
        let end = if window.ends_with(b"\r") { 1 } else { 2 };
        return Ok(Outcome::Partial { missing: end.max(LINE_MIN.saturating_sub(window.len())) });
    };
    let line =
        window[..end].strip_suffix(b"\r").ok_or(Malformed::Broken("the line does not end with CRLF"))?;
    let client = client(&line[SIGNATURE.len()..])?;
    let header = Box::new(Header { client, ..Header::default() });
    Ok(Outcome::Complete { used: end + 1, header })
}

/// What stands behind `PROXY `.
fn client(text: &[u8]) -> Result<Client, Malformed> {
    if text.contains(&b'\r') {
        return Err(Malformed::Broken("the line has a CR in it"));
    }
    // Whatever follows is to be ignored.
    if text == b"UNKNOWN" || text.starts_with(b"UNKNOWN ") {
        return Ok(Client::Unknown);
    }
    let text = std::str::from_utf8(text).map_err(|_| Malformed::Broken("the line is not ASCII"))?;
    let mut words = text.split(' ');
    let mut word = || words.next().unwrap_or_default();
    let (family, from, to, from_port, to_port) = (word(), word(), word(), word(), word());
    if words.next().is_some() {
        return Err(Malformed::Broken("the line has too many words"));
    }
    let parse: fn(&str) -> Option<IpAddr> = match family {
        "TCP4" => |text| text.parse::<Ipv4Addr>().ok().map(Into::into),
        "TCP6" => |text| text.parse::<Ipv6Addr>().ok().map(Into::into),
        _ => return Err(Malformed::Broken("the protocol is none of TCP4, TCP6 and UNKNOWN")),
    };
    let ip = |text| parse(text).ok_or(Malformed::Broken("an address is not one of the family that is named"));
    let source = SocketAddr::new(ip(from)?, port(from_port)?);
    let destination = SocketAddr::new(ip(to)?, port(to_port)?);
    Ok(Client::Ip { source, destination })
}

/// Digits only, and no leading zero.
fn port(text: &str) -> Result<u16, Malformed> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    let port = if is_plain { text.parse().ok() } else { None };
    port.ok_or(Malformed::Broken("a port is not a number from 0 to 65535"))
}

/// Writes a header: for a client and the address it connected to, or, if there is none, one that does not say.
pub fn write_v1(out: &mut Vec<u8>, client: Option<(SocketAddr, SocketAddr)>) {
    let Some((source, destination)) = client else {
        out.extend_from_slice(b"PROXY UNKNOWN\r\n");
        return;
    };
    let (source, destination) = paired(source, destination);
    let (family, from, to) = (if source.is_ipv4() { 4 } else { 6 }, source.ip(), destination.ip());
    write!(out, "PROXY TCP{family} {from} {to} {} {}\r\n", source.port(), destination.port())
        .expect("a vector takes everything");
}
