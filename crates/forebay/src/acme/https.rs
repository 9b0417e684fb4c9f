//! Ask the ACME server: HTTPS requests, one connection each, bounded in time and size.

use std::error::Error as StdError;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use http_body_util::{BodyExt as _, Limited};
use hyper::body::Bytes;
use hyper::header::{CONNECTION, HOST, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// From looking up the name to the last byte of the answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Largest answer, in bytes. A chain has a few thousand.
const BODY_BYTES_MAX: usize = 256 << 10;
const AGENT: &str = concat!("forebay/", env!("CARGO_PKG_VERSION"));
const PORT: u16 = 443;

type BoxedError = Box<dyn StdError + Send + Sync>;

/// Asks, and remembers what the library does not tell. Clones share their memory.
#[derive(Clone)]
pub(super) struct Https {
    tls: TlsConnector,
    retry_after: Arc<Mutex<Option<Duration>>>,
}

impl Https {
    /// `ca`: what servers' certificates are checked against, in PEM; `None`: what the system trusts.
    pub(super) fn new(ca: Option<&[u8]>) -> Result<Self, String> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots(ca)?)
            .with_no_client_auth();
        Ok(Self { tls: TlsConnector::from(Arc::new(config)), retry_after: Arc::default() })
    }

    /// How long the server wants us to wait, by the last answer that was no success.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        *self.retry_after.lock().expect("no panic under this lock")
    }

    async fn ask(self, request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, BoxedError> {
        let (mut parts, body) = request.into_parts();
        let host = parts.uri.host().ok_or("the URL names no host")?.to_owned();
        if parts.uri.scheme_str() != Some("https") {
            return Err("ACME is spoken by HTTPS only: the URL must begin with https://".into());
        }
        let authority = parts.uri.authority().map(ToString::to_string).unwrap_or_default();
        parts.headers.insert(HOST, HeaderValue::from_str(&authority)?);
        parts.headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        parts.headers.insert(CONNECTION, HeaderValue::from_static("close"));
        let port = parts.uri.port_u16().unwrap_or(PORT);
        parts.uri = parts.uri.path_and_query().map_or("/", |path| path.as_str()).parse::<Uri>()?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned())?;
        let stream = TcpStream::connect((bare, port))
            .await
            .map_err(|error| format!("cannot connect to {authority}: {error}"))?;
        let stream = self
            .tls
            .connect(name, stream)
            .await
            .map_err(|error| format!("no TLS with {authority}: {error}"))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let _connection = Driven(tokio::spawn(async move { drop(connection.await) }));
        let response = sender.send_request(Request::from_parts(parts, body)).await?;
        let (parts, body) = response.into_parts();
        // In good answers it only says when to look again.
        if parts.status.is_client_error() || parts.status.is_server_error() {
            let told = parts.headers.get(RETRY_AFTER).and_then(|value| retry_after(value.to_str().ok()?));
            *self.retry_after.lock().expect("no panic under this lock") = told;
        }
        let body = Limited::new(body, BODY_BYTES_MAX).collect().await?.to_bytes();
        Ok(BytesResponse { parts, body: Box::new(body) })
    }
}

impl HttpClient for Https {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let this = self.clone();
        let url = request.uri().to_string();
        Box::pin(async move {
            match tokio::time::timeout(REQUEST_TIMEOUT, Box::pin(this.ask(request))).await {
                Ok(Ok(response)) => Ok(response),
                Ok(Err(error)) => Err(Error::Other(format!("{url}: {error}").into())),
                Err(_) => {
                    let seconds = REQUEST_TIMEOUT.as_secs();
                    Err(Error::Other(format!("{url}: no answer within {seconds} s").into()))
                }
            }
        })
    }
}

/// A connection's task, ended with whoever waits for its answer.
struct Driven(tokio::task::JoinHandle<()>);

impl Drop for Driven {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn roots(ca: Option<&[u8]>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|error| format!("`ca` is no PEM: {error}"))?;
                roots
                    .add(certificate)
                    .map_err(|error| format!("`ca` has a certificate that is none: {error}"))?;
            }
        }
        None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
    }
    match roots.is_empty() {
        true => Err("no certificate authority is known to check the ACME server by: install the package \
                     ca-certificates, or give `ca`"
            .to_owned()),
        false => Ok(roots),
    }
}

/// Seconds, or a date (RFC 9110 §10.2.3); the latter only as far as it is in the future.
fn retry_after(value: &str) -> Option<Duration> {
    match value.trim().parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let at = httpdate::parse_http_date(value.trim()).ok()?;
            at.duration_since(SystemTime::now()).ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_certificate_authority_nobody_is_asked() {
        for ca in
            [&b""[..], b"no PEM at all", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
        {
            assert!(Https::new(Some(ca)).is_err(), "{ca:?}");
        }
    }

    #[test]
    fn waits_come_as_seconds_or_as_dates() {
        assert_eq!(retry_after(" 120 "), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("Fri, 31 Dec 1999 23:59:59 GMT"), None, "it is over");
        assert!(retry_after("Fri, 31 Dec 2100 23:59:59 GMT").is_some());
        assert_eq!(retry_after("soon"), None);
    }
}
