//! The request path, stage after stage in the order they happen: read the target, find the route, admit,
//! act, settle.

use std::net::IpAddr;
use std::ops::Range;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use forebay_base::time::Instant;
use forebay_net::buffer::Lent;
use forebay_net::forwarded;
use forebay_net::h1::{Body, Framing, Name, RequestHead, Version};
use forebay_net::host;
use forebay_net::stream::Stream;
use forebay_net::uri::{Form, Scheme, TargetError, TargetOptions, parse_target};

use crate::challenge;
use crate::client::Client;
use crate::exchange::{Record, Scratch};
use crate::forward;
use crate::grpc;
use crate::heads;
use crate::plan::{Action, Plan, Route, Target, Underscores};
use crate::recording;
use crate::refusal::Refusal;
use crate::respond::{self, Answer, Manner};
use crate::route::{self, Values};
use crate::split;
use crate::upgrade::{self, Upgrade};
use crate::worker::{Active, Worker};

/// Requests that come by here more often than this go round in circles.
const HOPS_MAX: usize = 10;

/// What becomes of the connection after an exchange.
pub(crate) enum Next {
    /// It waits for the next request since this instant.
    Keep(Instant),
    /// It is closed.
    Close,
    /// It is closed once the client has had a chance to read the answer: it may still be sending.
    Linger,
    /// It is reset, so that the client cannot take what it got for a whole response.
    Reset,
}

/// One request whose head has been read, and its body so far.
pub(crate) struct Turn<'a> {
    pub(crate) client: &'a Client,
    pub(crate) record: &'a Record<'a>,
    pub(crate) input: &'a mut Lent,
    pub(crate) scratch: &'a mut Scratch,
    /// Length of the head at the front of `input`.
    pub(crate) head_len: usize,
    /// Request body that has not been taken from `input` yet.
    pub(crate) body: Body,
    /// Bytes of `input` after the head that belonged to the body.
    pub(crate) body_used: usize,
    /// What was read beyond the end of a body that `input` could not hold.
    pub(crate) following: Option<Lent>,
    /// Trailers of a stream's body, once it is done.
    pub(crate) trailers: Vec<u8>,
    /// The protocol that the connection is to turn into.
    pub(crate) upgrade: Option<Upgrade>,
}

/// Why a request is not served, with the methods that would be if that is the reason.
pub(crate) struct Refused {
    pub(crate) refusal: Refusal,
    allow: Vec<u8>,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, allow: Vec::new() }
    }
}

/// Serves the request whose head fills the first `head_len` bytes of `input`.
pub(crate) async fn serve(
    worker: &Rc<Worker>,
    client: &Client,
    active: &Active,
    input: &mut Lent,
    scratch: &mut Scratch,
    head_len: usize,
) -> Next {
    let record = Record::new(worker, active, client, Instant::now());
    let body = match client.stream() {
        None => Body::new(scratch.request.framing),
        Some(stream) if stream.is_finished() => Body::Done,
        Some(_) => Body::Outside,
    };
    let mut turn = Turn {
        client,
        record: &record,
        input,
        scratch,
        head_len,
        body,
        body_used: 0,
        following: None,
        trailers: Vec::new(),
        upgrade: None,
    };
    let next = match turn.find_route() {
        Ok(Found::Route(route)) => turn.act(route).await,
        // `OPTIONS *` asks the gateway itself whether it is there (RFC 9110 §9.3.7).
        Ok(Found::Gateway) => Ok(turn
            .answer(&Answer { status: 204, content_type: "", body: b"", fields: &[], fixed: false })
            .await),
        // Boxed: both are rare, and every exchange would carry their size.
        Ok(Found::Challenge) => Box::pin(turn.answer_challenge()).await,
        Ok(Found::Secured(port)) => Box::pin(turn.redirect_to_secured(port)).await,
        Err(refused) => Err(refused),
    };
    let next = match next {
        Ok(next) => next,
        Err(refused) => turn.refuse(&refused).await,
    };
    turn.settle(next)
}

