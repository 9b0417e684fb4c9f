//! Listening sockets that several workers share by `SO_REUSEPORT`, and that one process hands to the next.

use std::fs::{self, Metadata};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::net::UnixListener;
use std::path::Path;

use socket2::{Domain, Protocol, SockAddr, SockFilter, SockRef, Socket, Type};

use crate::address::Address;

/// Connections the kernel queues until they are accepted.
pub const BACKLOG: i32 = 4096;

/// A listening socket.
#[derive(Debug)]
pub enum Listener {
    /// At an IP address and port.
    Tcp(TcpListener),
    /// At a path of this machine.
    Unix(UnixListener),
}

impl Listener {
    /// Where it listens.
    ///
    /// # Errors
    /// It is no socket that can be reached, or has no name that is text.
    pub fn address(&self) -> io::Result<Address> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Address::Ip),
            Self::Unix(listener) => {
                let address = listener.local_addr()?;
                let path = address.as_pathname().and_then(Path::to_str);
                let path =
                    path.ok_or_else(|| io::Error::other("the socket has no path, or one that is not text"))?;
                Ok(Address::Unix(path.into()))
            }
        }
    }

    /// The same socket by another descriptor.
    ///
    /// # Errors
    /// There are no more descriptors.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(listener) => Self::Tcp(listener.try_clone()?),
            Self::Unix(listener) => Self::Unix(listener.try_clone()?),
        })
    }

    /// Takes over a descriptor that listens, whatever kind of socket it is.
    ///
    /// # Errors
    /// It is no stream socket of IP or of this machine.
    pub fn from_fd(descriptor: OwnedFd) -> io::Result<Self> {
        let socket = Socket::from(descriptor);
        if socket.r#type()? != Type::STREAM {
            return Err(io::Error::other("it is no stream socket"));
        }
        match socket.domain()? {
            Domain::IPV4 | Domain::IPV6 => Ok(Self::Tcp(socket.into())),
            Domain::UNIX => Ok(Self::Unix(socket.into())),
            _ => Err(io::Error::other("it is neither an IP nor a Unix socket")),
        }
    }

    /// Waiting for clients blocks no longer.
    ///
    /// # Errors
    /// The descriptor is broken.
    pub fn set_nonblocking(&self) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => listener.set_nonblocking(true),
            Self::Unix(listener) => listener.set_nonblocking(true),
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener) => listener.as_fd(),
        }
    }
}

/// One non-blocking listener per worker on `address`; port 0 picks a free port, the same for all. A path gets one
/// socket that all of them share; one that nobody serves any more is replaced, and who may connect is decided by the
/// process's file mode creation mask.
///
/// # Errors
/// The address is not to be had.
pub fn listeners(address: &Address, workers: usize) -> io::Result<Vec<Listener>> {
    let workers = workers.max(1);
    match address {
        Address::Ip(address) => tcp_listeners(*address, workers),
        Address::Unix(path) => {
            let first = Listener::Unix(bind_path(Path::new(&**path))?);
            let mut all = (1..workers).map(|_| first.try_clone()).collect::<io::Result<Vec<_>>>()?;
            all.insert(0, first);
            Ok(all)
        }
    }
}

fn tcp_listeners(address: SocketAddr, workers: usize) -> io::Result<Vec<Listener>> {
    let first = bind(address)?;
    open(&first)?;
    let address = first.local_addr()?;
    let mut all = vec![Listener::Tcp(first)];
    for _ in 1..workers {
        let one = bind(address)?;
        open(&one)?;
        all.push(Listener::Tcp(one));
    }
    Ok(all)
}

/// Deals sockets that listen on one address already out to workers: every socket goes to somebody, since the
/// kernel deals connections out to all of them, and every worker gets at least one.
///
/// Where there are fewer sockets than workers, more are bound beside them, but do not listen before [`open`]:
/// connections must not queue up where nobody accepts yet. Where the address is not shared by `SO_REUSEPORT`,
/// workers share a socket instead.
///
/// # Errors
/// A socket is broken, or no more can be bound.
pub fn deal(sockets: Vec<Listener>, workers: usize) -> io::Result<Vec<Vec<Listener>>> {
    let workers = workers.max(1);
    let mut hands: Vec<Vec<Listener>> = (0..workers).map(|_| Vec::new()).collect();
    let there = sockets.len();
    for (index, socket) in sockets.into_iter().enumerate() {
        socket.set_nonblocking()?;
        hands[index % workers].push(socket);
    }
    for index in there..workers {
        let Some(like) = hands[index % there.max(1)].first() else {
            return Err(io::Error::other("there is no socket to deal out"));
        };
        let one = match like {
            Listener::Tcp(tcp) if SockRef::from(tcp).reuse_port()? => Listener::Tcp(bind(tcp.local_addr()?)?),
            shared => shared.try_clone()?,
        };
        hands[index].push(one);
    }
    Ok(hands)
}

/// Listens, if `socket` does not yet: connections queue up from here on.
///
/// # Errors
/// The system does not allow it.
pub fn open(socket: &impl AsFd) -> io::Result<()> {
    SockRef::from(socket).listen(BACKLOG)
}

