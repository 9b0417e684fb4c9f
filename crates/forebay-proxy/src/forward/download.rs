//! A response on its way from the upstream to the client.

use std::borrow::Cow;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use forebay_base::time::Instant;
use forebay_net::buffer::Lent;
use forebay_net::h1::{
    Body, CHUNK_END, Framing, HeadError, HeadLimits, Name, Outcome, ResponseHead, Version, chunk_start,
};
use forebay_net::link::{Ended, LinkError};
use forebay_net::stream::{Stream, StreamError};
use forebay_telemetry::stats::Class;

use super::over::Over;
use super::upload::send_on;
use super::{COPY_BYTES_MAX, Call, Fault, edited_trailers, last_chunk, lazily, push_chunk, push_last_chunk};
use crate::client::Wire;
use crate::heads::{self, ResponseParts};
use crate::plan::HalfClose;
use crate::refusal::Refusal;
use crate::upgrade;
use crate::worker::BUFFER_BYTES;

/// A client that has closed its sending side in the middle of a response gets what comes within so long: from there on it
/// looks the same as one that is gone, until something is sent to it.
const HALF_CLOSED_PATIENCE: Duration = Duration::from_secs(10);
/// Interim responses before a final one: an endless row of them would never time out.
const INTERIM_MAX: usize = 16;
/// Bodies with more than this to come are read in larger pieces.
const BULK_FROM: u64 = BUFFER_BYTES as u64;

/// A response has reached the client as a whole.
pub(super) struct Received {
    /// The upstream connection is between two requests.
    pub(super) reusable: bool,
    /// So is the client's, as far as the response goes.
    pub(super) keep_alive: bool,
    /// How long the server will keep the connection, if it has said so.
    pub(super) patience: Option<Duration>,
    /// The service has turned to the protocol that was asked for: its head, of so many bytes, and what came behind it.
    pub(super) tunnel: Option<(Lent, usize)>,
}

/// A request must have reached the server before it gives the connection up.
const PATIENCE_MARGIN: Duration = Duration::from_secs(1);

/// Receives one response and sends it to the client.
pub(super) async fn download(
    call: &Call<'_>,
    over: Over<'_>,
    response: &mut ResponseHead,
    reply: &mut Vec<u8>,
    may_be_stale: bool,
) -> Result<Received, Fault> {
    // No buffer is held while the upstream thinks.
    wait_for_response(call, over).await?;
    let mut buffer = call.record.worker.buffers.take();
    let head_len = match over {
        Over::Link(_) => read_head(call, over, response, reply, &mut buffer, may_be_stale).await?,
        Over::Stream(stream) => {
            let reading = read_stream_head(call, stream, response, reply, &mut buffer, may_be_stale);
            Box::pin(reading).await?
        }
    };
    // A stream has no status for it: any success would tell the client that there is a tunnel (RFC 8441 §5).
    if call.upgrade.is_some()
        && call.version.is_framed()
        && matches!(over, Over::Link(_))
        && (200..300).contains(&response.status)
    {
        call.endpoint.succeeded();
        return Err(Fault::Refuse(Refusal::UpgradeDeclined));
    }
    let tunnels =
        call.upgrade.is_some() && matches!(over, Over::Stream(_)) && (200..300).contains(&response.status);
    if response.status == 101 || tunnels {
        return Ok(Received {
            reusable: false,
            keep_alive: false,
            patience: None,
            tunnel: Some((buffer, head_len)),
        });
    }
    let (mut body, keep_alive, chunked, clean) =
        send_head(call, over, response, reply, &mut buffer, head_len).await?;
    let patience = patience(response, &buffer.filled()[..head_len]);
    drop(buffer);
    let clean = if body.is_done() {
        clean
    } else {
        // Boxed: only bodies that come in several pieces need it, and every exchange would carry its size.
        Box::pin(relay(call, over, &mut body, chunked, clean)).await?
    };
    let delimited = response.framing != Framing::UntilClose;
    Ok(Received { reusable: clean && delimited && response.keep_alive, keep_alive, patience, tunnel: None })
}

/// What is looked for while the service has nothing to say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Watch {
    /// Whether the client is still there.
    Client,
    /// It may be gone, or only have no more to say.
    HalfClosed,
    /// It has sent its next request, and nobody looks behind that.
    Nothing,
}

/// What `Keep-Alive: timeout=` promises (RFC 2068 §19.7.1.1), less a margin.
fn patience(response: &ResponseHead, head: &[u8]) -> Option<Duration> {
    let field = response.fields.iter().find(|field| field.known == Name::KeepAlive)?;
    promised(field.value.of_head(head))
}