/// Answers a request whose head could not be read.
pub(crate) async fn refuse_unread(
    worker: &Worker,
    client: &Client,
    active: &Active,
    scratch: &mut Scratch,
    refusal: Refusal,
) -> Next {
    let record = Record::new(worker, active, client, Instant::now());
    record.set_request_id(None);
    record.refusal.set(Some(refusal));
    record.status.set(refusal.status());
    scratch.target.clear();
    scratch.host.clear();
    scratch.reply.clear();
    let now = Instant::now();
    let manner = Manner::blind(client.stream().is_some());
    let head_len = respond::write_refusal(&mut scratch.reply, &record, refusal, b"", manner, now);
    let until = || Instant::now() + record.limits().write_stall;
    let wrote = client.answer(&scratch.reply, head_len, until).await;
    record.aborted.set(wrote.is_err());
    record.settle(now, scratch, b"");
    if wrote.is_ok() { Next::Linger } else { Next::Close }
}

impl Drop for Turn<'_> {
    /// The task ended before the request did: draining had to end, or the client is gone. What a panic left behind is not looked at.
    fn drop(&mut self) {
        if self.record.is_settled() || std::thread::panicking() {
            return;
        }
        if self.client.gone.get() {
            let head = self.input.filled().get(..self.head_len).unwrap_or_default();
            return self.record.abandon(self.scratch, head);
        }
        if self.record.status.get() != 0 {
            // The client must not take what it got for a whole response.
            self.client.break_off();
        }
        let head = self.input.filled().get(..self.head_len).unwrap_or_default();
        self.record.cut_off(self.scratch, head);
    }
}

/// What a request is about.
enum Found<'a> {
    /// Something that this route is for.
    Route(&'a Route),
    /// The gateway as a whole.
    Gateway,
    /// A certificate authority asks for the proof that a domain is ours.
    Challenge,
    /// It has to be asked for over a secured connection, at this port.
    Secured(u16),
}

