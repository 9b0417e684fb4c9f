//! What an answer must be like.

use std::fmt;

use memchr::memmem;
use regex::bytes::Regex;
use serde_json::Value;

use crate::answer::Answer;
use crate::capture::{field_name, regex};
use crate::json_path::{self, Path};
use crate::outcome::ErrorKind;

pub use status::Statuses;

mod status;
#[cfg(test)]
mod tests;

/// One condition.
#[derive(Clone, Debug)]
pub enum Expect {
    /// The status is one of these.
    Status(Statuses),
    /// A header field is there, or is like this. Of several fields of that name one has to be.
    Header {
        /// Its name.
        name: String,
        /// What its value is like.
        is: Is,
    },
    /// The body is JSON, and the value there is like this.
    Json {
        /// Where.
        path: Path,
        /// What the value is; `None`: any, as long as there is one.
        equals: Option<Value>,
    },
    /// The body holds this text.
    Contains(Text),
    /// The body matches.
    Regex(Regex),
    /// The body has no more bytes than this.
    BodyBytesMax(u64),
}

/// What a header field's value is like.
#[derive(Clone, Debug)]
pub enum Is {
    /// Anything.
    Present,
    /// This, to the letter.
    Equal(String),
    /// This is in it.
    Containing(Text),
    /// It matches.
    Matching(Regex),
}

/// A text that is looked for. Boxed: the tables that make it fast are large.
#[derive(Clone, Debug)]
pub struct Text(Box<memmem::Finder<'static>>);

/// Why something cannot be expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(pub String);

/// Whether the answer is as all of `expects` say. Where none speaks of the status, it has to be below 400.
///
/// # Errors
/// `ErrorKind::Status` or `ErrorKind::Check`.
pub fn check_all(expects: &[Expect], answer: &Answer<'_>) -> Result<(), ErrorKind> {
    // The status is looked at first: a wrong one explains a wrong body.
    let mut said = false;
    for expect in expects {
        if let Expect::Status(_) = expect {
            said = true;
            expect.check(answer)?;
        }
    }
    if !said && answer.status() >= 400 {
        return Err(ErrorKind::Status);
    }
    expects
        .iter()
        .filter(|expect| !matches!(expect, Expect::Status(_)))
        .try_for_each(|expect| expect.check(answer))
}

/// The first condition that does not hold and what was there instead, for people.
pub(crate) fn explain(expects: &[Expect], answer: &Answer<'_>) -> Option<String> {
    let mut wrong = expects.iter().filter(|expect| expect.check(answer).is_err());
    // As in `check_all`.
    let is_status = |expect: &&Expect| matches!(expect, Expect::Status(_));
    let first = wrong.clone().find(is_status).or_else(|| wrong.next())?;
    Some(format!("{} was expected; {}", first.describe(), first.seen(answer)))
}

/// How a body begins, for people.
pub(crate) fn begins(body: &[u8]) -> String {
    match body {
        [] => "the body is empty".to_owned(),
        body => format!("the body begins {:?}", shown(body)),
    }
}

/// The first letters of what was there.
fn shown(bytes: &[u8]) -> String {
    const SHOWN: usize = 60;
    String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN)]).into_owned()
}

impl Expect {
    /// What an answer has where this looks.
    fn seen(&self, answer: &Answer<'_>) -> String {
        match self {
            Self::Status(_) => format!("it is {}", answer.status()),
            Self::Header { name, .. } => match answer.header(name) {
                Some(value) => format!("it is {:?}", shown(value)),
                None => "it is not there".to_owned(),
            },
            Self::Json { path, .. } => match path.find(answer.body()) {
                Some(value) => format!("it is {}", shown(value.as_bytes())),
                None => format!("it is not there; {}", begins(answer.body())),
            },
            Self::Contains(_) | Self::Regex(_) => begins(answer.body()),
            Self::BodyBytesMax(_) => format!("it has {}", answer.body_bytes()),
        }
    }

    /// A status: `200`, `2xx`, `<400`, or several with commas.
    ///
    /// # Errors
    /// If the text is anything else.
    pub fn parse_status(text: &str) -> Result<Self, Error> {
        Statuses::parse(text).map(Self::Status)
    }

