//! Requests written down by a real gateway: what is in the file, what never is, and where it ends.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use forebay_load::recording::{Payload, Recording, Replay};
use forebay_testkit::check::eventually;
use forebay_testkit::gateway;
use forebay_testkit::gateway::{Gateway, Signal};
use forebay_testkit::origin::Origin;
use forebay_testkit::settings::top;
use forebay_testkit::wire::Client;
use serde_json::{Value, json};

const WRITTEN: &str = "forebay_record_requests_total{outcome=\"written\"}";
const DROPPED: &str = "forebay_record_requests_total{outcome=\"dropped\"}";
const LIMIT: &str = "forebay_record_requests_total{outcome=\"limit\"}";
const SUCCEEDED: &str = "forebay_reloads_total{result=\"succeeded\"}";

fn settings(origin: &Origin, record: &str) -> String {
    format!(
        "{}services:\n  app: {{ endpoints: [\"{}\"] }}\nroutes:\n  - {{ match: t/*, to: app }}\n  \
         - {{ match: t/fixed, respond: hello }}\n  - {{ match: POST t/small, to: app, body_max: 4 }}\nrecord: {record}\n",
        top(),
        origin.address()
    )
}

fn start(origin: &Origin, record: &str) -> Gateway {
    gateway!("{}", settings(origin, record))
}

