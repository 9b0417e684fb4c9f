//! One request and its answer over one stream of a connection that others share.

use std::future::poll_fn;
use std::task::{Context, Poll};

use forebay_base::time::Instant;
use forebay_net::buffer::Buffer;
use forebay_net::h1::{Framing, ResponseHead};
use forebay_net::h2::frame::ErrorCode;
use forebay_net::stream::{Stream, StreamError};
use forebay_net::wheel::Alarm;
use memchr::memmem;

use super::{AT_ONCE, Answer, BUFFER, Failure, INTERIM_MAX, Input, Kept, Message, Progress, Reading, both};
use crate::answer::{self, BODY_KEPT_MAX};
use crate::outcome::ErrorKind;

/// Letters of what a server says of an error.
const SAID_MAX: usize = 160;

/// How a call of gRPC ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GrpcEnd {
    /// `None`: it does not say so.
    pub(crate) status: Option<u32>,
    pub(crate) message: String,
}

/// Sends a request and reads the whole answer. `kept` is filled if given.
///
/// # Errors
/// There is no whole answer in time.
pub(crate) async fn exchange(
    stream: &dyn Stream,
    message: Message<'_>,
    reading: &Reading,
    progress: &Progress,
    kept: Option<&mut Kept>,
    alarm: &Alarm,
    deadline: impl Fn() -> Instant,
) -> Result<Answer, Failure> {
    let (head, body) = split(message.bytes);
    stream.send_head(head, body.is_empty()).map_err(|error| failure(error, progress))?;
    progress.bytes_out.set(head.len() as u64);
    let receive = receive(stream, message, reading, progress, kept, alarm, &deadline);
    if body.is_empty() {
        return receive.await;
    }
    let send = send(stream, body, progress, alarm, &deadline);
    if body.len() <= AT_ONCE {
        send.await?;
        return receive.await;
    }
    Ok(both(send, receive).await?.0)
}

