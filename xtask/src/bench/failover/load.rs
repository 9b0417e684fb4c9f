//! Open-loop load that does not mind what becomes of its requests, and remembers every one of them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::event::{Timespec, epoll};

use crate::bench::machine::Pinning;
use crate::bench::wire;

/// A client waits so long for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Connections at a time: as many as all requests of `PATIENCE` would need, and then some.
const CONNECTIONS_MAX: usize = 12_000;

/// What to send, to whom, how often.
#[derive(Clone, Copy, Debug)]
pub(in crate::bench) struct Plan<'a> {
    pub(in crate::bench) address: SocketAddr,
    /// Requests per second.
    pub(in crate::bench) rate: u32,
    pub(in crate::bench) time: Duration,
    /// Every other request on a connection of its own.
    pub(in crate::bench) fresh: bool,
    pub(in crate::bench) pinning: &'a Pinning,
}

/// All requests.
#[derive(Debug)]
pub(in crate::bench) struct Outcome {
    /// When the first one was planned.
    pub(in crate::bench) start: Instant,
    /// In no order.
    pub(in crate::bench) samples: Vec<Sample>,
}

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::bench) struct Sample {
    /// When it was planned, after the first one.
    pub(in crate::bench) planned: Duration,
    /// From then to its last byte, or to its failure.
    pub(in crate::bench) took: Duration,
    /// Answered with a whole 200.
    pub(in crate::bench) ok: bool,
}

/// Runs on this thread, on the cores of the load.
pub(in crate::bench) fn run(plan: Plan<'_>) -> Result<Outcome> {
    plan.pinning.join_rest()?;
    rustix::thread::set_current_timer_slack(NonZeroU64::new(1)).context("cannot sharpen timers")?;
    Generator::new(plan)?.run()
}

struct Generator {
    epoll: rustix::fd::OwnedFd,
    address: SocketAddr,
    request: Vec<u8>,
    /// The same, as the last one of its connection.
    last_request: Vec<u8>,
    fresh: bool,
    /// At most `CONNECTIONS_MAX`.
    connections: Vec<Option<Connection>>,
    /// Connections without a request under way; the one used last is used first, so that few are.
    free: Vec<usize>,
    /// Places in `connections` of those that have ended.
    gaps: Vec<usize>,
    /// When requests under way run out of patience: the instant, the connection, and its request.
    patience: BinaryHeap<Reverse<(Instant, usize, u64)>>,
    waiting: VecDeque<Instant>,
    start: Instant,
    interval: Duration,
    /// Requests of the whole run.
    count: u64,
    /// Tells a connection's requests apart.
    serial: u64,
    samples: Vec<Sample>,
}

struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
    /// When its request was planned, and its serial number.
    request: Option<(Instant, u64)>,
}

