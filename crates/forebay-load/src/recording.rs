//! Traffic as it was, to be sent again: which requests, and when.
//!
//! A recording is a file of JSON lines. The first says what it is:
//!
//! ```json
//! {"forebay_recording":1,"started_unix_ms":1709164800000,"sample":0.01,"note":"..."}
//! ```
//!
//! `started_unix_ms`, `sample` (which share of the requests was picked) and `note` may be missing. Each further
//! line is a request; of these `host`, `headers`, `body`, `body_bytes` and `body_omitted` may be missing:
//!
//! ```json
//! {"at_us":1500,"method":"POST","target":"/cart?x=1","host":"shop.test","headers":[["accept","*/*"]],
//!  "body":"e30=","body_bytes":2}
//! ```
//!
//! `at_us` is when its head had arrived, in microseconds after the start; lines need not be in that order. `body`
//! is base64; with `"body_omitted":true` there was a body of `body_bytes` bytes that was not kept. A secret's
//! value is `REDACTED`. Keys nobody knows are passed over, so that later versions may add some. A request that is
//! larger than this reads is skipped and counted: it is no reason to do without the others.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::capture::field_name;

pub use replay::{Parts, Replay};

mod lines;
mod name;
mod replay;
#[cfg(test)]
mod tests;

/// Requests in a recording.
pub const ENTRIES_MAX: usize = 2_000_000;
/// Requests in a recording that differ in anything but their time.
pub const REQUESTS_MAX: usize = 200_000;
/// Bytes of all requests that differ.
pub const BYTES_MAX: usize = 512 << 20;
/// Bytes of a line: a body of 8 MiB fits.
pub const LINE_BYTES_MAX: usize = 16 << 20;
/// Header fields of a request.
pub const FIELDS_MAX: usize = 256;
/// Longest time after the start: about a month.
pub const AT_MAX: Duration = Duration::from_secs(32 * 86_400);
/// What stands in the place of a secret.
pub const REDACTED: &str = "REDACTED";

/// What was sent when. Requests that differ only in their time are kept once.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// When it was started, in milliseconds since 1970, if that is known.
    pub started_unix_ms: Option<u64>,
    /// The share of requests that was picked, if that is known: 0.01 is one of a hundred.
    pub sample: Option<f64>,
    /// Where it comes from, for people.
    pub note: String,
    /// At most `REQUESTS_MAX`, of at most `BYTES_MAX` together.
    requests: Vec<Arc<Request>>,
    /// Where each is in `requests`.
    index: HashMap<Arc<Request>, u32, foldhash::fast::RandomState>,
    /// When which request was sent. At most `ENTRIES_MAX`.
    entries: Vec<(Duration, u32)>,
    bytes: usize,
    skipped: Skipped,
}

/// Lines that are left out because they are larger than is read.
#[derive(Clone, Copy, Debug, Default)]
struct Skipped {
    /// Of more than `LINE_BYTES_MAX`.
    long: u64,
    /// Of more than `FIELDS_MAX` header fields.
    fields: u64,
}

/// A request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Request {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The host asked for, with its port if one was sent; may be empty.
    pub host: String,
    /// Fields that are sent again: none about the connection, the body's length or the one request.
    pub headers: Vec<(String, String)>,
    /// What followed the head.
    pub body: Payload,
}

/// What followed a head.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Payload {
    /// All of it; mostly nothing.
    Kept(Vec<u8>),
    /// So many bytes that nobody kept.
    Omitted(u64),
}

/// Why something is no recording, or does not fit into one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The line, from 1; 0: none in particular.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

/// Reads a recording line by line.
#[derive(Debug, Default)]
pub struct Reader {
    recording: Recording,
    /// Lines read.
    line: usize,
}

/// Fields about the connection, or about this one request and not what it asks for.
const NOT_SENT_AGAIN: [&str; 17] = [
    "host",
    "content-length",
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
    "expect",
    "x-request-id",
    "traceparent",
    "tracestate",
    "priority",
];

