//! One run as a few numbers.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Figure;
use crate::outcome::Outcome;
use crate::threshold;
use crate::verdict::Kind;

/// The load tester among watched processes: not the target.
const GENERATOR: &str = "generator";

/// One run as a few numbers, all of what is judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Median response time in seconds; `None`: nothing was answered.
    pub p50: Option<f64>,
    /// 95th percentile, seconds.
    pub p95: Option<f64>,
    /// 99th percentile, seconds.
    pub p99: Option<f64>,
    /// Mean, seconds.
    pub mean: Option<f64>,
    /// Requests ended without an answer: the times may be longer.
    pub cut_short: bool,
    /// Share of planned requests that are not ok.
    pub errors: f64,
    /// Answers as expected, per second.
    pub throughput: f64,
    /// CPU time of all watched processes but the load tester for each request sent, seconds.
    pub cpu_per_request: Option<f64>,
    /// Requests planned.
    pub planned: u64,
    /// The generator did not do its part: the rest means nothing.
    pub invalid: bool,
    /// It was ended before its time: the rest is of a part.
    #[serde(default)]
    pub interrupted: bool,
}

impl Run {
    /// The numbers of a run that was judged.
    #[must_use]
    pub fn of(outcome: &Outcome) -> Self {
        let total = outcome.total();
        let judged = total.judged();
        let at = |quantile| judged.quantile(quantile).map(|time| time.as_secs_f64());
        let sent = total.planned.saturating_sub(total.not_started);
        Self {
            p50: at(0.5),
            p95: at(0.95),
            p99: at(0.99),
            mean: judged.mean().map(|time| time.as_secs_f64()),
            cut_short: !total.censored.is_empty(),
            errors: if total.planned == 0 { 0.0 } else { total.bad() as f64 / total.planned as f64 },
            throughput: threshold::throughput(outcome, &total),
            cpu_per_request: target_cpu(outcome)
                .filter(|_| sent > 0)
                .map(|cpu| cpu.as_secs_f64() / sent as f64),
            planned: total.planned,
            invalid: outcome.verdict.kind == Kind::Invalid,
            interrupted: outcome.interrupted,
        }
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, figure: Figure) -> Option<f64> {
        match figure {
            Figure::P50 => self.p50,
            Figure::P95 => self.p95,
            Figure::P99 => self.p99,
            Figure::Mean => self.mean,
            Figure::Errors => (self.planned > 0).then_some(self.errors),
            Figure::Throughput => (self.planned > 0).then_some(self.throughput),
            Figure::Cpu => self.cpu_per_request,
        }
    }
}

/// A figure of each run; none if one of them lacks it.
pub(super) fn values(runs: &[Run], figure: Figure) -> Vec<f64> {
    runs.iter().map(|run| run.get(figure)).collect::<Option<Vec<f64>>>().unwrap_or_default()
}

/// What the watched processes used while they were judged.
fn target_cpu(outcome: &Outcome) -> Option<Duration> {
    let targets = outcome.lab.watched.iter().filter(|watched| watched.name != GENERATOR);
    let of_stage = targets.flat_map(|watched| outcome.stages.iter().zip(&watched.stages));
    let judged = of_stage.filter(|(stage, usage)| !stage.warmup && !usage.seen.is_zero());
    judged.map(|(_, usage)| usage.cpu).reduce(|sum, cpu| sum + cpu)
}
