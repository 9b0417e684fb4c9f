//! Percentiles as the text that plotters of HDR histograms read (`.hgrm`), in milliseconds.

use std::fmt::Write as _;

use super::facts::Response;
use super::figures::{float, whole};
use crate::hdr::Hdr;
use crate::outcome::Outcome;

/// Lines for each halving of what is left to 100 %.
const TICKS: f64 = 5.0;
/// Halvings: beyond, a percentile needs more samples than a run can have.
const HALVINGS_MAX: u32 = 53;

/// The response times of all that is judged, from the planned start; what timed out or was not started counts
/// as long as it was waited for.
#[must_use]
pub fn hgrm(outcome: &Outcome) -> String {
    distribution(Response::of(&outcome.total()).judged())
}

fn distribution(hdr: &Hdr) -> String {
    let mut out =
        format!("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    for point in points(hdr) {
        let Point { us, quantile, count } = point;
        let _ = write!(out, "{:>12.3} {quantile:>2.12} {count:>10}", us / 1e3);
        // The last line has none: it would be a division by zero.
        if quantile < 1.0 {
            let _ = write!(out, " {:>14.2}", 1.0 / (1.0 - quantile));
        }
        out.push('\n');
    }
    let (mean, deviation) = moments(hdr);
    let max = hdr.max().unwrap_or_default().as_secs_f64() * 1e3;
    let (mean, deviation) = (mean / 1e3, deviation / 1e3);
    let _ = writeln!(out, "#[Mean    = {mean:>12.3}, StdDeviation   = {deviation:>12.3}]");
    let _ = writeln!(out, "#[Max     = {max:>12.3}, Total count    = {:>12}]", hdr.count());
    // Up to an hour in microseconds takes 22 doublings after the first 2,048 steps, which is what is kept.
    let _ = writeln!(out, "#[Buckets = {:>12}, SubBuckets     = {:>12}]", 22, 2048);
    out
}

/// A point of the curve of percentiles.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) us: f64,
    pub(crate) quantile: f64,
    /// How many are not greater.
    pub(crate) count: u64,
}

/// The curve of percentiles, finer towards its end; the last point is the maximum. Empty of nothing.
pub(crate) fn points(hdr: &Hdr) -> Vec<Point> {
    let total = hdr.count();
    let mut points = Vec::new();
    let mut seen = 0;
    let mut quantile = 0.0;
    for (us, count) in hdr.values() {
        seen += count;
        let reached = float(seen) / float(total);
        while quantile <= reached && points.len() < (HALVINGS_MAX * 5) as usize && seen < total {
            points.push(Point { us: float(us), quantile, count: seen });
            quantile = next(quantile);
        }
        if seen == total {
            // What lies between here and the end is the maximum.
            while whole((quantile * float(total)).ceil()) < total && quantile < 1.0 {
                points.push(Point { us: float(us), quantile, count: seen });
                quantile = next(quantile);
            }
            points.push(Point { us: float(us), quantile: 1.0, count: seen });
        }
    }
    points
}

/// The percentile after this one: a fifth of the way to where what is left has halved.
fn next(quantile: f64) -> f64 {
    let halvings = (1.0 / (1.0 - quantile)).log2().floor().min(f64::from(HALVINGS_MAX));
    quantile + 0.5_f64.powf(halvings + 1.0) / TICKS
}

/// Mean and standard deviation, in microseconds.
fn moments(hdr: &Hdr) -> (f64, f64) {
    let total = float(hdr.count().max(1));
    let mean = hdr.values().map(|(us, count)| float(us) * float(count)).sum::<f64>() / total;
    let squares = hdr.values().map(|(us, count)| (float(us) - mean).powi(2) * float(count)).sum::<f64>();
    (mean, (squares / total).sqrt())
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
    fn the_curve_rises_and_ends_at_the_maximum() {
        let points = points(&of(1..=1_000));
        assert!(points.windows(2).all(|two| two[0].us <= two[1].us && two[0].quantile < two[1].quantile));
        assert_eq!(points.first().map(|point| (point.us, point.quantile)), Some((1.0, 0.0)));
        assert_eq!(points.last(), Some(&Point { us: 1_000.0, quantile: 1.0, count: 1_000 }));
        assert!((40..80).contains(&points.len()), "{}", points.len());
    }

    #[test]
    fn each_value_is_the_percentile_it_stands_beside() {
        let hdr = of((1..=5_000).map(|us| us * 3));
        for Point { us, quantile, .. } in points(&hdr) {
            let expected = hdr.quantile(quantile).map_or(0.0, |at| at.as_secs_f64() * 1e6);
            assert!((us - expected).abs() <= expected * 0.002 + 3.0, "{quantile}: {us}, not {expected}");
        }
    }

    #[test]
    fn one_value_and_none_are_curves_too() {
        assert_eq!(points(&of([])).len(), 0);
        assert_eq!(points(&of([7])).last(), Some(&Point { us: 7.0, quantile: 1.0, count: 1 }));
        assert!(distribution(&of([])).contains("Total count    =            0]"));
    }

    #[test]
    fn the_text_has_the_columns_plotters_read() {
        let text = distribution(&of(1..=1_000));
        let mut lines = text.lines();
        let head: Vec<_> = lines.next().unwrap_or_default().split_whitespace().collect();
        assert_eq!(head, ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"]);
        assert_eq!(lines.next(), Some(""));
        let rows: Vec<Vec<&str>> = lines
            .take_while(|line| !line.starts_with('#'))
            .map(|line| line.split_whitespace().collect())
            .collect();
        let (last, rest) = rows.split_last().expect("there are rows");
        assert_eq!(*last, ["1.000", "1.000000000000", "1000"]);
        assert!(rest.iter().all(|row| row.len() == 4 && row.iter().all(|cell| cell.parse::<f64>().is_ok())));
        assert!(text.contains("#[Mean    =        0.500, StdDeviation   =        0.289]"), "{text}");
        assert!(text.contains("#[Max     =        1.000, Total count    =         1000]"), "{text}");
    }
}
