//! Forwarding: to which endpoint, over which connection, and what if that fails.

mod download;
mod upload;

use std::borrow::Cow;
use std::cell::Cell;
use std::ops::Range;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use forebay_base::time::Instant;
use forebay_net::h1::{CHUNK_END, Framing, Version, chunk_start};
use forebay_net::link::{Link, LinkError};
use forebay_telemetry::log::Event;
use forebay_telemetry::stats::Class;

use crate::exchange::{Client, Record, Scratch};
use crate::heads::{self, RequestParts};
use crate::pipeline::{self, Next, Turn};
use crate::plan::{Route, TimeoutOverrides, Timeouts};
use crate::refusal::{Refusal, Side};
use crate::route::{HeaderEdits, Values};
use crate::upstream::{ConnectError, Endpoint, InFlight, Pooled, connect};

/// Endpoints tried for one request while none accepts a connection.
const ENDPOINTS_TRIED_MAX: usize = 3;
/// A body (or the part of it that is there) up to this size is copied behind its head, so that one plain
/// write sends both; a larger one is sent from where it is.
const COPY_BYTES_MAX: usize = 4 << 10;

/// What upload and download of one attempt need to know.
pub(crate) struct Call<'a> {
    record: &'a Record<'a>,
    client: &'a Client,
    endpoint: &'a Rc<Endpoint>,
    times: Times,
    to_head: bool,
    version: Version,
    keep_alive: bool,
    /// The client waits for `100 Continue`.
    expect: bool,
    body_max: u64,
    /// When the request had been sent, or the upstream had stopped reading it; `None` while it is being sent.
    sent_at: Cell<Option<Instant>>,
    /// Every byte of the request has been handed over: only then can another follow on the same connection.
    complete: Cell<bool>,
}

/// The timeouts of one request: the service's, as overridden by its route.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    connect: Duration,
    first_byte: Duration,
    idle: Duration,
    /// The end of the whole request's time.
    total: Instant,
}

/// Why an attempt did not bring a whole response to the client.
pub(crate) enum Fault {
    /// The connection had been idle, and the server closed it without reading this request.
    Stale,
    /// The client gets this answer instead, if none has begun.
    Refuse(Refusal),
    /// The client is gone.
    ClientGone,
    /// The response broke off after it had begun.
    Broken,
}

impl Times {
    fn new(started: Instant, service: &Timeouts, route: &TimeoutOverrides) -> Self {
        let total = route.total.or(service.total);
        Self {
            connect: service.connect,
            first_byte: route.first_byte.unwrap_or(service.first_byte),
            idle: route.idle.unwrap_or(service.idle),
            total: total.map_or(Instant::NEVER, |total| started + total),
        }
    }
}

impl Call<'_> {
    /// When the response must have begun; not before the request has been sent.
    fn head_deadline(&self) -> Instant {
        let sent = self.sent_at.get();
        sent.map_or(Instant::NEVER, |sent| sent + self.times.first_byte).min(self.times.total)
    }

    /// What to answer when the endpoint was too slow.
    fn timed_out(&self) -> Fault {
        self.endpoint.stats.timeouts.inc();
        if Instant::now() >= self.times.total {
            Fault::Refuse(Refusal::RequestTimeout)
        } else {
            Fault::Refuse(Refusal::UpstreamTimeout)
        }
    }

    /// What to answer when the endpoint closed or reset the connection.
    fn broken_off(&self) -> Fault {
        self.endpoint.stats.resets.inc();
        Fault::Refuse(Refusal::UpstreamClosed)
    }
}

/// A deadline that is computed when it is first asked for, and then stands: waiting that never happens
/// never looks at the clock.
fn lazily(deadline: impl Fn() -> Instant) -> impl Fn() -> Instant {
    let cell = Cell::new(None);
    move || {
        cell.get().unwrap_or_else(|| {
            let at = deadline();
            cell.set(Some(at));
            at
        })
    }
}

