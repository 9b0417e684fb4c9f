//! What other tools wrote, read as recordings or as drafts of plans.
//!
//! Lists of requests (Vegeta's targets, URLs), access logs and HAR files become a [`Recording`]; the options of a
//! k6 script and the HTTP part of an Artillery script become the text of a plan, to be kept and edited. Whatever
//! cannot be said here is refused, all of it at once and by name; what is left out or changed on the way is noted.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::recording::{self, ENTRIES_MAX, Recording, Request};

pub use tree::{Kind, Tree};

pub mod access_log;
pub mod artillery;
pub mod har;
pub mod k6;
pub mod urls;
pub mod vegeta;

mod redact;
#[cfg(test)]
mod tests;
mod time;
mod tree;
mod url;
mod yaml;

/// Largest text that is imported, in bytes.
pub const BYTES_MAX: usize = 1 << 30;
/// Problems that are told one by one; further ones are counted.
const PROBLEMS_MAX: usize = 100;
/// Longest problem, in characters; the rest becomes `…`.
const PROBLEM_MAX: usize = 500;
/// Hosts that are told apart in messages.
const HOSTS_MAX: usize = 1_000;
/// What the host of requests that name none is called.
const NO_HOST: &str = "none";
/// Requests a list of targets may have.
const TARGETS_MAX: usize = recording::REQUESTS_MAX;

/// A recording made of something else.
#[derive(Clone, Debug)]
pub struct Imported {
    /// What was sent when.
    pub recording: Recording,
    /// Where it was sent, as `http://shop.test` or `https://shop.test:8443`; empty if that is not said.
    pub origin: String,
    /// What was left out or changed.
    pub notes: Vec<String>,
}

/// The text of a plan made of something else.
#[derive(Clone, Debug)]
pub struct Draft {
    /// YAML, with what has to be written by hand said in comments.
    pub yaml: String,
    /// What was left out or changed.
    pub notes: Vec<String>,
}

/// Why nothing was imported: everything that stands against it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// At least one.
    pub problems: Vec<String>,
}

/// How to make a recording.
#[derive(Clone, Debug)]
pub struct Options {
    /// Only requests to this host, as URLs and logs have it; `*`: all of them; `none`: those that name none.
    /// `None`: there must be only one.
    pub host: Option<String>,
    /// Whether cookies, credentials and the like are kept.
    pub secrets: bool,
    /// Whether requests are taken from a log that may change something, whose bodies no log has. The usual is
    /// GET and HEAD alone.
    pub all_methods: bool,
    /// When the requests of a list are sent, which has no times.
    pub pace: Pace,
}

/// Requests one after the other and from the first again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Requests per second; more than 0.
    pub rate: f64,
    /// For how long.
    pub length: Duration,
}

impl Default for Options {
    fn default() -> Self {
        let pace = Pace { rate: 50.0, length: Duration::from_secs(30) };
        Self { host: None, secrets: false, all_methods: false, pace }
    }
}

/// Gathers what is wrong, to be told at once.
#[derive(Debug, Default)]
struct Problems {
    list: Vec<String>,
    more: usize,
}

impl Problems {
    fn add(&mut self, what: impl Into<String>) {
        let mut what = what.into();
        if let Some((end, _)) = what.char_indices().nth(PROBLEM_MAX) {
            what.truncate(end);
            what.push('…');
        }
        if self.list.contains(&what) {
            return;
        }
        if self.list.len() < PROBLEMS_MAX { self.list.push(what) } else { self.more += 1 }
    }

    fn at(&mut self, line: usize, what: impl fmt::Display) {
        self.add(format!("line {line}: {what}"));
    }

    fn finish(mut self) -> Result<(), Refused> {
        if self.more > 0 {
            self.list.push(format!("and {} more", self.more));
        }
        if self.list.is_empty() { Ok(()) } else { Err(Refused { problems: self.list }) }
    }
}

impl From<String> for Refused {
    fn from(problem: String) -> Self {
        Self { problems: vec![problem] }
    }
}

/// Whether a text is too long to be read.
fn check_size(bytes: usize) -> Result<(), Refused> {
    match bytes > BYTES_MAX {
        true => Err(Refused::from(format!("it has {bytes} bytes; at most {BYTES_MAX} are read"))),
        false => Ok(()),
    }
}

/// What a host is called; one without a name as well.
fn named(host: &str) -> &str {
    if host.is_empty() { NO_HOST } else { host }
}

