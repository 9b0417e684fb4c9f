//! The processes a plan starts: each in a group of its own, and none left behind.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::guard::Guard;
use super::outcome::Started;
use super::{Error, Lab, Process, Ready, fetch};

/// How long a process may take to end by itself.
const END_WAIT: Duration = Duration::from_secs(5);
/// How often something that gives no sign is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long one attempt to find a process ready may take.
const ATTEMPT: Duration = Duration::from_secs(1);
/// Bytes of an answer that says ready.
const READY_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of output that are kept of one process; beyond it, the file begins anew.
const LOG_MAX: u64 = 16 * 1024 * 1024;
/// Bytes of the last output that an error shows.
const LAST_WORDS: u64 = 2_000;

/// All processes of the plan. They are ended in the opposite order when it is dropped.
#[derive(Debug)]
pub(super) struct Cast {
    members: Vec<Member>,
    guard: Option<Guard>,
}

/// One process, running or not.
#[derive(Debug)]
struct Member {
    process: Process,
    log: Log,
    child: Option<Child>,
    started: Started,
}

/// Where output goes.
#[derive(Debug)]
struct Log {
    file: File,
    path: Option<PathBuf>,
}

impl Cast {
    /// Starts all, one after the other, each once the one before is ready. If one is not, none is left.
    pub(super) fn start(lab: &Lab, stop: &AtomicBool) -> Result<Self, Error> {
        let guard = if lab.processes.is_empty() { None } else { Some(Guard::start()?) };
        let mut cast = Self { members: Vec::new(), guard };
        for process in &lab.processes {
            must_be_free(process, stop)?;
            let log = Log::open(&process.name, lab.logs.as_deref())?;
            cast.members.push(Member::new(process, log));
            let begun = Instant::now();
            let (member, mut guard) = cast.find(&process.name)?;
            member.start(guard.as_deref_mut())?;
            member.wait_until_ready(guard, begun, stop)?;
            member.started.ready_after = begun.elapsed();
        }
        Ok(cast)
    }

    /// Starts one again that has ended.
    pub(super) fn start_again(&mut self, name: &str) -> Result<(), Error> {
        let (member, guard) = self.find(name)?;
        if member.child.is_some() {
            return Err(Error::new(format!("`{name}` runs already")));
        }
        member.start(guard)
    }

    /// Ends one without a chance to clean up.
    pub(super) fn kill(&mut self, name: &str) -> Result<(), Error> {
        let (member, guard) = self.find(name)?;
        member.running()?;
        member.end(guard);
        Ok(())
    }

    /// Makes one stand still.
    pub(super) fn pause(&mut self, name: &str) -> Result<(), Error> {
        self.signal(name, Signal::STOP)
    }

    /// Makes one go on.
    pub(super) fn resume(&mut self, name: &str) -> Result<(), Error> {
        self.signal(name, Signal::CONT)
    }

    /// The number of a process that runs.
    pub(super) fn pid(&self, name: &str) -> Option<u32> {
        self.members.iter().find(|member| member.process.name == name)?.child.as_ref().map(Child::id)
    }

    /// Takes note of those that ended without being told to, and keeps their output within bounds. Returns a
    /// sentence for each that ended.
    pub(super) fn look(&mut self) -> Vec<String> {
        let mut ended = Vec::new();
        for member in &mut self.members {
            member.log.bound();
            if member.child.as_ref().is_some_and(has_ended) {
                let status = member.end(self.guard.as_mut());
                let words = member.log.last_words();
                ended
                    .push(format!("the process `{}` ended by itself ({status}){words}", member.process.name));
            }
        }
        ended
    }

    /// Ends all and says what they were.
    pub(super) fn stop(mut self) -> Vec<Started> {
        self.end_all();
        self.members.drain(..).map(|member| member.started).collect()
    }

    fn find(&mut self, name: &str) -> Result<(&mut Member, Option<&mut Guard>), Error> {
        let member = self.members.iter_mut().find(|member| member.process.name == name);
        let member = member.ok_or_else(|| Error::new(format!("there is no process `{name}` in the plan")))?;
        Ok((member, self.guard.as_mut()))
    }

