//! One sending thread: its users, and the one who hands them their arrivals.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use forebay_base::time::Instant;
use forebay_net::tls;
use forebay_net::wheel::{Alarm, Wheel};
use tokio::sync::Notify;

use crate::arrival::{Cursor, Planned, choices, stage_of, wanted};
use crate::client::Reading;
use crate::lanes::Lanes;
use crate::pacer::Ticks;
use crate::plan::{Model, Plan, Stage};
use crate::prepare::Prepared;
use crate::recorder::{Moment, Recorder};
use crate::session::{Ran, User};
use crate::usage::{self, ThreadUsage};

/// How often a thread says how it is doing, and looks whether it is still wanted.
const BEAT: Duration = Duration::from_millis(100);
/// How long a closed model's user who got no answer waits before it asks again.
const REST: Duration = Duration::from_millis(10);
/// How long answers are waited for after the run was stopped before its time.
const STOP_GRACE: Duration = Duration::from_secs(3);

/// What all sending threads share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) plan: Plan,
    pub(crate) prepared: Prepared,
    pub(crate) start: Instant,
    /// The same moment since 1970.
    pub(crate) started: Duration,
    /// Set when the run is to end before its time.
    pub(crate) stop: Arc<AtomicBool>,
    /// Runs of scenarios a closed model has begun.
    pub(crate) iterations: AtomicU64,
    /// When somebody first saw that `stop` was set, in nanoseconds after the start; `u64::MAX`: not yet.
    pub(crate) stopped: AtomicU64,
}

/// What one sending thread gives to others while it runs.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    pub(crate) ticks: Arc<Ticks>,
    /// What happened since somebody last asked.
    pub(crate) moment: Mutex<Moment>,
    /// Arrivals that wait for a user.
    pub(crate) backlog: AtomicU64,
}

/// What is left of it when it is over.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) recorder: Recorder,
    pub(crate) usage: StageUsage,
    pub(crate) end: Duration,
}

/// Where the thread's time went, by stage.
#[derive(Clone, Debug, Default)]
pub(crate) struct StageUsage {
    pub(crate) stages: Vec<ThreadUsage>,
    pub(crate) cpu: Duration,
}

/// One sending thread.
pub(crate) struct Worker {
    pub(crate) shared: Arc<Shared>,
    pub(crate) reading: Reading,
    /// Connections that requests share; `None`: each user has its own.
    pub(crate) lanes: Option<Lanes>,
    pub(crate) recorder: RefCell<Recorder>,
    pub(crate) wheel: Wheel,
    /// When everything ends, answered or not.
    cut: Cell<Instant>,
    desk: Arc<Desk>,
    /// Number of this thread, and of all.
    shard: (usize, usize),
    /// This thread's arrivals that nobody has taken yet.
    cursor: RefCell<Cursor>,
    taken: Cell<u64>,
    users: Cell<usize>,
    busy: Cell<usize>,
    parked: RefCell<Vec<Rc<Slot>>>,
    /// Arrivals wait because every user there may be is at work, or did when it was over.
    full: Cell<bool>,
    /// The last busy user has become free.
    all_free: Notify,
    /// When it last said how it is going.
    published: Cell<Instant>,
    /// Connections opened so far: addresses take turns.
    turn: Cell<usize>,
}

/// What a user is handed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Task {
    pub(crate) index: u64,
    pub(crate) scenario: usize,
    pub(crate) planned: Duration,
    /// The user stood ready when the time came.
    pub(crate) free: bool,
}

/// Where a user without work waits.
#[derive(Debug, Default)]
struct Slot {
    task: Cell<Option<Task>>,
    waker: RefCell<Option<Waker>>,
}

/// Runs one sending thread to its end.
///
/// # Errors
/// The system gives no event loop.
pub(crate) fn run(shared: Arc<Shared>, desk: Arc<Desk>, shard: (usize, usize)) -> std::io::Result<Finished> {
    if shared.plan.target.tls.is_some() {
        tls::warm_up();
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())?;
    runtime.block_on(async move {
        let worker = Rc::new(Worker::new(shared, desk, shard));
        tokio::task::spawn_local(worker.wheel.clone().run());
        let usage = Rc::new(RefCell::new(StageUsage::default()));
        tokio::task::spawn_local(Rc::clone(&worker).beat(Rc::clone(&usage)));
        match worker.shared.plan.model {
            Model::Closed { .. } => worker.run_closed().await,
            _ => worker.run_open().await,
        }
        let end = worker.now();
        if worker.shared.stop.load(Ordering::Relaxed) {
            worker.note_stop();
        }
        worker.publish();
        let recorder = worker.recorder.replace(Recorder::new(&[], 0, Duration::ZERO, false));
        let mut usage = usage.take();
        usage.cpu = usage::thread_cpu();
        Ok(Finished { recorder, usage, end })
    })
}

