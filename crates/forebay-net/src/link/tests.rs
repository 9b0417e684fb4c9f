use std::cell::RefCell;
use std::future::Future;
use std::io::{self, Read, Write};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use forebay_base::time::Instant;
use forebay_testkit::chance::Chance;
use forebay_testkit::tls::{Authority, Issued, Wish};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use super::*;
use crate::tls::{
    Alpn, Certificate, Client, ClientAuth, ClientSettings, Handshake, Offer, Server, ServerSettings, UnknownName,
    Version,
};
use crate::wheel::Wheel;

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

    async fn accept(&self, link: Link, server: &Server) -> Result<(Link, Handshake), TlsFailure> {
        link.accept_tls(server, true, &[], &self.wheel.alarm(), soon()).await
    }

    async fn connect(&self, link: Link, client: &Client, host: &str) -> Result<(Link, Handshake), TlsFailure> {
        link.connect_tls(client, host, &self.wheel.alarm(), soon()).await
    }

    /// Both sides of a handshake, the server's first.
    async fn shake(
        &self,
        server: &Server,
        client: &Client,
        host: &str,
    ) -> (Result<(Link, Handshake), TlsFailure>, Result<(Link, Handshake), TlsFailure>) {
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

#[test]
fn both_sides_agree() {
    run(async |stage| {
        let (server, client) = stage.shake(&stage.server(), &stage.client(), "www.shop.test").await;
        let (server, client) = (server.unwrap(), client.unwrap());
        assert_eq!(server.1.sni.as_deref(), Some("www.shop.test"));
        assert_eq!((server.1.alpn, server.1.version), (Alpn::H1, Version::V1_3));
        assert_eq!((client.1.alpn, client.1.version), (Alpn::H1, Version::V1_3));
        assert_eq!(server.1.cipher, client.1.cipher);
        assert!(!server.1.resumed && server.1.client.is_none());
        assert_eq!(stage.read(&server.0, 1).await.unwrap(), b"x");
        stage.write(&server.0, b"hello").await;
        assert_eq!(stage.read(&client.0, 5).await.unwrap(), b"hello");
    });
}
