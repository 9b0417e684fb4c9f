//! Where a server can be reached: an IP address with a port, or a socket of this machine.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

/// An address to connect to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// IP address and port.
    Ip(SocketAddr),
    /// The path of a Unix domain socket.
    Unix(Arc<str>),
}

impl Address {
    /// What a Unix domain socket's path is written behind.
    pub const UNIX: &'static str = "unix:";

    /// IP address and port, if it has them.
    #[must_use]
    pub const fn ip(&self) -> Option<SocketAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Unix(_) => None,
        }
    }

    /// The path, if it is a socket of this machine.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Ip(_) => None,
            Self::Unix(path) => Some(Path::new(&**path)),
        }
    }

    /// Whether it is this IP address, whatever the port.
    #[must_use]
    pub fn is_of(&self, ip: IpAddr) -> bool {
        self.ip().is_some_and(|address| address.ip() == ip)
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "{}{path}", Self::UNIX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_as_settings_have_it() {
        let ip = Address::from(SocketAddr::from(([127, 0, 0, 1], 80)));
        let unix = Address::Unix("/run/app.sock".into());
        assert_eq!((ip.to_string(), unix.to_string()), ("127.0.0.1:80".into(), "unix:/run/app.sock".into()));
        assert!(ip.is_of(IpAddr::from([127, 0, 0, 1])) && !unix.is_of(IpAddr::from([127, 0, 0, 1])));
        assert_eq!((unix.ip(), unix.path()), (None, Some(Path::new("/run/app.sock"))));
    }
}
