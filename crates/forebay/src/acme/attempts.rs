//! What was tried and failed: kept beside the certificate, so that neither a restart nor a replica asks too often.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::decide::spread;
use super::{Seconds, Timing};

/// Refusals that an hour may have: authorities allow as many failed authorizations for a name.
const REFUSED_PER_HOUR: usize = 5;
const HOUR: Seconds = 3_600;
/// Longest wait that is taken from a server.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(7 * 86_400);
/// Longest text of an error that is kept, in bytes.
const TEXT_BYTES_MAX: usize = 2 << 10;

/// Why there is no certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) kind: Kind,
    /// In plain words.
    pub(super) text: String,
    /// How long the server asks us to wait.
    pub(super) retry_after: Option<Duration>,
}

/// Whether it was the server's decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The server cannot be reached, or is in trouble; or it is our own disk. Nobody's limit was touched.
    Unreachable,
    /// The server said no. It counts how often.
    Refused,
}

/// Failures since the last success.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Attempts {
    /// In a row, all of the kind of the last.
    row: u32,
    /// Of the last one.
    refused: bool,
    /// When it was; 0: never, or it is not to be waited for.
    last: Seconds,
    /// When the latest refusals were, the oldest first. At most [`REFUSED_PER_HOUR`].
    refusals: Vec<Seconds>,
    /// The server wants to hear nothing before.
    not_before: Seconds,
    /// What the last one was.
    error: String,
}

impl Failure {
    pub(super) fn unreachable(text: impl Into<String>) -> Self {
        Self { kind: Kind::Unreachable, text: text.into(), retry_after: None }
    }

    pub(super) fn refused(text: impl Into<String>) -> Self {
        Self { kind: Kind::Refused, text: text.into(), retry_after: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Attempts {
    /// Notes a failure.
    pub(super) fn failed(&mut self, now: Seconds, failure: &Failure) {
        let refused = failure.kind == Kind::Refused;
        self.row = if self.row > 0 && refused == self.refused { self.row.saturating_add(1) } else { 1 };
        (self.refused, self.last) = (refused, now);
        if refused {
            self.refusals.push(now);
            let surplus = self.refusals.len().saturating_sub(REFUSED_PER_HOUR);
            self.refusals.drain(..surplus);
        }
        let wait = failure.retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
        self.not_before = if wait.is_zero() { 0 } else { now + wait.as_secs() };
        self.error = clipped(&failure.text);
    }

    /// An operator has changed something: the next attempt need not wait, as far as limits of servers allow.
    pub(super) fn hurry(&mut self) {
        (self.row, self.last) = (0, 0);
    }

    /// Before this there must be no attempt.
    pub(super) fn earliest(&self, timing: &Timing, jitter: f64) -> Seconds {
        let (first, most) = match self.refused {
            true => (timing.refused_first, timing.refused_most),
            false => (timing.unreachable_first, timing.unreachable_most),
        };
        let doubled =
            first.as_secs().saturating_mul(1_u64.checked_shl(self.row.saturating_sub(1)).unwrap_or(u64::MAX));
        let wait = if self.row == 0 { 0 } else { doubled.min(most.as_secs()) };
        let by_row = self.last + wait + spread(wait / 5, jitter);
        let by_hour = match self.refusals.first() {
            Some(first) if self.refusals.len() == REFUSED_PER_HOUR => first + HOUR,
            _ => 0,
        };
        by_row.max(by_hour).max(self.not_before)
    }

    /// What went wrong last; `None` if nothing did since the last success.
    pub(super) fn error(&self) -> Option<&str> {
        (!self.error.is_empty()).then_some(&*self.error)
    }

    /// For a file.
    pub(super) fn to_json(&self) -> Value {
        let Self { row, refused, last, refusals, not_before, error } = self;
        json!({
            "row": row, "refused": refused, "last": last, "refusals": refusals, "not_before": not_before,
            "error": error,
        })
    }

    /// From a file. What is not there or makes no sense is nothing; what is to come cannot have been: clocks are
    /// set back at times.
    pub(super) fn from_json(value: &Value, now: Seconds) -> Self {
        let seconds = |value: &Value| value.as_u64().filter(|&at| at <= now);
        let refusals = value["refusals"].as_array().map(Vec::as_slice).unwrap_or_default();
        let limit = now + RETRY_AFTER_MAX.as_secs();
        Self {
            row: value["row"].as_u64().and_then(|row| row.try_into().ok()).unwrap_or_default(),
            refused: value["refused"].as_bool().unwrap_or_default(),
            last: seconds(&value["last"]).unwrap_or_default(),
            refusals: refusals.iter().filter_map(seconds).take(REFUSED_PER_HOUR).collect(),
            not_before: value["not_before"].as_u64().filter(|&at| at <= limit).unwrap_or_default(),
            error: clipped(value["error"].as_str().unwrap_or_default()),
        }
    }
}

fn clipped(text: &str) -> String {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Seconds = 1_800_000_000;

    #[test]
    fn what_was_tried_is_known_after_a_restart() {
        let mut attempts = Attempts::default();
        for number in 0..7 {
            attempts.failed(NOW + number, &Failure::refused("the file was not there"));
        }
        let again = Attempts::from_json(&attempts.to_json(), NOW + 10);
        assert_eq!(again, attempts);
        assert_eq!(again.error(), Some("the file was not there"));
        assert_eq!(again.refusals, [2, 3, 4, 5, 6].map(|number| NOW + number));
    }

    #[test]
    fn a_file_that_makes_no_sense_stops_nobody() {
        for value in [
            json!(null),
            json!([]),
            json!({ "row": -1, "last": "yesterday", "refusals": 7, "not_before": 1e300, "error": 5 }),
            json!({ "row": u64::MAX, "last": NOW + 1, "refusals": [NOW + 1, null], "not_before": u64::MAX }),
        ] {
            let attempts = Attempts::from_json(&value, NOW);
            assert_eq!(attempts.earliest(&Timing::default(), 1.0), 0, "{value}");
        }
    }

    #[test]
    fn long_errors_are_cut_between_characters() {
        let mut attempts = Attempts::default();
        attempts.failed(NOW, &Failure::refused("ä".repeat(5_000)));
        assert_eq!(attempts.error().map(str::len), Some(TEXT_BYTES_MAX));
    }

    #[test]
    fn another_kind_of_failure_begins_a_new_row() {
        let mut attempts = Attempts::default();
        attempts.failed(NOW, &Failure::refused("no"));
        attempts.failed(NOW, &Failure::refused("no"));
        attempts.failed(NOW, &Failure::unreachable("nobody there"));
        let timing = Timing::default();
        assert_eq!(attempts.earliest(&timing, 0.0), NOW + timing.unreachable_first.as_secs());
    }
}
