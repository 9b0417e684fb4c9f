//! What one settings file means, checked and ready to serve: immutable, swapped whole.

mod protocols;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use forebay_net::cidr::CidrSet;
use forebay_telemetry::recording;

pub use protocols::{Acme, Challenge, HTTP3, Listener, Protocol, ProxyProtocol, Tls, Upgrades};

use crate::route::{HeaderEdits, Matcher, Rewrite, Router, Template};

/// Everything the data path needs to know. Built once per reload; a request keeps the plan it began with.
#[derive(Debug)]
pub struct Plan {
    /// Finds the index of a route in `routes`.
    pub router: Router,
    /// Routes in file order. Names are unique.
    pub routes: Vec<Route>,
    /// Services in file order. Names are unique.
    pub services: Vec<Service>,
    /// Bounds on what clients may send and hold.
    pub limits: Limits,
    /// Peers whose `Forwarded`, `X-Forwarded-*`, `X-Real-IP` and `x-request-id` are believed.
    pub trusted_proxies: CidrSet,
    /// Which requests are written down so that they can be sent again; `None`: none.
    pub record: Option<Recorded>,
    /// How names are looked up.
    pub dns: Dns,
    /// What comes in at each address listened on, in the order of the settings. An index beyond them is a plain
    /// listener.
    pub listeners: Vec<Listener>,
    /// How connections with clients are secured, where they are.
    pub tls: Option<Tls>,
}

/// How names among endpoints are looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// Name servers, in place of the system's; empty: those of `/etc/resolv.conf`.
    pub servers: Vec<SocketAddr>,
    /// Names are asked for again after their TTL, but not sooner than this,
    pub ttl_min: Duration,
    /// nor later than this.
    pub ttl_max: Duration,
    /// For one question to one server.
    pub timeout: Duration,
    /// Which addresses are taken.
    pub family: Family,
}

/// Which addresses of a name are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// IPv4 if there are any, else IPv6: a name with both is one host, and most servers listen on IPv4 at least.
    #[default]
    Auto,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
    /// All, each an endpoint of its own.
    Both,
}

impl Default for Dns {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            ttl_min: Duration::from_secs(1),
            ttl_max: Duration::from_secs(300),
            timeout: Duration::from_secs(2),
            family: Family::default(),
        }
    }
}

/// Requests that are written down.
#[derive(Debug)]
pub struct Recorded {
    /// How many of them, how much of each, and where.
    pub settings: recording::Settings,
    /// For each route, whether its requests are; `None`: all are.
    pub routes: Option<Box<[bool]>>,
}

impl Recorded {
    /// Whether requests of the route with this index are written down.
    #[must_use]
    pub fn wants(&self, route: usize) -> bool {
        self.routes.as_ref().is_none_or(|routes| routes.get(route).copied().unwrap_or(false))
    }
}

/// One route: what it matches and what happens then.
#[derive(Debug)]
pub struct Route {
    /// Label in metrics, logs and `explain`: the route's `name`, or the text of its `match`.
    pub name: Box<str>,
    /// When this route is meant.
    pub matcher: Matcher,
    /// What happens then.
    pub action: Action,
    /// Overrides of the service's timeouts.
    pub timeout: TimeoutOverrides,
    /// Edits of the request on its way to the upstream.
    pub request_headers: HeaderEdits,
    /// Edits of the response on its way to the client; refusals of this route are edited too.
    pub response_headers: HeaderEdits,
    /// Change of the target on its way to the upstream.
    pub rewrite: Option<Rewrite>,
    /// Largest request body in bytes; `None`: `Limits::body_max`.
    pub body_max: Option<u64>,
    /// What connections may turn into.
    pub upgrade: Upgrades,
    /// Requests in gRPC-Web are translated to gRPC, and the answers back.
    pub grpc_web: bool,
}

/// What a matched route does.
#[derive(Debug)]
pub enum Action {
    /// Forward to one of these services by weight. Never empty; the weights' sum is at least 1.
    Forward(Vec<Target>),
    /// Forward reads here and writes there.
    Split(Split),
    /// Answer with a `Location`.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// The `Location`, with `{host}`, `{path}` and `{query}` filled in.
        to: Template,
    },
    /// Answer with a fixed response.
    Respond {
        /// 200 to 599.
        status: u16,
        /// `Content-Type` of `body`; not sent when the body is empty.
        content_type: Box<str>,
        /// The body, the same for everybody.
        body: Box<[u8]>,
    },
}

