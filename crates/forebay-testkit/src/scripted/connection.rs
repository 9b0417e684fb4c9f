//! One connection of a scripted server: what it sent, and what it is being answered.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::reply::{How, Reply};
use super::request::{self, BODY_MAX, Extent, HEAD_MAX};

/// Bytes of one read.
const READ: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) number: u64,
    stream: TcpStream,
    /// Read, and not yet answered. At most a head and a body, and one read.
    inbox: Vec<u8>,
    /// Requests so far.
    pub(super) turns: u64,
    pub(super) pending: Option<Pending>,
}

/// An answer that is not over.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) number: u64,
    pub(super) at: Instant,
    pub(super) planned: Duration,
    /// When its first byte was sent, or its fault done.
    pub(super) first: Option<Instant>,
    pub(super) how: How,
    pub(super) status: u16,
    pub(super) ends: bool,
    bytes: Vec<u8>,
    head: usize,
    /// Whether its time has come.
    due: bool,
    /// How much of `bytes` may be sent by now, and how much was.
    allowed: usize,
    sent: usize,
    /// Pieces of a slow body that are over.
    pieces: u32,
}

/// What became of sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// All of it.
    All,
    /// Not all: the kernel takes no more, or the time of the rest has not come.
    Part,
    /// The peer is gone.
    Gone,
}

impl Connection {
    pub(super) fn new(number: u64, stream: TcpStream) -> Self {
        Self { number, stream, inbox: Vec::new(), turns: 0, pending: None }
    }

    /// Takes all that has come. `false`: the peer is gone, or sends more than one answers.
    pub(super) fn read(&mut self) -> bool {
        let mut chunk = [0; READ];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return false,
                Ok(count) => self.inbox.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
            if self.inbox.len() > HEAD_MAX + BODY_MAX + READ {
                return false;
            }
        }
    }

    /// The next request, if it is whole and none is being answered.
    pub(super) fn next(&self) -> Result<Option<Extent>, String> {
        if self.pending.is_some() { Ok(None) } else { request::find(&self.inbox) }
    }

    /// The bytes of a request that `next` found.
    pub(super) fn bytes(&self, extent: Extent) -> (&[u8], &[u8]) {
        let (head, rest) = self.inbox.split_at(extent.head);
        (head, &rest[..extent.body])
    }

    /// Forgets a request that `next` found and begins its answer.
    pub(super) fn begin(&mut self, extent: Extent, pending: Pending) {
        self.inbox.drain(..extent.head + extent.body);
        self.turns += 1;
        self.pending = Some(pending);
    }

    /// Sends what may be sent by now.
    pub(super) fn flush(&mut self, now: Instant) -> Sent {
        let Some(pending) = &mut self.pending else { return Sent::Part };
        while pending.sent < pending.allowed {
            match self.stream.write(&pending.bytes[pending.sent..pending.allowed]) {
                Ok(count) => {
                    pending.sent += count;
                    pending.first.get_or_insert(now);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Sent::Part,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Sent::Gone,
            }
        }
        if pending.due && pending.sent == pending.bytes.len() { Sent::All } else { Sent::Part }
    }

    /// Makes the kernel reset the connection when it is dropped.
    pub(super) fn reset(&self) {
        // Fails only when the connection is over anyway.
        let _ = socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }
}

impl Pending {
    pub(super) fn new(number: u64, at: Instant, planned: Duration, reply: &Reply, to_head: bool) -> Self {
        let (bytes, head) = reply.bytes(to_head);
        Self {
            number,
            at,
            planned,
            first: None,
            how: reply.how,
            status: reply.status,
            ends: reply.ends(),
            bytes,
            head,
            due: false,
            allowed: 0,
            sent: 0,
            pieces: 0,
        }
    }

    /// Lets the next piece out, and says how long after the first one the piece after it comes.
    pub(super) fn allow(&mut self) -> Option<Duration> {
        self.due = true;
        let How::Slow { pieces, gap } = self.how else {
            self.allowed = self.bytes.len();
            return None;
        };
        let body = self.bytes.len() - self.head;
        self.pieces += 1;
        let share = u64::from(self.pieces.min(pieces)) * body as u64 / u64::from(pieces.max(1));
        self.allowed = self.head + share as usize;
        (self.pieces < pieces).then(|| gap * self.pieces)
    }
}
