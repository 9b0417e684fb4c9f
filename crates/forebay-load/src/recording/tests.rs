//! What is read comes back as it was written, and replays keep their time.

use super::*;
use crate::plan::{Body, SERIES_MAX};

const FIRST: &str = r#"{"forebay_recording":1,"started_unix_ms":1709164800000,"sample":0.01}"#;

fn parse(lines: &[&str]) -> Result<Recording, Error> {
    Recording::parse(format!("{}\n", lines.join("\n")).as_bytes())
}

fn get(target: &str) -> Request {
    Request { method: "GET".to_owned(), target: target.to_owned(), ..Request::default() }
}

#[test]
fn a_recording_is_read_in_the_order_of_time_and_alike_requests_are_kept_once() {
    let recording = parse(&[
        FIRST,
        r#"{"at_us":2000,"method":"GET","target":"/b","host":"shop.test","headers":[["Accept","*/*"]],"body_bytes":0}"#,
        r#"{"at_us":500,"method":"POST","target":"/a","headers":[],"body":"e30=","body_bytes":2}"#,
        r#"{"at_us":3000,"method":"GET","target":"/b","host":"shop.test","headers":[["Accept","*/*"],["traceparent","x"]],"later":[1]}"#,
        r#"{"at_us":3000,"method":"PUT","target":"/c","body_bytes":5000,"body_omitted":true}"#,
    ])
    .unwrap();
    let seen: Vec<_> =
        recording.entries().map(|(at, request)| (at.as_micros(), request.target.as_str())).collect();
    assert_eq!(seen, [(500, "/a"), (2000, "/b"), (3000, "/b"), (3000, "/c")]);
    assert_eq!((recording.requests().count(), recording.sample), (3, Some(0.01)));
    let bodies: Vec<_> = recording.requests().map(|request| request.body.clone()).collect();
    assert_eq!(bodies, [Payload::default(), Payload::Kept(b"{}".to_vec()), Payload::Omitted(5000)]);
}

#[test]
fn what_is_written_is_what_is_read() {
    let mut recording = Recording { note: "by hand: \"é\"".to_owned(), ..Recording::default() };
    let request = Request {
        host: "shop.test:8080".to_owned(),
        headers: vec![("x-a".to_owned(), "é\t\"".to_owned())],
        body: Payload::Kept(vec![0, 255]),
        ..get("/a?b=%20")
    };
    recording.push(Duration::from_micros(7), request).unwrap();
    recording.push(Duration::from_secs(9), Request { body: Payload::Omitted(3), ..get("/") }).unwrap();
    let read = Recording::parse(&recording.to_lines()).unwrap();
    assert!(read.entries().eq(recording.entries()));
    assert_eq!((read.note, read.started_unix_ms), (recording.note, None));
}

