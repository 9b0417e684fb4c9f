//! What people see: totals, rows in order, and what is recent.

use super::*;
use crate::stats::RouteStats;

const REASONS: &[&str] = &["no_route", "connect_failed", "header_timeout"];

fn serve(route: &RouteStats, requests: u64, class: Class, millis: u64) {
    for _ in 0..requests {
        route.requests.count(class);
        route.duration.record(millis * 1_000_000);
    }
}

fn at(second: u64) -> Instant {
    Instant::from_nanos(second * 1_000_000_000)
}

#[test]
fn the_busiest_rows_come_first_and_the_rest_is_counted() {
    let telemetry = Telemetry::new(2, REASONS);
    for (index, name, requests) in [(0, "a", 1), (0, "b", 5), (1, "b", 5), (1, "c", 4), (1, "quiet", 0)] {
        serve(&telemetry.worker(index).route(name), requests, Class::Success, 1);
    }
    telemetry.worker(0).requests_before_route.count(Class::ClientError);
    let summary = Summary::of(&telemetry, 2);
    let rows: Vec<_> = summary.routes.iter().map(|route| (&*route.name, route.traffic.requests())).collect();
    assert_eq!(rows, [("b", 10), ("c", 4)]);
    assert_eq!(summary.routes_used, 3);
    assert_eq!(summary.total.requests(), 16);
    assert_eq!(summary.total.of_class(Class::ClientError), 1);
    assert_eq!(summary.total.duration.count, 15);
}

#[test]
fn only_reasons_that_occurred_are_listed() {
    let telemetry = Telemetry::new(2, REASONS);
    telemetry.worker(0).refusals[0].inc();
    telemetry.worker(0).refusals[2].add(3);
    telemetry.worker(1).refusals[2].add(4);
    assert_eq!(Summary::of(&telemetry, 9).refusals, [("header_timeout", 7), ("no_route", 1)]);
}

#[test]
fn totals_do_not_fall_when_a_route_is_forgotten() {
    let telemetry = Telemetry::new(1, REASONS);
    serve(&telemetry.worker(0).route("old"), 5, Class::Success, 1);
    serve(&telemetry.worker(0).route("new"), 1, Class::Success, 1);
    telemetry.retain(|route| route == "new", |_, _| false);
    let summary = Summary::of(&telemetry, 9);
    assert_eq!(summary.total.requests(), 6);
    assert_eq!(summary.total.duration.count, 6);
    assert_eq!(summary.routes_used, 1);
}

#[test]
fn json_says_seconds_and_names() {
    let telemetry = Telemetry::new(1, REASONS);
    serve(&telemetry.worker(0).route("shop"), 1, Class::ServerError, 250);
    telemetry.worker(0).endpoint("shop", "10.0.0.1:80").connects.inc();
    telemetry.worker(0).refusals[1].inc();
    let json = Summary::of(&telemetry, 9).to_json();
    assert_eq!(json["routes"][0]["name"], "shop");
    assert_eq!(json["routes"][0]["by_class"]["5xx"], 1);
    assert_eq!(json["routes"][0]["duration"]["max"], 0.25);
    assert_eq!(json["endpoints"][0]["endpoint"], "10.0.0.1:80");
    assert_eq!(json["endpoints"][0]["connects"], 1);
    assert_eq!(json["refusals"], json!({ "connect_failed": 1 }));
}

#[test]
fn a_sample_holds_what_happened_between_two_ticks() {
    let telemetry = Telemetry::new(1, REASONS);
    let route = telemetry.worker(0).route("r");
    let mut recorder = Recorder::new();
    serve(&route, 1_000, Class::Success, 500);
    recorder.tick(&telemetry, at(1));
    assert_eq!(recorder.recent(), None);
    serve(&route, 30, Class::Success, 1);
    serve(&route, 10, Class::ServerError, 1);
    recorder.tick(&telemetry, at(3));
    let recent = recorder.recent().expect("two ticks make a sample");
    assert_eq!((recent.requests, recent.rate(), recent.error_share()), (40, 20.0, 0.25));
    assert!((950_000..1_050_000).contains(&recent.duration.p99), "{recent:?}");
}

#[test]
fn a_row_shows_its_last_seconds_and_then_falls_silent() {
    let telemetry = Telemetry::new(1, REASONS);
    let route = telemetry.worker(0).route("r");
    let mut recorder = Recorder::new();
    let rate =
        |recorder: &Recorder| recorder.to_json()["routes"][0]["recent"]["requests_per_second"].as_f64();
    serve(&route, 1, Class::Success, 1);
    recorder.tick(&telemetry, at(0));
    assert_eq!(rate(&recorder), Some(0.0));
    for second in 1..=10 {
        serve(&route, 7, Class::Success, 1);
        recorder.tick(&telemetry, at(second));
        assert_eq!(rate(&recorder), Some(7.0), "second {second}");
    }
    for second in 11..=40 {
        recorder.tick(&telemetry, at(second));
    }
    assert_eq!(rate(&recorder), Some(0.0));
}

#[test]
fn history_has_a_bound() {
    let telemetry = Telemetry::new(1, REASONS);
    let mut recorder = Recorder::new();
    for second in 0..400 {
        recorder.tick(&telemetry, at(second));
    }
    let history = &recorder.to_json()["history"];
    for quantity in ["requests_per_second", "error_share", "p50", "p99", "cpu", "resident_bytes"] {
        assert_eq!(history[quantity].as_array().map(Vec::len), Some(300), "{quantity}");
    }
}
