//! What goes wrong with settings and with handshakes.

use std::fmt;
use std::io;

use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};

/// Settings that cannot be used; says which file, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsError {
    text: Box<str>,
    is_about_key: bool,
}

impl TlsError {
    pub(crate) fn new(text: impl Into<Box<str>>) -> Self {
        Self { text: text.into(), is_about_key: false }
    }

    /// What is wrong with a private key.
    pub(crate) fn of_key(text: impl Into<Box<str>>) -> Self {
        Self { text: text.into(), is_about_key: true }
    }

    /// Whether it is the private key that is to be put right, not the certificate.
    #[must_use]
    pub const fn is_about_key(&self) -> bool {
        self.is_about_key
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for TlsError {}

/// Why there is no secured connection.
#[derive(Debug)]
pub enum Failure {
    /// The other side speaks something else. `http`: it is a request of plain HTTP/1.
    NotTls {
        /// A request of plain HTTP/1, which can be answered in plain text.
        http: bool,
    },
    /// No version that both speak.
    Version,
    /// Nothing else in common: cipher suites, groups, signatures.
    Incompatible,
    /// No protocol that both speak (RFC 7301).
    Protocol,
    /// There is no certificate for the name it asked for.
    UnknownName,
    /// It showed no certificate, and must.
    CertificateRequired,
    /// Nobody we believe vouches for its certificate.
    UnknownAuthority,
    /// Its certificate has expired, or is not valid yet.
    CertificateExpired,
    /// Its certificate is for another name.
    WrongName,
    /// Its certificate is of no use for another reason.
    BadCertificate,
    /// It does not like our certificate: the alert it sent says so.
    Refused,
    /// It has sent more in its handshake than anybody needs.
    TooLarge,
    /// It broke the rules.
    Malformed,
    /// The deadline passed.
    TimedOut,
    /// It closed the connection.
    Closed,
    /// The connection broke.
    Io(io::Error),
}

impl Failure {
    /// A stable word for metrics.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::NotTls { .. } => "not_tls",
            Self::Version => "version",
            Self::Incompatible => "incompatible",
            Self::Protocol => "protocol",
            Self::UnknownName => "unknown_name",
            Self::CertificateRequired => "certificate_required",
            Self::UnknownAuthority => "unknown_authority",
            Self::CertificateExpired => "certificate_expired",
            Self::WrongName => "wrong_name",
            Self::BadCertificate => "bad_certificate",
            Self::Refused => "refused",
            Self::TooLarge => "too_large",
            Self::Malformed => "malformed",
            Self::TimedOut => "timeout",
            Self::Closed => "closed",
            Self::Io(_) => "broken",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotTls { .. } => "the other side does not speak TLS",
            Self::Version => "no version of TLS in common",
            Self::Incompatible => "no cipher suite, group or signature in common",
            Self::Protocol => "no application protocol in common",
            Self::UnknownName => "there is no certificate for the name asked for",
            Self::CertificateRequired => "the other side showed no certificate",
            Self::UnknownAuthority => "nobody trusted vouches for the other side's certificate",
            Self::CertificateExpired => "the other side's certificate is not valid now",
            Self::WrongName => "the other side's certificate is for another name",
            Self::BadCertificate => "the other side's certificate is of no use",
            Self::Refused => "the other side refused our certificate",
            Self::TooLarge => "the handshake is too large",
            Self::Malformed => "the other side broke the rules of TLS",
            Self::TimedOut => "the handshake took too long",
            Self::Closed => "the connection was closed during the handshake",
            Self::Io(error) => return error.fmt(f),
        })
    }
}

impl std::error::Error for Failure {}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        match error {
            Error::PeerIncompatible(why) => of_incompatible(why),
            Error::NoCertificatesPresented => Self::CertificateRequired,
            Error::InvalidCertificate(why) => of_certificate(why),
            Error::AlertReceived(alert) => of_alert(*alert),
            Error::NoApplicationProtocol => Self::Protocol,
            error if is_unknown_name(error) => Self::UnknownName,
            _ => Self::Malformed,
        }
    }
}

/// Whether it says that a server has no certificate for the name asked for.
pub(crate) fn is_unknown_name(error: &Error) -> bool {
    matches!(error, Error::General(why) if why.contains("certificate chain"))
}

fn of_incompatible(why: &PeerIncompatible) -> Failure {
    match why {
        PeerIncompatible::SupportedVersionsExtensionRequired
        | PeerIncompatible::Tls12NotOffered
        | PeerIncompatible::Tls12NotOfferedOrEnabled
        | PeerIncompatible::Tls13RequiredForQuic
        | PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig => Failure::Version,
        _ => Failure::Incompatible,
    }
}

fn of_certificate(why: &CertificateError) -> Failure {
    match why {
        CertificateError::UnknownIssuer => Failure::UnknownAuthority,
        CertificateError::Expired
        | CertificateError::ExpiredContext { .. }
        | CertificateError::NotValidYet
        | CertificateError::NotValidYetContext { .. } => Failure::CertificateExpired,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Failure::WrongName
        }
        _ => Failure::BadCertificate,
    }
}

fn of_alert(alert: AlertDescription) -> Failure {
    match alert {
        AlertDescription::ProtocolVersion => Failure::Version,
        AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity => Failure::Incompatible,
        AlertDescription::NoApplicationProtocol => Failure::Protocol,
        AlertDescription::UnrecognisedName => Failure::UnknownName,
        AlertDescription::CloseNotify | AlertDescription::UserCanceled => Failure::Closed,
        _ => Failure::Refused,
    }
}
