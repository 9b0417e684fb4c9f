//! Durations, sizes and rates as people write them: `1m30s`, `16MiB`, `100/s`.
//!
//! Numbers are whole and every value says its unit, so no value means two things. What is shown is what
//! can be read back.

use std::fmt;
use std::time::Duration;

/// A number of events in a span of time, such as `100/s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// How many.
    pub count: u64,
    /// In how long.
    pub per: Period,
}

/// The span of time of a `Rate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Period {
    /// `/s`
    Second,
    /// `/m`
    Minute,
    /// `/h`
    Hour,
    /// `/d`
    Day,
}

/// Why a text is no duration, size or rate. What would be accepted is in `DURATION_HELP` and the like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// No number where one is needed.
    NoNumber,
    /// A number with a fraction, a sign or separators.
    NotWhole,
    /// A number without a unit.
    NoUnit,
    /// A unit nobody knows.
    UnknownUnit(String),
    /// The same unit twice, or a larger one after a smaller one.
    UnitOrder,
    /// More than can be counted.
    TooLarge,
}

/// What a duration looks like, for messages.
pub const DURATION_HELP: &str = "a whole number with a unit (ns us ms s m h d), such as `250ms` or `1m30s`";
/// What a size looks like, for messages.
pub const SIZE_HELP: &str =
    "bytes, or a whole number with a unit (B kB MB GB TB, KiB MiB GiB TiB), such as `512` or `16MiB`";
/// What a rate looks like, for messages.
pub const RATE_HELP: &str = "a whole number per s, m, h or d, such as `100/s`";
/// What a rate of bytes looks like, for messages.
pub const BYTE_RATE_HELP: &str = "a size per second, such as `1KiB/s`";

/// Largest first: the order they are written in.
const DURATION_UNITS: [(&str, u64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

const SIZE_UNITS: [(&str, u64); 11] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("KB", 1_000),
    ("B", 1),
    ("", 1),
];

/// Reads `250ms`, `1m30s`, `2h`: up to about 584 years.
///
/// # Errors
/// When the text is anything else; see [`Error`].
pub fn parse_duration(text: &str) -> Result<Duration, Error> {
    let mut rest = text;
    let mut nanos = 0_u64;
    // Units still allowed: those after the last one seen.
    let mut next_unit = 0;
    loop {
        let (number, tail) = split_number(rest)?;
        let end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let unit = if unit == "µs" || unit == "μs" { "us" } else { unit };
        let index = find_duration_unit(unit)?;
        if index < next_unit {
            return Err(Error::UnitOrder);
        }
        next_unit = index + 1;
        let part = number.checked_mul(DURATION_UNITS[index].1).ok_or(Error::TooLarge)?;
        nanos = nanos.checked_add(part).ok_or(Error::TooLarge)?;
        if tail.is_empty() {
            return Ok(Duration::from_nanos(nanos));
        }
        rest = tail;
    }
}

/// Reads `512` (bytes), `10kB` (thousands), `16MiB` (1024 times 1024).
///
/// # Errors
/// When the text is anything else; see [`Error`].
pub fn parse_size(text: &str) -> Result<u64, Error> {
    let (number, unit) = split_number(text)?;
    let known = SIZE_UNITS.iter().find(|(name, _)| *name == unit);
    let (_, bytes) = known.ok_or_else(|| unknown(unit))?;
    number.checked_mul(*bytes).ok_or(Error::TooLarge)
}

/// Reads `100/s`, `5/m`, `1000/h`, `1/d`.
///
/// # Errors
/// When the text is anything else; see [`Error`].
pub fn parse_rate(text: &str) -> Result<Rate, Error> {
    let (count, unit) = split_number(text)?;
    let per = match unit {
        "/s" => Period::Second,
        "/m" => Period::Minute,
        "/h" => Period::Hour,
        "/d" => Period::Day,
        "" => return Err(Error::NoUnit),
        _ => return Err(unknown(unit)),
    };
    Ok(Rate { count, per })
}

/// Reads `1KiB/s` as bytes per second.
///
/// # Errors
/// When the text is anything else; see [`Error`].
pub fn parse_byte_rate(text: &str) -> Result<u64, Error> {
    match text.split_once('/') {
        Some((size, "s")) => parse_size(size),
        Some((_, period)) => Err(unknown(&format!("/{period}"))),
        None => Err(parse_size(text).err().unwrap_or(Error::NoUnit)),
    }
}

/// Writes a duration so that `parse_duration` reads the same: `1m30s`.
#[must_use]
pub fn show_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, nanos) in DURATION_UNITS {
        let count = rest / nanos;
        rest %= nanos;
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
        }
    }
    text
}

/// Writes a size so that `parse_size` reads the same: `16MiB`, `1500B`.
#[must_use]
pub fn show_size(bytes: u64) -> String {
    let exact = |(_, unit): &&(&str, u64)| bytes >= *unit && bytes.is_multiple_of(*unit);
    let (name, unit) = SIZE_UNITS.iter().find(exact).copied().unwrap_or(("B", 1));
    format!("{}{name}", bytes / unit)
}

/// Writes bytes per second so that `parse_byte_rate` reads the same: `1KiB/s`.
#[must_use]
pub fn show_byte_rate(bytes: u64) -> String {
    format!("{}/s", show_size(bytes))
}

