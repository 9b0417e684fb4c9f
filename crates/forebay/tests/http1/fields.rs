//! Fields that end at the gateway, and fields it adds: who asked, by which way, under which number.

use forebay_testkit::check::problem;
use forebay_testkit::gateway;
use forebay_testkit::gateway::Gateway;
use forebay_testkit::message::{Headers, Request};
use forebay_testkit::origin::Origin;
use forebay_testkit::settings::in_front_of;

use crate::{ask, in_front};

/// What a client says of itself and must not be believed.
const CLAIMS: &str = "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n\
    X-Forwarded-Port: 1\r\nX-Forwarded-Prefix: /evil\r\nX-Real-IP: 9.9.9.9\r\n\
    Forwarded: for=9.9.9.9;proto=https;host=evil\r\nx-request-id: chosen-by-client\r\n";

/// Sends one request with these header lines; what the origin saw of it.
fn seen_with(gateway: &Gateway, origin: &Origin, lines: &str) -> Request {
    let response = ask(&mut gateway.client(), format!("GET /x HTTP/1.1\r\nHost: t.example\r\n{lines}\r\n"));
    assert_eq!(response.status, 200, "{response}");
    origin.last()
}

fn trusting(origin: &Origin, addresses: &str) -> Gateway {
    gateway!("{}", in_front_of(origin.address(), &format!("trusted_proxies: [{addresses}]")))
}

fn values(headers: &Headers, names: &[&str]) -> Vec<Option<String>> {
    names.iter().map(|name| headers.get(name).map(str::to_owned)).collect()
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn the_origin_learns_who_asked_for_what() {
    let origin = Origin::echo();
    let seen = seen_with(&in_front(&origin), &origin, "");
    let names = ["host", "x-forwarded-for", "x-real-ip", "x-forwarded-proto", "x-forwarded-host"];
    let wanted = [some("t.example"), some("127.0.0.1"), some("127.0.0.1"), some("http"), some("t.example")];
    assert_eq!(values(&seen.headers, &names), wanted);
    let forwarded = seen.headers.get("forwarded").unwrap_or_default().to_owned();
    for part in ["for=127.0.0.1", "proto=http", "host=t.example"] {
        assert!(forwarded.contains(part), "{forwarded}");
    }
    assert!(seen.headers.get("via").is_some_and(|via| via.starts_with("1.1 ")), "{:?}", seen.headers);
}

#[test]
fn strangers_are_not_believed() {
    let origin = Origin::echo();
    let gateway = trusting(&origin, "10.0.0.0/8");
    let seen = seen_with(&gateway, &origin, CLAIMS);
    let text = String::from_utf8_lossy(&seen.head).to_ascii_lowercase();
    for lie in ["9.9.9.9", "evil", "https", "chosen-by-client"] {
        assert!(!text.contains(lie), "{lie} reached the origin:\n{text}");
    }
    assert_eq!(seen.headers.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(seen.headers.all("x-real-ip"), ["127.0.0.1"]);
}

#[test]
fn trusted_proxies_are_believed() {
    let origin = Origin::echo();
    let gateway = trusting(&origin, "127.0.0.0/8");
    let seen = seen_with(
        &gateway,
        &origin,
        "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\nx-request-id: from-the-edge\r\n",
    );
    assert_eq!(seen.headers.get("x-forwarded-for"), Some("9.9.9.9, 127.0.0.1"));
    let names = ["x-real-ip", "x-forwarded-proto", "x-forwarded-host", "x-request-id"];
    let wanted = [some("9.9.9.9"), some("https"), some("shop.example"), some("from-the-edge")];
    assert_eq!(values(&seen.headers, &names), wanted);
}

#[test]
fn all_forwarding_fields_name_the_same_client() {
    // A balancer in front that appends to one of them and passes its client's own inventions in the others.
    let origin = Origin::echo();
    let gateway = trusting(&origin, "127.0.0.0/8");
    let names = ["x-forwarded-for", "x-real-ip", "forwarded"];
    let check = |lines: &str, wanted: [&str; 3]| {
        let seen = seen_with(&gateway, &origin, lines);
        for (name, wanted) in names.into_iter().zip(wanted) {
            assert_eq!(seen.headers.all(name), [wanted], "{name} of {lines:?}");
        }
    };
    check(
        "X-Forwarded-For: 9.9.9.9\r\nX-Real-IP: 6.6.6.6\r\nX-Real-IP: 7.7.7.7\r\nForwarded: for=5.5.5.5\r\n",
        ["9.9.9.9, 127.0.0.1", "9.9.9.9", "for=9.9.9.9, for=127.0.0.1;host=t.example;proto=http"],
    );
    check(
        "Forwarded: for=5.5.5.5\r\nX-Real-IP: 6.6.6.6\r\n",
        ["5.5.5.5, 127.0.0.1", "5.5.5.5", "for=5.5.5.5, for=127.0.0.1;host=t.example;proto=http"],
    );
    check(
        "X-Real-IP: 6.6.6.6\r\n",
        ["6.6.6.6, 127.0.0.1", "6.6.6.6", "for=6.6.6.6, for=127.0.0.1;host=t.example;proto=http"],
    );
}

#[test]
fn the_client_is_the_last_address_nobody_vouches_for() {
    let origin = Origin::echo();
    let gateway = trusting(&origin, "127.0.0.0/8, 10.0.0.0/8");
    let seen = seen_with(&gateway, &origin, "X-Forwarded-For: 6.6.6.6, 9.9.9.9, 10.1.2.3\r\n");
    assert_eq!(seen.headers.get("x-real-ip"), Some("9.9.9.9"));
}

#[test]
fn every_request_has_a_number_of_its_own() {
    let origin = Origin::echo();
    let gateway = in_front(&origin);
    let mut numbers: Vec<String> = (0..50)
        .map(|_| {
            let seen = seen_with(&gateway, &origin, "");
            let numbers = seen.headers.all("x-request-id");
            assert_eq!(numbers.len(), 1);
            numbers[0].to_owned()
        })
        .collect();
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), 50);
}

