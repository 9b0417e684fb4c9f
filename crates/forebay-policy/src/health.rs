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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: Rules = Rules {
        rise: 2,
        fall: 3,
        interval: Duration::from_secs(2),
        fast_interval: Duration::from_millis(250),
    };

    /// The states after each of these results: `+` or `-`; then `?`, `U` or `D`, in lower case if the last
    /// results speak against it.
    fn check(mut health: Health, results: &str, expected: &str) {
        let states = results.chars().map(|result| {
            let before = health.state();
            let changed = health.record(&RULES, result == '+');
            assert_eq!(changed, Some(health.state()).filter(|state| *state != before));
            let is_fast = health.next_in(&RULES, 0) < Duration::from_secs(1);
            match (health.state(), is_fast) {
                (State::Unchecked, _) => '?',
                (State::Up, false) => 'U',
                (State::Up, true) => 'u',
                (State::Down, false) => 'D',
                (State::Down, true) => 'd',
            }
        });
        assert_eq!(states.collect::<String>(), expected, "{results}");
    }

    #[test]
    fn so_many_in_a_row_decide() {
        check(Health::up(), "+---", "UuuD");
        check(Health::up(), "--+--+", "uuUuuU");
        check(Health::up(), "---++", "uuDdU");
        check(Health::up(), "---+-+-++", "uuDdDdDdU");
    }

    #[test]
    fn the_first_success_decides_and_failures_as_ever() {
        check(Health::new(), "+", "U");
        check(Health::new(), "---+", "??Dd");
        check(Health::new(), "--+", "??U");
    }

    #[test]
    fn thresholds_of_zero_are_one() {
        let rules = Rules { rise: 0, fall: 0, ..RULES };
        let mut health = Health::up();
        assert_eq!(health.record(&rules, false), Some(State::Down));
        assert_eq!(health.record(&rules, true), Some(State::Up));
    }

    #[test]
    fn what_is_not_decided_is_checked_soon() {
        let wait = |health: &Health| health.next_in(&RULES, u64::MAX / 2).as_millis();
        let mut health = Health::new();
        assert_eq!(wait(&health), 249);
        health.record(&RULES, true);
        assert_eq!(wait(&health), 1_999);
        health.record(&RULES, false);
        assert_eq!(wait(&health), 249);
        // Fast never is slower than usual.
        let rules = Rules { interval: Duration::from_millis(100), ..RULES };
        assert_eq!(health.next_in(&rules, u64::MAX / 2).as_millis(), 99);
    }

    proptest! {
        #[test]
        fn waits_are_within_a_tenth_and_never_zero(interval in any::<u64>(), fast in any::<u64>(), random in any::<u64>()) {
            let rules =
                Rules { interval: Duration::from_nanos(interval), fast_interval: Duration::from_nanos(fast), ..RULES };
            for (health, expected) in [(Health::up(), interval), (Health::new(), fast.min(interval))] {
                let wait = health.next_in(&rules, random);
                prop_assert!(wait >= INTERVAL_MIN);
                let allowed = expected / 10 + 1_000_000;
                prop_assert!(wait.as_nanos().abs_diff(u128::from(expected)) <= u128::from(allowed));
            }
        }

        #[test]
        fn a_flapping_check_changes_the_state_no_more_often_than_it_may(results in prop::collection::vec(any::<bool>(), 0..200)) {
            let mut health = Health::up();
            let mut since = 0;
            for ok in results {
                since += 1;
                match health.record(&RULES, ok) {
                    Some(State::Down) => prop_assert!(since >= RULES.fall),
                    Some(State::Up) => prop_assert!(since >= RULES.rise),
                    Some(State::Unchecked) => prop_assert!(false, "it was checked"),
                    None => continue,
                }
                since = 0;
            }
        }

        #[test]
        fn so_long_a_row_decides_whatever_was_before(results in prop::collection::vec(any::<bool>(), 0..50), ok in any::<bool>()) {
            let mut health = Health::new();
            results.into_iter().for_each(|ok| {
                health.record(&RULES, ok);
            });
            (0..3).for_each(|_| {
                health.record(&RULES, ok);
            });
            prop_assert_eq!(health.state(), if ok { State::Up } else { State::Down });
        }
    }
}
