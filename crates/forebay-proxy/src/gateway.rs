//! The workers and their control: start, open the doors, change the plan, drain, stop.

pub(crate) mod accept;
pub(crate) mod arrival;
mod supervise;

use std::collections::HashSet;
use std::io;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use forebay_base::time::Instant;
use forebay_net::address::Address;
use forebay_net::h3::Line;
use forebay_net::listen::Listener;
use forebay_telemetry::access::AccessLog;
use forebay_telemetry::log::Log;
use forebay_telemetry::recording::Recording;
use forebay_telemetry::stats::Telemetry;
use tokio::runtime::LocalOptions;
use tokio::sync::{mpsc, oneshot};

use crate::census::Census;
use crate::challenge::Challenges;
use crate::discovery::{Discovery, ReadEndpoints};
use crate::health::Checker;
use crate::http3;
use crate::plan::Plan;
use crate::split::Writers;
use crate::supervisor::Supervisor;
use crate::upstream::{Making, News, Queues, Registry, Warm};
use crate::worker::{Active, Worker};

/// Orders waiting for a worker; it takes them at once, so more only pile up when it is stuck.
const ORDERS_MAX: usize = 16;
/// Idle connections are kept this long while draining, for requests that are already on their way.
const DRAIN_IDLE: Duration = Duration::from_secs(1);
/// The same when another process has taken over and nobody is in a hurry: the longer, the more of them end with the
/// answer to a request, and not in the moment in which one is sent.
const HANDOVER_IDLE: Duration = Duration::from_secs(5);
/// Whether the last connection has ended is looked at this often while draining.
const DRAIN_LOOK: Duration = Duration::from_millis(5);
/// Where connections end with a packet of our own, it is sent within this.
const LAST_WORDS: Duration = Duration::from_millis(20);
/// A worker's chores are done this often.
const TICK: Duration = Duration::from_secs(1);
/// Access lines are handed over at least this often.
const FLUSH_EVERY: Duration = Duration::from_millis(200);

/// What a gateway starts with.
pub struct Start<'a> {
    /// For each worker, its own doors. Their number is the number of workers.
    pub doors: Vec<Vec<Door>>,
    /// The same for HTTP/3; those without have none.
    pub gates: Vec<Vec<Gate>>,
    /// The first plan.
    pub plan: Arc<Plan>,
    /// Where workers count; made for as many workers.
    pub telemetry: Arc<Telemetry>,
    /// Where they write access records, if anywhere.
    pub access: Option<&'a AccessLog>,
    /// Where they write down requests, if the plan says so.
    pub recording: Option<Recording>,
    /// Where to say what an operator should know.
    pub log: Log,
    /// Client connections that the process has file descriptors for, whatever the settings allow.
    pub connections_cap: usize,
    /// What certificate authorities may ask for.
    pub challenges: Arc<Challenges>,
    /// How files of endpoints are read.
    pub read_endpoints: ReadEndpoints,
    /// Done once endpoints are known, before the first check: what settings do not tell of them.
    pub restore: Box<dyn FnOnce(&Supervisor) + 'a>,
    /// The first health checks are waited for so long before the workers are made. Zero: not at all.
    pub checks_wait: Duration,
}

/// Where a worker's clients come in.
#[derive(Debug)]
pub struct Door {
    /// Bound; it must not block.
    pub socket: Listener,
    /// Which of `Plan::listeners` it is.
    pub listener: usize,
}

/// Where a worker's clients come in by HTTP/3.
#[derive(Debug)]
pub struct Gate {
    /// The UDP socket.
    pub line: Line,
    /// Which of `Plan::listeners` it is.
    pub listener: usize,
}

