//! Headers from real sockets.

use std::future::Future;
use std::io::Write;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::super::{Client, V1_MAX, write_v1};
use super::*;
use crate::wheel::Wheel;

const LINE: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.2 1234 80\r\n";

/// Runs a test with a clock that wakes.
fn run<T>(test: impl AsyncFnOnce(Alarm) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let wheel = Wheel::default();
    runtime.block_on(async {
        tokio::select! {
            () = wheel.clone().run() => unreachable!("the wheel never ends"),
            result = test(wheel.alarm()) => result,
        }
    })
}

fn later() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// What a client has in its hands.
trait End: Write {
    fn finish(&self);
}

impl End for TcpStream {
    fn finish(&self) {
        self.shutdown(Shutdown::Write).unwrap();
    }
}

impl End for UnixStream {
    fn finish(&self) {
        self.shutdown(Shutdown::Write).unwrap();
    }
}

/// Connections of both kinds, to be made within a runtime.
fn pairs() -> [(Box<dyn End>, Socket); 2] {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.set_nodelay(true).unwrap();
    let (server, _) = listener.accept().unwrap();
    server.set_nonblocking(true).unwrap();
    let tcp = Socket::Tcp(tokio::net::TcpStream::from_std(server).unwrap());
    let (one, other) = UnixStream::pair().unwrap();
    other.set_nonblocking(true).unwrap();
    let unix = Socket::Unix(tokio::net::UnixStream::from_std(other).unwrap());
    [(Box::new(client), tcp), (Box::new(one), unix)]
}

/// Polls once more whenever something may have happened, until it has.
async fn next_to<T>(reading: impl Future<Output = T>, writing: impl Future<Output = ()>) -> T {
    let (result, ()) = tokio::join!(reading, writing);
    result
}

async fn rest(socket: &Socket, length: usize) -> Vec<u8> {
    let mut rest = Vec::new();
    while rest.len() < length {
        std::future::poll_fn(|cx| socket.poll_read_ready(cx)).await.unwrap();
        let mut piece = [0; 64];
        match socket.try_read(&mut piece) {
            Ok(taken) => rest.extend_from_slice(&piece[..taken]),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
    }
    rest
}

#[test]
fn what_follows_a_header_stays_in_the_socket() {
    run(async |alarm| {
        for (mut client, socket) in pairs() {
            client.write_all(&[LINE, b"GET / HTTP/1.1\r\n\r\n"].concat()).unwrap();
            let header = read(&socket, &alarm, later()).await.unwrap();
            assert!(matches!(header.client, Client::Ip { .. }));
            assert_eq!(rest(&socket, 18).await, b"GET / HTTP/1.1\r\n\r\n");
        }
    });
}

#[test]
fn a_header_may_come_byte_by_byte() {
    run(async |alarm| {
        for (mut client, socket) in pairs() {
            let reading = read(&socket, &alarm, later());
            let writing = async {
                for byte in [LINE, b"rest"].concat() {
                    client.write_all(&[byte]).unwrap();
                    tokio::task::yield_now().await;
                }
            };
            assert!(next_to(reading, writing).await.is_ok());
            assert_eq!(rest(&socket, 4).await, b"rest");
        }
    });
}

#[test]
fn a_long_header_is_taken_whole() {
    run(async |alarm| {
        let mut header = super::super::v2::SIGNATURE.to_vec();
        header.extend_from_slice(&[0x20, 0]);
        header.extend_from_slice(&((V2_MAX - 16) as u16).to_be_bytes());
        header.resize(V2_MAX, 7);
        for (mut client, socket) in pairs() {
            client.write_all(&[&header, &b"rest"[..]].concat()).unwrap();
            assert_eq!(read(&socket, &alarm, later()).await.unwrap(), Header::default());
            assert_eq!(rest(&socket, 4).await, b"rest");
        }
    });
}

#[test]
fn who_says_nothing_or_half_is_not_waited_for_without_end() {
    run(async |alarm| {
        for said in [&b""[..], b"PROXY TCP4 192.0"] {
            for (mut client, socket) in pairs() {
                client.write_all(said).unwrap();
                let soon = Instant::now() + Duration::from_millis(1);
                assert!(matches!(read(&socket, &alarm, soon).await, Err(ReadError::TimedOut)));
            }
        }
    });
}

#[test]
fn who_goes_away_is_gone() {
    run(async |alarm| {
        for said in [&b""[..], b"PROXY TCP4 192.0"] {
            for (mut client, socket) in pairs() {
                client.write_all(said).unwrap();
                client.finish();
                assert!(matches!(read(&socket, &alarm, later()).await, Err(ReadError::Gone)));
            }
        }
    });
}

#[test]
fn a_whole_header_counts_even_if_nothing_follows() {
    run(async |alarm| {
        for (mut client, socket) in pairs() {
            let mut line = Vec::new();
            write_v1(&mut line, None);
            client.write_all(&line).unwrap();
            client.finish();
            assert_eq!(read(&socket, &alarm, later()).await.unwrap().client, Client::Unknown);
        }
    });
}

#[test]
fn what_is_no_header_is_seen_at_once() {
    run(async |alarm| {
        for said in [&b"G"[..], b"\x16\x03\x01", &[b'P'; V1_MAX]] {
            for (mut client, socket) in pairs() {
                client.write_all(said).unwrap();
                let refused = read(&socket, &alarm, later()).await;
                assert!(matches!(refused, Err(ReadError::Malformed(Malformed::NoHeader))), "{refused:?}");
            }
        }
    });
}
