//! Up or down, from the results of checks.

use std::time::Duration;

/// The shortest time between two checks of one endpoint.
const INTERVAL_MIN: Duration = Duration::from_millis(1);

/// How results become states, and when the next check is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Successes in a row that bring an endpoint back. 0 counts as 1.
    pub rise: u32,
    /// Failures in a row that take it out. 0 counts as 1.
    pub fall: u32,
    /// Between two checks, give or take a tenth.
    pub interval: Duration,
    /// The same while it is not decided how an endpoint is. More than `interval` counts as that.
    pub fast_interval: Duration,
}

/// What is known of an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum State {
    /// Nothing yet.
    #[default]
    Unchecked,
    /// It answers.
    Up,
    /// It does not.
    Down,
}

impl State {
    /// The word for people and labels.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unchecked => "unchecked",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// The health of one endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    state: State,
    /// Results in a row that speak against the state; failures if there is none yet.
    against: u32,
}

impl Health {
    /// Nothing is known yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { state: State::Unchecked, against: 0 }
    }

    /// Taken to be up, as it was before or because it is not checked.
    #[must_use]
    pub const fn up() -> Self {
        Self { state: State::Up, against: 0 }
    }

    /// What is known.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// A check has ended. The new state if it is another one now.
    ///
    /// The first success of an endpoint that has never been up or down decides: waiting for more would make every
    /// start longer. Failures have to be `fall` in a row, then as ever; successes of one that is down, `rise`.
    pub fn record(&mut self, rules: &Rules, ok: bool) -> Option<State> {
        let (needed, next) = match (self.state, ok) {
            (State::Up, true) | (State::Down, false) => {
                self.against = 0;
                return None;
            }
            (State::Unchecked, true) => (1, State::Up),
            (State::Down, true) => (rules.rise, State::Up),
            (State::Unchecked | State::Up, false) => (rules.fall, State::Down),
        };
        self.against = self.against.saturating_add(1);
        if self.against < needed {
            return None;
        }
        *self = Self { state: next, against: 0 };
        Some(next)
    }

    /// How long to wait before the next check: `interval`, or `fast_interval` while the last results speak
    /// against the state or there is none, times 0.9 to 1.1 as `random` (any number) has it. At least a
    /// millisecond.
    #[must_use]
    pub fn next_in(&self, rules: &Rules, random: u64) -> Duration {
        let is_decided = self.state != State::Unchecked && self.against == 0;
        let wait = if is_decided { rules.interval } else { rules.fast_interval.min(rules.interval) };
        let nanos = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        let least = nanos - nanos / 10;
        let spread = ((u128::from(random) * u128::from(nanos / 5)) >> 64) as u64;
        Duration::from_nanos(least.saturating_add(spread)).max(INTERVAL_MIN)
    }
}
