//! The operator's log: what a person running Forebay should know, one line per event.
//!
//! Each event is a variant of [`Event`], so its level, wording and fields are decided once. Lines are written by
//! a thread of their own: a stuck terminal stops no worker. Events that come in floods are thinned out.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use forebay_base::time::Instant;

use crate::access::{Format, Target};
use crate::escape;
use crate::rfc3339::Clock;
use crate::writer::{Batch, Writer};
use event::Parts;

pub use event::Event;

mod event;

/// Lines that wait for the thread; more are dropped and counted.
const LINES_MAX: usize = 1_024;
/// Lines of one kind of event in a second; more are left out, and the next one says how many.
const SAME_PER_SECOND_MAX: u32 = 10;
/// Longest value of a field, in bytes.
const FIELD_BYTES_MAX: usize = 2 << 10;

/// How much an event matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Somebody must act.
    Error,
    /// Surprising, but dealt with.
    Warn,
    /// Start, stop, reload.
    #[default]
    Info,
    /// Per connection or request: for looking closely.
    Debug,
}

/// What to write, where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Events that matter less are not written.
    pub level: Level,
    /// JSON for machines or text for people.
    pub format: Format,
    /// Colours in text.
    pub colour: bool,
    /// Where lines go.
    pub target: Target,
}

/// The running log; clones write to the same.
#[derive(Clone, Debug)]
pub struct Log(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    level: Level,
    style: Style,
    lines: SyncSender<Batch>,
    writer: Writer,
    lost: Arc<AtomicU64>,
    floods: Mutex<HashMap<&'static str, Flood>>,
}

#[derive(Clone, Copy, Debug)]
enum Style {
    Json,
    Text { colour: bool },
}

/// How often an event occurred lately.
#[derive(Clone, Copy, Debug, Default)]
struct Flood {
    second: u64,
    written: u32,
    left_out: u64,
}

impl Level {
    /// `error`, `warn`, `info` or `debug`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }

    const fn colour(self) -> &'static str {
        match self {
            Self::Error => "\x1b[31m",
            Self::Warn => "\x1b[33m",
            Self::Info => "\x1b[32m",
            Self::Debug => "\x1b[2m",
        }
    }
}

impl Settings {
    /// To standard error: text for a person on a terminal, else JSON.
    #[must_use]
    pub fn to_stderr(level: Level) -> Self {
        let person = Target::Stderr.is_terminal();
        let format = if person { Format::Text } else { Format::Json };
        Self { level, format, colour: person, target: Target::Stderr }
    }
}

impl Log {
    /// Opens the target and starts the thread.
    ///
    /// # Errors
    /// If the file cannot be opened for appending or the thread cannot start.
    pub fn start(settings: &Settings) -> io::Result<Self> {
        let Settings { level, format, colour, target } = settings;
        let lost = Arc::<AtomicU64>::default();
        let writer = Writer::start("log", target, LINES_MAX, Arc::clone(&lost))?;
        Ok(Self(Arc::new(Shared {
            level: *level,
            style: match format {
                Format::Json => Style::Json,
                Format::Text => Style::Text { colour: *colour },
            },
            lines: writer.sender(),
            writer,
            lost,
            floods: Mutex::default(),
        })))
    }

    /// Whether events of this level are written: to spare the work of putting one together.
    #[must_use]
    pub fn wants(&self, level: Level) -> bool {
        level <= self.0.level
    }

    /// Writes a line, unless the event matters too little or comes too often. Never blocks.
    pub fn emit(&self, event: &Event<'_>) {
        let parts = event.parts();
        if !self.wants(parts.level) {
            return;
        }
        let Some(left_out) = self.0.admit(parts.name, Instant::now()) else { return };
        let bytes = line(self.0.style, unix_nanos(), &parts, left_out);
        if self.0.lines.try_send(Batch { bytes, lines: 1, home: None }).is_err() {
            self.0.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lines lost because the target could not keep up or failed.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
    }

    /// Opens the file anew, for after it was renamed. Does not wait.
    pub fn reopen(&self) {
        self.0.writer.reopen();
    }

    /// Waits until all lines so far are written or counted as lost, no longer than `wait`; true if they are.
    pub fn flush(&self, wait: Duration) -> bool {
        self.0.writer.flush(wait)
    }
}

impl Shared {
    /// How many like this were left out before it; none if this one is to be left out.
    fn admit(&self, name: &'static str, now: Instant) -> Option<u64> {
        let mut floods = self.floods.lock().expect("nothing under this lock panics");
        floods.entry(name).or_default().admit(now)
    }
}

impl Flood {
    fn admit(&mut self, now: Instant) -> Option<u64> {
        let second = now.as_nanos() / 1_000_000_000;
        if second != self.second {
            self.second = second;
            self.written = 0;
        }
        if self.written >= SAME_PER_SECOND_MAX {
            self.left_out += 1;
            return None;
        }
        self.written += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

fn line(style: Style, unix_nanos: u64, parts: &Parts, left_out: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    match style {
        Style::Json => json_line(&mut out, unix_nanos, parts, left_out),
        Style::Text { colour } => text_line(&mut out, unix_nanos, parts, left_out, colour),
    }
    out.push(b'\n');
    out
}

fn json_line(out: &mut Vec<u8>, unix_nanos: u64, parts: &Parts, left_out: u64) {
    let Parts { level, name, message, fields } = parts;
    out.extend_from_slice(br#"{"time":""#);
    Clock::default().write(out, unix_nanos);
    out.push(b'"');
    let head = [("level", level.label()), ("event", *name), ("message", *message)];
    let fields = fields.iter().map(|(key, value)| (*key, value.as_str()));
    for (key, value) in head.into_iter().chain(fields) {
        out.extend_from_slice(format!(",\"{key}\":\"").as_bytes());
        escape::json(out, value.as_bytes(), FIELD_BYTES_MAX);
        out.push(b'"');
    }
    if left_out > 0 {
        out.extend_from_slice(format!(",\"left_out\":{left_out}").as_bytes());
    }
    out.push(b'}');
}

fn text_line(out: &mut Vec<u8>, unix_nanos: u64, parts: &Parts, left_out: u64, colour: bool) {
    let Parts { level, name: _, message, fields } = parts;
    let (dim, paint, reset) = if colour { ("\x1b[2m", level.colour(), "\x1b[0m") } else { ("", "", "") };
    out.extend_from_slice(dim.as_bytes());
    Clock::default().write_time(out, unix_nanos);
    out.extend_from_slice(format!("{reset} {paint}{:<5}{reset} {message}", level.label()).as_bytes());
    for (key, value) in fields {
        out.extend_from_slice(format!(" {dim}{key}={reset}").as_bytes());
        text_value(out, value);
    }
    if left_out > 0 {
        out.extend_from_slice(format!(" {dim}(and {left_out} more like this){reset}").as_bytes());
    }
}

/// In quotes if it could be taken for more than one word.
fn text_value(out: &mut Vec<u8>, value: &str) {
    let quote = value.is_empty() || value.contains([' ', '"', '=']);
    if quote {
        out.push(b'"');
    }
    escape::text(out, value.as_bytes(), FIELD_BYTES_MAX);
    if quote {
        out.push(b'"');
    }
}

fn unix_nanos() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
