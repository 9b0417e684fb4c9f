//! How long it takes to notice a fault and to get over it, told from the timeline alone.
//!
//! A window is good when its errors are within the budget, its p99 is not above the limit, and no backlog
//! remains that the limit does not explain. The target has recovered at the first window after which, for the
//! hold, windows are as good as in the control part before the fault.

use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::outcome::Window;

/// How much worse than before the fault a p99 may be.
const P99_FACTOR: f64 = 1.2;
/// Control windows it takes to say what is normal.
const CONTROL_MIN: usize = 3;
/// With more bad windows than this in the control part, a fault cannot be told from chance.
const CONTROL_BAD_MAX: f64 = 0.2;
/// Share of the plan that has to be answered.
const THROUGHPUT: f64 = 0.99;

/// When the target counts as recovered.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// Greatest share of requests that are errors, timeouts or not started, 0 to 1.
    pub errors: f64,
    /// Greatest p99 of the response time; none, or when 1.2 times that before the fault is more: the latter.
    pub p99: Option<Duration>,
    /// How long it has to last.
    pub hold: Duration,
}

/// Where to look on the timeline, from the start of the load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The part without a fault that says what is normal: after warm-up, before the first fault.
    pub control: Range<Duration>,
    /// When the fault was applied.
    pub on: Duration,
    /// When it was removed; none: it never was.
    pub off: Option<Duration>,
    /// When the next fault begins, or the load ends.
    pub until: Duration,
}

/// How a target took a fault. All times are exact to `resolution`, the length of a window, both ways.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recovery {
    /// How it ended.
    pub end: End,
    /// From the fault to the first bad window.
    pub ttd: Option<Duration>,
    /// From the fault to recovery, whether or not it was removed by then.
    pub ttr_on: Option<Duration>,
    /// From the removal of the fault to recovery; zero: it had recovered by then and stayed so.
    pub ttr_off: Option<Duration>,
    /// For how long it was watched: from the removal, or from the fault if it was not removed, to the next
    /// fault or the end. "Never" means longer than this.
    pub watched: Duration,
    /// Length of a window.
    pub resolution: Duration,
    /// Bad windows from the fault on.
    pub bad_windows: usize,
    /// Requests planned from the fault to recovery, or as long as it was watched, that are not ok.
    pub bad_requests: u64,
    /// The p99 that counted as good at most; none: it was not judged.
    pub p99_limit: Option<Duration>,
    /// Share of bad windows in the control part, 0 to 1: as many are forgiven in the hold.
    pub control_bad: f64,
    /// Requests in the hold.
    pub held: u64,
    /// Requests without an error that it takes to say with 95 % confidence that the share of errors is within
    /// the budget. With less in `held`, errors are only not seen.
    pub needed: u64,
    /// What has to be known to read it, each a sentence.
    pub notes: Vec<String>,
}

/// How a fault ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// It cannot be told: no requests, or too bad before the fault.
    #[default]
    Unknown,
    /// No window was bad: nobody noticed the fault.
    NoEffect,
    /// It recovered, and held.
    Recovered,
    /// It was good when the watch ended, but not yet for the whole hold.
    Unproven,
    /// It was bad until the watch ended.
    Never,
}

/// The same fault in several cycles.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// What was broken.
    pub what: String,
    /// Cycles it was broken in.
    pub cycles: usize,
    /// Those that ended well: recovered, or without effect.
    pub recovered: usize,
    /// Those that were not noticed.
    pub no_effect: usize,
    /// Time to the first bad window, of those that were noticed.
    pub ttd: Option<Spread>,
    /// Time from the fault; none unless all cycles ended well.
    pub ttr_on: Option<Spread>,
    /// Time from its removal; none unless all cycles ended well.
    pub ttr_off: Option<Spread>,
    /// If all ended well: the share of all such faults it is shown for with 95 % confidence, 0 to 1.
    pub proves: Option<f64>,
}

/// The middle and the end of several times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread {
    /// Half were not longer; of an even number the upper of the two in the middle.
    pub median: Duration,
    /// The longest.
    pub max: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        Self { errors: 0.001, p99: None, hold: Duration::from_secs(10) }
    }
}

