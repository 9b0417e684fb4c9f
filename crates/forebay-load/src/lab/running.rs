//! Carries out a lab beside the load: starts, watches, breaks, and in the end says what it saw.

use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use forebay_base::time::Instant;

use super::cast::Cast;
use super::outcome::{Episode, Injected, LabOutcome, Part};
use super::profiler::{self, Profiler, Taken, Target};
use super::recovery::{Span, recovery, summary};
use super::watcher::Watcher;
use super::{Error, Fault, FaultKind, Lab};
use crate::outcome::Window;
use crate::plan::Stage;

/// Sentences about what went otherwise; of more, the first are kept.
const NOTES_MAX: usize = 100;

/// A lab at work. Whatever it started ends with it, also when it is dropped.
#[derive(Debug)]
pub struct Running {
    lab: Lab,
    stages: Vec<Stage>,
    targets: Vec<Target>,
    taken: Vec<Taken>,
    profiler: Option<Profiler>,
    /// None: over.
    work: Option<Work>,
}

/// The thread.
#[derive(Debug)]
struct Work {
    thread: JoinHandle<Hands>,
    /// Told when the load starts; closed when all is over.
    start: Sender<Instant>,
}

/// What the thread works with.
#[derive(Debug)]
struct Hands {
    cast: Cast,
    watcher: Watcher,
    faults: Faults,
    notes: Vec<String>,
}

/// All faults of all cycles.
#[derive(Debug, Default)]
struct Faults {
    /// In order of time; `next` are those to come.
    changes: Vec<Change>,
    next: usize,
    injected: Vec<(FaultKind, Injected)>,
}

/// One end of a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Change {
    at: Duration,
    /// Index into `injected`.
    fault: usize,
    on: bool,
}

impl Running {
    /// Starts the processes, waits until all are ready, finds what is to be watched, and takes the first heap
    /// profiles. Blocks, until `stop` is set at the latest; call it before the start of the load is fixed.
    ///
    /// # Errors
    /// The lab has mistakes, a process cannot be started or is not ready in time, something to watch is not
    /// found, or there is no thread to be had. Nothing is left running then.
    pub fn prepare(lab: &Lab, stages: &[Stage], stop: &AtomicBool) -> Result<Self, Error> {
        let problems = lab.problems();
        if !problems.is_empty() {
            return Err(Error::new(problems.join("\n")));
        }
        let cast = Cast::start(lab, stop)?;
        let watcher = Watcher::find(&lab.watch, &cast, stages)?;
        let targets = profiler::targets(&lab.watch)?;
        let taken = profiler::heaps(&targets, Part::Begin, stop);
        let profiler = (!targets.is_empty()).then(|| Profiler::start(targets.clone(), stages)).transpose()?;
        let notes = profiler::left_out(stages, targets.len()).into_iter().collect();
        let hands = Hands { cast, watcher, faults: Faults::of(lab), notes };
        let work = Some(Work::start(hands)?);
        Ok(Self { lab: lab.clone(), stages: stages.to_vec(), targets, taken, profiler, work })
    }

    /// The load starts at `start`: from then on faults are injected and samples taken, on threads of their own.
    pub fn begin(&mut self, start: Instant) {
        // A thread that has failed takes no message; `finish` says so.
        if let Some(work) = &self.work {
            let _ = work.start.send(start);
        }
        if let Some(profiler) = &self.profiler {
            profiler.begin(start);
        }
    }

