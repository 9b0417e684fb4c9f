//! How a load test is going: a picture that is redrawn on a terminal, else a line now and then.

mod block;
mod spark;

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use forebay_load::plan::{Plan, Stage};
use forebay_load::report::Ink;
use forebay_load::report::figures::{count, digits, duration_or_none, length};
use forebay_load::run::Progress;

use crate::commands::Output;
use block::Block;

/// Between two lines where there is no terminal.
const LINE: Duration = Duration::from_secs(1);
/// The same once a run has taken a minute.
const LATER_LINE: Duration = Duration::from_secs(5);
/// A minute: what pictures of the recent past show, and when lines become rarer.
const MINUTE: Duration = Duration::from_secs(60);
/// Stages that are told one by one at the start.
const STAGES_TOLD: usize = 10;
/// Moments kept: a minute of them, and some more should they come faster than twice a second.
const MOMENTS_MAX: usize = 256;

/// What a person sees while a test runs.
///
/// The terminal is never put into a state it would have to be brought back from: whenever the program ends, it
/// is as it should be.
#[derive(Debug)]
pub(super) struct View {
    name: String,
    stages: Vec<Stage>,
    /// Whether stages say arrivals per second.
    rated: bool,
    form: Form,
    recent: VecDeque<Moment>,
}

#[derive(Debug)]
enum Form {
    /// A terminal.
    Block(Block),
    /// Anything else; the next line is due then.
    Lines(Duration),
    /// A program reads what comes at the end.
    Nothing,
}

/// What is remembered of a moment.
#[derive(Clone, Copy, Debug)]
struct Moment {
    at: Duration,
    rate: f64,
    p99: Option<Duration>,
}

impl View {
    /// The view of a run of `plan`. `quiet`: nothing is shown, since a program reads.
    pub(super) fn new(plan: &Plan, out: &Output<'_>, quiet: bool) -> Self {
        let form = match quiet {
            true => Form::Nothing,
            false if out.is_terminal() => Form::Block(Block::default()),
            false => Form::Lines(LINE),
        };
        let rated = matches!(plan.model, forebay_load::plan::Model::Open(_));
        Self {
            name: forebay_load::report::shown(&plan.name),
            stages: plan.stages.clone(),
            rated,
            form,
            recent: VecDeque::new(),
        }
    }

    /// Says how long it will take, where there is no picture that does.
    ///
    /// # Errors
    /// Nothing can be written any more.
    pub(super) fn begin(&self, out: &mut Output<'_>) -> io::Result<()> {
        match self.form {
            Form::Lines(_) => out.line(self.plan_line()),
            Form::Block(_) | Form::Nothing => Ok(()),
        }
    }

    fn plan_line(&self) -> String {
        let whole: Duration = self.stages.iter().map(|stage| stage.length).sum();
        let stages: Vec<String> = self
            .stages
            .iter()
            .take(STAGES_TOLD)
            .map(|stage| format!("{} {}", forebay_load::report::shown(&stage.name), length(stage.length)))
            .collect();
        let more = if self.stages.len() > STAGES_TOLD { ", ..." } else { "" };
        format!("{} takes {}: {}{more}", self.name, length(whole), stages.join(", "))
    }

    /// Shows how it is going.
    ///
    /// # Errors
    /// Nothing can be written any more.
    pub(super) fn show(&mut self, out: &mut Output<'_>, progress: &Progress) -> io::Result<()> {
        self.remember(progress);
        match &mut self.form {
            Form::Nothing => Ok(()),
            Form::Lines(due) if progress.elapsed < *due => Ok(()),
            Form::Lines(due) => {
                let step = if progress.elapsed < MINUTE { LINE } else { LATER_LINE };
                // On whole steps, so that lines do not drift.
                *due = step * (progress.elapsed.as_secs() / step.as_secs() + 1) as u32;
                let line = line(&self.stages, progress);
                out.line(line)
            }
            Form::Block(_) => self.draw(out, progress, block::width()),
        }
    }

    /// Takes the picture away, so that the closing words stand in its place.
    ///
    /// # Errors
    /// Nothing can be written any more.
    pub(super) fn finish(self, out: &mut Output<'_>) -> io::Result<()> {
        match self.form {
            Form::Block(mut block) => block.clear(out, block::width()),
            Form::Lines(_) | Form::Nothing => Ok(()),
        }
    }

    fn draw(&mut self, out: &mut Output<'_>, progress: &Progress, width: usize) -> io::Result<()> {
        let picture = block::Picture {
            name: &self.name,
            stages: &self.stages,
            rated: self.rated,
            recent: &self.recent,
            progress,
        };
        match &mut self.form {
            Form::Block(block) => block.draw(out, &picture, width),
            Form::Lines(_) | Form::Nothing => Ok(()),
        }
    }

    fn remember(&mut self, progress: &Progress) {
        let Progress { elapsed, rate, p99, .. } = *progress;
        self.recent.push_back(Moment { at: elapsed, rate, p99 });
        while self.recent.len() > MOMENTS_MAX
            || self.recent.front().is_some_and(|first| first.at + MINUTE < elapsed)
        {
            self.recent.pop_front();
        }
    }
}

/// Columns of the terminal as it is now.
pub(super) fn width() -> usize {
    block::width()
}

/// A piece of text as `ink` looks where `out` goes.
pub(super) fn paint(out: &Output<'_>, ink: Ink, text: &str) -> String {
    match ink {
        Ink::Strong => out.bold(text),
        Ink::Soft => out.dim(text),
        Ink::Good => out.green(text),
        Ink::Doubtful => out.yellow(text),
        Ink::Bad => out.red(text),
    }
}

/// What the stages ask for at a moment; `None`: they are over.
fn target(stages: &[Stage], at: Duration) -> Option<f64> {
    let mut from = Duration::ZERO;
    for stage in stages {
        let within = at.saturating_sub(from);
        if within < stage.length {
            let share = within.as_secs_f64() / stage.length.as_secs_f64();
            return Some(stage.from + (stage.to - stage.from) * share);
        }
        from += stage.length;
    }
    None
}

/// All of it on one line.
fn line(stages: &[Stage], progress: &Progress) -> String {
    let Progress {
        elapsed,
        length,
        stage,
        planned,
        ok,
        errors,
        timeouts,
        not_started,
        in_flight,
        backlog,
        ..
    } = progress;
    let Progress { rate, p50, p95, p99, .. } = progress;
    let stage = if elapsed >= length { "drain" } else { stages.get(*stage).map_or("", |stage| &stage.name) };
    format!(
        "{:>4} s  {:<10}  planned {}  ok {} ({}/s)  errors {}  timeouts {}  not started {}  in flight {}  waiting {}  \
         p50 {}  p95 {}  p99 {}",
        elapsed.as_secs(),
        forebay_load::report::shown(stage),
        count(*planned),
        count(*ok),
        digits(*rate),
        count(*errors),
        count(*timeouts),
        count(*not_started),
        count(*in_flight),
        count(*backlog),
        duration_or_none(*p50),
        duration_or_none(*p95),
        duration_or_none(*p99),
    )
}

#[cfg(test)]
mod tests;
