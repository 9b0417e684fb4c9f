//! Other tools' files, what they become, and what they are refused for.

use proptest::prelude::*;

use super::*;
use crate::recording::Payload;

mod artillery_script;
mod k6_options;

/// Requests as `at in ms, method, host, target, headers, body`.
fn seen(imported: &Imported) -> Vec<String> {
    let show = |(at, request): (Duration, &Request)| {
        let headers: Vec<_> =
            request.headers.iter().map(|(name, value)| format!(" {name}={value}")).collect();
        let body = match &request.body {
            Payload::Kept(body) if body.is_empty() => String::new(),
            Payload::Kept(body) => format!(" <{}>", String::from_utf8_lossy(body)),
            Payload::Omitted(bytes) => format!(" <{bytes} bytes>"),
        };
        let Request { method, host, target, .. } = request;
        format!("{} {method} {host}{target}{}{body}", at.as_millis(), headers.concat())
    };
    imported.recording.entries().map(show).collect()
}

fn paced(rate: f64, seconds: u64) -> Options {
    Options { pace: Pace { rate, length: Duration::from_secs(seconds) }, ..Options::default() }
}

fn host(host: &str) -> Options {
    Options { host: Some(host.to_owned()), ..paced(2.0, 1) }
}

#[track_caller]
fn check(imported: Result<Imported, Refused>, expected: &[&str], notes: &[&str]) {
    let imported = imported.unwrap();
    assert_eq!(seen(&imported), expected);
    let all = imported.notes.join("\n");
    assert!(notes.iter().all(|note| all.contains(note)), "{all}");
    assert_eq!(imported.notes.len(), notes.len(), "{all}");
}

#[track_caller]
fn check_refused<T: fmt::Debug>(imported: Result<T, Refused>, says: &[&str]) {
    let problems = imported.unwrap_err().problems;
    assert_eq!(problems.len(), says.len(), "{problems:#?}");
    for says in says {
        assert!(problems.iter().any(|problem| problem.contains(says)), "{says}: {problems:#?}");
    }
}

#[test]
fn a_list_of_urls_is_sent_in_turn() {
    let text = "# shop\nhttp://shop.test/a\n\nPOST http://shop.test/b?c\n";
    let expected = ["0 GET shop.test/a", "500 POST shop.test/b?c", "1000 GET shop.test/a"];
    check(urls::parse(text, &paced(2.0, 1)), &expected[..2], &[]);
    let imported = urls::parse(text, &paced(2.0, 1)).unwrap();
    assert_eq!((imported.origin.as_str(), imported.recording.requests().count()), ("http://shop.test", 2));
    check(urls::parse("/a\n/b\n", &paced(1.0, 1)), &["0 GET /a"], &["first 1 of 2"]);
    check_refused(urls::parse("ftp://a/\nhttp://\nG@T /", &paced(1.0, 9)), &["line 1", "line 2", "line 3"]);
    check_refused(urls::parse("", &Options::default()), &["no request"]);
    check_refused(urls::parse("/a", &paced(f64::NAN, 1)), &["rate and length"]);
    check_refused(urls::parse("/a", &paced(1e9, 100)), &["rate and length"]);
}

#[test]
fn of_several_hosts_one_must_be_chosen() {
    let text = "http://a.test/1\nhttp://b.test/2\nhttp://a.test/3";
    check_refused(
        urls::parse(text, &paced(2.0, 1)),
        &["2 hosts; choose one, such as `--host a.test`, or `--host '*'` for all: a.test (2), b.test (1)"],
    );
    check(
        urls::parse(text, &host("A.test")),
        &["0 GET a.test/1", "500 GET a.test/3"],
        &["1 requests to other hosts"],
    );
    check(urls::parse(text, &host("*")), &["0 GET a.test/1", "500 GET b.test/2"], &["first 2 of 3"]);
    check_refused(
        urls::parse(text, &host("c.test")),
        &["no request goes to c.test; there are a.test (2), b.test (1)"],
    );
}

fn file(name: &str) -> Result<Vec<u8>, String> {
    if name == "body.json" { Ok(b"{}".to_vec()) } else { Err("no such file".to_owned()) }
}

