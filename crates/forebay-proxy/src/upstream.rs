//! The endpoints of a service as one worker sees them: which one is next, and a connection to it.

mod connect;
mod lanes;
mod pool;
mod queue;
mod roster;
mod speech;
mod view;

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use forebay_base::time::Instant;
use forebay_policy::balance::Ewma;
use forebay_policy::outlier::Cause;
use forebay_telemetry::stats::{EndpointStats, WorkerStats};

use crate::plan::{Balance, PoolLimits, Service};
pub(crate) use connect::{Ask, ConnectError, connect};
use lanes::Lanes;
pub(crate) use pool::{Carrier, Pool, Pooled, Warm};
pub(crate) use queue::{Queue, QueueError, Queues};
pub(crate) use roster::{Grief, Members, News, Registry, Report, Roster, Shared};
use speech::Speech;
use view::View;

/// Times a pick is repeated because another worker took the last place first.
const PICKS_MAX: usize = 4;
/// Endpoints that are passed over because their connections carry as many requests as they may, before the request
/// waits.
const LEFT_OUT_MAX: usize = 16;

/// One worker's view of a service.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) balance: Balance,
    speech: Rc<Speech>,
    pub(crate) queue: Rc<Queue>,
    limits: Cell<PoolLimits>,
    /// Requests an endpoint may have.
    max: Cell<u32>,
    /// The roster's epoch that `view` was made for.
    epoch: Cell<u64>,
    view: RefCell<View>,
    making: Making,
}

/// What a worker's endpoints are made with.
#[derive(Clone, Debug)]
pub(crate) struct Making {
    pub(crate) registry: Arc<Registry>,
    pub(crate) stats: Arc<WorkerStats>,
    pub(crate) warm: Warm,
    pub(crate) queues: Queues,
    pub(crate) seed: u64,
}

/// One worker's view of an endpoint.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) shared: Arc<Shared>,
    pub(crate) stats: Arc<EndpointStats>,
    pub(crate) pool: Pool,
    pub(crate) lanes: Lanes,
    pub(crate) speech: Rc<Speech>,
    /// How long it has taken to answer lately, if that matters for picking.
    ewma: Cell<Ewma>,
    queue: Rc<Queue>,
}

/// What a request brings along for picking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// Nothing.
    None,
    /// Of the thing to be hashed.
    Hash(u64),
    /// Hash of the endpoint that a cookie names.
    Sticky(u64),
}

/// What came of picking.
#[derive(Debug)]
pub(crate) enum Picked {
    /// This one, with a place for the request.
    Endpoint(InFlight),
    /// There are endpoints, and every one has as many requests as it may.
    Full,
    /// There is none, or none that was not tried.
    None,
}

/// A request being served by an endpoint; counted until dropped.
#[derive(Debug)]
pub(crate) struct InFlight(Rc<Endpoint>);

impl InFlight {
    /// `None`: the endpoint has as many as it may.
    fn begin(endpoint: &Rc<Endpoint>, max: u32) -> Option<Self> {
        if endpoint.shared.in_flight.fetch_add(1, Ordering::Relaxed) >= max {
            endpoint.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        endpoint.stats.in_flight.inc();
        Some(Self(Rc::clone(endpoint)))
    }

    pub(crate) fn endpoint(&self) -> &Rc<Endpoint> {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        // Whoever begins to wait counts itself first and then looks for room once more, so that one of the two
        // sees the other.
        self.0.shared.in_flight.fetch_sub(1, Ordering::SeqCst);
        self.0.stats.in_flight.dec();
        self.0.lanes.settle();
        self.0.queue.room();
    }
}

impl Endpoint {
    pub(crate) fn service(&self) -> &str {
        &self.queue.roster.service
    }

    /// The label of metrics and logs.
    pub(crate) fn name(&self) -> &str {
        &self.shared.name
    }

