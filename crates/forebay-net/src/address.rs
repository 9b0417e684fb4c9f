//! Where a server can be reached: an IP address with a port, or a socket of this machine.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::str::FromStr;
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

    /// Longest path of a Unix domain socket, in bytes: unix(7) has 108 with the NUL at its end.
    pub const PATH_MAX: usize = 107;

    /// Reads an IP address with a port, or `unix:` and an absolute path; `None`: it is neither, such as a name with a
    /// port. Port 0 is taken as it is.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix(Self::UNIX) {
            Some(path) => {
                let good = path.starts_with('/') && path.len() <= Self::PATH_MAX && !path.contains('\0');
                good.then(|| Self::Unix(path.into()))
            }
            // Most texts that are not are names, and there may be very many.
            None if text.starts_with(|c: char| c.is_ascii_digit() || c == '[') => {
                text.parse().ok().map(Self::Ip)
            }
            None => None,
        }
    }

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

impl FromStr for Address {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Self, NoAddress> {
        Self::parse(text).ok_or(NoAddress)
    }
}

/// A text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoAddress;

impl fmt::Display for NoAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is neither an IP address with a port nor `unix:` and an absolute path")
    }
}

impl std::error::Error for NoAddress {}

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

    #[test]
    fn what_is_shown_is_read_again_and_other_texts_are_not() {
        let longest = format!("unix:/{}", "a".repeat(Address::PATH_MAX - 1));
        for text in
            ["127.0.0.1:80", "[::1]:8080", "[fe80::1%3]:80", "127.0.0.1:0", "unix:/run/a b.sock", &longest]
        {
            assert_eq!(Address::parse(text).map(|address| address.to_string()).as_deref(), Some(text));
        }
        for text in [
            "",
            "shop.test:80",
            "127.0.0.1",
            "::1:80",
            "unix:",
            "unix:run/app.sock",
            "/run/app.sock",
            "UNIX:/a",
            "unix:/a\0b",
            &format!("{longest}b"),
        ] {
            assert_eq!(text.parse::<Address>(), Err(NoAddress), "{text}");
        }
    }
}
