//! Origins that answer too early, too late, never, or when nobody asked.

use std::io::Write as _;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use forebay_testkit::check::{eventually, problem};
use forebay_testkit::gateway;
use forebay_testkit::gateway::Gateway;
use forebay_testkit::message::{Broken, Response};
use forebay_testkit::origin::{Conn, Gate, Origin};
use forebay_testkit::settings::{in_front_of, top};
use forebay_testkit::wire::{Client, Failed};

use crate::table::ask;

/// The first connection follows `script`; all others, and this one afterwards, are well-behaved.
fn first_misbehaves(script: impl Fn(&mut Conn) + Send + Sync + 'static) -> Origin {
    Origin::start(move |conn| {
        if conn.number == 0 {
            script(conn);
        }
        conn.echo_all();
    })
}

fn in_front(origin: &Origin) -> Gateway {
    gateway!("{}", in_front_of(origin.address(), ""))
}

/// With short timeouts of the service.
fn impatient(origin: &Origin, timeout: &str) -> Gateway {
    let (top, endpoint) = (top(), origin.address());
    gateway!(
        "{top}services:\n  app: {{ endpoints: [\"{endpoint}\"], timeout: {{ {timeout} }} }}\n\
         routes:\n  - {{ match: /*, to: app }}\n"
    )
}

