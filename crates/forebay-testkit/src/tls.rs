//! Certificates for tests: an authority, and those it issues.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SanType, date_time_ymd,
};

/// Vouches for certificates.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its key, in PEM.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// Its private key, PKCS #8.
    pub key: String,
}

/// What a certificate is to be like. `Wish::default()`: for nobody, valid until the year 4096.
#[derive(Clone, Debug, Default)]
pub struct Wish<'a> {
    /// DNS names, wildcards among them, and IP addresses.
    pub names: &'a [&'a str],
    /// Other names: URIs.
    pub uris: &'a [&'a str],
    /// Common name of its subject.
    pub subject: &'a str,
    /// It is shown by clients, not by servers.
    pub client: bool,
    /// It was valid in the year 2000 only.
    pub expired: bool,
    /// It has a key of Ed25519 instead of ECDSA P-256.
    pub ed25519: bool,
    /// It may vouch for others too, as those that `openssl req -x509` makes do.
    pub authority: bool,
    /// It proves a domain to an ACME server (RFC 8737): SHA-256 of the key authorization.
    pub challenge: Option<[u8; 32]>,
}

impl Authority {
    /// A new one with a name of its own.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("there are random numbers");
        Self {
            issuer: CertifiedIssuer::self_signed(params, key).expect("an authority can be made like that"),
        }
    }

    /// Its own certificate, in PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate for servers of these names.
    #[must_use]
    pub fn issue(&self, names: &[&str]) -> Issued {
        self.grant(&Wish { names, ..Wish::default() })
    }

    /// A certificate that clients show.
    #[must_use]
    pub fn issue_client(&self, subject: &str) -> Issued {
        self.grant(&Wish { subject, client: true, ..Wish::default() })
    }

    /// A certificate as wished.
    ///
    /// # Panics
    /// A name is of no form that certificates know.
    #[must_use]
    pub fn grant(&self, wish: &Wish<'_>) -> Issued {
        let (params, key) = (wish.params(), wish.key());
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate can be made like that");
        Issued { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

impl Issued {
    /// One that nobody vouches for.
    ///
    /// # Panics
    /// A name is of no form that certificates know.
    #[must_use]
    pub fn self_signed(wish: &Wish<'_>) -> Self {
        let (params, key) = (wish.params(), wish.key());
        let certificate = params.self_signed(&key).expect("a certificate can be made like that");
        Self { certificate: certificate.pem(), key: key.serialize_pem() }
    }
}

impl Wish<'_> {
    fn key(&self) -> KeyPair {
        let kind = if self.ed25519 { &PKCS_ED25519 } else { &PKCS_ECDSA_P256_SHA256 };
        KeyPair::generate_for(kind).expect("there are random numbers")
    }

    fn params(&self) -> CertificateParams {
        let names: Vec<String> = self.names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names are ASCII");
        for uri in self.uris {
            params.subject_alt_names.push(SanType::URI((*uri).try_into().expect("URIs are ASCII")));
        }
        if !self.subject.is_empty() {
            params.distinguished_name.push(DnType::CommonName, self.subject);
        }
        if self.expired {
            (params.not_before, params.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(2000, 12, 31));
        }
        if self.authority {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        let usage = if self.client {
            ExtendedKeyUsagePurpose::ClientAuth
        } else {
            ExtendedKeyUsagePurpose::ServerAuth
        };
        params.insert_extended_key_usage(usage);
        if let Some(digest) = &self.challenge {
            params.custom_extensions.push(CustomExtension::new_acme_identifier(digest));
        }
        params
    }
}
