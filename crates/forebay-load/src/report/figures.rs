//! Numbers as people read them: with units, and the three digits that matter.

use std::time::Duration;

/// Stands where there is no number.
pub const NONE: &str = "–";

/// 9012 as `9,012`.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `312 µs`, `1.23 ms`, `94.2 ms`, `1.27 s`, `3 min 5 s`.
#[must_use]
pub fn duration(duration: Duration) -> String {
    micros(duration.as_secs_f64() * 1e6)
}

/// As [`duration`], of microseconds.
#[must_use]
pub fn micros(us: f64) -> String {
    match us {
        ..0.0 => format!("-{}", micros(-us)),
        ..999.5 => format!("{us:.0} µs"),
        ..999_500.0 => format!("{} ms", digits(us / 1e3)),
        ..99_500_000.0 => format!("{} s", digits(us / 1e6)),
        _ => length(Duration::from_secs_f64((us / 1e6).min(1e9))),
    }
}

/// As [`duration`], or a dash.
#[must_use]
pub fn duration_or_none(duration: Option<Duration>) -> String {
    duration.map_or_else(|| NONE.to_owned(), self::duration)
}

/// A length of time that someone chose: `30 s`, `2 min`, `1 h 5 min`, `1.5 s`.
#[must_use]
pub fn length(length: Duration) -> String {
    let seconds = length.as_secs();
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes, rest) {
        (0, 0, _) if length.subsec_millis() > 0 => format!("{} s", digits(length.as_secs_f64())),
        (0, 0, _) => format!("{rest} s"),
        (0, _, 0) => format!("{minutes} min"),
        (0, ..) => format!("{minutes} min {rest} s"),
        (_, 0, _) => format!("{hours} h"),
        _ => format!("{hours} h {minutes} min"),
    }
}

/// A number of three digits, no more: `0.31`, `9.94`, `94.2`, `1,234`.
#[must_use]
pub fn digits(number: f64) -> String {
    let size = number.abs();
    match size {
        _ if !number.is_finite() => NONE.to_owned(),
        _ if size == 0.0 => "0".to_owned(),
        ..0.0995 => trimmed(format!("{number:.3}")),
        ..9.995 => trimmed(format!("{number:.2}")),
        ..99.95 => trimmed(format!("{number:.1}")),
        ..1e15 => format!("{}{}", if number < 0.0 { "-" } else { "" }, count(whole(size))),
        _ => format!("{number:e}"),
    }
}

/// `1,000/s`.
#[must_use]
pub fn rate(per_second: f64) -> String {
    format!("{}/s", digits(per_second))
}

/// How many of a hundred: `0.31 %`. A part is never shown as nothing, nor all but one as all.
#[must_use]
pub fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return NONE.to_owned();
    }
    let share = float(part) * 100.0 / float(whole);
    match share {
        _ if part == 0 => "0 %".to_owned(),
        _ if part == whole => "100 %".to_owned(),
        ..0.001 => "< 0.001 %".to_owned(),
        99.9.. => format!("{:.3} %", share.min(99.999)),
        ..0.0995 => format!("{share:.3} %"),
        _ => format!("{} %", digits(share)),
    }
}

/// `1.4 MB`, in thousands.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    let size = float(bytes);
    match size {
        ..1e3 => format!("{bytes} B"),
        ..999.5e3 => format!("{} kB", digits(size / 1e3)),
        ..999.5e6 => format!("{} MB", digits(size / 1e6)),
        _ => format!("{} GB", digits(size / 1e9)),
    }
}

/// `1 connection`, `2 connections`.
#[must_use]
pub fn things(number: u64, thing: &str) -> String {
    format!("{} {thing}{}", count(number), if number == 1 { "" } else { "s" })
}

/// `2026-11-21 14:03:09 UTC`.
#[must_use]
pub fn date(unix_ms: u64) -> String {
    let (year, month, day) = civil(unix_ms / 86_400_000);
    let seconds = unix_ms / 1_000 % 86_400;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// The same as ISO 8601 has it: `2026-11-21T14:03:09`.
#[must_use]
pub fn iso_date(unix_ms: u64) -> String {
    date(unix_ms).trim_end_matches(" UTC").replace(' ', "T")
}

/// Exact to 2^53, which no count here reaches.
#[expect(clippy::cast_precision_loss, reason = "numbers for people have three digits")]
#[must_use]
pub const fn float(number: u64) -> f64 {
    number as f64
}

/// Rounded; what is not a count is 0.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates, and NaN is 0")]
#[must_use]
pub const fn whole(number: f64) -> u64 {
    (number + 0.5) as u64
}

/// Year, month and day of a day since 1970, by the Gregorian calendar.
fn civil(days: u64) -> (u64, u64, u64) {
    // Counted from the 1st of March, so that the leap day comes last; 146,097 days are 400 years.
    let shifted = days.min(u64::from(u32::MAX)) + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// Without noughts at the end of a fraction.
fn trimmed(number: String) -> String {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.').to_owned() } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_digits_and_the_unit_that_suits_them() {
        for (us, text) in [
            (0.0, "0 µs"),
            (312.4, "312 µs"),
            (1_234.0, "1.23 ms"),
            (2_000.0, "2 ms"),
            (94_230.0, "94.2 ms"),
            (999_499.0, "999 ms"),
            (1_270_000.0, "1.27 s"),
            (98_000_000.0, "98 s"),
            (185_000_000.0, "3 min 5 s"),
            (-2_000.0, "-2 ms"),
        ] {
            assert_eq!(micros(us), text);
        }
    }

    #[test]
    fn lengths_are_as_they_were_chosen() {
        for (ms, text) in [
            (0, "0 s"),
            (1_500, "1.5 s"),
            (30_000, "30 s"),
            (120_000, "2 min"),
            (125_000, "2 min 5 s"),
            (3_600_000, "1 h"),
            (3_900_000, "1 h 5 min"),
        ] {
            assert_eq!(length(Duration::from_millis(ms)), text);
        }
    }

    #[test]
    fn a_part_is_neither_nothing_nor_all() {
        for (part, whole, text) in [
            (0, 0, "–"),
            (0, 9, "0 %"),
            (9, 9, "100 %"),
            (1, 1_000_000_000, "< 0.001 %"),
            (999_999_999, 1_000_000_000, "99.999 %"),
            (673, 60_000, "1.12 %"),
            (3, 10_000, "0.030 %"),
        ] {
            assert_eq!(share(part, whole), text);
        }
    }

    #[test]
    fn rates_and_sizes_fit_a_column() {
        assert_eq!(
            (rate(0.25), rate(999.7), rate(12_345.6)),
            ("0.25/s".into(), "1,000/s".into(), "12,346/s".into())
        );
        assert_eq!(
            (bytes(999), bytes(1_400_000), bytes(2_500_000_000)),
            ("999 B".into(), "1.4 MB".into(), "2.5 GB".into())
        );
        assert_eq!((digits(f64::NAN), digits(-2.5)), ("–".into(), "-2.5".into()));
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (ms, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_400_000, "2000-02-29 00:00:00 UTC"),
            (1_795_269_789_000, "2026-11-21 14:03:09 UTC"),
        ] {
            assert_eq!(date(ms), text);
        }
        assert_eq!(iso_date(0), "1970-01-01T00:00:00");
        // Nobody's clock is that wrong, but a file may say so.
        assert!(date(u64::MAX).ends_with("UTC"));
    }
}
