//! Listening sockets that several workers share by `SO_REUSEPORT`.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, SockFilter, Socket, Type};

/// Connections the kernel queues until they are accepted.
pub const BACKLOG: i32 = 4096;

/// One non-blocking listener per worker on `address`; port 0 picks a free port, the same for all.
///
/// # Errors
/// The address is not to be had.
pub fn listeners(address: SocketAddr, workers: usize) -> io::Result<Vec<TcpListener>> {
    let first = bind(address)?;
    let address = first.local_addr()?;
    let mut all = vec![first];
    for _ in 1..workers.max(1) {
        all.push(bind(address)?);
    }
    Ok(all)
}

/// Lets no new connection begin on `listener`, while those whose handshake is under way still complete.
///
/// Closing a listener resets every connection in its queue, and there is always a moment between the last
/// accept and the close. A filter that drops the first packet of new connections (SYN without ACK, RFC 9293
/// §3.5) empties the queue for good: such clients try again after a second, and find the port closed.
pub fn stop_connecting(listener: &impl std::os::fd::AsFd) {
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
    let _ = socket2::SockRef::from(listener).attach_filter(&syn_only);
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

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
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

    #[test]
    fn all_workers_share_one_port() {
        let all = listeners(SocketAddr::from(([127, 0, 0, 1], 0)), 3).unwrap();
        let ports: Vec<_> = all.iter().map(|one| one.local_addr().unwrap().port()).collect();
        assert!(ports[0] != 0 && ports.iter().all(|port| *port == ports[0]), "{ports:?}");
    }
}
