//! Idle connections to one endpoint, kept by one worker, and the count of all of them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use forebay_base::time::Instant;
use forebay_net::link::Link;
use forebay_net::stream::Stream;

use super::{Endpoint, Shared};
use crate::plan::PoolLimits;

/// Endpoints of a worker that have idle connections: those that have to be looked after.
#[derive(Clone, Debug, Default)]
pub(crate) struct Warm(Rc<RefCell<Vec<Rc<Endpoint>>>>);

impl Warm {
    /// Closes what has been idle for too long, and what servers have closed.
    pub(crate) fn sweep(&self, now: Instant) {
        // Closing does not warm anything up, so nobody else needs the list meanwhile.
        self.0.borrow_mut().retain(|endpoint| {
            endpoint.pool.sweep(endpoint, now);
            endpoint.lanes.sweep(now, endpoint.pool.limits.get().idle_timeout);
            let warm = !endpoint.pool.idle.borrow().is_empty() || !endpoint.lanes.is_empty();
            endpoint.pool.listed.set(warm);
            warm
        });
    }
}

/// Idle connections, the one used last on top.
#[derive(Debug)]
pub(crate) struct Pool {
    idle: RefCell<Vec<Idle>>,
    limits: Cell<PoolLimits>,
    warm: Warm,
    /// It is in `warm`.
    listed: Cell<bool>,
}

#[derive(Debug)]
struct Idle {
    held: Held,
    since: Instant,
    /// What the server says it waits for the next request, less a margin.
    patience: Duration,
}

impl Idle {
    fn is_fresh(&self, now: Instant, timeout: Duration) -> bool {
        now.since(self.since) < timeout.min(self.patience) && self.held.link.is_quiet()
    }
}

/// An open connection; its place among the endpoint's connections is free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) link: Link,
    shared: Arc<Shared>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shared.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What carries one request to an endpoint.
#[derive(Debug)]
pub(crate) enum Carrier {
    /// A connection of its own.
    Link(Held),
    /// A stream of one.
    Stream(Rc<dyn Stream>),
}

/// A connection for one request.
#[derive(Debug)]
pub(crate) struct Pooled {
    pub(crate) held: Carrier,
    /// It has served a request before, so the server may be about to close it.
    pub(crate) reused: bool,
}

/// The right to open one more connection.
#[derive(Debug)]
pub(crate) struct Place(Option<Arc<Shared>>);

impl Place {
    /// Turns the place into a connection.
    pub(super) fn fill(mut self, link: Link) -> Held {
        let shared = self.0.take().expect("a place is filled once");
        Held { link, shared }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(shared) = &self.0 {
            shared.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Pool {
    pub(crate) fn new(limits: PoolLimits, warm: Warm) -> Self {
        Self { idle: RefCell::default(), limits: Cell::new(limits), warm, listed: Cell::new(false) }
    }

    pub(crate) fn set_limits(&self, limits: PoolLimits) {
        self.limits.set(limits);
    }

    /// An idle connection that still looks alive, the most recently used first.
    pub(crate) fn take(&self, endpoint: &Endpoint, now: Instant) -> Option<Held> {
        loop {
            let idle = self.idle.borrow_mut().pop()?;
            endpoint.stats.idle.dec();
            if idle.is_fresh(now, self.limits.get().idle_timeout) {
                return Some(idle.held);
            }
        }
    }

    /// Keeps a connection that is between two requests; closes it if there are enough, or if the endpoint is out.
    /// `patience`: how long the server will keep it, if it has said so.
    pub(crate) fn give_back(
        &self,
        endpoint: &Rc<Endpoint>,
        held: Held,
        now: Instant,
        patience: Option<Duration>,
    ) {
        if endpoint.shared.out.load(Ordering::Relaxed) {
            return;
        }
        self.warm(endpoint);
        let limits = self.limits.get();
        let mut idle = self.idle.borrow_mut();
        if (idle.len() as u64) < u64::from(limits.idle_max) && !limits.idle_timeout.is_zero() {
            idle.push(Idle { held, since: now, patience: patience.unwrap_or(Duration::MAX) });
            endpoint.stats.idle.inc();
        }
    }

    /// The endpoint has connections that have to be looked after.
    #[inline]
    pub(crate) fn warm(&self, endpoint: &Rc<Endpoint>) {
        if !self.listed.replace(true) {
            self.warm.0.borrow_mut().push(Rc::clone(endpoint));
        }
    }

    /// A place for one more connection; `None`: there are as many as allowed.
    pub(crate) fn place(&self, shared: &Arc<Shared>) -> Option<Place> {
        let max = self.limits.get().connections_max;
        let take = |open: u32| (open < max).then_some(open + 1);
        shared.connections.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).ok()?;
        Some(Place(Some(Arc::clone(shared))))
    }

    /// Whether there is one.
    pub(crate) fn has_place(&self, shared: &Shared) -> bool {
        shared.connections.load(Ordering::Relaxed) < self.limits.get().connections_max
    }

    /// Closes the connection that has been idle longest, or sees to it that one that carries several requests can be
    /// closed, if there is one.
    pub(crate) fn shed(&self, endpoint: &Endpoint) {
        let mut idle = self.idle.borrow_mut();
        if idle.is_empty() {
            endpoint.lanes.shed(Instant::now());
        } else {
            idle.remove(0);
            endpoint.stats.idle.dec();
        }
    }

    /// How long a request may wait for room.
    pub(super) fn queue_timeout(&self) -> Duration {
        self.limits.get().queue_timeout
    }

    /// Whether there may be a connection for each of so many requests.
    pub(super) fn has_place_for(&self, requests: u32) -> bool {
        requests <= self.limits.get().connections_max
    }

    /// Closes what has been idle for too long, and what the server has closed.
    pub(crate) fn sweep(&self, endpoint: &Endpoint, now: Instant) {
        let timeout = self.limits.get().idle_timeout;
        let mut idle = self.idle.borrow_mut();
        let before = idle.len();
        idle.retain(|one| one.is_fresh(now, timeout));
        endpoint.stats.idle.sub(i64::try_from(before - idle.len()).unwrap_or(i64::MAX));
    }

    /// Closes all idle connections: the endpoint gets no requests now.
    pub(crate) fn close_idle(&self, endpoint: &Endpoint) {
        let closed = std::mem::take(&mut *self.idle.borrow_mut());
        endpoint.stats.idle.sub(i64::try_from(closed.len()).unwrap_or(i64::MAX));
        endpoint.lanes.close();
    }

    /// The same, and none will be kept again: the endpoint is gone.
    pub(crate) fn retire(&self, endpoint: &Endpoint) {
        self.close_idle(endpoint);
        self.limits.set(PoolLimits { idle_max: 0, ..self.limits.get() });
    }
}