#[test]
fn vegeta_targets_are_read_as_text() {
    let text = "# first\nGET http://shop.test/a\nAccept: */*\nX-Empty:\n\nPOST http://shop.test/b\nHost: other.test\n\
                @body.json\nDELETE http://shop.test/c\n";
    let expected =
        ["0 GET shop.test/a Accept=*/* X-Empty=", "333 POST other.test/b <{}>", "666 DELETE shop.test/c"];
    check(vegeta::parse(text, &paced(3.0, 1), &mut file), &expected, &[]);
    let wrong =
        "Accept: */*\nGET shop.test/a\nGET http://shop.test/a\nnonsense\n@missing\nPOST ftp://a/\nA: b\n";
    check_refused(
        vegeta::parse(wrong, &paced(1.0, 1), &mut file),
        &[
            "line 1: this is not a target",
            "line 2: this is not",
            "line 4",
            "line 5: cannot read `missing`",
            "line 6",
        ],
    );
}

#[test]
fn vegeta_targets_are_read_as_json() {
    let text = r#"{"method":"GET","url":"http://shop.test/a","header":{"X":["1","2"]}}
{"method":"POST","url":"http://shop.test/b","body":"e30="}
"#;
    check(
        vegeta::parse(text, &paced(2.0, 1), &mut file),
        &["0 GET shop.test/a X=1 X=2", "500 POST shop.test/b <{}>"],
        &[],
    );
    let wrong = "{\"method\":\"GET\"}\n{\"method\":\"GET\",\"url\":\"/\",\"body\":\"!\"}\n{\"method\":\"GET\",\"url\":\"/\",\"x\":1}";
    check_refused(
        vegeta::parse(wrong, &paced(1.0, 1), &mut file),
        &["line 1", "line 2: `body` is not base64", "line 3: this is not a target: unknown field `x`"],
    );
}

#[test]
fn a_combined_log_keeps_its_time() {
    let text = concat!(
        "192.0.2.7 - - [10/Oct/2000:13:55:36 -0700] \"GET /a?token=x HTTP/1.1\" 200 1 \"-\" \"curl/8\"\n",
        "192.0.2.7 - bob [10/Oct/2000:13:55:38 -0700] \"GET /b\\x22 HTTP/1.1\" 404 1\n",
        "192.0.2.7 - - [10/Oct/2000:20:55:38 +0000] \"HEAD /c HTTP/1.0\" 200 0 \"-\" \"-\" extra\n",
        "192.0.2.7 - - [10/Oct/2000:13:55:37 -0700] \"POST /d HTTP/1.1\" 200 1\n",
        "192.0.2.7 - - [10/Oct/2000:13:55:37 -0700] \"\\x16\\x03\" 400 1\n",
        "192.0.2.7 - - [10/Oct/2000:13:55:37 -0700] \"-\" 408 1\n",
        "nonsense\n",
    );
    check(
        access_log::parse(text.as_bytes(), &Options::default()),
        &["0 GET /a?token=REDACTED", "2000 GET /b\"", "2500 HEAD /c"],
        &[
            "1 lines are none of an access log and were left out, line 7",
            "2 lines hold no request that could be read and were left out, line 5",
            "1 requests other than GET and HEAD",
            "1 queries had secrets",
            "whole seconds",
            "headers",
        ],
    );
    let all = Options { all_methods: true, secrets: true, ..Options::default() };
    check(
        access_log::parse(text.as_bytes(), &all),
        &["0 GET /a?token=x", "1000 POST /d", "2000 GET /b\"", "2500 HEAD /c"],
        &[
            "1 lines are none",
            "2 lines hold no request",
            "1 requests may have had bodies",
            "whole seconds",
            "headers",
        ],
    );
    let hosts = "shop.test:80 192.0.2.7 - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.1\" 200 1\n";
    check(
        access_log::parse(hosts.as_bytes(), &Options::default()),
        &["0 GET shop.test/"],
        &["whole", "headers"],
    );
    check_refused(access_log::parse(b"a\nb\nc\n", &Options::default()), &["not an access log: 3 lines"]);
    check_refused(access_log::parse(b"", &Options::default()), &["no request"]);
}

