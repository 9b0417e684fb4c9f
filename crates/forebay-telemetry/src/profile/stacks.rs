//! Who called whom, and how often that was seen.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::sync::Arc;

use framehop::{
    CacheNative, ExplicitModuleSectionInfo, Module as Known, MustNotAllocateDuringUnwind, UnwindRegsNative,
    Unwinder as _, UnwinderNative,
};

use super::modules::{Module, Modules};
use super::sampler::{Registers, Sample};

/// Functions of one stack, from the leaf; what called the outermost of them is left out.
const DEPTH_MAX: usize = 128;
/// Different stacks of one profile; samples of any more count as lost.
const STACKS_MAX: usize = 16_384;
/// Threads that are told apart.
const THREADS_MAX: usize = 1024;

/// Finds callers.
pub(super) struct Walker {
    unwinder: UnwinderNative<Arc<[u8]>, MustNotAllocateDuringUnwind>,
    cache: CacheNative<MustNotAllocateDuringUnwind>,
}

/// Stacks and how often each was seen.
#[derive(Debug, Default)]
pub(super) struct Stacks {
    seen: HashMap<Stack, u64>,
    /// Names of threads. A thread is the first of its number: numbers come again only after a long time.
    threads: Vec<String>,
    numbers: HashMap<i32, usize>,
    lost: u64,
}

/// Where a thread was.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Stack {
    /// Index of the thread's name; none for those that came too late to be told apart.
    thread: Option<usize>,
    /// Instructions from the leaf: the one that was interrupted, then those that called.
    pub(super) addresses: Vec<u64>,
    /// Whether the last of them belongs to the function the thread began with.
    pub(super) is_whole: bool,
}

impl Walker {
    pub(super) fn new(modules: &Modules) -> Self {
        let mut unwinder = UnwinderNative::new();
        for module in modules.iter().filter_map(known) {
            unwinder.add_module(module);
        }
        Self { unwinder, cache: CacheNative::new_in() }
    }

    /// The instructions from the leaf, and whether they are all.
    fn walk(&mut self, sample: &Sample) -> (Vec<u64>, bool) {
        let Registers { instruction, stack, .. } = sample.registers;
        let mut read = |address: u64| word(&sample.stack, address.checked_sub(stack).ok_or(())?).ok_or(());
        let mut frames =
            self.unwinder.iter_frames(instruction, native(sample.registers), &mut self.cache, &mut read);
        let mut addresses = Vec::new();
        while addresses.len() < DEPTH_MAX {
            match frames.next() {
                Ok(Some(frame)) => addresses.push(frame.address_for_lookup()),
                Ok(None) => return (addresses, true),
                Err(_) => break,
            }
        }
        (addresses, false)
    }
}

impl Stacks {
    pub(super) fn add(&mut self, walker: &mut Walker, sample: &Sample) {
        let (addresses, is_whole) = walker.walk(sample);
        let stack = Stack { thread: self.thread(sample.thread), addresses, is_whole };
        if let Some(count) = self.seen.get_mut(&stack) {
            *count += 1;
        } else if self.seen.len() < STACKS_MAX {
            self.seen.insert(stack, 1);
        } else {
            self.lost += 1;
        }
    }

    /// There were samples of which nothing is known.
    pub(super) fn lose(&mut self, samples: u64) {
        self.lost += samples;
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Stack, u64)> {
        self.seen.iter().map(|(stack, count)| (stack, *count))
    }

    pub(super) fn thread_of(&self, stack: &Stack) -> &str {
        stack.thread.and_then(|index| self.threads.get(index)).map_or("other threads", |name| name)
    }

    /// All addresses that occur, in order.
    pub(super) fn addresses(&self) -> BTreeSet<u64> {
        self.seen.keys().flat_map(|stack| &stack.addresses).copied().collect()
    }

    fn thread(&mut self, number: i32) -> Option<usize> {
        if let Some(index) = self.numbers.get(&number) {
            return Some(*index);
        }
        if self.threads.len() >= THREADS_MAX {
            return None;
        }
        self.threads.push(thread_name(number));
        self.numbers.insert(number, self.threads.len() - 1);
        Some(self.threads.len() - 1)
    }
}

fn thread_name(number: i32) -> String {
    let name = fs::read_to_string(format!("/proc/self/task/{number}/comm")).unwrap_or_default();
    match name.trim_end() {
        "" => "ended thread".to_owned(),
        name => name.to_owned(),
    }
}

fn word(stack: &[u8], offset: u64) -> Option<u64> {
    let offset = usize::try_from(offset).ok()?;
    stack.get(offset..)?.first_chunk().map(|bytes| u64::from_ne_bytes(*bytes))
}

fn known(module: &Module) -> Option<Known<Arc<[u8]>>> {
    let unwinding = module.unwinding.clone()?;
    let (index_addresses, index) = unwinding.index.map(|table| (table.addresses, table.bytes)).unzip();
    let sections = ExplicitModuleSectionInfo {
        eh_frame_svma: Some(unwinding.frames.addresses),
        eh_frame: Some(unwinding.frames.bytes),
        eh_frame_hdr_svma: index_addresses,
        eh_frame_hdr: index,
        ..ExplicitModuleSectionInfo::default()
    };
    Some(Known::new(module.path.clone(), module.start..module.end, module.bias, sections))
}

#[cfg(not(target_arch = "aarch64"))]
fn native(registers: Registers) -> UnwindRegsNative {
    let Registers { instruction, stack, frame, link: _ } = registers;
    UnwindRegsNative::new(instruction, stack, frame)
}

#[cfg(target_arch = "aarch64")]
fn native(registers: Registers) -> UnwindRegsNative {
    let Registers { instruction: _, stack, frame, link } = registers;
    UnwindRegsNative::new(link, stack, frame)
}
