//! The connection a check is made on: secured, introduced and spoken on as the service's requests are.

use std::io;
use std::sync::Arc;

use forebay_net::proxy_protocol::{self, Tlvs};
use forebay_net::socket::Socket;
use forebay_net::tls;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_rustls::TlsConnector;

use super::probe::{Deadline, Failure};
use crate::plan::{Protocol, ProxyProtocol, Service};

/// How ALPN calls HTTP/2 (RFC 9113 §3.1).
const H2: &[u8] = b"h2";

/// What is spoken with an endpoint that is checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Speech {
    pub(crate) protocol: Protocol,
    pub(crate) tls: Option<Arc<tls::Client>>,
    pub(crate) proxy_protocol: Option<ProxyProtocol>,
}

impl Speech {
    pub(crate) fn of(service: &Service) -> Self {
        let Service { protocol, tls, proxy_protocol, .. } = service;
        Self { protocol: *protocol, tls: tls.clone(), proxy_protocol: *proxy_protocol }
    }
}

/// Bytes to and from the endpoint.
pub(super) trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Bytes for T {}

/// See the module.
pub(super) struct Wire {
    pub(super) bytes: Box<dyn Bytes>,
    /// HTTP/2 was agreed on, or is known to be spoken.
    pub(super) http2: bool,
    pub(super) scheme: &'static str,
}

/// Makes of a fresh connection one that HTTP can be spoken on; `name` is what the endpoint's certificate is for.
pub(super) async fn open(
    mut socket: Socket,
    speech: &Speech,
    name: &str,
    deadline: Deadline,
) -> Result<Wire, Failure> {
    let mut header = Vec::new();
    match speech.proxy_protocol {
        None => {}
        // It is for nobody that we ask.
        Some(ProxyProtocol::V1) => proxy_protocol::write_v1(&mut header, None),
        Some(ProxyProtocol::V2) => proxy_protocol::write_v2(&mut header, None, &Tlvs::default()),
    }
    if !header.is_empty() {
        deadline.bound("sending", socket.write_all(&header)).await?;
    }
    let Some(client) = &speech.tls else {
        let http2 = speech.protocol == Protocol::H2c;
        return Ok(Wire { bytes: Box::new(socket), http2, scheme: "http" });
    };
    let name = client.name(name).map_err(Failure::said)?;
    let connector = TlsConnector::from(Arc::clone(client.config()));
    let secured = deadline.bound("in the TLS handshake", connector.connect(name, socket)).await;
    let secured = secured.map_err(of_tls)?;
    let http2 = secured.get_ref().1.alpn_protocol() == Some(H2);
    // Requests are not sent in another way either.
    if speech.protocol == Protocol::H2 && !http2 {
        return Err(Failure::said("does not agree to HTTP/2"));
    }
    Ok(Wire { bytes: Box::new(secured), http2, scheme: "https" })
}

/// A handshake has its own words for what went wrong.
fn of_tls(failure: Failure) -> Failure {
    match failure {
        Failure::Endpoint(met) if !met.starts_with("timed out") => Failure::said(format_args!("TLS: {met}")),
        other => other,
    }
}

/// Says goodbye, as far as that can be said at once; how it ends tells nothing about the endpoint.
pub(super) async fn close(mut bytes: Box<dyn Bytes>, last: &[u8], deadline: Deadline) {
    let farewell = async {
        bytes.write_all(last).await?;
        bytes.shutdown().await?;
        Ok::<_, io::Error>(())
    };
    let _ = deadline.bound("closing", farewell).await;
}
