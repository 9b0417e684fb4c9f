//! Each way in which a request can go wrong is told apart from the others, and none is hidden.

use forebay_load::capture::Capture;
use forebay_load::expect::Expect;
use forebay_testkit::scripted::{How, Options, Refusing, Reply, Scripted, Span};

use super::*;

/// 100 requests of which every fifth is answered by `fault`, over one connection at a time.
fn check(fault: impl Fn() -> Reply + Send + 'static, step: Step, expected: ErrorKind) {
    let server =
        Scripted::start(
            move |request| {
                if request.number % 5 == 0 { fault() } else { Reply::now().body("{\"id\": 7}") }
            },
        );
    let mut plan = open(server.address(), 200.0, ms(500));
    plan.users_max = 1;
    plan.scenarios[0].steps = vec![step];
    let outcome = run(&plan);
    assert_eq!(buckets(&outcome), (100, 80, 20, 0, 0), "{expected:?}");
    assert_eq!(errors(&outcome.total()), [(expected, 20)]);
    assert_eq!(server.truth().requests, 100, "{expected:?}: nothing is sent twice");
}

fn fault(how: How) -> impl Fn() -> Reply + Send + 'static {
    move || Reply::now().size(100).how(how)
}

#[test]
fn a_status_of_400_or_more_is_an_error() {
    check(|| Reply::now().status(503), get("/"), ErrorKind::Status);
    check(|| Reply::now().status(404), get("/"), ErrorKind::Status);
}

#[test]
fn connections_that_break_are_errors_by_how_they_broke() {
    check(fault(How::Reset), get("/"), ErrorKind::Reset);
    check(fault(How::Closed), get("/"), ErrorKind::Closed);
    check(fault(How::Truncated), get("/"), ErrorKind::Truncated);
    check(fault(How::Garbage), get("/"), ErrorKind::Protocol);
}

#[test]
fn answers_that_are_not_as_expected_are_errors() {
    let expect = |expect: Expect| Step { expect: vec![expect], ..get("/") };
    check(|| Reply::now().body("sorry"), expect(Expect::contains("id")), ErrorKind::Check);
    check(
        || Reply::now().status(201),
        expect(Expect::parse_status("200").expect("a status")),
        ErrorKind::Status,
    );
    let id = Expect::parse_json("$.id", Some(serde_json::json!(7))).expect("a path");
    check(|| Reply::now().body("{\"id\": 8}"), expect(id), ErrorKind::Check);
}

#[test]
fn an_answer_without_what_later_steps_need_is_an_error() {
    let capture = Capture::parse_json("id", "$.id").expect("a path");
    check(|| Reply::now().body("{}"), Step { capture: vec![capture], ..get("/") }, ErrorKind::Capture);
}

#[test]
fn a_status_that_is_expected_is_no_error() {
    let server = Scripted::start(|_| Reply::now().status(404));
    let mut plan = open(server.address(), 100.0, ms(500));
    plan.scenarios[0].steps[0].expect = vec![Expect::parse_status("404").expect("a status")];
    let outcome = run(&plan);
    assert_eq!(buckets(&outcome), (50, 50, 0, 0, 0));
    assert_eq!(outcome.total().statuses.into_iter().collect::<Vec<_>>(), [(404, 50)]);
}

#[test]
fn a_port_where_nobody_listens_refuses_every_request() {
    let nobody = Refusing::start();
    let outcome = run(&open(nobody.address(), 100.0, ms(500)));
    assert_eq!(buckets(&outcome), (50, 0, 50, 0, 0));
    assert_eq!(errors(&outcome.total()), [(ErrorKind::ConnectRefused, 50)]);
}

#[test]
fn a_slow_body_counts_to_its_last_byte() {
    let slow = How::Slow { pieces: 5, gap: ms(20) };
    let server = Scripted::start(move |_| Reply::after(ms(10)).size(1000).how(slow));
    let outcome = run(&open(server.address(), 50.0, ms(500)));
    let total = outcome.total();
    assert_eq!(total.ok, 25);
    assert!(total.response.min() >= Some(ms(90)), "{:?}", total.response.min());
    assert!(total.first_byte.min() >= Some(ms(10)), "{:?}", total.first_byte.min());
    assert!(total.first_byte.quantile(0.5) < Some(ms(90)), "{:?}", total.first_byte.quantile(0.5));
}

#[test]
fn who_does_not_answer_in_time_has_timed_out() {
    let server =
        Scripted::start(
            |request| {
                if request.number % 10 == 0 { Reply::now().how(How::Never) } else { Reply::now() }
            },
        );
    let mut plan = open(server.address(), 100.0, ms(1000));
    plan.scenarios[0].steps[0].timeout = ms(2000);
    let outcome = run(&plan);
    assert_eq!(buckets(&outcome), (100, 90, 0, 10, 0));
    let total = outcome.total();
    assert!(total.censored.min() >= Some(ms(2000)), "{:?}", total.censored.min());
    // Whatever is unanswered is judged as long as it was waited for.
    assert!(total.judged().quantile(0.99) >= Some(ms(2000)));
    let truth = server.truth();
    assert_eq!((truth.given(How::Never), truth.given(How::Whole)), (10, 90));
}

#[test]
fn failures_do_not_improve_percentiles() {
    // Half of them fail at once, the others take 100 ms.
    let server = Scripted::start(|request| {
        if request.number % 2 == 0 { Reply::now().status(503) } else { Reply::after(ms(100)) }
    });
    let total = run(&open(server.address(), 100.0, ms(1000))).total();
    assert_eq!((total.ok, total.errors()), (50, 50));
    assert!(total.response.min() >= Some(ms(100)), "{:?}", total.response.min());
    assert!(total.failed.quantile(0.5) < Some(ms(100)), "{:?}", total.failed.quantile(0.5));
}

#[test]
fn an_outage_is_seen_and_survived() {
    let options = Options { outages: vec![Span::new(ms(500), ms(500))], ..Options::default() };
    let server = Scripted::with(options, |_| Reply::now());
    let outcome = run(&open(server.address(), 100.0, ms(2000)));
    let total = outcome.total();
    assert_eq!(total.planned, 200);
    // All of those planned well within it were refused.
    let refused = total.errors.get(&ErrorKind::ConnectRefused).copied().unwrap_or_default();
    assert!((20..=100).contains(&refused), "{refused}");
    let after = outcome.timeline.iter().filter(|window| window.start_ms >= 1000);
    let (planned, ok) =
        after.fold((0, 0), |(planned, ok), window| (planned + window.planned, ok + window.ok));
    assert!(planned == 100 && ok > 50, "{ok} of {planned} after it");
}
