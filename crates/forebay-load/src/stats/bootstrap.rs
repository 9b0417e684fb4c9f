//! How much a figure would differ, had other samples been drawn.

use forebay_base::seed::Random;

use super::{CONFIDENCE, Interval, sorted};

/// The middle value, or the mean of the two in the middle; `None`: there are none.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    let values = sorted(values);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        count if count % 2 == 1 => Some(values[middle]),
        _ => Some(values[middle - 1].midpoint(values[middle])),
    }
}

/// Where the ratio of medians, second over first, lies at 95 %: its spread when both groups are drawn again
/// and again from themselves, `resamples` times. `None`: a group is empty or the first one's median is 0.
#[must_use]
pub fn ratio_interval(first: &[f64], second: &[f64], resamples: usize, seed: u64) -> Option<Interval> {
    let (first, second) = (sorted(first), sorted(second));
    if first.is_empty() || second.is_empty() || median(&first)? <= 0.0 {
        return None;
    }
    let mut random = Random::from_seed(seed);
    let mut scratch = Vec::new();
    let mut draw = |group: &[f64]| drawn_median(group, &mut scratch, &mut random);
    let ratios: Vec<f64> = (0..resamples.max(1)).map(|_| draw(&second) / draw(&first)).collect();
    middle_share(&ratios)
}

/// Between which values the middle 95 % lie.
pub(super) fn middle_share(values: &[f64]) -> Option<Interval> {
    let values = sorted(values);
    let last = values.len().checked_sub(1)? as f64;
    let at = |share: f64| values[(share * last).round() as usize];
    let tail = (1.0 - CONFIDENCE) / 2.0;
    Some(Interval { low: at(tail), high: Some(at(1.0 - tail)) })
}

/// The median of as many values as `group` has, drawn from it with replacement. `group` is in order and not
/// empty, so the drawn places tell the order of the drawn values.
fn drawn_median(group: &[f64], places: &mut Vec<usize>, random: &mut Random) -> f64 {
    let count = group.len();
    places.clear();
    places.extend((0..count).map(|_| random.below(count as u64) as usize));
    places.sort_unstable();
    let upper = group[places[count / 2]];
    if count % 2 == 1 { upper } else { group[places[count / 2 - 1]].midpoint(upper) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_are_in_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0, f64::NAN]), Some(2.5));
    }

    #[test]
    fn the_interval_covers_the_ratio_and_follows_the_seed() {
        let first = [1.0, 1.02, 0.98, 1.01, 0.99];
        let second = first.map(|value| value * 1.1);
        let interval = ratio_interval(&first, &second, 10_000, 7).expect("there are values");
        assert!(interval.contains(1.1) && !interval.contains(1.0), "{interval:?}");
        assert!(interval.high.is_some_and(|high| high <= 1.02 * 1.1 / 0.98), "{interval:?}");
        assert_eq!(ratio_interval(&first, &second, 10_000, 7), Some(interval));
    }

    #[test]
    fn no_ratio_to_nothing() {
        assert_eq!(ratio_interval(&[], &[1.0], 100, 1), None);
        assert_eq!(ratio_interval(&[0.0, 0.0], &[1.0], 100, 1), None);
    }
}
