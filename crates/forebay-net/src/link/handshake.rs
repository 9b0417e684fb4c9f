//! Handshakes of secured connections, on either side.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use forebay_base::time::Instant;
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::UnixTime;
use rustls::server::UnbufferedServerConnection;
use rustls::{Error, InvalidMessage};

use super::secured::{End, Secured};
use super::session::Session;
use super::socket::Socket;
use super::{Link, Wire};
use crate::tls::{Client, ClientCertificate, Failure, Handshake, Server, Version};
use crate::wheel::Alarm;

/// First byte of a TLS connection: a record of the handshake protocol (RFC 8446 §5.1).
const HANDSHAKE: u8 = 22;
/// Bytes of a client's handshake: its hello (under 2 KiB, post-quantum key share included), and the certificates of
/// those that are asked for some.
const CLIENT_BYTES_MAX: usize = 16 * 1024;
const CLIENT_CERTIFICATE_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a server's handshake.
const SERVER_BYTES_MAX: usize = 128 * 1024;
/// Bytes read to see what the other side speaks.
const FIRST_BYTES_MAX: usize = 4096;

/// There is no secured connection.
#[derive(Debug)]
pub struct TlsFailure {
    /// Why.
    pub why: Failure,
    /// The connection, if the other side speaks something else and can be told so in plain text.
    pub link: Option<Link>,
}

impl From<Failure> for TlsFailure {
    fn from(why: Failure) -> Self {
        Self { why, link: None }
    }
}

impl Link {
    /// The server's side of a handshake on a connection that is not secured yet. `early`: bytes that were read from
    /// it already. `http2`: HTTP/2 is offered. While nothing has arrived, it holds no memory for it.
    ///
    /// # Errors
    /// There was no handshake until the deadline, or it went wrong.
    pub async fn accept_tls(
        self,
        server: &Server,
        http2: bool,
        early: &[u8],
        alarm: &Alarm,
        deadline: Instant,
    ) -> Result<(Self, Handshake), TlsFailure> {
        let mut first = early.to_vec();
        if first.is_empty() {
            first = self.first_bytes(alarm, deadline).await?;
        }
        if first.first() != Some(&HANDSHAKE) {
            let http = first.first().is_some_and(u8::is_ascii_uppercase);
            return Err(TlsFailure { why: Failure::NotTls { http }, link: Some(self) });
        }
        let session = UnbufferedServerConnection::new(Arc::clone(server.config_for(http2, &first)))
            .map_err(|error| Failure::from(&error))?;
        let (socket, silence) = self.into_socket()?;
        let secured = Box::new(Secured::new(socket, Session::Server(session), &first));
        let limit =
            if server.asks_for_certificates() { CLIENT_CERTIFICATE_BYTES_MAX } else { CLIENT_BYTES_MAX };
        let mut shaking = Shaking { secured, left: limit.saturating_sub(first.len()), sni: None };
        drop(first);
        shaking.shake(alarm, deadline).await?;
        let handshake = shaking.agreed()?;
        Ok((Self::from_wire(Wire::Tls(shaking.secured), silence), handshake))
    }

    /// The client's side of a handshake with `host`, on a connection that is not secured yet.
    ///
    /// What the other side has sent before is taken for part of the handshake, which it then breaks: nothing that is
    /// not secured is ever taken for an answer. The last word of the handshake goes out with what is written next.
    ///
    /// # Errors
    /// There was no handshake until the deadline, or it went wrong.
    pub async fn connect_tls(
        self,
        client: &Client,
        host: &str,
        alarm: &Alarm,
        deadline: Instant,
    ) -> Result<(Self, Handshake), TlsFailure> {
        let name = client.name(host).map_err(|_| Failure::WrongName)?;
        let session = UnbufferedClientConnection::new(Arc::clone(client.config()), name)
            .map_err(|error| Failure::from(&error))?;
        let (socket, silence) = self.into_socket()?;
        let secured = Box::new(Secured::new(socket, Session::Client(session), &[]));
        let mut shaking = Shaking { secured, left: SERVER_BYTES_MAX, sni: None };
        if let Err(why) = shaking.shake(alarm, deadline).await {
            return Err(if shaking.met_no_tls() { Failure::NotTls { http: false } } else { why }.into());
        }
        let handshake = Handshake::of(shaking.secured.session.state(), None);
        Ok((Self::from_wire(Wire::Tls(shaking.secured), silence), handshake))
    }

