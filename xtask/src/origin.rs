//! The backend of a bench: answers so cheaply that the proxy in front of it is what gets measured.
//!
//! One thread, edge-triggered epoll, prebuilt answers, one read and one write per request.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::event::{Timespec, epoll};

mod answer;
mod fault;
mod request;

use answer::{Answer, Answers};
use fault::Fault;
use request::{Body, Parsed};

/// `cargo xtask origin`: `/small` (90 bytes; also below it), `/10k`, `/1m`, `POST /sink`, `/head` (the request's own head),
/// `/delay?ms=N`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Loopback addresses from 127.0.0.1 on that lead here, all with this port
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000))]
    addresses: u16,
    /// Misbehave as lines of standard input say: `dark`, `silent`, `failing`, `well`
    #[arg(long)]
    control: bool,
}

/// Serves until it is killed. The first line of output names the address.
pub(crate) fn run(args: &Args) -> Result<()> {
    let listeners = listen(args)?;
    println!("listening on {}", listeners[0].local_addr()?);
    let mut origin = Origin::new(listeners)?;
    if args.control {
        origin.listen_to_input()?;
    }
    origin.serve()
}

/// An address of our own machine by its number, from 127.0.0.1 on.
pub(crate) fn loopback(number: u16) -> Ipv4Addr {
    let [above, below] = (number + 1).to_be_bytes();
    Ipv4Addr::new(127, 0, above, below)
}

fn listen(args: &Args) -> Result<Vec<TcpListener>> {
    let mut port = args.port;
    let mut listeners = Vec::new();
    for number in 0..args.addresses {
        let address = SocketAddr::from((loopback(number), port));
        let listener = TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
        listener.set_nonblocking(true)?;
        port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok(listeners)
}

/// Bytes of one read; also the longest head that is understood.
const READ_MAX: usize = 64 << 10;
/// Events of connections have smaller numbers, and the first listener this one.
const LISTENERS: u64 = 1 << 32;
const INPUT: u64 = u64::MAX;

struct Origin {
    epoll: rustix::fd::OwnedFd,
    /// At least one.
    listeners: Vec<TcpListener>,
    answers: Answers,
    /// Those of a service that fails.
    failing: Answers,
    /// By file descriptor: at most as many as the process may open.
    connections: Vec<Option<Connection>>,
    /// Answers to `/delay` that are not due yet: at most one per connection.
    delayed: BinaryHeap<Reverse<(Instant, usize)>>,
    /// How it misbehaves.
    fault: Option<Fault>,
}

struct Connection {
    stream: TcpStream,
    /// The start of a head whose end has not come yet. At most `READ_MAX`.
    partial: Vec<u8>,
    /// What is left of the request's body; its answer is sent when none is.
    body: Body,
    /// To be sent once the body is over, or the delay.
    next: Option<Answer>,
    /// Being sent.
    sending: Option<(Answer, usize)>,
}

impl Origin {
    fn new(listeners: Vec<TcpListener>) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for (listener, data) in listeners.iter().zip(LISTENERS..) {
            epoll::add(&epoll, listener, epoll::EventData::new_u64(data), epoll::EventFlags::IN)?;
        }
        Ok(Self {
            epoll,
            listeners,
            answers: Answers::new(),
            failing: Answers::failing(),
            connections: Vec::new(),
            delayed: BinaryHeap::new(),
            fault: None,
        })
    }

    /// From now on, lines of standard input are orders.
    fn listen_to_input(&mut self) -> Result<()> {
        let flags = epoll::EventFlags::IN;
        epoll::add(&self.epoll, std::io::stdin(), epoll::EventData::new_u64(INPUT), flags)
            .context("cannot wait for standard input: it must be a pipe or a terminal")
    }

    /// Takes an order; at the end of the input nobody is left who could want this program.
    fn obey(&mut self) -> Result<()> {
        let mut line = String::new();
        if std::io::stdin().read_line(&mut line)? == 0 {
            std::process::exit(0);
        }
        self.fault = Fault::named(line.trim())?;
        if self.fault == Some(Fault::Dark) {
            self.listeners.iter().try_for_each(fault::lose_packets)?;
            self.connections.iter().flatten().try_for_each(|one| fault::lose_packets(&one.stream))?;
        }
        println!("{}", line.trim());
        Ok(())
    }

    fn serve(&mut self) -> Result<()> {
        let mut events = Vec::with_capacity(256);
        let mut scratch = vec![0; READ_MAX];
        loop {
            events.clear();
            let timeout = self.until_next_delayed();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error).context("cannot wait for events"),
            }
            for event in &events {
                match event.data.u64() {
                    INPUT => self.obey()?,
                    data if data >= LISTENERS => self.accept((data - LISTENERS) as usize)?,
                    index => self.advance(index as usize, &mut scratch),
                }
            }
            self.send_delayed();
        }
    }

    fn accept(&mut self, listener: usize) -> Result<()> {
        loop {
            let stream = match self.listeners[listener].accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("cannot accept"),
            };
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            if self.fault == Some(Fault::Dark) {
                fault::lose_packets(&stream)?;
            }
            let index = stream.as_raw_fd() as usize;
            let flags = epoll::EventFlags::IN
                | epoll::EventFlags::OUT
                | epoll::EventFlags::RDHUP
                | epoll::EventFlags::ET;
            epoll::add(&self.epoll, &stream, epoll::EventData::new_u64(index as u64), flags)?;
            if self.connections.len() <= index {
                self.connections.resize_with(index + 1, || None);
            }
            self.connections[index] = Some(Connection::new(stream));
        }
    }

    fn advance(&mut self, index: usize, scratch: &mut [u8]) {
        let Some(connection) = self.connections.get_mut(index).and_then(Option::as_mut) else { return };
        let step = match self.fault {
            Some(Fault::Silent | Fault::Dark) => connection.swallow(scratch),
            Some(Fault::Failing) => connection.advance(scratch, &self.failing),
            None => connection.advance(scratch, &self.answers),
        };
        match step {
            Step::Idle => {}
            Step::Delay(wait) => self.delayed.push(Reverse((Instant::now() + wait, index))),
            Step::Close => self.connections[index] = None,
        }
    }

    fn until_next_delayed(&self) -> Option<Timespec> {
        let Reverse((due, _)) = self.delayed.peek()?;
        let wait = due.saturating_duration_since(Instant::now());
        Some(Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() })
    }

    fn send_delayed(&mut self) {
        while let Some(&Reverse((due, index))) = self.delayed.peek() {
            if due > Instant::now() {
                return;
            }
            self.delayed.pop();
            let Some(connection) = self.connections.get_mut(index).and_then(Option::as_mut) else { continue };
            if !connection.start_next() {
                self.connections[index] = None;
            }
        }
    }
}