fn get(client: &mut Client, path: &str) -> Result<Response, Failed> {
    client.ask(format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n"))
}

#[test]
fn an_origin_that_never_answers_becomes_504() {
    let origin = first_misbehaves(|conn| {
        let _ = conn.request();
        conn.stall();
    });
    let gateway = impatient(&origin, "first_byte: 300ms");
    let response = gateway.get("/x");
    assert_eq!(problem(&response, 504), Ok("upstream_timeout".to_owned()));
    assert_eq!(ask(&mut gateway.client(), "/after"), Ok(()));
}

#[test]
fn an_origin_that_stops_in_its_head_becomes_504() {
    let origin = first_misbehaves(|conn| {
        let _ = conn.request();
        conn.send("HTTP/1.1 200 OK\r\nContent-Le");
        conn.stall();
    });
    let gateway = impatient(&origin, "first_byte: 300ms, idle: 300ms");
    let response = gateway.get("/x");
    assert_eq!(problem(&response, 504), Ok("upstream_timeout".to_owned()));
    assert_eq!(ask(&mut gateway.client(), "/after"), Ok(()));
}

#[test]
fn an_origin_that_stops_in_its_body_never_looks_done() {
    let origin = first_misbehaves(|conn| {
        let _ = conn.request();
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
        conn.stall();
    });
    let gateway = impatient(&origin, "idle: 300ms");
    let failed = get(&mut gateway.client(), "/x").expect_err("the body is five bytes short");
    assert!(matches!(failed.why, Broken::Truncated | Broken::Reset), "{failed}");
    assert_eq!(failed.partial.map(|partial| partial.text()).as_deref(), Some("hello"));
    assert_eq!(ask(&mut gateway.client(), "/after"), Ok(()));
}

#[test]
fn a_request_that_takes_too_long_in_all_is_given_up() {
    // Neither timeout between bytes would ever fire: only the total one does.
    let origin = first_misbehaves(|conn| {
        let _ = conn.request();
        conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while conn.try_send("1\r\nz\r\n") {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let gateway = impatient(&origin, "total: 400ms");
    let failed = get(&mut gateway.client(), "/x").expect_err("the body has no end");
    assert!(matches!(failed.why, Broken::Truncated | Broken::Reset), "{failed}");
    assert_eq!(ask(&mut gateway.client(), "/after"), Ok(()));
}

#[test]
fn a_head_that_drips_without_end_is_given_up() {
    let origin = first_misbehaves(|conn| {
        let _ = conn.request();
        conn.send("HTTP/1.1 200 OK\r\nX: ");
        while conn.try_send("y") {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let gateway = impatient(&origin, "first_byte: 300ms, idle: 300ms, total: 600ms");
    let response = gateway.get("/x");
    assert_eq!(response.status, 504, "{response}");
    assert_eq!(ask(&mut gateway.client(), "/after"), Ok(()));
}

#[test]
fn an_answer_nobody_asked_for_is_nobodys_answer() {
    let (answered, poisoned) = (Gate::new(), Gate::new());
    let (wait, tell) = (answered.clone(), poisoned.clone());
    let origin = first_misbehaves(move |conn| {
        if let Ok(request) = conn.request() {
            conn.echo(&request);
        }
        wait.pass();
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\nx-path: poison\r\n\r\npoison");
        tell.open();
    });
    let gateway = in_front(&origin);
    let mut client = gateway.client();
    assert_eq!(ask(&mut client, "/first"), Ok(()));
    answered.open();
    poisoned.pass();
    assert_eq!(ask(&mut client, "/second"), Ok(()));
    assert_eq!(ask(&mut gateway.client(), "/third"), Ok(()));
    let reused = origin.seen().iter().filter(|seen| seen.connection == 0).count();
    assert_eq!(reused, 1, "a connection with bytes nobody asked for was used again");
}

#[test]
fn a_pooled_connection_that_the_origin_closes_costs_no_request() {
    let origin = Origin::echo();
    let gateway = in_front(&origin);
    let mut client = gateway.client();
    for round in 0..50 {
        assert_eq!(ask(&mut client, &format!("/{round}")), Ok(()));
        origin.close_all();
    }
    let posted = client.ask("POST /post HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(posted.map(|response| response.status).map_err(|failed| failed.to_string()), Ok(200));
}

#[test]
fn a_safe_request_that_meets_a_closing_connection_is_sent_again() {
    // The keep-alive race: the origin closes just as the next request is on its way.
    let origin = first_misbehaves(|conn| {
        if let Ok(request) = conn.request() {
            conn.echo(&request);
        }
        let _ = conn.request();
        conn.half_close();
        conn.reset();
    });
    let gateway = in_front(&origin);
    let mut client = gateway.client();
    assert_eq!(ask(&mut client, "/first"), Ok(()));
    assert_eq!(ask(&mut client, "/second"), Ok(()));
}

#[test]
fn an_unsafe_request_that_meets_a_closing_connection_is_not_sent_twice() {
    let origin = Origin::start(|conn| {
        while let Ok(request) = conn.request() {
            if request.method == "POST" {
                return conn.reset();
            }
            conn.echo(&request);
        }
    });
    let gateway = in_front(&origin);
    let mut client = gateway.client();
    assert_eq!(ask(&mut client, "/first"), Ok(()));
    let response = client
        .ask("POST /once HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello")
        .unwrap_or_else(|failed| panic!("{failed}"));
    assert_eq!(problem(&response, 502), Ok("upstream_closed".to_owned()));
    assert_eq!(ask(&mut gateway.client(), "/after"), Ok(()));
    let posts = origin.seen().iter().filter(|seen| seen.request.target == "/once").count();
    assert_eq!(posts, 1);
}

#[test]
fn an_answer_before_the_body_is_complete_reaches_the_client_at_once() {
    let origin = first_misbehaves(|conn| {
        let _ = conn.request_head();
        conn.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
        conn.half_close();
        conn.stall();
    });
    let gateway = in_front(&origin);
    let mut client = gateway.client();
    client
        .send("POST /x HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n\r\nonly the start")
        .expect("connected");
    let response = client.response("POST").unwrap_or_else(|failed| panic!("{failed}"));
    assert_eq!((response.status, response.text().as_str()), (403, "no"));
    // The rest of the body is not wanted: saying so is the only honest way to go on.
    assert!(response.closes(), "{response}");
    assert_eq!(ask(&mut gateway.client(), "/after"), Ok(()));
}

#[test]
fn an_early_answer_and_a_reset_still_reach_a_client_that_is_sending() {
    let origin = first_misbehaves(|conn| {
        let _ = conn.request_head();
        conn.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
        conn.half_close();
        // Reads on, as a polite server does, until the gateway has had its answer.
        conn.stall();
    });
    let gateway = in_front(&origin);
    let mut client = gateway.client();
    let length = 8 << 20;
    let head = format!("POST /x HTTP/1.1\r\nHost: t\r\nContent-Length: {length}\r\n\r\n");
    let answer = client.ask([head.into_bytes(), vec![b'b'; length]].concat());
    let response = answer.unwrap_or_else(|failed| panic!("{failed}"));
    assert_eq!((response.status, response.text().as_str()), (413, "no"));
    assert_eq!(ask(&mut gateway.client(), "/after"), Ok(()));
}

#[test]
fn an_answer_that_breaks_an_upload_off_says_truly_whether_the_connection_goes_on() {
    let origin = Origin::start(|conn| {
        while let Ok((index, request)) = conn.request_head() {
            if request.method == "POST" {
                conn.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
                return;
            }
            conn.complete(index);
            conn.echo(&request);
        }
    });
    let gateway = in_front(&origin);
    let body = vec![b'b'; 200_000];
    let head = format!("POST /x HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n", body.len());
    let post = [head.into_bytes(), body].concat();
    // Whether the upload or the answer is first is for the sockets to decide: often enough, each is.
    for round in 0..100 {
        let mut client = gateway.client();
        let response = client.ask(&post).unwrap_or_else(|failed| panic!("{round}: {failed}"));
        assert!([200, 502].contains(&response.status), "{response}");
        if !response.closes() {
            assert_eq!(ask(&mut client, "/next"), Ok(()), "round {round}");
        }
    }
}

#[test]
fn an_early_answer_never_leaves_half_a_request_on_a_pooled_connection() {
    let origin = first_misbehaves(|conn| {
        let _ = conn.request_head();
        conn.reply("200 OK", b"early");
        conn.stall();
    });
    let gateway = in_front(&origin);
    let mut client = gateway.client();
    client.send("POST /x HTTP/1.1\r\nHost: t\r\nContent-Length: 37\r\n\r\n").expect("connected");
    let response = client.response("POST").unwrap_or_else(|failed| panic!("{failed}"));
    assert_eq!(response.text(), "early");
    // The body that the origin did not wait for would look like a request there.
    let _ = client.send("GET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n.");
    assert_eq!(ask(&mut gateway.client(), "/after"), Ok(()));
    let targets: Vec<String> = origin.seen().into_iter().map(|seen| seen.request.target).collect();
    assert_eq!(targets, ["/x", "/after"]);
    assert!(origin.seen()[1].connection != 0, "the connection was used again");
}

#[test]
fn an_answer_may_come_byte_by_byte() {
    let answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nx-path: /x\r\n\r\n\
        5\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n";
    let origin = Origin::start(move |conn| {
        while conn.request().is_ok() {
            conn.send_pieces(&answer.chunks(1).collect::<Vec<_>>(), Duration::ZERO);
        }
    });
    let gateway = in_front(&origin);
    for _ in 0..3 {
        assert_eq!(gateway.get("/x").text(), "hello world");
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn an_early_answer_to_a_stuck_upload_never_leaves_half_a_body_on_a_pooled_connection() {
    // The gateway may hold the body's last bytes, unable to pass them on, when the answer comes. To meet that
    // moment, the first connection measures how much fits between gateway and origin; then come bodies of
    // about that size.
    let stuck = Stuck::default();
    let script = stuck.clone();
    let origin = Origin::narrow(move |conn| script.play(conn));
    let gateway = in_front(&origin);
    stuck.measure(&impatient(&origin, "idle: 300ms"));
    for step in 0..20 {
        let size = stuck.fits().saturating_sub(16 << 10) + (step << 12);
        let mut client = stuck.upload(&gateway, "/early", size);
        stuck.gate().open();
        let response = client.response("POST").unwrap_or_else(|failed| panic!("{size}: {failed}"));
        let victim = gateway.get("/victim");
        assert_eq!(stuck.stray(), None, "another request followed half a body of {size} bytes");
        assert_eq!((response.text().as_str(), victim.text().as_str()), ("early", "/victim"), "{size}");
    }
}

/// An origin that does not read an upload until told to, and what it then found.
#[derive(Clone, Debug, Default)]
struct Stuck {
    state: Arc<Mutex<StuckState>>,
}

#[derive(Debug, Default)]
struct StuckState {
    gate: Gate,
    fits: usize,
    stray: Option<String>,
}

impl Stuck {
    fn lock(&self) -> MutexGuard<'_, StuckState> {
        self.state.lock().expect("no panic under this lock")
    }

    fn gate(&self) -> Gate {
        self.lock().gate.clone()
    }

    /// Bytes that were on their way when nobody read.
    fn fits(&self) -> usize {
        self.lock().fits
    }

    /// What came in the place of a body.
    fn stray(&self) -> Option<String> {
        self.lock().stray.clone()
    }

    fn play(&self, conn: &mut Conn) {
        while let Ok((index, request)) = conn.request_head() {
            if request.method == "GET" {
                conn.complete(index);
                // Each upload begins on a connection of its own: what fits grows with use.
                let length = request.target.len();
                let head =
                    format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
                return conn.send(format!("{head}{}", request.target));
            }
            self.gate().pass();
            if request.target == "/early" {
                conn.reply("200 OK", b"early");
            }
            let mut body = conn.body_of(&request).expect("a framing");
            let mut count = 0;
            while let Ok(Some(piece)) = conn.piece(&mut body) {
                count += piece.len();
                if let Some(at) = piece.iter().position(|byte| *byte != b'b') {
                    self.lock().stray = Some(String::from_utf8_lossy(&piece[at..]).into_owned());
                    return;
                }
            }
            if request.target == "/measure" {
                self.lock().fits = count;
            }
        }
    }

    /// Sends an upload as far as that is possible.
    fn upload(&self, gateway: &Gateway, path: &str, size: usize) -> Client {
        self.lock().gate = Gate::new();
        let client = gateway.client();
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n{size:x}\r\n");
        let mut writer = client.writer();
        writer.set_write_timeout(Some(Duration::from_millis(200))).expect("not zero");
        let _ = writer.write_all(&[head.as_bytes(), &vec![b'b'; size], b"\r\n0\r\n\r\n"].concat());
        // A moment for the gateway to take what was sent; without it this test would only see less.
        std::thread::sleep(Duration::from_millis(10));
        client
    }

    /// Finds out how much fits: what a gateway that has given up had passed on.
    fn measure(&self, gateway: &Gateway) {
        let mut client = self.upload(gateway, "/measure", 16 << 20);
        let response = client.response("POST").unwrap_or_else(|failed| panic!("{failed}"));
        assert_eq!(problem(&response, 504), Ok("upstream_timeout".to_owned()));
        self.gate().open();
        eventually("a measure", || (self.fits() > 0).then_some(()));
    }
}