/// Forwards the request to `service` and the response to the client.
pub(crate) async fn send(turn: &mut Turn<'_>, route: &Route, service: usize) -> Result<Next, Refusal> {
    let record = turn.record;
    let spec = &record.active.plan.services[service];
    let times = Times::new(record.started, &spec.timeout, &route.timeout);
    let body_max = turn.body_max(route);
    let data = turn.take_buffered_body()?;
    if record.bytes_in.get().saturating_add(turn.body.announced()) > body_max {
        return Err(Refusal::BodyTooLarge);
    }
    let expect = !turn.body.is_done() && pipeline::expects_continue(&turn.scratch.request);
    let beside = write_message(turn, route, &spec.name, data, expect)?;
    let head = &turn.input.filled()[..turn.head_len];
    let method = turn.scratch.request.method.of_head(head);
    let replayable = turn.body.is_done() && pipeline::is_idempotent(method);
    let to_head = method == b"HEAD";

    let upstream = &record.active.upstreams[service];
    let mut tried = Vec::new();
    let mut again = None;
    let mut last = Refusal::NoEndpoint;
    while tried.len() < ENDPOINTS_TRIED_MAX {
        let fresh = again.is_some();
        let Some(index) = again.take().or_else(|| upstream.pick(&tried)) else { break };
        let endpoint = &upstream.endpoints[index];
        let _in_flight = InFlight::begin(endpoint);
        record.attempts.set(record.attempts.get() + 1);
        record.endpoint.set(Some(Rc::clone(endpoint)));
        let now = record.started;
        let until = lazily(|| (Instant::now() + times.connect).min(times.total));
        let pooled = match connect(endpoint, &turn.client.alarm, now, until, fresh).await {
            Ok(pooled) => pooled,
            Err(error) => {
                last = no_connection(error);
                let Endpoint { service, address, .. } = &**endpoint;
                let event = Event::ConnectFailed { service, endpoint: address, error: &last.title() };
                record.worker.log.emit(&event);
                tried.push(index);
                continue;
            }
        };
        let call = Call {
            record,
            client: turn.client,
            endpoint,
            times,
            to_head,
            version: turn.scratch.request.version,
            keep_alive: turn.scratch.request.keep_alive,
            expect,
            body_max,
            sent_at: Cell::new(None),
            complete: Cell::new(false),
        };
        match attempt(turn, &call, pooled, beside.clone(), replayable).await {
            Ok(next) => return Ok(next),
            // The server had closed it already. A new connection tells whether the server is still there.
            Err(Fault::Stale) => {
                endpoint.stats.resent.inc();
                again = Some(index);
            }
            Err(Fault::Refuse(refusal)) => {
                if refusal.side() == Side::Upstream {
                    let Endpoint { service, address, .. } = &**endpoint;
                    let event = Event::UpstreamFailed { service, endpoint: address, error: &refusal.title() };
                    record.worker.log.emit(&event);
                }
                return Err(refusal);
            }
            Err(Fault::ClientGone) => {
                record.aborted.set(true);
                // One whose head has come is counted by its status already.
                if record.first_byte.get().is_none() {
                    endpoint.stats.responses.count(Class::Aborted);
                }
                return Ok(Next::Reset);
            }
            Err(Fault::Broken) => {
                record.aborted.set(true);
                return Ok(Next::Reset);
            }
        }
    }
    Err(last)
}

fn no_connection(error: ConnectError) -> Refusal {
    match error {
        ConnectError::PoolFull => Refusal::PoolFull,
        ConnectError::NoAddress => Refusal::NoEndpoint,
        ConnectError::Failed => Refusal::ConnectFailed,
        ConnectError::NoDescriptors => Refusal::NoDescriptors,
        ConnectError::TimedOut => Refusal::ConnectTimeout,
    }
}

/// Writes head and buffered body into `scratch.out`. Returns where in `input` the part of the body is that
/// was not worth copying.
fn write_message(
    turn: &mut Turn<'_>,
    route: &Route,
    service: &str,
    data: Range<usize>,
    expect: bool,
) -> Result<Range<usize>, Refusal> {
    let Turn { client, record, input, scratch, head_len, body, .. } = turn;
    let Scratch { request, target, rewritten, host, port, out, .. } = &mut **scratch;
    let plan = &record.active.plan;
    let mut host_override = None;
    let target = match &route.rewrite {
        None => &*target,
        Some(rewrite) => {
            let path = target.path();
            let params = route.matcher.params(path);
            let values = Values { host, path, query: target.query(), params };
            rewrite.apply(&values, rewritten).map_err(|_| Refusal::BadTarget)?;
            host_override = rewrite.host();
            &*rewritten
        }
    };
    let bytes = input.filled();
    out.clear();
    let parts = RequestParts {
        record,
        client,
        request,
        head: &bytes[..*head_len],
        target: target.path_and_query(),
        host,
        port: *port,
        service,
        host_override,
        edits: &route.request_headers,
        underscores: plan.limits.header_underscores,
        expect,
    };
    heads::write_request(out, &parts);
    if request.framing == Framing::Chunked {
        push_chunk(out, &bytes[data]);
        if body.is_done() {
            push_last_chunk(out, body.trailers(), record.request_edits());
        }
        return Ok(0..0);
    }
    if data.len() > COPY_BYTES_MAX {
        return Ok(data);
    }
    out.extend_from_slice(&bytes[data]);
    Ok(0..0)
}

