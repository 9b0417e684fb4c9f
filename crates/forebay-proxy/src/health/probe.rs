//! Asks one endpoint once whether it is well.

use std::fmt;
use std::future::Future;
use std::io;

use forebay_base::units::show_duration;
use forebay_net::address::Address;
use forebay_net::socket::Socket;
use socket2::SockRef;
use tokio::net::TcpSocket;
use tokio::time::timeout_at;

use super::wire::{self, Speech};
use super::{grpc, http};
use crate::plan::Check;
use crate::supervisor::Target;

/// Why a check did not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// What the endpoint did, for people.
    Endpoint(Box<str>),
    /// This machine lacks something, such as descriptors: nothing is known of the endpoint.
    Local(Box<str>),
}

/// The end of a check's time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    at: tokio::time::Instant,
    after: std::time::Duration,
}

/// Checks `target` once, within its timeout.
pub(crate) async fn probe(target: &Target) -> Result<(), Failure> {
    let health = &*target.health;
    let deadline = Deadline { at: tokio::time::Instant::now() + health.timeout, after: health.timeout };
    let address = asked_at(&target.address, health.port);
    let stream = deadline.bound("connecting", connect(&address, &health.check)).await?;
    let check = match &health.check {
        Check::Tcp => return Ok(()),
        check => check,
    };
    // What listens at another port is for checks, not one of the service's own kind.
    let plain = Speech::default();
    let elsewhere = address != target.address;
    let speech = if elsewhere { &plain } else { &target.speech };
    let wire = wire::open(stream, speech, &target.name, deadline).await?;
    match check {
        Check::Tcp => Ok(()),
        Check::Http(check) => http::ask(wire, check, &target.host, deadline).await,
        Check::Grpc(_) if wire.scheme == "https" && !wire.http2 => {
            Err(Failure::said("does not agree to HTTP/2"))
        }
        Check::Grpc(service) => grpc::ask(wire, service, &target.host, deadline).await,
    }
}

/// Where to ask: at another port, if there is one.
fn asked_at(address: &Address, port: Option<u16>) -> Address {
    match (address, port) {
        (Address::Ip(address), Some(port)) => Address::Ip((address.ip(), port).into()),
        _ => address.clone(),
    }
}

async fn connect(address: &Address, check: &Check) -> io::Result<Socket> {
    let Address::Ip(address) = *address else { return Socket::connect(address).await };
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if matches!(check, Check::Tcp) {
        stay_unseen(&socket);
    }
    let stream = socket.connect(address).await?;
    // Where nobody listens on a port of the range that connections take theirs from, a connection of this
    // machine to itself may meet itself (RFC 9293 §3.5, simultaneous open).
    if stream.local_addr()? == address {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(Socket::Tcp(stream))
}

/// Lets a check that sends nothing end by a reset, before the server's application has seen a connection.
///
/// The other side's SYN-ACK proves all there is to prove. Its acknowledgement is held back (tcp(7),
/// `TCP_QUICKACK`), so the reset meets a handshake: nothing is accepted, logged or counted as a client that
/// said nothing, and no address is left waiting (`TIME_WAIT`) here for every check of the last minute. Should
/// the acknowledgement leave all the same, the server sees a connection that was reset, which is harmless.
fn stay_unseen(socket: &TcpSocket) {
    let socket = SockRef::from(socket);
    // Without them the check works as well, just not as quietly.
    let _ = socket.set_tcp_quickack(false);
    let _ = socket.set_linger(Some(std::time::Duration::ZERO));
}

impl Deadline {
    /// Waits for `work`, at most until the deadline; `doing` says in one or two words what it is.
    pub(super) async fn bound<T>(
        self,
        doing: &str,
        work: impl Future<Output = io::Result<T>>,
    ) -> Result<T, Failure> {
        match timeout_at(self.at, work).await {
            Ok(result) => result.map_err(|error| Failure::from(&error)),
            Err(_) => {
                Err(Failure::said(format_args!("timed out after {}, {doing}", show_duration(self.after))))
            }
        }
    }
}

impl Failure {
    /// The endpoint's, in these words.
    pub(super) fn said(what: impl fmt::Display) -> Self {
        Self::Endpoint(what.to_string().into())
    }
}

impl From<&io::Error> for Failure {
    fn from(error: &io::Error) -> Self {
        if is_local(error) {
            return Self::Local(error.to_string().into());
        }
        Self::said(match error.kind() {
            io::ErrorKind::ConnectionRefused => "connection refused",
            io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
                "connection reset"
            }
            io::ErrorKind::HostUnreachable => "host unreachable",
            io::ErrorKind::NetworkUnreachable => "network unreachable",
            io::ErrorKind::TimedOut => "timed out",
            _ => return Self::said(error),
        })
    }
}

/// Whether this machine has run out of something: of descriptors (in this process, in all), of socket buffers,
/// of memory.
fn is_local(error: &io::Error) -> bool {
    const EMFILE: i32 = 24;
    const ENFILE: i32 = 23;
    const ENOBUFS: i32 = 105;
    error.kind() == io::ErrorKind::OutOfMemory
        || matches!(error.raw_os_error(), Some(EMFILE | ENFILE | ENOBUFS))
}

#[cfg(test)]
mod tests;
