//! One thread's share of the gateway: its plan, its spare memory, its counters. Nothing in it is shared
//! with another thread but atomic counters read by the control plane.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use forebay_base::time::Instant;
use forebay_net::buffer::BufferPool;
use forebay_net::wheel::Wheel;
use forebay_telemetry::access::AccessSink;
use forebay_telemetry::log::{Event, Log};
use forebay_telemetry::recording::{Recording, Sink};
use forebay_telemetry::stats::{RouteStats, WorkerStats};

use crate::census::Census;
use crate::date;
use crate::exchange::Scratch;
use crate::plan::Plan;
use crate::upstream::{Registry, Shared, Upstream};

/// Buffers for heads and small bodies.
pub(crate) const BUFFER_BYTES: usize = 16 << 10;
/// Buffers for the rest of large bodies: fewer system calls per byte.
pub(crate) const BULK_BYTES: usize = 128 << 10;
/// Spare buffers kept per worker: 8 MiB of small ones, 16 MiB of large ones.
const BUFFERS_SPARE_MAX: usize = 512;
const BULK_SPARE_MAX: usize = 128;
/// Spare scratch pads kept per worker.
const SCRATCH_SPARE_MAX: usize = 512;

/// What one worker thread has to itself.
pub(crate) struct Worker {
    pub(crate) wheel: Wheel,
    pub(crate) buffers: BufferPool,
    pub(crate) bulk: BufferPool,
    pub(crate) stats: Arc<WorkerStats>,
    pub(crate) census: Arc<Census>,
    /// No more requests after the present ones.
    pub(crate) draining: Cell<bool>,
    /// Idle connections are closed then, however long they may still wait.
    pub(crate) idle_until: Cell<Instant>,
    /// Connections open on this worker.
    pub(crate) open: Cell<usize>,
    /// For the rare things an operator should know; never per request that goes well.
    pub(crate) log: Log,
    /// Client connections that file descriptors suffice for, in all workers.
    connections_cap: usize,
    active: RefCell<Rc<Active>>,
    #[expect(clippy::vec_box, reason = "a pad is lent out: moving a pointer is cheaper than moving the pad")]
    spare: RefCell<Vec<Box<Scratch>>>,
    access: RefCell<Option<AccessSink>>,
    clock: RefCell<date::Clock>,
    random: Cell<u64>,
}

/// A plan with what this worker keeps for each of its parts.
pub(crate) struct Active {
    pub(crate) plan: Arc<Plan>,
    pub(crate) routes: Vec<Arc<RouteStats>>,
    pub(crate) upstreams: Vec<Upstream>,
    /// Where requests are written down, if they are.
    pub(crate) recording: Option<Sink>,
}

impl Active {
    /// The plan as one worker serves it; what `before` has in common with it is carried over.
    pub(crate) fn new(
        plan: Arc<Plan>,
        before: Option<&Self>,
        registry: &Arc<Registry>,
        stats: &WorkerStats,
        seed: u64,
        recording: Option<&Recording>,
    ) -> Self {
        let old = |name: &str| {
            let before = before?;
            let index = before.plan.services.iter().position(|service| *service.name == *name)?;
            before.upstreams.get(index)
        };
        let upstreams: Vec<Upstream> = plan
            .services
            .iter()
            .map(|service| Upstream::new(service, old(&service.name), registry, stats, seed))
            .collect();
        let routes = plan.routes.iter().map(|route| stats.route(&route.name)).collect();
        Self { plan, routes, upstreams, recording: recording.map(Recording::sink) }
    }

    /// Closes idle connections to endpoints that `after` no longer has.
    fn retire(&self, after: &Self) {
        let kept: std::collections::HashSet<*const crate::upstream::Endpoint> =
            after.upstreams.iter().flat_map(|upstream| upstream.endpoints.iter().map(Rc::as_ptr)).collect();
        for endpoint in self.upstreams.iter().flat_map(|upstream| &upstream.endpoints) {
            if !kept.contains(&Rc::as_ptr(endpoint)) {
                endpoint.pool.clear(endpoint);
            }
        }
    }
}