    /// The load is over: ends what was started, and says what was seen. `timeline` tells how the target took
    /// the faults.
    pub fn finish(&mut self, timeline: &[Window]) -> LabOutcome {
        let mut outcome = LabOutcome::default();
        let Some(hands) = self.work.take().and_then(Work::stop) else {
            outcome.notes.push("the lab's thread has failed: what it saw is lost".to_owned());
            return outcome;
        };
        let mut taken = std::mem::take(&mut self.taken);
        taken.extend(self.profiler.take().map(Profiler::finish).unwrap_or_default());
        taken.extend(profiler::heaps(&self.targets, Part::End, &AtomicBool::new(false)));
        let Hands { cast, watcher, faults, notes } = hands;
        outcome.notes = notes;
        outcome.processes = cast.stop();
        let (watched, notes) = watcher.finish();
        outcome.watched = watched;
        outcome.notes.extend(notes);
        self.keep(taken, &mut outcome);
        outcome.faults = faults.injected.into_iter().map(|(_, injected)| injected).collect();
        outcome.episodes = episodes(&outcome.faults, &self.stages, &self.lab, timeline);
        outcome.recoveries = summaries(&outcome.episodes);
        outcome.notes.truncate(NOTES_MAX);
        outcome
    }

    /// Puts each profile to the process it is of.
    fn keep(&self, taken: Vec<Taken>, outcome: &mut LabOutcome) {
        for (target, captured) in taken {
            let name = &self.targets[target].name;
            if let Some(why) = &captured.error {
                outcome.notes.push(format!("no profile {}: {why}", captured.file));
            }
            if let Some(watched) = outcome.watched.iter_mut().find(|watched| watched.name == *name) {
                watched.profiles.push(captured);
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // With the hands, the processes end.
        drop(self.work.take().and_then(Work::stop));
        drop(self.profiler.take().map(Profiler::finish));
    }
}

impl Work {
    fn start(mut hands: Hands) -> Result<Self, Error> {
        let (start, told) = channel();
        let thread = thread::Builder::new()
            .name("lab".to_owned())
            .spawn(move || {
                if let Ok(start) = told.recv() {
                    hands.work(start, &told);
                }
                hands
            })
            .map_err(|error| Error::new(format!("cannot start a thread for the lab: {error}")))?;
        Ok(Self { thread, start })
    }

    /// What the thread worked with; none: it has failed.
    fn stop(self) -> Option<Hands> {
        drop(self.start);
        self.thread.join().ok()
    }
}

impl Hands {
    /// From the start of the load until the other end of the channel is dropped.
    fn work(&mut self, start: Instant, stopped: &Receiver<Instant>) {
        if let Err(RecvTimeoutError::Disconnected) = stopped.recv_timeout(start.since(Instant::now())) {
            return;
        }
        self.watcher.begin();
        loop {
            while self.faults.apply(Instant::now().since(start), &mut self.cast) {}
            let now = Instant::now().since(start);
            if now >= self.watcher.next() {
                self.look(now);
            }
            let next = self.faults.next().map_or(self.watcher.next(), |next| next.min(self.watcher.next()));
            let wait = next.saturating_sub(Instant::now().since(start));
            if stopped.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
                break;
            }
        }
        self.look(Instant::now().since(start));
    }

    fn look(&mut self, now: Duration) {
        for ended in self.cast.look() {
            self.notes.push(format!("at {:.0} s {ended}", now.as_secs_f64()));
        }
        self.watcher.look(now, &self.cast);
    }
}

impl Faults {
    fn of(lab: &Lab) -> Self {
        let mut faults = Self::default();
        for (cycle, index, at) in lab.schedule() {
            let fault: &Fault = &lab.faults[index];
            let place = faults.injected.len();
            faults.changes.push(Change { at, fault: place, on: true });
            if let Some(length) = lab.length_of(fault) {
                faults.changes.push(Change { at: at + length, fault: place, on: false });
            }
            let error = Some("the run ended before its time came".to_owned());
            let injected = Injected { what: fault.kind.label(), cycle, error, ..Injected::default() };
            faults.injected.push((fault.kind.clone(), injected));
        }
        faults.changes.sort_unstable();
        faults
    }

    /// When the next change is due.
    fn next(&self) -> Option<Duration> {
        self.changes.get(self.next).map(|change| change.at)
    }

