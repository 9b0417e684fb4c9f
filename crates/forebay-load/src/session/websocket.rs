//! Messages over a WebSocket, each counted like a request.

use std::time::Duration;

use forebay_base::seed::Random;
use forebay_base::time::Instant;

use super::{Own, Then, User};
use crate::client::{Failure, Progress};
use crate::dial::Securing;
use crate::outcome::ErrorKind;
use crate::plan::{Body, WebSocket};
use crate::prepare::{Ready, Request};
use crate::recorder::{Ending, Started, Times};
use crate::websocket::{Reply, Socket};

/// Longest wait for the other side to say goodbye too.
const GOODBYE: Duration = Duration::from_secs(1);

impl User {
    /// Opens a WebSocket, sends the messages of a step, and closes it. The first message has been counted as started.
    pub(super) async fn converse(&mut self, step: &Ready, asked: &WebSocket, first: Started) -> Then {
        let mut own = self.own.take();
        let then = self.messages(step, asked, first, own.as_deref_mut()).await;
        self.own = own;
        then
    }

    async fn messages(
        &self,
        step: &Ready,
        asked: &WebSocket,
        first: Started,
        mut own: Option<&mut Own>,
    ) -> Then {
        let worker = &self.worker;
        let (mut times, progress) = (Times::default(), Progress::default());
        let opened = self.open_socket(step, first, own.as_deref_mut(), &mut times, &progress).await;
        let mut socket = match opened {
            Ok(socket) => socket,
            Err(failure) => return self.settle_message(first, times, &progress, Err(failure)),
        };
        progress.first_byte.set(None);
        let mut started = first;
        for number in 0..asked.messages {
            if number > 0 {
                match self.next_message(first, number, asked.interval).await {
                    Some(next) => (started, times) = (next, Times::default()),
                    None => break,
                }
            }
            let until = worker.shared.start + started.at + step.timeout;
            let deadline = || until.min(worker.cut());
            let reply = match rendered(&asked.send, own.as_deref_mut()) {
                Ok(message) => socket.exchange(message, asked, &progress, &self.alarm, deadline).await,
                Err(why) => {
                    progress.why.replace(why);
                    Err(Failure::Error(ErrorKind::Template))
                }
            };
            // As with requests.
            let late = worker.now() > started.at.saturating_add(step.timeout);
            let reply = reply.and_then(|reply| if late { Err(Failure::Timeout) } else { Ok(reply) });
            times.replied = reply == Ok(Reply::Came);
            let then = self.settle_message(started, times, &progress, reply.map(drop));
            if then != Then::Next {
                return then;
            }
        }
        let until = (Instant::now() + GOODBYE).min(worker.cut());
        socket.close(&self.alarm, || until).await;
        Then::Next
    }

    /// Waits for the time of the next message, and counts it as planned and started; `None`: there is to be no other.
    async fn next_message(&self, first: Started, number: u32, interval: Option<Duration>) -> Option<Started> {
        let worker = &self.worker;
        let due = interval.map(|interval| first.at + interval * number);
        let overdue = due.filter(|due| *due <= worker.now());
        if let (Some(due), None) = (due, overdue) {
            worker.sleep(&self.alarm, worker.shared.start + due).await;
        }
        let at = worker.now();
        if worker.is_over() || at >= worker.shared.plan.length() {
            return None;
        }
        // Late because the one before took so long: it counts from when it was due. What our own clock adds does not.
        let started = Started { series: first.series, planned: overdue.unwrap_or(at), at };
        let mut recorder = worker.recorder.borrow_mut();
        recorder.plan(started.series, started.planned);
        recorder.start(started, false);
        Some(started)
    }

    /// A connection that has become a WebSocket.
    async fn open_socket(
        &self,
        step: &Ready,
        first: Started,
        own: Option<&mut Own>,
        times: &mut Times,
        progress: &Progress,
    ) -> Result<Socket, Failure> {
        let worker = &self.worker;
        let until = worker.shared.start + first.at + step.timeout;
        let deadline = || until.min(worker.cut());
        let head: &[u8] = match (&step.request, own) {
            (Request::Bytes(bytes), _) => bytes,
            (Request::Rendered(parts), Some(own)) => {
                let rendered = parts.render(&mut own.variables, &mut own.scratch, &mut own.request);
                rendered.map_err(|fault| {
                    progress.why.replace(fault.to_string());
                    Failure::Error(ErrorKind::Template)
                })?;
                &own.request
            }
            (Request::Rendered(_), None) => return Err(Failure::Error(ErrorKind::Template)),
        };
        let tls = worker.shared.plan.target.tls.as_deref();
        let securing = tls.map(|tls| Securing { client: &tls.upgrading, host: &tls.host });
        let dialled = self.dial(securing, first, times, deadline).await?;
        let spoken = if tls.is_some() { "WebSocket over TLS" } else { "WebSocket" };
        worker.recorder.borrow_mut().protocols.insert(spoken);
        // Masks are to keep what is sent from looking like something else to those between (RFC 6455 §10.3): here
        // nobody writes messages for others.
        let masks = Random::from_seed(Instant::now().as_nanos() ^ self.number);
        let buffers = worker.reading.buffers();
        let opened = Socket::open(dialled.link, head, masks, buffers, progress, &self.alarm, deadline).await;
        opened.map_err(|(failure, status)| {
            times.status = status;
            failure
        })
    }

    fn settle_message(
        &self,
        started: Started,
        times: Times,
        progress: &Progress,
        result: Result<(), Failure>,
    ) -> Then {
        let times = Times {
            first_byte: progress.first_byte.take().map(|at| at.since(self.worker.shared.start)),
            bytes_in: progress.bytes_in.take(),
            bytes_out: progress.bytes_out.take(),
            ..times
        };
        let (ending, then) = match result {
            Ok(()) => (Ending::Ok, Then::Next),
            Err(Failure::Timeout) => (Ending::Timeout, Then::Unanswered),
            Err(Failure::Error(ErrorKind::Status)) => (Ending::Error(ErrorKind::Status), Then::Stop),
            Err(Failure::Error(kind)) => (Ending::Error(kind), Then::Unanswered),
        };
        if let Err(failure) = result {
            self.tell(started, failure, progress);
        }
        self.settle(started, times, ending, self.worker.now());
        then
    }
}

/// The message as it is sent.
fn rendered<'a>(body: &'a Body, own: Option<&'a mut Own>) -> Result<&'a [u8], String> {
    match (body, own) {
        (Body::None, _) => Ok(&[]),
        (Body::Bytes(bytes), _) => Ok(bytes),
        (Body::Template(template), Some(own)) => {
            own.scratch.clear();
            template.render(&mut own.variables, &mut own.scratch).map_err(|fault| fault.to_string())?;
            Ok(&own.scratch)
        }
        (Body::Template(_), None) => Err("there are no values".to_owned()),
    }
}
