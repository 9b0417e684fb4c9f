//! One value of a JSON text: `$.items[0]['unit-price']`.
//!
//! The text is walked along the path and the rest passed over: no tree is built. The value comes back as it is
//! written, so no digit of a long number is lost.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Steps of a path.
const SEGMENTS_MAX: usize = 64;

/// A path to one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    text: String,
    segments: Vec<Segment>,
}

/// Why a text is no path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(pub String);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Key(String),
    Index(usize),
}

impl Path {
    /// Reads `$.a.b[0]['c-d']`. A path that does not begin with `$` is read as if it did: `a.b`.
    ///
    /// # Errors
    /// What may stand for several values (`..`, `*`, slices, filters, indices from the end), and what is no path.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut segments = Vec::new();
        let mut rest = match text.strip_prefix('$') {
            Some(rest) => rest,
            None => {
                let (key, rest) = plain_key(text)?;
                segments.push(Segment::Key(key.to_owned()));
                rest
            }
        };
        while !rest.is_empty() {
            if segments.len() == SEGMENTS_MAX {
                return Err(Error(format!("a path has at most {SEGMENTS_MAX} steps")));
            }
            let (segment, after) = segment(rest)?;
            segments.push(segment);
            rest = after;
        }
        Ok(Self { text: text.to_owned(), segments })
    }

    /// The value at the path, as it is written in `json`; `None`: there is none, or `json` is no JSON.
    #[must_use]
    pub fn find<'j>(&self, json: &'j [u8]) -> Option<&'j str> {
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        let found = Walk(&self.segments).deserialize(&mut deserializer).ok()?;
        deserializer.end().ok()?;
        found.map(RawValue::get)
    }

    /// As `find`; of a string its text, without quotes and escapes.
    #[must_use]
    pub fn find_text<'j>(&self, json: &'j [u8]) -> Option<Cow<'j, str>> {
        let raw = self.find(json)?;
        if !raw.starts_with('"') {
            return Some(Cow::Borrowed(raw));
        }
        match raw[1..raw.len() - 1].contains('\\') {
            false => Some(Cow::Borrowed(&raw[1..raw.len() - 1])),
            true => serde_json::from_str::<String>(raw).ok().map(Cow::Owned),
        }
    }
}

fn segment(rest: &str) -> Result<(Segment, &str), Error> {
    if rest.starts_with("..") {
        return Err(Error("`..` may stand for many values: write the path to one".to_owned()));
    }
    if let Some(rest) = rest.strip_prefix('.') {
        let (key, rest) = plain_key(rest)?;
        return Ok((Segment::Key(key.to_owned()), rest));
    }
    let inside =
        rest.strip_prefix('[').ok_or_else(|| Error(format!("`.` or `[` is missing before `{rest}`")))?;
    if let Some(quote) = inside.chars().next().filter(|c| matches!(c, '\'' | '"')) {
        let (key, after) = quoted_key(&inside[1..], quote)?;
        let after = after.strip_prefix(']').ok_or_else(|| Error(format!("`]` is missing after `{key}`")))?;
        return Ok((Segment::Key(key), after));
    }
    let (index, after) = inside.split_once(']').ok_or_else(|| Error(format!("`[{inside}` has no `]`")))?;
    if matches!(index.chars().next(), Some('*' | '?' | '-' | '(')) || index.contains([':', ',']) {
        return Err(Error(format!("`[{index}]` may stand for many values: write the path to one, `[0]`")));
    }
    let number = index.parse().ok().filter(|_| index.bytes().all(|byte| byte.is_ascii_digit()));
    let number =
        number.ok_or_else(|| Error(format!("`[{index}]` is no index; keys are quoted: `['{index}']`")))?;
    Ok((Segment::Index(number), after))
}

fn plain_key(text: &str) -> Result<(&str, &str), Error> {
    let end = text.find(['.', '[']).unwrap_or(text.len());
    let (key, rest) = text.split_at(end);
    if key == "*" {
        return Err(Error("`*` may stand for many values: write the path to one".to_owned()));
    }
    if let Some(strange) = key.chars().find(|c| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '$' | '@')))
    {
        return Err(Error(format!("{strange:?} in `{key}`: quote the key, `['{key}']`")));
    }
    if key.is_empty() {
        return Err(Error("a key is missing; a path looks like `$.items[0].id`".to_owned()));
    }
    Ok((key, rest))
}

