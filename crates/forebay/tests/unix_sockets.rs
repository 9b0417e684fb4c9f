//! Unix sockets on both sides: listened on, through upgrades and from the service manager, and as endpoints.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use forebay_testkit::check::{eventually, json};
use forebay_testkit::gateway::Signal;
use forebay_testkit::lineage::{Lineage, PLAINLY};
use forebay_testkit::origin::Origin;
use forebay_testkit::scratch::Scratch;
use forebay_testkit::{DEADLINE, binary, gateway};

const BUILT: &str = env!("CARGO_BIN_EXE_forebay");

/// Settings that listen at `listen`, with so many workers, in front of `endpoint`.
fn settings(listen: &str, workers: usize, endpoint: &str) -> String {
    format!(
        "listen: {listen}\nadmin: 127.0.0.1:0\nworkers: {workers}\nservices:\n  app: {{ endpoints: [\"{endpoint}\"] }}\n\
         routes:\n  - {{ match: /*, to: app }}\n"
    )
}

/// Asks on a connection of its own and gives all that is answered.
fn ask(at: &Path, fields: &str) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(at)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    write!(stream, "GET /x HTTP/1.1\r\nHost: t\r\nConnection: close\r\n{fields}\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[track_caller]
fn served(at: &Path) {
    let answer = ask(at, "").unwrap_or_else(|error| panic!("{}: {error}", at.display()));
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

/// A server at a path, which answers with `name` until the process ends.
fn server(path: PathBuf, name: &'static str) {
    let listener = UnixListener::bind(path).expect("the path is free");
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || answer(stream.expect("it is a socket"), name));
        }
    });
}

fn answer(mut stream: UnixStream, name: &str) {
    let mut head = Vec::new();
    let mut byte = [0];
    while matches!(stream.read(&mut byte), Ok(1)) {
        head.push(byte[0]);
        if head.ends_with(b"\r\n\r\n") {
            head.clear();
            let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len());
            // A client that has gone hears nothing.
            let _ = stream.write_all(reply.as_bytes());
        }
    }
}

#[test]
fn clients_come_by_path_and_by_port_and_the_path_goes_with_the_process() {
    let (scratch, origin) = (Scratch::new("unix"), Origin::echo());
    let path = scratch.path().join("forebay.sock");
    // Somebody has left one there, and nobody serves it.
    drop(UnixListener::bind(&path).expect("the directory is new"));
    let listen = format!("[127.0.0.1:0, \"unix:{}\"]", path.display());
    let text = settings(&listen, 2, &origin.address().to_string());
    let gateway = gateway!("{text}trusted_proxies: [127.0.0.1]\n");
    assert_eq!(gateway.get("/x").status, 200);
    for _ in 0..20 {
        served(&path);
    }
    // This machine is who asks, and it may say for whom.
    let answer = ask(&path, "X-Forwarded-For: 192.0.2.7\r\n").expect("it is served");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let told = origin.last().headers.get("x-forwarded-for").map(str::to_owned);
    assert!(told.as_deref().is_some_and(|told| told.starts_with("192.0.2.7")), "{told:?}");
    let ready = std::fs::read_to_string(gateway.directory().join("ready.json")).expect("it has said so");
    assert!(ready.contains(&format!("\"unix:{}\"", path.display())), "{ready}");
    assert!(gateway.status()["listen"][1].as_str().is_some_and(|at| at.starts_with("unix:/")));
    assert!(gateway.stop().success());
    assert!(!path.exists());
}

#[test]
fn a_socket_that_somebody_serves_is_not_taken() {
    let (scratch, origin) = (Scratch::new("unix"), Origin::echo());
    let path = scratch.path().join("forebay.sock");
    let text = settings(&format!("unix:{}", path.display()), 1, &origin.address().to_string());
    let _first = gateway!("{text}");
    scratch.write("second.yaml", &text);
    let mut command = Command::new(binary!());
    command.args(["run", "-c"]).arg(scratch.path().join("second.yaml"));
    let told = forebay_testkit::servers::run(&mut command);
    let words = String::from_utf8_lossy(&told.stderr);
    assert_eq!(told.status.code(), Some(1), "{words}");
    assert!(words.contains("another process serves this socket"), "{words}");
    served(&path);
}

