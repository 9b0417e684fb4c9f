//! One request on one HTTP/2 connection without TLS, in the plainest way (RFC 9113): for checks, not for load.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context, Result, bail};

/// What a client begins with, and settings that change nothing.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
/// Octets before each frame's payload.
const HEADER: usize = 9;
/// Greatest payload without an agreement on more.
const PAYLOAD_MAX: usize = 16 << 10;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A connection on which requests are sent one after the other. No window is ever opened further: a few small
/// responses fit the first one.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    /// Of the next request; odd.
    next: u32,
}

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Result<Self> {
        let mut stream = super::connect(address)?;
        stream.write_all(PREFACE).context("cannot send")?;
        Ok(Self { stream, next: 1 })
    }

    pub(crate) fn tcp(&self) -> &TcpStream {
        &self.stream
    }

    /// Sends GET and gives the body of a 200; anything else is an error.
    pub(crate) fn get(&mut self, path: &str) -> Result<Vec<u8>> {
        let number = self.next;
        self.next += 2;
        self.send(HEADERS, END_STREAM | END_HEADERS, number, &fields(path))?;
        let mut body = Vec::new();
        loop {
            let frame = self.receive()?;
            match frame.kind {
                SETTINGS if frame.flags & ACK == 0 => self.send(SETTINGS, ACK, 0, &[])?,
                HEADERS if frame.stream == number && !is_ok(&frame.payload) => bail!("not answered by 200"),
                DATA if frame.stream == number => body.extend_from_slice(&frame.payload),
                RST_STREAM | GOAWAY => bail!("refused by {:?}", frame.payload),
                _ => {}
            }
            let is_last = matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0;
            if frame.stream == number && is_last {
                return Ok(body);
            }
        }
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Result<()> {
        let length = u32::try_from(payload.len())?.to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        self.stream.write_all(&bytes).context("cannot send")
    }

    fn receive(&mut self) -> Result<Frame> {
        let mut header = [0; HEADER];
        self.stream.read_exact(&mut header).context("no answer")?;
        let [high, middle, low, kind, flags, number @ ..] = header;
        let length = u32::from_be_bytes([0, high, middle, low]) as usize;
        if length > PAYLOAD_MAX {
            bail!("a frame of {length} bytes");
        }
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload).context("no answer")?;
        Ok(Frame { kind, flags, stream: u32::from_be_bytes(number), payload })
    }
}

/// `:method GET`, `:scheme http`, and path and authority without the table (RFC 7541 §6).
fn fields(path: &str) -> Vec<u8> {
    let mut block = vec![0x82, 0x86];
    for (name, value) in [(0x04, path), (0x01, "bench.test")] {
        let length = u8::try_from(value.len()).expect("our own paths are short");
        block.extend([name, length]);
        block.extend(value.bytes());
    }
    block
}

/// `:status 200` is one octet in everybody's encoding; before it there may be a new size of the table.
fn is_ok(block: &[u8]) -> bool {
    let without_size = match block {
        [0x3f, rest @ ..] => {
            let end = rest.iter().position(|octet| octet & 0x80 == 0).map_or(rest.len(), |last| last + 1);
            &rest[end..]
        }
        [first, rest @ ..] if first & 0xe0 == 0x20 => rest,
        whole => whole,
    };
    without_size.first() == Some(&0x88)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_200_is_seen_behind_a_new_size_of_the_table() {
        assert!(is_ok(&[0x88, 0x40]) && is_ok(&[0x20, 0x88]) && is_ok(&[0x3f, 0xe1, 0x1f, 0x88]));
        assert!(!is_ok(&[0x8d]) && !is_ok(&[0x20]) && !is_ok(&[0x3f]) && !is_ok(&[]));
    }

    #[test]
    fn a_request_has_four_fields() {
        assert_eq!(fields("/x"), b"\x82\x86\x04\x02/x\x01\x0abench.test");
    }
}
