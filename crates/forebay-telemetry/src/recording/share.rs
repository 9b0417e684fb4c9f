//! A part of all requests, to the millionth.

use std::fmt;
use std::str::FromStr;

const MILLION: u32 = 1_000_000;
/// Digits behind the point of a percentage that make a difference.
const PLACES: usize = 4;
/// Digits before it.
const WHOLE: usize = 3;

/// More than nothing, at most everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    millionths: u32,
}

/// The text is not a percentage above 0 and up to 100, with at most four digits behind the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoShare;

impl Share {
    /// One of a hundred.
    pub const PERCENT: Self = Self { millionths: MILLION / 100 };

    /// Whether a number, any of 2^64 equally likely, falls into the share.
    #[inline]
    #[must_use]
    pub const fn holds(self, number: u64) -> bool {
        ((number as u128 * MILLION as u128) >> 64) < self.millionths as u128
    }

    /// As a decimal: `0.01`.
    pub(super) fn decimal(self) -> impl fmt::Display {
        let Self { millionths } = self;
        Decimal { whole: millionths / MILLION, part: millionths % MILLION, places: 6 }
    }
}

impl FromStr for Share {
    type Err = NoShare;

    fn from_str(text: &str) -> Result<Self, NoShare> {
        let number = text.strip_suffix('%').ok_or(NoShare)?;
        let (whole, part) =
            number.split_once('.').map_or((number, None), |(whole, part)| (whole, Some(part)));
        let digits = |text: &str, max: usize| {
            let fits = (1..=max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            fits.then(|| text.parse::<u32>().ok()).flatten().ok_or(NoShare)
        };
        let part = match part {
            None => 0,
            Some("") => return Err(NoShare),
            Some(part) => digits(&format!("{part:0<PLACES$}"), PLACES)?,
        };
        let millionths = digits(whole, WHOLE)? * (MILLION / 100) + part;
        if millionths == 0 || millionths > MILLION {
            return Err(NoShare);
        }
        Ok(Self { millionths })
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = MILLION / 100;
        let percent = Decimal { whole: self.millionths / each, part: self.millionths % each, places: PLACES };
        write!(f, "{percent}%")
    }
}

/// A number with a fixed point, shown without zeros at its end.
struct Decimal {
    whole: u32,
    part: u32,
    places: usize,
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { whole, part, places } = *self;
        if part == 0 {
            return write!(f, "{whole}");
        }
        let digits = format!("{part:0places$}");
        write!(f, "{whole}.{}", digits.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_come_back_as_they_were_written() {
        for text in ["1%", "0.5%", "100%", "0.0001%", "33.3333%", "12.05%"] {
            let share: Share = text.parse().expect("it is a share");
            assert_eq!(share.to_string(), text);
        }
        assert_eq!("1.0%".parse(), Ok(Share::PERCENT));
        assert_eq!(Share::PERCENT.decimal().to_string(), "0.01");
        assert_eq!("100%".parse::<Share>().map(|all| all.decimal().to_string()), Ok("1".to_owned()));
    }

    #[test]
    fn what_is_no_share_is_refused() {
        for text in [
            "",
            "%",
            "1",
            "0%",
            "0.00001%",
            "100.0001%",
            "101%",
            "-1%",
            "1.%",
            ".5%",
            "1e1%",
            " 1%",
            "99999%",
            "0001%",
        ] {
            assert_eq!(text.parse::<Share>(), Err(NoShare), "{text}");
        }
    }

    #[test]
    fn everything_holds_every_number_and_a_half_every_second() {
        let share = |text: &str| text.parse::<Share>().expect("it is a share");
        assert!(share("100%").holds(u64::MAX) && share("0.0001%").holds(0));
        assert!(!share("0.0001%").holds(u64::MAX));
        let half = share("50%");
        assert!(half.holds(u64::MAX / 2 - (1 << 45)) && !half.holds(u64::MAX / 2 + 1));
    }
}
