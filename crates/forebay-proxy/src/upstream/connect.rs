//! A connection to an endpoint: an idle one, or a new one.

use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;

use forebay_base::time::Instant;
use forebay_net::link::Link;
use forebay_net::wheel::Alarm;
use tokio::net::TcpStream;

use super::{Endpoint, Pooled};

/// Why there is no connection. Nothing of the request has been sent yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectError {
    /// The pool has as many connections as allowed.
    PoolFull,
    /// The endpoint's name does not resolve.
    NoAddress,
    /// Refused, unreachable, reset.
    Failed,
    /// The deadline passed.
    TimedOut,
}

/// Takes an idle connection (unless `fresh`) or opens one until `deadline`.
#[inline]
pub(crate) async fn connect(
    endpoint: &Rc<Endpoint>,
    alarm: &Alarm,
    now: Instant,
    deadline: impl Fn() -> Instant,
    fresh: bool,
) -> Result<Pooled, ConnectError> {
    if !fresh && let Some(held) = endpoint.pool.take(endpoint, now) {
        endpoint.stats.reused.inc();
        return Ok(Pooled { held, reused: true });
    }
    // Boxed: opening a connection is rare, and every exchange would carry the size of its future.
    Box::pin(open(endpoint, alarm, deadline())).await
}

async fn open(endpoint: &Rc<Endpoint>, alarm: &Alarm, deadline: Instant) -> Result<Pooled, ConnectError> {
    let place = endpoint.pool.place(&endpoint.shared).ok_or(ConnectError::PoolFull)?;
    let mut result = Err(ConnectError::NoAddress);
    for address in endpoint.shared.addresses() {
        result = open_at(address, alarm, deadline).await;
        if !matches!(result, Err(ConnectError::Failed)) {
            break;
        }
    }
    match result {
        Ok(stream) => {
            endpoint.stats.connects.inc();
            Ok(Pooled { held: place.fill(Link::new(stream)), reused: false })
        }
        Err(error) => {
            endpoint.stats.connect_failures.inc();
            Err(error)
        }
    }
}

async fn open_at(address: SocketAddr, alarm: &Alarm, deadline: Instant) -> Result<TcpStream, ConnectError> {
    let mut connecting = std::pin::pin!(TcpStream::connect(address));
    std::future::poll_fn(|cx| match connecting.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(result.map_err(|_| ConnectError::Failed)),
        Poll::Pending => alarm.poll(cx, deadline).map(|()| Err(ConnectError::TimedOut)),
    })
    .await
}
