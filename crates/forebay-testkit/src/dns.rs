//! A name server whose answers a test writes, and rewrites while it runs: records, absence, failures, silence.
//!
//! UDP and TCP on one loopback port. It answers as a server that asks others would: aliases are followed as far
//! as it knows them, and addresses of a service's hosts come along.

mod message;
mod zone;

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use crate::check::eventually;
pub use message::{Kind, Question};
pub use zone::Failure;
use zone::Zone;

/// Longest answer over UDP unless the question allows more.
const UDP_MAX: usize = 512;
/// Attempts to find a port that is free for both UDP and TCP.
const PORTS: usize = 50;

/// A name server on a loopback port; ends when dropped.
#[derive(Debug)]
pub struct NameServer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// How a question came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// In a packet.
    Udp,
    /// Over a connection.
    Tcp,
}

#[derive(Debug, Default)]
struct Shared {
    stopped: AtomicBool,
    zone: Mutex<Zone>,
    asked: Mutex<HashMap<(String, Kind, Way), usize>>,
}

impl NameServer {
    /// Starts one that knows no name: every question is answered with NXDOMAIN.
    #[must_use]
    pub fn start() -> Self {
        let (udp, tcp) = sockets();
        let address = udp.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared::default());
        let (for_udp, for_tcp) = (Arc::clone(&shared), Arc::clone(&shared));
        thread::spawn(move || serve_udp(&udp, &for_udp));
        thread::spawn(move || serve_tcp(&tcp, &for_tcp));
        Self { address, shared }
    }

    /// Where it listens, over UDP and TCP.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, the name has these addresses and no others, each for `ttl` seconds; with none, it is there but
    /// has no address. Ends a failure of it.
    pub fn set(&self, name: &str, ttl: u32, addresses: &[&str]) {
        let addresses = addresses
            .iter()
            .map(|text| text.parse::<IpAddr>().unwrap_or_else(|_| panic!("`{text}` is not an address")));
        self.shared.zone().set_addresses(name, ttl, addresses.collect());
    }

    /// From now on, the name has these records for a service, as (priority, weight, port, host), and no others.
    pub fn set_services(&self, name: &str, ttl: u32, services: &[(u16, u16, u16, &str)]) {
        self.shared.zone().set_services(name, ttl, services);
    }

    /// From now on, the name is an alias of `target`.
    pub fn set_alias(&self, name: &str, ttl: u32, target: &str) {
        self.shared.zone().set_alias(name, ttl, target);
    }

    /// From now on, questions about the name fail so; until it is set anew or removed.
    pub fn fail(&self, name: &str, failure: Failure) {
        self.shared.zone().fail(name, failure);
    }

    /// From now on, there is no such name (NXDOMAIN).
    pub fn remove(&self, name: &str) {
        self.shared.zone().remove(name);
    }

    /// How long absence may be believed, in seconds; `None`: absence comes without a word on that. 1 at first.
    pub fn set_negative_ttl(&self, ttl: Option<u32>) {
        self.shared.zone().negative_ttl = ttl;
    }

    /// Every answer waits for so long from now on.
    pub fn set_delay(&self, delay: Duration) {
        self.shared.zone().delay = delay;
    }

    /// Whether answers over UDP say that they are too long for it.
    pub fn set_truncated(&self, truncated: bool) {
        self.shared.zone().truncated = truncated;
    }

    /// Whether questions with extensions (EDNS) are refused as malformed, as very old servers do.
    pub fn set_old(&self, old: bool) {
        self.shared.zone().old = old;
    }

    /// Whether questions with extensions (EDNS) are met with silence, as if the network had lost them.
    pub fn set_picky(&self, picky: bool) {
        self.shared.zone().picky = picky;
    }

    /// Whether before each answer over UDP there come two that belong to other questions.
    pub fn set_strays(&self, strays: bool) {
        self.shared.zone().strays = strays;
    }

    /// Whether only the first step of an alias is told.
    pub fn set_one_step(&self, one_step: bool) {
        self.shared.zone().one_step = one_step;
    }

    /// Whether addresses of a service's hosts come along with it. They do at first.
    pub fn set_along(&self, along: bool) {
        self.shared.zone().bare = !along;
    }

    /// How often the name was asked for, whatever the kind and the way.
    #[must_use]
    pub fn asked(&self, name: &str) -> usize {
        let name = name.to_ascii_lowercase();
        self.shared.asked().iter().filter(|((asked, ..), _)| *asked == name).map(|(_, count)| count).sum()
    }

    /// How often this kind of record of the name was asked for in this way.
    #[must_use]
    pub fn asked_for(&self, name: &str, kind: Kind, way: Way) -> usize {
        let key = (name.to_ascii_lowercase(), kind, way);
        self.shared.asked().get(&key).copied().unwrap_or_default()
    }

    /// Waits until the name has been asked for `more` times from now on.
    pub fn await_asked(&self, name: &str, more: usize) {
        let before = self.asked(name);
        eventually("questions at the name server", || (self.asked(name) >= before + more).then_some(()));
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Both wake a thread, which then sees that it is over.
        drop(TcpStream::connect(self.address));
        if let Ok(socket) = UdpSocket::bind("127.0.0.1:0") {
            let _ = socket.send_to(&[], self.address);
        }
    }
}

