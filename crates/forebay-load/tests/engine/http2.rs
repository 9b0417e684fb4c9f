//! HTTP/2 from a server of scripted frames: streams given up, refused, cut off, and connections told to go away.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use forebay_load::plan::{Http2, When};

use super::*;

/// What a server does about a request.
#[derive(Clone, Copy)]
enum Do {
    /// 200 without a body.
    Answer,
    /// RST_STREAM with this code.
    Reset(u32),
    /// The head of an answer, and then RST_STREAM.
    Break,
    /// Nothing.
    Nothing,
    /// GOAWAY: this request is not processed.
    Leave,
    /// The connection is closed.
    Close,
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

/// What it has seen.
#[derive(Clone, Default)]
struct Seen {
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
    /// Most streams that were open at once.
    streams_max: Arc<Mutex<usize>>,
}

/// A server that lets `streams` be open at once on a connection, and does as `script` says of the request of that
/// number; it ends with the test.
fn serve(streams: u32, script: impl Fn(usize) -> Do + Send + Sync + 'static) -> (SocketAddr, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let (seen, script) = (Seen::default(), Arc::new(script));
    let shared = seen.clone();
    thread::spawn(move || {
        for link in listener.incoming().map_while(Result::ok) {
            let (seen, script) = (shared.clone(), Arc::clone(&script));
            seen.connections.fetch_add(1, Ordering::SeqCst);
            // A client that is gone ends it.
            thread::spawn(move || connection(link, streams, &*script, &seen));
        }
    });
    (address, seen)
}

fn connection(
    mut link: TcpStream,
    streams: u32,
    script: &(impl Fn(usize) -> Do + ?Sized),
    seen: &Seen,
) -> Option<()> {
    link.read_exact(&mut [0; 24]).ok()?;
    let limit = [&3_u16.to_be_bytes()[..], &streams.to_be_bytes()].concat();
    send(&mut link, SETTINGS, 0, 0, &limit)?;
    let mut open = Vec::new();
    loop {
        let mut head = [0; 9];
        link.read_exact(&mut head).ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        let mut payload = vec![0; length as usize];
        link.read_exact(&mut payload).ok()?;
        match head[3] {
            SETTINGS if head[4] & 1 == 0 => send(&mut link, SETTINGS, 1, 0, &[])?,
            PING if head[4] & 1 == 0 => send(&mut link, PING, 1, 0, &payload)?,
            RST_STREAM => open.retain(|other| *other != stream),
            HEADERS => {
                open.push(stream);
                let mut most = seen.streams_max.lock().expect("no panic under this lock");
                *most = open.len().max(*most);
                drop(most);
                let keep = act(&mut link, stream, script(seen.requests.fetch_add(1, Ordering::SeqCst)))?;
                if !keep {
                    open.retain(|other| *other != stream);
                }
            }
            _ => {}
        }
    }
}

/// Does it. Returns whether the stream stays open.
fn act(link: &mut TcpStream, stream: u32, what: Do) -> Option<bool> {
    match what {
        // `:status 200` from the static table.
        Do::Answer => send(link, HEADERS, 0x5, stream, &[0x88])?,
        Do::Reset(code) => send(link, RST_STREAM, 0, stream, &code.to_be_bytes())?,
        Do::Break => {
            send(link, HEADERS, 0x4, stream, &[0x88])?;
            send(link, DATA, 0, stream, b"the beginning")?;
            send(link, RST_STREAM, 0, stream, &2_u32.to_be_bytes())?;
        }
        Do::Nothing => return Some(true),
        Do::Leave => send(link, GOAWAY, 0, 0, &[(stream - 2).to_be_bytes(), [0; 4]].concat())?,
        Do::Close => return None,
    }
    Some(false)
}

fn send(link: &mut TcpStream, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Option<()> {
    let length = u32::try_from(payload.len()).expect("frames here are short").to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    link.write_all(&[&head, payload].concat()).ok()
}

/// One user, so many requests, one after the other, over one connection as long as it lasts.
fn in_turn(address: SocketAddr, requests: u64) -> Plan {
    let http2 = Http2 { when: When::On, connections: Some(1), ..Http2::default() };
    let plan = closed(address, 1, Duration::from_secs(60));
    Plan { http2, model: Model::Closed { iterations: Some(requests) }, ..plan }
}

fn check(what: Do, kind: ErrorKind, example: &str) {
    // Every fifth request, but not the first.
    let (address, seen) = serve(100, move |number| if number % 5 == 4 { what } else { Do::Answer });
    let outcome = run(&in_turn(address, 50));
    let total = outcome.total();
    assert_eq!(buckets_of(&total), (50, 40, 10, 0, 0), "{:?}", total.errors);
    assert_eq!(errors(&total), [(kind, 10)]);
    let told = outcome.series[0].stages[0].examples.get(&kind).map_or("", String::as_str);
    assert!(told.contains(example), "{told}");
    let ends = matches!(what, Do::Leave | Do::Close);
    assert_eq!(seen.connections.load(Ordering::SeqCst), if ends { 10 } else { 1 }, "{kind:?}");
    assert_eq!(outcome.protocols, ["HTTP/2"]);
}

#[test]
fn what_becomes_of_a_stream_is_told_apart() {
    check(Do::Reset(2), ErrorKind::StreamReset, "INTERNAL_ERROR");
    check(Do::Reset(7), ErrorKind::StreamRefused, "may be sent again");
    check(Do::Break, ErrorKind::StreamReset, "INTERNAL_ERROR");
    check(Do::Leave, ErrorKind::StreamRefused, "may be sent again");
    check(Do::Close, ErrorKind::Closed, "");
}

#[test]
fn a_request_without_an_answer_times_out_alone() {
    let (address, seen) = serve(100, |number| if number == 2 { Do::Nothing } else { Do::Answer });
    let mut plan = in_turn(address, 10);
    plan.scenarios[0].steps[0].timeout = ms(100);
    assert_eq!(buckets(&run(&plan)), (10, 9, 0, 1, 0));
    assert_eq!(seen.connections.load(Ordering::SeqCst), 1, "the others are not the worse for it");
}

#[test]
fn no_more_streams_are_opened_than_either_side_allows() {
    for (server, client, most) in [(3, 100, 3), (100, 2, 2), (1, 1, 1)] {
        let (address, seen) = serve(server, |_| Do::Nothing);
        let plan = closed(address, 20, Duration::from_secs(60));
        let http2 = Http2 { when: When::On, connections: Some(2), streams: client };
        let mut plan = Plan { http2, model: Model::Closed { iterations: Some(20) }, ..plan };
        plan.scenarios[0].steps[0].timeout = ms(200);
        assert_eq!(buckets(&run(&plan)), (20, 0, 0, 20, 0));
        assert_eq!(*seen.streams_max.lock().expect("no panic under this lock"), most);
        assert_eq!(seen.connections.load(Ordering::SeqCst), 2);
    }
    let (address, seen) = serve(3, |_| Do::Answer);
    let plan = closed(address, 20, Duration::from_secs(60));
    let http2 = Http2 { when: When::On, connections: Some(2), ..Http2::default() };
    let plan = Plan { http2, model: Model::Closed { iterations: Some(400) }, ..plan };
    assert_eq!(buckets(&run(&plan)), (400, 400, 0, 0, 0));
    assert_eq!(seen.connections.load(Ordering::SeqCst), 2);
}

#[test]
fn what_does_not_fit_on_the_connections_waits_for_a_free_user() {
    // Two connections of three: the other arrivals are not started.
    let (address, seen) = serve(100, |_| Do::Nothing);
    let http2 = Http2 { when: When::On, connections: Some(2), streams: 3 };
    let plan = Plan { http2, grace: ms(100), ..open(address, 100.0, ms(200)) };
    let outcome = run(&plan);
    assert_eq!(buckets(&outcome), (20, 0, 0, 6, 14));
    assert_eq!(outcome.generator.unsent, 0, "that is not the generator's fault");
    assert_eq!((seen.requests.load(Ordering::SeqCst), seen.connections.load(Ordering::SeqCst)), (6, 2));
}

#[test]
fn without_a_limit_requests_spread_and_then_share() {
    let (address, seen) = serve(100, |_| Do::Nothing);
    let http2 = Http2 { when: When::On, connections: None, streams: 2 };
    let plan = Plan { http2, grace: ms(300), ..open(address, 200.0, ms(200)) };
    assert_eq!(buckets(&run(&plan)), (40, 0, 0, 40, 0));
    // Sixteen first, two on each, and four more for the last eight.
    assert_eq!(seen.connections.load(Ordering::SeqCst), 20);
    assert_eq!(*seen.streams_max.lock().expect("no panic under this lock"), 2);
}

#[test]
fn a_connection_for_each_request_is_one() {
    let (address, seen) = serve(100, |_| Do::Answer);
    let plan = Plan { keep_alive: false, ..in_turn(address, 20) };
    assert_eq!(buckets(&run(&plan)), (20, 20, 0, 0, 0));
    assert_eq!(seen.connections.load(Ordering::SeqCst), 20);
}
