//! Who called whom, and how often that was seen.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use framehop::{
    CacheNative, ExplicitModuleSectionInfo, Module as Known, MustNotAllocateDuringUnwind, UnwindRegsNative,
    Unwinder as _, UnwinderNative,
};

use super::modules::{Module, Modules};
use super::sampler::{Registers, Sample};

/// Functions of one stack, from the leaf; what called the outermost of them is left out.
const DEPTH_MAX: usize = 128;
/// Different stacks of one profile; of any more only the thread is kept.
const STACKS_MAX: usize = 16_384;
/// Finds callers.
pub(super) struct Walker {
    unwinder: UnwinderNative<Arc<[u8]>, MustNotAllocateDuringUnwind>,
    cache: CacheNative<MustNotAllocateDuringUnwind>,
}

/// Stacks and how often each was seen.
#[derive(Debug, Default)]
pub(super) struct Stacks {
    seen: HashMap<Stack, u64>,
    /// How many there are of each thread.
    counts: HashMap<i32, u64>,
}

/// Where a thread was.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Stack {
    /// The thread's number.
    pub(super) thread: i32,
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
        let thread = sample.thread;
        let (addresses, is_whole) = walker.walk(sample);
        let mut stack = Stack { thread, addresses, is_whole };
        if self.seen.len() >= STACKS_MAX && !self.seen.contains_key(&stack) {
            stack = Stack { thread, addresses: Vec::new(), is_whole: false };
        }
        *self.seen.entry(stack).or_default() += 1;
        *self.counts.entry(thread).or_default() += 1;
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Stack, u64)> {
        self.seen.iter().map(|(stack, count)| (stack, *count))
    }

    /// How often this thread was seen.
    pub(super) fn of_thread(&self, number: i32) -> u64 {
        self.counts.get(&number).copied().unwrap_or_default()
    }

    /// All addresses that occur, in order.
    pub(super) fn addresses(&self) -> BTreeSet<u64> {
        self.seen.keys().flat_map(|stack| &stack.addresses).copied().collect()
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
