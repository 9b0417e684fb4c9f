//! The `Date` header, written once a second (RFC 9110 §5.6.7).

use std::time::Duration;

use forebay_base::time::Instant;

/// Relates the monotonic clock to the calendar, and keeps the present second's `Date` line.
#[derive(Debug)]
pub(crate) struct Clock {
    base: Instant,
    unix_at_base: Duration,
    second: u64,
    line: [u8; 37],
}

impl Clock {
    /// `now` is `unix` after 1970.
    pub(crate) fn new(now: Instant, unix: Duration) -> Self {
        let mut clock = Self { base: now, unix_at_base: unix, second: u64::MAX, line: [0; 37] };
        clock.line(now);
        clock
    }

    /// Sets the clock: the system's may have been corrected.
    pub(crate) fn set(&mut self, now: Instant, unix: Duration) {
        self.base = now;
        self.unix_at_base = unix;
    }

    /// Nanoseconds since 1970.
    pub(crate) fn unix_nanos(&self, now: Instant) -> u64 {
        u64::try_from((self.unix_at_base + now.since(self.base)).as_nanos()).unwrap_or(u64::MAX)
    }

    /// `Date: Sun, 06 Nov 1994 08:49:37 GMT` and CRLF.
    #[inline]
    pub(crate) fn line(&mut self, now: Instant) -> &[u8] {
        let second = self.unix_nanos(now) / 1_000_000_000;
        if second != self.second {
            self.second = second;
            self.line = format(second);
        }
        &self.line
    }
}

fn format(unix: u64) -> [u8; 37] {
    let (days, rest) = (unix / 86_400, unix % 86_400);
    let (year, month, day) = civil(days);
    let mut line = *b"Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
    let weekday = (days + 4) as usize % 7;
    line[6..9].copy_from_slice(&b"SunMonTueWedThuFriSat"[weekday * 3..weekday * 3 + 3]);
    two(&mut line[11..13], day);
    let name = (month as usize - 1) * 3;
    line[14..17].copy_from_slice(&b"JanFebMarAprMayJunJulAugSepOctNovDec"[name..name + 3]);
    two(&mut line[18..20], year / 100);
    two(&mut line[20..22], year % 100);
    two(&mut line[23..25], rest / 3600);
    two(&mut line[26..28], rest / 60 % 60);
    two(&mut line[29..31], rest % 60);
    line
}

fn two(place: &mut [u8], number: u64) {
    place[0] = b'0' + (number / 10 % 10) as u8;
    place[1] = b'0' + (number % 10) as u8;
}

/// Year, month and day of the Gregorian calendar, so many days after 1970: counted in eras of 400 years that
/// begin in March, so that leap days come last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        let cases = [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        ];
        for (unix, text) in cases {
            assert_eq!(std::str::from_utf8(&format(unix)).unwrap(), format!("Date: {text}\r\n"));
        }
    }
}
