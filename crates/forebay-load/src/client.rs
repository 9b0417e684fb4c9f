//! One request and its answer over one connection.

mod multiplexed;

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::task::Poll;

use forebay_base::time::Instant;
use forebay_net::buffer::{Buffer, BufferPool, Lent};
use forebay_net::h1::{Body, Framing, HeadLimits, Outcome, ResponseHead};
use forebay_net::link::{Link, LinkError};
use forebay_net::wheel::Alarm;

use crate::answer::BODY_KEPT_MAX;
use crate::outcome::ErrorKind;

pub(crate) use multiplexed::{GrpcEnd, exchange as exchange_over};

/// Bytes of a read buffer.
pub(crate) const BUFFER: usize = 16 << 10;
/// Read buffers and heads kept while nobody reads.
const SPARE_MAX: usize = 256;
/// Bytes of an answer's head, and fields in it.
pub(crate) const HEAD_BYTES_MAX: usize = 256 << 10;
pub(crate) const HEAD_FIELDS_MAX: usize = 1_000;
const LIMITS: HeadLimits = HeadLimits { bytes: HEAD_BYTES_MAX, fields: HEAD_FIELDS_MAX, target: 0 };
/// A request of so many bytes is sent before its answer is looked for; the system takes them at once.
const AT_ONCE: usize = 32 << 10;
/// Answers before the final one.
const INTERIM_MAX: usize = 100;

/// What the users of one thread share for reading.
#[derive(Debug)]
pub(crate) struct Reading {
    buffers: BufferPool,
    heads: RefCell<Vec<ResponseHead>>,
}

/// What is sent, and what has to be known of it to read the answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) bytes: &'a [u8],
    /// It is a HEAD: the answer has no body.
    pub(crate) head_only: bool,
    /// It is a call of gRPC, whose status is looked for.
    pub(crate) grpc: bool,
}

/// How far an exchange has come, whatever becomes of it.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pub(crate) first_byte: Cell<Option<Instant>>,
    pub(crate) bytes_out: Cell<u64>,
    pub(crate) bytes_in: Cell<u64>,
    /// Why there is no answer, where there is more to say than the kind of error does.
    pub(crate) why: RefCell<String>,
    /// How a call of gRPC ended.
    pub(crate) grpc: RefCell<GrpcEnd>,
}

/// What an answer said that is needed later on.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// Its head as received.
    pub(crate) head: Vec<u8>,
    /// Its fields, which refer to `head`.
    pub(crate) parsed: ResponseHead,
    /// The first `BODY_KEPT_MAX` bytes of its body.
    pub(crate) body: Vec<u8>,
    /// Bytes of its body, kept or not.
    pub(crate) body_bytes: u64,
}

/// The end of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The connection may be used again.
    pub(crate) keep: bool,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Error(ErrorKind),
    Timeout,
}

/// What has been read and is not used yet.
struct Input<'a> {
    reading: &'a Reading,
    buffer: Lent,
    head: ResponseHead,
}

impl Reading {
    pub(crate) fn new() -> Self {
        Self { buffers: BufferPool::new(BUFFER, SPARE_MAX), heads: RefCell::default() }
    }

    pub(crate) const fn buffers(&self) -> &BufferPool {
        &self.buffers
    }

    fn begin(&self) -> Input<'_> {
        let head = self.heads.borrow_mut().pop().unwrap_or_default();
        Input { reading: self, buffer: self.buffers.take(), head }
    }
}

impl Drop for Input<'_> {
    fn drop(&mut self) {
        let mut heads = self.reading.heads.borrow_mut();
        if heads.len() < SPARE_MAX {
            heads.push(std::mem::take(&mut self.head));
        }
    }
}

/// Sends a request and reads the whole answer. `kept` is filled if given.
///
/// # Errors
/// There is no whole answer in time; the connection must not be used again.
pub(crate) async fn exchange(
    link: &Link,
    message: Message<'_>,
    reading: &Reading,
    progress: &Progress,
    kept: Option<&mut Kept>,
    alarm: &Alarm,
    deadline: impl Fn() -> Instant,
) -> Result<Answer, Failure> {
    let send = send(link, message, progress, alarm, &deadline);
    let receive = receive(link, message, reading, progress, kept, alarm, &deadline);
    let (answer, whole) = if message.bytes.len() <= AT_ONCE {
        let whole = send.await?;
        (receive.await?, whole)
    } else {
        both(send, receive).await?
    };
    Ok(Answer { keep: answer.keep && whole, ..answer })
}

/// Sends a request. Returns whether all of it was taken: a server may answer and close before it has read
/// everything, and then the answer counts, not the failed write.
async fn send(
    link: &Link,
    message: Message<'_>,
    progress: &Progress,
    alarm: &Alarm,
    deadline: impl Fn() -> Instant,
) -> Result<bool, Failure> {
    match link.write_all([message.bytes], alarm, deadline).await {
        Ok(()) => {
            progress.bytes_out.set(message.bytes.len() as u64);
            Ok(true)
        }
        Err(LinkError::TimedOut) => Err(Failure::Timeout),
        Err(LinkError::Io(_)) => Ok(false),
    }
}