/// A running gateway.
pub struct Gateway {
    workers: Vec<Handle>,
    supervisor: Arc<Supervisor>,
    discovery: Discovery,
    checker: Checker,
    census: Arc<Census>,
    telemetry: Arc<Telemetry>,
    plan: Mutex<Arc<Plan>>,
    /// Connections that were still open when draining had to end.
    cut: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Handle {
    orders: mpsc::Sender<Order>,
    thread: JoinHandle<()>,
}

/// What the control plane tells a worker.
#[derive(Debug)]
enum Order {
    /// Begin to accept clients.
    Open,
    Install(Arc<Plan>, Option<Recording>),
    /// What another worker or the control plane has to say.
    Hear(News),
    /// Say that you are alive.
    Answer(oneshot::Sender<()>),
    /// Finish what is in flight. Said again, it changes until when.
    Drain(Drain),
}

/// How to come to an end.
#[derive(Clone, Debug)]
struct Drain {
    /// What is not finished then is cut off.
    until: Instant,
    /// Addresses where somebody else goes on listening, with the same sockets.
    kept: Arc<[Address]>,
}

impl Gateway {
    /// Starts the workers; they accept nobody before `open`. Names and files that lead to endpoints are asked first,
    /// as far as they answer soon.
    /// Must be called within a tokio runtime, the control plane's.
    ///
    /// # Errors
    /// A thread or its event loop cannot be made, or what is to be offered by HTTP/3 is of no use.
    pub async fn start(start: Start<'_>) -> io::Result<Self> {
        let Start {
            doors,
            gates,
            plan,
            telemetry,
            access,
            recording,
            log,
            connections_cap,
            challenges,
            read_endpoints,
            restore,
            checks_wait,
        } = start;
        let registry = Arc::new(Registry::default());
        let census = Arc::new(Census::default());
        let supervisor = Arc::new(Supervisor::new(Arc::clone(&registry), log.clone()));
        supervisor.reconcile(&plan, Instant::now());
        let numbers = Arc::clone(&supervisor);
        telemetry.supervise(move || numbers.numbers());
        let discovery = Discovery::new(Arc::clone(&supervisor) as _, read_endpoints, log.clone());
        discovery.follow(&plan).await;
        restore(&supervisor);
        let checker = Checker::new(Arc::clone(&supervisor), log.clone());
        tokio::spawn(checker.clone().run());
        if !checks_wait.is_zero() {
            checker.first_round(checks_wait).await;
        }
        let cut = Arc::new(AtomicUsize::new(0));
        let writers = Writers::default();
        let mut workers = Vec::new();
        if gates.iter().any(|gates| !gates.is_empty()) {
            // What is wrong with it is better known now than when the first client comes.
            http3::server(&plan).map_err(io::Error::other)?;
        }
        let gates = gates.into_iter().chain(std::iter::repeat_with(Vec::new));
        for (index, (doors, gates)) in doors.into_iter().zip(gates).enumerate() {
            let (orders, inbox) = mpsc::channel(ORDERS_MAX);
            let birth = Birth {
                index,
                doors,
                gates,
                plan: Arc::clone(&plan),
                registry: Arc::clone(&registry),
                writers: writers.clone(),
                census: Arc::clone(&census),
                telemetry: Arc::clone(&telemetry),
                access: access.map(AccessLog::sink),
                recording: recording.clone(),
                log: log.clone(),
                cut: Arc::clone(&cut),
                connections_cap,
                challenges: Arc::clone(&challenges),
                inbox,
            };
            let (born, ready) = oneshot::channel();
            let name = format!("worker-{index}");
            let thread = std::thread::Builder::new().name(name).spawn(move || birth.live(born))?;
            ready.await.map_err(|_| io::Error::other("a worker ended before it began"))??;
            workers.push(Handle { orders, thread });
        }
        let senders: Vec<_> = workers.iter().map(|worker| worker.orders.clone()).collect();
        registry.on_news(move |news| {
            for sender in &senders {
                // A worker with a full inbox looks around anyway, if not at once.
                let _ = sender.try_send(Order::Hear(news.clone()));
            }
        });
        let (tell, reports) = mpsc::channel(supervise::REPORTS_MAX);
        registry.on_report(move |report| {
            let _ = tell.try_send(report);
        });
        let supervising = supervise::supervise(Arc::clone(&supervisor), Arc::clone(&telemetry), reports);
        tokio::spawn(supervising);
        Ok(Self { workers, supervisor, discovery, checker, census, telemetry, plan: Mutex::new(plan), cut })
    }

    /// Lets clients in. Nothing can go wrong in here, so this comes after everything that can.
    pub async fn open(&self) {
        for worker in &self.workers {
            // One that has ended has said why.
            let _ = worker.orders.send(Order::Open).await;
        }
    }

