//! Wall-clock time as text, for logs and views: `2026-11-21T11:27:52.123Z`.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::escape::decimal_padded;

/// Length of `2026-11-21T11:27:52`.
const SECOND_LEN: usize = 19;
const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// A moment to the millisecond, in UTC. Those before 1970 are shown as its beginning.
#[must_use]
pub fn text(at: SystemTime) -> String {
    let since_epoch = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut out = Vec::new();
    Clock::default().write(&mut out, u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX));
    String::from_utf8(out).expect("it is made of digits and ASCII signs")
}

/// Writes times; remembers the last second, because most lines share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock {
    /// The second `text` shows; 0 before the first.
    second: u64,
    text: Vec<u8>,
}

impl Clock {
    /// Appends date and time to the millisecond, in UTC.
    pub(crate) fn write(&mut self, out: &mut Vec<u8>, unix_nanos: u64) {
        out.extend_from_slice(self.second(unix_nanos));
        write_millis(out, unix_nanos);
        out.push(b'Z');
    }

    /// Appends the time of day to the millisecond, in UTC.
    pub(crate) fn write_time(&mut self, out: &mut Vec<u8>, unix_nanos: u64) {
        out.extend_from_slice(&self.second(unix_nanos)["2026-11-21T".len()..]);
        write_millis(out, unix_nanos);
    }

    fn second(&mut self, unix_nanos: u64) -> &[u8] {
        let second = unix_nanos / NANOS_PER_SECOND;
        if second != self.second || self.text.is_empty() {
            self.second = second;
            self.text.clear();
            write_second(&mut self.text, second);
            debug_assert_eq!(
                self.text.len(),
                SECOND_LEN,
                "years after 9999 are out of reach of 64-bit nanos"
            );
        }
        &self.text
    }
}

fn write_millis(out: &mut Vec<u8>, unix_nanos: u64) {
    out.push(b'.');
    decimal_padded(out, unix_nanos / 1_000_000 % 1_000, 3);
}

fn write_second(out: &mut Vec<u8>, second: u64) {
    let (year, month, day) = date_of(second / 86_400);
    let parts = [
        (year, 4, b'-'),
        (month, 2, b'-'),
        (day, 2, b'T'),
        (second / 3_600 % 24, 2, b':'),
        (second / 60 % 60, 2, b':'),
    ];
    for (number, width, end) in parts {
        decimal_padded(out, number, width);
        out.push(end);
    }
    decimal_padded(out, second % 60, 2);
}

/// The Gregorian date, this many days after 1970-01-01: year, month, day.
///
/// Counts in years that start on 1 March, so that the leap day is the last of its year, and in cycles of 400
/// years, which all have 146,097 days.
const fn date_of(days: u64) -> (u64, u64, u64) {
    // Days between 0000-03-01 and 1970-01-01.
    let days = days + 719_468;
    let cycle = days / 146_097;
    let day_of_cycle = days % 146_097;
    // Take out the leap days before this one: one in 1,460 days, but for centuries, but for the 400th year.
    let year_of_cycle =
        (day_of_cycle - day_of_cycle / 1_460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    // From March on, five months have 153 days: 31, 30, 31, 30, 31.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = cycle * 400 + year_of_cycle + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(unix_nanos: u64, expected: &str) {
        let mut out = Vec::new();
        Clock::default().write(&mut out, unix_nanos);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn dates_are_right_around_leap_days_and_centuries() {
        check(0, "1970-01-01T00:00:00.000Z");
        check(951_782_399_999_000_000, "2000-02-28T23:59:59.999Z");
        check(951_782_400_000_000_000, "2000-02-29T00:00:00.000Z");
        check(951_868_800_000_000_000, "2000-03-01T00:00:00.000Z");
        check(1_709_164_800_123_999_999, "2024-02-29T00:00:00.123Z");
        check(1_735_689_599_000_000_000, "2024-12-31T23:59:59.000Z");
        check(4_107_542_400_000_000_000, "2100-03-01T00:00:00.000Z");
        check(u64::MAX, "2554-07-21T23:34:33.709Z");
    }

    #[test]
    fn moments_are_text_too() {
        assert_eq!(text(UNIX_EPOCH + std::time::Duration::from_millis(1_500)), "1970-01-01T00:00:01.500Z");
        assert_eq!(text(UNIX_EPOCH - std::time::Duration::from_secs(1)), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn a_new_second_is_not_mistaken_for_the_last() {
        let (mut clock, mut out) = (Clock::default(), Vec::new());
        for nanos in [59_999_000_000, 60_000_000_000, 59_000_000_000] {
            clock.write_time(&mut out, nanos);
            out.push(b' ');
        }
        assert_eq!(String::from_utf8(out).unwrap(), "00:00:59.999 00:01:00.000 00:00:59.000 ");
    }
}
