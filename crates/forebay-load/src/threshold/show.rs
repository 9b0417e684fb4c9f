//! Numbers as people read them.

use super::Unit;

/// Rounded to 12 digits: what was written comes out again, without the noise of binary fractions.
pub(super) fn tidy(number: f64) -> f64 {
    format!("{number:.11e}").parse().unwrap_or(number)
}

/// The unit a time in seconds is best written in, and how many seconds it is.
pub(super) fn time_unit(seconds: f64) -> (f64, &'static str) {
    match seconds {
        seconds if seconds >= 1.0 || seconds == 0.0 => (1.0, "s"),
        seconds if seconds >= 0.001 => (0.001, "ms"),
        _ => (0.000_001, "us"),
    }
}

/// A figure with its unit, to three digits: `187 ms`, `0.12 %`, `1234/s`.
pub(crate) fn figure(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Seconds => {
            let (scale, unit) = time_unit(value);
            let unit = if unit == "us" { "µs" } else { unit };
            format!("{} {unit}", digits(value / scale, 3))
        }
        Unit::Share => format!("{} %", digits(value * 100.0, 3)),
        Unit::PerSecond => format!("{}/s", digits(value, 4)),
        Unit::Number => format!("{value}"),
    }
}

/// So many digits that matter, and no fewer than those before the point.
pub(crate) fn digits(value: f64, digits: i32) -> String {
    let before = if value == 0.0 { 1 } else { value.abs().log10().floor() as i32 + 1 };
    // A small number needs more places for its digits; nobody reads more than nine.
    let places = (digits - before).clamp(0, 9) as usize;
    let text = format!("{value:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_have_units() {
        let seconds = |value| figure(value, Unit::Seconds);
        assert_eq!(
            [0.187_4, 1.234_5, 0.000_42, 5.1, 61.23, 0.0].map(seconds),
            ["187 ms", "1.23 s", "420 µs", "5.1 s", "61.2 s", "0 s"]
        );
        assert_eq!(figure(0.001_234, Unit::Share), "0.123 %");
        assert_eq!(figure(12_345.678, Unit::PerSecond), "12346/s");
        assert_eq!(figure(12.0, Unit::Number), "12");
    }
}