    /// It does not answer, so a request that waits for it may go elsewhere.
    #[inline]
    pub(crate) fn is_lost(&self) -> bool {
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// Whether a connection can be had for one more request, as far as this worker knows. Those that carry several are
    /// each worker's own, and how many they carry is up to the endpoint.
    #[inline]
    fn has_room(&self) -> bool {
        !self.speech.may_multiplex() || self.has_shared_room()
    }

    fn has_shared_room(&self) -> bool {
        match self.lanes.multiplexes() {
            Some(false) => self.pool.has_place_for(self.shared.load().saturating_add(1)),
            _ => self.pool.has_place(&self.shared) || self.lanes.has_room(),
        }
    }

    /// A response has begun, of which the client would not say that the service is broken.
    #[inline]
    pub(crate) fn succeeded(&self) {
        let Shared { failing, unreachable, .. } = &*self.shared;
        // Mostly they are zero, and reading what nobody writes is free.
        if failing.load(Ordering::Relaxed) != 0 {
            failing.store(0, Ordering::Relaxed);
        }
        if unreachable.load(Ordering::Relaxed) != 0 {
            unreachable.store(0, Ordering::Relaxed);
        }
    }

    /// A connection was opened.
    pub(crate) fn connected(&self) {
        self.shared.unreachable.store(0, Ordering::Relaxed);
    }

    /// How long it took to the first byte.
    #[inline]
    pub(crate) fn observe(&self, now: Instant, latency: Duration) {
        let mut ewma = self.ewma.get();
        ewma.observe(now, latency);
        self.ewma.set(ewma);
    }

    /// A request failed: no answer in time, a broken connection, what is no HTTP, or a 5xx.
    #[cold]
    pub(crate) fn failed(&self) {
        // It could be reached.
        self.shared.unreachable.store(0, Ordering::Relaxed);
        self.count_failure();
    }

    /// A connection could not be opened.
    #[cold]
    pub(crate) fn connect_failed(&self) {
        let in_a_row = self.shared.unreachable.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if in_a_row >= self.queue.roster.unreachable_max.load(Ordering::Relaxed) {
            self.report(Grief::Failing(Cause::ConnectFailures));
        }
        self.count_failure();
    }

    /// Its host acknowledged nothing of a request: a connection that could be opened once, but not any more.
    #[cold]
    pub(crate) fn fell_silent(&self) {
        self.report(Grief::Silent);
        self.connect_failed();
    }

    fn count_failure(&self) {
        let in_a_row = self.shared.failing.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if in_a_row >= self.queue.roster.failing_max.load(Ordering::Relaxed) {
            self.report(Grief::Failing(Cause::Failures));
        }
    }

    fn report(&self, grief: Grief) {
        if !self.shared.out.load(Ordering::Relaxed) {
            let (roster, endpoint) = (Arc::clone(&self.queue.roster), Arc::clone(&self.shared));
            self.queue.registry.report(Report { roster, endpoint, grief });
        }
    }
}

impl Upstream {
    /// The service as this worker sees it. What `before` has of it is carried over.
    pub(crate) fn new(service: &Service, before: Option<&Rc<Self>>, making: &Making) -> Rc<Self> {
        let speech = Speech::of(service);
        let kept = before.filter(|before| before.speech == speech);
        if let Some(same) = kept.filter(|before| before.balance == service.balance) {
            same.set_limits(service.pool, speech.may_multiplex());
            return Rc::clone(same);
        }
        let (queue, view) = match before {
            // Its connections are of no use any more, but those who wait for its endpoints still wait for the same.
            Some(before) if before.speech != speech => {
                before.retire();
                (Rc::clone(&before.queue), View::default())
            }
            // The one before goes on for the requests that began with it.
            Some(before) => (Rc::clone(&before.queue), before.view.borrow().share()),
            None => {
                let roster = making.registry.roster(&service.name);
                let queue = Queue::new(roster, Arc::clone(&making.registry), &making.queues);
                (queue, View::default())
            }
        };
        let upstream = Self {
            balance: service.balance.clone(),
            speech: Rc::clone(&speech),
            queue,
            limits: Cell::new(service.pool),
            max: Cell::new(requests_max(&service.pool, speech.may_multiplex())),
            // Never that of a roster.
            epoch: Cell::new(0),
            view: RefCell::new(view),
            making: making.clone(),
        };
        upstream.set_limits(service.pool, speech.may_multiplex());
        Rc::new(upstream)
    }

    fn set_limits(&self, limits: PoolLimits, multiplexed: bool) {
        self.max.set(requests_max(&limits, multiplexed));
        if self.limits.replace(limits) != limits || self.epoch.get() == 0 {
            self.view.borrow().made().for_each(|endpoint| endpoint.pool.set_limits(limits));
        }
    }

    /// Closes all idle connections: the service is no longer configured.
    pub(crate) fn retire(&self) {
        self.view.borrow().made().for_each(|endpoint| endpoint.pool.retire(endpoint));
    }

    /// Takes over what has changed in the roster.
    #[inline]
    fn refresh(&self) {
        let epoch = self.queue.roster.epoch();
        if epoch != self.epoch.get() {
            self.renew(epoch);
        }
    }

    #[cold]
    fn renew(&self, epoch: u64) {
        let members = self.queue.roster.members();
        let mut view = self.view.borrow_mut();
        let renewed = view.renew(members, &self.balance, self.making.seed ^ epoch);
        *view = renewed;
        self.epoch.set(epoch);
    }

