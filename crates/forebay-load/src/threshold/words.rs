//! Every word thresholds are written with: what the parser understands, and what the reference page tells.

use super::{Clock, Measure, Op, Statistic, Unit};

/// A word with what it means.
#[derive(Clone, Copy, Debug)]
pub struct Word<T: 'static> {
    /// How it is written; the first is how it is shown, the others mean the same.
    pub names: &'static [&'static str],
    /// What it stands for.
    pub means: T,
    /// The same for people: a part of a sentence.
    pub doc: &'static str,
}

/// What is not a time.
pub static MEASURES: [Word<Measure>; 7] = [
    word(
        &["errors", "rate", "error_rate", "failed"],
        Measure::Errors,
        "share of planned requests that are not ok: errors, timeouts, and those not started",
    ),
    word(
        &["availability", "success"],
        Measure::Availability,
        "share of planned requests that are ok, in this run",
    ),
    word(&["not_started", "dropped"], Measure::NotStarted, "share of planned requests that were never sent"),
    word(&["throughput"], Measure::Throughput, "answers as expected, per second"),
    word(&["sent", "rps"], Measure::Sent, "requests sent, per second"),
    word(&["count", "requests"], Measure::Count, "requests sent"),
    word(
        &["recovery"],
        Measure::Recovery,
        "longest time from the end of a fault until all was well again; needs `faults`",
    ),
];

/// What becomes of many times. Any other percentile is read beside these.
pub static STATISTICS: [Word<Statistic>; 5] = [
    word(
        &["p(95)", "p95"],
        Statistic::Quantile(0.95),
        "the time that 95 % do not exceed; any number from 0 to 100, as in `p(99.9)`",
    ),
    word(&["med", "median"], Statistic::Quantile(0.5), "`p(50)`"),
    word(&["avg", "mean"], Statistic::Mean, "the mean"),
    word(&["min"], Statistic::Min, "the least"),
    word(&["max"], Statistic::Max, "the greatest"),
];

/// What stands before a statistic; nothing: `response_`.
pub static CLOCKS: [Word<Clock>; 5] = [
    word(
        &["response_"],
        Clock::Response,
        "from the planned start to the last byte: what a user waits; this one may be left out",
    ),
    word(&["service_"], Clock::Service, "from the actual start to the last byte, of what is ok"),
    word(&["first_byte_", "ttfb_"], Clock::FirstByte, "from the actual start to the first byte of an answer"),
    word(&["connect_"], Clock::Connect, "to connect, of requests that had to"),
    word(&["delay_", "start_delay_"], Clock::Delay, "from the planned to the actual start"),
];

/// How a measure and a limit compare.
pub static OPERATORS: [Word<Op>; 6] = [
    word(&["<"], Op::Less, "below"),
    word(&["<="], Op::AtMost, "at most"),
    word(&[">"], Op::More, "above"),
    word(&[">="], Op::AtLeast, "at least"),
    word(&["==", "==="], Op::Equal, "just as much, in this run"),
    word(&["!=", "!=="], Op::Unequal, "anything else, in this run"),
];

/// The units of limits, each with how much of the measure's own one is. Without a unit a time is in milliseconds,
/// except of `recovery`, which needs one.
pub static UNITS: [Word<(Unit, f64)>; 11] = [
    word(&["ns"], (Unit::Seconds, 1e-9), "nanoseconds"),
    word(&["us", "µs", "μs"], (Unit::Seconds, 1e-6), "microseconds"),
    word(
        &["ms"],
        (Unit::Seconds, 1e-3),
        "milliseconds; also what a time without a unit is in, except of `recovery`",
    ),
    word(&["s"], (Unit::Seconds, 1.0), "seconds"),
    word(&["m", "min"], (Unit::Seconds, 60.0), "minutes"),
    word(&["h"], (Unit::Seconds, 3_600.0), "hours"),
    word(&["%"], (Unit::Share, 0.01), "of all; without it, a share is a number from 0 to 1"),
    word(&["/s", "rps", "req/s"], (Unit::PerSecond, 1.0), "per second; also what a rate without a unit is"),
    word(&["/m", "/min"], (Unit::PerSecond, 1.0 / 60.0), "per minute"),
    word(&["/h"], (Unit::PerSecond, 1.0 / 3_600.0), "per hour"),
    word(&[""], (Unit::Number, 1.0), "a number, which has no unit"),
];

