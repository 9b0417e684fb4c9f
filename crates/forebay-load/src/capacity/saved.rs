//! A search as it is kept: what was found, and of what.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Capacity;

/// Version of the form a search has as JSON.
pub const FORMAT: u32 = 1;
/// What tells a search from the result of a run.
const KIND: &str = "capacity";
/// Most steps, conditions or sentences that are read.
const ITEMS_MAX: usize = 1_000;
/// Greatest number that is read: rates, seconds.
const NUMBER_MAX: f64 = 1e12;

/// A search, over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Saved {
    /// `FORMAT` of whoever wrote it.
    pub format: u32,
    /// Always `capacity`.
    kind: String,
    /// The plan's name.
    pub name: String,
    /// Where requests went, as a URL.
    pub target: String,
    /// When it started, in milliseconds since 1970.
    pub started_unix_ms: u64,
    /// What was found.
    #[serde(flatten)]
    pub capacity: Capacity,
}

#[derive(Deserialize)]
struct Head {
    format: Option<u32>,
    kind: Option<String>,
}

impl Saved {
    /// What a search of `target` found.
    #[must_use]
    pub fn of(name: &str, target: &str, started_unix_ms: u64, capacity: Capacity) -> Self {
        let [name, target] = [name, target].map(str::to_owned);
        Self { format: FORMAT, kind: KIND.to_owned(), name, target, started_unix_ms, capacity }
    }

    /// As JSON, indented, ending with a newline.
    #[must_use]
    pub fn write(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("a search has no map");
        text.push('\n');
        text
    }

    /// Reads what `write` wrote. `None`: it is no search.
    ///
    /// # Errors
    /// It is of another version, not complete, or does not make sense: says which.
    pub fn read(text: &str) -> Option<Result<Self, String>> {
        let head: Head = serde_json::from_str(text).ok()?;
        head.kind.filter(|kind| kind == KIND)?;
        if head.format != Some(FORMAT) {
            return Some(Err(format!(
                "it is not of format {FORMAT}, which this program reads: search again, or use the version that wrote it"
            )));
        }
        let saved = serde_json::from_str::<Self>(text);
        Some(saved.map_err(|error| format!("it is not a complete search: {error}")).and_then(Self::checked))
    }

    /// Whether it is what a search could have left, so that whoever works with it needs no doubts.
    fn checked(self) -> Result<Self, String> {
        let Capacity { slos, last_passing, first_failing, knee, steps, says, .. } = &self.capacity;
        let number = |value: f64| (0.0..NUMBER_MAX).contains(&value);
        let maybe = |value: &Option<f64>| value.is_none_or(number);
        let small = |length: Duration| length.as_secs_f64() < NUMBER_MAX;
        let few = [slos.len(), steps.len(), says.len()].iter().all(|count| *count <= ITEMS_MAX);
        let sound = few
            && [last_passing, first_failing, knee].into_iter().all(maybe)
            && steps.iter().all(|step| {
                let run = &step.result.run;
                number(step.rate)
                    && small(step.length)
                    && [&run.p50, &run.p95, &run.p99, &run.mean].into_iter().all(maybe)
                    && [run.errors, run.throughput, step.result.generator].into_iter().all(number)
            });
        sound.then_some(self).ok_or_else(|| "a number of it is out of range".to_owned())
    }
}
