//! Results over time: one window a second (or longer, when there would be too many), by planned start.

use std::time::Duration;

use crate::outcome::{HEAT_BUCKETS, Window, heat_bucket};

/// Windows of one run.
const WINDOWS_MAX: u64 = 3_600;
/// Lengths of windows that people can read.
const LENGTHS: [u64; 10] = [1, 2, 5, 10, 30, 60, 120, 300, 600, 3_600];
/// Buckets for each doubling of a response time: at most 1.6 % wrong.
const SUB_BITS: u32 = 6;
const SUB: u64 = 1 << SUB_BITS;

/// The windows of a run, or of one thread's part of it.
#[derive(Clone, Debug)]
pub(crate) struct Windows {
    length: Duration,
    windows: Vec<Counts>,
}

/// Where a request ended up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bucket {
    Ok,
    Error,
    Timeout,
    NotStarted,
}

#[derive(Clone, Debug, Default)]
struct Counts {
    planned: u64,
    ok: u64,
    errors: u64,
    timeouts: u64,
    not_started: u64,
    finished: u64,
    answered: u64,
    /// Response times, but for errors.
    times: Spread,
}

/// How often which time was seen, roughly and in little room.
#[derive(Clone, Debug, Default)]
struct Spread {
    first: usize,
    counts: Vec<u32>,
    max: u64,
}

impl Windows {
    /// Windows for a run that takes so long at most.
    pub(crate) fn new(length: Duration) -> Self {
        let seconds = length.as_secs() + 1;
        let window = LENGTHS.into_iter().find(|window| seconds.div_ceil(*window) <= WINDOWS_MAX);
        // Longer than 150 days: still bounded.
        let window = window.unwrap_or_else(|| seconds.div_ceil(WINDOWS_MAX));
        Self { length: Duration::from_secs(window), windows: Vec::new() }
    }

    /// A request is meant to start `at`.
    pub(crate) fn plan(&mut self, at: Duration) {
        self.at(at).planned += 1;
    }

    /// A request planned for `at` is over after `response`; `answered`, as expected or not.
    pub(crate) fn settle(&mut self, at: Duration, bucket: Bucket, answered: bool, response: Duration) {
        let us = u64::try_from(response.as_micros()).unwrap_or(u64::MAX);
        let window = self.at(at);
        match bucket {
            Bucket::Ok => window.ok += 1,
            Bucket::Error => window.errors += 1,
            Bucket::Timeout => window.timeouts += 1,
            Bucket::NotStarted => window.not_started += 1,
        }
        if bucket != Bucket::Error {
            window.times.record(us);
        }
        if bucket != Bucket::NotStarted {
            let window = self.at(at + response);
            window.finished += 1;
            window.answered += u64::from(answered);
        }
    }

    /// Adds another thread's part.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (index, theirs) in other.windows.iter().enumerate() {
            let Counts { planned, ok, errors, timeouts, not_started, finished, answered, times } = theirs;
            let ours = self.nth(index);
            ours.planned += planned;
            ours.ok += ok;
            ours.errors += errors;
            ours.timeouts += timeouts;
            ours.not_started += not_started;
            ours.finished += finished;
            ours.answered += answered;
            ours.times.merge(times);
        }
    }

    /// The finished timeline.
    pub(crate) fn into_timeline(self) -> Vec<Window> {
        let length = u64::try_from(self.length.as_millis()).unwrap_or(u64::MAX);
        let mut backlog = 0_u64;
        let windows = self.windows.into_iter().enumerate().map(|(index, counts)| {
            let Counts { planned, ok, errors, timeouts, not_started, finished, answered, times } = counts;
            backlog = (backlog + planned).saturating_sub(finished);
            Window {
                start_ms: index as u64 * length,
                length_ms: length,
                planned,
                ok,
                errors,
                timeouts,
                not_started,
                finished,
                answered,
                backlog,
                p50_us: times.quantile(0.5),
                p95_us: times.quantile(0.95),
                p99_us: times.quantile(0.99),
                max_us: times.max,
                heat: times.heat(),
            }
        });
        windows.collect()
    }

    fn at(&mut self, at: Duration) -> &mut Counts {
        let index = at.as_nanos() / self.length.as_nanos().max(1);
        // What is beyond the bound, which no run's length allows, belongs to the last window.
        self.nth(usize::try_from(index).unwrap_or(usize::MAX))
    }

    fn nth(&mut self, index: usize) -> &mut Counts {
        let index = index.min(WINDOWS_MAX as usize);
        if index >= self.windows.len() {
            self.windows.resize_with(index + 1, Counts::default);
        }
        &mut self.windows[index]
    }
}

