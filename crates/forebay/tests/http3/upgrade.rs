//! One process takes another's place while clients speak HTTP/3 with both.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use bytes::Bytes;
use forebay_testkit::check::eventually;
use forebay_testkit::gateway::Signal;
use forebay_testkit::lineage;
use forebay_testkit::lineage::Lineage;
use forebay_testkit::origin::Origin;
use forebay_testkit::scratch::Scratch;
use forebay_testkit::tls::Authority;

use crate::NO_ERROR;
use crate::client::{Client, Stream, response, run};

struct Site {
    lineage: Lineage,
    authority: Authority,
    folder: Scratch,
}

fn site(origin: &Origin, workers: usize, more: &str) -> Site {
    let folder = Scratch::new("http3-upgrade");
    let authority = Authority::new("tests' authority");
    let issued = authority.issue(&["localhost"]);
    folder.write("cert.pem", &issued.certificate);
    folder.write("cert.key", &issued.key);
    let lineage = lineage!("{}", settings(&folder, origin, workers, more));
    Site { lineage, authority, folder }
}

fn settings(folder: &Scratch, origin: &Origin, workers: usize, more: &str) -> String {
    let path = folder.path().display();
    format!(
        "listen: [{{ address: \"https://127.0.0.1:0\", http3: on }}]\nadmin: 127.0.0.1:0\nworkers: {workers}\n\
         tls: {{ cert: \"{path}/cert.pem\", key: \"{path}/cert.key\", redirect: off }}\n\
         services:\n  app: {{ endpoints: [\"{}\"] }}\nroutes:\n  - {{ match: /*, to: app }}\n{more}\n",
        origin.address()
    )
}

impl Site {
    async fn connect(&self) -> Client {
        Client::connect(self.lineage.addr(), &self.authority).await.expect("the handshake goes well")
    }

    /// Replaces the process that serves; returns those before and after.
    fn upgrade(&self) -> (u32, u32) {
        let before = self.lineage.pid();
        let answer = self.lineage.ask_for_upgrade();
        assert_eq!(answer.status, 200, "{answer}");
        (before, self.lineage.await_successor(before))
    }
}

/// Returns the body.
fn mirror() -> Origin {
    Origin::start(|conn| {
        while let Ok(request) = conn.request() {
            conn.reply("200 OK", &request.body);
        }
    })
}

async fn begin(client: &mut Client) -> Stream {
    let mut stream = client.begin("POST", "/").await;
    stream.send_data(Bytes::from_static(b"first ")).await.expect("it is taken");
    // That one is there by then.
    assert_eq!(client.get("/").await.0.status(), 200);
    stream
}

/// Sends a lot more, which takes acknowledgements of the process that has the connection.
async fn end(mut stream: Stream) {
    for _ in 0..40 {
        stream.send_data(Bytes::from(vec![b'x'; 50_000])).await.expect("it is taken");
    }
    stream.finish().await.expect("it is taken");
    assert_eq!(response(stream).await.expect("it is answered").status(), 200);
}

/// Says so when it is dropped.
struct OnDrop<'a>(&'a AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn newcomers_are_served_and_requests_in_flight_are_finished() {
    let origin = mirror();
    // None of those who ask once says goodbye.
    let mut site = site(&origin, 2, "limits: { connections_per_ip: 16384 }");
    let address = site.lineage.addr();
    let (stop, served) = (AtomicBool::default(), AtomicUsize::default());
    let mut olds = Vec::new();
    thread::scope(|scope| {
        let authority = &site.authority;
        let (stop, served) = (&stop, &served);
        for _ in 0..2 {
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    run(async {
                        let connected = Client::connect(address, authority).await;
                        let mut client = connected.expect("nobody is refused");
                        assert_eq!(client.get("/").await.0.status(), 200);
                    });
                    served.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let more = |more: usize| {
            let before = served.load(Ordering::Relaxed);
            eventually("newcomers", || (served.load(Ordering::Relaxed) >= before + more).then_some(()));
        };
        // However this ends.
        let _end = OnDrop(stop);
        run(async {
            // By several sockets, very likely.
            let (mut clients, mut streams) = (Vec::new(), Vec::new());
            for _ in 0..6 {
                let mut client = site.connect().await;
                streams.push(begin(&mut client).await);
                clients.push(client);
            }
            // The second one comes while the first process still serves these.
            for _ in 0..2 {
                let (old, _) = site.upgrade();
                olds.push(old);
                more(20);
            }
            assert!(site.lineage.is_running(olds[0]));
            for stream in streams {
                end(stream).await;
            }
            for client in clients {
                assert_eq!(client.closed().await, NO_ERROR);
            }
        });
        more(20);
    });
    for old in olds {
        site.lineage.await_end(old);
    }
}

#[test]
fn an_heir_with_more_workers_or_fewer_takes_all_sockets() {
    let origin = mirror();
    let mut site = site(&origin, 3, "");
    for workers in [1, 4] {
        site.lineage.write_settings(&settings(&site.folder, &origin, workers, ""));
        let (old, _) = site.upgrade();
        site.lineage.await_end(old);
        run(async {
            for _ in 0..20 {
                assert_eq!(site.connect().await.get("/").await.0.status(), 200);
            }
        });
    }
}

#[test]
fn who_is_cut_off_is_told() {
    let origin = mirror();
    let mut site = site(&origin, 2, "limits: { drain: 300ms }");
    let pid = site.lineage.pid();
    run(async {
        let mut client = site.connect().await;
        let _stream = begin(&mut client).await;
        site.lineage.signal(pid, Signal::Terminate);
        assert_eq!(client.closed().await, NO_ERROR);
    });
    site.lineage.await_end(pid);
}
