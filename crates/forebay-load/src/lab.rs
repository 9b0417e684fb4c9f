//! What is started, watched and broken while load is on.

mod cast;
mod curve;
mod fetch;
mod guard;
mod leak;
mod listener;
mod outcome;
mod procfs;
mod profiler;
mod recovery;
mod running;
pub mod scale;
mod watcher;

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use curve::CURVE_MAX;
pub use leak::{Leak, LeakVerdict, leak};
pub(crate) use outcome::GENERATOR;
pub use outcome::{
    Captured, CapturedKind, Episode, Injected, LabOutcome, Part, Sample, Started, Usage, Watched, Worst,
};
pub use recovery::{Budget, End, Recovery, Span, Spread, Summary, recovery, summary};
pub use running::Running;

/// Processes of a plan.
pub const PROCESSES_MAX: usize = 20;
/// Things to watch, the generator itself not counted.
pub const WATCH_MAX: usize = 20;
/// Faults of one cycle.
pub const FAULTS_MAX: usize = 100;
/// Cycles of faults.
pub const CYCLES_MAX: u32 = 100;
/// What a process may take to be ready unless it says otherwise.
pub const READY_WITHIN: Duration = Duration::from_secs(30);

/// What to do besides sending.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lab {
    /// Started in this order before the load, each once the one before is ready; ended in the opposite order.
    /// At most `PROCESSES_MAX`.
    pub processes: Vec<Process>,
    /// What is looked at once a second, besides the generator itself. At most `WATCH_MAX`.
    pub watch: Vec<Watch>,
    /// What is broken and when. At most `FAULTS_MAX`.
    pub faults: Vec<Fault>,
    /// How often the faults are gone through. 0 is 1; at most `CYCLES_MAX`.
    pub cycles: u32,
    /// From the start of a cycle to the start of the next; needed when there are several. It has to leave time
    /// for the last fault of the cycle to heal and hold.
    pub cycle: Duration,
    /// When the target counts as recovered.
    pub budget: Budget,
    /// Where the output of processes is kept, each in `name.log`; none: only the end of it is kept, for
    /// error messages.
    pub logs: Option<PathBuf>,
}

/// A program that belongs to the test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// What faults, watches and reports call it: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// The program and its arguments; no shell in between.
    pub command: Vec<String>,
    /// Added to the environment of this process.
    pub env: Vec<(String, String)>,
    /// How it is known to be ready; none: as soon as it is started.
    pub ready: Option<Ready>,
    /// How long it may take to be ready.
    pub ready_within: Duration,
    /// How long after it was killed by a fault it is started again; none: not at all.
    pub restart: Option<Duration>,
}

/// How a process is known to be ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ready {
    /// It accepts connections here.
    Tcp(SocketAddr),
    /// It answers a GET of this `http://` URL with a status from 200 to 399.
    Http(String),
}

/// Something to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// What reports call it; not `generator`.
    pub name: String,
    /// Which process, its children and theirs included.
    pub of: Of,
    /// Where it serves profiles as Go programs do: `http://host:port`, `/debug/pprof/…` is added.
    pub profile: Option<String>,
}

/// How a watched process is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Of {
    /// By its number.
    Pid(u32),
    /// One that the plan starts, by its name.
    Process(String),
    /// Whoever listens on this TCP port of this machine.
    Port(u16),
}

/// Something that is broken for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// When, after the start of the cycle.
    pub at: Duration,
    /// How long. For a kill: after how long the process is started again; zero: as its `restart` says.
    pub length: Duration,
    /// What is done.
    pub kind: FaultKind,
}

/// What is done to what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The process is ended without a chance to clean up (SIGKILL), with its children.
    Kill {
        /// Its name in `processes`.
        process: String,
    },
    /// The process stands still and keeps its connections (SIGSTOP), then goes on (SIGCONT).
    Pause {
        /// Its name in `processes`.
        process: String,
    },
}

/// Why a lab cannot be run, in words that say what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(String);

