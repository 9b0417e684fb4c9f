//! The thread of a scripted server: waits for what comes and for what is due, and does it on time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::num::NonZeroU64;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};

use super::connection::{Connection, Pending, Sent};
use super::reply::{How, Reply};
use super::request::{Extent, Request};
use super::schedule::Schedule;
use super::truth::{ENTRIES_MAX, Entry, Truth};
use super::{BACKLOG, Options, Shared};

/// How long before something is due the thread stops sleeping and polls: longer than the kernel is usually late.
const SPIN: Duration = Duration::from_micros(120);
/// Longest sleep, so that a missed wake-up only costs time.
const SLEEP_MAX: Duration = Duration::from_secs(1);
/// Events taken at once.
const EVENTS: usize = 256;
/// What came and was no request, at most so many times.
const FAULTS_MAX: usize = 100;

const LISTENER: u64 = u64::MAX;
const WAKER: u64 = u64::MAX - 1;

pub(super) type Script = Box<dyn FnMut(&Request<'_>) -> Reply + Send>;

pub(super) struct Server {
    listener: socket2::Socket,
    listening: bool,
    epoll: rustix::fd::OwnedFd,
    _wake: UnixStream,
    script: Script,
    schedule: Schedule,
    /// When each desk is free.
    desks: Vec<Instant>,
    /// By file descriptor: at most as many as the process may open.
    connections: Vec<Option<Connection>>,
    /// What is due when, on which descriptor, for which request: at most one for each connection, and left-overs
    /// of those that ended.
    due: BinaryHeap<Reverse<(Instant, usize, u64)>>,
    accepted: u64,
    requests: u64,
    shared: Arc<Shared>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

impl Server {
    pub(super) fn new(
        listener: socket2::Socket,
        wake: UnixStream,
        options: Options,
        script: Script,
        shared: Arc<Shared>,
    ) -> Self {
        let Options { stalls, outages, desks } = options;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("the process has descriptors left");
        watch(&epoll, &wake, WAKER, epoll::EventFlags::IN);
        let mut server = Self {
            listener,
            listening: false,
            epoll,
            _wake: wake,
            script,
            schedule: Schedule::new(stalls, outages),
            desks: vec![Instant::now(); desks.max(1)],
            connections: Vec::new(),
            due: BinaryHeap::new(),
            accepted: 0,
            requests: 0,
            shared,
        };
        server.listen();
        server
    }

    /// Serves until it is told to stop.
    pub(super) fn run(mut self) {
        // The kernel may otherwise add 50 µs to each sleep. Without it the thread is only less exact.
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
        let mut events = Vec::with_capacity(EVENTS);
        while !self.shared.stopped() {
            self.follow_schedule();
            let timeout = self.until_next();
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => panic!("cannot wait for events: {error}"),
            }
            self.do_due();
            for event in &events {
                match event.data.u64() {
                    LISTENER => self.accept(),
                    WAKER => {}
                    index => self.advance(index as usize),
                }
                // A crowd of newcomers must not make others late.
                self.do_due();
            }
        }
    }

    /// Sits out a stall; comes and goes with outages.
    fn follow_schedule(&mut self) {
        while let Some(end) = self.schedule.stalled_until(Instant::now()) {
            if self.shared.stopped() {
                return;
            }
            thread::park_timeout(end.saturating_duration_since(Instant::now()));
        }
        match (self.schedule.is_out(Instant::now()), self.listening) {
            (true, true) => self.vanish(),
            (false, false) => {
                self.listener.listen(BACKLOG).expect("it is still bound");
                self.listen();
            }
            _ => {}
        }
    }

    fn listen(&mut self) {
        watch(&self.epoll, &self.listener, LISTENER, epoll::EventFlags::IN);
        self.listening = true;
    }

    /// Does to its peers what the end of a process does.
    fn vanish(&mut self) {
        epoll::delete(&self.epoll, &self.listener).expect("it was added");
        // A listener that is shut down keeps its port and refuses connections.
        self.listener.shutdown(std::net::Shutdown::Both).expect("it was listening");
        self.listening = false;
        for index in 0..self.connections.len() {
            if let Some(connection) = &self.connections[index] {
                connection.reset();
                self.end(index);
            }
        }
    }

    fn until_next(&self) -> Timespec {
        let now = Instant::now();
        let due = self.due.peek().map(|Reverse((due, ..))| *due);
        let next = due.into_iter().chain(self.schedule.next_change(now)).min();
        let sleep = next.map_or(SLEEP_MAX, |next| {
            next.saturating_duration_since(now).saturating_sub(SPIN).min(SLEEP_MAX)
        });
        Timespec { tv_sec: sleep.as_secs() as i64, tv_nsec: sleep.subsec_nanos().into() }
    }

    fn accept(&mut self) {
        loop {
            let stream: TcpStream = match self.listener.accept() {
                Ok((socket, _)) => socket.into(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // The peer gave up before it was accepted.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => return self.fault(format!("cannot accept: {error}")),
            };
            stream.set_nonblocking(true).expect("an open socket takes options");
            // Pieces sent apart must leave apart.
            let _ = stream.set_nodelay(true);
            let index = stream.as_raw_fd() as usize;
            let flags = epoll::EventFlags::IN
                | epoll::EventFlags::OUT
                | epoll::EventFlags::RDHUP
                | epoll::EventFlags::ET;
            watch(&self.epoll, &stream, index as u64, flags);
            if self.connections.len() <= index {
                self.connections.resize_with(index + 1, || None);
            }
            self.connections[index] = Some(Connection::new(self.accepted, stream));
            self.accepted += 1;
            self.shared.truth().connections += 1;
        }
    }

    /// Takes what a connection sent and goes on with what it is being sent.
    fn advance(&mut self, index: usize) {
        let Some(connection) = self.connections.get_mut(index).and_then(Option::as_mut) else { return };
        if !connection.read() {
            return self.end(index);
        }
        if connection.pending.is_some() {
            self.send(index);
        } else {
            self.take_next(index);
        }
    }

    /// Begins the answer to the next request, if there is one.
    fn take_next(&mut self, index: usize) {
        let Some(connection) = self.connections.get(index).and_then(Option::as_ref) else { return };
        match connection.next() {
            Ok(None) => {}
            Ok(Some(extent)) => self.take(index, extent),
            Err(what) => {
                self.fault(what);
                self.end(index);
            }
        }
    }

    fn take(&mut self, index: usize, extent: Extent) {
        let Some(connection) = self.connections.get_mut(index).and_then(Option::as_mut) else { return };
        let now = Instant::now();
        let started = self.schedule.start(now);
        let (head, body) = connection.bytes(extent);
        let head = std::str::from_utf8(head).expect("it was found to be a text").trim_end();
        let mut words = head.split([' ', '\r']);
        let request = Request {
            number: self.requests,
            at: now - started,
            connection: connection.number,
            turn: connection.turns,
            method: words.next().unwrap_or_default(),
            target: words.next().unwrap_or_default(),
            head,
            body,
        };
        let reply = (self.script)(&request);
        let to_head = request.method == "HEAD";
        let due = due(&reply, now, &mut self.desks);
        let pending = Pending::new(self.requests, now, due - now, &reply, to_head);
        connection.begin(extent, pending);
        let never = reply.how == How::Never;
        if !never {
            self.due.push(Reverse((due, index, self.requests)));
        }
        self.requests += 1;
        let mut truth = self.shared.truth();
        truth.requests += 1;
        if never {
            *truth.answers.entry(How::Never).or_default() += 1;
        }
    }

    /// Does whatever is due by now.
    fn do_due(&mut self) {
        while let Some(&Reverse((due, index, number))) = self.due.peek() {
            if due > Instant::now() {
                return;
            }
            self.due.pop();
            let Some(connection) = self.connections.get_mut(index).and_then(Option::as_mut) else { continue };
            // The connection may have ended, and its descriptor gone to another.
            let Some(pending) = connection.pending.as_mut().filter(|pending| pending.number == number) else {
                continue;
            };
            if let Some(later) = pending.allow() {
                let next = pending.at + pending.planned + later;
                self.due.push(Reverse((next, index, number)));
            }
            self.send(index);
        }
    }

    /// Sends what may be sent by now, or does the fault whose time has come.
    fn send(&mut self, index: usize) {
        let Some(connection) = self.connections.get_mut(index).and_then(Option::as_mut) else { return };
        let shared = Arc::clone(&self.shared);
        // Held while sending: whoever sees the answer and then asks for the truth finds it there.
        let mut truth = shared.truth();
        let sent = connection.flush(Instant::now());
        if sent == Sent::Part {
            return;
        }
        let Some(pending) = connection.pending.take() else { return };
        match sent {
            Sent::Part => {}
            Sent::Gone => {
                truth.abandoned += 1;
                self.connections[index] = None;
            }
            Sent::All => {
                self.record(&pending, &mut truth);
                self.settle(index, &pending, truth);
            }
        }
    }

    /// After an answer: ends the connection, or takes its next request.
    fn settle(&mut self, index: usize, pending: &Pending, truth: MutexGuard<'_, Truth>) {
        if !pending.ends {
            drop(truth);
            return self.take_next(index);
        }
        let ended = self.connections.get_mut(index).and_then(Option::take);
        if let Some(connection) = ended.filter(|_| pending.how == How::Reset) {
            connection.reset();
        }
    }

    fn record(&mut self, pending: &Pending, truth: &mut Truth) {
        let now = Instant::now();
        let started = self.schedule.start(pending.at);
        *truth.answers.entry(pending.how).or_default() += 1;
        if matches!(pending.how, How::Whole | How::Slow { .. } | How::Truncated) {
            *truth.statuses.entry(pending.status).or_default() += 1;
        }
        if truth.entries.len() < ENTRIES_MAX {
            truth.entries.push(Entry {
                number: pending.number,
                at: pending.at - started,
                planned: pending.planned,
                first: pending.first.unwrap_or(now) - pending.at,
                last: now - pending.at,
            });
        }
    }

    /// The peer is gone, or has to go.
    fn end(&mut self, index: usize) {
        let ended = self.connections.get_mut(index).and_then(Option::take);
        let abandoned = ended.is_some_and(|connection| connection.pending.is_some());
        if abandoned {
            self.shared.truth().abandoned += 1;
        }
    }

    fn fault(&mut self, what: String) {
        let mut truth = self.shared.truth();
        if truth.faults.len() < FAULTS_MAX {
            truth.faults.push(what);
        }
    }
}

/// When an answer begins: after its delay, or once a desk was free and did the work.
fn due(reply: &Reply, now: Instant, desks: &mut [Instant]) -> Instant {
    if !reply.work {
        return now + reply.delay;
    }
    let desk = desks.iter_mut().min().expect("there is at least one desk");
    *desk = (*desk).max(now) + reply.delay;
    *desk
}

fn watch(epoll: &rustix::fd::OwnedFd, what: impl rustix::fd::AsFd, data: u64, flags: epoll::EventFlags) {
    epoll::add(epoll, what, epoll::EventData::new_u64(data), flags).expect("the kernel has memory left");
}
