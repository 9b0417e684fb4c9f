//! Curves of the recent past, one letter high.

/// From nothing to all.
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The curve, a letter for each value; `None` is a gap. From 0 to the greatest, or on a logarithmic scale from
/// the least to the greatest.
pub(super) fn spark(values: &[Option<f64>], log: bool) -> String {
    let scaled = |value: f64| if log { value.max(1e-9).ln() } else { value };
    let known = || values.iter().flatten().copied().filter(|value| value.is_finite()).map(scaled);
    let high = known().fold(f64::NEG_INFINITY, f64::max);
    // What hardly differs looks flat, not wild.
    let low = if log { known().fold(f64::INFINITY, f64::min).min(high - 1.0) } else { 0.0 };
    let letter = |value: &Option<f64>| match value {
        Some(value) if value.is_finite() => LEVELS[level((scaled(*value) - low) / (high - low))],
        _ => ' ',
    };
    values.iter().map(letter).collect()
}

/// Which of the levels; anything that is no share is the lowest.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates, and NaN is 0")]
fn level(share: f64) -> usize {
    ((share * (LEVELS.len() - 1) as f64).round() as usize).min(LEVELS.len() - 1)
}

/// The greatest of each second, the oldest first; at most `most`, the last ones.
pub(super) fn by_second(values: impl Iterator<Item = (u64, Option<f64>)>, most: usize) -> Vec<Option<f64>> {
    let mut seconds: Vec<(u64, Option<f64>)> = Vec::new();
    for (second, value) in values {
        match seconds.last_mut() {
            Some((same, greatest)) if *same == second => {
                // `None` is less than any.
                *greatest = match (*greatest, value) {
                    (Some(one), Some(other)) => Some(one.max(other)),
                    (one, other) => one.or(other),
                };
            }
            _ => seconds.push((second, value)),
        }
    }
    let skip = seconds.len().saturating_sub(most);
    seconds.into_iter().skip(skip).map(|(_, value)| value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_is_the_highest_and_a_gap_is_empty() {
        assert_eq!(spark(&[Some(0.0), None, Some(50.0), Some(100.0)], false), "▁ ▅█");
        assert_eq!(spark(&[Some(1.0), Some(1.2)], true), "▇█");
        assert_eq!(spark(&[Some(1.0), Some(1_000.0)], true), "▁█");
    }

    #[test]
    fn nothing_and_odd_numbers_are_drawn_too() {
        assert_eq!(spark(&[], false), "");
        assert_eq!(spark(&[None, Some(f64::NAN)], true), "  ");
        assert_eq!(spark(&[Some(0.0), Some(0.0)], false), "▁▁");
    }

    #[test]
    fn each_second_shows_its_worst() {
        let values = [(0, Some(1.0)), (1, Some(2.0)), (1, Some(5.0)), (1, None), (2, None)];
        assert_eq!(by_second(values.into_iter(), 9), [Some(1.0), Some(5.0), None]);
        assert_eq!(by_second(values.into_iter(), 2), [Some(5.0), None]);
    }
}
