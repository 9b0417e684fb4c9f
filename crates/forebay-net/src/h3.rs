//! HTTP/3 on the wire (RFC 9114), for servers.
//!
//! QUIC is `quinn`'s; the rest is ours, for the same reason as with HTTP/2: every rule, and a bound on everything.
//! `frame` and `qpack` know bytes, `control` knows the streams without requests, `recv` and `send` are the halves of
//! a request, `exchange` makes them a [`crate::stream::Stream`], and `connection` gives them out. `line` and `relay` are
//! the socket, which outlives the process.

mod arrival;
mod connection;
mod control;
mod exchange;
mod frame;
mod head;
mod line;
mod qpack;
mod recv;
mod relay;
mod send;

use std::cell::Cell;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{
    ConnectionError, EndpointConfig, IdleTimeout, ServerConfig, TokioRuntime, TransportConfig, VarInt,
};
use socket2::{Domain, Protocol, Socket, Type};

pub use arrival::{Arrival, Incoming};
pub use connection::Connection;
pub use line::{Handover, Line};

use crate::h2::Limits;
use crate::tls::Failure;
use frame::Code;
use relay::Relay;

#[cfg(test)]
mod tests;

/// Handshakes under way at an endpoint from which on clients must prove that their address is theirs (RFC 9000 §8.1.2).
const HANDSHAKES_CALM: usize = 64;
/// Handshakes under way at an endpoint beyond which clients are refused.
const HANDSHAKES_MAX: usize = 1024;
/// Streams without requests that a client may have open: three that mean something, and some that do not.
const UNIDIRECTIONAL_MAX: u32 = 8;
/// Bytes of a client's first packets that are kept for one connection, and for all, until it is looked at.
const FIRST_BYTES_MAX: u64 = 64 << 10;
const FIRST_BYTES_ALL_MAX: u64 = 4 << 20;
/// Bytes of handshake that may come out of order.
const CRYPTO_BYTES_MAX: usize = 16 << 10;
/// Bytes of packets that may wait in the kernel, each way, if it lets us.
const SOCKET_BYTES: usize = 2 << 20;

/// What is spoken with clients, and within which bounds.
#[derive(Clone, Debug)]
pub struct Settings {
    /// As with HTTP/2; `continuations` has no meaning here.
    pub limits: Limits,
    /// Longest time for the handshake of a connection.
    pub handshake_timeout: Duration,
    /// Longest time without a packet from the client, and without a request.
    pub idle: Duration,
    /// Extended CONNECT is understood (RFC 9220).
    pub connect: bool,
}

/// What clients are served with: shared by the endpoints of all workers.
#[derive(Clone, Debug)]
pub struct Server {
    config: Arc<ServerConfig>,
    settings: Arc<Settings>,
}

impl Server {
    /// Serves with the certificates of `tls`, made by [`crate::tls::Server::quic`].
    ///
    /// # Errors
    /// What is wrong with `tls`.
    pub fn new(tls: Arc<rustls::ServerConfig>, settings: Settings) -> Result<Self, String> {
        let crypto = QuicServerConfig::try_from(tls).map_err(|error| error.to_string())?;
        let mut config = ServerConfig::with_crypto(Arc::new(crypto));
        config
            .transport_config(Arc::new(transport(&settings)))
            // Packets from another address may be dealt out to another worker, which knows nothing of the connection.
            .migration(false)
            .max_incoming(HANDSHAKES_MAX)
            .incoming_buffer_size(FIRST_BYTES_MAX)
            .incoming_buffer_size_total(FIRST_BYTES_ALL_MAX);
        Ok(Self { config: Arc::new(config), settings: Arc::new(settings) })
    }
}

fn transport(settings: &Settings) -> TransportConfig {
    let Settings { limits, idle, handshake_timeout: _, connect: _ } = settings;
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(limits.streams.into())
        .max_concurrent_uni_streams(UNIDIRECTIONAL_MAX.into())
        .stream_receive_window(limits.stream_window.into())
        .receive_window(connection_window(limits))
        .send_window(limits.connection_window.into())
        .crypto_buffer_size(CRYPTO_BYTES_MAX)
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(IdleTimeout::try_from(*idle).unwrap_or(VarInt::MAX.into())));
    config
}

/// Bytes of body that may be on their way on all streams together. They are given back when somebody takes them, an
/// eighth of the window at a time: all streams that nobody reads must leave room for what is read.
fn connection_window(limits: &Limits) -> VarInt {
    let streams = u64::from(limits.streams).saturating_mul(limits.stream_window.into());
    let window = (streams + streams / 4).max(limits.connection_window.into());
    VarInt::from_u64(window).unwrap_or(VarInt::MAX)
}

