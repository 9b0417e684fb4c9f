//! Hands planned starts to those who send, at their time: a thread of its own, so that nothing else delays it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use forebay_base::time::Instant;
use tokio::sync::Notify;

use crate::arrival::Cursor;
use crate::hdr::Hdr;

/// The system may wake a sleeper this much late to save power; asked for as little as it grants.
const SLACK_NANOS: u64 = 1;
/// A sleep is cut short by at most this, and the rest is waited for awake.
const SPIN_MAX: Duration = Duration::from_micros(60);
/// Waiting awake takes at most this part of the time: at high rates there is a start close by anyway.
const SPIN_SHARE: u32 = 20;
/// A pacer that is late announces after so many starts, without waiting for a pause.
const ANNOUNCE_EVERY: u32 = 32;
/// A pacer with nothing to do looks this often whether it is still wanted.
const LOOK: Duration = Duration::from_millis(50);

/// What one sending thread is handed. Instants are not: its own cursor knows them.
#[derive(Debug, Default)]
pub(crate) struct Ticks {
    /// Arrivals of this thread's share whose time has come.
    released: AtomicU64,
    /// There will be no more.
    over: AtomicBool,
    news: Notify,
}

impl Ticks {
    /// How many arrivals have come.
    #[inline]
    pub(crate) fn released(&self) -> u64 {
        self.released.load(Ordering::Acquire)
    }

    /// Whether all have.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Waits until there is something new.
    pub(crate) async fn news(&self) {
        self.news.notified().await;
    }
}

/// Releases every arrival at its time, in turn to each of `shards`; ends with the last one, or when `stop` is
/// set. Returns how late each was.
/// Arrivals before `judged` are paced, but not measured: they warm up.
pub(crate) fn pace(
    cursor: Cursor,
    shards: &[Arc<Ticks>],
    start: Instant,
    judged: Duration,
    stop: &AtomicBool,
) -> Hdr {
    if let Some(slack) = std::num::NonZeroU64::new(SLACK_NANOS) {
        // Without it sleeps are a little longer, which is measured.
        let _ = rustix::thread::set_current_timer_slack(Some(slack));
    }
    let mut pacing = Hdr::default();
    let mut touched = vec![false; shards.len()];
    let mut before = start;
    let mut unannounced = 0;
    let mut now = Instant::now();
    for planned in cursor {
        let due = start + planned.at;
        if due > now || unannounced >= ANNOUNCE_EVERY {
            announce(shards, &mut touched);
            unannounced = 0;
            let Some(woken) = sleep(due, due.since(before), stop) else { break };
            now = woken;
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
        before = due;
        if planned.at >= judged {
            pacing.record(now.since(due));
        }
        let shard = (planned.index % shards.len() as u64) as usize;
        shards[shard].released.fetch_add(1, Ordering::Release);
        touched[shard] = true;
        unannounced += 1;
    }
    for shard in shards {
        shard.over.store(true, Ordering::Release);
        shard.news.notify_one();
    }
    pacing
}

fn announce(shards: &[Arc<Ticks>], touched: &mut [bool]) {
    for (shard, touched) in shards.iter().zip(touched) {
        if std::mem::take(touched) {
            shard.news.notify_one();
        }
    }
}

/// Sleeps until `due`, the last bit of it awake if starts are as far as `gap` apart. Returns the time then;
/// `None`: it was stopped.
fn sleep(due: Instant, gap: Duration, stop: &AtomicBool) -> Option<Instant> {
    let spin = SPIN_MAX.min(gap / SPIN_SHARE);
    loop {
        if stop.load(Ordering::Relaxed) {
            return None;
        }
        let now = Instant::now();
        let left = due.since(now);
        if left.is_zero() {
            return Some(now);
        }
        if left > spin {
            std::thread::sleep((left - spin).min(LOOK));
        } else {
            std::hint::spin_loop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Arrivals, Model, Stage};

    fn cursor(rate: f64) -> Cursor {
        let length = Duration::from_millis(100);
        let stage = Stage { name: String::new(), length, from: rate, to: rate, warmup: false };
        Cursor::of(&Model::Open(Arrivals::Uniform), &[stage], 0)
    }

    #[test]
    fn every_arrival_is_handed_out_in_turn_and_none_before_its_time() {
        let shards = [Arc::new(Ticks::default()), Arc::new(Ticks::default())];
        let start = Instant::now();
        let pacing = pace(cursor(1_010.0), &shards, start, Duration::ZERO, &AtomicBool::new(false));
        assert_eq!(pacing.count(), 101);
        assert_eq!(shards.each_ref().map(|shard| shard.released()), [51, 50]);
        assert!(shards.iter().all(|shard| shard.is_over()));
        assert!(Instant::now() >= start + Duration::from_millis(99));
    }

    #[test]
    fn a_stopped_pacer_hands_out_nothing_more() {
        let shards = [Arc::new(Ticks::default())];
        let start = Instant::now() + Duration::from_secs(3_600);
        let pacing = pace(cursor(1_000.0), &shards, start, Duration::ZERO, &AtomicBool::new(true));
        assert_eq!((pacing.count(), shards[0].released(), shards[0].is_over()), (0, 0, true));
    }
}
