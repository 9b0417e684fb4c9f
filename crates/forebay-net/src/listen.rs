//! Listening sockets that several workers share by `SO_REUSEPORT`, and that one process hands to the next.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;

use socket2::{Domain, Protocol, SockFilter, SockRef, Socket, Type};

/// Connections the kernel queues until they are accepted.
pub const BACKLOG: i32 = 4096;

/// One non-blocking listener per worker on `address`; port 0 picks a free port, the same for all.
///
/// # Errors
/// The address is not to be had.
pub fn listeners(address: SocketAddr, workers: usize) -> io::Result<Vec<TcpListener>> {
    let first = bind(address)?;
    open(&first)?;
    let address = first.local_addr()?;
    let mut all = vec![first];
    for _ in 1..workers.max(1) {
        let one = bind(address)?;
        open(&one)?;
        all.push(one);
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
pub fn deal(sockets: Vec<TcpListener>, workers: usize) -> io::Result<Vec<Vec<TcpListener>>> {
    let workers = workers.max(1);
    let mut hands: Vec<Vec<TcpListener>> = (0..workers).map(|_| Vec::new()).collect();
    let there = sockets.len();
    for (index, socket) in sockets.into_iter().enumerate() {
        socket.set_nonblocking(true)?;
        hands[index % workers].push(socket);
    }
    for index in there..workers {
        let Some(like) = hands[index % there.max(1)].first() else {
            return Err(io::Error::other("there is no socket to deal out"));
        };
        let one =
            if SockRef::from(like).reuse_port()? { bind(like.local_addr()?)? } else { like.try_clone()? };
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
    use super::*;

    #[test]
    fn a_shared_port_is_noticed() {
        let ours = listeners(SocketAddr::from(([127, 0, 0, 1], 0)), 2).unwrap();
        let address = ours[0].local_addr().unwrap();
        assert!(is_taken(address));
        drop(ours);
        assert!(!is_taken(address));
    }

    /// How many sockets each worker gets of `there`.
    fn dealt(there: usize, workers: usize) -> Vec<usize> {
        let sockets = listeners(SocketAddr::from(([127, 0, 0, 1], 0)), there).unwrap();
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
        let sockets = listeners(SocketAddr::from(([127, 0, 0, 1], 0)), 1).unwrap();
        let address = sockets[0].local_addr().unwrap();
        let hands = deal(sockets, 4).unwrap();
        let clients: Vec<_> = (0..64).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
        let first = (0..clients.len()).map_while(|_| hands[0][0].accept().ok()).count();
        assert_eq!(first, clients.len());
        hands.iter().flatten().for_each(|socket| open(socket).unwrap());
        drop(hands);
        assert!(std::net::TcpStream::connect(address).is_err());
    }

    #[test]
    fn workers_share_a_socket_whose_port_is_not_shared() {
        let alone = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = alone.local_addr().unwrap();
        let hands = deal(vec![alone], 3).unwrap();
        let addresses: Vec<_> = hands.iter().map(|hand| hand[0].local_addr().unwrap()).collect();
        assert_eq!(addresses, [address; 3]);
        let _client = std::net::TcpStream::connect(address).unwrap();
        assert!(hands[2][0].accept().is_ok());
    }

    #[test]
    fn all_workers_share_one_port() {
        let all = listeners(SocketAddr::from(([127, 0, 0, 1], 0)), 3).unwrap();
        let ports: Vec<_> = all.iter().map(|one| one.local_addr().unwrap().port()).collect();
        assert!(ports[0] != 0 && ports.iter().all(|port| *port == ports[0]), "{ports:?}");
    }
}