#[test]
fn via_grows_by_one_entry() {
    let origin = Origin::echo();
    let seen = seen_with(&in_front(&origin), &origin, "Via: 1.0 fred, 1.1 wilma\r\n");
    let via = seen.headers.all("via").join(", ");
    assert!(via.starts_with("1.0 fred, 1.1 wilma, 1.1 "), "{via}");
}

#[test]
fn fields_for_one_hop_of_a_response_end_here() {
    let origin = Origin::start(|conn| {
        while conn.request().is_ok() {
            conn.send(
                "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
                 Proxy-Connection: keep-alive\r\nUpgrade: h2c\r\nX-End: 1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\
                 Content-Length: 0\r\n\r\n",
            );
        }
    });
    let gateway = in_front(&origin);
    let mut client = gateway.client();
    for _ in 0..2 {
        let response = client.get("/x");
        for name in ["x-hop", "keep-alive", "proxy-connection", "upgrade"] {
            assert_eq!(response.headers.get(name), None, "{name}");
        }
        assert_eq!(response.headers.get("x-end"), Some("1"));
        assert_eq!(response.headers.all("set-cookie"), ["a=1", "b=2"]);
    }
}

#[test]
fn other_fields_arrive_as_they_were_sent() {
    let origin = Origin::echo();
    let lines = "X-Case: Value \r\naccept: a\r\nAccept: b\r\nCookie: a=1; b=2\r\nUser-Agent: x/1 (y; z)\r\n";
    let seen = seen_with(&in_front(&origin), &origin, lines);
    assert_eq!(seen.headers.all("accept"), ["a", "b"]);
    let text = String::from_utf8_lossy(&seen.head).into_owned();
    for line in ["\r\nX-Case: Value\r\n", "\r\nCookie: a=1; b=2\r\n", "\r\nUser-Agent: x/1 (y; z)\r\n"] {
        assert!(text.contains(line), "{line:?} is not in {text:?}");
    }
}

#[test]
fn what_a_trusted_proxy_says_wrongly_does_not_count() {
    let origin = Origin::echo();
    let gateway = trusting(&origin, "127.0.0.0/8");
    for (said, client) in [
        ("unknown", "127.0.0.1"),
        ("9.9.9.9, unknown", "127.0.0.1"),
        ("9.9.9.9, nonsense\\\"", "127.0.0.1"),
        ("6.6.6.6, 9.9.9.9", "9.9.9.9"),
        ("9.9.9.9:1234", "9.9.9.9"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]:1234", "2001:db8::1"),
        ("127.0.0.2", "127.0.0.2"),
    ] {
        let seen = seen_with(&gateway, &origin, &format!("X-Forwarded-For: {said}\r\n"));
        assert_eq!(seen.headers.get("x-real-ip"), Some(client), "{said}");
    }
    let seen =
        seen_with(&gateway, &origin, "Forwarded: for=6.6.6.6, for=\"[2001:db8::1]:80\";proto=https\r\n");
    assert_eq!(seen.headers.get("x-real-ip"), Some("2001:db8::1"));
}

#[test]
fn a_request_id_that_could_do_harm_is_replaced_even_from_a_trusted_proxy() {
    let origin = Origin::echo();
    let gateway = trusting(&origin, "127.0.0.0/8");
    let long = "i".repeat(5_000);
    for id in ["a\"},{\"b\":\"", "a b", "a,b", "", "caf\u{e9}", "a\\", long.as_str()] {
        let lines = format!("x-request-id: {id}\r\n");
        let seen = seen_with(&gateway, &origin, &lines);
        let ids = seen.headers.all("x-request-id");
        assert!(ids.len() == 1 && ids[0] != id && !ids[0].is_empty(), "{ids:?} for {id:?}");
        let refused = ask(&mut gateway.client(), format!("GET /%00 HTTP/1.1\r\nHost: t\r\n{lines}\r\n"));
        assert_eq!(problem(&refused, 400), Ok("bad_target".to_owned()), "{id:?}");
    }
}