/// Lets no new connection begin on `listener`, while those whose handshake is under way still complete.
///
/// Closing a listener resets every connection in its queue, and there is always a moment between the last
/// accept and the close. A filter that drops the first packet of new connections (SYN without ACK, RFC 9293
/// §3.5) empties the queue for good: such clients try again after a second, and find the port closed.
///
/// The filter belongs to the socket, not to the descriptor: one that another process holds as well would be
/// deaf there too. Such a socket is just closed; its queue goes on to be accepted from.
///
/// To a Unix socket no connection can begin once its file is removed; see [`SocketFile::remove`].
pub fn stop_connecting(listener: &impl AsFd) {
    // Byte 13 of the TCP header, where the filter's view of a packet begins, holds the flags: SYN is 2 and
    // ACK is 16.
    // The instructions of classic BPF: load a byte, and, jump if equal, return.
    let syn_only = [
        SockFilter::new(0x30, 0, 0, 13),
        SockFilter::new(0x54, 0, 0, 0x12),
        SockFilter::new(0x15, 0, 1, 0x02),
        SockFilter::new(0x06, 0, 0, 0),
        SockFilter::new(0x06, 0, 0, u32::MAX),
    ];
    // Without the filter a client may be reset in that moment, as it is elsewhere.
    let _ = SockRef::from(listener).attach_filter(&syn_only);
}

/// The file of a Unix socket: which one it is, so that only this one is removed at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketFile {
    path: Box<Path>,
    device: u64,
    inode: u64,
}

