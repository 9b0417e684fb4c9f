//! Which hosts a route is for.

use std::cmp::{Ordering, Reverse};
use std::fmt;

use forebay_net::host::{self, HostError};

/// A host in a `match`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum HostPattern {
    /// This canonical host.
    Exact(Box<str>),
    /// Every name below this one: `*.example.com`.
    Under(Box<str>),
    /// Any host, or none.
    #[default]
    Any,
}

/// Why a text is not a host pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HostPatternError {
    Host(HostError),
    Port,
    Wildcard,
}

impl HostPattern {
    pub(super) fn parse(text: &str) -> Result<Self, HostPatternError> {
        if matches!(text, "" | "*") {
            return Ok(Self::Any);
        }
        let (below, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        if name.contains('*') {
            return Err(HostPatternError::Wildcard);
        }
        let host = host::parse(name.as_bytes()).map_err(HostPatternError::Host)?;
        if host.port.is_some() {
            return Err(HostPatternError::Port);
        }
        let name = host.name.into();
        Ok(if below { Self::Under(name) } else { Self::Exact(name) })
    }

    pub(super) fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(name) => **name == *host,
            Self::Under(name) => is_below(host, name),
            Self::Any => true,
        }
    }

    /// Whether every host that `other` matches is matched by `self` too.
    pub(super) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (Self::Exact(a), Self::Exact(b)) => a == b,
            (Self::Under(a), Self::Exact(b)) => is_below(b, a),
            (Self::Under(a), Self::Under(b)) => a == b || is_below(b, a),
            (Self::Exact(_), _) | (Self::Under(_), Self::Any) => false,
        }
    }

    /// The more specific is less.
    pub(super) fn compare(&self, other: &Self) -> Ordering {
        let key = |pattern: &Self| match pattern {
            Self::Exact(_) => (0, Reverse(0)),
            Self::Under(name) => (1, Reverse(name.len())),
            Self::Any => (2, Reverse(0)),
        };
        key(self).cmp(&key(other))
    }

    /// A host that matches, unlikely to be named by another pattern.
    pub(super) fn sample(&self) -> String {
        match self {
            Self::Exact(name) => name.to_string(),
            Self::Under(name) => format!("~.~.{name}"),
            Self::Any => "~".to_owned(),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Under(name) => write!(f, "*.{name}"),
            Self::Any => Ok(()),
        }
    }
}

/// Whether `host` has at least one label more than `name`.
fn is_below(host: &str, name: &str) -> bool {
    host.strip_suffix(name).and_then(|above| above.strip_suffix('.')).is_some_and(|above| !above.is_empty())
}
