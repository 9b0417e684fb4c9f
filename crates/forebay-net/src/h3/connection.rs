//! One QUIC connection that speaks HTTP/3: its control streams, its end, and the requests that come in.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use forebay_base::time::Instant;
use quinn::RecvStream;
use quinn::crypto::rustls::HandshakeData;
use rustls::pki_types::CertificateDer;
use tokio::sync::Notify;

use super::Settings;
use super::arrival::Arrival;
use super::control::{Opened, Purpose, Reader};
use super::frame::{Code, VARINT_MAX, goaway, preface, varint};
use crate::h2::Limits;
use crate::h2::connection::budget::{Budget, Verdict};
use crate::tls;

/// The highest stream that a request can come by.
const LAST_STREAM: u64 = VARINT_MAX & !0b11;
/// Shortest and longest wait between the two GOAWAYs: a round trip, in which requests may be under way.
const GOAWAY_GAP_MIN: Duration = Duration::from_millis(10);
const GOAWAY_GAP_MAX: Duration = Duration::from_secs(1);
/// A client that is told to go before it has asked anything may still do so once, for so long.
const FIRST_REQUEST_WAIT: Duration = Duration::from_secs(1);
/// Round trips that a client has for taking the last of its responses, before the connection is closed.
const FAREWELL_ROUNDS: u32 = 3;
/// And so long at least: the close makes a client forget what it has received and not yet looked at.
const FAREWELL_MIN: Duration = Duration::from_millis(250);

/// A connection whose handshake is over. Closed when dropped.
#[derive(Debug)]
pub struct Connection {
    shared: Rc<Shared>,
}

/// What everything on a connection shares.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) quic: quinn::Connection,
    pub(crate) limits: Limits,
    /// Extended CONNECT is understood (RFC 9220).
    pub(crate) connect: bool,
    /// Longest time without a request.
    idle: Duration,
    /// Requests that are being served, at most `limits.streams`.
    open: Cell<u32>,
    /// Work that brought nothing, less what time and requests served excuse.
    budget: Cell<Budget>,
    leaving: Cell<Leaving>,
    /// The next request will come by this stream or a later one.
    next: Cell<u64>,
    /// Wakes whoever waits for `leaving` or `open` to change.
    changed: Notify,
}

/// How far the end of the connection has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    No,
    /// The client is told to open no more requests; some may be on their way.
    Announced,
    /// Requests by this stream and later ones are not served.
    Told(u64),
}

impl Connection {
    /// Must be called on a runtime for local tasks.
    pub(super) fn new(quic: quinn::Connection, settings: &Settings) -> Self {
        let Settings { limits, connect, idle, handshake_timeout: _ } = *settings;
        let shared = Rc::new(Shared {
            quic,
            limits,
            connect,
            idle,
            open: Cell::new(0),
            budget: Cell::new(Budget::new(limits.glitches, Instant::now())),
            leaving: Cell::new(Leaving::No),
            next: Cell::new(0),
            changed: Notify::new(),
        });
        tokio::task::spawn_local(control(Rc::clone(&shared)));
        tokio::task::spawn_local(take_in(Rc::clone(&shared)));
        Self { shared }
    }

    /// The address of the other side.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.shared.quic.remote_address()
    }

    /// Our own address, as far as it is known: the port is always.
    #[must_use]
    pub fn local_ip(&self) -> Option<std::net::IpAddr> {
        self.shared.quic.local_ip()
    }

    /// What both sides agreed on.
    #[must_use]
    pub fn handshake(&self) -> tls::Handshake {
        let data = self.shared.quic.handshake_data().and_then(|data| data.downcast::<HandshakeData>().ok());
        let chain = self.shared.quic.peer_identity();
        let chain = chain.and_then(|chain| chain.downcast::<Vec<CertificateDer<'static>>>().ok());
        let certificate = chain.as_deref().and_then(|chain| chain.first());
        tls::Handshake {
            sni: data.and_then(|data| data.server_name).map(|name| name.to_ascii_lowercase().into()),
            alpn: tls::Alpn::None,
            version: tls::Version::V1_3,
            cipher: "",
            resumed: false,
            client: certificate
                .and_then(|der| tls::ClientCertificate::of(der))
                .map(|(certificate, _)| Box::new(certificate)),
        }
    }

    /// The next request; `None`: there will be none, and all that came have been served, or the connection is gone.
    pub async fn accept(&self) -> Option<Arrival> {
        let shared = &self.shared;
        loop {
            let changed = shared.changed.notified();
            if matches!(shared.leaving.get(), Leaving::Told(_)) && shared.open.get() == 0 {
                self.farewell().await;
                return None;
            }
            if shared.open.get() >= shared.limits.streams {
                // QUIC lets no more in either, unless the client gave some up that are still being served.
                tokio::select! {
                    () = changed => continue,
                    _ = shared.quic.closed() => return None,
                }
            }
            let (mut send, mut recv) = tokio::select! {
                () = changed => continue,
                accepted = shared.quic.accept_bi() => accepted.ok()?,
                // Packets without a request do not count.
                () = tokio::time::sleep(shared.idle), if shared.is_idle() => {
                    shared.leave();
                    continue;
                }
            };
            let id = u64::from(send.id());
            if matches!(shared.leaving.get(), Leaving::Told(first) if id >= first) {
                // The client may have reset it already.
                let _ = (send.reset(Code::REQUEST_REJECTED.into()), recv.stop(Code::REQUEST_REJECTED.into()));
                continue;
            }
            let before = shared.next.replace(shared.next.get().max(id + 4));
            if before == 0 {
                shared.changed.notify_waiters();
            }
            return Some(Arrival::new(Rc::clone(shared), send, recv));
        }
    }

    /// Tells the client to go elsewhere: what it has begun is served, and then the connection is closed.
    pub fn drain(&self) {
        self.shared.leave();
    }

    /// Requests that are being served.
    #[must_use]
    pub fn open(&self) -> u32 {
        self.shared.open.get()
    }

    /// Leaves the client time to get the last of what was sent.
    async fn farewell(&self) {
        let patience = (self.shared.quic.rtt() * FAREWELL_ROUNDS).clamp(FAREWELL_MIN, GOAWAY_GAP_MAX);
        // Beyond that QUIC ends it without a word.
        let patience = patience.min(self.shared.idle / 4);
        // A client that wants nothing more closes by itself.
        let _ = tokio::time::timeout(patience, self.shared.quic.closed()).await;
        self.shared.close(Code::NO_ERROR);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.close(Code::NO_ERROR);
    }
}

