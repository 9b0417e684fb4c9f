//! One thread's share of the gateway: its plan, its spare memory, its counters. Nothing in it is shared
//! with another thread but atomic counters read by the control plane.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use forebay_base::time::Instant;
use forebay_net::buffer::BufferPool;
use forebay_net::wheel::{Alarm, Wheel};
use forebay_telemetry::access::AccessSink;
use forebay_telemetry::log::{Event, Log};
use forebay_telemetry::recording::{Recording, Sink};
use forebay_telemetry::stats::{RouteStats, WorkerStats};
use tokio::sync::Notify;

use crate::census::Census;
use crate::challenge::Challenges;
use crate::date;
use crate::exchange::Scratch;
use crate::plan::Plan;
use crate::split::Writers;
use crate::upstream::{Making, News, Queue, Roster, Upstream};

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
    /// Wakes those who wait for that.
    drain_begun: Notify,
    /// Idle connections are closed then, however long they may still wait.
    pub(crate) idle_until: Cell<Instant>,
    /// Connections open on this worker.
    pub(crate) open: Cell<usize>,
    /// For the rare things an operator should know; never per request that goes well.
    pub(crate) log: Log,
    /// What certificate authorities may ask for.
    pub(crate) challenges: Arc<Challenges>,
    /// Client connections that file descriptors suffice for, in all workers.
    connections_cap: usize,
    active: RefCell<Rc<Active>>,
    #[expect(clippy::vec_box, reason = "a pad is lent out: moving a pointer is cheaper than moving the pad")]
    spare: RefCell<Vec<Box<Scratch>>>,
    alarms: RefCell<Vec<Alarm>>,
    access: RefCell<Option<AccessSink>>,
    clock: RefCell<date::Clock>,
    random: Cell<u64>,
    making: Making,
    /// Endpoints lost that this worker knows of.
    lost: Cell<u64>,
}

/// A plan with what this worker keeps for each of its parts.
pub(crate) struct Active {
    pub(crate) plan: Arc<Plan>,
    pub(crate) routes: Vec<Arc<RouteStats>>,
    pub(crate) upstreams: Vec<Rc<Upstream>>,
    /// Where requests are written down, if they are.
    pub(crate) recording: Option<Sink>,
    /// Who has written lately, for routes that split reads from writes.
    pub(crate) writers: Writers,
}

impl Active {
    /// The plan as one worker serves it; what `before` has in common with it is carried over.
    pub(crate) fn new(
        plan: Arc<Plan>,
        before: Option<&Self>,
        making: &Making,
        writers: &Writers,
        recording: Option<&Recording>,
    ) -> Self {
        let old: HashMap<&str, &Rc<Upstream>> = before.map_or_else(HashMap::new, |before| {
            let names = before.plan.services.iter().map(|service| &*service.name);
            names.zip(&before.upstreams).collect()
        });
        let services = plan.services.iter();
        let upstreams = services
            .map(|service| Upstream::new(service, old.get(&*service.name).copied(), making))
            .collect();
        let routes = plan.routes.iter().map(|route| making.stats.route(&route.name)).collect();
        let recording = recording.map(Recording::sink);
        Self { plan, routes, upstreams, recording, writers: writers.clone() }
    }

    /// Closes idle connections of services that `after` no longer has.
    fn retire(&self, after: &Self) {
        let kept: HashSet<&str> = after.plan.services.iter().map(|service| &*service.name).collect();
        for (service, upstream) in self.plan.services.iter().zip(&self.upstreams) {
            if !kept.contains(&*service.name) {
                upstream.retire();
            }
        }
    }
}

