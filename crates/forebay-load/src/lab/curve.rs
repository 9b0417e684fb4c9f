//! Samples over time in bounded room: when there are too many, two become one.

use super::outcome::Sample;

/// Most points of a curve: an hour in seconds.
pub const CURVE_MAX: usize = 3_600;

/// The samples so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Curve {
    points: Vec<Sample>,
    /// Each point stands for two to this power of samples.
    halvings: u32,
    /// Those that do not make a point yet.
    pending: Vec<Sample>,
}

impl Curve {
    pub(super) fn push(&mut self, sample: Sample) {
        self.pending.push(sample);
        if self.pending.len() < 1 << self.halvings {
            return;
        }
        let point = together(&self.pending);
        self.pending.clear();
        if self.points.len() == CURVE_MAX {
            self.points = self.points.chunks(2).map(together).collect();
            self.halvings += 1;
            // It is the first half of the next, longer point.
            self.pending = vec![point; 1 << (self.halvings - 1)];
        } else {
            self.points.push(point);
        }
    }

    /// The points, in order of time.
    pub(super) fn into_points(mut self) -> Vec<Sample> {
        if !self.pending.is_empty() && self.points.len() < CURVE_MAX {
            self.points.push(together(&self.pending));
        }
        self.points
    }
}

/// One sample for several: averages of what flows, and the most of what is counted.
fn together(samples: &[Sample]) -> Sample {
    let there: Vec<&Sample> = samples.iter().filter(|sample| sample.memory > 0).collect();
    let count = there.len().max(1) as u64;
    Sample {
        at_ms: samples.last().map_or(0, |sample| sample.at_ms),
        cores: samples.iter().map(|sample| sample.cores).sum::<f64>() / samples.len().max(1) as f64,
        memory: there.iter().map(|sample| sample.memory / count).sum(),
        threads: there.iter().map(|sample| sample.threads).max().unwrap_or(0),
        descriptors: there.iter().map(|sample| sample.descriptors).max().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(samples: u64) -> Vec<Sample> {
        let mut curve = Curve::default();
        for second in 0..samples {
            let at_ms = second * 1_000;
            curve.push(Sample { at_ms, cores: 0.5, memory: 4_096, threads: second, descriptors: 3 });
        }
        curve.into_points()
    }

    #[test]
    fn an_hour_is_kept_as_it_is() {
        let points = curve(CURVE_MAX as u64);
        assert_eq!(points.len(), CURVE_MAX);
        assert_eq!(points[7].at_ms, 7_000);
    }

    #[test]
    fn a_day_fits_and_keeps_averages_order_and_extremes() {
        let points = curve(86_400);
        assert!((CURVE_MAX / 2..=CURVE_MAX).contains(&points.len()), "{}", points.len());
        assert!(points.is_sorted_by_key(|point| point.at_ms));
        assert!(points.iter().all(|point| (point.cores - 0.5).abs() < 1e-9 && point.memory == 4_096));
        assert!(points.last().is_some_and(|last| last.threads == last.at_ms / 1_000));
    }
}