/// Where the head of a request ends.
fn split(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = memmem::find(bytes, b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
    bytes.split_at(end)
}

/// Sends a body. Returns whether all of it was taken: a server may answer before it has read everything.
async fn send(
    stream: &dyn Stream,
    mut body: &[u8],
    progress: &Progress,
    alarm: &Alarm,
    deadline: impl Fn() -> Instant,
) -> Result<bool, Failure> {
    while !body.is_empty() {
        let Ok(sent) = until(alarm, &deadline, |cx| stream.poll_send(cx, body, true)).await? else {
            return Ok(false);
        };
        progress.bytes_out.set(progress.bytes_out.get() + sent as u64);
        body = &body[sent..];
    }
    Ok(true)
}

async fn receive(
    stream: &dyn Stream,
    message: Message<'_>,
    reading: &Reading,
    progress: &Progress,
    mut kept: Option<&mut Kept>,
    alarm: &Alarm,
    deadline: impl Fn() -> Instant,
) -> Result<Answer, Failure> {
    // No buffer is held while nothing comes.
    let readable = until(alarm, &deadline, |cx| stream.poll_readable(cx)).await?;
    readable.map_err(|error| failure(error, progress))?;
    let mut input = reading.begin();
    let Input { buffer, head, .. } = &mut input;
    let length = read_head(stream, buffer, head, progress, alarm, &deadline).await?;
    let (status, framing) = (head.status, head.framing);
    if message.grpc {
        let fields = answer::Answer::h1(head, &buffer.filled()[..length], &[], 0);
        progress.grpc.replace(GrpcEnd::of(fields.header("grpc-status"), fields.header("grpc-message")));
    }
    if let Some(kept) = kept.as_deref_mut() {
        kept.head.clear();
        kept.head.extend_from_slice(&buffer.filled()[..length]);
        kept.body.clear();
        kept.body_bytes = 0;
        // The fields refer to places, which are the same in the copy.
        std::mem::swap(&mut kept.parsed, head);
    }
    buffer.consume(length);
    if framing != Framing::None || !stream.is_finished() {
        read_body(stream, buffer, progress, kept, alarm, &deadline).await?;
    }
    if message.grpc && progress.grpc.borrow().status.is_none() {
        let trailers = stream.take_trailers();
        progress.grpc.replace(GrpcEnd::of_trailers(&trailers));
    }
    Ok(Answer { status, keep: true })
}

/// Waits for the final answer's head. Returns its length; it is in the buffer.
async fn read_head(
    stream: &dyn Stream,
    buffer: &mut Buffer,
    head: &mut ResponseHead,
    progress: &Progress,
    alarm: &Alarm,
    deadline: impl Fn() -> Instant,
) -> Result<usize, Failure> {
    for _ in 0..INTERIM_MAX {
        let read = until(alarm, &deadline, |cx| stream.poll_head(cx, head, buffer)).await?;
        let length = read.map_err(|error| failure(error, progress))?;
        if progress.first_byte.get().is_none() {
            progress.first_byte.set(Some(Instant::now()));
        }
        progress.bytes_in.set(progress.bytes_in.get() + length as u64);
        if !head.is_interim() {
            return Ok(length);
        }
        buffer.consume(length);
    }
    Err(Failure::Error(ErrorKind::Protocol))
}

/// Reads a body to its end.
async fn read_body(
    stream: &dyn Stream,
    buffer: &mut Buffer,
    progress: &Progress,
    mut kept: Option<&mut Kept>,
    alarm: &Alarm,
    deadline: impl Fn() -> Instant,
) -> Result<(), Failure> {
    loop {
        buffer.make_room(BUFFER, BUFFER);
        let read = until(alarm, &deadline, |cx| stream.poll_data(cx, buffer)).await?;
        let read = read.map_err(|error| failure(error, progress))?;
        if read == 0 {
            return Ok(());
        }
        progress.bytes_in.set(progress.bytes_in.get() + read as u64);
        if let Some(kept) = kept.as_deref_mut() {
            let room = BODY_KEPT_MAX.saturating_sub(kept.body.len()).min(read);
            kept.body.extend_from_slice(&buffer.filled()[..room]);
            kept.body_bytes += read as u64;
        }
        buffer.consume(read);
        if stream.is_finished() {
            return Ok(());
        }
    }
}

/// Waits for something of the stream's.
async fn until<T>(
    alarm: &Alarm,
    deadline: impl Fn() -> Instant,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Result<T, Failure> {
    poll_fn(|cx| match poll(cx) {
        Poll::Ready(value) => Poll::Ready(Ok(value)),
        Poll::Pending => alarm.poll(cx, deadline()).map(|()| Err(Failure::Timeout)),
    })
    .await
}

fn failure(error: StreamError, progress: &Progress) -> Failure {
    let (kind, why) = match error {
        StreamError::Reset(code) => (ErrorKind::StreamReset, format!("the server said {}", named(code))),
        StreamError::Refused => {
            (ErrorKind::StreamRefused, "the server did not process it: it may be sent again".to_owned())
        }
        StreamError::Malformed => (ErrorKind::Protocol, "the answer is malformed".to_owned()),
        StreamError::HeadTooLarge => (ErrorKind::Protocol, "the head of the answer is too large".to_owned()),
        StreamError::Closed if progress.bytes_in.get() == 0 => (ErrorKind::Closed, String::new()),
        StreamError::Closed => (ErrorKind::Truncated, String::new()),
    };
    progress.why.replace(why);
    Failure::Error(kind)
}

/// The code of a reset (RFC 9113 §7).
fn named(code: u32) -> String {
    ErrorCode(code).name().map_or_else(|| format!("code {code}"), str::to_owned)
}

impl GrpcEnd {
    fn of(status: Option<&[u8]>, message: Option<&[u8]>) -> Self {
        let text = |bytes| String::from_utf8_lossy(bytes).chars().take(SAID_MAX).collect::<String>();
        Self {
            // What is no number is no status that anybody knows.
            status: status.map(|status| text(status).parse().unwrap_or(u32::MAX)),
            message: message.map(text).unwrap_or_default(),
        }
    }

    fn of_trailers(lines: &[u8]) -> Self {
        let find = |wanted: &[u8]| {
            let mut lines = lines.split(|byte| *byte == b'\n');
            lines.find_map(|line| {
                let colon = memchr::memchr(b':', line)?;
                let (name, value) = line.split_at(colon);
                name.eq_ignore_ascii_case(wanted).then(|| value[1..].trim_ascii())
            })
        };
        Self::of(find(b"grpc-status"), find(b"grpc-message"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_ends_as_its_trailers_say() {
        let check = |lines: &str, status: Option<u32>, message: &str| {
            let expected = GrpcEnd { status, message: message.to_owned() };
            assert_eq!(GrpcEnd::of_trailers(lines.as_bytes()), expected, "{lines}");
        };
        check("grpc-status: 0\r\n", Some(0), "");
        check("x: y\r\nGrpc-Message: no room\r\nGrpc-Status: 8\r\n", Some(8), "no room");
        check("grpc-status: none\r\n", Some(u32::MAX), "");
        check("x: y\r\n", None, "");
        check("", None, "");
    }

    #[test]
    fn a_head_ends_with_its_empty_line() {
        assert_eq!(split(b"GET / HTTP/1.1\r\na: b\r\n\r\nx\r\n\r\n").1, b"x\r\n\r\n");
        assert_eq!(split(b"GET / HTTP/1.1\r\n\r\n").1, b"");
    }

    #[test]
    fn codes_have_names() {
        assert_eq!([0, 7, 13, 14].map(named), ["NO_ERROR", "REFUSED_STREAM", "HTTP_1_1_REQUIRED", "code 14"]);
    }
}