/// Requests on their way into a recording, with the hosts they go to.
#[derive(Debug)]
struct Gather<'o> {
    options: &'o Options,
    recording: Recording,
    /// How many requests went to which host. At most `HOSTS_MAX`.
    hosts: BTreeMap<String, usize>,
    /// The scheme and host of the first request that was taken.
    origin: String,
    /// Requests to other hosts than the one asked for.
    elsewhere: usize,
    problems: Problems,
    notes: Vec<String>,
}

impl<'o> Gather<'o> {
    fn new(options: &'o Options, note: &str) -> Self {
        let mut recording = Recording::default();
        note.clone_into(&mut recording.note);
        Self {
            options,
            recording,
            hosts: BTreeMap::new(),
            origin: String::new(),
            elsewhere: 0,
            problems: Problems::default(),
            notes: Vec::new(),
        }
    }

    /// Whether requests to `host` are taken; counts it.
    fn wants(&mut self, scheme: &str, host: &str) -> bool {
        if let Some(count) = self.hosts.get_mut(host) {
            *count += 1;
        } else if self.hosts.len() < HOSTS_MAX {
            self.hosts.insert(host.to_owned(), 1);
        }
        let wanted = match self.options.host.as_deref() {
            None | Some("*") => true,
            Some(wanted) => wanted.eq_ignore_ascii_case(named(host)),
        };
        if !wanted {
            self.elsewhere += 1;
        } else if self.origin.is_empty() && !host.is_empty() {
            self.origin = format!("{scheme}://{host}");
        }
        wanted
    }

    /// Adds a request `at` so long after the start, found on this line.
    fn push(&mut self, line: usize, at: Duration, mut request: Request) {
        request.keep_headers();
        if let Err(error) = self.recording.push(at, request) {
            self.problems.at(line, error.what);
        }
    }

    /// The hosts that are asked most, with how often.
    fn told_hosts(&self) -> String {
        let mut hosts: Vec<_> = self.hosts.iter().collect();
        hosts.sort_by(|(_, one), (_, other)| other.cmp(one));
        let told: Vec<_> =
            hosts.iter().take(20).map(|(host, count)| format!("{} ({count})", named(host))).collect();
        told.join(", ")
    }

    fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    fn finish(mut self) -> Result<Imported, Refused> {
        if self.options.host.is_none() && self.hosts.len() > 1 {
            let often = self.hosts.iter().max_by_key(|(_, count)| **count).map_or("", |(host, _)| host);
            self.problems.add(format!(
                "requests go to {} hosts; choose one, such as `--host {}`, or `--host '*'` for all: {}",
                self.hosts.len(),
                named(often),
                self.told_hosts()
            ));
        }
        if self.recording.is_empty() && self.problems.list.is_empty() {
            self.problems.add(match &self.options.host {
                Some(host) if self.elsewhere > 0 => {
                    format!("no request goes to {host}; there are {}", self.told_hosts())
                }
                _ => "there is no request in it".to_owned(),
            });
        }
        self.problems.finish()?;
        if self.elsewhere > 0 {
            self.notes.push(format!("{} requests to other hosts were left out", self.elsewhere));
        }
        if self.origin.starts_with("https:") {
            self.notes.push(format!("the requests were made to {}, over TLS", self.origin));
        }
        self.recording.settle();
        Ok(Imported { recording: self.recording, origin: self.origin, notes: self.notes })
    }

    /// Adds the requests of a list, one after the other and from the first again.
    fn paced(&mut self, requests: &[(usize, Request)]) {
        let Pace { rate, length } = self.options.pace;
        let count = (rate * length.as_secs_f64()).ceil();
        if !(rate > 0.0 && count >= 1.0 && count <= ENTRIES_MAX as f64) {
            self.problems
                .add(format!("rate and length have to make 1 to {ENTRIES_MAX} requests, not {count}"));
            return;
        }
        if requests.len() as f64 > count {
            self.note(format!("only the first {count} of {} requests are sent at this rate", requests.len()));
        }
        for number in 0..count as usize {
            let at = Duration::from_secs_f64(number as f64 / rate);
            match requests.get(number) {
                Some((line, request)) => self.push(*line, at, request.clone()),
                // The list again; without a copy of each body.
                None if !requests.is_empty() => self.recording.repeat(at, number - requests.len()),
                None => break,
            }
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("\n"))
    }
}
