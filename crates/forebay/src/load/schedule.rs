//! How much for how long: from a line, a list, a preset or flags to stages.

use std::time::Duration;

use forebay_load::plan::{Arrivals, Model, STAGES_MAX, Stage};

use super::changes::{Changes, Preset};
use super::levels::{self, Level, Levels, Unit};
use super::lower::Lower;
use crate::config::problems::{Mark, Spanned};
use crate::config::read::short;
use crate::config::value::{Fields, Value};

/// What a quick form is taken to mean that says nothing about it.
const LEVEL_DEFAULT: Level = Level { from: 100.0, to: 100.0, unit: Unit::Rate };
/// How long a level lasts that is given without a time.
const LENGTH_DEFAULT: Duration = Duration::from_secs(30);
/// The same if it is not time that ends the test.
const ITERATIONS_LENGTH: Duration = Duration::from_secs(3_600);
const SOAK_DEFAULT: Duration = Duration::from_secs(30 * 60);
const PEAK_DEFAULT: Duration = Duration::from_secs(60);
/// How many times the base the peak of a spike is.
const PEAK_FACTOR: f64 = 10.0;

/// When requests start.
#[derive(Debug)]
pub(super) struct Schedule {
    pub(super) model: Model,
    pub(super) stages: Vec<Stage>,
}

/// A stage as written.
#[derive(Clone)]
struct Piece {
    name: Option<String>,
    length: Duration,
    level: Level,
    warmup: bool,
}

/// What the flags say, else what the plan says, else the usual for a plan without a file.
pub(super) fn lower(lower: &mut Lower<'_, '_>, top: &Fields) -> Option<Schedule> {
    let pieces = match of_flags(lower.changes) {
        Ok(Some(pieces)) => Some(pieces),
        Ok(None) => of_plan(lower, top),
        Err((what, fix)) => {
            lower.problems.error_fix(Mark::FILE, what, fix);
            None
        }
    }?;
    let at = top.get("stages").or_else(|| top.get("preset")).map_or(Mark::FILE, |value| value.at);
    let mixed = pieces.iter().any(|piece| piece.level.unit != pieces[0].level.unit);
    if mixed {
        let fix = "write all stages with `rate`, or all with `users`";
        lower.problems.error_fix(at, "rates and users cannot be mixed", fix);
        return None;
    }
    let model = model(lower, top, pieces[0].level.unit);
    if pieces.iter().all(|piece| piece.level.from + piece.level.to == 0.0) {
        lower.problems.error_fix(at, "nothing would be sent", "give some stage a level above 0");
    }
    if pieces.iter().all(|piece| piece.warmup) {
        lower.problems.error_fix(at, "nothing would be judged", "add a stage without `warmup`");
    }
    let mut stages = named(pieces);
    warm_up(lower, top, &mut stages);
    if stages.len() > STAGES_MAX {
        lower
            .problems
            .error(at, format!("there are {} stages; at most {STAGES_MAX} are accepted", stages.len()));
    }
    Some(Schedule { model, stages })
}

/// The stages of flags; `None`: they say nothing about it.
fn of_flags(changes: &Changes) -> Result<Option<Vec<Piece>>, (String, String)> {
    let length = changes.length;
    let level = match (&changes.levels, length, changes.preset) {
        (None, _, None) => return Ok(None),
        (None, _, Some(_)) => LEVEL_DEFAULT,
        (Some(Levels::Whole(level)), ..) => *level,
        (Some(Levels::Stages(stages)), None, None) => {
            return Ok(Some(stages.iter().map(|(length, level)| piece(*length, *level)).collect()));
        }
        (Some(Levels::Stages(_)), ..) => {
            let what = "stages say themselves how long they are".to_owned();
            return Err((
                what,
                "leave out `--for` and `--preset`, or give one level such as `--rate 100`".into(),
            ));
        }
    };
    let pieces = match changes.preset {
        None => {
            let usual = if changes.iterations.is_some() { ITERATIONS_LENGTH } else { LENGTH_DEFAULT };
            vec![piece(length.unwrap_or(usual), level)]
        }
        Some(Preset::Soak) => vec![piece(length.unwrap_or(SOAK_DEFAULT), level)],
        Some(Preset::Spike) => {
            let peak = if level.to > level.from { level.to } else { level.from * PEAK_FACTOR };
            let usual = spike(level.from, peak, level.unit, PEAK_DEFAULT);
            length.map_or_else(|| usual.clone(), |length| lasting(&usual, length))
        }
    };
    Ok(Some(pieces))
}

