//! What happened when: response times, rates and backlog by second of the plan, and where they cluster.

use std::fmt::Write as _;

use super::super::facts::Facts;
use super::super::figures::{self, count, float, micros};
use super::plot::{Axis, Band, Plot, clock, coordinate};
use super::table::{Cell, Table};
use crate::outcome::{HEAT_BUCKETS, Outcome, Window, heat_bound_us};

/// Points of a curve; of a longer run several windows are one point.
const POINTS_MAX: usize = 360;
/// Columns of the heat map.
const COLUMNS_MAX: usize = 180;
/// Shades of the heat map.
const SHADES: u8 = 7;

/// The section; says so when there is nothing to show.
pub(super) fn section(facts: &Facts<'_>) -> String {
    let outcome = facts.outcome;
    let mut out = String::from("<section><h2>Over time</h2>");
    if outcome.timeline.iter().all(|window| window.planned == 0) {
        out.push_str(
            "<p class=\"nothing\">No request was planned, so there is nothing to draw.</p></section>",
        );
        return out;
    }
    let points = grouped(&outcome.timeline, POINTS_MAX);
    let end = end_of(outcome);
    out.push_str(
        "<p>By the second in which requests were planned to start, not the one in which they were answered",
    );
    let together = outcome.timeline.len().div_ceil(points.len().max(1));
    if together > 1 {
        let _ = write!(out, "; {together} windows are one point, which shows the worst of their percentiles");
    }
    let _ = write!(out, ".</p><div data-timeline=\"{end:.3}\">");
    out.push_str(&latency(outcome, &points, end));
    out.push_str(&rates(outcome, &points, end));
    out.push_str(&backlog(outcome, &points, end));
    out.push_str(&heat(outcome, end));
    out.push_str(&numbers(&points));
    out.push_str("</div></section>");
    out
}

/// When the last stage, the last window and the last fault are over, in seconds.
pub(super) fn end_of(outcome: &Outcome) -> f64 {
    let stages = outcome.stages.iter().map(|stage| stage.length.as_secs_f64()).sum::<f64>();
    let windows = outcome.timeline.last().map_or(0.0, |last| float(last.start_ms + last.length_ms) / 1e3);
    // A window that has hardly begun would only show its emptiness.
    let windows = windows.min(outcome.took.as_secs_f64());
    stages.max(windows).max(0.001)
}

/// Draws stages, what comes after them, and faults behind a picture.
pub(super) fn bands(plot: &mut Plot, outcome: &Outcome, end: f64, named: bool) {
    let mut from = 0.0;
    for (index, stage) in outcome.stages.iter().enumerate() {
        let to = from + stage.length.as_secs_f64();
        let class = match stage.warmup {
            true => "warmup",
            false if index % 2 == 1 => "odd",
            false => "",
        };
        plot.band(&Band { from, to, class, label: if named { &stage.name } else { "" } });
        from = to;
    }
    if end > from * 1.001 {
        plot.band(&Band { from, to: end, class: "drain", label: if named { "drain" } else { "" } });
    }
    for episode in &outcome.lab.episodes {
        let (on, off) = (episode.on.as_secs_f64(), episode.off.map_or(end, |off| off.as_secs_f64()));
        plot.band(&Band {
            from: on,
            to: off.max(on),
            class: "fault",
            label: if named { &episode.what } else { "" },
        });
    }
}

