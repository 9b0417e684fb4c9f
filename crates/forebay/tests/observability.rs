//! Numbers and log lines: they add up with what clients saw.

use std::collections::HashSet;

use forebay_testkit::check::eventually;
use forebay_testkit::gateway;
use forebay_testkit::gateway::Gateway;
use forebay_testkit::origin::Origin;
use forebay_testkit::settings::top;
use forebay_testkit::wire::Client;
use serde_json::Value;

/// Routes of every outcome, in front of an origin that answers as the path says.
fn gateway(origin: &Origin, more: &str) -> Gateway {
    gateway!(
        "{}services:\n  app: {{ endpoints: [\"{}\"] }}\nroutes:\n  - {{ match: /*, to: app, name: everything }}\n  \
         - {{ match: /fixed, respond: hello, name: fixed }}\n{more}\n",
        top(),
        origin.address()
    )
}

/// Answers `/status/N` with status N and the rest with 200; bodies are ten bytes.
fn origin() -> Origin {
    Origin::start(|conn| {
        while let Ok(request) = conn.request() {
            let path = request.target.split('?').next().unwrap_or_default();
            let status = path.strip_prefix("/status/").unwrap_or("200").to_owned();
            let body: &[u8] = if status == "204" { b"" } else { b"0123456789" };
            match body {
                b"" => conn.send(format!("HTTP/1.1 {status} X\r\n\r\n")),
                body => conn.reply(&format!("{status} X"), body),
            }
        }
    })
}

fn post(client: &mut Client, path: &str, body: &str) -> u16 {
    let length = body.len();
    let request = format!("POST {path} HTTP/1.1\r\nHost: t\r\nContent-Length: {length}\r\n\r\n{body}");
    client.ask(request).unwrap_or_else(|failed| panic!("{failed}")).status
}

#[test]
fn the_numbers_add_up_with_what_clients_saw() {
    let origin = origin();
    let gateway = gateway(&origin, "");
    let mut client = gateway.client();
    for status in [200, 200, 200, 204, 301, 404, 404, 500] {
        assert_eq!(client.get(&format!("/status/{status}")).status, status);
    }
    assert_eq!(post(&mut client, "/x", "hello"), 200);
    assert_eq!(client.get("/fixed").text(), "hello");
    let bad = client.ask("GET /%00 HTTP/1.1\r\nHost: t\r\n\r\n").unwrap_or_else(|failed| panic!("{failed}"));
    assert_eq!(bad.status, 400);
    gateway.await_metric("forebay_refusals_total", |count| count == 1.0);
    for (series, count) in [
        ("forebay_requests_total{route=\"everything\",class=\"2xx\"}", 5.0),
        ("forebay_requests_total{route=\"everything\",class=\"3xx\"}", 1.0),
        ("forebay_requests_total{route=\"everything\",class=\"4xx\"}", 2.0),
        ("forebay_requests_total{route=\"everything\",class=\"5xx\"}", 1.0),
        ("forebay_requests_total{route=\"fixed\",class=\"2xx\"}", 1.0),
        ("forebay_requests_total", 10.0),
        ("forebay_requests_unrouted_total{class=\"4xx\"}", 1.0),
        ("forebay_refusals_total{reason=\"bad_target\"}", 1.0),
        ("forebay_upstream_responses_total{service=\"app\"}", 9.0),
        ("forebay_upstream_connects_total", 1.0),
        ("forebay_upstream_reused_total", 8.0),
        ("forebay_request_body_bytes_total{route=\"everything\"}", 5.0),
        ("forebay_response_body_bytes_total{route=\"everything\"}", 80.0),
        ("forebay_response_body_bytes_total{route=\"fixed\"}", 5.0),
        ("forebay_request_duration_seconds_count{route=\"everything\"}", 9.0),
        ("forebay_upstream_first_byte_seconds_count", 9.0),
        ("forebay_requests_in_flight", 0.0),
        ("forebay_upstream_requests_in_flight", 0.0),
        ("forebay_connections_accepted_total", 1.0),
    ] {
        assert_eq!(gateway.metric(series), count, "{series}");
    }
}

