//! Instants as logs and HAR files write them, in microseconds since 1970.

/// `2026-11-21T11:27:52.123Z`, with an offset such as `+01:00` too (RFC 3339).
pub(super) fn rfc3339(text: &str) -> Option<i64> {
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let mut parts = date.splitn(3, '-');
    let (year, month, day) =
        (digits(parts.next()?, 4)?, digits(parts.next()?, 2)?, digits(parts.next()?, 2)?);
    let clock_end = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (clock, zone) = rest.split_at(clock_end);
    let offset = match zone {
        "" | "Z" | "z" => 0,
        zone => offset_seconds(zone)?,
    };
    Some((days(year, month, day)? * 86_400 - offset) * 1_000_000 + clock_micros(clock)?)
}

/// `10/Oct/2000:13:55:36 -0700`, as access logs have it.
pub(super) fn common_log(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (stamp, zone) = text.split_once(' ')?;
    let mut parts = stamp.splitn(3, '/');
    let day = digits(parts.next()?, 2)?;
    let name = parts.next()?;
    let month = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(name))? as i64 + 1;
    let (year, clock) = parts.next()?.split_once(':')?;
    let seconds = days(digits(year, 4)?, month, day)? * 86_400 - offset_seconds(zone)?;
    Some(seconds * 1_000_000 + clock_micros(clock)?)
}

/// `11:27:52.123` since midnight.
pub(super) fn clock_micros(text: &str) -> Option<i64> {
    let mut parts = text.splitn(3, ':');
    let (hour, minute, rest) = (digits(parts.next()?, 2)?, digits(parts.next()?, 2)?, parts.next()?);
    let (second, fraction) = rest.split_once('.').unwrap_or((rest, "0"));
    let second = digits(second, 2)?;
    if hour > 23 || minute > 59 || second > 60 || fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    let micros = format!("{fraction:0<6}");
    let micros = digits(micros.get(..6)?, 6)?;
    Some((hour * 3_600 + minute * 60 + second) * 1_000_000 + micros)
}

/// `+01:00` or `-0700`, in seconds.
fn offset_seconds(text: &str) -> Option<i64> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let plain = text.get(1..)?.replace(':', "");
    let (hours, minutes) = (digits(plain.get(..2)?, 2)?, digits(plain.get(2..)?, 2)?);
    Some(sign * (hours * 3_600 + minutes * 60))
}

fn digits(text: &str, count: usize) -> Option<i64> {
    let fits = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

/// Days since 1970 of a day of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years begin in March, so that the day a leap year adds is their last.
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(year * 365 + leaps + day_of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_in_their_zone() {
        let second = 1_000_000;
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2024-02-29T00:00:00.123456789Z", 1_709_164_800 * second + 123_456),
            ("2024-02-29T01:00:00.5+01:00", 1_709_164_800 * second + 500_000),
            ("2024-02-28 19:00:00-05:00", 1_709_164_800 * second),
            ("1999-12-31T23:59:59Z", 946_684_799 * second),
        ] {
            assert_eq!(rfc3339(text), Some(expected), "{text}");
        }
        assert_eq!(common_log("10/Oct/2000:13:55:36 -0700"), Some(971_211_336 * second));
        for text in ["", "2024-02-29", "2024-13-01T00:00:00Z", "2024-02-29T25:00:00Z", "2024-2-29T00:00:00Z"]
        {
            assert_eq!(rfc3339(text), None, "{text}");
        }
        for text in ["", "10/Okt/2000:13:55:36 -0700", "10/Oct/2000:13:55:36", "10/Oct/2000 13:55:36 +0000"] {
            assert_eq!(common_log(text), None, "{text}");
        }
    }
}
