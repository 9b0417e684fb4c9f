//! What was measured, by row, metric, peer and round.

use super::row::Name;

/// A figure that a row yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metric {
    /// User and system time of the proxy's processes per answered request, in µs.
    Cpu,
    /// Answered requests per second.
    Rate,
    /// User and system time of the proxy's processes per handshake, in µs.
    Handshake,
    /// Median latency in µs.
    P50,
    /// 99th percentile of latency in µs.
    P99,
    /// Growth of resident memory per connection, in bytes.
    Memory,
    /// Resident memory before the connections came, in KiB.
    Base,
}

impl Metric {
    /// In the order of the table.
    pub(crate) const ALL: [Self; 7] =
        [Self::Cpu, Self::Rate, Self::Handshake, Self::P50, Self::P99, Self::Memory, Self::Base];

    /// With its unit, for readers.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Cpu => "CPU per request, µs",
            Self::Rate => "requests per second",
            Self::Handshake => "CPU per handshake, µs",
            Self::P50 => "p50, µs",
            Self::P99 => "p99, µs",
            Self::Memory => "memory per connection, B",
            Self::Base => "memory before, KiB",
        }
    }

    /// For machines.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Cpu => "cpu_us_per_request",
            Self::Rate => "requests_per_second",
            Self::Handshake => "cpu_us_per_handshake",
            Self::P50 => "p50_us",
            Self::P99 => "p99_us",
            Self::Memory => "bytes_per_connection",
            Self::Base => "base_kib",
        }
    }
}

/// One measurement of one peer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    /// Each metric at most once.
    pub(crate) values: Vec<(Metric, f64)>,
    /// Why they must not be used: errors during the run.
    pub(crate) fault: Option<String>,
}

/// Figures with where they belong.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    /// Which load.
    pub(crate) row: Name,
    /// Index into the plan's peers.
    pub(crate) peer: usize,
    /// From 0.
    pub(crate) round: u32,
    /// What came out.
    pub(crate) figures: Figures,
}

/// Everything a run found out.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// In the order of measuring.
    pub(crate) samples: Vec<Sample>,
    /// Requests per second of the row `rate`.
    pub(crate) fixed_rate: Option<f64>,
    /// Per peer: the names of the fields that reached the origin, as a sign of equal work.
    pub(crate) fields: Vec<String>,
}

impl Outcome {
    /// One value per round in which this peer's figures are sound.
    pub(crate) fn by_round(&self, row: Name, metric: Metric, peer: usize) -> Vec<(u32, f64)> {
        self.samples
            .iter()
            .filter(|sample| sample.row == row && sample.peer == peer && sample.figures.fault.is_none())
            .filter_map(|sample| {
                let (_, value) = sample.figures.values.iter().find(|(found, _)| *found == metric)?;
                Some((sample.round, *value))
            })
            .collect()
    }

    /// The middle of the rounds.
    pub(crate) fn median(&self, row: Name, metric: Metric, peer: usize) -> Option<f64> {
        Spread::of(self.by_round(row, metric, peer).into_iter().map(|(_, value)| value))
            .map(|spread| spread.median)
    }

    /// One peer's value over another's, round by round.
    pub(crate) fn ratio(&self, row: Name, metric: Metric, peer: usize, other: usize) -> Option<Spread> {
        let pairs = self.pairs(row, metric, peer, other);
        Spread::of(pairs.filter(|(_, other)| *other > 0.0).map(|(value, other)| value / other))
    }

    /// Of these peers, the one with the least median.
    pub(crate) fn least(
        &self,
        row: Name,
        metric: Metric,
        peers: impl Iterator<Item = usize>,
    ) -> Option<usize> {
        peers
            .filter_map(|peer| Some((peer, self.median(row, metric, peer)?)))
            .min_by(|(_, one), (_, other)| one.total_cmp(other))
            .map(|(peer, _)| peer)
    }

    /// One peer's value less another's, round by round.
    pub(crate) fn difference(&self, row: Name, metric: Metric, peer: usize, other: usize) -> Option<Spread> {
        Spread::of(self.pairs(row, metric, peer, other).map(|(value, other)| value - other))
    }

    /// The values of each round that is sound for both.
    fn pairs(
        &self,
        row: Name,
        metric: Metric,
        peer: usize,
        other: usize,
    ) -> impl Iterator<Item = (f64, f64)> {
        let others = self.by_round(row, metric, other);
        self.by_round(row, metric, peer).into_iter().filter_map(move |(round, value)| {
            let (_, other) = others.iter().find(|(found, _)| *found == round)?;
            Some((value, *other))
        })
    }
}

/// Least, middle and greatest of some values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// `None` of nothing.
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        };
        Some(Self { min, median, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(values: &[f64]) -> Option<(f64, f64, f64)> {
        Spread::of(values.iter().copied()).map(|spread| (spread.min, spread.median, spread.max))
    }

    #[test]
    fn the_median_is_the_middle_or_between_the_two_middles() {
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[3.0]), Some((3.0, 3.0, 3.0)));
        assert_eq!(spread(&[9.0, 1.0, 2.0]), Some((1.0, 2.0, 9.0)));
        assert_eq!(spread(&[4.0, 1.0, 2.0, 9.0]), Some((1.0, 3.0, 9.0)));
    }

    fn sample(peer: usize, round: u32, value: f64, fault: Option<&str>) -> Sample {
        let figures = Figures { values: vec![(Metric::Cpu, value)], fault: fault.map(str::to_owned) };
        Sample { row: Name::Small, peer, round, figures }
    }

    #[test]
    fn the_better_one_is_the_one_with_the_least_median() {
        let mut outcome = Outcome::default();
        outcome.samples.extend([1.0, 8.0, 9.0].map(|value| sample(1, 0, value, None)));
        outcome.samples.extend([5.0, 6.0, 7.0].map(|value| sample(2, 0, value, None)));
        assert_eq!(outcome.least(Name::Small, Metric::Cpu, 1..3), Some(2));
        assert_eq!(outcome.least(Name::Small, Metric::Cpu, 3..4), None);
    }

    #[test]
    fn a_round_with_errors_counts_for_nobody() {
        let outcome = Outcome {
            samples: vec![
                sample(0, 0, 6.0, None),
                sample(1, 0, 12.0, None),
                sample(1, 1, 1.0, None),
                sample(0, 1, 50.0, Some("3 read errors")),
            ],
            ..Outcome::default()
        };
        let ratio = outcome.ratio(Name::Small, Metric::Cpu, 0, 1);
        assert_eq!(ratio, Some(Spread { min: 0.5, median: 0.5, max: 0.5 }));
        let difference = outcome.difference(Name::Small, Metric::Cpu, 0, 1);
        assert_eq!(difference, Some(Spread { min: -6.0, median: -6.0, max: -6.0 }));
    }
}
