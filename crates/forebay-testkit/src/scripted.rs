//! A server whose every delay, stall and fault is known beforehand: the truth that load tests are checked
//! against.
//!
//! One thread of its own answers everything: it sleeps until shortly before the next answer is due and polls
//! from there, so that delays are kept to a few microseconds while the thread has a core, however many answers
//! are outstanding. What it did, it writes down: see `Truth`.

mod connection;
mod delays;
mod reply;
mod request;
mod schedule;
mod server;
mod truth;

use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};

pub use delays::Delays;
pub use reply::{How, Reply};
pub use request::Request;
pub use schedule::Span;
pub use truth::{ENTRIES_MAX, Entry, Truth};

use crate::check::eventually;

/// Connections that may wait to be accepted: what comes during a stall must find room. The system may allow
/// fewer.
const BACKLOG: i32 = 8192;

/// A listener on a loopback port with its thread; both end with it.
#[derive(Debug)]
pub struct Scripted {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// Written to once, to wake the thread.
    waker: UnixStream,
}

/// What holds for all requests. Times count from the first request that was read.
#[derive(Clone, Debug)]
pub struct Options {
    /// When it does nothing at all: neither accepts, reads nor answers. Afterwards it catches up.
    pub stalls: Vec<Span>,
    /// When it is as if its process had ended: connections are reset, new ones refused.
    pub outages: Vec<Span>,
    /// How many requests whose reply is `Reply::work` are worked on at once; others wait in line. At least 1.
    pub desks: usize,
}

/// A port on which nobody accepts connections, kept from others.
#[derive(Debug)]
pub struct Refusing {
    address: SocketAddr,
    _socket: socket2::Socket,
}

#[derive(Debug, Default)]
struct Shared {
    stopped: AtomicBool,
    truth: Mutex<Truth>,
}

impl Scripted {
    /// Each request is answered as `script` says, which is asked in the order in which requests are read.
    #[must_use]
    pub fn start(script: impl FnMut(&Request<'_>) -> Reply + Send + 'static) -> Self {
        Self::with(Options::default(), script)
    }

    /// As `start`, with stalls, outages or a limited capacity.
    #[must_use]
    pub fn with(options: Options, script: impl FnMut(&Request<'_>) -> Reply + Send + 'static) -> Self {
        let listener = listener();
        let address = address_of(&listener);
        let shared = Arc::new(Shared::default());
        let (waker, wake) = UnixStream::pair().expect("the process has descriptors left");
        let server = server::Server::new(listener, wake, options, Box::new(script), Arc::clone(&shared));
        let thread = thread::Builder::new()
            .name("scripted".to_owned())
            .spawn(move || server.run())
            .expect("the machine has threads left");
        Self { address, shared, thread: Some(thread), waker }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://` and the address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it did so far.
    #[must_use]
    pub fn truth(&self) -> Truth {
        self.shared.truth().clone()
    }

    /// Waits until so many requests were read.
    pub fn await_requests(&self, count: u64) {
        eventually("requests at the scripted server", || {
            (self.shared.truth().requests >= count).then_some(())
        });
    }
}

impl Default for Options {
    fn default() -> Self {
        Self { stalls: Vec::new(), outages: Vec::new(), desks: 1 }
    }
}

impl Refusing {
    /// Takes a port and does not listen on it.
    #[must_use]
    pub fn start() -> Self {
        let socket = socket();
        bind(&socket, 0);
        Self { address: address_of(&socket), _socket: socket }
    }

    /// The port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://` and the address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Shared {
    fn truth(&self) -> MutexGuard<'_, Truth> {
        self.truth.lock().expect("no panic under this lock")
    }

    fn stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // It may wait for events, or sit out a stall.
        let _ = std::io::Write::write_all(&mut self.waker, b"!");
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let outcome = thread.join();
            // A script that panicked has failed the test, unless the test is failing already.
            assert!(outcome.is_ok() || thread::panicking(), "the scripted server panicked");
        }
    }
}

fn socket() -> socket2::Socket {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    socket.expect("the machine has sockets left")
}

fn bind(socket: &socket2::Socket, port: u16) {
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()).expect("the port is free");
}

fn listener() -> socket2::Socket {
    // The kernel takes back a port it chose itself from a listener that is shut down, but not one asked for.
    let (found, socket) = (socket(), socket());
    for one in [&found, &socket] {
        // Also lets it listen again after an outage, when its old connections are not quite gone.
        one.set_reuse_address(true).expect("an open socket takes options");
    }
    bind(&found, 0);
    bind(&socket, address_of(&found).port());
    socket.set_nonblocking(true).expect("an open socket takes options");
    socket.listen(BACKLOG).expect("it is bound");
    socket
}

fn address_of(socket: &socket2::Socket) -> SocketAddr {
    let address = socket.local_addr().ok().and_then(|address| address.as_socket());
    address.expect("a bound socket has an address")
}

#[cfg(test)]
mod tests;