impl SocketFile {
    /// The file that is there now, if it is a socket.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let about = socket_at(path).ok().flatten()?;
        Some(Self { path: path.into(), device: about.dev(), inode: about.ino() })
    }

    /// Removes it, unless another has taken its place: no new connection can begin then, and those in the queue of the
    /// socket can still be accepted.
    pub fn remove(&self) {
        if Self::of(&self.path).as_ref() == Some(self) {
            // Whoever has removed it already has done our work.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Binds a path and listens there. A socket that somebody left there without serving it any more gives way.
fn bind_path(path: &Path) -> io::Result<UnixListener> {
    let address = SockAddr::unix(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    if socket_at(path)?.is_some() {
        if is_alive(&address)? {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process serves this socket"));
        }
        fs::remove_file(path)?;
    }
    socket.bind(&address)?;
    open(&socket)?;
    Ok(socket.into())
}

/// What is at `path`, which is a socket if it is anything.
fn socket_at(path: &Path) -> io::Result<Option<Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(about) if about.file_type().is_socket() => Ok(Some(about)),
        Ok(_) => Err(io::Error::new(io::ErrorKind::AlreadyExists, "there is a file that is no socket")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether somebody listens at this address of a socket file.
fn is_alive(address: &SockAddr) -> io::Result<bool> {
    /// connect(2) on Linux: the socket there is of another type.
    const EPROTOTYPE: i32 = 91;
    let asking = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // One with a full queue would keep us waiting.
    asking.set_nonblocking(true)?;
    match asking.connect(address) {
        Ok(()) => Ok(true),
        Err(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Ok(false),
            io::ErrorKind::WouldBlock => Ok(true),
            _ if error.raw_os_error() == Some(EPROTOTYPE) => Ok(true),
            _ => Err(error),
        },
    }
}

/// Whether another process listens on `address` already. One that shares the port as we do would not keep us
/// from binding it, and the kernel would deal out new connections among both.
#[must_use]
pub fn is_taken(address: SocketAddr) -> bool {
    let Ok(socket) = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP)) else {
        return false;
    };
    let bound = socket.set_reuse_address(true).and_then(|()| socket.bind(&address.into()));
    address.port() != 0 && bound.is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
}

/// A socket that does not listen yet.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::path::PathBuf;

    use forebay_testkit::scratch::Scratch;

    use super::*;

    #[test]
    fn a_shared_port_is_noticed() {
        let ours = listeners(&any_port(), 2).unwrap();
        let address = ours[0].address().unwrap().ip().unwrap();
        assert!(is_taken(address));
        drop(ours);
        assert!(!is_taken(address));
    }

    fn any_port() -> Address {
        SocketAddr::from(([127, 0, 0, 1], 0)).into()
    }

    /// Accepts without waiting.
    fn accepts(listener: &Listener) -> bool {
        match listener {
            Listener::Tcp(listener) => listener.accept().is_ok(),
            Listener::Unix(listener) => listener.accept().is_ok(),
        }
    }

    /// Where a socket can be in a directory.
    fn path_in(scratch: &Scratch) -> (PathBuf, Address) {
        let path = scratch.path().join("s.sock");
        let address = Address::Unix(path.to_str().unwrap().into());
        (path, address)
    }

    /// How many sockets each worker gets of `there`.
    fn dealt(there: usize, workers: usize) -> Vec<usize> {
        let sockets = listeners(&any_port(), there).unwrap();
        deal(sockets, workers).unwrap().iter().map(Vec::len).collect()
    }

    #[test]
    fn every_socket_goes_to_a_worker_and_every_worker_gets_one() {
        assert_eq!(dealt(2, 2), [1, 1]);
        assert_eq!(dealt(5, 2), [3, 2]);
        assert_eq!(dealt(1, 3), [1, 1, 1]);
        assert_eq!(dealt(2, 5), [1, 1, 1, 1, 1]);
        assert!(deal(Vec::new(), 2).is_err());
    }

    #[test]
    fn a_socket_bound_beside_others_gets_no_connection_before_it_is_opened() {
        let sockets = listeners(&any_port(), 1).unwrap();
        let address = sockets[0].address().unwrap().ip().unwrap();
        let hands = deal(sockets, 4).unwrap();
        let clients: Vec<_> = (0..64).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
        let first = (0..clients.len()).take_while(|_| accepts(&hands[0][0])).count();
        assert_eq!(first, clients.len());
        hands.iter().flatten().for_each(|socket| open(socket).unwrap());
        drop(hands);
        assert!(std::net::TcpStream::connect(address).is_err());
    }

    #[test]
    fn workers_share_a_socket_whose_port_is_not_shared() {
        let alone = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = alone.local_addr().unwrap();
        let hands = deal(vec![Listener::Tcp(alone)], 3).unwrap();
        let addresses: Vec<_> = hands.iter().map(|hand| hand[0].address().unwrap().ip().unwrap()).collect();
        assert_eq!(addresses, [address; 3]);
        let _client = std::net::TcpStream::connect(address).unwrap();
        assert!(accepts(&hands[2][0]));
    }

    #[test]
    fn all_workers_share_one_port() {
        let all = listeners(&any_port(), 3).unwrap();
        let ports: Vec<_> = all.iter().map(|one| one.address().unwrap().ip().unwrap().port()).collect();
        assert!(ports[0] != 0 && ports.iter().all(|port| *port == ports[0]), "{ports:?}");
    }

    #[test]
    fn all_workers_share_the_socket_of_a_path() {
        let scratch = Scratch::new("listen");
        let (path, address) = path_in(&scratch);
        let all = listeners(&address, 3).unwrap();
        assert!(all.iter().all(|one| one.address().unwrap() == address));
        let _client = UnixStream::connect(&path).unwrap();
        assert!(accepts(&all[2]) && !accepts(&all[0]));
        let hands = deal(all, 5).unwrap();
        assert_eq!(hands.iter().map(Vec::len).sum::<usize>(), 5);
        let _client = UnixStream::connect(&path).unwrap();
        assert!(accepts(&hands[4][0]));
    }

    #[test]
    fn a_socket_that_was_left_there_gives_way_and_one_that_is_served_does_not() {
        let scratch = Scratch::new("listen");
        let (path, address) = path_in(&scratch);
        let first = listeners(&address, 1).unwrap();
        let why = listeners(&address, 1).unwrap_err();
        assert_eq!(why.kind(), io::ErrorKind::AddrInUse);
        assert!(accepts(&first[0]), "the question whether it is served");
        drop(first);
        assert!(path.exists());
        let second = listeners(&address, 1).unwrap();
        let _client = UnixStream::connect(&path).unwrap();
        assert!(accepts(&second[0]));
    }

    #[test]
    fn what_is_no_socket_is_left_alone() {
        let scratch = Scratch::new("listen");
        let (path, address) = path_in(&scratch);
        fs::write(&path, "precious").unwrap();
        assert_eq!(listeners(&address, 1).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        assert_eq!(SocketFile::of(&path), None);
    }

    #[test]
    fn a_socket_of_another_type_is_somebodys() {
        let scratch = Scratch::new("listen");
        let (path, address) = path_in(&scratch);
        let _datagrams = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        assert_eq!(listeners(&address, 1).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn only_our_own_file_is_removed_and_who_is_in_the_queue_is_accepted() {
        let scratch = Scratch::new("listen");
        let (path, address) = path_in(&scratch);
        let ours = listeners(&address, 1).unwrap();
        let file = SocketFile::of(&path).unwrap();
        let _client = UnixStream::connect(&path).unwrap();
        file.remove();
        assert!(!path.exists() && UnixStream::connect(&path).is_err());
        assert!(accepts(&ours[0]));
        let _theirs = listeners(&address, 1).unwrap();
        file.remove();
        assert!(path.exists());
    }

    #[test]
    fn descriptors_say_what_they_are() {
        let scratch = Scratch::new("listen");
        let (_, unix) = path_in(&scratch);
        for address in [unix, any_port()] {
            let one = listeners(&address, 1).unwrap().remove(0);
            let there = one.address().unwrap();
            let descriptor = one.as_fd().try_clone_to_owned().unwrap();
            assert_eq!(Listener::from_fd(descriptor).unwrap().address().unwrap(), there);
        }
        let (datagrams, _) = std::os::unix::net::UnixDatagram::pair().unwrap();
        assert!(Listener::from_fd(datagrams.into()).is_err());
    }
}
