//! Flags instead of a plan, and before one.

use super::*;

fn url(text: &str, changes: &Changes) -> Plan {
    let url = target::parse(text).expect("it is a URL");
    let loaded = of_url(&url, &Quick::default(), changes);
    loaded.unwrap_or_else(|problems| panic!("{:#?}", lines(&problems))).plan
}

fn with_flags(changes: &Changes) -> Plan {
    let loaded = read_with(BASE, Path::new("/nowhere"), changes);
    loaded.unwrap_or_else(|problems| panic!("{:#?}", lines(&problems))).plan
}

fn level(text: &str) -> Option<levels::Levels> {
    Some(levels::parse(text, levels::Unit::Rate).expect("it is right"))
}

#[test]
fn a_url_alone_is_a_test() {
    let plan = url("http://127.0.0.1:8080/a?b=c", &Changes::default());
    assert_eq!(stages(&plan), [("100/s", 30, 100.0, 100.0)]);
    assert_eq!((plan.target.prefix.as_str(), plan.name.as_str()), ("", "GET /a?b=c"));
    let step = &plan.scenarios[0].steps[0];
    assert_eq!((step.name.as_str(), step.path.as_text()), ("GET /a?b=c", Some("/a?b=c")));
}

#[test]
fn a_url_with_a_body_is_a_post() {
    let quick = |method: Option<&str>, body: Data| {
        let url = target::parse("http://127.0.0.1:1").expect("it is a URL");
        let quick = Quick { method: method.map(str::to_owned), body: Some(body) };
        of_url(&url, &quick, &Changes::default()).expect("it is right").plan.scenarios[0].steps[0].clone()
    };
    let typed = |text: &str| Data::Typed(text.to_owned());
    assert_eq!(quick(None, typed("a")).method, "POST");
    assert_eq!(quick(Some("PUT"), typed("a")).method, "PUT");
    assert!(matches!(quick(None, typed("{{ $uuid }}")).body, Body::Template(_)));
    let as_it_is = quick(None, Data::Bytes(b"{{ $uuid }}".to_vec())).body;
    assert!(matches!(as_it_is, Body::Bytes(bytes) if &*bytes == b"{{ $uuid }}"));
    for (body, json) in [("[1]", true), (" {\"a\": 1}", true), ("5", false), ("a=b", false), ("{", false)] {
        let headers = quick(None, typed(body)).headers;
        assert_eq!(headers.iter().any(|(name, _)| name == "content-type"), json, "{body}");
    }
}

#[test]
fn a_typed_body_that_is_no_template_says_how_to_write_braces() {
    let url = target::parse("http://127.0.0.1:1").expect("it is a URL");
    let quick = Quick { body: Some(Data::Typed("{{ oops".to_owned())), ..Quick::default() };
    let wrong = lines(&of_url(&url, &quick, &Changes::default()).expect_err("it does not end"));
    assert!(wrong[0].contains("`{{{{`"), "{wrong:?}");
}

#[test]
fn flags_say_how_much() {
    let changes = |levels: &str, length: Option<u64>| Changes {
        levels: level(levels),
        length: length.map(Duration::from_secs),
        ..Changes::default()
    };
    let one = url("http://127.0.0.1:1", &changes("1000", Some(10)));
    assert_eq!(stages(&one), [("1000/s", 10, 1000.0, 1000.0)]);
    let users = url("http://127.0.0.1:1", &Changes { iterations: Some(9), ..changes("5 users", None) });
    assert_eq!(
        (users.model.clone(), users.stages[0].length.as_secs()),
        (Model::Closed { iterations: Some(9) }, 3_600)
    );
    let spike = Changes { preset: Some(Preset::Spike), ..changes("10..30", Some(52)) };
    assert_eq!(stages(&url("http://127.0.0.1:1", &spike))[2], ("peak", 12, 30.0, 30.0));
    assert_eq!(url("http://127.0.0.1:1", &spike).length(), Duration::from_secs(52));
    let spike = Changes { preset: Some(Preset::Spike), ..changes("10", None) };
    assert_eq!(stages(&url("http://127.0.0.1:1", &spike))[2], ("peak", 60, 100.0, 100.0));
    let wrong = of_url(
        &target::parse("http://127.0.0.1:1").expect("a URL"),
        &Quick::default(),
        &changes("1s@1", Some(5)),
    );
    assert!(lines(&wrong.expect_err("both say how long"))[0].contains("leave out `--for`"));
}

#[test]
fn flags_go_before_the_plan() {
    let changes = Changes {
        target: Some(target::parse("http://127.0.0.1:9/x").expect("it is a URL")),
        length: Some(Duration::from_secs(5)),
        headers: vec![("X-A".to_owned(), "flag".to_owned())],
        timeout: Some(Duration::from_secs(1)),
        grace: Some(Duration::ZERO),
        poisson: true,
        warmup: Some(Duration::from_secs(2)),
        thresholds: vec![threshold("max<1s").expect("it is right")],
        seed: Some(9),
        workers: Some(3),
        users_max: Some(4),
        no_keep_alive: true,
        protocol: protocol::Protocol {
            http2: Some(When::On),
            connections: Some(2),
            streams: Some(3),
            ..protocol::Protocol::default()
        },
        ..Changes::default()
    };
    let plan = with_flags(&changes);
    assert_eq!((plan.target.authority.as_str(), plan.target.prefix.as_str()), ("127.0.0.1:9", "/x"));
    assert_eq!(stages(&plan), [("warm-up", 2, 50.0, 50.0), ("50/s", 5, 50.0, 50.0)]);
    assert_eq!((plan.seed, plan.workers, plan.users_max, plan.keep_alive), (9, 3, 4, false));
    assert_eq!(plan.http2, Http2 { when: When::On, connections: Some(2), streams: 3 });
    assert_eq!((plan.model.clone(), plan.grace), (Model::Open(Arrivals::Poisson), Duration::ZERO));
    let step = &plan.scenarios[0].steps[0];
    assert_eq!((step.timeout.as_secs(), step.headers.len(), plan.thresholds.len()), (1, 1, 1));
    let plan = with_flags(&Changes { levels: level("5s@1, 5s@2"), ..Changes::default() });
    assert_eq!(plan.stages.len(), 2);
}

#[test]
fn what_to_watch_is_read() {
    for (text, of, profile) in [
        ("api=pid:123", Of::Pid(123), None),
        ("api=port:8080", Of::Port(8080), None),
        ("api=pid:1,http://127.0.0.1:6060", Of::Pid(1), Some("http://127.0.0.1:6060")),
        ("api=http://127.0.0.1:6060", Of::Port(6060), Some("http://127.0.0.1:6060")),
    ] {
        let expected = Watch { name: "api".to_owned(), of, profile: profile.map(str::to_owned) };
        assert_eq!(watch(text), Ok(expected), "{text}");
    }
    for text in ["api", "api=", "api=8080", "api=pid:x", "api=port:99999", "api=https://a"] {
        assert!(watch(text).is_err(), "{text}");
    }
}