/// A UDP socket at `address`, which others may share; does not block.
///
/// # Errors
/// The address is not to be had.
fn socket(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_port(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // The system may give less, and then more packets are sent twice.
    let _ = socket.set_recv_buffer_size(SOCKET_BYTES);
    let _ = socket.set_send_buffer_size(SOCKET_BYTES);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Where connections come in: one worker's UDP socket.
#[derive(Debug)]
pub struct Endpoint {
    quic: quinn::Endpoint,
    handshakes: Rc<Cell<usize>>,
}

/// A client that has sent its first packet.
#[derive(Debug)]
pub struct Knock {
    incoming: quinn::Incoming,
    counted: Handshaking,
}

/// A connection whose handshake is under way.
#[derive(Debug)]
pub struct Attempt {
    connecting: quinn::Connecting,
    settings: Arc<Settings>,
    _counted: Handshaking,
}

/// Counts a handshake as under way.
#[derive(Debug)]
struct Handshaking(Rc<Cell<usize>>);

impl Handshaking {
    fn new(count: &Rc<Cell<usize>>) -> Self {
        count.set(count.get() + 1);
        Self(Rc::clone(count))
    }
}

impl Drop for Handshaking {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Endpoint {
    /// Takes clients in at `line`. Must be called on a runtime for local tasks.
    ///
    /// # Errors
    /// The socket is of no use.
    pub fn new(line: &Line, server: &Server) -> io::Result<Self> {
        let mut config = EndpointConfig::default();
        config.cid_generator(line.ids());
        let server = ServerConfig::clone(&server.config);
        let socket = Arc::new(Relay::new(line)?);
        let quic =
            quinn::Endpoint::new_with_abstract_socket(config, Some(server), socket, Arc::new(TokioRuntime))?;
        Ok(Self { quic, handshakes: Rc::default() })
    }

    /// The address of the socket.
    ///
    /// # Errors
    /// It is gone.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.quic.local_addr()
    }

    /// The next client; `None`: the endpoint is closed. When many are at it, each has to prove that its address is
    /// its own, and beyond a bound they are refused.
    pub async fn accept(&self) -> Option<Knock> {
        loop {
            let incoming = self.quic.accept().await?;
            let handshakes = self.handshakes.get();
            if handshakes >= HANDSHAKES_MAX {
                incoming.refuse();
            } else if handshakes >= HANDSHAKES_CALM && !incoming.remote_address_validated() {
                // Whoever has no token may have one.
                let _ = incoming.retry();
            } else {
                return Some(Knock { incoming, counted: Handshaking::new(&self.handshakes) });
            }
        }
    }

    /// Takes nobody in any more. Whoever comes is told so, unless `kept`: then another process reads the socket, and
    /// who sends a first packet again gets there. Ends only when the future is dropped.
    pub async fn refuse(&self, kept: bool) {
        while let Some(incoming) = self.quic.accept().await {
            if kept { incoming.ignore() } else { incoming.refuse() }
        }
    }

    /// Ends all connections there are, whatever is under way, and tells their clients, as far as `limit` is enough.
    pub async fn close(&self, limit: Duration) {
        self.quic.close(Code::NO_ERROR.into(), b"");
        let _ = tokio::time::timeout(limit, self.quic.wait_idle()).await;
    }
}

impl Knock {
    /// Where the client says it is.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.incoming.remote_address()
    }

    /// Begins the handshake, to serve it as `server` says; `None`: what it sent is of no use.
    #[must_use]
    pub fn answer(self, server: &Server) -> Option<Attempt> {
        let Self { incoming, counted } = self;
        let Server { config, settings } = server.clone();
        let connecting = incoming.accept_with(config).ok()?;
        Some(Attempt { connecting, settings, _counted: counted })
    }
}

impl Attempt {
    /// Finishes the handshake.
    ///
    /// # Errors
    /// It failed, as far as QUIC tells, or took too long.
    pub async fn finish(self) -> Result<Connection, Failure> {
        let limit = self.settings.handshake_timeout;
        let quic = tokio::time::timeout(limit, self.connecting).await.map_err(|_| Failure::TimedOut)?;
        Ok(Connection::new(quic.map_err(|error| failure(&error))?, &self.settings))
    }
}

/// Why there is no connection.
fn failure(error: &ConnectionError) -> Failure {
    let of_client = |code: u64| match alert(code) {
        Some(40) => Failure::Incompatible,
        Some(70) => Failure::Version,
        Some(112) => Failure::UnknownName,
        Some(120) => Failure::Protocol,
        Some(_) => Failure::Refused,
        None => Failure::Closed,
    };
    match error {
        ConnectionError::TransportError(error) => of_ours(u64::from(error.code)),
        ConnectionError::ConnectionClosed(close) => of_client(close.error_code.into()),
        ConnectionError::VersionMismatch => Failure::Version,
        ConnectionError::TimedOut => Failure::TimedOut,
        _ => Failure::Closed,
    }
}

/// What we told a client by `code`.
fn of_ours(code: u64) -> Failure {
    match alert(code) {
        Some(40 | 71) => Failure::Incompatible,
        Some(42..=44 | 46) => Failure::BadCertificate,
        Some(45) => Failure::CertificateExpired,
        Some(48) => Failure::UnknownAuthority,
        Some(49 | 112) => Failure::UnknownName,
        Some(70) => Failure::Version,
        Some(116) => Failure::CertificateRequired,
        Some(120) => Failure::Protocol,
        _ => Failure::Malformed,
    }
}

/// The alert of TLS that is meant by a code of QUIC (RFC 9001 §4.8).
fn alert(code: u64) -> Option<u8> {
    code.checked_sub(0x100).and_then(|alert| u8::try_from(alert).ok())
}
