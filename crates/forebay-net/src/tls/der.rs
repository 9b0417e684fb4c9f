//! Just enough of X.509 (RFC 5280) to tell what a certificate says about itself. It believes nothing: what a
//! stranger's certificate says counts only once it was verified.

mod name;

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Names that are looked at in one certificate.
const NAMES_MAX: usize = 1000;

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const OID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
/// 2.5.29.17
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// 2.5.29.19
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const BOOLEAN: u8 = 0x01;
const EMAIL: u8 = 0x81;
const DNS: u8 = 0x82;
const URI: u8 = 0x86;
const IP: u8 = 0x87;

/// What a certificate says about itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct View {
    /// DNS names, in lower case, and IP addresses.
    pub(crate) names: Vec<Box<str>>,
    /// All names, each after what kind of name it is.
    pub(crate) sans: Vec<Box<str>>,
    /// In seconds since 1970.
    pub(crate) not_before: i64,
    pub(crate) not_after: i64,
    /// As RFC 4514 writes it.
    pub(crate) subject: Box<str>,
    pub(crate) issuer: Box<str>,
    /// In hexadecimal.
    pub(crate) serial: Box<str>,
    /// It is of the first version, which has no extensions and so no names that count.
    pub(crate) is_version_1: bool,
    /// It may vouch for others.
    pub(crate) is_authority: bool,
}

/// Looks at a certificate in DER; `None`: it cannot be understood.
pub(crate) fn view(certificate: &[u8]) -> Option<View> {
    let mut whole = Reader(Reader(certificate).expect(SEQUENCE)?);
    let mut body = Reader(whole.expect(SEQUENCE)?);
    let is_version_1 = body.0.first() != Some(&VERSION);
    body.skip_if(VERSION)?;
    let serial = hexadecimal(body.expect(INTEGER)?);
    let _signature_algorithm = body.expect(SEQUENCE)?;
    let issuer = name::text(body.expect(SEQUENCE)?)?;
    let mut validity = Reader(body.expect(SEQUENCE)?);
    let (not_before, not_after) = (validity.time()?, validity.time()?);
    let subject = name::text(body.expect(SEQUENCE)?)?;
    let _public_key = body.expect(SEQUENCE)?;
    let mut view = View {
        not_before,
        not_after,
        subject,
        issuer,
        serial,
        is_version_1,
        is_authority: is_version_1,
        ..View::default()
    };
    while let Some((tag, content)) = body.next() {
        if tag == EXTENSIONS {
            view.read_extensions(Reader(content).expect(SEQUENCE)?)?;
        }
    }
    Some(view)
}

impl View {
    fn read_extensions(&mut self, extensions: &[u8]) -> Option<()> {
        let mut extensions = Reader(extensions);
        while !extensions.0.is_empty() {
            let mut extension = Reader(extensions.expect(SEQUENCE)?);
            let kind = extension.expect(OID)?;
            if kind != SUBJECT_ALT_NAME && kind != BASIC_CONSTRAINTS {
                continue;
            }
            let (mut tag, mut content) = extension.next()?;
            // A critical extension says so first.
            if tag != OCTETS {
                (tag, content) = extension.next()?;
            }
            if tag != OCTETS {
                return None;
            }
            let content = Reader(content).expect(SEQUENCE)?;
            if kind == BASIC_CONSTRAINTS {
                self.is_authority =
                    Reader(content).next().is_some_and(|(tag, yes)| tag == BOOLEAN && yes != [0]);
            } else {
                self.read_names(content)?;
            }
        }
        Some(())
    }

    fn read_names(&mut self, names: &[u8]) -> Option<()> {
        let mut names = Reader(names);
        while !names.0.is_empty() && self.sans.len() < NAMES_MAX {
            let (tag, content) = names.next()?;
            let (kind, text) = match tag {
                EMAIL => ("email", plain(content)),
                DNS => ("DNS", plain(content)),
                URI => ("URI", plain(content)),
                IP => ("IP", address(content)?),
                _ => continue,
            };
            self.sans.push(format!("{kind}:{text}").into());
            if matches!(tag, DNS | IP) {
                self.names.push(text.to_ascii_lowercase().into());
            }
        }
        Some(())
    }
}