#[test]
fn the_gateways_own_logs_are_read() {
    let json = concat!(
        r#"{"time":"2024-02-29T00:00:00.123Z","client":"192.0.2.7","method":"GET","host":"shop.test","path":"/cart","query":"item=1","status":200,"bytes_in":0}"#,
        "\n",
        r#"{"time":"2024-02-29T00:00:00.500Z","method":"PUT","host":"shop.test","path":"/cart","bytes_in":12}"#,
        "\n",
        r#"{"time":"2024-02-29T00:00:00.600Z","reason":"header_timeout","aborted":true}"#,
        "\n",
        r#"{"time":"2024-02-29T00:00:00.700Z","method":"GET","host":"shop.test","path":"/lo..."}"#,
        "\n",
    );
    let all = Options { all_methods: true, ..Options::default() };
    check(
        access_log::parse(json.as_bytes(), &all),
        &["0 GET shop.test/cart?item=1", "377 PUT shop.test/cart <12 bytes>"],
        &[
            "line 3",
            "too long to be written down and were left out, line 4",
            "1 requests may have had bodies",
            "headers",
        ],
    );
    let text = concat!(
        "23:59:59.900 200   1.23 ms 192.0.2.7       GET    shop.test/cart?item=1 -> shop 10.0.0.1:3000 out=5120\n",
        "00:00:00.100 200   12.3 ms 192.0.2.7       GET    shop.test/\\u{e9}\\\"x -> shop out=1\n",
        "00:00:00.000 ---   1.23 ms 192.0.2.7       -      - reason=header_timeout aborted out=0\n",
    );
    check(
        access_log::parse(text.as_bytes(), &all),
        &["0 GET shop.test/cart?item=1", "200 GET shop.test/%C3%A9\"x"],
        &["1 lines hold no request", "headers"],
    );
}

const HAR: &str = r#"{"log": {"version": "1.2", "creator": {}, "entries": [
    {"startedDateTime": "2024-02-29T01:00:00.250+01:00", "request": {"method": "POST", "url": "https://shop.test/login?key=1#x",
        "headers": [{"name": ":authority", "value": "shop.test"}, {"name": "Cookie", "value": "a=b"},
            {"name": "Accept", "value": "*/*"}, {"name": "Content-Length", "value": "3"}],
        "postData": {"mimeType": "application/x-www-form-urlencoded", "params": [{"name": "u", "value": "a b&c"}]}}},
    {"startedDateTime": "2024-02-29T00:00:00.000Z", "request": {"method": "GET", "url": "https://shop.test/", "headers": []}},
    {"startedDateTime": "2024-02-29T00:00:02Z", "request": {"method": "GET", "url": "https://cdn.test/x.js", "headers": []}},
    {"startedDateTime": "2024-02-29T00:00:02Z", "_fromCache": "memory", "request": {"method": "GET", "url": "https://shop.test/y", "headers": []}},
    {"startedDateTime": "2024-02-29T00:00:02Z", "request": {"method": "GET", "url": "data:text/plain,x", "headers": []}},
    {"startedDateTime": "2024-02-29T00:00:03Z", "request": {"method": "PUT", "url": "https://shop.test/z", "headers": [],
        "postData": {"mimeType": "text/plain", "text": "hé"}}}
]}}"#;

#[test]
fn a_har_file_keeps_its_gaps_and_loses_its_secrets() {
    check(
        har::parse(HAR, &host("shop.test")),
        &[
            "0 GET shop.test/",
            "250 POST shop.test/login?key=REDACTED Cookie=REDACTED Accept=*/* <u=a+b%26c>",
            "3000 PUT shop.test/z <hé>",
        ],
        &[
            "answered from its cache",
            "1 entries that are not http",
            "1 requests had cookies",
            "2 requests have bodies",
            "1 requests to other hosts",
            "over TLS",
        ],
    );
    let secrets = Options { secrets: true, ..host("shop.test") };
    let imported = har::parse(HAR, &secrets).unwrap();
    assert_eq!(seen(&imported)[1], "250 POST shop.test/login?key=1 Cookie=a=b Accept=*/* <u=a+b%26c>");
    assert_eq!(imported.origin, "https://shop.test");
    check_refused(har::parse(HAR, &Options::default()), &["2 hosts"]);
    check_refused(har::parse("{}", &Options::default()), &["not a HAR file"]);
    let wrong = HAR
        .replace("application/x-www-form-urlencoded", "multipart/form-data")
        .replace("02-29T00:00:00.000Z", "x");
    check_refused(
        har::parse(&wrong, &host("shop.test")),
        &["entry 1 (POST https://shop.test/login?key=1#x): a body of `multipart", "entry 2"],
    );
}

