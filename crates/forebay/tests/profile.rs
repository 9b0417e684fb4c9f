//! Profiles of a running gateway: they tell where its time goes, and nobody notices that they are taken.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use forebay_load::pprof::{self, Profile};
use forebay_testkit::check::{eventually, json};
use forebay_testkit::gateway;
use forebay_testkit::gateway::Gateway;
use forebay_testkit::message::Response;
use forebay_testkit::origin::Origin;
use forebay_testkit::settings::{in_front_of, top};
use forebay_testkit::wire::Client;

/// Asks for what takes about as long as all tests here: whoever asks meanwhile is told to wait.
const LONG: &str = "/debug/pprof/profile?seconds=60";

fn gateway(origin: &Origin) -> Gateway {
    gateway!("{}", in_front_of(origin.address(), ""))
}

/// A connection on which something was asked for; the answer is yet to come.
fn ask(gateway: &Gateway, path: &str) -> Client {
    let mut client = Client::connect(gateway.admin());
    let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", gateway.admin());
    client.send(request).unwrap_or_else(|error| panic!("{path}: {error}"));
    client
}

fn answer(mut client: Client) -> Response {
    client.response("GET").unwrap_or_else(|failed| panic!("{failed}"))
}

/// A refusal with this reason, and a sentence that says this.
#[track_caller]
fn check(response: &Response, status: u16, reason: &str, says: &str) {
    let problem = json(response);
    assert_eq!((response.status, problem["reason"].as_str()), (status, Some(reason)), "{response}");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains(says)), "{response}");
}

fn stacks(profile: &Profile) -> Vec<Vec<&str>> {
    let names = |stack: &[u32]| stack.iter().map(|name| profile.names[*name as usize].as_str()).collect();
    profile.samples.iter().map(|sample| names(&sample.stack)).collect()
}

#[test]
fn a_profile_under_load_names_the_functions_that_serve_and_no_request_fails() {
    let origin = Origin::echo();
    let gateway = gateway(&origin);
    let (stop, served) = (AtomicBool::new(false), AtomicU64::new(0));
    let profile = thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                let mut client = gateway.client();
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(client.get("/").status, 200);
                    served.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let response = answer(ask(&gateway, "/debug/pprof/profile?seconds=3"));
        stop.store(true, Ordering::Relaxed);
        response
    });
    assert_eq!(profile.status, 200, "{profile}");
    assert!(profile.body.starts_with(&[0x1f, 0x8b]), "not gzipped");
    let profile = pprof::decode(&profile.body).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        profile.kinds,
        [("samples".to_owned(), "count".to_owned()), ("cpu".to_owned(), "nanoseconds".to_owned())]
    );
    assert_eq!(profile.shown, 1);
    assert!(profile.nanos >= 3_000_000_000, "{}", profile.nanos);
    let stacks = stacks(&profile);
    // Worked out from a worker's thread down to our own code.
    let of_workers: Vec<_> = stacks.iter().filter(|stack| stack[0].starts_with("worker-")).collect();
    assert!(!of_workers.is_empty(), "{stacks:#?}");
    let ours = of_workers.iter().filter(|stack| stack.iter().any(|name| name.contains("forebay_proxy::")));
    assert!(ours.count() > 0, "{of_workers:#?}");
    // Everything the clients counted was answered in order; the gateway refused nothing either.
    assert!(served.load(Ordering::Relaxed) > 0);
    assert_eq!(gateway.metric("forebay_refusals_total"), 0.0);
    assert_eq!(gateway.metric("forebay_upstream_resets_total"), 0.0);
}