/// How the target took the fault.
#[must_use]
pub fn recovery(timeline: &[Window], span: &Span, budget: &Budget) -> Recovery {
    // The window a fault cuts is the fault's.
    let control: Vec<&Window> = timeline
        .iter()
        .filter(|window| begin(window) >= span.control.start && end(window) <= span.control.end.min(span.on))
        .collect();
    let normal = Normal::of(&control, budget);
    let after: Vec<&Window> =
        timeline.iter().filter(|window| end(window) > span.on && begin(window) < span.until).collect();
    let mut found = Recovery {
        watched: span.until.saturating_sub(span.off.unwrap_or(span.on)),
        resolution: after.iter().map(|window| length(window)).max().unwrap_or_default(),
        p99_limit: normal.p99,
        control_bad: normal.bad,
        needed: (3.0 / budget.errors.max(1e-9)).ceil() as u64,
        ..Recovery::default()
    };
    if let Some(why) = normal.doubt(control.len()) {
        found.notes.push(why);
    }
    let judged: Vec<(&Window, Condition)> =
        after.into_iter().map(|window| (window, normal.judge(window, budget))).collect();
    judge(&mut found, &judged, span, budget, normal.bad);
    found
}

/// The same fault in all its cycles, together.
#[must_use]
pub fn summary<'a>(what: &str, cycles: impl IntoIterator<Item = &'a Recovery>) -> Summary {
    let cycles: Vec<&Recovery> = cycles.into_iter().collect();
    let count = |ends: &[End]| cycles.iter().filter(|one| ends.contains(&one.end)).count();
    let recovered = count(&[End::Recovered, End::NoEffect]);
    let all = !cycles.is_empty() && recovered == cycles.len();
    let over = |time: fn(&Recovery) -> Option<Duration>| spread(cycles.iter().filter_map(|one| time(one)));
    Summary {
        what: what.to_owned(),
        cycles: cycles.len(),
        recovered,
        no_effect: count(&[End::NoEffect]),
        ttd: over(|one| one.ttd),
        ttr_on: over(|one| one.ttr_on).filter(|_| all),
        ttr_off: over(|one| one.ttr_off).filter(|_| all),
        // What share would still give this many successes in a row once in twenty times.
        proves: all.then(|| 0.05_f64.powf(1.0 / cycles.len() as f64)),
    }
}

/// What is normal for this target under this load.
struct Normal {
    p99: Option<Duration>,
    backlog: u64,
    bad: f64,
}

/// What a window says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Condition {
    Good,
    Bad,
    /// Nothing was asked and nothing waited: says neither.
    Silent,
}

impl Normal {
    fn of(control: &[&Window], budget: &Budget) -> Self {
        let mut p99s: Vec<u64> =
            control.iter().filter(|window| window.planned > 0).map(|window| window.p99_us).collect();
        p99s.sort_unstable();
        let before = (p99s.len() >= CONTROL_MIN)
            .then(|| Duration::from_micros(p99s[p99s.len() / 2]).mul_f64(P99_FACTOR));
        let mut normal = Self {
            p99: before.max(budget.p99),
            backlog: control.iter().map(|window| window.backlog).max().unwrap_or(0),
            bad: 0.0,
        };
        let bad = control.iter().filter(|window| normal.judge(window, budget) == Condition::Bad).count();
        normal.bad = bad as f64 / control.len().max(1) as f64;
        normal
    }

    fn doubt(&self, control: usize) -> Option<String> {
        if control < CONTROL_MIN {
            return Some(format!(
                "only {control} windows before the fault say what is normal: let it begin later, at least {CONTROL_MIN} s after warm-up"
            ));
        }
        (self.bad > 0.0).then(|| {
            format!(
                "{:.0} % of the windows before the fault are bad as well, and as many are forgiven",
                self.bad * 100.0
            )
        })
    }

    fn judge(&self, window: &Window, budget: &Budget) -> Condition {
        let backlog = self.backlog_max(window);
        if window.planned == 0 && window.backlog <= backlog {
            return Condition::Silent;
        }
        let slow = self.p99.is_some_and(|limit| Duration::from_micros(window.p99_us) > limit);
        let short = ((window.finished + backlog) as f64) < window.planned as f64 * THROUGHPUT;
        if bad(window) as f64 > window.planned as f64 * budget.errors
            || slow
            || short
            || window.backlog > backlog
        {
            Condition::Bad
        } else {
            Condition::Good
        }
    }

    /// What may be in flight or waiting: as much as before the fault, or as arrives within the limit.
    fn backlog_max(&self, window: &Window) -> u64 {
        let per_second = window.planned as f64 / length(window).as_secs_f64().max(1e-3);
        let explained = self.p99.map_or(0.0, |limit| per_second * limit.as_secs_f64());
        self.backlog.max(explained.ceil() as u64)
    }
}

