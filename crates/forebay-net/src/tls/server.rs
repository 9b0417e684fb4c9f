//! The server's side of secured connections.

use std::sync::{Arc, OnceLock};

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ProducesTickets, WebPkiClientVerifier};
use rustls::{CipherSuite, RootCertStore, ServerConfig, version};

use super::certificate::read_chain;
use super::hello::prefers_chacha;
use super::resolve::{Resolver, Table};
use super::{Alpn, Certificate, CertificateInfo, TlsError, Version};

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
    /// What clients get that ask for a name without a certificate, or for none.
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

/// What clients get that ask for a name without a certificate, or for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownName {
    /// The first certificate.
    #[default]
    First,
    /// The alert `unrecognized_name` (RFC 6066 §3).
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
    resolver: Arc<Resolver>,
    /// Makes and opens tickets; `None`: there are none.
    tickets: Option<Arc<dyn ProducesTickets>>,
    /// With HTTP/1.1 only.
    http1: Offered,
    /// With HTTP/2 as well.
    http2: Offered,
}

/// The same protocols, with cipher suites in either order.
#[derive(Debug)]
struct Offered {
    /// Ours: those that cost least with hardware for AES, as nearly everybody has it.
    ours: Arc<ServerConfig>,
    /// The client's.
    theirs: Arc<ServerConfig>,
}

impl Server {
    /// Reads certificates and keys. `before`: certificates installed and challenges are shared with it, and tickets
    /// it gave out are still good, unless what is asked of clients has changed.
    ///
    /// # Errors
    /// A certificate or key is of no use.
    pub fn new(settings: ServerSettings, before: Option<&Self>) -> Result<Self, TlsError> {
        let fixed: Result<Vec<_>, _> =
            settings.certificates.iter().map(|certificate| certificate.load().map(Arc::new)).collect();
        let resolver = Arc::new(Resolver {
            fixed: Table::new(fixed?),
            installed: before.map(|before| Arc::clone(&before.resolver.installed)).unwrap_or_default(),
            unknown_name: settings.unknown_name,
        });
        // Whoever was let in under other rules must show again who they are (CVE-2025-23419).
        let tickets = match before.filter(|before| before.settings.has_the_rules_of(&settings)) {
            Some(before) => before.tickets.clone(),
            None if settings.tickets => Some(new_tickets()?),
            None => None,
        };
        let mut config = settings.config(Arc::clone(&resolver))?;
        if let Some(tickets) = &tickets {
            config.ticketer = Arc::clone(tickets);
        }
        let http1 = Offered::new(&config, &[Alpn::H1_NAME, Alpn::ACME_NAME]);
        let http2 = Offered::new(&config, &[Alpn::H2_NAME, Alpn::H1_NAME, Alpn::ACME_NAME]);
        Ok(Self { settings, resolver, tickets, http1, http2 })
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
        let identity = Arc::new(certificate.load()?);
        self.resolver.installed.replace(&certificate.origin, Some(identity));
        Ok(())
    }

    /// Shows the certificate installed of this origin no more.
    pub fn uninstall(&self, origin: &str) {
        self.resolver.installed.replace(origin, None);
    }

    /// Shows `certificate` to those who ask for `domain` by the protocol `acme-tls/1` (RFC 8737); `None`: no more.
    ///
    /// # Errors
    /// The certificate or its key is of no use.
    pub fn set_challenge(&self, domain: &str, certificate: Option<&Certificate>) -> Result<(), TlsError> {
        let key = certificate.map(Certificate::load_unchecked).transpose()?.map(|identity| identity.key);
        self.resolver.installed.challenge(domain, key);
        Ok(())
    }

    /// What the certificates say that are shown, those installed included.
    #[must_use]
    pub fn certificates(&self) -> Vec<CertificateInfo> {
        let installed = self.resolver.installed.table();
        let all = self.resolver.fixed.all().iter().chain(installed.all());
        all.map(|identity| identity.info.clone()).collect()
    }

    /// What the certificate says that is shown to clients that ask for `name`, or for none; `None`: they are refused.
    /// Of several with keys of different kinds, one.
    #[must_use]
    pub fn shown_to(&self, name: Option<&str>) -> Option<CertificateInfo> {
        self.resolver.shown(name).map(|identity| identity.info.clone())
    }

    /// Certificates of the settings that are never shown while others are valid, each after one of those: earlier ones
    /// have all their names, and keys of the same kind. By where they come from.
    #[must_use]
    pub fn shadowed(&self) -> Vec<[&str; 2]> {
        self.resolver.fixed.shadowed()
    }

