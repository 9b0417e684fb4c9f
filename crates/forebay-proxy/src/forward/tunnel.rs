//! A connection that has turned into something else than HTTP: bytes both ways, until either side has had enough.

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use forebay_base::time::Instant;
use forebay_net::buffer::Lent;
use forebay_net::h1::ResponseHead;
use forebay_net::link::LinkError;
use forebay_net::websocket::{self, Frames};
use forebay_telemetry::stats::Class;

use super::over::Over;
use super::{Call, Fault};
use crate::client::{self, Wire};
use crate::heads;
use crate::pipeline::Next;
use crate::plan::Upgrades;
use crate::welcome::Level;

/// Why a WebSocket is closed when this process ends (RFC 6455 §7.4.1).
const GOING_AWAY: u16 = 1001;
/// Both sides have so long to answer a close frame.
const CLOSING: Duration = Duration::from_secs(2);

/// What both directions of a tunnel know of each other.
struct Tunnel<'a> {
    call: &'a Call<'a>,
    /// When the last byte came.
    active: Cell<Instant>,
    /// When it ends, whatever happens.
    until: Cell<Instant>,
    idle: Duration,
    /// The frames of a WebSocket, from the client and to it.
    frames: Option<[RefCell<Frames>; 2]>,
}

/// One direction.
#[derive(Clone, Copy)]
enum Way {
    ToService = 0,
    ToClient = 1,
}

/// Tells the client that the protocol is another one now, and carries it until it ends. `buffer` holds the service's
/// head, of `head_len` bytes, and what came behind it; `early` is what the client has sent behind its request.
pub(super) async fn run(
    call: &Call<'_>,
    over: Over<'_>,
    settings: &Upgrades,
    response: &ResponseHead,
    reply: &mut Vec<u8>,
    (mut buffer, head_len): (Lent, usize),
    early: &[u8],
) -> Result<Next, Fault> {
    let Some(upgrade) = call.upgrade else { return Err(call.malformed()) };
    let now = Instant::now();
    let record = call.record;
    let waited = now.since(call.sent_at.get().unwrap_or(now));
    record.first_byte.set(Some(now.since(record.started)));
    record.tunnel_since.set(Some(now));
    call.endpoint.stats.first_byte.record(u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX));
    call.endpoint.stats.responses.count(Class::of(response.status));
    call.endpoint.succeeded();

    reply.clear();
    let framed = call.version.is_framed();
    let accept = upgrade.websocket_accept.as_ref().filter(|_| matches!(over, Over::Stream(_)));
    heads::write_switching(
        reply,
        response,
        &buffer.filled()[..head_len],
        record.response_edits(),
        &upgrade.protocol,
        framed,
        accept.map(|accept| &accept[..]),
    );
    record.status.set(if framed { 200 } else { 101 });
    let alarm = &call.client.alarm;
    let stall = || Instant::now() + record.limits().write_stall;
    match &call.client.wire {
        Wire::Link(link) => link.write_all([&**reply], alarm, stall).await.map_err(|_| Fault::ClientGone)?,
        Wire::Stream(stream) => stream.send_head(reply, false).map_err(|_| Fault::ClientGone)?,
    }
    buffer.consume(head_len);

    let frames = upgrade.is_websocket().then(Default::default);
    let kind = usize::from(frames.is_none());
    let tunnels = &record.worker.stats.protocols.tunnels[kind];
    tunnels.opened.inc();
    let _open = Level::up(&tunnels.active);
    let until = settings.lifetime.map_or(Instant::NEVER, |lifetime| now + lifetime);
    let tunnel =
        Tunnel { call, active: Cell::new(now), until: Cell::new(until), idle: settings.idle, frames };
    let from = match &call.client.wire {
        Wire::Link(link) => Over::Link(link),
        Wire::Stream(stream) => Over::Stream(&**stream),
    };
    let ended = tunnel.carry(from, over, buffer, early).await;
    match ended {
        Ok(()) => Ok(Next::Close),
        // Whoever has broken off: the other side hears of it in the same way.
        Err(_) => {
            record.aborted.set(true);
            Ok(Next::Reset)
        }
    }
}

