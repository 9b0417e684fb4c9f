//! Whether figures stayed the same while load did.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::outcome::{Outcome, Window};
use crate::stats;
use crate::threshold::Unit;

/// Fewest blocks of a stage that can show a drift.
const BLOCKS_MIN: usize = 10;
/// Blocks a longer stage is cut into.
const BLOCKS_MAX: usize = 20;
/// How unlikely a trend must be by chance. Three figures are looked at, and what is measured each second
/// depends on the second before: hence less than the usual 5 %.
const CHANCE_MAX: f64 = 0.01;
/// A change over the stage by less than this share of the figure is of no interest, however certain.
const CHANGE_MIN: f64 = 0.05;

/// Whether figures stayed the same within a stage of constant load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageTrend {
    /// The stage's name.
    pub stage: String,
    /// In a word.
    pub state: Steadiness,
    /// Blocks of equal length it was cut into.
    pub blocks: usize,
    /// Figures that went up or down.
    pub drifts: Vec<Drift>,
}

/// Whether figures stayed the same, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Steadiness {
    /// No figure went up or down so that one could tell.
    Steady,
    /// One did.
    Drifting,
    /// The stage was too short to tell.
    TooFewBlocks,
}

/// A figure that went up or down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// `p50`, `p99` or `throughput`.
    pub figure: String,
    /// By what share of its median it changed over the stage.
    pub change: f64,
    /// How likely so clear a trend is by chance.
    pub p: f64,
}

/// Something a window shows.
type Figure = fn(&Window) -> u64;

/// Each stage of constant load that is judged.
pub(super) fn trends(outcome: &Outcome) -> Vec<StageTrend> {
    let mut trends = Vec::new();
    let mut from = Duration::ZERO;
    for stage in &outcome.stages {
        let to = from.saturating_add(stage.length);
        if !stage.warmup && stage.from == stage.to && stage.to > 0.0 {
            let windows: Vec<&Window> =
                outcome.timeline.iter().filter(|window| is_within(window, from, to)).collect();
            trends.push(trend(&stage.name, &windows));
        }
        from = to;
    }
    trends
}

impl StageTrend {
    /// What to say of it; `None`: nothing.
    pub(super) fn sentence(&self) -> Option<String> {
        if self.state != Steadiness::Drifting {
            return None;
        }
        let each = self.drifts.iter().map(|drift| {
            let direction = if drift.change > 0.0 { "rose" } else { "fell" };
            format!("{} {direction} by {}", drift.figure, Unit::Share.show(drift.change.abs()))
        });
        let all: Vec<String> = each.collect();
        Some(format!(
            "the stage `{}` never settled: {} while load was constant, so its figures depend on how long it lasts",
            self.stage,
            all.join(", ")
        ))
    }
}

/// Whole windows only: one that overlaps the stage before shows both.
fn is_within(window: &Window, from: Duration, to: Duration) -> bool {
    let end = window.start_ms.saturating_add(window.length_ms);
    u128::from(window.start_ms) >= from.as_millis() && u128::from(end) <= to.as_millis()
}

fn trend(stage: &str, windows: &[&Window]) -> StageTrend {
    let per_block = windows.len().div_ceil(BLOCKS_MAX).max(1);
    let blocks: Vec<&[&Window]> = windows.chunks_exact(per_block).collect();
    let mut trend = StageTrend {
        stage: stage.to_owned(),
        state: Steadiness::TooFewBlocks,
        blocks: blocks.len(),
        drifts: Vec::new(),
    };
    if blocks.len() < BLOCKS_MIN {
        return trend;
    }
    let figures: [(&str, Figure); 3] = [
        ("p50", |window| window.p50_us),
        ("p99", |window| window.p99_us),
        ("throughput", |window| window.finished),
    ];
    // A block is shown by the median of its windows: their percentiles cannot be put together.
    let of = |figure: Figure| -> Vec<f64> {
        let of_block = |block: &&[&Window]| {
            stats::median(&block.iter().map(|window| figure(window) as f64).collect::<Vec<_>>())
        };
        blocks.iter().filter_map(of_block).collect()
    };
    trend.drifts = figures.into_iter().filter_map(|(name, figure)| drift(name, &of(figure))).collect();
    trend.state = if trend.drifts.is_empty() { Steadiness::Steady } else { Steadiness::Drifting };
    trend
}

fn drift(figure: &str, values: &[f64]) -> Option<Drift> {
    let p = stats::mann_kendall(values)?.p;
    let points: Vec<(f64, f64)> =
        values.iter().zip(0_u32..).map(|(value, at)| (f64::from(at), *value)).collect();
    let over_all = stats::slope(&points)?.per_unit * (values.len() - 1) as f64;
    let change = over_all / stats::median(values).filter(|middle| *middle > 0.0)?;
    (p < CHANCE_MAX && change.abs() > CHANGE_MIN).then(|| Drift { figure: figure.to_owned(), change, p })
}
