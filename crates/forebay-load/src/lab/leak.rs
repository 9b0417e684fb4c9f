//! Whether memory grew over a long run, and how sure that is.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::stats::slope;

/// Less says nothing: what a program first fills (pools, caches, heaps) looks the same.
const LENGTH_MIN: Duration = Duration::from_secs(300);
/// Samples it takes at least.
const SAMPLES_MIN: usize = 30;
/// Stretches that are compared with each other.
const BLOCKS: usize = 12;
/// Growth that matters, as a share of the memory held, per hour.
const MATTERS_SHARE: f64 = 0.05;
/// Growth that matters at least, in bytes per hour: noise of an allocator is no leak.
const MATTERS_BYTES: f64 = 1024.0 * 1024.0;

/// What memory did over the stages that are judged.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Leak {
    /// What it comes to.
    pub verdict: LeakVerdict,
    /// Growth in bytes per hour; none: too few samples.
    pub per_hour: Option<f64>,
    /// The 95 % interval of it, low and high.
    pub interval: Option<(f64, f64)>,
    /// Growth in bytes per hour that would matter: a twentieth of the memory held, or 1 MiB if that is more.
    pub matters: f64,
    /// How long it was looked at.
    pub length: Duration,
}

/// What memory did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeakVerdict {
    /// It grew, to the end, by an amount that matters.
    Growing,
    /// If it grew, then by less than matters.
    Flat,
    /// It was not watched for long enough, or moved too much, to say either.
    #[default]
    TooShort,
}

/// What memory did, from points of seconds and bytes, warm-up left out, in order of time.
#[must_use]
pub fn leak(points: &[(f64, f64)]) -> Leak {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return Leak::default() };
    let mean = points.iter().map(|(_, bytes)| bytes).sum::<f64>() / points.len() as f64;
    let mut found = Leak {
        matters: (mean * MATTERS_SHARE).max(MATTERS_BYTES),
        length: Duration::try_from_secs_f64(last.0 - first.0).unwrap_or_default(),
        ..Leak::default()
    };
    let Some((low, middle, high)) = per_hour(points) else { return found };
    found.per_hour = Some(middle);
    found.interval = Some((low, high));
    if found.length < LENGTH_MIN || points.len() < SAMPLES_MIN {
        return found;
    }
    // What only fills up grows in the first half.
    let second_half = per_hour(&points[points.len() / 2..]);
    let still = second_half.is_some_and(|(low, middle, _)| low > 0.0 && middle > found.matters);
    found.verdict = if low > 0.0 && middle > found.matters && still {
        LeakVerdict::Growing
    } else if high < found.matters || second_half.is_some_and(|(_, _, high)| high < found.matters) {
        LeakVerdict::Flat
    } else {
        LeakVerdict::TooShort
    };
    found
}

/// Low end, middle and high end of the slope, per hour.
fn per_hour(points: &[(f64, f64)]) -> Option<(f64, f64, f64)> {
    let slope = slope(&blocks(points))?;
    Some((slope.low * 3_600.0, slope.per_unit * 3_600.0, slope.high * 3_600.0))
}

/// Averages of stretches: memory remembers, so that seconds say much less each than an interval takes them for.
fn blocks(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let average = |block: &[(f64, f64)]| {
        let count = block.len() as f64;
        let (x, y) = block.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
        (x / count, y / count)
    };
    points.chunks(points.len().div_ceil(BLOCKS).max(1)).map(average).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: f64 = 1024.0 * 1024.0;

    /// Memory in MiB at each second of so many.
    fn check(seconds: u32, memory: impl Fn(f64) -> f64, verdict: LeakVerdict) -> Leak {
        // Up and down by up to 1 MiB, without a pattern the slope could take for growth.
        let noise = |second: u32| f64::from(second.wrapping_mul(2_654_435_761) >> 16 & 0xff) / 256.0 - 0.5;
        let points: Vec<(f64, f64)> = (0..seconds)
            .map(|second| (f64::from(second), (memory(f64::from(second)) + noise(second)) * MIB))
            .collect();
        let found = leak(&points);
        assert_eq!(found.verdict, verdict, "{found:?}");
        found
    }

    #[test]
    fn a_constant_memory_is_flat() {
        check(1_200, |_| 100.0, LeakVerdict::Flat);
    }

    #[test]
    fn steady_growth_is_a_leak_and_its_rate_is_in_the_interval() {
        let found = check(1_200, |second| 100.0 + second / 60.0, LeakVerdict::Growing);
        let (low, high) = found.interval.expect("there are enough points");
        assert!(low <= 60.0 * MIB && 60.0 * MIB <= high, "{found:?}");
    }

    #[test]
    fn what_only_fills_up_is_flat() {
        check(1_200, |second| 100.0 + 20.0 * (second / 300.0).min(1.0), LeakVerdict::Flat);
    }

    #[test]
    fn growth_that_does_not_matter_is_flat() {
        check(3_600, |second| 1_000.0 + second / 3_600.0, LeakVerdict::Flat);
    }

    /// How many of 100 twenty-minute runs are called growing and flat, when memory wanders by 2 MiB around
    /// 100 MiB, remembers for twenty seconds, and grows by so many MiB per hour.
    fn verdicts(growth: f64) -> (usize, usize) {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut chance = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        let mut run = || {
            let mut away = 0.0;
            let points = (0..1_200).map(|second| {
                // Twelve dice are nearly normal.
                let push = (0..12).map(|_| chance()).sum::<f64>() - 6.0;
                away = 0.95 * away + 0.62 * push;
                let seconds = f64::from(second);
                (seconds, (100.0 + away + growth * seconds / 3_600.0) * MIB)
            });
            leak(&points.collect::<Vec<_>>()).verdict
        };
        let verdicts: Vec<LeakVerdict> = (0..100).map(|_| run()).collect();
        let count = |verdict| verdicts.iter().filter(|one| **one == verdict).count();
        (count(LeakVerdict::Growing), count(LeakVerdict::Flat))
    }

    #[test]
    fn wandering_is_rarely_a_leak_and_a_leak_rarely_missed() {
        let (growing, _) = verdicts(0.0);
        assert!(growing <= 5, "{growing} false alarms");
        let (growing, flat) = verdicts(40.0);
        assert!(growing >= 80 && flat <= 5, "{growing} found, {flat} denied");
    }

    #[test]
    fn a_minute_says_nothing() {
        let found = check(60, |second| 100.0 + second, LeakVerdict::TooShort);
        assert!(found.per_hour.is_some());
        assert_eq!(leak(&[]), Leak::default());
        assert_eq!(leak(&[(1.0, 5.0)]).per_hour, None);
    }
}