#[cold]
fn promised(value: &[u8]) -> Option<Duration> {
    let timeout = std::str::from_utf8(value).ok()?.split(',').find_map(|parameter| {
        let (name, seconds) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("timeout").then(|| seconds.trim().parse::<u32>().ok())?
    })?;
    let promised = Duration::from_secs(timeout.into());
    Some(promised.saturating_sub(PATIENCE_MARGIN).max(promised / 2))
}

/// Waits for the first byte; gives up when the client is gone, so that nobody works for nobody. A client
/// that has only closed its sending side is gone if the settings say so.
async fn wait_for_response(call: &Call<'_>, over: Over<'_>) -> Result<(), Fault> {
    let finish = call.record.limits().half_close == HalfClose::Finish;
    let mut watching = true;
    std::future::poll_fn(|cx| {
        if let Poll::Ready(result) = over.poll_readable(cx) {
            // What has become of a stream is told when its head is read.
            let lost = || if matches!(over, Over::Link(_)) { Err(call.broken_off()) } else { Ok(()) };
            return Poll::Ready(result.or_else(|_| lost()));
        }
        if call.should_move() {
            return Poll::Ready(Err(Fault::Moved));
        }
        // Until the request is complete the upload does the watching.
        if watching && call.sent_at.get().is_some() {
            match call.client.poll_ended(cx) {
                Poll::Ready(Ended::Reset) => return Poll::Ready(Err(Fault::ClientGone)),
                Poll::Ready(Ended::Closed) if !finish => return Poll::Ready(Err(Fault::ClientGone)),
                Poll::Ready(_) => watching = false,
                Poll::Pending => {}
            }
        }
        call.client.alarm.poll(cx, call.head_deadline()).map(|()| Err(call.timed_out()))
    })
    .await
}

/// Reads until the head of a final response is complete; relays interim ones. Returns the head's length.
async fn read_head(
    call: &Call<'_>,
    over: Over<'_>,
    response: &mut ResponseHead,
    reply: &mut Vec<u8>,
    buffer: &mut Lent,
    may_be_stale: bool,
) -> Result<usize, Fault> {
    let limits = call.record.limits();
    let bounds = HeadLimits { bytes: limits.head_bytes, fields: limits.headers, target: 0 };
    let malformed = || call.malformed();
    let mut silent = true;
    let mut interim = 0;
    loop {
        if !buffer.is_empty() {
            match response.parse(buffer.filled(), &bounds, call.to_head) {
                Ok(Outcome::Complete(len)) if response.status == 101 => {
                    let head = &buffer.filled()[..len];
                    let granted =
                        call.upgrade.is_some_and(|protocol| upgrade::is_granted(response, head, protocol));
                    // Nobody asked to switch protocols, or not to this one.
                    return if granted { Ok(len) } else { Err(malformed()) };
                }
                Ok(Outcome::Complete(len)) if response.is_interim() => {
                    interim += 1;
                    if interim > INTERIM_MAX {
                        return Err(malformed());
                    }
                    relay_interim(call, response, reply, &buffer.filled()[..len]).await?;
                    buffer.consume(len);
                    continue;
                }
                Ok(Outcome::Complete(len)) => return Ok(len),
                Ok(Outcome::Partial) => {}
                Err(HeadError::TooLarge | HeadError::TooManyFields) => {
                    return Err(Fault::Refuse(Refusal::UpstreamHeadTooLarge));
                }
                Err(_) => return Err(malformed()),
            }
        }
        if buffer.space().is_empty() {
            let max = bounds.bytes.max(buffer.capacity());
            buffer.make_room(BUFFER_BYTES, max);
        }
        match over.fill(buffer, &call.client.alarm, || call.head_deadline()).await {
            Ok(0) if silent => return Err(call.broken_silently(may_be_stale, None)),
            Err(LinkError::Io(error)) if silent => {
                return Err(call.broken_silently(may_be_stale, Some(&error)));
            }
            Ok(0) | Err(LinkError::Io(_)) => return Err(call.broken_off()),
            Err(LinkError::TimedOut) => return Err(call.timed_out()),
            Ok(_) => silent = false,
        }
    }
}

