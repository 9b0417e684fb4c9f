//! Names as name servers know them (RFC 1035 §3.1).

use std::fmt::{self, Write as _};

/// Longest label in bytes.
const LABEL_MAX: usize = 63;
/// Longest name in bytes, with the lengths of its labels and the root.
pub(super) const NAME_MAX: usize = 255;

/// A whole name, in lower case: labels, each behind its length, and the root. At most [`NAME_MAX`] bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name(Box<[u8]>);

/// Why a text is no name that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadName {
    /// It is empty, begins with a dot, or has two in a row.
    EmptyLabel,
    /// A label is longer than 63 bytes.
    LabelTooLong,
    /// The whole is too long.
    TooLong,
    /// It has white space, control characters, or letters beyond ASCII.
    Letter,
}

impl Name {
    /// Reads `shop.test` or `shop.test.`; both are the same name.
    pub(super) fn parse(text: &str) -> Result<Self, BadName> {
        let mut wire = Vec::with_capacity(text.len() + 2);
        for label in text.strip_suffix('.').unwrap_or(text).split('.') {
            if label.is_empty() {
                return Err(BadName::EmptyLabel);
            }
            if !label.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(BadName::Letter);
            }
            push_label(&mut wire, label.as_bytes())?;
        }
        Self::end(wire)
    }

    /// This name below that one; `None` if that would be too long.
    pub(super) fn within(&self, domain: &Self) -> Option<Self> {
        let labels = &self.0[..self.0.len() - 1];
        let wire = [labels, &domain.0].concat();
        (wire.len() <= NAME_MAX).then(|| Self(wire.into()))
    }

    /// As it goes over the wire, without compression.
    pub(super) fn wire(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is the root alone.
    pub(super) fn is_root(&self) -> bool {
        self.0.len() == 1
    }

    /// Reads the name at `at` of a message, following compression; gives what lies behind it too. `None` if
    /// there is none.
    pub(super) fn read(message: &[u8], at: usize) -> Option<(Self, usize)> {
        let mut wire = Vec::new();
        let (mut at, mut behind) = (at, None);
        // Pointers lead backwards only, so this ends.
        let mut earliest = at;
        loop {
            match *message.get(at)? {
                0 => {
                    let name = Self::end(wire).ok()?;
                    return Some((name, behind.unwrap_or(at + 1)));
                }
                length @ 1..=0x3f => {
                    let label = message.get(at + 1..at + 1 + usize::from(length))?;
                    push_label(&mut wire, label).ok()?;
                    at += 1 + usize::from(length);
                }
                high @ 0xc0.. => {
                    let target = usize::from(high & 0x3f) << 8 | usize::from(*message.get(at + 1)?);
                    if target >= earliest {
                        return None;
                    }
                    behind.get_or_insert(at + 2);
                    (at, earliest) = (target, target);
                }
                _ => return None,
            }
        }
    }

    fn end(mut wire: Vec<u8>) -> Result<Self, BadName> {
        wire.push(0);
        if wire.len() > NAME_MAX { Err(BadName::TooLong) } else { Ok(Self(wire.into())) }
    }

    fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            let (&length, behind) = rest.split_first()?;
            let (label, behind) = behind.split_at_checked(usize::from(length))?;
            rest = behind;
            Some(label).filter(|label| !label.is_empty())
        })
    }
}

fn push_label(wire: &mut Vec<u8>, label: &[u8]) -> Result<(), BadName> {
    let length = u8::try_from(label.len()).ok().filter(|&length| usize::from(length) <= LABEL_MAX);
    wire.push(length.ok_or(BadName::LabelTooLong)?);
    wire.extend(label.iter().map(u8::to_ascii_lowercase));
    if wire.len() >= NAME_MAX { Err(BadName::TooLong) } else { Ok(()) }
}

/// Without the dot at the end; bytes that no host's name has are spelt out, as in `\032`.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.write_char('.');
        }
        for (index, label) in self.labels().enumerate() {
            if index > 0 {
                f.write_char('.')?;
            }
            for &byte in label {
                match byte {
                    b'.' | b'\\' => write!(f, "\\{}", char::from(byte))?,
                    byte if byte.is_ascii_graphic() => f.write_char(char::from(byte))?,
                    byte => write!(f, "\\{byte:03}")?,
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EmptyLabel => "not a name: nothing stands between two dots, or at its beginning",
            Self::LabelTooLong => "not a name: a part between dots is longer than 63 bytes",
            Self::TooLong => "not a name: it is longer than 253 bytes",
            Self::Letter => "not a name: write letters beyond ASCII in their ASCII form (`xn--`)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).expect("the tests' names are names")
    }

    #[test]
    fn names_are_read_and_shown() {
        for (text, shown) in [
            ("shop.test", "shop.test"),
            ("Shop.TEST.", "shop.test"),
            ("_http._tcp.a-b.c", "_http._tcp.a-b.c"),
            ("x", "x"),
        ] {
            assert_eq!(name(text).to_string(), shown);
        }
        let long = "a".repeat(64);
        let many = "abcdefg.".repeat(32);
        for (text, bad) in [
            ("", BadName::EmptyLabel),
            (".", BadName::EmptyLabel),
            ("a..b", BadName::EmptyLabel),
            (".a", BadName::EmptyLabel),
            (&long, BadName::LabelTooLong),
            (&many, BadName::TooLong),
            ("a b.test", BadName::Letter),
            ("straße.test", BadName::Letter),
        ] {
            assert_eq!(Name::parse(text), Err(bad), "{text}");
        }
    }

    #[test]
    fn a_name_of_255_bytes_is_the_longest() {
        let longest = format!("{}.{}", vec!["a".repeat(63); 3].join("."), "b".repeat(61));
        assert_eq!(name(&longest).wire().len(), NAME_MAX);
        assert_eq!(Name::parse(&format!("{longest}b")), Err(BadName::TooLong));
        assert_eq!(name(&longest).within(&name("test")), None);
    }

    #[test]
    fn compression_leads_backwards_and_ends() {
        let message = b"\x04test\x00\x01a\xc0\x00\xc0\x06\xc0\x0a";
        assert_eq!(Name::read(message, 6), Some((name("a.test"), 10)));
        assert_eq!(Name::read(message, 10), Some((name("a.test"), 12)));
        // To itself, and to what lies beyond.
        assert_eq!(Name::read(b"\xc0\x00", 0), None);
        assert_eq!(Name::read(b"\x01a\xc0\x00", 0), None);
        assert_eq!(Name::read(b"\xc0\x02\x01a\x00", 0), None);
        assert_eq!(Name::read(b"\x05ab", 0), None);
        assert_eq!(Name::read(b"\x80", 0), None);
    }

    #[test]
    fn odd_bytes_are_spelt_out() {
        let (odd, _) = Name::read(b"\x04a.\n\\\x00", 0).expect("any byte may be in a label");
        assert_eq!(odd.to_string(), "a\\.\\010\\\\");
        assert_eq!(Name::read(b"\x00", 0).map(|(root, _)| root.to_string()).as_deref(), Some("."));
    }
}
