//! One request over HTTP/2 and its answer, on a connection of its own.

use forebay_base::time::Instant;
use forebay_net::buffer::Buffer;
use forebay_net::h1::{HeadError, ResponseHead};
use forebay_net::h2::Limits;
use forebay_net::h2::connection::{Connection, Event};
use forebay_net::h2::head::Response;
use forebay_net::stream::StreamError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::http::BODY_MAX;
use super::probe::{Deadline, Failure};
use super::wire::{Bytes, Wire, close};

/// Interim responses before the answer.
const INTERIM_MAX: usize = 16;
/// What is read at a time.
const READ: usize = 4 << 10;
/// A frame, which is as large as they get unless we say otherwise, and what there is of the next one.
const BUFFER_MAX: usize = 32 << 10;

/// What an endpoint has answered.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) head: ResponseHead,
    /// What the head's spans refer to.
    pub(super) bytes: Vec<u8>,
    /// Not more than is looked at.
    pub(super) body: Vec<u8>,
    /// That was all of it.
    pub(super) whole: bool,
    /// Lines of `name: value`.
    pub(super) trailers: Vec<u8>,
}

/// An exchange on its way.
struct Exchange {
    bytes: Box<dyn Bytes>,
    deadline: Deadline,
    connection: Connection,
    slot: u32,
    input: Buffer,
    answer: Option<Answer>,
    interim: usize,
    done: bool,
}

/// Sends a request, the text of an HTTP/1.1 head and a body (of a few hundred bytes at most), and reads the answer.
pub(super) async fn ask(wire: Wire, head: &str, body: &[u8], deadline: Deadline) -> Result<Answer, Failure> {
    let now = Instant::now();
    let mut connection = Connection::client(Limits::default(), now);
    let Some(slot) = connection.open(now) else { return Err(Failure::said("takes no requests")) };
    let lost = |_| Failure::said("takes no requests");
    connection.send_request(slot, head.as_bytes(), wire.scheme.as_bytes(), body.is_empty()).map_err(lost)?;
    if !body.is_empty() {
        // The windows are larger than that before anything is known of the other side.
        connection.send_data(slot, body, true).map_err(lost)?;
    }
    let mut exchange = Exchange {
        bytes: wire.bytes,
        deadline,
        connection,
        slot,
        input: Buffer::new(READ),
        answer: None,
        interim: 0,
        done: false,
    };
    let answer = exchange.run().await?;
    let Exchange { bytes, mut connection, .. } = exchange;
    connection.release(slot);
    connection.leave(Instant::now());
    close(bytes, connection.output(), deadline).await;
    Ok(answer)
}

impl Exchange {
    async fn run(&mut self) -> Result<Answer, Failure> {
        loop {
            let output = self.connection.output();
            let len = output.len();
            if len > 0 {
                let sending = async {
                    self.bytes.write_all(output).await?;
                    self.bytes.flush().await
                };
                self.deadline.bound("sending", sending).await?;
                self.connection.wrote(len);
            }
            self.take()?;
            if self.done
                && let Some(answer) = self.answer.take()
            {
                return Ok(answer);
            }
            if !self.connection.output().is_empty() {
                continue;
            }
            self.input.make_room(READ, BUFFER_MAX);
            let doing = if self.answer.is_some() { "reading the answer" } else { "waiting for an answer" };
            let read = self.deadline.bound(doing, self.bytes.read(self.input.space())).await?;
            if read == 0 {
                return Err(Failure::said(if self.answer.is_some() {
                    "closed in the middle of the answer"
                } else {
                    "closed without an answer"
                }));
            }
            self.input.advance(read);
        }
    }

    /// Takes everything that has come.
    fn take(&mut self) -> Result<(), Failure> {
        while !self.input.is_empty() && !self.done {
            let step = self.connection.receive(self.input.filled(), Instant::now());
            let starved = matches!(step.event, Event::Starved(_));
            match step.event {
                Event::Response { slot, head, finished } if slot == self.slot => {
                    self.take_head(*head, finished)?
                }
                Event::Data { slot, bytes, finished } if slot == self.slot => {
                    let data = self.input.filled().get(bytes).unwrap_or_default();
                    let len = data.len();
                    if let Some(answer) = &mut self.answer {
                        let room = BODY_MAX - answer.body.len();
                        answer.body.extend_from_slice(&data[..len.min(room)]);
                        answer.whole = finished && len <= room;
                        self.done |= finished || answer.body.len() == BODY_MAX;
                    }
                    self.connection.taken(slot, len);
                }
                Event::Trailers { slot, lines } if slot == self.slot => {
                    if let Some(answer) = &mut self.answer {
                        answer.trailers = lines;
                        answer.whole = true;
                    }
                    self.done = true;
                }
                Event::Over if !self.done => return Err(self.over()),
                _ => {}
            }
            self.input.consume(step.consumed);
            if let Some((slot, error)) = self.connection.next_gone()
                && slot == self.slot
                && !self.done
            {
                return Err(gone(error));
            }
            if starved {
                break;
            }
        }
        Ok(())
    }

    fn take_head(&mut self, response: Response, finished: bool) -> Result<(), Failure> {
        let Response { bytes, head, error, .. } = response;
        match error {
            None => {}
            Some(HeadError::TooLarge | HeadError::TooManyFields) => {
                return Err(gone(StreamError::HeadTooLarge));
            }
            Some(_) => return Err(gone(StreamError::Malformed)),
        }
        if head.is_interim() {
            self.interim += 1;
            let too_many = self.interim > INTERIM_MAX;
            return if too_many { Err(Failure::said("too many interim responses")) } else { Ok(()) };
        }
        self.answer = Some(Answer { head, bytes, whole: finished, ..Answer::default() });
        self.done = finished;
        Ok(())
    }

    /// Why the connection ended.
    fn over(&self) -> Failure {
        Failure::said(if self.connection.is_greeted() {
            "the HTTP/2 connection broke down"
        } else {
            "does not speak HTTP/2"
        })
    }
}

fn gone(error: StreamError) -> Failure {
    match error {
        StreamError::Reset(code) => Failure::said(format_args!("the request was reset (code {code})")),
        StreamError::Refused => Failure::said("the request was refused"),
        StreamError::Malformed => Failure::said("not HTTP: the answer is malformed"),
        StreamError::HeadTooLarge => Failure::said("the head is too large"),
        StreamError::Closed => Failure::said("closed without an answer"),
    }
}
