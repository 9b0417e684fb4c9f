//! The loss of one of three endpoints, in each of the ways they get lost, while requests keep coming.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use forebay_testkit::check::{eventually, json, problem};
use forebay_testkit::gateway;
use forebay_testkit::gateway::Gateway;
use forebay_testkit::origin::{Conn, Gate, Origin, Seen};
use forebay_testkit::settings::{in_front_of, top};
use forebay_testkit::wire::Client;

/// Clients that ask at the same time.
const CLIENTS: usize = 8;

/// Three origins of which the first can be told to misbehave.
struct Three {
    all: [Origin; 3],
    /// What the first one does with requests.
    fault: Arc<Fault>,
}

#[derive(Default)]
struct Fault {
    /// Takes them and says nothing.
    silent: AtomicBool,
    /// Answers them with 500.
    failing: AtomicBool,
}

impl Three {
    fn start() -> Self {
        let fault = Arc::new(Fault::default());
        let told = Arc::clone(&fault);
        let first = Origin::start(move |conn| told.serve(conn));
        Self { all: [first, Origin::named("b"), Origin::named("c")], fault }
    }

    fn first(&self) -> &Origin {
        &self.all[0]
    }

    /// A gateway before them, with these further keys of the service.
    fn gateway(&self, service: &str) -> Gateway {
        let endpoints = self.all.each_ref().map(|origin| format!("\"{}\"", origin.address())).join(", ");
        gateway!(
            "{}services:\n  app: {{ endpoints: [{endpoints}], {service} }}\nroutes:\n  - {{ match: /*, to: app }}\n",
            top()
        )
    }

    /// Sends a request for `/held` that the first one takes and does not answer; gives its client.
    fn hold(&self, gateway: &Gateway, request: &str) -> Client {
        loop {
            let (first, all) = (self.held()[0], self.held().iter().sum::<usize>());
            let mut client = gateway.client();
            client.send(request).expect("connected");
            eventually("the request's arrival", || (self.held().iter().sum::<usize>() > all).then_some(()));
            if self.held()[0] > first {
                return client;
            }
        }
    }

    /// How many requests for `/held` reached each.
    fn held(&self) -> [usize; 3] {
        let is_held = |seen: &Seen| seen.request.target == "/held";
        self.all.each_ref().map(|origin| origin.seen().iter().filter(|seen| is_held(seen)).count())
    }
}

impl Fault {
    fn serve(&self, conn: &mut Conn) {
        while let Ok(request) = conn.request() {
            if self.silent.load(Ordering::SeqCst) || request.target == "/held" {
                conn.stall();
                return;
            }
            if self.failing.load(Ordering::SeqCst) {
                conn.reply("500 Internal Server Error", b"a");
            } else {
                conn.reply("200 OK", b"a");
            }
        }
    }
}

/// Clients that ask without a pause until they are told to stop.
struct Traffic {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

impl Traffic {
    fn start(address: SocketAddr) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let clients = (0..CLIENTS)
            .map(|_| {
                let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
                thread::spawn(move || ask(address, &stop, &done))
            })
            .collect();
        Self { stop, done, clients }
    }

    /// Waits for so many more answers.
    fn more(&self, count: usize) {
        let from = self.done.load(Ordering::SeqCst);
        eventually("more answers", || (self.done.load(Ordering::SeqCst) >= from + count).then_some(()));
    }

    /// Everything that was not a 200.
    fn failures(self) -> Vec<String> {
        self.stop.store(true, Ordering::SeqCst);
        self.clients.into_iter().flat_map(|client| client.join().expect("clients do not panic")).collect()
    }
}

fn ask(address: SocketAddr, stop: &AtomicBool, done: &AtomicUsize) -> Vec<String> {
    let mut failures = Vec::new();
    let mut client = Client::connect(address);
    while !stop.load(Ordering::SeqCst) {
        match client.ask("GET /x HTTP/1.1\r\nHost: t\r\n\r\n") {
            Ok(answer) if answer.status == 200 => {}
            Ok(answer) => failures.push(answer.to_string()),
            Err(failed) => {
                failures.push(failed.to_string());
                client = Client::connect(address);
            }
        }
        done.fetch_add(1, Ordering::SeqCst);
    }
    failures
}

const HELD: &str = "GET /held HTTP/1.1\r\nHost: t\r\n\r\n";
const HELD_POST: &str = "POST /held HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\nhi";

/// Quick enough for a test; what is lost is the same.
const QUICK: &str = "timeout: { connect: 300ms, tcp_user: 300ms }";

#[test]
fn killing_one_of_three_costs_no_request() {
    let three = Three::start();
    let gateway = three.gateway("");
    let mut held = three.hold(&gateway, HELD);
    let traffic = Traffic::start(gateway.addr());
    traffic.more(300);
    three.first().kill();
    traffic.more(300);
    let answer = held.response("GET").unwrap_or_else(|failed| panic!("{failed}"));
    assert!(answer.status == 200 && ["b", "c"].contains(&answer.text().as_str()), "{answer}");
    assert_eq!(traffic.failures(), [""; 0]);
}

