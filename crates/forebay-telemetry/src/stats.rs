//! What each worker counts, and the one place that knows all workers.
//!
//! A name's series live from the plan that first uses it until no plan and no request does: see
//! [`Telemetry::retain`]. What a forgotten route counted moves into its worker's totals, so totals never go
//! down while the process lives; its own series end, and start from zero if the name comes back later, which
//! readers of counters take for a restart of that series.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::SystemTime;

use forebay_base::time::Instant;

use crate::metric::{Counter, Gauge, Histogram};
use crate::recording;
use registry::{Entry, Registry, Retired};

mod certificates;
mod protocols;
mod registry;
mod supervised;

pub use certificates::{CertificateNumbers, ShownCertificate};
pub use protocols::{Http2Stats, ProtocolStats, Tunnels};
pub use supervised::{EndpointNumbers, ServiceNumbers};

/// What a response (or its absence) was, coarse enough to be a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// 1xx; in practice 101.
    Informational,
    /// 2xx.
    Success,
    /// 3xx.
    Redirection,
    /// 4xx.
    ClientError,
    /// 5xx, and anything that is no status.
    ServerError,
    /// The client went away before the last byte.
    Aborted,
}

/// Everything this process counts. Shared; workers get their own part from [`Telemetry::worker`].
pub struct Telemetry {
    workers: Box<[Arc<WorkerStats>]>,
    reasons: &'static [&'static str],
    started: Instant,
    started_at: SystemTime,
    plan_generation: AtomicU64,
    reloads_succeeded: AtomicU64,
    reloads_failed: AtomicU64,
    access_log_dropped: Arc<AtomicU64>,
    recorded: Arc<recording::Counts>,
    supervision: OnceLock<Supervision>,
    certification: OnceLock<Certification>,
}

/// How a scrape asks the control plane for its numbers.
type Supervision = Box<dyn Fn() -> Vec<ServiceNumbers> + Send + Sync>;
type Certification = Box<dyn Fn() -> CertificateNumbers + Send + Sync>;

impl std::fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Telemetry").field("workers", &self.workers).finish_non_exhaustive()
    }
}

/// What one worker counts. Only that worker's thread may write; anybody may read.
#[derive(Debug)]
#[repr(align(64))]
pub struct WorkerStats {
    /// Client connections accepted, refused ones included.
    pub connections_accepted: Counter,
    /// Client connections open now, busy or idle.
    pub connections_active: Gauge,
    /// Of the open ones, those that wait for their next request.
    pub connections_idle: Gauge,
    /// Client connections closed at once because their address had too many.
    pub connections_refused_per_ip: Counter,
    /// Answers Forebay made itself, by the index of the reason in `Telemetry::reasons`.
    pub refusals: Box<[Counter]>,
    /// Requests that were answered before a route was known: malformed ones and those no route matches.
    pub requests_before_route: Classes,
    /// Requests that had not ended when draining had to; they are among the aborted ones too.
    pub requests_cut: Counter,
    /// What is spoken.
    pub protocols: ProtocolStats,
    registry: Mutex<Registry>,
}

/// What one worker counts for one route.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct RouteStats {
    /// Finished requests.
    pub requests: Classes,
    /// Bytes of request bodies received.
    pub bytes_in: Counter,
    /// Bytes of response bodies sent.
    pub bytes_out: Counter,
    /// Requests between their head and their last byte.
    pub in_flight: Gauge,
    /// From the request's head to the response's last byte.
    pub duration: Histogram,
    /// Responses in gRPC, by their status.
    pub grpc: GrpcCodes,
}

