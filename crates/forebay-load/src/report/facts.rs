//! The numbers every report shows, worked out once, so that no two reports differ.

use std::time::Duration;

use super::figures::float;
use super::judgement::Judgement;
use crate::hdr::Hdr;
use crate::outcome::{Outcome, Tally};

/// Percentiles a report names, with their names.
pub(crate) const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];

/// An outcome and what follows from it.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) outcome: &'a Outcome,
    pub(crate) judgement: Judgement,
    /// All that is judged.
    pub(crate) total: Tally,
    /// What was sent to warm up, which is not judged.
    pub(crate) warmup: Tally,
    /// Response times by which percentiles are told.
    pub(crate) response: Response,
    /// Length of the stages that are judged; those of an interrupted run only as far as it came.
    pub(crate) seconds: f64,
}

/// Response times of what is ok, with those of which only a least length is known.
#[derive(Debug)]
pub(crate) struct Response {
    judged: Hdr,
    known: Hdr,
}

/// A percentile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quantile {
    pub(crate) at: Duration,
    /// The true one may be longer: too many were not waited for to the end.
    pub(crate) at_least: bool,
}

impl<'a> Facts<'a> {
    pub(crate) fn of(outcome: &'a Outcome) -> Self {
        let total = outcome.total();
        Self {
            outcome,
            judgement: Judgement::of(outcome),
            warmup: outcome.select(|_| true, |stage| stage.warmup),
            response: Response::of(&total),
            total,
            seconds: outcome.judged_length().as_secs_f64(),
        }
    }

    /// Requests that did start.
    pub(crate) fn started(&self) -> u64 {
        self.total.planned.saturating_sub(self.total.not_started)
    }

    /// Answers as expected per second while load was on: those that came long after it are left out.
    pub(crate) fn throughput(&self) -> f64 {
        crate::threshold::throughput(self.outcome, &self.total)
    }

    /// So many per second of what is judged.
    pub(crate) fn per_second(&self, count: u64) -> f64 {
        if self.seconds > 0.0 { float(count) / self.seconds } else { 0.0 }
    }

    /// Length of the warm-up; none: zero.
    pub(crate) fn warmup_length(&self) -> Duration {
        self.outcome.stages.iter().filter(|stage| stage.warmup).map(|stage| stage.length).sum()
    }

    /// What readers of latencies must know about how they came to be.
    pub(crate) fn model_note(&self) -> &'static str {
        match self.outcome.model.as_str() {
            "closed" => {
                "closed model: users wait for answers before they ask again, so these times leave out everyone \
                 who would have come while the target was slow"
            }
            "recorded" => {
                "replay: requests start when the recording says, whether or not earlier ones are answered; times \
                 count from then"
            }
            _ => {
                "open model: requests start by the plan, whether or not earlier ones are answered; times count \
                 from the planned start"
            }
        }
    }

    /// What was left out because it only warms up; `None`: nothing.
    pub(crate) fn warmup_note(&self) -> Option<String> {
        let stages = self.outcome.stages.iter().filter(|stage| stage.warmup).count();
        (stages > 0).then(|| {
            format!(
                "warm-up is left out: {}, {}",
                super::figures::length(self.warmup_length()),
                super::figures::things(self.warmup.planned, "request")
            )
        })
    }
}

impl Response {
    pub(crate) fn of(tally: &Tally) -> Self {
        Self { judged: tally.judged(), known: tally.response.clone() }
    }

    /// All of them, those that are at least so long included.
    pub(crate) fn judged(&self) -> &Hdr {
        &self.judged
    }

    /// The percentile; `None`: nothing was measured.
    pub(crate) fn quantile(&self, quantile: f64) -> Option<Quantile> {
        let at = self.judged.quantile(quantile)?;
        // Were all those that were not waited for endless, would it still be the same?
        let count = self.judged.count();
        let rank = super::figures::whole((quantile * float(count)).ceil()).clamp(1, count);
        let longest = (rank <= self.known.count()).then(|| self.known.nth(rank)).flatten();
        // Neighbours within a histogram's precision are the same.
        let at_least = longest.is_none_or(|longest| longest > at.mul_f64(1.01));
        Some(Quantile { at, at_least })
    }
}

impl Quantile {
    /// `94.2 ms`, `≥ 5.1 s`.
    pub(crate) fn text(self) -> String {
        let text = super::figures::duration(self.at);
        if self.at_least { format!("≥ {text}") } else { text }
    }
}

/// The percentile as text, or a dash.
pub(crate) fn quantile_text(quantile: Option<Quantile>) -> String {
    quantile.map_or_else(|| super::figures::NONE.to_owned(), Quantile::text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(known: impl IntoIterator<Item = u64>, censored: impl IntoIterator<Item = u64>) -> Response {
        let mut tally = Tally::default();
        known.into_iter().for_each(|us| tally.response.record_us(us));
        censored.into_iter().for_each(|us| tally.censored.record_us(us));
        Response::of(&tally)
    }

    fn check(response: &Response, quantile: f64, us: u64, at_least: bool) {
        let seen = response.quantile(quantile).expect("there are some");
        assert_eq!((seen.at, seen.at_least), (Duration::from_micros(us), at_least), "{quantile}");
    }

    #[test]
    fn percentiles_below_what_was_not_waited_for_are_exact() {
        let response = response(1..=98, [500, 500]);
        check(&response, 0.5, 50, false);
        check(&response, 0.98, 98, false);
        check(&response, 0.99, 500, true);
        check(&response, 1.0, 500, true);
    }

    #[test]
    fn one_that_was_given_up_early_moves_all_that_lie_above_it() {
        let response = response((1..=99).map(|us| us * 10), [1]);
        check(&response, 0.5, 490, true);
        check(&response, 1.0, 990, true);
    }

    #[test]
    fn nothing_measured_has_no_percentile() {
        assert_eq!(response([], []).quantile(0.5), None);
        assert_eq!(quantile_text(None), "–");
    }
}
