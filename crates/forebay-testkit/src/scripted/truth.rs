//! What a scripted server did, written down by itself.

use std::collections::BTreeMap;
use std::time::Duration;

use super::How;

/// Answers that are remembered one by one; further ones are only counted.
pub const ENTRIES_MAX: usize = 1 << 20;

/// What a scripted server did.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    /// Connections accepted.
    pub connections: u64,
    /// Requests read whole.
    pub requests: u64,
    /// Answers given and faults done, by how. `Never` counts when its request was read.
    pub answers: BTreeMap<How, u64>,
    /// Answers given whole, slow or truncated, by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests whose connection ended before their answer was given.
    pub abandoned: u64,
    /// What came that was no request: must be empty, whatever is tested.
    pub faults: Vec<String>,
    /// One for each answer and fault, in the order in which they were done. At most `ENTRIES_MAX`.
    pub entries: Vec<Entry>,
}

/// One answer or fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The request's number.
    pub number: u64,
    /// When its last byte was read, after the first request's.
    pub at: Duration,
    /// From there to the answer's first byte, as the script wanted it, waiting for a desk included.
    pub planned: Duration,
    /// The same as it was.
    pub first: Duration,
    /// From `at` to when the last byte was handed to the kernel.
    pub last: Duration,
}

impl Truth {
    /// Answers given in this way.
    #[must_use]
    pub fn given(&self, how: How) -> u64 {
        self.answers.get(&how).copied().unwrap_or_default()
    }

    /// How much later than the script wanted the share `quantile` of all answers began, at most. Zero when there
    /// are none.
    #[must_use]
    pub fn lateness(&self, quantile: f64) -> Duration {
        pick(self.entries.iter().map(|entry| entry.first.saturating_sub(entry.planned)).collect(), quantile)
    }

    /// How long the share `quantile` of all answers took, at most: from reading the request to handing over the
    /// last byte. Zero when there are none.
    #[must_use]
    pub fn took(&self, quantile: f64) -> Duration {
        pick(self.entries.iter().map(|entry| entry.last).collect(), quantile)
    }
}

fn pick(mut all: Vec<Duration>, quantile: f64) -> Duration {
    all.sort_unstable();
    let rank = (quantile * all.len() as f64).ceil() as usize;
    all.get(rank.clamp(1, all.len().max(1)) - 1).copied().unwrap_or_default()
}
