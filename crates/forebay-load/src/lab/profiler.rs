//! Takes profiles while load is on: one at a time, in the steady part of each stage that is judged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use forebay_base::time::Instant;

use super::fetch::{self, Limits, Url};
use super::outcome::{Captured, CapturedKind, Part};
use super::{Error, Watch};
use crate::plan::Stage;
use crate::pprof;

/// Longest CPU profile: what longer ones add is only size.
const SECONDS_MAX: u64 = 30;
/// Shortest CPU profile worth its trouble.
const SECONDS_MIN: u64 = 2;
/// Share of a stage that is left out at its begin, and the most that is.
const SETTLE_SHARE: f64 = 0.2;
const SETTLE_MAX: Duration = Duration::from_secs(10);
/// What a profile takes besides its seconds: to be put together and sent.
const SLACK: Duration = Duration::from_secs(1);
/// CPU profiles of one run; stages that come later have none.
const PROFILES_MAX: usize = 100;
/// Bytes of all CPU profiles of one run.
const BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long a server may take beyond what was asked for.
const PATIENCE: Duration = Duration::from_secs(15);

/// A process that serves profiles.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// The name it is watched by.
    pub(super) name: String,
    url: Url,
}

/// A profile and the target it is of, by index.
pub(super) type Taken = (usize, Captured);

/// Takes CPU profiles on a thread of its own.
#[derive(Debug)]
pub(super) struct Profiler {
    thread: JoinHandle<Vec<Taken>>,
    /// Told when the load starts; closed when all is over.
    start: Sender<Instant>,
    stop: Arc<AtomicBool>,
}

/// A CPU profile to be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Take {
    target: usize,
    stage: usize,
    at: Duration,
    /// When it has to be over.
    until: Duration,
    /// None: there is no room for it.
    seconds: Option<u64>,
}

/// The watched processes that serve profiles.
pub(super) fn targets(watch: &[Watch]) -> Result<Vec<Target>, Error> {
    let with_url = watch.iter().filter_map(|watch| Some((&watch.name, watch.profile.as_deref()?)));
    with_url
        .map(|(name, url)| {
            let url = Url::parse(url).map_err(|why| Error::new(format!("`profile` of `{name}`: {why}")))?;
            Ok(Target { name: name.clone(), url })
        })
        .collect()
}

/// Who holds memory in each target now; a target that serves no such profile has none, which is nothing to tell.
pub(super) fn heaps(targets: &[Target], during: Part, stop: &AtomicBool) -> Vec<Taken> {
    let take = |(index, target): (usize, &Target)| {
        let part = if during == Part::Begin { "begin" } else { "end" };
        let file = format!("{}-{part}-heap.pb.gz", target.name);
        let raw = get(
            &target.url.join("/debug/pprof/heap"),
            &Limits { time: PATIENCE, bytes: pprof::RAW_MAX, stop },
        );
        Some((index, captured(CapturedKind::Heap, during, file, raw.transpose()?)))
    };
    targets.iter().enumerate().filter_map(take).collect()
}

impl Profiler {
    /// Waits for the load to begin.
    pub(super) fn start(targets: Vec<Target>, stages: &[Stage]) -> Result<Self, Error> {
        let (start, told) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let takes = schedule(stages, targets.len());
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("lab-profiler".to_owned())
            .spawn(move || match told.recv() {
                Ok(start) => run(&targets, &takes, start, &told, &stopped),
                Err(_) => Vec::new(),
            })
            .map_err(|error| Error::new(format!("cannot start a thread to take profiles: {error}")))?;
        Ok(Self { thread, start, stop })
    }

    /// The load starts at `start`.
    pub(super) fn begin(&self, start: Instant) {
        // A thread that has failed takes no message, and leaves no profiles.
        let _ = self.start.send(start);
    }

    /// Whether all profiles are taken.
    #[cfg(test)]
    pub(super) fn is_done(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends it, also within a profile.
    pub(super) fn finish(self) -> Vec<Taken> {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.start);
        self.thread.join().unwrap_or_default()
    }
}

