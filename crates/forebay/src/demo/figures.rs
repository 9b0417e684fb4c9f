//! Numbers as people read them: in columns, with units, three digits that matter.

/// 9012 as `9,012`.
pub(super) fn count(number: u64) -> String {
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

/// The same, but a dot where there is nothing: what is there stands out.
pub(super) fn some(number: u64) -> String {
    if number == 0 { "·".to_owned() } else { count(number) }
}

/// Nanoseconds as `0.31ms`, `94ms` or `1.2s`; a dot for none.
pub(super) fn latency(nanos: u64) -> String {
    let millis = float(nanos) / 1e6;
    match millis {
        _ if nanos == 0 => "·".to_owned(),
        ..9.95 => format!("{millis:.2}ms"),
        ..99.5 => format!("{millis:.1}ms"),
        ..999.5 => format!("{millis:.0}ms"),
        _ => format!("{:.2}s", millis / 1e3),
    }
}

/// How many of a hundred: `0.3 %`; 0 of nothing.
pub(super) fn share(part: u64, whole: u64) -> String {
    let share = if whole == 0 { 0.0 } else { float(part) * 100.0 / float(whole) };
    format!("{share:.1} %")
}

/// So many per second over some seconds, rounded.
pub(super) fn rate(number: u64, seconds: f64) -> String {
    let rate = if seconds > 0.0 { float(number) / seconds } else { 0.0 };
    format!("{rate:.0}")
}

/// `1 connection`, `2 connections`.
pub(super) fn things(number: u64, thing: &str) -> String {
    format!("{} {thing}{}", count(number), if number == 1 { "" } else { "s" })
}

/// Exact to 2^53, which no count here reaches.
#[expect(clippy::cast_precision_loss, reason = "numbers for people have three digits")]
pub(super) fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(count(number), text);
        }
        assert_eq!((some(0).as_str(), some(1_000).as_str()), ("·", "1,000"));
    }

    #[test]
    fn durations_have_three_digits_and_the_unit_that_suits_them() {
        for (nanos, text) in [
            (0, "·"),
            (312_400, "0.31ms"),
            (9_940_000, "9.94ms"),
            (9_960_000, "10.0ms"),
            (94_230_000, "94.2ms"),
            (141_900_000, "142ms"),
            (1_234_000_000, "1.23s"),
        ] {
            assert_eq!(latency(nanos), text);
        }
    }

    #[test]
    fn nothing_divides_into_nothing() {
        assert_eq!((share(0, 0), share(3, 1_000)), ("0.0 %".to_owned(), "0.3 %".to_owned()));
        assert_eq!((rate(5, 0.0), rate(301, 2.0)), ("0".to_owned(), "150".to_owned()));
        assert_eq!((things(1, "row"), things(2, "row")), ("1 row".to_owned(), "2 rows".to_owned()));
    }
}
