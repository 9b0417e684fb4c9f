//! A WebSocket (RFC 6455) as a client has it: opened, messages both ways, closed.

mod frame;

use forebay_base::seed::Random;
use forebay_base::time::Instant;
use forebay_net::buffer::{BufferPool, Lent};
use forebay_net::h1::{HeadLimits, Outcome, ResponseHead};
use forebay_net::link::Link;
use forebay_net::websocket;
use forebay_net::wheel::Alarm;

use self::frame::{Header, Opcode};
use crate::answer::{Answer, BODY_KEPT_MAX};
use crate::client::{BUFFER, Failure, HEAD_BYTES_MAX, HEAD_FIELDS_MAX, Progress, failure};
use crate::outcome::ErrorKind;
use crate::plan::{Echo, WebSocket};

const LIMITS: HeadLimits = HeadLimits { bytes: HEAD_BYTES_MAX, fields: HEAD_FIELDS_MAX, target: 0 };
/// All is done, nothing went wrong.
const NORMAL: u16 = 1000;
/// Letters of why a server closes.
const REASON_MAX: usize = 123;

/// A WebSocket that is open.
pub(crate) struct Socket {
    link: Link,
    buffers: BufferPool,
    /// What was read and not looked at.
    input: Option<Lent>,
    /// The message that is coming, as far as it has; at most `BODY_KEPT_MAX` bytes.
    message: Vec<u8>,
    /// More of it is to come, in other frames.
    fragmented: bool,
    /// What a control frame says; at most `frame::CONTROL_MAX` bytes.
    control: Vec<u8>,
    /// What is sent next.
    out: Vec<u8>,
    masks: Random,
    /// We have said goodbye.
    closing: bool,
}

/// What came of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// What was to come back did.
    Came,
    /// Nothing was waited for.
    Unneeded,
}

impl Socket {
    /// Asks for a WebSocket by `head`, which lacks nothing but the key.
    ///
    /// # Errors
    /// There is none in time; with the status of the answer if there was one.
    pub(crate) async fn open(
        link: Link,
        head: &[u8],
        mut masks: Random,
        buffers: &BufferPool,
        progress: &Progress,
        alarm: &Alarm,
        deadline: impl Fn() -> Instant,
    ) -> Result<Self, (Failure, Option<u16>)> {
        let key = websocket::key(u128::from(masks.next_u64()) << 64 | u128::from(masks.next_u64()));
        let head = head.strip_suffix(b"\r\n").unwrap_or(head);
        let mut socket = Self {
            link,
            buffers: buffers.clone(),
            input: None,
            message: Vec::new(),
            fragmented: false,
            control: Vec::new(),
            out: [head, b"Sec-WebSocket-Key: ", &key, b"\r\n\r\n"].concat(),
            masks,
            closing: false,
        };
        let status = socket.upgrade(&key, progress, alarm, deadline).await;
        status.map(|()| socket)
    }

    async fn upgrade(
        &mut self,
        key: &[u8],
        progress: &Progress,
        alarm: &Alarm,
        deadline: impl Fn() -> Instant,
    ) -> Result<(), (Failure, Option<u16>)> {
        let without = |failure| (failure, None);
        self.send(progress, alarm, &deadline).await.map_err(without)?;
        let mut head = ResponseHead::default();
        loop {
            self.fill(progress, alarm, &deadline).await.map_err(without)?;
            let Some(input) = &mut self.input else { continue };
            loop {
                match head.parse(input.filled(), &LIMITS, false) {
                    Ok(Outcome::Complete(length)) if head.is_interim() && head.status != 101 => {
                        input.consume(length);
                    }
                    Ok(Outcome::Complete(length)) => {
                        let answer = Answer::h1(&head, &input.filled()[..length], &[], 0);
                        let judged = judge_upgrade(&answer, key, progress);
                        input.consume(length);
                        return judged.map_err(|failure| (failure, Some(head.status)));
                    }
                    Ok(Outcome::Partial) => break,
                    Err(_) => return Err(without(Failure::Error(ErrorKind::Protocol))),
                }
            }
        }
    }

