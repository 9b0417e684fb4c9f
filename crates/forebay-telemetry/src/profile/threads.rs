//! The threads of this process: what they are called, and how much time they have used.

use std::fs;
use std::time::Duration;

use super::Error;
use super::sampler::thread_time;

/// Threads that are looked at; any more are left out.
const THREADS_MAX: usize = 1024;

/// Those that there are, or were since this was made.
#[derive(Debug)]
pub(super) struct Threads {
    list: Vec<Thread>,
}

/// A thread, of which there may be nothing left but its count.
#[derive(Debug)]
pub(super) struct Thread {
    pub(super) number: i32,
    pub(super) name: String,
    /// Its processor time when it was first seen, and when it was last.
    first: Duration,
    last: Duration,
}

impl Threads {
    /// All there are. Their time counts from now.
    ///
    /// # Errors
    /// The kernel does not say.
    pub(super) fn list() -> Result<Self, Error> {
        let mut threads = Self { list: Vec::new() };
        threads.find()?;
        for thread in &mut threads.list {
            thread.first = thread_time(thread.number).unwrap_or_default();
        }
        threads.update();
        Ok(threads)
    }

    /// Adds those that have begun since. All their time counts.
    ///
    /// # Errors
    /// The kernel does not say.
    pub(super) fn find(&mut self) -> Result<(), Error> {
        let tasks = fs::read_dir("/proc/self/task")
            .map_err(|error| Error::unavailable("cannot list threads in /proc/self/task", &error))?;
        let numbers = tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok());
        for number in numbers {
            if self.list.len() < THREADS_MAX && !self.list.iter().any(|thread| thread.number == number) {
                self.list.extend(Thread::open(number));
            }
        }
        Ok(())
    }

    /// Reads everybody's time. Those that have ended keep what they had.
    pub(super) fn update(&mut self) {
        for thread in &mut self.list {
            thread.last = thread_time(thread.number).unwrap_or(thread.last);
        }
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Thread> {
        self.list.iter()
    }

    /// The one of this number.
    pub(super) fn get(&self, number: i32) -> Option<&Thread> {
        self.list.iter().find(|thread| thread.number == number)
    }
}

impl Thread {
    fn open(number: i32) -> Option<Self> {
        // One that has just ended has none.
        let name = fs::read_to_string(format!("/proc/self/task/{number}/comm")).ok()?.trim_end().to_owned();
        Some(Self { number, name, first: Duration::ZERO, last: Duration::ZERO })
    }

    /// The processor time it has used since it was first seen.
    pub(super) fn time(&self) -> Duration {
        self.last.saturating_sub(self.first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_knows_its_name_and_its_time_grows() {
        let own = rustix::thread::gettid().as_raw_nonzero().get();
        let mut threads = Threads::list().unwrap();
        let before = threads.get(own).unwrap().time();
        // Work is not what counts here, only that time goes on.
        while threads.get(own).unwrap().time() == before {
            threads.update();
        }
        // The kernel keeps fifteen bytes of it.
        assert_eq!(threads.get(own).unwrap().name, "profile::thread");
        assert!(threads.get(0).is_none());
    }

    #[test]
    fn a_thread_that_begins_later_is_found_with_all_its_time() {
        let mut threads = Threads::list().unwrap();
        std::thread::scope(|scope| {
            let (tell, told) = std::sync::mpsc::channel();
            let (end, ended) = std::sync::mpsc::channel::<()>();
            scope.spawn(move || {
                tell.send(rustix::thread::gettid().as_raw_nonzero().get()).unwrap();
                ended.recv().unwrap_err();
            });
            let number = told.recv().unwrap();
            assert!(threads.get(number).is_none());
            threads.find().unwrap();
            threads.update();
            assert!(threads.get(number).is_some_and(|thread| thread.time() > Duration::ZERO));
            drop(end);
        });
    }
}