    /// For QUIC (RFC 9001): TLS 1.3 with `h3` as the only protocol.
    ///
    /// # Errors
    /// The settings cannot be used for it.
    pub fn quic(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let settings = ServerSettings { min_version: Version::V1_3, ..self.settings.clone() };
        let mut config = settings.config(Arc::clone(&self.resolver))?;
        if let Some(tickets) = &self.tickets {
            config.ticketer = Arc::clone(tickets);
        }
        Ok(with_protocols(&config, &[Alpn::H3_NAME]))
    }

    /// For a connection; `http2`: HTTP/2 is offered.
    #[must_use]
    pub const fn config(&self, http2: bool) -> &Arc<ServerConfig> {
        &self.offered(http2).ours
    }

    /// For a connection that begins with `hello`, or the first part of it.
    pub(crate) fn config_for(&self, http2: bool, hello: &[u8]) -> &Arc<ServerConfig> {
        let offered = self.offered(http2);
        if prefers_chacha(hello) { &offered.theirs } else { &offered.ours }
    }

    const fn offered(&self, http2: bool) -> &Offered {
        if http2 { &self.http2 } else { &self.http1 }
    }

    /// Whether clients may have certificates to show.
    pub(crate) const fn asks_for_certificates(&self) -> bool {
        self.settings.client_auth.is_some()
    }
}

impl Offered {
    fn new(config: &ServerConfig, protocols: &[&[u8]]) -> Self {
        let mut ours = config.clone();
        ours.ignore_client_order = true;
        Self { ours: with_protocols(&ours, protocols), theirs: with_protocols(config, protocols) }
    }
}

impl ServerSettings {
    /// Whether who may come in is the same as with `other`.
    fn has_the_rules_of(&self, other: &Self) -> bool {
        (self.min_version, &self.client_auth, self.tickets, self.unknown_name)
            == (other.min_version, &other.client_auth, other.tickets, other.unknown_name)
    }

    fn config(&self, resolver: Arc<Resolver>) -> Result<ServerConfig, TlsError> {
        let versions = match self.min_version {
            Version::V1_2 => &[&version::TLS13, &version::TLS12][..],
            Version::V1_3 => &[&version::TLS13][..],
        };
        let builder = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .map_err(|error| TlsError::new(format!("there is no cryptography for TLS ({error})")))?;
        let verified = match &self.client_auth {
            None => builder.with_no_client_auth(),
            Some(auth) => builder.with_client_cert_verifier(auth.verifier()?),
        };
        let mut config = verified.with_cert_resolver(resolver);
        // Nothing is kept for clients that may come back: they keep it themselves, in tickets.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = usize::from(self.tickets);
        // What comes before the handshake is over can be sent again by anybody (RFC 8446 §8).
        config.max_early_data_size = 0;
        Ok(config)
    }
}

impl ClientAuth {
    fn verifier(&self) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
        let roots = Arc::new(read_roots(&self.ca, &self.origin)?);
        let builder = WebPkiClientVerifier::builder_with_provider(roots, provider());
        let builder = if self.required { builder } else { builder.allow_unauthenticated() };
        builder.build().map_err(|error| {
            TlsError::new(format!("clients cannot be checked against {} ({error})", self.origin))
        })
    }
}

/// The certificates of `pem`, as those that vouch for others.
pub(super) fn read_roots(pem: &[u8], origin: &str) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in read_chain(pem, origin)? {
        roots.add(certificate).map_err(|error| {
            TlsError::new(format!(
                "a certificate in {origin} cannot vouch for others ({error}); give those of a CA"
            ))
        })?;
    }
    Ok(roots)
}

fn new_tickets() -> Result<Arc<dyn ProducesTickets>, TlsError> {
    Ticketer::new()
        .map_err(|error| TlsError::new(format!("there are no random numbers for tickets ({error})")))
}

fn with_protocols(config: &ServerConfig, protocols: &[&[u8]]) -> Arc<ServerConfig> {
    let mut config = config.clone();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

/// Cryptography: that of aws-lc, the cheapest good cipher suites first. AES with 128 bits is as good as anybody needs,
/// and with its hash, SHA-256, a handshake costs a sixth less than with SHA-384.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    let provider = PROVIDER.get_or_init(|| {
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        // The sort is stable: the order is otherwise theirs, TLS 1.3 first.
        provider.cipher_suites.sort_by_key(|suite| (suite.tls13().is_none(), !is_aes_128(suite.suite())));
        Arc::new(provider)
    });
    Arc::clone(provider)
}

const fn is_aes_128(suite: CipherSuite) -> bool {
    matches!(
        suite,
        CipherSuite::TLS13_AES_128_GCM_SHA256
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
            | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
    )
}