    /// Sends a message and waits for what is to come back.
    ///
    /// # Errors
    /// It does not come in time, or the connection is at its end.
    pub(crate) async fn exchange(
        &mut self,
        message: &[u8],
        asked: &WebSocket,
        progress: &Progress,
        alarm: &Alarm,
        deadline: impl Fn() -> Instant,
    ) -> Result<Reply, Failure> {
        if matches!(asked.expect, Echo::Nothing) {
            self.drain(progress, alarm, &deadline).await?;
        }
        let mask = self.mask();
        frame::put(if asked.text { frame::TEXT } else { frame::BYTES }, message, mask, &mut self.out);
        self.send(progress, alarm, &deadline).await?;
        loop {
            let fits = match &asked.expect {
                Echo::Nothing => return Ok(Reply::Unneeded),
                Echo::Same => {
                    self.next(progress, alarm, &deadline).await?;
                    self.message == message
                }
                Echo::Matching(regex) => {
                    self.next(progress, alarm, &deadline).await?;
                    regex.is_match(&self.message)
                }
            };
            self.message.clear();
            if fits {
                self.rest();
                return Ok(Reply::Came);
            }
        }
    }

    /// Says goodbye, and waits until the other side has done so too.
    pub(crate) async fn close(mut self, alarm: &Alarm, deadline: impl Fn() -> Instant) {
        let progress = Progress::default();
        self.closing = true;
        self.out = websocket::close_frame(NORMAL, true);
        let mut going = self.send(&progress, alarm, &deadline).await;
        // Whoever waits for a message finds their goodbye an error.
        while going.is_ok() {
            self.message.clear();
            going = self.next(&progress, alarm, &deadline).await;
        }
    }

    /// Reads what has come unasked, so that it does not fill the way.
    async fn drain(
        &mut self,
        progress: &Progress,
        alarm: &Alarm,
        deadline: impl Fn() -> Instant,
    ) -> Result<(), Failure> {
        loop {
            while self.input.as_ref().is_some_and(|input| !input.is_empty()) {
                self.frame(progress, alarm, &deadline).await?;
                if !self.fragmented {
                    self.message.clear();
                }
            }
            let input = self.input.get_or_insert_with(|| self.buffers.take());
            match self.link.fill_now(input).await {
                Some(Ok(0)) => return Err(Failure::Error(ErrorKind::Closed)),
                Some(Ok(_)) => {}
                Some(Err(_)) => return Err(Failure::Error(ErrorKind::Reset)),
                None => {
                    self.rest();
                    return Ok(());
                }
            }
        }
    }

    /// Waits for the next message, which is in `message` afterwards.
    async fn next(
        &mut self,
        progress: &Progress,
        alarm: &Alarm,
        deadline: impl Fn() -> Instant,
    ) -> Result<(), Failure> {
        while !self.frame(progress, alarm, &deadline).await? {}
        Ok(())
    }

    /// Takes one frame. Returns whether it ends a message.
    async fn frame(
        &mut self,
        progress: &Progress,
        alarm: &Alarm,
        deadline: impl Fn() -> Instant,
    ) -> Result<bool, Failure> {
        let header = loop {
            let there = self.input.as_ref().map_or(&[][..], |input| input.filled());
            match Header::parse(there) {
                Ok(Some(header)) => break header,
                Ok(None) => self.fill(progress, alarm, &deadline).await?,
                Err(why) => return Err(broken(why, progress)),
            }
        };
        let Header { last, opcode, bytes, payload } = header;
        self.consume(bytes);
        match opcode {
            Opcode::Data if self.fragmented => return Err(broken("a message within another", progress)),
            Opcode::Continuation if !self.fragmented => {
                return Err(broken("the rest of no message", progress));
            }
            Opcode::Data | Opcode::Continuation => {
                if payload > (BODY_KEPT_MAX - self.message.len()) as u64 {
                    progress.why.replace(format!("a message of more than {BODY_KEPT_MAX} bytes"));
                    return Err(Failure::Error(ErrorKind::BodyTooLong));
                }
                self.fragmented = !last;
            }
            Opcode::Close | Opcode::Ping | Opcode::Pong => self.control.clear(),
        }
        self.payload(opcode, payload, progress, alarm, &deadline).await?;
        match opcode {
            Opcode::Data | Opcode::Continuation => return Ok(last),
            Opcode::Pong => {}
            Opcode::Ping => {
                let mask = self.mask();
                frame::put(frame::PONG, &self.control, mask, &mut self.out);
                self.send(progress, alarm, &deadline).await?;
            }
            Opcode::Close => return Err(self.goodbye(progress, alarm, &deadline).await),
        }
        Ok(false)
    }