enum Step {
    Idle,
    Delay(Duration),
    Close,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        Self { stream, partial: Vec::new(), body: Body::None, next: None, sending: None }
    }

    /// Reads what comes and says nothing.
    fn swallow(&mut self, scratch: &mut [u8]) -> Step {
        loop {
            match (&self.stream).read(scratch) {
                Ok(0) => return Step::Close,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Step::Idle,
                Err(_) => return Step::Close,
            }
        }
    }

    /// Does all that can be done without waiting.
    fn advance(&mut self, scratch: &mut [u8], answers: &Answers) -> Step {
        if self.sending.is_some() && !self.flush() {
            return Step::Close;
        }
        // A delayed answer is outstanding, or the peer does not read: its next bytes can wait.
        if self.sending.is_some() || (self.next.is_some() && self.body.is_over()) {
            return Step::Idle;
        }
        loop {
            let read = match (&self.stream).read(scratch) {
                Ok(0) => return Step::Close,
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Step::Idle,
                Err(_) => return Step::Close,
            };
            match self.take(&scratch[..read], answers) {
                Step::Idle => {}
                step => return step,
            }
            // A short read emptied the socket: what comes later is a new event.
            if read < scratch.len() || self.sending.is_some() {
                return Step::Idle;
            }
        }
    }

    fn take(&mut self, mut bytes: &[u8], answers: &Answers) -> Step {
        while !bytes.is_empty() || self.next.is_some() {
            if !self.body.is_over() {
                let Some(used) = self.body.skip(bytes) else { return Step::Close };
                bytes = &bytes[used..];
                if !self.body.is_over() {
                    return Step::Idle;
                }
            }
            if self.next.is_some() {
                // A proxy does not send its next request before it has read this answer.
                if !self.start_next() || (self.sending.is_some() && !bytes.is_empty()) {
                    return Step::Close;
                }
                continue;
            }
            let parsed = if self.partial.is_empty() {
                request::parse(bytes)
            } else {
                self.partial.extend_from_slice(bytes);
                request::parse(&self.partial)
            };
            let (head, wait) = match parsed {
                Parsed::Partial if self.partial.len() + bytes.len() > 2 * READ_MAX => return Step::Close,
                Parsed::Partial => {
                    if self.partial.is_empty() {
                        self.partial.extend_from_slice(bytes);
                    }
                    return Step::Idle;
                }
                Parsed::Head { length, target, body } => {
                    self.body = body;
                    let head =
                        if self.partial.is_empty() { &bytes[..length] } else { &self.partial[..length] };
                    self.next = Some(answers.find(target, head));
                    (length, request::delay(target))
                }
            };
            let before = self.partial.len().saturating_sub(bytes.len());
            self.partial.clear();
            bytes = &bytes[head - before..];
            if let Some(wait) = wait {
                return Step::Delay(wait);
            }
        }
        Step::Idle
    }

    /// False: the connection is gone.
    fn start_next(&mut self) -> bool {
        self.sending = self.next.take().map(|answer| (answer, 0));
        self.flush()
    }

    /// Writes until done or the socket is full; false: the connection is gone.
    fn flush(&mut self) -> bool {
        while let Some((answer, sent)) = &mut self.sending {
            match (&self.stream).write(&answer[*sent..]) {
                Ok(written) => *sent += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(_) => return false,
            }
            if *sent == answer.len() {
                self.sending = None;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_our_own_go_on_after_the_last_byte() {
        let addresses = [0, 1, 254, 255, 999].map(|number| loopback(number).to_string());
        assert_eq!(addresses, ["127.0.0.1", "127.0.0.2", "127.0.0.255", "127.0.1.0", "127.0.3.232"]);
    }
}
