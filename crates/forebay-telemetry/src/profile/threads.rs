//! The threads of this process: what they are called, and how much time they have used.

use std::fs;
use std::time::Duration;

use super::Error;

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

    /// The processor time of all threads of this name together; none if there is no such thread, or the kernel
    /// does not count.
    pub(super) fn time_of(&self, name: &str) -> Option<Duration> {
        let time = self.list.iter().filter(|thread| thread.name == name).map(Thread::time).sum::<Duration>();
        (time > Duration::ZERO).then_some(time)
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

/// The processor time a thread of this process has used; none if it has ended.
fn thread_time(thread: i32) -> Option<Duration> {
    let counts = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).ok()?;
    counts.split(' ').next()?.parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_knows_its_name_and_its_time_grows() {
        let own = rustix::thread::gettid().as_raw_nonzero().get();
        let mut threads = Threads::list().unwrap();
        // The kernel keeps fifteen bytes of it.
        let name = threads.list.iter().find(|thread| thread.number == own).unwrap().name.clone();
        assert_eq!(name, "profile::thread");
        // Looking is work too.
        while threads.time_of(&name).is_none() {
            threads.update();
        }
        assert_eq!(threads.time_of("nobody"), None);
    }
}