/// Reads and writes of one route that go to different services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Index of the service for safe methods (RFC 9110 §9.2.1).
    pub read: usize,
    /// Index of the service for all others.
    pub write: usize,
    /// A client that has written reads from `write` for so long; `None`: never.
    pub read_after_write: Option<ReadAfterWrite>,
}

/// How a client that has written is known again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadAfterWrite {
    /// For how long after the last write. Whole seconds.
    pub stay: Duration,
    /// By what.
    pub by: WriterBy,
}

/// What tells one client from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriterBy {
    /// A cookie of this name that the gateway sets.
    Cookie(Box<str>),
    /// A field of this name that the client sends, such as a user's id.
    Header(Box<str>),
}

/// A service with its share of a route's requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Index into `Plan::services`.
    pub service: usize,
    /// Share relative to the route's other targets, 0 to 1,000,000.
    pub weight: u32,
}

/// A group of endpoints that answer alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Label in metrics, logs and `explain`.
    pub name: Box<str>,
    /// What the settings name themselves. Empty only if `endpoints_file` is set.
    pub endpoints: Vec<Endpoint>,
    /// A file that lists more of them, and is watched.
    pub endpoints_file: Option<Box<Path>>,
    /// Blocks that names and files may lead to although they are link-local or serve a cloud's metadata.
    pub endpoints_allow: CidrSet,
    /// How the next endpoint is picked.
    pub balance: Balance,
    /// How endpoints are asked whether they are well; `None`: they are not.
    pub health: Option<Health>,
    /// When an endpoint is left out because of how it treats requests.
    pub outlier: Outlier,
    /// How long the share of an endpoint that has come (back) grows to its full weight; zero: at once.
    pub slow_start: Duration,
    /// Below this share of usable endpoints, in percent, all are used: better a bad answer of some than the
    /// whole load on the few that are left. 0: never.
    pub panic_below: u8,
    /// How long each part of a request may take.
    pub timeout: Timeouts,
    /// Bounds on connections to each endpoint, and on requests.
    pub pool: PoolLimits,
    /// What is spoken with its endpoints.
    pub protocol: Protocol,
    /// How connections to its endpoints are secured; `None`: they are not.
    pub tls: Option<Arc<forebay_net::tls::Client>>,
    /// The PROXY protocol header that connections to its endpoints begin with. Each then serves one client only.
    pub proxy_protocol: Option<ProxyProtocol>,
}

impl Service {
    /// A service with the usual settings and no endpoint yet.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            endpoints: Vec::new(),
            endpoints_file: None,
            endpoints_allow: CidrSet::default(),
            balance: Balance::default(),
            health: None,
            outlier: Outlier::default(),
            slow_start: Duration::ZERO,
            panic_below: PANIC_BELOW,
            timeout: Timeouts::default(),
            pool: PoolLimits::default(),
            protocol: Protocol::default(),
            tls: None,
            proxy_protocol: None,
        }
    }
}

/// `Service::panic_below` unless the settings say otherwise.
pub const PANIC_BELOW: u8 = 50;

/// Where a service can be reached, as written: what it leads to is found out at run time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// `ip:port` is one endpoint; `name:port` leads to one for each address of the name; a name that begins
    /// with `_` and has no port, such as `_http._tcp.shop.test`, to those its SRV records list (RFC 2782).
    pub address: Box<str>,
    /// Share of picks relative to the others, 1 to 1,000,000. For SRV records, times their own weight.
    pub weight: u32,
    /// Endpoints with a greater number are used only while too few with a lesser one are usable. 0 to 9. SRV
    /// records' own priority counts within it.
    pub priority: u8,
}

impl Endpoint {
    /// An endpoint with the usual weight and priority.
    #[must_use]
    pub fn new(address: &str) -> Self {
        Self { address: address.into(), weight: 1, priority: 0 }
    }
}

/// How a service picks the next endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// Fewest requests in flight of two random picks (power of two choices), by weight.
    #[default]
    LeastLoaded,
    /// In turn, smoothly by weight.
    RoundRobin,
    /// Of two random picks, that with the lesser product of recent latency, which jumps up and sinks slowly,
    /// and requests in flight.
    PeakEwma,
    /// The same endpoint for the same key, unless it has far more to do than the others (consistent hashing
    /// with bounded loads).
    Hash(HashBy),
    /// The endpoint a cookie names; who has none gets the least loaded, and a cookie.
    Sticky(Sticky),
}

impl Balance {
    /// The word of the settings.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::LeastLoaded => "least_loaded",
            Self::RoundRobin => "round_robin",
            Self::PeakEwma => "peak_ewma",
            Self::Hash(_) => "hash",
            Self::Sticky(_) => "sticky",
        }
    }
}

