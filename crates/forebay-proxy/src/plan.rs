//! What one settings file means, checked and ready to serve: immutable, swapped whole.

use std::time::Duration;

use forebay_net::cidr::CidrSet;
use forebay_telemetry::recording;

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
}

impl Plan {
    /// Every endpoint, as service and address.
    pub fn endpoints(&self) -> impl Iterator<Item = (&str, &str)> {
        self.services
            .iter()
            .flat_map(|service| service.endpoints.iter().map(|endpoint| (&*service.name, &*endpoint.address)))
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
}

/// What a matched route does.
#[derive(Debug)]
pub enum Action {
    /// Forward to one of these services by weight. Never empty; the weights' sum is at least 1.
    Forward(Vec<Target>),
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

/// A service with its share of a route's requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Index into `Plan::services`.
    pub service: usize,
    /// Share relative to the route's other targets, 0 to 1,000,000.
    pub weight: u32,
}

/// A group of endpoints that answer alike.
#[derive(Debug)]
pub struct Service {
    /// Label in metrics, logs and `explain`.
    pub name: Box<str>,
    /// Never empty.
    pub endpoints: Vec<Endpoint>,
    /// How the next endpoint is picked.
    pub balance: Balance,
    /// How long each part of a request may take.
    pub timeout: Timeouts,
    /// Bounds on connections to each endpoint.
    pub pool: PoolLimits,
}

/// Where a service can be reached.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// `host:port` as written: an IP address or a name. Identity across reloads, and the metric label.
    pub address: Box<str>,
    /// Share of picks relative to the others, 1 to 1,000,000.
    pub weight: u32,
}

/// How a service picks the next endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Balance {
    /// Fewest requests in flight of two random picks (power of two choices), by weight.
    #[default]
    LeastLoaded,
    /// In turn, smoothly by weight.
    RoundRobin,
}

/// How long each part of an upstream request may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP connect, per attempt.
    pub connect: Duration,
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
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self { connections_max: 2048, idle_max: 512, idle_timeout: Duration::from_secs(4) }
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
    /// Headers with `_` in their names.
    pub header_underscores: Underscores,
    /// Merge `//` in paths before routing.
    pub merge_slashes: bool,
    /// Clients that close their sending side early.
    pub half_close: HalfClose,
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
            header_underscores: Underscores::default(),
            merge_slashes: false,
            half_close: HalfClose::default(),
        }
    }
}
