//! Outcomes to judge in tests.

use std::time::Duration;

use crate::hdr::Hdr;
use crate::outcome::{FORMAT, Generator, Machine, Outcome, Series, Tally};
use crate::plan::Stage;
use crate::verdict::Verdict;

/// A stage of constant rate.
pub(crate) fn stage(name: &str, seconds: u64, rate: f64) -> Stage {
    Stage { name: name.to_owned(), length: Duration::from_secs(seconds), from: rate, to: rate, warmup: false }
}

/// Durations in microseconds.
pub(crate) fn times(us: impl IntoIterator<Item = u64>) -> Hdr {
    let mut times = Hdr::default();
    us.into_iter().for_each(|us| times.record_us(us));
    times
}

/// Answered requests, all as expected.
pub(crate) fn answered(us: impl IntoIterator<Item = u64>) -> Tally {
    let response = times(us);
    let count = response.count();
    Tally { planned: count, ok: count, service: response.clone(), response, ..Tally::default() }
}

/// A run of ten seconds by a generator that did well.
pub(crate) fn outcome(tally: Tally) -> Outcome {
    of(vec![stage("main", 10, 100.0)], vec![series("main", &[], vec![tally])])
}

/// One step's results.
pub(crate) fn series(step: &str, tags: &[(&str, &str)], stages: Vec<Tally>) -> Series {
    let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Series { step: step.to_owned(), tags, stages }
}

/// A run by a generator that did well.
pub(crate) fn of(stages: Vec<Stage>, series: Vec<Series>) -> Outcome {
    Outcome {
        format: FORMAT,
        name: "sample".to_owned(),
        target: "http://shop.test".to_owned(),
        tags: Vec::new(),
        started_unix_ms: 0,
        machine: Machine::default(),
        seed: 1,
        model: "open".to_owned(),
        keep_alive: true,
        protocols: Vec::new(),
        users_max: 100,
        took: stages.iter().map(|stage| stage.length).sum(),
        loaded: stages.iter().map(|stage| stage.length).sum(),
        stages,
        interrupted: false,
        series,
        timeline: Vec::new(),
        generator: Generator {
            workers: 1,
            lag: times([20; 100]),
            pacing: times([10; 100]),
            ..Generator::default()
        },
        lab: crate::lab::LabOutcome::default(),
        verdict: Verdict::default(),
    }
}
