//! Real clients and a real server, not ones written by those who wrote the gateway.

use std::process::Command;

use forebay_testkit::check::eventually;
use forebay_testkit::gateway;
use forebay_testkit::gateway::Gateway;
use forebay_testkit::origin::Origin;
use forebay_testkit::scratch::Scratch;
use forebay_testkit::servers::{Nginx, run, tool};
use forebay_testkit::settings::in_front_of;

fn in_front(origin: &Origin) -> Gateway {
    gateway!("{}", in_front_of(origin.address(), ""))
}

/// Runs a program that must succeed; what it printed.
fn output_of(command: &mut Command) -> String {
    let output = run(command);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}{err}", output.status);
    out.into_owned()
}

#[test]
fn curl_gets_posts_and_keeps_its_connection() {
    let origin = Origin::echo();
    let gateway = in_front(&origin);
    let base = format!("http://{}", gateway.addr());
    let mut curl = Command::new(tool("curl"));
    curl.args(["--silent", "--show-error", "--fail", "--max-time", "20"]);
    curl.args(["--write-out", "|%{http_code} %{num_connects}\\n", "--data-binary", "hello"]);
    curl.args([format!("{base}/a"), format!("{base}/b")]);
    let told = output_of(&mut curl);
    // The second request needs no connection of its own.
    assert!(told.contains("hello|200 1\n") && told.contains("hello|200 0\n"), "{told}");
    let targets: Vec<String> = origin.seen().into_iter().map(|seen| seen.request.target).collect();
    assert_eq!(targets, ["/a", "/b"]);
}

#[test]
fn curl_waits_for_100_continue_and_uploads_in_chunks() {
    let origin = Origin::start(|conn| {
        while let Ok((index, request)) = conn.request_head() {
            if request.headers.get("expect").is_some() {
                conn.send("HTTP/1.1 100 Continue\r\n\r\n");
            }
            let mut body = conn.body_of(&request).expect("curl's framing is valid");
            let mut count = 0;
            while let Ok(Some(piece)) = conn.piece(&mut body) {
                count += piece.len();
            }
            conn.complete(index);
            conn.reply("200 OK", count.to_string().as_bytes());
        }
    });
    let gateway = in_front(&origin);
    let scratch = Scratch::new("curl");
    let file = scratch.write("large", vec![b'b'; 3_000_000]);
    for framing in ["X-Framing: length", "Transfer-Encoding: chunked"] {
        let mut curl = Command::new(tool("curl"));
        curl.args(["--silent", "--show-error", "--fail", "--max-time", "20"]);
        curl.args(["--header", "Expect: 100-continue", "--expect100-timeout", "15", "--header", framing]);
        curl.arg("--upload-file").arg(&file).arg(format!("http://{}/up", gateway.addr()));
        assert_eq!(output_of(&mut curl), "3000000");
    }
}

const PYTHON: &str = r#"
import http.client, sys
host, port = sys.argv[1].split(":")
connection = http.client.HTTPConnection(host, int(port), timeout=20)
sockets = set()
for number in range(50):
    body = b"x" * number
    connection.request("POST", f"/{number}", body=body, headers={"Host": "t"})
    sockets.add(connection.sock.getsockname())
    response = connection.getresponse()
    assert response.status == 200, response.status
    assert response.getheader("x-path") == f"/{number}", response.getheaders()
    assert response.read().endswith(b"\r\n\r\n" + body)
def pieces():
    for _ in range(10):
        yield b"y" * 1000
connection.request("PUT", "/chunked", body=pieces(), encode_chunked=True, headers={"Host": "t", "Transfer-Encoding": "chunked"})
response = connection.getresponse()
assert response.status == 200 and response.read().count(b"y" * 1000) == 10
connection.request("HEAD", "/head", headers={"Host": "t"})
response = connection.getresponse()
assert response.status == 200 and response.read() == b"" and int(response.getheader("content-length")) > 0
assert len(sockets) == 1, sockets
print("fine")
"#;

#[test]
fn pythons_own_client_keeps_its_connection() {
    let origin = Origin::echo();
    let gateway = in_front(&origin);
    let mut python = Command::new(tool("python3"));
    python.args(["-c", PYTHON, &gateway.addr().to_string()]);
    assert_eq!(output_of(&mut python), "fine\n");
    assert_eq!((origin.connections(), origin.count()), (1, 52));
}