fn of_plan(lower: &mut Lower<'_, '_>, top: &Fields) -> Option<Vec<Piece>> {
    let mut pieces = match (top.get("stages"), top.table("preset")) {
        (Some(Spanned { at, value: Value::Text(line) }), _) => one_line(lower, *at, line)?,
        (Some(Spanned { value: Value::List(items), .. }), _) => {
            // Each item tells its own problems.
            let read: Vec<_> = items.iter().map(|item| stage(lower, item)).collect();
            read.into_iter().collect::<Option<Vec<_>>>()?
        }
        (_, Some(preset)) => self::preset(lower, preset)?,
        _ if top.is_meant("stages") || top.is_meant("preset") => return None,
        _ if top.written.is_empty() => vec![piece(LENGTH_DEFAULT, LEVEL_DEFAULT)],
        _ => {
            let fix = "write, for example, `stages: \"30s@50, 1m@50..200\"`, or give `--rate` or `--users`";
            lower.problems.error_fix(top.at, "`stages` is missing in this file", fix);
            return None;
        }
    };
    match (lower.changes.length, pieces.as_mut_slice()) {
        (Some(length), [only]) => only.length = length,
        (Some(_), _) => {
            let fix = "give `--rate` or `--users` with it";
            lower.problems.error_fix(Mark::FILE, "`--for` fits a plan of one stage only", fix);
            return None;
        }
        (None, _) => {}
    }
    Some(pieces)
}

fn one_line(lower: &mut Lower<'_, '_>, at: Mark, line: &str) -> Option<Vec<Piece>> {
    let error = match levels::parse(line, Unit::Rate) {
        Ok(Levels::Stages(stages)) => {
            return Some(stages.into_iter().map(|(length, level)| piece(length, level)).collect());
        }
        Ok(Levels::Whole(_)) => "it does not say for how long".to_owned(),
        Err(error) => error,
    };
    let what = format!("`stages` cannot be `{}`: {error}", short(line));
    lower.problems.error_fix(at, what, "write, for example, `30s@50, 1m@50..200`");
    None
}

fn stage(lower: &mut Lower<'_, '_>, item: &Spanned<Value>) -> Option<Piece> {
    let Value::Table(fields) = &item.value else { return None };
    let (unit, from) = match (fields.text("rate"), fields.number("users")) {
        (Some(rate), _) => (Unit::Rate, level(lower, rate, Unit::Rate)?),
        // Bounded by the registry: exact.
        (None, Some(users)) => (Unit::Users, users as f64),
        (None, None) => return None,
    };
    let to = match fields.text("to") {
        Some(text) => level(lower, text, unit)?,
        None if fields.has("to") => return None,
        None => from,
    };
    Some(Piece {
        name: fields.text("name").map(|name| name.value.to_owned()),
        length: fields.time("duration")?,
        level: Level { from, to, unit },
        warmup: fields.switch("warmup").unwrap_or(false),
    })
}

fn level(lower: &mut Lower<'_, '_>, text: Spanned<&str>, unit: Unit) -> Option<f64> {
    let read = match unit {
        Unit::Rate => levels::rate(text.value),
        Unit::Users => levels::users(text.value),
    };
    read.map_err(|error| lower.problems.error(text.at, error)).ok()
}

fn preset(lower: &mut Lower<'_, '_>, preset: &Fields) -> Option<Vec<Piece>> {
    let mut rate = |fields: &Fields, key: &str| level(lower, fields.text(key)?, Unit::Rate);
    if let Some(fields) = preset.table("soak") {
        let rate = rate(fields, "rate")?;
        let level = Level { from: rate, to: rate, unit: Unit::Rate };
        return Some(vec![piece(fields.time("for").unwrap_or(SOAK_DEFAULT), level)]);
    }
    let fields = preset.table("spike")?;
    let (base, peak) = (rate(fields, "base"), rate(fields, "peak"));
    Some(spike(base?, peak?, Unit::Rate, fields.time("for").unwrap_or(PEAK_DEFAULT)))
}

