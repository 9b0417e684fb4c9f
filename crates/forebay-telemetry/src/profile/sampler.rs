//! Interrupts whatever thread is running, and copies its registers and the top of its stack.
//!
//! The one place with `unsafe`: without, a signal handler cannot be set up, nor the interrupted registers be read.
//! The handler allocates nothing, waits for nothing and follows no pointer of the interrupted code: it reads the
//! stack through a file, for which an address that is not there is an error and no crash.

#![expect(unsafe_code, reason = "signals and the registers they interrupt are only to be had from C")]

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::fs::FileExt as _;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::Duration;

use super::Error;

/// Samples that wait to be collected; for what comes when they are full there is no room. Several times what comes
/// between two collections.
const SLOTS: usize = 64;
/// Bytes of a stack that are copied; what called the outermost of them is not known beyond it.
const STACK_BYTES: usize = 32 << 10;

/// What the handler shares with whoever collects. Made once, and kept: a late signal still finds it.
static SHARED: OnceLock<Shared> = OnceLock::new();

/// A sampler that runs; it stops when this is dropped.
#[derive(Debug)]
pub(super) struct Sampler {
    shared: &'static Shared,
}

/// An interrupted thread.
#[derive(Debug, Default)]
pub(super) struct Sample {
    pub(super) thread: i32,
    pub(super) registers: Registers,
    /// The stack from `registers.stack` upwards, as much as there is and is copied.
    pub(super) stack: Vec<u8>,
}

/// What is needed to find the callers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Registers {
    pub(super) instruction: u64,
    pub(super) stack: u64,
    pub(super) frame: u64,
    /// Where this function returns to; only on processors that have a register for it.
    pub(super) link: u64,
}

#[derive(Debug)]
struct Shared {
    running: AtomicBool,
    slots: Vec<Mutex<Slot>>,
    /// The memory of this process, as a file.
    memory: File,
}

#[derive(Debug, Default)]
struct Slot {
    sample: Sample,
    /// As much memory as a sample may need; none while no profile is taken.
    room: Vec<u8>,
    /// How much of it is used; none: the slot is free.
    used: Option<usize>,
}

impl Sampler {
    /// Interrupts once in `period` of processor time of all threads together, the thread that is running then. The
    /// kernel counts in ticks of its own, a few milliseconds long. The caller sees to it that there is only one.
    ///
    /// # Errors
    /// The system does not let us.
    pub(super) fn start(period: Duration) -> Result<Self, Error> {
        if !SUPPORTED {
            return Err(Error::Unavailable("not built for this kind of processor".to_owned()));
        }
        let shared = shared()?;
        for slot in &shared.slots {
            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
            *slot = Slot { room: vec![0; STACK_BYTES], ..Slot::default() };
        }
        shared.running.store(true, Ordering::Release);
        // From here on dropping it puts everything back.
        let sampler = Self { shared };
        install().map_err(|error| Error::unavailable("cannot set up a handler for SIGPROF", &error))?;
        set_timer(period).map_err(|error| Error::unavailable("cannot start the timer", &error))?;
        Ok(sampler)
    }

    /// Takes what has been sampled.
    pub(super) fn collect(&self, mut take: impl FnMut(&Sample)) {
        for slot in &self.shared.slots {
            // One that is being filled has its turn next time.
            let Some(mut slot) = try_lock(slot) else { continue };
            let Some(used) = slot.used.take() else { continue };
            let Slot { sample, room, .. } = &mut *slot;
            sample.stack.clear();
            sample.stack.extend_from_slice(room.get(..used).unwrap_or_default());
            take(sample);
        }
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        // Setting a timer to nothing does not fail.
        let _ = set_timer(Duration::ZERO);
        self.shared.running.store(false, Ordering::Release);
        // The handler stays: a signal that is under way would end the process without it.
        for slot in &self.shared.slots {
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Slot::default();
        }
    }
}

impl Shared {
    /// Called in the handler: no allocation, no lock that is waited for, no panic.
    fn sample(&self, registers: Registers) {
        // Always from the first, so that only as many are ever touched as are needed.
        for slot in &self.slots {
            if try_lock(slot).is_some_and(|mut slot| self.fill(&mut slot, registers)) {
                return;
            }
        }
    }