impl Generator {
    fn new(plan: Plan<'_>) -> Result<Self> {
        let Plan { address, rate, time, fresh, pinning: _ } = plan;
        let count = u64::from(rate) * time.as_secs();
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            address,
            request: wire::request("/small").into_bytes(),
            last_request: wire::last_request("/small").into_bytes(),
            fresh,
            connections: Vec::new(),
            free: Vec::new(),
            gaps: Vec::new(),
            patience: BinaryHeap::new(),
            waiting: VecDeque::new(),
            start: Instant::now(),
            interval: Duration::from_secs(1) / rate,
            count,
            serial: 0,
            samples: Vec::with_capacity(count as usize),
        })
    }

    fn run(mut self) -> Result<Outcome> {
        let mut events = Vec::with_capacity(1_024);
        let mut next = 0_u64;
        self.start = Instant::now();
        let (start, nanos) = (self.start, self.interval.as_nanos() as u64);
        let due = |number: u64| start + Duration::from_nanos(nanos * number);
        while self.samples.len() < self.count as usize {
            let now = Instant::now();
            while next < self.count && due(next) <= now {
                self.waiting.push_back(due(next));
                next += 1;
            }
            self.send_waiting();
            self.lose_patience(now);
            let wake = if next < self.count { due(next) } else { now + Duration::from_millis(10) };
            events.clear();
            let wait = wake.saturating_duration_since(Instant::now());
            let timeout = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() };
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).context("cannot wait for events"),
            }
            events.iter().for_each(|event| self.receive(event.data.u64() as usize));
        }
        Ok(Outcome { start: self.start, samples: self.samples })
    }

    fn send_waiting(&mut self) {
        while let Some(&planned) = self.waiting.front() {
            let is_alone = self.fresh && self.serial.is_multiple_of(2);
            let index = match self.free.pop_if(|_| !is_alone) {
                Some(index) => index,
                None if self.connections.len() - self.gaps.len() >= CONNECTIONS_MAX => {
                    // Even connecting is a wait that has an end.
                    if planned.elapsed() < PATIENCE {
                        return;
                    }
                    self.waiting.pop_front();
                    self.settle(planned, false);
                    continue;
                }
                None => match self.connect() {
                    Ok(index) => index,
                    Err(_) => {
                        self.waiting.pop_front();
                        self.settle(planned, false);
                        continue;
                    }
                },
            };
            self.waiting.pop_front();
            self.send(index, planned, is_alone);
        }
    }

    fn connect(&mut self) -> Result<usize> {
        let stream = wire::connect(self.address)?;
        stream.set_nonblocking(true)?;
        let index = self.gaps.pop().unwrap_or(self.connections.len());
        let flags = epoll::EventFlags::IN | epoll::EventFlags::RDHUP | epoll::EventFlags::ET;
        epoll::add(&self.epoll, &stream, epoll::EventData::new_u64(index as u64), flags)?;
        if index == self.connections.len() {
            self.connections.push(None);
        }
        self.connections[index] = Some(Connection { stream, received: Vec::new(), request: None });
        Ok(index)
    }

    fn send(&mut self, index: usize, planned: Instant, is_alone: bool) {
        let Some(connection) = &mut self.connections[index] else { return };
        self.serial += 1;
        connection.request = Some((planned, self.serial));
        self.patience.push(Reverse((planned + PATIENCE, index, self.serial)));
        // A request fits the socket's buffer, which is empty: it is taken whole or not at all.
        let request = if is_alone { &self.last_request } else { &self.request };
        if (&connection.stream).write(request).is_err() {
            self.end(index);
        }
    }

    fn receive(&mut self, index: usize) {
        let mut chunk = [0; 16 << 10];
        loop {
            let Some(connection) = self.connections.get_mut(index).and_then(Option::as_mut) else { return };
            match (&connection.stream).read(&mut chunk) {
                Ok(0) => return self.end(index),
                Ok(read) => connection.received.extend_from_slice(&chunk[..read]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => return self.end(index),
            }
            match wire::complete(&connection.received) {
                Ok(None) => {}
                Ok(Some(_)) => {
                    let closes = wire::closes(&connection.received);
                    connection.received.clear();
                    let Some((planned, _)) = connection.request.take() else { return self.end(index) };
                    self.settle(planned, true);
                    self.free.push(index);
                    if closes {
                        return self.end(index);
                    }
                }
                // Anything but a 200: whether more of it comes does not matter.
                Err(_) => return self.end(index),
            }
        }
    }

    /// Ends a connection; a request that was under way on it has failed.
    fn end(&mut self, index: usize) {
        let Some(connection) = self.connections[index].take() else { return };
        self.gaps.push(index);
        match connection.request {
            Some((planned, _)) => self.settle(planned, false),
            None => self.free.retain(|other| *other != index),
        }
    }

    fn lose_patience(&mut self, now: Instant) {
        while let Some(&Reverse((until, index, serial))) = self.patience.peek() {
            if until > now {
                return;
            }
            self.patience.pop();
            let connection = self.connections.get(index).and_then(Option::as_ref);
            let request = connection.and_then(|connection| connection.request);
            if request.is_some_and(|(_, other)| other == serial) {
                self.end(index);
            }
        }
    }

    fn settle(&mut self, planned: Instant, ok: bool) {
        let sample = Sample { planned: planned - self.start, took: planned.elapsed(), ok };
        self.samples.push(sample);
    }
}
