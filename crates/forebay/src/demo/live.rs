//! Traffic as it goes: a table that is redrawn on a terminal, else a line each second.

mod block;

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::figures::{count, latency, rate, share};
use super::tally::Tally;
use super::traffic::Traffic;
use crate::app::Signals;
use crate::commands::Output;
use block::Block;

/// The table is drawn this often; two of these are the window of its rates.
const REDRAW: Duration = Duration::from_millis(500);
/// Above either.
const TITLE: &str = "Traffic, until Ctrl-C or its time is up";
/// Between two lines where there is no terminal.
const LINE: Duration = Duration::from_secs(1);

/// Shows traffic until it is over. Returns whether a signal ended it.
///
/// # Errors
/// Nothing can be written any more.
pub(crate) async fn follow(
    out: &mut Output<'_>,
    traffic: &mut Traffic,
    signals: &mut Signals,
) -> anyhow::Result<bool> {
    let mut block = (out.is_terminal() && block::fits()).then(Block::default);
    if block.is_none() {
        out.line(format!("{}\n", out.bold(TITLE)))?;
    }
    let mut ticks = tokio::time::interval(if block.is_some() { REDRAW } else { LINE });
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    // The first tick is at once.
    ticks.tick().await;
    let mut moments = Moments::default();
    moments.add(Duration::ZERO, Tally::default());
    let mut interrupted = false;
    loop {
        let over = tokio::select! {
            () = traffic.ended() => true,
            _ = ticks.tick() => false,
            _ = signals.next(), if !interrupted => {
                interrupted = true;
                traffic.stop();
                continue;
            }
        };
        moments.add(traffic.elapsed(), traffic.tally());
        match &mut block {
            // The closing table takes its place.
            Some(block) if over => block.clear(out)?,
            Some(block) => block.draw(out, &moments, traffic.length())?,
            None if over => {}
            None => out.line(line(&moments))?,
        }
        if over {
            return Ok(interrupted);
        }
    }
}

/// The last moments traffic was looked at.
#[derive(Debug, Default)]
struct Moments(VecDeque<(Duration, Tally)>);

impl Moments {
    /// Kept: for a window of two ticks.
    const MAX: usize = 3;

    fn add(&mut self, at: Duration, tally: Tally) {
        self.0.truncate(Self::MAX - 1);
        self.0.push_front((at, tally));
    }

    fn newest(&self) -> &(Duration, Tally) {
        self.0.front().expect("there is one from the beginning")
    }

    /// The moment `steps` before the newest, or the oldest there is.
    fn before(&self, steps: usize) -> &(Duration, Tally) {
        self.0.get(steps).or(self.0.back()).expect("there is one from the beginning")
    }
}

/// What happened since the last line, and how many requests there have been in all.
fn line(moments: &Moments) -> String {
    let ((at, tally), (before, earlier)) = (moments.newest(), moments.before(1));
    let total = tally.total();
    let recent = total.since(&earlier.total());
    let quantile = |q| latency(recent.durations.quantile(q));
    format!(
        "{:>4} s {:>9} requests {:>4}/s  p50 {:>6}  p95 {:>6}  p99 {:>6}  errors {:>5}",
        at.as_secs(),
        count(total.requests()),
        rate(recent.requests(), at.saturating_sub(*before).as_secs_f64()),
        quantile(0.5),
        quantile(0.95),
        quantile(0.99),
        share(recent.errors(), recent.requests()),
    )
}
