//! Runs a generator to its end and finds out what it used: CPU time to its last moment, memory at its most.

use std::fs;
use std::io::Read;
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use super::tool::{Claim, Load, Tool};
use crate::bench::process::launcher;

/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// Longest run of a generator.
const PATIENCE: Duration = Duration::from_secs(1800);
/// Ticks of the kernel's process times per second: the same on every Linux.
const TICKS: f64 = 100.0;

/// What a run cost, and what was said of it.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) claim: Claim,
    /// User and system time of all its threads.
    pub(crate) cpu: Duration,
    /// Resident memory over time.
    pub(crate) memory: Vec<(Duration, u64)>,
}

impl Run {
    /// Most resident memory, in bytes.
    pub(crate) fn memory_max(&self) -> u64 {
        self.memory.iter().map(|(_, bytes)| *bytes).max().unwrap_or_default()
    }

    /// User and system time for each request that was answered, in µs.
    pub(crate) fn cpu_per_request(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.claim.ok.max(1) as f64
    }
}

/// Runs `tool` on these cores; any exit code will do as long as it prints its figures.
pub(crate) fn run(tool: &Tool, load: &Load, cores: &[usize]) -> Result<Run> {
    run_words(tool, &tool.arguments(load), cores)
}

/// As `run`, in the generator's own words.
pub(crate) fn run_words(tool: &Tool, words: &[String], cores: &[usize]) -> Result<Run> {
    let mut command = launcher(&tool.program, cores);
    command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().with_context(|| format!("cannot start {}", tool.program.display()))?;
    let mut running = Running(child);
    let printed = running.collect();
    let memory = running.watch(&printed)?;
    let cpu = running.end()?;
    let texts = printed.texts()?;
    let claim = tool.claim(&texts.0).with_context(|| tail(&texts.1))?;
    Ok(Run { claim, cpu, memory })
}

fn tail(text: &str) -> String {
    text.lines().rev().take(5).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("; ")
}

/// Killed when dropped before its end.
struct Running(Child);

/// Both streams, each read by a thread until its end.
struct Printed {
    out: thread::JoinHandle<String>,
    err: thread::JoinHandle<String>,
    /// Closed when nobody writes any more.
    over: mpsc::Receiver<()>,
}

impl Printed {
    fn texts(self) -> Result<(String, String)> {
        let join = |text: thread::JoinHandle<String>| text.join().ok().context("a reading thread broke down");
        Ok((join(self.out)?, join(self.err)?))
    }
}

impl Running {
    fn collect(&mut self) -> Printed {
        let (done, over) = mpsc::channel();
        let (out, err) = (self.0.stdout.take(), self.0.stderr.take());
        let read = |stream: Option<Box<dyn Read + Send>>, done: mpsc::Sender<()>| {
            thread::spawn(move || {
                let mut bytes = Vec::new();
                if let Some(mut stream) = stream {
                    let _ = stream.read_to_end(&mut bytes);
                }
                drop(done);
                String::from_utf8_lossy(&bytes).into_owned()
            })
        };
        let out = read(out.map(|stream| Box::new(stream) as Box<dyn Read + Send>), done.clone());
        let err = read(err.map(|stream| Box::new(stream) as Box<dyn Read + Send>), done);
        Printed { out, err, over }
    }

    /// Looks at its memory until it has said everything.
    fn watch(&self, printed: &Printed) -> Result<Vec<(Duration, u64)>> {
        let started = Instant::now();
        let mut memory = Vec::new();
        loop {
            match printed.over.recv_timeout(LOOK) {
                Err(RecvTimeoutError::Timeout) if started.elapsed() > PATIENCE => bail!("it does not end"),
                Err(RecvTimeoutError::Timeout) => {
                    memory.extend(self.memory().map(|bytes| (started.elapsed(), bytes)));
                }
                _ => return Ok(memory),
            }
        }
    }

    fn memory(&self) -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.0.id())).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
    }

    /// Waits for its end and reads its CPU time before the kernel forgets it.
    fn end(mut self) -> Result<Duration> {
        let pid =
            i32::try_from(self.0.id()).ok().and_then(Pid::from_raw).context("a process has a number")?;
        waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
        let text = fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?;
        self.0.wait()?;
        let (_, fields) = text.rsplit_once(')').context("no name in the process's times")?;
        // User and system time are fields 14 and 15; what follows the name begins with field 3.
        let ticks: f64 =
            fields.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<f64>().ok()).sum();
        Ok(Duration::from_secs_f64(ticks / TICKS))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended in most cases.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