impl Period {
    /// How long it is.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_secs(match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.per {
            Period::Second => "s",
            Period::Minute => "m",
            Period::Hour => "h",
            Period::Day => "d",
        };
        write!(f, "{}/{unit}", self.count)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNumber => f.write_str("it does not begin with a number"),
            Self::NotWhole => f.write_str("only whole numbers are accepted; take a smaller unit instead"),
            Self::NoUnit => f.write_str("the unit is missing"),
            Self::UnknownUnit(unit) => write!(f, "unknown unit `{unit}`"),
            Self::UnitOrder => f.write_str("units go from large to small, each at most once"),
            Self::TooLarge => f.write_str("the number is too large"),
        }
    }
}

impl std::error::Error for Error {}

/// Takes the digits off the front.
fn split_number(text: &str) -> Result<(u64, &str), Error> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let separated = rest.starts_with(['.', ',', '_']);
    let signed = digits.is_empty() && rest.starts_with(['-', '+']);
    if separated || signed {
        return Err(Error::NotWhole);
    }
    if digits.is_empty() {
        return Err(Error::NoNumber);
    }
    // Only digits are left, so all that can go wrong is their number.
    let number = digits.parse().map_err(|_| Error::TooLarge)?;
    Ok((number, rest))
}

fn find_duration_unit(unit: &str) -> Result<usize, Error> {
    if unit.is_empty() {
        return Err(Error::NoUnit);
    }
    let index = DURATION_UNITS.iter().position(|(name, _)| *name == unit);
    index.ok_or_else(|| unknown(unit))
}

fn unknown(unit: &str) -> Error {
    // A unit is a few letters; what a stranger wrote may be anything.
    Error::UnknownUnit(unit.chars().take(20).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(unit: &str) -> Error {
        Error::UnknownUnit(unit.to_owned())
    }

    #[test]
    fn durations_are_read_and_shown_alike() {
        for (text, nanos) in [
            ("250ms", 250_000_000),
            ("1m30s", 90_000_000_000),
            ("2h", 7_200_000_000_000),
            ("1d", 86_400_000_000_000),
            ("1s500ms", 1_500_000_000),
            ("15us", 15_000),
            ("7ns", 7),
            ("0s", 0),
        ] {
            let duration = Duration::from_nanos(nanos);
            assert_eq!(parse_duration(text), Ok(duration), "{text}");
            assert_eq!(show_duration(duration), text);
        }
        assert_eq!(parse_duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("15µs"), parse_duration("15us"));
    }

    #[test]
    fn what_is_no_duration_says_why() {
        for (text, error) in [
            ("", Error::NoNumber),
            ("s", Error::NoNumber),
            ("10", Error::NoUnit),
            ("1m30", Error::NoUnit),
            ("1.5s", Error::NotWhole),
            ("-1s", Error::NotWhole),
            ("1_000s", Error::NotWhole),
            ("10 s", unit(" s")),
            ("10sec", unit("sec")),
            ("10M", unit("M")),
            ("1s2s", Error::UnitOrder),
            ("1s1m", Error::UnitOrder),
            ("99999999999999999999s", Error::TooLarge),
            ("18446744073709551615s", Error::TooLarge),
            ("213503d23h34m33s709ms551us616ns", Error::TooLarge),
        ] {
            assert_eq!(parse_duration(text), Err(error), "{text}");
        }
    }

    #[test]
    fn sizes_are_read_and_shown_alike() {
        for (text, bytes) in [
            ("512B", 512),
            ("10kB", 10_000),
            ("16MiB", 16 << 20),
            ("3GB", 3_000_000_000),
            ("1TiB", 1 << 40),
            ("0B", 0),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
            assert_eq!(show_size(bytes), text);
        }
        assert_eq!(parse_size("512"), Ok(512));
        assert_eq!(parse_size("10KB"), Ok(10_000));
    }

    #[test]
    fn what_is_no_size_says_why() {
        for (text, error) in [
            ("16M", unit("M")),
            ("16mb", unit("mb")),
            ("16 MiB", unit(" MiB")),
            ("1.5MiB", Error::NotWhole),
            ("MiB", Error::NoNumber),
            ("16777216TiB", Error::TooLarge),
        ] {
            assert_eq!(parse_size(text), Err(error), "{text}");
        }
    }

    #[test]
    fn rates_are_read_and_shown_alike() {
        for text in ["100/s", "5/m", "0/h", "1/d"] {
            assert_eq!(parse_rate(text).map(|rate| rate.to_string()), Ok(text.to_owned()));
        }
        assert_eq!(parse_rate("5/m").map(|rate| rate.per.duration()), Ok(Duration::from_secs(60)));
        assert_eq!(parse_rate("100"), Err(Error::NoUnit));
        assert_eq!(parse_rate("100/w"), Err(unit("/w")));
    }

    #[test]
    fn byte_rates_are_sizes_per_second() {
        assert_eq!(parse_byte_rate("1KiB/s"), Ok(1024));
        assert_eq!(show_byte_rate(1024), "1KiB/s");
        assert_eq!(parse_byte_rate("1KiB"), Err(Error::NoUnit));
        assert_eq!(parse_byte_rate("1KiB/m"), Err(unit("/m")));
        assert_eq!(parse_byte_rate("fast"), Err(Error::NoNumber));
    }

    #[test]
    fn every_duration_and_size_survives_a_round_trip() {
        let mut value = 1_u64;
        for step in 0..200_u64 {
            assert_eq!(parse_size(&show_size(value)), Ok(value));
            let duration = Duration::from_nanos(value);
            assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
            value = value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(step);
        }
    }
}
