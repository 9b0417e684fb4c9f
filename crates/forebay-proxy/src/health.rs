//! Asks endpoints, from the control plane, whether they are well.
//!
//! One task keeps the schedule of all endpoints and starts a probe when it is due; what its result means is the
//! supervisor's business. Workers send no probes: an endpoint gets one per interval, however many workers there
//! are.

mod grpc;
mod http;
mod http2;
mod probe;
mod schedule;
mod wire;

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use forebay_base::time::Instant;
use forebay_telemetry::log::{Event, Log};
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinError, JoinSet};

use crate::supervisor::{Supervisor, Target};
use probe::Failure;
use schedule::Schedule;

pub(crate) use wire::Speech;

/// Probes under way at a time. Those beyond it wait: a thousand dead endpoints may cost time, but neither
/// descriptors nor a burst of packets.
pub const PROBES_MAX: usize = 256;
/// Checks that begin so much later than planned are worth a line in the log,
const LATE: Duration = Duration::from_secs(5);
/// but not more often than this.
const LATE_AGAIN: Duration = Duration::from_secs(60);
/// After looking at the targets, so many times as long as that took goes to other things: with a hundred thousand
/// endpoints under names of short lives, nothing else would be done.
const REST: u32 = 9;

/// Checks every endpoint that is to be checked. Clones are handles of the same checker.
#[derive(Clone, Debug)]
pub struct Checker {
    supervisor: Arc<Supervisor>,
    log: Log,
    shared: Arc<Shared>,
}

/// Between `Checker::run` and those who wait for it.
#[derive(Debug, Default)]
struct Shared {
    progress: watch::Sender<Progress>,
    /// Somebody wants the targets to be looked at again.
    asked: Notify,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Progress {
    /// How often the targets have been looked at.
    looks: u64,
    /// How many of them have not been checked yet.
    unchecked: usize,
}

/// What `Checker::run` keeps.
struct Round {
    checker: Checker,
    schedule: Schedule,
    probes: JoinSet<(Arc<Target>, Result<(), Failure>)>,
    /// By the target's id. At most `PROBES_MAX`.
    running: HashMap<u64, AbortHandle>,
    said_late: Option<Instant>,
    /// When the targets are looked at again; `None`: there is no news.
    next_look: Option<Instant>,
    /// Not before this.
    rest_until: Instant,
}

impl Checker {
    /// A checker of what `supervisor` wants checked; it begins with `run`.
    #[must_use]
    pub fn new(supervisor: Arc<Supervisor>, log: Log) -> Self {
        Self { supervisor, log, shared: Arc::default() }
    }

    /// Checks until it is dropped, which ends the probes under way. Needs a tokio runtime, the control plane's.
    pub async fn run(self) {
        let shared = Arc::clone(&self.shared);
        let supervisor = Arc::clone(&self.supervisor);
        let mut round = Round::new(self);
        round.look();
        loop {
            let now = Instant::now();
            if round.next_look.is_some_and(|at| at <= now) {
                round.look();
            }
            round.start_due(now);
            let next = round.next_look.unwrap_or(Instant::NEVER).min(round.next_start());
            let due = pin!(sleep_until(next));
            tokio::select! {
                () = supervisor.targets_changed(), if round.next_look.is_none() => round.hear(Instant::now()),
                () = shared.asked.notified() => round.look(),
                Some(ended) = round.probes.join_next() => round.settle(ended, Instant::now()),
                () = due => {}
            }
        }
    }

    /// Waits until everything that is to be checked has been checked once, or `limit` has passed. Returns how
    /// many endpoints have not been checked. Needs `run` to run.
    pub async fn first_round(&self, limit: Duration) -> usize {
        let mut progress = self.shared.progress.subscribe();
        // What is known now may be older than the targets of this moment.
        let before = progress.borrow_and_update().looks;
        self.shared.asked.notify_one();
        let complete = progress.wait_for(|now| now.looks > before && now.unchecked == 0);
        let complete = tokio::time::timeout(limit, complete).await.is_ok();
        if complete { 0 } else { self.shared.progress.borrow().unchecked }
    }
}

impl Round {
    fn new(checker: Checker) -> Self {
        let (schedule, probes, running) = (Schedule::default(), JoinSet::new(), HashMap::new());
        let rest_until = Instant::default();
        Self { checker, schedule, probes, running, said_late: None, next_look: None, rest_until }
    }

