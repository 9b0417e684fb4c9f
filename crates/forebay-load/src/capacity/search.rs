//! Which rate to try next.

use std::time::Duration;

use super::{Capacity, Done, End, Next, Phase, Settings, Step, StepResult, StepState, report};

/// A search for the highest rate that holds.
#[derive(Clone, Debug)]
pub struct Search {
    settings: Settings,
    /// At most `Settings::steps_max`.
    done: Vec<Done>,
    /// Highest rate that held, and below any that did not.
    held: Option<f64>,
    /// Lowest rate that did not hold.
    missed: Option<f64>,
    /// How often `held` was confirmed.
    confirmed: u32,
    /// How often that was tried.
    confirms: u32,
    next: Try,
    end: End,
}

/// What is tried next.
#[derive(Clone, Copy, Debug)]
struct Try {
    rate: f64,
    phase: Phase,
    retry: bool,
    /// How many times the usual length.
    stretch: u32,
}

impl Search {
    /// A search that has not begun.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub fn new(settings: Settings) -> Result<Self, String> {
        settings.check()?;
        let next = Try { rate: settings.start_rate, phase: Phase::Double, retry: false, stretch: 1 };
        Ok(Self {
            settings,
            done: Vec::new(),
            held: None,
            missed: None,
            confirmed: 0,
            confirms: 0,
            next,
            end: End::Running,
        })
    }

    /// What to do next; the same until `record` is called.
    #[must_use]
    pub fn next(&self) -> Next {
        if self.end != End::Running {
            return Next::Done;
        }
        let Try { rate, phase, retry, .. } = self.next;
        let after_miss = self.done.last().is_some_and(|done| done.result.state != StepState::Held);
        Next::Run(Step {
            rate,
            rest: if after_miss { self.settings.cooldown } else { Duration::ZERO },
            settle: self.settings.settle,
            length: self.length(),
            phase,
            retry,
        })
    }

    /// Takes what came of the step at `rate` that `next` asked for. Once the search is over, nothing.
    pub fn record(&mut self, rate: f64, result: StepResult) {
        if self.end != End::Running {
            return;
        }
        let Try { phase, retry, .. } = self.next;
        let (state, length) = (result.state, self.length());
        self.done.push(Done { rate, phase, length, result });
        self.confirms += u32::from(phase == Phase::Confirm);
        match state {
            StepState::Held => self.on_held(rate, phase),
            // Once may be chance, or a neighbour on the machine. What was unclear gets more samples.
            _ if !retry => {
                self.next.retry = true;
                self.next.stretch = if state == StepState::Unclear { 2 } else { 1 };
            }
            StepState::Generator => self.end = End::GeneratorLimit,
            // Who answers nothing but failures, and that at once, does so at half the rate as well.
            StepState::Missed if self.held.is_none() && self.only_failures() => {
                self.missed = Some(rate);
                self.end = End::NothingHeld;
            }
            StepState::Missed | StepState::Unclear => self.on_missed(rate, phase),
        }
        if self.end == End::Running && self.done.len() >= self.settings.steps_max {
            self.end = End::StepsMax;
        }
    }

    /// What was found so far.
    #[must_use]
    pub fn capacity(&self) -> Capacity {
        let Self { settings, done, held, missed, confirmed, confirms, next: _, end } = self;
        report::capacity(
            settings,
            done,
            report::Bounds {
                held: *held,
                missed: *missed,
                confirmed: *confirmed,
                confirms: *confirms,
                end: *end,
            },
        )
    }

    /// Whether of the last two steps not one request was ok, though all were answered in time.
    fn only_failures(&self) -> bool {
        let failed = |done: &Done| done.result.run.errors >= 1.0 && !done.result.run.cut_short;
        self.done.iter().rev().take(2).all(failed)
    }

    fn on_held(&mut self, rate: f64, phase: Phase) {
        if phase == Phase::Confirm {
            self.confirmed += 1;
        } else {
            self.held = Some(rate);
            (self.confirmed, self.confirms) = (0, 0);
        }
        match phase {
            Phase::Double if rate < self.settings.max_rate => {
                self.go((2.0 * rate).min(self.settings.max_rate), Phase::Double);
            }
            Phase::Double => self.go(rate, Phase::Confirm),
            Phase::Halve | Phase::Bisect => self.narrow(),
            Phase::Confirm if self.confirmed < self.settings.confirm => self.go(rate, Phase::Confirm),
            Phase::Confirm => self.end = if self.missed.is_some() { End::Found } else { End::MaxRate },
        }
    }

    fn on_missed(&mut self, rate: f64, phase: Phase) {
        self.missed = Some(rate);
        if phase == Phase::Confirm {
            // It held by luck. Whatever held below it is what is left.
            (self.confirmed, self.confirms) = (0, 0);
            self.held = self.highest_held_below(rate);
        }
        self.narrow();
    }

    /// Goes on between what held and what did not.
    fn narrow(&mut self) {
        let Some(missed) = self.missed else {
            return self.go(self.settings.max_rate, Phase::Double);
        };
        match self.held {
            Some(held) if (missed - held) / missed <= self.settings.precision => {
                self.go(held, Phase::Confirm)
            }
            Some(held) => self.go(held.midpoint(missed), Phase::Bisect),
            None if missed <= self.settings.min_rate => self.end = End::NothingHeld,
            None => self.go((missed / 2.0).max(self.settings.min_rate), Phase::Halve),
        }
    }

    fn go(&mut self, rate: f64, phase: Phase) {
        self.next = Try { rate, phase, retry: false, stretch: 1 };
    }

    fn highest_held_below(&self, rate: f64) -> Option<f64> {
        let held = self.done.iter().filter(|done| done.result.state == StepState::Held && done.rate < rate);
        held.map(|done| done.rate).reduce(f64::max)
    }

    /// Long enough for every SLO to pass, were all well.
    fn length(&self) -> Duration {
        let Settings { step_min, step_max, ref slos, .. } = self.settings;
        let samples = slos.iter().map(super::Threshold::samples_min).max().unwrap_or(1);
        // A few more than needed, as arrivals by chance may be fewer.
        let seconds = (1.1 * samples as f64 / self.next.rate).min(step_max.as_secs_f64());
        (Duration::from_secs_f64(seconds).max(step_min) * self.next.stretch).min(step_max)
    }
}