#[test]
fn what_is_no_recording_is_refused_with_its_line() {
    let line = |rest: &str| format!(r#"{{"at_us":1,"method":"GET","target":"/"{rest}}}"#);
    for (lines, says) in [
        (vec![""], "line 1: this is not a recording"),
        (vec!["GET http://shop.test/"], "line 1: this is not a recording"),
        (vec![r#"{"forebay_recording":2}"#], "line 1: it is of version 2"),
        (vec![FIRST], "there is no request"),
        (vec![FIRST, &line(""), "{"], "line 3: column 1: EOF"),
        (vec![FIRST, r#"{"at_us":-1}"#], "line 2: column 11: invalid value"),
        (vec![FIRST, "", &line(r#","body":"!""#)], "line 3: `body` is not base64"),
        (vec![FIRST, r#"{"at_us":1,"method":"G T","target":"/"}"#], "\"G T\" is not a method"),
        (vec![FIRST, r#"{"at_us":1,"method":"GET","target":"/ x"}"#], "not a path"),
        (vec![FIRST, r#"{"at_us":1,"method":"GET","target":"http://a/"}"#], "not a path"),
        (vec![FIRST, &line(r#","host":"a b""#)], "not a host"),
        (vec![FIRST, &line(r#","headers":[["a b","c"]]"#)], "not the name of a header field"),
        (vec![FIRST, &line(r#","headers":[["a","b\r\nc: d"]]"#)], "control characters"),
        (vec![FIRST, r#"{"at_us":99999999999999,"method":"GET","target":"/"}"#], "days after the start"),
    ] {
        let error = parse(&lines).unwrap_err().to_string();
        assert!(error.contains(says), "{lines:?}: {error}");
    }
}

#[test]
fn a_request_that_is_too_large_is_skipped_and_said() {
    let line = |fields: usize| {
        let headers = vec![r#"["a","b"]"#; fields].join(",");
        format!(r#"{{"at_us":1,"method":"GET","target":"/","headers":[{headers}]}}"#)
    };
    let (fits, many, blanks) = (line(FIELDS_MAX), line(FIELDS_MAX + 1), " ".repeat(LINE_BYTES_MAX));
    let long = format!("{fits}{blanks}");
    let recording = parse(&[FIRST, &many, &fits, &long, &many]).unwrap();
    assert_eq!(recording.len(), 1);
    let notes = recording.plan_parts(&Replay::at(1.0)).unwrap().notes;
    assert_eq!(
        notes,
        [
            "1 request is left out: its line has more than 16777216 bytes",
            "2 requests are left out: their lines have more than 256 header fields"
        ]
    );
    let error = parse(&[FIRST, &many]).unwrap_err().to_string();
    let says = "line 2: there is no request in it; 1 request is left out: its line has more than 256 header fields; it was to \
         hold 1 % of the requests: record for longer, or with `sample: 100%`";
    assert_eq!(error, says);
    let error = parse(&[&format!("{FIRST}{blanks}"), &fits]).unwrap_err().to_string();
    assert!(error.starts_with("line 1: it has"), "{error}");
}

#[test]
fn a_line_cut_off_at_the_end_is_left_out() {
    let whole = format!("{FIRST}\n{{\"at_us\":1,\"method\":\"GET\",\"target\":\"/\"}}\n");
    for (rest, expected) in [
        ("{\"at_us\":2,\"meth", Some(1)),
        ("{\"at_us\":2,\"method\":\"GET\",\"target\":\"/\"}", Some(2)),
        ("GET /", None),
    ] {
        let read = Recording::parse(format!("{whole}{rest}").as_bytes());
        assert_eq!(read.ok().map(|recording| recording.len()), expected, "{rest}");
    }
}

#[test]
fn a_replay_keeps_distances_divided_by_its_speed() {
    let mut recording = Recording::default();
    for (at, target) in [(1_000, "/a/1"), (1_500, "/a/2"), (3_000, "/a/1")] {
        recording.push(Duration::from_millis(at), get(target)).unwrap();
    }
    let check = |speed: f64, expected: &[(u64, u32)]| {
        let parts = recording.plan_parts(&Replay::at(speed)).unwrap();
        let arrivals: Vec<_> =
            parts.arrivals.iter().map(|arrival| (arrival.at.as_millis() as u64, arrival.scenario)).collect();
        assert_eq!(arrivals, expected);
        assert_eq!(parts.length.as_millis() as u64, expected.last().unwrap().0);
        assert!(parts.scenarios.iter().all(|scenario| scenario.name == "GET /a/*"));
    };
    check(1.0, &[(0, 0), (500, 1), (2_000, 0)]);
    check(2.0, &[(0, 0), (250, 1), (1_000, 0)]);
    check(0.5, &[(0, 0), (1_000, 1), (4_000, 0)]);
    for speed in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-9] {
        let parts = recording.plan_parts(&Replay::at(speed));
        assert_eq!(parts.is_err(), speed != f64::INFINITY, "{speed}");
    }
    assert!(Recording::default().plan_parts(&Replay::at(1.0)).is_err());
}

#[test]
fn what_was_not_recorded_is_said() {
    let mut recording = Recording::default();
    let secret = vec![("Cookie".to_owned(), REDACTED.to_owned()), ("accept".to_owned(), "*/*".to_owned())];
    let request = Request {
        host: "shop.test".to_owned(),
        headers: secret,
        body: Payload::Omitted(1_000),
        ..get("/?token=REDACTED")
    };
    recording.push(Duration::ZERO, request).unwrap();
    let parts = recording.plan_parts(&Replay::at(1.0)).unwrap();
    let step = &parts.scenarios[0].steps[0];
    let headers: Vec<_> =
        step.headers.iter().map(|(name, value)| (name.as_str(), value.as_text().unwrap())).collect();
    assert_eq!(headers, [("host", "shop.test"), ("accept", "*/*")]);
    assert!(matches!(&step.body, Body::Bytes(body) if body.len() == 1_024));
    let notes = parts.notes.join("\n");
    assert!(notes.contains("bodies") && notes.contains("cookie") && notes.contains("queries"), "{notes}");
    let replay = Replay { keep_host: false, ..Replay::at(1.0) };
    assert_eq!(recording.plan_parts(&replay).unwrap().scenarios[0].steps[0].headers.len(), 1);
}

#[test]
fn the_names_sent_least_share_one() {
    let mut recording = Recording::default();
    for number in 0..SERIES_MAX + 50 {
        let target = format!("/page-{}", "a".repeat(number));
        for _ in 0..if number % 2 == 0 { 1 } else { 2 } {
            recording.push(Duration::ZERO, get(&target[..target.len().min(110)])).unwrap();
        }
    }
    for word in 0..SERIES_MAX {
        recording.push(Duration::ZERO, get(&format!("/w{word}x"))).unwrap();
    }
    let parts = recording.plan_parts(&Replay::at(1.0)).unwrap();
    let mut names: Vec<_> = parts.scenarios.iter().map(|scenario| scenario.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), SERIES_MAX);
    assert!(names.contains(&"other") && names.contains(&"GET /page-a"));
}

#[test]
fn what_a_sample_does_to_the_rate_is_said() {
    let says = |sample: &str, speed: f64| {
        let text = format!(
            "{{\"forebay_recording\":1{sample}}}\n{{\"at_us\":0,\"method\":\"GET\",\"target\":\"/\"}}\n"
        );
        let recording = Recording::parse(text.as_bytes()).expect("it is a recording");
        recording.plan_parts(&Replay::at(speed)).expect("it can be sent").sampled
    };
    assert_eq!(says("", 1.0), None);
    assert_eq!(says(",\"sample\":1.0", 1.0), None);
    let said = "the recording holds 1 % of the requests: speed 1 is 1 % of the rate; use `--speed 100`, or record \
                with `sample: 100%`";
    assert_eq!(says(",\"sample\":0.01", 1.0).as_deref(), Some(said));
    assert!(says(",\"sample\":0.01", 100.0).is_some_and(|said| said.ends_with("speed 100 makes up for it")));
    assert!(says(",\"sample\":0.0001", 1.0).is_some_and(|said| !said.contains("--speed")));
}

#[test]
fn a_sample_explains_why_there_is_nothing() {
    let error = Recording::parse(b"{\"forebay_recording\":1,\"sample\":0.01}\n").expect_err("it is empty");
    assert!(error.what.contains("it was to hold 1 % of the requests"), "{error}");
}
