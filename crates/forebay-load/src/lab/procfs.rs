//! What processes use of the machine, as the kernel tells it in `/proc`.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// Ticks per second in `/proc`: fixed at 100 for everything a program can see.
const TICKS_PER_SECOND: u64 = 100;
/// Processes of one tree that are looked at.
const TREE_MAX: usize = 256;
/// Threads of one process that are asked for children.
const TASKS_MAX: usize = 1_024;

/// What a process and its descendants use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    /// CPU time since the tree was first looked at. Never goes back.
    pub(super) cpu: Duration,
    /// Memory held in RAM, in bytes; what two share is counted twice.
    pub(super) memory: u64,
    pub(super) threads: u64,
    /// 0 when they may not be looked at.
    pub(super) descriptors: u64,
}

/// A process with its descendants, looked at again and again.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    roots: Vec<u32>,
    /// Whether descendants are left out.
    alone: bool,
    /// The CPU ticks each process had when last seen, by its number.
    seen: BTreeMap<u32, Seen>,
    /// CPU ticks of all so far.
    ticks: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    ticks: u64,
    /// When it was started, in ticks since the machine was: tells a new process from an old one of its number.
    born: u64,
}

/// What `/proc/PID/stat` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stat {
    zombie: bool,
    ticks: u64,
    born: u64,
}

impl Tree {
    /// Looks at these processes and theirs from now on. CPU time counted so far stays.
    pub(super) fn follow(&mut self, roots: Vec<u32>) {
        self.roots = roots;
    }

    /// Looks at this process only: its children are somebody else's.
    pub(super) fn alone(pid: u32) -> Self {
        Self { roots: vec![pid], alone: true, ..Self::default() }
    }

    pub(super) fn is_followed(&self) -> bool {
        !self.roots.is_empty()
    }

    /// What the tree uses now; none: it is gone. `fresh`: CPU time of processes not seen before counts from
    /// their start, not from now.
    pub(super) fn read(&mut self, fresh: bool) -> Option<Reading> {
        let mut reading = Reading::default();
        let mut seen = BTreeMap::new();
        for pid in self.members() {
            let Some(stat) = stat(pid) else { continue };
            let before = self.seen.get(&pid).filter(|before| before.born == stat.born);
            let counted = before.map_or(if fresh { 0 } else { stat.ticks }, |before| before.ticks);
            self.ticks += stat.ticks.saturating_sub(counted);
            seen.insert(pid, Seen { ticks: stat.ticks, born: stat.born });
            if !stat.zombie
                && let Some((memory, threads)) = memory_and_threads(pid)
            {
                reading.memory += memory;
                reading.threads += threads;
                reading.descriptors += descriptors(pid);
            }
        }
        self.seen = seen;
        reading.cpu = Duration::from_millis(self.ticks * 1_000 / TICKS_PER_SECOND);
        (reading.memory > 0).then_some(reading)
    }

    fn members(&self) -> Vec<u32> {
        let mut pids = self.roots.clone();
        let mut next = 0;
        while let Some(&pid) = pids.get(next)
            && pids.len() < TREE_MAX
            && !self.alone
        {
            for child in children(pid) {
                if !pids.contains(&child) {
                    pids.push(child);
                }
            }
            next += 1;
        }
        pids.truncate(TREE_MAX);
        pids
    }
}

/// Whether there is such a process and it has not ended.
pub(super) fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|stat| !stat.zombie)
}

fn stat(pid: u32) -> Option<Stat> {
    stat_in(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Fields 3, 14, 15 and 22 of `/proc/PID/stat`. The second, the name in brackets, may itself hold spaces and
/// brackets.
fn stat_in(stat: &str) -> Option<Stat> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = after_name.split_ascii_whitespace().take(20).collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Stat {
        zombie: matches!(*fields.first()?, "Z" | "X"),
        ticks: number(14)?.saturating_add(number(15)?),
        born: number(22)?,
    })
}

fn memory_and_threads(pid: u32) -> Option<(u64, u64)> {
    memory_and_threads_in(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

fn memory_and_threads_in(status: &str) -> Option<(u64, u64)> {
    let of = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    let kib: u64 = of("VmRSS:")?.strip_suffix("kB")?.trim().parse().ok()?;
    Some((kib.saturating_mul(1024), of("Threads:")?.parse().ok()?))
}

fn descriptors(pid: u32) -> u64 {
    let path = format!("/proc/{pid}/fd");
    // Newer kernels tell the number as the size of the directory; older ones say 0 and it has to be read.
    match fs::metadata(&path).map_or(0, |found| found.len()) {
        0 => fs::read_dir(&path).map_or(0, |entries| entries.count() as u64),
        count => count,
    }
}

/// Each thread knows the children it made itself.
fn children(pid: u32) -> Vec<u32> {
    tasks(pid)
        .filter_map(|task| fs::read_to_string(task.join("children")).ok())
        .flat_map(|text| {
            text.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect::<Vec<_>>()
        })
        .take(TREE_MAX)
        .collect()
}

fn tasks(pid: u32) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).take(TASKS_MAX)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_strange_process_name_does_not_shift_the_fields() {
        let text = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 150 25 0 0 20 0 1 0 4711 0";
        assert_eq!(stat_in(text), Some(Stat { zombie: false, ticks: 175, born: 4_711 }));
        assert_eq!(stat_in("7 (a) S 1 2"), None);
        assert_eq!(stat_in(""), None);
    }

    #[test]
    fn memory_is_in_bytes() {
        let text = "Name:\tx\nVmRSS:\t    2048 kB\nThreads:\t3\n";
        assert_eq!(memory_and_threads_in(text), Some((2 << 20, 3)));
        assert_eq!(memory_and_threads_in("Name:\tzombie\nThreads:\t1\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn children_count_with_their_parent() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("every system can sleep");
        let mut tree = Tree::default();
        tree.follow(vec![std::process::id()]);
        assert!(tree.members().contains(&child.id()));
        let with_child = tree.read(false).expect("we are alive");
        assert!(with_child.memory > 0 && with_child.threads > 1 && with_child.descriptors > 0);
        assert_eq!(with_child.cpu, Duration::ZERO);
        child.kill().expect("it is our child");
        child.wait().expect("it is our child");
        assert!(!tree.members().contains(&child.id()));
        tree.follow(vec![child.id()]);
        assert_eq!(tree.read(false), None);
        assert!(!is_alive(child.id()) && is_alive(std::process::id()));
    }
}
