//! One process takes another's place: no client notices, and if it cannot, nothing changes.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use forebay_testkit::check::{eventually, json};
use forebay_testkit::gateway::Signal;
use forebay_testkit::lineage;
use forebay_testkit::lineage::Lineage;
use forebay_testkit::origin::{Gate, Origin};
use forebay_testkit::settings::in_front_of;
use forebay_testkit::wire::Client;

const BUILT: &str = env!("CARGO_BIN_EXE_forebay");

/// Clients that ask all the time, each in its own way.
struct Load {
    stop: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    fn start(address: SocketAddr, clients: usize) -> Self {
        let (stop, served) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let clients = (0..clients)
            .map(|number| {
                let (stop, served) = (Arc::clone(&stop), Arc::clone(&served));
                thread::spawn(move || keep_asking(address, number, &stop, &served))
            })
            .collect();
        Self { stop, served, clients }
    }

    /// Waits until so many more requests have been served.
    fn await_more(&self, more: usize) {
        let before = self.served.load(Ordering::Relaxed);
        eventually("load", || (self.served.load(Ordering::Relaxed) >= before + more).then_some(()));
    }

    /// Ends it: no request may have failed.
    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        let failures: Vec<String> =
            self.clients.into_iter().flat_map(|client| client.join().expect("it does not panic")).collect();
        assert!(failures.is_empty(), "{} failed: {:#?}", failures.len(), &failures[..failures.len().min(5)]);
    }
}

/// Even clients keep their connections until they are told that they end; odd ones open one for each request.
fn keep_asking(address: SocketAddr, number: usize, stop: &AtomicBool, served: &AtomicUsize) -> Vec<String> {
    let mut failures = Vec::new();
    while !stop.load(Ordering::Relaxed) && failures.len() < 3 {
        let stream = match TcpStream::connect_timeout(&address, Duration::from_secs(5)) {
            Ok(stream) => stream,
            Err(error) => {
                failures.push(format!("client {number} cannot connect: {error}"));
                continue;
            }
        };
        let mut client = Client::over(stream);
        for answers in 0.. {
            let close = if number.is_multiple_of(2) { "" } else { "Connection: close\r\n" };
            match client.ask(format!("GET /x HTTP/1.1\r\nHost: t\r\n{close}\r\n")) {
                Ok(response) if response.status == 200 => {
                    served.fetch_add(1, Ordering::Relaxed);
                    if response.closes() || stop.load(Ordering::Relaxed) {
                        break;
                    }
                }
                Ok(response) => {
                    failures.push(format!("client {number}: {response}"));
                    break;
                }
                Err(failed) => {
                    failures.push(format!("client {number}, after {answers} answers: {failed}"));
                    break;
                }
            }
        }
    }
    failures
}

/// Settings for so many workers; `endpoint` gets every request.
fn settings(endpoint: SocketAddr, workers: usize) -> String {
    in_front_of(endpoint, "").replace("workers: 1", &format!("workers: {workers}"))
}

/// What kept an upgrade from happening.
fn refusal(lineage: &Lineage) -> String {
    let response = lineage.ask_for_upgrade();
    assert_eq!(response.status, 409, "{response}");
    json(&response).to_string()
}

#[test]
fn ten_upgrades_in_a_row_under_load_fail_no_request() {
    let origin = Origin::echo();
    let mut lineage = lineage!("{}", settings(origin.address(), 2));
    let (address, admin) = (lineage.addr(), lineage.admin());
    let load = Load::start(address, 12);
    load.await_more(200);
    // As many workers, fewer, more: every socket must be accepted from whatever their number.
    for workers in [2, 2, 1, 3, 3, 1, 2, 4, 2, 2] {
        let before = lineage.pid();
        lineage.write_settings(&settings(origin.address(), workers));
        let answer = lineage.ask_for_upgrade();
        assert_eq!(answer.status, 200, "{answer}");
        let after = lineage.await_successor(before);
        assert_eq!(json(&answer)["pid"].as_u64(), Some(u64::from(after)));
        load.await_more(100);
        lineage.await_end(before);
        assert_eq!((lineage.addr(), lineage.admin()), (address, admin));
        load.await_more(100);
    }
    load.end();
    assert_eq!(lineage.admin_get("/readyz").status, 200);
}

