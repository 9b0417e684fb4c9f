//! A UDP socket that stays when one process takes another's place, so that nobody's packets are lost.
//!
//! The new process gets the socket itself: the kernel goes on to deal out packets as before. Both could read it, so
//! each names itself in the connection ids it issues, and from the moment on that the new one reads, it passes what
//! is the old one's on to it, over a pair of sockets made for that. Should it end, the old one reads again.

use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;
use std::time::Duration;

use quinn::{ConnectionId, ConnectionIdGenerator};
use socket2::{Domain, Socket, Type};

/// Processes before us that packets are passed on to. Only operators who are in a great hurry have more of them.
const ELDERS_MAX: usize = 8;
/// Bytes of a connection id: the name of the process, and what is random.
const ID_BYTES: usize = TAG_BYTES + 8;
const TAG_BYTES: usize = 4;
/// Bytes of packets that may wait for the process before, if the system lets us.
const PASSED_BYTES: usize = 2 << 20;

/// A process by the connection ids it issues.
pub(super) type Tag = [u8; TAG_BYTES];

/// A UDP socket where clients come in, and those processes before us that still have clients there.
#[derive(Clone, Debug)]
pub struct Line(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    socket: UdpSocket,
    tag: Tag,
    /// The oldest first.
    elders: Vec<Elder>,
    heir: Mutex<Heir>,
}

/// A process before us.
#[derive(Debug)]
pub(super) struct Elder {
    tag: Tag,
    inlet: UnixDatagram,
    gone: AtomicBool,
}

/// What there is for an heir, until whoever reads the socket takes notice.
#[derive(Debug, Default)]
struct Heir {
    outlet: Option<UnixDatagram>,
    reader: Option<Waker>,
}

/// What another process needs to take a line over.
#[derive(Debug)]
pub struct Handover {
    /// The socket.
    pub socket: OwnedFd,
    /// For each process that has clients there: its name, and where its packets are to be written to.
    pub elders: Vec<(u32, OwnedFd)>,
}

impl Line {
    /// A new socket at `address`, which others may share.
    ///
    /// # Errors
    /// The address is not to be had.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        super::socket(address).map(|socket| Self::new(socket, Vec::new()))
    }

    /// What another process had.
    ///
    /// # Errors
    /// These are no such sockets.
    pub fn take_over(handed: Handover) -> io::Result<Self> {
        let Handover { socket, elders } = handed;
        let socket = Socket::from(socket);
        if socket.r#type()? != Type::DGRAM || !matches!(socket.domain()?, Domain::IPV4 | Domain::IPV6) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "what was handed over is no UDP socket"));
        }
        socket.set_nonblocking(true)?;
        let late = elders.len().saturating_sub(ELDERS_MAX);
        let elder = |(tag, inlet): (u32, OwnedFd)| {
            let inlet = UnixDatagram::from(inlet);
            inlet.set_nonblocking(true)?;
            Ok(Elder { tag: tag.to_be_bytes(), inlet, gone: AtomicBool::new(false) })
        };
        let elders = elders.into_iter().skip(late).map(elder).collect::<io::Result<_>>()?;
        Ok(Self::new(socket.into(), elders))
    }

    fn new(socket: UdpSocket, elders: Vec<Elder>) -> Self {
        let random = RandomState::new();
        let name = |n: u32| (random.hash_one(n) as u32).to_be_bytes();
        let is_free = |tag: &Tag| elders.iter().all(|elder| elder.tag != *tag);
        let tag = (0..).map(name).find(is_free).unwrap_or_default();
        Self(Arc::new(Inner { socket, tag, elders, heir: Mutex::default() }))
    }

    /// For another process: it reads the socket from its first word on until it ends.
    ///
    /// # Errors
    /// There are no file descriptors to be had.
    pub fn hand_over(&self) -> io::Result<Handover> {
        let Inner { socket, tag, elders, heir: _ } = &*self.0;
        let (inlet, outlet) = Socket::pair(Domain::UNIX, Type::SEQPACKET, None)?;
        // The system may give less, and then packets are sent twice.
        let _ = inlet.set_send_buffer_size(PASSED_BYTES);
        inlet.set_nonblocking(true)?;
        outlet.set_nonblocking(true)?;
        let there = elders.iter().filter(|elder| !elder.is_gone());
        let again = |elder: &Elder| Ok((u32::from_be_bytes(elder.tag), elder.inlet.try_clone()?.into()));
        let mut elders = there.map(again).collect::<io::Result<Vec<_>>>()?;
        elders.push((u32::from_be_bytes(*tag), inlet.into()));
        let socket = socket.try_clone()?.into();
        let mut heir = self.heir();
        heir.outlet = Some(UnixDatagram::from(OwnedFd::from(outlet)));
        if let Some(reader) = heir.reader.take() {
            reader.wake();
        }
        Ok(Handover { socket, elders })
    }

    /// The address of the socket.
    ///
    /// # Errors
    /// It is gone.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.0.socket.local_addr()
    }

    pub(super) fn socket(&self) -> io::Result<UdpSocket> {
        self.0.socket.try_clone()
    }

    pub(super) fn elders(&self) -> &[Elder] {
        &self.0.elders
    }

    /// What an heir passes on is to be read there from now on, if one has been appointed since it was asked for last.
    /// Wakes `reader` when one is.
    pub(super) fn outlet(&self, reader: &Waker) -> Option<UnixDatagram> {
        let mut heir = self.heir();
        if !heir.reader.as_ref().is_some_and(|before| before.will_wake(reader)) {
            heir.reader = Some(reader.clone());
        }
        heir.outlet.take()
    }

    fn heir(&self) -> MutexGuard<'_, Heir> {
        self.0.heir.lock().expect("nothing under this lock panics")
    }

    /// Makes the connection ids by which clients are known as ours.
    pub(super) fn ids(&self) -> impl Fn() -> Box<dyn ConnectionIdGenerator> + Send + Sync + 'static {
        let tag = self.0.tag;
        move || Box::new(Ids { tag, random: RandomState::new(), made: 0 })
    }
}