#[test]
fn one_at_a_time_and_whoever_leaves_makes_room() {
    let origin = Origin::echo();
    let gateway = gateway(&origin);
    let (first, second) = eventually("one of two is refused, and it is the second", || {
        let first = ask(&gateway, LONG);
        let second = answer(ask(&gateway, "/debug/pprof/profile?seconds=1"));
        // Else the second was faster, and the first was refused.
        (second.status != 200).then_some((first, second))
    });
    check(&second, 429, "profile_busy", "ask again in ");
    let wait: u64 = second.headers.get("retry-after").and_then(|wait| wait.parse().ok()).unwrap_or(0);
    assert!((1..=61).contains(&wait), "{second}");
    // The rest of the admin side answers meanwhile.
    assert_eq!(gateway.admin_get("/readyz").status, 200);
    drop(first);
    let next = eventually("the turn comes back", || {
        let response = answer(ask(&gateway, "/debug/pprof/profile?seconds=1"));
        (response.status == 200).then_some(response)
    });
    pprof::decode(&next.body).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn what_cannot_be_had_is_refused_by_a_sentence() {
    let origin = Origin::echo();
    let gateway = gateway(&origin);
    for seconds in ["", "0", "61", "x", "1.5", "-1", "1&seconds=2"] {
        let response = gateway.admin_get(&format!("/debug/pprof/profile?seconds={seconds}"));
        check(&response, 400, "bad_seconds", "from 1 to 60");
    }
    for name in ["heap", "allocs"] {
        check(&gateway.admin_get(&format!("/debug/pprof/{name}")), 404, "no_such_profile", "/metrics");
    }
    for name in ["goroutine", "block", "mutex", "threadcreate", "trace"] {
        check(&gateway.admin_get(&format!("/debug/pprof/{name}")), 404, "no_such_profile", "Go's own");
    }
    check(&gateway.admin_get("/debug/pprof/nothing"), 404, "not_found", "nothing here");
    let mut client = Client::connect(gateway.admin());
    let head = format!("HEAD /debug/pprof/profile HTTP/1.1\r\nHost: {}\r\n\r\n", gateway.admin());
    client.send(head).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(client.response("HEAD").unwrap_or_else(|failed| panic!("{failed}")).status, 405);
}

#[test]
fn it_says_what_there_is_and_how_it_was_started() {
    let origin = Origin::echo();
    let gateway = gateway(&origin);
    for path in ["/debug/pprof/", "/debug/pprof"] {
        let index = gateway.admin_get(path);
        assert!(index.status == 200 && index.text().contains("/debug/pprof/profile?seconds=30"), "{index}");
    }
    let parts = gateway.admin_get("/debug/pprof/cmdline").text();
    let parts: Vec<&str> = parts.split('\0').collect();
    assert_eq!(parts[1..3], ["run", "-c"]);
}

#[test]
fn without_the_token_there_is_no_profile() {
    let gateway = gateway!(
        "{}routes:\n  - {{ match: /*, respond: hello }}\n",
        top().replace(
            "admin: 127.0.0.1:0",
            "admin: { listen: \"127.0.0.1:0\", token: a-secret-of-24-characters }"
        )
    );
    for path in [LONG, "/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/heap"] {
        check(&gateway.admin_get(path), 401, "unauthorized", "token");
    }
    let mut client = Client::connect(gateway.admin());
    let request = "GET /debug/pprof/profile?seconds=1 HTTP/1.1\r\nHost: gateway.example\r\nAuthorization: \
                   Bearer a-secret-of-24-characters\r\nConnection: close\r\n\r\n";
    client.send(request).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(answer(client).status, 200);
}

#[test]
fn a_page_from_elsewhere_cannot_ask_for_a_profile() {
    let gateway = gateway!("{}routes:\n  - {{ match: /*, respond: hello }}\n", top());
    let ask = |headers: &str| {
        let mut client = Client::connect(gateway.admin());
        let request = format!("GET {LONG} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
        client.send(request).unwrap_or_else(|error| panic!("{error}"));
        answer(client)
    };
    check(&ask("Host: evil.test\r\n"), 421, "host_unknown", "by its address");
    check(&ask("Host: localhost\r\nSec-Fetch-Site: cross-site\r\n"), 403, "cross_origin", "pages elsewhere");
}