impl Worker {
    fn new(shared: Arc<Shared>, desk: Arc<Desk>, shard: (usize, usize)) -> Self {
        let Shared { plan, prepared, start, .. } = &*shared;
        let length = plan.length() + plan.grace;
        let recorder = Recorder::new(&plan.stages, prepared.series.len(), length, plan.is_open());
        Self {
            reading: Reading::new(),
            lanes: Lanes::of(plan, shard),
            recorder: RefCell::new(recorder),
            wheel: Wheel::default(),
            cut: Cell::new(*start + length),
            cursor: RefCell::new(Cursor::new(plan)),
            taken: Cell::new(0),
            users: Cell::new(0),
            busy: Cell::new(0),
            parked: RefCell::default(),
            full: Cell::new(false),
            all_free: Notify::new(),
            published: Cell::new(*start),
            turn: Cell::new(shard.0),
            desk,
            shard,
            shared,
        }
    }

    /// Time since the start of the run.
    #[inline]
    pub(crate) fn now(&self) -> Duration {
        Instant::now().since(self.shared.start)
    }

    /// When everything ends, answered or not. May come closer.
    #[inline]
    pub(crate) fn cut(&self) -> Instant {
        self.cut.get()
    }

    /// Whether nothing new is to be begun.
    pub(crate) fn is_over(&self) -> bool {
        self.shared.stop.load(Ordering::Relaxed) || Instant::now() >= self.cut()
    }

    /// How many addresses there are to try.
    pub(crate) fn addresses(&self) -> usize {
        self.shared.plan.target.addresses.len()
    }

    /// Where the next connection goes.
    pub(crate) fn address(&self) -> SocketAddr {
        let addresses = &self.shared.plan.target.addresses;
        let turn = self.turn.replace(self.turn.get().wrapping_add(1));
        addresses[turn % addresses.len()]
    }

    /// Waits until `at` or the end, whichever is first.
    pub(crate) async fn sleep(&self, alarm: &Alarm, at: Instant) {
        std::future::poll_fn(|cx| alarm.poll(cx, at.min(self.cut()))).await;
    }

    /// Hands out arrivals as they come; returns when all have been dealt with.
    async fn run_open(self: &Rc<Self>) {
        loop {
            self.hand_out();
            let over = self.desk.ticks.is_over() && self.backlog() == 0;
            if self.busy.get() == 0 && (over || self.is_over()) {
                break;
            }
            tokio::select! {
                () = self.desk.ticks.news() => {}
                () = self.all_free.notified() => {}
            }
        }
        // Nobody was free for these until the end, or we did not get to them. All of a plan's arrivals are due by
        // now, whether or not the pacer has come to say so; of a stopped one only those that were handed out.
        let stopped = self.shared.stop.load(Ordering::Relaxed);
        let (now, free) = (self.now(), !self.full.get());
        while let Some(task) = if stopped { self.take(false) } else { self.take_any() } {
            self.recorder.borrow_mut().give_up(self.series_of(task), task.planned, now, free);
        }
    }

    /// This thread's part of the users.
    fn users_max(&self) -> usize {
        let users = share(self.shared.plan.users_max, self.shard);
        // Whoever could not be sent at once is no free user.
        self.lanes.as_ref().and_then(Lanes::capacity).map_or(users, |most| most.min(users))
    }

    /// Gives waiting arrivals to users without work, and to new ones.
    fn hand_out(self: &Rc<Self>) {
        if self.is_over() {
            return;
        }
        self.full.set(false);
        while self.backlog() > 0 && !self.is_over() {
            let parked = self.parked.borrow_mut().pop();
            if parked.is_none() && self.users.get() >= self.users_max() {
                self.full.set(true);
                return;
            }
            let Some(task) = self.take(true) else { return };
            self.busy.set(self.busy.get() + 1);
            match parked {
                Some(slot) => {
                    slot.task.set(Some(task));
                    if let Some(waker) = slot.waker.borrow_mut().take() {
                        waker.wake();
                    }
                }
                None => {
                    let number = self.users.get();
                    self.users.set(number + 1);
                    tokio::task::spawn_local(Rc::clone(self).open_user(number, task));
                }
            }
        }
    }

    /// A user of an open model: works on what it is handed, and on what waits.
    async fn open_user(self: Rc<Self>, number: usize, first: Task) {
        let mut user = User::new(&self, self.user_number(number));
        let slot = Rc::new(Slot::default());
        let mut task = first;
        loop {
            if user.run(task).await == Ran::Unanswered {
                // It may not have waited for anything, and others are to have their turn.
                tokio::task::yield_now().await;
            }
            task = match (!self.is_over()).then(|| self.take(false)).flatten() {
                Some(task) => task,
                None => self.park(&slot).await,
            };
        }
    }

