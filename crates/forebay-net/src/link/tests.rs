//! Secured connections, against ourselves, rustls as it is, and OpenSSL.

mod bytes;
mod closing;
mod handshakes;
mod nonsense;
mod openssl;

use std::sync::Arc;
use std::time::Duration;

use forebay_base::time::Instant;
use forebay_testkit::tls::{Authority, Issued};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::tls::{Certificate, Client, ClientSettings, Failure, Handshake, Server, ServerSettings};
use crate::wheel::Wheel;

/// rustls as others use it: blocking, with its own buffers.
type Plain = StreamOwned<ClientConnection, std::net::TcpStream>;
type Shaken = Result<(Link, Handshake), TlsFailure>;

const LONG: Duration = Duration::from_secs(20);

/// What a test has: an authority, and a clock that wakes.
struct Stage {
    authority: Authority,
    wheel: Wheel,
}

fn run<T>(test: impl AsyncFnOnce(Stage) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stage = Stage { authority: Authority::new("test root"), wheel: Wheel::default() };
        let clock = stage.wheel.clone().run();
        tokio::select! {
            () = clock => unreachable!("the wheel never ends"),
            result = test(stage) => result,
        }
    })
}

fn certificate(issued: &Issued, origin: &str) -> Certificate {
    Certificate {
        chain: issued.certificate.as_bytes().into(),
        key: issued.key.as_bytes().into(),
        origin: origin.into(),
    }
}

fn soon() -> Instant {
    Instant::now() + LONG
}

impl Stage {
    /// A server for `*.shop.test`, `shop.test` and `127.0.0.1`.
    fn settings(&self) -> ServerSettings {
        let issued = self.authority.issue(&["shop.test", "*.shop.test", "127.0.0.1"]);
        ServerSettings { certificates: vec![certificate(&issued, "shop.pem")], ..ServerSettings::default() }
    }

    fn server(&self) -> Server {
        Server::new(self.settings(), None).unwrap()
    }

    fn client_settings(&self) -> ClientSettings {
        ClientSettings {
            ca: Some(self.authority.pem().into_bytes().into()),
            ca_origin: "root.pem".into(),
            ..ClientSettings::default()
        }
    }

    fn client(&self) -> Client {
        Client::new(self.client_settings()).unwrap()
    }

    async fn accept(&self, link: Link, server: &Server) -> Shaken {
        link.accept_tls(server, true, &[], &self.wheel.alarm(), soon()).await
    }

    async fn connect(&self, link: Link, client: &Client, host: &str) -> Shaken {
        link.connect_tls(client, host, &self.wheel.alarm(), soon()).await
    }

    /// Both sides of a handshake, the server's first.
    async fn shake(&self, server: &Server, client: &Client, host: &str) -> (Shaken, Shaken) {
        let (ours, theirs) = pair().await;
        let accept = self.accept(ours, server);
        let connect = async {
            let (link, handshake) = self.connect(theirs, client, host).await?;
            // The last word goes out with what is written next.
            link.write_all([b"x"], &self.wheel.alarm(), soon).await.map_err(Failure::from)?;
            Ok((link, handshake))
        };
        tokio::join!(accept, connect)
    }

    /// Two sides of a secured connection.
    async fn secured(&self) -> (Link, Link) {
        let (server, client) = self.shake(&self.server(), &self.client(), "shop.test").await;
        let (server, client) = (server.unwrap().0, client.unwrap().0);
        assert_eq!(self.read(&server, 1).await.unwrap(), b"x");
        (server, client)
    }

    /// Reads exactly `n` bytes.
    async fn read(&self, link: &Link, n: usize) -> Result<Vec<u8>, LinkError> {
        let mut buffer = Buffer::new(n);
        while buffer.len() < n {
            if link.fill(&mut buffer, &self.wheel.alarm(), soon).await? == 0 {
                break;
            }
        }
        Ok(buffer.filled().to_vec())
    }

    async fn write(&self, link: &Link, bytes: &[u8]) {
        link.write_all([bytes], &self.wheel.alarm(), soon).await.unwrap();
    }
}

async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let theirs = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (listener.accept().await.unwrap().0, theirs)
}

async fn pair() -> (Link, Link) {
    let (ours, theirs) = sockets().await;
    (Link::new(ours), Link::new(theirs))
}

impl Stage {
    /// Settings of rustls's own client, which speaks `versions`.
    fn config(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        alter: impl FnOnce(&mut ClientConfig),
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.pem().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        alter(&mut config);
        Arc::new(config)
    }
}

/// rustls's own client over `socket`.
fn plain(socket: TcpStream, config: &Arc<ClientConfig>) -> Plain {
    let name = ServerName::try_from("shop.test").unwrap();
    let socket = socket.into_std().unwrap();
    socket.set_nonblocking(false).unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    StreamOwned::new(ClientConnection::new(Arc::clone(config), name).unwrap(), socket)
}

/// The word of a handshake's failure, or what it came to.
fn word(shaken: &Shaken) -> &'static str {
    match shaken {
        Ok(_) => "agreed",
        Err(failure) => failure.why.word(),
    }
}

/// Does something that blocks beside what goes on here.
async fn beside<T: Send + 'static>(what: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(what).await.unwrap()
}