impl Worker {
    #[expect(clippy::too_many_arguments, reason = "each is handed over once, and at one place")]
    pub(crate) fn new(
        active: Active,
        stats: Arc<WorkerStats>,
        census: Arc<Census>,
        access: Option<AccessSink>,
        log: Log,
        connections_cap: usize,
        challenges: Arc<Challenges>,
        making: Making,
    ) -> Self {
        Self {
            wheel: Wheel::default(),
            buffers: BufferPool::new(BUFFER_BYTES, BUFFERS_SPARE_MAX),
            bulk: BufferPool::new(BULK_BYTES, BULK_SPARE_MAX),
            stats,
            census,
            draining: Cell::new(false),
            drain_begun: Notify::new(),
            idle_until: Cell::new(Instant::NEVER),
            open: Cell::new(0),
            log,
            challenges,
            connections_cap,
            active: RefCell::new(Rc::new(active)),
            spare: RefCell::default(),
            alarms: RefCell::default(),
            access: RefCell::new(access),
            clock: RefCell::new(date::Clock::new(Instant::now(), unix_now())),
            random: Cell::new(making.seed | 1),
            making,
            lost: Cell::new(0),
        }
    }

    /// The plan to serve the next request with.
    #[inline]
    pub(crate) fn active(&self) -> Rc<Active> {
        Rc::clone(&self.active.borrow())
    }

    /// Serves the next request with `plan`.
    pub(crate) fn install(&self, plan: Arc<Plan>, recording: Option<&Recording>) {
        let before = self.active();
        let after = Active::new(plan, Some(&before), &self.making, &before.writers, recording);
        let after = Rc::new(after);
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

    /// An alarm for a stream, to be given back: as a connection's, it would be armed for as long as it may wait, and a
    /// connection has many streams.
    #[inline]
    pub(crate) fn alarm(&self) -> Alarm {
        self.alarms.borrow_mut().pop().unwrap_or_else(|| self.wheel.alarm())
    }

    /// Takes it back for the next one.
    #[inline]
    pub(crate) fn take_alarm_back(&self, alarm: Alarm) {
        let mut alarms = self.alarms.borrow_mut();
        if alarms.len() < SCRATCH_SPARE_MAX {
            alarm.release();
            alarms.push(alarm);
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
        self.making.warm.sweep(now);
        for upstream in &self.active().upstreams {
            upstream.tick();
        }
        self.wake(|_| true);
        self.look_for_lost();
        self.flush_recording();
        self.clock.borrow_mut().set(now, unix_now());
    }

    /// Hears what the control plane or another worker has to say.
    pub(crate) fn hear(&self, news: &News) {
        let of = |roster: &Arc<Roster>| {
            let active = self.active();
            active.upstreams.iter().find(|upstream| Arc::ptr_eq(upstream.roster(), roster)).cloned()
        };
        match news {
            News::Shed(roster, endpoint) => {
                if let Some(upstream) = of(roster) {
                    upstream.shed(endpoint);
                }
            }
            News::Room(roster) => self.wake(|queue| Arc::ptr_eq(queue.roster(), roster)),
            News::Lost => self.look_for_lost(),
        }
    }

    /// Has those who wait look for room.
    fn wake(&self, of: impl Fn(&Queue) -> bool) {
        let queues: Vec<Rc<Queue>> = self.making.queues.borrow().iter().filter_map(Weak::upgrade).collect();
        for queue in queues.iter().filter(|queue| of(queue)) {
            queue.wake();
        }
    }

    /// Has everybody look whether the endpoint they wait for is lost, if one is that was not before.
    fn look_for_lost(&self) {
        let lost = self.making.registry.lost();
        if self.lost.replace(lost) != lost {
            self.wheel.wake_all();
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

    /// Waits until no more requests are wanted after the present ones.
    pub(crate) async fn drained(&self) {
        let begun = self.drain_begun.notified();
        if !self.draining.get() {
            begun.await;
        }
    }

    /// Every answer from now on closes its connection, and idle connections are closed at `idle_until`:
    /// not at once, because a request may already be on its way to each of them.
    pub(crate) fn drain(&self, idle_until: Instant) {
        self.draining.set(true);
        self.idle_until.set(idle_until);
        self.drain_begun.notify_waiters();
        self.wheel.wake_all();
    }
}

fn unix_now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