#[test]
fn the_signal_does_it_too_and_long_answers_end_on_the_old_process() {
    let gate = Gate::new();
    let wait = gate.clone();
    let origin = Origin::start(move |conn| {
        while let Ok(request) = conn.request() {
            if request.target != "/long" {
                conn.echo(&request);
                continue;
            }
            conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
            wait.pass();
            conn.send("6\r\n world\r\n0\r\n\r\n");
        }
    });
    let mut lineage = lineage!("{}", settings(origin.address(), 1));
    let old = lineage.pid();
    let mut long = lineage.client();
    long.send("GET /long HTTP/1.1\r\nHost: t\r\n\r\n").expect("connected");
    let head = long.head().unwrap_or_else(|failed| panic!("{failed}"));
    lineage.signal(old, Signal::Upgrade);
    let new = lineage.await_successor(old);
    eventually("the old one's retreat", || lineage.stderr().contains(r#""event":"upgraded""#).then_some(()));
    assert_eq!(lineage.client().get("/x").status, 200);
    assert!(lineage.is_running(old) && lineage.is_running(new));
    gate.open();
    let response = long.body("GET", head).unwrap_or_else(|failed| panic!("{failed}"));
    assert_eq!(response.text(), "hello world");
    lineage.await_end(old);
    assert_eq!(lineage.client().get("/x").status, 200);
    lineage.signal(new, Signal::Terminate);
    lineage.await_end(new);
}

#[test]
fn a_new_process_that_does_not_come_up_changes_nothing() {
    let origin = Origin::echo();
    let mut lineage = lineage!("{}", settings(origin.address(), 2));
    let pid = lineage.pid();
    let load = Load::start(lineage.addr(), 4);
    let same = |lineage: &mut Lineage| {
        load.await_more(50);
        assert_eq!(lineage.pid(), pid);
        assert!(lineage.is_running(pid));
        assert_eq!(lineage.admin_get("/readyz").status, 200);
    };

    lineage.write_settings("listen: [127.0.0.1:0]\nroutes: what\n");
    let why = refusal(&lineage);
    assert!(why.contains("forebay.yaml:2:9"), "{why}");
    same(&mut lineage);

    // It takes the sockets over, binds others beside them, and then finds an address that is taken.
    let taken = Origin::echo();
    let listen = format!("listen: [\"127.0.0.1:0\", \"{}\"]", taken.address());
    lineage.write_settings(&settings(origin.address(), 4).replace("listen: 127.0.0.1:0", &listen));
    let why = refusal(&lineage);
    assert!(why.contains("cannot listen on"), "{why}");
    same(&mut lineage);

    lineage.write_settings(&settings(origin.address(), 2));
    lineage.replace_with_script("exit 9");
    let why = refusal(&lineage);
    assert!(why.contains("exit status: 9"), "{why}");
    same(&mut lineage);

    std::fs::remove_file(lineage.directory().join("forebay")).expect("it is there");
    let why = refusal(&lineage);
    assert!(why.contains("cannot start"), "{why}");
    same(&mut lineage);

    lineage.replace_with_binary(BUILT);
    assert_eq!(lineage.ask_for_upgrade().status, 200);
    lineage.await_successor(pid);
    load.await_more(50);
    load.end();
    lineage.await_end(pid);
}

#[test]
fn one_upgrade_at_a_time_and_stopping_ends_it() {
    let origin = Origin::echo();
    let mut lineage = lineage!("{}", settings(origin.address(), 1));
    let pid = lineage.pid();
    lineage.replace_with_script("echo $$ > sleeper; exec sleep 600");
    lineage.signal(pid, Signal::Upgrade);
    let text = || std::fs::read_to_string(lineage.directory().join("sleeper")).unwrap_or_default();
    let sleeper: u32 = eventually("a process that sleeps", || text().trim().parse().ok());
    let why = refusal(&lineage);
    assert!(why.contains("an upgrade is under way already"), "{why}");
    assert_eq!(lineage.client().get("/x").status, 200);
    lineage.signal(pid, Signal::Terminate);
    lineage.await_end(pid);
    assert!(!lineage.is_running(sleeper));
}

#[test]
fn an_address_that_is_no_longer_wanted_is_given_up_and_a_new_one_is_opened() {
    let origin = Origin::echo();
    let two = |second: &str| {
        let listen = format!("listen: [\"127.0.0.1:0\", \"{second}\"]");
        settings(origin.address(), 2).replace("listen: 127.0.0.1:0", &listen)
    };
    let mut lineage = lineage!("{}", two("[::1]:0"));
    let (pid, old) = (lineage.pid(), lineage.listen());
    lineage.write_settings(&two("127.0.0.2:0"));
    assert_eq!(lineage.ask_for_upgrade().status, 200);
    lineage.await_successor(pid);
    lineage.await_end(pid);
    let new = lineage.listen();
    assert_eq!(new[0], old[0]);
    assert_eq!(new[1].ip().to_string(), "127.0.0.2");
    assert!(TcpStream::connect(old[1]).is_err());
    for address in new {
        assert_eq!(Client::connect(address).get("/x").status, 200);
    }
}

#[test]
fn both_processes_write_whole_lines_to_the_access_log() {
    let origin = Origin::echo();
    let logs = "logs: { access: json, to: access.log }";
    let lineage = lineage!("{}\n{logs}\n", settings(origin.address(), 2));
    let load = Load::start(lineage.addr(), 6);
    for _ in 0..3 {
        let before = lineage.pid();
        load.await_more(300);
        assert_eq!(lineage.ask_for_upgrade().status, 200);
        lineage.await_successor(before);
    }
    load.await_more(300);
    let served = Arc::clone(&load.served);
    load.end();
    let served = served.load(Ordering::Relaxed);
    let text = || std::fs::read_to_string(lineage.directory().join("access.log")).unwrap_or_default();
    eventually("every line", || (text().lines().count() >= served).then_some(()));
    assert_eq!(text().lines().count(), served);
    for line in text().lines() {
        let parsed: Result<serde_json::Value, _> = serde_json::from_str(line);
        assert!(parsed.is_ok_and(|line| line["status"] == 200), "{line}");
    }
}

/// How an endpoint of the only service is shown.
fn endpoint(lineage: &Lineage, address: SocketAddr) -> serde_json::Value {
    let service = json(&lineage.admin_get("/api/v1/services/app"));
    let all = service["endpoints"].as_array().cloned().unwrap_or_default();
    let found = all.into_iter().find(|one| one["address"] == address.to_string().as_str());
    found.unwrap_or_else(|| panic!("no {address}: {service}"))
}

#[test]
fn what_operators_did_to_endpoints_goes_along() {
    let (drained, disabled, plain, added) = (Origin::echo(), Origin::echo(), Origin::echo(), Origin::echo());
    let all = [&drained, &disabled, &plain].map(|origin| format!("\"{}\"", origin.address())).join(", ");
    let settings = settings(drained.address(), 1).replace(&format!("\"{}\"", drained.address()), &all);
    let mut lineage = lineage!("{settings}");
    let below = |rest: &str| format!("/api/v1/services/app/endpoints{rest}");
    for (origin, action) in [(&drained, "drain"), (&disabled, "disable")] {
        let answer = lineage.admin_ask("POST", &below(&format!("/{}/{action}", origin.address())), "");
        assert_eq!(answer.status, 200, "{answer}");
    }
    let body = format!("{{\"address\":\"{}\",\"weight\":3,\"priority\":1}}", added.address());
    let answer = lineage.admin_ask("POST", &below(""), &body);
    assert!(answer.status < 300, "{answer}");
    // Twice: what was carried once must be carried on.
    for _ in 0..2 {
        let before = lineage.pid();
        assert_eq!(lineage.ask_for_upgrade().status, 200);
        lineage.await_successor(before);
        // Its admin side answers until then.
        lineage.await_end(before);
        for (origin, state) in
            [(&drained, "drained"), (&disabled, "disabled"), (&plain, "up"), (&added, "up")]
        {
            assert_eq!(endpoint(&lineage, origin.address())["state"], state);
        }
        let added = endpoint(&lineage, added.address());
        let told = (&added["source"], &added["weight"], &added["priority"]);
        assert_eq!(told, (&"admin".into(), &3.into(), &1.into()));
        for _ in 0..8 {
            assert_eq!(lineage.client().get("/x").status, 200);
        }
    }
    assert_eq!((drained.count(), disabled.count(), plain.count()), (0, 0, 16));
}

/// Answers health checks once the gate is open, and everything else at once.
fn slow_to_check() -> (Origin, Gate) {
    let gate = Gate::new();
    let wait = gate.clone();
    let origin = Origin::start(move |conn| {
        while let Ok(request) = conn.request() {
            if request.target == "/up" {
                wait.pass();
            }
            conn.echo(&request);
        }
    });
    (origin, gate)
}

/// Settings with these endpoints, which are checked once.
fn checked(endpoints: &[&Origin]) -> String {
    let all: Vec<_> = endpoints.iter().map(|origin| format!("\"{}\"", origin.address())).collect();
    let health = "health: { path: /up, interval: 10m, timeout: 1m }";
    let one = format!("endpoints: [\"{}\"]", endpoints[0].address());
    settings(endpoints[0].address(), 1).replace(&one, &format!("endpoints: [{}], {health}", all.join(", ")))
}

/// A gateway in front of `well`, and a process that is to take its place and waits for `slow`, beside these.
fn with_an_heir(well: &[&Origin], slow: &Origin) -> Lineage {
    let lineage = lineage!("{}", checked(well));
    let both: Vec<&Origin> = well.iter().copied().chain([slow]).collect();
    lineage.write_settings(&checked(&both));
    lineage.signal(lineage.pid(), Signal::Upgrade);
    slow.await_count(1);
    lineage
}

#[test]
fn the_new_process_serves_only_once_it_has_checked_endpoints() {
    let (well, (slow, gate)) = (Origin::echo(), slow_to_check());
    let mut lineage = with_an_heir(&[&well], &slow);
    let pid = lineage.pid();
    // The check is under way; until it has passed the first process serves.
    assert_eq!(lineage.pid(), pid);
    assert_eq!(lineage.client().get("/x").status, 200);
    assert_eq!(lineage.admin_get("/readyz").status, 200);
    gate.open();
    lineage.await_successor(pid);
    lineage.await_end(pid);
    assert_eq!(lineage.client().get("/x").status, 200);
    assert_eq!(endpoint(&lineage, slow.address())["state"], "up");
}

#[test]
fn settings_that_change_while_the_new_process_starts_are_not_lost() {
    let (well, (slow, gate)) = (Origin::echo(), slow_to_check());
    let mut lineage = with_an_heir(&[&well], &slow);
    let pid = lineage.pid();
    let marked = "to: app, headers: { response: { set: { x-plan: late } } }";
    lineage.write_settings(&checked(&[&well]).replace("to: app", marked));
    gate.open();
    lineage.await_successor(pid);
    lineage.await_end(pid);
    eventually("the new settings", || {
        (lineage.client().get("/x").headers.get("x-plan") == Some("late")).then_some(())
    });
}

#[test]
fn what_operators_do_while_the_new_process_starts_is_not_lost() {
    let (one, two, added) = (Origin::echo(), Origin::echo(), Origin::echo());
    let (slow, gate) = slow_to_check();
    let mut lineage = lineage!("{}", checked(&[&one, &two]));
    let do_to = |lineage: &Lineage, rest: &str, body: &str| {
        let answer = lineage.admin_ask("POST", &format!("/api/v1/services/app/endpoints{rest}"), body);
        assert!(answer.status < 300, "{answer}");
    };
    do_to(&lineage, &format!("/{}/drain", one.address()), "");
    let pid = lineage.pid();
    lineage.write_settings(&checked(&[&one, &two, &slow]));
    lineage.signal(pid, Signal::Upgrade);
    slow.await_count(1);
    // Each is the other way round now.
    do_to(&lineage, &format!("/{}/enable", one.address()), "");
    do_to(&lineage, &format!("/{}/drain", two.address()), "");
    do_to(&lineage, "", &format!("{{\"address\":\"{}\"}}", added.address()));
    gate.open();
    lineage.await_successor(pid);
    lineage.await_end(pid);
    assert_eq!(endpoint(&lineage, one.address())["state"], "up");
    assert_eq!(endpoint(&lineage, two.address())["state"], "drained");
    assert_eq!(endpoint(&lineage, added.address())["source"], "admin");
}

#[test]
fn told_to_end_both_do_and_nobody_was_accepted_by_the_new_one() {
    let (well, (slow, _never)) = (Origin::echo(), slow_to_check());
    let mut lineage = with_an_heir(&[&well], &slow);
    let (pid, address) = (lineage.pid(), lineage.addr());
    lineage.signal(pid, Signal::Terminate);
    lineage.await_end(pid);
    assert!(TcpStream::connect(address).is_err());
    assert!(!lineage.stderr().contains(r#""event":"upgraded""#));
}

#[test]
fn a_new_process_that_cannot_write_its_ready_file_serves_all_the_same() {
    let origin = Origin::echo();
    let mut lineage = lineage!("{}", settings(origin.address(), 1));
    let (pid, address) = (lineage.pid(), lineage.addr());
    std::fs::create_dir(lineage.directory().join("ready.half")).expect("it is gone again");
    let answer = lineage.ask_for_upgrade();
    assert_eq!(answer.status, 200, "{answer}");
    lineage.await_end(pid);
    assert_eq!(Client::connect(address).get("/x").status, 200);
    assert!(lineage.stderr().contains("cannot write FOREBAY_READY_FILE"), "{}", lineage.stderr());
}