    /// Waits to be handed something. A user who never is ends with its thread.
    async fn park(&self, slot: &Rc<Slot>) -> Task {
        self.busy.set(self.busy.get() - 1);
        if self.busy.get() == 0 {
            self.all_free.notify_one();
        }
        self.parked.borrow_mut().push(Rc::clone(slot));
        std::future::poll_fn(|cx| {
            if let Some(task) = slot.task.take() {
                return Poll::Ready(task);
            }
            *slot.waker.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Arrivals that have come and that nobody works on.
    fn backlog(&self) -> u64 {
        self.desk.ticks.released() - self.taken.get()
    }

    /// Takes the next arrival whose time has come, and counts it as planned.
    fn take(&self, free: bool) -> Option<Task> {
        if self.backlog() == 0 {
            return None;
        }
        let task = self.take_any()?;
        Some(Task { free, ..task })
    }

    /// Takes the next arrival, and counts it as planned.
    fn take_any(&self) -> Option<Task> {
        let (own, all) = (self.shard.0 as u64, self.shard.1 as u64);
        let planned = self.cursor.borrow_mut().find(|planned| planned.index % all == own)?;
        self.taken.set(self.taken.get() + 1);
        let Planned { index, at, scenario } = planned;
        let prepared = &self.shared.prepared;
        let scenario = match scenario {
            Some(scenario) => scenario as usize,
            None => prepared.choose(&mut choices(self.shared.plan.seed, index)),
        };
        let task = Task { index, scenario, planned: at, free: false };
        self.recorder.borrow_mut().plan(self.series_of(task), at);
        Some(task)
    }

    fn series_of(&self, task: Task) -> u16 {
        let steps = self.shared.prepared.scenarios.get(task.scenario).map(|scenario| &scenario.steps);
        steps.and_then(|steps| steps.first()).map_or(0, |step| step.series)
    }

    /// A closed model: every user asks again once answered.
    async fn run_closed(self: &Rc<Self>) {
        let stages = &self.shared.plan.stages;
        let most = stages.iter().map(|stage| stage.from.max(stage.to)).fold(0.0, f64::max);
        let mut users = Vec::new();
        let mut number = 0;
        while (self.user_number(number) as f64) < most {
            users.push(tokio::task::spawn_local(Rc::clone(self).closed_user(number)));
            number += 1;
        }
        self.users.set(number);
        for user in users {
            // One that panicked is missed when the counts are compared.
            let _ = user.await;
        }
    }

    async fn closed_user(self: Rc<Self>, number: usize) {
        let number = self.user_number(number);
        let mut user = User::new(&self, number);
        let alarm = self.wheel.alarm();
        let Shared { plan, prepared, start, iterations, .. } = &*self.shared;
        let Model::Closed { iterations: most } = plan.model else { return };
        // Before the start the clock stands still: whatever was sent then would seem to have taken no time.
        self.sleep(&alarm, *start).await;
        while !self.is_over() {
            let now = self.now();
            let Some(at) = wanted(&plan.stages, number as f64, now) else { return };
            if at > now {
                self.sleep(&alarm, *start + at).await;
                continue;
            }
            let index = iterations.fetch_add(1, Ordering::Relaxed);
            if most.is_some_and(|most| index >= most) {
                return;
            }
            let scenario = prepared.choose(&mut choices(plan.seed, index));
            let task = Task { index, scenario, planned: now, free: true };
            self.recorder.borrow_mut().plan(self.series_of(task), now);
            match user.run(task).await {
                Ran::Answered => {}
                Ran::Unanswered => self.sleep(&alarm, Instant::now() + REST).await,
                // There is nothing left to ask for.
                Ran::Exhausted => return,
            }
        }
    }

    /// The number of this thread's `n`-th user among all users.
    fn user_number(&self, n: usize) -> usize {
        n * self.shard.1 + self.shard.0
    }

    /// Says how it is going, again and again, and ends what has to end.
    async fn beat(self: Rc<Self>, usage: Rc<RefCell<StageUsage>>) {
        let stages: &[Stage] = &self.shared.plan.stages;
        usage.borrow_mut().stages = vec![ThreadUsage::default(); stages.len()];
        let mut beats = tokio::time::interval(BEAT);
        beats.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut before = usage::thread_usage();
        loop {
            beats.tick().await;
            let now = usage::thread_usage();
            // What is used after the last stage says nothing about any.
            if self.now() < self.shared.plan.length() {
                usage.borrow_mut().stages[stage_of(stages, self.now())].add(&now.since(&before));
            }
            before = now;
            self.publish();
            let stopping = self.shared.stop.load(Ordering::Relaxed);
            if stopping {
                self.note_stop();
            }
            let soon = Instant::now() + STOP_GRACE.min(self.shared.plan.grace);
            if stopping && self.cut() > soon {
                self.cut.set(soon);
                self.wheel.wake_all();
            }
            if stopping || Instant::now() >= self.cut() {
                // Whoever waits for arrivals looks again.
                self.all_free.notify_one();
            }
        }
    }

    /// Somebody has ended the run before its time.
    fn note_stop(&self) {
        let now = u64::try_from(self.now().as_nanos()).unwrap_or(u64::MAX);
        self.shared.stopped.fetch_min(now, Ordering::Relaxed);
    }

    fn publish(&self) {
        let now = Instant::now();
        let moment = self.recorder.borrow_mut().take_moment(now.since(self.published.replace(now)));
        self.desk.moment.lock().expect("no panic under this lock").merge(&moment);
        self.desk.backlog.store(self.backlog(), Ordering::Relaxed);
    }
}

/// One thread's part of a whole.
pub(crate) fn share(whole: usize, (own, all): (usize, usize)) -> usize {
    whole / all + usize::from(own < whole % all)
}
