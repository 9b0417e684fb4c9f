//! Thresholds as k6 has them, metric apart from condition.

use super::parse::{self, Parts};
use super::{Clock, Error, Measure, Op, Threshold};

pub(super) fn threshold(metric: &str, text: &str) -> Result<Threshold, Error> {
    let mut parts = Parts::of(text)?;
    let (name, select) = parse::measured(metric).map_err(|what| parts.error(what))?;
    parts.select.extend(select);
    let measure = measure(&name, &parts).map_err(|what| parts.error(what))?;
    parts.finish(measure)
}

/// What k6's metric, aggregated as the condition says, corresponds to.
fn measure(metric: &str, parts: &Parts) -> Result<Measure, String> {
    let clock = match metric {
        "http_req_duration" => Some(Clock::Response),
        "http_req_waiting" => Some(Clock::FirstByte),
        "http_req_connecting" => Some(Clock::Connect),
        _ => None,
    };
    if let Some(clock) = clock {
        let statistic = parse::statistic(&parts.word)?;
        let unknown =
            || format!("`{}` of `{metric}` is not measured; use p(95), avg, min, max or med", parts.word);
        return statistic.map(|statistic| Measure::Time(clock, statistic)).ok_or_else(unknown);
    }
    match (metric, parts.word.as_str()) {
        ("http_req_failed", "rate") => Ok(Measure::Errors),
        ("checks", "rate") => Ok(Measure::Availability),
        ("http_reqs", "rate") => Ok(Measure::Sent),
        ("http_reqs", "count") => Ok(Measure::Count),
        // A share and a count are both 0 or not.
        ("dropped_iterations", "count" | "rate") if is_none(parts) => Ok(Measure::NotStarted),
        ("dropped_iterations", _) => Err("only `count==0` of dropped iterations is understood".to_owned()),
        ("http_req_failed" | "checks" | "http_reqs", word) => {
            Err(format!("`{word}` of `{metric}` is not measured"))
        }
        _ => Err(format!(
            "nothing here corresponds to the metric `{metric}`; understood are http_req_duration, \
             http_req_waiting, http_req_connecting, http_req_failed, http_reqs, checks and dropped_iterations"
        )),
    }
}

fn is_none(parts: &Parts) -> bool {
    matches!(parts.op, Op::Equal | Op::AtMost) && parts.limit.parse() == Ok(0.0)
}