impl Elder {
    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// Passes a message on; what does not fit is lost, as packets are.
    pub(super) fn pass(&self, message: &[u8]) {
        match self.inlet.send(message) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.gone.store(true, Ordering::Relaxed),
        }
    }

    pub(super) fn tag(&self) -> Tag {
        self.tag
    }
}

/// Who has issued the connection id that a packet is for, if it is as long as ours (RFC 9000 §17).
pub(super) fn issuer(packet: &[u8]) -> Option<Tag> {
    let id = if packet.first()? & 0x80 == 0 {
        packet.get(1..)?
    } else {
        let length = usize::from(*packet.get(5)?);
        packet.get(6..).filter(|_| length == ID_BYTES)?
    };
    id.first_chunk().copied()
}

/// Connection ids that name their issuer.
struct Ids {
    tag: Tag,
    random: RandomState,
    made: u64,
}

impl ConnectionIdGenerator for Ids {
    fn generate_cid(&mut self) -> ConnectionId {
        self.made += 1;
        let mut id = [0; ID_BYTES];
        id[..TAG_BYTES].copy_from_slice(&self.tag);
        id[TAG_BYTES..].copy_from_slice(&self.random.hash_one(self.made).to_be_bytes());
        ConnectionId::new(&id)
    }

    fn cid_len(&self) -> usize {
        ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_name_who_issued_their_id_if_it_can_be_one_of_ours() {
        let tag = *b"name";
        let short = [&[0x40][..], b"name12345678", b"more"].concat();
        let long = |length: u8| [&[0xc0, 0, 0, 0, 1, length][..], b"name12345678"].concat();
        assert_eq!(issuer(&short), Some(tag));
        assert_eq!(issuer(&long(12)), Some(tag));
        // Whatever a client has chosen for its first packets.
        assert_eq!(issuer(&long(8)), None);
        for cut in [&b""[..], &short[..4], &long(12)[..5], &long(12)[..9]] {
            assert_eq!(issuer(cut), None, "{cut:?}");
        }
    }

    #[test]
    fn ids_are_as_long_as_is_said_and_no_two_are_the_same() {
        let line = Line::open(([127, 0, 0, 1], 0).into()).expect("there are ports");
        let mut ids = (line.ids())();
        let (one, two) = (ids.generate_cid(), ids.generate_cid());
        assert_eq!(one.len(), ids.cid_len());
        assert_ne!(one, two);
        assert_eq!(one[..TAG_BYTES], two[..TAG_BYTES]);
    }

    #[test]
    fn only_udp_sockets_are_lines() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("there are ports").into();
        assert!(Line::take_over(Handover { socket, elders: Vec::new() }).is_err());
    }
}
