//! The machine: its cores, limits and names; and what must be left behind clean.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::{shell, tools};

/// For 10,000 connections, the few of them that have one to the origin, and the proxy's own.
const OPEN_FILES: u64 = 18_000;

/// What every bench begins with: the programs it needs, enough open files, and a folder that is removed at the end,
/// however that comes.
pub(crate) fn prepare() -> Result<Folder> {
    tools::provide(tools::FOR_BENCH)?;
    raise_open_files()?;
    let folder = Folder::create()?;
    clean_up_on_signals(folder.path().to_owned())?;
    Ok(folder)
}

/// Raises the limit of open files for us and for every child.
pub(crate) fn raise_open_files() -> Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= OPEN_FILES) {
        return Ok(());
    }
    let maximum = maximum.map(|maximum| maximum.max(OPEN_FILES));
    setrlimit(Resource::Nofile, Rlimit { current: Some(OPEN_FILES), maximum }).with_context(|| {
        format!(
            "cannot open enough files at once: needs {OPEN_FILES}, see `ulimit -Hn`; raise it and try again"
        )
    })
}

/// Takes the highest ordinary priority, for us and for every child.
pub(crate) fn run_ahead() -> Result<()> {
    // Where the kernel shares time among sessions first, priorities only count within one: see sched(7).
    let autogroup = Path::new("/proc/self/autogroup");
    if autogroup.exists() {
        fs::write(autogroup, "-20").context("cannot run ahead of other sessions; that needs root")?;
    }
    rustix::process::setpriority_process(None, -20).context("cannot run ahead of other work; that needs root")
}

/// The limit of open files that children inherit.
pub(crate) fn open_files() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(1 << 20)
}

/// A folder for settings, logs and sockets of one run, gone with the run.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn create() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("forebay-bench-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left-overs in the system's folder for temporary files do no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// On Ctrl-C or a termination signal: removes the folder and ends. The children end with us, see `Process`.
pub(crate) fn clean_up_on_signals(folder: PathBuf) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            use tokio::signal::unix::{SignalKind, signal};
            let (Ok(mut interrupt), Ok(mut terminate)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                return;
            };
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            let _ = fs::remove_dir_all(&folder);
            eprintln!("xtask: interrupted");
            std::process::exit(130);
        });
    });
    Ok(())
}

/// Which cores the proxy and the others run on; empty: the kernel decides.
#[derive(Clone, Debug)]
pub(crate) struct Pinning {
    /// The proxy's core.
    pub(crate) proxy: Vec<usize>,
    /// The cores of load and origin.
    pub(crate) rest: Vec<usize>,
}

impl Pinning {
    /// Splits the cores we may use; a machine with one core cannot be split.
    pub(crate) fn choose(split: bool) -> Result<Self> {
        let allowed = sched_getaffinity(None).context("cannot read the cores we may use")?;
        let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core)).collect();
        if !split {
            return Ok(Self { proxy: Vec::new(), rest: Vec::new() });
        }
        let Some((first, rest)) = cores.split_first().filter(|(_, rest)| !rest.is_empty()) else {
            bail!("only one core here: use --pin none")
        };
        Ok(Self { proxy: vec![*first], rest: rest.to_vec() })
    }

    /// Moves the calling thread to the cores of load and origin.
    pub(crate) fn join_rest(&self) -> Result<()> {
        if self.rest.is_empty() {
            return Ok(());
        }
        let mut set = CpuSet::new();
        self.rest.iter().for_each(|core| set.set(*core));
        sched_setaffinity(None, &set).context("cannot choose the load's cores")
    }

    /// For the report.
    pub(crate) fn describe(&self) -> String {
        if self.proxy.is_empty() {
            return "cores: not pinned".to_owned();
        }
        format!("cores: proxy on {:?}, load generator and origin on {:?}", self.proxy, self.rest)
    }
}

/// Kernel, processor and date, one line each.
pub(crate) fn describe() -> Vec<String> {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    vec![
        format!("date: {}", first_line(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]))),
        format!("processor: {}, {cores} cores", processor()),
        format!("kernel: {}", first_line(Command::new("uname").args(["-sr"]))),
    ]
}

/// The first line a program prints, or a word that it did not.
pub(crate) fn first_line(command: &mut Command) -> String {
    shell::read(command)
        .ok()
        .and_then(|text| text.lines().next().map(|line| line.trim().to_owned()))
        .unwrap_or_else(|| "unknown".to_owned())
}

/// A program's first line of version, whatever exit code comes with it.
pub(crate) fn version(program: &Path, argument: &str) -> String {
    let Ok(output) = Command::new(program).arg(argument).output() else { return "unknown".to_owned() };
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).lines().next().unwrap_or("unknown").trim().to_owned()
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    text.lines()
        .find(|line| line.starts_with("model name"))
        .and_then(|line| line.split_once(": "))
        .map_or_else(|| "unknown".to_owned(), |(_, name)| name.to_owned())
}