impl Shared {
    /// Closes the connection, whatever is under way.
    pub(crate) fn close(&self, code: Code) {
        self.quic.close(code.into(), b"");
    }

    /// The client made work that brought nothing. Too much of that ends the connection.
    pub(crate) fn glitch(&self) {
        self.glitches(1);
    }

    fn glitches(&self, more: u32) {
        if more == 0 {
            return;
        }
        let (now, mut budget) = (Instant::now(), self.budget.get());
        for _ in 0..more {
            match budget.glitch(now) {
                Verdict::Fine => {}
                Verdict::Leave => self.leave(),
                Verdict::Close => {
                    self.close(Code::EXCESSIVE_LOAD);
                    break;
                }
            }
        }
        self.budget.set(budget);
    }

    /// A request came to its end, which excuses a glitch.
    pub(crate) fn served(&self) {
        let mut budget = self.budget.get();
        budget.served();
        self.budget.set(budget);
    }

    fn is_idle(&self) -> bool {
        self.open.get() == 0 && self.leaving.get() == Leaving::No
    }

    fn leave(&self) {
        if self.leaving.get() == Leaving::No {
            self.leaving.set(Leaving::Announced);
            self.changed.notify_waiters();
        }
    }
}

/// A request that is being served.
#[derive(Debug)]
pub(crate) struct Open(Rc<Shared>);

impl Open {
    pub(crate) fn new(shared: Rc<Shared>) -> Self {
        shared.open.set(shared.open.get() + 1);
        Self(shared)
    }

    pub(crate) fn shared(&self) -> &Rc<Shared> {
        &self.0
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
        self.0.changed.notify_waiters();
    }
}

/// Opens our control stream, and says GOAWAY on it when the time has come: first in general, then, after a round
/// trip, up to where requests are served (RFC 9114 §5.2).
async fn control(shared: Rc<Shared>) {
    let Ok(mut stream) = shared.quic.open_uni().await else { return };
    if stream.write_all(&preface(shared.limits.head_bytes, shared.connect)).await.is_err() {
        return;
    }
    loop {
        let changed = shared.changed.notified();
        if shared.leaving.get() != Leaving::No {
            break;
        }
        tokio::select! {
            () = changed => {}
            _ = shared.quic.closed() => return,
        }
    }
    let _ = stream.write_all(&goaway(LAST_STREAM)).await;
    tokio::time::sleep(shared.quic.rtt().clamp(GOAWAY_GAP_MIN, GOAWAY_GAP_MAX)).await;
    // Who has just connected is about to ask something, which may take longer.
    let asked = async {
        loop {
            let changed = shared.changed.notified();
            if shared.next.get() > 0 {
                return;
            }
            changed.await;
        }
    };
    tokio::select! {
        _ = tokio::time::timeout(FIRST_REQUEST_WAIT, asked) => {}
        _ = shared.quic.closed() => return,
    }
    let first = shared.next.get();
    shared.leaving.set(Leaving::Told(first));
    shared.changed.notify_waiters();
    let _ = stream.write_all(&goaway(first)).await;
    // Control streams are never closed by themselves.
    shared.quic.closed().await;
}

/// Takes in the streams that carry no request.
async fn take_in(shared: Rc<Shared>) {
    let opened = Rc::new(Cell::new(Opened::default()));
    while let Ok(stream) = shared.quic.accept_uni().await {
        let read = read_control(Rc::clone(&shared), Rc::clone(&opened), stream);
        tokio::task::spawn_local(read);
    }
}

/// Reads one of them to its end.
async fn read_control(shared: Rc<Shared>, opened: Rc<Cell<Opened>>, mut stream: RecvStream) {
    let mut bytes = [0; 256];
    let mut len = 0;
    let (number, size) = loop {
        match stream.read(&mut bytes[len..]).await {
            Ok(Some(n)) => len += n,
            // It may end before it has said what it is for (RFC 9114 §6.2).
            Ok(None) | Err(_) => return shared.glitch(),
        }
        if let Some(found) = varint(&bytes[..len]) {
            break found;
        }
    };
    let mut known = opened.take();
    let purpose = known.open(number);
    opened.set(known);
    let critical = match purpose {
        Ok(Purpose::Critical(critical)) => critical,
        Ok(Purpose::Unknown) => {
            shared.glitch();
            let _ = stream.stop(Code::STREAM_CREATION_ERROR.into());
            return;
        }
        Err(code) => return shared.close(code),
    };
    let mut reader = Reader::new(critical);
    let mut from = size;
    loop {
        match reader.read(&bytes[from..len]) {
            Ok(glitches) => shared.glitches(glitches),
            Err(code) => return shared.close(code),
        }
        from = 0;
        len = match stream.read(&mut bytes).await {
            Ok(Some(n)) => n,
            Ok(None) | Err(quinn::ReadError::Reset(_)) => return shared.close(Code::CLOSED_CRITICAL_STREAM),
            Err(_) => return,
        };
    }
}
