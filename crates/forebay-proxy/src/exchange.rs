//! One request and its response: the memory it borrows, what is known of it, and its account at the end.

use std::cell::{Cell, OnceCell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use forebay_base::time::Instant;
use forebay_net::h1::{Name, RequestHead, ResponseHead, Span, Version};
use forebay_net::uri::Target;
use forebay_telemetry::access::{AccessRecord, Secured};
use forebay_telemetry::recording::Tape;
use forebay_telemetry::stats::{Class, GrpcCodes, ProtocolStats};

use crate::client::Client;
use crate::grpc;
use crate::heads;
use crate::plan::{Limits, Route};
use crate::recording;
use crate::refusal::Refusal;
use crate::route::HeaderEdits;
use crate::split;
use crate::upstream::Endpoint;
use crate::worker::{Active, Worker};

/// Length of a request id, in hexadecimal digits or whatever a trusted peer sent.
pub(crate) const REQUEST_ID_MAX: usize = 64;
/// What the log says of a request that draining could not wait for.
const CUT_OFF: &str = "drain_limit";
/// A scratch pad that has grown beyond this is not kept.
const SCRATCH_BYTES_MAX: usize = 64 << 10;

/// Memory that outlives an exchange, so that the next one need not allocate.
#[derive(Default)]
pub(crate) struct Scratch {
    pub(crate) request: RequestHead,
    pub(crate) response: ResponseHead,
    pub(crate) target: Target,
    /// The target after rewriting.
    pub(crate) rewritten: Target,
    /// The host in canonical form, without a port.
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    /// `:protocol` of an extended CONNECT (RFC 8441); its method then reads GET.
    pub(crate) protocol: Option<Span>,
    /// The head (and a small body) on its way to the upstream.
    pub(crate) out: Vec<u8>,
    /// The head (and a small body) on its way to the client.
    pub(crate) reply: Vec<u8>,
}

impl Scratch {
    /// Empties it; `false`: it has grown too large to be kept.
    pub(crate) fn tidy(&mut self) -> bool {
        // What one request says is not told of the next one, should that be too broken to be read.
        self.target.clear();
        self.host.clear();
        self.port = None;
        self.protocol = None;
        self.out.clear();
        self.reply.clear();
        self.out.capacity() + self.reply.capacity() <= SCRATCH_BYTES_MAX
    }
}

/// What a request is called in logs and headers.
struct RequestId {
    id: [u8; REQUEST_ID_MAX],
    len: u8,
}

/// What is learnt of a request while it is served, and told to metrics and logs when it ends. Cells,
/// because upload and download write to it at the same time, in one task.
pub(crate) struct Record<'a> {
    pub(crate) worker: &'a Worker,
    pub(crate) active: &'a Active,
    pub(crate) client: &'a Client,
    pub(crate) started: Instant,
    /// The peer is one of `trusted_proxies`, and speaks for itself.
    pub(crate) trusted: bool,
    pub(crate) route: Cell<Option<usize>>,
    pub(crate) endpoint: Cell<Option<Rc<Endpoint>>>,
    pub(crate) address: Cell<IpAddr>,
    /// The port that the client has asked for, once that is known.
    pub(crate) port: Cell<Option<u16>>,
    pub(crate) refusal: Cell<Option<Refusal>>,
    /// What the request asks for as gRPC, if it is.
    pub(crate) grpc: Cell<Option<grpc::Asked>>,
    /// How it has ended as gRPC, once that is known.
    pub(crate) grpc_status: Cell<Option<grpc::Code>>,
    /// 0 until a response head is on its way to the client.
    pub(crate) status: Cell<u16>,
    pub(crate) bytes_in: Cell<u64>,
    pub(crate) bytes_out: Cell<u64>,
    pub(crate) first_byte: Cell<Option<Duration>>,
    pub(crate) attempts: Cell<u32>,
    /// When the connection turned into something else than HTTP, if it did.
    pub(crate) tunnel_since: Cell<Option<Instant>>,
    /// The client did not get a whole response.
    pub(crate) aborted: Cell<bool>,
    /// The request as far as it is written down, if it is and its body has not ended.
    pub(crate) tape: Cell<Option<Box<Tape>>>,
    request_id: OnceCell<RequestId>,
    /// `Set-Cookie` lines of the gateway's own for the response.
    cookies: RefCell<Vec<u8>>,
    /// It is a write that is marked by a cookie.
    writes: Cell<bool>,
    /// Draining had to end before the request did.
    cut_off: Cell<bool>,
    settled: Cell<bool>,
}

impl Drop for Record<'_> {
    /// A request that ended with its task, and not as one that draining could not wait for, is counted too: after
    /// a panic.
    fn drop(&mut self) {
        if self.settled.get() {
            return;
        }
        if let Some(index) = self.route.get() {
            let stats = &self.active.routes[index];
            stats.in_flight.dec();
            stats.requests.count(Class::Aborted);
        }
        self.end_tape();
    }
}

