//! The client's side of secured connections.

mod listed;

use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use self::listed::Listed;
use super::server::provider;
use super::{Alpn, Certificate, TlsError};

/// Servers whose sessions are kept to be resumed.
const SESSIONS_MAX: usize = 256;

/// What is asked of servers, and shown to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientSettings {
    /// Who vouches for servers, in PEM; `None`: the system's roots. A server may also show one of these itself.
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

/// What only a load tester asks for: it sends nothing that is worth protecting, and measures what others must not do
/// without. A gateway has no way to say it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadTest {
    /// Any certificate will do, whoever it is for and whoever vouches for it. That the server has its key is checked
    /// all the same.
    pub any_certificate: bool,
    /// Sessions go on where they can (RFC 8446 §2.2); otherwise each connection is a handshake in full, as those of
    /// strangers are.
    pub resume: bool,
}

/// The client's side: whom it believes, and who it is. Two are equal if connections made by one may serve the other.
#[derive(Clone, Debug)]
pub struct Client {
    settings: ClientSettings,
    load_test: Option<LoadTest>,
    config: Arc<ClientConfig>,
}

impl PartialEq for Client {
    fn eq(&self, other: &Self) -> bool {
        self.settings == other.settings && self.load_test == other.load_test
    }
}

impl Eq for Client {}

impl Client {
    /// Reads certificates and roots.
    ///
    /// # Errors
    /// One of them is of no use, or the system has no roots.
    pub fn new(settings: ClientSettings) -> Result<Self, TlsError> {
        Self::made(settings, None)
    }

    /// As `new`, for a load tester.
    ///
    /// # Errors
    /// As `new`; roots are not asked for if any certificate will do.
    pub fn for_load_tests(settings: ClientSettings, asked: LoadTest) -> Result<Self, TlsError> {
        Self::made(settings, Some(asked))
    }

    fn made(settings: ClientSettings, load_test: Option<LoadTest>) -> Result<Self, TlsError> {
        let provider = provider();
        let algorithms = provider.signature_verification_algorithms;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::new(format!("there is no cryptography for TLS ({error})")))?;
        let builder = if load_test.is_some_and(|asked| asked.any_certificate) {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(algorithms)))
        } else if let Some(ca) = &settings.ca {
            let listed = Listed::new(ca, &settings.ca_origin, Arc::clone(builder.crypto_provider()))?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(listed))
        } else {
            builder.with_root_certificates(system_roots()?)
        };
        let mut config = match &settings.certificate {
            None => builder.with_no_client_auth(),
            Some(certificate) => builder.with_client_cert_resolver(Arc::new(Shown(certificate.load()?.key))),
        };
        config.alpn_protocols = settings.offer.protocols();
        config.resumption = match load_test {
            Some(LoadTest { resume: false, .. }) => Resumption::disabled(),
            _ => Resumption::in_memory_sessions(SESSIONS_MAX),
        };
        Ok(Self { settings, load_test, config: Arc::new(config) })
    }

    /// The same, offering other protocols. It has sessions of its own.
    ///
    /// # Errors
    /// As `new`.
    pub fn offering(&self, offer: Offer) -> Result<Self, TlsError> {
        Self::made(ClientSettings { offer, ..self.settings.clone() }, self.load_test)
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

impl Offer {
    fn protocols(self) -> Vec<Vec<u8>> {
        let names = match self {
            Self::Http1 => &[Alpn::H1_NAME][..],
            Self::Http2 => &[Alpn::H2_NAME][..],
            Self::Both => &[Alpn::H2_NAME, Alpn::H1_NAME][..],
        };
        names.iter().map(|name| name.to_vec()).collect()
    }
}

/// The certificate that is shown to servers that ask for one.
#[derive(Debug)]
struct Shown(Arc<CertifiedKey>);

impl ResolvesClientCert for Shown {
    fn resolve(&self, _hints: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.key.choose_scheme(schemes).is_some().then(|| Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Believes every certificate, for load tests.
#[derive(Debug)]
struct Anyone(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

/// Those the system believes; read once.
fn system_roots() -> Result<Arc<RootCertStore>, TlsError> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        // One that cannot be understood vouches for nobody.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Arc::new(roots)
    });
    if roots.is_empty() {
        return Err(TlsError::new(
            "this system has no root certificates; install them (ca-certificates) or give `ca`",
        ));
    }
    Ok(Arc::clone(roots))
}
