//! A certificate with its key, and what it says about itself.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

use super::{TlsError, der};

/// What the text of an encrypted key has: PKCS #8's, and OpenSSL's own.
const ENCRYPTED: [&[u8]; 2] = [b"-----BEGIN ENCRYPTED PRIVATE KEY-----", b"Proc-Type: 4,ENCRYPTED"];
/// How most certificates begin that are not PEM: a sequence of more than 255 bytes.
const DER: &[u8] = &[0x30, 0x82];

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
    /// It may vouch for others: it is that of a CA.
    pub is_authority: bool,
    /// Where it comes from.
    pub origin: Arc<str>,
}

impl CertificateInfo {
    /// Whether it is valid at `now`, in seconds since 1970.
    #[must_use]
    pub const fn is_valid_at(&self, now: i64) -> bool {
        self.not_before <= now && now <= self.not_after
    }

    /// What the first certificate in `chain` says.
    ///
    /// # Errors
    /// There is no certificate in it, or it cannot be understood.
    pub fn of_pem(chain: &[u8], origin: &str) -> Result<Self, TlsError> {
        let first = read_chain(chain, origin)?;
        Self::of_der(&first[0], origin)
    }

    /// What all certificates in `chain` say.
    ///
    /// # Errors
    /// There is no certificate in it, or one cannot be understood.
    pub fn all_of_pem(chain: &[u8], origin: &str) -> Result<Vec<Self>, TlsError> {
        read_chain(chain, origin)?.iter().map(|certificate| Self::of_der(certificate, origin)).collect()
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
            is_authority: view.is_authority,
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
        let key = read_key(&self.key, origin)?;
        let provider = super::server::provider();
        let key = provider.key_provider.load_private_key(key).map_err(|error| {
            TlsError::of_key(format!(
                "the private key for {origin} is of no use ({error}); use ECDSA P-256, Ed25519 or RSA"
            ))
        })?;
        let certified = CertifiedKey::new(chain, key);
        Ok(Identity { key: Arc::new(certified), info })
    }

    /// Reads chain and key, and checks that they belong together.
    pub(crate) fn load(&self) -> Result<Identity, TlsError> {
        let identity = self.load_unchecked()?;
        match identity.key.keys_match() {
            // A key that does not tell its public half is found out by the first client.
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(identity),
            Err(error) => Err(self.mismatch(&identity, &error)),
        }
    }

    /// What is wrong with a pair that is none.
    fn mismatch(&self, identity: &Identity, error: &Error) -> TlsError {
        let origin = &*self.origin;
        let chain = &identity.key.cert;
        if der::view(&chain[0]).is_some_and(|view| view.is_version_1) {
            return TlsError::new(format!(
                "the certificate in {origin} is X.509 version 1, without the names it is for; issue it anew with the \
                 extension subjectAltName"
            ));
        }
        if !matches!(error, Error::InconsistentKeys(_)) {
            return TlsError::new(format!(
                "the certificate in {origin} is of no use ({error}); issue it anew"
            ));
        }
        let key = identity.key.key.public_key();
        let is_of_key = |other: &CertificateDer<'_>| {
            let other = ParsedCertificate::try_from(other).ok();
            other.is_some_and(|other| Some(other.subject_public_key_info()) == key)
        };
        match chain.iter().position(is_of_key) {
            Some(index) => TlsError::new(format!(
                "the private key for {origin} is that of certificate {} in it; put that first, and after it those \
                 it was issued by",
                index + 1
            )),
            None => TlsError::of_key(format!(
                "the private key for {origin} is not that of the certificate; give the key it was issued for"
            )),
        }
    }
}

fn read_key(pem: &[u8], origin: &str) -> Result<PrivateKeyDer<'static>, TlsError> {
    let pem = without_mark(pem);
    if ENCRYPTED.iter().any(|sign| has(pem, sign)) {
        return Err(TlsError::of_key(format!(
            "the private key for {origin} is encrypted; decrypt it, with `openssl pkey -in FILE -out FILE`"
        )));
    }
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| {
        let why = match error {
            pem::Error::NoItemsFound => String::new(),
            error => format!(" ({})", wrong(&error)),
        };
        TlsError::of_key(format!(
            "there is no private key for {origin}{why}; give one in PEM: PKCS #8, PKCS #1 or SEC 1"
        ))
    })
}

pub(crate) fn read_chain(pem: &[u8], origin: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = without_mark(pem);
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) if has(pem, b"-----BEGIN TRUSTED CERTIFICATE-----") => Err(TlsError::new(format!(
            "the certificate in {origin} is in a form of OpenSSL's own; convert it, with `openssl x509 -in FILE -out FILE`"
        ))),
        Ok(_) if pem.starts_with(DER) => Err(TlsError::new(format!(
            "the certificate in {origin} is in DER; convert it to PEM, with `openssl x509 -inform der -in FILE -out FILE`"
        ))),
        Ok(_) => Err(TlsError::new(format!(
            "there is no certificate in {origin}; it must be in PEM, `-----BEGIN CERTIFICATE-----`"
        ))),
        Err(error) => {
            Err(TlsError::new(format!("the certificates in {origin} are not valid PEM: {}", wrong(&error))))
        }
    }
}

/// Without the mark that some editors put in front of a text.
fn without_mark(pem: &[u8]) -> &[u8] {
    pem.strip_prefix(b"\xef\xbb\xbf").unwrap_or(pem)
}

fn has(text: &[u8], sign: &[u8]) -> bool {
    text.windows(sign.len()).any(|window| window == sign)
}

/// What is wrong with a text that should be PEM.
fn wrong(error: &pem::Error) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).chars().take(64).collect::<String>();
    match error {
        pem::Error::MissingSectionEnd { end_marker } => {
            format!("`-----END {}-----` is missing, as if it were cut off", text(end_marker))
        }
        pem::Error::IllegalSectionStart { line } => {
            format!("the line `{}` begins nothing", text(line).trim_end().escape_debug())
        }
        error => error.to_string(),
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key is nobody's business.
        f.debug_struct("Certificate").field("origin", &self.origin).finish_non_exhaustive()
    }
}