impl<'a> Turn<'a> {
    /// Everything that is decided from the head alone, in order.
    fn find_route(&mut self) -> Result<Found<'a>, Refused> {
        let (record, plan) = (self.record, &*self.record.active.plan);
        let head = &self.input.filled()[..self.head_len];
        identify(record, plan, &self.scratch.request, head);
        grpc::recognise(record, &self.scratch.request, head)?;
        read_target(plan, self.scratch, head)?;
        read_host(self.scratch, head, record.client.who.secured.is_some())?;
        let usual = if record.client.who.secured.is_some() { 443 } else { 80 };
        let named = !self.scratch.host.is_empty();
        record.port.set(named.then_some(self.scratch.port.unwrap_or(usual)));
        check_fields(plan, &self.scratch.request, head)?;
        if self.scratch.target.form() == Form::Asterisk {
            return Ok(Found::Gateway);
        }
        if record.worker.challenges.is_active() && self.scratch.target.path().starts_with(challenge::PREFIX) {
            return Ok(Found::Challenge);
        }
        self.find_route_of_head()
    }

    /// The rest of it, for a head that is well-formed.
    fn find_route_of_head(&mut self) -> Result<Found<'a>, Refused> {
        let (record, plan) = (self.record, &*self.record.active.plan);
        let head = &self.input.filled()[..self.head_len];
        if let Some(port) = plan.tls.as_ref().and_then(|tls| tls.redirect)
            && record.client.who.secured.is_none()
        {
            return Ok(Found::Secured(port));
        }
        let index = match_route(plan, self.scratch, head, record.trusted)?;
        record.set_route(index);
        let route = &plan.routes[index];
        if route.grpc_web {
            grpc::recognise_web(record, &self.scratch.request, head)?;
        }
        if let Framing::Length(length) = self.scratch.request.framing
            && length > self.body_max(route)
        {
            return Err(Refusal::BodyTooLarge.into());
        }
        if let Some(sink) = &record.active.recording {
            recording::begin(record, sink, index, self.scratch, head);
        }
        Ok(Found::Route(route))
    }

    /// Largest body for `route`, in bytes.
    pub(crate) fn body_max(&self, route: &Route) -> u64 {
        route.body_max.unwrap_or(self.record.limits().body_max)
    }

    /// Does what the route says.
    async fn act(&mut self, route: &'a Route) -> Result<Next, Refused> {
        match &route.action {
            Action::Forward(targets) => {
                self.want_upgrade(route)?;
                let service = choose(targets, self.record.worker.random());
                Ok(forward::send(self, route, service).await?)
            }
            Action::Split(split) => {
                self.want_upgrade(route)?;
                let (service, _writing) = split::choose(self, route, split);
                Ok(forward::send(self, route, service).await?)
            }
            Action::Redirect { status, to } => {
                let mut location = String::new();
                to.render(&route_values(route, self.scratch), &mut location)
                    .map_err(|_| Refusal::BadTarget)?;
                let fields: [(&str, &[u8]); 1] = [("Location", location.as_bytes())];
                let answer =
                    Answer { status: *status, content_type: "", body: b"", fields: &fields, fixed: false };
                Ok(self.answer(&answer).await)
            }
            // It would be told that there is a tunnel.
            Action::Respond { status: 200..300, .. } if self.scratch.protocol.is_some() => {
                Err(Refusal::UpgradeUnsupported.into())
            }
            Action::Respond { status, content_type, body } => {
                let answer = Answer { status: *status, content_type, body, fields: &[], fixed: false };
                Ok(self.answer(&answer).await)
            }
        }
    }

    /// Finds out which protocol the connection is to turn into, if any.
    fn want_upgrade(&mut self, route: &Route) -> Result<(), Refusal> {
        self.upgrade = upgrade::wanted(self, route)?;
        if self.upgrade.is_some() && self.scratch.protocol.is_some() {
            // What comes behind the head of a CONNECT belongs to the other protocol.
            self.scratch.request.framing = Framing::None;
            self.body = Body::Done;
        }
        Ok(())
    }

    /// Tells a certificate authority what it asks for (RFC 8555 §8.3).
    async fn answer_challenge(&mut self) -> Result<Next, Refused> {
        let answer = self.record.worker.challenges.fetch(self.scratch.target.path()).await;
        let Some(body) = answer else {
            // It is none of ours; a service may fetch certificates of its own.
            return match self.find_route_of_head()? {
                Found::Route(route) => self.act(route).await,
                Found::Secured(port) => self.redirect_to_secured(port).await,
                Found::Gateway | Found::Challenge => Err(Refusal::NoRoute.into()),
            };
        };
        Ok(self
            .answer(&Answer {
                status: 200,
                content_type: "application/octet-stream",
                body: body.as_bytes(),
                fields: &[],
                fixed: true,
            })
            .await)
    }

    /// Sends the client to the same place on a secured connection.
    async fn redirect_to_secured(&mut self, port: u16) -> Result<Next, Refused> {
        let Scratch { host, target, .. } = &*self.scratch;
        if host.is_empty() {
            return Err(Refusal::BadHost.into());
        }
        let port = if port == 443 { String::new() } else { format!(":{port}") };
        let location = format!("https://{host}{port}{}", target.path_and_query());
        let fields: [(&str, &[u8]); 1] = [("Location", location.as_bytes())];
        let answer = Answer { status: 308, content_type: "", body: b"", fields: &fields, fixed: true };
        Ok(self.answer(&answer).await)
    }

    /// Sends an answer of the gateway's own.
    async fn answer(&mut self, answer: &Answer<'_>) -> Next {
        let now = Instant::now();
        let (keep, next) = self.finish_body(now, false);
        let head = &self.input.filled()[..self.head_len];
        let manner = Manner::new(&self.scratch.request, head, keep);
        self.record.status.set(answer.status);
        self.scratch.reply.clear();
        let head_len = respond::write(&mut self.scratch.reply, self.record, answer, manner, now);
        self.send_reply(head_len, next).await
    }

    /// Sends a refusal, unless a response is already on its way: then the connection is broken off.
    async fn refuse(&mut self, refused: &Refused) -> Next {
        let Refused { refusal, allow } = refused;
        self.record.refusal.set(Some(*refusal));
        if self.record.status.get() != 0 {
            self.record.aborted.set(true);
            return Next::Reset;
        }
        let now = Instant::now();
        let (keep, next) = self.finish_body(now, refusal.closes());
        let head = &self.input.filled()[..self.head_len];
        let manner = Manner::new(&self.scratch.request, head, keep);
        self.scratch.reply.clear();
        let Self { record, scratch, .. } = self;
        let head_len = if let Some(asked) = record.grpc.get() {
            record.status.set(grpc::STATUS);
            grpc::write_refusal(&mut scratch.reply, record, &asked, *refusal, manner, now)
        } else {
            record.status.set(refusal.status());
            respond::write_refusal(&mut scratch.reply, record, *refusal, allow, manner, now)
        };
        self.send_reply(head_len, next).await
    }

    async fn send_reply(&mut self, head_len: usize, next: Next) -> Next {
        let Self { client, record, scratch, .. } = self;
        let until = || Instant::now() + record.limits().write_stall;
        if client.answer(&scratch.reply, head_len, until).await.is_err() {
            record.aborted.set(true);
            return Next::Close;
        }
        next
    }

    /// Sees to the request body before an answer that did not need it: whether the connection can be kept,
    /// and what becomes of it.
    fn finish_body(&mut self, now: Instant, lost: bool) -> (bool, Next) {
        if self.client.stream().is_some() {
            // What is left of the body ends with its stream.
            return (true, Next::Keep(now));
        }
        if lost || self.take_buffered_body().is_err() || !self.body.is_done() {
            return (false, Next::Linger);
        }
        let keep = self.scratch.request.keep_alive && !self.record.worker.draining.get();
        (keep, if keep { Next::Keep(now) } else { Next::Close })
    }

    /// Takes what `input` already holds of the body; returns where in it the data is.
    pub(crate) fn take_buffered_body(&mut self) -> Result<Range<usize>, Refusal> {
        let from = self.head_len + self.body_used;
        if let Some(stream) = self.client.stream().filter(|_| !self.body.is_done()) {
            take_arrived(stream, self.input, &mut self.body)?;
            if self.body.is_done() {
                self.trailers = stream.take_trailers();
            }
            let data = from..self.input.len();
            self.body_used += data.len();
            self.record.count_in(data.len());
            self.record.show_body(&self.input.filled()[data.clone()], self.body.is_done());
            return Ok(data);
        }
        let part = self.body.take(&mut self.input.filled_mut()[from..])?;
        self.body_used += part.consumed;
        let data = from..from + part.data;
        self.record.count_in(part.data);
        self.record.show_body(&self.input.filled()[data.clone()], self.body.is_done());
        Ok(data)
    }

    /// Trailers of a body that is done, lines of `name: value`.
    pub(crate) fn trailers(&self) -> &[u8] {
        if self.trailers.is_empty() { self.body.trailers() } else { &self.trailers }
    }

    /// Tells metrics and log, and leaves in `input` what belongs to the next request.
    fn settle(&mut self, next: Next) -> Next {
        let now = match next {
            Next::Keep(now) => now,
            _ => Instant::now(),
        };
        let head = self.input.filled().get(..self.head_len).unwrap_or_default();
        self.record.settle(now, self.scratch, head);
        match self.following.take() {
            Some(following) => *self.input = following,
            None => self.input.consume(self.head_len + self.body_used),
        }
        next
    }
}

