//! A connection to an endpoint: an idle one, or a new one.

use std::future::Future;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use forebay_base::time::Instant;
use forebay_net::h2::mux;
use forebay_net::link::Link;
use forebay_net::socket::Socket;
use forebay_net::stream::Stream;
use forebay_net::wheel::Alarm;

use super::pool::Place;
use super::{Carrier, Endpoint, News, Pooled, Shared};
use crate::client::Client;
use crate::multiplexed;
use crate::plan::Limits;
use crate::worker::Worker;

/// Other workers are asked so often for an idle connection's place.
const RECLAIM_TRIES: usize = 20;
/// Time for a worker to hear and close one.
const RECLAIM_PAUSE: Duration = Duration::from_millis(2);
/// Where a connection carries several requests, others may need it for a while, and are asked less and less often.
const RECLAIM_PAUSE_MAX: Duration = Duration::from_millis(8);

/// Connections to an endpoint that are waited for on behalf of one request.
const SHARE_TRIES: usize = 16;

/// Why there is no connection. Nothing of the request has been sent yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectError {
    /// The pool has as many connections as allowed.
    PoolFull,
    /// The same, and they carry as many requests as they may: there will be room when one of those has ended.
    Crowded,
    /// Refused, unreachable, reset.
    Failed,
    /// This process, or the system, has no file descriptor left: nothing the endpoint could help.
    NoDescriptors,
    /// The deadline passed.
    TimedOut,
    /// The endpoint was given up meanwhile.
    Lost,
    /// It was closed before the endpoint had said a word of HTTP/2.
    NoGreeting,
    /// It could not be secured, for this reason.
    Tls(&'static str),
}

/// What a request wants of its connection.
pub(crate) struct Ask<'a> {
    pub(crate) worker: &'a Worker,
    pub(crate) limits: &'a Limits,
    pub(crate) client: &'a Client,
    pub(crate) alarm: &'a Alarm,
    pub(crate) now: Instant,
    /// A new connection breaks when the other side acknowledges nothing for so long.
    pub(crate) silence: Duration,
    /// Not one that has been idle.
    pub(crate) fresh: bool,
}

/// Takes an idle connection, a stream of one that is open, or opens one until `deadline`.
#[inline]
pub(crate) async fn connect(
    endpoint: &Rc<Endpoint>,
    ask: &Ask<'_>,
    deadline: impl Fn() -> Instant,
) -> Result<Pooled, ConnectError> {
    if endpoint.speech.may_multiplex() {
        return Box::pin(share(endpoint, ask, deadline())).await;
    }
    if !ask.fresh
        && let Some(pooled) = take_idle(endpoint, ask.now)
    {
        return Ok(pooled);
    }
    // Boxed: opening a connection is rare, and every exchange would carry the size of its future.
    Box::pin(open_alone(endpoint, ask, deadline())).await
}

#[inline]
fn take_idle(endpoint: &Endpoint, now: Instant) -> Option<Pooled> {
    let held = endpoint.pool.take(endpoint, now)?;
    endpoint.stats.reused.inc();
    held.link.expect_quick_acknowledgements();
    Some(Pooled { held: Carrier::Link(held), reused: true })
}

async fn open_alone(
    endpoint: &Rc<Endpoint>,
    ask: &Ask<'_>,
    deadline: Instant,
) -> Result<Pooled, ConnectError> {
    let (place, link, _) = open(endpoint, ask, deadline).await?;
    Ok(Pooled { held: Carrier::Link(place.fill(link)), reused: false })
}

/// A stream of a connection that others may use too.
async fn share(endpoint: &Rc<Endpoint>, ask: &Ask<'_>, deadline: Instant) -> Result<Pooled, ConnectError> {
    let lanes = &endpoint.lanes;
    for _ in 0..SHARE_TRIES {
        if lanes.multiplexes() == Some(false) {
            if !ask.fresh
                && let Some(pooled) = take_idle(endpoint, ask.now)
            {
                return Ok(pooled);
            }
        } else {
            let more = endpoint.pool.has_place(&endpoint.shared);
            if let Some(stream) = lanes.take(more) {
                endpoint.stats.reused.inc();
                return Ok(Pooled { held: Carrier::Stream(stream), reused: true });
            }
            if let Some(waited) = lanes.wait(ask.alarm, deadline).await {
                waited?;
                continue;
            }
            if !more && !lanes.is_bare() {
                return Err(ConnectError::Crowded);
            }
        }
        return open_shared(endpoint, ask, deadline).await;
    }
    Err(ConnectError::Crowded)
}

