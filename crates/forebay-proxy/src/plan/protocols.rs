//! Which protocols are spoken, with clients and with services.

use std::sync::Arc;
use std::time::Duration;

use forebay_net::tls;

/// Whether this build offers HTTP/3. Where it does not, settings that ask for it are refused.
pub const HTTP3: bool = true;

/// What comes in at one of the addresses listened on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Connections are secured: `https://`.
    pub tls: bool,
    /// HTTP/2 is offered: by ALPN, or to clients that begin with its preface.
    pub http2: bool,
    /// HTTP/3 is offered on the UDP port of the same number.
    pub http3: bool,
    /// Connections begin with a PROXY protocol header, and only trusted proxies may connect.
    pub proxy_protocol: bool,
}

impl Default for Listener {
    fn default() -> Self {
        Self { tls: false, http2: true, http3: false, proxy_protocol: false }
    }
}

/// Secured connections with clients.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Certificates, versions, who must prove who they are.
    pub server: Arc<tls::Server>,
    /// Requests that come in unsecured are redirected (308) to this port of the same host; `None`: they are served.
    /// What ACME servers ask for is not redirected.
    pub redirect: Option<u16>,
    /// Value of `Strict-Transport-Security` on secured responses (RFC 6797); `None`: it is not sent.
    pub hsts: Option<Box<str>>,
    /// Certificates that renew themselves.
    pub acme: Option<Acme>,
}

/// Certificates from an ACME server (RFC 8555).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acme {
    /// Names, one certificate for all of them. Never empty.
    pub domains: Vec<Box<str>>,
    /// Who is told of trouble.
    pub email: Option<Box<str>>,
    /// URL of the server's directory.
    pub directory: Box<str>,
    /// What the ACME server's own certificate is checked against, in PEM; `None`: the system's roots.
    pub ca: Option<Box<[u8]>>,
    /// Where account and certificates are kept; replicas may share it.
    pub storage: Box<std::path::Path>,
    /// How domains are proved to be ours.
    pub challenge: Challenge,
}

/// How a domain is proved to be ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Challenge {
    /// By a file at port 80 (RFC 8555 §8.3).
    #[default]
    Http01,
    /// By a certificate at port 443 (RFC 8737).
    TlsAlpn01,
}

/// What is spoken with the endpoints of a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2, agreed on by ALPN.
    H2,
    /// HTTP/2 without TLS, by prior knowledge (RFC 9113 §3.3).
    H2c,
    /// HTTP/2 if the endpoint agrees to it by ALPN, else HTTP/1.1.
    Auto,
}

/// Versions of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the versions")]
pub enum ProxyProtocol {
    V1,
    V2,
}

/// Connections that turn into something else than HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrades {
    /// Protocols that may be upgraded to, in lower case. Usually `websocket` only.
    pub allowed: Vec<Box<str>>,
    /// Longest time without a byte in either direction.
    pub idle: Duration,
    /// Longest life; `None`: unbounded.
    pub lifetime: Option<Duration>,
}

impl Default for Upgrades {
    fn default() -> Self {
        Self { allowed: vec!["websocket".into()], idle: Duration::from_secs(300), lifetime: None }
    }
}