    /// Looks whether the roster has changed although no request asks.
    pub(crate) fn tick(&self) {
        if self.epoch.get() != 0 {
            self.refresh();
        }
    }

    /// The same as `pick`, but whoever comes when others wait goes behind them.
    #[inline]
    pub(crate) fn pick_at_once(&self, key: Key, now: Instant, tried: &[Rc<Endpoint>]) -> Picked {
        if self.queue.has_line() && tried.is_empty() { Picked::Full } else { self.pick(key, now, tried) }
    }

    /// The endpoint to try next, leaving out those already in `tried`.
    pub(crate) fn pick(&self, key: Key, now: Instant, tried: &[Rc<Endpoint>]) -> Picked {
        self.refresh();
        let max = self.max.get();
        let view = self.view.borrow();
        let mut left_out = Cow::Borrowed(tried);
        let mut taken = 0;
        while taken < PICKS_MAX && left_out.len() < tried.len() + LEFT_OUT_MAX {
            let Some(index) = view.pick(key, now, max, &left_out) else { break };
            let endpoint = view.endpoint(index, |shared| self.make(shared));
            if !endpoint.has_room() {
                left_out.to_mut().push(Rc::clone(endpoint));
            } else if let Some(in_flight) = InFlight::begin(endpoint, max) {
                return Picked::Endpoint(in_flight);
            } else {
                taken += 1;
            }
        }
        if view.has_untried(tried) { Picked::Full } else { Picked::None }
    }

    #[cold]
    fn make(&self, shared: &Arc<Shared>) -> Rc<Endpoint> {
        let Making { stats, warm, .. } = &self.making;
        Rc::new(Endpoint {
            shared: Arc::clone(shared),
            stats: stats.endpoint(&self.queue.roster.service, &shared.name),
            pool: Pool::new(self.limits.get(), warm.clone()),
            lanes: Lanes::default(),
            speech: Rc::clone(&self.speech),
            ewma: Cell::default(),
            queue: Rc::clone(&self.queue),
        })
    }

    /// Waits for room at one of the endpoints, behind those that wait already.
    ///
    /// # Errors
    /// Too many wait already, or it took too long.
    pub(crate) async fn wait_for_room(
        &self,
        key: Key,
        alarm: &forebay_net::wheel::Alarm,
        deadline: Instant,
        tried: &[Rc<Endpoint>],
        gone: impl FnMut(&mut std::task::Context<'_>) -> bool,
    ) -> Result<Picked, QueueError> {
        let limits = self.limits.get();
        if limits.queue_max == 0 {
            return Err(QueueError::None);
        }
        let until = deadline.min(Instant::now() + limits.queue_timeout);
        let look = || match self.pick(key, Instant::now(), tried) {
            Picked::Full => None,
            picked => Some(picked),
        };
        let local = self.speech.may_multiplex();
        self.queue.wait(look, (!tried.is_empty(), local), limits.queue_max, alarm, until, gone).await
    }

    /// Closes the longest idle connection to an endpoint, if this worker has one.
    pub(crate) fn shed(&self, shared: &Arc<Shared>) {
        let view = self.view.borrow();
        if let Some(endpoint) = view.made().find(|endpoint| Arc::ptr_eq(&endpoint.shared, shared)) {
            endpoint.pool.shed(endpoint);
        }
    }

    pub(crate) fn roster(&self) -> &Arc<Roster> {
        &self.queue.roster
    }

    /// Whether a cookie must be given for `endpoint`: `key` named another one, and that is out or gone. If it only
    /// was busy, or could not be connected to just now, the client comes back to it.
    pub(crate) fn needs_cookie(&self, key: Key, endpoint: &Endpoint) -> bool {
        match key {
            Key::Sticky(hash) if hash == endpoint.shared.hash => false,
            Key::Sticky(hash) => !self.view.borrow().may_pick(hash),
            Key::None | Key::Hash(_) => true,
        }
    }

    /// Whether there is an endpoint to pick besides these.
    pub(crate) fn has_untried(&self, tried: &[Rc<Endpoint>]) -> bool {
        self.refresh();
        self.view.borrow().has_untried(tried)
    }

    /// Whether there is an endpoint to pick besides this one.
    pub(crate) fn has_other(&self, endpoint: &Rc<Endpoint>) -> bool {
        self.refresh();
        self.view.borrow().has_untried(std::slice::from_ref(endpoint))
    }
}

/// How many requests an endpoint may have: every one needs a connection of its own, unless a connection carries
/// several.
fn requests_max(limits: &PoolLimits, multiplexed: bool) -> u32 {
    let max = limits.requests_max.unwrap_or(u32::MAX);
    if multiplexed { max } else { max.min(limits.connections_max) }
}