/// Takes what has arrived of a stream's body, as far as there is space for it.
fn take_arrived(stream: &dyn Stream, input: &mut Lent, body: &mut Body) -> Result<(), Refusal> {
    let mut cx = Context::from_waker(Waker::noop());
    while !stream.is_finished() && !input.space().is_empty() {
        match stream.poll_data(&mut cx, input) {
            Poll::Ready(Ok(n)) if n > 0 => {}
            Poll::Ready(Ok(_)) => break,
            Poll::Ready(Err(_)) => return Err(Refusal::BodyTruncated),
            Poll::Pending => return Ok(()),
        }
    }
    if stream.is_finished() {
        *body = Body::Done;
    }
    Ok(())
}

/// Who asks, and under which id.
fn identify(record: &Record<'_>, plan: &Plan, request: &RequestHead, head: &[u8]) {
    let client = record.client;
    if !record.trusted {
        record.set_request_id(None);
        return;
    }
    let value = |name: Name| {
        let field = request.fields.iter().find(|field| field.known == name);
        field.map(|field| field.value.of_head(head))
    };
    record.set_request_id(value(Name::XRequestId));
    record.address.set(client_address(client.who.peer.ip(), plan, request, head));
}

fn client_address(peer: IpAddr, plan: &Plan, request: &RequestHead, head: &[u8]) -> IpAddr {
    let values = |name: Name| {
        request.fields.iter().filter(move |field| field.known == name).map(|field| field.value.of_head(head))
    };
    let said = forwarded::client_address(
        peer,
        values(Name::XForwardedFor),
        values(Name::Forwarded),
        &plan.trusted_proxies,
    );
    let lists = values(Name::XForwardedFor).chain(values(Name::Forwarded)).count();
    match values(Name::XRealIp).next() {
        // Some proxies say it in this way only.
        Some(real) if lists == 0 => std::str::from_utf8(real)
            .ok()
            .and_then(|text| text.parse::<IpAddr>().ok())
            .map_or(said, |address| address.to_canonical()),
        _ => said,
    }
}

