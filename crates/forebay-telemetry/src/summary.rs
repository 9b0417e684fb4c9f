//! The numbers for people: totals, and per route and endpoint, for the status page and closing tables.

use std::time::{Duration, UNIX_EPOCH};

use forebay_base::time::Instant;
use serde_json::{Value, json};

use crate::collect::{ByClass, Collected, Endpoint, Route};
use crate::metric::{Gauge, Snapshot};
use crate::process::Usage;
use crate::stats::{Class, ProtocolStats, Telemetry};

pub use recent::{Recent, Recorder};

mod recent;

/// Everything since the start, at a moment.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Since the start.
    pub uptime: Duration,
    /// The start, since 1970.
    pub started_unix: Duration,
    /// Number of the plan being served; 0 before the first.
    pub plan_generation: u64,
    /// Settings taken over since the start.
    pub reloads_succeeded: u64,
    /// Settings refused since the start.
    pub reloads_failed: u64,
    /// Lines of the access log lost.
    pub access_log_dropped: u64,
    /// Worker threads.
    pub workers: usize,
    /// What the process uses; none where there is no `/proc`.
    pub usage: Option<Usage>,
    /// Client connections.
    pub connections: Connections,
    /// All requests, with or without a route.
    pub total: Traffic,
    /// The busiest routes first, at most as many as were asked for; never the unused ones.
    pub routes: Vec<RouteSummary>,
    /// Routes that ever had a request.
    pub routes_used: usize,
    /// The busiest endpoints first, at most as many as were asked for; never the unused ones.
    pub endpoints: Vec<EndpointSummary>,
    /// Endpoints ever called.
    pub endpoints_used: usize,
    /// Reasons that occurred and how often, the most frequent first.
    pub refusals: Vec<(&'static str, u64)>,
}

/// Client connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// Accepted since the start.
    pub accepted: u64,
    /// Open now.
    pub active: i64,
    /// Of the open ones, those between two requests.
    pub idle: i64,
    /// Closed at once because their address had too many.
    pub refused_per_ip: u64,
    /// Of the open ones, those that are secured.
    pub secured: i64,
    /// Of the open ones, those that speak HTTP/2.
    pub http2: i64,
    /// Of the open ones, those that speak HTTP/3.
    pub http3: i64,
    /// Requests under way on streams of HTTP/2 and HTTP/3.
    pub streams: i64,
    /// Requests that have turned into something else: WebSockets and the like.
    pub tunnels: i64,
    /// Handshakes that failed since the start.
    pub handshakes_failed: u64,
}

/// Requests and what came of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// How many ended, by the number of their [`Class`].
    pub by_class: [u64; Class::ALL.len()],
    /// How many are under way.
    pub in_flight: i64,
    /// Bytes of request bodies.
    pub bytes_in: u64,
    /// Bytes of response bodies.
    pub bytes_out: u64,
    /// How long they took.
    pub duration: Latency,
}

/// One route's traffic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteSummary {
    /// The route's label.
    pub name: Box<str>,
    /// Its requests.
    pub traffic: Traffic,
}

/// One endpoint's traffic and connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointSummary {
    /// The service's label.
    pub service: Box<str>,
    /// The endpoint's address as configured.
    pub address: Box<str>,
    /// Responses by the number of their [`Class`].
    pub by_class: [u64; Class::ALL.len()],
    /// Requests under way.
    pub in_flight: i64,
    /// Idle connections.
    pub idle: i64,
    /// Connections opened.
    pub connects: u64,
    /// Connections that could not be.
    pub connect_failures: u64,
    /// Requests sent on a used connection.
    pub reused: u64,
    /// Requests given up because it took too long.
    pub timeouts: u64,
    /// Connections it broke off.
    pub resets: u64,
    /// Time to the first byte.
    pub first_byte: Latency,
}

/// A distribution of durations, all in nanoseconds and within 1/32 of the truth; 0 where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// Durations measured.
    pub count: u64,
    /// Their mean.
    pub mean: u64,
    /// Half are at or under this.
    pub p50: u64,
    /// 95 % are at or under this.
    pub p95: u64,
    /// 99 % are at or under this.
    pub p99: u64,
    /// 99.9 % are at or under this.
    pub p999: u64,
    /// The longest, exact.
    pub max: u64,
}

