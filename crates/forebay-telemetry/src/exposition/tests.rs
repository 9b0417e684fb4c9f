//! What a scraper reads, to the letter.

use super::*;
use crate::stats::{Class, ShownCertificate};

const REASONS: &[&str] = &["no_route", "connect_failed"];

fn page_of(telemetry: &Telemetry, format: Format) -> String {
    write_seen(&Seen::of(telemetry, None, ENDPOINTS_MAX, OUT_MAX), format, PAGE_BYTES_MAX)
}

fn families() -> impl Iterator<Item = &'static Family> {
    CATALOGUE.iter().flat_map(|section| section.families)
}

/// The samples of one family, in order.
fn samples<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let of_family = |line: &&str| line.starts_with(name) && !line.starts_with('#');
    page.lines().filter(of_family).collect()
}

#[test]
fn workers_are_added_up() {
    let telemetry = Telemetry::new(2, REASONS);
    for index in 0..2 {
        let worker = telemetry.worker(index);
        worker.refusals[1].inc();
        worker.connections_active.add(5);
        worker.connections_idle.add(2);
        let route = worker.route("shop");
        route.requests.count(Class::Success);
        route.bytes_out.add(100);
        worker.endpoint("shop", "10.0.0.1:80").connects.inc();
    }
    let page = page_of(&telemetry, Format::Prometheus);
    assert_eq!(
        samples(&page, "forebay_requests_total"),
        [
            r#"forebay_requests_total{route="shop",class="1xx"} 0"#,
            r#"forebay_requests_total{route="shop",class="2xx"} 2"#,
            r#"forebay_requests_total{route="shop",class="3xx"} 0"#,
            r#"forebay_requests_total{route="shop",class="4xx"} 0"#,
            r#"forebay_requests_total{route="shop",class="5xx"} 0"#,
            r#"forebay_requests_total{route="shop",class="aborted"} 0"#,
        ]
    );
    assert_eq!(
        samples(&page, "forebay_refusals_total"),
        [
            r#"forebay_refusals_total{reason="no_route"} 0"#,
            r#"forebay_refusals_total{reason="connect_failed"} 2"#,
        ]
    );
    assert_eq!(
        samples(&page, "forebay_connections{"),
        [r#"forebay_connections{state="busy"} 6"#, r#"forebay_connections{state="idle"} 4"#]
    );
    assert_eq!(
        samples(&page, "forebay_response_body_bytes_total"),
        [r#"forebay_response_body_bytes_total{route="shop"} 200"#]
    );
    assert_eq!(
        samples(&page, "forebay_upstream_connects_total"),
        [r#"forebay_upstream_connects_total{service="shop",endpoint="10.0.0.1:80"} 2"#]
    );
}

#[test]
fn a_histogram_is_cumulative_and_ends_with_infinity() {
    let telemetry = Telemetry::new(1, REASONS);
    let route = telemetry.worker(0).route("r");
    route.requests.count(Class::Success);
    for millis in [0, 3, 40, 90_000] {
        route.duration.record(millis * 1_000_000);
    }
    let page = page_of(&telemetry, Format::Prometheus);
    let lines = samples(&page, "forebay_request_duration_seconds");
    let expected = [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3];
    for ((line, (_, le)), count) in lines.iter().zip(page::BOUNDS).zip(expected) {
        assert_eq!(
            *line,
            format!(r#"forebay_request_duration_seconds_bucket{{route="r",le="{le}"}} {count}"#)
        );
    }
    assert_eq!(
        lines[16..],
        [
            r#"forebay_request_duration_seconds_bucket{route="r",le="+Inf"} 4"#,
            r#"forebay_request_duration_seconds_sum{route="r"} 90.043000000"#,
            r#"forebay_request_duration_seconds_count{route="r"} 4"#,
        ]
    );
}

#[test]
fn labels_are_escaped() {
    let telemetry = Telemetry::new(1, REASONS);
    telemetry.worker(0).route("a\"b\\c\nd é").requests.count(Class::Success);
    let page = page_of(&telemetry, Format::Prometheus);
    assert!(page.contains(r#"forebay_requests_in_flight{route="a\"b\\c\nd é"} 0"#), "{page}");
}

#[test]
fn what_was_never_used_is_not_shown() {
    let telemetry = Telemetry::new(1, REASONS);
    let _route = telemetry.worker(0).route("quiet");
    let _endpoint = telemetry.worker(0).endpoint("quiet", "10.0.0.1:80");
    assert!(!page_of(&telemetry, Format::Prometheus).contains("quiet"));
}

#[test]
fn a_full_page_says_what_it_leaves_out() {
    let telemetry = Telemetry::new(1, REASONS);
    let routes: Vec<_> = (0..100).map(|n| telemetry.worker(0).route(&format!("route-{n}"))).collect();
    routes.iter().for_each(|route| route.requests.count(Class::Success));
    let seen = Seen::of(&telemetry, None, ENDPOINTS_MAX, OUT_MAX);
    let page = write_seen(&seen, Format::Prometheus, 10_000);
    // Names, types and help of all families are always there.
    assert!(page.len() < 10_000 + 12_000, "{}", page.len());
    let omitted = samples(&page, "forebay_metrics_omitted_series");
    let [line] = omitted[..] else { panic!("{omitted:?}") };
    assert!(!line.ends_with(" 0"), "{line}");
}

/// A service of so many endpoints, the first of them out.
fn service(name: &str, endpoints: usize) -> ServiceNumbers {
    let endpoint = |index: usize| EndpointNumbers {
        address: format!("10.0.0.{index}:80").into(),
        up: index > 0,
        state: if index > 0 { "up" } else { "ejected" },
        share: if index > 0 { 1.0 / 3.0 } else { 0.0 },
        checks: Some((5, 1)),
        ejections: vec![("connect_failures", 2), ("latency", 0)],
    };
    ServiceNumbers {
        service: name.into(),
        panic: true,
        waiting: 7,
        sources: (1, 1),
        lookups: (30, 2),
        endpoints: (0..endpoints).map(endpoint).collect(),
    }
}

fn supervised(services: Vec<ServiceNumbers>) -> std::sync::Arc<Telemetry> {
    let telemetry = Telemetry::new(1, REASONS);
    telemetry.supervise(move || services.clone());
    telemetry
}

#[test]
fn endpoints_are_shown_before_they_are_used() {
    let page = page_of(&supervised(vec![service("shop", 2)]), Format::Prometheus);
    for line in [
        r#"forebay_upstream_endpoints{service="shop",state="up"} 1"#,
        r#"forebay_upstream_endpoints{service="shop",state="ejected"} 1"#,
        r#"forebay_upstream_endpoints{service="shop",state="drained"} 0"#,
        r#"forebay_upstream_panic{service="shop"} 1"#,
        r#"forebay_upstream_queue_waiting{service="shop"} 7"#,
        r#"forebay_upstream_sources{service="shop",state="failing"} 1"#,
        r#"forebay_upstream_lookups_total{service="shop",result="good"} 30"#,
        r#"forebay_upstream_endpoint_up{service="shop",endpoint="10.0.0.0:80"} 0"#,
        r#"forebay_upstream_endpoint_up{service="shop",endpoint="10.0.0.1:80"} 1"#,
        r#"forebay_upstream_endpoint_state{service="shop",endpoint="10.0.0.0:80",state="ejected"} 1"#,
        r#"forebay_upstream_endpoint_share{service="shop",endpoint="10.0.0.1:80"} 0.333333"#,
        r#"forebay_upstream_health_checks_total{service="shop",endpoint="10.0.0.1:80",result="passed"} 5"#,
        r#"forebay_upstream_ejections_total{service="shop",endpoint="10.0.0.0:80",cause="connect_failures"} 2"#,
        "forebay_metrics_omitted_series 0",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
}

#[test]
fn certificates_are_shown_with_their_end_and_never_twice() {
    let telemetry = Telemetry::new(1, REASONS);
    assert!(!page_of(&telemetry, Format::Prometheus).contains("\nforebay_certificate"));
    let shown =
        |source: &str, expires| ShownCertificate { name: "shop.test".into(), source: source.into(), expires };
    let numbers = CertificateNumbers {
        shown: vec![shown("ACME", 1_900_000_000), shown("a.pem", 20), shown("a.pem", 10)],
        fetches: Some((3, 1)),
    };
    telemetry.certify(move || numbers.clone());
    let page = page_of(&telemetry, Format::Prometheus);
    let lines: Vec<&str> = page.lines().filter(|line| line.starts_with("forebay_certificate")).collect();
    assert_eq!(
        lines,
        [
            r#"forebay_certificate_expiry_timestamp_seconds{name="shop.test",source="ACME"} 1900000000"#,
            r#"forebay_certificate_expiry_timestamp_seconds{name="shop.test",source="a.pem"} 10"#,
            r#"forebay_certificate_fetches_total{result="issued"} 3"#,
            r#"forebay_certificate_fetches_total{result="failed"} 1"#,
        ]
    );
}

#[test]
fn how_often_connections_are_reused_is_a_share() {
    let telemetry = Telemetry::new(2, REASONS);
    for index in 0..2 {
        let endpoint = telemetry.worker(index).endpoint("shop", "10.0.0.1:80");
        endpoint.connects.inc();
        (0..3).for_each(|_| endpoint.reused.inc());
        endpoint.moved.inc();
    }
    telemetry.worker(0).endpoint("shop", "10.0.0.2:80").connect_failures.inc();
    let page = page_of(&telemetry, Format::Prometheus);
    assert_eq!(
        samples(&page, "forebay_upstream_connection_reuse_ratio"),
        [r#"forebay_upstream_connection_reuse_ratio{service="shop",endpoint="10.0.0.1:80"} 0.75"#]
    );
    assert_eq!(
        samples(&page, "forebay_upstream_moved_total")[0],
        r#"forebay_upstream_moved_total{service="shop",endpoint="10.0.0.1:80"} 2"#
    );
}

#[test]
fn of_very_many_endpoints_the_counts_remain_and_those_that_are_out() {
    let services = vec![service("large", 60), service("small", 3), service("larger", 61)];
    let telemetry = supervised(services);
    telemetry.worker(0).endpoint("small", "10.0.0.1:80").connects.inc();
    telemetry.worker(0).endpoint("large", "10.0.0.1:80").connects.inc();
    let page = write_seen(&Seen::of(&telemetry, None, 50, 1), Format::Prometheus, PAGE_BYTES_MAX);
    let up = samples(&page, "forebay_upstream_endpoint_up");
    // The out one of `large`, the three of `small`; for that of `larger` there was no room.
    assert_eq!(up.len(), 4, "{up:?}");
    assert!(up[0].contains("large") && up[0].ends_with(" 0"), "{up:?}");
    assert_eq!(
        samples(&page, "forebay_upstream_connects_total"),
        [r#"forebay_upstream_connects_total{service="small",endpoint="10.0.0.1:80"} 1"#]
    );
    for line in [
        r#"forebay_upstream_endpoints{service="large",state="up"} 59"#,
        r#"forebay_upstream_endpoints{service="larger",state="ejected"} 1"#,
    ] {
        assert!(page.contains(line), "{line}");
    }
    assert!(!page.contains("forebay_metrics_omitted_series 0"));
}

#[test]
fn a_hundred_thousand_endpoints_fit_on_a_page() {
    let services = (0..100).map(|n| service(&format!("service-{n}"), 1_000)).collect();
    let page = page_of(&supervised(services), Format::Prometheus);
    assert!(page.len() < 4 << 20, "{} bytes", page.len());
    assert!(page.contains("# TYPE process_start_time_seconds gauge"));
}

#[test]
fn every_line_is_well_formed_in_both_formats() {
    let telemetry = Telemetry::new(1, REASONS);
    let worker = telemetry.worker(0);
    worker.route("r").duration.record(5);
    worker.route("r").requests.count(Class::Success);
    worker.endpoint("s", "e").first_byte.record(5);
    worker.endpoint("s", "e").responses.count(Class::Success);
    telemetry.supervise(|| vec![service("s", 3)]);
    for format in [Format::Prometheus, Format::OpenMetrics] {
        let page = write(&telemetry, format);
        let page = page.strip_suffix("# EOF\n").unwrap_or(&page);
        for line in page.lines().filter(|line| !line.starts_with("# ")) {
            let (series, value) = line.rsplit_once(' ').expect("a name and a value");
            assert!(value.parse::<f64>().is_ok(), "{line}");
            let name = series.split('{').next().unwrap_or_default();
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
                "{line}"
            );
        }
        let mut seen = std::collections::BTreeSet::new();
        assert!(page.lines().all(|line| seen.insert(line.rsplit_once(' ').map(|(series, _)| series))));
    }
}

#[test]
fn openmetrics_names_counters_without_their_suffix_and_ends() {
    let page = page_of(&Telemetry::new(1, REASONS), Format::OpenMetrics);
    assert!(page.contains("# TYPE forebay_requests counter\n"), "{page}");
    assert!(page.contains("# TYPE forebay_uptime_seconds gauge\n"), "{page}");
    assert!(page.ends_with("# EOF\n"));
    assert_eq!(Format::accepted_by("application/openmetrics-text; version=1.0.0"), Format::OpenMetrics);
    assert_eq!(Format::accepted_by("text/plain"), Format::Prometheus);
}

#[test]
fn the_catalogue_keeps_the_rules_of_names() {
    for Family { name, kind, help, labels, .. } in families() {
        assert_eq!(*kind == Kind::Counter, name.ends_with("_total"), "{name}");
        assert!(name.starts_with("forebay_") || name.starts_with("process_"), "{name}");
        assert!(help.ends_with('.') && !help.contains(['\\', '\n', '|']), "{name}");
        assert!(!labels.contains(&"le"), "{name}");
    }
}

#[test]
fn the_reference_page_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/metrics.md");
    let page = std::fs::read_to_string(path).unwrap_or_default();
    assert!(page == reference(), "docs/reference/metrics.md is stale: run `cargo xtask reference`");
    assert!(families().all(|family| page.contains(family.name)));
}