#[test]
fn every_metric_is_explained_and_no_series_comes_twice() {
    let origin = origin();
    let gateway = gateway(&origin, "");
    assert_eq!(gateway.get("/x").status, 200);
    let page = gateway.metrics();
    let mut seen = HashSet::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("not a sample: {line}"));
        assert!(value.parse::<f64>().is_ok(), "{line}");
        assert!(seen.insert(series.to_owned()), "{series} comes twice");
        let name = series.split('{').next().unwrap_or_default();
        let family =
            ["_bucket", "_sum", "_count"].into_iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        let typed = [name, family].into_iter().any(|name| page.contains(&format!("# TYPE {name} ")));
        assert!(typed, "{name} has no type");
    }
    assert!(seen.len() > 30, "only {} series", seen.len());
}

#[test]
fn labels_do_not_grow_with_what_strangers_send() {
    let origin = origin();
    let gateway = gateway(&origin, "");
    assert_eq!(gateway.get("/x").status, 200);
    // A client has its answer before its request is counted, and durations are shown once there is one.
    gateway.await_metric("forebay_request_duration_seconds_count", |count| count == 1.0);
    // Buckets appear with the durations that fall into them; all else is there from the first request on.
    let series = || gateway.metrics().lines().filter(|line| !line.contains("_bucket{")).count();
    let before = series();
    let mut client = gateway.client();
    for number in 0..200 {
        let request =
            format!("M{number} /path{number}?q={number} HTTP/1.1\r\nHost: host{number}.test\r\n\r\n");
        let _ = client.ask(request).unwrap_or_else(|failed| panic!("{failed}"));
    }
    assert_eq!(series(), before);
}

