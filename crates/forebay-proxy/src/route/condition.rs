//! Conditions on headers and query parameters.

use std::fmt;

/// What the value of a header or query parameter must be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ValueTest {
    /// Exactly this.
    Exact(String),
    /// This and anything after it.
    Prefix(String),
    /// Anything.
    Present,
}

impl ValueTest {
    /// Reads `*` as present, `text*` as a prefix, anything else as exact.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some("") => Self::Present,
            Some(prefix) => Self::Prefix(prefix.to_owned()),
            None => Self::Exact(text.to_owned()),
        }
    }

    pub(super) fn accepts(&self, value: &[u8]) -> bool {
        match self {
            Self::Exact(text) => text.as_bytes() == value,
            Self::Prefix(text) => value.starts_with(text.as_bytes()),
            Self::Present => true,
        }
    }

    /// Whether every value that `other` accepts is accepted by `self` too.
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Present, _) => true,
            (Self::Exact(a), Self::Exact(b)) => a == b,
            (Self::Prefix(a), Self::Exact(b) | Self::Prefix(b)) => b.starts_with(a.as_str()),
            (Self::Exact(_) | Self::Prefix(_), _) => false,
        }
    }

    /// Whether some value is accepted by both.
    fn overlaps(&self, other: &Self) -> bool {
        self.covers(other) || other.covers(self)
    }

    fn sample(&self) -> String {
        match self {
            Self::Exact(text) => text.clone(),
            Self::Prefix(text) => format!("{text}~"),
            Self::Present => "~".to_owned(),
        }
    }
}

impl fmt::Display for ValueTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) => f.write_str(text),
            Self::Prefix(text) => write!(f, "{text}*"),
            Self::Present => f.write_str("*"),
        }
    }
}

/// Conditions that must all hold, sorted by name; a name occurs once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Conditions(Box<[(Box<str>, ValueTest)]>);

impl Conditions {
    /// Gives back the name that occurs twice.
    pub(super) fn new(mut pairs: Vec<(Box<str>, ValueTest)>) -> Result<Self, Box<str>> {
        pairs.sort();
        match pairs.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(pair[0].0.clone()),
            None => Ok(Self(pairs.into())),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &ValueTest)> {
        self.0.iter().map(|(name, test)| (&**name, test))
    }

    /// The name of the first condition that `holds` denies.
    pub(super) fn failing(&self, holds: impl Fn(&str, &ValueTest) -> bool) -> Option<&str> {
        self.iter().find(|(name, test)| !holds(name, test)).map(|(name, _)| name)
    }

    /// Whether whatever meets `other` meets `self` too.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.failing(|name, test| other.get(name).is_some_and(|other| test.covers(other))).is_none()
    }

    /// Whether something can meet both.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.failing(|name, test| other.get(name).is_none_or(|other| test.overlaps(other))).is_none()
    }

    /// Names and values that meet all conditions.
    pub(super) fn sample(&self) -> Vec<(&str, String)> {
        self.iter().map(|(name, test)| (name, test.sample())).collect()
    }

    fn get(&self, name: &str) -> Option<&ValueTest> {
        self.iter().find(|(other, _)| *other == name).map(|(_, test)| test)
    }
}

/// Whether the first parameter `name` of a query passes `test`. Both are compared as a form would mean them:
/// `%XX` decoded and `+` as a space.
pub(super) fn query_holds(query: Option<&str>, name: &str, test: &ValueTest) -> bool {
    let pairs = query.into_iter().flat_map(|query| query.split('&')).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (Decoded(name.as_bytes()), Decoded(value.as_bytes()))
    });
    let mut values = pairs.filter(|(other, _)| other.clone().eq(name.bytes())).map(|(_, value)| value);
    values.next().is_some_and(|value| match test {
        ValueTest::Exact(text) => value.eq(text.bytes()),
        ValueTest::Prefix(text) => value.take(text.len()).eq(text.bytes()),
        ValueTest::Present => true,
    })
}

/// The bytes that a part of a query means.
#[derive(Clone)]
struct Decoded<'a>(&'a [u8]);

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        match byte {
            b'+' => Some(b' '),
            // What is no escape stands for itself.
            b'%' => match escaped(rest) {
                Some(byte) => {
                    self.0 = &rest[2..];
                    Some(byte)
                }
                None => Some(b'%'),
            },
            byte => Some(*byte),
        }
    }
}

/// The byte that two hexadecimal digits at the beginning of `text` stand for.
fn escaped(text: &[u8]) -> Option<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let [high, low, ..] = text else { return None };
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, name: &str, test: &str, expected: bool) {
        assert_eq!(
            query_holds(Some(query), name, &ValueTest::parse(test)),
            expected,
            "{query} {name}={test}"
        );
    }

    #[test]
    fn query_parameters_count_decoded() {
        check("a=1&b=2", "b", "2", true);
        check("a=1&b=2", "b", "1", false);
        check("a=1&b=2", "c", "*", false);
        check("a", "a", "*", true);
        check("a", "a", "", true);
        check("", "a", "*", false);
        check("%61=%31", "a", "1", true);
        check("a=x+y", "a", "x y", true);
        check("a=x%2By", "a", "x+y", true);
        check("a=%zz", "a", "%zz", true);
        check("a=%", "a", "%", true);
        check("a=caf%C3%A9", "a", "café", true);
        check("a=b=c", "a", "b=c", true);
        check("a=1;b=2", "b", "2", false);
    }

    #[test]
    fn the_first_of_several_counts() {
        check("a=1&a=2", "a", "1", true);
        check("a=1&a=2", "a", "2", false);
    }

    #[test]
    fn prefixes_end_in_a_star() {
        check("a=v12", "a", "v1*", true);
        check("a=v", "a", "v1*", false);
        check("a=%761", "a", "v1*", true);
        check("a=", "a", "v*", false);
    }

    #[test]
    fn a_missing_query_has_no_parameters() {
        assert!(!query_holds(None, "a", &ValueTest::Present));
    }

    #[test]
    fn tests_know_what_they_share() {
        let test = ValueTest::parse;
        for (a, b, covers, overlaps) in [
            ("*", "x", true, true),
            ("x", "*", false, true),
            ("x", "x", true, true),
            ("x", "y", false, false),
            ("x*", "xy", true, true),
            ("xy*", "x*", false, true),
            ("x*", "y*", false, false),
            ("x", "x*", false, true),
            ("*", "*", true, true),
        ] {
            assert_eq!(test(a).covers(&test(b)), covers, "{a} covers {b}");
            assert_eq!(test(a).overlaps(&test(b)), overlaps, "{a} overlaps {b}");
        }
    }
}
