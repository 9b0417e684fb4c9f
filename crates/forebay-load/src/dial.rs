//! New connections: made, and secured.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use forebay_base::time::Instant;
use forebay_net::link::Link;
use forebay_net::tls::{self, Alpn, Handshake, Version};
use forebay_net::wheel::Alarm;
use tokio::net::TcpStream;

use crate::client::Failure;
use crate::outcome::ErrorKind;
use crate::plan::When;

/// How a connection is to be secured: by whom, and for which name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Securing<'a> {
    pub(crate) client: &'a tls::Client,
    pub(crate) host: &'a str,
}

/// A connection that was made.
#[derive(Debug)]
pub(crate) struct Dialled {
    pub(crate) link: Link,
    /// How long securing it took, and what was agreed on.
    pub(crate) secured: Option<(Duration, Handshake)>,
}

/// Why there is none.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) failure: Failure,
    /// What there is to say beyond that.
    pub(crate) why: Option<String>,
}

impl Dialled {
    /// Whether HTTP/2 is spoken: as was agreed on, or, where nothing can be, as the plan says.
    pub(crate) fn speaks_http2(secured: Option<&(Duration, Handshake)>, when: When) -> bool {
        secured.map_or(when == When::On, |(_, handshake)| handshake.alpn == Alpn::H2)
    }

    /// An earlier session goes on.
    pub(crate) fn is_resumed(&self) -> bool {
        self.secured.as_ref().is_some_and(|(_, handshake)| handshake.resumed)
    }

    /// What is spoken over it, for people.
    pub(crate) fn protocol(&self, http2: bool) -> &'static str {
        match (http2, self.secured.as_ref().map(|(_, handshake)| handshake.version)) {
            (false, None) => "HTTP/1.1",
            (false, Some(Version::V1_2)) => "HTTP/1.1 over TLSv1.2",
            (false, Some(Version::V1_3)) => "HTTP/1.1 over TLSv1.3",
            (true, None) => "HTTP/2",
            (true, Some(Version::V1_2)) => "HTTP/2 over TLSv1.2",
            (true, Some(Version::V1_3)) => "HTTP/2 over TLSv1.3",
        }
    }
}

impl Refused {
    /// Whether another address may do better.
    pub(crate) const fn is_of_address(&self) -> bool {
        matches!(self.failure, Failure::Error(ErrorKind::ConnectRefused | ErrorKind::ConnectFailed))
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self { failure, why: None }
    }
}

/// Opens a connection, secured if it is to be.
///
/// # Errors
/// Nobody accepts it in time, or it cannot be secured.
pub(crate) async fn dial(
    address: SocketAddr,
    securing: Option<Securing<'_>>,
    alarm: &Alarm,
    deadline: impl Fn() -> Instant,
) -> Result<Dialled, Refused> {
    let link = connect(address, alarm, &deadline).await?;
    let Some(Securing { client, host }) = securing else { return Ok(Dialled { link, secured: None }) };
    let from = Instant::now();
    match Box::pin(link.connect_tls(client, host, alarm, deadline())).await {
        Ok((link, handshake)) => Ok(Dialled { link, secured: Some((Instant::now().since(from), handshake)) }),
        Err(failure) => Err(match failure.why {
            tls::Failure::TimedOut => Failure::Timeout.into(),
            why => Refused { failure: Failure::Error(ErrorKind::Tls), why: Some(why.to_string()) },
        }),
    }
}

async fn connect(
    address: SocketAddr,
    alarm: &Alarm,
    deadline: impl Fn() -> Instant,
) -> Result<Link, Failure> {
    let mut connecting = pin!(TcpStream::connect(address));
    let connected = std::future::poll_fn(|cx| match connecting.as_mut().poll(cx) {
        Poll::Ready(connected) => Poll::Ready(connected.map_err(|error| connect_failure(&error))),
        Poll::Pending => alarm.poll(cx, deadline()).map(|()| Err(Failure::Timeout)),
    });
    connected.await.map(Link::new)
}

fn connect_failure(error: &io::Error) -> Failure {
    /// No descriptor left for this process, none for the system, no port left (Linux).
    const NO_SOCKET: [i32; 3] = [24, 23, 99];
    Failure::Error(match error.kind() {
        io::ErrorKind::ConnectionRefused => ErrorKind::ConnectRefused,
        _ if error.raw_os_error().is_some_and(|code| NO_SOCKET.contains(&code)) => ErrorKind::OutOfSockets,
        _ => ErrorKind::ConnectFailed,
    })
}