    /// There is news: the targets are looked at as soon as it is time.
    fn hear(&mut self, now: Instant) {
        self.next_look = Some(now.max(self.rest_until));
    }

    /// Takes over what the supervisor wants checked now.
    fn look(&mut self) {
        let began = Instant::now();
        let targets = self.checker.supervisor.targets();
        for id in self.schedule.update(targets, began) {
            if let Some(probe) = self.running.remove(&id) {
                probe.abort();
            }
        }
        let unchecked = self.schedule.unchecked();
        self.checker.shared.progress.send_modify(|progress| {
            progress.looks += 1;
            progress.unchecked = unchecked;
        });
        let now = Instant::now();
        self.next_look = None;
        self.rest_until = now + now.since(began) * REST;
    }

    /// Starts as many of the probes that are due as there may be.
    fn start_due(&mut self, now: Instant) {
        while self.probes.len() < PROBES_MAX
            && let Some((target, late)) = self.schedule.take_due(now)
        {
            self.say_late(late, now);
            let id = target.id;
            let probe = self.probes.spawn(async move {
                let result = probe::probe(&target).await;
                (target, result)
            });
            self.running.insert(id, probe);
        }
    }

    /// When the next probe may start by the mere passing of time.
    fn next_start(&self) -> Instant {
        let due = self.schedule.next_due().unwrap_or(Instant::NEVER);
        if self.probes.len() < PROBES_MAX { due } else { Instant::NEVER }
    }

    /// A probe has ended.
    fn settle(&mut self, ended: Result<(Arc<Target>, Result<(), Failure>), JoinError>, now: Instant) {
        let (target, result) = match ended {
            Ok(ended) => ended,
            Err(error) => match self.broken_off(&error) {
                Some(target) => (target, Err(Failure::Endpoint("the check itself failed".into()))),
                None => return,
            },
        };
        self.running.remove(&target.id);
        let next = match result {
            Ok(()) => self.checker.supervisor.checked(&target, Ok(()), now),
            Err(Failure::Endpoint(met)) => self.checker.supervisor.checked(&target, Err(met), now),
            // This machine's trouble says nothing about the endpoint.
            Err(Failure::Local(error)) => {
                self.checker.log.emit(&Event::CheckFailed {
                    service: &target.service,
                    endpoint: &target.address,
                    error: &error,
                });
                self.schedule.postpone(target.id, target.health.interval, now);
                return;
            }
        };
        self.schedule.checked(target.id, next, now);
        let unchecked = self.schedule.unchecked();
        self.checker
            .shared
            .progress
            .send_if_modified(|progress| std::mem::replace(&mut progress.unchecked, unchecked) != unchecked);
    }

    /// The target of a probe that panicked; `None` if it was aborted because its target had gone.
    fn broken_off(&self, error: &JoinError) -> Option<Arc<Target>> {
        let id = self.running.iter().find(|(_, probe)| probe.id() == error.id()).map(|(id, _)| *id)?;
        self.schedule.target(id)
    }

    fn say_late(&mut self, late: Duration, now: Instant) {
        if late >= LATE && self.said_late.is_none_or(|said| now.since(said) >= LATE_AGAIN) {
            self.said_late = Some(now);
            self.checker.log.emit(&Event::ChecksLate { late, targets: self.schedule.len() });
        }
    }
}

async fn sleep_until(due: Instant) {
    if due == Instant::NEVER {
        return std::future::pending().await;
    }
    tokio::time::sleep(due.since(Instant::now())).await;
}

#[cfg(test)]
mod tests;
