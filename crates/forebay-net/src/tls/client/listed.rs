//! Certificates that a server made for itself, and that are believed because the settings name them.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use crate::tls::TlsError;
use crate::tls::certificate::read_chain;
use crate::tls::der;
use crate::tls::server::read_roots;

/// Believes those that authorities vouch for, and one that is itself on the list when a server shows it: one that the
/// server made for itself, or one whose authority is not on the list. Its name and its dates must fit all the same, and that the server has its key is
/// checked as ever.
#[derive(Debug)]
pub(super) struct Listed {
    usual: Arc<WebPkiServerVerifier>,
    certificates: Vec<CertificateDer<'static>>,
}

impl Listed {
    /// Believes what `ca`, in PEM, has.
    pub(super) fn new(ca: &[u8], origin: &str, provider: Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let roots = Arc::new(read_roots(ca, origin)?);
        let usual = WebPkiServerVerifier::builder_with_provider(roots, provider).build();
        let usual = usual.map_err(|error| {
            TlsError::new(format!("the certificates in {origin} are of no use ({error})"))
        })?;
        Ok(Self { usual, certificates: read_chain(ca, origin)? })
    }

    /// Checks a certificate that is on the list.
    fn check(shown: &CertificateDer<'_>, name: &ServerName<'_>, now: UnixTime) -> Result<(), Error> {
        let view = der::view(shown).ok_or(CertificateError::BadEncoding)?;
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        if now < view.not_before {
            return Err(CertificateError::NotValidYet.into());
        }
        if now > view.not_after {
            return Err(CertificateError::Expired.into());
        }
        verify_server_name(&ParsedCertificate::try_from(shown)?, name)
    }
}

impl ServerCertVerifier for Listed {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let usual = self.usual.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match usual {
            // An authority that is a server as well is a rule broken by itself, without a word of its own; one that
            // does not vouch for itself has no issuer here.
            Err(Error::InvalidCertificate(CertificateError::Other(_) | CertificateError::UnknownIssuer))
                if self.certificates.iter().any(|listed| listed == end_entity) =>
            {
                Self::check(end_entity, server_name, now).map(|()| ServerCertVerified::assertion())
            }
            decided => decided,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}
