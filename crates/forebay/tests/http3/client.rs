//! A client that speaks HTTP/3 by other people's code: `h3` and `quinn`.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use forebay_testkit::DEADLINE;
use forebay_testkit::tls::Authority;
use h3::client::{RequestStream, SendRequest};
use h3_quinn::{BidiStream, OpenStreams};
use http::{Request, Response};
use quinn::crypto::rustls::QuicClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// A connection.
pub(crate) struct Client {
    requests: SendRequest<OpenStreams, Bytes>,
    quic: quinn::Connection,
    address: SocketAddr,
    // The socket belongs to it.
    _endpoint: quinn::Endpoint,
}

/// A request that is under way.
pub(crate) type Stream = RequestStream<BidiStream<Bytes>, Bytes>;

/// Runs `test`; fails rather than hangs.
pub(crate) fn run<F: Future<Output = ()>>(test: F) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("there is memory");
    runtime.block_on(async { tokio::time::timeout(DEADLINE, test).await.expect("in time") });
}

impl Client {
    /// Connects as somebody who trusts `authority`.
    pub(crate) async fn connect(
        address: SocketAddr,
        authority: &Authority,
    ) -> Result<Self, quinn::ConnectionError> {
        let mut roots = rustls::RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(authority.pem().as_bytes()).expect("it is a certificate");
        roots.add(root).expect("it is a certificate");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("it is spoken")
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"h3".to_vec()];
        let config = QuicClientConfig::try_from(tls).expect("the suites are there");
        let endpoint = quinn::Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).expect("there are ports");
        let config = quinn::ClientConfig::new(Arc::new(config));
        let quic = endpoint.connect_with(config, address, "localhost").expect("a plain name").await?;
        let connection = h3_quinn::Connection::new(quic.clone());
        let (mut driver, requests) = h3::client::new(connection).await.expect("the connection is open");
        tokio::spawn(async move { std::future::poll_fn(|cx| driver.poll_close(cx)).await });
        Ok(Self { requests, quic, address, _endpoint: endpoint })
    }

    /// Begins a request.
    pub(crate) async fn begin(&mut self, method: &str, path: &str) -> Stream {
        let uri = format!("https://localhost:{}{path}", self.address.port());
        let request = Request::builder().method(method).uri(uri).body(()).expect("it is a request");
        self.requests.send_request(request).await.expect("the connection is open")
    }

    /// Sends a request with this body, and reads the response.
    pub(crate) async fn exchange(
        &mut self,
        method: &str,
        path: &str,
        body: &[u8],
    ) -> (Response<()>, Vec<u8>) {
        let (mut send, mut recv) = self.begin(method, path).await.split();
        let upload = async {
            for piece in body.chunks(100_000) {
                send.send_data(Bytes::copy_from_slice(piece)).await.expect("it is taken");
            }
            send.finish().await.expect("it is taken");
        };
        let download = async {
            let response = recv.recv_response().await.expect("there is a response");
            let mut got = Vec::new();
            while let Some(mut data) = recv.recv_data().await.expect("there is a body") {
                got.extend_from_slice(&data.copy_to_bytes(data.remaining()));
            }
            (response, got)
        };
        tokio::join!(upload, download).1
    }

    pub(crate) async fn get(&mut self, path: &str) -> (Response<()>, Vec<u8>) {
        self.exchange("GET", path, b"").await
    }

    /// The code that the connection is closed with by the other side.
    pub(crate) async fn closed(&self) -> Option<u64> {
        match self.quic.closed().await {
            quinn::ConnectionError::ApplicationClosed(close) => Some(close.error_code.into_inner()),
            _ => None,
        }
    }
}

/// Reads the response to a request.
pub(crate) async fn response(mut stream: Stream) -> Result<Response<()>, h3::error::StreamError> {
    let response = stream.recv_response().await?;
    while stream.recv_data().await?.is_some() {}
    Ok(response)
}