impl Shared {
    fn zone(&self) -> MutexGuard<'_, Zone> {
        self.zone.lock().expect("no panic under this lock")
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<(String, Kind, Way), usize>> {
        self.asked.lock().expect("no panic under this lock")
    }

    fn stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// What to send back to `packet`, in this order; nothing: silence.
    fn answer(&self, packet: &[u8], way: Way) -> (Vec<Vec<u8>>, Duration) {
        let Some(question) = Question::read(packet) else { return Default::default() };
        *self.asked().entry((question.name.clone(), question.kind, way)).or_default() += 1;
        let zone = self.zone();
        let Some(reply) = zone.answer(&question) else { return Default::default() };
        let mut bytes = message::write(&question, &reply);
        let room = question.size.map_or(UDP_MAX, |size| usize::from(size).max(UDP_MAX));
        if way == Way::Udp && (zone.truncated || bytes.len() > room) {
            bytes = message::truncated(&question);
        }
        let mut all = Vec::new();
        if zone.strays && way == Way::Udp {
            all.extend(message::strays(&bytes));
        }
        all.push(bytes);
        (all, zone.delay)
    }
}

fn serve_udp(socket: &UdpSocket, shared: &Arc<Shared>) {
    let mut packet = [0; 4096];
    while let Ok((length, from)) = socket.recv_from(&mut packet) {
        if shared.stopped() {
            return;
        }
        let (answers, delay) = shared.answer(&packet[..length], Way::Udp);
        let Ok(socket) = socket.try_clone() else { return };
        let send = move || {
            thread::sleep(delay);
            for answer in answers {
                // Whoever does not wait any longer has closed its port.
                let _ = socket.send_to(&answer, from);
            }
        };
        if delay.is_zero() { send() } else { drop(thread::spawn(send)) }
    }
}

fn serve_tcp(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming().flatten() {
        if shared.stopped() {
            return;
        }
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            // It ends when the peer has gone, which every peer does.
            let _ = converse(stream, &shared);
        });
    }
}

fn converse(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut packet = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut packet)?;
        let (answers, delay) = shared.answer(&packet, Way::Tcp);
        thread::sleep(delay);
        for answer in answers {
            let length = u16::try_from(answer.len()).unwrap_or(u16::MAX);
            stream.write_all(&[&length.to_be_bytes(), &*answer].concat())?;
        }
    }
}

/// A port of both kinds.
fn sockets() -> (UdpSocket, TcpListener) {
    for _ in 0..PORTS {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        let address = tcp.local_addr().expect("a bound listener has an address");
        if let Ok(udp) = UdpSocket::bind(address) {
            return (udp, tcp);
        }
    }
    panic!("no loopback port is free for both UDP and TCP");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(server: &NameServer, question: &[u8]) -> Vec<u8> {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
        socket.set_read_timeout(Some(crate::DEADLINE)).expect("it is not zero");
        socket.send_to(question, server.address()).expect("loopback is up");
        let mut answer = [0; 4096];
        let length = socket.recv(&mut answer).expect("it answers");
        answer[..length].to_vec()
    }

    const QUESTION: &[u8] = b"\0\x07\x01\0\0\x01\0\0\0\0\0\0\x01a\x04test\0\0\x01\0\x01";

    #[test]
    fn it_answers_as_told() {
        let server = NameServer::start();
        let answer = ask(&server, QUESTION);
        assert_eq!((&answer[..2], answer[3] & 15), (&b"\0\x07"[..], 3), "{answer:?}");
        server.set("A.test", 30, &["10.0.0.1", "10.0.0.2", "::1"]);
        let answer = ask(&server, QUESTION);
        assert_eq!((answer[3] & 15, answer[7]), (0, 2), "{answer:?}");
        assert!(answer.ends_with(&[10, 0, 0, 2]), "{answer:?}");
        server.fail("a.test", Failure::Refused);
        assert_eq!(ask(&server, QUESTION)[3] & 15, 5);
        assert_eq!(server.asked_for("a.test", Kind::A, Way::Udp), 3);
    }

    #[test]
    fn what_is_no_question_is_met_with_silence() {
        let server = NameServer::start();
        for length in 0..QUESTION.len() {
            assert_eq!(server.shared.answer(&QUESTION[..length], Way::Udp).0, [[0; 0]; 0]);
        }
        assert_eq!(server.asked("a.test"), 0);
    }
}
