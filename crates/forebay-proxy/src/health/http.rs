//! A health check's request and what is expected of its answer.

use std::fmt::Write;

use forebay_base::units::show_size;
use forebay_net::buffer::Buffer;
use forebay_net::h1::{Body, BodyError, HeadError, HeadLimits, Outcome, ResponseHead};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::http2;
use super::probe::{Deadline, Failure};
use super::wire::{Bytes, Wire};
use crate::plan::HttpCheck;

/// What is read of a body.
pub(super) const BODY_MAX: usize = 64 << 10;
/// Bounds on the head of an answer.
const HEAD: HeadLimits = HeadLimits { bytes: 32 << 10, fields: 100, target: 0 };
/// Interim responses before the answer.
const INTERIM_MAX: usize = 16;
/// What is read at a time.
const READ: usize = 4 << 10;
/// How much of an expected text is shown.
const SHOWN_MAX: usize = 60;

/// An answer on its way.
struct Answer {
    stream: Box<dyn Bytes>,
    deadline: Deadline,
    buffer: Buffer,
}

/// Asks for `check` on a fresh connection; `host` is for a check that names none.
pub(super) async fn ask(
    wire: Wire,
    check: &HttpCheck,
    host: &str,
    deadline: Deadline,
) -> Result<(), Failure> {
    let request = request(check, host);
    if wire.http2 {
        let http2::Answer { head, body, whole, .. } = http2::ask(wire, &request, &[], deadline).await?;
        expect_status(check, head.status)?;
        return expect_body(check, &body, whole);
    }
    let mut stream = wire.bytes;
    let sending = async {
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await
    };
    deadline.bound("sending", sending).await?;
    let mut answer = Answer { stream, deadline, buffer: Buffer::new(READ) };
    let head = answer.head().await?;
    expect_status(check, head.status)?;
    let (body, whole) = answer.body(Body::new(head.framing)).await?;
    expect_body(check, &body, whole)
}

fn expect_status(check: &HttpCheck, status: u16) -> Result<(), Failure> {
    if check.status.iter().any(|(from, to)| (*from..=*to).contains(&status)) {
        return Ok(());
    }
    Err(Failure::said(format_args!("status {status}, expected {}", show(&check.status))))
}

fn expect_body(check: &HttpCheck, body: &[u8], whole: bool) -> Result<(), Failure> {
    match &check.body {
        Some(text) if memchr::memmem::find(body, text.as_bytes()).is_none() => Err(lacking(text, whole)),
        _ => Ok(()),
    }
}

/// The request's bytes. Fields of the settings go before those of this program.
fn request(check: &HttpCheck, host: &str) -> String {
    let host = check.host.as_deref().unwrap_or(host);
    let agent = concat!("forebay-health/", env!("CARGO_PKG_VERSION"));
    let mut text = format!("GET {} HTTP/1.1\r\n", check.path);
    let configured = |name: &str| check.headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
    let own = [("Host", host), ("User-Agent", agent), ("Connection", "close")];
    let own = own.into_iter().filter(|(name, _)| !configured(name));
    for (name, value) in own.chain(check.headers.iter().map(|(name, value)| (&**name, &**value))) {
        // Writing to a string does not fail.
        let _ = write!(text, "{name}: {value}\r\n");
    }
    text.push_str("\r\n");
    text
}

impl Answer {
    /// Reads the head of the final response.
    async fn head(&mut self) -> Result<ResponseHead, Failure> {
        let mut head = ResponseHead::default();
        let mut interim = 0;
        loop {
            let parsed = if self.buffer.is_empty() {
                Outcome::Partial
            } else {
                head.parse(self.buffer.filled(), &HEAD, false).map_err(not_http)?
            };
            match parsed {
                // Nobody asked to switch protocols, so 101 is the answer.
                Outcome::Complete(len) if head.is_interim() && head.status != 101 => {
                    self.buffer.consume(len);
                    interim += 1;
                    if interim > INTERIM_MAX {
                        return Err(Failure::said("too many interim responses"));
                    }
                }
                Outcome::Complete(len) => {
                    self.buffer.consume(len);
                    return Ok(head);
                }
                Outcome::Partial if self.fill("waiting for an answer").await? == 0 => {
                    return Err(Failure::said(if self.buffer.is_empty() {
                        "closed without an answer"
                    } else {
                        "closed in the middle of the answer"
                    }));
                }
                Outcome::Partial => {}
            }
        }
    }

    /// Reads the body to its end, or as much of it as is looked at, and says whether that is all of it.
    async fn body(&mut self, mut body: Body) -> Result<(Vec<u8>, bool), Failure> {
        let mut seen = Vec::new();
        loop {
            let part = body.take(self.buffer.filled_mut()).map_err(broken)?;
            let room = BODY_MAX - seen.len();
            seen.extend_from_slice(&self.buffer.filled()[..part.data.min(room)]);
            self.buffer.consume(part.consumed);
            if body.is_done() {
                return Ok((seen, part.data <= room));
            }
            if seen.len() == BODY_MAX {
                return Ok((seen, false));
            }
            if self.fill("reading the answer").await? == 0 {
                body.end_of_input().map_err(broken)?;
            }
        }
    }

    /// Reads once; 0: the end.
    async fn fill(&mut self, doing: &str) -> Result<usize, Failure> {
        self.buffer.make_room(READ, HEAD.bytes);
        let read = self.deadline.bound(doing, self.stream.read(self.buffer.space())).await?;
        self.buffer.advance(read);
        Ok(read)
    }
}

fn not_http(error: HeadError) -> Failure {
    match error {
        HeadError::TooLarge => {
            Failure::said(format_args!("the head is larger than {}", show_size(HEAD.bytes as u64)))
        }
        HeadError::TooManyFields => {
            Failure::said(format_args!("the head has more than {} fields", HEAD.fields))
        }
        HeadError::Framing(what) | HeadError::Syntax(what) => Failure::said(format_args!("not HTTP: {what}")),
        HeadError::TransferCoding => Failure::said("an unknown transfer coding"),
        HeadError::Version | HeadError::Host | HeadError::TargetTooLong => Failure::said("not HTTP"),
    }
}

fn broken(error: BodyError) -> Failure {
    Failure::said(match error {
        BodyError::Chunked(_) => "the body's chunks are broken",
        BodyError::Truncated => "closed in the middle of the body",
    })
}

fn lacking(text: &str, whole: bool) -> Failure {
    let shown: String = text.chars().take(SHOWN_MAX).collect();
    let more = if shown.len() < text.len() { "…" } else { "" };
    let within =
        if whole { String::new() } else { format!(" within its first {}", show_size(BODY_MAX as u64)) };
    Failure::said(format_args!("the body does not hold {:?}{within}", shown + more))
}

/// Accepted statuses, for people: `200-299, 404`.
fn show(ranges: &[(u16, u16)]) -> String {
    let one = |(from, to): &(u16, u16)| if from == to { from.to_string() } else { format!("{from}-{to}") };
    ranges.iter().map(one).collect::<Vec<_>>().join(", ")
}
