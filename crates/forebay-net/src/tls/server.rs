//! The server's side of secured connections.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;

use super::{Certificate, CertificateInfo, TlsError, Version};

/// What is shown to clients, and asked of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// Certificates; the first is shown to clients that ask for no name. May be empty if others are installed later.
    pub certificates: Vec<Certificate>,
    /// Oldest version spoken.
    pub min_version: Version,
    /// Whether clients show certificates; `None`: they are not asked.
    pub client_auth: Option<ClientAuth>,
    /// Sessions can be resumed by tickets.
    pub tickets: bool,
    /// What clients get that ask for a name without a certificate.
    pub unknown_name: UnknownName,
}

/// Which certificates clients must show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAuth {
    /// Who vouches for them, in PEM.
    pub ca: Arc<[u8]>,
    /// Where `ca` comes from, for messages.
    pub origin: Arc<str>,
    /// Those without one are refused. A certificate that is shown must be good in any case.
    pub required: bool,
}

/// What clients get that ask for a name without a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownName {
    /// The first certificate.
    #[default]
    First,
    /// An alert: `unrecognized_name` or `access_denied`.
    Refuse,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            certificates: Vec::new(),
            min_version: Version::V1_2,
            client_auth: None,
            tickets: true,
            unknown_name: UnknownName::First,
        }
    }
}

/// The server's side: its certificates, and what it asks of clients. Shared by all workers.
#[derive(Debug)]
pub struct Server {
    settings: ServerSettings,
}

impl Server {
    /// Reads certificates and keys. `before`: certificates installed and challenges are shared with it, and tickets
    /// it gave out are still good, unless what is asked of clients has changed.
    ///
    /// # Errors
    /// A certificate or key is of no use.
    pub fn new(settings: ServerSettings, before: Option<&Self>) -> Result<Self, TlsError> {
        let _ = before;
        Ok(Self { settings })
    }

    /// What it was made of.
    #[must_use]
    pub const fn settings(&self) -> &ServerSettings {
        &self.settings
    }

    /// Shows `certificate` from now on, instead of the one installed before that has the same origin.
    ///
    /// # Errors
    /// The certificate or its key is of no use.
    pub fn install(&self, certificate: &Certificate) -> Result<(), TlsError> {
        certificate.load().map(drop)
    }

    /// Shows the certificate installed of this origin no more.
    pub fn uninstall(&self, origin: &str) {
        let _ = origin;
    }

    /// Shows `certificate` to those who ask for `domain` by the protocol `acme-tls/1` (RFC 8737); `None`: no more.
    ///
    /// # Errors
    /// The certificate or its key is of no use.
    pub fn set_challenge(&self, domain: &str, certificate: Option<&Certificate>) -> Result<(), TlsError> {
        let _ = domain;
        certificate.map_or(Ok(()), |certificate| certificate.load().map(drop))
    }

    /// What the certificates say that are shown, those installed included.
    #[must_use]
    pub fn certificates(&self) -> Vec<CertificateInfo> {
        Vec::new()
    }

    /// For QUIC (RFC 9001): TLS 1.3 with `h3` as the only protocol.
    ///
    /// # Errors
    /// The settings cannot be used for it.
    pub fn quic(&self) -> Result<Arc<ServerConfig>, TlsError> {
        Err(TlsError::new("not yet"))
    }
}

/// Cryptography.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
