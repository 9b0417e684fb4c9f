//! How long things took: log-linear buckets, a few nanoseconds to record, quantiles within a few per cent.

use std::sync::OnceLock;

use super::Counter;

/// Durations below this are told apart in steps of this many nanoseconds (2^6).
const UNIT_BITS: u32 = 6;
/// Each doubling is cut into this many equal steps (2^4), so a bucket is at most 1/16 of its value wide.
const STEP_BITS: u32 = 4;
/// Durations from 2^42 ns (73 minutes) on share the last bucket; `Snapshot::max` still tells them exactly.
const TOP_BITS: u32 = 42;

const STEPS: usize = 1 << STEP_BITS;
const BUCKETS: usize = (TOP_BITS - UNIT_BITS - STEP_BITS + 1) as usize * STEPS;

/// Durations in nanoseconds, from 1 µs to over an hour, within 1/32 of their value. Single writer, any reader.
///
/// An unused one costs 32 bytes; its buckets (about 4 KiB) appear with the first `record`.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: OnceLock<Box<[Counter; BUCKETS]>>,
    sum: Counter,
    max: Counter,
}

/// The state of one or more histograms at a moment: owned, mergeable, askable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Empty, or `BUCKETS` long.
    counts: Vec<u64>,
    count: u64,
    sum: u64,
    max: u64,
}

impl Histogram {
    /// A histogram nothing was recorded in.
    #[must_use]
    pub const fn new() -> Self {
        Self { buckets: OnceLock::new(), sum: Counter::new(), max: Counter::new() }
    }

    /// Counts one duration. A few nanoseconds: no float, no lock, no allocation but the first time.
    #[inline]
    pub fn record(&self, nanos: u64) {
        let buckets = self.buckets.get_or_init(empty_buckets);
        buckets[index_of(nanos)].inc();
        self.sum.add(nanos);
        self.max.raise(nanos);
    }

    /// Copies the present state. A record under way in another thread may be in the buckets and not yet in the
    /// sum.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        self.add_to(&mut snapshot);
        snapshot
    }

    /// Adds the present state to `total`, without a copy in between.
    pub fn add_to(&self, total: &mut Snapshot) {
        let Some(buckets) = self.buckets.get() else { return };
        total.counts.resize(BUCKETS, 0);
        for (sum, bucket) in total.counts.iter_mut().zip(buckets.iter()) {
            let count = bucket.get();
            *sum += count;
            total.count += count;
        }
        total.sum = total.sum.wrapping_add(self.sum.get());
        total.max = total.max.max(self.max.get());
    }
}

impl Snapshot {
    /// Durations recorded.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Their sum in nanoseconds; wraps past 584 years.
    #[must_use]
    pub const fn sum(&self) -> u64 {
        self.sum
    }

    /// The longest in nanoseconds, exact; 0 if there is none.
    #[must_use]
    pub const fn max(&self) -> u64 {
        self.max
    }

    /// The mean in nanoseconds; 0 if there is none.
    #[must_use]
    pub const fn mean(&self) -> u64 {
        match self.sum.checked_div(self.count) {
            Some(mean) => mean,
            None => 0,
        }
    }

    /// Adds what `other` holds.
    pub fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        self.counts.resize(BUCKETS, 0);
        for (sum, count) in self.counts.iter_mut().zip(&other.counts) {
            *sum += count;
        }
        self.count += other.count;
        self.sum = self.sum.wrapping_add(other.sum);
        self.max = self.max.max(other.max);
    }

    /// What was recorded after `earlier`, a former snapshot of the same histogram. If counts went down (a
    /// route was forgotten and came back), the difference counts from zero there. `max` is the bound of the
    /// highest bucket that grew, or the exact one if it is newer.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut counts = self.counts.clone();
        for (count, before) in counts.iter_mut().zip(&earlier.counts) {
            *count = count.saturating_sub(*before);
        }
        let highest = counts.iter().rposition(|&count| count > 0);
        let max = match highest {
            None => 0,
            Some(_) if self.max > earlier.max => self.max,
            Some(index) => upper_bound(index).min(self.max),
        };
        let count = counts.iter().sum();
        Self { counts, count, sum: self.sum.saturating_sub(earlier.sum), max }
    }

    /// The duration in nanoseconds that a share `q` (0 to 1) of all is at or under: the middle of the bucket
    /// that holds it, hence within 1/32 of the truth from 1 µs to 73 minutes. 0 if there is none.
    #[must_use]
    pub fn quantile(&self, q: f64) -> u64 {
        if self.count == 0 {
            return 0;
        }
        let rank = rank_of(q, self.count);
        if rank == self.count {
            return self.max;
        }
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return middle(index).min(self.max);
            }
        }
        self.max
    }

    /// How many durations were at or under each of `bounds` (nanoseconds, ascending), handed out in order. A
    /// bucket across a bound counts on the side its middle is on.
    pub fn cumulative(&self, bounds: &[u64], mut each: impl FnMut(u64)) {
        let mut seen = 0;
        let mut buckets = self.counts.iter().enumerate().peekable();
        for &bound in bounds {
            while let Some((_, count)) = buckets.next_if(|&(index, _)| middle(index) <= bound) {
                seen += count;
            }
            each(seen);
        }
    }
}

/// The rank (1 to `count`) of the sample at quantile `q`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "q is clamped to 0..=1 and the result to 1..=count; counts past 2^53 may be off by one in a rank"
)]
fn rank_of(q: f64, count: u64) -> u64 {
    ((q.clamp(0.0, 1.0) * count as f64).ceil() as u64).clamp(1, count)
}

fn empty_buckets() -> Box<[Counter; BUCKETS]> {
    Box::new([const { Counter::new() }; BUCKETS])
}

/// The bucket of a duration, without a branch. Below `STEPS` units the shift is 0 and the buckets are linear;
/// then every doubling shifts once more and has `STEPS` buckets.
#[inline]
fn index_of(nanos: u64) -> usize {
    let units = nanos >> UNIT_BITS;
    let shift = (u64::BITS - 1 - STEP_BITS) - (units | STEPS as u64).leading_zeros();
    let index = ((shift as usize) << STEP_BITS) + (units >> shift) as usize;
    index.min(BUCKETS - 1)
}

/// The first duration of a bucket, in nanoseconds.
const fn lower_bound(index: usize) -> u64 {
    let shift = if index < 2 * STEPS { 0 } else { index / STEPS - 1 };
    ((index - shift * STEPS) as u64) << shift << UNIT_BITS
}

/// The first duration past a bucket, in nanoseconds.
const fn upper_bound(index: usize) -> u64 {
    lower_bound(index + 1)
}

const fn middle(index: usize) -> u64 {
    let low = lower_bound(index);
    low + (upper_bound(index) - low) / 2
}

#[cfg(test)]
mod tests;
