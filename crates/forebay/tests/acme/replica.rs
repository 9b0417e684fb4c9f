//! A gateway as far as certificates go: what keeps them, what shows them, and the two ports an authority looks at.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use forebay::acme::{Keeper, Timing, View};
use forebay_net::tls::{CertificateInfo, Server, ServerSettings};
use forebay_proxy::challenge::Challenges;
use forebay_proxy::plan::{Acme, Challenge, Tls};
use forebay_telemetry::access::{Format, Target};
use forebay_telemetry::log::{Level, Log, Settings};
use forebay_testkit::check::eventually;
use forebay_testkit::scratch::Scratch;
use tokio::sync::oneshot;

/// What is to be kept.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) directory: String,
    pub(crate) ca: String,
    pub(crate) storage: Box<Path>,
    pub(crate) domains: Vec<Box<str>>,
    pub(crate) challenge: Challenge,
}

/// A keeper with its control plane.
pub(crate) struct Replica {
    keeper: Keeper,
    server: Arc<Server>,
    log: Log,
    scratch: Scratch,
    /// Ends the control plane when dropped.
    _stop: oneshot::Sender<()>,
}

/// What answers at a port.
#[derive(Clone)]
struct Behind {
    challenges: Arc<Challenges>,
    server: Arc<Server>,
}

/// A port that an authority looks at.
pub(crate) struct Door {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    behind: Mutex<Vec<Behind>>,
    asked: AtomicUsize,
}

impl Site {
    pub(crate) fn new(directory: &str, ca: &str, storage: &Path, domains: &[&str]) -> Self {
        Self {
            directory: directory.to_owned(),
            ca: ca.to_owned(),
            storage: storage.into(),
            domains: domains.iter().map(|&domain| domain.into()).collect(),
            challenge: Challenge::Http01,
        }
    }

    pub(crate) fn by(self, challenge: Challenge) -> Self {
        Self { challenge, ..self }
    }

    /// With a storage of its own.
    pub(crate) fn labelled(self, label: usize) -> Self {
        Self { storage: self.storage.join(label.to_string()).into(), ..self }
    }

    fn tls(&self, server: &Arc<Server>) -> Tls {
        let acme = Acme {
            domains: self.domains.clone(),
            email: Some("admin@shop.test".into()),
            directory: self.directory.as_str().into(),
            ca: Some(self.ca.as_bytes().into()),
            storage: self.storage.clone(),
            challenge: self.challenge,
        };
        Tls { server: Arc::clone(server), redirect: None, hsts: None, acme: Some(acme) }
    }
}