/// How a curve looks, and what of a window it shows.
type Curve = (&'static str, fn(&Window) -> u64);

/// Some windows as one.
#[derive(Debug, Default)]
struct Point {
    window: Window,
    seconds: f64,
    middle: f64,
}

fn grouped(timeline: &[Window], most: usize) -> Vec<Point> {
    let together = timeline.len().div_ceil(most).max(1);
    let points = timeline.chunks(together).map(|windows| {
        let mut all = Window { heat: vec![0; HEAT_BUCKETS], ..Window::default() };
        all.start_ms = windows.first().map_or(0, |first| first.start_ms);
        for window in windows {
            all.length_ms += window.length_ms;
            all.planned += window.planned;
            all.ok += window.ok;
            all.errors += window.errors;
            all.timeouts += window.timeouts;
            all.not_started += window.not_started;
            all.finished += window.finished;
            all.answered += window.answered;
            all.backlog = all.backlog.max(window.backlog);
            all.p50_us = all.p50_us.max(window.p50_us);
            all.p95_us = all.p95_us.max(window.p95_us);
            all.p99_us = all.p99_us.max(window.p99_us);
            all.max_us = all.max_us.max(window.max_us);
            for (sum, cell) in all.heat.iter_mut().zip(&window.heat) {
                *sum = sum.saturating_add(*cell);
            }
        }
        let seconds = (float(all.length_ms) / 1e3).max(0.001);
        Point { seconds, middle: float(all.start_ms) / 1e3 + seconds / 2.0, window: all }
    });
    points.collect()
}

fn latency(outcome: &Outcome, points: &[Point], end: f64) -> String {
    let times = || points.iter().map(|point| &point.window).filter(|window| window.max_us > 0);
    let low = times().map(|window| window.p50_us.max(1)).min().unwrap_or(1_000);
    let high = times().map(|window| window.max_us).max().unwrap_or(1_000);
    let mut plot = Plot::new(Axis::seconds(end), Axis::log_time(float(low), float(high)));
    bands(&mut plot, outcome, end, true);
    let curves: [Curve; 4] = [
        ("max", |window| window.max_us),
        ("p99", |window| window.p99_us),
        ("p95", |window| window.p95_us),
        ("p50", |window| window.p50_us),
    ];
    for (class, of) in curves {
        let line = points
            .iter()
            .map(|point| (point.middle, Some(of(&point.window)).filter(|us| *us > 0).map(float)));
        plot.line(class, line);
    }
    let worst = times().max_by_key(|window| window.p99_us);
    let described = format!(
        "Response time over time on a logarithmic scale. The worst p99 is {} at {}.",
        worst.map_or_else(String::new, |window| micros(float(window.p99_us))),
        worst.map_or_else(String::new, |window| clock(float(window.start_ms) / 1e3)),
    );
    figure(
        "Response time",
        "<span class=\"p50\">p50</span><span class=\"p95\">p95</span><span class=\"p99\">p99</span><span \
         class=\"max\">max</span>",
        &plot.finish("high", &described, " data-columns=\"6,7,8,9\""),
    )
}

fn rates(outcome: &Outcome, points: &[Point], end: f64) -> String {
    let bad = |window: &Window| window.errors + window.timeouts + window.not_started;
    // One that has hardly begun when all is over would look like a fall.
    let points = &points[..points.iter().take_while(|point| point.middle <= end).count()];
    let curve = |of: fn(&Window) -> u64| {
        points.iter().map(move |point| (point.middle, Some(float(of(&point.window)) / point.seconds)))
    };
    // Arrivals may be several requests each: what stages ask for is no number of requests.
    let (planned, answered) = (|window: &Window| window.planned, |window: &Window| window.answered);
    let high = curve(planned).chain(curve(answered)).filter_map(|(_, rate)| rate).fold(0.0, f64::max);
    let mut plot = Plot::new(Axis::seconds(end), Axis::even(high, figures::digits));
    bands(&mut plot, outcome, end, false);
    plot.area("bad", curve(bad));
    plot.line("done", curve(answered));
    plot.line("target dashed", curve(planned));
    let described = format!(
        "Requests per second: planned, answered, and not ok. At most {} a second; {} not ok in all.",
        figures::digits(high),
        count(points.iter().map(|point| bad(&point.window)).sum::<u64>())
    );
    figure(
        "Requests per second",
        "<span class=\"target dashed\">requests planned</span><span class=\"done\">answered then</span><span class=\"bad \
         box\">planned then and not ok</span>",
        &plot.finish("low", &described, " data-columns=\"1,2,3,4,5\""),
    )
}

fn backlog(outcome: &Outcome, points: &[Point], end: f64) -> String {
    let high = points.iter().map(|point| point.window.backlog).max().unwrap_or(0);
    let mut plot = Plot::new(Axis::seconds(end), Axis::even(float(high), figures::digits));
    bands(&mut plot, outcome, end, false);
    plot.area("backlog", points.iter().map(|point| (point.middle, Some(float(point.window.backlog)))));
    let described = format!("Requests in flight or waiting for a user; at most {}.", count(high));
    figure(
        "In flight or waiting",
        "<span class=\"backlog\">requests</span>",
        &plot.finish("low", &described, " data-columns=\"10\""),
    )
}

fn heat(outcome: &Outcome, end: f64) -> String {
    let points = grouped(&outcome.timeline, COLUMNS_MAX);
    let used = |bucket: usize| points.iter().any(|point| point.window.heat[bucket] > 0);
    let (Some(first), Some(last)) = (
        (0..HEAT_BUCKETS).find(|bucket| used(*bucket)),
        (0..HEAT_BUCKETS).rev().find(|bucket| used(*bucket)),
    ) else {
        return String::new();
    };
    let low = float(heat_bound_us(first).max(heat_bound_us(1) / 2));
    let high = float(heat_bound_us(last + 1));
    let mut plot = Plot::new(Axis::seconds(end), Axis::log_time(low, high));
    bands(&mut plot, outcome, end, false);
    let busiest = points
        .iter()
        .flat_map(|point| point.window.heat.iter().map(|cell| rate_of(point, *cell)))
        .fold(0.0, f64::max);
    for shade in 1..=SHADES {
        let mut path = String::new();
        for point in &points {
            cells(&mut path, &plot, point, |cell| self::shade(rate_of(point, cell), busiest) == shade);
        }
        if !path.is_empty() {
            let opacity = 0.1 + 0.9 * f64::from(shade - 1) / f64::from(SHADES - 1);
            plot.draw(&format!("<path class=\"heat\" fill-opacity=\"{opacity:.2}\" d=\"{path}\"/>"));
        }
    }
    let described = format!(
        "How many requests took how long, over time: the darker, the more. From {} to {}.",
        micros(low),
        micros(high)
    );
    figure(
        "Where response times cluster",
        "<span>darker: more requests, on a logarithmic scale</span>",
        &plot.finish("high", &described, ""),
    )
}

/// The cells of one column that are `wanted`, neighbours as one.
fn cells(path: &mut String, plot: &Plot, point: &Point, wanted: impl Fn(u32) -> bool) {
    let heat = &point.window.heat;
    let (left, right) = (point.middle - point.seconds / 2.0, point.middle + point.seconds / 2.0);
    let mut bucket = 0;
    while bucket < HEAT_BUCKETS {
        if heat[bucket] == 0 || !wanted(heat[bucket]) {
            bucket += 1;
            continue;
        }
        let begin = bucket;
        while bucket < HEAT_BUCKETS && heat[bucket] > 0 && wanted(heat[bucket]) {
            bucket += 1;
        }
        let (x, bottom) = plot.at(left, float(heat_bound_us(begin)));
        let (end, top) = plot.at(right, float(heat_bound_us(bucket)));
        let number = |value: f64| coordinate(value / 1_000.0);
        let (width, height) = (number(end - x), number(bottom - top));
        let _ = write!(path, "M{} {}h{width}v{height}h-{width}z", number(x), number(top));
    }
}

fn rate_of(point: &Point, cell: u32) -> f64 {
    f64::from(cell) / point.seconds
}

/// 1 to `SHADES`, on a logarithmic scale from one in a thousand of the busiest.
fn shade(rate: f64, busiest: f64) -> u8 {
    let share = (1.0 + (rate / busiest).log10() / 3.0).clamp(0.0, 1.0);
    let shade = figures::whole(share * f64::from(SHADES - 1)) + 1;
    u8::try_from(shade).unwrap_or(SHADES).min(SHADES)
}

/// What the curves show, as numbers.
fn numbers(points: &[Point]) -> String {
    let columns = [
        "from",
        ">planned/s",
        ">answered/s",
        ">errors",
        ">timeouts",
        ">not started",
        ">p50",
        ">p95",
        ">p99",
        ">max",
        ">in flight or waiting",
    ];
    let mut table = Table::new("Results over time", &columns);
    table.allow(POINTS_MAX);
    for point in points {
        let Point { window, seconds, .. } = point;
        let rate = |number: u64| Cell::Number(figures::digits(float(number) / seconds));
        let time = |us: u64| Cell::Number(if us == 0 { figures::NONE.to_owned() } else { micros(float(us)) });
        let from = float(window.start_ms) / 1e3;
        let cells = [
            Cell::Text(clock(from)),
            rate(window.planned),
            rate(window.answered),
            Cell::Bad(window.errors),
            Cell::Bad(window.timeouts),
            Cell::Bad(window.not_started),
            time(window.p50_us),
            time(window.p95_us),
            time(window.p99_us),
            time(window.max_us),
            Cell::Number(count(window.backlog)),
        ];
        table.row(&format!(" data-at=\"{from}\""), cells);
    }
    format!("<details><summary>These curves as numbers</summary>{}</details>", table.finish())
}

/// A picture with its name and what its colours mean.
pub(super) fn figure(title: &str, keys: &str, plot: &str) -> String {
    format!(
        "<figure class=\"plot\"><figcaption><h3>{title}</h3><div class=\"keys\">{keys}</div></figcaption>{plot}</figure>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_has_no_more_points_and_loses_no_request() {
        let window = |index: u64| Window {
            start_ms: index * 1_000,
            length_ms: 1_000,
            planned: 3,
            p99_us: index,
            ..Window::default()
        };
        let timeline: Vec<_> = (0..3_600).map(window).collect();
        let points = grouped(&timeline, POINTS_MAX);
        assert_eq!(
            (points.len(), points.iter().map(|point| point.window.planned).sum::<u64>()),
            (360, 10_800)
        );
        assert_eq!(
            points.last().map(|point| (point.window.p99_us, point.window.length_ms)),
            Some((3_599, 10_000))
        );
        assert_eq!(grouped(&[], POINTS_MAX).len(), 0);
    }

    #[test]
    fn the_busiest_cell_is_the_darkest() {
        assert_eq!([shade(1_000.0, 1_000.0), shade(1.0, 1_000.0), shade(1e-9, 1_000.0)], [SHADES, 1, 1]);
    }
}
