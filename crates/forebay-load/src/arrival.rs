//! When requests are meant to start: the plan's stages as instants, one after another, in constant memory.
//!
//! The number of arrivals until a moment is the integral of the rate; arrival `k` is where that integral
//! reaches `k` (evenly spread), or where it reaches the sum of `k + 1` exponential gaps (by chance: a Poisson
//! process of the same rate). Any two cursors of one schedule give the same instants, so that whoever paces
//! and whoever sends need not hand instants to each other.

use std::sync::Arc;
use std::time::Duration;

use forebay_base::seed::Random;

use crate::plan::{self, Arrivals, Model, Plan, Stage};

/// Rounding of the sum of arrivals: far less than one, far more than what 64-bit numbers lose.
const ROUNDING: f64 = 1e-6;
/// Keeps the choices of sessions apart from the gaps between them.
const CHOICES: u64 = 0x5e55_1055_0000_0001;

/// A planned start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Planned {
    /// Which one, from 0.
    pub(crate) index: u64,
    /// When, after the start of the run.
    pub(crate) at: Duration,
    /// The scenario, where the plan says it for each arrival.
    pub(crate) scenario: Option<u32>,
}

/// Planned starts in order.
#[derive(Clone, Debug)]
pub(crate) struct Cursor {
    next: u64,
    source: Source,
}

#[derive(Clone, Debug)]
enum Source {
    Rate { rate: Rate, gaps: Option<Random>, reached: f64 },
    Recorded(Arc<[plan::Arrival]>),
}

/// The rate over time, and its integral.
#[derive(Clone, Debug)]
struct Rate {
    pieces: Arc<[Piece]>,
    /// The piece of the last arrival; arrivals only go on.
    piece: usize,
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    /// Arrivals before it.
    before: f64,
    /// Arrivals in it.
    count: f64,
    /// Seconds before it.
    start: f64,
    /// Seconds it lasts.
    length: f64,
    from: f64,
    to: f64,
}

impl Cursor {
    /// From the first arrival of an open plan; a closed one has none.
    pub(crate) fn new(plan: &Plan) -> Self {
        Self::of(&plan.model, &plan.stages, plan.seed)
    }

    /// From the first arrival of a model.
    pub(crate) fn of(model: &Model, stages: &[Stage], seed: u64) -> Self {
        let source = match model {
            Model::Recorded(arrivals) => Source::Recorded(Arc::clone(arrivals)),
            Model::Closed { .. } => Source::Recorded(Arc::from([])),
            Model::Open(arrivals) => Source::Rate {
                rate: Rate::new(stages),
                gaps: (*arrivals == Arrivals::Poisson).then(|| Random::from_seed(seed)),
                reached: 0.0,
            },
        };
        Self { next: 0, source }
    }
}

impl Iterator for Cursor {
    type Item = Planned;

    fn next(&mut self) -> Option<Planned> {
        let index = self.next;
        let planned = match &mut self.source {
            Source::Recorded(arrivals) => {
                let arrival = arrivals.get(usize::try_from(index).ok()?)?;
                Planned { index, at: arrival.at, scenario: Some(arrival.scenario) }
            }
            Source::Rate { rate, gaps, reached } => {
                if let Some(gaps) = gaps {
                    *reached += exponential(gaps);
                }
                let at = rate.when(*reached)?;
                if gaps.is_none() {
                    *reached += 1.0;
                }
                Planned { index, at, scenario: None }
            }
        };
        self.next += 1;
        Some(planned)
    }
}

impl Rate {
    fn new(stages: &[Stage]) -> Self {
        let (mut before, mut start) = (0.0, 0.0);
        let pieces = stages.iter().map(|stage| {
            let Stage { length, from, to, .. } = stage;
            let length = length.as_secs_f64();
            let count = (from + to) / 2.0 * length;
            let piece = Piece { before, count, start, length, from: *from, to: *to };
            before += count;
            start += length;
            piece
        });
        Self { pieces: pieces.collect(), piece: 0 }
    }

    /// When the integral of the rate reaches `count`, which is never less than before; `None`: never.
    fn when(&mut self, count: f64) -> Option<Duration> {
        loop {
            let piece = self.pieces.get(self.piece)?;
            if count - piece.before < piece.count - ROUNDING {
                return Some(Duration::from_secs_f64(piece.start + piece.when(count - piece.before)));
            }
            self.piece += 1;
        }
    }
}

impl Piece {
    /// Seconds after its beginning when `count` of its arrivals have come.
    fn when(&self, count: f64) -> f64 {
        if count <= 0.0 {
            return 0.0;
        }
        // The root of `from t + (to - from) t^2 / 2 length = count`, in the form that loses no digits.
        let slope = (self.to - self.from) / self.length;
        let root = (self.from * self.from + 2.0 * slope * count).max(0.0).sqrt();
        (2.0 * count / (self.from + root)).clamp(0.0, self.length)
    }
}

/// A gap with mean 1.
fn exponential(random: &mut Random) -> f64 {
    -(1.0 - unit(random)).ln()
}

