//! Texts with values in them: `/items/{{ id }}`.
//!
//! `{{ name }}` is a variable, a feeder's column or something captured; `{{ $... }}` is one of `BUILTINS`.
//! Everything by chance follows from the plan's seed.

use std::fmt;
use std::io::Write;

use crate::scope::Variables;

mod parse;
#[cfg(test)]
mod tests;

/// Longest text of a template, in bytes.
pub const BYTES_MAX: usize = 1 << 20;
/// Values that are made when they are asked for: how each is written between braces, and what it stands for.
pub const BUILTINS: [(&str, &str); 7] = [
    ("$random(1, 100)", "a whole number by chance, both ends included"),
    ("$pick(a, b, \"c, d\")", "one of these by chance; quotes keep commas and spaces"),
    ("$uuid", "a random UUID (RFC 9562 version 4), another each time"),
    ("$iteration", "how many runs of scenarios came before this one"),
    ("$user", "the number of the user, from 0"),
    ("$timestamp", "when the scenario was to start, in seconds since 1970"),
    ("$timestamp_ms", "the same in milliseconds"),
];
/// Longest name of a value, in bytes.
pub const NAME_MAX: usize = 100;

/// A text, parsed once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(pub String);

/// Why a template could not be filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The name has no value.
    Missing(String),
    /// The value of this name must not stand there: a line break in a header field, a path without `/`.
    Unfit(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Name(Box<str>),
    Builtin(Builtin),
}

/// A value that is made when it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Builtin {
    Uuid,
    Iteration,
    User,
    Timestamp,
    TimestampMs,
    /// Both ends included; the first is not the greater one.
    Random(i64, i64),
    /// At least one.
    Pick(Vec<String>),
}

/// Checks a name that templates are to use: a letter or `_`, then letters, digits, `_`, `-` and `.`.
///
/// # Errors
/// What is wrong with it.
pub fn check_name(name: &str) -> Result<(), Error> {
    parse::name(name).map(drop)
}