fn read_target(plan: &Plan, scratch: &mut Scratch, head: &[u8]) -> Result<(), Refusal> {
    let method = scratch.request.method.of_head(head);
    // CONNECT would be a tunnel to anywhere; TRACE echoes credentials back to scripts.
    if method == b"CONNECT" {
        return Err(Refusal::ConnectUnsupported);
    }
    let options =
        TargetOptions { merge_slashes: plan.limits.merge_slashes, bytes_max: plan.limits.uri_bytes };
    let raw = scratch.request.target.of_head(head);
    parse_target(method, raw, &options, &mut scratch.target).map_err(|error| match error {
        TargetError::TooLong => Refusal::TargetTooLong,
        _ => Refusal::BadTarget,
    })
}

/// One host, the same in `Host` and in an absolute target (RFC 9112 §3.2).
fn read_host(scratch: &mut Scratch, head: &[u8], secured: bool) -> Result<(), Refusal> {
    scratch.host.clear();
    scratch.port = None;
    if let Some(sent) = scratch.request.host {
        let host = host::parse(sent.of_head(head)).map_err(|_| Refusal::BadHost)?;
        scratch.host.push_str(&host.name);
        scratch.port = host.port;
    }
    if let (Form::Absolute(scheme), Some(authority)) = (scratch.target.form(), scratch.target.authority()) {
        // Nobody gets what is meant for a secured connection over one that is not (RFC 9110 §7.4).
        if (scheme != Scheme::Http) != secured {
            return Err(Refusal::BadTarget);
        }
        let named = host::parse(authority.as_bytes()).map_err(|_| Refusal::BadHost)?;
        let port = |port: Option<u16>| port.unwrap_or(if secured { 443 } else { 80 });
        let differs = *named.name != *scratch.host || port(named.port) != port(scratch.port);
        if scratch.request.host.is_some() && differs {
            return Err(Refusal::BadHost);
        }
        if scratch.request.host.is_none() {
            scratch.host.push_str(&named.name);
            scratch.port = named.port;
        }
    }
    Ok(())
}

