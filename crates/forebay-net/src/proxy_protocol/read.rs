//! Takes a header from a socket, and not a byte of what follows it.

use std::fmt;
use std::io;
use std::task::Poll;

use forebay_base::time::Instant;

use super::{Header, Malformed, Outcome, V2_MAX, parse};
use crate::socket::Socket;
use crate::wheel::Alarm;

/// Most headers fit into this many bytes.
const USUAL: usize = 256;

/// Why there is no header.
#[derive(Debug)]
pub enum ReadError {
    /// It was not there in time.
    TimedOut,
    /// The connection ended or broke before it was there.
    Gone,
    /// What came is something else.
    Malformed(Malformed),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str("no PROXY protocol header came in time"),
            Self::Gone => f.write_str("the connection ended before its PROXY protocol header"),
            Self::Malformed(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for ReadError {}

impl From<io::Error> for ReadError {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// Reads the header that a connection begins with; what follows stays in the socket. Waits until `deadline`.
///
/// # Errors
/// There is none in time, or none at all. Then some of what came may be gone.
pub async fn read(socket: &Socket, alarm: &Alarm, deadline: Instant) -> Result<Header, ReadError> {
    let mut bytes = Vec::new();
    loop {
        readable(socket, alarm, deadline).await?;
        if let Some(header) = advance(socket, &mut bytes)? {
            return Ok(header);
        }
    }
}

async fn readable(socket: &Socket, alarm: &Alarm, deadline: Instant) -> Result<(), ReadError> {
    std::future::poll_fn(|cx| match socket.poll_read_ready(cx) {
        Poll::Ready(result) => Poll::Ready(result.map_err(ReadError::from)),
        Poll::Pending => alarm.poll(cx, deadline).map(|()| Err(ReadError::TimedOut)),
    })
    .await
}

/// Looks at what is there, and takes what is part of the header. `bytes` are those taken so far, never more than
/// there are in a header.
fn advance(socket: &Socket, bytes: &mut Vec<u8>) -> Result<Option<Header>, ReadError> {
    let taken = bytes.len();
    bytes.resize(if taken < USUAL { USUAL } else { V2_MAX }, 0);
    let seen = match socket.try_peek(&mut bytes[taken..]) {
        Ok(0) => return Err(ReadError::Gone),
        Ok(seen) => seen,
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => 0,
        Err(error) => return Err(error.into()),
    };
    let outcome = parse(&bytes[..taken + seen]).map_err(ReadError::Malformed)?;
    let (end, header) = match outcome {
        Outcome::Complete { used, header } => (used, Some(*header)),
        Outcome::Partial { .. } => (taken + seen, None),
    };
    take(socket, &mut bytes[taken..end])?;
    bytes.truncate(end);
    Ok(header)
}

/// Takes bytes that are known to be there.
fn take(socket: &Socket, mut into: &mut [u8]) -> Result<(), ReadError> {
    while !into.is_empty() {
        match socket.try_read(into) {
            Ok(0) => return Err(ReadError::Gone),
            Ok(taken) => into = &mut into[taken..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