    /// Serves new requests by `plan`, and writes down those of them it says in `recording`; those in flight
    /// keep the plan they began with.
    pub async fn install(&self, plan: Arc<Plan>, recording: Option<Recording>) {
        self.supervisor.reconcile(&plan, Instant::now());
        self.discovery.follow(&plan).await;
        for worker in &self.workers {
            // A worker that has ended needs no plan.
            let _ = worker.orders.send(Order::Install(Arc::clone(&plan), recording.clone())).await;
        }
        let is_there = self.supervisor.has();
        let routes: HashSet<&str> = plan.routes.iter().map(|route| &*route.name).collect();
        self.telemetry.retain(|route| routes.contains(route), is_there);
        *self.lock() = plan;
    }

    /// Waits until every endpoint that is to be checked has been, at most for `limit`; how many have not.
    pub async fn checked(&self, limit: Duration) -> usize {
        self.checker.first_round(limit).await
    }

    /// The plan that new requests are served by.
    #[must_use]
    pub fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.lock())
    }

    /// What all workers count.
    #[must_use]
    pub fn telemetry(&self) -> &Arc<Telemetry> {
        &self.telemetry
    }

    /// What is known of endpoints.
    #[must_use]
    pub fn supervisor(&self) -> &Arc<Supervisor> {
        &self.supervisor
    }

    /// Client connections open now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.census.open()
    }

    /// Whether every worker does what it is told. Waits until it does.
    pub async fn answers(&self) {
        for worker in &self.workers {
            let (told, answer) = oneshot::channel();
            // One that has ended is not stuck.
            if worker.orders.send(Order::Answer(told)).await.is_ok() {
                let _ = answer.await;
            }
        }
    }

    /// Takes no new connections, finishes requests in flight, and returns when all are done or `limit` has
    /// passed: how many connections were cut off then. Called again meanwhile, the limit is the new one.
    ///
    /// Where somebody else goes on listening with the same sockets, at the addresses `kept`, they are just let
    /// go of: who waits there is served by them.
    pub async fn drain(&self, limit: Duration, kept: &[Address]) -> usize {
        let order = Drain { until: Instant::now() + limit, kept: kept.into() };
        for worker in &self.workers {
            // One that has ended has nothing to drain.
            let _ = worker.orders.send(Order::Drain(order.clone())).await;
        }
        for worker in &self.workers {
            worker.orders.closed().await;
        }
        self.cut.load(Ordering::Acquire)
    }

    /// Waits for the workers to end, after `drain`.
    pub fn join(self) {
        for worker in self.workers {
            // A worker that panicked has said so already.
            let _ = worker.thread.join();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Arc<Plan>> {
        self.plan.lock().expect("no panic under this lock")
    }
}

/// What a worker thread is born with.
struct Birth {
    index: usize,
    doors: Vec<Door>,
    gates: Vec<Gate>,
    plan: Arc<Plan>,
    registry: Arc<Registry>,
    writers: Writers,
    census: Arc<Census>,
    telemetry: Arc<Telemetry>,
    access: Option<forebay_telemetry::access::AccessSink>,
    recording: Option<Recording>,
    log: Log,
    cut: Arc<AtomicUsize>,
    connections_cap: usize,
    challenges: Arc<Challenges>,
    inbox: mpsc::Receiver<Order>,
}

impl Birth {
    /// Works until told to drain. Says first whether it can.
    fn live(self, born: oneshot::Sender<io::Result<()>>) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
        // Nobody waits for the word any more: then the control plane is ending, and so do we, at the first
        // look into the inbox.
        match runtime {
            Ok(runtime) => {
                if self.plan.tls.is_some() || self.plan.services.iter().any(|service| service.tls.is_some()) {
                    forebay_net::tls::warm_up();
                }
                let _ = born.send(Ok(()));
                let (worker, inbox) = runtime.block_on(self.work());
                // What is still being served ends with its task, and leaves its account.
                drop(runtime);
                worker.flush_access();
                worker.flush_recording();
                // Tells the control plane that we are done.
                drop(inbox);
            }
            Err(error) => {
                let _ = born.send(Err(error));
            }
        }
    }

    /// Works until told to drain, and then until all is done or time is up.
    async fn work(self) -> (Rc<Worker>, mpsc::Receiver<Order>) {
        let Self {
            index,
            doors,
            gates,
            plan,
            registry,
            writers,
            census,
            telemetry,
            access,
            recording,
            log,
            cut,
            connections_cap,
            challenges,
            mut inbox,
        } = self;
        let stats = telemetry.worker(index);
        let flushes = access.is_some();
        let making = Making {
            registry,
            stats: Arc::clone(&stats),
            warm: Warm::default(),
            queues: Queues::default(),
            seed: seed(index),
        };
        let active = Active::new(plan, None, &making, &writers, recording.as_ref());
        drop(recording);
        let worker =
            Rc::new(Worker::new(active, stats, census, access, log, connections_cap, challenges, making));
        tokio::task::spawn_local(worker.wheel.clone().run());
        let stop = Rc::new(accept::Stop::default());
        let mut doors = Doors { closed: doors, gates, accepting: Vec::new(), stop: Rc::clone(&stop) };
        if flushes {
            tokio::task::spawn_local(flush(Rc::clone(&worker)));
        }
        let Drain { mut until, kept } = serve(&worker, &mut inbox, &mut doors).await;
        let idle = if kept.is_empty() { DRAIN_IDLE } else { HANDOVER_IDLE };
        worker.drain(until.min(Instant::now() + idle));
        stop.stop(kept);
        for task in doors.accepting {
            // Only a panic keeps it from ending, and that has been reported.
            let _ = task.await;
        }
        let mut ticked = Instant::now();
        while worker.open.get() + stop.arriving() > 0 && Instant::now() < until {
            match tokio::time::timeout(DRAIN_LOOK, inbox.recv()).await {
                Ok(Some(Order::Drain(again))) => until = again.until,
                // What is in flight may wait for an endpoint, or have to leave one.
                Ok(Some(Order::Hear(news))) => worker.hear(&news),
                Ok(Some(Order::Answer(told))) => drop(told.send(())),
                // New plans are for new requests, and there are no new clients any more.
                Ok(Some(Order::Install(..) | Order::Open)) | Err(_) => {}
                Ok(None) => break,
            }
            let now = Instant::now();
            if now.since(ticked) >= TICK {
                ticked = now;
                worker.tick(now);
            }
        }
        cut.fetch_add(worker.open.get(), Ordering::Release);
        // By QUIC the last word to those who have been served may not have been sent either.
        stop.cut(LAST_WORDS).await;
        (worker, inbox)
    }
}

