//! Durations in constant memory, to three digits: an HDR histogram of microseconds.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};
use serde::{Deserialize, Serialize};

/// Longest duration told apart from longer ones.
pub const MAX: Duration = Duration::from_secs(3600);

/// Significant digits.
const DIGITS: u8 = 3;

/// How often which duration was seen: 1 µs to 1 h, at most 0.1 % wrong, at most 188 KB; no memory while empty.
#[derive(Clone, Default, PartialEq)]
pub struct Hdr {
    histogram: Option<Box<Histogram<u64>>>,
}

impl Hdr {
    /// Counts a duration.
    #[inline]
    pub fn record(&mut self, duration: Duration) {
        self.record_us(u64::try_from(duration.as_nanos().div_ceil(1_000)).unwrap_or(u64::MAX));
    }

    /// Counts a duration in microseconds; longer than an hour is an hour.
    #[inline]
    pub fn record_us(&mut self, us: u64) {
        let us = us.min(MAX.as_micros() as u64);
        self.get_mut().record(us).expect("it grows as it must");
    }

    /// Counts what another counted.
    pub fn merge(&mut self, other: &Self) {
        let Some(other) = &other.histogram else { return };
        match &mut self.histogram {
            Some(histogram) => histogram.add(other.as_ref()).expect("both have the same bounds"),
            None => self.histogram = Some(other.clone()),
        }
    }

    /// How many were counted.
    #[must_use]
    #[inline]
    pub fn count(&self) -> u64 {
        self.histogram.as_ref().map_or(0, |histogram| histogram.len())
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// The least duration that at least so many of all do not exceed, `quantile` from 0 to 1; `None`: there
    /// are none.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        let histogram = self.histogram.as_ref().filter(|histogram| !histogram.is_empty())?;
        // A value stands for its bucket; the greatest one is never more than what was seen.
        let us = histogram.value_at_quantile(quantile.clamp(0.0, 1.0)).min(histogram.max());
        Some(Duration::from_micros(us))
    }

    /// The `rank`-th least, from 1; beyond the last, the last; `None`: there are none.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    pub fn nth(&self, rank: u64) -> Option<Duration> {
        let count = self.count();
        // Half a step down, so that rounding cannot reach the next rank.
        (count > 0).then(|| (rank.clamp(1, count) as f64 - 0.5) / count as f64).and_then(|q| self.quantile(q))
    }

    /// The mean; `None`: there are none.
    #[must_use]
    pub fn mean(&self) -> Option<Duration> {
        let histogram = self.histogram.as_ref().filter(|histogram| !histogram.is_empty())?;
        Some(Duration::from_secs_f64(histogram.mean() / 1e6))
    }

    /// The least.
    #[must_use]
    pub fn min(&self) -> Option<Duration> {
        let histogram = self.histogram.as_ref().filter(|histogram| !histogram.is_empty())?;
        Some(Duration::from_micros(histogram.min()))
    }

    /// The greatest.
    #[must_use]
    pub fn max(&self) -> Option<Duration> {
        self.quantile(1.0)
    }

    /// How many did not exceed `limit`.
    #[must_use]
    pub fn count_within(&self, limit: Duration) -> u64 {
        let us = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX).min(MAX.as_micros() as u64);
        self.histogram.as_ref().map_or(0, |histogram| histogram.count_between(0, us))
    }

    /// Each recorded value in microseconds with how often it was seen, in order.
    pub fn values(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let recorded = self.histogram.as_deref().map(Histogram::iter_recorded);
        recorded.into_iter().flatten().map(|at| (at.value_iterated_to(), at.count_at_value()))
    }

    #[inline]
    fn get_mut(&mut self) -> &mut Histogram<u64> {
        self.histogram.get_or_insert_with(|| Box::new(empty()))
    }
}

/// Grows as it must, up to an hour.
#[cold]
fn empty() -> Histogram<u64> {
    let mut histogram = Histogram::new(DIGITS).expect("three digits are supported");
    histogram.auto(true);
    histogram
}

impl fmt::Debug for Hdr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hdr({} values, p50 {:?}, max {:?})", self.count(), self.quantile(0.5), self.max())
    }
}

/// As text: the usual compressed form (V2, deflated, base64), which other tools read; empty when empty.
impl Serialize for Hdr {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::new();
        if let Some(histogram) = &self.histogram {
            V2DeflateSerializer::new().serialize(histogram, &mut bytes).map_err(serde::ser::Error::custom)?;
        }
        serializer.serialize_str(&crate::base64::encode(&bytes))
    }
}

impl<'de> Deserialize<'de> for Hdr {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let text = String::deserialize(deserializer)?;
        let bytes =
            crate::base64::decode(&text).ok_or_else(|| D::Error::custom("a histogram is not base64"))?;
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let read: Histogram<u64> = Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(|error| D::Error::custom(format!("a histogram cannot be read: {error}")))?;
        // Whatever its bounds are, its values are taken over into bounds of our own.
        let mut hdr = Self::default();
        for at in read.iter_recorded() {
            let us = at.value_iterated_to().min(MAX.as_micros() as u64);
            hdr.get_mut()
                .record_n(us, at.count_at_value())
                .map_err(|_| D::Error::custom("a histogram is broken"))?;
        }
        Ok(hdr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = u64>) -> Hdr {
        let mut hdr = Hdr::default();
        values.into_iter().for_each(|us| hdr.record_us(us));
        hdr
    }

    #[test]
    fn quantiles_are_within_a_thousandth() {
        let hdr = of(1..=100_000);
        for (quantile, us) in [(0.5, 50_000), (0.95, 95_000), (0.99, 99_000), (1.0, 100_000)] {
            let seen = hdr.quantile(quantile).map_or(0, |value| value.as_micros());
            assert!(seen.abs_diff(us) <= us / 1_000, "p{quantile}: {seen}, not {us}");
        }
        assert!(hdr.max().is_some_and(|max| (100_000..=100_100).contains(&max.as_micros())));
    }

    #[test]
    fn nothing_has_no_percentile() {
        let hdr = Hdr::default();
        assert_eq!((hdr.quantile(0.5), hdr.mean(), hdr.max(), hdr.nth(1)), (None, None, None, None));
    }

    #[test]
    fn ranks_are_exact() {
        let hdr = of([10, 20, 30, 40]);
        let ranks: Vec<_> = (1..=5).filter_map(|rank| hdr.nth(rank)).map(|at| at.as_micros()).collect();
        assert_eq!(ranks, [10, 20, 30, 40, 40]);
    }

    #[test]
    fn it_survives_being_written_and_read() {
        for hdr in [Hdr::default(), of([1, 5, 5, 900_000, 10_000_000_000])] {
            let text = serde_json::to_string(&hdr).expect("it can be written");
            let read: Hdr = serde_json::from_str(&text).expect("it can be read");
            assert_eq!(read.values().collect::<Vec<_>>(), hdr.values().collect::<Vec<_>>());
        }
    }

    #[test]
    fn broken_text_is_an_error() {
        for text in ["\"%\"", "\"AAAA\"", "1"] {
            assert!(serde_json::from_str::<Hdr>(text).is_err(), "{text}");
        }
    }
}