/// What one worker counts for one endpoint of one service.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct EndpointStats {
    /// Responses, and requests whose client went away.
    pub responses: Classes,
    /// Connections opened.
    pub connects: Counter,
    /// Connections that could not be opened, including those that took too long.
    pub connect_failures: Counter,
    /// Requests sent on a connection that had served one before.
    pub reused: Counter,
    /// Requests sent again on a new connection, because the one that had been kept was closed.
    pub resent: Counter,
    /// Requests that waited for this endpoint when it went out, and were sent to another one.
    pub moved: Counter,
    /// Requests between being sent and the response's last byte.
    pub in_flight: Gauge,
    /// Idle connections kept for reuse.
    pub idle: Gauge,
    /// Requests given up because the endpoint took too long.
    pub timeouts: Counter,
    /// Connections the endpoint closed or reset in the middle of a request or response.
    pub resets: Counter,
    /// From the end of sending a request to the first byte of its response.
    pub first_byte: Histogram,
}

/// A counter per [`Class`].
#[derive(Debug, Default)]
pub struct Classes([Counter; Class::ALL.len()]);

/// A counter per status of gRPC, and one for responses without one.
#[derive(Debug, Default)]
pub struct GrpcCodes([Counter; GrpcCodes::LABELS.len()]);

/// Service and endpoint: what upstream series are named by.
pub type EndpointName = (Box<str>, Box<str>);

impl Class {
    /// Every class, in the order of its number.
    pub const ALL: [Self; 6] = [
        Self::Informational,
        Self::Success,
        Self::Redirection,
        Self::ClientError,
        Self::ServerError,
        Self::Aborted,
    ];

    /// The class of a status code.
    #[inline]
    #[must_use]
    pub const fn of(status: u16) -> Self {
        match status / 100 {
            1 => Self::Informational,
            2 => Self::Success,
            3 => Self::Redirection,
            4 => Self::ClientError,
            _ => Self::ServerError,
        }
    }

    /// The label: `1xx` to `5xx`, or `aborted`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Informational => "1xx",
            Self::Success => "2xx",
            Self::Redirection => "3xx",
            Self::ClientError => "4xx",
            Self::ServerError => "5xx",
            Self::Aborted => "aborted",
        }
    }
}

impl Classes {
    /// Counts one.
    #[inline]
    pub fn count(&self, class: Class) {
        self.0[class as usize].inc();
    }

    /// How many of a class.
    #[must_use]
    pub fn get(&self, class: Class) -> u64 {
        self.0[class as usize].get()
    }

    /// How many in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().map(Counter::get).sum()
    }

    pub(crate) fn add_to(&self, total: &mut [u64; Class::ALL.len()]) {
        for (sum, counter) in total.iter_mut().zip(&self.0) {
            *sum += counter.get();
        }
    }
}

impl GrpcCodes {
    /// The names of the codes in the order of their numbers; the last one is for everything else: no status, or a
    /// number that gRPC does not know.
    pub const LABELS: [&'static str; 18] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
        "other",
    ];

    /// Counts one.
    pub fn count(&self, code: Option<u8>) {
        let other = Self::LABELS.len() - 1;
        self.0[code.map_or(other, |code| usize::from(code).min(other))].inc();
    }

    pub(crate) fn add_to(&self, total: &mut [u64; Self::LABELS.len()]) {
        for (sum, counter) in total.iter_mut().zip(&self.0) {
            *sum += counter.get();
        }
    }
}

