//! A response on its way from the upstream to the client.

use std::borrow::Cow;
use std::task::Poll;
use std::time::Duration;

use forebay_base::time::Instant;
use forebay_net::buffer::Lent;
use forebay_net::h1::{
    Body, CHUNK_END, Framing, HeadError, HeadLimits, Name, Outcome, ResponseHead, Version, chunk_start,
};
use forebay_net::link::{Ended, Link, LinkError};
use forebay_telemetry::stats::Class;

use super::{COPY_BYTES_MAX, Call, Fault, last_chunk, lazily, push_chunk, push_last_chunk};
use crate::heads::{self, ResponseParts};
use crate::plan::HalfClose;
use crate::refusal::Refusal;
use crate::worker::BUFFER_BYTES;

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
}

/// A request must have reached the server before it gives the connection up.
const PATIENCE_MARGIN: Duration = Duration::from_secs(1);

/// Receives one response from `link` and sends it to the client.
pub(super) async fn download(
    call: &Call<'_>,
    link: &Link,
    response: &mut ResponseHead,
    reply: &mut Vec<u8>,
    may_be_stale: bool,
) -> Result<Received, Fault> {
    // No buffer is held while the upstream thinks.
    wait_for_response(call, link).await?;
    let mut buffer = call.record.worker.buffers.take();
    let head_len = read_head(call, link, response, reply, &mut buffer, may_be_stale).await?;
    let (mut body, keep_alive, chunked, clean) =
        send_head(call, response, reply, &mut buffer, head_len).await?;
    let patience = patience(response, &buffer.filled()[..head_len]);
    drop(buffer);
    let clean = if body.is_done() {
        clean
    } else {
        // Boxed: only bodies that come in several pieces need it, and every exchange would carry its size.
        Box::pin(relay(call, link, &mut body, chunked, clean)).await?
    };
    let delimited = response.framing != Framing::UntilClose;
    Ok(Received { reusable: clean && delimited && response.keep_alive, keep_alive, patience })
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
async fn wait_for_response(call: &Call<'_>, link: &Link) -> Result<(), Fault> {
    let finish = call.record.limits().half_close == HalfClose::Finish;
    let mut watching = true;
    std::future::poll_fn(|cx| {
        if let Poll::Ready(result) = link.poll_readable(cx) {
            return Poll::Ready(result.map_err(|_| call.broken_off()));
        }
        if call.should_move() {
            return Poll::Ready(Err(Fault::Moved));
        }
        // Until the request is complete the upload does the watching.
        if watching && call.sent_at.get().is_some() {
            match call.client.link.poll_ended(cx) {
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
    link: &Link,
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
                Ok(Outcome::Complete(len)) if response.is_interim() => {
                    interim += 1;
                    // Nobody asked to switch protocols.
                    if interim > INTERIM_MAX || response.status == 101 {
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
        match link.fill(buffer, &call.client.alarm, || call.head_deadline()).await {
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
    write(call, [reply], false).await
}

/// Sends the head and what there is of the body. Returns the rest of the body, whether the client's
/// connection is kept, whether the body goes out in chunks, and whether the upstream has sent nothing
/// beyond its response.
async fn send_head(
    call: &Call<'_>,
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
    if class == Class::ServerError {
        call.endpoint.failed()
    } else {
        call.endpoint.succeeded()
    }
    call.observe(now, waited, class == Class::ServerError);

    let mut body = Body::new(response.framing);
    let part = body.take(&mut buffer.filled_mut()[head_len..]).map_err(|_| call.malformed())?;
    let clean = !body.is_done() || buffer.len() == head_len + part.consumed;
    let framing = match (response.framing, call.version) {
        (Framing::Chunked | Framing::UntilClose, Version::Http11) => Framing::Chunked,
        (Framing::Chunked, Version::Http10) => Framing::UntilClose,
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
    };
    heads::write_response(reply, &parts);
    record.status.set(response.status);
    let chunked = framing == Framing::Chunked;
    let data = &bytes[head_len..head_len + part.data];
    let beside = if chunked {
        push_chunk(reply, data);
        if body.is_done() {
            push_last_chunk(reply, body.trailers(), record.response_edits());
        }
        &[]
    } else if data.len() <= COPY_BYTES_MAX {
        reply.extend_from_slice(data);
        &[]
    } else {
        data
    };
    write(call, [reply, beside], false).await?;
    record.count_out(part.data);
    Ok((body, keep_alive, chunked, clean))
}

/// Relays the rest of the body, a buffer at a time: the upstream is read no faster than the client reads.
/// Returns whether the upstream has sent nothing beyond its response.
async fn relay(
    call: &Call<'_>,
    link: &Link,
    body: &mut Body,
    chunked: bool,
    mut clean: bool,
) -> Result<bool, Fault> {
    let worker = call.record.worker;
    let alarm = &call.client.alarm;
    let mut more = false;
    while !body.is_done() {
        let until = lazily(|| (Instant::now() + call.times.idle).min(call.times.total));
        let promised = std::mem::take(&mut more);
        if let Err(error) = readable(call, link, promised, &until).await {
            return Err(broken(call, &error));
        }
        let large = body.left().is_none_or(|left| left > BULK_FROM);
        let mut buffer = if large { worker.bulk.take() } else { worker.buffers.take() };
        match link.fill(&mut buffer, alarm, &until).await {
            Ok(0) if body.end_of_input().is_ok() => {}
            Ok(0) => {
                call.endpoint.stats.resets.inc();
                return Err(Fault::Broken);
            }
            Ok(_) => {}
            Err(error) => return Err(broken(call, &error)),
        }
        let part = body.take(buffer.filled_mut()).map_err(|_| Fault::Broken)?;
        clean = !body.is_done() || buffer.len() == part.consumed;
        // A read that filled its buffer has most likely left something: then packets can be filled too.
        let filled = buffer.space().is_empty();
        let data = &buffer.filled()[..part.data];
        if chunked {
            send_chunk(call, data, body).await?;
        } else {
            more = filled && !body.is_done();
            write(call, [data], more).await?;
        }
        call.record.count_out(part.data);
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
    link: &Link,
    promised: bool,
    until: impl Fn() -> Instant,
) -> Result<(), LinkError> {
    let mut promised = promised;
    std::future::poll_fn(|cx| {
        if let Poll::Ready(result) = link.poll_readable(cx) {
            return Poll::Ready(result.map_err(LinkError::Io));
        }
        if std::mem::take(&mut promised) {
            call.client.link.push();
        }
        call.client.alarm.poll(cx, until()).map(|()| Err(LinkError::TimedOut))
    })
    .await
}

async fn send_chunk(call: &Call<'_>, data: &[u8], body: &Body) -> Result<(), Fault> {
    let (start, len) = chunk_start(data.len());
    let end = if body.is_done() {
        last_chunk(body.trailers(), call.record.response_edits())
    } else {
        Cow::Borrowed(&[][..])
    };
    let chunk = if data.is_empty() { [&[][..]; 3] } else { [&start[..len], data, CHUNK_END] };
    write(call, [chunk[0], chunk[1], chunk[2], &end], false).await
}

/// Writes to the client, who may take `write_stall` to make room.
async fn write<const N: usize>(call: &Call<'_>, slices: [&[u8]; N], more: bool) -> Result<(), Fault> {
    let until = || (Instant::now() + call.record.limits().write_stall).min(call.times.total);
    call.client.link.write(slices, more, &call.client.alarm, until).await.map_err(|_| Fault::ClientGone)
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
