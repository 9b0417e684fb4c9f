//! Pictures in plain SVG that stretch with the page while their lettering does not.

use std::fmt::Write as _;

use super::super::{escape, figures};

/// Units of a picture in either direction.
const SIZE: f64 = 1000.0;
/// Marks of an axis, at most.
const TICKS_MAX: usize = 12;

/// A direction of a picture: what lies where.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    scale: Scale,
    ticks: Vec<Tick>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    Even,
    Log,
}

/// A mark of an axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    pub(super) value: f64,
    pub(super) label: String,
    /// Left out where there is little room.
    pub(super) minor: bool,
}

impl Axis {
    /// From 0 to at least `high`, in round steps.
    pub(super) fn even(high: f64, label: impl Fn(f64) -> String) -> Self {
        let high = if high > 0.0 && high.is_finite() { high } else { 1.0 };
        let step = round_step(high / 4.0);
        let marks = (high / step).ceil().clamp(1.0, 10.0);
        let ticks =
            steps(marks).map(|index| Tick { value: index * step, label: label(index * step), minor: false });
        Self { low: 0.0, high: marks * step, scale: Scale::Even, ticks: ticks.collect() }
    }

    /// Response times in microseconds, from `low` to `high`, each power of ten as far as the one before.
    pub(super) fn log_time(low: f64, high: f64) -> Self {
        let low = if low.is_finite() { low.clamp(1.0, 1e12) } else { 1.0 };
        let high = if high.is_finite() { high.clamp(low, 1e12) } else { low };
        // To the next of 1, 2 and 5.
        let bounds = (below(low), above(high.max(low * 2.0)));
        let mut ticks = Vec::new();
        let decades = (bounds.1 / bounds.0).log10();
        let mut power = 10_f64.powf(bounds.0.log10().floor());
        while power <= bounds.1 * 1.001 && ticks.len() < 64 {
            for factor in [1.0, 2.0, 5.0] {
                let value = power * factor;
                let minor = factor > 1.0;
                let room = decades <= 2.5 || !minor;
                if room && value >= bounds.0 * 0.999 && value <= bounds.1 * 1.001 {
                    ticks.push(Tick { value, label: figures::micros(value), minor: minor && decades > 1.5 });
                }
            }
            power *= 10.0;
        }
        ticks.truncate(TICKS_MAX);
        Self { low: bounds.0, high: bounds.1, scale: Scale::Log, ticks }
    }

    /// Seconds since the start.
    pub(super) fn seconds(length: f64) -> Self {
        let length = if length > 0.0 && length.is_finite() { length } else { 1.0 };
        let round =
            [1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 7_200.0, 21_600.0];
        let step =
            round.into_iter().find(|step| length / step <= 8.0).unwrap_or_else(|| round_step(length / 8.0));
        let ticks = steps((length / step).floor().min(10.0)).map(|index| Tick {
            value: index * step,
            label: clock(index * step),
            minor: figures::whole(index) % 2 == 1,
        });
        Self { low: 0.0, high: length, scale: Scale::Even, ticks: ticks.collect() }
    }

    /// With marks of one's own; on a logarithmic scale if `log`.
    pub(super) fn marked(low: f64, high: f64, log: bool, ticks: Vec<Tick>) -> Self {
        Self { low, high, scale: if log { Scale::Log } else { Scale::Even }, ticks }
    }

    /// Where a value lies, 0 to 1.
    pub(super) fn place(&self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Even => (value - self.low) / (self.high - self.low),
            Scale::Log => (value.max(1e-9) / self.low).ln() / (self.high / self.low).ln(),
        };
        if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// A picture in the making: what is behind, what is drawn, what is written.
#[derive(Debug)]
pub(super) struct Plot {
    x: Axis,
    y: Axis,
    behind: String,
    drawn: String,
}

/// A part of the picture from one value of x to another.
#[derive(Debug)]
pub(super) struct Band<'a> {
    pub(super) from: f64,
    pub(super) to: f64,
    /// How it looks.
    pub(super) class: &'a str,
    pub(super) label: &'a str,
}

