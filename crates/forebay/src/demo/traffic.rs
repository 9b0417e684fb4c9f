//! Traffic for the demo: requests are sent when their time has come, whether or not others are answered yet.
//!
//! A few threads share one plan. Each takes the next request, waits for its moment, sends it on a connection
//! it keeps, and reads the answer. How long a request took is measured from its planned moment: if the
//! gateway were slow enough to hold all threads up, that would show instead of being forgiven. They are
//! threads because an operating system's sleep is far more exact than a runtime's timer.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use forebay_base::time::Instant;
use tokio::sync::mpsc;

use super::client::Client;
use super::mix::{Arrivals, Planned};
use super::tally::{Counters, Tally};

/// Threads, and connections: enough for the mix with its slow reports.
const LANES: usize = 12;
/// What is late by the planned end may be sent for so much longer.
const GRACE: Duration = Duration::from_secs(5);

/// Traffic under way.
#[derive(Debug)]
pub(crate) struct Traffic {
    shared: Arc<Shared>,
    length: Duration,
    threads: Vec<JoinHandle<()>>,
    /// Each thread holds a sender until it ends.
    over: mpsc::Receiver<Infallible>,
}

/// Traffic that is over.
#[derive(Debug, Default)]
pub(crate) struct Finished {
    /// What clients saw.
    pub(super) tally: Tally,
    /// For how long requests were planned.
    pub(super) took: Duration,
    /// Requests whose time had come, and which could not be sent for want of a free thread.
    pub(super) left_out: u64,
}

#[derive(Debug)]
struct Shared {
    began: Instant,
    /// Nothing is sent after this.
    last: Instant,
    plan: Mutex<Arrivals>,
    counters: Mutex<Counters>,
    /// When somebody stopped it, as nanoseconds of an [`Instant`].
    stopped: AtomicU64,
}

impl Traffic {
    /// Begins to send requests to the gateway at `address`.
    ///
    /// # Errors
    /// A thread cannot be made.
    pub(crate) fn start(address: SocketAddr, length: Duration) -> io::Result<Self> {
        let began = Instant::now();
        let shared = Arc::new(Shared {
            began,
            last: began + length + GRACE,
            plan: Mutex::new(Arrivals::new(address.to_string(), length)),
            counters: Mutex::default(),
            stopped: AtomicU64::new(Instant::NEVER.as_nanos()),
        });
        let (held, over) = mpsc::channel(1);
        let mut threads = Vec::with_capacity(LANES);
        for lane in 0..LANES {
            let (shared, held) = (Arc::clone(&shared), held.clone());
            let work = move || {
                shared.send_to(address);
                drop(held);
            };
            threads.push(thread::Builder::new().name(format!("demo-client-{lane}")).spawn(work)?);
        }
        Ok(Self { shared, length, threads, over })
    }

    /// How long traffic lasts if nobody stops it.
    pub(super) const fn length(&self) -> Duration {
        self.length
    }

    /// Since the start.
    pub(super) fn elapsed(&self) -> Duration {
        Instant::now().since(self.shared.began)
    }

    /// What clients have seen so far.
    pub(super) fn tally(&self) -> Tally {
        self.shared.counters().read()
    }

    /// Sends nothing more; what has been sent is still answered.
    pub(super) fn stop(&self) {
        self.shared.stopped.fetch_min(Instant::now().as_nanos(), Ordering::Relaxed);
    }

    /// Waits until everything sent has been answered.
    pub(super) async fn ended(&mut self) {
        while self.over.recv().await.is_some() {}
    }

    /// What there is to say after the end; waits for it.
    pub(crate) fn finish(self) -> Finished {
        let took = self.elapsed().min(self.length).min(self.shared.stopped().since(self.shared.began));
        for thread in self.threads {
            // If one panicked, its counts will not add up, and that is told.
            let _ = thread.join();
        }
        let left_out = self.shared.left_out();
        let tally = self.shared.counters().read();
        Finished { tally, took, left_out }
    }
}

impl Shared {
    /// Sends what the plan says until there is nothing left of it.
    fn send_to(&self, address: SocketAddr) {
        let mut client = Client::new(address);
        while let Some(Planned { at, row, bytes }) = self.next() {
            let at = self.began + at;
            thread::sleep(at.since(Instant::now()));
            if self.is_stopped() {
                return;
            }
            let status = match client.connect() {
                Ok(connected) => {
                    if connected {
                        self.counters().count_connection();
                    }
                    client.ask(&bytes).ok()
                }
                Err(_) => None,
            };
            self.counters().count(row, status, Instant::now().since(at));
        }
    }

    fn next(&self) -> Option<Planned> {
        if self.is_stopped() || Instant::now() > self.last {
            return None;
        }
        self.plan().next()
    }

    /// Planned requests nobody took although their time had come.
    fn left_out(&self) -> u64 {
        let due = self.stopped().since(self.began);
        self.plan().by_ref().take_while(|planned| planned.at < due).count() as u64
    }

    /// When it was stopped; never, if it was not.
    fn stopped(&self) -> Instant {
        Instant::from_nanos(self.stopped.load(Ordering::Relaxed))
    }

    fn is_stopped(&self) -> bool {
        self.stopped() < Instant::NEVER
    }

    fn plan(&self) -> MutexGuard<'_, Arrivals> {
        self.plan.lock().expect("nothing under this lock panics")
    }

    fn counters(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().expect("nothing under this lock panics")
    }
}
