//! Let the binary on disk take this process's place, without a client noticing.
//!
//! The new process gets every listening socket as it is, so that who waits in a queue is served by one or the
//! other. It accepts nobody before everything that can fail is behind it and this one has let it go; from then on it
//! is not ended any more. Only once it serves does this one stop accepting; if it never does, nothing has changed.

mod heir;
mod place;
mod program;
mod wire;

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Child;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use forebay_base::time::Instant;
use forebay_net::address::Address;
use forebay_telemetry::log::{Event, Log};
use rustix::net::sockopt::socket_peercred;
use rustix::process::{Pid, Signal, WaitOptions, getuid, kill_process, waitpid};
use serde_json::Value;
use tokio::sync::{oneshot, watch};

use super::sockets::{Group, Sockets};
pub(crate) use heir::Heir;
pub(super) use heir::Opening;
use place::Place;
pub(super) use program::Program;
use wire::Answer;

/// A new process that does not serve after this long is ended.
const READY_WAIT: Duration = Duration::from_secs(30);
/// While it is waited for, its life and our own orders are looked at this often.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// It asks for the sockets before anything else. A program that does not has never heard of this.
const CALL_WAIT: Duration = Duration::from_secs(5);
/// Longest wait for it to accept clients once it may. All that could fail is behind it by then.
const OPEN_WAIT: Duration = Duration::from_secs(5);
/// One that is told to end may take so long before it is killed: it may be a gateway that has begun to serve by
/// itself.
const FAREWELL: Duration = Duration::from_secs(3);
/// Longest wait for it to take what it is handed.
const OFFER_WAIT: Duration = Duration::from_secs(5);
/// One that broke off may take so long to be gone, for its status to be told.
const LAST_BREATH: Duration = Duration::from_secs(1);

/// Knows how this process is replaced, and sees to it that it happens once.
pub(super) struct Upgrader {
    program: io::Result<Program>,
    log: Log,
    sockets: Sockets,
    /// What the new process should know beside its settings.
    state: Box<dyn Fn() -> Value + Send + Sync>,
    stage: watch::Sender<Stage>,
}

/// How far it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// We serve.
    Idle,
    /// We serve, and a new process is getting ready.
    Starting,
    /// We have let it go: it serves at any moment, and we change nothing any more.
    Going,
    /// We were told to end: the process that is getting ready is not wanted any more.
    Cancelled,
    /// We end without a successor.
    Ending,
    /// Another process serves.
    Succeeded(Successor),
}

/// The process that serves in our place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Successor {
    pub(super) pid: u32,
    /// Where it goes on listening: those sockets are shared with it.
    pub(super) kept: Vec<Address>,
}

impl Upgrader {
    /// `program` is what this process was started as; `state` is asked when there is a new one to tell.
    pub(super) fn new(
        program: io::Result<Program>,
        log: Log,
        sockets: Sockets,
        state: impl Fn() -> Value + Send + Sync + 'static,
    ) -> Self {
        Self { program, log, sockets, state: Box::new(state), stage: watch::Sender::new(Stage::Idle) }
    }

    /// Starts the binary on disk in our place; returns its process id once it serves. Whoever asked may go
    /// away: what was begun goes on.
    ///
    /// # Errors
    /// Why nothing has changed.
    pub(super) async fn upgrade(self: &Arc<Self>) -> Result<u32, String> {
        let (told, outcome) = oneshot::channel();
        let this = Arc::clone(self);
        let work = move || {
            let result = this.begin().and_then(|program| {
                // Whatever happens, the stage must move on: stopping waits for it.
                let replaced = catch_unwind(AssertUnwindSafe(|| this.replace(program, READY_WAIT)));
                this.settle(replaced.unwrap_or_else(|_| Err(BROKE_OFF.to_owned())))
            });
            // Nobody may wait for it any more.
            let _ = told.send(this.tell(result));
        };
        // It waits for another process, and would hold up everything else here.
        if let Err(error) = thread::Builder::new().name("upgrade".to_owned()).spawn(work) {
            return self.tell(Err(format!("cannot make a thread: {error}")));
        }
        outcome.await.unwrap_or_else(|_| Err(BROKE_OFF.to_owned()))
    }

    /// Waits until another process serves in our place.
    pub(super) async fn succeeded(&self) {
        let mut stages = self.stage.subscribe();
        // The sender is ours, so the wait ends only with what is waited for.
        let _ = stages.wait_for(|stage| matches!(stage, Stage::Succeeded(_))).await;
    }

