//! The picture of a running test on a terminal, drawn over itself.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use forebay_load::plan::Stage;
use forebay_load::report::figures::{count, digits, duration, duration_or_none, length};
use forebay_load::report::{Ink, shown};
use forebay_load::run::Progress;

use super::spark::{by_second, spark};
use super::{Moment, paint, target};
use crate::commands::Output;

/// Columns when the terminal does not say how many it has.
const WIDTH: usize = 80;
/// No line is longer: further apart, eyes lose their way.
const WIDTH_MAX: usize = 110;
/// Letters of names.
const NAME: usize = 40;

/// Columns of the terminal as it is now.
pub(super) fn width() -> usize {
    // A terminal that does not know its size says 0.
    rustix::termios::tcgetwinsize(io::stdout())
        .map(|size| usize::from(size.ws_col))
        .ok()
        .filter(|columns| *columns > 0)
        .unwrap_or(WIDTH)
}

/// What is drawn.
#[derive(Debug)]
pub(super) struct Picture<'a> {
    pub(super) name: &'a str,
    pub(super) stages: &'a [Stage],
    pub(super) rated: bool,
    pub(super) recent: &'a VecDeque<Moment>,
    pub(super) progress: &'a Progress,
}

/// The place of the picture on the terminal.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// Letters of each line that was drawn last.
    drawn: Vec<usize>,
}

impl Block {
    /// Draws over what was drawn before.
    pub(super) fn draw(
        &mut self,
        out: &mut Output<'_>,
        picture: &Picture<'_>,
        width: usize,
    ) -> io::Result<()> {
        // A letter in the last column makes some terminals begin a new line.
        let lines = lines(picture, width.saturating_sub(1).min(WIDTH_MAX));
        let text: Vec<String> = lines.iter().map(|line| line.text(out)).collect();
        // Each line in place of an old one, so that nothing flickers.
        let text = format!("{}{}\x1b[K\x1b[J", self.back(width), text.join("\x1b[K\n"));
        self.drawn = lines.iter().map(Line::letters).collect();
        out.line(text)
    }

    /// Takes it away again; the next line will be where its first one was.
    pub(super) fn clear(&mut self, out: &mut Output<'_>, width: usize) -> io::Result<()> {
        if self.drawn.is_empty() {
            return Ok(());
        }
        // Writing a line moves one down again.
        let text = format!("{}\x1b[J\x1b[A", self.back(width));
        self.drawn.clear();
        out.line(text)
    }

    /// To the first line of what was drawn last, which a terminal that has become narrower has broken.
    fn back(&self, width: usize) -> String {
        let rows: usize = self.drawn.iter().map(|letters| letters.div_ceil(width.max(1)).max(1)).sum();
        if rows > 0 { format!("\x1b[{rows}A\r") } else { String::new() }
    }
}

/// Pieces that stand in a row.
#[derive(Debug, Default)]
struct Line {
    pieces: Vec<(Option<Ink>, String)>,
    room: usize,
}

impl Line {
    fn new(room: usize) -> Self {
        Self { pieces: Vec::new(), room }
    }

    /// Adds a piece, unless it does not fit any more.
    fn add(&mut self, ink: impl Into<Option<Ink>>, text: impl Into<String>) {
        let text = text.into();
        if self.letters() + text.chars().count() <= self.room {
            self.pieces.push((ink.into(), text));
        } else {
            // What comes later would stand where this belongs.
            self.room = 0;
        }
    }

    fn letters(&self) -> usize {
        self.pieces.iter().map(|(_, text)| text.chars().count()).sum()
    }

    fn text(&self, out: &Output<'_>) -> String {
        let pieces = self.pieces.iter();
        pieces.map(|(ink, text)| ink.map_or_else(|| text.clone(), |ink| paint(out, ink, text))).collect()
    }
}

fn lines(picture: &Picture<'_>, room: usize) -> Vec<Line> {
    vec![
        title(picture, room),
        progress(picture, room),
        rates(picture, room),
        times(picture.progress, room),
        counts(picture.progress, room),
        curve(picture, "ok/s", room, |moment| Some(moment.rate)),
        curve(picture, "p99 ", room, |moment| moment.p99.map(|p99| p99.as_secs_f64() * 1e6)),
    ]
}

