//! What a user knows while it runs a scenario: variables, a feeder's row, what was captured.

use std::sync::Arc;
use std::time::Duration;

use forebay_base::seed::Random;

/// Longest value that is kept, in bytes: many users at once each keep theirs.
pub const VALUE_MAX: usize = 64 << 10;

/// The values of one user. Memory is kept from one run of a scenario to the next.
#[derive(Clone, Debug)]
pub struct Variables {
    /// The plan's, the same for all users.
    shared: Arc<[(String, String)]>,
    /// Captured or fed; they hide shared ones. At most as many as captures and columns have names.
    own: Vec<Slot>,
    user: u64,
    iteration: u64,
    now: Duration,
    random: Random,
}

#[derive(Clone, Debug)]
struct Slot {
    name: Box<str>,
    value: Vec<u8>,
    /// Has been given a value in this run of the scenario.
    set: bool,
}

impl Variables {
    /// A user that has done nothing yet. `random` is the user's own: whatever it asks by chance follows from it.
    #[must_use]
    pub const fn new(shared: Arc<[(String, String)]>, user: u64, random: Random) -> Self {
        Self { shared, own: Vec::new(), user, iteration: 0, now: Duration::ZERO, random }
    }

    /// Begins a run of a scenario: what was captured and fed in the last one is forgotten. `iteration` is its
    /// number, `now` its planned start since 1970.
    pub fn begin(&mut self, iteration: u64, now: Duration) {
        self.iteration = iteration;
        self.now = now;
        for slot in &mut self.own {
            slot.set = false;
        }
    }

    /// Gives a name a value, at most `VALUE_MAX` bytes of it.
    pub fn set(&mut self, name: &str, value: &[u8]) {
        let value = &value[..value.len().min(VALUE_MAX)];
        if let Some(slot) = self.own.iter_mut().find(|slot| &*slot.name == name) {
            slot.value.clear();
            slot.value.extend_from_slice(value);
            slot.set = true;
        } else {
            self.own.push(Slot { name: name.into(), value: value.to_vec(), set: true });
        }
    }

    /// The value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let own = self.own.iter().find(|slot| slot.set && &*slot.name == name);
        own.map(|slot| slot.value.as_slice()).or_else(|| {
            self.shared.iter().find(|(shared, _)| shared == name).map(|(_, value)| value.as_bytes())
        })
    }

    /// The number of the user.
    #[must_use]
    pub const fn user(&self) -> u64 {
        self.user
    }

    /// The number of the run of a scenario.
    #[must_use]
    pub const fn iteration(&self) -> u64 {
        self.iteration
    }

    /// When the run of the scenario was to start, since 1970.
    #[must_use]
    pub const fn now(&self) -> Duration {
        self.now
    }

    /// The user's own source of chance.
    pub const fn random(&mut self) -> &mut Random {
        &mut self.random
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables {
        let shared = [("base".to_owned(), "v1".to_owned())];
        Variables::new(shared.into(), 7, Random::from_seed(1))
    }

    #[test]
    fn a_captured_value_hides_the_plans_until_the_next_run() {
        let mut variables = variables();
        variables.set("base", b"v2");
        variables.set("token", b"abc");
        assert_eq!(variables.get("base"), Some(&b"v2"[..]));
        assert_eq!(variables.get("token"), Some(&b"abc"[..]));
        variables.begin(1, Duration::from_secs(5));
        assert_eq!(variables.get("base"), Some(&b"v1"[..]));
        assert_eq!(variables.get("token"), None);
        assert_eq!((variables.user(), variables.iteration(), variables.now().as_secs()), (7, 1, 5));
    }

    #[test]
    fn a_monstrous_value_is_cut() {
        let mut variables = variables();
        variables.set("token", &vec![b'x'; VALUE_MAX + 1]);
        assert_eq!(variables.get("token").map(<[u8]>::len), Some(VALUE_MAX));
    }
}