/// Opens a connection for this request and those that wait for it.
async fn open_shared(
    endpoint: &Rc<Endpoint>,
    ask: &Ask<'_>,
    deadline: Instant,
) -> Result<Pooled, ConnectError> {
    let opener = endpoint.lanes.begin();
    let opened = async {
        let (place, link, multiplexed) = open(endpoint, ask, deadline).await?;
        endpoint.lanes.agree(multiplexed);
        if !multiplexed {
            return Ok(Err(Carrier::Link(place.fill(link))));
        }
        let limits = multiplexed::http2_limits(ask.limits);
        let (worker, secure) = (ask.worker, endpoint.speech.tls.is_some());
        let (lane, drive) = mux::Client::new(link, limits, secure, &worker.wheel, &worker.buffers);
        let (stats, queue) = (Arc::clone(&worker.stats), Rc::clone(&endpoint.queue));
        tokio::task::spawn_local(async move {
            let counters = drive.await;
            multiplexed::count(&stats.protocols.http2_ended[1], &counters);
            drop(place);
            queue.room();
        });
        let stream = greet(&lane, ask.alarm, deadline).await?;
        Ok(Ok((lane, stream)))
    };
    let held = match opened.await {
        Ok(Ok((lane, stream))) => {
            endpoint.pool.warm(endpoint);
            opener.opened(lane);
            endpoint.queue.room();
            Carrier::Stream(stream)
        }
        Ok(Err(alone)) => alone,
        Err(error) => {
            opener.failed(error);
            return Err(error);
        }
    };
    Ok(Pooled { held, reused: false })
}

/// Waits until the endpoint has said how many requests a connection may carry: more than that would be refused. Returns
/// the first stream of it.
async fn greet(lane: &mux::Client, alarm: &Alarm, deadline: Instant) -> Result<Rc<dyn Stream>, ConnectError> {
    let stream = lane.open().map_err(|_| ConnectError::Failed)?;
    std::future::poll_fn(|cx| match stream.poll_tunnels(cx) {
        Poll::Ready(_) => Poll::Ready(Ok(())),
        Poll::Pending => alarm.poll(cx, deadline).map(|()| Err(ConnectError::TimedOut)),
    })
    .await?;
    // With TLS 1.3 a server looks at our certificate only when the handshake is over on our side.
    let gone = || stream.alert().map_or(ConnectError::NoGreeting, ConnectError::Tls);
    if lane.is_greeted() { Ok(stream) } else { Err(gone()) }
}

/// Opens a connection, secures it, and says whether it carries several requests.
async fn open(
    endpoint: &Rc<Endpoint>,
    ask: &Ask<'_>,
    deadline: Instant,
) -> Result<(Place, Link, bool), ConnectError> {
    let free = if endpoint.lanes.has_yielded() { None } else { endpoint.pool.place(&endpoint.shared) };
    let place = match free {
        Some(place) => place,
        None => reclaim(endpoint, ask.alarm, deadline).await?,
    };
    let opened = async {
        let link = open_at(endpoint, ask.alarm, deadline).await?;
        link.break_when_silent(ask.silence);
        endpoint.speech.introduce(&link, ask.client, ask.alarm, deadline).await?;
        endpoint.speech.secure(endpoint, link, ask.alarm, deadline).await
    };
    match opened.await {
        Ok((link, multiplexed)) => {
            endpoint.stats.connects.inc();
            endpoint.connected();
            Ok((place, link, multiplexed))
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
    let shares = endpoint.lanes.multiplexes() != Some(false) && endpoint.speech.may_multiplex();
    let until = if shares { Instant::now() + endpoint.pool.queue_timeout() } else { Instant::NEVER };
    let mut pause = RECLAIM_PAUSE;
    for tries in 0.. {
        // This request is in flight too, and has no connection.
        if !shares && connections.load(Ordering::Relaxed) < in_flight.load(Ordering::Relaxed) {
            // Unless a connection was closed just now.
            return endpoint.pool.place(&endpoint.shared).ok_or(ConnectError::PoolFull);
        }
        if tries >= RECLAIM_TRIES && (!shares || Instant::now() >= until) {
            break;
        }
        let (roster, shared) = (Arc::clone(&endpoint.queue.roster), Arc::clone(&endpoint.shared));
        endpoint.queue.registry.tell(&News::Shed(roster, shared));
        let mut waited = std::pin::pin!(tokio::time::sleep(pause));
        std::future::poll_fn(|cx| match waited.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Ok(())),
            // That it waits for others is not the endpoint's fault.
            Poll::Pending if shares => alarm.poll(cx, deadline).map(|()| Err(ConnectError::PoolFull)),
            Poll::Pending => alarm.poll(cx, deadline).map(|()| Err(ConnectError::TimedOut)),
        })
        .await?;
        if !endpoint.lanes.has_yielded()
            && let Some(place) = endpoint.pool.place(&endpoint.shared)
        {
            return Ok(place);
        }
        if shares {
            pause = (pause * 2).min(RECLAIM_PAUSE_MAX);
        }
    }
    Err(ConnectError::PoolFull)
}

async fn open_at(endpoint: &Endpoint, alarm: &Alarm, deadline: Instant) -> Result<Link, ConnectError> {
    let mut connecting = std::pin::pin!(Socket::connect(&endpoint.shared.address));
    std::future::poll_fn(|cx| match connecting.as_mut().poll(cx) {
        Poll::Ready(result) => Poll::Ready(result.map_err(|error| why(&error))),
        Poll::Pending if endpoint.is_lost() => Poll::Ready(Err(ConnectError::Lost)),
        Poll::Pending => alarm.poll(cx, deadline).map(|()| Err(ConnectError::TimedOut)),
    })
    .await
    .map(|socket| match socket {
        Socket::Tcp(stream) => Link::new(stream),
        Socket::Unix(stream) => Link::unix(stream),
    })
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