/// From 0 to below 1.
#[expect(clippy::cast_precision_loss, reason = "53 bits are exact")]
fn unit(random: &mut Random) -> f64 {
    (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// The choices by chance of session `index`: the same for the same seed, whoever runs it and when.
pub(crate) fn choices(seed: u64, index: u64) -> Random {
    let mut mixed = Random::from_seed(seed ^ CHOICES);
    let base = mixed.next_u64();
    let mut own = Random::from_seed(base.wrapping_add(index.wrapping_mul(0xd134_2543_de82_ef95)));
    Random::from_seed(own.next_u64())
}

/// The instant from which on, at or after `now`, a closed model's user number `user` (from 0) is wanted;
/// `None`: no more.
pub(crate) fn wanted(stages: &[Stage], user: f64, now: Duration) -> Option<Duration> {
    let mut start = Duration::ZERO;
    for stage in stages {
        let end = start + stage.length;
        if now < end {
            let into = now.saturating_sub(start);
            if let Some(after) = wanted_in(stage, user, into) {
                return Some(start + after);
            }
        }
        start = end;
    }
    None
}

fn wanted_in(stage: &Stage, user: f64, into: Duration) -> Option<Duration> {
    let share = into.as_secs_f64() / stage.length.as_secs_f64();
    let level = stage.from + (stage.to - stage.from) * share;
    // Half a user more: a ramp from 0 to 10 has its tenth user when it is at 9.5, and 3 users are 0, 1 and 2.
    if level > user + 0.5 - ROUNDING {
        return Some(into);
    }
    if stage.to <= user + 0.5 {
        return None;
    }
    let at = (user + 0.5 - stage.from) / (stage.to - stage.from);
    Some(stage.length.mul_f64(at.clamp(0.0, 1.0)).max(into)).filter(|at| *at < stage.length)
}

/// The stage a moment belongs to; what is planned after the last one belongs to the last.
pub(crate) fn stage_of(stages: &[Stage], at: Duration) -> usize {
    let mut end = Duration::ZERO;
    for (index, stage) in stages.iter().enumerate() {
        end += stage.length;
        if at < end {
            return index;
        }
    }
    stages.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(seconds: u64, from: f64, to: f64) -> Stage {
        Stage { name: String::new(), length: Duration::from_secs(seconds), from, to, warmup: false }
    }

    fn instants(stages: &[Stage], poisson: Option<u64>) -> Vec<f64> {
        let source =
            Source::Rate { rate: Rate::new(stages), gaps: poisson.map(Random::from_seed), reached: 0.0 };
        Cursor { next: 0, source }.map(|planned| planned.at.as_secs_f64()).collect()
    }

    #[test]
    fn a_constant_rate_is_evenly_spread_and_exact() {
        let instants = instants(&[stage(30, 2_000.0, 2_000.0)], None);
        assert_eq!(instants.len(), 60_000);
        for (index, at) in instants.iter().enumerate() {
            assert!((at - index as f64 / 2_000.0).abs() < 1e-6, "{index}: {at}");
        }
    }

    #[test]
    fn a_ramp_has_as_many_arrivals_as_its_area_and_reaches_its_rate() {
        let instants = instants(&[stage(10, 0.0, 100.0)], None);
        assert_eq!(instants.len(), 500);
        let last_second = instants.iter().filter(|at| **at >= 9.0).count();
        assert_eq!(last_second, 95);
    }

    #[test]
    fn stages_follow_each_other_without_a_gap() {
        let stages = [stage(2, 10.0, 10.0), stage(1, 0.0, 0.0), stage(2, 10.0, 30.0), stage(1, 5.0, 5.0)];
        let instants = instants(&stages, None);
        assert_eq!(instants.len(), 20 + 40 + 5);
        assert!(instants.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(!instants.iter().any(|at| (2.0..3.0).contains(at)));
    }

    #[test]
    fn rates_that_are_no_whole_numbers_lose_nothing() {
        for (rate, count) in [(0.1, 1), (3.3, 33), (333.3, 3_333), (99_999.9, 999_999)] {
            assert_eq!(instants(&[stage(10, rate, rate)], None).len(), count, "{rate}");
        }
    }

    #[test]
    fn chance_keeps_the_rate_and_follows_the_seed() {
        let stages = [stage(100, 100.0, 100.0)];
        let instants_7 = instants(&stages, Some(7));
        assert!((9_700..10_300).contains(&instants_7.len()), "{}", instants_7.len());
        assert_eq!(instants_7, instants(&stages, Some(7)));
        assert_ne!(instants_7, instants(&stages, Some(8)));
        // The gaps of a Poisson process vary as much as they are long.
        let gaps: Vec<f64> = instants_7.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((0.9..1.1).contains(&(variance.sqrt() / mean)));
    }

    #[test]
    fn users_come_and_go_with_the_level() {
        let stages = [stage(10, 0.0, 10.0), stage(10, 10.0, 10.0), stage(10, 10.0, 0.0)];
        let at = |user: f64, now: f64| {
            wanted(&stages, user, Duration::from_secs_f64(now)).map(|at| at.as_secs_f64())
        };
        assert_eq!(at(0.0, 0.0), Some(0.5));
        assert_eq!(at(9.0, 0.0), Some(9.5));
        assert_eq!(at(9.0, 15.0), Some(15.0));
        assert_eq!(at(9.0, 21.0), None);
        assert_eq!(at(0.0, 29.0), Some(29.0));
        assert_eq!(at(0.0, 30.0), None);
        assert_eq!(at(10.0, 0.0), None);
    }

    #[test]
    fn constant_users_are_there_from_the_start() {
        let stages = [stage(1, 3.0, 3.0)];
        let wanted: Vec<_> = (0..4).map(|user| wanted(&stages, f64::from(user), Duration::ZERO)).collect();
        assert_eq!(wanted, [Some(Duration::ZERO), Some(Duration::ZERO), Some(Duration::ZERO), None]);
    }

    #[test]
    fn every_moment_has_a_stage() {
        let stages = [stage(2, 1.0, 1.0), stage(2, 1.0, 1.0)];
        let of = |millis| stage_of(&stages, Duration::from_millis(millis));
        assert_eq!([of(0), of(1_999), of(2_000), of(3_999), of(4_000), of(99_000)], [0, 0, 1, 1, 1, 1]);
    }
}
