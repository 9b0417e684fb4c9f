//! Delays by request number: spread out, and yet every percentile is known beforehand.

use std::time::Duration;

/// Steps by which a ladder is walked, so that neighbours in time are not neighbours in length. A prime, and so
/// without a common factor with any shorter ladder that is not a multiple of it.
const STRIDE: u64 = 7919;

/// A delay for each request number.
#[derive(Clone, Debug, PartialEq)]
pub enum Delays {
    /// Always the same.
    Fixed(Duration),
    /// `rungs` delays evenly from `from` to `to`, each once in every `rungs` requests, in mixed order.
    Ladder {
        /// The shortest.
        from: Duration,
        /// The longest.
        to: Duration,
        /// How many different ones; 2 or more, and no multiple of 7919.
        rungs: u32,
    },
    /// The first of each `every` requests gets `slow`, the others `fast`.
    Mixed {
        /// Most of them.
        fast: Duration,
        /// The exception.
        slow: Duration,
        /// 1 or more.
        every: u64,
    },
}

impl Delays {
    /// The delay of request `number`.
    #[must_use]
    pub fn of(&self, number: u64) -> Duration {
        match *self {
            Self::Fixed(delay) => delay,
            Self::Ladder { from, to, rungs } => {
                let rung = (number % u64::from(rungs)) * STRIDE % u64::from(rungs);
                from + (to - from).mul_f64(rung as f64 / f64::from(rungs - 1))
            }
            Self::Mixed { fast, slow, every } => {
                if number.is_multiple_of(every) {
                    slow
                } else {
                    fast
                }
            }
        }
    }

    /// The least delay that at least the share `quantile` of the first `count` requests do not exceed.
    #[must_use]
    pub fn quantile(&self, quantile: f64, count: u64) -> Duration {
        let mut all: Vec<Duration> = (0..count).map(|number| self.of(number)).collect();
        all.sort_unstable();
        let rank = (quantile * count as f64).ceil() as usize;
        all.get(rank.clamp(1, all.len().max(1)) - 1).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_ladder_has_each_rung_once_in_a_round() {
        let ladder = Delays::Ladder { from: ms(1), to: ms(100), rungs: 100 };
        let mut round: Vec<Duration> = (300..400).map(|number| ladder.of(number)).collect();
        assert_ne!(round[0] + ms(1), round[1], "neighbours in time are not neighbours in length");
        round.sort_unstable();
        let rungs: Vec<u128> = round.iter().map(|delay| (delay.as_micros() + 500) / 1000).collect();
        assert_eq!(rungs, (1..=100).collect::<Vec<u128>>());
    }

    #[test]
    fn quantiles_are_those_of_the_numbers_so_far() {
        let mixed = Delays::Mixed { fast: ms(5), slow: ms(80), every: 50 };
        assert_eq!(mixed.quantile(0.5, 1000), ms(5));
        assert_eq!(mixed.quantile(0.98, 1000), ms(5));
        assert_eq!(mixed.quantile(0.99, 1000), ms(80));
        let ladder = Delays::Ladder { from: ms(1), to: ms(100), rungs: 100 };
        assert_eq!(ladder.quantile(0.99, 1000), ms(99));
        assert_eq!(Delays::Fixed(ms(3)).quantile(0.0, 1), ms(3));
        assert_eq!(Delays::Fixed(ms(3)).quantile(0.5, 0), ms(0));
    }
}
