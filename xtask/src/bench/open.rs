//! Open-loop load at a constant rate: requests start at planned times, whatever became of earlier ones.
//!
//! A request's latency counts from its planned time, so a proxy that stalls is charged for everything it delayed.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::event::{Timespec, epoll};

use super::histogram::Histogram;
use super::machine::Pinning;
use super::wire;

/// How long late answers are waited for after the last planned request.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// What to send, to whom, how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) path: &'a str,
    /// All opened before the first request.
    pub(crate) connections: u32,
    /// Requests per second.
    pub(crate) rate: f64,
    pub(crate) time: Duration,
    pub(crate) pinning: &'a Pinning,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// From the planned time to the last byte.
    pub(crate) latencies: Histogram,
    /// From the planned time to the generator's taking note of it: its own share of the latency.
    pub(crate) lateness: Histogram,
    /// Planned requests that were not answered well.
    pub(crate) failed: u64,
}

/// Runs on a thread of its own, on the cores of the load.
pub(crate) fn run(plan: Plan<'_>) -> Result<Outcome> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            plan.pinning.join_rest()?;
            // Planned times are microseconds apart; the usual slack of timers is 50 µs.
            rustix::thread::set_current_timer_slack(NonZeroU64::new(1)).context("cannot sharpen timers")?;
            Generator::connect(plan)?.run()
        });
        thread.join().unwrap_or_else(|_| bail!("the load generator panicked"))
    })
}

struct Generator {
    epoll: rustix::fd::OwnedFd,
    request: Vec<u8>,
    connections: Vec<Connection>,
    /// Connections without a request under way, longest unused first.
    free: VecDeque<usize>,
    /// Planned times of requests that wait for a free connection. At most the number of planned requests.
    waiting: VecDeque<Instant>,
    interval: Duration,
    planned: u64,
    latencies: Histogram,
    lateness: Histogram,
}

struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    planned: Instant,
}

impl Generator {
    fn connect(plan: Plan<'_>) -> Result<Self> {
        let Plan { address, path, connections, rate, time, pinning: _ } = plan;
        if rate < 1.0 {
            bail!("a rate of {rate} requests per second is too low to measure");
        }
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let connections = (0..u64::from(connections))
            .map(|index| {
                let stream = wire::connect(address)?;
                stream.set_nonblocking(true)?;
                let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
                epoll::add(&epoll, &stream, epoll::EventData::new_u64(index), flags)?;
                Ok(Connection { stream, received: Vec::new(), planned: Instant::now() })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            epoll,
            request: wire::request(path).into_bytes(),
            free: (0..connections.len()).collect(),
            connections,
            waiting: VecDeque::new(),
            interval: Duration::from_secs_f64(1.0 / rate),
            planned: (rate * time.as_secs_f64()) as u64,
            latencies: Histogram::new(),
            lateness: Histogram::new(),
        })
    }

    fn run(mut self) -> Result<Outcome> {
        let start = Instant::now();
        let nanos = self.interval.as_nanos() as u64;
        let due = |number: u64| start + Duration::from_nanos(nanos * number);
        let deadline = due(self.planned) + LAST_WAIT;
        let mut events = Vec::with_capacity(self.connections.len());
        let mut next = 0;
        loop {
            let now = Instant::now();
            while next < self.planned && due(next) <= now {
                self.lateness.record(now - due(next));
                self.waiting.push_back(due(next));
                next += 1;
            }
            self.send_waiting()?;
            if self.latencies.total() == self.planned || now > deadline {
                break;
            }
            let wake = if next < self.planned { due(next) } else { deadline };
            events.clear();
            self.wait(wake, &mut events)?;
            for event in &events {
                self.receive(event.data.u64() as usize)?;
            }
        }
        let failed = self.planned - self.latencies.total();
        Ok(Outcome { latencies: self.latencies, lateness: self.lateness, failed })
    }

    fn send_waiting(&mut self) -> Result<()> {
        while let Some(&planned) = self.waiting.front() {
            let Some(index) = self.free.pop_front() else { return Ok(()) };
            self.waiting.pop_front();
            let connection = &mut self.connections[index];
            connection.planned = planned;
            // A request fits the socket's buffer, which is empty: it is taken whole or not at all.
            let sent = (&connection.stream).write(&self.request).context("cannot send")?;
            if sent < self.request.len() {
                bail!("only part of a request could be sent");
            }
        }
        Ok(())
    }

    fn wait(&self, wake: Instant, events: &mut Vec<epoll::Event>) -> Result<()> {
        let wait = wake.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() };
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(events), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error).context("cannot wait for events"),
        }
    }

    fn receive(&mut self, index: usize) -> Result<()> {
        let connection = &mut self.connections[index];
        let mut chunk = [0; 16 << 10];
        loop {
            let read = match (&connection.stream).read(&mut chunk) {
                Ok(0) => bail!("a connection was closed"),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("cannot receive"),
            };
            connection.received.extend_from_slice(&chunk[..read]);
            if wire::complete(&connection.received)?.is_some() {
                connection.received.clear();
                self.latencies.record(connection.planned.elapsed());
                self.free.push_back(index);
                return Ok(());
            }
            // A short read emptied the socket: what comes later is a new event.
            if read < chunk.len() {
                return Ok(());
            }
        }
    }
}