/// The doors of a worker.
struct Doors {
    closed: Vec<Door>,
    /// The same for HTTP/3.
    gates: Vec<Gate>,
    accepting: Vec<tokio::task::JoinHandle<()>>,
    stop: Rc<accept::Stop>,
}

impl Doors {
    fn open(&mut self, worker: &Rc<Worker>) {
        for door in self.closed.drain(..) {
            let task = accept::accept(Rc::clone(worker), door, Rc::clone(&self.stop));
            self.accepting.push(tokio::task::spawn_local(task));
        }
        for gate in self.gates.drain(..) {
            let stop = Rc::clone(&self.stop);
            let task = http3::serve(Rc::clone(worker), gate, stop);
            self.accepting.push(tokio::task::spawn_local(task));
        }
    }
}

/// Carries out orders and the second's chores until told to drain; returns how.
async fn serve(worker: &Rc<Worker>, inbox: &mut mpsc::Receiver<Order>, doors: &mut Doors) -> Drain {
    let mut second = tokio::time::interval(TICK);
    second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            order = inbox.recv() => match order {
                Some(Order::Open) => doors.open(worker),
                Some(Order::Install(plan, recording)) => {
                    worker.install(plan, recording.as_ref());
                }
                Some(Order::Hear(news)) => worker.hear(&news),
                // Who asked may have stopped waiting.
                Some(Order::Answer(told)) => drop(told.send(())),
                Some(Order::Drain(drain)) => return drain,
                // The control plane is gone; there is nobody left to wait for.
                None => return Drain { until: Instant::now(), kept: Arc::default() },
            },
            _ = second.tick() => worker.tick(Instant::now()),
        }
    }
}

async fn flush(worker: Rc<Worker>) {
    loop {
        tokio::time::sleep(FLUSH_EVERY).await;
        worker.flush_access();
    }
}

/// A number that differs from process to process and worker to worker, from the system's own randomness.
fn seed(index: usize) -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(index)
}