    fn fill(&self, slot: &mut Slot, registers: Registers) -> bool {
        if slot.used.is_some() || slot.room.is_empty() {
            return false;
        }
        slot.sample.thread = rustix::thread::gettid().as_raw_nonzero().get();
        slot.sample.registers = registers;
        // It ends where memory does. Nothing at all still tells which function it was.
        slot.used = Some(self.memory.read_at(&mut slot.room, registers.stack).unwrap_or(0));
        true
    }
}

fn shared() -> Result<&'static Shared, Error> {
    if let Some(shared) = SHARED.get() {
        return Ok(shared);
    }
    let memory = File::open("/proc/self/mem")
        .map_err(|error| Error::unavailable("cannot read stacks through /proc/self/mem", &error))?;
    let slots = (0..SLOTS).map(|_| Mutex::default()).collect();
    let shared = Shared { running: AtomicBool::new(false), slots, memory };
    Ok(SHARED.get_or_init(|| shared))
}

fn try_lock(slot: &Mutex<Slot>) -> Option<MutexGuard<'_, Slot>> {
    match slot.try_lock() {
        Ok(slot) => Some(slot),
        Err(TryLockError::Poisoned(slot)) => Some(slot.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// The processor time a thread of this process has used; none if it has ended.
pub(super) fn thread_time(thread: i32) -> Option<Duration> {
    /// The number of a thread is part of its clock's, beside what kind of clock it is: one thread's, exact.
    const OF_THREAD_EXACT: libc::clockid_t = 4 | 2;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for writing; a clock that does not exist is an error.
    let status = unsafe { libc::clock_gettime(!thread << 3 | OF_THREAD_EXACT, &raw mut time) };
    result(status).ok()?;
    Some(Duration::new(u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?))
}

extern "C" fn on_signal(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the C library says where the calling thread's `errno` is, and it is there as long as the thread.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above. What is interrupted may be about to read it, so it is put back below.
    let before = unsafe { *errno };
    if let Some(shared) = SHARED.get()
        && shared.running.load(Ordering::Acquire)
        && !context.is_null()
    {
        // SAFETY: the handler is installed with `SA_SIGINFO`, so the kernel hands it the context it interrupted,
        // which is there until the handler returns.
        let context = unsafe { &*context.cast::<libc::ucontext_t>() };
        shared.sample(registers(context));
    }
    // SAFETY: as above.
    unsafe { *errno = before };
}

fn install() -> io::Result<()> {
    // SAFETY: an empty one is a valid one.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = on_signal;
    action.sa_sigaction = handler as libc::sighandler_t;
    // Calls that can go on by themselves do so; the signal itself is not interrupted by another of its kind.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
    // SAFETY: `action` is valid, nothing is written back, and the handler does only what handlers may.
    result(unsafe { libc::sigaction(libc::SIGPROF, &raw const action, ptr::null_mut()) })
}

/// Zero stops it.
fn set_timer(period: Duration) -> io::Result<()> {
    let interval = libc::timeval {
        tv_sec: libc::time_t::try_from(period.as_secs()).unwrap_or(1),
        tv_usec: libc::suseconds_t::from(period.subsec_micros()),
    };
    let timer = libc::itimerval { it_interval: interval, it_value: interval };
    // SAFETY: `timer` is valid and nothing is written back.
    result(unsafe { libc::setitimer(libc::ITIMER_PROF, &raw const timer, ptr::null_mut()) })
}

fn result(status: libc::c_int) -> io::Result<()> {
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whether registers can be read on this processor.
const SUPPORTED: bool = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));

#[cfg(target_arch = "x86_64")]
fn registers(context: &libc::ucontext_t) -> Registers {
    let all = &context.uc_mcontext.gregs;
    let register = |index: libc::c_int| {
        usize::try_from(index).ok().and_then(|index| all.get(index)).map_or(0, |value| value.cast_unsigned())
    };
    Registers {
        instruction: register(libc::REG_RIP),
        stack: register(libc::REG_RSP),
        frame: register(libc::REG_RBP),
        link: 0,
    }
}

#[cfg(target_arch = "aarch64")]
fn registers(context: &libc::ucontext_t) -> Registers {
    let machine = &context.uc_mcontext;
    Registers { instruction: machine.pc, stack: machine.sp, frame: machine.regs[29], link: machine.regs[30] }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn registers(_: &libc::ucontext_t) -> Registers {
    Registers::default()
}
