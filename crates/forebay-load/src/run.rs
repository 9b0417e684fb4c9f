//! Runs a plan: paces it, sends it, counts it, and puts together what came of it.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use forebay_base::time::Instant;

use crate::arrival::{Cursor, stage_of};
use crate::hdr::Hdr;
use crate::lab;
use crate::outcome::{FORMAT, Generator, Machine, Outcome, Series, Tally};
use crate::pacer;
use crate::plan::{Model, Plan};
use crate::prepare::Prepared;
use crate::recorder::Moment;
use crate::usage;
use crate::verdict::Verdict;
use crate::window::Windows;
use crate::worker::{self, Desk, Finished, Shared, StageUsage};

/// How often the observer is told.
const TELL: Duration = Duration::from_millis(500);
/// A moment shorter than this has no rate.
const MOMENT_MIN: Duration = Duration::from_millis(90);
/// Between the making of threads and the first arrival.
const HEAD_START: Duration = Duration::from_millis(50);
/// The same where threads have to gather randomness first.
const HEAD_START_TLS: Duration = Duration::from_millis(250);
/// A thread that does not end this long after its time is given up.
const PATIENCE: Duration = Duration::from_secs(5);

/// How a run is going.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Since its start.
    pub elapsed: Duration,
    /// Of all stages together.
    pub length: Duration,
    /// Index of the stage.
    pub stage: usize,
    /// So far, as in `Tally`.
    pub planned: u64,
    /// So far, as in `Tally`.
    pub ok: u64,
    /// So far, as in `Tally`.
    pub errors: u64,
    /// So far, as in `Tally`.
    pub timeouts: u64,
    /// So far, as in `Tally`.
    pub not_started: u64,
    /// Requests sent and not answered.
    pub in_flight: u64,
    /// Arrivals that wait for a user.
    pub backlog: u64,
    /// Answers as expected per second, in the last moment.
    pub rate: f64,
    /// Of the response times of the last moment.
    pub p50: Option<Duration>,
    /// Of the response times of the last moment.
    pub p95: Option<Duration>,
    /// Of the response times of the last moment.
    pub p99: Option<Duration>,
}

/// Why there is no outcome.
#[derive(Debug)]
pub enum Error {
    /// The plan has nothing to run: what is missing.
    Empty(&'static str),
    /// The system gives no thread or event loop.
    System(io::Error),
    /// What the plan starts could not be started.
    Lab(lab::Error),
    /// A thread of the generator broke down: a defect.
    Broken,
}

/// Runs a plan to its end, or until `stop` is set; what there is then is the outcome. `observer` is told twice
/// a second how it is going. The verdict is left to whoever judges.
///
/// # Errors
/// The plan has no stage, scenario, step or address; the system gives no thread; a process of the plan cannot
/// be started.
pub fn run(
    plan: &Plan,
    stop: &Arc<AtomicBool>,
    observer: &mut (dyn FnMut(&Progress) + Send),
) -> Result<Outcome, Error> {
    check(plan)?;
    let mut lab = lab::Running::prepare(&plan.lab, &plan.stages, stop).map_err(Error::Lab)?;
    let ahead = if plan.target.tls.is_some() { HEAD_START_TLS } else { HEAD_START };
    let start = Instant::now() + ahead;
    let started = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default() + ahead;
    lab.begin(start);
    let shared = Arc::new(Shared {
        plan: plan.clone(),
        prepared: Prepared::new(plan),
        start,
        started,
        stop: Arc::clone(stop),
        iterations: AtomicU64::new(0),
        stopped: AtomicU64::new(u64::MAX),
    });
    let threads = Threads::start(&shared)?;
    threads.watch(&shared, observer);
    let took = Instant::now().since(start);
    let parts = threads.join(&shared)?;
    let outcome = parts.outcome(&shared, took);
    Ok(Outcome { lab: lab.finish(&outcome.timeline), ..outcome })
}

fn check(plan: &Plan) -> Result<(), Error> {
    let steps = plan.scenarios.iter().all(|scenario| !scenario.steps.is_empty());
    match plan {
        Plan { stages, .. } if stages.is_empty() || plan.length().is_zero() => Err(Error::Empty("stages")),
        Plan { scenarios, .. } if scenarios.is_empty() => Err(Error::Empty("scenarios")),
        Plan { target, .. } if target.addresses.is_empty() => Err(Error::Empty("an address")),
        _ if !steps => Err(Error::Empty("steps in a scenario")),
        _ => Ok(()),
    }
}

/// The generator's threads.
struct Threads {
    desks: Vec<Arc<Desk>>,
    workers: Vec<JoinHandle<io::Result<Finished>>>,
    pacer: Option<JoinHandle<(Hdr, Duration)>>,
    /// Closed when the last worker is done.
    done: mpsc::Receiver<()>,
}

/// What the threads leave.
struct Parts {
    workers: Vec<Finished>,
    pacing: Hdr,
    pacer_cpu: Duration,
}

impl Threads {
    fn start(shared: &Arc<Shared>) -> Result<Self, Error> {
        let count = workers(&shared.plan);
        let desks: Vec<Arc<Desk>> = (0..count).map(|_| Arc::default()).collect();
        let (last, done) = mpsc::channel::<()>();
        let mut workers = Vec::with_capacity(count);
        for (index, desk) in desks.iter().enumerate() {
            let (shared, desk, alive) = (Arc::clone(shared), Arc::clone(desk), last.clone());
            let work = move || {
                let finished = worker::run(shared, desk, (index, count));
                drop(alive);
                finished
            };
            workers.push(spawn(format!("load-{index}"), work)?);
        }
        let pacer = match shared.plan.model {
            Model::Closed { .. } => None,
            _ => {
                let ticks: Vec<_> = desks.iter().map(|desk| Arc::clone(&desk.ticks)).collect();
                let shared = Arc::clone(shared);
                let pace = move || {
                    let cursor = Cursor::new(&shared.plan);
                    let warm = shared.plan.stages.iter().take_while(|stage| stage.warmup);
                    let judged = warm.map(|stage| stage.length).sum();
                    let pacing = pacer::pace(cursor, &ticks, shared.start, judged, &shared.stop);
                    (pacing, usage::thread_cpu())
                };
                Some(spawn("load-pacer".to_owned(), pace)?)
            }
        };
        Ok(Self { desks, workers, pacer, done })
    }