impl Plot {
    pub(super) fn new(x: Axis, y: Axis) -> Self {
        let mut grid = String::new();
        for tick in &y.ticks {
            let _ = write!(grid, "M0 {}H1000", coordinate(1.0 - y.place(tick.value)));
        }
        let drawn = format!("<path class=\"grid\" d=\"{grid}\"/>");
        Self { x, y, behind: String::new(), drawn }
    }

    /// Marks a part, behind everything.
    pub(super) fn band(&mut self, band: &Band<'_>) {
        let (from, to) = (self.x.place(band.from), self.x.place(band.to));
        let late = if from > 0.8 { " late" } else { "" };
        let label = if band.label.is_empty() {
            String::new()
        } else {
            format!("<b>{}</b>", escape::html(band.label))
        };
        let _ = write!(
            self.behind,
            "<div class=\"band {}{late}\" style=\"left:{:.2}%;width:{:.2}%\">{label}</div>",
            band.class,
            from * 100.0,
            (to - from).max(0.0) * 100.0,
        );
    }

    /// A line through points; `None` is a gap.
    pub(super) fn line(&mut self, class: &str, points: impl IntoIterator<Item = (f64, Option<f64>)>) {
        let path = self.path(points);
        let _ = write!(self.drawn, "<path class=\"line {class}\" d=\"{path}\"/>");
    }

    /// A line, and what is below it filled.
    pub(super) fn area(&mut self, class: &str, points: impl IntoIterator<Item = (f64, Option<f64>)>) {
        let mut points: Vec<_> = points.into_iter().map(|(x, y)| (x, Some(y.unwrap_or(0.0)))).collect();
        if let (Some(first), Some(last)) = (points.first().copied(), points.last().copied()) {
            let (bottom, line) = (Some(self.y.low), self.path(points.clone()));
            points.insert(0, (first.0, bottom));
            points.push((last.0, bottom));
            let fill = self.path(points);
            let _ = write!(
                self.drawn,
                "<path class=\"fill {class}\" d=\"{fill}Z\"/><path class=\"line {class}\" d=\"{line}\"/>"
            );
        }
    }

    /// What lies between two lines, filled.
    pub(super) fn between(&mut self, class: &str, upper: &[(f64, f64)], lower: &[(f64, f64)]) {
        let round = upper.iter().chain(lower.iter().rev()).map(|(x, y)| (*x, Some(*y)));
        let path = self.path(round);
        if !path.is_empty() {
            let _ = write!(self.drawn, "<path class=\"fill {class}\" d=\"{path}Z\"/>");
        }
    }

    /// A dot, which keeps its size.
    pub(super) fn dot(&mut self, class: &str, x: f64, y: f64, label: &str) {
        let _ = write!(
            self.behind,
            "<i class=\"dot {class}\" style=\"left:{:.2}%;top:{:.2}%\" title=\"{}\"></i>",
            self.x.place(x) * 100.0,
            (1.0 - self.y.place(y)) * 100.0,
            escape::html(label),
        );
    }

    /// Any SVG drawn with [`Plot::at`].
    pub(super) fn draw(&mut self, svg: &str) {
        self.drawn.push_str(svg);
    }

    /// Where a point lies, in units of the picture.
    pub(super) fn at(&self, x: f64, y: f64) -> (f64, f64) {
        (self.x.place(x) * SIZE, (1.0 - self.y.place(y)) * SIZE)
    }

    /// A line across at a limit.
    pub(super) fn limit(&mut self, class: &str, y: f64) {
        let _ = write!(
            self.drawn,
            "<path class=\"line {class}\" d=\"M0 {}H1000\"/>",
            coordinate(1.0 - self.y.place(y))
        );
    }

    /// The picture; `class` says how high it is, `described` what it shows to those who cannot see it, `data`
    /// are attributes for the script.
    pub(super) fn finish(self, class: &str, described: &str, data: &str) -> String {
        let Self { x, y, behind, drawn } = self;
        let mut out = format!(
            "<div class=\"frame {class}\" role=\"img\" aria-label=\"{}\"><div class=\"area\"{data}>{behind}\
             <svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\" aria-hidden=\"true\">{drawn}</svg></div>",
            escape::html_text(described)
        );
        let mut label = |class: &str, share: f64, tick: &Tick| {
            let minor = if tick.minor { " minor" } else { "" };
            let text = escape::html(&tick.label);
            let _ = write!(out, "<span class=\"{class}{minor}\" style=\"--at:{share:.4}\">{text}</span>");
        };
        y.ticks.iter().for_each(|tick| label("y", 1.0 - y.place(tick.value), tick));
        x.ticks.iter().for_each(|tick| label("x", x.place(tick.value), tick));
        out.push_str("</div>");
        out
    }

