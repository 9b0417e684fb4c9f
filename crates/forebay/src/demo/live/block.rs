//! The table of the traffic so far, drawn over itself.

use std::io;
use std::time::Duration;

use super::super::figures::{count, latency, rate, some};
use super::super::mix::Row;
use super::super::tally::Seen;
use super::{Moments, TITLE};
use crate::commands::Output;

/// Columns of the table; the terminal needs one more, or lines would break.
const WIDTH: usize = 78;
/// Lines of the table, with some air.
const HEIGHT: usize = 14;
/// Cells of the bar that shows the time.
const BAR: usize = 54;

/// Whether the terminal has room for the table.
pub(super) fn fits() -> bool {
    // A terminal that does not know its size says 0.
    let enough = |has: u16, needs: usize| has == 0 || usize::from(has) > needs;
    rustix::termios::tcgetwinsize(io::stdout())
        .is_ok_and(|size| enough(size.ws_col, WIDTH) && enough(size.ws_row, HEIGHT))
}

/// The table on the terminal.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// Lines drawn last time.
    lines: usize,
}

impl Block {
    /// Draws it over what was drawn before.
    pub(super) fn draw(
        &mut self,
        out: &mut Output<'_>,
        moments: &Moments,
        length: Duration,
    ) -> io::Result<()> {
        let lines = lines(out, moments, length);
        // Each line in place of an old one, so that nothing flickers.
        let text = format!("{}{}\x1b[K\x1b[J", self.back(), lines.join("\x1b[K\n"));
        self.lines = lines.len();
        out.line(text)
    }

    /// Takes it away again. The next line will be where the one above it is, which is empty.
    pub(super) fn clear(&mut self, out: &mut Output<'_>) -> io::Result<()> {
        // Writing a line moves one down again.
        let text = format!("{}\x1b[J\x1b[2A", self.back());
        self.lines = 0;
        out.line(text)
    }

    /// To the first line of what was drawn last.
    fn back(&self) -> String {
        if self.lines > 0 { format!("\x1b[{}A\r", self.lines) } else { String::new() }
    }
}

fn lines(out: &Output<'_>, moments: &Moments, length: Duration) -> Vec<String> {
    let ((at, tally), (before, earlier)) = (moments.newest(), moments.before(2));
    let seconds = at.saturating_sub(*before).as_secs_f64();
    let mut lines = vec![out.bold(TITLE), String::new()];
    lines.push(progress(out, (*at).min(length), length));
    lines.push(String::new());
    lines.push(out.dim(&header()));
    for (index, row) in Row::ALL.into_iter().enumerate() {
        let seen = &tally.rows[index];
        lines.push(self::row(out, row.label(), seen, &seen.since(&earlier.rows[index]), seconds));
    }
    let total = tally.total();
    let recent = total.since(&earlier.total());
    lines.push(out.bold(&row(out, "all", &total, &recent, seconds)));
    lines
}

fn header() -> String {
    columns("route", ["requests", "per s", "p50", "p95", "p99", "errors"].map(str::to_owned))
}

fn row(out: &Output<'_>, label: &str, seen: &Seen, recent: &Seen, seconds: f64) -> String {
    let quantile = |q| latency(seen.durations.quantile(q));
    let cells = [
        count(seen.requests()),
        rate(recent.requests(), seconds),
        quantile(0.5),
        quantile(0.95),
        quantile(0.99),
        some(seen.errors()),
    ];
    let line = columns(label, cells);
    match (seen.errors(), line.rsplit_once(' ')) {
        (1.., Some((start, errors))) => format!("{start} {}", out.yellow(errors)),
        _ => line,
    }
}

fn columns(label: &str, [requests, rate, p50, p95, p99, errors]: [String; 6]) -> String {
    format!("  {label:<20}{requests:>9}{rate:>8}{p50:>10}{p95:>10}{p99:>10}{errors:>8}")
}

/// A bar that fills with time.
fn progress(out: &Output<'_>, at: Duration, length: Duration) -> String {
    let full = (at.as_millis() * BAR as u128).checked_div(length.as_millis()).unwrap_or_default();
    let full = usize::try_from(full).unwrap_or(BAR).min(BAR);
    let (done, left) = ("━".repeat(full), "━".repeat(BAR - full));
    format!("  {}{} {:>3} of {} s", out.green(&done), out.dim(&left), at.as_secs(), length.as_secs())
}

#[cfg(test)]
mod tests {
    use super::super::super::tally::Counters;
    use super::*;

    /// What the terminal is told when the table is drawn `times` times.
    fn drawn(times: usize) -> Vec<String> {
        let mut counters = Counters::default();
        for _ in 0..1_234_567 {
            counters.count(Row::Flaky, Some(502), Duration::from_millis(123));
        }
        let mut moments = Moments::default();
        moments.add(Duration::from_secs(3_599), counters.read());
        let mut block = Block::default();
        let draw = |_| {
            let mut buffer = Vec::new();
            let mut out = Output::new(&mut buffer, true);
            block.draw(&mut out, &moments, Duration::from_secs(3_600)).expect("a buffer takes all");
            String::from_utf8(buffer).expect("it is text")
        };
        (0..times).map(draw).collect()
    }

    /// Without what the terminal does not show.
    fn visible(text: &str) -> String {
        let mut parts = text.split("\x1b[");
        let first = parts.next().unwrap_or_default().to_owned();
        let rest =
            parts.map(|part| part.split_once(|c: char| c.is_ascii_alphabetic()).map_or("", |(_, it)| it));
        std::iter::once(first.as_str()).chain(rest).collect()
    }

    #[test]
    fn no_line_is_wider_than_it_may_be() {
        for line in visible(&drawn(1)[0]).lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
    }

    #[test]
    fn the_next_table_begins_where_the_last_one_did() {
        let drawn = drawn(3);
        let height = drawn[0].matches('\n').count();
        assert!(height < HEIGHT, "{height}");
        for again in &drawn[1..] {
            assert!(again.starts_with(&format!("\x1b[{height}A")), "{again:?}");
            assert_eq!(again.matches('\n').count(), height);
        }
    }
}