impl Recording {
    /// Reads a whole file. A last line that was not written to its end is left out.
    ///
    /// # Errors
    /// The first line that is none of a recording, or goes beyond a limit of the recording as a whole.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::default();
        let (whole, rest) = bytes.split_at(memchr::memrchr(b'\n', bytes).map_or(0, |end| end + 1));
        for line in whole.split_inclusive(|byte| *byte == b'\n') {
            reader.line(line)?;
        }
        if !rest.is_empty() {
            reader.cut_line(rest)?;
        }
        reader.finish()
    }

    /// Adds a request that was sent `at` so long after the start.
    ///
    /// # Errors
    /// If it cannot be sent again as it is, or there are more than the limits allow; `line` is 0.
    pub fn push(&mut self, at: Duration, request: Request) -> Result<(), Error> {
        let refuse = |what: String| Err(Error { line: 0, what });
        if self.entries.len() == ENTRIES_MAX {
            return refuse(format!("there are more than {ENTRIES_MAX} requests: record a smaller share"));
        }
        if at > AT_MAX {
            return refuse(format!("it is later than {} days after the start", AT_MAX.as_secs() / 86_400));
        }
        if let Some(index) = self.index.get(&request) {
            self.entries.push((at, *index));
            return Ok(());
        }
        request.check().or_else(refuse)?;
        self.bytes += request.bytes();
        if self.requests.len() == REQUESTS_MAX || self.bytes > BYTES_MAX {
            return refuse(format!(
                "more than {REQUESTS_MAX} requests, or {BYTES_MAX} bytes, differ: record a smaller share"
            ));
        }
        let index = u32::try_from(self.requests.len()).expect("REQUESTS_MAX is far below 2^32");
        let request = Arc::new(request);
        self.requests.push(Arc::clone(&request));
        self.index.insert(request, index);
        self.entries.push((at, index));
        Ok(())
    }

    /// Adds the request of an earlier entry once more.
    pub(crate) fn repeat(&mut self, at: Duration, earlier: usize) {
        if let Some((_, index)) = self.entries.get(earlier).filter(|_| self.entries.len() < ENTRIES_MAX) {
            self.entries.push((at, *index));
        }
    }

    /// How many requests there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What was sent when, in the order it was added.
    pub fn entries(&self) -> impl Iterator<Item = (Duration, &Request)> {
        self.entries.iter().filter_map(|(at, index)| Some((*at, &**self.requests.get(*index as usize)?)))
    }

    /// The requests that differ in anything but their time.
    pub fn requests(&self) -> impl Iterator<Item = &Request> {
        self.requests.iter().map(|request| &**request)
    }

    /// The file's text.
    #[must_use]
    pub fn to_lines(&self) -> Vec<u8> {
        let mut out = lines::first(self);
        for (at, request) in self.entries() {
            lines::request(at, request, &mut out);
        }
        out
    }

    /// In the order of time.
    fn sort(&mut self) {
        self.entries.sort_by_key(|(at, _)| *at);
    }

    /// In the order of time, the first request at the start.
    pub(crate) fn settle(&mut self) {
        self.sort();
        let first = self.entries.first().map_or(Duration::ZERO, |(at, _)| *at);
        for (at, _) in &mut self.entries {
            *at -= first;
        }
    }

    /// Spreads the requests of the same instant evenly over the second after it. They are in the order of time.
    pub(crate) fn spread_seconds(&mut self) {
        for group in self.entries.chunk_by_mut(|(a, _), (b, _)| a == b) {
            let count = u32::try_from(group.len()).unwrap_or(u32::MAX);
            for (number, (at, _)) in (0_u32..).zip(group) {
                *at += Duration::from_secs(1) * number / count;
            }
        }
    }
}

