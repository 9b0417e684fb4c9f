//! Conditions and the answers they hold for.

use serde_json::json;

use super::*;

const FIELDS: &[(&[u8], &[u8])] =
    &[(b"Content-Type", b"application/json"), (b"via", b"1.1 a"), (b"Via", b"1.1 b")];
const BODY: &[u8] = br#"{"ok": true, "n": 1.0, "list": [1, {"a": "x"}]}"#;

fn answer(status: u16, body: &'static [u8]) -> Answer<'static> {
    Answer::of_parts(status, FIELDS, body, body.len() as u64)
}

#[track_caller]
fn check(expect: Result<Expect, Error>, holds: bool, described: &str) {
    let expect = expect.unwrap();
    let expected = match (&expect, holds) {
        (_, true) => Ok(()),
        (Expect::Status(_), false) => Err(ErrorKind::Status),
        (_, false) => Err(ErrorKind::Check),
    };
    assert_eq!(expect.check(&answer(200, BODY)), expected, "{expect:?}");
    assert_eq!(expect.describe(), described);
}

#[test]
fn conditions_hold_or_fail_and_say_what_they_are() {
    check(Expect::parse_status("2xx"), true, "status 2xx");
    check(Expect::parse_status("404"), false, "status 404");
    check(Expect::parse_header("Content-Type", Is::Present), true, "header Content-Type");
    check(Expect::parse_header("age", Is::Present), false, "header age");
    let json = "application/json".to_owned();
    check(
        Expect::parse_header("content-type", Is::Equal(json)),
        true,
        "header content-type is \"application/json\"",
    );
    check(Expect::parse_header("via", Is::Equal("1.1 b".into())), true, "header via is \"1.1 b\"");
    check(
        Expect::parse_header("content-type", Is::containing("json")),
        true,
        "header content-type contains \"json\"",
    );
    check(
        Expect::parse_header("content-type", Is::containing("xml")),
        false,
        "header content-type contains \"xml\"",
    );
    check(
        Is::matching("^text/").and_then(|is| Expect::parse_header("content-type", is)),
        false,
        "header content-type matches \"^text/\"",
    );
    check(Expect::parse_json("$.ok", Some(json!(true))), true, "json $.ok is true");
    check(Expect::parse_json("$.n", Some(json!(1))), true, "json $.n is 1");
    check(Expect::parse_json("$.n", Some(json!("1.0"))), false, "json $.n is \"1.0\"");
    check(
        Expect::parse_json("$.list", Some(json!([1.0, {"a": "x"}]))),
        true,
        "json $.list is [1.0,{\"a\":\"x\"}]",
    );
    check(Expect::parse_json("$.list[1]", None), true, "json $.list[1]");
    check(Expect::parse_json("$.list[2]", None), false, "json $.list[2]");
    check(Ok(Expect::contains("\"ok\"")), true, "body contains \"\\\"ok\\\"\"");
    check(Ok(Expect::contains("no")), false, "body contains \"no\"");
    check(Expect::parse_regex("\"ok\": (true|false)"), true, "body matches \"\\\"ok\\\": (true|false)\"");
    check(Ok(Expect::BodyBytesMax(BODY.len() as u64)), true, "body of at most 47 bytes");
    check(Ok(Expect::BodyBytesMax(46)), false, "body of at most 46 bytes");
}

#[test]
fn a_status_of_400_or_more_fails_unless_it_is_asked_for() {
    let check = |expects: &[Expect], status, expected| {
        assert_eq!(check_all(expects, &answer(status, BODY)), expected, "{expects:?} {status}");
    };
    let (not_found, ok) = (Expect::parse_status("404").unwrap(), Expect::contains("ok"));
    check(&[], 399, Ok(()));
    check(&[], 400, Err(ErrorKind::Status));
    check(std::slice::from_ref(&ok), 200, Ok(()));
    check(std::slice::from_ref(&ok), 500, Err(ErrorKind::Status));
    check(std::slice::from_ref(&not_found), 404, Ok(()));
    check(&[Expect::contains("no"), not_found.clone()], 200, Err(ErrorKind::Status));
    check(&[Expect::contains("no"), not_found], 404, Err(ErrorKind::Check));
}

#[test]
fn only_what_looks_into_the_body_needs_it() {
    let needs = [
        Expect::parse_status("200").unwrap(),
        Expect::parse_header("age", Is::Present).unwrap(),
        Expect::BodyBytesMax(1),
        Expect::parse_json("$.a", None).unwrap(),
        Expect::contains("x"),
        Expect::parse_regex("x").unwrap(),
    ]
    .map(|expect| expect.needs_body());
    assert_eq!(needs, [false, false, false, true, true, true]);
}

#[test]
fn what_is_wrong_is_told_with_what_was_there() {
    let told = |expects: &[Result<Expect, Error>]| {
        let expects: Vec<_> = expects.iter().map(|expect| expect.clone().expect("it is right")).collect();
        explain(&expects, &answer(200, BODY)).unwrap_or_default()
    };
    let json = |path: &str, value| Expect::parse_json(path, Some(value));
    assert_eq!(told(&[json("$.n", json!(2))]), "json $.n is 2 was expected; it is 1.0");
    assert!(told(&[json("$.none", json!(2))]).contains("it is not there; the body begins"));
    assert_eq!(told(&[Ok(Expect::BodyBytesMax(3))]), "body of at most 3 bytes was expected; it has 47");
    let both = [json("$.n", json!(2)), Expect::parse_status("201")];
    assert_eq!(told(&both), "status 201 was expected; it is 200", "a wrong status explains a wrong body");
    assert_eq!(told(&[Expect::parse_status("200")]), "");
}
