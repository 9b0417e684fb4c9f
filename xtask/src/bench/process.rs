//! A child process: ends with us whatever happens, and tells what CPU time and memory it used.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How long a child may take to end by itself.
const END_WAIT: Duration = Duration::from_secs(5);

/// Ended when dropped. When we die without dropping it, the kernel asks it to end.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts the program on these cores (none: on any); its output goes to `log`.
    ///
    /// Only the main thread may start children: the kernel ends them with the thread that started them.
    pub(crate) fn start(program: &Path, args: &[OsString], cores: &[usize], log: &Path) -> Result<Self> {
        let output = File::create(log).with_context(|| format!("cannot create {}", log.display()))?;
        let mut command = launcher(program, cores);
        command.args(args).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        Ok(Self { child })
    }

    /// As `start`, for one that reads what we write.
    pub(crate) fn start_with_input(
        program: &Path,
        args: &[OsString],
        cores: &[usize],
        log: &Path,
    ) -> Result<(Self, ChildStdin)> {
        let output = File::create(log).with_context(|| format!("cannot create {}", log.display()))?;
        let mut command = launcher(program, cores);
        command.args(args).stdin(Stdio::piped()).stdout(output.try_clone()?).stderr(output);
        let mut child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let input = child.stdin.take();
        Ok((Self { child }, input.context("its input was asked for")?))
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&self) {
        signal(self.child.id(), Signal::KILL);
    }

    /// An error when the process has ended.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("it ended with {status}"),
            None => Ok(()),
        }
    }

    /// User and system time of the process and its children since they started.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        self.tree().into_iter().map(cpu_of).sum()
    }

    /// Resident memory of the process and its children, in bytes.
    pub(crate) fn memory(&self) -> Result<u64> {
        self.tree().into_iter().map(memory_of).sum()
    }

    fn tree(&self) -> Vec<u32> {
        let mut pids = vec![self.child.id()];
        let mut next = 0;
        while let Some(&pid) = pids.get(next) {
            pids.extend(children_of(pid));
            next += 1;
        }
        pids
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let tree = self.tree();
        signal(self.child.id(), Signal::TERM);
        let deadline = Instant::now() + END_WAIT;
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        // It had its chance; what it leaves behind must go as well.
        tree.into_iter().for_each(|pid| signal(pid, Signal::KILL));
        let _ = self.child.wait();
    }
}

/// The command that starts a program on these cores and has the kernel end it when our thread is gone.
pub(crate) fn launcher(program: &Path, cores: &[usize]) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "--"]);
    if !cores.is_empty() {
        let cores: Vec<String> = cores.iter().map(ToString::to_string).collect();
        command.args(["taskset", "--cpu-list", &cores.join(",")]);
    }
    command.arg(program);
    command
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may be gone already.
        let _ = kill_process(pid, signal);
    }
}

fn children_of(pid: u32) -> Vec<u32> {
    tasks_of(pid)
        .filter_map(|task| fs::read_to_string(task.join("children")).ok())
        .flat_map(|text| text.split_whitespace().filter_map(|word| word.parse().ok()).collect::<Vec<u32>>())
        .collect()
}

/// The first figure of `schedstat` is the time on a core in nanoseconds, user and system together.
fn cpu_of(pid: u32) -> Result<Duration> {
    let mut nanos = 0;
    for task in tasks_of(pid) {
        let path = task.join("schedstat");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let first = text.split_whitespace().next().and_then(|word| word.parse::<u64>().ok());
        nanos += first.with_context(|| format!("no figure in {}", path.display()))?;
    }
    Ok(Duration::from_nanos(nanos))
}

fn memory_of(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let kib = text
        .lines()
        .find_map(|line| line.strip_prefix("Rss:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|word| word.parse::<u64>().ok());
    Ok(kib.with_context(|| format!("no Rss in {path}"))? * 1024)
}

fn tasks_of(pid: u32) -> impl Iterator<Item = std::path::PathBuf> {
    fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten().map(|entry| entry.path())
}