/// The access log's lines so far.
fn records(gateway: &Gateway) -> Vec<Value> {
    let text = std::fs::read_to_string(gateway.directory().join("access.log")).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

#[test]
fn each_request_leaves_one_line_of_json() {
    let origin = origin();
    let gateway = gateway(&origin, "logs: { access: json, to: access.log }");
    let mut client = gateway.client();
    assert_eq!(client.get("/status/404?q=1").status, 404);
    assert_eq!(post(&mut client, "/x", "hello"), 200);
    assert_eq!(client.get("/fixed").status, 200);
    let _ = client.ask("GET /%00 HTTP/1.1\r\nHost: t\r\n\r\n");
    let lines = eventually("four records", || Some(records(&gateway)).filter(|lines| lines.len() >= 4));
    assert_eq!(lines.len(), 4);
    let [missing, posted, fixed, bad] = &lines[..] else { panic!("{lines:?}") };
    for (key, value) in [
        ("method", Value::from("GET")),
        ("path", "/status/404".into()),
        ("query", "q=1".into()),
        ("status", 404.into()),
        ("route", "everything".into()),
        ("service", "app".into()),
        ("endpoint", origin.address().to_string().into()),
        ("bytes_out", 10.into()),
        ("attempts", 1.into()),
        ("client", "127.0.0.1".into()),
        ("peer", client.local().to_string().into()),
    ] {
        assert_eq!(missing[key], value, "{key} of {missing}");
    }
    assert_eq!((posted["method"].as_str(), posted["bytes_in"].as_u64()), (Some("POST"), Some(5)));
    assert_eq!((fixed["route"].as_str(), fixed.get("service")), (Some("fixed"), None));
    assert_eq!((bad["status"].as_u64(), bad["reason"].as_str()), (Some(400), Some("bad_target")));
    let ids: HashSet<&str> = lines.iter().filter_map(|line| line["request_id"].as_str()).collect();
    assert_eq!(ids.len(), 4, "each has an id of its own");
}

#[test]
fn the_log_and_the_origin_know_a_request_by_the_same_number() {
    let origin = origin();
    let gateway = gateway(&origin, "logs: { access: json, to: access.log }");
    assert_eq!(gateway.get("/x").status, 200);
    let lines = eventually("a record", || Some(records(&gateway)).filter(|lines| !lines.is_empty()));
    assert_eq!(lines[0]["request_id"].as_str(), origin.last().headers.get("x-request-id"));
}

#[test]
fn no_request_can_forge_a_line() {
    let origin = origin();
    let gateway = gateway(&origin, "logs: { access: json, to: access.log }");
    let hostile: &[u8] = b"GET /x?%0a{\"status\":200} HTTP/1.1\r\nHost: t\r\nUser-Agent: a\"}\t{\"b\":\"\\ \x1b[31m \xff\r\n\r\n";
    let _ = gateway.client().ask(hostile);
    let lines = eventually("a record", || Some(records(&gateway)).filter(|lines| !lines.is_empty()));
    assert_eq!(lines.len(), 1);
    let text = std::fs::read(gateway.directory().join("access.log")).expect("it was just read");
    assert!(
        text.iter().all(|byte| matches!(byte, b'\n' | b' '..=b'~')),
        "{:?}",
        String::from_utf8_lossy(&text)
    );
}

#[test]
fn a_client_that_leaves_is_logged_as_that() {
    let origin = Origin::start(|conn| {
        while conn.request().is_ok() {
            conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            while conn.try_send([&b"10000\r\n"[..], &[b'z'; 65_536], b"\r\n"].concat()) {}
        }
    });
    let gateway = gateway(&origin, "logs: { access: json, to: access.log }");
    let mut client = gateway.client();
    client.send("GET /x HTTP/1.1\r\nHost: t\r\n\r\n").expect("connected");
    let _ = client.head().unwrap_or_else(|failed| panic!("{failed}"));
    client.reset();
    let lines = eventually("a record", || Some(records(&gateway)).filter(|lines| !lines.is_empty()));
    assert_eq!(lines[0]["aborted"], Value::Bool(true), "{}", lines[0]);
    gateway.await_metric("forebay_requests_total{class=\"aborted\"}", |count| count == 1.0);
}

#[test]
fn endpoints_are_numbers_before_anybody_asks_for_them() {
    let origin = origin();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
    let dead = nobody.local_addr().expect("it is bound");
    drop(nobody);
    let gateway = gateway!(
        "{}services:\n  app: {{ endpoints: [\"{}\", \"{dead}\"], health: {{ tcp: true, interval: 100ms }} }}\n\
         routes:\n  - {{ match: /*, to: app }}\n",
        top(),
        origin.address()
    );
    let of = |name: &str, endpoint: std::net::SocketAddr, more: &str| {
        format!("{name}{{service=\"app\",endpoint=\"{endpoint}\"{more}}}")
    };
    let checks = "forebay_upstream_health_checks_total";
    gateway.await_metric(&of(checks, dead, ",result=\"failed\""), |count| count >= 2.0);
    gateway.await_metric(&of(checks, origin.address(), ",result=\"passed\""), |count| count >= 2.0);
    for (series, value) in [
        (of("forebay_upstream_endpoint_up", origin.address(), ""), 1.0),
        (of("forebay_upstream_endpoint_up", dead, ""), 0.0),
        (of("forebay_upstream_endpoint_state", dead, ",state=\"unhealthy\""), 1.0),
        (of("forebay_upstream_endpoint_share", dead, ""), 0.0),
        ("forebay_upstream_endpoints{service=\"app\",state=\"unhealthy\"}".to_owned(), 1.0),
        ("forebay_upstream_endpoints{service=\"app\"}".to_owned(), 2.0),
        ("forebay_upstream_queue_waiting{service=\"app\"}".to_owned(), 0.0),
        ("forebay_metrics_omitted_series".to_owned(), 0.0),
    ] {
        assert_eq!(gateway.metric(&series), value, "{series}");
    }
    let mut client = gateway.client();
    for _ in 0..4 {
        assert_eq!(client.get("/x").status, 200);
    }
    let ratio = of("forebay_upstream_connection_reuse_ratio", origin.address(), "");
    gateway.await_metric(&ratio, |ratio| ratio == 0.75);
}

#[test]
fn the_admin_side_tells_how_things_are() {
    let origin = origin();
    let gateway = gateway(&origin, "");
    for path in ["/livez", "/readyz", "/metrics", "/", "/api/v1/status"] {
        assert_eq!(gateway.admin_get(path).status, 200, "{path}");
    }
    assert_eq!(gateway.admin_get("/nothing").status, 404);
    let status = gateway.status().to_string();
    assert!(status.contains(&gateway.addr().to_string()), "{status}");
    let page = gateway.admin_get("/");
    assert!(page.headers.get("content-type").is_some_and(|kind| kind.starts_with("text/html")), "{page}");
}

#[test]
fn the_admin_side_cannot_be_reached_through_a_strangers_name() {
    // DNS rebinding: a page in the operator's browser asks 127.0.0.1 under its own name.
    let origin = origin();
    let gateway = gateway(&origin, "");
    let mut client = Client::connect(gateway.admin());
    let response = client
        .ask("GET /api/v1/status HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n")
        .unwrap_or_else(|failed| panic!("{failed}"));
    assert!((400..500).contains(&response.status), "{response}");
}