#[test]
fn wrk_sees_no_error_and_counts_what_the_gateway_counts() {
    let nginx = Nginx::start(&[("small.html", b"hello")]);
    let gateway = gateway!("{}", in_front_of(nginx.address(), ""));
    let mut wrk = Command::new(tool("wrk"));
    wrk.args(["-t1", "-c20", "-d1s", "--timeout", "10s", &format!("http://{}/small.html", gateway.addr())]);
    let told = output_of(&mut wrk);
    assert!(!told.contains("Socket errors") && !told.contains("Non-2xx"), "{told}");
    let requests = told.split(" requests in").next().and_then(|start| start.split_whitespace().last());
    let requests: f64 = requests.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{told}"));
    assert!(requests > 100.0, "{told}");
    // Requests that wrk left in flight at its end are aborted ones, at most one for each connection.
    let served = gateway.metric("forebay_requests_total{class=\"2xx\"}");
    assert!((requests..=requests + 20.0).contains(&served), "wrk saw {requests}, the gateway {served}");
    assert_eq!(gateway.metric("forebay_requests_total{class=\"5xx\"}"), 0.0);
}

const PAGE: &[u8] = b"<!doctype html><title>t</title><link rel=stylesheet href=style.css>
<p id=out>waiting</p><script src=app.js></script>";
const SCRIPT: &[u8] = b"fetch('data.html').then(r => r.text()).then(text => {
  const wide = getComputedStyle(document.getElementById('out')).width;
  document.getElementById('out').textContent = 'loaded ' + text + ' at ' + wide;
});";

#[test]
fn a_browser_loads_a_page_with_its_parts_from_a_real_server() {
    let nginx = Nginx::start(&[
        ("index.html", PAGE),
        ("style.css", b"#out { width: 321px }"),
        ("app.js", SCRIPT),
        ("data.html", b"the data"),
    ]);
    let gateway = gateway!("{}", in_front_of(nginx.address(), ""));
    let profile = Scratch::new("chromium");
    let mut chromium = Command::new(tool("chromium"));
    chromium.args([
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
    ]);
    chromium.args(["--disable-background-networking", "--disable-component-update", "--no-proxy-server"]);
    chromium.arg(format!("--user-data-dir={}", profile.path().display()));
    chromium.args(["--virtual-time-budget=10000", "--timeout=20000", "--dump-dom"]);
    chromium.arg(format!("http://{}/index.html", gateway.addr()));
    let page = output_of(&mut chromium);
    assert!(page.contains("loaded the data at 321px"), "{page}");
    for part in ["index.html", "style.css", "app.js", "data.html"] {
        let line = format!("GET /{part} HTTP/1.1\" 200");
        eventually(&line, || nginx.log().contains(&line).then_some(()));
    }
}

#[test]
fn a_real_server_gives_ranges_conditions_and_errors_through_the_gateway() {
    let content: Vec<u8> = (0..200_000).map(|at| (at % 251) as u8).collect();
    let nginx = Nginx::start(&[("file", &content)]);
    let gateway = gateway!("{}", in_front_of(nginx.address(), ""));
    let mut client = gateway.client();
    let whole = client.get("/file");
    assert_eq!(whole.body, content);
    let etag = whole.headers.get("etag").expect("nginx gives one").to_owned();
    let mut ask = |lines: String| {
        let request = format!("GET /file HTTP/1.1\r\nHost: t\r\n{lines}\r\n\r\n");
        client.ask(request).unwrap_or_else(|failed| panic!("{failed}"))
    };
    let part = ask("Range: bytes=1000-1999".to_owned());
    assert_eq!((part.status, &part.body[..]), (206, &content[1000..2000]));
    let unchanged = ask(format!("If-None-Match: {etag}"));
    assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
    let beyond = ask("Range: bytes=999999-".to_owned());
    assert_eq!(beyond.status, 416);
    assert_eq!(client.get("/missing").status, 404);
    // nginx writes its log after its answers.
    eventually("five lines of nginx's log", || (nginx.log().lines().count() == 5).then_some(()));
}
