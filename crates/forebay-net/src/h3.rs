//! HTTP/3 on the wire (RFC 9114), for servers.
//!
//! QUIC is `quinn`'s; the rest is ours, for the same reason as with HTTP/2: every rule, and a bound on everything.
//! `frame` and `qpack` know bytes, `control` knows the streams without requests, `recv` and `send` are the halves of
//! a request, `exchange` makes them a [`crate::stream::Stream`], and `connection` gives them out.

mod arrival;
mod connection;
mod control;
mod exchange;
mod frame;
mod head;
mod qpack;
mod recv;
mod send;

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{EndpointConfig, IdleTimeout, ServerConfig, TokioRuntime, TransportConfig, VarInt};

pub use arrival::{Arrival, Incoming};
pub use connection::Connection;

use self::frame::Code;
use crate::h2::Limits;

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
/// How long closed connections are waited for, so that their clients learn of it.
const FAREWELL: Duration = Duration::from_millis(100);

/// What is spoken with clients, and within which bounds.
#[derive(Clone, Debug)]
pub struct Settings {
    /// As with HTTP/2; `continuations` has no meaning here.
    pub limits: Limits,
    /// Longest time for the handshake of a connection.
    pub handshake_timeout: Duration,
    /// Longest time without a packet from the client.
    pub idle: Duration,
    /// Extended CONNECT is understood (RFC 9220).
    pub connect: bool,
}

/// What clients are served with: shared by the endpoints of all workers.
#[derive(Clone, Debug)]
pub struct Server {
    config: ServerConfig,
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
        Ok(Self { config, settings: Arc::new(settings) })
    }
}

fn transport(settings: &Settings) -> TransportConfig {
    let Settings { limits, idle, handshake_timeout: _, connect: _ } = settings;
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(limits.streams.into())
        .max_concurrent_uni_streams(UNIDIRECTIONAL_MAX.into())
        .stream_receive_window(limits.stream_window.into())
        .receive_window(limits.connection_window.into())
        .send_window(limits.connection_window.into())
        .crypto_buffer_size(CRYPTO_BYTES_MAX)
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(IdleTimeout::try_from(*idle).unwrap_or(VarInt::MAX.into())));
    config
}

/// Where connections come in: one worker's UDP socket.
#[derive(Debug)]
pub struct Endpoint {
    quic: quinn::Endpoint,
    settings: RefCell<Arc<Settings>>,
    handshakes: Rc<Cell<usize>>,
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
    /// Serves at `socket`. Must be called on a runtime for local tasks.
    ///
    /// # Errors
    /// The socket is of no use.
    pub fn new(socket: UdpSocket, server: &Server) -> io::Result<Self> {
        let Server { config, settings } = server.clone();
        let runtime = Arc::new(TokioRuntime);
        let quic = quinn::Endpoint::new(EndpointConfig::default(), Some(config), socket, runtime)?;
        Ok(Self { quic, settings: RefCell::new(settings), handshakes: Rc::default() })
    }

    /// The address of the socket.
    ///
    /// # Errors
    /// It is gone.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.quic.local_addr()
    }

    /// Serves those who come from now on with `server`.
    pub fn configure(&self, server: &Server) {
        let Server { config, settings } = server.clone();
        self.quic.set_server_config(Some(config));
        *self.settings.borrow_mut() = settings;
    }

    /// The next connection; `None`: the endpoint is closed.
    pub async fn accept(&self) -> Option<Attempt> {
        loop {
            let incoming = self.quic.accept().await?;
            let handshakes = self.handshakes.get();
            if handshakes >= HANDSHAKES_MAX {
                incoming.refuse();
            } else if handshakes >= HANDSHAKES_CALM && !incoming.remote_address_validated() {
                // Whoever has no token may have one.
                let _ = incoming.retry();
            } else if let Ok(connecting) = incoming.accept() {
                let settings = Arc::clone(&self.settings.borrow());
                return Some(Attempt { connecting, settings, _counted: Handshaking::new(&self.handshakes) });
            }
        }
    }

    /// Tells everybody who comes from now on to go away, until the future is dropped.
    pub async fn refuse(&self) {
        while let Some(incoming) = self.quic.accept().await {
            incoming.refuse();
        }
    }

    /// Closes what is open.
    pub async fn close(&self) {
        self.quic.close(Code::NO_ERROR.into(), b"");
        // Whoever does not learn of it notices later.
        let _ = tokio::time::timeout(FAREWELL, self.quic.wait_idle()).await;
    }
}

impl Attempt {
    /// Where the client is. Until the handshake is over, anybody may say so of themselves.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.connecting.remote_address()
    }

    /// Finishes the handshake; `None`: it failed, or took too long.
    pub async fn finish(self) -> Option<Connection> {
        let Settings { limits, handshake_timeout, connect, .. } = *self.settings;
        let quic = tokio::time::timeout(handshake_timeout, self.connecting).await.ok()?.ok()?;
        Some(Connection::new(quic, limits, connect))
    }
}
