//! Connections over loopback sockets, between our two sides and against another implementation.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use super::{Client, Incoming, Server};
use crate::buffer::{Buffer, BufferPool};
use crate::h1::ResponseHead;
use crate::h2::Limits;
use crate::link::Link;
use crate::stream::{Stream, StreamError};
use crate::wheel::Wheel;

mod peers;

/// Runs a test on a worker's runtime with a wheel turning; fails rather than hangs.
fn run<F: Future<Output = ()>>(test: impl FnOnce(Wheel) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let wheel = Wheel::default();
        tokio::task::spawn_local(wheel.clone().run());
        tokio::time::timeout(Duration::from_secs(60), test(wheel)).await.expect("in time");
    });
}

async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (client, server) = tokio::join!(TcpStream::connect(address), listener.accept());
    (client.unwrap(), server.unwrap().0)
}

fn buffers() -> BufferPool {
    BufferPool::new(16 << 10, 8)
}

/// Serves a connection; each request is answered by `answer`.
async fn serve<F: Future<Output = ()> + 'static>(
    socket: TcpStream,
    limits: Limits,
    wheel: Wheel,
    answer: impl Fn(Incoming) -> F,
) {
    let mut server = Server::new(Link::new(socket), limits, &wheel, &buffers(), &[]);
    while let Some(incoming) = server.accept(Duration::from_secs(60), || false).await {
        tokio::task::spawn_local(answer(incoming));
    }
}

/// Reads a body to its end.
async fn read(stream: &dyn Stream) -> Result<Vec<u8>, StreamError> {
    let mut body = Vec::new();
    let mut buffer = Buffer::new(5_000);
    loop {
        let n = poll_fn(|cx| stream.poll_data(cx, &mut buffer)).await?;
        if n == 0 {
            return Ok(body);
        }
        body.extend_from_slice(buffer.filled());
        buffer.consume(n);
    }
}

/// Sends a body to its end.
async fn send(stream: &dyn Stream, mut body: &[u8], end: bool) -> Result<(), StreamError> {
    loop {
        let n = poll_fn(|cx| stream.poll_send(cx, body, end)).await?;
        body = &body[n..];
        if body.is_empty() {
            return Ok(());
        }
    }
}

/// Reads the next head of a response: its status, and its bytes.
async fn head(stream: &dyn Stream) -> Result<(u16, Vec<u8>), StreamError> {
    let mut head = ResponseHead::default();
    let mut buffer = Buffer::new(64);
    poll_fn(|cx| stream.poll_head(cx, &mut head, &mut buffer)).await?;
    Ok((head.status, buffer.filled().to_vec()))
}

/// Sends back what comes.
async fn echo(incoming: Incoming) {
    let stream = incoming.stream;
    let body = if incoming.finished { Ok(Vec::new()) } else { read(&*stream).await };
    let Ok(body) = body else { return };
    let trailers = stream.take_trailers();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    if stream.send_head(head.as_bytes(), false).is_ok() && send(&*stream, &body, false).await.is_ok() {
        // The other side may have gone meanwhile.
        let _ = stream.send_trailers(&trailers);
    }
}

/// Bytes that tell their place.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|place| (place % 251) as u8).collect()
}