impl Telemetry {
    /// Room for `workers` workers. `reasons` names every refusal; its order is the index of
    /// [`WorkerStats::refusals`].
    #[must_use]
    pub fn new(workers: usize, reasons: &'static [&'static str]) -> Arc<Self> {
        Arc::new(Self {
            workers: (0..workers).map(|_| Arc::new(WorkerStats::new(reasons.len()))).collect(),
            reasons,
            started: Instant::now(),
            started_at: SystemTime::now(),
            plan_generation: AtomicU64::new(0),
            reloads_succeeded: AtomicU64::new(0),
            reloads_failed: AtomicU64::new(0),
            access_log_dropped: Arc::default(),
            recorded: Arc::default(),
            supervision: OnceLock::new(),
            certification: OnceLock::new(),
        })
    }

    /// The part of worker `index`, below the number given to [`Telemetry::new`].
    ///
    /// # Panics
    /// If there is no such worker.
    #[must_use]
    pub fn worker(&self, index: usize) -> Arc<WorkerStats> {
        Arc::clone(&self.workers[index])
    }

    /// The names of the refusals, in the order of [`WorkerStats::refusals`].
    #[must_use]
    pub const fn reasons(&self) -> &'static [&'static str] {
        self.reasons
    }

    /// When this process started counting, on the monotonic clock.
    #[must_use]
    pub const fn started(&self) -> Instant {
        self.started
    }

    /// When this process started counting, by the wall clock.
    #[must_use]
    pub const fn started_at(&self) -> SystemTime {
        self.started_at
    }

    /// A plan is being served: its number, from 1. The first is the start, not a reload.
    pub fn plan_installed(&self, generation: u64) {
        if self.plan_generation.swap(generation, Ordering::Relaxed) != 0 {
            self.reloads_succeeded.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// New settings were refused; the old plan stays.
    pub fn reload_failed(&self) {
        self.reloads_failed.fetch_add(1, Ordering::Relaxed);
    }

    /// Number of the plan being served; 0 before the first.
    #[must_use]
    pub fn plan_generation(&self) -> u64 {
        self.plan_generation.load(Ordering::Relaxed)
    }

    /// Reloads so far: succeeded, failed.
    #[must_use]
    pub fn reloads(&self) -> (u64, u64) {
        (self.reloads_succeeded.load(Ordering::Relaxed), self.reloads_failed.load(Ordering::Relaxed))
    }

    /// The count of access log lines lost, to be given to the access log; it outlives each of them.
    #[must_use]
    pub fn access_log_dropped(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.access_log_dropped)
    }

    /// Access log lines lost so far.
    #[must_use]
    pub fn access_log_lost(&self) -> u64 {
        self.access_log_dropped.load(Ordering::Relaxed)
    }

    /// Requests that had not ended when draining had to.
    #[must_use]
    pub fn requests_cut(&self) -> u64 {
        self.workers.iter().map(|worker| worker.requests_cut.get()).sum()
    }

    /// What became of requests picked for recordings, to be given to each recording; it outlives them.
    #[must_use]
    pub fn recorded(&self) -> &Arc<recording::Counts> {
        &self.recorded
    }

    /// Says whom a scrape asks for the state of services and endpoints; once, by whoever starts the gateway.
    pub fn supervise(&self, ask: impl Fn() -> Vec<ServiceNumbers> + Send + Sync + 'static) {
        // A second one would be a second gateway that counts here, and there is none.
        let _ = self.supervision.set(Box::new(ask));
    }

    /// The state of services and endpoints; none if nobody supervises them.
    #[must_use]
    pub fn supervised(&self) -> Vec<ServiceNumbers> {
        self.supervision.get().map_or_else(Vec::new, |ask| ask())
    }

    /// Says whom a scrape asks for certificates; once, by whoever keeps them.
    pub fn certify(&self, ask: impl Fn() -> CertificateNumbers + Send + Sync + 'static) {
        // A second one would be a second gateway that counts here, and there is none.
        let _ = self.certification.set(Box::new(ask));
    }

    /// The certificates there are; none if nobody keeps any.
    #[must_use]
    pub fn certified(&self) -> CertificateNumbers {
        let mut numbers = self.certification.get().map_or_else(CertificateNumbers::default, |ask| ask());
        // Two series must not have the same labels: of two such certificates, the one that ends first counts.
        numbers.shown.sort_by(|a, b| (&a.name, &a.source, a.expires).cmp(&(&b.name, &b.source, b.expires)));
        numbers.shown.dedup_by(|later, first| (&later.name, &later.source) == (&first.name, &first.source));
        numbers
    }

    /// The counters of one endpoint, from every worker that has used it.
    #[must_use]
    pub fn endpoint(&self, service: &str, address: &str) -> Vec<Arc<EndpointStats>> {
        let name: EndpointName = (service.into(), address.into());
        let part = |worker: &Arc<WorkerStats>| {
            let registry = worker.registry();
            registry.endpoints.get(&name).map(|entry| Arc::clone(&entry.stats))
        };
        self.workers.iter().filter_map(part).collect()
    }

    /// Forgets names that are in no plan any more. Call it after a new plan is in place. A name still used by
    /// a request of the old plan is kept until that request has ended (looked at on every scrape), and if it
    /// returns to the settings before that, it counts on as if nothing had happened.
    pub fn retain(&self, route: impl Fn(&str) -> bool, endpoint: impl Fn(&str, &str) -> bool) {
        for worker in &self.workers {
            let mut registry = worker.registry();
            for (name, entry) in &mut registry.routes {
                entry.forgotten = !route(name);
            }
            for ((service, address), entry) in &mut registry.endpoints {
                entry.forgotten = !endpoint(service, address);
            }
            registry.sweep();
        }
    }

    /// The same for endpoints alone, which come and go without a new plan.
    pub fn retain_endpoints(&self, endpoint: impl Fn(&str, &str) -> bool) {
        for worker in &self.workers {
            let mut registry = worker.registry();
            for ((service, address), entry) in &mut registry.endpoints {
                entry.forgotten = !endpoint(service, address);
            }
            registry.sweep();
        }
    }

    pub(crate) fn workers(&self) -> &[Arc<WorkerStats>] {
        &self.workers
    }

    /// Per route, its part from every worker that has one.
    pub(crate) fn routes(&self) -> BTreeMap<Box<str>, Vec<Arc<RouteStats>>> {
        let mut all = BTreeMap::<_, Vec<_>>::new();
        for worker in &self.workers {
            let mut registry = worker.registry();
            registry.sweep();
            for (name, entry) in &registry.routes {
                all.entry(name.clone()).or_default().push(Arc::clone(&entry.stats));
            }
        }
        all
    }

    /// Per service and endpoint, its part from every worker that has one.
    pub(crate) fn endpoints(&self) -> BTreeMap<EndpointName, Vec<Arc<EndpointStats>>> {
        let mut all = BTreeMap::<_, Vec<_>>::new();
        for worker in &self.workers {
            let mut registry = worker.registry();
            registry.sweep();
            for (name, entry) in &registry.endpoints {
                all.entry(name.clone()).or_default().push(Arc::clone(&entry.stats));
            }
        }
        all
    }

    /// What routes that are gone had counted, over all workers.
    pub(crate) fn retired(&self) -> Retired {
        let mut total = Retired::default();
        for worker in &self.workers {
            total.add(&worker.registry().retired);
        }
        total
    }
}