    /// Tells the observer how it is going until it is over.
    fn watch(&self, shared: &Shared, observer: &mut (dyn FnMut(&Progress) + Send)) {
        let plan = &shared.plan;
        let mut progress = Progress { length: plan.length(), ..Progress::default() };
        loop {
            let waiting = self.done.recv_timeout(TELL);
            let now = Instant::now();
            let (moment, rate) = self.moment();
            progress.elapsed = now.since(shared.start);
            progress.stage = stage_of(&plan.stages, progress.elapsed);
            progress.add(&moment);
            // What is left at the very end is too short a moment for a rate.
            progress.rate = rate.unwrap_or(progress.rate);
            progress.backlog = self.desks.iter().map(|desk| desk.backlog.load(Ordering::Relaxed)).sum();
            observer(&progress);
            let late = progress.elapsed > progress.length + plan.grace + PATIENCE;
            if waiting == Err(mpsc::RecvTimeoutError::Disconnected) || late {
                return;
            }
        }
    }

    /// What happened since the last call, and answers as expected per second; `None`: there was no time.
    fn moment(&self) -> (Moment, Option<f64>) {
        let mut sum = Moment::default();
        let mut in_flight = 0;
        let mut rate = None;
        for desk in &self.desks {
            let mut moment = desk.moment.lock().expect("no panic under this lock");
            in_flight += moment.in_flight;
            if moment.span >= MOMENT_MIN {
                let own = moment.ok as f64 / moment.span.as_secs_f64();
                rate = Some(rate.unwrap_or(0.0) + own);
            }
            let left = Moment { in_flight: moment.in_flight, ..Moment::default() };
            sum.merge(&std::mem::replace(&mut *moment, left));
        }
        sum.in_flight = in_flight;
        (sum, rate)
    }

