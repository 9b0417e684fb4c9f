//! What the generator itself uses of the machine: whether it could keep up.

use std::fs;
use std::time::Duration;

use forebay_base::time::Instant;
use rustix::time::{ClockId, clock_gettime};

/// What a thread did with some time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct ThreadUsage {
    /// Time that passed.
    pub(crate) wall: Duration,
    /// Time it ran.
    pub(crate) cpu: Duration,
    /// Time it could have run, but others did.
    pub(crate) waited: Duration,
}

/// A reading of this thread's clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    at: Instant,
    cpu: Duration,
    waited: Duration,
}

impl Reading {
    /// What happened since an earlier reading.
    pub(crate) fn since(&self, earlier: &Self) -> ThreadUsage {
        ThreadUsage {
            wall: self.at.since(earlier.at),
            cpu: self.cpu.saturating_sub(earlier.cpu),
            waited: self.waited.saturating_sub(earlier.waited),
        }
    }
}

impl ThreadUsage {
    pub(crate) fn add(&mut self, other: &Self) {
        let Self { wall, cpu, waited } = other;
        self.wall += *wall;
        self.cpu += *cpu;
        self.waited += *waited;
    }

    /// Shares of the time it ran and waited for a processor, 0 to 1; 0 of no time.
    pub(crate) fn shares(&self) -> (f64, f64) {
        let wall = self.wall.as_secs_f64();
        let share = |part: Duration| if wall > 0.0 { (part.as_secs_f64() / wall).min(1.0) } else { 0.0 };
        (share(self.cpu), share(self.waited))
    }
}

/// CPU time of this thread so far.
pub(crate) fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or(0))
}

/// Reads this thread's clocks.
pub(crate) fn thread_usage() -> Reading {
    // The second number is the time spent waiting for a processor; systems without it say nothing.
    let schedstat = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let waited = schedstat.split_ascii_whitespace().nth(1).and_then(|text| text.parse().ok()).unwrap_or(0);
    Reading { at: Instant::now(), cpu: thread_cpu(), waited: Duration::from_nanos(waited) }
}

/// Most memory this process has held in RAM, in bytes; 0: unknown.
pub(crate) fn memory_max() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")).and_then(|text| text.trim().parse().ok());
    kib.map_or(0, |kib: u64| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_seen_as_work() {
        let before = thread_usage();
        let mut sum = 0_u64;
        while thread_cpu() < before.cpu + Duration::from_millis(5) {
            sum = sum.wrapping_mul(31).wrapping_add(7);
        }
        std::hint::black_box(sum);
        let usage = thread_usage().since(&before);
        assert!(usage.cpu >= Duration::from_millis(5) && usage.cpu <= usage.wall + Duration::from_millis(1));
        assert!(memory_max() > 1 << 20);
    }

    #[test]
    fn no_time_has_no_shares() {
        assert_eq!(ThreadUsage::default().shares(), (0.0, 0.0));
    }
}
