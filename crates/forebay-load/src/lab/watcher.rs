//! Looks at processes once a second and adds up what they use, by stage and over time.

use std::time::Duration;

use super::cast::Cast;
use super::curve::Curve;
use super::leak::leak;
use super::listener::listeners;
use super::outcome::{GENERATOR, Sample, Usage, Watched};
use super::procfs::{self, Reading, Tree};
use super::{Error, Of, Watch};
use crate::plan::Stage;

/// Everything that is looked at.
#[derive(Debug)]
pub(super) struct Watcher {
    stages: Vec<Stage>,
    seen: Vec<Seen>,
    /// When it was looked last, after the start of the load.
    last: Duration,
    notes: Vec<String>,
}

#[derive(Debug)]
struct Seen {
    name: String,
    of: Of,
    tree: Tree,
    before: Option<Reading>,
    /// CPU time and instant at the last point of the curve.
    point: (Duration, Duration),
    stages: Vec<Usage>,
    curve: Curve,
    gone: bool,
}

impl Watcher {
    /// Finds what is to be looked at.
    pub(super) fn find(watch: &[Watch], cast: &Cast, stages: &[Stage]) -> Result<Self, Error> {
        // What it starts is no part of the generator.
        let generator = std::process::id();
        let tree = Tree::alone(generator);
        let mut seen = vec![Seen { tree, ..Seen::new(GENERATOR, Of::Pid(generator)) }];
        for Watch { name, of, .. } in watch {
            let mut one = Seen::new(name, of.clone());
            one.tree.follow(pids(of, cast));
            if !one.tree.is_followed() {
                return Err(not_found(name, of));
            }
            seen.push(one);
        }
        for one in &mut seen {
            one.stages = vec![Usage::default(); stages.len()];
        }
        Ok(Self { stages: stages.to_vec(), seen, last: Duration::ZERO, notes: Vec::new() })
    }

    /// The load begins now.
    pub(super) fn begin(&mut self) {
        for one in &mut self.seen {
            one.before = one.tree.read(false);
            one.point = (one.before.unwrap_or_default().cpu, Duration::ZERO);
        }
    }

    /// When to look next: each second, and where a stage ends.
    pub(super) fn next(&self) -> Duration {
        let second = Duration::from_secs(self.last.as_secs() + 1);
        ends(&self.stages).find(|end| *end > self.last).map_or(second, |end| end.min(second))
    }

    /// Looks at everything, `now` after the start.
    pub(super) fn look(&mut self, now: Duration, cast: &Cast) {
        let stage = ends(&self.stages).position(|end| self.last < end);
        let passed = now.saturating_sub(self.last);
        let whole = now.as_secs() > self.last.as_secs();
        for one in &mut self.seen {
            let reading = one.read(cast);
            if reading.is_none() && !one.gone {
                self.notes.push(format!("`{}` was gone at {:.0} s", one.name, now.as_secs_f64()));
            }
            one.gone = reading.is_none();
            if let (Some(stage), Some(reading)) = (stage, reading) {
                one.count(stage, passed, &reading);
            }
            if whole {
                one.point(now, reading);
            }
            one.before = reading.or(one.before);
        }
        self.last = now;
    }

    /// What was seen, and what is to be said of it.
    pub(super) fn finish(self) -> (Vec<Watched>, Vec<String>) {
        let stages = self.stages;
        let watched = self.seen.into_iter().map(|one| one.finish(&stages)).collect();
        (watched, self.notes)
    }
}

impl Seen {
    fn new(name: &str, of: Of) -> Self {
        Self {
            name: name.to_owned(),
            of,
            tree: Tree::default(),
            before: None,
            point: Default::default(),
            stages: Vec::new(),
            curve: Curve::default(),
            gone: false,
        }
    }

    fn read(&mut self, cast: &Cast) -> Option<Reading> {
        // A process started again has another number. What appears later was started later: all its time counts.
        if self.gone || matches!(self.of, Of::Process(_)) {
            self.tree.follow(pids(&self.of, cast));
        }
        self.tree.read(true)
    }

    fn count(&mut self, stage: usize, passed: Duration, reading: &Reading) {
        let cpu = reading.cpu.saturating_sub(self.before.unwrap_or_default().cpu);
        let Some(usage) = self.stages.get_mut(stage) else { return };
        if self.before.is_some() {
            usage.seen += passed;
            usage.cpu += cpu;
        }
        usage.memory_min =
            if usage.memory_max == 0 { reading.memory } else { usage.memory_min.min(reading.memory) };
        usage.memory_max = usage.memory_max.max(reading.memory);
        usage.threads_max = usage.threads_max.max(reading.threads);
        usage.descriptors_max = usage.descriptors_max.max(reading.descriptors);
        // Ticks of 10 ms make shares of short times meaningless.
        if passed >= Duration::from_millis(500) {
            usage.cores_max = usage.cores_max.max(cpu.as_secs_f64() / passed.as_secs_f64());
        }
    }

    fn point(&mut self, now: Duration, reading: Option<Reading>) {
        let (cpu_before, at_before) = self.point;
        let Reading { cpu, memory, threads, descriptors } =
            reading.unwrap_or(Reading { cpu: cpu_before, ..Reading::default() });
        let passed = now.saturating_sub(at_before).as_secs_f64();
        let cores = if passed > 0.0 { cpu.saturating_sub(cpu_before).as_secs_f64() / passed } else { 0.0 };
        self.point = (cpu, now);
        self.curve.push(Sample { at_ms: now.as_millis() as u64, cores, memory, threads, descriptors });
    }

    fn finish(self, stages: &[Stage]) -> Watched {
        let curve = self.curve.into_points();
        let leak = leak(&judged(&curve, stages));
        Watched { name: self.name, stages: self.stages, curve, leak, profiles: Vec::new() }
    }
}

/// Memory over time in the stages that are judged, since the process was last started.
fn judged(curve: &[Sample], stages: &[Stage]) -> Vec<(f64, f64)> {
    let last_gap = curve.iter().rposition(|sample| sample.memory == 0).map_or(0, |gap| gap + 1);
    let is_judged = |sample: &&Sample| {
        let at = Duration::from_millis(sample.at_ms);
        let index = ends(stages).position(|end| at <= end);
        index.and_then(|index| stages.get(index)).is_some_and(|stage| !stage.warmup)
    };
    let points = curve[last_gap..].iter().filter(is_judged);
    points.map(|sample| (sample.at_ms as f64 / 1_000.0, sample.memory as f64)).collect()
}

/// When each stage ends.
fn ends(stages: &[Stage]) -> impl Iterator<Item = Duration> + '_ {
    stages.iter().scan(Duration::ZERO, |end, stage| {
        *end += stage.length;
        Some(*end)
    })
}

fn pids(of: &Of, cast: &Cast) -> Vec<u32> {
    match of {
        Of::Pid(pid) => Some(*pid).filter(|pid| procfs::is_alive(*pid)).into_iter().collect(),
        Of::Process(name) => cast.pid(name).into_iter().collect(),
        Of::Port(port) => listeners(*port),
    }
}

fn not_found(name: &str, of: &Of) -> Error {
    let what = match of {
        Of::Pid(pid) => format!("there is no process {pid}"),
        Of::Process(process) => format!("the process `{process}` does not run"),
        Of::Port(port) => format!("no process that this user may look into listens on TCP port {port}"),
    };
    Error::new(format!("cannot watch `{name}`: {what}; start it first, as the same user and on Linux"))
}

#[cfg(test)]
mod tests;