    fn signal(&mut self, name: &str, signal: Signal) -> Result<(), Error> {
        let (member, _) = self.find(name)?;
        let group = member.running()?;
        kill_process_group(group, signal)
            .map_err(|error| Error::new(format!("cannot signal the process `{name}`: {error}")))
    }

    /// Asks each to end, the last one first, and does not ask twice.
    fn end_all(&mut self) {
        for member in self.members.iter_mut().rev() {
            member.ask_to_end();
            member.end(self.guard.as_mut());
        }
    }
}

impl Drop for Cast {
    fn drop(&mut self) {
        self.end_all();
    }
}

impl Member {
    fn new(process: &Process, log: Log) -> Self {
        let started = Started {
            name: process.name.clone(),
            command: process.command.clone(),
            log: log.path.as_ref().map(|path| path.display().to_string()),
            ..Started::default()
        };
        Self { process: process.clone(), log, child: None, started }
    }

    fn start(&mut self, guard: Option<&mut Guard>) -> Result<(), Error> {
        let Process { name, command, env, .. } = &self.process;
        let cannot =
            |error| Error::new(format!("cannot start the process `{name}` ({}): {error}", command.join(" ")));
        let (program, args) = command.split_first().ok_or_else(|| {
            Error::new(format!("the process `{name}` has no command: say which program to start"))
        })?;
        let output = self.log.file.try_clone().map_err(cannot)?;
        let errors = self.log.file.try_clone().map_err(cannot)?;
        let child = Command::new(program)
            .args(args)
            .envs(env.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            // A group of its own: it is ended with its children, and Ctrl-C reaches only us.
            .process_group(0)
            .spawn()
            .map_err(cannot)?;
        if let Some(guard) = guard {
            guard.add(child.id());
        }
        self.child = Some(child);
        self.started.starts += 1;
        Ok(())
    }

    fn wait_until_ready(
        &mut self,
        guard: Option<&mut Guard>,
        begun: Instant,
        stop: &AtomicBool,
    ) -> Result<(), Error> {
        let deadline = begun + self.process.ready_within;
        loop {
            if self.child.as_ref().is_some_and(has_ended) {
                let status = self.end(guard);
                return Err(self.not_ready(&format!("it ended ({status})")));
            }
            let why = match &self.process.ready {
                None => return Ok(()),
                Some(ready) => match is_ready(ready, deadline, stop) {
                    Ok(()) => return Ok(()),
                    Err(why) => why,
                },
            };
            if stop.load(Ordering::Relaxed) {
                return Err(Error::new("told to stop before all processes were ready"));
            }
            if Instant::now() >= deadline {
                return Err(self.not_ready(&format!("after {:?}: {why}", self.process.ready_within)));
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    fn not_ready(&self, why: &str) -> Error {
        Error::new(format!(
            "the process `{}` is not ready, {why}; look at its command, `ready` and `ready_within`{}",
            self.process.name,
            self.log.last_words()
        ))
    }

    /// The group of the process, or why there is none.
    fn running(&self) -> Result<Pid, Error> {
        self.child
            .as_ref()
            .filter(|child| !has_ended(child))
            .and_then(group_of)
            .ok_or_else(|| Error::new(format!("the process `{}` does not run", self.process.name)))
    }

    fn ask_to_end(&self) {
        let Some(child) = &self.child else { return };
        let Some(group) = group_of(child) else { return };
        // It may be gone already, or stand still.
        let _ = kill_process_group(group, Signal::TERM);
        let _ = kill_process_group(group, Signal::CONT);
        let deadline = Instant::now() + END_WAIT;
        while Instant::now() < deadline && !has_ended(child) {
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Ends it and whatever it has started in its group. Until it has been waited for its number stays taken,
    /// so nobody else's process can be hit.
    fn end(&mut self, guard: Option<&mut Guard>) -> String {
        let Some(mut child) = self.child.take() else { return String::new() };
        if let Some(group) = group_of(&child) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        if let Some(guard) = guard {
            guard.remove(child.id());
        }
        child.wait().map_or_else(|error| error.to_string(), |status| status.to_string())
    }
}

impl Log {
    fn open(name: &str, directory: Option<&Path>) -> Result<Self, Error> {
        // Several labs of one process may have processes of the same name.
        static OPENED: AtomicU64 = AtomicU64::new(0);
        let opened = OPENED.fetch_add(1, Ordering::Relaxed);
        let path = match directory {
            Some(directory) => directory.join(format!("{name}.log")),
            None => std::env::temp_dir().join(format!("forebay-{}-{opened}.log", std::process::id())),
        };
        let cannot = |error| Error::new(format!("cannot write {}: {error}", path.display()));
        if let Some(directory) = directory {
            fs::create_dir_all(directory).map_err(cannot)?;
        }
        let _ = fs::remove_file(&path);
        // `append`: after the file was cut, writing goes on at its new end.
        let file = OpenOptions::new().read(true).append(true).create_new(true).open(&path).map_err(cannot)?;
        if directory.is_some() {
            return Ok(Self { file, path: Some(path) });
        }
        // It lives on without a name until nobody has it open.
        fs::remove_file(&path).map_err(cannot)?;
        Ok(Self { file, path: None })
    }

    fn bound(&self) {
        if self.file.metadata().is_ok_and(|found| found.len() > LOG_MAX) {
            let _ = self.file.set_len(0);
        }
    }

    /// What was written last, as the end of a sentence.
    fn last_words(&self) -> String {
        let mut words = Vec::new();
        let mut file = &self.file;
        let from = file.metadata().map_or(0, |found| found.len().saturating_sub(LAST_WORDS));
        if file.seek(SeekFrom::Start(from)).is_ok() {
            let _ = file.take(LAST_WORDS).read_to_end(&mut words);
        }
        match String::from_utf8_lossy(&words).trim() {
            "" => String::new(),
            words => format!("; it said last: {words}"),
        }
    }
}

/// Whether it has ended and only waits to be waited for.
fn has_ended(child: &Child) -> bool {
    let Some(pid) = group_of(child) else { return true };
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::Pid(pid), options), Ok(None))
}

/// Each of our children leads its group, which has its number.
fn group_of(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

/// A stranger who answers already would be taken for the process.
fn must_be_free(process: &Process, stop: &AtomicBool) -> Result<(), Error> {
    let Some(ready) = &process.ready else { return Ok(()) };
    if is_ready(ready, Instant::now() + ATTEMPT, stop).is_err() {
        return Ok(());
    }
    Err(Error::new(format!(
        "something answers already where the process `{}` is to be: end it, or choose another port",
        process.name
    )))
}

fn is_ready(ready: &Ready, deadline: Instant, stop: &AtomicBool) -> Result<(), String> {
    let time = deadline.saturating_duration_since(Instant::now()).clamp(LOOK_EVERY, ATTEMPT);
    match ready {
        Ready::Tcp(address) => accepts(address, time),
        Ready::Http(url) => answers(url, time, stop),
    }
}

fn accepts(address: &SocketAddr, time: Duration) -> Result<(), String> {
    let stream = TcpStream::connect_timeout(address, time).map_err(|error| format!("{address}: {error}"))?;
    // A port of the range for outgoing connections can be connected to itself.
    if stream.local_addr().is_ok_and(|local| local == *address) {
        return Err(format!("{address}: nobody listens"));
    }
    Ok(())
}

fn answers(url: &str, time: Duration, stop: &AtomicBool) -> Result<(), String> {
    let limits = fetch::Limits { time, bytes: READY_BYTES_MAX, stop };
    match fetch::get(&fetch::Url::parse(url)?, &limits)?.status {
        200..=399 => Ok(()),
        status => Err(format!("{url} answers {status}")),
    }
}

#[cfg(test)]
mod tests;
