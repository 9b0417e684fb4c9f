//! How much less many samples tell when what is rare comes in clusters.

use super::normal;

/// Fewest blocks that tell anything of clusters.
const BLOCKS_MIN: usize = 10;
/// Blocks are put together to so many: long ones hold their clusters whole.
const BLOCKS_MAX: usize = 20;
/// Clusters less certain than this are taken for chance.
const CERTAINTY: f64 = 0.95;

/// By what factor the variance of a share exceeds that of independent samples, where `blocks` are `(hits,
/// samples)` one after the other (L. Kish, 1965: the design effect). So many samples tell no more than one
/// independent one. 1: no clusters, none that are certain, or fewer than 10 blocks.
#[must_use]
pub fn design_effect(blocks: &[(u64, u64)]) -> f64 {
    let together = blocks.len().div_ceil(BLOCKS_MAX).max(1);
    let sum = |blocks: &[(u64, u64)]| {
        blocks.iter().fold((0.0, 0.0), |(hits, count), block| (hits + block.0 as f64, count + block.1 as f64))
    };
    let (hits, count) = sum(blocks);
    let share = hits / count;
    let blocks: Vec<(f64, f64)> =
        blocks.chunks(together).map(sum).filter(|(_, count)| *count > 0.0).collect();
    if blocks.len() < BLOCKS_MIN || hits == 0.0 || hits >= count {
        return 1.0;
    }
    let free = (blocks.len() - 1) as f64;
    let squares: f64 = blocks.iter().map(|(hits, count)| (hits - share * count).powi(2)).sum();
    let effect = squares / (count * share * (1.0 - share)) * (blocks.len() as f64 / free);
    if effect * free <= chi_square(CERTAINTY, free) {
        return 1.0;
    }
    // The effect is itself known only from so many blocks: Student's t is wider than the bell curve.
    let wider = student(CERTAINTY, free) / normal::quantile(CERTAINTY);
    (effect * wider * wider).max(1.0)
}

/// E. Wilson and M. Hilferty, 1931.
fn chi_square(p: f64, free: f64) -> f64 {
    let step = 2.0 / (9.0 * free);
    free * (1.0 - step + normal::quantile(p) * step.sqrt()).powi(3)
}

/// The first terms of the expansion by R. Fisher and E. Cornish, 1960; good to a hundredth from 9 on.
fn student(p: f64, free: f64) -> f64 {
    let z = normal::quantile(p);
    z + (z.powi(3) + z) / (4.0 * free) + (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / (96.0 * free * free)
}

#[cfg(test)]
mod tests {
    use forebay_base::seed::Random;

    use super::*;
    use crate::stats::unit;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        assert!(
            (chi_square(0.95, 9.0) - 16.919).abs() < 0.05 && (chi_square(0.95, 19.0) - 30.144).abs() < 0.05
        );
        assert!((student(0.95, 9.0) - 1.833).abs() < 0.005 && (student(0.95, 19.0) - 1.729).abs() < 0.005);
    }

    #[test]
    fn independent_samples_are_mostly_left_alone() {
        let changed = (0..400).filter(|seed| {
            let mut random = Random::from_seed(seed * 7_919);
            let mut block = |_| ((0..200).filter(|_| unit(&mut random) < 0.05).count() as u64, 200);
            design_effect(&(0..15).map(&mut block).collect::<Vec<_>>()) > 1.0
        });
        let changed = changed.count();
        assert!(changed < 36, "{changed} of 400");
    }

    #[test]
    fn clusters_count_as_few() {
        // Each hit comes with nine others.
        let mut random = Random::from_seed(5);
        let mut block = |_| (10 * (0..100).filter(|_| unit(&mut random) < 0.05).count() as u64, 1_000);
        let effect = design_effect(&(0..200).map(&mut block).collect::<Vec<_>>());
        assert!((5.0..25.0).contains(&effect), "{effect}");
    }

    #[test]
    fn too_little_is_no_evidence_of_clusters() {
        for blocks in [&[(9, 10); 9][..], &[(0, 10); 20], &[(10, 10); 20], &[(0, 0); 20], &[], &[(5, 10); 20]]
        {
            assert_eq!(design_effect(blocks), 1.0, "{blocks:?}");
        }
    }
}
