//! What both sides agreed on.

use std::fmt::Write;
use std::ops::RangeInclusive;

use rustls::CommonState;
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::{HandshakeKind, ProtocolVersion};

use super::der;

/// What both sides agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// The name the client asked for, in lower case; `None` on the client's side, and if it asked for none.
    pub sni: Option<Box<str>>,
    /// The protocol agreed on.
    pub alpn: Alpn,
    /// The version agreed on.
    pub version: Version,
    /// The cipher suite, by its IANA name.
    pub cipher: &'static str,
    /// An earlier session goes on: no certificate was shown anew.
    pub resumed: bool,
    /// The certificate of the client, verified; `None`: it showed none.
    pub client: Option<Box<ClientCertificate>>,
}

/// Protocols that are agreed on by ALPN (RFC 7301).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Alpn {
    /// None was agreed on: HTTP/1.1.
    #[default]
    None,
    /// HTTP/1.1.
    H1,
    /// HTTP/2.
    H2,
    /// An ACME server looks at the challenge's certificate (RFC 8737): there is nothing more to do than to close.
    AcmeTls,
}

/// Versions of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// TLS 1.2.
    #[default]
    V1_2,
    /// TLS 1.3.
    V1_3,
}

/// Who a client is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Its subject as text (RFC 4514), printable ASCII.
    pub subject: Box<str>,
    /// Its names, each after its kind: `DNS:`, `email:`, `URI:` or `IP:`. Printable ASCII without commas, semicolons
    /// and quotes, so that they may stand in a header field as they are.
    pub sans: Vec<Box<str>>,
    /// SHA-256 of the certificate in hexadecimal.
    pub fingerprint: Box<str>,
    /// The certificate itself in DER.
    pub der: Box<[u8]>,
}

impl Version {
    /// As people write it: `TLSv1.3`.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::V1_2 => "TLSv1.2",
            Self::V1_3 => "TLSv1.3",
        }
    }
}

impl Alpn {
    pub(crate) const H1_NAME: &'static [u8] = b"http/1.1";
    pub(crate) const H2_NAME: &'static [u8] = b"h2";
    pub(crate) const H3_NAME: &'static [u8] = b"h3";
    pub(crate) const ACME_NAME: &'static [u8] = b"acme-tls/1";

    fn of(name: Option<&[u8]>) -> Self {
        match name {
            Some(Self::H1_NAME) => Self::H1,
            Some(Self::H2_NAME) => Self::H2,
            Some(Self::ACME_NAME) => Self::AcmeTls,
            _ => Self::None,
        }
    }
}

impl Handshake {
    /// What a connection whose handshake is over has agreed on.
    #[must_use]
    pub fn of(connection: &CommonState, sni: Option<&str>) -> Self {
        let version = match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => Version::V1_3,
            _ => Version::V1_2,
        };
        Self {
            sni: sni.map(|name| name.to_ascii_lowercase().into()),
            alpn: Alpn::of(connection.alpn_protocol()),
            version,
            cipher: connection
                .negotiated_cipher_suite()
                .and_then(|suite| suite.suite().as_str())
                .unwrap_or(""),
            resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
            client: None,
        }
    }
}

impl ClientCertificate {
    /// What the certificate says, and when it is valid, in seconds since 1970; `None`: it cannot be understood.
    pub(crate) fn of(der: &[u8]) -> Option<(Self, RangeInclusive<i64>)> {
        let view = der::view(der)?;
        let valid = view.not_before..=view.not_after;
        let certificate =
            Self { subject: view.subject, sans: view.sans, fingerprint: fingerprint(der), der: der.into() };
        Some((certificate, valid))
    }
}

/// SHA-256 in hexadecimal.
fn fingerprint(der: &[u8]) -> Box<str> {
    let suite = TLS13_AES_128_GCM_SHA256.tls13().expect("it is one of TLS 1.3");
    let digest = suite.common.hash_provider.hash(der);
    digest
        .as_ref()
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            write!(text, "{byte:02x}").expect("strings take everything");
            text
        })
        .into()
}
