//! All workers' numbers added up: what a scrape and a status page are made from.

use std::sync::Arc;

use crate::metric::Snapshot;
use crate::stats::{Class, Classes, EndpointName, EndpointStats, GrpcCodes, RouteStats, Telemetry};
use crate::summary::Connections;

pub(crate) type ByClass = [u64; Class::ALL.len()];
pub(crate) type ByCode = [u64; GrpcCodes::LABELS.len()];

/// The state of everything at a moment. Histograms are summed only when asked for: they are the bulk.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    pub(crate) connections: Connections,
    pub(crate) unrouted: ByClass,
    pub(crate) cut: u64,
    /// By the index of the reason.
    pub(crate) refusals: Vec<u64>,
    /// In order of name. Those nothing ever happened on are left out.
    pub(crate) routes: Vec<Route>,
    /// In order of service and address. Those nothing ever happened on are left out.
    pub(crate) endpoints: Vec<Endpoint>,
    /// All requests: of the routes, of routes since forgotten, and those without one.
    pub(crate) requests: ByClass,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    retired_duration: Snapshot,
}

#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) name: Box<str>,
    pub(crate) requests: ByClass,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) in_flight: i64,
    /// Responses in gRPC, by the number of their status.
    pub(crate) grpc: ByCode,
    parts: Vec<Arc<RouteStats>>,
}

#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) service: Box<str>,
    pub(crate) address: Box<str>,
    pub(crate) responses: ByClass,
    pub(crate) connects: u64,
    pub(crate) connect_failures: u64,
    pub(crate) reused: u64,
    pub(crate) resent: u64,
    pub(crate) moved: u64,
    pub(crate) in_flight: i64,
    pub(crate) idle: i64,
    pub(crate) timeouts: u64,
    pub(crate) resets: u64,
    parts: Vec<Arc<EndpointStats>>,
}

impl Collected {
    pub(crate) fn from(telemetry: &Telemetry) -> Self {
        let mut all = Self { refusals: vec![0; telemetry.reasons().len()], ..Self::default() };
        all.add_workers(telemetry);
        all.routes = routes(telemetry);
        all.endpoints = endpoints(telemetry);
        all.add_totals(telemetry);
        all
    }

    /// Durations of all routes together, forgotten ones included.
    pub(crate) fn duration(&self) -> Snapshot {
        let mut total = self.retired_duration.clone();
        for part in self.routes.iter().flat_map(|route| &route.parts) {
            part.duration.add_to(&mut total);
        }
        total
    }

    fn add_workers(&mut self, telemetry: &Telemetry) {
        for worker in telemetry.workers() {
            self.connections.accepted += worker.connections_accepted.get();
            self.connections.active += worker.connections_active.get();
            self.connections.idle += worker.connections_idle.get();
            self.connections.refused_per_ip += worker.connections_refused_per_ip.get();
            self.connections.add_protocols(&worker.protocols);
            worker.requests_before_route.add_to(&mut self.unrouted);
            self.cut += worker.requests_cut.get();
            for (sum, counter) in self.refusals.iter_mut().zip(&worker.refusals) {
                *sum += counter.get();
            }
        }
    }

    fn add_totals(&mut self, telemetry: &Telemetry) {
        let retired = telemetry.retired();
        self.requests = self.unrouted;
        add(&mut self.requests, &retired.requests);
        self.bytes_in = retired.bytes_in;
        self.bytes_out = retired.bytes_out;
        self.retired_duration = retired.duration;
        for route in &self.routes {
            add(&mut self.requests, &route.requests);
            self.bytes_in += route.bytes_in;
            self.bytes_out += route.bytes_out;
        }
    }
}

impl Route {
    pub(crate) fn duration(&self) -> Snapshot {
        let mut total = Snapshot::default();
        self.parts.iter().for_each(|part| part.duration.add_to(&mut total));
        total
    }

    fn was_used(&self) -> bool {
        self.in_flight != 0 || self.requests.iter().any(|&count| count > 0)
    }
}

impl Endpoint {
    pub(crate) fn first_byte(&self) -> Snapshot {
        let mut total = Snapshot::default();
        self.parts.iter().for_each(|part| part.first_byte.add_to(&mut total));
        total
    }

    /// Of the times a connection was taken, how often it had served before.
    pub(crate) fn reuse_ratio(&self) -> Option<f64> {
        let taken = self.reused + self.connects;
        (taken > 0).then(|| self.reused as f64 / taken as f64)
    }

    fn was_used(&self) -> bool {
        let Self { connects, connect_failures, reused, moved, timeouts, resets, .. } = *self;
        let counts = [connects, connect_failures, reused, moved, timeouts, resets];
        self.in_flight != 0 || counts.iter().chain(&self.responses).any(|&count| count > 0)
    }
}

fn routes(telemetry: &Telemetry) -> Vec<Route> {
    let sum = |(name, parts): (Box<str>, Vec<Arc<RouteStats>>)| Route {
        name,
        requests: classes(parts.iter().map(|part| &part.requests)),
        bytes_in: parts.iter().map(|part| part.bytes_in.get()).sum(),
        bytes_out: parts.iter().map(|part| part.bytes_out.get()).sum(),
        in_flight: parts.iter().map(|part| part.in_flight.get()).sum(),
        grpc: codes(&parts),
        parts,
    };
    telemetry.routes().into_iter().map(sum).filter(Route::was_used).collect()
}

fn endpoints(telemetry: &Telemetry) -> Vec<Endpoint> {
    let sum = |((service, address), parts): (EndpointName, Vec<Arc<EndpointStats>>)| Endpoint {
        service,
        address,
        responses: classes(parts.iter().map(|part| &part.responses)),
        connects: parts.iter().map(|part| part.connects.get()).sum(),
        connect_failures: parts.iter().map(|part| part.connect_failures.get()).sum(),
        reused: parts.iter().map(|part| part.reused.get()).sum(),
        resent: parts.iter().map(|part| part.resent.get()).sum(),
        moved: parts.iter().map(|part| part.moved.get()).sum(),
        in_flight: parts.iter().map(|part| part.in_flight.get()).sum(),
        idle: parts.iter().map(|part| part.idle.get()).sum(),
        timeouts: parts.iter().map(|part| part.timeouts.get()).sum(),
        resets: parts.iter().map(|part| part.resets.get()).sum(),
        parts,
    };
    telemetry.endpoints().into_iter().map(sum).filter(Endpoint::was_used).collect()
}

fn classes<'a>(parts: impl Iterator<Item = &'a Classes>) -> ByClass {
    let mut total = ByClass::default();
    parts.for_each(|part| part.add_to(&mut total));
    total
}

fn codes(parts: &[Arc<RouteStats>]) -> ByCode {
    let mut total = ByCode::default();
    parts.iter().for_each(|part| part.grpc.add_to(&mut total));
    total
}

fn add(total: &mut ByClass, other: &ByClass) {
    for (sum, count) in total.iter_mut().zip(other) {
        *sum += count;
    }
}
