//! Connections that have come in, whatever kind of socket they came in by, before anything is said on them.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::net::RecvFlags;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::address::Address;
use crate::listen::Listener;

/// Who is at the other end of a Unix socket, for everything that asks for an IP address: this machine. No IP connection
/// comes from port 0.
pub const LOCAL_PEER: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));

/// A connected socket.
#[derive(Debug)]
pub enum Socket {
    /// Over TCP.
    Tcp(TcpStream),
    /// Within this machine.
    Unix(UnixStream),
}

/// A listening socket of an event loop.
#[derive(Debug)]
pub enum Acceptor {
    /// At an IP address and port.
    Tcp(TcpListener),
    /// At a path of this machine.
    Unix(UnixListener),
}

impl Acceptor {
    /// Must be called within a tokio runtime; `listener` must not block.
    ///
    /// # Errors
    /// The event loop does not take it.
    pub fn new(listener: Listener) -> io::Result<Self> {
        Ok(match listener {
            Listener::Tcp(listener) => Self::Tcp(TcpListener::from_std(listener)?),
            Listener::Unix(listener) => Self::Unix(UnixListener::from_std(listener)?),
        })
    }

    /// The next connection, and who is at its other end. Nothing is lost if it is not waited for to the end.
    ///
    /// # Errors
    /// The client has gone already, or there are no descriptors or no memory for it.
    pub async fn accept(&self) -> io::Result<(Socket, SocketAddr)> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(stream, peer)| (Socket::Tcp(stream), peer)),
            Self::Unix(listener) => {
                listener.accept().await.map(|(stream, _)| (Socket::Unix(stream), LOCAL_PEER))
            }
        }
    }
}

impl Socket {
    /// Connects to `address`.
    ///
    /// # Errors
    /// Nobody is there, or it is not to be reached.
    pub async fn connect(address: &Address) -> io::Result<Self> {
        match address {
            Address::Ip(address) => TcpStream::connect(address).await.map(Self::Tcp),
            Address::Unix(path) => UnixStream::connect(&**path).await.map(Self::Unix),
        }
    }

    /// Our end, if it has an IP address.
    #[must_use]
    pub fn local(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }

    /// Ready when there is something to read, or the end.
    pub(crate) fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(cx),
            Self::Unix(stream) => stream.poll_read_ready(cx),
        }
    }

    /// Reads once, without waiting; 0: the end.
    pub(crate) fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_read(into),
            Self::Unix(stream) => stream.try_read(into),
        }
    }

    /// The same, and leaves what was read where it is.
    pub(crate) fn try_peek(&self, into: &mut [u8]) -> io::Result<usize> {
        let peek = |socket: BorrowedFd<'_>| {
            let (_, length) = rustix::net::recv(socket, into, RecvFlags::PEEK | RecvFlags::DONTWAIT)?;
            Ok(length)
        };
        match self {
            Self::Tcp(stream) => stream.try_io(Interest::READABLE, || peek(stream.as_fd())),
            Self::Unix(stream) => stream.try_io(Interest::READABLE, || peek(stream.as_fd())),
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, into),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, into),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