/// Runs both at the same time, until the answer is complete: it may be so before the request is.
async fn both(
    send: impl Future<Output = Result<bool, Failure>>,
    receive: impl Future<Output = Result<Answer, Failure>>,
) -> Result<(Answer, bool), Failure> {
    let (mut send, mut receive) = (pin!(send), pin!(receive));
    let mut whole = None;
    std::future::poll_fn(|cx| {
        if whole.is_none() {
            match send.as_mut().poll(cx) {
                Poll::Ready(Ok(sent)) => whole = Some(sent),
                Poll::Ready(Err(failure)) => return Poll::Ready(Err(failure)),
                Poll::Pending => {}
            }
        }
        receive.as_mut().poll(cx).map(|answer| answer.map(|answer| (answer, whole == Some(true))))
    })
    .await
}

/// Reads the whole answer.
async fn receive(
    link: &Link,
    message: Message<'_>,
    reading: &Reading,
    progress: &Progress,
    mut kept: Option<&mut Kept>,
    alarm: &Alarm,
    deadline: impl Fn() -> Instant,
) -> Result<Answer, Failure> {
    link.readable(alarm, &deadline).await.map_err(failure)?;
    let mut input = reading.begin();
    let Input { buffer, head, .. } = &mut input;
    let length = read_head(link, message, buffer, head, progress, alarm, &deadline).await?;
    let (status, framing) = (head.status, head.framing);
    let keep = head.keep_alive && framing != Framing::UntilClose;
    if let Some(kept) = kept.as_deref_mut() {
        kept.head.clear();
        kept.head.extend_from_slice(&buffer.filled()[..length]);
        kept.body.clear();
        kept.body_bytes = 0;
        // The fields refer to places, which are the same in the copy.
        std::mem::swap(&mut kept.parsed, head);
    }
    buffer.consume(length);
    if framing != Framing::None {
        read_body(link, Body::new(framing), buffer, progress, kept, alarm, &deadline).await?;
    }
    // Bytes nobody asked for: whatever they are, the connection is out of step.
    Ok(Answer { status, keep: keep && buffer.is_empty() })
}

/// Reads until the final answer's head is complete. Returns its length; it is still in the buffer.
async fn read_head(
    link: &Link,
    message: Message<'_>,
    buffer: &mut Buffer,
    head: &mut ResponseHead,
    progress: &Progress,
    alarm: &Alarm,
    deadline: impl Fn() -> Instant,
) -> Result<usize, Failure> {
    let mut interim = 0;
    loop {
        if !buffer.is_empty() {
            match head.parse(buffer.filled(), &LIMITS, message.head_only) {
                // A protocol nobody asked for.
                Ok(Outcome::Complete(_)) if head.status == 101 => {
                    return Err(Failure::Error(ErrorKind::Protocol));
                }
                Ok(Outcome::Complete(length)) if !head.is_interim() => return Ok(length),
                Ok(Outcome::Complete(length)) => {
                    interim += 1;
                    if interim > INTERIM_MAX {
                        return Err(Failure::Error(ErrorKind::Protocol));
                    }
                    buffer.consume(length);
                    continue;
                }
                Ok(Outcome::Partial) => buffer.make_room(BUFFER, LIMITS.bytes + BUFFER),
                Err(_) => return Err(Failure::Error(ErrorKind::Protocol)),
            }
        }
        if fill(link, buffer, progress, alarm, &deadline).await? == 0 {
            let nothing = progress.bytes_in.get() == 0;
            return Err(Failure::Error(if nothing { ErrorKind::Closed } else { ErrorKind::Truncated }));
        }
    }
}

/// Reads a body to its end.
async fn read_body(
    link: &Link,
    mut body: Body,
    buffer: &mut Buffer,
    progress: &Progress,
    mut kept: Option<&mut Kept>,
    alarm: &Alarm,
    deadline: impl Fn() -> Instant,
) -> Result<(), Failure> {
    let protocol = |_| Failure::Error(ErrorKind::Protocol);
    loop {
        while !buffer.is_empty() && !body.is_done() {
            let part = body.take(buffer.filled_mut()).map_err(protocol)?;
            if let Some(kept) = kept.as_deref_mut() {
                let room = BODY_KEPT_MAX.saturating_sub(kept.body.len()).min(part.data);
                kept.body.extend_from_slice(&buffer.filled()[..room]);
                kept.body_bytes += part.data as u64;
            }
            buffer.consume(part.consumed);
            if part.consumed == 0 {
                break;
            }
        }
        if body.is_done() {
            return Ok(());
        }
        buffer.make_room(BUFFER, 2 * BUFFER);
        if fill(link, buffer, progress, alarm, &deadline).await? == 0 {
            return body.end_of_input().map_err(|_| Failure::Error(ErrorKind::Truncated));
        }
    }
}

/// Reads once, and notes when the first byte came.
async fn fill(
    link: &Link,
    buffer: &mut Buffer,
    progress: &Progress,
    alarm: &Alarm,
    deadline: impl Fn() -> Instant,
) -> Result<usize, Failure> {
    let read = link.fill(buffer, alarm, deadline).await.map_err(failure)?;
    if progress.first_byte.get().is_none() && read > 0 {
        progress.first_byte.set(Some(Instant::now()));
    }
    progress.bytes_in.set(progress.bytes_in.get() + read as u64);
    Ok(read)
}

pub(crate) fn failure(error: LinkError) -> Failure {
    match error {
        LinkError::TimedOut => Failure::Timeout,
        LinkError::Io(_) => Failure::Error(ErrorKind::Reset),
    }
}
