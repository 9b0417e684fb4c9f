//! Writes the text of a plan.

use std::fmt::Write;
use std::time::Duration;

use forebay_base::units::show_duration;
use serde_json::Value;

/// Stands in a text for the `$` of an environment variable that is to be filled in, `${NAME}`; other dollars
/// mean themselves.
pub(super) const ENVIRONMENT: char = '\u{e000}';

/// A stage.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stage {
    pub(super) name: Option<String>,
    pub(super) length: Duration,
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) users: bool,
}

/// A text in double quotes, which YAML reads as JSON does.
pub(super) fn quote(text: &str) -> String {
    json(&Value::String(text.to_owned()))
}

/// JSON, which is YAML too.
pub(super) fn json(value: &Value) -> String {
    let text = value.to_string();
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ENVIRONMENT => out.push('$'),
            '$' if matches!(chars.peek(), Some('$' | '{')) => out.push_str("$$"),
            _ => out.push(c),
        }
    }
    out
}

/// A map in one line; values are YAML already.
pub(super) fn map<'v>(pairs: impl IntoIterator<Item = (&'v str, String)>) -> String {
    let pairs: Vec<_> =
        pairs.into_iter().map(|(key, value)| format!("{}: {value}", self::key(key))).collect();
    format!("{{{}}}", pairs.join(", "))
}

/// A key, quoted where YAML would read something else.
pub(super) fn key(key: &str) -> String {
    let plain = key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
        && !matches!(key, "true" | "false" | "null" | "yes" | "no" | "on" | "off");
    if plain { key.to_owned() } else { quote(key) }
}

/// A number without an exponent and without needless digits.
pub(super) fn number(number: f64) -> String {
    let text = format!("{number:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The stages of a plan.
pub(super) fn stages(out: &mut String, stages: &[Stage]) {
    out.push_str("stages:\n");
    for Stage { name, length, from, to, users } in stages {
        let unit = if *users { "" } else { "/s" };
        let level = |level: f64| format!("{}{unit}", number(level));
        let mut pairs = vec![("duration", show_duration(*length))];
        pairs.push((if *users { "users" } else { "rate" }, level(*from)));
        if from != to {
            pairs.push(("to", level(*to)));
        }
        if let Some(name) = name {
            pairs.push(("name", quote(name)));
        }
        let _ = writeln!(out, "  - {}", map(pairs));
    }
}

/// A comment of as many lines as the text has.
pub(super) fn comment(out: &mut String, text: &str) {
    for line in text.lines() {
        let line: String = line.chars().filter(|c| !c.is_control()).collect();
        let _ = writeln!(out, "# {line}");
    }
}

/// A duration as k6 (Go) and Artillery write it: `1m30s`, `1.5h`, or a number of `unit`s.
pub(super) fn duration(text: &str, unit: Duration) -> Option<Duration> {
    let mut rest = text.trim();
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..end].parse().ok()?;
        let after = rest[end..].trim_start();
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.' || c == ' ').unwrap_or(after.len());
        seconds += number
            * match &after[..end] {
                "" => unit.as_secs_f64(),
                "ms" | "msec" | "milliseconds" => 0.001,
                "us" | "µs" => 0.000_001,
                "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
                "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
                "h" | "hour" | "hours" => 3_600.0,
                "d" | "day" | "days" => 86_400.0,
                _ => return None,
            };
        rest = after[end..].trim_start();
    }
    let whole = !text.trim().is_empty();
    // Rounded to the microsecond: 0.1 s is 100 ms and no fraction more.
    let micros = (seconds * 1_000_000.0).round();
    (whole && micros <= 1e15).then(|| Duration::from_micros(micros as u64))
}

/// A text as a part of a form (`application/x-www-form-urlencoded`).
pub(super) fn form(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_of_other_tools_are_read() {
        let check = |text: &str, expected: Option<u64>| {
            let read = duration(text, Duration::from_secs(1)).map(|read| read.as_millis() as u64);
            assert_eq!(read, expected, "{text}");
        };
        check("90", Some(90_000));
        check("0.1", Some(100));
        check("1m30s", Some(90_000));
        check("1.5h", Some(5_400_000));
        check("250ms", Some(250));
        check("2 minutes", Some(120_000));
        check("0s", Some(0));
        for text in ["", "x", "1x", "1.2.3s", "-1s", "s", "99999999999999d"] {
            check(text, None);
        }
    }

    #[test]
    fn texts_mean_themselves_in_the_plan() {
        assert_eq!(quote("a\"b\n${X} $1 $$"), r#""a\"b\n$${X} $1 $$$""#);
        assert_eq!(quote(&format!("{ENVIRONMENT}{{X}}")), r#""${X}""#);
        assert_eq!(
            (key("accept"), key("$.ok"), key("on")),
            ("accept".into(), "\"$.ok\"".into(), "\"on\"".into())
        );
        assert_eq!(
            (number(0.5), number(100.0), number(1.0 / 3.0)),
            ("0.5".into(), "100".into(), "0.333333".into())
        );
    }
}
