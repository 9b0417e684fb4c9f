//! How long the caller of a gRPC method is willing to wait: `grpc-timeout`.

use std::time::Duration;

/// Digits that a timeout may have.
const DIGITS_MAX: usize = 8;
/// Bytes that `stamp` writes.
pub(crate) const STAMP: usize = DIGITS_MAX + 1;
/// The largest number they make.
const NUMBER_MAX: u128 = 99_999_999;

/// Reads a timeout: one to eight digits and a unit, of `H`, `M`, `S`, `m`, `u` and `n`.
pub(super) fn parse(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if !(1..=DIGITS_MAX).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
    Some(match unit {
        b'H' => Duration::from_secs(number * 3_600),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

/// Writes how much time is left over the nine bytes of `place`: always eight digits, so that it can be written again
/// when more has passed. At least one nanosecond; the finest unit that the digits suffice for, rounded down.
pub(crate) fn stamp(place: &mut [u8], left: Duration) {
    let units = [(b'n', 1), (b'u', 1_000), (b'm', 1_000_000), (b'S', 1_000_000_000)];
    let nanos = left.as_nanos().max(1);
    let fits = units.into_iter().find(|(_, size)| nanos / size <= NUMBER_MAX);
    let (unit, mut number) = fits.map_or((b'S', NUMBER_MAX), |(unit, size)| (unit, nanos / size));
    let Some((last, digits)) = place.split_last_mut() else { return };
    *last = unit;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_strictly() {
        let nanos = Duration::from_nanos;
        for (value, expected) in [
            ("1H", Some(Duration::from_secs(3_600))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("4m", Some(nanos(4_000_000))),
            ("5u", Some(nanos(5_000))),
            ("6n", Some(nanos(6))),
            ("0n", Some(Duration::ZERO)),
            ("00000001S", Some(Duration::from_secs(1))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3_600))),
            ("100000000n", None),
            ("", None),
            ("S", None),
            ("1", None),
            ("1s", None),
            ("1h", None),
            ("1 S", None),
            (" 1S", None),
            ("1S ", None),
            ("+1S", None),
            ("-1S", None),
            ("1.5S", None),
            ("1mS", None),
            ("0x1S", None),
            ("\u{661}S", None),
        ] {
            assert_eq!(parse(value.as_bytes()), expected, "{value:?}");
        }
    }

    #[test]
    fn what_is_left_is_written_as_finely_as_it_fits_and_never_as_more() {
        for (left, expected) in [
            (Duration::ZERO, "00000001n"),
            (Duration::from_nanos(99_999_999), "99999999n"),
            (Duration::from_nanos(100_000_999), "00100000u"),
            (Duration::from_millis(1_500), "01500000u"),
            (Duration::from_secs(3_600), "03600000m"),
            (Duration::from_secs(999_999), "00999999S"),
            (Duration::MAX, "99999999S"),
        ] {
            let mut place = *b"xxxxxxxxx";
            stamp(&mut place, left);
            assert_eq!(std::str::from_utf8(&place), Ok(expected));
            let read = parse(&place).expect("it is one");
            assert!(read <= left.max(Duration::from_nanos(1)));
        }
    }
}
