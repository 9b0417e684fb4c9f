//! Forwarding: to which endpoint, over which connection, and what if that fails.

mod call;
mod choice;
mod download;
mod over;
mod tunnel;
mod upload;

use std::borrow::Cow;
use std::cell::Cell;
use std::ops::Range;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use forebay_base::time::Instant;
use forebay_net::h1::{CHUNK_END, Framing, Version, chunk_start};
use forebay_net::link::{self, LinkError};
use forebay_net::stream::{Reset, Stream};
use forebay_telemetry::log::Event;
use forebay_telemetry::stats::Class;

use crate::client::{self, Client};
use crate::exchange::{Record, Scratch};
use crate::grpc;
use crate::heads::{self, RequestParts};
use crate::pipeline::{self, Next, Turn};
use crate::plan::{Balance, Route, TimeoutOverrides, Timeouts};
use crate::refusal::{Refusal, Side};
use crate::route::{HeaderEdits, Values};
use crate::upgrade::Upgrade;
use crate::upstream::{Ask, Carrier, ConnectError, Endpoint, Picked, Pooled, Upstream, connect};
use call::Grpc;
use over::Over;

/// Endpoints tried for one request while none accepts a connection.
const ENDPOINTS_TRIED_MAX: usize = 3;
/// Whether a client that is not read from is still there is looked at this often.
const LOOK: Duration = Duration::from_secs(1);
/// A failed answer counts as one that took at least this long.
const FAILURE_LATENCY: Duration = Duration::from_secs(1);
/// Times a request is sent to another endpoint because the one that had it broke down before it answered.
const MOVES_MAX: u32 = 1;
/// Times a request is sent again after an endpoint has said that it has not looked at it.
const REFUSALS_MAX: u32 = 4;
/// Times a request finds that others have taken all room that there was for it.
const CROWDS_MAX: u32 = 32;
/// A body (or the part of it that is there) up to this size is copied behind its head, so that one plain
/// write sends both; a larger one is sent from where it is.
const COPY_BYTES_MAX: usize = 4 << 10;

/// A request as far as it is ready to be sent: in `scratch.out`, and in `input`.
#[derive(Clone)]
struct Message {
    /// Length of the head at the front of `scratch.out`. What follows is what has come of the body, as HTTP/1 sends
    /// it, but for what is `beside`.
    head_len: usize,
    /// Where in `input` that is.
    data: Range<usize>,
    /// The part of it that was not worth copying.
    beside: Range<usize>,
    /// Where in the head the time that is left goes, if the client has said how much there is.
    stamp: Option<usize>,
}

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
    /// It may be sent to another endpoint if this one breaks down before it answers.
    movable: bool,
    /// The protocol that the connection is to turn into.
    upgrade: Option<&'a Upgrade>,
    /// All of it was there before it was sent, so that it can be sent again.
    whole: bool,
    /// It was sent before, on a connection that turned out to be closed. A second one that breaks speaks against
    /// the request.
    resent: bool,
    /// Where the endpoint is one of several.
    upstream: &'a Upstream,
    /// How long answers take matters for picking.
    observed: bool,
    /// What is to be known of it as gRPC, if it is.
    grpc: Option<&'a Grpc>,
    /// Why the endpoint did not let us in after all, if it has said so: with TLS 1.3 that comes after the handshake.
    alert: Cell<Option<&'static str>>,
}

/// The timeouts of one request: the service's, as overridden by its route.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    connect: Duration,
    tcp_user: Duration,
    first_byte: Duration,
    idle: Duration,
    /// The end of the whole request's time.
    total: Instant,
}

/// Why an attempt did not bring a whole response to the client.
pub(crate) enum Fault {
    /// The connection had been idle, and the server closed it without reading this request.
    Stale,
    /// The endpoint broke down before it answered, and the request may be sent to another one.
    Moved,
    /// The endpoint says that it has not looked at the request, which is all there to be sent again.
    Refused,
    /// The client gets this answer instead, if none has begun.
    Refuse(Refusal),
    /// The client is gone.
    ClientGone,
    /// The response broke off after it had begun.
    Broken,
}

