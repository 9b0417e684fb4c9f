//! Heads and trailers between their compressed form and what the rest of the gateway understands.
//!
//! The rules for fields are those of HTTP/2 (RFC 9114 §4.2 and §4.3 say the same as RFC 9113 §8.2 and §8.3), and so is
//! the code.

use super::frame::{Code, kind, push_frame};
use super::qpack;
use super::recv::Trouble;
use crate::h1::{HeadError, Name, Version};
use crate::h2::Limits;
use crate::h2::head::{Request, RequestAssembler, TrailerAssembler};
use crate::stream::StreamError;

/// Reads the compressed head of a request.
///
/// # Errors
/// It is malformed, or broken so that the connection must be closed. A head beyond the limits is none: it says so.
pub(crate) fn decode(
    block: &[u8],
    limits: &Limits,
    connect: bool,
    into: &mut Request,
) -> Result<(), Trouble> {
    let mut assembler = RequestAssembler::new(into, limits, connect);
    qpack::decode(block, &mut Vec::new(), |name, value| assembler.field(name, value))?;
    // Whether a body follows is known later.
    assembler.finish(false).map_err(|_| Trouble::Message(Code::MESSAGE_ERROR))?;
    into.head.version = Version::Http3;
    Ok(())
}

/// A head that was not even read because it is longer than allowed.
pub(crate) fn too_large(limits: &Limits, into: &mut Request) {
    drop(RequestAssembler::new(into, limits, false));
    into.head.version = Version::Http3;
    into.error = Some(HeadError::TooLarge);
}

/// Reads compressed trailers: lines ended by CRLF.
///
/// # Errors
/// As for heads; trailers beyond the limits are malformed.
pub(crate) fn decode_trailers(block: &[u8], limits: &Limits) -> Result<Vec<u8>, Trouble> {
    let mut assembler = TrailerAssembler::new(limits);
    qpack::decode(block, &mut Vec::new(), |name, value| assembler.field(name, value))?;
    assembler.finish().map_err(|_| Trouble::Message(Code::MESSAGE_ERROR))
}

/// Appends a HEADERS frame for the text of an HTTP/1.1 response head.
///
/// # Errors
/// It has no status line.
pub(crate) fn encode(text: &[u8], out: &mut Vec<u8>) -> Result<(), StreamError> {
    let [b'H', b'T', b'T', b'P', b'/', b'1', b'.', _, b' ', status @ .., b'\n'] = first_line(text) else {
        return Err(StreamError::Malformed);
    };
    let status = status.get(..3).ok_or(StreamError::Malformed)?;
    let mut block = Vec::with_capacity(text.len());
    qpack::begin(&mut block);
    qpack::encode(b":status", status, &mut block);
    push_fields(&text[first_line(text).len()..], &mut block);
    push(&block, out);
    Ok(())
}

/// Appends a HEADERS frame for trailers, lines of `name: value` each ended by CRLF.
pub(crate) fn encode_trailers(lines: &[u8], out: &mut Vec<u8>) {
    let mut block = Vec::with_capacity(lines.len());
    qpack::begin(&mut block);
    push_fields(lines, &mut block);
    push(&block, out);
}

fn push(block: &[u8], out: &mut Vec<u8>) {
    push_frame(kind::HEADERS, block.len(), out);
    out.extend_from_slice(block);
}

fn push_fields(mut lines: &[u8], block: &mut Vec<u8>) {
    let mut lower = Vec::new();
    loop {
        let line = first_line(lines);
        lines = &lines[line.len()..];
        let line = line.trim_ascii_end();
        let Some(colon) = memchr::memchr(b':', line) else {
            if line.is_empty() {
                return;
            }
            continue;
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if belongs_to_connection(name, value) {
            continue;
        }
        lower.clear();
        lower.extend_from_slice(name);
        lower.make_ascii_lowercase();
        qpack::encode(&lower, value, block);
    }
}

/// Whether a field has no place in a protocol that frames messages itself (RFC 9114 §4.2).
fn belongs_to_connection(name: &[u8], value: &[u8]) -> bool {
    match Name::classify(name) {
        Name::Connection
        | Name::KeepAlive
        | Name::ProxyConnection
        | Name::TransferEncoding
        | Name::Upgrade
        | Name::Http2Settings => true,
        Name::Te => !value.eq_ignore_ascii_case(b"trailers"),
        _ => false,
    }
}

/// Up to the first line end, which belongs to it, or everything.
fn first_line(text: &[u8]) -> &[u8] {
    memchr::memchr(b'\n', text).map_or(text, |end| &text[..=end])
}
