//! A client that has come in and is counted, before anything was said.

use std::net::SocketAddr;

use forebay_net::socket::Socket;

use crate::census::Counted;

/// See the module.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) socket: Socket,
    /// Who is at the other end of the socket; of a Unix socket, `socket::LOCAL_PEER`.
    pub(crate) peer: SocketAddr,
    /// Which of `Plan::listeners` it came in by.
    pub(crate) listener: usize,
    /// `peer` is a trusted proxy, and not counted by its address.
    pub(crate) trusted: bool,
    /// Its place among the connections; to be held until it ends.
    pub(crate) counted: Counted,
}
