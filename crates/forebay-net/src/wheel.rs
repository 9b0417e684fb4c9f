//! Deadlines without a timer per request: one sleeper per worker wakes the few connections that are late.
//!
//! A connection's `Alarm` stands in the wheel at most once for the near future. Waiting for something until
//! a deadline costs a comparison; only a deadline earlier than the alarm's present entry touches the wheel.
//! An entry that fires wakes the connection's task, which looks at the clock, finds what is due, and sets
//! the alarm anew for what is not.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use forebay_base::time::Instant;

/// Deadlines are rounded up to this.
const TICK: Duration = Duration::from_millis(5);
const TICK_NANOS: u64 = 5_000_000;
/// Entries of ended tasks that are not worth a walk through the wheel.
const DEAD_MIN: usize = 1024;

/// One worker's deadlines.
#[derive(Clone, Debug, Default)]
pub struct Wheel {
    state: Rc<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: RefCell<BTreeMap<u64, Vec<Weak<Entry>>>>,
    /// Entries, those of tasks that have ended included.
    standing: Cell<usize>,
    /// Entries of tasks that have ended.
    dead: Cell<usize>,
    /// The sleeper, to be woken when an earlier deadline arrives.
    sleeper: RefCell<Option<Waker>>,
    /// The tick the sleeper sleeps until.
    sleeping_until: Cell<u64>,
}

/// A task's place in the wheel. Dropped with the task; its entries are then empty.
#[derive(Debug)]
pub struct Alarm {
    entry: Rc<Entry>,
    wheel: Rc<State>,
}

#[derive(Debug)]
struct Entry {
    /// The tick of the earliest entry in the wheel; `u64::MAX`: none.
    at: Cell<u64>,
    /// The tick of the latest one, if there is another: it need not be made again when the first has fired.
    far: Cell<u64>,
    waker: RefCell<Option<Waker>>,
}

impl Wheel {
    /// An alarm for one task.
    #[must_use]
    pub fn alarm(&self) -> Alarm {
        let entry = Entry { at: Cell::new(u64::MAX), far: Cell::new(u64::MAX), waker: RefCell::default() };
        Alarm { entry: Rc::new(entry), wheel: Rc::clone(&self.state) }
    }

    /// Wakes whoever is late, for ever. Each worker runs this once.
    pub async fn run(self) {
        loop {
            let due = self.next_due().await;
            let now = Instant::now();
            let wait = Instant::from_nanos(due.saturating_mul(TICK_NANOS)).since(now);
            if wait.is_zero() {
                self.fire(tick_before(now));
            } else {
                self.sleep(due, wait).await;
            }
        }
    }

    /// Wakes every task that waits for a deadline, late or not: something has changed for all of them.
    pub fn wake_all(&self) {
        self.fire(u64::MAX);
    }