    /// Makes the next change if it is due; false: none is.
    fn apply(&mut self, now: Duration, cast: &mut Cast) -> bool {
        let Some(change) = self.changes.get(self.next).copied().filter(|change| change.at <= now) else {
            return false;
        };
        self.next += 1;
        let (kind, injected) = &mut self.injected[change.fault];
        if change.on {
            let applied = apply(kind, cast);
            injected.on = applied.is_ok().then_some(now);
            injected.error = applied.err().map(|error| format!("it was not applied: {error}"));
            self.postpone_end(change, now);
        } else if injected.on.is_some() {
            let removed = remove(kind, cast);
            injected.off = removed.is_ok().then_some(now);
            injected.error = removed.err().map(|error| format!("it was not removed: {error}"));
        }
        true
    }

    /// A fault that comes late is not shorter for it.
    fn postpone_end(&mut self, begin: Change, now: Duration) {
        let to_come = &mut self.changes[self.next..];
        if let Some(end) = to_come.iter_mut().find(|change| change.fault == begin.fault) {
            end.at += now.saturating_sub(begin.at);
            to_come.sort_unstable();
        }
    }
}

fn apply(kind: &FaultKind, cast: &mut Cast) -> Result<(), Error> {
    match kind {
        FaultKind::Kill { process } => cast.kill(process),
        FaultKind::Pause { process } => cast.pause(process),
    }
}

fn remove(kind: &FaultKind, cast: &mut Cast) -> Result<(), Error> {
    match kind {
        FaultKind::Kill { process } => cast.start_again(process),
        FaultKind::Pause { process } => cast.resume(process),
    }
}

/// Faults that overlap or touch, together, and how the target took them.
fn episodes(faults: &[Injected], stages: &[Stage], lab: &Lab, timeline: &[Window]) -> Vec<Episode> {
    let mut episodes: Vec<Episode> = Vec::new();
    for fault in faults {
        let Some(on) = fault.on else { continue };
        match episodes.last_mut() {
            Some(last) if last.off.is_some_and(|off| on <= off) => {
                last.what = format!("{} + {}", last.what, fault.what);
                last.off = last.off.zip(fault.off).map(|(one, other)| one.max(other));
            }
            _ => episodes.push(Episode {
                what: fault.what.clone(),
                cycle: fault.cycle,
                on,
                off: fault.off,
                recovery: Default::default(),
            }),
        }
    }
    let warmup: Duration = stages.iter().take_while(|stage| stage.warmup).map(|stage| stage.length).sum();
    let load: Duration = stages.iter().map(|stage| stage.length).sum();
    let seen = timeline.last().map_or(0, |window| window.start_ms + window.length_ms);
    let end = load.min(Duration::from_millis(seen));
    let begins: Vec<Duration> = episodes.iter().map(|episode| episode.on).collect();
    for (index, episode) in episodes.iter_mut().enumerate() {
        let until = begins.get(index + 1).map_or(end, |next| *next);
        let span = Span { control: warmup..begins[0], on: episode.on, off: episode.off, until };
        episode.recovery = recovery(timeline, &span, &lab.budget);
    }
    episodes
}

/// The same episode of all cycles: its place in the cycle says which.
fn summaries(episodes: &[Episode]) -> Vec<super::Summary> {
    let place = |index: usize| {
        let cycle = episodes[index].cycle;
        episodes[..index].iter().filter(|episode| episode.cycle == cycle).count()
    };
    let places: Vec<usize> = (0..episodes.len()).map(place).collect();
    let same = |index: usize| {
        let what = &episodes[index].what;
        let recoveries =
            episodes.iter().zip(&places).filter(|(one, place)| one.what == *what && **place == places[index]);
        summary(what, recoveries.map(|(one, _)| &one.recovery))
    };
    let first = |index: &usize| {
        let earlier = &episodes[..*index];
        !earlier
            .iter()
            .zip(&places)
            .any(|(one, place)| one.what == episodes[*index].what && *place == places[*index])
    };
    (0..episodes.len()).filter(first).map(same).collect()
}

#[cfg(test)]
mod tests;
