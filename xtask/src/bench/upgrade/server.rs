//! A proxy whose process is replaced, each in the way its makers want it.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::bench::machine::Pinning;
use crate::bench::peer::{self, Kind};
use crate::bench::wire;

/// Longest wait until a server answers.
const START_WAIT: Duration = Duration::from_secs(10);
/// Between the start of nginx's new workers and the end of the old ones.
const SETTLE: Duration = Duration::from_millis(300);
/// Looked at so often whether something has come to pass.
const LOOK: Duration = Duration::from_millis(10);

/// A running proxy; all its processes are ended on drop.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    kind: Kind,
    folder: PathBuf,
    /// Of what was started; it may have ended since.
    first: Child,
    /// The process that is told to be replaced.
    main: u32,
}

impl Server {
    /// Starts it on the proxy's cores and waits until it answers.
    pub(super) fn start(
        kind: Kind,
        forebay: Option<&Path>,
        folder: &Path,
        origin: SocketAddr,
        pinning: &Pinning,
    ) -> Result<Self> {
        let address = peer::free_address()?;
        let folder = folder.join(format!("upgrade-{kind}-{}", address.port()));
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let settings = folder.join(kind.file());
        let template = kind.template("upgrade")?.replace("{{origin}}", &origin.to_string());
        fs::write(&settings, peer::fill(&template, &folder, address)?)?;
        let output = File::create(folder.join("output.log"))?;
        let mut command = Command::new("taskset");
        let cores: Vec<String> = pinning.proxy.iter().map(ToString::to_string).collect();
        if cores.is_empty() {
            command = Command::new(kind.program(forebay)?);
        } else {
            command.args(["--cpu-list", &cores.join(",")]).arg(kind.program(forebay)?);
        }
        command.args(match kind {
            Kind::Forebay => ["run", "-c"].as_slice(),
            Kind::Nginx => &["-c"],
            Kind::Haproxy => &["-W", "-db", "-f"],
        });
        command.arg(&settings).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let first = command.spawn().with_context(|| format!("cannot start {kind}"))?;
        let main = first.id();
        let mut server = Self { address, kind, folder, first, main };
        server.await_answer().with_context(|| {
            let words = fs::read_to_string(server.folder.join("output.log")).unwrap_or_default();
            format!("{kind} does not serve: {}", words.trim())
        })?;
        if kind == Kind::Nginx {
            server.main = server.told().context("nginx wrote no process id")?;
        }
        Ok(server)
    }

    /// Replaces the process, and waits until the new one has taken over.
    pub(super) fn upgrade(&mut self, limit: Duration) -> Result<()> {
        let until = Instant::now() + limit;
        match self.kind {
            Kind::Forebay => {
                let old = self.main;
                signal(old, Signal::USR2);
                let new = wait(until, || children_of(old).first().copied());
                self.main = new.context("no new process was started")?;
                // The old one ends only if the new one serves.
                wait(until, || (!is_running(old)).then_some(())).context("the old process is still there")
            }
            Kind::Nginx => {
                let old = self.main;
                signal(old, Signal::USR2);
                let new = wait(until, || self.told().filter(|pid| *pid != old));
                self.main = new.context("no new process was started")?;
                let workers = wait(until, || (!children_of(self.main).is_empty()).then_some(()));
                workers.context("the new process has no workers")?;
                // It says nowhere when they accept.
                std::thread::sleep(SETTLE);
                signal(old, Signal::WINCH);
                let main = self.main;
                let gone = || children_of(old).iter().all(|pid| *pid == main).then_some(());
                wait(until, gone).context("the old workers are still there")?;
                signal(old, Signal::QUIT);
                wait(until, || (!is_running(old)).then_some(())).context("the old process is still there")
            }
            Kind::Haproxy => {
                let old = children_of(self.main);
                signal(self.main, Signal::USR2);
                let is_new = || children_of(self.main).into_iter().find(|pid| !old.contains(pid));
                wait(until, is_new).context("no new worker was started")?;
                Ok(())
            }
        }
    }

    fn await_answer(&self) -> Result<()> {
        let until = Instant::now() + START_WAIT;
        loop {
            let answer = wire::connect(self.address).and_then(|mut stream| wire::get(&mut stream, "/small"));
            match answer {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > until => bail!(error),
                Err(_) => std::thread::sleep(LOOK),
            }
        }
    }

    /// What nginx says its process is.
    fn told(&self) -> Option<u32> {
        fs::read_to_string(self.folder.join("nginx.pid")).ok()?.trim().parse().ok()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut all = vec![self.main, self.first.id()];
        all.extend(children_of(self.main));
        signal(self.main, Signal::TERM);
        let until = Instant::now() + START_WAIT;
        wait(until, || {
            // Ours would stay as a zombie, and look as if it were running.
            let _ = self.first.try_wait();
            all.iter().all(|pid| !is_running(*pid)).then_some(())
        });
        if self.first.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = self.first.kill();
            let _ = self.first.wait();
        }
        if is_running(self.main) {
            signal(self.main, Signal::KILL);
        }
    }
}

fn wait<T>(until: Instant, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    loop {
        if let Some(found) = probe() {
            return Some(found);
        }
        if Instant::now() > until {
            return None;
        }
        std::thread::sleep(LOOK);
    }
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may be gone already.
        let _ = kill_process(pid, signal);
    }
}

fn children_of(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let children = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let pids =
        |text: String| text.split_whitespace().filter_map(|word| word.parse().ok()).collect::<Vec<u32>>();
    children.flat_map(pids).filter(|pid| is_running(*pid)).collect()
}

/// One that has ended and was not waited for has ended.
fn is_running(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}
