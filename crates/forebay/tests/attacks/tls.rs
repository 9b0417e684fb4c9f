//! Clients that begin a handshake, or end it, and then leave it at that.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread;

use forebay_testkit::DEADLINE;
use forebay_testkit::gateway;
use forebay_testkit::origin::Origin;
use forebay_testkit::scratch::Scratch;
use forebay_testkit::tls::Authority;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::scene::{Ceiling, Scene};

/// A scene with a second listener, for TLS, and what clients need to trust it.
struct Secured {
    scene: Scene,
    address: SocketAddr,
    client: Arc<ClientConfig>,
}

/// Descriptors that this process needs for other things than connections.
const OTHER_FILES: u64 = 500;

fn secured(limits: &str) -> Secured {
    let (authority, folder) = (Authority::new("tests' authority"), Scratch::new("attacks"));
    let issued = authority.issue(&["localhost"]);
    folder.write("cert.pem", &issued.certificate);
    folder.write("cert.key", &issued.key);
    let origin = Origin::named("small");
    let path = folder.path().display();
    let gateway = gateway!(
        "listen: [127.0.0.1:0, \"https://127.0.0.1:0\"]\nadmin: 127.0.0.1:0\nworkers: 1\n\
         tls: {{ cert: \"{path}/cert.pem\", key: \"{path}/cert.key\", redirect: off }}\n\
         limits: {{ {limits} }}\n\
         services:\n  app: {{ endpoints: [\"{}\"] }}\nroutes:\n  - {{ match: /*, to: app }}\n",
        origin.address()
    );
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.pem().as_bytes()).expect("it was just made");
    roots.add(root).expect("it is an authority");
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let address = gateway.listen()[1];
    Secured { scene: Scene::before(gateway, origin), address, client: Arc::new(client) }
}

fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).expect("the gateway listens")
}

#[test]
fn handshakes_that_begin_and_go_no_further() {
    const CLIENTS: usize = 1_000;
    let mut secured = secured("handshake_timeout: 3s");
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut stream = connect(secured.address);
        // The beginning of a ClientHello: a record that is to be 512 bytes long.
        stream.set_read_timeout(Some(DEADLINE)).expect("the timeout is not zero");
        stream.write_all(&[22, 3, 1, 2, 0, 1]).expect("it is connected");
        clients.push(stream);
        if clients.len() % 20 == 0 {
            secured.scene.witness("while they begin");
        }
    }
    let ceiling = Ceiling { mib: 32, requests: 10 * CLIENTS as u32 };
    secured.scene.check("slow_handshakes", ceiling);
    for mut client in clients {
        // An alert, if anything, and the end.
        while client.read(&mut [0; 64]).expect("it is closed in order") > 0 {}
    }
    secured.scene.check("slow_handshakes_over", ceiling);
}

#[test]
fn ten_thousand_that_say_nothing() {
    let room = open_files().saturating_sub(OTHER_FILES);
    let clients = usize::try_from(room.min(10_000)).expect("it is at most ten thousand");
    let mut secured = secured("connections_per_ip: 20000, idle: 600s");
    let threads: Vec<_> = [clients / 2, clients - clients / 2]
        .into_iter()
        .map(|share| {
            let (address, config) = (secured.address, Arc::clone(&secured.client));
            thread::spawn(move || (0..share).map(|_| shake(address, &config)).collect::<Vec<_>>())
        })
        .collect();
    while threads.iter().any(|thread| !thread.is_finished()) {
        secured.scene.witness("while they connect");
    }
    let open: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().expect("it went well")).collect();
    // 10 KiB for each, and a handshake may cost what thirty requests do.
    let ceiling = Ceiling { mib: clients as u64 * 10 / 1024, requests: 30 * clients as u32 };
    secured.scene.check("idle_tls", ceiling);
    let connected = secured.scene.gateway.metric("forebay_connections_by_protocol{tls=\"yes\"}");
    assert!(connected >= clients as f64, "{connected} of {clients} are still there");
    drop(open);
    secured.scene.gateway.await_metric("forebay_connections", |open| open <= 2.0);
}

/// A connection after its handshake. What the client knows of it is forgotten: nothing will be said.
fn shake(address: SocketAddr, config: &Arc<ClientConfig>) -> TcpStream {
    let name = ServerName::try_from("localhost").expect("it is a name");
    let mut session = ClientConnection::new(Arc::clone(config), name).expect("the configuration is sound");
    let mut stream = connect(address);
    session.complete_io(&mut stream).expect("the handshake goes well");
    stream
}

/// Files that this process may have open, after asking for as many as it can have.
fn open_files() -> u64 {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // If it cannot be raised, what there is has to do.
    let _ = setrlimit(Resource::Nofile, limit);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