    /// No upgrade from now on, and none that is under way succeeds; returns who serves if one has.
    pub(super) async fn end(&self) -> Option<Successor> {
        let mut stages = self.stage.subscribe();
        loop {
            self.stage.send_modify(|stage| match stage {
                Stage::Idle => *stage = Stage::Ending,
                Stage::Starting => *stage = Stage::Cancelled,
                Stage::Going | Stage::Cancelled | Stage::Ending | Stage::Succeeded(_) => {}
            });
            let under_way =
                |stage: &Stage| matches!(stage, Stage::Starting | Stage::Going | Stage::Cancelled);
            match &*stages.wait_for(|stage| !under_way(stage)).await.ok()? {
                Stage::Succeeded(successor) => return Some(successor.clone()),
                Stage::Ending => return None,
                // One that had been let go has ended all the same.
                _ => {}
            }
        }
    }

    /// Does something to what the new process is told of our state; `None`: it has been told already.
    pub(super) fn while_in_charge<T>(&self, act: impl FnOnce() -> T) -> Option<T> {
        // Held meanwhile, so that the stage cannot change.
        let stage = self.stage.borrow();
        (!matches!(*stage, Stage::Going | Stage::Succeeded(_))).then(act)
    }

    /// Closes our second descriptors of the sockets: see `Sockets::release`.
    pub(super) fn release_sockets(&self, kept: &[Address]) -> Vec<Address> {
        self.sockets.release(kept)
    }

    /// Claims the one upgrade there may be at a time.
    fn begin(&self) -> Result<&Program, String> {
        if std::process::id() == 1 {
            return Err("this process is the first of its container, which would end with it: \
                        start a new container instead"
                .to_owned());
        }
        let program = self.program.as_ref();
        let program = program.map_err(|error| format!("cannot tell which binary this is: {error}"))?;
        let mut busy = None;
        self.stage.send_if_modified(|stage| match stage {
            Stage::Idle => {
                *stage = Stage::Starting;
                true
            }
            other => {
                busy = Some(other.clone());
                false
            }
        });
        match busy {
            None => Ok(program),
            Some(Stage::Succeeded(successor)) => {
                Err(format!("process {} has taken over already", successor.pid))
            }
            Some(Stage::Cancelled | Stage::Ending) => Err(ENDING.to_owned()),
            Some(_) => Err("an upgrade is under way already".to_owned()),
        }
    }

    /// What has come of it.
    fn settle(&self, result: Result<Successor, String>) -> Result<u32, String> {
        self.stage.send_modify(|stage| {
            *stage = match &result {
                Ok(successor) => Stage::Succeeded(successor.clone()),
                Err(_) if *stage == Stage::Cancelled => Stage::Ending,
                Err(_) => Stage::Idle,
            };
        });
        result.map(|successor| successor.pid)
    }

    fn tell(&self, result: Result<u32, String>) -> Result<u32, String> {
        match &result {
            Ok(pid) => self.log.emit(&Event::Upgraded { pid: *pid }),
            Err(reason) => self.log.emit(&Event::UpgradeFailed { reason }),
        }
        result
    }

    /// Starts the new process, hands everything over, and waits until it serves. It is ended if that fails.
    fn replace(&self, program: &Program, limit: Duration) -> Result<Successor, String> {
        let began = Instant::now();
        let groups = self.sockets.again().map_err(|error| format!("cannot hand sockets over: {error}"))?;
        let place =
            Place::make().map_err(|error| format!("cannot make a socket to hand over at: {error}"))?;
        self.log.emit(&Event::Upgrading { binary: program.path() });
        let child = program.start(place.path());
        let child = child.map_err(|error| format!("cannot start {}: {error}", program.path().display()))?;
        let mut started = Started { child, let_go: false };
        let patience = |limit, late| Patience { until: began + limit, limit, late, stage: &self.stage };
        let stream = await_caller(&place, &mut started, &patience(limit.min(CALL_WAIT), "did not call"))?;
        drop(place);
        let patience = patience(limit, "was not ready");
        match talk(&stream, &groups, &(self.state)(), &mut started, &patience)? {
            Answer::Ready { kept } => self.let_go(&stream, started, kept),
            Answer::Failed { why } => Err(why),
        }
    }

    /// Tells the new process to serve, and waits until it does.
    fn let_go(
        &self,
        stream: &UnixStream,
        mut started: Started,
        kept: Vec<Address>,
    ) -> Result<Successor, String> {
        let wanted = self.stage.send_if_modified(|stage| {
            let wanted = *stage == Stage::Starting;
            if wanted {
                *stage = Stage::Going;
            }
            wanted
        });
        if !wanted {
            return Err(ENDING.to_owned());
        }
        // It begins only with the whole of it.
        wire::go(stream, &(self.state)()).map_err(|error| broke_off(&mut started, &error))?;
        started.let_go = true;
        let until = Instant::now() + OPEN_WAIT;
        let check = || {
            let late = || (Instant::now() >= until).then(String::new);
            started.ended().or_else(late).map_or(Ok(()), Err)
        };
        let opened = wire::await_opened(&mut Watched { stream, check, why: &mut None });
        match opened.err().and_then(|_| started.last_breath()) {
            // It never came to accept anybody, or does not any more: we serve on.
            Some(ended) => Err(ended),
            None => Ok(Successor { pid: started.child.id(), kept }),
        }
    }
}

