//! One client connection that carries HTTP/1: wait without holding memory, read a head, serve it, and again.

use std::cell::Cell;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use forebay_base::time::Instant;
use forebay_net::buffer::Lent;
use forebay_net::h1::{HeadLimits, Outcome, RequestHead};
use forebay_net::link::{Link, LinkError};

use crate::client::{Client, Who, Wire};
use crate::exchange::Scratch;
use crate::multiplexed;
use crate::pipeline::{self, Next};
use crate::plan::Limits;
use crate::refusal::Refusal;
use crate::worker::Worker;

/// Bytes read and thrown away from a client that was told to stop sending.
const LINGER_BYTES_MAX: usize = 512 << 10;
/// How long that may take.
const LINGER_TIME_MAX: Duration = Duration::from_secs(2);
/// A connection that has been quiet for this long gives its memory back.
const BUSY: Duration = Duration::from_millis(250);

/// How HTTP/2 begins where it was not agreed on before (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// So much of it no request of HTTP/1 begins with.
const PREFACE_SURE: usize = 4;

/// Serves a client until either side has had enough. A new connection turns to HTTP/2 if the client begins with it.
///
/// This future is all that an idle connection costs, so it stays small: what a request needs is in `busy`,
/// which is boxed and given back once the connection has been quiet for a while.
pub(crate) async fn serve(worker: &Rc<Worker>, link: Link, who: Rc<Who>) {
    let client = Client::new(Wire::Link(link), worker.wheel.alarm(), who);
    let Wire::Link(link) = &client.wire else { return };
    let mut quiet = Quiet { since: Instant::now(), served: false };
    let next = loop {
        let patience = quiet.patience(worker);
        if !wait_for_request(worker, &client, link, quiet.since, patience).await {
            break Next::Close;
        }
        match Box::pin(busy(worker, &client, link, quiet)).await {
            Pause::Nothing => {}
            Pause::End(Next::Keep(since)) => quiet = Quiet { since, served: true },
            Pause::End(end) => break end,
            Pause::Preface(input) => {
                let Client { wire: Wire::Link(link), who, .. } = client else { return };
                // Boxed like `busy`: it must not make every idle connection larger.
                return Box::pin(multiplexed::serve(worker, link, who, Some(input))).await;
            }
        }
    };
    match next {
        Next::Linger => Box::pin(linger(worker, &client, link)).await,
        Next::Reset => link.reset_on_close(),
        Next::Keep(_) | Next::Close => {}
    }
}

/// Why a connection that was busy is not any more.
enum Pause {
    /// Not even the first byte was there.
    Nothing,
    End(Next),
    /// It begins as connections of HTTP/2 do.
    Preface(Lent),
}

/// A connection between two requests, or before its first.
#[derive(Clone, Copy)]
struct Quiet {
    since: Instant,
    served: bool,
}

impl Quiet {
    /// How long the next request may take to begin.
    fn patience(self, worker: &Worker) -> Duration {
        let active = worker.active();
        let Limits { idle, header_timeout, .. } = active.plan.limits;
        if self.served { idle } else { header_timeout }
    }
}

/// Serves requests as long as they come in quick succession.
async fn busy(worker: &Rc<Worker>, client: &Client, link: &Link, mut quiet: Quiet) -> Pause {
    let mut input = worker.buffers.take();
    // The event loop takes a new connection for readable until proven wrong, and one that is silent must
    // not hold a buffer.
    match link.fill_now(&mut input).await {
        None => return Pause::Nothing,
        Some(Ok(n)) if n > 0 => {}
        Some(_) => return Pause::End(Next::Close),
    }
    if !quiet.served
        && client.who.listener.http2
        && begins_http2(worker, client, link, &mut input, quiet).await
    {
        return Pause::Preface(input);
    }
    loop {
        let mut scratch = worker.scratch();
        let next = take_turn(worker, client, link, &mut input, &mut scratch, quiet).await;
        worker.give_back(scratch);
        let since = match next {
            Next::Keep(since) => since,
            // Closing with something unread would reset the connection, and the answer might be lost.
            Next::Close if !input.is_empty() || !link.is_quiet() => return Pause::End(Next::Linger),
            end => return Pause::End(end),
        };
        quiet = Quiet { since, served: true };
        if input.is_empty() {
            drop(input);
            let patience = quiet.patience(worker);
            if patience <= BUSY || !wait_for_request(worker, client, link, since, BUSY).await {
                return Pause::End(Next::Keep(since));
            }
            input = worker.buffers.take();
        }
    }
}

/// Whether a new connection, of which something has come, begins as those of HTTP/2 do. Waits for more if so little
/// has come that it might.
async fn begins_http2(worker: &Worker, client: &Client, link: &Link, input: &mut Lent, quiet: Quiet) -> bool {
    let until = || quiet.since + worker.active().plan.limits.header_timeout;
    while input.len() < PREFACE_SURE && PREFACE.starts_with(input.filled()) {
        if !matches!(link.fill(input, &client.alarm, until).await, Ok(n) if n > 0) {
            return false;
        }
    }
    input.len() >= PREFACE_SURE && input.filled().starts_with(&PREFACE[..PREFACE_SURE])
}

