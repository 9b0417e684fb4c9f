//! The rest of a request body on its way from the client to the upstream.

use std::borrow::Cow;
use std::time::Duration;

use forebay_base::time::Instant;
use forebay_net::buffer::Lent;
use forebay_net::h1::{Body, CHUNK_END, chunk_start};
use forebay_net::link::LinkError;
use forebay_net::stream::Stream;
use forebay_net::wheel::Alarm;

use super::over::Over;
use super::{Call, Fault, edited_trailers, last_chunk};
use crate::client::{self, Wire};
use crate::refusal::Refusal;
use crate::worker::BUFFER_BYTES;

/// A body may be slower than `body_rate_min` for this long.
const RATE_GRACE: Duration = Duration::from_secs(10);

/// Sends what is left of `body` to the upstream. Bytes after its end, of the next request, end up in
/// `following`. An upstream that stops reading is no fault: it may be answering early. `first`: what a stream had no
/// room for, and the trailers behind it if the body is done.
pub(super) async fn upload(
    call: &Call<'_>,
    over: Over<'_>,
    first: Option<(&[u8], &[u8])>,
    body: &mut Body,
    chunked: bool,
    following: &mut Option<Lent>,
) -> Result<(), Fault> {
    let worker = call.record.worker;
    let alarm = &call.client.alarm;
    let from = match &call.client.wire {
        Wire::Link(link) => Over::Link(link),
        Wire::Stream(stream) => Over::Stream(&**stream),
    };
    if let (Some((data, trailers)), Over::Stream(stream)) = (first, over) {
        let until = || (Instant::now() + call.times.idle).min(call.times.total);
        let trailers = edited_trailers(trailers, call.record.request_edits());
        match send_on(stream, data, body.is_done(), &trailers, alarm, until).await {
            Ok(()) => {}
            Err(LinkError::TimedOut) => return Err(call.timed_out()),
            Err(LinkError::Io(_)) => {
                call.sent_at.set(Some(Instant::now()));
                return Ok(());
            }
        }
    }
    // How long the client was waited for.
    let mut waited_for = Duration::ZERO;
    while !body.is_done() {
        let patient = || (Instant::now() + call.times.idle).min(call.times.total);
        match over.has_room(alarm, patient).await {
            Ok(()) => {}
            Err(LinkError::TimedOut) => return Err(call.timed_out()),
            Err(LinkError::Io(_)) => {
                call.sent_at.set(Some(Instant::now()));
                return Ok(());
            }
        }
        let since = Instant::now();
        let until = || deadline(call, since, waited_for);
        match from.readable(alarm, &until).await {
            // It waits for the upstream's `100 Continue`, so it is the upstream that is late.
            Err(LinkError::TimedOut) if call.expect && call.record.bytes_in.get() == 0 => {
                return Err(call.timed_out());
            }
            waited => wait(from, waited)?,
        }
        let large =
            matches!(from, Over::Link(_)) && body.left().is_none_or(|left| left > BUFFER_BYTES as u64);
        let mut buffer = if large { worker.bulk.take() } else { worker.buffers.take() };
        let n = wait(from, from.fill(&mut buffer, alarm, &until).await)?;
        if n == 0 && matches!(from, Over::Link(_)) {
            return Err(Fault::Refuse(Refusal::BodyTruncated));
        }
        if !call.expect || call.record.bytes_in.get() > 0 {
            waited_for += Instant::now().since(since);
        }
        call.stir();
        let (consumed, data) = from.take(body, &mut buffer).map_err(|error| Fault::Refuse(error.into()))?;
        call.record.count_in(data);
        // A chunk that is announced too large need not come first.
        if call.record.bytes_in.get().saturating_add(body.announced()) > call.body_max {
            return Err(Fault::Refuse(Refusal::BodyTooLarge));
        }
        let end = body.is_done();
        call.record.show_body(&buffer.filled()[..data], end);
        let data = match call.grpc {
            None => data,
            Some(grpc) => grpc.decode(&mut buffer.filled_mut()[..data], end).map_err(Fault::Refuse)?,
        };
        if !pass_on(call, from, over, &buffer.filled()[..data], body, chunked).await? {
            call.sent_at.set(Some(Instant::now()));
            return Ok(());
        }
        if end {
            buffer.consume(consumed);
            if !buffer.is_empty() {
                *following = Some(buffer);
            }
        }
    }
    call.complete.set(true);
    call.sent_at.set(Some(Instant::now()));
    Ok(())
}

