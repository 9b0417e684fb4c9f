//! What a step takes from an answer for later ones.

use std::borrow::Cow;
use std::fmt;

use regex::bytes::{Regex, RegexBuilder};

use crate::answer::Answer;
use crate::json_path::{self, Path};
use crate::scope::VALUE_MAX;

/// Most memory a compiled regular expression may take, in bytes.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// A value to take.
#[derive(Clone, Debug)]
pub struct Capture {
    /// What templates call it.
    pub name: String,
    /// Where it is found.
    pub from: Source,
}

/// Where a value is found.
#[derive(Clone, Debug)]
pub enum Source {
    /// In the body, which is JSON; a string without its quotes, anything else as it is written.
    Json(Path),
    /// In the first field of that name.
    Header(String),
    /// In the body: this group of the first match.
    Regex(Regex, usize),
    /// The status itself.
    Status,
}

/// Why a text does not say where a value is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(pub String);

impl Capture {
    /// Takes a value at a path such as `$.items[0].id`.
    ///
    /// # Errors
    /// What is wrong with the path.
    pub fn parse_json(name: impl Into<String>, path: &str) -> Result<Self, Error> {
        let path = Path::parse(path).map_err(|json_path::Error(what)| Error(what))?;
        Ok(Self { name: name.into(), from: Source::Json(path) })
    }

    /// Takes the value of a header field.
    ///
    /// # Errors
    /// If the text is no field name (RFC 9110 §5.1).
    pub fn parse_header(name: impl Into<String>, field: &str) -> Result<Self, Error> {
        field_name(field).map_err(Error)?;
        Ok(Self { name: name.into(), from: Source::Header(field.to_owned()) })
    }

    /// Takes the first match's `group`; without one the first group, or the whole match if there is none.
    ///
    /// # Errors
    /// If the pattern is wrong or too large, or has no such group.
    pub fn parse_regex(name: impl Into<String>, pattern: &str, group: Option<usize>) -> Result<Self, Error> {
        let regex = regex(pattern).map_err(Error)?;
        let groups = regex.captures_len() - 1;
        let group = group.unwrap_or(groups.min(1));
        if group > groups {
            return Err(Error(format!("`{pattern}` has {groups} groups: there is no group {group}")));
        }
        Ok(Self { name: name.into(), from: Source::Regex(regex, group) })
    }

    /// Takes the status.
    #[must_use]
    pub fn status(name: impl Into<String>) -> Self {
        Self { name: name.into(), from: Source::Status }
    }

    /// Whether the answer's body is needed.
    #[must_use]
    pub const fn needs_body(&self) -> bool {
        matches!(self.from, Source::Json(_) | Source::Regex(..))
    }

    /// The value; `None`: it is not there, or has more than `VALUE_MAX` bytes.
    #[must_use]
    pub fn take<'a>(&self, answer: &Answer<'a>) -> Option<Cow<'a, [u8]>> {
        let value = match &self.from {
            Source::Json(path) => match path.find_text(answer.body())? {
                Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
                Cow::Owned(text) => Cow::Owned(text.into_bytes()),
            },
            Source::Header(field) => Cow::Borrowed(answer.header(field)?),
            Source::Regex(regex, 0) => Cow::Borrowed(regex.find(answer.body())?.as_bytes()),
            Source::Regex(regex, group) => {
                Cow::Borrowed(regex.captures(answer.body())?.get(*group)?.as_bytes())
            }
            Source::Status => Cow::Owned(answer.status().to_string().into_bytes()),
        };
        (value.len() <= VALUE_MAX).then_some(value)
    }
}

/// A compiled pattern of bounded size.
pub(crate) fn regex(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern).size_limit(REGEX_BYTES_MAX).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => format!("`{pattern}` takes more than {REGEX_BYTES_MAX} bytes"),
        // The library draws the pattern over several lines; its last one says what is wrong.
        error => {
            let text = error.to_string();
            let what = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("`{pattern}` is not a regular expression: {what}")
        }
    })
}

/// Checks the name of a header field.
pub(crate) fn field_name(name: &str) -> Result<(), String> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    match !name.is_empty() && name.bytes().all(token) {
        true => Ok(()),
        false => Err(format!("{name:?} is not the name of a header field")),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: &[(&[u8], &[u8])] =
        &[(b"ETag", b"\"v1\""), (b"set-cookie", b"a=1"), (b"Set-Cookie", b"b=2")];
    const BODY: &[u8] = br#"{"token": "t-1", "id": 42, "list": [1, 2]} <a href="?id=17">"#;
    const JSON: &[u8] = br#"{"token": "t\u00e9", "id": 42, "list": [1, 2]}"#;

    #[track_caller]
    fn check(capture: Result<Capture, Error>, body: &[u8], expected: Option<&str>) {
        let answer = Answer::of_parts(201, FIELDS, body, body.len() as u64);
        let taken = capture.unwrap().take(&answer);
        assert_eq!(taken.as_deref(), expected.map(str::as_bytes));
    }

    #[test]
    fn values_come_from_bodies_headers_and_the_status() {
        check(Capture::parse_json("x", "$.token"), JSON, Some("té"));
        check(Capture::parse_json("x", "$.id"), JSON, Some("42"));
        check(Capture::parse_json("x", "$.list"), JSON, Some("[1, 2]"));
        check(Capture::parse_json("x", "$.nothing"), JSON, None);
        check(Capture::parse_json("x", "$.token"), BODY, None);
        check(Capture::parse_header("x", "etag"), b"", Some("\"v1\""));
        check(Capture::parse_header("x", "Set-Cookie"), b"", Some("a=1"));
        check(Capture::parse_header("x", "age"), b"", None);
        check(Capture::parse_regex("x", r"id=(\d+)", None), BODY, Some("17"));
        check(Capture::parse_regex("x", r"id=\d+", None), BODY, Some("id=17"));
        check(Capture::parse_regex("x", r"(i)d=(\d)(\d)", Some(3)), BODY, Some("7"));
        check(Capture::parse_regex("x", r"id=(\d+)", Some(0)), BODY, Some("id=17"));
        check(Capture::parse_regex("x", r"(q)?id=", None), BODY, None);
        check(Ok(Capture::status("x")), b"", Some("201"));
    }

    #[test]
    fn a_value_too_long_to_keep_is_not_taken() {
        let at_most = vec![b'x'; VALUE_MAX];
        check(Capture::parse_regex("x", "x+", None), &at_most, Some(&"x".repeat(VALUE_MAX)));
        check(Capture::parse_regex("x", "x+", None), &[&at_most[..], b"x"].concat(), None);
    }

    #[test]
    fn what_cannot_be_taken_is_refused_when_the_plan_is_read() {
        for (capture, says) in [
            (Capture::parse_json("x", "$..id"), "`..`"),
            (Capture::parse_header("x", "a b"), "not the name of a header field"),
            (Capture::parse_header("x", ""), "not the name of a header field"),
            (Capture::parse_regex("x", "(", None), "unclosed group"),
            (Capture::parse_regex("x", "a", Some(1)), "no group 1"),
            (Capture::parse_regex("x", r"\w{1000}{1000}", None), "takes more than"),
        ] {
            let error = capture.unwrap_err().0;
            assert!(error.contains(says), "{error}");
        }
    }
}
