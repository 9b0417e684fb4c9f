//! Access logs: nginx's and Apache's combined format, and Forebay's own, as JSON or text.

use std::borrow::Cow;
use std::time::Duration;

use serde::Deserialize;

use super::redact::redact;
use super::{Gather, Imported, Options, Refused, check_size, time, url};
use crate::recording::{AT_MAX, Payload, Request};

/// What stands at the end of a value that was too long for Forebay's log.
const CUT: &str = "...";
/// A day, in microseconds.
const DAY: i64 = 86_400_000_000;

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
struct Line<'t> {
    /// Microseconds since 1970, or since midnight if the line has no date.
    at: i64,
    has_date: bool,
    /// Whether the time is in whole seconds.
    coarse: bool,
    method: Cow<'t, str>,
    host: Cow<'t, str>,
    target: String,
    /// Bytes of the request's body, where the log has them.
    body_bytes: u64,
}

/// A line of Forebay's log as JSON.
#[derive(Deserialize)]
struct Json<'t> {
    time: &'t str,
    #[serde(default, borrow)]
    method: Option<Cow<'t, str>>,
    #[serde(default, borrow)]
    host: Option<Cow<'t, str>>,
    #[serde(default, borrow)]
    path: Option<Cow<'t, str>>,
    #[serde(default, borrow)]
    query: Option<Cow<'t, str>>,
    #[serde(default)]
    bytes_in: u64,
}

/// Why a line is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Skip {
    /// It is none of a log.
    Unknown,
    /// It says that what came was no request.
    NoRequest,
    /// It was cut where it was too long.
    Cut,
}

/// Reads a log; requests keep their distance in time. Headers and bodies are not in logs; secrets in queries are
/// redacted unless `options` says otherwise.
///
/// # Errors
/// If more than half of the lines are none of an access log; hosts that differ unless one is chosen.
pub fn parse(text: &[u8], options: &Options) -> Result<Imported, Refused> {
    check_size(text.len())?;
    let mut log = Log {
        gather: Gather::new(options, "access log"),
        first: None,
        day: 0,
        last: 0,
        read: 0,
        coarse: false,
        skipped: [(0, 0); 3],
        methods: 0,
        bodies: 0,
        redacted: 0,
    };
    for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        let line = line.trim_ascii();
        if !line.is_empty() {
            log.line(number, &String::from_utf8_lossy(line));
        }
    }
    log.finish()
}

struct Log<'o> {
    gather: Gather<'o>,
    /// The time that is a day after the recording's start: lines are nearly in order of time, not quite.
    first: Option<i64>,
    /// Midnights passed, in a log without dates.
    day: i64,
    /// The last line's time, in a log without dates.
    last: i64,
    read: usize,
    coarse: bool,
    /// How many lines were left out, and the first of them, by `Skip`.
    skipped: [(usize, usize); 3],
    methods: usize,
    bodies: usize,
    redacted: usize,
}

impl Log<'_> {
    fn line(&mut self, number: usize, text: &str) {
        let line = match read(text) {
            Ok(line) => line,
            Err(skip) => {
                let (count, first) = &mut self.skipped[skip as usize];
                *first = if *count == 0 { number } else { *first };
                *count += 1;
                return;
            }
        };
        self.read += 1;
        let at = if line.has_date { line.at } else { self.dated(line.at) };
        self.coarse |= line.coarse;
        if !self.gather.options.all_methods && !matches!(&*line.method, "GET" | "HEAD") {
            self.methods += 1;
            return;
        }
        if !self.gather.wants("http", &line.host) {
            return;
        }
        let start = *self.first.get_or_insert(at) - DAY;
        let Some(at) = at.checked_sub(start).and_then(|at| u64::try_from(at).ok()) else {
            self.gather.problems.at(number, "its time is more than a day before the first line's");
            return;
        };
        let at = Duration::from_micros(at);
        if at > AT_MAX {
            self.gather.problems.at(number, "its time is more than a month after the first line's");
            return;
        }
        let known = line.body_bytes > 0;
        let unknown = !known && !matches!(&*line.method, "GET" | "HEAD" | "DELETE" | "OPTIONS");
        self.bodies += usize::from(known || unknown);
        let mut request = Request {
            method: line.method.into_owned(),
            target: line.target,
            host: line.host.into_owned(),
            headers: Vec::new(),
            body: if known { Payload::Omitted(line.body_bytes) } else { Payload::default() },
        };
        if !self.gather.options.secrets && redact(&mut request) {
            self.redacted += 1;
        }
        self.gather.push(number, at, request);
    }

    /// A time of day as an instant: where the clock goes far back, it has passed midnight.
    fn dated(&mut self, at: i64) -> i64 {
        if self.last - at > DAY / 2 {
            self.day += 1;
        }
        self.last = at;
        self.day * DAY + at
    }

    fn finish(mut self) -> Result<Imported, Refused> {
        let [(unknown, unknown_first), (none, none_first), (cut, cut_first)] = self.skipped;
        if unknown > self.read + none + cut {
            return Err(Refused::from(format!(
                "this is not an access log: {unknown} lines are none of one, line {unknown_first} first; understood \
                 are nginx's and Apache's combined format, and Forebay's own as JSON or text"
            )));
        }
        for (count, first, what) in [
            (unknown, unknown_first, "lines are none of an access log"),
            (none, none_first, "lines hold no request that could be read"),
            (cut, cut_first, "lines hold a path that was too long to be written down"),
        ] {
            if count > 0 {
                self.gather.note(format!("{count} {what} and were left out, line {first} first"));
            }
        }
        for (count, what) in [
            (self.methods, "requests other than GET and HEAD were left out"),
            (self.bodies, "requests may have had bodies, which are not in the log"),
            (self.redacted, "queries had secrets, which were redacted"),
        ] {
            if count > 0 {
                self.gather.note(format!("{count} {what}"));
            }
        }
        if self.coarse {
            self.gather.recording.settle();
            self.gather.recording.spread_seconds();
            self.gather
                .note("times are in whole seconds: the requests of a second were spread evenly over it");
        }
        self.gather.note("headers are not in logs: add what the target needs");
        self.gather.finish()
    }
}