    /// A header field.
    ///
    /// # Errors
    /// If `name` is no field name.
    pub fn parse_header(name: &str, is: Is) -> Result<Self, Error> {
        field_name(name).map_err(Error)?;
        Ok(Self::Header { name: name.to_owned(), is })
    }

    /// A value in a JSON body; `equals` of `None` asks only that there is one.
    ///
    /// # Errors
    /// If `path` is no path to one value.
    pub fn parse_json(path: &str, equals: Option<Value>) -> Result<Self, Error> {
        let path = Path::parse(path).map_err(|json_path::Error(what)| Error(what))?;
        Ok(Self::Json { path, equals })
    }

    /// A text in the body.
    #[must_use]
    pub fn contains(text: &str) -> Self {
        Self::Contains(Text::new(text))
    }

    /// A pattern in the body.
    ///
    /// # Errors
    /// If the pattern is wrong or too large.
    pub fn parse_regex(pattern: &str) -> Result<Self, Error> {
        regex(pattern).map(Self::Regex).map_err(Error)
    }

    /// Whether the answer's body is needed; its length alone is always known.
    #[must_use]
    pub const fn needs_body(&self) -> bool {
        matches!(self, Self::Json { .. } | Self::Contains(_) | Self::Regex(_))
    }

    /// Whether the answer is like this.
    ///
    /// # Errors
    /// `ErrorKind::Status` or `ErrorKind::Check`.
    pub fn check(&self, answer: &Answer<'_>) -> Result<(), ErrorKind> {
        let holds = match self {
            Self::Status(statuses) => {
                return if statuses.contains(answer.status()) { Ok(()) } else { Err(ErrorKind::Status) };
            }
            Self::Header { name, is } => answer.headers(name).any(|value| is.holds(value)),
            Self::Json { path, equals } => path.find(answer.body()).is_some_and(|found| {
                equals.as_ref().is_none_or(|equals| {
                    serde_json::from_str::<Value>(found).is_ok_and(|found| same(&found, equals))
                })
            }),
            Self::Contains(text) => text.is_in(answer.body()),
            Self::Regex(regex) => regex.is_match(answer.body()),
            Self::BodyBytesMax(max) => answer.body_bytes() <= *max,
        };
        if holds { Ok(()) } else { Err(ErrorKind::Check) }
    }

    /// What it asks for, for reports.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Status(statuses) => format!("status {statuses}"),
            Self::Header { name, is } => match is {
                Is::Present => format!("header {name}"),
                Is::Equal(text) => format!("header {name} is {text:?}"),
                Is::Containing(text) => format!("header {name} contains {text}"),
                Is::Matching(regex) => format!("header {name} matches {:?}", regex.as_str()),
            },
            Self::Json { path, equals: None } => format!("json {path}"),
            Self::Json { path, equals: Some(value) } => format!("json {path} is {value}"),
            Self::Contains(text) => format!("body contains {text}"),
            Self::Regex(regex) => format!("body matches {:?}", regex.as_str()),
            Self::BodyBytesMax(max) => format!("body of at most {max} bytes"),
        }
    }
}

impl Is {
    /// A pattern.
    ///
    /// # Errors
    /// If it is wrong or too large.
    pub fn matching(pattern: &str) -> Result<Self, Error> {
        regex(pattern).map(Self::Matching).map_err(Error)
    }

    /// A part of the value.
    #[must_use]
    pub fn containing(text: &str) -> Self {
        Self::Containing(Text::new(text))
    }

    fn holds(&self, value: &[u8]) -> bool {
        match self {
            Self::Present => true,
            Self::Equal(text) => value == text.as_bytes(),
            Self::Containing(text) => text.is_in(value),
            Self::Matching(regex) => regex.is_match(value),
        }
    }
}

impl Text {
    fn new(text: &str) -> Self {
        Self(Box::new(memmem::Finder::new(text.as_bytes()).into_owned()))
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        self.0.find(bytes).is_some()
    }
}

/// Whether two values mean the same; `1` and `1.0` do.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(self.0.needle()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