fn title(picture: &Picture<'_>, room: usize) -> Line {
    let Picture { name, stages, progress, .. } = picture;
    let mut line = Line::new(room);
    line.add(Ink::Strong, short(name, room));
    let over = progress.elapsed >= progress.length;
    if over {
        line.add(Ink::Doubtful, "  waiting for the last answers");
    } else if let Some(stage) = stages.get(progress.stage) {
        line.add(None, format!("  {}", short(&shown(&stage.name), NAME)));
        line.add(Ink::Soft, format!(", stage {} of {}", progress.stage + 1, stages.len()));
        if stage.warmup {
            line.add(Ink::Soft, ", not judged");
        }
    }
    line
}

/// A bar that fills with time.
fn progress(picture: &Picture<'_>, room: usize) -> Line {
    let Progress { elapsed, length: whole, .. } = picture.progress;
    let time = format!("  {} of {}", length(Duration::from_secs(elapsed.as_secs())), length(*whole));
    let cells = room.saturating_sub(time.chars().count() + 2);
    let full = (elapsed.as_millis() * cells as u128).checked_div(whole.as_millis()).unwrap_or_default();
    let full = usize::try_from(full).unwrap_or(cells).min(cells);
    let mut line = Line::new(room);
    line.add(None, "  ");
    line.add(Ink::Good, "━".repeat(full));
    line.add(Ink::Soft, "━".repeat(cells - full));
    line.add(None, time);
    line
}

fn rates(picture: &Picture<'_>, room: usize) -> Line {
    let Picture { stages, rated, progress, .. } = picture;
    let mut line = Line::new(room);
    line.add(None, format!("  {:>9}/s ok", digits(progress.rate)));
    match target(stages, progress.elapsed) {
        Some(rate) if *rated => line.add(Ink::Soft, format!("  {:>9}/s arrive", digits(rate))),
        Some(users) if users > 0.0 => line.add(Ink::Soft, format!("  {:>9} users", digits(users))),
        _ => {}
    }
    line.add(Ink::Soft, format!("   in flight {}", count(progress.in_flight)));
    let ink = if progress.backlog > 0 { Ink::Doubtful } else { Ink::Soft };
    line.add(ink, format!("   waiting for a user {}", count(progress.backlog)));
    line
}

fn times(progress: &Progress, room: usize) -> Line {
    let mut line = Line::new(room);
    for (name, at) in [("p50", progress.p50), ("p95", progress.p95), ("p99", progress.p99)] {
        line.add(Ink::Soft, format!("  {name} "));
        line.add(None, format!("{:<9}", duration_or_none(at)));
    }
    line.add(Ink::Soft, "  from the planned start");
    line
}

fn counts(progress: &Progress, room: usize) -> Line {
    let Progress { planned, ok, errors, timeouts, not_started, .. } = progress;
    let mut line = Line::new(room);
    line.add(None, format!("  planned {}   ok {}", count(*planned), count(*ok)));
    for (name, number) in [("errors", errors), ("timeouts", timeouts), ("not started", not_started)] {
        let ink = if *number > 0 { Ink::Bad } else { Ink::Soft };
        line.add(ink, format!("   {name} {}", count(*number)));
    }
    line
}

/// The last minute of something.
fn curve(picture: &Picture<'_>, name: &str, room: usize, of: fn(&Moment) -> Option<f64>) -> Line {
    let log = name.starts_with("p99");
    let values = picture.recent.iter().map(|moment| (moment.at.as_secs(), of(moment)));
    let values = by_second(values, room.saturating_sub(30).clamp(1, 60));
    let most = values.iter().flatten().copied().fold(0.0, f64::max);
    let most =
        if log { duration(Duration::from_secs_f64(most / 1e6)) } else { format!("{}/s", digits(most)) };
    let mut line = Line::new(room);
    line.add(Ink::Soft, format!("  {name} "));
    line.add(None, spark(&values, log));
    line.add(Ink::Soft, format!("  at most {most}"));
    line
}

/// The text, cut after so many letters.
fn short(text: &str, letters: usize) -> String {
    match text.char_indices().nth(letters) {
        None => text.to_owned(),
        Some(_) => text.chars().take(letters.saturating_sub(1)).chain(['…']).collect(),
    }
}