impl Replica {
    pub(crate) fn start(site: &Site) -> Self {
        let scratch = Scratch::new("replica");
        let target = Target::File(scratch.path().join("log"));
        let settings = Settings { level: Level::Debug, format: Format::Text, colour: false, target };
        let log = Log::start(&settings).expect("the directory was just made");
        let timing = Timing {
            look: Duration::from_millis(20),
            unreachable_first: Duration::from_secs(1),
            unreachable_most: Duration::from_secs(1),
            ..Timing::default()
        };
        let (stop, stopped) = oneshot::channel();
        let (give, given) = std::sync::mpsc::channel();
        let to = log.clone();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime can be made").block_on(async {
                give.send(Keeper::start(to, timing)).expect("it is waited for");
                let _: Result<(), _> = stopped.await;
            });
        });
        let keeper = given.recv().expect("the thread gives it");
        let server = Arc::new(Server::new(ServerSettings::default(), None).expect("no certificate is good"));
        keeper.follow(Some(&site.tls(&server)));
        Self { keeper, server, log, scratch, _stop: stop }
    }

    pub(crate) fn follow(&self, site: &Site) {
        self.keeper.follow(Some(&site.tls(&self.server)));
    }

    pub(crate) fn unfollow(&self) {
        self.keeper.follow(None);
    }

    pub(crate) fn certificates(&self) -> Vec<CertificateInfo> {
        self.server.certificates()
    }

    pub(crate) fn view(&self) -> View {
        self.keeper.view().expect("there is something to keep")
    }

    pub(crate) fn await_certificate(&self) -> CertificateInfo {
        eventually(&format!("a certificate; the log: {}", self.scratch.read("log")), || {
            self.certificates().into_iter().next()
        })
    }

    /// Waits until it is on disk as well.
    pub(crate) fn await_saved(&self, storage: &Scratch) -> CertificateInfo {
        let certificate = self.await_certificate();
        eventually("the certificate on disk", || {
            let files = std::fs::read_dir(storage.path().join("certificates")).ok()?;
            let whole = files.flatten().map(|file| file.path()).filter(|path| path.extension().is_some());
            let texts = whole.filter_map(|path| std::fs::read(path).ok());
            let infos = texts.filter_map(|text| CertificateInfo::of_pem(&text, "it").ok());
            infos.map(|info| info.serial).find(|serial| *serial == certificate.serial)
        });
        certificate
    }

    /// Waits until it has looked at its storage some times, and so decided anew.
    pub(crate) fn await_look(&self) {
        let before = self.view().looks;
        eventually("looks", || (self.view().looks >= before + 3).then_some(()));
    }

    pub(crate) fn await_logged(&self, text: &str) {
        eventually(text, || {
            self.log.flush(Duration::from_secs(1));
            self.scratch.read("log").contains(text).then_some(())
        });
    }

    fn behind(&self) -> Behind {
        Behind { challenges: Arc::clone(self.keeper.challenges()), server: Arc::clone(&self.server) }
    }
}

impl Door {
    /// Answers as the gateway's port 80 does.
    pub(crate) fn http() -> Self {
        Self::open(answer_http)
    }

    /// Answers as the gateway's port 443 does.
    pub(crate) fn tls() -> Self {
        Self::open(answer_tls)
    }

    fn open(answer: fn(TcpStream, &Behind)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let shared = Arc::<Shared>::default();
        let for_thread = Arc::downgrade(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Some(shared) = for_thread.upgrade() else { return };
                let asked = shared.asked.fetch_add(1, Ordering::SeqCst);
                let behind = shared.behind.lock().expect("nobody panics").clone();
                if let Some(behind) = behind.get(asked % behind.len().max(1)) {
                    answer(stream, behind);
                }
            }
        });
        Self { port, shared }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// How often somebody came.
    pub(crate) fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }

    pub(crate) fn lead_to(&self, replica: &Replica) {
        self.lead_to_all(std::slice::from_ref(replica));
    }

    /// To each in turn.
    pub(crate) fn lead_to_all(&self, replicas: &[Replica]) {
        *self.shared.behind.lock().expect("nobody panics") = replicas.iter().map(Replica::behind).collect();
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        *self.shared.behind.lock().expect("nobody panics") = Vec::new();
        // Wakes the thread, which sees that it is over.
        let port = self.port;
        self.shared = Arc::default();
        drop(TcpStream::connect(("127.0.0.1", port)));
    }
}

fn answer_http(mut stream: TcpStream, behind: &Behind) {
    let mut line = String::new();
    if BufReader::new(&stream).read_line(&mut line).is_err() {
        return;
    }
    let path = line.split(' ').nth(1).unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime can be made");
    let answer = match runtime.block_on(behind.challenges.fetch(path)) {
        Some(text) => {
            format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{text}", text.len())
        }
        None => "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".to_owned(),
    };
    // Who has gone does not wait for it.
    let _ = stream.write_all(answer.as_bytes());
}

fn answer_tls(stream: TcpStream, behind: &Behind) {
    let config = Arc::clone(behind.server.config(true));
    let connection = rustls::ServerConnection::new(config).expect("the configuration is good");
    // The authority closes the connection once it has seen the certificate.
    let _ = rustls::StreamOwned::new(connection, stream).read(&mut [0]);
}