#[test]
fn problems_are_told_once_and_not_without_end() {
    let text: String = (0..PROBLEMS_MAX + 50).map(|_| "nonsense\n").collect();
    let problems = urls::parse(&text, &paced(1.0, 1)).unwrap_err().problems;
    assert_eq!(problems.len(), PROBLEMS_MAX + 1);
    assert_eq!(problems.last().map(String::as_str), Some("and 50 more"));
}

proptest! {
    #[test]
    fn no_text_is_a_panic(
        line in "[-0-9:.,T/+ \\\\\"\\[\\]xu{}@#GETHP\u{e9}]{0,60}",
        clock in "[0-2][0-9]:[0-5][0-9]:[0-9]{2}\\.[0-9]{3}[ a-z/\\\\{}-]{0,40}",
    ) {
        let options = paced(1.0, 1);
        for text in [&line, &clock, &format!("192.0.2.7 - - [10/Oct/2000:13:55:36 -0700] \"GET /{line}")] {
            let _ = access_log::parse(text.as_bytes(), &options);
            let _ = urls::parse(text, &options);
            let _ = vegeta::parse(text, &options, &mut file);
            let _ = har::parse(text, &options);
            let _ = k6::parse(text);
            let _ = Recording::parse(text.as_bytes());
            let _ = yaml::duration(text, Duration::from_secs(1));
            let _ = (time::rfc3339(text), time::common_log(text), url::parse(text));
        }
    }
}

#[test]
fn credentials_of_targets_are_redacted_unless_they_are_asked_for() {
    let text = "GET http://shop.test/?token=abc\nAuthorization: Bearer abc\nX-Plain: abc\n";
    let headers = |secrets: bool| {
        let options = Options { secrets, ..Options::default() };
        let made = vegeta::parse(text, &options, &mut |_| Err(String::new())).expect("they are targets");
        let text = String::from_utf8(made.recording.to_lines()).expect("it is JSON");
        (text.matches("Bearer abc").count() > 0, text.contains("token=abc"), made.notes.len())
    };
    assert_eq!(headers(false), (false, false, 1));
    assert_eq!(headers(true), (true, true, 0));
}

#[test]
fn lines_without_a_host_can_be_chosen_by_a_word() {
    let line = |target: &str| {
        format!("192.0.2.7 - - [10/Oct/2000:13:55:36 -0700] \"GET {target} HTTP/1.1\" 200 23\n")
    };
    let log = line("/a") + &line("/b") + &line("http://shop.test/c");
    let parse = |host: Option<&str>| {
        let options = Options { host: host.map(str::to_owned), ..Options::default() };
        access_log::parse(log.as_bytes(), &options).map(|made| made.recording.len())
    };
    let refused = parse(None).expect_err("there are two");
    assert!(refused.to_string().contains("such as `--host none`"), "{refused}");
    assert!(refused.to_string().contains("none (2), shop.test (1)"), "{refused}");
    assert_eq!((parse(Some("none")), parse(Some("*"))), (Ok(2), Ok(3)));
}

#[test]
fn what_is_no_har_file_is_told_in_the_words_of_its_format() {
    for (text, said) in [
        ("[1, 2]", "something else stands where HAR has an object"),
        ("{\"log\": 3}", "something else stands where"),
        ("{\"log\": {}}", "missing field `entries`"),
        ("<html>", "it cannot be read from line 1"),
    ] {
        let refused = har::parse(text, &Options::default()).expect_err("it is none").to_string();
        assert!(refused.contains(said) && !refused.contains("struct"), "{refused}");
    }
}
