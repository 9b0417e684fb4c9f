//! Connections that requests share, where HTTP/2 is spoken: which one a request goes over, and when there is to be
//! another.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use forebay_base::time::Instant;
use forebay_net::h2::{Limits, mux};
use forebay_net::link::Link;
use forebay_net::stream::Stream;
use forebay_net::wheel::Alarm;
use tokio::sync::Notify;

use crate::client::{Failure, HEAD_BYTES_MAX, HEAD_FIELDS_MAX};
use crate::outcome::ErrorKind;
use crate::plan::{Http2, Plan, When};
use crate::worker::Worker;

/// Bytes of answers that may be under way to us, for each stream and for each connection: windows are not to be what
/// is measured.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;
/// Frames that bring nothing, from a server that is meant to be met as it is.
const GLITCHES: u32 = 100_000;
/// A connection is given up when nothing moves for the longest time any request has, but not before this.
const STALL_MIN: Duration = Duration::from_secs(30);

/// One thread's connections that requests share.
#[derive(Debug)]
pub(crate) struct Lanes {
    open: RefCell<Vec<mux::Client>>,
    opening: Cell<usize>,
    /// How many there may be; `None`: as many as it takes.
    most: Option<usize>,
    /// So many are opened before one has two requests.
    spread: usize,
    /// Requests at once on each.
    streams: usize,
    limits: Limits,
    secure: bool,
    /// Whether requests share connections; `None`: that is agreed on with the first one.
    shared: Cell<Option<bool>>,
    keep: bool,
    waiting: Cell<usize>,
    news: Notify,
}

/// What a request is to do.
pub(crate) enum Turn<'a> {
    /// Go over this stream.
    Stream(Lease<'a>),
    /// Open a connection, for itself and for others.
    Open(Opening<'a>),
    /// Open a connection for itself alone: they are not shared.
    Single,
}

/// The right to open one more connection.
pub(crate) struct Opening<'a> {
    lanes: &'a Lanes,
}

/// A stream in use.
pub(crate) struct Lease<'a> {
    stream: Option<Rc<dyn Stream>>,
    /// The connection, if nobody else may use it: it ends with this.
    _own: Option<mux::Client>,
    lanes: &'a Lanes,
}

impl Lanes {
    /// Those of one of `shards` threads; `None`: the plan has nothing to do with HTTP/2.
    pub(crate) fn of(plan: &Plan, shard: (usize, usize)) -> Option<Self> {
        let Http2 { when, connections, streams } = plan.http2;
        let shared = match when {
            When::On => Some(true),
            When::Auto if plan.target.tls.is_some() => None,
            When::Auto | When::Off => return None,
        };
        let part = |whole: usize| crate::worker::share(whole, shard).max(1);
        let steps = plan.scenarios.iter().flat_map(|scenario| &scenario.steps);
        let longest = steps.map(|step| step.timeout).max().unwrap_or_default();
        Some(Self {
            open: RefCell::default(),
            opening: Cell::new(0),
            most: connections.map(part),
            spread: part(connections.unwrap_or(Http2::SPREAD)),
            streams: streams.max(1),
            limits: Limits {
                head_bytes: HEAD_BYTES_MAX,
                fields: HEAD_FIELDS_MAX,
                stream_window: STREAM_WINDOW,
                connection_window: CONNECTION_WINDOW,
                glitches: GLITCHES,
                stall: longest.max(STALL_MIN),
                ..Limits::default()
            },
            secure: plan.target.tls.is_some(),
            shared: Cell::new(shared),
            keep: plan.keep_alive,
            waiting: Cell::new(0),
            news: Notify::new(),
        })
    }

    /// Requests that all of them can carry at once; `None`: any number.
    pub(crate) fn capacity(&self) -> Option<usize> {
        let most = self.most.filter(|_| self.shared.get() == Some(true))?;
        Some(most.saturating_mul(self.streams))
    }

