//! An origin that speaks HTTP/2 without TLS, by the frame: it carries so many requests on a connection as it says, and
//! refuses what is too much, or everything.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// What a client says first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// A connection that has been quiet for so long gets the answer to its oldest request.
const QUIET: Duration = Duration::from_millis(5);

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const REFUSED_STREAM: u32 = 7;
const MAX_CONCURRENT_STREAMS: u16 = 3;

/// A listener on a loopback port with a thread per connection; all end with it.
#[derive(Debug)]
pub struct Streams {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    stopped: AtomicBool,
    refuses: AtomicBool,
    streams_max: usize,
    connections: AtomicUsize,
    open: AtomicUsize,
    open_most: AtomicUsize,
    answered: AtomicUsize,
    refused: AtomicUsize,
}

impl Streams {
    /// Lets a connection carry so many requests at a time, and answers them one after the other.
    #[must_use]
    pub fn start(streams_max: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        let address = listener.local_addr().expect("a bound listener has an address");
        let shared = Arc::new(Shared { streams_max, ..Shared::default() });
        let taken = Arc::clone(&shared);
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if taken.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&taken);
                thread::spawn(move || shared.serve(stream));
            }
        });
        Self { address, shared }
    }

    /// Says of every request that it has not looked at it.
    #[must_use]
    pub fn refusing() -> Self {
        let streams = Self::start(100);
        streams.refuse(true);
        streams
    }

    /// Whether it says that of every request from now on.
    pub fn refuse(&self, refuse: bool) {
        self.shared.refuses.store(refuse, Ordering::SeqCst);
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections that were accepted.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// The most connections that were open at a time.
    #[must_use]
    pub fn open_most(&self) -> usize {
        self.shared.open_most.load(Ordering::SeqCst)
    }

    /// Requests that were answered.
    #[must_use]
    pub fn answered(&self) -> usize {
        self.shared.answered.load(Ordering::SeqCst)
    }

    /// Requests that were refused.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.shared.refused.load(Ordering::SeqCst)
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the one that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) {
        self.connections.fetch_add(1, Ordering::SeqCst);
        let open = self.open.fetch_add(1, Ordering::SeqCst) + 1;
        self.open_most.fetch_max(open, Ordering::SeqCst);
        let _ = stream.set_nodelay(true);
        let _ = stream.set_read_timeout(Some(QUIET));
        self.converse(&mut stream);
        self.open.fetch_sub(1, Ordering::SeqCst);
    }

    /// Until either side has enough. `None`: the connection is over.
    fn converse(&self, stream: &mut TcpStream) -> Option<()> {
        let mut input = Vec::new();
        let mut waiting: Vec<u32> = Vec::new();
        let mut setting = MAX_CONCURRENT_STREAMS.to_be_bytes().to_vec();
        setting.extend_from_slice(&u32::try_from(self.streams_max).ok()?.to_be_bytes());
        send(stream, SETTINGS, 0, 0, &setting)?;
        let mut greeted = false;
        while !self.stopped.load(Ordering::SeqCst) {
            let mut bytes = [0; 4096];
            match stream.read(&mut bytes) {
                Ok(0) => return None,
                Ok(n) => input.extend_from_slice(&bytes[..n]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if !waiting.is_empty() {
                        // `:status: 200` is the eighth of the static table.
                        send(stream, HEADERS, END_HEADERS | END_STREAM, waiting.remove(0), &[0x88])?;
                        self.answered.fetch_add(1, Ordering::SeqCst);
                    }
                }
                Err(_) => return None,
            }
            if !greeted && input.starts_with(PREFACE) {
                greeted = true;
                input.drain(..PREFACE.len());
            }
            while greeted && let Some((kind, flags, id, payload)) = frame(&mut input) {
                match kind {
                    SETTINGS if flags & ACK == 0 => send(stream, SETTINGS, ACK, 0, &[])?,
                    PING if flags & ACK == 0 => send(stream, PING, ACK, 0, &payload)?,
                    HEADERS if waiting.len() >= self.streams_max || self.refuses.load(Ordering::SeqCst) => {
                        self.refused.fetch_add(1, Ordering::SeqCst);
                        send(stream, RST_STREAM, 0, id, &REFUSED_STREAM.to_be_bytes())?;
                    }
                    HEADERS => waiting.push(id),
                    RST_STREAM => waiting.retain(|one| *one != id),
                    _ => {}
                }
            }
        }
        Some(())
    }
}

/// Takes a whole frame from the front of `input`: kind, flags, stream and payload.
fn frame(input: &mut Vec<u8>) -> Option<(u8, u8, u32, Vec<u8>)> {
    let head: [u8; 9] = *input.first_chunk()?;
    let len = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
    if input.len() < head.len() + len {
        return None;
    }
    let rest = input.split_off(head.len() + len);
    let payload = std::mem::replace(input, rest).split_off(head.len());
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    Some((head[3], head[4], stream, payload))
}

fn send(stream: &mut TcpStream, kind: u8, flags: u8, id: u32, payload: &[u8]) -> Option<()> {
    let len = u32::try_from(payload.len()).ok()?.to_be_bytes();
    let mut bytes = vec![len[1], len[2], len[3], kind, flags];
    bytes.extend_from_slice(&id.to_be_bytes());
    bytes.extend_from_slice(payload);
    stream.write_all(&bytes).ok()
}