#[test]
fn bodies_of_any_size_come_back() {
    run(|wheel| async move {
        let (ours, theirs) = sockets().await;
        tokio::task::spawn_local(serve(theirs, Limits::default(), wheel.clone(), echo));
        let (client, drive) = Client::new(Link::new(ours), Limits::default(), false, &wheel, &buffers());
        tokio::task::spawn_local(drive);
        let mut tasks = Vec::new();
        for len in [0, 1, 16_384, 65_535, 65_536, 1 << 20, 3_000_000] {
            let stream = client.open().unwrap();
            tasks.push(tokio::task::spawn_local(async move {
                stream.send_head(b"POST /echo HTTP/1.1\r\nHost: a.test\r\n\r\n", false).unwrap();
                let body = pattern(len);
                send(&*stream, &body, false).await.unwrap();
                stream.send_trailers(b"x-end: yes\r\n").unwrap();
                assert_eq!(head(&*stream).await.unwrap().0, 200);
                assert!(read(&*stream).await.unwrap() == body, "{len}");
                assert_eq!(stream.take_trailers(), b"x-end: yes\r\n");
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(client.streams(), 0);
        assert_eq!(client.counters().glitches, 0);
    });
}

#[test]
fn a_stream_that_is_dropped_is_reset_and_the_rest_goes_on() {
    run(|wheel| async move {
        let (ours, theirs) = sockets().await;
        let ended = Rc::new(std::cell::Cell::new(0));
        let count = Rc::clone(&ended);
        let answer = move |incoming: Incoming| {
            let ended = Rc::clone(&count);
            async move {
                if incoming.head.head.target.of_head(&incoming.head.bytes) == b"/wait" {
                    let error = poll_fn(|cx| incoming.stream.poll_ended(cx)).await;
                    assert_eq!(error, StreamError::Reset(8));
                    ended.set(ended.get() + 1);
                } else {
                    incoming.stream.send_head(b"HTTP/1.1 204 No Content\r\n\r\n", true).unwrap();
                }
            }
        };
        tokio::task::spawn_local(serve(theirs, Limits::default(), wheel.clone(), answer));
        let (client, drive) = Client::new(Link::new(ours), Limits::default(), false, &wheel, &buffers());
        tokio::task::spawn_local(drive);
        for _ in 0..50 {
            let stream = client.open().unwrap();
            stream.send_head(b"GET /wait HTTP/1.1\r\nHost: a.test\r\n\r\n", true).unwrap();
            drop(stream);
            let stream = client.open().unwrap();
            stream.send_head(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", true).unwrap();
            assert_eq!(head(&*stream).await.unwrap().0, 204);
        }
        assert_eq!(ended.get(), 50);
    });
}

#[test]
fn an_answer_that_is_known_to_be_malformed_is_none() {
    run(|wheel| async move {
        use tokio::io::AsyncWriteExt;
        let (ours, mut theirs) = sockets().await;
        let (client, drive) = Client::new(Link::new(ours), Limits::default(), false, &wheel, &buffers());
        tokio::task::spawn_local(drive);
        let stream = client.open().unwrap();
        stream.send_head(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", true).unwrap();
        // Settings; a head that announces three bytes, and an end after two.
        let frames = [
            &b"\0\0\0\x04\0\0\0\0\0"[..],
            b"\0\0\x05\x01\x04\0\0\0\x01\x88\x0f\x0d\x013",
            b"\0\0\x02\0\x01\0\0\0\x01ab",
        ];
        theirs.write_all(&frames.concat()).await.unwrap();
        poll_fn(|cx| stream.poll_ended(cx)).await;
        assert_eq!(head(&*stream).await, Err(StreamError::Malformed));
    });
}

#[test]
fn a_draining_server_answers_what_was_asked_and_ends() {
    run(|wheel| async move {
        let (ours, theirs) = sockets().await;
        let draining = Rc::new(std::cell::Cell::new(false));
        let asked = Rc::clone(&draining);
        let turning = wheel.clone();
        let served = tokio::task::spawn_local(async move {
            let mut server = Server::new(Link::new(theirs), Limits::default(), &turning, &buffers(), &[]);
            let mut held = Vec::new();
            while let Some(incoming) = server.accept(Duration::from_secs(60), || asked.get()).await {
                asked.set(true);
                let stream = Rc::clone(&incoming.stream);
                held.push(tokio::task::spawn_local(async move {
                    stream.send_head(b"HTTP/1.1 204 No Content\r\n\r\n", true).unwrap();
                }));
            }
            held.len()
        });
        let (client, drive) = Client::new(Link::new(ours), Limits::default(), false, &wheel, &buffers());
        let driven = tokio::task::spawn_local(drive);
        let stream = client.open().unwrap();
        stream.send_head(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", true).unwrap();
        assert_eq!(head(&*stream).await.unwrap().0, 204);
        driven.await.unwrap();
        assert!(!client.is_open());
        assert_eq!(client.open().unwrap_err(), StreamError::Closed);
        assert_eq!(served.await.unwrap(), 1);
    });
}

#[test]
fn an_idle_connection_holds_no_buffer() {
    run(|wheel| async move {
        let (ours, theirs) = sockets().await;
        let mut server = Server::new(Link::new(theirs), Limits::default(), &wheel, &buffers(), &[]);
        let (client, drive) = Client::new(Link::new(ours), Limits::default(), false, &wheel, &buffers());
        tokio::task::spawn_local(drive);
        // Both have said hello once the settings are acknowledged.
        poll_fn(|cx| {
            let mut accept = std::pin::pin!(server.accept(Duration::from_secs(60), || false));
            assert!(accept.as_mut().poll(cx).is_pending());
            if client.is_greeted() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        assert!(!server.driver.has_buffer());
    });
}

#[test]
fn one_who_floods_and_reads_nothing_has_us_hold_little() {
    run(|wheel| async move {
        use tokio::io::AsyncWriteExt;
        let (mut ours, theirs) = sockets().await;
        // Nothing is counted against it here: only that nobody reads holds it up.
        let limits = Limits { glitches: u32::MAX, ..Limits::default() };
        let mut server = Server::new(Link::new(theirs), limits, &wheel, &buffers(), &[]);
        let core = Rc::clone(&server.driver.core);
        tokio::task::spawn_local(async move {
            while server.accept(Duration::from_secs(60), || false).await.is_some() {}
        });
        ours.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        let pings = b"\0\0\x08\x06\0\0\0\0\0payloads".repeat(1_000);
        // Both directions are full when nothing has moved for a long while.
        let (mut at, mut before, mut still) = (0, 0, 0);
        while still < 10_000 {
            if let Ok(n) = ours.try_write(&pings[at..]) {
                at = (at + n) % pings.len();
            }
            tokio::task::yield_now().await;
            let state = core.borrow();
            assert!(state.connection.output().len() <= super::state::OUT_MAX + 100);
            let frames = state.connection.counters().frames;
            still = if frames == before { still + 1 } else { 0 };
            before = frames;
        }
        assert!(core.borrow().connection.output().len() > super::state::OUT_MAX);
    });
}

#[test]
fn streams_take_turns() {
    run(|wheel| async move {
        let (ours, theirs) = sockets().await;
        let order = Rc::new(std::cell::RefCell::new(Vec::new()));
        let noted = Rc::clone(&order);
        let answer = move |incoming: Incoming| {
            let order = Rc::clone(&noted);
            async move {
                incoming.stream.send_head(b"HTTP/1.1 200 OK\r\n\r\n", false).unwrap();
                let path = incoming.head.head.target.of_head(&incoming.head.bytes).to_vec();
                let body = pattern(400_000);
                let mut rest = &body[..];
                while !rest.is_empty() {
                    let n = poll_fn(|cx| incoming.stream.poll_send(cx, rest, true)).await.unwrap();
                    rest = &rest[n..];
                    order.borrow_mut().push((path.clone(), n));
                }
            }
        };
        tokio::task::spawn_local(serve(theirs, Limits::default(), wheel.clone(), answer));
        let limits = Limits { stream_window: 1 << 20, connection_window: 4 << 20, ..Limits::default() };
        let (client, drive) = Client::new(Link::new(ours), limits, false, &wheel, &buffers());
        tokio::task::spawn_local(drive);
        while !client.is_greeted() {
            tokio::task::yield_now().await;
        }
        let mut tasks = Vec::new();
        for path in ["/a", "/b", "/c"] {
            let stream = client.open().unwrap();
            let text = format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n");
            stream.send_head(text.as_bytes(), true).unwrap();
            tasks.push(tokio::task::spawn_local(async move {
                head(&*stream).await.unwrap();
                assert!(read(&*stream).await.unwrap() == pattern(400_000));
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        // At any time no stream is far ahead of another that has not ended.
        let mut sent = std::collections::BTreeMap::new();
        for (path, n) in order.borrow().iter() {
            *sent.entry(path.clone()).or_insert(0) += n;
            if sent.len() == 3 {
                let (least, most) = (sent.values().min().unwrap(), sent.values().max().unwrap());
                assert!(most - least <= 128 << 10, "{sent:?}");
            }
        }
        assert_eq!(sent.len(), 3);
    });
}

#[test]
fn one_who_takes_nothing_is_let_go() {
    run(|wheel| async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut ours, theirs) = sockets().await;
        let limits = Limits { stall: Duration::from_millis(300), ..Limits::default() };
        let answer = async |incoming: Incoming| {
            let _ = incoming.stream.send_head(b"HTTP/1.1 200 OK\r\n\r\n", false);
            assert_eq!(send(&*incoming.stream, &pattern(32 << 20), true).await, Err(StreamError::Closed));
        };
        let served = tokio::task::spawn_local(serve(theirs, limits, wheel.clone(), answer));
        // Windows as large as can be, settings acknowledged, a request; then nothing is read.
        ours.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x06\x04\0\0\0\0\0\0\x04\x7f\xff\xff\xff")
            .await
            .unwrap();
        ours.write_all(b"\0\0\0\x04\x01\0\0\0\0\0\0\x04\x08\0\0\0\0\0\x7f\xff\0\0").await.unwrap();
        ours.write_all(b"\0\0\x07\x01\x05\0\0\0\x01\x82\x86\x84\x01\x02a.").await.unwrap();
        served.await.unwrap();
        let mut rest = Vec::new();
        // It was closed, so there is an end.
        let _ = ours.read_to_end(&mut rest).await;
        assert!(rest.len() < 31 << 20);
    });
}