#[test]
fn losing_the_network_of_one_of_three_costs_no_request() {
    let three = Three::start();
    let gateway = three.gateway(QUICK);
    let mut held = three.hold(&gateway, HELD);
    let traffic = Traffic::start(gateway.addr());
    traffic.more(300);
    three.first().black_hole();
    traffic.more(1_000);
    let answer = held.response("GET").unwrap_or_else(|failed| panic!("{failed}"));
    assert!(answer.status == 200 && ["b", "c"].contains(&answer.text().as_str()), "{answer}");
    assert_eq!(traffic.failures(), [""; 0]);
    let before = three.first().count();
    three.first().revive();
    // What was lost before may arrive now; what is asked from now on does, once its time is over.
    eventually("requests for what is back", || {
        let _ = gateway.get("/x");
        (three.first().count() > before).then_some(())
    });
}

#[test]
fn what_falls_silent_loses_its_requests_to_others() {
    let three = Three::start();
    let health = "health: { path: /up, interval: 100ms, fast_interval: 100ms, timeout: 300ms }";
    let gateway = three.gateway(health);
    let traffic = Traffic::start(gateway.addr());
    traffic.more(300);
    three.fault.silent.store(true, Ordering::SeqCst);
    // Every client meets it before long and waits there, until its check has failed.
    traffic.more(1_000);
    assert_eq!(traffic.failures(), [""; 0]);
    let before = three.first().seen().iter().filter(|seen| seen.request.target == "/x").count();
    for _ in 0..20 {
        assert_eq!(gateway.get("/x").status, 200);
    }
    let after = three.first().seen().iter().filter(|seen| seen.request.target == "/x").count();
    assert_eq!(after, before);
}

#[test]
fn what_answers_500_is_left_out() {
    let three = Three::start();
    let gateway = three.gateway("outlier: { failures: 5, eject_for: 1h }");
    let address = three.first().address();
    let traffic = Traffic::start(gateway.addr());
    traffic.more(300);
    three.fault.failing.store(true, Ordering::SeqCst);
    let out = eventually("the ejection", || {
        let path = format!("/api/v1/services/app/endpoints/{address}");
        let endpoint = json(&gateway.admin_get(&path));
        (endpoint["state"] == "ejected").then_some(endpoint)
    });
    assert!(out["outs"][0]["until"].is_string(), "{out:#}");
    let mut client = gateway.client();
    // Once what was under way then has ended.
    eventually("the last of them", || (client.get("/x").status == 200).then_some(()));
    let before = three.first().count();
    traffic.more(500);
    assert!(three.first().count() <= before + CLIENTS, "it still gets requests");
    let failures = traffic.failures();
    assert!(failures.len() >= 5, "an answer is passed on as it is: {failures:?}");
    assert!(failures.len() < 300, "{} of them", failures.len());
}

#[test]
fn what_may_have_been_done_is_not_done_again() {
    let three = Three::start();
    let gateway = three.gateway(QUICK);
    let mut held = three.hold(&gateway, HELD_POST);
    let before = three.held();
    three.first().kill();
    let answer = held.response("POST").unwrap_or_else(|failed| panic!("{failed}"));
    assert_eq!(problem(&answer, 502), Ok("upstream_closed".to_owned()));
    assert_eq!(three.held(), before);
}

#[test]
fn all_three_gone_is_said_and_one_back_is_found() {
    let gate = Gate::new();
    let three = Three::start();
    let gateway = three.gateway("outlier: { eject_for: 100ms }");
    assert_eq!(gateway.get("/x").status, 200);
    for origin in &three.all {
        origin.kill();
    }
    eventually("the refusal", || (gateway.get("/x").status >= 502).then_some(()));
    let address = three.first().address();
    drop(three);
    let opened = gate.clone();
    let _back = Origin::start_at(address, move |conn| {
        opened.open();
        while conn.request().is_ok() {
            conn.reply("200 OK", b"back");
        }
    });
    eventually("the answer", || (gateway.get("/x").status == 200).then_some(()));
    gate.pass();
}

#[test]
fn a_body_behind_its_head_does_not_hide_that_the_host_is_gone() {
    let origin = Origin::named("a");
    let gateway = gateway!("{}", in_front_of(origin.address(), ""));
    let mut client = gateway.client();
    // A connection that is kept, so that none has to be opened.
    assert_eq!(client.get("/x").status, 200);
    origin.black_hole();
    client.send("POST /x HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\n").expect("connected");
    gateway.await_metric("forebay_upstream_reused_total", |reused| reused >= 1.0);
    client.send("body").expect("connected");
    // The default of `first_byte` is a minute, and the client waits for twenty seconds.
    let answer = client.response("POST").unwrap_or_else(|failed| panic!("{failed}"));
    assert_eq!(problem(&answer, 502), Ok("upstream_closed".to_owned()));
}