/// What is left of an encoding.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The next element: its tag, and its content. `None`: there is none, or it is cut off.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let mut length = usize::from(first);
        if first >= 0x80 {
            let digits = usize::from(first & 0x7f);
            // A certificate has never more than a few kilobytes.
            if digits == 0 || digits > 4 {
                return None;
            }
            let (bytes, after) = rest.split_at_checked(digits)?;
            length = bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
            rest = after;
        }
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }

    fn skip_if(&mut self, tag: u8) -> Option<()> {
        if self.0.first() == Some(&tag) {
            self.next()?;
        }
        Some(())
    }

    /// Seconds since 1970.
    fn time(&mut self) -> Option<i64> {
        let (tag, text) = self.next()?;
        let mut digits = text.strip_suffix(b"Z")?.chunks(2).map(two_digits);
        let year = match tag {
            UTC_TIME => match digits.next()?? {
                year @ 50.. => 1900 + year,
                year => 2000 + year,
            },
            GENERALIZED_TIME => digits.next()?? * 100 + digits.next()??,
            _ => return None,
        };
        let [month, day, hour, minute, second] = std::array::from_fn(|_| digits.next().flatten());
        let days = days_since_1970(year, month?, day?)?;
        Some(days * 86_400 + hour? * 3600 + minute? * 60 + second?)
    }
}

fn two_digits(pair: &[u8]) -> Option<i64> {
    match pair {
        [a @ b'0'..=b'9', b @ b'0'..=b'9'] => Some(i64::from(a - b'0') * 10 + i64::from(b - b'0')),
        _ => None,
    }
}

/// Of the Gregorian calendar, from the year 0 on.
fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    const BEFORE: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let before = BEFORE.get(usize::try_from(month.checked_sub(1)?).ok()?)?;
    // Leap days up to the end of last year, or of this one once February is over.
    let years = if month > 2 { year } else { year - 1 };
    let leap_days = years.div_euclid(4) - years.div_euclid(100) + years.div_euclid(400);
    // 719,528 days from the year 0 to 1970, of which 478 are leap days that `leap_days` counts, and one more.
    Some(year * 365 + leap_days + before + day - 1 - 719_527)
}

fn hexadecimal(bytes: &[u8]) -> Box<str> {
    let digits = bytes.strip_prefix(&[0]).filter(|rest| !rest.is_empty()).unwrap_or(bytes);
    digits.iter().fold(String::new(), |text, byte| append(text, format_args!("{byte:02x}"))).into()
}

/// What may stand in a header field between commas: everything else is percent-encoded.
fn plain(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| match byte {
        b',' | b'"' | b';' | b'%' | b'\\' => append(text, format_args!("%{byte:02X}")),
        0x21..=0x7e => append(text, format_args!("{}", char::from(*byte))),
        _ => append(text, format_args!("%{byte:02X}")),
    })
}

fn address(bytes: &[u8]) -> Option<String> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(four).to_string());
    }
    <[u8; 16]>::try_from(bytes).ok().map(|sixteen| Ipv6Addr::from(sixteen).to_string())
}

fn append(mut text: String, more: std::fmt::Arguments<'_>) -> String {
    text.write_fmt(more).expect("strings take everything");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_from_1970() {
        let check = |tag: u8, text: &str, seconds: Option<i64>| {
            let element = [&[tag, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
            assert_eq!(Reader(&element).time(), seconds, "{text}");
        };
        check(UTC_TIME, "700101000000Z", Some(0));
        check(UTC_TIME, "000229120000Z", Some(951_825_600));
        check(UTC_TIME, "491231235959Z", Some(2_524_607_999));
        check(GENERALIZED_TIME, "20500101000000Z", Some(2_524_608_000));
        check(GENERALIZED_TIME, "99991231235959Z", Some(253_402_300_799));
        check(GENERALIZED_TIME, "19700301000000Z", Some(59 * 86_400));
        check(UTC_TIME, "501301000000Z", None);
        check(UTC_TIME, "500101000000", None);
        check(UTC_TIME, "5001010000Z", None);
        check(UTC_TIME, "50010100000Z", None);
    }

    #[test]
    fn what_is_cut_off_is_not_understood() {
        for bytes in [
            &[][..],
            &[0x30],
            &[0x30, 0x82, 1],
            &[0x30, 0x80],
            &[0x30, 0x85, 0, 0, 0, 0, 0],
            &[0x30, 2, 0x30],
        ] {
            assert_eq!(view(bytes), None);
        }
    }
}