/// What is hashed. A request that lacks it is hashed by the client's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashBy {
    /// The first field of this name, in lower case.
    Header(Box<str>),
    /// The cookie of this name.
    Cookie(Box<str>),
    /// The canonical path, without the query.
    Path,
    /// The client's address, as believed of trusted proxies.
    Client,
}

/// The cookie of `Balance::Sticky`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sticky {
    /// Its name. `forebay_<service>` unless the settings say otherwise.
    pub cookie: Box<str>,
    /// Its `Max-Age`; `None`: until the browser ends.
    pub ttl: Option<Duration>,
}

/// Active checks of endpoints.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    /// What is asked.
    pub check: Check,
    /// Between two checks of one endpoint, give or take a tenth.
    pub interval: Duration,
    /// From connecting to the answer's last byte.
    pub timeout: Duration,
    /// Successes in a row that bring an endpoint back. At least 1.
    pub rise: u32,
    /// Failures in a row that take it out. At least 1.
    pub fall: u32,
    /// Between two checks while it is not yet decided: after the first failure, or the first success.
    pub fast_interval: Duration,
    /// The port to ask at; `None`: the endpoint's own.
    pub port: Option<u16>,
}

impl Health {
    /// The usual check of this kind.
    #[must_use]
    pub const fn new(check: Check) -> Self {
        Self {
            check,
            interval: Duration::from_secs(2),
            timeout: Duration::from_secs(1),
            rise: 2,
            fall: 2,
            fast_interval: Duration::from_millis(250),
            port: None,
        }
    }
}

/// What a health check asks.
#[derive(Clone, Debug, PartialEq)]
pub enum Check {
    /// A TCP connection can be made.
    Tcp,
    /// A GET is answered as expected.
    Http(HttpCheck),
    /// The gRPC health service says that this service of it is serving; empty: the server as a whole.
    Grpc(Box<str>),
}

/// An HTTP health check.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpCheck {
    /// Path and query, canonical.
    pub path: Box<str>,
    /// `Host`; `None`: the endpoint as written in the settings.
    pub host: Option<Box<str>>,
    /// More fields.
    pub headers: Vec<(Box<str>, Box<str>)>,
    /// Accepted statuses, as inclusive ranges. Usually 200 to 299.
    pub status: Vec<(u16, u16)>,
    /// A text the body must hold, within its first 64 KiB.
    pub body: Option<Box<str>>,
}

/// When an endpoint is ejected because of how it treats requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Outlier {
    /// So many connections in a row could not be opened. 0: not looked at.
    pub connect_failures: u32,
    /// So many requests in a row failed: no connection, no answer in time, a broken connection, or a 5xx. 0:
    /// not looked at.
    pub failures: u32,
    /// In a window, the share of failed requests exceeds that of the other endpoints by so many points of
    /// percent. 0: not looked at.
    pub error_ratio: u8,
    /// In a window, the mean time to the first byte is so many times the median of the other endpoints'. 0:
    /// not looked at.
    pub latency_factor: u32,
    /// How long a window is.
    pub window: Duration,
    /// Requests an endpoint needs in a window to be compared.
    pub requests_min: u32,
    /// How long the first ejection lasts. Each further one in a row lasts as much longer.
    pub eject_for: Duration,
    /// The longest one.
    pub eject_for_max: Duration,
    /// Most endpoints ejected at a time, in percent; but one always may be, if there are others.
    pub ejected_max: u8,
}

impl Default for Outlier {
    /// Only what cannot be reached is left out.
    fn default() -> Self {
        Self {
            connect_failures: 3,
            failures: 0,
            error_ratio: 0,
            latency_factor: 0,
            window: Duration::from_secs(10),
            requests_min: 100,
            eject_for: Duration::from_secs(5),
            eject_for_max: Duration::from_secs(300),
            ejected_max: 50,
        }
    }
}

impl Outlier {
    /// What `outlier: on` means.
    #[must_use]
    pub fn on() -> Self {
        Self { failures: 5, error_ratio: 20, latency_factor: 5, ..Self::default() }
    }

    /// What `outlier: off` means.
    #[must_use]
    pub fn off() -> Self {
        Self { connect_failures: 0, ..Self::default() }
    }
}