    /// Takes the payload of a frame, which is not too long.
    async fn payload(
        &mut self,
        opcode: Opcode,
        payload: u64,
        progress: &Progress,
        alarm: &Alarm,
        deadline: impl Fn() -> Instant,
    ) -> Result<(), Failure> {
        let mut left = usize::try_from(payload).unwrap_or(usize::MAX);
        while left > 0 {
            let there = self.input.as_ref().map_or(&[][..], |input| input.filled());
            if there.is_empty() {
                self.fill(progress, alarm, &deadline).await?;
                continue;
            }
            let part = &there[..left.min(there.len())];
            let taken = part.len();
            if opcode.is_control() { &mut self.control } else { &mut self.message }.extend_from_slice(part);
            self.consume(taken);
            left -= taken;
        }
        Ok(())
    }

    /// The other side says goodbye: so do we, if we have not yet.
    async fn goodbye(
        &mut self,
        progress: &Progress,
        alarm: &Alarm,
        deadline: impl Fn() -> Instant,
    ) -> Failure {
        let (status, reason) = match self.control.split_first_chunk() {
            Some((status, reason)) => (u16::from_be_bytes(*status), String::from_utf8_lossy(reason)),
            None => (NORMAL, "".into()),
        };
        let reason: String = reason.chars().take(REASON_MAX).collect();
        progress.why.replace(format!("the server closed it: {status} {reason}").trim_end().to_owned());
        if !self.closing {
            self.out = websocket::close_frame(status, true);
            // It is at its end either way.
            let _ = self.send(progress, alarm, deadline).await;
        }
        Failure::Error(ErrorKind::Closed)
    }

    /// Sends what is in `out`.
    async fn send(
        &mut self,
        progress: &Progress,
        alarm: &Alarm,
        deadline: impl Fn() -> Instant,
    ) -> Result<(), Failure> {
        let sent = self.link.write_all([&self.out], alarm, deadline).await;
        progress.bytes_out.set(progress.bytes_out.get() + self.out.len() as u64);
        self.out.clear();
        sent.map_err(failure)
    }

    /// Reads once. No buffer is held while nothing comes.
    async fn fill(
        &mut self,
        progress: &Progress,
        alarm: &Alarm,
        deadline: impl Fn() -> Instant,
    ) -> Result<(), Failure> {
        if self.input.is_none() {
            self.link.readable(alarm, &deadline).await.map_err(failure)?;
        }
        let input = self.input.get_or_insert_with(|| self.buffers.take());
        input.make_room(BUFFER, HEAD_BYTES_MAX + BUFFER);
        let read = self.link.fill(input, alarm, deadline).await.map_err(failure)?;
        if read == 0 {
            return Err(Failure::Error(ErrorKind::Closed));
        }
        if progress.first_byte.get().is_none() {
            progress.first_byte.set(Some(Instant::now()));
        }
        progress.bytes_in.set(progress.bytes_in.get() + read as u64);
        Ok(())
    }

    fn consume(&mut self, bytes: usize) {
        if let Some(input) = &mut self.input {
            input.consume(bytes);
        }
    }

    /// Gives the buffer back if there is nothing in it.
    fn rest(&mut self) {
        if self.input.as_ref().is_some_and(|input| input.is_empty()) {
            self.input = None;
        }
    }

    fn mask(&mut self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.masks.next_u64().to_le_bytes();
        [a, b, c, d]
    }
}

/// Whether the answer makes the connection a WebSocket (RFC 6455 §4.1).
fn judge_upgrade(answer: &Answer<'_>, key: &[u8], progress: &Progress) -> Result<(), Failure> {
    if answer.status() != 101 {
        progress.why.replace(format!("the server answered {} instead of 101", answer.status()));
        return Err(Failure::Error(ErrorKind::Status));
    }
    if answer.header("upgrade").is_none_or(|value| !value.eq_ignore_ascii_case(b"websocket")) {
        return Err(broken("the server did not switch to WebSocket", progress));
    }
    if answer.header("sec-websocket-accept") != Some(&websocket::accept(key)) {
        return Err(broken("the server did not understand the key", progress));
    }
    // None was offered.
    if answer.header("sec-websocket-extensions").is_some() {
        return Err(broken("the server uses an extension that was not offered", progress));
    }
    Ok(())
}

fn broken(why: &str, progress: &Progress) -> Failure {
    progress.why.replace(why.to_owned());
    Failure::Error(ErrorKind::Protocol)
}