impl Times {
    fn new(started: Instant, service: &Timeouts, route: &TimeoutOverrides, patience: Instant) -> Self {
        let total = route.total.or(service.total);
        Self {
            connect: service.connect,
            tcp_user: service.tcp_user,
            first_byte: route.first_byte.unwrap_or(service.first_byte),
            idle: route.idle.unwrap_or(service.idle),
            total: total.map_or(Instant::NEVER, |total| started + total).min(patience),
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
        let now = Instant::now();
        // Whoever is in a hurry cannot have an endpoint left out.
        if !self.grpc.is_some_and(|grpc| grpc.is_late(now)) {
            self.endpoint.failed();
        }
        self.observe(now, now.since(self.sent_at.get().unwrap_or(now)), true);
        if now >= self.times.total {
            Fault::Refuse(Refusal::RequestTimeout)
        } else {
            Fault::Refuse(Refusal::UpstreamTimeout)
        }
    }

    /// What to do when the endpoint says that it has not looked at the request (RFC 9113 §8.7).
    fn refused(&self) -> Fault {
        // It may have room for others only: that is no failure of it.
        self.endpoint.stats.resets.inc();
        if self.whole { Fault::Refused } else { Fault::Refuse(Refusal::UpstreamClosed) }
    }

    /// What to do when the connection broke before anything of the response had come.
    fn broken_silently(&self, may_be_stale: bool, error: Option<&std::io::Error>) -> Fault {
        // A host that acknowledges nothing will not do so on a new connection either.
        let silent = error.is_some_and(|error| error.kind() == std::io::ErrorKind::TimedOut);
        if may_be_stale && !silent && !self.resent {
            return Fault::Stale;
        }
        self.endpoint.stats.resets.inc();
        if silent {
            self.endpoint.fell_silent()
        } else {
            self.endpoint.failed()
        }
        if let Some(why) = error.and_then(link::alert) {
            self.alert.set(Some(why.word()));
        }
        if self.movable && (silent || !self.resent) { Fault::Moved } else { Fault::Refuse(self.breakdown()) }
    }

    /// What it is called that the connection broke before anything of the response had come.
    fn breakdown(&self) -> Refusal {
        if self.alert.get().is_some() { Refusal::UpstreamTls } else { Refusal::UpstreamClosed }
    }

    /// The operator is to know that the endpoint did not answer as it should.
    #[cold]
    fn complain(&self, refusal: Refusal) {
        let (service, endpoint) = (self.endpoint.service(), self.endpoint.name());
        let error = match self.alert.get() {
            Some(why) => format!("{} ({why})", refusal.title()),
            None => refusal.title().to_owned(),
        };
        self.record.worker.log.emit(&Event::UpstreamFailed { service, endpoint, error: &error });
    }

    /// Whether the endpoint is lost, and the request can be answered by another.
    #[inline]
    pub(super) fn should_move(&self) -> bool {
        self.movable && self.endpoint.is_lost() && self.upstream.has_other(self.endpoint)
    }

    /// The response has begun, or will not: for whoever picks by latency.
    pub(super) fn observe(&self, now: Instant, waited: Duration, failed: bool) {
        if self.observed {
            // A failure must not look like a quick answer.
            self.endpoint.observe(now, if failed { waited.max(FAILURE_LATENCY) } else { waited });
        }
    }

    /// What to answer when the endpoint sent what is no HTTP.
    fn malformed(&self) -> Fault {
        self.endpoint.failed();
        Fault::Refuse(Refusal::UpstreamMalformed)
    }

    /// What to answer when the endpoint closed or reset the connection.
    fn broken_off(&self) -> Fault {
        self.endpoint.stats.resets.inc();
        self.endpoint.failed();
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
    let grpc = record.grpc.get().map(|asked| Grpc::new(asked, record.started));
    let grpc = grpc.as_deref();
    let patience = grpc.map_or(Instant::NEVER, |grpc| grpc.asked.deadline);
    let times = Times::new(record.started, &spec.timeout, &route.timeout, patience);
    let body_max = turn.body_max(route);
    let mut data = turn.take_buffered_body()?;
    if record.bytes_in.get().saturating_add(turn.body.announced()) > body_max {
        return Err(Refusal::BodyTooLarge);
    }
    if let Some(grpc) = grpc {
        data = take_call(turn, grpc, data)?;
    }
    let expect = !turn.body.is_done() && pipeline::expects_continue(&turn.scratch.request);
    let message = write_message(turn, route, &spec.name, data, expect)?;
    let head = &turn.input.filled()[..turn.head_len];
    let method = turn.scratch.request.method.of_head(head);
    let replayable = turn.body.is_done() && pipeline::is_idempotent(method);
    let to_head = method == b"HEAD";

    let upgrade = turn.upgrade.take();
    // What came behind a request for another protocol is of no protocol if that is not granted (RFC 9110 §7.8).
    let early = upgrade.is_some() && turn.input.len() > turn.head_len + turn.body_used;
    let upstream = &*record.active.upstreams[service];
    let key = choice::key(turn, upstream);
    let mut tried: Vec<Rc<Endpoint>> = Vec::new();
    let mut again = None;
    let (mut moves, mut refusals, mut crowds) = (0, 0, 0);
    let mut resent = false;
    let mut last = Refusal::NoEndpoint;
    while tried.len() < ENDPOINTS_TRIED_MAX {
        // Whoever broke down once need not meet a connection that is about to close.
        let fresh = again.is_some() || moves > 0;
        let (in_flight, now) = match again.take() {
            Some(same) => (same, record.started),
            None => match upstream.pick_at_once(key, record.started, &tried) {
                Picked::Endpoint(in_flight) => (in_flight, record.started),
                Picked::Full => {
                    match Box::pin(choice::wait_for_room(turn, upstream, key, &times, &tried)).await {
                        Ok(Some(in_flight)) => (in_flight, Instant::now()),
                        Ok(None) => break,
                        Err(Fault::Refuse(refusal)) => return Err(refusal),
                        Err(_) => {
                            record.aborted.set(true);
                            return Ok(Next::Reset);
                        }
                    }
                }
                Picked::None => break,
            },
        };
        let endpoint = in_flight.endpoint();
        record.attempts.set(record.attempts.get() + 1);
        record.endpoint.set(Some(Rc::clone(endpoint)));
        let until = lazily(|| (Instant::now() + times.connect).min(times.total));
        let ask = Ask {
            worker: record.worker,
            limits: record.limits(),
            client: turn.client,
            alarm: &turn.client.alarm,
            now,
            silence: times.tcp_user,
            fresh,
        };
        let pooled = match connect(endpoint, &ask, until).await {
            Ok(pooled) => pooled,
            // Whoever is in a hurry cannot have an endpoint left out.
            Err(ConnectError::TimedOut) if grpc.is_some_and(|grpc| grpc.is_late(Instant::now())) => {
                return Err(Refusal::RequestTimeout);
            }
            // Others were quicker. Its turn comes, unless that happens too often.
            Err(ConnectError::Crowded) if crowds < CROWDS_MAX => {
                crowds += 1;
                record.attempts.set(record.attempts.get() - 1);
                continue;
            }
            Err(error) => {
                last = no_connection(error);
                if let ConnectError::Failed
                | ConnectError::TimedOut
                | ConnectError::NoGreeting
                | ConnectError::Tls(_) = error
                {
                    endpoint.connect_failed();
                }
                let (service, endpoint) = (endpoint.service(), endpoint.name());
                let why = match error {
                    ConnectError::Tls(why) => format!("{} ({why})", last.title()),
                    ConnectError::NoGreeting => format!("{} (it does not speak HTTP/2)", last.title()),
                    _ => last.title().to_owned(),
                };
                record.worker.log.emit(&Event::ConnectFailed { service, endpoint, error: &why });
                tried.push(Rc::clone(in_flight.endpoint()));
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
            keep_alive: turn.scratch.request.keep_alive && !early,
            expect,
            body_max,
            sent_at: Cell::new(None),
            complete: Cell::new(false),
            movable: replayable && moves < MOVES_MAX,
            upgrade: upgrade.as_ref(),
            whole: turn.body.is_done(),
            resent,
            upstream,
            observed: upstream.balance == Balance::PeakEwma,
            grpc,
            alert: Cell::new(None),
        };
        choice::remember(&call, upstream, key);
        match attempt(turn, &call, pooled, &message, replayable).await {
            Ok(next) => return Ok(next),
            // The server had closed it already. A new connection tells whether the server is still there.
            Err(Fault::Stale) => {
                endpoint.stats.resent.inc();
                resent = true;
                again = Some(in_flight);
            }
            Err(Fault::Refused) => {
                endpoint.stats.resent.inc();
                last = Refusal::UpstreamClosed;
                if refusals >= REFUSALS_MAX {
                    let (service, endpoint) = (endpoint.service(), endpoint.name());
                    let event = Event::UpstreamFailed { service, endpoint, error: &last.title() };
                    record.worker.log.emit(&event);
                    return Err(last);
                }
                tried.push(Rc::clone(endpoint));
                if !upstream.has_untried(&tried) {
                    tried.pop();
                    Box::pin(choice::pause(turn, &times, refusals)).await?;
                    again = Some(in_flight);
                }
                refusals += 1;
            }
            Err(Fault::Moved) => {
                endpoint.stats.moved.inc();
                moves += 1;
                last = call.breakdown();
                call.complain(last);
                tried.push(Rc::clone(endpoint));
            }
            Err(Fault::Refuse(refusal)) => {
                if refusal.side() == Side::Upstream {
                    call.complain(refusal);
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
                if let Some(grpc) = grpc {
                    grpc.broke_off(endpoint, Instant::now());
                }
                record.aborted.set(true);
                return Ok(Next::Reset);
            }
        }
    }
    Err(last)
}

/// Makes of what has come of a call's body, `data` in `input`, what services understand. Returns where that is.
#[cold]
fn take_call(turn: &mut Turn<'_>, grpc: &Grpc, data: Range<usize>) -> Result<Range<usize>, Refusal> {
    if grpc.is_late(turn.record.started) {
        return Err(Refusal::RequestTimeout);
    }
    if grpc.is_text() {
        // It gets shorter, by how much is not known yet.
        turn.scratch.request.framing = Framing::Chunked;
    }
    let len = grpc.decode(&mut turn.input.filled_mut()[data.clone()], turn.body.is_done())?;
    Ok(data.start..data.start + len)
}

fn no_connection(error: ConnectError) -> Refusal {
    match error {
        ConnectError::PoolFull | ConnectError::Crowded => Refusal::PoolFull,
        ConnectError::Failed | ConnectError::Lost => Refusal::ConnectFailed,
        ConnectError::NoGreeting => Refusal::UpstreamClosed,
        ConnectError::NoDescriptors => Refusal::NoDescriptors,
        ConnectError::TimedOut => Refusal::ConnectTimeout,
        ConnectError::Tls(_) => Refusal::UpstreamTls,
    }
}

/// Writes head and buffered body into `scratch.out`.
fn write_message(
    turn: &mut Turn<'_>,
    route: &Route,
    service: &str,
    data: Range<usize>,
    expect: bool,
) -> Result<Message, Refusal> {
    let Turn { client, record, input, scratch, head_len, body, trailers, upgrade, .. } = turn;
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
    let asked = record.grpc.get();
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
        upgrade: upgrade.as_ref().map(|upgrade| &*upgrade.protocol),
        websocket_key: upgrade
            .as_ref()
            .and_then(|upgrade| upgrade.websocket_key.as_ref())
            .map(|key| &key[..]),
        grpc: asked.as_ref(),
    };
    heads::write_request(out, &parts);
    let stamp = asked.and_then(|asked| {
        let wanted = |name: &[u8]| !route.request_headers.drops(name);
        grpc::finish_head(out, &asked, request, &bytes[..*head_len], wanted)
    });
    let mut message = Message { head_len: out.len(), data: data.clone(), beside: 0..0, stamp };
    if request.framing == Framing::Chunked {
        push_chunk(out, &bytes[data]);
        if body.is_done() {
            let trailers = if trailers.is_empty() { body.trailers() } else { trailers };
            push_last_chunk(out, trailers, record.request_edits());
        }
    } else if data.len() > COPY_BYTES_MAX {
        message.beside = data;
    } else {
        out.extend_from_slice(&bytes[data]);
    }
    Ok(message)
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
    message: &Message,
    replayable: bool,
) -> Result<Next, Fault> {
    let over = Over::of(&pooled.held);
    if let (Over::Stream(stream), Some(_)) = (over, call.upgrade) {
        // Boxed: rare, and every exchange would carry the size.
        Box::pin(may_tunnel(call, stream)).await?;
    }
    let may_be_stale = pooled.reused && replayable;
    if let Some(at) = message.stamp
        && let Some(place) = turn.scratch.out.get_mut(at..at + grpc::STAMP)
    {
        grpc::stamp(place, call.times.total.since(Instant::now()));
    }
    let mut left = None;
    match begin(turn, call, over, message).await {
        Ok(unsent) => {
            call.complete.set(turn.body.is_done() && unsent.is_none());
            left = unsent;
        }
        Err(LinkError::Io(error)) if may_be_stale => {
            return Err(call.broken_silently(may_be_stale, Some(&error)));
        }
        Err(LinkError::TimedOut) => return Err(call.timed_out()),
        // A server may refuse a body by answering and closing before it has read everything.
        Err(LinkError::Io(_)) => {}
    }
    let received = if turn.body.is_done() && left.is_none() {
        // On the first attempt, on a connection that was there, sending took no measurable time since the
        // head arrived, and the clock is not free.
        let at_once = pooled.reused && call.record.attempts.get() == 1;
        call.sent_at.set(Some(if at_once { call.record.started } else { Instant::now() }));
        let Scratch { response, reply, .. } = &mut *turn.scratch;
        download::download(call, over, response, reply, may_be_stale).await?
    } else {
        // Boxed: few requests need both directions at once, and all would carry the size.
        Box::pin(both(turn, call, over, left)).await?
    };
    if let Some(beginning) = received.tunnel {
        let Some(route) = call.record.matched() else { return Err(Fault::Broken) };
        let Scratch { response, reply, .. } = &mut *turn.scratch;
        let early = &turn.input.filled()[turn.head_len + turn.body_used..];
        let tunnel = tunnel::run(call, over, &route.upgrade, response, reply, beginning, early);
        // Boxed: few connections turn into something else, and all would carry the size.
        return Box::pin(tunnel).await;
    }
    let now = Instant::now();
    let uploaded = call.complete.get();
    match pooled.held {
        Carrier::Link(held) if received.reusable && uploaded && !call.endpoint.speech.introduces() => {
            call.endpoint.pool.give_back(call.endpoint, held, now, received.patience);
        }
        Carrier::Link(_) => {}
        // The service has answered, and what is left of the request is not wanted.
        Carrier::Stream(stream) => stream.reset(Reset::NoError),
    }
    Ok(match (received.keep_alive && uploaded, uploaded) {
        (true, _) => Next::Keep(now),
        (false, true) => Next::Close,
        (false, false) => Next::Linger,
    })
}

/// Waits until it is known whether a stream of this connection can turn into a tunnel. A service that does not say so
/// would take the request for one that asks to look at what is there.
async fn may_tunnel(call: &Call<'_>, stream: &dyn Stream) -> Result<(), Fault> {
    let until = lazily(|| (Instant::now() + call.times.connect).min(call.times.total));
    let tunnels = std::future::poll_fn(|cx| match stream.poll_tunnels(cx) {
        Poll::Ready(tunnels) => Poll::Ready(tunnels),
        Poll::Pending => call.client.alarm.poll(cx, until()).map(|()| false),
    });
    if tunnels.await { Ok(()) } else { Err(Fault::Refuse(Refusal::UpgradeUnsupported)) }
}

/// Sends the head, and what has come of the body. A stream may have no room for all of it: returns where in `input` the
/// rest is. Whoever has no room for a request may have an answer to it.
async fn begin(
    turn: &Turn<'_>,
    call: &Call<'_>,
    over: Over<'_>,
    message: &Message,
) -> Result<Option<Range<usize>>, LinkError> {
    let until = || (Instant::now() + call.times.idle).min(call.times.total);
    let alarm = &call.client.alarm;
    match over {
        Over::Link(link) => {
            let first = [&*turn.scratch.out, &turn.input.filled()[message.beside.clone()]];
            link.write_all(first, alarm, until).await.map(|()| None)
        }
        Over::Stream(stream) => {
            let head = &turn.scratch.out[..message.head_len];
            let mut data = message.data.clone();
            // A request for a tunnel has no body, but its stream goes on.
            let done = turn.body.is_done() && call.upgrade.is_none();
            let end = done && turn.trailers().is_empty();
            let ends_here = end && data.is_empty();
            stream.send_head(head, ends_here).map_err(client::broken)?;
            if ends_here || (data.is_empty() && !done) {
                return Ok(None);
            }
            let mut cx = Context::from_waker(Waker::noop());
            while !data.is_empty() {
                match stream.poll_send(&mut cx, &turn.input.filled()[data.clone()], end) {
                    Poll::Ready(sent) => data.start += sent.map_err(client::broken)?.min(data.len()),
                    Poll::Pending => return Ok(Some(data)),
                }
            }
            // With trailers, the body has not ended yet.
            Ok((done && !end).then_some(data))
        }
    }
}

/// Trailers without those the route removes or sets.
fn edited_trailers<'t>(trailers: &'t [u8], edits: Option<&HeaderEdits>) -> Cow<'t, [u8]> {
    if trailers.is_empty() || edits.is_none() {
        return Cow::Borrowed(trailers);
    }
    let mut kept = Vec::new();
    heads::push_trailers(&mut kept, trailers, edits);
    Cow::Owned(kept)
}

/// Uploads the rest of the body and downloads the response at the same time: the response may begin, and
/// even end, before the request has.
async fn both(
    turn: &mut Turn<'_>,
    call: &Call<'_>,
    over: Over<'_>,
    left: Option<Range<usize>>,
) -> Result<download::Received, Fault> {
    let Turn { scratch, input, body, following, trailers, .. } = turn;
    let Scratch { request, response, reply, .. } = &mut **scratch;
    let chunked = request.framing == Framing::Chunked;
    let trailers = if trailers.is_empty() { body.trailers().to_vec() } else { std::mem::take(trailers) };
    let left = left.map(|left| (&input.filled()[left], &*trailers));
    let mut uploading = pin!(upload::upload(call, over, left, body, chunked, following));
    let mut downloading = pin!(download::download(call, over, response, reply, false));
    let mut uploaded = false;
    let mut look = Instant::now() + LOOK;
    std::future::poll_fn(|cx| {
        if call.client.alarm.poll(cx, look).is_ready() {
            // While nobody reads what it sends, its end cannot be seen otherwise.
            if call.client.is_reset() {
                return Poll::Ready(Err(Fault::ClientGone));
            }
            look = Instant::now() + LOOK;
            let _ = call.client.alarm.poll(cx, look);
        }
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