impl Lab {
    /// Whether anything is to be started or broken, or watched besides the generator.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.processes.is_empty() && self.watch.is_empty() && self.faults.is_empty()
    }

    /// Every mistake of it at once; none: it can be run.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        self.count_problems(&mut problems);
        self.process_problems(&mut problems);
        self.watch_problems(&mut problems);
        for fault in &self.faults {
            self.fault_problems(fault, &mut problems);
        }
        problems
    }

    /// All faults of all cycles: the cycle, the fault's place in the list, and when after the start of the load.
    pub fn schedule(&self) -> impl Iterator<Item = (u32, usize, Duration)> + '_ {
        (0..self.cycles.max(1)).flat_map(move |cycle| {
            let begin = self.cycle.saturating_mul(cycle);
            self.faults.iter().enumerate().map(move |(index, fault)| (cycle, index, begin + fault.at))
        })
    }

    /// How long after it begins a fault is over; none: never.
    #[must_use]
    pub fn length_of(&self, fault: &Fault) -> Option<Duration> {
        let given = (!fault.length.is_zero()).then_some(fault.length);
        match &fault.kind {
            FaultKind::Pause { .. } => given,
            FaultKind::Kill { process } => given.or_else(|| self.process(process)?.restart),
        }
    }

    fn process(&self, name: &str) -> Option<&Process> {
        self.processes.iter().find(|process| process.name == name)
    }

    fn count_problems(&self, problems: &mut Vec<String>) {
        for (what, count, most) in [
            ("processes", self.processes.len(), PROCESSES_MAX),
            ("things to watch", self.watch.len(), WATCH_MAX),
            ("faults", self.faults.len(), FAULTS_MAX),
            ("cycles", self.cycles as usize, CYCLES_MAX as usize),
        ] {
            if count > most {
                problems.push(format!("{count} {what} are more than {most}: leave some out"));
            }
        }
        let last = self.faults.iter().map(|fault| fault.at + self.length_of(fault).unwrap_or_default()).max();
        if self.cycles > 1 && last.is_some_and(|last| self.cycle <= last) {
            problems.push(format!(
                "the faults of one cycle take {:?} and the next begins after {:?}: make the cycle longer, by the time to heal as well",
                last.unwrap_or_default(),
                self.cycle
            ));
        }
    }

    fn process_problems(&self, problems: &mut Vec<String>) {
        let mut names = BTreeSet::new();
        for process in &self.processes {
            let name = &process.name;
            if !is_file_name(name) {
                problems.push(format!(
                    "the process name `{name}` will not do: use 1 to 64 letters, digits, `-`, `_` and `.`, a letter or digit first"
                ));
            }
            if !names.insert(name) {
                problems.push(format!("two processes are called `{name}`: rename one"));
            }
            if process.command.first().is_none_or(String::is_empty) {
                problems.push(format!("the process `{name}` has no command: say which program to start"));
            }
            if let Some(Ready::Http(url)) = &process.ready
                && let Err(error) = fetch::Url::parse(url)
            {
                problems.push(format!("`ready` of the process `{name}`: {error}"));
            }
        }
    }

    fn watch_problems(&self, problems: &mut Vec<String>) {
        let mut names = BTreeSet::from([GENERATOR]);
        for Watch { name, of, profile } in &self.watch {
            if !is_file_name(name) {
                problems.push(format!(
                    "the name `{name}` of something to watch will not do: use 1 to 64 letters, digits, `-`, `_` and `.`, a letter or digit first"
                ));
            }
            if !names.insert(name) {
                problems.push(format!("two watched things are called `{name}`: rename one"));
            }
            if let Of::Process(process) = of {
                self.known(process, problems);
            }
            if let Some(Err(error)) = profile.as_deref().map(fetch::Url::parse) {
                problems.push(format!("`profile` of `{name}`: {error}"));
            }
        }
    }

    fn fault_problems(&self, fault: &Fault, problems: &mut Vec<String>) {
        let (FaultKind::Kill { process } | FaultKind::Pause { process }) = &fault.kind;
        self.known(process, problems);
        if matches!(fault.kind, FaultKind::Pause { .. }) && fault.length.is_zero() {
            problems.push(format!("the pause of `{process}` has no length: say how long it stands still"));
        }
    }

    /// Faults and watches reach only what the plan itself started.
    fn known(&self, process: &str, problems: &mut Vec<String>) {
        if self.process(process).is_none() {
            problems
                .push(format!("there is no process `{process}`: add it to `processes`, or correct the name"));
        }
    }
}

impl FaultKind {
    /// What reports call it: `kill api`.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Kill { process } => format!("kill {process}"),
            Self::Pause { process } => format!("pause {process}"),
        }
    }
}

impl Error {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// Whether files can be named by it whatever the system.
fn is_file_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
