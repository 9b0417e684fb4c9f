//! Headers to remove, set and add.

use std::fmt;

use super::matcher::is_token;

/// Longest value, in bytes.
const VALUE_MAX: usize = 8192;

/// Headers that say how a message is framed or hop by hop forwarded, and `host`, which a rewrite changes.
const FORBIDDEN: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Headers to remove, set and add. The default changes nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderEdits {
    /// Lower-case names of headers to leave out: those removed and those set.
    dropped: Box<[Box<str>]>,
    /// One bit per length of a dropped name, from 0 to 63 and beyond: most headers are told apart by it.
    dropped_lengths: u64,
    /// Headers to append: those set, then those added.
    appended: Box<[Appended]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Appended {
    name: Box<str>,
    value: Box<[u8]>,
}

/// Why a header cannot be edited so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EditError {
    /// Not the name of a header: the name.
    Name(String),
    /// A header that only the gateway itself writes: its name.
    Forbidden(String),
    /// The value has control characters in it, blanks around it, or is too long: the header's name.
    Value(String),
    /// The header is set twice: its name.
    Twice(String),
}

impl HeaderEdits {
    /// Edits that leave out `remove`, then put `set` in place of any headers of these names, then append `add`.
    /// Names are case-insensitive and come out as they are written here.
    ///
    /// # Errors
    /// When a name or value can break a message, or a header is set twice.
    pub fn new(remove: &[&str], set: &[(&str, &str)], add: &[(&str, &str)]) -> Result<Self, EditError> {
        let mut dropped: Vec<Box<str>> = Vec::new();
        for (name, _) in set {
            let name = checked_name(name)?;
            if dropped.contains(&name) {
                return Err(EditError::Twice(name.into()));
            }
            dropped.push(name);
        }
        for name in remove {
            dropped.push(checked_name(name)?);
        }
        dropped.sort();
        dropped.dedup();
        let mut appended = Vec::new();
        for (name, value) in set.iter().chain(add) {
            checked_name(name)?;
            appended.push(Appended { name: (*name).into(), value: checked_value(name, value)? });
        }
        let dropped_lengths = dropped.iter().fold(0, |bits, name| bits | length_bit(name.as_bytes()));
        Ok(Self { dropped: dropped.into(), dropped_lengths, appended: appended.into() })
    }

    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.dropped.is_empty() && self.appended.is_empty()
    }

    /// Whether headers of this name are left out. Any case.
    #[must_use]
    pub fn drops(&self, name: &[u8]) -> bool {
        self.dropped_lengths & length_bit(name) != 0
            && self.dropped.iter().any(|other| other.as_bytes().eq_ignore_ascii_case(name))
    }

    /// Whether headers of this name are left out, put in or appended. Any case.
    #[must_use]
    pub fn touches(&self, name: &[u8]) -> bool {
        self.drops(name) || self.appended().any(|(other, _)| other.as_bytes().eq_ignore_ascii_case(name))
    }

    /// Lower-case names of headers to leave out, sorted: those removed and those set.
    pub fn dropped(&self) -> impl Iterator<Item = &str> {
        self.dropped.iter().map(|name| &**name)
    }

    /// Headers to append, in order: those set, then those added.
    pub fn appended(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.appended.iter().map(|Appended { name, value }| (&**name, &**value))
    }
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "`{name}` is not the name of a header"),
            Self::Forbidden(name) if name == "host" => {
                f.write_str("header `host` is changed by `rewrite`, not by `headers`")
            }
            Self::Forbidden(name) => {
                write!(f, "header `{name}` belongs to the connection and cannot be edited")
            }
            Self::Value(name) => {
                write!(
                    f,
                    "the value of `{name}` has control characters in it or blanks around it, or is too long"
                )
            }
            Self::Twice(name) => write!(f, "header `{name}` is set twice; `add` appends several"),
        }
    }
}

impl std::error::Error for EditError {}

/// The name in lower case.
fn checked_name(name: &str) -> Result<Box<str>, EditError> {
    if !is_token(name) {
        return Err(EditError::Name(name.to_owned()));
    }
    let name = name.to_ascii_lowercase();
    if FORBIDDEN.contains(&&*name) { Err(EditError::Forbidden(name)) } else { Ok(name.into()) }
}

/// Visible ASCII, blanks inside, and bytes beyond ASCII (RFC 9110 section 5.5).
fn checked_value(name: &str, value: &str) -> Result<Box<[u8]>, EditError> {
    let is_clean = value.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..));
    let is_trimmed = value.trim_matches([' ', '\t']) == value;
    if is_clean && is_trimmed && value.len() <= VALUE_MAX {
        Ok(value.as_bytes().into())
    } else {
        Err(EditError::Value(name.to_owned()))
    }
}

fn length_bit(name: &[u8]) -> u64 {
    1 << name.len().min(63)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_replaces_and_add_appends() {
        let edits = HeaderEdits::new(&["Server"], &[("X-A", "1")], &[("x-b", "2"), ("x-b", "3")]);
        let edits = edits.expect("test edits");
        for (name, expected) in
            [("server", true), ("SERVER", true), ("x-a", true), ("x-b", false), ("serves", false)]
        {
            assert_eq!(edits.drops(name.as_bytes()), expected, "{name}");
        }
        let appended: Vec<_> = edits.appended().collect();
        assert_eq!(appended, [("X-A", &b"1"[..]), ("x-b", b"2"), ("x-b", b"3")]);
        assert!(!edits.is_empty());
    }

    #[test]
    fn no_edits_change_nothing() {
        let edits = HeaderEdits::new(&[], &[], &[]).expect("test edits");
        assert_eq!(edits, HeaderEdits::default());
        assert!(edits.is_empty() && !edits.drops(b"a") && !edits.drops(b""));
    }

    #[test]
    fn what_breaks_a_message_is_refused() {
        let set =
            |name: &str, value: &str| HeaderEdits::new(&[], &[(name, value)], &[]).expect_err("refused");
        for name in ["", "a b", "a:", "é", "a\n", ":path", "a(b)"] {
            assert_eq!(set(name, "1"), EditError::Name(name.into()));
        }
        for name in FORBIDDEN {
            let name_as_written = name.to_uppercase();
            assert_eq!(set(&name_as_written, "1"), EditError::Forbidden(name.into()));
            assert!(HeaderEdits::new(&[&name_as_written], &[], &[]).is_err());
            assert!(HeaderEdits::new(&[], &[], &[(&name_as_written, "1")]).is_err());
        }
        for value in ["a\rb", "a\nb", "a\r\nb: c", "a\0", "\x7f", " a", "a\t", &"a".repeat(VALUE_MAX + 1)] {
            assert_eq!(set("x-a", value), EditError::Value("x-a".into()));
        }
        let twice = HeaderEdits::new(&[], &[("x-a", "1"), ("X-A", "2")], &[]);
        assert_eq!(twice, Err(EditError::Twice("x-a".into())));
    }

    #[test]
    fn long_names_are_dropped_too() {
        let name = "x".repeat(80);
        let edits = HeaderEdits::new(&[&name], &[], &[]).expect("test edits");
        assert!(edits.drops(name.as_bytes()) && !edits.drops("x".repeat(81).as_bytes()));
    }

    #[test]
    fn values_may_be_empty_or_hold_text() {
        for value in ["", "a b", "a\tb", "café", "max-age=1, x=\"y\""] {
            assert!(HeaderEdits::new(&[], &[("x-a", value)], &[]).is_ok(), "{value}");
        }
    }
}
