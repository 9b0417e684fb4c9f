//! A connection to an endpoint: an idle one, or a new one.

use std::future::Future;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use forebay_base::time::Instant;
use forebay_net::link::Link;
use forebay_net::wheel::Alarm;
use tokio::net::TcpStream;

use super::pool::Place;
use super::{Carrier, Endpoint, News, Pooled, Shared};

/// Other workers are asked so often for an idle connection's place.
const RECLAIM_TRIES: usize = 20;
/// Time for a worker to hear and close one.
const RECLAIM_PAUSE: Duration = Duration::from_millis(2);

/// Why there is no connection. Nothing of the request has been sent yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectError {
    /// The pool has as many connections as allowed.
    PoolFull,
    /// Refused, unreachable, reset.
    Failed,
    /// This process, or the system, has no file descriptor left: nothing the endpoint could help.
    NoDescriptors,
    /// The deadline passed.
    TimedOut,
    /// The endpoint was given up meanwhile.
    Lost,
}

/// What a request wants of its connection.
pub(crate) struct Ask<'a> {
    pub(crate) alarm: &'a Alarm,
    pub(crate) now: Instant,
    /// A new connection breaks when the other side acknowledges nothing for so long.
    pub(crate) silence: Duration,
    /// Not one that has been idle.
    pub(crate) fresh: bool,
}

/// Takes an idle connection or opens one until `deadline`.
#[inline]
pub(crate) async fn connect(
    endpoint: &Rc<Endpoint>,
    ask: &Ask<'_>,
    deadline: impl Fn() -> Instant,
) -> Result<Pooled, ConnectError> {
    if !ask.fresh
        && let Some(held) = endpoint.pool.take(endpoint, ask.now)
    {
        endpoint.stats.reused.inc();
        held.link.expect_quick_acknowledgements();
        return Ok(Pooled { held: Carrier::Link(held), reused: true });
    }
    // Boxed: opening a connection is rare, and every exchange would carry the size of its future.
    Box::pin(open(endpoint, ask, deadline())).await
}

async fn open(endpoint: &Rc<Endpoint>, ask: &Ask<'_>, deadline: Instant) -> Result<Pooled, ConnectError> {
    let Ask { alarm, silence, .. } = *ask;
    let place = match endpoint.pool.place(&endpoint.shared) {
        Some(place) => place,
        None => reclaim(endpoint, alarm, deadline).await?,
    };
    match open_at(endpoint, alarm, deadline).await {
        Ok(stream) => {
            endpoint.stats.connects.inc();
            endpoint.connected();
            let link = Link::new(stream);
            link.break_when_silent(silence);
            Ok(Pooled { held: Carrier::Link(place.fill(link)), reused: false })
        }
        Err(error) => {
            if !matches!(error, ConnectError::NoDescriptors | ConnectError::Lost) {
                endpoint.stats.connect_failures.inc();
            }
            Err(error)
        }
    }
}

/// Every place is taken, but other workers may keep idle connections: has one closed, and takes its place.
async fn reclaim(endpoint: &Endpoint, alarm: &Alarm, deadline: Instant) -> Result<Place, ConnectError> {
    let Shared { connections, in_flight, .. } = &*endpoint.shared;
    for _ in 0..RECLAIM_TRIES {
        // This request is in flight too, and has no connection.
        if connections.load(Ordering::Relaxed) < in_flight.load(Ordering::Relaxed) {
            // Unless a connection was closed just now.
            return endpoint.pool.place(&endpoint.shared).ok_or(ConnectError::PoolFull);
        }
        let (roster, shared) = (Arc::clone(&endpoint.queue.roster), Arc::clone(&endpoint.shared));
        endpoint.queue.registry.tell(&News::Shed(roster, shared));
        let mut pause = std::pin::pin!(tokio::time::sleep(RECLAIM_PAUSE));
        std::future::poll_fn(|cx| match pause.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Ok(())),
            Poll::Pending => alarm.poll(cx, deadline).map(|()| Err(ConnectError::TimedOut)),
        })
        .await?;
        if let Some(place) = endpoint.pool.place(&endpoint.shared) {
            return Ok(place);
        }
    }
    Err(ConnectError::PoolFull)
}

async fn open_at(endpoint: &Endpoint, alarm: &Alarm, deadline: Instant) -> Result<TcpStream, ConnectError> {
    // A link cannot be a Unix socket yet.
    let Some(address) = endpoint.shared.address.ip() else { return Err(ConnectError::Failed) };
    let mut connecting = std::pin::pin!(TcpStream::connect(address));
    std::future::poll_fn(|cx| match connecting.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(result.map_err(|error| why(&error))),
        Poll::Pending if endpoint.is_lost() => Poll::Ready(Err(ConnectError::Lost)),
        Poll::Pending => alarm.poll(cx, deadline).map(|()| Err(ConnectError::TimedOut)),
    })
    .await
}

fn why(error: &io::Error) -> ConnectError {
    // The numbers are those of Linux, the BSDs and macOS alike; the standard library has no name for them.
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    match error.raw_os_error() {
        Some(ENFILE | EMFILE) => ConnectError::NoDescriptors,
        _ => ConnectError::Failed,
    }
}
