//! What requests of tests are answered with.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;

use tokio::sync::Notify;

use super::super::{Arrival, Connection, Endpoint, Incoming, Server};
use crate::buffer::Buffer;
use crate::h1::Name;
use crate::stream::Stream;

/// What the service has seen.
#[derive(Default)]
pub(super) struct Log {
    requests: RefCell<Vec<String>>,
    cookie: RefCell<String>,
    events: RefCell<VecDeque<String>>,
    open: Cell<usize>,
    open_max: Cell<usize>,
    changed: Notify,
    draining: Notify,
}

impl Log {
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.borrow().clone()
    }

    pub(super) fn cookie(&self) -> String {
        self.cookie.borrow().clone()
    }

    pub(super) fn open_max(&self) -> usize {
        self.open_max.get()
    }

    pub(super) fn drain(&self) {
        self.draining.notify_waiters();
    }

    /// Waits for the next event, which must be this one.
    pub(super) async fn wait_for(&self, event: &str) {
        loop {
            let changed = self.changed.notified();
            if let Some(next) = self.events.borrow_mut().pop_front() {
                assert_eq!(next, event);
                return;
            }
            changed.await;
        }
    }

    fn tell(&self, event: String) {
        self.events.borrow_mut().push_back(event);
        self.changed.notify_waiters();
    }
}

pub(super) async fn serve(endpoint: Endpoint, server: Server, log: Rc<Log>) {
    while let Some(knock) = endpoint.accept().await {
        let attempt = knock.answer(&server).unwrap();
        let log = Rc::clone(&log);
        tokio::task::spawn_local(async move {
            if let Ok(connection) = attempt.finish().await {
                serve_connection(connection, log).await;
            }
        });
    }
}

async fn serve_connection(connection: Connection, log: Rc<Log>) {
    loop {
        let arrival = tokio::select! {
            arrival = connection.accept() => arrival,
            () = log.draining.notified() => {
                connection.drain();
                continue;
            }
        };
        let Some(arrival) = arrival else { return };
        log.open.set(log.open.get() + 1);
        log.open_max.set(log.open_max.get().max(log.open.get()));
        tokio::task::spawn_local(serve_request(arrival, Rc::clone(&log)));
    }
}

async fn serve_request(arrival: Arrival, log: Rc<Log>) {
    if let Some(incoming) = arrival.read(Box::default()).await {
        let path = note(&incoming, &log);
        let stream = &*incoming.stream;
        if incoming.request.error.is_some() {
            stream.send_head(b"HTTP/1.1 431 Too Large\r\n\r\n", true).unwrap();
        } else {
            // That the other side gives up is what many tests are about.
            let _ = answer(stream, &path, &log).await;
        }
    }
    log.open.set(log.open.get() - 1);
}

fn note(incoming: &Incoming, log: &Log) -> String {
    let Incoming { request, finished, .. } = incoming;
    let (bytes, head) = (&request.bytes[..], &request.head);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let path = text(head.target.of_head(bytes));
    let scheme = if request.secure { "https" } else { "http" };
    let host = text(head.host.unwrap_or_default().of_head(bytes));
    let end = if *finished { " finished" } else { "" };
    let method = text(head.method.of_head(bytes));
    log.requests.borrow_mut().push(format!("{method} {scheme} {host} {path} {:?}{end}", head.framing));
    for field in head.fields.iter().filter(|field| field.known == Name::Other) {
        if field.name.of_head(bytes) == b"cookie" {
            *log.cookie.borrow_mut() = text(field.value.of_head(bytes));
        }
    }
    path
}

async fn answer(stream: &dyn Stream, path: &str, log: &Log) -> Result<(), crate::stream::StreamError> {
    let ok = b"HTTP/1.1 200 OK\r\nConnection: close\r\nServer: test\r\n\r\n";
    match path {
        "/echo" => {
            stream.send_head(ok, false)?;
            echo(stream, true).await?;
            stream.send_trailers(&stream.take_trailers())
        }
        "/take" => {
            log.tell("taking".into());
            echo(stream, false).await?;
            stream.send_head(ok, true)
        }
        "/wait" => {
            log.tell("waiting".into());
            let ended = poll_fn(|cx| stream.poll_ended(cx)).await;
            log.tell(format!("{ended:?}"));
            Err(ended)
        }
        "/half" => {
            stream.send_head(ok, false)?;
            send(stream, b"half", false).await
        }
        _ => {
            stream.send_head(ok, false)?;
            match path.strip_prefix("/large/").and_then(|size| size.parse().ok()) {
                Some(size) => send(stream, &vec![b'x'; size], true).await,
                None => send(stream, b"hello", true).await,
            }
        }
    }
}

async fn echo(stream: &dyn Stream, back: bool) -> Result<(), crate::stream::StreamError> {
    let mut buffer = Buffer::new(10_000);
    loop {
        poll_fn(|cx| stream.poll_readable(cx)).await?;
        if poll_fn(|cx| stream.poll_data(cx, &mut buffer)).await? == 0 {
            assert!(stream.is_finished());
            return Ok(());
        }
        if back {
            poll_fn(|cx| stream.poll_room(cx)).await?;
            send(stream, buffer.filled(), false).await?;
        }
        buffer.consume(buffer.len());
    }
}

async fn send(stream: &dyn Stream, mut data: &[u8], end: bool) -> Result<(), crate::stream::StreamError> {
    loop {
        let sent = poll_fn(|cx| stream.poll_send(cx, data, end)).await?;
        data = &data[sent..];
        if data.is_empty() {
            return Ok(());
        }
    }
}