const ENDING: &str = "this process was told to end";
const BROKE_OFF: &str = "it broke off: please report it";

/// A new process; ended on drop, unless it has been let go.
struct Started {
    child: Child,
    let_go: bool,
}

impl Started {
    /// How it ended, if it has.
    fn ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok().flatten()?;
        Some(format!("the new process ended before it was ready ({status}); its own words are in its log"))
    }

    /// The same, if it does so soon.
    fn last_breath(&mut self) -> Option<String> {
        let until = Instant::now() + LAST_BREATH;
        while Instant::now() < until {
            let ended = self.ended();
            if ended.is_some() {
                return ended;
            }
            thread::sleep(LOOK_EVERY);
        }
        None
    }

    /// Asks it to end, and ends it if it does not.
    fn end(&mut self) {
        let until = Instant::now() + FAREWELL;
        // These fail only when it has ended already.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        while Instant::now() < until {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(LOOK_EVERY);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if self.ended().is_some() {
            return;
        }
        if !self.let_go {
            return self.end();
        }
        // It is our child to our end: should it end before, it must not stay in the table of processes.
        let pid = Pid::from_child(&self.child);
        let reap = move || {
            let _ = waitpid(Some(pid), WaitOptions::empty());
        };
        let _ = thread::Builder::new().name("upgraded".to_owned()).spawn(reap);
    }
}

/// How long the new process is waited for.
struct Patience<'a> {
    until: Instant,
    limit: Duration,
    /// What it did not do by then.
    late: &'static str,
    stage: &'a watch::Sender<Stage>,
}

impl Patience<'_> {
    /// Why there is nothing to wait for any more, if so.
    fn check(&self, started: &mut Started) -> Result<(), String> {
        if let Some(ended) = started.ended() {
            return Err(ended);
        }
        if *self.stage.borrow() == Stage::Cancelled {
            return Err(ENDING.to_owned());
        }
        if Instant::now() >= self.until {
            let Self { limit, late, .. } = self;
            return Err(format!("the new process {late} within {} s", limit.as_secs_f64()));
        }
        Ok(())
    }
}

/// Waits for the new process, and for nobody else.
fn await_caller(place: &Place, started: &mut Started, patience: &Patience<'_>) -> Result<UnixStream, String> {
    loop {
        match place.listener.accept() {
            Ok((stream, _)) if is_of(&stream, started.child.id()) => return Ok(stream),
            // However many others call.
            Ok(_) => patience.check(started)?,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                patience.check(started)?;
                thread::sleep(LOOK_EVERY);
            }
            Err(error) => return Err(format!("the new process cannot be waited for: {error}")),
        }
    }
}

fn is_of(stream: &UnixStream, pid: u32) -> bool {
    socket_peercred(stream)
        .is_ok_and(|peer| u32::try_from(peer.pid.as_raw_nonzero().get()) == Ok(pid) && peer.uid == getuid())
}

/// Hands over, and reads the answer.
fn talk(
    stream: &UnixStream,
    groups: &[Group],
    state: &Value,
    started: &mut Started,
    patience: &Patience<'_>,
) -> Result<Answer, String> {
    let offered = stream
        .set_nonblocking(false)
        .and_then(|()| stream.set_write_timeout(Some(OFFER_WAIT)))
        .and_then(|()| stream.set_read_timeout(Some(LOOK_EVERY)))
        .and_then(|()| wire::offer(stream, groups, state));
    let mut why = None;
    let answer = offered.and_then(|()| {
        let mut watched = Watched { stream, check: || patience.check(started), why: &mut why };
        wire::read_answer(&mut watched)
    });
    answer.map_err(|error| why.unwrap_or_else(|| broke_off(started, &error)))
}

/// What there is to say of a new process that did not answer.
fn broke_off(started: &mut Started, error: &io::Error) -> String {
    started.last_breath().unwrap_or_else(|| format!("the new process broke off: {error}"))
}

/// Reads, and looks now and then whether it should go on.
struct Watched<'a, C> {
    stream: &'a UnixStream,
    check: C,
    why: &'a mut Option<String>,
}

impl<C: FnMut() -> Result<(), String>> Read for Watched<'_, C> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.stream.read(buffer) {
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    let Err(why) = (self.check)() else { continue };
                    // It may have answered and ended since we looked.
                    if let Ok(bytes @ 1..) = self.stream.read(buffer) {
                        return Ok(bytes);
                    }
                    *self.why = Some(why);
                    return Err(io::ErrorKind::TimedOut.into());
                }
                result => return result,
            }
        }
    }
}

#[cfg(test)]
mod tests;