impl Worker {
    pub(crate) fn new(
        active: Active,
        stats: Arc<WorkerStats>,
        census: Arc<Census>,
        access: Option<AccessSink>,
        log: Log,
        connections_cap: usize,
        seed: u64,
    ) -> Self {
        Self {
            wheel: Wheel::default(),
            buffers: BufferPool::new(BUFFER_BYTES, BUFFERS_SPARE_MAX),
            bulk: BufferPool::new(BULK_BYTES, BULK_SPARE_MAX),
            stats,
            census,
            draining: Cell::new(false),
            idle_until: Cell::new(Instant::NEVER),
            open: Cell::new(0),
            log,
            connections_cap,
            active: RefCell::new(Rc::new(active)),
            spare: RefCell::default(),
            access: RefCell::new(access),
            clock: RefCell::new(date::Clock::new(Instant::now(), unix_now())),
            random: Cell::new(seed | 1),
        }
    }

    /// The plan to serve the next request with.
    #[inline]
    pub(crate) fn active(&self) -> Rc<Active> {
        Rc::clone(&self.active.borrow())
    }

    /// Serves the next request with `plan`.
    pub(crate) fn install(&self, plan: Arc<Plan>, registry: &Arc<Registry>, recording: Option<&Recording>) {
        let before = self.active();
        let seed = self.random();
        let after = Rc::new(Active::new(plan, Some(&before), registry, &self.stats, seed, recording));
        before.retire(&after);
        *self.active.borrow_mut() = after;
    }

    /// A place for one more client connection; `false`: there are as many as the settings or the system allow.
    pub(crate) fn take_place(&self) -> bool {
        let wanted = self.active.borrow().plan.limits.connections;
        let limit = wanted.min(self.connections_cap);
        let taken = self.census.take_place(limit);
        if !taken {
            self.log.emit(&Event::ConnectionsFull { limit });
        }
        taken
    }

    /// Memory for one exchange.
    #[inline]
    pub(crate) fn scratch(&self) -> Box<Scratch> {
        self.spare.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes it back for the next one.
    #[inline]
    pub(crate) fn give_back(&self, mut scratch: Box<Scratch>) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SCRATCH_SPARE_MAX && scratch.tidy() {
            spare.push(scratch);
        }
    }

    /// The next of a sequence nobody outside can guess cheaply; not for keys.
    #[inline]
    pub(crate) fn random(&self) -> u64 {
        // wyrand: one multiplication, passes the usual test batteries.
        let state = self.random.get().wrapping_add(0xa076_1d64_78bd_642f);
        self.random.set(state);
        let wide = u128::from(state) * u128::from(state ^ 0xe703_7ed1_a0b4_28db);
        (wide >> 64) as u64 ^ wide as u64
    }

    /// Appends `Date: …` and its line end for `now`.
    #[inline]
    pub(crate) fn push_date(&self, now: Instant, out: &mut Vec<u8>) {
        out.extend_from_slice(self.clock.borrow_mut().line(now));
    }

    /// Nanoseconds since 1970 at `now`.
    pub(crate) fn unix_nanos(&self, now: Instant) -> u64 {
        self.clock.borrow().unix_nanos(now)
    }

    /// The access log, if it is on.
    #[inline]
    pub(crate) fn access(&self) -> &RefCell<Option<AccessSink>> {
        &self.access
    }

    /// What has to be done about once a second.
    pub(crate) fn tick(&self, now: Instant) {
        let active = self.active();
        for endpoint in active.upstreams.iter().flat_map(|upstream| &upstream.endpoints) {
            endpoint.pool.sweep(endpoint, now);
        }
        self.flush_recording();
        self.clock.borrow_mut().set(now, unix_now());
    }

    /// Closes the longest idle connection to an endpoint, if this worker has one.
    pub(crate) fn shed(&self, shared: &Arc<Shared>) {
        let active = self.active();
        let mut endpoints = active.upstreams.iter().flat_map(|upstream| &upstream.endpoints);
        if let Some(endpoint) = endpoints.find(|endpoint| Arc::ptr_eq(&endpoint.shared, shared)) {
            endpoint.pool.shed(endpoint);
        }
    }

    /// Hands the access log's lines to its writer.
    pub(crate) fn flush_access(&self) {
        if let Some(sink) = self.access.borrow_mut().as_mut() {
            sink.flush();
        }
    }

    /// Hands the recording's lines to its writer.
    pub(crate) fn flush_recording(&self) {
        if let Some(sink) = &self.active.borrow().recording {
            sink.flush();
        }
    }

    /// Every answer from now on closes its connection, and idle connections are closed at `idle_until`:
    /// not at once, because a request may already be on its way to each of them.
    pub(crate) fn drain(&self, idle_until: Instant) {
        self.draining.set(true);
        self.idle_until.set(idle_until);
        self.wheel.wake_all();
    }
}

fn unix_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