/// Writes `data` (and the end of a chunked body) to the upstream; `false`: it no longer reads.
async fn pass_on(
    call: &Call<'_>,
    from: Over<'_>,
    over: Over<'_>,
    data: &[u8],
    body: &Body,
    chunked: bool,
) -> Result<bool, Fault> {
    let until = || (Instant::now() + call.times.idle).min(call.times.total);
    let alarm = &call.client.alarm;
    let trailers = match from {
        _ if !body.is_done() => Cow::default(),
        Over::Link(_) => Cow::Borrowed(body.trailers()),
        Over::Stream(stream) => Cow::Owned(stream.take_trailers()),
    };
    let edits = call.record.request_edits();
    let wrote = match over {
        Over::Link(link) if chunked => {
            let (start, len) = chunk_start(data.len());
            let end = if body.is_done() { last_chunk(&trailers, edits) } else { Cow::default() };
            let chunk = if data.is_empty() { [&[][..]; 3] } else { [&start[..len], data, CHUNK_END] };
            link.write_all([chunk[0], chunk[1], chunk[2], &end], alarm, until).await
        }
        Over::Link(link) => link.write_all([data], alarm, until).await,
        Over::Stream(stream) => {
            let trailers = edited_trailers(&trailers, edits);
            send_on(stream, data, body.is_done(), &trailers, alarm, until).await
        }
    };
    match wrote {
        Ok(()) => Ok(true),
        Err(LinkError::Io(_)) => Ok(false),
        Err(LinkError::TimedOut) => Err(call.timed_out()),
    }
}

/// Sends a piece of a body on `stream`; if it is the last one (`end`), with what ends it.
pub(super) async fn send_on(
    stream: &dyn Stream,
    data: &[u8],
    end: bool,
    trailers: &[u8],
    alarm: &Alarm,
    until: impl Fn() -> Instant,
) -> Result<(), LinkError> {
    let ends_here = end && trailers.is_empty();
    if !data.is_empty() || ends_here {
        client::send(stream, data, ends_here, alarm, until).await?;
    }
    if end && !trailers.is_empty() {
        stream.send_trailers(trailers).map_err(client::broken)?;
    }
    Ok(())
}

/// When the next bytes must have come: none of the waits may be too long, and the body as a whole must keep
/// up with `body_rate_min`, so that neither a stop after a quick start nor a steady trickle lasts for ever. Only the time
/// counts in which the client was waited for, and only until the response begins: after that, both sides may speak when
/// they have something to say.
fn deadline(call: &Call<'_>, since: Instant, waited_for: Duration) -> Instant {
    let received = call.record.bytes_in.get();
    if call.expect && received == 0 {
        // The client waits for the upstream's word, so the time it takes is the upstream's.
        return (call.record.started + call.times.first_byte).min(call.times.total);
    }
    // A call may go on for hours and say something now and then.
    let streams = call.grpc.is_some_and(|grpc| grpc.asked.web.is_none());
    let begun = call.record.first_byte.get().is_some();
    let rate = if streams || begun { 0 } else { call.record.limits().body_rate_min };
    let in_all = match received.checked_mul(1000).and_then(|millis| millis.checked_div(rate)) {
        Some(millis) => since + (RATE_GRACE + Duration::from_millis(millis)).saturating_sub(waited_for),
        None => Instant::NEVER,
    };
    in_all.min(call.quiet_until(since))
}

fn wait<T>(from: Over<'_>, result: Result<T, LinkError>) -> Result<T, Fault> {
    result.map_err(|error| match (error, from) {
        (LinkError::TimedOut, _) => Fault::Refuse(Refusal::BodyTimeout),
        (LinkError::Io(_), Over::Link(_)) => Fault::Refuse(Refusal::BodyTruncated),
        // A stream that is reset in one direction is of no use in the other.
        (LinkError::Io(_), Over::Stream(_)) => Fault::ClientGone,
    })
}