/// Which requests a threshold is about; what they are held against is a plan's names and tags.
pub static SELECTORS: [Word<&str>; 4] = [
    word(&["{step:login}", "{name:login}"], "step", "requests of the step of this name"),
    word(&["{stage:peak}"], "stage", "requests planned in the stage of this name"),
    word(&["{scenario:buy}"], "scenario", "requests of the scenario of this name"),
    word(&["{kind:write}"], "kind", "requests of steps and scenarios with this tag"),
];

const fn word<T>(names: &'static [&'static str], means: T, doc: &'static str) -> Word<T> {
    Word { names, means, doc }
}

/// The word of that name.
pub(super) fn find<T: Copy>(words: &'static [Word<T>], name: &str) -> Option<T> {
    words.iter().find(|word| word.names.contains(&name)).map(|word| word.means)
}

/// The longest word that `text` begins with, so that `<=` is not taken for `<`.
pub(super) fn begins<T: Copy>(words: &'static [Word<T>], text: &str) -> Option<(&'static str, T)> {
    let all = words.iter().flat_map(|word| word.names.iter().map(|name| (*name, word.means)));
    all.filter(|(name, _)| text.starts_with(name)).max_by_key(|(name, _)| name.len())
}

#[cfg(test)]
mod tests {
    use super::super::Threshold;
    use super::*;

    /// What a text is read as.
    fn read(text: &str) -> Threshold {
        Threshold::parse(text).unwrap_or_else(|error| panic!("{error}"))
    }

    /// A limit that fits the measure.
    fn limit(measure: Measure) -> &'static str {
        match measure.unit() {
            Unit::Seconds => "1s",
            Unit::Share => "1%",
            Unit::PerSecond | Unit::Number => "5",
        }
    }

    #[test]
    fn every_word_is_read_and_shown_as_the_reference_says() {
        for Word { names, means, .. } in &MEASURES {
            for name in *names {
                let read = read(&format!("{name}<{}", limit(*means)));
                assert_eq!((read.measure, read.measure.to_string()), (*means, names[0].to_owned()), "{name}");
            }
        }
        for clock in &CLOCKS {
            for statistic in &STATISTICS {
                for (prefix, name) in
                    clock.names.iter().flat_map(|a| statistic.names.iter().map(move |b| (a, b)))
                {
                    let expected = Measure::Time(clock.means, statistic.means);
                    assert_eq!(read(&format!("{prefix}{name}<1s")).measure, expected, "{prefix}{name}");
                    let bare = if clock.means == Clock::Response { *name } else { continue };
                    assert_eq!(read(&format!("{bare}<1s")).measure, expected, "{bare}");
                }
            }
        }
        for Word { names, means, .. } in &OPERATORS {
            for name in *names {
                assert_eq!(read(&format!("avg{name}1s")).op, *means, "{name}");
                assert_eq!(means.to_string(), names[0]);
            }
        }
    }

    #[test]
    fn every_unit_is_read_for_what_it_is_of_and_nothing_else() {
        for (measure, own) in [
            ("avg", Unit::Seconds),
            ("errors", Unit::Share),
            ("sent", Unit::PerSecond),
            ("count", Unit::Number),
        ] {
            for Word { names, means: (unit, scale), .. } in &UNITS {
                for name in names.iter().filter(|name| !name.is_empty()) {
                    let found = Threshold::parse(&format!("{measure}<1{name}"));
                    let limit = found.map(|threshold| threshold.limit);
                    match *unit == own {
                        true => assert!((limit.expect(name) - scale).abs() < 1e-12, "{measure} {name}"),
                        false => assert!(limit.is_err(), "{measure} {name}"),
                    }
                }
            }
        }
    }

    #[test]
    fn every_selector_is_read() {
        for Word { names, means, .. } in &SELECTORS {
            for name in *names {
                let read = read(&format!("p(99){name}<1s")).select;
                assert_eq!(read.len(), 1, "{name}");
                assert!(read[0].0 == *means || read[0].0 == "name", "{name}");
            }
        }
    }
}