fn spike(base: f64, peak: f64, unit: Unit, length: Duration) -> Vec<Piece> {
    let part = |name: &str, seconds: u64, from: f64, to: f64| Piece {
        name: Some(name.to_owned()),
        ..piece(Duration::from_secs(seconds), Level { from, to, unit })
    };
    vec![
        part("before", 60, base, base),
        part("up", 10, base, peak),
        Piece { length, ..part("peak", 0, peak, peak) },
        part("down", 10, peak, base),
        part("after", 120, base, base),
    ]
}

/// The same in this time altogether, each piece as long in proportion.
fn lasting(pieces: &[Piece], length: Duration) -> Vec<Piece> {
    let whole: Duration = pieces.iter().map(|piece| piece.length).sum();
    let share = length.as_secs_f64() / whole.as_secs_f64();
    pieces.iter().map(|piece| Piece { length: piece.length.mul_f64(share), ..piece.clone() }).collect()
}

fn piece(length: Duration, level: Level) -> Piece {
    Piece { name: None, length, level, warmup: false }
}

fn model(lower: &mut Lower<'_, '_>, top: &Fields, unit: Unit) -> Model {
    let Changes { iterations, poisson, users_max, .. } = lower.changes;
    let iterations = iterations.or(top.number("iterations"));
    let poisson = *poisson || top.word("arrivals") == Some("poisson");
    let at = |key: &str| top.field(key).map_or(Mark::FILE, |field| field.at);
    match unit {
        Unit::Rate => {
            if iterations.is_some() {
                let what = "`iterations` is counted of users, and these stages are rates";
                lower.problems.error_fix(
                    at("iterations"),
                    what,
                    "write stages with `users`, or leave it out",
                );
            }
            Model::Open(if poisson { Arrivals::Poisson } else { Arrivals::Uniform })
        }
        Unit::Users => {
            if poisson {
                let what = "users decide themselves when they ask, so there are no `poisson` arrivals";
                lower.problems.error_fix(at("arrivals"), what, "write stages with `rate`, or leave it out");
            }
            if users_max.is_some() || top.has("users_max") {
                let what = "`users_max` does nothing: the stages say how many users there are";
                lower.problems.warn_fix(at("users_max"), what, "leave it out");
            }
            Model::Closed { iterations }
        }
    }
}

fn warm_up(lower: &mut Lower<'_, '_>, top: &Fields, stages: &mut Vec<Stage>) {
    let Some(length) = lower.changes.warmup.or(top.time("warmup")) else { return };
    let from = stages[0].from;
    if from == 0.0 {
        let at = top.field("warmup").map_or(Mark::FILE, |field| field.at);
        let fix = "mark a stage with `warmup: true` instead";
        lower.problems.error_fix(at, "the first stage begins at 0, and so would the warm-up", fix);
    }
    stages.insert(0, Stage { name: "warm-up".to_owned(), length, from, to: from, warmup: true });
}

/// Gives every stage a name of its own: what was written, or what its level is.
fn named(pieces: Vec<Piece>) -> Vec<Stage> {
    let mut stages: Vec<Stage> = Vec::with_capacity(pieces.len() + 1);
    for Piece { name, length, level, warmup } in pieces {
        let name = name.unwrap_or_else(|| level.to_string());
        let taken = |name: &str| stages.iter().any(|stage| stage.name == name);
        let name = match taken(&name) {
            false => name,
            true => (2..).map(|n| format!("{name} ({n})")).find(|name| !taken(name)).unwrap_or(name),
        };
        stages.push(Stage { name, length, from: level.from, to: level.to, warmup });
    }
    stages
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let unit = match self.unit {
            Unit::Rate => "/s",
            Unit::Users => " users",
        };
        match self.from == self.to {
            true => write!(f, "{}{unit}", self.from),
            false => write!(f, "{} to {}{unit}", self.from, self.to),
        }
    }
}
