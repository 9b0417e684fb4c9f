//! What the control plane knows of certificates, as numbers for a scrape.

/// Certificates at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateNumbers {
    /// Those that clients may be shown.
    pub shown: Vec<ShownCertificate>,
    /// Certificates fetched so far: those that came, and attempts that failed. `None`: none renews itself.
    pub fetches: Option<(u64, u64)>,
}

/// A certificate that clients may be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShownCertificate {
    /// The first name it is for.
    pub name: Box<str>,
    /// Where it comes from: a file, or an ACME server.
    pub source: Box<str>,
    /// Until when it is good, in seconds since 1970.
    pub expires: u64,
}
