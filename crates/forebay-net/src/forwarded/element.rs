//! The grammar of a `Forwarded` line (RFC 7239 section 4), read strictly from left to right.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The elements of one line; ends after the first that is malformed.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    rest: Option<&'a [u8]>,
}

/// What one proxy says about the request it took.
///
/// Parameters other than these are checked for form and left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element<'a> {
    /// `for`: whom the proxy took the request from.
    pub client: Option<Node>,
    /// `host`: the `Host` it saw. As it stands between the quotes, if it was quoted.
    pub host: Option<&'a [u8]>,
    /// `proto`: the scheme it saw. As it stands between the quotes, if it was quoted.
    pub proto: Option<&'a [u8]>,
}

/// A party on the way of a request (RFC 7239 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// An IP address; a port beside it is left out.
    Address(IpAddr),
    /// `unknown`, an obfuscated name such as `_gazonk`, or something that is no address.
    Hidden,
}

/// The line is not as RFC 7239 has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl<'a> Elements<'a> {
    /// Reads `line`, the value of one `Forwarded` field.
    #[must_use]
    pub fn new(line: &'a [u8]) -> Self {
        Self { rest: Some(line) }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Element<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rest = skip_blanks(self.rest.take()?);
            match rest {
                [] => return None,
                // Empty list elements count for nothing (RFC 9110 section 5.6.1).
                [b',', rest @ ..] => self.rest = Some(rest),
                _ => break self.rest = Some(rest),
            }
        }
        let (element, rest) = match parse_element(self.rest.take()?) {
            Some(parsed) => parsed,
            None => return Some(Err(Malformed)),
        };
        self.rest = rest;
        Some(Ok(element))
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("malformed Forwarded header")
    }
}

impl std::error::Error for Malformed {}

/// An element and what follows its comma; `None` for the rest at the end of the line.
fn parse_element(text: &[u8]) -> Option<(Element<'_>, Option<&[u8]>)> {
    let mut element = Element::default();
    let mut rest = text;
    loop {
        // Pairs may be left out between semicolons.
        if !matches!(rest, [] | [b';' | b',', ..]) {
            let (name, value);
            (name, value, rest) = parse_pair(rest)?;
            element.put(name, value)?;
            rest = skip_blanks(rest);
        }
        match rest {
            [] => return Some((element, None)),
            [b',', after @ ..] => return Some((element, Some(after))),
            [b';', after @ ..] => rest = skip_blanks(after),
            _ => return None,
        }
    }
}

impl<'a> Element<'a> {
    /// Each parameter may occur once; names are case-insensitive.
    fn put(&mut self, name: &[u8], value: &'a [u8]) -> Option<()> {
        let is_first = if name.eq_ignore_ascii_case(b"for") {
            self.client.replace(parse_node(value)).is_none()
        } else if name.eq_ignore_ascii_case(b"host") {
            self.host.replace(value).is_none()
        } else if name.eq_ignore_ascii_case(b"proto") {
            self.proto.replace(value).is_none()
        } else {
            true
        };
        is_first.then_some(())
    }
}

/// `token "=" ( token / quoted-string )`, and what follows.
fn parse_pair(text: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (name, rest) = split_token(text)?;
    let rest = rest.strip_prefix(b"=")?;
    let (value, rest) = match rest {
        [b'"', rest @ ..] => split_quoted(rest)?,
        _ => split_token(rest)?,
    };
    Some((name, value, rest))
}

fn split_token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|byte| !is_token(*byte)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// What stands before the closing quote, escapes and all, and what follows that quote.
fn split_quoted(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 0;
    loop {
        match text.get(at)? {
            b'"' => return Some((&text[..at], &text[at + 1..])),
            b'\\' if is_quotable(*text.get(at + 1)?) => at += 2,
            byte if *byte != b'\\' && is_quotable(*byte) => at += 1,
            _ => return None,
        }
    }
}

/// An address with or without port, `unknown`, or an obfuscated name.
fn parse_node(value: &[u8]) -> Node {
    parse_node_address(value).map_or(Node::Hidden, Node::Address)
}

fn parse_node_address(value: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(value).ok()?;
    if let Some(text) = text.strip_prefix('[') {
        let (address, port) = text.split_once(']')?;
        return is_port(port).then(|| address.parse::<Ipv6Addr>().ok().map(IpAddr::V6)).flatten();
    }
    let end = text.find(':').unwrap_or(text.len());
    is_port(&text[end..]).then(|| text[..end].parse::<Ipv4Addr>().ok().map(IpAddr::V4)).flatten()
}

/// Nothing, or `:` and one to five digits, or `:` and an obfuscated port such as `_x`.
fn is_port(text: &str) -> bool {
    match text.strip_prefix(':').map(str::as_bytes) {
        None => text.is_empty(),
        Some([b'_', rest @ ..]) => {
            !rest.is_empty()
                && rest.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        }
        Some(digits) => (1..=5).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit),
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.')
        || matches!(byte, b'^' | b'_' | b'`' | b'|' | b'~')
}

/// Visible ASCII, blanks and bytes beyond ASCII (RFC 9110 section 5.6.4).
fn is_quotable(byte: u8) -> bool {
    matches!(byte, b'\t' | 0x20..=0x7e | 0x80..)
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !matches!(byte, b' ' | b'\t')).unwrap_or(text.len());
    &text[start..]
}