/// Waits for the first byte of a request; `false`: none came in time. Holds no buffer.
async fn wait_for_request(
    worker: &Worker,
    client: &Client,
    link: &Link,
    since: Instant,
    patience: Duration,
) -> bool {
    worker.stats.connections_idle.inc();
    let arrived = std::future::poll_fn(|cx| match link.poll_readable(cx) {
        Poll::Ready(result) => Poll::Ready(result.is_ok()),
        Poll::Pending => {
            let until = (since + patience).min(worker.idle_until.get());
            client.alarm.poll(cx, until).map(|()| false)
        }
    })
    .await;
    worker.stats.connections_idle.dec();
    arrived
}

/// Reads a head and serves it.
async fn take_turn(
    worker: &Rc<Worker>,
    client: &Client,
    link: &Link,
    input: &mut Lent,
    scratch: &mut Scratch,
    quiet: Quiet,
) -> Next {
    let active = worker.active();
    match read_head(client, link, input, &mut scratch.request, &active.plan.limits, quiet).await {
        Ok(head_len) => pipeline::serve(worker, client, &active, input, scratch, head_len).await,
        Err(Unread::Gone) => Next::Close,
        Err(Unread::Refused(refusal)) => {
            // Boxed: rare, and every exchange would carry its size.
            Box::pin(pipeline::refuse_unread(worker, client, &active, scratch, refusal)).await
        }
    }
}

/// Why there is no head.
enum Unread {
    /// The client went away between two requests, or in the middle of a head.
    Gone,
    Refused(Refusal),
}

/// Reads until the head is complete; returns its length. Bytes after it stay in `input`.
async fn read_head(
    client: &Client,
    link: &Link,
    input: &mut Lent,
    head: &mut RequestHead,
    limits: &Limits,
    quiet: Quiet,
) -> Result<usize, Unread> {
    let bounds = HeadLimits { bytes: limits.head_bytes, fields: limits.headers, target: limits.uri_bytes };
    let deadline = Cell::new(None);
    let until = || {
        deadline.get().unwrap_or_else(|| {
            // A new connection's first head is timed from when it was accepted.
            let from = if quiet.served { Instant::now() } else { quiet.since };
            let until = from + limits.header_timeout;
            deadline.set(Some(until));
            until
        })
    };
    // Length at the last attempt to parse: the next one waits until it may help, so that a head that
    // comes byte by byte does not cost its length squared.
    let mut parsed = 0;
    let mut may_skip_line = true;
    loop {
        if may_skip_line && input.len() >= 2 {
            // One empty line before the request line is tolerated (RFC 9112 §2.2), no more.
            may_skip_line = false;
            if input.filled().starts_with(b"\r\n") {
                input.consume(2);
            }
        }
        if input.filled().first().is_some_and(|byte| matches!(byte, b'\r' | b'\n')) && input.len() >= 2 {
            return Err(Unread::Refused(Refusal::MalformedRequest));
        }
        if !input.is_empty() && !may_skip_line && worth_parsing(input.filled(), parsed, bounds.bytes) {
            match head.parse(input.filled(), &bounds) {
                Ok(Outcome::Complete(len)) => return Ok(len),
                Ok(Outcome::Partial) => parsed = input.len(),
                Err(error) => return Err(Unread::Refused(error.into())),
            }
        }
        if input.space().is_empty() {
            let max = bounds.bytes.max(input.capacity());
            input.make_room(4096, max);
        }
        match link.fill(input, &client.alarm, until).await {
            Ok(0) if input.is_empty() => return Err(Unread::Gone),
            // Half a head and then the end: nobody waits for an answer.
            Ok(0) | Err(LinkError::Io(_)) => return Err(Unread::Gone),
            Ok(_) => {}
            Err(LinkError::TimedOut) if input.is_empty() => return Err(Unread::Gone),
            Err(LinkError::TimedOut) => return Err(Unread::Refused(Refusal::HeaderTimeout)),
        }
    }
}

/// Whether parsing `bytes` may get further than it did at `parsed` bytes.
fn worth_parsing(bytes: &[u8], parsed: usize, max: usize) -> bool {
    let new = &bytes[parsed.saturating_sub(3)..];
    parsed == 0
        || bytes.len() >= max
        || bytes.len() - parsed >= parsed / 2
        || memchr::memmem::find(new, b"\n\r\n").is_some()
        || memchr::memmem::find(new, b"\n\n").is_some()
}

/// Reads what a client goes on sending after it was told that the connection ends: closing at once would
/// reset the connection and could destroy the answer before the client has read it.
async fn linger(worker: &Worker, client: &Client, link: &Link) {
    if link.shutdown().await.is_err() {
        return;
    }
    let until = Instant::now() + LINGER_TIME_MAX;
    let mut left = LINGER_BYTES_MAX;
    while link.readable(&client.alarm, || until).await.is_ok() {
        let mut sink = worker.buffers.take();
        match link.fill(&mut sink, &client.alarm, || until).await {
            Ok(n) if n > 0 && n < left => left -= n,
            _ => return,
        }
    }
}
