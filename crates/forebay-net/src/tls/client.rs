//! The client's side of secured connections.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::{Certificate, TlsError};

/// What is asked of servers, and shown to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientSettings {
    /// Who vouches for servers, in PEM; `None`: the system's roots.
    pub ca: Option<Arc<[u8]>>,
    /// Where `ca` comes from, for messages.
    pub ca_origin: Arc<str>,
    /// Shown to servers that ask for it.
    pub certificate: Option<Certificate>,
    /// The name that is asked for and checked instead of the one connected to.
    pub name: Option<Box<str>>,
    /// Protocols that are offered.
    pub offer: Offer,
}

/// Protocols that are offered by ALPN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Offer {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2.
    Http2,
    /// Both, HTTP/2 first.
    Both,
}

/// The client's side: whom it believes, and who it is. Two are equal if connections made by one may serve the other.
#[derive(Clone, Debug)]
pub struct Client {
    settings: ClientSettings,
    config: Arc<ClientConfig>,
}

impl PartialEq for Client {
    fn eq(&self, other: &Self) -> bool {
        self.settings == other.settings
    }
}

impl Eq for Client {}

impl Client {
    /// Reads certificates and roots.
    ///
    /// # Errors
    /// One of them is of no use, or the system has no roots.
    pub fn new(settings: ClientSettings) -> Result<Self, TlsError> {
        let _ = settings;
        Err(TlsError::new("not yet"))
    }

    /// What it was made of.
    #[must_use]
    pub const fn settings(&self) -> &ClientSettings {
        &self.settings
    }

    /// For those who drive rustls themselves.
    #[must_use]
    pub const fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }

    /// The name to ask for and to check when connecting to `host`: a DNS name or an IP address.
    ///
    /// # Errors
    /// It is neither.
    pub fn name(&self, host: &str) -> Result<ServerName<'static>, TlsError> {
        let name = self.settings.name.as_deref().unwrap_or(host);
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        ServerName::try_from(bare.to_owned()).map_err(|_| {
            TlsError::new(format!("`{name}` is no name that a certificate can be for; give `name`"))
        })
    }
}