fn read(line: &str) -> Result<Line<'_>, Skip> {
    if line.starts_with('{') {
        return json(line);
    }
    match line.get(..12).and_then(time::clock_micros) {
        Some(at) if line.as_bytes().get(8) == Some(&b'.') => forebay_text(at, &line[12..]),
        _ => combined(line),
    }
}

fn json(line: &str) -> Result<Line<'_>, Skip> {
    let Json { time, method, host, path, query, bytes_in } =
        serde_json::from_str(line).map_err(|_| Skip::Unknown)?;
    let at = time::rfc3339(time).ok_or(Skip::Unknown)?;
    let (Some(method), Some(path)) = (method, path) else { return Err(Skip::NoRequest) };
    if path.ends_with(CUT) || query.as_ref().is_some_and(|query| query.ends_with(CUT)) {
        return Err(Skip::Cut);
    }
    let target = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.into_owned(),
    };
    let target = target_of(target.as_bytes())?;
    let host = host.unwrap_or_default();
    Ok(Line { at, has_date: true, coarse: false, method, host, target, body_bytes: bytes_in })
}

/// ` 200   1.23 ms 192.0.2.7       GET    shop.test/cart?item=1 -> shop 10.0.0.1:3000 out=5120 ...`.
fn forebay_text(at: i64, rest: &str) -> Result<Line<'_>, Skip> {
    let mut words = rest.split_ascii_whitespace();
    // Status, duration, its unit, client.
    let before = [words.next(), words.next(), words.next(), words.next()];
    let (Some(_), Some(method), Some(address)) = (before[3], words.next(), words.next()) else {
        return Err(Skip::Unknown);
    };
    if method == "-" || address == "-" {
        return Err(Skip::NoRequest);
    }
    if address.ends_with(CUT) {
        return Err(Skip::Cut);
    }
    let (host, target) = address.split_at(address.find('/').ok_or(Skip::NoRequest)?);
    let target = target_of(&unescaped(target))?;
    let (method, host) = (Cow::Borrowed(method), Cow::Borrowed(host));
    Ok(Line { at, has_date: false, coarse: false, method, host, target, body_bytes: 0 })
}

/// `192.0.2.7 - - [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.1" 200 2326 ...`, a host before it or not.
fn combined(line: &str) -> Result<Line<'_>, Skip> {
    let (before, rest) = line.split_once('[').ok_or(Skip::Unknown)?;
    let (stamp, rest) = rest.split_once(']').ok_or(Skip::Unknown)?;
    let at = time::common_log(stamp).ok_or(Skip::Unknown)?;
    let words: Vec<_> = before.split_ascii_whitespace().collect();
    let host = match words.as_slice() {
        [_, _, _] => "",
        [host, _, _, _] => host.strip_suffix(":80").unwrap_or(host),
        _ => return Err(Skip::Unknown),
    };
    let request = quoted(rest.trim_start()).ok_or(Skip::Unknown)?;
    let mut words = request.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Skip::NoRequest);
    };
    if !version.starts_with("HTTP/") {
        return Err(Skip::NoRequest);
    }
    let (host, target) = match target.starts_with('/') {
        true => (host.to_owned(), target_of(&unescaped(target))?),
        // What a proxy was asked for, or `*`.
        false => url::parse(target).map(|url| (url.host, url.target)).map_err(|_| Skip::NoRequest)?,
    };
    Ok(Line {
        at,
        has_date: true,
        coarse: true,
        method: Cow::Borrowed(method),
        host: Cow::Owned(host),
        target,
        body_bytes: 0,
    })
}

fn target_of(target: &[u8]) -> Result<String, Skip> {
    if target.first() == Some(&b'/') { Ok(url::sendable(target)) } else { Err(Skip::NoRequest) }
}

/// The text between the first quote and the next that has no backslash before it.
fn quoted(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('"')?;
    let mut escaped = false;
    let end = inside.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    inside.get(..end?)
}

/// What was escaped as `\xHH`, `\"`, `\\`, `\n` or `\u{7f}`.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let escape = &rest[at + 1..];
        let (byte, len) = match escape.as_bytes().first() {
            Some(b'x') => match escape.get(1..3).map(|hex| u8::from_str_radix(hex, 16)) {
                Some(Ok(byte)) => (Some(char::from(byte)), 3),
                _ => (None, 0),
            },
            Some(b'u') => match escape.get(1..).and_then(braced) {
                Some((c, len)) => {
                    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                    (None, 1 + len)
                }
                None => (None, 0),
            },
            Some(b'n') => (Some('\n'), 1),
            Some(b't') => (Some('\t'), 1),
            Some(b'r') => (Some('\r'), 1),
            Some(b'"' | b'\\' | b'\'') => (Some(char::from(escape.as_bytes()[0])), 1),
            _ => (None, 0),
        };
        // Of these escapes each is one byte.
        bytes.extend(byte.map(|c| c as u8));
        if len == 0 {
            bytes.push(b'\\');
        }
        rest = &escape[len..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

/// `{7f}` as a character, and how long it is.
fn braced(text: &str) -> Option<(char, usize)> {
    let (hex, _) = text.strip_prefix('{')?.split_once('}')?;
    let c = u32::from_str_radix(hex, 16).ok().and_then(char::from_u32)?;
    Some((c, hex.len() + 2))
}
