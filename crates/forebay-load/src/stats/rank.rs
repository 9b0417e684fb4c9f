//! Does one group tend to be greater than the other?

use super::normal;

/// Values of both groups together up to which every arrangement is counted; beyond, the bell curve serves.
const EXACT_MAX: usize = 60;

/// What a test by ranks found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RankTest {
    /// In how many of all pairs the second group's value is the greater one; a tie is half a pair.
    pub wins: f64,
    /// How likely, were the groups alike, a result at least as far from even would be. 1: no evidence.
    pub p: f64,
}

/// The test of H. Mann and D. Whitney (1947), both sides; exact, ties included, for small groups.
///
/// A value that is not a number, or an empty group, is no evidence: `p` is 1.
#[must_use]
pub fn mann_whitney(first: &[f64], second: &[f64]) -> RankTest {
    let (m, n) = (first.len(), second.len());
    let broken = first.iter().chain(second).any(|value| value.is_nan());
    if m == 0 || n == 0 || broken {
        return RankTest { wins: (m * n) as f64 / 2.0, p: 1.0 };
    }
    let (doubled, ties) = doubled_ranks(first, second);
    let seen: usize = doubled[m..].iter().sum();
    let wins = (seen as f64 - (n * (n + 1)) as f64) / 2.0;
    let p = if m + n <= EXACT_MAX { exact(&doubled, n, seen) } else { approximate(m, n, wins, ties) };
    RankTest { wins, p }
}

/// Twice the rank of each value, in the order given, so that shared ranks stay whole; and the sum of `t^3 - t`
/// over groups of `t` equal values.
fn doubled_ranks(first: &[f64], second: &[f64]) -> (Vec<usize>, f64) {
    let all: Vec<f64> = first.iter().chain(second).copied().collect();
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_by(|a, b| all[*a].total_cmp(&all[*b]));
    let mut ranks = vec![0; all.len()];
    let mut ties = 0.0;
    let mut start = 0;
    for group in order.chunk_by(|a, b| all[*a] == all[*b]) {
        for index in group {
            ranks[*index] = 2 * start + group.len() + 1;
        }
        start += group.len();
        let equal = group.len() as f64;
        ties += equal.powi(3) - equal;
    }
    (ranks, ties)
}

/// Counts, for every choice of `take` of all ranks, which sums are at least as far from the middle as `seen`.
fn exact(doubled: &[usize], take: usize, seen: usize) -> f64 {
    let most: usize = doubled.iter().sum();
    // ways[k][s]: choices of k ranks that sum to s.
    let mut ways = vec![vec![0.0_f64; most + 1]; take + 1];
    ways[0][0] = 1.0;
    for rank in doubled {
        for chosen in (1..=take).rev() {
            let (fewer, more) = ways.split_at_mut(chosen);
            let from = &fewer[chosen - 1];
            for (to, ways) in more[0][*rank..].iter_mut().zip(from) {
                *to += ways;
            }
        }
    }
    // The middle is take * most / count; all is multiplied by count to stay whole.
    let count = doubled.len();
    let away = |sum: usize| (sum * count).abs_diff(take * most);
    let total: f64 = ways[take].iter().sum();
    let as_far = ways[take].iter().enumerate().filter(|(sum, _)| away(*sum) >= away(seen));
    (as_far.map(|(_, ways)| ways).sum::<f64>() / total).min(1.0)
}

fn approximate(m: usize, n: usize, wins: f64, ties: f64) -> f64 {
    let (m, n) = (m as f64, n as f64);
    let all = m + n;
    let variance = m * n / 12.0 * (all + 1.0 - ties / (all * (all - 1.0)));
    if variance <= 0.0 {
        return 1.0;
    }
    // Half a pair towards the middle makes up for wins being counted in steps.
    let away = ((wins - m * n / 2.0).abs() - 0.5).max(0.0);
    normal::two_sided(away / variance.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(first: &[f64], second: &[f64], wins: f64, p: f64) {
        let test = mann_whitney(first, second);
        assert_eq!(test.wins, wins, "{first:?} {second:?}");
        assert!((test.p - p).abs() < 1e-4, "{first:?} {second:?}: p {}", test.p);
        let swapped = mann_whitney(second, first);
        assert!((swapped.p - test.p).abs() < 1e-12, "both sides are alike");
    }

    #[test]
    fn complete_separation_is_as_unlikely_as_the_number_of_arrangements_says() {
        check(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0], 9.0, 0.1);
        check(&[1.0, 2.0, 3.0, 4.0], &[5.0, 6.0, 7.0, 8.0], 16.0, 2.0 / 70.0);
        check(&[1.0, 2.0, 3.0, 4.0, 5.0], &[6.0, 7.0, 8.0, 9.0, 10.0], 25.0, 2.0 / 252.0);
    }

    #[test]
    fn mixed_and_tied_groups_are_counted_exactly() {
        // By hand: of 6 arrangements of {1, 2, 3, 4}, all but {2, 3} and {1, 4} are as far from the middle.
        check(&[1.0, 3.0], &[2.0, 4.0], 3.0, 4.0 / 6.0);
        check(&[5.0, 5.0, 5.0], &[5.0, 5.0, 5.0], 4.5, 1.0);
        // Ranks 1.5, 1.5, 3.5, 3.5: sums 3 and 7 are each reached once.
        check(&[1.0, 1.0], &[2.0, 2.0], 4.0, 2.0 / 6.0);
    }

    #[test]
    fn nothing_is_no_evidence() {
        check(&[], &[1.0], 0.0, 1.0);
        check(&[f64::NAN], &[1.0], 0.5, 1.0);
    }

    #[test]
    fn the_approximation_takes_over_smoothly() {
        let group = |count: usize, shift: f64| -> Vec<f64> {
            (0..count).map(|index| (index * 7919 % 1009) as f64 + shift).collect()
        };
        let (first, second) = (group(30, 0.0), group(30, 180.5));
        let (doubled, ties) = doubled_ranks(&first, &second);
        let seen: usize = doubled[30..].iter().sum();
        let exactly = exact(&doubled, 30, seen);
        let about = approximate(30, 30, (seen as f64 - 930.0) / 2.0, ties);
        assert!((exactly - about).abs() < 0.005, "{exactly} {about}");
        let large = mann_whitney(&group(100, 0.0), &group(100, 500.5));
        assert!(large.p < 1e-6, "{large:?}");
    }
}
