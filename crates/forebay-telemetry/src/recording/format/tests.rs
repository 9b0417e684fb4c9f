//! What a line says, and what it keeps to itself.

use serde_json::{Value, json};

use super::super::{REDACT, REDACT_QUERY};
use super::*;

fn settings() -> Settings {
    let boxed = |names: &[&str]| names.iter().map(|name| Box::from(*name)).collect();
    Settings {
        file: "traffic.jsonl".into(),
        sample: Share::PERCENT,
        body_max: 100,
        bytes_max: 1_000,
        redact: boxed(&REDACT),
        redact_query: boxed(&REDACT_QUERY),
    }
}

fn line(target: &str, fields: &[(&str, &[u8])], kept: Option<&[u8]>, bytes: u64) -> String {
    let request = Head {
        arrived: Instant::from_nanos(2_345_678),
        method: b"PUT",
        target,
        host: "shop.test",
        port: Some(8080),
        body_len: None,
    };
    let mut out = Vec::new();
    let fields = fields.iter().map(|(name, value)| (name.as_bytes(), *value));
    head(&mut out, &request, fields, Instant::from_nanos(345_000), &settings());
    body(&mut out, kept, bytes);
    String::from_utf8(out).expect("a line is ASCII")
}

fn target(written: &str) -> String {
    let line: Value = serde_json::from_str(&line(written, &[], Some(b""), 0)).expect("a line is JSON");
    line["target"].as_str().expect("a target is text").to_owned()
}

#[test]
fn a_recording_begins_with_what_it_is() {
    assert_eq!(
        String::from_utf8(first_line(Duration::from_millis(1_700_000_000_123), Share::PERCENT)).unwrap(),
        "{\"forebay_recording\":1,\"started_unix_ms\":1700000000123,\"sample\":0.01}\n"
    );
}

#[test]
fn a_request_is_one_line_with_everything_in_its_place() {
    let fields: &[(&str, &[u8])] = &[("X-A", b"1"), ("x-a", b"two"), ("Cookie", b"id=7")];
    assert_eq!(
        line("/cart?a=b", fields, Some(b"hello"), 5),
        concat!(
            r#"{"at_us":2000,"method":"PUT","target":"/cart?a=b","host":"shop.test:8080","#,
            r#""headers":[["X-A","1"],["x-a","two"],["Cookie","REDACTED"]],"body":"aGVsbG8=","body_bytes":5}"#,
            "\n"
        )
    );
}

#[test]
fn a_body_that_is_not_kept_is_said_to_be_missing() {
    let end = |kept, bytes| line("/", &[], kept, bytes).split_once("],").map(|(_, end)| end.to_owned());
    assert_eq!(end(Some(b""), 0).as_deref(), Some("\"body_bytes\":0}\n"));
    assert_eq!(end(None, 7).as_deref(), Some("\"body_bytes\":7,\"body_omitted\":true}\n"));
    assert_eq!(end(None, 0).as_deref(), Some("\"body_bytes\":0,\"body_omitted\":true}\n"));
}

#[test]
fn secrets_in_headers_are_not_written_whatever_their_case() {
    for name in ["authorization", "AUTHORIZATION", "Cookie", "set-cookie", "Proxy-Authorization", "X-Api-Key"]
    {
        let line = line("/", &[(name, b"hunter2")], Some(b""), 0);
        assert!(!line.contains("hunter2") && line.contains("REDACTED"), "{line}");
    }
    assert!(line("/", &[("x-api-key-id", b"public")], Some(b""), 0).contains("public"));
}

#[test]
fn secrets_in_the_query_are_not_written_however_their_names_are() {
    for (sent, written) in [
        ("/?token=s", "/?token=REDACTED"),
        ("/?a=1&token=s&b=2", "/?a=1&token=REDACTED&b=2"),
        ("/?Access_Token=s==&key=", "/?Access_Token=REDACTED&key=REDACTED"),
        ("/?a=1;password=s;rest&b", "/?a=1;password=REDACTED&b"),
        ("/?%74oken=s&api%5fkey=s", "/?%74oken=REDACTED&api%5fkey=REDACTED"),
        ("/?a?token=1&token", "/?a?token=1&token"),
        ("/token=1", "/token=1"),
        ("/?tokens=1&atoken=2&toke%6=3&%", "/?tokens=1&atoken=2&toke%6=3&%"),
        ("/?", "/?"),
    ] {
        assert_eq!(target(sent), written, "{sent}");
    }
}

#[test]
fn the_page_before_keeps_its_secrets_too() {
    let line = line("/", &[("Referer", b"https://a.test/x?token=hunter2&b=1")], Some(b""), 0);
    assert!(line.contains(r#"["Referer","https://a.test/x?token=REDACTED&b=1"]"#), "{line}");
}

#[test]
fn hostile_bytes_stay_inside_their_value() {
    let hostile: &[u8] = b"\"],[\"x\",\"\t\x7f\xff\xc2\x80\xc3\xa9\\";
    let line: Value = serde_json::from_str(&line("/", &[("x-a", hostile)], Some(b""), 0)).expect("JSON");
    assert_eq!(line["headers"], json!([["x-a", "\"],[\"x\",\"\t\u{fffd}\u{fffd}\u{fffd}é\\"]]));
}
