//! Writes samples: names, labels, values, and nothing a label could break.

use std::fmt::Write;

use super::Seen;
use super::catalogue::Family;
use crate::collect::ByClass;
use crate::metric::Snapshot;
use crate::stats::Class;

/// Upper bounds of the histograms' buckets, in nanoseconds, and as `le` says them in seconds.
pub(super) const BOUNDS: [(u64, &str); 16] = [
    (500_000, "0.0005"),
    (1_000_000, "0.001"),
    (2_500_000, "0.0025"),
    (5_000_000, "0.005"),
    (10_000_000, "0.01"),
    (25_000_000, "0.025"),
    (50_000_000, "0.05"),
    (100_000_000, "0.1"),
    (250_000_000, "0.25"),
    (500_000_000, "0.5"),
    (1_000_000_000, "1.0"),
    (2_500_000_000, "2.5"),
    (5_000_000_000, "5.0"),
    (10_000_000_000, "10.0"),
    (30_000_000_000, "30.0"),
    (60_000_000_000, "60.0"),
];

/// A page in the making.
pub(crate) struct Page {
    out: String,
    bytes_max: usize,
    omitted: u64,
    name: &'static str,
    labels: &'static [&'static str],
}

impl Page {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { out: String::new(), bytes_max, omitted: 0, name: "", labels: &[] }
    }

    /// The samples that follow are of this family.
    pub(super) fn family(&mut self, family: &Family) {
        self.name = family.name;
        self.labels = family.labels;
    }

    pub(super) fn raw(&mut self, text: &str) {
        self.out.push_str(text);
    }

    pub(super) fn finish(self) -> String {
        self.out
    }

    /// The number of series left out so far because the page is full; itself always written.
    pub(super) fn omissions(&mut self, _: &Seen<'_>) {
        self.line("", &[], None, Value::Count(self.omitted));
    }

    /// One sample; a value for each label of the family.
    pub(super) fn sample(&mut self, values: &[&str], value: impl Into<Value>) {
        if self.has_room() {
            self.line("", values, None, value.into());
        }
    }

    /// One sample for each class, which is the last label.
    pub(super) fn classes(&mut self, values: &[&str], counts: &ByClass) {
        for (class, &count) in Class::ALL.iter().zip(counts) {
            let values: Vec<&str> = values.iter().copied().chain([class.label()]).collect();
            self.sample(&values, count);
        }
    }

    /// A histogram: its buckets, sum and count. Left out while there is nothing in it.
    pub(super) fn histogram(&mut self, values: &[&str], snapshot: &Snapshot) {
        if snapshot.count() == 0 || !self.has_room() {
            return;
        }
        let mut bounds = BOUNDS.iter();
        snapshot.cumulative(&BOUNDS.map(|(nanos, _)| nanos), |count| {
            let le = bounds.next().map(|(_, seconds)| *seconds);
            self.line("_bucket", values, le, Value::Count(count));
        });
        self.line("_bucket", values, Some("+Inf"), Value::Count(snapshot.count()));
        self.line("_sum", values, None, Value::Nanos(snapshot.sum()));
        self.line("_count", values, None, Value::Count(snapshot.count()));
    }

    /// So many series are not written, so that the page stays short.
    pub(super) fn omit(&mut self, series: usize) {
        self.omitted += series as u64;
    }

    fn has_room(&mut self) -> bool {
        let room = self.out.len() < self.bytes_max;
        self.omitted += u64::from(!room);
        room
    }

    fn line(&mut self, suffix: &str, values: &[&str], le: Option<&str>, value: Value) {
        debug_assert_eq!(values.len(), self.labels.len(), "labels of {}", self.name);
        self.out.push_str(self.name);
        self.out.push_str(suffix);
        let labels = self.labels.iter().copied().zip(values.iter().copied());
        let mut before = '{';
        for (label, value) in labels.chain(le.map(|le| ("le", le))) {
            self.out.push(before);
            self.out.push_str(label);
            self.out.push_str("=\"");
            escape(&mut self.out, value);
            self.out.push('"');
            before = ',';
        }
        if before == ',' {
            self.out.push('}');
        }
        self.out.push(' ');
        value.write(&mut self.out);
        self.out.push('\n');
    }
}

/// A sample's value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value {
    Count(u64),
    Level(i64),
    /// Written in seconds.
    Nanos(u64),
    /// 0 to 1, to six digits.
    Ratio(f64),
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<i64> for Value {
    fn from(level: i64) -> Self {
        Self::Level(level)
    }
}

impl From<std::time::Duration> for Value {
    fn from(duration: std::time::Duration) -> Self {
        Self::Nanos(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl Value {
    fn write(self, out: &mut String) {
        match self {
            Self::Count(count) => write!(out, "{count}"),
            Self::Level(level) => write!(out, "{level}"),
            // Not a number is no share of anything.
            Self::Ratio(ratio) if !ratio.is_finite() => write!(out, "0"),
            Self::Ratio(ratio) => write!(out, "{}", (ratio * 1e6).round() / 1e6),
            Self::Nanos(nanos) => write!(out, "{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000),
        }
        .expect("a string takes everything");
    }
}

/// Appends a label's value as the format wants it.
fn escape(out: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '\\' => out.push_str(r"\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}
