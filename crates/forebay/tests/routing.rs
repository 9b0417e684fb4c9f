//! Which route a request takes, what the route does with it, and that `explain` tells the same.

use std::process::Command;

use forebay_testkit::check::problem;
use forebay_testkit::gateway::Gateway;
use forebay_testkit::message::Response;
use forebay_testkit::origin::Origin;
use forebay_testkit::settings::top;
use forebay_testkit::{binary, gateway};
use serde_json::Value;

/// Every route answers with its own name, so that a response tells which route it was.
const ROUTES: &str = "
routes:
  - { match: /*, respond: any }
  - { match: /shop, respond: shop-exact }
  - { match: /shop/*, respond: shop }
  - { match: GET /shop/*, respond: shop-get }
  - { match: \"/shop/{id}\", respond: shop-id }
  - { match: \"/shop/{id}/items\", respond: shop-id-items }
  - { match: /shop/cart, respond: cart }
  - { match: shop.test/*, respond: host }
  - { match: \"*.shop.test/*\", respond: wild }
  - { match: \"*.eu.shop.test/*\", respond: wild-eu }
  - { match: \"/img/*.png\", respond: png }
  - { match: { path: /v, header: { x-version: \"2\" } }, respond: v2 }
  - { match: { path: /v, header: { x-version: \"2\" }, query: { beta: \"*\" } }, respond: v2-beta }
  - { match: /v, respond: v1 }
  - { match: POST /only-post, respond: posted }
  - { match: \"/sp%61ce\", respond: space }
";

/// A gateway that answers everything by itself.
fn answering(routes: &str) -> Gateway {
    gateway!("{}{routes}", top())
}

/// In front of an echo, with this route to it.
fn in_front(origin: &Origin, route: &str) -> Gateway {
    gateway!(
        "{}services:\n  app: {{ endpoints: [\"{}\"] }}\nroutes:\n  - {{ {route} }}\n",
        top(),
        origin.address()
    )
}

fn ask(gateway: &Gateway, method: &str, host: &str, path: &str, lines: &str) -> Response {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n");
    gateway.client().ask(request).unwrap_or_else(|failed| panic!("{method} {host}{path}: {failed}"))
}

#[test]
fn the_most_specific_route_wins_wherever_it_stands() {
    let gateway = answering(ROUTES);
    for (method, host, path, lines, route) in [
        ("GET", "t", "/", "", "any"),
        ("GET", "t", "/nothing/else", "", "any"),
        ("GET", "t", "/shop", "", "shop-exact"),
        ("GET", "t", "/shop?q=1", "", "shop-exact"),
        ("GET", "t", "/shop/a/b", "", "shop-get"),
        ("POST", "t", "/shop/a/b", "", "shop"),
        ("POST", "t", "/shop/7", "", "shop-id"),
        ("GET", "t", "/shop/7/items", "", "shop-id-items"),
        ("GET", "t", "/shop/cart", "", "cart"),
        ("GET", "t", "/shop/x/../cart", "", "cart"),
        ("GET", "t", "/shop/c%61rt", "", "cart"),
        ("GET", "t", "/SHOP", "", "any"),
        ("GET", "shop.test", "/shop", "", "host"),
        ("GET", "SHOP.test:8080", "/shop", "", "host"),
        ("GET", "www.shop.test", "/", "", "wild"),
        ("GET", "a.b.shop.test", "/", "", "wild"),
        ("GET", "www.eu.shop.test", "/", "", "wild-eu"),
        ("GET", "notshop.test", "/", "", "any"),
        ("GET", "t", "/img/a.png", "", "png"),
        ("GET", "t", "/img/a/b.png", "", "any"),
        ("GET", "t", "/v", "", "v1"),
        ("GET", "t", "/v", "X-Version: 2\r\n", "v2"),
        ("GET", "t", "/v?beta=1", "X-Version: 2\r\n", "v2-beta"),
        ("GET", "t", "/v?beta=1", "", "v1"),
        ("POST", "t", "/only-post", "", "posted"),
        ("GET", "t", "/only-post", "", "any"),
        ("GET", "t", "/space", "", "space"),
    ] {
        let response = ask(&gateway, method, host, path, lines);
        assert_eq!(
            (response.status, response.text().as_str()),
            (200, route),
            "{method} {host}{path} {lines}"
        );
    }
}

#[test]
fn explain_tells_what_the_gateway_does() {
    let gateway = answering(ROUTES);
    let file = gateway.directory().join("forebay.yaml");
    for (method, url) in [
        ("GET", "http://t/shop/7"),
        ("POST", "http://t/shop/7"),
        ("GET", "http://shop.test/shop"),
        ("GET", "http://www.eu.shop.test/"),
        ("GET", "http://t/img/a.png"),
        ("GET", "http://t/shop/x/../cart"),
    ] {
        let host = url.split('/').nth(2).expect("the table's URLs have hosts");
        let served = ask(&gateway, method, host, &url["http://".len() + host.len()..], "");
        let mut command = Command::new(binary!());
        command.args(["explain", method, url, "-c"]).arg(&file);
        let told = forebay_testkit::servers::run(&mut command);
        let text = String::from_utf8_lossy(&told.stdout).into_owned();
        assert!(told.status.success(), "{text}{}", String::from_utf8_lossy(&told.stderr));
        // The body is the route's own word for itself; the settings give it no other name.
        let route = route_of(&served.text());
        assert!(text.contains(&route), "{method} {url} was served by {route}, but explain says:\n{text}");
    }
}

/// The `match` of the route that responds with this word.
fn route_of(word: &str) -> String {
    let end = format!("respond: {word} }}");
    let line = ROUTES.lines().find(|line| line.ends_with(&end)).expect("each word is one route's");
    let start = line.find("match: ").expect("each route has a match") + "match: ".len();
    line[start..line.len() - end.len()].trim_end_matches(", ").trim_matches('"').to_owned()
}

#[test]
fn what_no_route_means_is_404_and_a_wrong_method_is_405() {
    let gateway = answering("routes:\n  - { match: [GET /a, PUT /a], respond: ok }\n");
    assert_eq!(problem(&ask(&gateway, "GET", "t", "/b", ""), 404), Ok("no_route".to_owned()));
    let refused = ask(&gateway, "DELETE", "t", "/a", "");
    assert_eq!(problem(&refused, 405), Ok("method_not_allowed".to_owned()));
    let mut allow: Vec<&str> = refused.headers.get("allow").unwrap_or_default().split(", ").collect();
    allow.sort_unstable();
    assert!(allow.contains(&"GET") && allow.contains(&"PUT"), "{allow:?}");
}

#[test]
fn redirects_fill_in_their_template() {
    let gateway = answering(
        "routes:\n\
         \x20 - { match: old.test/*, redirect: { to: \"https://new.test{path}{query}\", status: 308 } }\n\
         \x20 - { match: /go, redirect: \"https://{host}/there\" }\n",
    );
    let response = ask(&gateway, "GET", "old.test", "/a%20b?x=1", "");
    assert_eq!(
        (response.status, response.headers.get("location")),
        (308, Some("https://new.test/a%20b?x=1"))
    );
    let response = ask(&gateway, "GET", "t.test", "/go", "");
    assert_eq!((response.status, response.headers.get("location")), (302, Some("https://t.test/there")));
}

#[test]
fn redirects_cannot_be_split_or_sent_elsewhere() {
    let gateway = answering("routes:\n  - { match: /*, redirect: \"https://new.test{path}\" }\n");
    let response = ask(&gateway, "GET", "t", "/%0d%0aSet-Cookie:%20a=b", "");
    assert_eq!(response.headers.get("set-cookie"), None);
    assert_eq!(response.headers.get("location"), Some("https://new.test/%0D%0ASet-Cookie:%20a=b"));
    let response = ask(&gateway, "GET", "t", "//evil.test/x", "");
    assert!(
        response.headers.get("location").is_some_and(|to| to.starts_with("https://new.test/")),
        "{response}"
    );
}

#[test]
fn fixed_answers_are_what_they_say() {
    let gateway = answering(
        "routes:\n\
         \x20 - { match: /empty, respond: 204 }\n\
         \x20 - { match: /text, respond: { status: 503, body: \"be right back\\n\", content_type: text/html } }\n",
    );
    let response = ask(&gateway, "GET", "t", "/empty", "");
    assert_eq!((response.status, response.headers.get("content-length")), (204, None));
    let response = ask(&gateway, "GET", "t", "/text", "");
    assert_eq!((response.status, response.text().as_str()), (503, "be right back\n"));
    assert_eq!(response.headers.get("content-type"), Some("text/html"));
    let response = ask(&gateway, "HEAD", "t", "/text", "");
    assert_eq!((response.status, response.headers.get("content-length")), (503, Some("14")));
}

#[test]
fn a_fixed_answer_to_a_body_keeps_the_connection_in_step() {
    let gateway = answering("routes:\n  - { match: /*, respond: ok }\n");
    let mut client = gateway.client();
    for _ in 0..3 {
        let request = "POST /x HTTP/1.1\r\nHost: t\r\nContent-Length: 35\r\n\r\nGET /y HTTP/1.1\r\nHost: smuggled\r\n\r\n";
        let response = client.ask(request).unwrap_or_else(|failed| panic!("{failed}"));
        assert_eq!(response.text(), "ok");
        if response.closes() {
            client = gateway.client();
        }
    }
    let served = gateway.await_metric("forebay_requests_total", |served| served >= 3.0);
    assert!(served <= 3.0, "a body was taken for a request: {served}");
}

#[test]
fn headers_are_edited_both_ways() {
    let origin = Origin::start(|conn| {
        while conn.request().is_ok() {
            conn.send("HTTP/1.1 200 OK\r\nServer: app\r\nX-Old: 1\r\nX-Old: 2\r\nX-Keep: 1\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let gateway = in_front(
        &origin,
        "match: /*, to: app, headers: { request: { set: { x-env: test }, add: { x-tag: [a, b] }, remove: [cookie] }, \
         response: { set: { x-old: new }, remove: [server], add: { x-more: yes } } }",
    );
    let response = ask(&gateway, "GET", "t", "/x", "Cookie: secret\r\nX-Env: forged\r\nX-Tag: own\r\n");
    let seen = origin.last();
    assert_eq!(seen.headers.all("x-env"), ["test"]);
    assert_eq!(seen.headers.all("x-tag"), ["own", "a", "b"]);
    assert_eq!(seen.headers.get("cookie"), None);
    assert_eq!(response.headers.all("x-old"), ["new"]);
    assert_eq!((response.headers.get("server"), response.headers.get("x-keep")), (None, Some("1")));
    assert_eq!(response.headers.get("x-more"), Some("yes"));
}

#[test]
fn refusals_of_a_matched_route_are_edited_too() {
    let origin = Origin::echo();
    let gateway = in_front(
        &origin,
        "match: /*, to: app, body_max: 10, headers: { response: { set: { access-control-allow-origin: \"*\" } } }",
    );
    let response = ask(&gateway, "POST", "t", "/x", "Content-Length: 11\r\n");
    assert_eq!(problem(&response, 413), Ok("body_too_large".to_owned()));
    assert_eq!(response.headers.get("access-control-allow-origin"), Some("*"));
}

#[test]
fn paths_are_rewritten() {
    for (rewrite, path, upstream) in [
        ("{ strip_prefix: /api }", "/api/users?q=1", "/users?q=1"),
        ("{ strip_prefix: /api }", "/api", "/"),
        ("{ strip_prefix: /api }", "/apiary", "/apiary"),
        ("{ replace_prefix: { from: /v1, to: /api/v1 } }", "/v1/users", "/api/v1/users"),
        ("{ regex: { pattern: \"^/old/(.*)$\", to: \"/new/$1\" } }", "/old/a/b?c", "/new/a/b?c"),
        ("{ regex: { pattern: \"^/old/(.*)$\", to: \"/new/$1\" } }", "/older", "/older"),
        ("{ path: /index.html }", "/a/b/c?d", "/index.html?d"),
    ] {
        let origin = Origin::echo();
        let gateway = in_front(&origin, &format!("match: /*, to: app, rewrite: {rewrite}"));
        assert_eq!(ask(&gateway, "GET", "t", path, "").status, 200);
        assert_eq!(origin.last().target, upstream, "{rewrite} of {path}");
    }
}

#[test]
fn a_rewritten_path_cannot_climb() {
    let origin = Origin::echo();
    let gateway = in_front(
        &origin,
        "match: /*, to: app, rewrite: { regex: { pattern: \"^/x(.*)$\", to: \"/y/..$1\" } }",
    );
    let response = ask(&gateway, "GET", "t", "/x/../../etc", "");
    assert_eq!(problem(&response, 400), Ok("bad_target".to_owned()));
    let response = ask(&gateway, "GET", "t", "/x/a", "");
    assert_eq!(response.status, 200);
    assert_eq!(origin.last().target, "/a");
}

#[test]
fn the_host_can_be_rewritten() {
    let origin = Origin::echo();
    let gateway = in_front(&origin, "match: /*, to: app, rewrite: { host: internal.test }");
    assert_eq!(ask(&gateway, "GET", "shop.test", "/x", "").status, 200);
    let seen = origin.last();
    assert_eq!(seen.headers.all("host"), ["internal.test"]);
    assert_eq!(seen.headers.get("x-forwarded-host"), Some("shop.test"));
}

#[test]
fn the_smaller_body_limit_of_a_route_counts() {
    let origin = Origin::echo();
    let gateway = gateway!(
        "{}services:\n  app: {{ endpoints: [\"{}\"] }}\nroutes:\n  - {{ match: /*, to: app }}\n  \
         - {{ match: /small, to: app, body_max: 4 }}\n",
        top(),
        origin.address()
    );
    for (path, status) in [("/small", 413), ("/large", 200)] {
        let request = format!("POST {path} HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello");
        let response = gateway.client().ask(request).unwrap_or_else(|failed| panic!("{failed}"));
        assert_eq!(response.status, status, "{path}");
    }
}

#[test]
fn weights_divide_a_routes_requests() {
    let (one, two) = (Origin::named("one"), Origin::named("two"));
    let gateway = gateway!(
        "{}services:\n  one: {{ endpoints: [\"{}\"] }}\n  two: {{ endpoints: [\"{}\"] }}\n  \
         none: {{ endpoints: [\"127.0.0.1:1\"] }}\nroutes:\n  - {{ match: /*, to: {{ one: 80, two: 20, none: 0 }} }}\n",
        top(),
        one.address(),
        two.address()
    );
    let mut client = gateway.client();
    let ones = (0..2_000).filter(|_| client.get("/x").text() == "one").count();
    // 1,600 are expected; the bounds are twelve standard deviations away.
    assert!((1_385..=1_815).contains(&ones), "{ones} of 2,000");
    assert_eq!(one.count() + two.count(), 2_000);
}

#[test]
fn ten_thousand_routes_find_theirs() {
    let mut routes = String::from("routes:\n");
    for number in 0..10_000 {
        routes.push_str(&format!(
            "  - {{ match: \"host{}.test/path{number}/*\", respond: \"{number}\" }}\n",
            number % 100
        ));
    }
    let gateway = answering(&routes);
    let mut client = gateway.client();
    for number in [0, 1, 99, 100, 5_555, 9_999] {
        let host = format!("host{}.test", number % 100);
        let response = client
            .ask(format!("GET /path{number}/x HTTP/1.1\r\nHost: {host}\r\n\r\n"))
            .unwrap_or_else(|failed| panic!("{failed}"));
        assert_eq!(response.text(), number.to_string());
    }
    let response = ask(&gateway, "GET", "host1.test", "/path0/x", "");
    assert_eq!(problem(&response, 404), Ok("no_route".to_owned()));
}

#[test]
fn explain_speaks_json_too() {
    let gateway = answering(ROUTES);
    let mut command = Command::new(binary!());
    command
        .args(["explain", "GET", "http://t/shop/7", "--json", "-c"])
        .arg(gateway.directory().join("forebay.yaml"));
    let told = forebay_testkit::servers::run(&mut command);
    let parsed: Result<Value, _> = serde_json::from_slice(&told.stdout);
    assert!(parsed.is_ok_and(|value| value.is_object()), "{}", String::from_utf8_lossy(&told.stdout));
}

#[test]
fn no_route_is_reached_by_a_header_that_is_taken_away() {
    let routes = "
routes:
  - { match: /*, respond: plain }
  - { match: { path: /*, header: { x-forwarded-proto: https } }, respond: proto }
  - { match: { path: /*, header: { x-real-ip: 10.0.0.1 } }, respond: address }
  - { match: { path: /*, header: { x-role: admin } }, respond: role }
  - { match: { path: /*, header: { x_role: admin } }, respond: underscore }
";
    let stranger = answering(routes);
    for lines in [
        "X-Forwarded-Proto: https\r\n",
        "X-Real-IP: 10.0.0.1\r\n",
        "X-Role: admin\r\nConnection: x-role\r\n",
        "X_Role: admin\r\n",
    ] {
        assert_eq!(ask(&stranger, "GET", "t", "/", lines).text(), "plain", "{lines:?}");
    }
    assert_eq!(ask(&stranger, "GET", "t", "/", "X-Role: admin\r\n").text(), "role");
    let trusting = answering(&format!("trusted_proxies: [127.0.0.0/8]\n{routes}"));
    assert_eq!(ask(&trusting, "GET", "t", "/", "X-Forwarded-Proto: https\r\n").text(), "proto");
}

#[test]
fn headers_the_gateway_writes_can_be_edited_too() {
    let origin = Origin::echo();
    let set = "x-forwarded-for: 9.9.9.9, x-real-ip: 8.8.8.8, via: 1.1 other";
    let gateway = in_front(
        &origin,
        &format!(
            "match: /*, to: app, headers: {{ request: {{ set: {{ {set} }}, remove: [forwarded, x-request-id] }} }}"
        ),
    );
    assert_eq!(ask(&gateway, "GET", "t", "/", "").status, 200);
    let seen = &origin.seen()[0];
    for (name, wanted) in [("x-forwarded-for", "9.9.9.9"), ("x-real-ip", "8.8.8.8"), ("via", "1.1 other")] {
        assert_eq!(seen.request.headers.all(name), [wanted], "{name}");
    }
    assert_eq!(seen.request.headers.get("forwarded"), None);
    assert_eq!(seen.request.headers.get("x-request-id"), None);
}
