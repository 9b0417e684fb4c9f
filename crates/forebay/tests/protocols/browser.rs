//! A browser, over TLS and HTTP/2: a page with its parts, server-sent events, a WebSocket.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use forebay_testkit::check::eventually;
use forebay_testkit::gateway;
use forebay_testkit::origin::{Conn, Gate, Origin};
use forebay_testkit::scratch::Scratch;
use forebay_testkit::servers::tool;
use serde_json::{Value, json};

use crate::certificates::{self, text};
use crate::programs::{PYTHON, Server};
use crate::websocket;

/// Tells `/done` what it saw. Each event is acknowledged by a request before the next one is sent.
const PAGE: &str = r#"<!doctype html><title>t</title><script>
const told = {};
const protocol = name => performance.getEntriesByName(new URL(name, location).href)[0].nextHopProtocol;
async function main() {
  told.page = performance.getEntriesByType('navigation')[0].nextHopProtocol;
  const parts = await Promise.all([...Array(20).keys()].map(n => fetch('/part/' + n).then(r => r.text())));
  told.parts = parts.join(' ');
  told.part = protocol('/part/7');
  told.events = [];
  await new Promise(done => {
    const source = new EventSource('/events');
    source.onmessage = event => {
      told.events.push(event.data);
      fetch('/got/' + event.data);
      if (told.events.length == 3) { source.close(); done(); }
    };
  });
  await new Promise((done, fail) => {
    const socket = new WebSocket('wss://' + location.host + '/socket');
    socket.onopen = () => socket.send('hello');
    socket.onmessage = event => { told.socket = event.data; socket.send('close 4002'); };
    socket.onclose = event => { told.close = event.code; done(); };
  });
}
main().catch(error => told.error = String(error))
  .finally(() => fetch('/done', { method: 'POST', body: JSON.stringify(told) }));
</script>"#;

/// A browser that looks at a page until it is dropped.
struct Browser {
    child: Child,
    _profile: Scratch,
}

impl Browser {
    fn open(address: &str) -> Self {
        let profile = Scratch::new("chromium");
        let mut chromium = Command::new(tool("chromium"));
        chromium.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]);
        chromium.args(["--no-first-run", "--disable-background-networking", "--disable-component-update"]);
        chromium.args([
            "--disable-sync",
            "--no-proxy-server",
            "--disable-quic",
            "--ignore-certificate-errors",
        ]);
        chromium.arg(format!("--user-data-dir={}", profile.path().display())).arg(address);
        chromium.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = chromium.spawn().unwrap_or_else(|error| panic!("cannot start {chromium:?}: {error}"));
        Self { child, _profile: profile }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves the page and what it asks for.
fn page(conn: &mut Conn, gates: &[Gate; 3]) {
    while let Ok(request) = conn.request() {
        let target = request.target.as_str();
        match target.split('/').nth(1) {
            Some("") => {
                let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n";
                conn.send(format!("{head}Content-Length: {}\r\n\r\n{PAGE}", PAGE.len()));
            }
            Some("part") => conn.reply("200 OK", target.rsplit('/').next().unwrap_or_default().as_bytes()),
            Some("got") => {
                let number = target.rsplit('/').next().and_then(|last| last.parse::<usize>().ok());
                if let Some(gate) = number.and_then(|number| gates.get(number)) {
                    gate.open();
                }
                conn.reply("200 OK", b"");
            }
            Some("events") => {
                conn.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n");
                conn.send("Transfer-Encoding: chunked\r\n\r\n");
                for (number, gate) in gates.iter().enumerate() {
                    let event = format!("data: {number}\n\n");
                    conn.send(format!("{:x}\r\n{event}\r\n", event.len()));
                    gate.pass();
                }
                conn.send("0\r\n\r\n");
            }
            _ => conn.reply("200 OK", b"thanks"),
        }
    }
}

#[test]
fn a_page_with_events_and_a_websocket_works_over_tls_and_http_2() {
    let gates = Arc::new([(); 3].map(|()| Gate::new()));
    let origin = Origin::start(move |conn| page(conn, &gates));
    let sockets = Server::start(Command::new(PYTHON).args(["-c", websocket::SERVER]));
    let folder = certificates::folder();
    let path = text(folder.path());
    let gateway = gateway!(
        "listen: https://127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 1\n\
         tls: {{ cert: \"{path}/cert.pem\", key: \"{path}/cert.key\" }}\n\
         services:\n  page: {{ endpoints: [\"{}\"] }}\n  sockets: {{ endpoints: [\"{}\"] }}\n\
         routes:\n  - {{ match: /socket, to: sockets }}\n  - {{ match: /*, to: page }}\n",
        origin.address(),
        sockets.address
    );
    let _browser = Browser::open(&format!("https://127.0.0.1:{}/", gateway.addr().port()));
    let told = eventually("what the page saw", || {
        let seen = origin.seen();
        let done = seen.into_iter().find(|seen| seen.complete && seen.request.target == "/done");
        done.map(|done| done.request.body)
    });
    let told: Value = serde_json::from_slice(&told).expect("the page sends JSON");
    let parts: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    let expected = json!({
        "page": "h2", "part": "h2", "parts": parts.join(" "), "events": ["0", "1", "2"],
        "socket": "hello", "close": 4002,
    });
    assert_eq!(told, expected);
    assert_eq!(origin.faults(), Vec::<String>::new());
}