impl WorkerStats {
    fn new(reasons: usize) -> Self {
        Self {
            connections_accepted: Counter::new(),
            connections_active: Gauge::new(),
            connections_idle: Gauge::new(),
            connections_refused_per_ip: Counter::new(),
            refusals: (0..reasons).map(|_| Counter::new()).collect(),
            requests_before_route: Classes::default(),
            requests_cut: Counter::new(),
            protocols: ProtocolStats::default(),
            registry: Mutex::default(),
        }
    }

    /// This worker's counters for a route; the same ones for the same name. Takes a lock: for building a
    /// plan, not for requests.
    #[must_use]
    pub fn route(&self, name: &str) -> Arc<RouteStats> {
        let mut registry = self.registry();
        if !registry.routes.contains_key(name) {
            registry.routes.insert(name.into(), Entry::default());
        }
        let entry = registry.routes.get_mut(name).expect("it was just put there");
        entry.forgotten = false;
        Arc::clone(&entry.stats)
    }

    /// This worker's counters for an endpoint of a service; the same ones for the same names. Takes a lock:
    /// for building a plan, not for requests.
    #[must_use]
    pub fn endpoint(&self, service: &str, endpoint: &str) -> Arc<EndpointStats> {
        let mut registry = self.registry();
        let entry = registry.endpoints.entry((service.into(), endpoint.into())).or_default();
        entry.forgotten = false;
        Arc::clone(&entry.stats)
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().expect("nothing under this lock panics")
    }
}

#[cfg(test)]
mod tests;