impl Tunnel<'_> {
    /// Carries bytes both ways until both have ended, or it has been quiet for too long, or lived too long.
    async fn carry(
        &self,
        client: Over<'_>,
        service: Over<'_>,
        first: Lent,
        early: &[u8],
    ) -> Result<(), LinkError> {
        if !early.is_empty() {
            self.pass(Way::ToService, service, early).await?;
        }
        if !first.is_empty() {
            self.pass(Way::ToClient, client, first.filled()).await?;
        }
        drop(first);
        let mut up = pin!(self.relay(Way::ToService, client, service));
        let mut down = pin!(self.relay(Way::ToClient, service, client));
        let mut closing = pin!(self.close_when_draining(client, service));
        let (mut up_done, mut down_done, mut told) = (false, false, self.frames.is_none());
        std::future::poll_fn(|cx| {
            if !told && closing.as_mut().poll(cx).is_ready() {
                told = true;
            }
            if !up_done && let Poll::Ready(result) = up.as_mut().poll(cx) {
                up_done = true;
                if result.is_err() {
                    return Poll::Ready(result);
                }
            }
            if !down_done && let Poll::Ready(result) = down.as_mut().poll(cx) {
                down_done = true;
                if result.is_err() {
                    return Poll::Ready(result);
                }
            }
            if up_done && down_done {
                return Poll::Ready(Ok(()));
            }
            self.call.client.alarm.poll(cx, self.deadline()).map(|()| Ok(()))
        })
        .await
    }

    fn deadline(&self) -> Instant {
        self.until.get().min(self.active.get() + self.idle)
    }

    /// One direction, until its sender has no more to say.
    async fn relay(&self, way: Way, from: Over<'_>, to: Over<'_>) -> Result<(), LinkError> {
        let worker = self.call.record.worker;
        // Time is kept for both directions at once.
        let alarm = &self.call.client.alarm;
        loop {
            to.has_room(alarm, || Instant::NEVER).await?;
            from.readable(alarm, || Instant::NEVER).await?;
            let mut buffer = worker.buffers.take();
            let n = from.fill(&mut buffer, alarm, || Instant::NEVER).await?;
            if n == 0 {
                return self.finish(to).await;
            }
            self.active.set(Instant::now());
            self.pass(way, to, buffer.filled()).await?;
        }
    }

    /// Passes some bytes on.
    async fn pass(&self, way: Way, to: Over<'_>, data: &[u8]) -> Result<(), LinkError> {
        if let Some(frames) = &self.frames {
            frames[way as usize].borrow_mut().pass(data);
        }
        let Call { record, client, .. } = self.call;
        match way {
            Way::ToService => record.count_in(data.len()),
            Way::ToClient => record.count_out(data.len()),
        }
        let stall = || Instant::now() + record.limits().write_stall;
        self.write(to, data, &client.alarm, stall).await
    }

    async fn write(
        &self,
        to: Over<'_>,
        data: &[u8],
        alarm: &forebay_net::wheel::Alarm,
        until: impl Fn() -> Instant,
    ) -> Result<(), LinkError> {
        match to {
            Over::Link(link) => link.write_all([data], alarm, until).await,
            Over::Stream(stream) => client::send(stream, data, false, alarm, until).await,
        }
    }

    /// Says that nothing more will come.
    async fn finish(&self, to: Over<'_>) -> Result<(), LinkError> {
        match to {
            Over::Link(link) => link.shutdown().await.map_err(LinkError::Io),
            Over::Stream(stream) => {
                let until = || Instant::now() + self.call.record.limits().write_stall;
                client::send(stream, &[], true, &self.call.client.alarm, until).await
            }
        }
    }

    /// Once this process is about to end, closes a WebSocket as its protocol has it: both sides get a close frame
    /// between two of theirs, and a little time to answer it.
    async fn close_when_draining(&self, client: Over<'_>, service: Over<'_>) {
        let Some([up, down]) = &self.frames else { return };
        let Call { record, client: who, .. } = self.call;
        std::future::poll_fn(|cx| {
            let now = record.worker.draining.get() && up.borrow().is_between() && down.borrow().is_between();
            // The wheel wakes everybody when draining begins; and later every byte does.
            if now { Poll::Ready(()) } else { who.alarm.poll(cx, Instant::NEVER) }
        })
        .await;
        let until = Instant::now() + CLOSING;
        self.until.set(self.until.get().min(until));
        for (frames, to, of_client) in [(down, client, false), (up, service, true)] {
            if !frames.borrow().has_closed() {
                let close = websocket::close_frame(GOING_AWAY, of_client);
                frames.borrow_mut().pass(&close);
                // It is as good as closed if that cannot be said any more.
                let _ = self.write(to, &close, &who.alarm, || until).await;
            }
        }
    }
}
