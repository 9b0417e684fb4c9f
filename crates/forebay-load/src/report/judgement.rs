//! The verdict as reports show it: a word, reasons, and a row for each threshold.

use crate::outcome::Outcome;
use crate::threshold::{self, Judged};
use crate::verdict::{Kind, Verdict};

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Pass,
    Fail,
    /// Too little was seen to say, or what was seen lies too close to the limit.
    Inconclusive,
    /// The generator itself did not do what it was to do: nothing else means anything.
    Invalid,
}

/// A verdict.
#[derive(Clone, Debug)]
pub(crate) struct Judgement {
    pub(crate) state: State,
    /// Why, most important first.
    pub(crate) reasons: Vec<String>,
    pub(crate) thresholds: Vec<Row>,
    /// Somebody ended the run before its time.
    interrupted: bool,
    /// It is worse than the saved runs it was compared with.
    worse: bool,
}

/// A threshold and what was seen.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// As the plan says it.
    pub(crate) text: String,
    /// What was measured, with its unit.
    pub(crate) observed: String,
    /// What the true value lies between, if that can be told.
    pub(crate) interval: Option<String>,
    pub(crate) samples: u64,
    pub(crate) state: State,
    /// Nobody asked for it.
    pub(crate) implied: bool,
    /// Why, if there is more to say than the numbers do.
    pub(crate) why: String,
}

impl Judgement {
    pub(crate) fn of(outcome: &Outcome) -> Self {
        let Verdict { kind, reasons, thresholds, trends: _, baseline } = &outcome.verdict;
        let state = match kind {
            Kind::Pass => State::Pass,
            Kind::Fail => State::Fail,
            Kind::Inconclusive => State::Inconclusive,
            Kind::Invalid => State::Invalid,
        };
        Self {
            state,
            reasons: reasons.clone(),
            thresholds: thresholds.iter().map(Row::of).collect(),
            interrupted: outcome.interrupted,
            worse: baseline.as_ref().is_some_and(|gate| gate.kind == Kind::Fail),
        }
    }

    /// What the word means of this run, for people who see it for the first time.
    pub(crate) fn meaning(&self) -> &'static str {
        let any = |state: State| self.thresholds.iter().any(|row| row.state == state);
        match self.state {
            State::Pass if self.thresholds.iter().all(|row| row.implied) => {
                "the run was valid and requests were answered; nothing else was asked of it"
            }
            State::Pass => "every threshold holds, with enough samples to say so",
            State::Fail if any(State::Fail) => "at least one threshold does not hold",
            State::Fail if self.worse => "it is worse than the saved runs it was compared with",
            State::Fail => "something was seen that must not be, whatever the thresholds",
            State::Inconclusive if self.interrupted && !any(State::Inconclusive) => {
                "what was seen is well, but a part of a run is never a pass"
            }
            State::Inconclusive if !any(State::Inconclusive) => "there was nothing to judge",
            State::Inconclusive => "not enough was seen to say whether every threshold holds",
            State::Invalid => {
                "the generator itself could not keep to the plan: the numbers say more about it than about the target"
            }
        }
    }
}

impl Row {
    fn of(judged: &Judged) -> Self {
        Self {
            text: judged.threshold.clone(),
            observed: judged.observed.replace(">= ", "≥ "),
            interval: judged.interval_text(),
            samples: judged.samples,
            state: match judged.state {
                threshold::State::Passed => State::Pass,
                threshold::State::Failed => State::Fail,
                threshold::State::Inconclusive => State::Inconclusive,
            },
            implied: judged.implied,
            why: judged.why.clone(),
        }
    }
}

impl State {
    /// Every state.
    pub(crate) const ALL: [Self; 4] = [Self::Pass, Self::Fail, Self::Inconclusive, Self::Invalid];

    /// `PASS`, as it stands first in reports.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Inconclusive => "INCONCLUSIVE",
            Self::Invalid => "INVALID",
        }
    }

    /// `pass`, as machines read it.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
            Self::Invalid => "invalid",
        }
    }
}