/// How long each part of an upstream request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP connect, per attempt.
    pub connect: Duration,
    /// How long the endpoint's host may leave unacknowledged what was sent to it: the TCP user timeout (RFC 9293
    /// §3.9, RFC 5482). Not once it had no room for more of a request's body: then `idle` holds.
    pub tcp_user: Duration,
    /// From the end of sending the request to the first byte of the response's head.
    pub first_byte: Duration,
    /// Between two reads of the response body or two writes of the request body.
    pub idle: Duration,
    /// From the request's head to the response's last byte; `None`: unbounded but for the others.
    pub total: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            tcp_user: Duration::from_secs(1),
            first_byte: Duration::from_secs(60),
            idle: Duration::from_secs(60),
            total: None,
        }
    }
}

/// A route's own timeouts; `None` leaves the service's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeoutOverrides {
    /// Overrides `Timeouts::first_byte`.
    pub first_byte: Option<Duration>,
    /// Overrides `Timeouts::idle`.
    pub idle: Option<Duration>,
    /// Overrides `Timeouts::total`.
    pub total: Option<Duration>,
}

/// Bounds on connections to one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// Open connections per endpoint over all workers, in use or idle. At least 1.
    pub connections_max: u32,
    /// Idle connections kept per endpoint and worker. 0 turns reuse off.
    pub idle_max: u32,
    /// An idle connection is closed after this long: keep it under the server's own keep-alive time.
    pub idle_timeout: Duration,
    /// Requests in flight per endpoint over all workers; `None`: as many as there are connections.
    pub requests_max: Option<u32>,
    /// Requests that wait, per service and worker, while every endpoint has as many as it may. 0: none waits.
    pub queue_max: u32,
    /// Longest such wait.
    pub queue_timeout: Duration,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            connections_max: 2048,
            idle_max: 512,
            idle_timeout: Duration::from_secs(4),
            requests_max: None,
            queue_max: 1024,
            queue_timeout: Duration::from_secs(5),
        }
    }
}

/// What to do with a header whose name holds `_`, which many servers confuse with `-`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Underscores {
    /// Leave the header out of what goes upstream.
    #[default]
    Drop,
    /// Pass it on.
    Allow,
    /// Refuse the request with 400.
    Refuse,
}

/// What to do when a client closes its sending side while it waits for a response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HalfClose {
    /// Finish the response: a half-closed connection is legal TCP.
    #[default]
    Finish,
    /// Give up and cancel the upstream's work: the client is taken for gone.
    Abort,
}

/// Bounds on what clients may send and hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Request line and headers together, in bytes; also the bound of a response's head. 1 KiB to 1 MiB.
    pub head_bytes: usize,
    /// Header fields in a head. 1 to 1,000.
    pub headers: usize,
    /// The request target, in bytes. 64 to 64 KiB.
    pub uri_bytes: usize,
    /// Request body in bytes, unless the route has its own.
    pub body_max: u64,
    /// From the first byte of a head (or from accept) to its last.
    pub header_timeout: Duration,
    /// Slowest request body, in bytes per second over its life, after a grace of ten seconds. 0: no bound.
    pub body_rate_min: u64,
    /// Longest wait for a client to take more bytes of a response.
    pub write_stall: Duration,
    /// Longest wait for the next request on a kept-alive connection.
    pub idle: Duration,
    /// Client connections in all. Beyond it new ones wait in the listen queue.
    pub connections: usize,
    /// Client connections per IP address; trusted proxies are exempt. Beyond it a new one is closed.
    pub connections_per_ip: usize,
    /// How long draining waits for requests in flight.
    pub drain: Duration,
    /// How long new connections are still taken after `/readyz` has said that they should not come.
    pub drain_delay: Duration,
    /// Headers with `_` in their names.
    pub header_underscores: Underscores,
    /// Merge `//` in paths before routing.
    pub merge_slashes: bool,
    /// Clients that close their sending side early.
    pub half_close: HalfClose,
    /// From accepting a connection to the end of its TLS handshake, and of a PROXY protocol header before it.
    pub handshake_timeout: Duration,
    /// Bounds on HTTP/2 connections. Head bytes and fields are those above, and `stall` is `write_stall`.
    pub http2: forebay_net::h2::Limits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes: 32 << 10,
            headers: 100,
            uri_bytes: 8 << 10,
            body_max: 64 << 20,
            header_timeout: Duration::from_secs(10),
            body_rate_min: 1 << 10,
            write_stall: Duration::from_secs(30),
            idle: Duration::from_secs(60),
            connections: 16_384,
            connections_per_ip: 4_096,
            drain: Duration::from_secs(30),
            drain_delay: Duration::ZERO,
            header_underscores: Underscores::default(),
            merge_slashes: false,
            half_close: HalfClose::default(),
            handshake_timeout: Duration::from_secs(10),
            http2: forebay_net::h2::Limits::default(),
        }
    }
}