/// The same on a stream, whose connection has read the head already.
async fn read_stream_head(
    call: &Call<'_>,
    stream: &dyn Stream,
    response: &mut ResponseHead,
    reply: &mut Vec<u8>,
    buffer: &mut Lent,
    may_be_stale: bool,
) -> Result<usize, Fault> {
    let mut interim = 0;
    loop {
        let read = std::future::poll_fn(|cx| match stream.poll_head(cx, response, buffer) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending => call.client.alarm.poll(cx, call.head_deadline()).map(|()| None),
        });
        match read.await {
            Some(Ok(len)) if response.is_interim() => {
                interim += 1;
                if interim > INTERIM_MAX || response.status == 101 {
                    return Err(call.malformed());
                }
                relay_interim(call, response, reply, &buffer.filled()[..len]).await?;
                buffer.consume(len);
            }
            Some(Ok(len)) => return Ok(len),
            Some(Err(StreamError::Refused)) => return Err(call.refused()),
            Some(Err(StreamError::Closed)) => {
                call.alert.set(stream.alert());
                return Err(call.broken_silently(may_be_stale, None));
            }
            Some(Err(StreamError::Reset(_))) => return Err(call.broken_off()),
            Some(Err(StreamError::Malformed)) => return Err(call.malformed()),
            Some(Err(StreamError::HeadTooLarge)) => {
                return Err(Fault::Refuse(Refusal::UpstreamHeadTooLarge));
            }
            None => return Err(call.timed_out()),
        }
    }
}

async fn relay_interim(
    call: &Call<'_>,
    response: &ResponseHead,
    reply: &mut Vec<u8>,
    head: &[u8],
) -> Result<(), Fault> {
    if call.version == Version::Http10 || (response.status == 100 && !call.expect) {
        return Ok(());
    }
    reply.clear();
    heads::write_interim(reply, response, head, call.record.response_edits());
    match call.client.stream() {
        Some(stream) => stream.send_head(reply, false).map_err(|_| Fault::ClientGone),
        None => write(call, [reply], false).await,
    }
}

/// Sends the head and what there is of the body. Returns the rest of the body, whether the client's
/// connection is kept, whether the body goes out in chunks, and whether the upstream has sent nothing
/// beyond its response.
async fn send_head(
    call: &Call<'_>,
    over: Over<'_>,
    response: &ResponseHead,
    reply: &mut Vec<u8>,
    buffer: &mut Lent,
    head_len: usize,
) -> Result<(Body, bool, bool, bool), Fault> {
    let now = Instant::now();
    let record = call.record;
    let waited = now.since(call.sent_at.get().unwrap_or(now));
    record.first_byte.set(Some(now.since(record.started)));
    call.endpoint.stats.first_byte.record(u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX));
    let class = Class::of(response.status);
    call.endpoint.stats.responses.count(class);
    let failed = match call.grpc {
        None => Some(class == Class::ServerError),
        Some(grpc) => grpc.begin(record, response, &buffer.filled()[..head_len]),
    };
    match failed {
        Some(true) => call.endpoint.failed(),
        Some(false) => call.endpoint.succeeded(),
        // It is said behind the body.
        None => {}
    }
    call.observe(now, waited, failed == Some(true));
    let web = call.grpc.and_then(|grpc| grpc.bridged.get());

    let (body, consumed, data_len) = match over {
        Over::Link(_) => {
            let mut body = Body::new(response.framing);
            let part = body.take(&mut buffer.filled_mut()[head_len..]).map_err(|_| call.malformed())?;
            (body, part.consumed, part.data)
        }
        Over::Stream(stream) => {
            let body = take_arrived(call, stream, buffer)?;
            (body, buffer.len() - head_len, buffer.len() - head_len)
        }
    };
    let clean = !body.is_done() || buffer.len() == head_len + consumed;
    let framing = match (response.framing, call.version) {
        (_, Version::Http11) if web.is_some() => Framing::Chunked,
        _ if web.is_some() => Framing::UntilClose,
        (Framing::Chunked | Framing::UntilClose, Version::Http11) => Framing::Chunked,
        (Framing::Chunked, _) => Framing::UntilClose,
        (framing, _) => framing,
    };
    // While the request is still being sent, nobody knows whether it will end before the response; and once
    // the upstream has stopped reading it, it never will.
    let sent = call.complete.get();
    let keep_alive =
        call.keep_alive && sent && framing != Framing::UntilClose && !record.worker.draining.get();
    let bytes = buffer.filled();
    reply.clear();
    let parts = ResponseParts {
        record,
        response,
        head: &bytes[..head_len],
        framing,
        version: call.version,
        keep_alive,
        now,
        web,
    };
    heads::write_response(reply, &parts);
    record.status.set(response.status);
    let chunked = framing == Framing::Chunked;
    let data = &bytes[head_len..head_len + data_len];
    let trailers = if body.is_done() { trailers(over, &body) } else { Cow::default() };
    let (data, trailers) = call.translate(data, body.is_done(), trailers);
    let data = &*data;
    record.count_out(data.len());
    if let Wire::Stream(stream) = &call.client.wire {
        let trailers = edited_trailers(&trailers, record.response_edits());
        let ends_here = body.is_done() && data.is_empty() && trailers.is_empty();
        stream.send_head(reply, ends_here).map_err(|_| Fault::ClientGone)?;
        if !ends_here && (body.is_done() || !data.is_empty()) {
            send_on_client(call, &**stream, data, body.is_done(), &trailers).await?;
        }
        return Ok((body, keep_alive, false, clean));
    }
    let beside = if chunked {
        push_chunk(reply, data);
        if body.is_done() {
            push_last_chunk(reply, &trailers, record.response_edits());
        }
        &[]
    } else if data.len() <= COPY_BYTES_MAX {
        reply.extend_from_slice(data);
        &[]
    } else {
        data
    };
    write(call, [reply, beside], false).await?;
    Ok((body, keep_alive, chunked, clean))
}