impl Connections {
    pub(crate) fn add_protocols(&mut self, stats: &ProtocolStats) {
        self.secured += stats.secured.get();
        self.http2 += stats.http2.iter().map(Gauge::get).sum::<i64>();
        self.http3 += stats.http3.get();
        self.streams += stats.streams.iter().map(Gauge::get).sum::<i64>();
        self.tunnels += stats.tunnels.iter().map(|tunnels| tunnels.active.get()).sum::<i64>();
        self.handshakes_failed +=
            (0..ProtocolStats::FAILURES.len()).map(|index| stats.failed(index)).sum::<u64>();
    }
}

impl Summary {
    /// Adds up everything; details of at most `rows_max` routes and as many endpoints.
    #[must_use]
    pub fn of(telemetry: &Telemetry, rows_max: usize) -> Self {
        Self::from(telemetry, &Collected::from(telemetry), rows_max)
    }

    /// For the admin API: durations in seconds, classes by name.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let refusals: serde_json::Map<_, _> =
            self.refusals.iter().map(|&(reason, count)| (reason.to_owned(), json!(count))).collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_seconds": self.uptime.as_secs_f64(),
            "started_unix_seconds": self.started_unix.as_secs_f64(),
            "plan_generation": self.plan_generation,
            "reloads": { "succeeded": self.reloads_succeeded, "failed": self.reloads_failed },
            "access_log_dropped": self.access_log_dropped,
            "workers": self.workers,
            "process": self.usage.map(|usage| usage_json(&usage)),
            "connections": {
                "accepted": self.connections.accepted,
                "active": self.connections.active,
                "idle": self.connections.idle,
                "refused_per_ip": self.connections.refused_per_ip,
                "secured": self.connections.secured,
                "http2": self.connections.http2,
                "http3": self.connections.http3,
                "streams": self.connections.streams,
                "tunnels": self.connections.tunnels,
                "handshakes_failed": self.connections.handshakes_failed,
            },
            "total": self.total.to_json(),
            "routes": self.routes.iter().map(RouteSummary::to_json).collect::<Vec<_>>(),
            "routes_used": self.routes_used,
            "endpoints": self.endpoints.iter().map(EndpointSummary::to_json).collect::<Vec<_>>(),
            "endpoints_used": self.endpoints_used,
            "refusals": refusals,
        })
    }

    pub(crate) fn from(telemetry: &Telemetry, collected: &Collected, rows_max: usize) -> Self {
        let (reloads_succeeded, reloads_failed) = telemetry.reloads();
        Self {
            uptime: Instant::now().since(telemetry.started()),
            started_unix: telemetry.started_at().duration_since(UNIX_EPOCH).unwrap_or_default(),
            plan_generation: telemetry.plan_generation(),
            reloads_succeeded,
            reloads_failed,
            access_log_dropped: telemetry.access_log_lost(),
            workers: telemetry.workers().len(),
            usage: Usage::read(),
            connections: collected.connections,
            total: Traffic {
                by_class: collected.requests,
                in_flight: collected.routes.iter().map(|route| route.in_flight).sum(),
                bytes_in: collected.bytes_in,
                bytes_out: collected.bytes_out,
                duration: Latency::of(&collected.duration()),
            },
            routes: busiest_routes(collected, rows_max).map(RouteSummary::of).collect(),
            routes_used: collected.routes.len(),
            endpoints: busiest_endpoints(collected, rows_max).map(EndpointSummary::of).collect(),
            endpoints_used: collected.endpoints.len(),
            refusals: refusals(telemetry, collected),
        }
    }
}

impl Traffic {
    /// Requests that ended, of all classes.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.by_class.iter().sum()
    }

    /// How many of a class.
    #[must_use]
    pub const fn of_class(&self, class: Class) -> u64 {
        self.by_class[class as usize]
    }

    fn to_json(&self) -> Value {
        json!({
            "requests": self.requests(),
            "by_class": classes_json(&self.by_class),
            "in_flight": self.in_flight,
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "duration": self.duration.to_json(),
        })
    }
}

