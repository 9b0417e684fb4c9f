//! A set of status codes: `200`, `2xx`, `<400`.

use std::fmt;

use super::Error;

/// Status codes are from 100 to 999 (RFC 9110 §15, and what is received has at least 100).
const FIRST: u16 = 100;
const LAST: u16 = 999;

/// Some of the statuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statuses {
    /// Bit `status % 64` of word `status / 64`.
    bits: [u64; 16],
    text: String,
}

impl Statuses {
    /// Reads one or more of `200`, `2xx`, `<400`, `<=404`, `>399`, `>=400`, with commas between them.
    ///
    /// # Errors
    /// If the text is anything else, or no status fits.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut bits = [0; 16];
        for one in text.split(',') {
            let (first, last) = range(one.trim()).ok_or_else(|| {
                Error(format!(
                    "{:?} is not a status; write 200, 2xx, <400, or several with commas",
                    one.trim()
                ))
            })?;
            for status in first..=last {
                bits[usize::from(status / 64)] |= 1_u64 << (status % 64);
            }
        }
        Ok(Self { bits, text: text.trim().to_owned() })
    }

    /// Whether a status is one of these.
    #[must_use]
    pub fn contains(&self, status: u16) -> bool {
        self.bits.get(usize::from(status / 64)).is_some_and(|word| word >> (status % 64) & 1 == 1)
    }
}

/// The first and the last status that fit.
fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = if let Some(rest) = text.strip_prefix("<=") {
        (FIRST, status(rest)?)
    } else if let Some(rest) = text.strip_prefix(">=") {
        (status(rest)?, LAST)
    } else if let Some(rest) = text.strip_prefix('<') {
        (FIRST, status(rest)?.checked_sub(1)?)
    } else if let Some(rest) = text.strip_prefix('>') {
        (status(rest)? + 1, LAST)
    } else if let Some(class) = text.strip_suffix("xx").or_else(|| text.strip_suffix("XX")) {
        let class: u16 = class.parse().ok().filter(|class| (1..=9).contains(class))?;
        (class * 100, class * 100 + 99)
    } else {
        let one = status(text)?;
        (one, one)
    };
    (first <= last).then_some((first, last))
}

fn status(text: &str) -> Option<u16> {
    let text = text.trim_start();
    if text.len() != 3 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|status| (FIRST..=LAST).contains(status))
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_its_text_says() {
        for (text, inside, outside) in [
            ("200", &[200][..], &[199, 201, 0, 1_000][..]),
            ("200, 204", &[200, 204], &[201, 203]),
            ("2xx", &[200, 299], &[199, 300]),
            ("<400", &[100, 399], &[400, 999]),
            ("<= 404", &[404], &[405]),
            (">499", &[500, 999], &[499]),
            (">=500", &[500], &[499]),
            ("2XX,304", &[250, 304], &[303]),
        ] {
            let statuses = Statuses::parse(text).unwrap();
            assert!(inside.iter().all(|status| statuses.contains(*status)), "{text}");
            assert!(!outside.iter().any(|status| statuses.contains(*status)), "{text}");
        }
    }

    #[test]
    fn what_is_no_status_is_refused() {
        for text in
            ["", "ok", "20", "0200", "2x", "0xx", "10xx", "<100", ">999", "200,", "+20", "099", "200-299"]
        {
            assert!(Statuses::parse(text).is_err(), "{text}");
        }
    }
}
