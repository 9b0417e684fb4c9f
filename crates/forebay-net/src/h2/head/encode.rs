//! Heads on their way out: the text of HTTP/1.1, as it is written for all protocols, turned into field blocks.

use crate::h1::Name;
use crate::h2::hpack::{Encoder, Pseudo};

/// The text to be sent is none that this gateway writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAHead;

/// Appends a response, and returns its status. What belongs to HTTP/1.1 only is left out.
///
/// # Errors
/// It has no status line.
pub fn encode_response(text: &[u8], encoder: &mut Encoder, out: &mut Vec<u8>) -> Result<u16, NotAHead> {
    let (line, lines) = take_line(text).ok_or(NotAHead)?;
    let [b'H', b'T', b'T', b'P', b'/', b'1', b'.', _, b' ', a, b, c, ..] = line else { return Err(NotAHead) };
    let mut status = 0;
    for digit in [a, b, c] {
        if !digit.is_ascii_digit() {
            return Err(NotAHead);
        }
        status = status * 10 + u16::from(digit - b'0');
    }
    encoder.begin(out);
    encoder.status(out, status);
    push_fields(lines, encoder, out);
    Ok(status)
}

/// Appends a request; `Host` becomes `:authority`.
///
/// # Errors
/// It has no request line.
pub fn encode_request(
    text: &[u8],
    scheme: &[u8],
    encoder: &mut Encoder,
    out: &mut Vec<u8>,
) -> Result<(), NotAHead> {
    let (line, lines) = take_line(text).ok_or(NotAHead)?;
    let (method, target) = split_request_line(line).ok_or(NotAHead)?;
    encoder.begin(out);
    encoder.pseudo(out, Pseudo::Method, method);
    encoder.pseudo(out, Pseudo::Scheme, scheme);
    push_authority(lines, encoder, out);
    encoder.pseudo(out, Pseudo::Path, target);
    push_fields(lines, encoder, out);
    Ok(())
}

/// Appends an upgrade to `protocol` as an extended CONNECT (RFC 8441 §5), whatever the method of its request line.
///
/// # Errors
/// It has no request line.
pub fn encode_upgrade(
    text: &[u8],
    scheme: &[u8],
    protocol: &[u8],
    encoder: &mut Encoder,
    out: &mut Vec<u8>,
) -> Result<(), NotAHead> {
    let (line, lines) = take_line(text).ok_or(NotAHead)?;
    let (_, target) = split_request_line(line).ok_or(NotAHead)?;
    encoder.begin(out);
    encoder.pseudo(out, Pseudo::Method, b"CONNECT");
    encoder.pseudo(out, Pseudo::Protocol, protocol);
    encoder.pseudo(out, Pseudo::Scheme, scheme);
    push_authority(lines, encoder, out);
    encoder.pseudo(out, Pseudo::Path, target);
    push_fields(lines, encoder, out);
    Ok(())
}

/// Appends trailers, lines of `name: value` each ended by CRLF.
pub fn encode_trailers(lines: &[u8], encoder: &mut Encoder, out: &mut Vec<u8>) {
    encoder.begin(out);
    push_fields(lines, encoder, out);
}

fn push_authority(lines: &[u8], encoder: &mut Encoder, out: &mut Vec<u8>) {
    if let Some((_, host)) = fields(lines).find(|(name, _)| name.eq_ignore_ascii_case(b"host")) {
        encoder.pseudo(out, Pseudo::Authority, host);
    }
}

fn push_fields(lines: &[u8], encoder: &mut Encoder, out: &mut Vec<u8>) {
    for (name, value) in fields(lines) {
        match Name::classify(name) {
            Name::Host
            | Name::Connection
            | Name::KeepAlive
            | Name::ProxyConnection
            | Name::TransferEncoding
            | Name::Upgrade
            | Name::Http2Settings => {}
            Name::Te if !value.eq_ignore_ascii_case(b"trailers") => {}
            _ => encoder.field(out, name, value),
        }
    }
}

/// The fields up to the empty line or the end of the text.
fn fields(mut lines: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        loop {
            let (line, rest) = take_line(lines)?;
            if line.is_empty() {
                return None;
            }
            lines = rest;
            if let Some(colon) = line.iter().position(|byte| *byte == b':') {
                return Some((&line[..colon], line[colon + 1..].trim_ascii()));
            }
        }
    })
}

#[inline]
fn take_line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b'\n', text)?;
    let line = &text[..end];
    Some((line.strip_suffix(b"\r").unwrap_or(line), &text[end + 1..]))
}

fn split_request_line(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let first = memchr::memchr(b' ', line)?;
    let last = memchr::memrchr(b' ', line)?;
    Some((&line[..first], line.get(first + 1..last)?))
}