#[test]
fn upgrades_hand_the_socket_over_and_nobody_notices() {
    let (scratch, origin) = (Scratch::new("unix"), Origin::echo());
    let path = scratch.path().join("forebay.sock");
    let text =
        |workers| settings(&format!("unix:{}", path.display()), workers, &origin.address().to_string());
    let mut lineage = Lineage::start(BUILT, &text(2), PLAINLY, |_| {});
    let (stop, told_to_stop) = std::sync::mpsc::channel::<()>();
    let clients = thread::spawn({
        let path = path.clone();
        move || {
            let mut count = 0;
            while told_to_stop.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                served(&path);
                count += 1;
            }
            count
        }
    });
    for workers in [1, 3, 2] {
        let before = lineage.pid();
        lineage.write_settings(&text(workers));
        let answer = lineage.ask_for_upgrade();
        assert_eq!(answer.status, 200, "{answer}");
        lineage.await_successor(before);
        lineage.await_end(before);
        assert!(path.exists());
        served(&path);
    }
    drop(stop);
    assert!(clients.join().expect("every request was served") > 3);
    let last = lineage.pid();
    lineage.signal(last, Signal::Terminate);
    lineage.await_end(last);
    assert!(!path.exists());
}

#[test]
fn the_service_managers_socket_is_served_and_outlives_every_process() {
    let (scratch, origin) = (Scratch::new("unix"), Origin::echo());
    let path = scratch.path().join("forebay.sock");
    let listener = UnixListener::bind(&path).expect("the directory is new");
    let text = settings(&format!("unix:{}", path.display()), 2, &origin.address().to_string());
    let script = "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\" 3<&0 </dev/null";
    for _ in 0..2 {
        let mut gateway = Lineage::start(BUILT, &text, script, |command| {
            let again = listener.try_clone().expect("there are descriptors");
            command.stdin(Stdio::from(OwnedFd::from(again)));
        });
        served(&path);
        let old = gateway.pid();
        assert_eq!(gateway.ask_for_upgrade().status, 200);
        let new = gateway.await_successor(old);
        gateway.await_end(old);
        served(&path);
        gateway.signal(new, Signal::Terminate);
        gateway.await_end(new);
        assert!(path.exists());
    }
}

#[test]
fn endpoints_are_at_paths_from_the_settings_and_at_run_time() {
    let scratch = Scratch::new("unix");
    let at = |name: &str| format!("unix:{}", scratch.path().join(name).display());
    server(scratch.path().join("one.sock"), "one");
    server(scratch.path().join("two.sock"), "two");
    let text = settings("127.0.0.1:0", 1, &at("one.sock"))
        .replace("] }", "], health: { path: /up, interval: 100ms } }");
    let gateway = gateway!("{text}");
    let names = |count: usize| {
        let mut names: Vec<String> = (0..count).map(|_| gateway.get("/x").text()).collect();
        names.sort();
        names.dedup();
        names
    };
    let forebay = |arguments: &[&str]| {
        let mut command = Command::new(binary!());
        command.args(arguments).args(["--admin", &gateway.admin().to_string()]);
        let told = forebay_testkit::servers::run(&mut command);
        let words = String::from_utf8_lossy(&told.stderr).into_owned();
        (told.status.code(), String::from_utf8_lossy(&told.stdout).into_owned() + &words)
    };
    assert_eq!(names(3), ["one"]);
    let (status, said) = forebay(&["endpoint", "add", "app", &at("two.sock")]);
    assert_eq!(status, Some(0), "{said}");
    eventually("both", || (names(10) == ["one", "two"]).then_some(()));
    let (status, said) = forebay(&["endpoint", "drain", "app", &at("one.sock")]);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(names(5), ["two"]);
    let services = json(&gateway.admin_get("/api/v1/services/app"));
    let states: Vec<_> = services["endpoints"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|endpoint| (endpoint["address"].as_str(), endpoint["state"].as_str()))
        .collect();
    let (one, two) = (at("one.sock"), at("two.sock"));
    assert_eq!(states, [(Some(&*one), Some("drained")), (Some(&*two), Some("up"))]);
    let (status, said) = forebay(&["endpoint", "enable", "app", &one]);
    assert_eq!(status, Some(0), "{said}");
    let (status, said) = forebay(&["endpoint", "remove", "app", &two]);
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(names(5), ["one"]);
    assert!(gateway.metrics().contains(&format!("endpoint=\"{one}\"")));
    std::fs::remove_file(scratch.path().join("one.sock")).expect("it is there");
    let state = || json(&gateway.admin_get("/api/v1/services/app"))["endpoints"][0]["state"].clone();
    eventually("a check that fails", || (state() == "unhealthy").then_some(()));
}