    /// What the other side says first.
    async fn first_bytes(&self, alarm: &Alarm, deadline: Instant) -> Result<Vec<u8>, Failure> {
        loop {
            self.readable(alarm, || deadline).await?;
            // Whoever keeps us waiting nevertheless costs no buffer.
            let mut first = crate::buffer::Buffer::new(FIRST_BYTES_MAX);
            match self.fill_now(&mut first).await {
                None => {}
                Some(Ok(0)) => return Err(Failure::Closed),
                Some(Ok(_)) => return Ok(first.filled().to_vec()),
                Some(Err(error)) => return Err(Failure::Io(error)),
            }
        }
    }
}

/// A handshake under way.
struct Shaking {
    secured: Box<Secured>,
    /// Bytes it may still take.
    left: usize,
    sni: Option<Box<str>>,
}

impl Shaking {
    async fn shake(&mut self, alarm: &Alarm, deadline: Instant) -> Result<(), Failure> {
        std::future::poll_fn(|cx| match self.poll(cx) {
            Poll::Pending => alarm.poll(cx, deadline).map(|()| Err(Failure::TimedOut)),
            ready => ready,
        })
        .await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        if self.secured.has_more() {
            let _ = self.advance(|secured| {
                secured.decrypt_kept(None);
                Poll::Ready(())
            });
        }
        loop {
            if let Some(end) = self.secured.end() {
                return Poll::Ready(Err(Failure::from(end)));
            }
            if !self.secured.session.state().is_handshaking() {
                // The last word waits for what is written next, if the other side does not wait for it.
                if !self.is_waited_for() {
                    return Poll::Ready(Ok(()));
                }
                ready!(self.secured.poll_flush(cx)).map_err(Failure::Io)?;
                return Poll::Ready(Ok(()));
            }
            ready!(self.secured.poll_flush(cx)).map_err(Failure::Io)?;
            if self.left == 0 {
                return Poll::Ready(Err(Failure::TooLarge));
            }
            let mut left = self.left;
            ready!(self.advance(|secured| {
                secured
                    .receive(None, |socket, into| {
                        let room = into.len().min(left);
                        let read = socket.poll_read(cx, &mut into[..room]);
                        if let Poll::Ready(Ok(n)) = read {
                            left -= n;
                        }
                        read
                    })
                    .map(drop)
            }));
            self.left = left;
        }
    }

    /// Whether what the other side sent was no record at all.
    fn met_no_tls(&self) -> bool {
        const NO_RECORD: Error = Error::InvalidMessage(InvalidMessage::InvalidContentType);
        matches!(self.secured.end(), Some(End::Failed(error)) if *error == NO_RECORD)
    }

    /// Does something with the connection, and notes the name that is asked for.
    fn advance(&mut self, step: impl FnOnce(&mut Secured) -> Poll<()>) -> Poll<()> {
        let (done, asked) = crate::tls::listening(|| step(&mut self.secured));
        if asked.is_some() {
            self.sni = asked;
        }
        done
    }

    /// Whether the other side does not go on before it has what we said last: the server's side of TLS 1.2.
    fn is_waited_for(&self) -> bool {
        matches!(self.secured.session, Session::Server(_))
            && self.secured.session.state().protocol_version() != Some(rustls::ProtocolVersion::TLSv1_3)
    }

    /// What a server has agreed on, with the client's certificate.
    fn agreed(&mut self) -> Result<Handshake, Failure> {
        let state = self.secured.session.state();
        let mut handshake = Handshake::of(state, self.sni.take().as_deref());
        if let Some(leaf) = state.peer_certificates().and_then(<[_]>::first) {
            let (certificate, valid) = ClientCertificate::of(leaf).ok_or(Failure::BadCertificate)?;
            // A session outlives the certificate it began with, if it is let.
            let now = i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX);
            if !valid.contains(&now) {
                return Err(Failure::CertificateExpired);
            }
            handshake.client = Some(Box::new(certificate));
        }
        debug_assert!(handshake.version >= Version::V1_2, "older ones are not spoken");
        Ok(handshake)
    }
}

impl From<&End> for Failure {
    fn from(end: &End) -> Self {
        match end {
            End::Closed | End::Truncated => Self::Closed,
            End::Broken(kind) => Self::Io((*kind).into()),
            End::Failed(error) => Self::from(error),
        }
    }
}

impl Socket {
    pub(super) fn of(wire: Wire) -> Option<Self> {
        match wire {
            Wire::Tcp(stream) => Some(Self::Tcp(stream)),
            Wire::Unix(stream) => Some(Self::Unix(stream)),
            Wire::Tls(_) => None,
        }
    }
}
