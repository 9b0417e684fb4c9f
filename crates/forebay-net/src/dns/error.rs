//! Why a name has no address, so that a person knows where to look.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::name::BadName;

/// Why there is no answer. The first three are answers too, of a sort: there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsError {
    /// NXDOMAIN: there is no such name, for so long.
    NoSuchName {
        /// How long that may be believed; `None`: the server did not say.
        ttl: Option<Duration>,
    },
    /// The name is there, but has nothing of what was asked for.
    NoData {
        /// How long that may be believed; `None`: the server did not say.
        ttl: Option<Duration>,
    },
    /// The name says that the service is decidedly not available (RFC 2782: its only target is `.`).
    NotOffered {
        /// How long that may be believed.
        ttl: Option<Duration>,
    },
    /// This server, the last that was asked, did not answer in time.
    Timeout(SocketAddr),
    /// This server failed (SERVFAIL).
    ServerFailure(SocketAddr),
    /// This server does not answer us (REFUSED).
    Refused(SocketAddr),
    /// This server answered something else than asked, or in an unknown way: the response code.
    Odd(SocketAddr, u8),
    /// What this server sent is no answer.
    Malformed(SocketAddr),
    /// This server cannot be reached.
    Unreachable(SocketAddr, Box<str>),
    /// Aliases lead to aliases without end.
    Endless,
    /// No server can be asked for it.
    BadName(BadName),
}

impl DnsError {
    /// Whether a server said that there is nothing, rather than that nobody said anything.
    #[must_use]
    pub const fn is_negative(&self) -> bool {
        matches!(self, Self::NoSuchName { .. } | Self::NoData { .. } | Self::NotOffered { .. })
    }

    /// How long the absence may be believed, if a server said so; at most
    /// [`NEGATIVE_TTL_MAX`](super::NEGATIVE_TTL_MAX).
    #[must_use]
    pub const fn ttl(&self) -> Option<Duration> {
        match self {
            Self::NoSuchName { ttl } | Self::NoData { ttl } | Self::NotOffered { ttl } => *ttl,
            _ => None,
        }
    }

    /// Of two absences the one that says more, believed no longer than either.
    pub(super) fn lesser(before: Option<Self>, new: Self) -> Self {
        let Some(before) = before else { return new };
        let ttl = match (before.ttl(), new.ttl()) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        match (before, new) {
            (Self::NoData { .. }, _) | (_, Self::NoData { .. }) => Self::NoData { ttl },
            _ => Self::NoSuchName { ttl },
        }
    }
}

impl fmt::Display for DnsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchName { .. } => f.write_str("there is no such name (NXDOMAIN)"),
            Self::NoData { .. } => f.write_str("the name exists, but has no such records (NODATA)"),
            Self::NotOffered { .. } => {
                f.write_str("the service is not available at this name (SRV target `.`)")
            }
            Self::Timeout(server) => write!(f, "name server {server} did not answer in time"),
            Self::ServerFailure(server) => write!(f, "name server {server} failed (SERVFAIL)"),
            Self::Refused(server) => write!(f, "name server {server} refuses to answer (REFUSED)"),
            Self::Odd(server, code) => {
                write!(f, "name server {server} does not answer this question (response code {code})")
            }
            Self::Malformed(server) => write!(f, "name server {server} sent a malformed answer"),
            Self::Unreachable(server, why) => write!(f, "name server {server} cannot be reached: {why}"),
            Self::Endless => f.write_str("its aliases (CNAME) lead in a circle, or too far"),
            Self::BadName(bad) => bad.fmt(f),
        }
    }
}

impl std::error::Error for DnsError {}