    /// Waits until there is any entry; returns the earliest tick.
    async fn next_due(&self) -> u64 {
        std::future::poll_fn(|cx| {
            let first = self.state.entries.borrow().keys().next().copied();
            if let Some(due) = first {
                return Poll::Ready(due);
            }
            self.state.sleeping_until.set(u64::MAX);
            *self.state.sleeper.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Sleeps until `due`, or until an earlier entry is made.
    async fn sleep(&self, due: u64, wait: Duration) {
        let mut sleep = std::pin::pin!(tokio::time::sleep(wait));
        self.state.sleeping_until.set(due);
        std::future::poll_fn(|cx| {
            if self.state.sleeping_until.get() < due {
                return Poll::Ready(());
            }
            *self.state.sleeper.borrow_mut() = Some(cx.waker().clone());
            sleep.as_mut().poll(cx)
        })
        .await;
    }

    /// Wakes every entry up to and including `tick`.
    fn fire(&self, tick: u64) {
        loop {
            let late = {
                let mut entries = self.state.entries.borrow_mut();
                match entries.first_entry() {
                    Some(first) if *first.key() <= tick => first.remove_entry(),
                    _ => return,
                }
            };
            let (at, alarms) = late;
            self.state.standing.set(self.state.standing.get().saturating_sub(alarms.len()));
            let gone = alarms.iter().filter(|entry| entry.strong_count() == 0).count();
            self.state.dead.set(self.state.dead.get().saturating_sub(gone));
            for entry in alarms.iter().filter_map(Weak::upgrade) {
                // An entry that an earlier one replaced has nothing to say.
                if entry.far.get() == at {
                    entry.far.set(u64::MAX);
                }
                if entry.at.get() == at {
                    entry.at.set(entry.far.replace(u64::MAX));
                    if let Some(waker) = entry.waker.borrow().as_ref() {
                        waker.wake_by_ref();
                    }
                }
            }
        }
    }
}

impl Alarm {
    /// Ready once `deadline` has passed; else sees to it that the task is woken by then.
    #[inline]
    pub fn poll(&self, cx: &Context<'_>, deadline: Instant) -> Poll<()> {
        let tick = tick_after(deadline);
        if tick >= self.entry.at.get() {
            // Woken no later than needed already. A task that is polled while its entry still stands
            // cannot be late by more than a tick, so the clock need not be read.
            return Poll::Pending;
        }
        self.arm(cx, deadline, tick)
    }

    /// Lets go of the task that used this alarm so far, so that another may `adopt` it.
    pub fn release(&self) {
        *self.entry.waker.borrow_mut() = None;
    }

    /// Has this task woken from now on. What the one before was to be woken for may wake it too.
    pub fn adopt(&self, cx: &Context<'_>) {
        *self.entry.waker.borrow_mut() = Some(cx.waker().clone());
    }

    #[cold]
    fn arm(&self, cx: &Context<'_>, deadline: Instant, tick: u64) -> Poll<()> {
        if deadline == Instant::NEVER {
            return Poll::Pending;
        }
        if deadline <= Instant::now() {
            return Poll::Ready(());
        }
        let before = self.entry.at.replace(tick);
        if before != u64::MAX {
            let far = self.entry.far.get();
            self.entry.far.set(if far == u64::MAX { before } else { far.max(before) });
        }
        let mut waker = self.entry.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        self.wheel.entries.borrow_mut().entry(tick).or_default().push(Rc::downgrade(&self.entry));
        self.wheel.standing.set(self.wheel.standing.get() + 1);
        if tick < self.wheel.sleeping_until.get() {
            self.wheel.sleeping_until.set(tick);
            if let Some(sleeper) = self.wheel.sleeper.borrow_mut().take() {
                sleeper.wake();
            }
        }
        Poll::Pending
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if self.entry.at.get() == u64::MAX {
            return;
        }
        // The entry is found by its tick, not by its task, so it stays until then, or until the dead are the
        // most: many short connections with a long deadline must not pile up.
        self.wheel.dead.set(self.wheel.dead.get() + 1);
        if self.wheel.dead.get() >= DEAD_MIN && self.wheel.dead.get() * 2 > self.wheel.standing.get() {
            self.wheel.bury(&self.entry);
        }
    }
}

impl State {
    /// Removes the entries of tasks that have ended, and of the one that is just ending.
    fn bury(&self, ending: &Rc<Entry>) {
        let mut standing = 0;
        let mut entries = self.entries.borrow_mut();
        entries.retain(|_, alarms| {
            alarms.retain(|entry| entry.strong_count() > 0 && entry.as_ptr() != Rc::as_ptr(ending));
            alarms.shrink_to_fit();
            standing += alarms.len();
            !alarms.is_empty()
        });
        self.standing.set(standing);
        self.dead.set(0);
    }
}

/// The first tick at or after `at`, when everything due at `at` is late.
fn tick_after(at: Instant) -> u64 {
    at.as_nanos().div_ceil(TICK_NANOS)
}

/// The last tick that has passed at `now`.
fn tick_before(now: Instant) -> u64 {
    now.as_nanos() / TICK_NANOS
}

/// How precisely deadlines are kept: they pass at most this much late on an idle machine.
#[must_use]
pub const fn resolution() -> Duration {
    TICK
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    /// Runs `test` on a worker's runtime with a wheel turning; fails rather than hangs.
    fn with_wheel<F: Future<Output = ()>>(test: impl FnOnce(Wheel) -> F) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async {
            let wheel = Wheel::default();
            tokio::task::spawn_local(wheel.clone().run());
            tokio::time::timeout(Duration::from_secs(20), test(wheel)).await.expect("in time");
        });
    }

    #[test]
    fn a_deadline_passes() {
        with_wheel(async |wheel| {
            let alarm = wheel.alarm();
            let deadline = Instant::now() + Duration::from_millis(20);
            poll_fn(|cx| alarm.poll(cx, deadline)).await;
            assert!(Instant::now() >= deadline);
        });
    }

    #[test]
    fn an_earlier_deadline_overtakes_a_later_one() {
        with_wheel(async |wheel| {
            let alarm = wheel.alarm();
            let far = Instant::now() + Duration::from_secs(3600);
            poll_fn(|cx| Poll::Ready(alarm.poll(cx, far).is_pending())).await;
            let near = Instant::now() + Duration::from_millis(20);
            poll_fn(|cx| alarm.poll(cx, near)).await;
            assert!(Instant::now() >= near);
        });
    }

    #[test]
    fn a_later_deadline_outlives_an_earlier_entry() {
        with_wheel(async |wheel| {
            let alarm = wheel.alarm();
            let near = Instant::now() + Duration::from_millis(10);
            poll_fn(|cx| Poll::Ready(alarm.poll(cx, near).is_pending())).await;
            let far = Instant::now() + Duration::from_millis(60);
            poll_fn(|cx| alarm.poll(cx, far)).await;
            assert!(Instant::now() >= far);
        });
    }

    #[test]
    fn ended_tasks_do_not_pile_up() {
        with_wheel(async |wheel| {
            for _ in 0..10 * DEAD_MIN {
                let alarm = wheel.alarm();
                let far = Instant::now() + Duration::from_secs(3600);
                poll_fn(|cx| Poll::Ready(alarm.poll(cx, far).is_pending())).await;
            }
            let entries: usize = wheel.state.entries.borrow().values().map(Vec::len).sum();
            assert!(entries <= DEAD_MIN, "{entries}");
            assert_eq!(entries, wheel.state.standing.get());
        });
    }

    #[test]
    fn near_deadlines_between_far_ones_do_not_pile_up() {
        with_wheel(async |wheel| {
            let alarm = wheel.alarm();
            for _ in 0..10 {
                let far = Instant::now() + Duration::from_secs(3600);
                poll_fn(|cx| Poll::Ready(alarm.poll(cx, far).is_pending())).await;
                let near = Instant::now() + Duration::from_millis(10);
                poll_fn(|cx| alarm.poll(cx, near)).await;
            }
            let entries: usize = wheel.state.entries.borrow().values().map(Vec::len).sum();
            assert!(entries <= 2, "{entries}");
        });
    }

    #[test]
    fn a_thousand_waits_of_one_task_leave_one_entry() {
        with_wheel(async |wheel| {
            let alarm = wheel.alarm();
            for n in 0..1000 {
                let deadline = Instant::now() + Duration::from_secs(60) + Duration::from_millis(n);
                poll_fn(|cx| Poll::Ready(alarm.poll(cx, deadline).is_pending())).await;
            }
            let entries: usize = wheel.state.entries.borrow().values().map(Vec::len).sum();
            assert_eq!(entries, 1);
        });
    }
}
