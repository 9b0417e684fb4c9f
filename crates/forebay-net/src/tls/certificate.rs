//! A certificate with its key, and what it says about itself.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::{TlsError, der};

/// A certificate with its key, as they are in files.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The certificate, followed by those it was issued by, in PEM.
    pub chain: Arc<[u8]>,
    /// Its private key in PEM: PKCS #8, PKCS #1 or SEC 1.
    pub key: Arc<[u8]>,
    /// Where it comes from, for messages: `shop.pem` or `ACME for shop.test`. Installing a certificate replaces the
    /// one of the same origin.
    pub origin: Arc<str>,
}

/// What a certificate says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateInfo {
    /// DNS names in lower case (`*.shop.test` is a wildcard) and IP addresses it is for.
    pub names: Vec<Box<str>>,
    /// Valid from, in seconds since 1970.
    pub not_before: i64,
    /// Valid until, in seconds since 1970.
    pub not_after: i64,
    /// Who it is for, as text (RFC 4514).
    pub subject: Box<str>,
    /// Who issued it, as text (RFC 4514).
    pub issuer: Box<str>,
    /// Its serial number in hexadecimal.
    pub serial: Box<str>,
    /// Where it comes from.
    pub origin: Arc<str>,
}

impl CertificateInfo {
    /// What the first certificate in `chain` says.
    ///
    /// # Errors
    /// There is no certificate in it, or it cannot be understood.
    pub fn of_pem(chain: &[u8], origin: &str) -> Result<Self, TlsError> {
        let first = read_chain(chain, origin)?;
        Self::of_der(&first[0], origin)
    }

    pub(crate) fn of_der(certificate: &[u8], origin: &str) -> Result<Self, TlsError> {
        let view = der::view(certificate).ok_or_else(|| {
            TlsError::new(format!("the certificate in {origin} cannot be understood; is it X.509 in PEM?"))
        })?;
        Ok(Self {
            names: view.names,
            not_before: view.not_before,
            not_after: view.not_after,
            subject: view.subject,
            issuer: view.issuer,
            serial: view.serial,
            origin: origin.into(),
        })
    }
}

/// A certificate that can be shown, with what it says.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) key: Arc<CertifiedKey>,
    pub(crate) info: CertificateInfo,
}

impl Certificate {
    /// Reads chain and key. The certificate of a challenge (RFC 8737) cannot be checked further: it has a critical
    /// extension that is of no other use.
    pub(crate) fn load_unchecked(&self) -> Result<Identity, TlsError> {
        let origin = &*self.origin;
        let chain = read_chain(&self.chain, origin)?;
        let info = CertificateInfo::of_der(&chain[0], origin)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| {
            TlsError::new(format!(
                "there is no private key for {origin} ({error}); give one in PEM: PKCS #8, PKCS #1 or SEC 1, not encrypted"
            ))
        })?;
        let provider = super::server::provider();
        let key = provider.key_provider.load_private_key(key).map_err(|error| {
            TlsError::new(format!(
                "the private key for {origin} is of no use ({error}); use ECDSA P-256, Ed25519 or RSA"
            ))
        })?;
        let certified = CertifiedKey::new(chain, key);
        Ok(Identity { key: Arc::new(certified), info })
    }

    /// Reads chain and key, and checks that they belong together.
    pub(crate) fn load(&self) -> Result<Identity, TlsError> {
        let identity = self.load_unchecked()?;
        identity.key.keys_match().map_err(|_| {
            TlsError::new(format!(
                "the private key for {} is not that of the certificate; give the key it was issued for",
                self.origin
            ))
        })?;
        Ok(identity)
    }
}

pub(crate) fn read_chain(pem: &[u8], origin: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(TlsError::new(format!(
            "there is no certificate in {origin}; it must be in PEM, `-----BEGIN CERTIFICATE-----`"
        ))),
        Err(error) => Err(TlsError::new(format!("the certificates in {origin} are not valid PEM ({error})"))),
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key is nobody's business.
        f.debug_struct("Certificate").field("origin", &self.origin).finish_non_exhaustive()
    }
}
