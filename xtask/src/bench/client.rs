//! One connection to a peer, by whatever is spoken with it: for checks and for connections that wait.

use std::io::{ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use anyhow::Result;
use rustls::ClientConfig;

use super::row::Entry;
use super::wire;
use super::wire::{h2, tls};

/// Makes connections of one kind.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    entry: Entry,
    tls: Arc<ClientConfig>,
}

/// A connection that is kept.
#[derive(Debug)]
pub(crate) enum Client {
    Plain(TcpStream),
    H2(h2::Client),
    Tls(Box<tls::Stream>),
}

impl Connector {
    pub(crate) fn new(entry: Entry) -> Result<Self> {
        Ok(Self { entry, tls: tls::settings()? })
    }

    pub(crate) fn connect(&self, address: SocketAddr) -> Result<Client> {
        Ok(match self.entry {
            Entry::Plain => Client::Plain(wire::connect(address)?),
            Entry::H2 => Client::H2(h2::Client::connect(address)?),
            Entry::Tls => Client::Tls(Box::new(tls::connect(address, &self.tls)?)),
        })
    }
}

impl Client {
    /// Sends GET and gives the body of a 200; anything else is an error.
    pub(crate) fn get(&mut self, path: &str) -> Result<Vec<u8>> {
        match self {
            Self::Plain(stream) => wire::get(stream, path),
            Self::H2(client) => client.get(path),
            Self::Tls(stream) => wire::get(stream, path),
        }
    }

    /// Whether the other side has not ended it. It must have nothing more to say but what no client asks for, such as
    /// session tickets.
    pub(crate) fn is_open(&self) -> bool {
        let mut tcp = match self {
            Self::Plain(tcp) => tcp,
            Self::H2(client) => client.tcp(),
            Self::Tls(stream) => stream.get_ref(),
        };
        let mut rest = [0; 4 << 10];
        tcp.set_nonblocking(true).is_ok()
            && loop {
                match tcp.read(&mut rest) {
                    Ok(0) => break false,
                    Ok(_) => {}
                    Err(error) => break error.kind() == ErrorKind::WouldBlock,
                }
            }
    }
}