impl Spread {
    fn record(&mut self, us: u64) {
        *self.count(place(us)) += 1;
        self.max = self.max.max(us);
    }

    fn merge(&mut self, other: &Self) {
        for (index, count) in other.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let ours = self.count(other.first + index);
            *ours = ours.saturating_add(*count);
        }
        self.max = self.max.max(other.max);
    }

    /// Room for the bucket at `place`: only those between the least and the greatest one seen exist.
    fn count(&mut self, place: usize) -> &mut u32 {
        if self.counts.is_empty() {
            self.first = place;
        }
        if place < self.first {
            let missing = self.first - place;
            self.counts.splice(0..0, std::iter::repeat_n(0, missing));
            self.first = place;
        }
        let index = place - self.first;
        if index >= self.counts.len() {
            self.counts.resize(index + 1, 0);
        }
        &mut self.counts[index]
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank is a whole number far below 2^53"
    )]
    fn quantile(&self, quantile: f64) -> u64 {
        let total: u64 = self.counts.iter().map(|count| u64::from(*count)).sum();
        let rank = ((total as f64 * quantile).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= rank {
                return highest(self.first + index).min(self.max);
            }
        }
        0
    }

    fn heat(&self) -> Vec<u32> {
        let mut heat = vec![0_u32; HEAT_BUCKETS];
        for (index, count) in self.counts.iter().enumerate() {
            let cell = &mut heat[heat_bucket(highest(self.first + index))];
            *cell = cell.saturating_add(*count);
        }
        heat
    }
}

/// The bucket of a time.
fn place(us: u64) -> usize {
    if us < SUB {
        return us as usize;
    }
    let octave = us.ilog2() - SUB_BITS;
    ((u64::from(octave) + 1) * SUB + (us >> octave) - SUB) as usize
}

/// The greatest time in a bucket.
fn highest(place: usize) -> u64 {
    let place = place as u64;
    if place < SUB {
        return place;
    }
    let octave = place / SUB - 1;
    ((SUB + place % SUB + 1) << octave) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_in_a_bucket_that_is_close() {
        for us in (0..200).chain([255, 256, 1_000, 65_535, 65_536, 123_456_789, 3_600_000_000]) {
            let highest = highest(place(us));
            assert!(us <= highest && highest - us <= us / 60, "{us}: {highest}");
        }
    }

    #[test]
    fn a_request_counts_where_it_was_planned_and_finishes_where_it_did() {
        let mut windows = Windows::new(Duration::from_secs(10));
        for millis in [100, 200, 1_500] {
            windows.plan(Duration::from_millis(millis));
        }
        windows.settle(Duration::from_millis(100), Bucket::Ok, true, Duration::from_millis(10));
        windows.settle(Duration::from_millis(200), Bucket::Timeout, false, Duration::from_millis(2_000));
        windows.settle(Duration::from_millis(1_500), Bucket::NotStarted, false, Duration::from_millis(900));
        let timeline = windows.into_timeline();
        let counts = |index: usize| {
            let window: &Window = &timeline[index];
            (window.planned, window.ok, window.timeouts, window.not_started, window.finished, window.backlog)
        };
        assert_eq!(timeline.len(), 3);
        assert_eq!(counts(0), (2, 1, 1, 0, 1, 1));
        assert_eq!(counts(1), (1, 0, 0, 1, 0, 2));
        assert_eq!(counts(2), (0, 0, 0, 0, 1, 1));
        assert_eq!((timeline[0].max_us, timeline[0].heat.iter().sum::<u32>()), (2_000_000, 2));
    }

    #[test]
    fn percentiles_are_close_and_parts_add_up() {
        let (mut one, mut two) = (Windows::new(Duration::ZERO), Windows::new(Duration::ZERO));
        for us in 1..=1_000_u64 {
            let windows = if us % 2 == 0 { &mut one } else { &mut two };
            windows.plan(Duration::ZERO);
            windows.settle(Duration::ZERO, Bucket::Ok, true, Duration::from_micros(us * 10));
        }
        one.merge(&two);
        let window = &one.into_timeline()[0];
        for (seen, us) in [(window.p50_us, 5_000), (window.p95_us, 9_500), (window.p99_us, 9_900)] {
            assert!(seen.abs_diff(us) <= us / 50, "{seen}, not {us}");
        }
        assert_eq!((window.ok, window.max_us), (1_000, 10_000));
    }

    #[test]
    fn a_long_run_has_longer_windows_and_not_more() {
        for (hours, seconds) in [(0, 1), (1, 2), (24, 30), (2_000, 3_600)] {
            assert_eq!(Windows::new(Duration::from_secs(hours * 3_600)).length.as_secs(), seconds);
        }
    }
}