    fn path(&self, points: impl IntoIterator<Item = (f64, Option<f64>)>) -> String {
        let mut path = String::new();
        let mut drawing = false;
        for (x, y) in points {
            let Some(y) = y else {
                drawing = false;
                continue;
            };
            let letter = if drawing { 'L' } else { 'M' };
            drawing = true;
            let _ =
                write!(path, "{letter}{} {}", coordinate(self.x.place(x)), coordinate(1.0 - self.y.place(y)));
        }
        path
    }
}

/// A share in units of the picture, as short as can be.
pub(super) fn coordinate(share: f64) -> String {
    let text = format!("{:.1}", share * SIZE);
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// `0`, `30 s`, `1:30`, `2:05:00`.
pub(super) fn clock(seconds: f64) -> String {
    let whole = figures::whole(seconds);
    match whole {
        0 => "0".to_owned(),
        1..60 => format!("{whole} s"),
        60..3_600 => format!("{}:{:02}", whole / 60, whole % 60),
        _ => format!("{}:{:02}:{:02}", whole / 3_600, whole / 60 % 60, whole % 60),
    }
}

/// 0, 1, 2, … `last`.
fn steps(last: f64) -> impl Iterator<Item = f64> {
    (0..=figures::whole(last)).map(figures::float)
}

/// The least of 1, 2, 2.5, 5 and 10, times a power of ten, that is not less.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= least * 0.999)
        .unwrap_or(power * 10.0)
}

/// The greatest of 1, 2 and 5, times a power of ten, that is not more.
fn below(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    [5.0, 2.0, 1.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|bound| *bound <= value * 1.001)
        .unwrap_or(power)
}

/// The least of 1, 2 and 5, times a power of ten, that is not less.
fn above(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|bound| *bound >= value * 0.999)
        .unwrap_or(power * 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn axes_have_round_marks_and_hold_what_they_must() {
        let axis = Axis::even(1_130.0, figures::digits);
        assert_eq!(labels(&axis), ["0", "500", "1,000", "1,500"]);
        assert!(axis.place(1_130.0) < 1.0);
        assert_eq!(
            labels(&Axis::seconds(40.0)),
            ["0", "5 s", "10 s", "15 s", "20 s", "25 s", "30 s", "35 s", "40 s"]
        );
        let axis = Axis::log_time(1_900.0, 1_420_000.0);
        assert_eq!(labels(&axis), ["1 ms", "10 ms", "100 ms", "1 s"]);
        assert!(axis.place(1_900.0) >= 0.0 && axis.place(1_420_000.0) <= 1.0);
        let decade = |us: f64| axis.place(us * 10.0) - axis.place(us);
        assert!((decade(10_000.0) - decade(100_000.0)).abs() < 1e-9);
    }

    #[test]
    fn numbers_that_are_none_are_drawn_somewhere() {
        for odd in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e300] {
            for axis in [Axis::even(odd, figures::digits), Axis::seconds(odd), Axis::log_time(odd, odd)] {
                assert!((0.0..=1.0).contains(&axis.place(odd)), "{axis:?}");
                assert!(axis.ticks.len() <= TICKS_MAX, "{axis:?}");
            }
        }
    }

    #[test]
    fn a_gap_is_not_drawn_over() {
        let mut plot = Plot::new(Axis::seconds(10.0), Axis::even(10.0, figures::digits));
        plot.line("p50", [(0.0, Some(0.0)), (1.0, Some(10.0)), (2.0, None), (10.0, Some(5.0))]);
        assert!(
            plot.drawn.ends_with("<path class=\"line p50\" d=\"M0 1000L100 0M1000 500\"/>"),
            "{}",
            plot.drawn
        );
    }
}
