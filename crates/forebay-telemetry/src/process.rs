//! What this process uses of the machine, as the kernel sees it.

use std::fs;
use std::time::Duration;

/// Ticks per second in `/proc`: fixed at 100 for everything a program can see.
const TICKS_PER_SECOND: u64 = 100;

/// What this process uses. Read from `/proc/self`; there is none on other systems than Linux.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time so far in user and kernel mode, all threads, in steps of 10 ms.
    pub cpu: Duration,
    /// Memory held in RAM, in bytes.
    pub resident_bytes: u64,
    /// Open file descriptors.
    pub open_fds: u64,
    /// The most it may open.
    pub max_fds: u64,
}

impl Usage {
    /// Reads the present usage: four small files.
    #[must_use]
    pub fn read() -> Option<Self> {
        Some(Self {
            cpu: cpu_in(&fs::read_to_string("/proc/self/stat").ok()?)?,
            resident_bytes: resident_in(&fs::read_to_string("/proc/self/status").ok()?)?,
            open_fds: open_fds()?,
            max_fds: max_fds_in(&fs::read_to_string("/proc/self/limits").ok()?)?,
        })
    }
}

/// Fields 14 and 15 of `/proc/self/stat`. The second, the name in brackets, may itself hold spaces and brackets.
fn cpu_in(stat: &str) -> Option<Duration> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let kernel: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis((user + kernel) * 1_000 / TICKS_PER_SECOND))
}

fn resident_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

fn open_fds() -> Option<u64> {
    // Newer kernels tell the number as the size of the directory; older ones say 0 and it has to be read.
    match fs::metadata("/proc/self/fd").ok()?.len() {
        0 => Some(fs::read_dir("/proc/self/fd").ok()?.count() as u64),
        count => Some(count),
    }
}

fn max_fds_in(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let soft = line.split_ascii_whitespace().next()?;
    if soft == "unlimited" { Some(u64::MAX) } else { soft.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strange_process_name_does_not_shift_the_fields() {
        let stat = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 150 25 0 0 20 0 1 0";
        assert_eq!(cpu_in(stat), Some(Duration::from_millis(1750)));
        assert_eq!(cpu_in("7 (a) S 1 2"), None);
    }

    #[test]
    fn memory_is_in_bytes() {
        assert_eq!(resident_in("Name:\tx\nVmRSS:\t    2048 kB\nRssAnon: 1 kB"), Some(2 << 20));
        assert_eq!(resident_in("Name:\tx\n"), None);
    }

    #[test]
    fn the_soft_limit_counts() {
        assert_eq!(max_fds_in("Max open files            1024                 4096      files"), Some(1024));
        assert_eq!(
            max_fds_in("Max open files            unlimited            unlimited files"),
            Some(u64::MAX)
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_uses_memory_and_files() {
        let usage = Usage::read().expect("/proc is there on Linux");
        assert!(usage.resident_bytes > 100_000, "{usage:?}");
        assert!((1..=usage.max_fds).contains(&usage.open_fds), "{usage:?}");
    }
}