/// Takes what has arrived of a stream's body, as far as there is space for it. Returns what is left of it.
fn take_arrived(call: &Call<'_>, stream: &dyn Stream, buffer: &mut Lent) -> Result<Body, Fault> {
    let mut cx = Context::from_waker(Waker::noop());
    while !stream.is_finished() && !buffer.space().is_empty() {
        match stream.poll_data(&mut cx, buffer) {
            Poll::Ready(Ok(n)) if n > 0 => {}
            Poll::Ready(Ok(_)) => break,
            Poll::Ready(Err(_)) => return Err(call.broken_off()),
            Poll::Pending => return Ok(Body::Outside),
        }
    }
    Ok(if stream.is_finished() { Body::Done } else { Body::Outside })
}

/// Trailers of a body that is done.
fn trailers<'b>(over: Over<'_>, body: &'b Body) -> Cow<'b, [u8]> {
    match over {
        Over::Link(_) => Cow::Borrowed(body.trailers()),
        Over::Stream(stream) => Cow::Owned(stream.take_trailers()),
    }
}

/// Relays the rest of the body, a buffer at a time: the upstream is read no faster than the client reads.
/// Returns whether the upstream has sent nothing beyond its response.
async fn relay(
    call: &Call<'_>,
    over: Over<'_>,
    body: &mut Body,
    chunked: bool,
    mut clean: bool,
) -> Result<bool, Fault> {
    let worker = call.record.worker;
    let alarm = &call.client.alarm;
    let mut more = false;
    let mut watch = Watch::Client;
    let on_stream = call.client.stream();
    while !body.is_done() {
        if let Some(stream) = on_stream {
            let room = Over::Stream(stream).has_room(alarm, || stall(call)).await;
            room.map_err(|_| Fault::ClientGone)?;
        }
        let since = lazily(Instant::now);
        let until = || call.quiet_until(since());
        let promised = std::mem::take(&mut more);
        readable(call, over, promised, &mut watch, &until).await?;
        // A stream sends no more at a time than its neighbours leave it.
        let large = on_stream.is_none() && body.left().is_none_or(|left| left > BULK_FROM);
        let mut buffer = if large { worker.bulk.take() } else { worker.buffers.take() };
        match over.fill(&mut buffer, alarm, &until).await {
            Ok(0) if matches!(over, Over::Stream(_)) || body.end_of_input().is_ok() => {}
            Ok(0) => {
                call.endpoint.stats.resets.inc();
                return Err(Fault::Broken);
            }
            Ok(_) => {}
            Err(error) => return Err(broken(call, &error)),
        }
        call.stir();
        let (consumed, data_len) = over.take(body, &mut buffer).map_err(|_| Fault::Broken)?;
        clean = !body.is_done() || buffer.len() == consumed;
        // A read that filled its buffer has most likely left something: then packets can be filled too.
        let filled = buffer.space().is_empty();
        let data = &buffer.filled()[..data_len];
        let trailers = if body.is_done() { trailers(over, body) } else { Cow::default() };
        let (data, trailers) = call.translate(data, body.is_done(), trailers);
        let data = &*data;
        if let Some(stream) = on_stream {
            let trailers = edited_trailers(&trailers, call.record.response_edits());
            send_on_client(call, stream, data, body.is_done(), &trailers).await?;
        } else if chunked {
            send_chunk(call, data, &trailers, body.is_done()).await?;
        } else {
            more = filled && !body.is_done();
            write(call, [data], more).await?;
        }
        call.record.count_out(data.len());
        if filled {
            // There is more at once, but others wait too: one large body must not keep small ones waiting.
            drop(buffer);
            tokio::task::yield_now().await;
        }
    }
    Ok(clean)
}