impl Skipped {
    /// What was left out, for people.
    fn notes(self) -> impl Iterator<Item = String> {
        let Self { long, fields } = self;
        let note = |(count, why): (u64, String)| match count {
            0 => None,
            1 => Some(format!("1 request is left out: its line has more than {why}")),
            _ => Some(format!("{count} requests are left out: their lines have more than {why}")),
        };
        let fields = (fields, format!("{FIELDS_MAX} header fields"));
        [(long, format!("{LINE_BYTES_MAX} bytes")), fields].into_iter().filter_map(note)
    }
}

impl Request {
    /// Leaves out the fields that are not to be sent again.
    pub fn keep_headers(&mut self) {
        self.headers.retain(|(name, _)| !is_left_out(name));
    }

    fn bytes(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        let body = match &self.body {
            Payload::Kept(body) => body.len(),
            Payload::Omitted(_) => 0,
        };
        size_of::<Self>() + self.method.len() + self.target.len() + self.host.len() + headers + body
    }

    /// Whether it can be sent: whatever else it is, it must be one request.
    fn check(&self) -> Result<(), String> {
        let Self { method, target, host, headers, body: _ } = self;
        if field_name(method).is_err() {
            return Err(format!("{method:?} is not a method"));
        }
        if !target.starts_with('/') || !target.bytes().all(|byte| matches!(byte, b'!'..=b'~') && byte != b'#')
        {
            return Err(format!("{:?} is not a path: visible ASCII that begins with `/`", short(target)));
        }
        if !host.bytes().all(|byte| matches!(byte, b'!'..=b'~')) {
            return Err(format!("{:?} is not a host", short(host)));
        }
        if headers.len() > FIELDS_MAX {
            return Err(format!("it has more than {FIELDS_MAX} header fields"));
        }
        for (name, value) in headers {
            field_name(name)?;
            if value.chars().any(|c| c.is_control() && c != '\t') {
                return Err(format!("the value of the header field `{name}` holds control characters"));
            }
        }
        Ok(())
    }
}

/// Whether a field says something about the connection or the one request, and is left out.
pub(crate) fn is_left_out(name: &str) -> bool {
    name.starts_with(':') || NOT_SENT_AGAIN.iter().any(|other| other.eq_ignore_ascii_case(name))
}

fn short(text: &str) -> String {
    const SHOWN: usize = 80;
    match text.char_indices().nth(SHOWN) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

impl Reader {
    /// Reads the next line, with or without its line feed. Empty lines are passed over, and requests that are
    /// larger than is read are only counted.
    ///
    /// # Errors
    /// If it is none of a recording, or goes beyond a limit of the recording as a whole.
    pub fn line(&mut self, line: &[u8]) -> Result<(), Error> {
        self.line += 1;
        let read = lines::read(line, self.recording_is_begun(), &mut self.recording);
        read.map_err(|what| Error { line: self.line, what })
    }

    /// The recording.
    ///
    /// # Errors
    /// If there was no line, or none with a request.
    pub fn finish(mut self) -> Result<Recording, Error> {
        if self.recording.is_empty() {
            let skipped = self.recording.skipped.notes();
            let sampled = self.recording.sample.filter(|sample| *sample < 1.0).map(|sample| {
                let share = replay::percent(sample);
                format!("it was to hold {share} of the requests: record for longer, or with `sample: 100%`")
            });
            let nothing = "there is no request in it".to_owned();
            let what = skipped.chain(sampled).fold(nothing, |what, note| what + "; " + &note);
            return Err(Error { line: self.line, what });
        }
        self.recording.sort();
        Ok(self.recording)
    }

    /// The rest of a file after its last line feed: whoever wrote it may have been stopped in between.
    fn cut_line(&mut self, line: &[u8]) -> Result<(), Error> {
        if self.line > 0 && lines::is_cut(line) { Ok(()) } else { self.line(line) }
    }

    const fn recording_is_begun(&self) -> bool {
        self.line > 1
    }
}

impl Default for Payload {
    fn default() -> Self {
        Self::Kept(Vec::new())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.what),
            line => write!(f, "line {line}: {}", self.what),
        }
    }
}