impl RouteSummary {
    fn of(route: &Route) -> Self {
        Self {
            name: route.name.clone(),
            traffic: Traffic {
                by_class: route.requests,
                in_flight: route.in_flight,
                bytes_in: route.bytes_in,
                bytes_out: route.bytes_out,
                duration: Latency::of(&route.duration()),
            },
        }
    }

    fn to_json(&self) -> Value {
        let mut value = self.traffic.to_json();
        value["name"] = json!(self.name);
        value
    }
}

impl EndpointSummary {
    /// Responses of all classes.
    #[must_use]
    pub fn responses(&self) -> u64 {
        self.by_class.iter().sum()
    }

    fn of(endpoint: &Endpoint) -> Self {
        Self {
            service: endpoint.service.clone(),
            address: endpoint.address.clone(),
            by_class: endpoint.responses,
            in_flight: endpoint.in_flight,
            idle: endpoint.idle,
            connects: endpoint.connects,
            connect_failures: endpoint.connect_failures,
            reused: endpoint.reused,
            timeouts: endpoint.timeouts,
            resets: endpoint.resets,
            first_byte: Latency::of(&endpoint.first_byte()),
        }
    }

    fn to_json(&self) -> Value {
        json!({
            "service": self.service,
            "endpoint": self.address,
            "responses": self.responses(),
            "by_class": classes_json(&self.by_class),
            "in_flight": self.in_flight,
            "connections_idle": self.idle,
            "connects": self.connects,
            "connect_failures": self.connect_failures,
            "reused": self.reused,
            "timeouts": self.timeouts,
            "resets": self.resets,
            "first_byte": self.first_byte.to_json(),
        })
    }
}

impl Latency {
    /// The usual quantiles of a distribution.
    #[must_use]
    pub fn of(snapshot: &Snapshot) -> Self {
        Self {
            count: snapshot.count(),
            mean: snapshot.mean(),
            p50: snapshot.quantile(0.5),
            p95: snapshot.quantile(0.95),
            p99: snapshot.quantile(0.99),
            p999: snapshot.quantile(0.999),
            max: snapshot.max(),
        }
    }

    fn to_json(self) -> Value {
        json!({
            "count": self.count,
            "mean": seconds(self.mean),
            "p50": seconds(self.p50),
            "p95": seconds(self.p95),
            "p99": seconds(self.p99),
            "p999": seconds(self.p999),
            "max": seconds(self.max),
        })
    }
}

fn busiest_routes(collected: &Collected, rows_max: usize) -> impl Iterator<Item = &Route> {
    let mut routes: Vec<&Route> = collected.routes.iter().collect();
    // Stable: equally busy ones stay in the order of their names.
    routes.sort_by_key(|route| std::cmp::Reverse(sum(&route.requests)));
    routes.into_iter().take(rows_max)
}

fn busiest_endpoints(collected: &Collected, rows_max: usize) -> impl Iterator<Item = &Endpoint> {
    let mut endpoints: Vec<&Endpoint> = collected.endpoints.iter().collect();
    endpoints.sort_by_key(|endpoint| std::cmp::Reverse(sum(&endpoint.responses)));
    endpoints.into_iter().take(rows_max)
}

fn refusals(telemetry: &Telemetry, collected: &Collected) -> Vec<(&'static str, u64)> {
    let counts = telemetry.reasons().iter().copied().zip(collected.refusals.iter().copied());
    let mut refusals: Vec<_> = counts.filter(|&(_, count)| count > 0).collect();
    refusals.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    refusals
}

fn usage_json(usage: &Usage) -> Value {
    let Usage { cpu, resident_bytes, open_fds, max_fds } = usage;
    json!({
        "cpu_seconds": cpu.as_secs_f64(),
        "resident_bytes": resident_bytes,
        "open_fds": open_fds,
        "max_fds": max_fds,
    })
}

fn classes_json(counts: &ByClass) -> Value {
    Class::ALL.iter().zip(counts).map(|(class, count)| (class.label().to_owned(), json!(count))).collect()
}

fn sum(counts: &ByClass) -> u64 {
    counts.iter().sum()
}

/// Nanoseconds as seconds; exact to the nanosecond for a hundred days, which no duration here reaches.
fn seconds(nanos: u64) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64()
}

#[cfg(test)]
mod tests;
