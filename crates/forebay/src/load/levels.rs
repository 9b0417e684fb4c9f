//! How much, for how long, in a line: `1000`, `200..1000`, `30s@50, 1m@50..200`, `2m@50 users`.

use std::time::Duration;

use forebay_base::units;
use forebay_load::plan::{RATE_MAX, STAGES_MAX, USERS_MAX};

/// How such a line looks, for messages.
pub const LEVELS_HELP: &str = "a level such as `1000` or `200..1000`, or stages such as `30s@50, 1m@50..200`";

/// How much, for how long.
#[derive(Clone, Debug, PartialEq)]
pub enum Levels {
    /// All the time.
    Whole(Level),
    /// One after the other; at least one.
    Stages(Vec<(Duration, Level)>),
}

/// How much.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// At its start. Finite, 0 or more.
    pub from: f64,
    /// At its end.
    pub to: f64,
    /// Of what.
    pub unit: Unit,
}

/// What a level counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Arrivals per second.
    Rate,
    /// Users at once.
    Users,
}

/// Reads a line of levels; numbers without a unit are of `unit`.
///
/// # Errors
/// What is wrong with it, and what to write.
pub fn parse(text: &str, unit: Unit) -> Result<Levels, String> {
    if !text.contains('@') && !text.contains(',') {
        return level(text, unit).map(Levels::Whole);
    }
    let pieces: Vec<&str> = text.split(',').map(str::trim).collect();
    if pieces.len() > STAGES_MAX {
        return Err(format!("there are {} stages; at most {STAGES_MAX} are accepted", pieces.len()));
    }
    let stages = pieces.into_iter().map(|piece| stage(piece, unit)).collect::<Result<Vec<_>, _>>()?;
    let first = stages[0].1.unit;
    if stages.iter().any(|(_, level)| level.unit != first) {
        return Err("rates and users cannot be mixed; write all stages in one of them".to_owned());
    }
    Ok(Levels::Stages(stages))
}

/// Reads `50/s`, `50`, `3000/m` or `0.5`, in arrivals per second.
///
/// # Errors
/// What is wrong with it, and what to write.
pub fn rate(text: &str) -> Result<f64, String> {
    let (number, per) = match text.split_once('/') {
        Some((number, "s")) => (number, 1.0),
        Some((number, "m")) => (number, 60.0),
        Some((number, "h")) => (number, 3_600.0),
        Some((_, unit)) => return Err(format!("`/{unit}` is no unit of a rate; write `/s`, `/m` or `/h`")),
        None => (text, 1.0),
    };
    let rate = number_of(number)? / per;
    if rate > RATE_MAX {
        return Err(format!("`{text}` is more than the {RATE_MAX} per second that can be planned"));
    }
    Ok(rate)
}

/// Reads a number of users.
///
/// # Errors
/// What is wrong with it, and what to write.
pub fn users(text: &str) -> Result<f64, String> {
    let users: usize = text.parse().map_err(|_| format!("`{text}` is no whole number of users"))?;
    if users > USERS_MAX {
        return Err(format!("{users} users are more than the {USERS_MAX} there can be"));
    }
    // At most `USERS_MAX`: exact.
    Ok(users as f64)
}

/// A duration with its unit, greater than zero.
///
/// # Errors
/// What is wrong with it, and what to write.
pub fn length(text: &str) -> Result<Duration, String> {
    match units::parse_duration(text) {
        Ok(Duration::ZERO) => Err("it must be longer than nothing".to_owned()),
        Ok(length) => Ok(length),
        Err(error) => Err(format!("`{text}` is no duration: {error}; write {}", units::DURATION_HELP)),
    }
}

/// `1m@50..200`.
fn stage(text: &str, unit: Unit) -> Result<(Duration, Level), String> {
    let Some((time, amount)) = text.split_once('@') else {
        return Err(format!("`{text}` is no stage; write how long and how much, such as `30s@50`"));
    };
    Ok((length(time.trim())?, level(amount, unit)?))
}

/// `50`, `50..200`, `50/s`, `50..200 users`.
fn level(text: &str, unit: Unit) -> Result<Level, String> {
    let text = text.trim();
    let (text, unit) = match text.strip_suffix("users").or_else(|| text.strip_suffix("user")) {
        Some(text) => (text.trim_end(), Unit::Users),
        None => (text, unit),
    };
    let read = |text: &str| match unit {
        Unit::Rate => rate(text),
        Unit::Users => users(text),
    };
    let (from, to) = match text.split_once("..") {
        Some((from, to)) => (read(from.trim())?, read(to.trim())?),
        None => {
            let all = read(text)?;
            (all, all)
        }
    };
    Ok(Level { from, to, unit })
}

fn number_of(text: &str) -> Result<f64, String> {
    // Neither signs nor exponents nor `inf`: what a level is should be seen at once.
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if let Some(more) = text.strip_prefix('-').filter(|more| more.parse::<f64>().is_ok()) {
        return Err(format!("`{text}` is less than nothing; write, for example, `{more}`"));
    }
    text.parse()
        .ok()
        .filter(|number: &f64| plain && number.is_finite())
        .ok_or_else(|| format!("`{text}` is no number; write, for example, `50/s`, or `30s@50, 1m@50..200`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(u64, f64, f64)]) {
        let levels = parse(text, Unit::Rate);
        let stages: Vec<_> = match levels {
            Ok(Levels::Whole(level)) => vec![(0, level.from, level.to)],
            Ok(Levels::Stages(stages)) => {
                stages.iter().map(|(length, level)| (length.as_secs(), level.from, level.to)).collect()
            }
            Err(error) => panic!("{text}: {error}"),
        };
        assert_eq!(stages, expected, "{text}");
    }

    #[test]
    fn levels_and_stages_are_read() {
        check("1000", &[(0, 1000.0, 1000.0)]);
        check("120/m", &[(0, 2.0, 2.0)]);
        check("0.5", &[(0, 0.5, 0.5)]);
        check("200..1000", &[(0, 200.0, 1000.0)]);
        check("200/s .. 1000/s", &[(0, 200.0, 1000.0)]);
        check("30s@50, 1m@50..200,1m30s@0", &[(30, 50.0, 50.0), (60, 50.0, 200.0), (90, 0.0, 0.0)]);
        check("2m@50..500 users", &[(120, 50.0, 500.0)]);
        assert!(
            matches!(parse("1m@1 user", Unit::Rate), Ok(Levels::Stages(stages)) if stages[0].1.unit == Unit::Users)
        );
    }

    #[test]
    fn what_is_no_level_says_what_to_write() {
        for (text, part) in [
            ("", "no number"),
            ("-1", "less than nothing"),
            ("inf", "no number"),
            ("1e3", "no number"),
            ("NaN", "no number"),
            ("1..", "no number"),
            ("50/d", "`/s`, `/m` or `/h`"),
            ("30s@50,", "`` is no stage"),
            ("30@50", "the unit is missing"),
            ("0s@50", "longer than nothing"),
            ("50,60", "`50` is no stage"),
            ("30s@50, 30s@5 users", "cannot be mixed"),
            ("99999999999", "can be planned"),
            ("100001 users", "there can be"),
            ("1.5 users", "no whole number"),
        ] {
            let error = parse(text, Unit::Rate).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
        let many = vec!["1s@1"; STAGES_MAX + 1].join(",");
        assert!(parse(&many, Unit::Rate).is_err());
    }
}