impl<'a> Record<'a> {
    pub(crate) fn new(worker: &'a Worker, active: &'a Active, client: &'a Client, started: Instant) -> Self {
        Self {
            worker,
            active,
            client,
            started,
            trusted: !client.who.unnamed && active.plan.trusted_proxies.contains(client.who.peer.ip()),
            route: Cell::new(None),
            endpoint: Cell::new(None),
            address: Cell::new(client.who.peer.ip().to_canonical()),
            port: Cell::new(None),
            refusal: Cell::new(None),
            grpc: Cell::new(None),
            grpc_status: Cell::new(None),
            status: Cell::new(0),
            bytes_in: Cell::new(0),
            bytes_out: Cell::new(0),
            first_byte: Cell::new(None),
            attempts: Cell::new(0),
            tunnel_since: Cell::new(None),
            aborted: Cell::new(false),
            tape: Cell::new(None),
            request_id: OnceCell::new(),
            cookies: RefCell::default(),
            writes: Cell::new(false),
            cut_off: Cell::new(false),
            settled: Cell::new(false),
        }
    }

    pub(crate) fn limits(&self) -> &'a Limits {
        &self.active.plan.limits
    }

    /// `Strict-Transport-Security`, where it is set.
    pub(crate) fn hsts(&self) -> Option<&'a str> {
        self.active.plan.tls.as_ref()?.hsts.as_deref()
    }

    /// The route, once found.
    pub(crate) fn matched(&self) -> Option<&'a Route> {
        self.active.plan.routes.get(self.route.get()?)
    }

    /// What the route changes in the heads of its responses, if anything.
    #[inline]
    pub(crate) fn response_edits(&self) -> Option<&'a HeaderEdits> {
        self.matched().map(|route| &route.response_headers).filter(|edits| !edits.is_empty())
    }

    /// What the route changes in the heads of its requests, if anything.
    #[inline]
    pub(crate) fn request_edits(&self) -> Option<&'a HeaderEdits> {
        self.matched().map(|route| &route.request_headers).filter(|edits| !edits.is_empty())
    }

    /// A route is found: from here on the request is counted as in flight on it.
    pub(crate) fn set_route(&self, index: usize) {
        self.route.set(Some(index));
        self.active.routes[index].in_flight.inc();
    }

    /// Takes the id a trusted peer sent, or makes one.
    pub(crate) fn set_request_id(&self, sent: Option<&[u8]>) {
        let mut id = [0; REQUEST_ID_MAX];
        let len = match sent {
            Some(sent) if is_request_id(sent) => {
                id[..sent.len()].copy_from_slice(sent);
                sent.len()
            }
            _ => {
                hex(self.worker.random(), &mut id[..16]);
                hex(self.worker.random(), &mut id[16..32]);
                32
            }
        };
        // Set once, as soon as the head is read.
        let _ = self.request_id.set(RequestId { id, len: len as u8 });
    }

    /// The request id; empty if the request did not get that far.
    pub(crate) fn request_id(&self) -> &[u8] {
        self.request_id.get().map_or(&[], |known| &known.id[..usize::from(known.len)])
    }

    /// Has the response set a cookie: `write` appends its line.
    pub(crate) fn give_cookie(&self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.cookies.borrow_mut());
    }

    /// The client writes: if its route marks that by a cookie, the response says when.
    pub(crate) fn mark_write(&self) {
        self.writes.set(true);
    }

    /// Appends what says that the service is to be had by HTTP/3 too (RFC 7838), if it is: at the port that the
    /// client has asked for, whatever it is called here.
    #[inline]
    pub(crate) fn push_alternative(&self, out: &mut Vec<u8>) {
        if self.client.who.listener.http3
            && self.client.who.secured.is_some()
            && let Some(port) = self.port.get()
        {
            out.extend_from_slice(b"Alt-Svc: h3=\":");
            heads::push_number(out, u64::from(port));
            out.extend_from_slice(b"\"; ma=86400\r\n");
        }
    }

    /// Appends the lines of the gateway's own cookies.
    #[inline]
    pub(crate) fn push_cookies(&self, out: &mut Vec<u8>) {
        if self.writes.get() {
            split::push_mark(out, self);
        }
        let cookies = self.cookies.borrow();
        if !cookies.is_empty() {
            out.extend_from_slice(&cookies);
        }
    }

    pub(crate) fn count_in(&self, n: usize) {
        self.bytes_in.set(self.bytes_in.get() + n as u64);
    }

    /// A piece of the request's body passes by, the last one if `end`: for the recording.
    #[inline]
    pub(crate) fn show_body(&self, data: &[u8], end: bool) {
        if let Some(sink) = &self.active.recording {
            recording::take(self, sink, data, end);
        }
    }

    /// No more of the request's body will be read.
    #[inline]
    fn end_tape(&self) {
        if let Some(sink) = &self.active.recording {
            recording::end(self, sink);
        }
    }

    pub(crate) fn count_out(&self, n: usize) {
        self.bytes_out.set(self.bytes_out.get() + n as u64);
    }

    /// Whether the exchange is over, and written down.
    pub(crate) fn is_settled(&self) -> bool {
        self.settled.get()
    }

    /// The client went away: settles the exchange as far as it came.
    pub(crate) fn abandon(&self, scratch: &Scratch, head: &[u8]) {
        self.aborted.set(true);
        // One whose head has come is counted by its status already.
        if self.first_byte.get().is_none()
            && let Some(endpoint) = self.endpoint.take()
        {
            endpoint.stats.responses.count(Class::Aborted);
            self.endpoint.set(Some(endpoint));
        }
        self.settle(Instant::now(), scratch, head);
    }

    /// Draining could not wait any longer: settles the exchange as far as it came.
    pub(crate) fn cut_off(&self, scratch: &Scratch, head: &[u8]) {
        self.cut_off.set(true);
        self.aborted.set(true);
        self.worker.stats.requests_cut.inc();
        self.settle(Instant::now(), scratch, head);
    }

    /// The exchange is over: writes it into the metrics and the access log. `head` is the request head's
    /// bytes, empty if it could not be read.
    pub(crate) fn settle(&self, now: Instant, scratch: &Scratch, head: &[u8]) {
        self.settled.set(true);
        self.end_tape();
        let status = self.status.get();
        let class = if self.aborted.get() || status == 0 { Class::Aborted } else { Class::of(status) };
        let duration = now.since(self.started);
        if let Some(refusal) = self.refusal.get() {
            self.worker.stats.refusals[refusal.index()].inc();
        }
        self.worker.stats.protocols.requests[version_index(scratch.request.version)].inc();
        match self.route.get() {
            Some(index) => {
                let stats = &self.active.routes[index];
                stats.in_flight.dec();
                stats.requests.count(class);
                // How long a tunnel lasts says nothing of how long a response takes.
                let took = self.tunnel_since.get().map_or(duration, |since| since.since(self.started));
                stats.duration.record(nanos(took));
                stats.bytes_in.add(self.bytes_in.get());
                stats.bytes_out.add(self.bytes_out.get());
                if self.grpc.get().is_some() {
                    self.count_grpc(&stats.grpc);
                }
            }
            None => self.worker.stats.requests_before_route.count(class),
        }
        if let Some(sink) = self.worker.access().borrow_mut().as_mut() {
            self.write_line(sink, scratch, head, duration);
        }
    }

    /// How many calls ended how: also those that ended without saying it, but not those that nobody waits for.
    fn count_grpc(&self, codes: &GrpcCodes) {
        let code = self.grpc_status.get();
        if code.is_some() || !self.aborted.get() {
            codes.count(code.map(|code| code.0));
        }
    }

    #[cold]
    #[inline(never)]
    fn write_line(
        &self,
        sink: &mut forebay_telemetry::access::AccessSink,
        scratch: &Scratch,
        head: &[u8],
        duration: Duration,
    ) {
        let field = |name: Name| {
            let fields = &scratch.request.fields;
            let found = fields.iter().find(|field| field.known == name && !head.is_empty())?;
            Some(found.value.of_head(head))
        };
        let endpoint = self.endpoint.take();
        sink.record(&AccessRecord {
            unix_nanos: self.worker.unix_nanos(self.started),
            client: self.address.get(),
            peer: self.client.who.peer,
            method: if head.is_empty() { b"" } else { scratch.request.method.of_head(head) },
            host: scratch.host.as_bytes(),
            path: scratch.target.path().as_bytes(),
            query: scratch.target.query().map(str::as_bytes),
            protocol: ProtocolStats::VERSIONS[version_index(scratch.request.version)],
            secured: self.client.who.secured.as_deref().map(|handshake| Secured {
                version: handshake.version.text(),
                sni: handshake.sni.as_deref(),
                subject: handshake.client.as_deref().map(|client| &*client.subject),
            }),
            status: self.status.get(),
            grpc_status: self.grpc_status.get().filter(|code| code.is_known()).map(|code| code.0),
            reason: self.refusal.get().map(Refusal::reason).or(self.cut_off.get().then_some(CUT_OFF)),
            route: self.matched().map(|route| &*route.name),
            service: endpoint.as_ref().map(|endpoint| endpoint.service()),
            endpoint: endpoint.as_ref().map(|endpoint| endpoint.name()),
            request_id: self.request_id(),
            bytes_in: self.bytes_in.get(),
            bytes_out: self.bytes_out.get(),
            duration_nanos: nanos(duration),
            first_byte_nanos: self.first_byte.get().map(nanos),
            attempts: self.attempts.get(),
            user_agent: field(Name::UserAgent),
            referer: field(Name::Referer),
            aborted: self.aborted.get() || self.status.get() == 0,
        });
    }
}

/// The place of a version in `ProtocolStats::VERSIONS`.
const fn version_index(version: Version) -> usize {
    match version {
        Version::Http10 => 0,
        Version::Http11 => 1,
        Version::Http2 => 2,
        Version::Http3 => 3,
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Ids go into logs and headers: short, visible, nothing that needs quoting.
fn is_request_id(id: &[u8]) -> bool {
    (1..=REQUEST_ID_MAX).contains(&id.len())
        && id.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:=/+@".contains(byte))
}

fn hex(mut number: u64, out: &mut [u8]) {
    for slot in out.iter_mut().rev() {
        *slot = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
    }
}