/// The lines of a recording, its first one too.
fn lines(gateway: &Gateway, file: &str) -> Vec<Value> {
    let text = fs::read_to_string(gateway.directory().join(file)).expect("the recording can be read");
    assert!(text.ends_with('\n'), "the last line is whole: {text:?}");
    text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

/// The requests of a recording once it has `count`, without their times, which must not go back.
fn requests(gateway: &Gateway, file: &str, count: usize) -> Vec<Value> {
    gateway.await_metric(WRITTEN, |written| written >= count as f64);
    let mut requests = lines(gateway, file).split_off(1);
    assert_eq!(requests.len(), count, "{requests:#?}");
    let take = |request: &mut Value| {
        let at = request.as_object_mut().and_then(|fields| fields.remove("at_us"));
        at.and_then(|at| at.as_u64()).expect("a request has its time")
    };
    let times: Vec<u64> = requests.iter_mut().map(take).collect();
    assert!(times.is_sorted(), "{times:?}");
    requests
}

fn ask(client: &mut Client, bytes: impl AsRef<[u8]>) -> u16 {
    client.ask(bytes).unwrap_or_else(|failed| panic!("{failed}")).status
}

#[test]
fn requests_are_written_as_they_came() {
    let origin = Origin::echo();
    let gateway = start(&origin, "{ file: traffic.jsonl, sample: 100%, body_max: 10 }");
    let mut client = gateway.client();
    assert_eq!(ask(&mut client, "GET /a?x=1 HTTP/1.1\r\nHost: T:80\r\nX-Two: 1\r\nx-two:  2 \r\n\r\n"), 200);
    assert_eq!(ask(&mut client, "HEAD http://t/b HTTP/1.1\r\nHost: t\r\n\r\n"), 200);
    assert_eq!(ask(&mut client, "POST /c HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello"), 200);
    assert_eq!(ask(&mut client, "POST /fixed HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc"), 200);
    let chunked = "PUT /d HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nTrailer: x-t\r\n\r\n\
        3;a=b\r\nabc\r\n7\r\ndefghij\r\n0\r\nx-t: 1\r\n\r\n";
    assert_eq!(ask(&mut client, chunked), 200);
    assert_eq!(ask(&mut client, "POST /e HTTP/1.1\r\nHost: t\r\nContent-Length: 11\r\n\r\nhello world"), 200);
    assert_eq!(
        requests(&gateway, "traffic.jsonl", 6),
        [
            json!({"method": "GET", "target": "/a?x=1", "host": "t:80",
                "headers": [["X-Two", "1"], ["x-two", "2"]], "body_bytes": 0}),
            json!({"method": "HEAD", "target": "/b", "host": "t", "headers": [], "body_bytes": 0}),
            json!({"method": "POST", "target": "/c", "host": "t", "headers": [],
                "body": "aGVsbG8=", "body_bytes": 5}),
            json!({"method": "POST", "target": "/fixed", "host": "t", "headers": [],
                "body": "YWJj", "body_bytes": 3}),
            json!({"method": "PUT", "target": "/d", "host": "t", "headers": [],
                "body": "YWJjZGVmZ2hpag==", "body_bytes": 10}),
            json!({"method": "POST", "target": "/e", "host": "t", "headers": [],
                "body_bytes": 11, "body_omitted": true}),
        ]
    );
    let first = &lines(&gateway, "traffic.jsonl")[0];
    assert_eq!((&first["forebay_recording"], &first["sample"]), (&json!(1), &json!(1)));
    assert!(first["started_unix_ms"].as_u64().is_some_and(|at| at > 1_700_000_000_000), "{first}");
}

#[test]
fn a_body_that_comes_in_pieces_is_kept_whole() {
    let origin = Origin::echo();
    let gateway = start(&origin, "{ file: traffic.jsonl, sample: 100%, body_max: 1MiB }");
    let body: Vec<u8> = (0..300_000_u32).map(|number| (number % 251) as u8).collect();
    let mut client = gateway.client();
    let head = format!("POST /a HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n", body.len());
    assert_eq!(ask(&mut client, [head.as_bytes(), &body].concat()), 200);
    let mut chunked = b"POST /b HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for piece in body.chunks(7_001) {
        chunked.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        chunked.extend_from_slice(piece);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    assert_eq!(ask(&mut client, chunked), 200);
    let requests = requests(&gateway, "traffic.jsonl", 2);
    for request in requests {
        assert_eq!(
            decode(request["body"].as_str().expect("the body is kept")),
            body,
            "{}",
            request["target"]
        );
        assert_eq!(request["body_bytes"], json!(300_000));
    }
}

#[test]
fn what_was_recorded_can_be_sent_again() {
    let origin = Origin::echo();
    let gateway = start(&origin, "{ file: traffic.jsonl, sample: 100%, body_max: 10 }");
    let mut client = gateway.client();
    assert_eq!(
        ask(&mut client, "GET /a?key=1 HTTP/1.1\r\nHost: t:80\r\nCookie: a=b\r\nAccept: */*\r\n\r\n"),
        200
    );
    assert_eq!(ask(&mut client, "POST /b HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello"), 200);
    assert_eq!(ask(&mut client, "POST /c HTTP/1.1\r\nHost: t\r\nContent-Length: 11\r\n\r\nhello world"), 200);
    requests(&gateway, "traffic.jsonl", 3);
    let file = fs::read(gateway.directory().join("traffic.jsonl")).expect("it can be read");
    let recording = Recording::parse(&file).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(recording.sample, Some(1.0));
    let requests: Vec<_> = recording.entries().map(|(_, request)| request).collect();
    let heads: Vec<_> = requests.iter().map(|r| (&*r.method, &*r.target, &*r.host)).collect();
    assert_eq!(heads, [("GET", "/a?key=REDACTED", "t:80"), ("POST", "/b", "t"), ("POST", "/c", "t")]);
    assert_eq!(requests[1].body, Payload::Kept(b"hello".to_vec()));
    assert_eq!(requests[2].body, Payload::Omitted(11));
    let times: Vec<_> = recording.entries().map(|(at, _)| at).collect();
    let twice = recording.plan_parts(&Replay::at(2.0)).unwrap_or_else(|error| panic!("{error}"));
    let length = (times[2] - times[0]) / 2;
    assert!(twice.length.abs_diff(length) < Duration::from_micros(1), "{:?} {length:?}", twice.length);
}

#[test]
fn no_request_spoils_the_recording_for_its_reader() {
    let origin = Origin::echo();
    let gateway = start(&origin, "{ file: traffic.jsonl, sample: 100% }");
    let mut served = 0;
    for (target, field) in [
        ("/\"],\"\\", "x: \"]],\"body\":\"\\"),
        ("/%22%5C%00?%0a&\"\\", "x: \ta\tb"),
        ("/a?{}|^`<>\"", "x: \u{e9}\u{80}\u{1f600}"),
        ("/\u{e9}?\u{e9}", "!#$%&'*+-.^_`|~9aZ: 1"),
        ("/a//b/../c;d?e;f", "x_y: 1"),
        ("http://t/?", "x:"),
    ] {
        for raw in [&b""[..], b"\x80\xff"] {
            let mut request = format!("GET {target} HTTP/1.1\r\nHost: t\r\n{field}").into_bytes();
            request.extend_from_slice(raw);
            request.extend_from_slice(b"\r\n\r\n");
            let response = gateway.client().ask(&request).unwrap_or_else(|failed| panic!("{failed}"));
            served += usize::from(response.status == 200);
        }
    }
    assert!(served >= 6, "only {served} were served");
    gateway.await_metric(WRITTEN, |written| written == served as f64);
    let file = fs::read(gateway.directory().join("traffic.jsonl")).expect("it can be read");
    let recording = Recording::parse(&file).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(recording.len(), served);
}

#[test]
fn secrets_and_what_belongs_to_one_connection_are_left_out() {
    let origin = Origin::echo();
    let gateway = start(&origin, "{ file: traffic.jsonl, sample: 100% }");
    let request = "GET /?page=2&token=hunter2 HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer hunter2\r\n\
        Cookie: id=hunter2\r\nX-API-Key: hunter2\r\nProxy-Authorization: Basic hunter2\r\n\
        Referer: http://t/?password=hunter2\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nTE: trailers\r\n\
        Keep-Alive: timeout=5\r\nUpgrade: h2c\r\nUser-Agent: test/1\r\n\r\n";
    assert_eq!(ask(&mut gateway.client(), request), 200);
    let requests = requests(&gateway, "traffic.jsonl", 1);
    assert_eq!(requests[0]["target"], "/?page=2&token=REDACTED");
    assert_eq!(
        requests[0]["headers"],
        json!([
            ["Authorization", "REDACTED"],
            ["Cookie", "REDACTED"],
            ["X-API-Key", "REDACTED"],
            ["Referer", "http://t/?password=REDACTED"],
            ["User-Agent", "test/1"],
        ])
    );
    let file = fs::read_to_string(gateway.directory().join("traffic.jsonl")).expect("it was just read");
    assert!(!file.contains("hunter2"), "{file}");
    // The service got what the client sent.
    assert_eq!(origin.last().headers.get("authorization"), Some("Bearer hunter2"));
}

#[test]
fn refused_requests_and_other_routes_are_not_written() {
    let origin = Origin::echo();
    let gateway = start(&origin, "{ file: traffic.jsonl, sample: 100%, routes: [t/fixed, POST t/small] }");
    let mut client = gateway.client();
    assert_eq!(ask(&mut client, "GET /x HTTP/1.1\r\nHost: t\r\n\r\n"), 200);
    assert_eq!(ask(&mut client, "GET /x HTTP/1.1\r\nHost: other\r\n\r\n"), 404);
    assert_eq!(ask(&mut client, "GET /fixed HTTP/1.1\r\nHost: t\r\n\r\n"), 200);
    assert_eq!(ask(&mut client, "POST /small HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello"), 413);
    assert_eq!(requests(&gateway, "traffic.jsonl", 1)[0]["target"], "/fixed");
}

#[test]
fn a_body_that_breaks_off_is_said_to_be_missing() {
    let origin = Origin::echo();
    let gateway = start(&origin, "{ file: traffic.jsonl, sample: 100% }");
    let mut client = gateway.client();
    client.send("POST /x HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nabc").expect("connected");
    origin.await_count(1);
    drop(client);
    let requests = requests(&gateway, "traffic.jsonl", 1);
    assert_eq!((&requests[0]["body_bytes"], &requests[0]["body_omitted"]), (&json!(3), &json!(true)));
}

#[test]
fn the_sample_is_about_its_share() {
    let origin = Origin::echo();
    let gateway = start(&origin, "{ file: traffic.jsonl, sample: 10% }");
    let mut client = gateway.client();
    for number in 0..2_000 {
        assert_eq!(client.get(&format!("/{number}")).status, 200);
    }
    // What one worker picks follows from a fixed seed, so this is the same in each run.
    let written = gateway.await_metric(WRITTEN, |written| written >= 150.0);
    assert!(written <= 250.0, "{written}");
    assert_eq!((gateway.metric(DROPPED), gateway.metric(LIMIT)), (0.0, 0.0));
    assert_eq!(lines(&gateway, "traffic.jsonl")[0]["sample"], json!(0.1));
}

#[test]
fn the_file_never_grows_beyond_its_bound_and_the_log_says_when_it_ended() {
    const SENT: f64 = 100.0;
    let origin = Origin::echo();
    let gateway = start(&origin, "{ file: traffic.jsonl, sample: 100%, bytes_max: 4KiB }");
    let mut client = gateway.client();
    for _ in 0..SENT as u32 {
        assert_eq!(client.get("/x").status, 200);
    }
    let beyond = gateway.await_metric(LIMIT, |limit| limit + gateway.metric(WRITTEN) == SENT);
    let length = fs::metadata(gateway.directory().join("traffic.jsonl")).expect("it is there").len();
    assert!((3_900..=4_096).contains(&length), "{length}");
    assert_eq!(lines(&gateway, "traffic.jsonl").len() as f64, 1.0 + SENT - beyond);
    eventually("a word about the end", || gateway.stderr().contains("recording_full").then_some(()));
    // It goes on serving, and counting.
    assert_eq!(client.get("/x").status, 200);
    gateway.await_metric(LIMIT, |limit| limit == beyond + 1.0);
}

#[test]
fn what_does_not_fit_into_memory_is_dropped_and_counted() {
    let origin = Origin::echo();
    let gateway = start(&origin, "{ file: traffic.jsonl, sample: 100%, body_max: 8MiB }");
    // Bodies of unknown length that do not end: room for the longest is kept for each.
    let mut uploads: Vec<_> = (0..4).map(|_| gateway.client()).collect();
    for client in &mut uploads {
        let start = "POST /x HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
        client.send(start).expect("connected");
    }
    gateway.await_metric(DROPPED, |dropped| dropped == 1.0);
    for client in &mut uploads {
        client.send("0\r\n\r\n").expect("connected");
        let response = client.response("POST").unwrap_or_else(|failed| panic!("{failed}"));
        assert_eq!(response.status, 200, "a request does not suffer for its recording");
    }
    let requests = requests(&gateway, "traffic.jsonl", 3);
    assert!(requests.iter().all(|request| request["body"] == "YWJj"), "{requests:?}");
}

#[test]
fn the_file_is_the_owners_and_an_existing_one_is_left_alone() {
    let origin = Origin::echo();
    let mut gateway = start(&origin, "traffic.jsonl");
    let mode = |file: &str| {
        let about = fs::metadata(gateway.directory().join(file)).expect("it is there");
        about.permissions().mode() & 0o777
    };
    assert_eq!(mode("traffic.jsonl"), 0o600);
    reload(&gateway, &settings(&origin, "{ file: traffic.jsonl, sample: 50% }"));
    assert_eq!(mode("traffic-2.jsonl"), 0o600);
    assert_eq!(lines(&gateway, "traffic.jsonl")[0]["sample"], json!(0.01));
    assert_eq!(lines(&gateway, "traffic-2.jsonl")[0]["sample"], json!(0.5));
    gateway.signal(Signal::Terminate);
    assert!(gateway.await_exit().success());
}

#[test]
fn a_reload_that_does_not_concern_the_recording_goes_on_with_it() {
    let origin = Origin::echo();
    let record = "{ file: traffic.jsonl, sample: 100% }";
    let gateway = start(&origin, record);
    assert_eq!(gateway.get("/a").status, 200);
    reload(&gateway, &format!("{}limits: {{ idle: 9s }}\n", settings(&origin, record)));
    assert_eq!(gateway.get("/b").status, 200);
    let paths: Vec<_> =
        requests(&gateway, "traffic.jsonl", 2).iter().map(|line| line["target"].clone()).collect();
    assert_eq!(paths, ["/a", "/b"]);
    reload(&gateway, &settings(&origin, "off"));
    assert_eq!(gateway.get("/c").status, 200);
    assert_eq!(requests(&gateway, "traffic.jsonl", 2).len(), 2);
}

#[test]
fn a_recording_that_cannot_be_made_is_refused_and_the_old_one_goes_on() {
    let origin = Origin::echo();
    let gateway = start(&origin, "{ file: traffic.jsonl, sample: 100% }");
    gateway.write_settings(&settings(&origin, "{ file: nowhere/traffic.jsonl, sample: 100% }"));
    gateway.signal(Signal::Hangup);
    eventually("a refusal", || gateway.stderr().contains("cannot make the recording").then_some(()));
    assert_eq!(gateway.get("/a").status, 200);
    assert_eq!(requests(&gateway, "traffic.jsonl", 1)[0]["target"], "/a");
}

#[test]
fn what_was_recorded_is_in_the_file_when_the_process_ends() {
    let origin = Origin::echo();
    let mut gateway = start(&origin, "{ file: traffic.jsonl, sample: 100% }");
    for _ in 0..10 {
        assert_eq!(gateway.get("/x").status, 200);
    }
    gateway.signal(Signal::Terminate);
    assert!(gateway.await_exit().success());
    assert_eq!(lines(&gateway, "traffic.jsonl").len(), 11);
}

#[test]
fn nothing_is_written_unless_it_is_asked_for() {
    let origin = Origin::echo();
    let gateway = start(&origin, "off");
    assert_eq!(gateway.get("/x").status, 200);
    for series in [WRITTEN, DROPPED, LIMIT] {
        assert!(gateway.metrics().contains(&format!("{series} 0\n")), "{series}");
    }
    let names =
        fs::read_dir(gateway.directory()).expect("it is there").map(|entry| entry.expect("listed").path());
    assert!(names.into_iter().all(|path| path.extension().is_none_or(|kind| kind != "jsonl")));
}

fn reload(gateway: &Gateway, settings: &str) {
    let before = gateway.metric(SUCCEEDED);
    gateway.write_settings(settings);
    gateway.signal(Signal::Hangup);
    gateway.await_metric(SUCCEEDED, |after| after > before);
}

fn decode(text: &str) -> Vec<u8> {
    let digit = |letter: u8| match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        other => panic!("{other} is not base64"),
    };
    let digits: Vec<u8> = text.trim_end_matches('=').bytes().map(digit).collect();
    let group = |group: &[u8]| {
        let bits =
            group.iter().fold(0_u32, |bits, digit| bits << 6 | u32::from(*digit)) << (6 * (4 - group.len()));
        bits.to_be_bytes()[1..group.len()].to_vec()
    };
    digits.chunks(4).flat_map(group).collect()
}
