//! A small HTTP/1.1 server for the sample services: enough for what a gateway sends.

use std::io;
use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use forebay_net::h1::{Body, HeadLimits, Outcome, RequestHead};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};

use super::answer::{Answer, answer};
use super::{Counters, Kind};

const LIMITS: HeadLimits = HeadLimits { bytes: 64 << 10, fields: 200, target: 16 << 10 };
/// Connections to one server; more wait.
const CONNECTIONS_MAX: usize = 4_096;
/// Bytes read at once.
const PIECE: usize = 16 << 10;
/// Wait after a connection could not be accepted, for want of file descriptors for example.
const PAUSE: Duration = Duration::from_millis(20);

/// Serves on all listeners until `ended` says so, if only by its other half being gone.
pub(super) async fn all(
    servers: Vec<(Kind, StdListener)>,
    counters: &Arc<Counters>,
    ended: oneshot::Receiver<()>,
) {
    for (kind, listener) in servers {
        match TcpListener::from_std(listener) {
            Ok(listener) => drop(tokio::spawn(accept(kind, listener, Arc::clone(counters)))),
            // Nobody can connect to it then, which shows.
            Err(_) => return,
        }
    }
    let _ = ended.await;
}

async fn accept(kind: Kind, listener: TcpListener, counters: Arc<Counters>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = Arc::clone(&room).acquire_owned().await.expect("nobody closes it");
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let counters = Arc::clone(&counters);
        tokio::spawn(async move {
            // A connection that breaks is the gateway's business.
            let _ = converse(kind, stream, &counters).await;
            drop(place);
        });
    }
}

/// Answers the requests of one connection until it ends.
async fn converse(kind: Kind, mut stream: TcpStream, counters: &Counters) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut head = RequestHead::default();
    let mut input = Vec::with_capacity(PIECE);
    loop {
        let Some(len) = read_head(&mut stream, &mut input, &mut head).await? else { return Ok(()) };
        let text = |span: forebay_net::h1::Span| String::from_utf8_lossy(span.of_head(&input)).into_owned();
        let (method, path) = (text(head.method), text(head.target));
        input.drain(..len);
        read_body(&mut stream, &mut input, Body::new(head.framing)).await?;
        let number = counters.requests[kind as usize].fetch_add(1, Ordering::Relaxed);
        let Some(answer) = answer(kind, number, &method, &path) else {
            counters.dropped.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        };
        if !answer.after.is_zero() {
            tokio::time::sleep(answer.after).await;
        }
        stream.write_all(&message(&answer, method == "HEAD", head.keep_alive)).await?;
        if !head.keep_alive {
            return stream.shutdown().await;
        }
    }
}

/// Reads a request's head to the start of `input`. Returns its length; nothing at the connection's end.
async fn read_head(
    stream: &mut TcpStream,
    input: &mut Vec<u8>,
    head: &mut RequestHead,
) -> io::Result<Option<usize>> {
    loop {
        if !input.is_empty() {
            match head.parse(input, &LIMITS) {
                Ok(Outcome::Complete(len)) => return Ok(Some(len)),
                Ok(Outcome::Partial) => {}
                Err(_) => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
        input.reserve(PIECE);
        if stream.read_buf(input).await? == 0 {
            return Ok(None);
        }
    }
}

/// Reads a body to its end and forgets it.
async fn read_body(stream: &mut TcpStream, input: &mut Vec<u8>, mut body: Body) -> io::Result<()> {
    loop {
        while !input.is_empty() && !body.is_done() {
            let part = body.take(input).map_err(|_| io::ErrorKind::InvalidData)?;
            if part.consumed == 0 {
                break;
            }
            input.drain(..part.consumed);
        }
        if body.is_done() {
            return Ok(());
        }
        input.reserve(PIECE);
        if stream.read_buf(input).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn message(answer: &Answer, to_head: bool, keep_alive: bool) -> Vec<u8> {
    let Answer { after: _, status, content_type, body } = answer;
    let connection = if keep_alive { "" } else { "Connection: close\r\n" };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n{connection}\r\n"
    );
    [head.as_bytes(), if to_head { b"" } else { body.as_bytes() }].concat()
}
