//! Methods, expectations and upgrades the gateway has an opinion about.

use forebay_testkit::gateway;
use forebay_testkit::origin::Origin;
use forebay_testkit::settings::in_front_of;
use forebay_testkit::wire::End;

use crate::table::{all_served, ask, check, declined, fine, refused, served};

#[test]
fn methods_that_are_not_for_a_gateway_are_declined() {
    check(&[
        refused("CONNECT", "CONNECT t:443 HTTP/1.1\r\nHost: t:443\r\n\r\n", 501, "connect_unsupported"),
        refused(
            "CONNECT with early bytes",
            "CONNECT t:443 HTTP/1.1\r\nHost: t:443\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n",
            501,
            "connect_unsupported",
        ),
        refused(
            "CONNECT to a path",
            "CONNECT /smuggled HTTP/1.1\r\nHost: t\r\n\r\n",
            501,
            "connect_unsupported",
        ),
        declined(
            "TRACE",
            "TRACE /x HTTP/1.1\r\nHost: t\r\nCookie: secret\r\n\r\n",
            405,
            "method_not_allowed",
        ),
        refused("a star without OPTIONS", "GET * HTTP/1.1\r\nHost: t\r\n\r\n", 400, "bad_target"),
        refused(
            "a method of 9,000 bytes",
            format!("{} /x HTTP/1.1\r\nHost: t\r\n\r\n", "M".repeat(9_000)),
            400,
            "malformed_request",
        ),
        served("OPTIONS of a path", "OPTIONS /x HTTP/1.1\r\nHost: t\r\n\r\n", "/x", "", fine),
    ]);
}

#[test]
fn expectations_are_met_or_refused() {
    let with = |expect: &str, body: &str| {
        let length = body.len();
        format!("POST /x HTTP/1.1\r\nHost: t\r\nExpect: {expect}\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    check(&[
        served("100-continue with the body at once", with("100-continue", "hello"), "/x", "hello", fine),
        served("100-Continue in another case", with("100-CONTINUE", "hello"), "/x", "hello", fine),
        served("100-continue without a body", with("100-continue", ""), "/x", "", fine),
        declined("something else", with("200-ok", "hello"), 417, "expectation_failed"),
        declined("something more", with("100-continue, x", "hello"), 417, "expectation_failed"),
        declined("nothing", with("", "hello"), 417, "expectation_failed"),
        declined(
            "something else, with a request in the body",
            with("x", "GET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n"),
            417,
            "expectation_failed",
        ),
    ]);
}

#[test]
fn upgrades_are_refused_or_ignored_and_never_forwarded() {
    check(&[
        refused(
            "websocket with a body",
            "GET /x HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\nhello",
            501,
            "upgrade_unsupported",
        ),
        refused(
            "a protocol that is not allowed",
            "GET /x HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n",
            501,
            "upgrade_unsupported",
        ),
        refused(
            "the same with early bytes",
            "GET /x HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n\
             GET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n",
            501,
            "upgrade_unsupported",
        ),
        all_served(
            "h2c, then another request",
            "GET /x HTTP/1.1\r\nHost: t\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n\
             GET /y HTTP/1.1\r\nHost: t\r\n\r\n",
            &[("/x", ""), ("/y", "")],
        ),
        served(
            "h2c leaves no trace",
            "GET /x HTTP/1.1\r\nHost: t\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
            "/x",
            "",
            |request| {
                let left = ["upgrade", "http2-settings"]
                    .into_iter()
                    .find(|name| request.headers.get(name).is_some());
                left.map(|name| format!("{name} reached the origin"))
            },
        ),
        served(
            "Upgrade without Connection",
            "GET /x HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\n\r\n",
            "/x",
            "",
            |request| request.headers.get("upgrade").map(|_| "upgrade reached the origin".to_owned()),
        ),
    ]);
}

/// Nobody knows of which protocol they are.
#[test]
fn bytes_behind_a_request_for_another_protocol_are_no_request_if_it_is_not_granted() {
    let origin = Origin::echo();
    let gateway = gateway!("{}", in_front_of(origin.address(), ""));
    let mut client = gateway.client();
    let sent = client.send(
        "GET /x HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\
         GET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n",
    );
    assert!(sent.is_ok(), "{sent:?}");
    let response = client.response("GET").unwrap_or_else(|failed| panic!("{failed}"));
    assert_eq!(response.status, 200, "{response}");
    assert!(response.closes(), "{response}");
    assert_eq!(client.end(), End::Closed);
    assert_eq!(origin.count(), 1);
}

#[test]
fn fields_for_one_hop_end_here_whatever_connection_lists() {
    check(&[
        served(
            "a listed field",
            "GET /x HTTP/1.1\r\nHost: t\r\nConnection: x-secret\r\nX-Secret: 1\r\n\r\n",
            "/x",
            "",
            |request| request.headers.get("x-secret").map(|_| "x-secret reached the origin".to_owned()),
        ),
        served(
            "the hop-by-hop ones",
            "GET /x HTTP/1.1\r\nHost: t\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n\
             TE: trailers\r\n\r\n",
            "/x",
            "",
            |request| {
                let bad = ["keep-alive", "proxy-connection"];
                let left = bad.into_iter().find(|name| request.headers.get(name).is_some());
                left.map(|name| format!("{name} reached the origin"))
            },
        ),
        served(
            "TE, of which only trailers are on offer",
            "GET /x HTTP/1.1\r\nHost: t\r\nConnection: TE\r\nTE: deflate;q=0.5, Trailers\r\n\r\n",
            "/x",
            "",
            |request| {
                let te = request.headers.get("te");
                (te != Some("trailers")).then(|| format!("TE reached the origin as {te:?}"))
            },
        ),
        served(
            "what the gateway itself adds is not taken away",
            "GET /x HTTP/1.1\r\nHost: t\r\nConnection: close, x-forwarded-for, x-forwarded-proto, via, x-request-id, host\r\n\r\n",
            "/x",
            "",
            |request| {
                let names = ["host", "x-forwarded-for", "x-forwarded-proto", "via", "x-request-id"];
                let gone = names.into_iter().find(|name| request.headers.get(name).is_none());
                gone.map(|name| format!("{name} is missing"))
            },
        ),
        served(
            "a body whose framing is listed keeps it",
            "POST /x HTTP/1.1\r\nHost: t\r\nConnection: content-length, transfer-encoding, host\r\nContent-Length: 5\r\n\r\nhello",
            "/x",
            "hello",
            fine,
        ),
    ]);
}

#[test]
fn options_of_everything_is_for_the_gateway_itself() {
    let origin = Origin::echo();
    let gateway = gateway!("{}", in_front_of(origin.address(), ""));
    let mut client = gateway.client();
    for _ in 0..2 {
        let response = client.ask("OPTIONS * HTTP/1.1\r\nHost: t\r\n\r\n");
        assert_eq!(response.map(|response| response.status).map_err(|failed| failed.to_string()), Ok(204));
    }
    assert_eq!(ask(&mut client, "/after"), Ok(()));
    assert_eq!(origin.count(), 1);
}