impl Template {
    /// A text with no value in it, whatever it looks like.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self { parts: vec![Part::Text(text.into())] }
    }

    /// Reads a text with values in it.
    ///
    /// # Errors
    /// Braces without an end, a name that is none, a builtin nobody knows or that is called wrongly.
    pub fn parse(text: &str) -> Result<Self, Error> {
        parse::template(text)
    }

    /// The text, if there is no value in it.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The names whose values are asked for, in order, as often as they are written.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Name(name) => Some(&**name),
            Part::Text(_) | Part::Builtin(_) => None,
        })
    }

    /// Whether it asks for a value that is made each time: one of `BUILTINS`.
    #[must_use]
    pub fn has_builtins(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Builtin(_)))
    }

    /// Whether the text around the values may stand in a request target: visible ASCII, beginning with `/`
    /// unless it begins with a value.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_target(&self) -> Result<(), Error> {
        let begins = match self.parts.first() {
            Some(Part::Text(text)) => text.starts_with('/'),
            Some(Part::Name(_)) => true,
            Some(Part::Builtin(_)) | None => false,
        };
        if !begins {
            return Err(Error("a path begins with `/`".to_owned()));
        }
        let bad = self.parts.iter().find_map(|part| match part {
            Part::Text(text) => text.chars().find(|c| !matches!(c, '!'..='~') || *c == '#'),
            Part::Name(_) | Part::Builtin(_) => None,
        });
        match bad {
            Some('#') => {
                Err(Error("`#` and what follows it are not sent: leave it out, or write `%23`".into()))
            }
            Some(bad) => Err(Error(format!("{bad:?} cannot stand in a path: write it percent-encoded"))),
            None => Ok(()),
        }
    }

    /// Whether the text around the values may stand in a header field's value: no control character.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_field(&self) -> Result<(), Error> {
        let unfit = |text: &String| text.bytes().find(|byte| !fits_field(*byte));
        let bad = self.parts.iter().find_map(|part| match part {
            Part::Text(text) => unfit(text),
            Part::Builtin(Builtin::Pick(items)) => items.iter().find_map(unfit),
            Part::Name(_) | Part::Builtin(_) => None,
        });
        bad.map_or(Ok(()), |bad| {
            Err(Error(format!("the character {:?} cannot stand in a header field", char::from(bad))))
        })
    }

    /// Appends the text with its values to `out`, the values as they are: for bodies.
    ///
    /// # Errors
    /// The first name that has no value; `out` then holds a part.
    pub fn render(&self, variables: &mut Variables, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.render_with(variables, out, |_, value, out| {
            out.extend_from_slice(value);
            Ok(())
        })
    }

    /// As `render`, for a request target: what cannot stand in one is percent-encoded, other characters of a
    /// value (`/`, `?`, `&`, `%`) mean what they mean there.
    ///
    /// # Errors
    /// The first name that has no value, or that begins the target without a `/`.
    pub fn render_target(&self, variables: &mut Variables, out: &mut Vec<u8>) -> Result<(), Fault> {
        let start = out.len();
        self.render_with(variables, out, |name, value, out| {
            if out.len() == start && value.first() != Some(&b'/') {
                return Err(Fault::Unfit(name.to_owned()));
            }
            for byte in value {
                match byte {
                    b'"'
                    | b'#'
                    | b'<'
                    | b'>'
                    | b'\\'
                    | b'^'
                    | b'`'
                    | b'{'
                    | b'|'
                    | b'}'
                    | 0..=b' '
                    | 0x7f.. => {
                        percent(*byte, out);
                    }
                    _ => out.push(*byte),
                }
            }
            Ok(())
        })
    }

    /// As `render`, for a header field's value.
    ///
    /// # Errors
    /// The first name that has no value, or whose value holds control characters: it would begin another field.
    pub fn render_field(&self, variables: &mut Variables, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.render_with(variables, out, |name, value, out| {
            if !value.iter().all(|byte| fits_field(*byte)) {
                return Err(Fault::Unfit(name.to_owned()));
            }
            out.extend_from_slice(value);
            Ok(())
        })
    }

    /// `put` writes the values of names; everything else fits everywhere or was checked beforehand.
    fn render_with(
        &self,
        variables: &mut Variables,
        out: &mut Vec<u8>,
        put: impl Fn(&str, &[u8], &mut Vec<u8>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Name(name) => {
                    let value = variables.get(name).ok_or_else(|| Fault::Missing(name.to_string()))?;
                    put(name, value, out)?;
                }
                Part::Builtin(Builtin::Pick(items)) => {
                    let index = variables.random().below(items.len() as u64) as usize;
                    put("$pick", items.get(index).map_or(b"", |item| item.as_bytes()), out)?;
                }
                Part::Builtin(builtin) => builtin.write(variables, out),
            }
        }
        Ok(())
    }
}

impl Builtin {
    fn write(&self, variables: &mut Variables, out: &mut Vec<u8>) {
        let written = match self {
            Self::Uuid => {
                let (high, low) = (variables.random().next_u64(), variables.random().next_u64());
                write_uuid(high, low, out)
            }
            Self::Iteration => write!(out, "{}", variables.iteration()),
            Self::User => write!(out, "{}", variables.user()),
            Self::Timestamp => write!(out, "{}", variables.now().as_secs()),
            Self::TimestampMs => write!(out, "{}", variables.now().as_millis()),
            Self::Random(low, high) => {
                let span = high.wrapping_sub(*low).cast_unsigned().checked_add(1);
                let random = variables.random();
                let above = match span {
                    Some(span) => random.below(span),
                    None => random.next_u64(),
                };
                write!(out, "{}", low.wrapping_add(above.cast_signed()))
            }
            // Chosen by the caller, who also knows where it is put.
            Self::Pick(_) => Ok(()),
        };
        written.expect("a vector takes everything");
    }
}

/// Version 4, variant 1 (RFC 9562 §5.4).
fn write_uuid(high: u64, low: u64, out: &mut Vec<u8>) -> std::io::Result<()> {
    let (a, b, c) = (high >> 32, high >> 16 & 0xffff, high & 0x0fff | 0x4000);
    let (d, e) = (low >> 48 & 0x3fff | 0x8000, low & 0xffff_ffff_ffff);
    write!(out, "{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}")
}

fn percent(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.extend_from_slice(&[b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
}

/// Whether a byte may stand in a field value (RFC 9110 §5.5).
const fn fits_field(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(name) => write!(f, "`{name}` has no value"),
            Self::Unfit(name) => write!(f, "the value of `{name}` cannot stand there"),
        }
    }
}
