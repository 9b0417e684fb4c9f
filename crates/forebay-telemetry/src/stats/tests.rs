//! Names come, go and come back; nothing counted is lost from the totals.

use super::*;

fn names(telemetry: &Telemetry) -> Vec<Box<str>> {
    telemetry.routes().into_keys().collect()
}

#[test]
fn a_name_means_the_same_counters_until_it_is_forgotten() {
    let telemetry = Telemetry::new(1, &[]);
    telemetry.worker(0).route("a").requests.count(Class::Success);
    telemetry.retain(|name| name == "a", |_, _| true);
    assert_eq!(telemetry.worker(0).route("a").requests.total(), 1);
    telemetry.retain(|_| false, |_, _| true);
    assert_eq!(telemetry.worker(0).route("a").requests.total(), 0);
}

#[test]
fn a_forgotten_route_lives_until_its_last_request_has_ended() {
    let telemetry = Telemetry::new(1, &[]);
    let held_by_a_request = telemetry.worker(0).route("a");
    telemetry.retain(|_| false, |_, _| true);
    assert_eq!(names(&telemetry), ["a".into()]);
    held_by_a_request.requests.count(Class::Success);
    drop(held_by_a_request);
    assert_eq!(names(&telemetry), []);
    assert_eq!(telemetry.retired().requests[Class::Success as usize], 1);
}

#[test]
fn a_route_that_returns_in_time_counts_on() {
    let telemetry = Telemetry::new(1, &[]);
    let held_by_a_request = telemetry.worker(0).route("a");
    held_by_a_request.requests.count(Class::Success);
    telemetry.retain(|_| false, |_, _| true);
    assert_eq!(telemetry.worker(0).route("a").requests.total(), 1);
    drop(held_by_a_request);
    assert_eq!(names(&telemetry), ["a".into()]);
}

#[test]
fn endpoints_are_forgotten_by_both_their_names() {
    let telemetry = Telemetry::new(1, &[]);
    for (service, address) in [("a", "1"), ("a", "2"), ("b", "1")] {
        let _endpoint = telemetry.worker(0).endpoint(service, address);
    }
    telemetry.retain(|_| true, |service, address| (service, address) != ("a", "1"));
    let left: Vec<_> = telemetry.endpoints().into_keys().collect();
    assert_eq!(left, [("a".into(), "2".into()), ("b".into(), "1".into())]);
}

#[test]
fn the_first_plan_is_no_reload() {
    let telemetry = Telemetry::new(1, &[]);
    telemetry.plan_installed(1);
    telemetry.reload_failed();
    telemetry.plan_installed(2);
    assert_eq!((telemetry.plan_generation(), telemetry.reloads()), (2, (1, 1)));
}

#[test]
fn every_status_has_a_class() {
    let labels = [0, 101, 200, 304, 404, 503, 999].map(|status| Class::of(status).label());
    assert_eq!(labels, ["5xx", "1xx", "2xx", "3xx", "4xx", "5xx", "5xx"]);
}