/// Appends one chunk, unless it is empty: an empty one would be the last.
fn push_chunk(out: &mut Vec<u8>, data: &[u8]) {
    if !data.is_empty() {
        let (start, len) = chunk_start(data.len());
        out.extend_from_slice(&start[..len]);
        out.extend_from_slice(data);
        out.extend_from_slice(CHUNK_END);
    }
}

/// The end of a chunked body, given its trailers and what the route makes of them.
fn last_chunk(trailers: &[u8], edits: Option<&HeaderEdits>) -> Cow<'static, [u8]> {
    if trailers.is_empty() {
        return Cow::Borrowed(b"0\r\n\r\n");
    }
    let mut end = Vec::new();
    push_last_chunk(&mut end, trailers, edits);
    Cow::Owned(end)
}

/// Appends the end of a chunked body.
fn push_last_chunk(out: &mut Vec<u8>, trailers: &[u8], edits: Option<&HeaderEdits>) {
    out.extend_from_slice(b"0\r\n");
    heads::push_trailers(out, trailers, edits);
    out.extend_from_slice(b"\r\n");
}

/// One attempt on one connection.
async fn attempt(
    turn: &mut Turn<'_>,
    call: &Call<'_>,
    pooled: Pooled,
    beside: Range<usize>,
    replayable: bool,
) -> Result<Next, Fault> {
    let link = &pooled.held.link;
    let may_be_stale = pooled.reused && replayable;
    let until = || (Instant::now() + call.times.idle).min(call.times.total);
    let alarm = &call.client.alarm;
    let first = [&*turn.scratch.out, &turn.input.filled()[beside]];
    match link.write_all(first, alarm, until).await {
        Ok(()) => call.complete.set(turn.body.is_done()),
        Err(LinkError::Io(_)) if may_be_stale => return Err(Fault::Stale),
        Err(LinkError::TimedOut) => return Err(call.timed_out()),
        // A server may refuse a body by answering and closing before it has read everything.
        Err(LinkError::Io(_)) => {}
    }
    let received = if turn.body.is_done() {
        // On the first attempt, on a connection that was there, sending took no measurable time since the
        // head arrived, and the clock is not free.
        let at_once = pooled.reused && call.record.attempts.get() == 1;
        call.sent_at.set(Some(if at_once { call.record.started } else { Instant::now() }));
        let Scratch { response, reply, .. } = &mut *turn.scratch;
        download::download(call, link, response, reply, may_be_stale).await?
    } else {
        // Boxed: few requests need both directions at once, and all would carry the size.
        Box::pin(both(turn, call, link)).await?
    };
    let now = Instant::now();
    let uploaded = call.complete.get();
    if received.reusable && uploaded {
        call.endpoint.pool.give_back(call.endpoint, pooled.held, now);
    }
    Ok(match (received.keep_alive && uploaded, uploaded) {
        (true, _) => Next::Keep(now),
        (false, true) => Next::Close,
        (false, false) => Next::Linger,
    })
}

/// Uploads the rest of the body and downloads the response at the same time: the response may begin, and
/// even end, before the request has.
async fn both(turn: &mut Turn<'_>, call: &Call<'_>, link: &Link) -> Result<download::Received, Fault> {
    let Scratch { request, response, reply, .. } = &mut *turn.scratch;
    let chunked = request.framing == Framing::Chunked;
    let mut uploading = pin!(upload::upload(call, link, &mut turn.body, chunked, &mut turn.following));
    let mut downloading = pin!(download::download(call, link, response, reply, false));
    let mut uploaded = false;
    std::future::poll_fn(|cx| {
        if !uploaded && let Poll::Ready(result) = uploading.as_mut().poll(cx) {
            uploaded = true;
            if let Err(fault) = result {
                return Poll::Ready(Err(fault));
            }
        }
        downloading.as_mut().poll(cx)
    })
    .await
}