/// Waits for more of the response. If more was promised to the client and it is not there yet, the client
/// gets what was kept back for it.
async fn readable(
    call: &Call<'_>,
    over: Over<'_>,
    promised: bool,
    watch: &mut Watch,
    until: impl Fn() -> Instant,
) -> Result<(), Fault> {
    let mut promised = promised;
    let since = lazily(Instant::now);
    std::future::poll_fn(|cx| {
        if let Poll::Ready(result) = over.poll_readable(cx) {
            return Poll::Ready(result.map_err(|error| broken(call, &error)));
        }
        if std::mem::take(&mut promised)
            && let Wire::Link(link) = &call.client.wire
        {
            link.push();
        }
        // Until the request is complete the upload does the watching.
        if *watch == Watch::Client && call.complete.get() {
            match call.client.poll_ended(cx) {
                Poll::Ready(Ended::Reset) => return Poll::Ready(Err(Fault::ClientGone)),
                Poll::Ready(Ended::Closed) if call.record.limits().half_close == HalfClose::Abort => {
                    return Poll::Ready(Err(Fault::ClientGone));
                }
                Poll::Ready(Ended::Closed) => *watch = Watch::HalfClosed,
                Poll::Ready(Ended::Sending) => *watch = Watch::Nothing,
                Poll::Pending => {}
            }
        }
        if *watch == Watch::HalfClosed
            && call.client.alarm.poll(cx, since() + HALF_CLOSED_PATIENCE).is_ready()
        {
            return Poll::Ready(Err(Fault::ClientGone));
        }
        call.client.alarm.poll(cx, until()).map(|()| Err(broken(call, &LinkError::TimedOut)))
    })
    .await
}

async fn send_chunk(call: &Call<'_>, data: &[u8], trailers: &[u8], end: bool) -> Result<(), Fault> {
    let (start, len) = chunk_start(data.len());
    let end = if end { last_chunk(trailers, call.record.response_edits()) } else { Cow::Borrowed(&[][..]) };
    let chunk = if data.is_empty() { [&[][..]; 3] } else { [&start[..len], data, CHUNK_END] };
    write(call, [chunk[0], chunk[1], chunk[2], &end], false).await
}

/// Writes to the client, who may take `write_stall` to make room.
async fn write<const N: usize>(call: &Call<'_>, slices: [&[u8]; N], more: bool) -> Result<(), Fault> {
    let Wire::Link(link) = &call.client.wire else { return Err(Fault::ClientGone) };
    let until = || stall(call);
    link.write(slices, more, &call.client.alarm, until).await.map_err(|_| Fault::ClientGone)
}

/// The same on the client's stream; if it is the last piece (`end`), with what ends the body.
async fn send_on_client(
    call: &Call<'_>,
    stream: &dyn Stream,
    data: &[u8],
    end: bool,
    trailers: &[u8],
) -> Result<(), Fault> {
    let sending = send_on(stream, data, end, trailers, &call.client.alarm, || stall(call));
    sending.await.map_err(|_| Fault::ClientGone)
}

/// When a client that does not take what it gets is given up.
fn stall(call: &Call<'_>) -> Instant {
    (Instant::now() + call.record.limits().write_stall).min(call.times.total)
}

/// The response has begun, so all that is left is to break off.
fn broken(call: &Call<'_>, error: &LinkError) -> Fault {
    match error {
        LinkError::TimedOut => call.endpoint.stats.timeouts.inc(),
        LinkError::Io(_) => call.endpoint.stats.resets.inc(),
    }
    Fault::Broken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_given_up_before_the_server_does() {
        for (value, expected) in [
            ("timeout=5", Some(4_000)),
            ("timeout=5, max=100", Some(4_000)),
            ("max=100, Timeout = 1", Some(500)),
            ("timeout=0", Some(0)),
            ("timeout=-1", None),
            ("timeout", None),
            ("max=5", None),
            ("", None),
        ] {
            assert_eq!(promised(value.as_bytes()), expected.map(Duration::from_millis), "{value}");
        }
    }
}
