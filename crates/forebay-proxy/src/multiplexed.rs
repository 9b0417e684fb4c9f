//! One client connection that carries several requests at a time: each is served in a task of its own.

use std::rc::Rc;
use std::task::Poll;

use forebay_net::buffer::{Buffer, Lent};
use forebay_net::h1::{HeadError, RequestHead, Span, Version};
use forebay_net::h2::connection::Counters;
use forebay_net::h2::{self, mux};
use forebay_net::link::Link;
use forebay_net::stream::{Reset, Stream};
use forebay_telemetry::stats::{Class, Http2Stats};

use crate::client::{Client, Who, Wire};
use crate::exchange::Scratch;
use crate::pipeline::{self, Next};
use crate::plan::Limits;
use crate::welcome::Level;
use crate::worker::Worker;

/// Serves HTTP/2 until either side has had enough. `received` was read of the connection already.
pub(crate) async fn serve(worker: &Rc<Worker>, link: Link, who: Rc<Who>, received: Option<Lent>) {
    let protocols = &worker.stats.protocols;
    let _open = Level::up(&protocols.http2[usize::from(who.secured.is_some())]);
    let active = worker.active();
    let limits = http2_limits(&active.plan.limits);
    let idle = active.plan.limits.idle;
    drop(active);
    if who.local.get().is_none() {
        who.local.set(link.local());
    }
    let received_bytes = received.as_deref().map(Buffer::filled).unwrap_or_default();
    let mut server = mux::Server::new(link, limits, &worker.wheel, &worker.buffers, received_bytes);
    drop(received);
    let draining = || worker.draining.get();
    while let Some(mux::Incoming { stream, mut head, .. }) = server.accept(idle, draining).await {
        let mut request = Request::new(worker, stream, Rc::clone(&who));
        let error = head.error.or_else(|| judge_scheme(worker, &who, head.secure));
        let protocol = head.protocol;
        let h2::head::Request { head: spans, bytes, .. } = &mut *head;
        request.take(spans, bytes, protocol, error);
        drop(head);
        tokio::task::spawn_local(request.serve());
    }
    count(&protocols.http2_ended[0], &server.counters());
}

/// Nobody gets what is meant for a secured connection over one that is not, unless a trusted proxy has seen to its
/// security (RFC 9110 §7.4). That what may go unsecured comes secured is no harm.
fn judge_scheme(worker: &Worker, who: &Who, secure: bool) -> Option<HeadError> {
    if !secure || who.secured.is_some() || who.listener.proxy_protocol {
        return None;
    }
    let trusted = !who.unnamed && worker.active().plan.trusted_proxies.contains(who.peer.ip());
    (!trusted).then_some(HeadError::Syntax(":scheme is https, and the connection is not secured"))
}

/// Adds up what was counted on a connection that has ended.
pub(crate) fn count(stats: &Http2Stats, counters: &Counters) {
    let Counters { glitches, resets_received, resets_sent, refused, heads_too_large, .. } = *counters;
    stats.connections.inc();
    stats.glitches.add(u64::from(glitches));
    stats.resets_received.add(resets_received);
    stats.resets_sent.add(resets_sent);
    stats.refused.add(refused);
    stats.heads_too_large.add(heads_too_large);
    for (sent, code) in [(true, counters.goaway_sent), (false, counters.goaway_received)] {
        if let Some(code) = code {
            stats.count_goaway(sent, code);
        }
    }
}

/// What a connection may have us do and hold.
pub(crate) fn http2_limits(limits: &Limits) -> h2::Limits {
    h2::Limits {
        head_bytes: limits.head_bytes,
        fields: limits.headers,
        stall: limits.write_stall,
        ..limits.http2
    }
}

/// A request on a stream, whose head has come.
pub(crate) struct Request {
    worker: Rc<Worker>,
    stream: Rc<dyn Stream>,
    who: Rc<Who>,
    input: Lent,
    scratch: Box<Scratch>,
    head_len: usize,
    error: Option<HeadError>,
}

impl Request {
    pub(crate) fn new(worker: &Rc<Worker>, stream: Rc<dyn Stream>, who: Rc<Who>) -> Self {
        Self {
            worker: Rc::clone(worker),
            stream,
            who,
            input: worker.buffers.take(),
            scratch: worker.scratch(),
            head_len: 0,
            error: None,
        }
    }

    /// Takes the head over, and leaves another in its place; `bytes` is what its spans refer to. `protocol` makes it an extended CONNECT (RFC 8441).
    pub(crate) fn take(
        &mut self,
        head: &mut RequestHead,
        bytes: &[u8],
        protocol: Option<Span>,
        error: Option<HeadError>,
    ) {
        std::mem::swap(&mut self.scratch.request, head);
        self.scratch.protocol = protocol;
        self.error = error;
        // A request for a tunnel is found its route, and asked of a service, as one that asks to look at it.
        let get: &[u8] = if protocol.is_some() { b"GET" } else { b"" };
        let input = &mut *self.input;
        input.make_room(bytes.len() + get.len(), usize::MAX);
        for part in [bytes, get] {
            input.space()[..part.len()].copy_from_slice(part);
            input.advance(part.len());
        }
        if protocol.is_some() {
            self.scratch.request.method = Span::new(bytes.len(), get.len());
        }
        self.head_len = bytes.len() + get.len();
    }

    /// Serves it.
    pub(crate) async fn serve(self) {
        let Self { worker, stream, who, mut input, mut scratch, head_len, error } = self;
        let http3 = scratch.request.version == Version::Http3;
        let _open = Level::up(&worker.stats.protocols.streams[usize::from(http3)]);
        let client = Client::new(Wire::Stream(Rc::clone(&stream)), worker.alarm(), who);
        let gone = std::future::poll_fn(|cx| {
            client.alarm.adopt(cx);
            Poll::Ready(stream.poll_ended(cx).is_ready())
        })
        .await;
        let active = worker.active();
        let next = if gone {
            // What was reset before anybody looked at it (Rapid Reset) costs no service anything.
            worker.stats.requests_before_route.count(Class::Aborted);
            worker.stats.protocols.requests[2 + usize::from(http3)].inc();
            Next::Close
        } else {
            let serving = async {
                match error {
                    None => {
                        pipeline::serve(&worker, &client, &active, &mut input, &mut scratch, head_len).await
                    }
                    Some(error) => {
                        pipeline::refuse_unread(&worker, &client, &active, &mut scratch, error.into()).await
                    }
                }
            };
            let mut serving = std::pin::pin!(serving);
            // Whatever is being waited for, nobody waits for it once the stream is reset or its connection gone.
            std::future::poll_fn(|cx| match serving.as_mut().poll(cx) {
                Poll::Ready(next) => Poll::Ready(next),
                Poll::Pending => stream.poll_ended(cx).map(|_| {
                    client.gone.set(true);
                    Next::Reset
                }),
            })
            .await
        };
        // What has not ended by now will not.
        stream.reset(if matches!(next, Next::Reset) { Reset::InternalError } else { Reset::NoError });
        worker.give_back(scratch);
        worker.take_alarm_back(client.alarm);
    }
}
