//! What must hold: `p(95)<100ms`.

mod judge;
mod k6;
mod parse;
mod show;
#[cfg(test)]
mod tests;
pub mod words;

use std::fmt;

pub use judge::{Judged, State};
pub(crate) use judge::{planned_and_finished, throughput};
use serde::{Deserialize, Serialize};
use show::{tidy, time_unit};

/// Longest text that is read as a threshold.
pub const TEXT_MAX: usize = 500;

/// A condition on a run.
///
/// Written as k6 does, with units: `p(95)<100ms`, `avg<50ms`, `p(99){step:login}<200ms`, `errors<0.1%`,
/// `availability>99.9%`, `throughput>1000/s`, `recovery<30s`. A time without a unit is in milliseconds, a share
/// without one is from 0 to 1, a rate without one is per second.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    /// What is looked at.
    pub measure: Measure,
    /// Of which requests: each key and value must fit. `step` is a step's name, `stage` a stage's, anything else
    /// a tag. Empty: all.
    pub select: Vec<(String, String)>,
    /// How it must compare.
    pub op: Op,
    /// To what: seconds, a share from 0 to 1, a number per second, or a number, as the measure has it.
    pub limit: f64,
}

/// What a threshold looks at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Measure {
    /// A time, in seconds.
    Time(Clock, Statistic),
    /// The share of planned requests that are not ok: errors, timeouts, and those not started.
    Errors,
    /// The share of planned requests that are ok. Of this run: no promise for a month.
    Availability,
    /// The share of planned requests that were never sent.
    NotStarted,
    /// Answers as expected, per second.
    Throughput,
    /// Requests sent, per second.
    Sent,
    /// Requests sent.
    Count,
    /// The longest time from the end of a fault until all was well again, in seconds.
    Recovery,
}

/// Between which moments a time is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// From the planned start to the last byte: what a user waits. Requests that ended without an answer count
    /// with the time they were waited for.
    Response,
    /// From the actual start to the last byte, of what is ok.
    Service,
    /// From the actual start to the first byte of an answer.
    FirstByte,
    /// To connect, of requests that had to.
    Connect,
    /// From the planned to the actual start.
    Delay,
}

/// What becomes of many times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Statistic {
    /// The mean.
    Mean,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// What this share of all does not exceed; above 0 and below 1.
    Quantile(f64),
}

/// How two numbers compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
    /// `==`
    Equal,
    /// `!=`
    Unequal,
}

/// Why a text is no threshold: what is wrong with it, and what one looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    text: String,
    what: String,
}

/// What kind of number a measure gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// A share, from 0 to 1.
    Share,
    /// So many per second.
    PerSecond,
    /// A plain number.
    Number,
}

impl Threshold {
    /// Reads a threshold.
    ///
    /// # Errors
    /// What is wrong with the text, the nearest known word, and an example.
    pub fn parse(text: &str) -> Result<Self, Error> {
        parse::threshold(text)
    }

    /// Reads a threshold as k6 has it, where the metric stands apart: `http_req_duration{step:login}` and
    /// `p(95)<200`. Response times are from the planned start, unlike k6's.
    ///
    /// # Errors
    /// As `parse`; and if nothing here corresponds to the metric.
    pub fn parse_k6(metric: &str, text: &str) -> Result<Self, Error> {
        k6::threshold(metric, text)
    }

    /// Fewest samples with which it can pass, were all of them good; 1 where a single one tells.
    #[must_use]
    pub fn samples_min(&self) -> u64 {
        judge::samples_min(self)
    }

    /// Whether it limits a time from above, and what to: such a limit says how exact the generator must be.
    #[must_use]
    pub fn time_limit(&self) -> Option<f64> {
        let limits = matches!(self.op, Op::Less | Op::AtMost);
        (matches!(self.measure, Measure::Time(..)) && limits).then_some(self.limit)
    }
}

impl Unit {
    /// A figure as people read it, to three digits: `187 ms`, `0.12 %`, `1234/s`.
    #[must_use]
    pub fn show(self, value: f64) -> String {
        show::figure(value, self)
    }
}

impl Measure {
    /// What kind of number it gives.
    #[must_use]
    pub const fn unit(self) -> Unit {
        match self {
            Self::Time(..) | Self::Recovery => Unit::Seconds,
            Self::Errors | Self::Availability | Self::NotStarted => Unit::Share,
            Self::Throughput | Self::Sent => Unit::PerSecond,
            Self::Count => Unit::Number,
        }
    }
}

impl Op {
    /// Whether `value` compares so to `limit`.
    #[must_use]
    pub fn holds(self, value: f64, limit: f64) -> bool {
        match self {
            Self::Less => value < limit,
            Self::AtMost => value <= limit,
            Self::More => value > limit,
            Self::AtLeast => value >= limit,
            Self::Equal => value == limit,
            Self::Unequal => value != limit,
        }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.measure)?;
        for (index, (key, value)) in self.select.iter().enumerate() {
            write!(f, "{}{key}:{value}", if index == 0 { "{" } else { "," })?;
        }
        write!(f, "{}{}", if self.select.is_empty() { "" } else { "}" }, self.op)?;
        match self.measure.unit() {
            Unit::Seconds => {
                let (scale, unit) = time_unit(self.limit);
                write!(f, "{}{unit}", tidy(self.limit / scale))
            }
            Unit::Share => write!(f, "{}%", tidy(self.limit * 100.0)),
            Unit::PerSecond => write!(f, "{}/s", self.limit),
            Unit::Number => write!(f, "{}", self.limit),
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(clock, statistic) => {
                f.write_str(match clock {
                    Clock::Response => "",
                    Clock::Service => "service_",
                    Clock::FirstByte => "first_byte_",
                    Clock::Connect => "connect_",
                    Clock::Delay => "delay_",
                })?;
                match statistic {
                    Statistic::Mean => f.write_str("avg"),
                    Statistic::Min => f.write_str("min"),
                    Statistic::Max => f.write_str("max"),
                    Statistic::Quantile(quantile) => write!(f, "p({})", tidy(quantile * 100.0)),
                }
            }
            Self::Errors => f.write_str("errors"),
            Self::Availability => f.write_str("availability"),
            Self::NotStarted => f.write_str("not_started"),
            Self::Throughput => f.write_str("throughput"),
            Self::Sent => f.write_str("sent"),
            Self::Count => f.write_str("count"),
            Self::Recovery => f.write_str("recovery"),
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::More => ">",
            Self::AtLeast => ">=",
            Self::Equal => "==",
            Self::Unequal => "!=",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a threshold: {}", self.text, self.what)
    }
}

impl std::error::Error for Error {}