fn judge(found: &mut Recovery, judged: &[(&Window, Condition)], span: &Span, budget: &Budget, forgiven: f64) {
    found.bad_windows = judged.iter().filter(|(_, condition)| *condition == Condition::Bad).count();
    if judged.iter().all(|(_, condition)| *condition == Condition::Silent) {
        found.notes.push("no request was planned while the fault could be seen: keep the load on".to_owned());
        return;
    }
    if forgiven > CONTROL_BAD_MAX {
        found.notes.push(
            "it was too bad before the fault to tell when it recovered: lower the load, or the demands"
                .to_owned(),
        );
        return;
    }
    let Some(first) = judged.iter().position(|(_, condition)| *condition == Condition::Bad) else {
        found.end = End::NoEffect;
        found.ttr_on = Some(Duration::ZERO);
        found.ttr_off = span.off.map(|_| Duration::ZERO);
        found.notes.push("the fault had no effect that the load noticed".to_owned());
        return;
    };
    found.ttd = Some(begin(judged[first].0).saturating_sub(span.on));
    let hold = Hold { judged, until: span.until, hold: budget.hold, forgiven };
    let early = hold.first_from(first);
    found.ttr_on = early.map(|index| begin(judged[index].0).saturating_sub(span.on));
    // What was good while the fault was on may be bad again because it is taken away.
    let late = span.off.map(|off| {
        let from = judged.iter().position(|(window, _)| end(window) > off).unwrap_or(judged.len());
        (off, hold.first_from(from.max(first)))
    });
    found.ttr_off =
        late.and_then(|(off, index)| index.map(|index| begin(judged[index].0).saturating_sub(off)));
    let back = late.map_or(early, |(_, index)| index);
    found.end = match back {
        Some(_) => End::Recovered,
        None if hold.good_at_end() => End::Unproven,
        None => End::Never,
    };
    found.bad_requests = judged[..back.unwrap_or(judged.len())].iter().map(|(window, _)| bad(window)).sum();
    found.held = back.map_or(0, |index| hold.windows(index).iter().map(|(window, _)| window.planned).sum());
    explain(found, budget);
}

fn explain(found: &mut Recovery, budget: &Budget) {
    match found.end {
        End::Recovered if found.held < found.needed => found.notes.push(format!(
            "{} requests in the hold do not show that errors are below {} %: it takes {}, so hold longer or send more",
            found.held,
            budget.errors * 100.0,
            found.needed
        )),
        End::Unproven => found.notes.push(format!(
            "it was good again, but the watch ended before it had held for {:?}: leave more time after the fault",
            budget.hold
        )),
        End::Never => found.notes.push(format!("it took longer than the {:?} it was watched", found.watched)),
        _ => {}
    }
}

/// Looks for the first window from which on all is well for long enough.
struct Hold<'a> {
    judged: &'a [(&'a Window, Condition)],
    until: Duration,
    hold: Duration,
    forgiven: f64,
}

impl Hold<'_> {
    fn first_from(&self, from: usize) -> Option<usize> {
        (from..self.judged.len()).find(|index| self.holds(*index))
    }

    fn holds(&self, index: usize) -> bool {
        let (window, condition) = self.judged[index];
        if condition != Condition::Good || begin(window) + self.hold > self.until {
            return false;
        }
        let held = self.windows(index);
        let bad = held.iter().filter(|(_, condition)| *condition == Condition::Bad).count();
        bad <= (self.forgiven * held.len() as f64).floor() as usize
    }

    /// The windows that begin within the hold from this one on.
    fn windows(&self, index: usize) -> &[(&Window, Condition)] {
        let end = begin(self.judged[index].0) + self.hold;
        let count = self.judged[index..].iter().take_while(|(window, _)| begin(window) < end).count();
        &self.judged[index..index + count]
    }

    fn good_at_end(&self) -> bool {
        self.judged
            .iter()
            .rev()
            .find(|(_, condition)| *condition != Condition::Silent)
            .is_some_and(|(_, condition)| *condition == Condition::Good)
    }
}

fn spread(times: impl Iterator<Item = Duration>) -> Option<Spread> {
    let mut times: Vec<Duration> = times.collect();
    times.sort_unstable();
    Some(Spread { median: *times.get(times.len() / 2)?, max: *times.last()? })
}

fn bad(window: &Window) -> u64 {
    window.errors + window.timeouts + window.not_started
}

fn begin(window: &Window) -> Duration {
    Duration::from_millis(window.start_ms)
}

fn length(window: &Window) -> Duration {
    Duration::from_millis(window.length_ms)
}

fn end(window: &Window) -> Duration {
    begin(window) + length(window)
}

#[cfg(test)]
mod tests;
