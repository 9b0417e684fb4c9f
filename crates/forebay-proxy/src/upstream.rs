//! The endpoints of a service: which one is next, and a connection to it.

mod connect;
mod pool;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use forebay_policy::balance::{LeastLoaded, RoundRobin};
use forebay_telemetry::stats::{EndpointStats, WorkerStats};

use crate::plan::{Balance, Plan, PoolLimits, Service};

pub(crate) use connect::{ConnectError, connect};
pub(crate) use pool::{Pool, Pooled};

/// What all workers know of one endpoint. Kept across reloads while the endpoint is configured.
#[derive(Debug, Default)]
pub struct Shared {
    /// Requests being served.
    pub in_flight: AtomicU32,
    /// Open connections, in use or idle.
    pub connections: AtomicU32,
    addresses: Mutex<Vec<SocketAddr>>,
}

impl Shared {
    /// Where the endpoint can be reached now; empty: its name does not resolve.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.lock().clone()
    }

    /// Replaces the addresses, from the next connection on.
    pub fn set_addresses(&self, addresses: Vec<SocketAddr>) {
        *self.lock() = addresses;
    }

    fn lock(&self) -> MutexGuard<'_, Vec<SocketAddr>> {
        self.addresses.lock().expect("no panic under this lock")
    }
}

/// The endpoints all workers share, by service and address.
#[derive(Default)]
pub struct Registry {
    endpoints: Mutex<HashMap<Identity, Arc<Shared>>>,
    /// Asks every worker to close one idle connection to an endpoint.
    shed: OnceLock<Shed>,
}

/// How workers are asked to close an idle connection.
type Shed = Box<dyn Fn(&Arc<Shared>) + Send + Sync>;

/// Service and address: what an endpoint is known by across reloads.
type Identity = (Box<str>, Box<str>);

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}

impl Registry {
    /// Says how workers are asked to close an idle connection; once, by whoever starts them.
    pub(crate) fn on_shed(&self, shed: Shed) {
        // A second one would be a second gateway on the same registry, and there is none.
        let _ = self.shed.set(shed);
    }

    /// Asks every worker to close one idle connection to the endpoint: another worker needs the place.
    pub(crate) fn shed(&self, endpoint: &Arc<Shared>) {
        if let Some(shed) = self.shed.get() {
            shed(endpoint);
        }
    }

    /// What is shared about the endpoint `address` of `service`; made at first sight.
    ///
    /// # Panics
    /// Never: nothing panics while the lock is held.
    #[must_use]
    pub fn endpoint(&self, service: &str, address: &str) -> Arc<Shared> {
        let mut endpoints = self.endpoints.lock().expect("no panic under this lock");
        Arc::clone(endpoints.entry((service.into(), address.into())).or_default())
    }

    /// Forgets the endpoints that `plan` does not name.
    ///
    /// # Panics
    /// Never: nothing panics while the lock is held.
    pub fn retain(&self, plan: &Plan) {
        let named: HashSet<(&str, &str)> = plan.endpoints().collect();
        let mut endpoints = self.endpoints.lock().expect("no panic under this lock");
        endpoints.retain(|(service, address), _| named.contains(&(&**service, &**address)));
    }
}

/// One worker's view of a service.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) endpoints: Vec<Rc<Endpoint>>,
    balancer: Balancer,
}

#[derive(Debug)]
enum Balancer {
    LeastLoaded(RefCell<LeastLoaded>),
    RoundRobin(RefCell<RoundRobin>),
}

/// One worker's view of an endpoint.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) service: Box<str>,
    pub(crate) address: Box<str>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) stats: Arc<EndpointStats>,
    pub(crate) pool: Pool,
    registry: Arc<Registry>,
}

/// A request being served by an endpoint; counted until dropped.
#[derive(Debug)]
pub(crate) struct InFlight(Rc<Endpoint>);

impl InFlight {
    pub(crate) fn begin(endpoint: &Rc<Endpoint>) -> Self {
        endpoint.shared.in_flight.fetch_add(1, Ordering::Relaxed);
        endpoint.stats.in_flight.inc();
        Self(Rc::clone(endpoint))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.0.stats.in_flight.dec();
    }
}

impl Upstream {
    /// The service as this worker sees it. Endpoints in `before` with the same identity are carried over
    /// with their idle connections.
    pub(crate) fn new(
        service: &Service,
        before: Option<&Self>,
        registry: &Arc<Registry>,
        stats: &WorkerStats,
        seed: u64,
    ) -> Self {
        let carried = |address: &str, limits: &PoolLimits| {
            let same = before?.endpoints.iter().find(|endpoint| *endpoint.address == *address)?;
            same.pool.set_limits(*limits);
            Some(Rc::clone(same))
        };
        let endpoints = service
            .endpoints
            .iter()
            .map(|endpoint| {
                carried(&endpoint.address, &service.pool).unwrap_or_else(|| {
                    Rc::new(Endpoint {
                        service: service.name.clone(),
                        address: endpoint.address.clone(),
                        shared: registry.endpoint(&service.name, &endpoint.address),
                        stats: stats.endpoint(&service.name, &endpoint.address),
                        pool: Pool::new(service.pool),
                        registry: Arc::clone(registry),
                    })
                })
            })
            .collect();
        let weights: Vec<u32> = service.endpoints.iter().map(|endpoint| endpoint.weight).collect();
        let balancer = match service.balance {
            Balance::LeastLoaded => Balancer::LeastLoaded(RefCell::new(LeastLoaded::new(&weights, seed))),
            Balance::PeakEwma | Balance::Hash(_) | Balance::Sticky(_) => {
                Balancer::LeastLoaded(RefCell::new(LeastLoaded::new(&weights, seed)))
            }
            Balance::RoundRobin => Balancer::RoundRobin(RefCell::new(RoundRobin::new(&weights))),
        };
        Self { endpoints, balancer }
    }

    /// The endpoint to try next, leaving out those already in `tried`; `None`: all were tried.
    pub(crate) fn pick(&self, tried: &[usize]) -> Option<usize> {
        if self.endpoints.len() == 1 {
            return if tried.is_empty() { Some(0) } else { None };
        }
        let skip = |index: usize| tried.contains(&index);
        match &self.balancer {
            Balancer::LeastLoaded(balancer) => {
                let load = |index: usize| self.endpoints[index].shared.in_flight.load(Ordering::Relaxed);
                balancer.borrow_mut().pick(load, skip)
            }
            Balancer::RoundRobin(balancer) => balancer.borrow_mut().pick(skip),
        }
    }
}
