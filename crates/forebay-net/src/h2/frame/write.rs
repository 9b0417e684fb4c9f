//! Frames as they go out: appended to whatever waits to be written.

use super::{
    ACK, END_HEADERS, END_STREAM, ErrorCode, HEADER_BYTES, Header, Kind, PAYLOAD_MAX, Setting, WINDOW_MAX,
};

/// Appends the header of a DATA frame; its `len` bytes, below 2^24, must follow.
#[inline]
pub fn data_header(out: &mut Vec<u8>, stream: u32, len: u32, end: bool) {
    push(out, Kind::Data, if end { END_STREAM } else { 0 }, stream, len);
}

/// Appends a field block as a HEADERS frame and as many CONTINUATION frames as it needs when no payload may exceed
/// `payload_max`. `encode` appends the block itself.
#[inline]
pub fn headers(
    out: &mut Vec<u8>,
    stream: u32,
    end: bool,
    payload_max: u32,
    encode: impl FnOnce(&mut Vec<u8>),
) {
    let start = out.len();
    let flags = if end { END_STREAM } else { 0 };
    // The block is encoded in its place, and the header written once its length is known.
    push(out, Kind::Headers, flags | END_HEADERS, stream, 0);
    encode(out);
    let payload_max = payload_max.min(PAYLOAD_MAX) as usize;
    let len = out.len() - start - HEADER_BYTES;
    if len <= payload_max {
        let [_, a, b, c] = (len as u32).to_be_bytes();
        out[start..start + 3].copy_from_slice(&[a, b, c]);
    } else {
        split(out, start, stream, flags, payload_max.max(1));
    }
}

/// Cuts the block behind `start` into frames; rare, so it may cost a copy.
#[cold]
fn split(out: &mut Vec<u8>, start: usize, stream: u32, flags: u8, payload_max: usize) {
    let block = out.split_off(start + HEADER_BYTES);
    out.truncate(start);
    let mut rest = &block[..];
    let mut kind = Kind::Headers;
    let mut flags = flags;
    while !rest.is_empty() {
        let (part, after) = rest.split_at(rest.len().min(payload_max));
        if after.is_empty() {
            flags |= END_HEADERS;
        }
        push(out, kind, flags, stream, part.len() as u32);
        out.extend_from_slice(part);
        rest = after;
        kind = Kind::Continuation;
        flags = 0;
    }
}

/// Appends a SETTINGS frame.
pub fn settings(out: &mut Vec<u8>, settings: &[Setting]) {
    push(out, Kind::Settings, 0, 0, 6 * settings.len() as u32);
    for setting in settings {
        out.extend_from_slice(&setting.to_bytes());
    }
}

/// Appends the acknowledgement of a SETTINGS frame.
pub fn settings_ack(out: &mut Vec<u8>) {
    push(out, Kind::Settings, ACK, 0, 0);
}

/// Appends a PING.
pub fn ping(out: &mut Vec<u8>, bytes: [u8; 8]) {
    push(out, Kind::Ping, 0, 0, 8);
    out.extend_from_slice(&bytes);
}

/// Appends the answer to a PING.
pub fn ping_ack(out: &mut Vec<u8>, bytes: [u8; 8]) {
    push(out, Kind::Ping, ACK, 0, 8);
    out.extend_from_slice(&bytes);
}

/// Appends a WINDOW_UPDATE; `increment` is 1 to 2^31 - 1.
#[inline]
pub fn window_update(out: &mut Vec<u8>, stream: u32, increment: u32) {
    push(out, Kind::WindowUpdate, 0, stream, 4);
    out.extend_from_slice(&(increment & WINDOW_MAX).to_be_bytes());
}

/// Appends a RST_STREAM.
pub fn rst_stream(out: &mut Vec<u8>, stream: u32, code: ErrorCode) {
    push(out, Kind::RstStream, 0, stream, 4);
    out.extend_from_slice(&code.0.to_be_bytes());
}

/// Appends a GOAWAY.
pub fn goaway(out: &mut Vec<u8>, last_stream: u32, code: ErrorCode, debug: &[u8]) {
    push(out, Kind::GoAway, 0, 0, 8 + debug.len() as u32);
    out.extend_from_slice(&(last_stream & WINDOW_MAX).to_be_bytes());
    out.extend_from_slice(&code.0.to_be_bytes());
    out.extend_from_slice(debug);
}

#[inline]
fn push(out: &mut Vec<u8>, kind: Kind, flags: u8, stream: u32, len: u32) {
    out.extend_from_slice(&Header { len, kind, flags, stream }.to_bytes());
}