    fn join(self, shared: &Shared) -> Result<Parts, Error> {
        let (pacing, pacer_cpu) = match self.pacer {
            Some(pacer) => pacer.join().map_err(|_| Error::Broken)?,
            None => Default::default(),
        };
        let mut workers = Vec::with_capacity(self.workers.len());
        for worker in self.workers {
            if !worker.is_finished()
                && Instant::now() > shared.start + shared.plan.length() + shared.plan.grace + PATIENCE
            {
                return Err(Error::Broken);
            }
            workers.push(worker.join().map_err(|_| Error::Broken)?.map_err(Error::System)?);
        }
        Ok(Parts { workers, pacing, pacer_cpu })
    }
}

impl Progress {
    fn add(&mut self, moment: &Moment) {
        let Moment { planned, ok, errors, timeouts, not_started, response, in_flight, span: _ } = moment;
        self.planned += planned;
        self.ok += ok;
        self.errors += errors;
        self.timeouts += timeouts;
        self.not_started += not_started;
        self.in_flight = *in_flight;
        [self.p50, self.p95, self.p99] = [0.5, 0.95, 0.99].map(|quantile| response.quantile(quantile));
    }
}

impl Parts {
    fn outcome(self, shared: &Shared, took: Duration) -> Outcome {
        let Shared { plan, prepared, started, stop, .. } = shared;
        let mut generator = self.generator(plan, took);
        let mut series: Vec<Series> = prepared
            .series
            .iter()
            .map(|(step, tags)| Series {
                step: step.clone(),
                tags: tags.clone(),
                stages: vec![Tally::default(); plan.stages.len()],
            })
            .collect();
        let mut windows = Windows::new(plan.length() + plan.grace);
        let mut protocols = BTreeSet::new();
        let interrupted = stop.load(Ordering::Relaxed);
        let end = self.workers.iter().map(|worker| worker.end).max().unwrap_or(took);
        // The last arrival of an open plan may come, and be answered, well before its last stage is over.
        let loaded = match shared.stopped.load(Ordering::Relaxed) {
            u64::MAX if plan.is_open() => plan.length(),
            u64::MAX => end.min(plan.length()),
            stopped => Duration::from_nanos(stopped).min(plan.length()),
        };
        let end = end.max(loaded);
        for Finished { recorder, .. } in &self.workers {
            for (ours, theirs) in series.iter_mut().zip(&recorder.series) {
                for (ours, theirs) in ours.stages.iter_mut().zip(theirs) {
                    ours.merge(theirs);
                }
            }
            windows.merge(&recorder.windows);
            protocols.extend(&recorder.protocols);
        }
        generator.memory_max = usage::memory_max();
        Outcome {
            format: FORMAT,
            name: plan.name.clone(),
            target: plan.target.to_string(),
            tags: plan.tags.clone(),
            started_unix_ms: u64::try_from(started.as_millis()).unwrap_or(u64::MAX),
            machine: machine(),
            seed: plan.seed,
            model: match plan.model {
                Model::Open(_) => "open",
                Model::Closed { .. } => "closed",
                Model::Recorded(_) => "recorded",
            }
            .to_owned(),
            keep_alive: plan.keep_alive,
            protocols: protocols.into_iter().map(str::to_owned).collect(),
            users_max: plan.users_max,
            stages: plan.stages.clone(),
            took: end,
            loaded,
            interrupted,
            series,
            timeline: windows.into_timeline(),
            generator,
            lab: lab::LabOutcome::default(),
            verdict: Verdict::default(),
        }
    }

    fn generator(&self, plan: &Plan, took: Duration) -> Generator {
        let mut generator = Generator {
            workers: self.workers.len(),
            pacing: self.pacing.clone(),
            lags: vec![Hdr::default(); plan.stages.len()],
            ..Generator::default()
        };
        generator.cpu = self.pacer_cpu;
        for Finished { recorder, usage: StageUsage { stages, cpu }, .. } in &self.workers {
            for ((ours, theirs), stage) in generator.lags.iter_mut().zip(&recorder.lags).zip(&plan.stages) {
                ours.merge(theirs);
                if !stage.warmup {
                    generator.lag.merge(theirs);
                }
            }
            generator.unsent += recorder.unsent;
            generator.cpu += *cpu;
            // A thread too busy to look at its clock in time is seen by its sum.
            let whole = (cpu.as_secs_f64() / took.as_secs_f64().max(1e-3)).min(1.0);
            generator.busiest = generator.busiest.max(whole);
            generator.connects += recorder.connects;
            generator.resumed += recorder.resumed;
            generator.in_flight_max += recorder.in_flight_max;
            let judged = plan.stages.iter().zip(stages).filter(|(stage, _)| !stage.warmup);
            for (busy, waited) in judged.map(|(_, usage)| usage.shares()) {
                if busy + waited > generator.busiest + generator.starved {
                    (generator.busiest, generator.starved) = (busy, waited);
                }
            }
        }
        generator
    }
}

/// Threads that send.
fn workers(plan: &Plan) -> usize {
    let wanted = match plan.workers {
        0 => (cores() / 2).max(1),
        workers => workers,
    };
    // Each has at least one user, and a connection.
    let connections = plan.http2.connections.unwrap_or(usize::MAX);
    wanted.clamp(1, plan.users_max.min(connections).max(1))
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn machine() -> Machine {
    let system = rustix::system::uname();
    let part = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    Machine {
        forebay: env!("CARGO_PKG_VERSION").to_owned(),
        system: format!("{} {}", part(system.sysname()), part(system.release())),
        cores: cores(),
    }
}

fn spawn<T: Send + 'static>(
    name: String,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, Error> {
    std::thread::Builder::new().name(name).spawn(work).map_err(Error::System)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty(what) => write!(f, "the plan has nothing to run: give it {what}"),
            Self::System(error) => write!(f, "the system gives no thread or event loop: {error}"),
            Self::Lab(error) => error.fmt(f),
            Self::Broken => f.write_str("a thread of the load generator broke down: please report this"),
        }
    }
}

impl std::error::Error for Error {}