/// What the fields ask for that is not on offer.
fn check_fields(plan: &Plan, request: &RequestHead, head: &[u8]) -> Result<(), Refusal> {
    let mut hops = 0;
    for field in &request.fields {
        match field.known {
            Name::Expect if !field.value.of_head(head).eq_ignore_ascii_case(b"100-continue") => {
                return Err(Refusal::ExpectationFailed);
            }
            Name::Other | Name::Disguised
                if field.underscore && plan.limits.header_underscores == Underscores::Refuse =>
            {
                return Err(Refusal::HeaderUnderscore);
            }
            Name::Via => {
                hops += memchr::memmem::find_iter(field.value.of_head(head), heads::PSEUDONYM).count();
            }
            _ => {}
        }
    }
    if hops > HOPS_MAX { Err(Refusal::Loop) } else { Ok(()) }
}

fn match_route(plan: &Plan, scratch: &Scratch, head: &[u8], trusted: bool) -> Result<usize, Refused> {
    let Scratch { request, target, host, .. } = scratch;
    let method = request.method.of_head(head);
    if method == b"TRACE" {
        let allow = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS".to_vec();
        return Err(Refused { refusal: Refusal::MethodNotAllowed, allow });
    }
    // The router sees what the upstream would: nobody reaches a route by what is taken away from them.
    let underscores = plan.limits.header_underscores;
    let header = |name: &[u8]| {
        let mut fields = request.fields.iter();
        let field = fields.find(|field| {
            field.name.of_head(head).eq_ignore_ascii_case(name)
                && heads::is_visible(field, trusted, underscores)
        })?;
        Some(field.value.of_head(head))
    };
    let query = route::Query { host, path: target.path(), method, query: target.query(), header: &header };
    let mut found = plan.router.find(&query);
    // Whatever answers GET answers HEAD too (RFC 9110 §9.1), unless a route asks for HEAD itself.
    if method == b"HEAD" && matches!(found, route::Found::WrongMethod(_)) {
        let as_get = plan.router.find(&route::Query { method: b"GET", ..query });
        if matches!(as_get, route::Found::Route(_)) {
            found = as_get;
        }
    }
    match found {
        route::Found::Route(index) => Ok(index),
        route::Found::WrongMethod(allow) => {
            let refusal = Refusal::MethodNotAllowed;
            Err(Refused { refusal, allow: allow.join(", ").into_bytes() })
        }
        route::Found::Nothing => Err(Refusal::NoRoute.into()),
    }
}

/// What templates of `route` are filled with.
pub(crate) fn route_values<'a>(route: &'a Route, scratch: &'a Scratch) -> Values<'a> {
    let path = scratch.target.path();
    let params = route.matcher.params(path);
    Values { host: &scratch.host, path, query: scratch.target.query(), params }
}

/// One of the targets, as often as its weight says.
fn choose(targets: &[Target], random: u64) -> usize {
    if let [only] = targets {
        return only.service;
    }
    let sum: u64 = targets.iter().map(|target| u64::from(target.weight)).sum();
    let mut at = ((u128::from(random) * u128::from(sum)) >> 64) as u64;
    for target in targets {
        if at < u64::from(target.weight) {
            return target.service;
        }
        at -= u64::from(target.weight);
    }
    targets.last().map_or(0, |target| target.service)
}

/// Whether a request may be sent a second time although the first may have arrived (RFC 9110 §9.2.2).
pub(crate) fn is_idempotent(method: &[u8]) -> bool {
    matches!(method, b"GET" | b"HEAD" | b"OPTIONS" | b"PUT" | b"DELETE")
}

/// Whether the body waits for `100 Continue`.
pub(crate) fn expects_continue(request: &RequestHead) -> bool {
    request.version != Version::Http10 && request.fields.iter().any(|field| field.known == Name::Expect)
}