/// The key up to the closing quote; a backslash takes the next character as it is.
fn quoted_key(text: &str, quote: char) -> Result<(String, &str), Error> {
    let mut key = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            _ if c == quote => return Ok((key, &text[at + c.len_utf8()..])),
            '\\' => key.extend(chars.next().map(|(_, c)| c)),
            _ => key.push(c),
        }
    }
    Err(Error(format!("a {quote} is missing after `{text}`")))
}

/// Walks along what is left of a path.
struct Walk<'p>(&'p [Segment]);

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        match self.0 {
            [] => <&RawValue as serde::Deserialize>::deserialize(deserializer).map(Some),
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Some((Segment::Key(wanted), rest)) = self.0.split_first() else {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(None);
        };
        let mut found = None;
        while let Some(is_it) = map.next_key_seed(Is(wanted))? {
            if is_it {
                // Of a key written twice the last counts, as nearly all readers of JSON have it.
                found = map.next_value_seed(Walk(rest))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        if let Some((Segment::Index(wanted), rest)) = self.0.split_first() {
            for _ in 0..*wanted {
                if list.next_element::<IgnoredAny>()?.is_none() {
                    return Ok(None);
                }
            }
            found = list.next_element_seed(Walk(rest))?.flatten();
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// Whether a key is this one, without keeping it.
struct Is<'p>(&'p str);

impl<'de> DeserializeSeed<'de> for Is<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
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

    const JSON: &[u8] = br#" {"a": {"b": [{"c": 1.50}, {"c": "x\"y"}], "b-c": true}, "n": null,
        "big": 123456789012345678901234567890, "s": "plain", "o": {"k": [1, 2]}, "two": 1, "two": 2} "#;

    #[track_caller]
    fn check(path: &str, expected: Option<&str>) {
        assert_eq!(Path::parse(path).unwrap().find_text(JSON).as_deref(), expected, "{path}");
    }

    #[test]
    fn a_path_leads_to_one_value_as_it_is_written() {
        check("$.a.b[0].c", Some("1.50"));
        check("$.a.b[1].c", Some("x\"y"));
        check("a.b[1]['c']", Some("x\"y"));
        check("$['a']['b-c']", Some("true"));
        check("$.a.b-c", Some("true"));
        check("$.n", Some("null"));
        check("$.big", Some("123456789012345678901234567890"));
        check("$.s", Some("plain"));
        check("$.o", Some(r#"{"k": [1, 2]}"#));
        check("$.two", Some("2"));
    }

    #[test]
    fn where_nothing_is_nothing_is_found() {
        for path in ["$.b", "$.a.b[2]", "$.a[0]", "$.s.length", "$.n.x", "$[0]", "$.big.x", "$.a.b.c"] {
            check(path, None);
        }
        for broken in [&b"{\"s\": 1"[..], b"{\"s\": 1} x", b"", b"\"s\"", b"{\"s\":\xff}"] {
            assert_eq!(Path::parse("$.s").unwrap().find(broken), None);
        }
        let deep = "[".repeat(1_000_000);
        assert_eq!(Path::parse("$.s").unwrap().find(deep.as_bytes()), None);
    }

    #[test]
    fn a_path_to_many_values_is_refused_by_name() {
        for (path, says) in [
            ("$..a", "`..`"),
            ("$.*", "`*`"),
            ("$.a[*]", "`[*]`"),
            ("$.a[-1]", "`[-1]`"),
            ("$.a[1:2]", "`[1:2]`"),
            ("$.a[?(@.b)]", "`[?(@.b)]`"),
            ("$.a[x]", "`['x']`"),
            ("$.a['x", "missing"),
            ("$.a[0", "no `]`"),
            ("$.", "a key is missing"),
            ("", "a key is missing"),
            ("$a", "`.` or `[`"),
            ("$.a b", "quote the key"),
        ] {
            let error = Path::parse(path).unwrap_err().0;
            assert!(error.contains(says), "{path}: {error}");
        }
        assert!(Path::parse(&"[0]".repeat(100)).is_err());
        assert!(Path::parse(&format!("${}", "[0]".repeat(100))).unwrap_err().0.contains("at most 64"));
    }
}