fn run(
    targets: &[Target],
    takes: &[Take],
    start: Instant,
    told: &Receiver<Instant>,
    stop: &AtomicBool,
) -> Vec<Taken> {
    let mut taken = Vec::new();
    let mut room = BYTES_MAX;
    for take in takes {
        let wait = (start + take.at).since(Instant::now());
        if told.recv_timeout(wait) != Err(RecvTimeoutError::Timeout) {
            break;
        }
        let target = &targets[take.target];
        let file = format!("{}-{}-cpu.pb.gz", target.name, take.stage);
        let raw = cpu(target, take, Instant::now().since(start), room.min(pprof::RAW_MAX), stop);
        room -= raw.as_ref().map_or(0, Vec::len);
        taken.push((take.target, captured(CapturedKind::Cpu, Part::Stage(take.stage), file, raw)));
    }
    taken
}

fn cpu(
    target: &Target,
    take: &Take,
    now: Duration,
    bytes: usize,
    stop: &AtomicBool,
) -> Result<Vec<u8>, String> {
    // The profile before this one may have taken its time.
    let left = take.until.saturating_sub(now + SLACK).as_secs();
    let Some(seconds) = take.seconds.map(|seconds| seconds.min(left)).filter(|left| *left >= SECONDS_MIN)
    else {
        return Err(format!(
            "the steady part of the stage leaves no {SECONDS_MIN} s for a CPU profile: make the stage longer"
        ));
    };
    let url = target.url.join(&format!("/debug/pprof/profile?seconds={seconds}"));
    get(&url, &Limits { time: Duration::from_secs(seconds) + PATIENCE, bytes, stop })?
        .ok_or_else(|| format!("{url} is not served: enable profiles there, or correct the URL"))
}

/// What is to be said if some stages have no profile.
pub(super) fn left_out(stages: &[Stage], targets: usize) -> Option<String> {
    let wanted = stages.iter().filter(|stage| !stage.warmup).count() * targets;
    (wanted > PROFILES_MAX).then(|| {
        format!("only the first {PROFILES_MAX} of {wanted} CPU profiles are taken: judge fewer stages, or watch less")
    })
}

/// When which profile is taken: the steady part of a stage is shared out evenly.
fn schedule(stages: &[Stage], targets: usize) -> Vec<Take> {
    let mut takes = Vec::new();
    let mut begin = Duration::ZERO;
    for (stage, Stage { length, warmup, .. }) in stages.iter().enumerate() {
        let end = begin + *length;
        let settled = begin + length.mul_f64(SETTLE_SHARE).min(SETTLE_MAX);
        let share = end.saturating_sub(settled) / u32::try_from(targets).unwrap_or(u32::MAX).max(1);
        for target in (0..targets).filter(|_| !warmup) {
            let at = settled + share * u32::try_from(target).unwrap_or(u32::MAX);
            let seconds = share.saturating_sub(SLACK).as_secs().min(SECONDS_MAX);
            let seconds = Some(seconds).filter(|seconds| *seconds >= SECONDS_MIN);
            takes.push(Take { target, stage, at, until: at + share, seconds });
        }
        begin = end;
    }
    takes.truncate(PROFILES_MAX);
    takes
}

/// None: there is no such profile there.
fn get(url: &Url, limits: &Limits<'_>) -> Result<Option<Vec<u8>>, String> {
    let answer = fetch::get(url, limits)?;
    match answer.status {
        200 => Ok(Some(answer.body)),
        404 => Ok(None),
        409 | 429 => Err(format!("{url} answers {}: another profile is being taken", answer.status)),
        status => Err(format!("{url} answers {status}")),
    }
}

fn captured(kind: CapturedKind, during: Part, file: String, raw: Result<Vec<u8>, String>) -> Captured {
    let (raw, error) = raw.map_or_else(|why| (Vec::new(), Some(why)), |raw| (raw, None));
    let mut captured = Captured { kind, during, file, raw, flame: None, error };
    if captured.error.is_none() {
        match pprof::decode(&captured.raw) {
            Ok(profile) => captured.flame = Some(profile.flame()),
            Err(why) => captured.error = Some(why.to_string()),
        }
    }
    captured
}

#[cfg(test)]
mod tests;