    /// Waits for what the next request is to do.
    ///
    /// # Errors
    /// There is no room until the deadline.
    pub(crate) async fn turn(
        &self,
        alarm: &Alarm,
        deadline: impl Fn() -> Instant,
    ) -> Result<Turn<'_>, Failure> {
        // Those who have waited go first, or some would wait for ever.
        let mut first = self.waiting.get() > 0;
        loop {
            if !std::mem::take(&mut first)
                && let Some(turn) = self.take()
            {
                self.wake_next();
                return Ok(turn);
            }
            self.waiting.set(self.waiting.get() + 1);
            let mut news = pin!(self.news.notified());
            let waited = poll_fn(|cx| {
                if news.as_mut().poll(cx).is_ready() {
                    return std::task::Poll::Ready(Ok(()));
                }
                alarm.poll(cx, deadline()).map(|()| Err(Failure::Timeout))
            });
            let waited = waited.await;
            self.waiting.set(self.waiting.get() - 1);
            waited?;
        }
    }

    /// There may be room for one who waits.
    fn wake_next(&self) {
        if self.waiting.get() > 0 {
            self.news.notify_one();
        }
    }

    /// What the next request is to do; `None`: wait.
    fn take(&self) -> Option<Turn<'_>> {
        if self.shared.get() == Some(false) {
            return Some(Turn::Single);
        }
        if !self.keep {
            self.opening.set(self.opening.get() + 1);
            return Some(Turn::Open(Opening { lanes: self }));
        }
        let mut open = self.open.borrow_mut();
        open.retain(mux::Client::is_open);
        let count = open.len() + self.opening.get();
        let mut least: Option<(usize, &mux::Client)> = None;
        for client in open.iter() {
            let streams = client.streams();
            // A server that has not said how many it allows would have to refuse what is beyond that.
            let known = streams == 0 || client.is_greeted();
            if known
                && streams < self.streams
                && client.room() > 0
                && least.is_none_or(|(fewest, _)| streams < fewest)
            {
                least = Some((streams, client));
                if streams == 0 {
                    break;
                }
            }
        }
        let idle = least.is_some_and(|(streams, _)| streams == 0);
        // Beyond the usual number one after the other: the next may do for all who wait.
        let more = count < self.spread || (least.is_none() && self.most.is_none() && self.opening.get() == 0);
        if more && !idle {
            self.opening.set(self.opening.get() + 1);
            return Some(Turn::Open(Opening { lanes: self }));
        }
        let stream = least?.1.open().ok()?;
        Some(Turn::Stream(Lease { stream: Some(stream), _own: None, lanes: self }))
    }
}

impl<'a> Opening<'a> {
    /// The connection is open, and is shared.
    ///
    /// # Errors
    /// It takes no request.
    pub(crate) fn shared(self, link: Link, worker: &Rc<Worker>) -> Result<Lease<'a>, Failure> {
        let lanes = self.lanes;
        lanes.shared.set(Some(true));
        let (client, drive) =
            mux::Client::new(link, lanes.limits, lanes.secure, &worker.wheel, worker.reading.buffers());
        tokio::task::spawn_local(drive);
        let stream = client.open().map_err(|_| Failure::Error(ErrorKind::StreamRefused))?;
        if lanes.streams > 1 && lanes.keep {
            tokio::task::spawn_local(greeted(Rc::clone(worker), Rc::clone(&stream)));
        }
        let own = if lanes.keep {
            lanes.open.borrow_mut().push(client);
            None
        } else {
            Some(client)
        };
        Ok(Lease { stream: Some(stream), _own: own, lanes })
    }

    /// The connection carries one request at a time, as all others will.
    pub(crate) fn single(self) {
        self.lanes.shared.set(Some(false));
    }
}

/// Lets those who wait look again once the server has said how many streams it allows.
async fn greeted(worker: Rc<Worker>, first: Rc<dyn Stream>) {
    poll_fn(|cx| first.poll_tunnels(cx)).await;
    drop(first);
    if let Some(lanes) = &worker.lanes {
        lanes.news.notify_waiters();
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.lanes.opening.set(self.lanes.opening.get() - 1);
        self.lanes.news.notify_waiters();
    }
}

impl Lease<'_> {
    pub(crate) fn stream(&self) -> &dyn Stream {
        &**self.stream.as_ref().expect("it is given up only at the end")
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        self.stream = None;
        self.lanes.wake_next();
    }
}
