//! What the lab saw: processes, their use of the machine, profiles, faults and recoveries.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::leak::Leak;
use super::recovery::{End, Recovery, Summary};
use crate::pprof::Flame;

/// What the generator is called among watched processes.
pub(crate) const GENERATOR: &str = "generator";

/// What was seen.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LabOutcome {
    /// What the plan started.
    pub processes: Vec<Started>,
    /// The generator itself first, then what the plan watches, in its order.
    pub watched: Vec<Watched>,
    /// Each fault that was to be injected, in order of time.
    pub faults: Vec<Injected>,
    /// Faults that overlap or touch are one episode; each heals or does not.
    pub episodes: Vec<Episode>,
    /// The same episodes of all cycles together.
    pub recoveries: Vec<Summary>,
    /// What went otherwise than planned, each a sentence.
    pub notes: Vec<String>,
}

/// A process the plan started.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Started {
    /// Its name.
    pub name: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// How often it was started.
    pub starts: u32,
    /// From its first start until it was ready.
    pub ready_after: Duration,
    /// Where its output is, if it was kept.
    pub log: Option<String>,
}

/// A process that was looked at once a second, its children included.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Watched {
    /// Its name; `generator` is the load tester itself.
    pub name: String,
    /// What it used, by stage of the plan.
    pub stages: Vec<Usage>,
    /// What it used over time, in seconds or, beyond `CURVE_MAX` of them, in longer steps.
    pub curve: Vec<Sample>,
    /// Whether its memory grew over the stages that are judged.
    pub leak: Leak,
    /// Profiles taken of it.
    pub profiles: Vec<Captured>,
}

/// What a process used during a stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// How much of the stage was seen: less than its length if the process was not there all the time.
    pub seen: Duration,
    /// CPU time, user and system, all threads, in steps of 10 ms.
    pub cpu: Duration,
    /// Most cores' worth of CPU time in one second.
    pub cores_max: f64,
    /// Least memory held in RAM, in bytes.
    pub memory_min: u64,
    /// Most memory held in RAM, in bytes.
    pub memory_max: u64,
    /// Most threads.
    pub threads_max: u64,
    /// Most open descriptors.
    pub descriptors_max: u64,
}

/// What a process used at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// When, after the start of the load, in milliseconds.
    pub at_ms: u64,
    /// Cores' worth of CPU time since the sample before.
    pub cores: f64,
    /// Memory held in RAM, in bytes. 0: the process was not there.
    pub memory: u64,
    /// Threads.
    pub threads: u64,
    /// Open descriptors; 0 when they may not be looked at.
    pub descriptors: u64,
}

/// A profile that was taken, or was not.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Captured {
    /// What it shows.
    pub kind: CapturedKind,
    /// When, relative to the load.
    pub during: Part,
    /// What the file beside the report is called: `api-2-cpu.pb.gz`.
    pub file: String,
    /// The file's bytes as they came, gzipped protobuf; empty when there are none, and when an outcome is read
    /// back from JSON.
    #[serde(skip)]
    pub raw: Vec<u8>,
    /// Its picture.
    pub flame: Option<Flame>,
    /// Why there is none, or why it cannot be read.
    pub error: Option<String>,
}

/// What a profile shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CapturedKind {
    /// Where CPU time goes.
    #[default]
    Cpu,
    /// Who holds memory.
    Heap,
}

/// A part of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Before the first request.
    #[default]
    Begin,
    /// The steady part of a stage, by its index in the plan.
    Stage(usize),
    /// After the last request.
    End,
}

/// A fault that was to be injected.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Injected {
    /// What: `kill api`.
    pub what: String,
    /// Which cycle, from 0.
    pub cycle: u32,
    /// When it was applied, after the start of the load; none: it was not.
    pub on: Option<Duration>,
    /// When it was removed; none: not during the run.
    pub off: Option<Duration>,
    /// Why it was not applied or not removed.
    pub error: Option<String>,
}

/// Faults that overlap or touch, and what came of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Episode {
    /// What was broken: `kill api + pause db`.
    pub what: String,
    /// Which cycle, from 0.
    pub cycle: u32,
    /// When the first fault of it was applied, after the start of the load.
    pub on: Duration,
    /// When the last fault of it was removed; none: not during the run.
    pub off: Option<Duration>,
    /// How the target took it.
    pub recovery: Recovery,
}

/// The longest recovery of a run, as a threshold wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Worst {
    /// No recovery took longer, counted from when the fault was removed, or applied if it never was.
    Within(Duration),
    /// No fault was applied, or it cannot be told what came of one: there is no data.
    Unknown,
    /// One had not ended after so long.
    Beyond(Duration),
}

impl LabOutcome {
    /// The longest recovery, counted from the removal of the fault; from its application where it was not
    /// removed.
    #[must_use]
    pub fn worst_recovery(&self) -> Worst {
        let times = self.episodes.iter().map(|episode| {
            let recovery = &episode.recovery;
            match recovery.end {
                End::Unknown | End::Unproven => Worst::Unknown,
                End::Never => Worst::Beyond(recovery.watched),
                End::NoEffect => Worst::Within(Duration::ZERO),
                End::Recovered => Worst::Within(recovery.ttr_off.or(recovery.ttr_on).unwrap_or_default()),
            }
        });
        let missed = self.faults.iter().any(|fault| fault.on.is_none()).then_some(Worst::Unknown);
        // One that never came back is worse than one that nobody can tell of.
        times.chain(missed).max().unwrap_or(Worst::Unknown)
    }
}

impl Usage {
    /// Average cores' worth of CPU time; 0 when nothing was seen.
    #[must_use]
    pub fn cores(&self) -> f64 {
        if self.seen.is_zero() { 0.0 } else { self.cpu.as_secs_f64() / self.seen.as_secs_f64() }
    }

    /// CPU time for each of so many requests; none: no requests, or nothing seen.
    #[must_use]
    pub fn cpu_per(&self, requests: u64) -> Option<Duration> {
        (requests > 0 && !self.seen.is_zero())
            .then(|| Duration::from_nanos((self.cpu.as_nanos() / u128::from(requests)) as u64))
    }
}
