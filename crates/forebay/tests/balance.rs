//! Who gets which request: hashing, sticky cookies, latency, queues, reads and writes.

use std::collections::HashSet;
use std::thread;
use std::time::Duration;

use forebay_testkit::check::{eventually, problem};
use forebay_testkit::gateway;
use forebay_testkit::gateway::Gateway;
use forebay_testkit::message::Response;
use forebay_testkit::origin::{Gate, Origin};
use forebay_testkit::settings::top;
use forebay_testkit::wire::Client;

const NAMES: [&str; 4] = ["one", "two", "three", "four"];

/// As many origins, and a service `app` of them with these settings.
fn in_front(origins: &[Origin], service: &str) -> Gateway {
    gateway!("{}", settings(origins, service))
}

fn settings(origins: &[Origin], service: &str) -> String {
    let endpoints: Vec<String> = origins.iter().map(|origin| format!("\"{}\"", origin.address())).collect();
    format!(
        "{}services:\n  app: {{ endpoints: [{}], {service} }}\nroutes:\n  - {{ match: /*, to: app }}\n",
        top(),
        endpoints.join(", ")
    )
}

fn origins(count: usize) -> Vec<Origin> {
    NAMES.iter().take(count).map(|name| Origin::named(name)).collect()
}

/// Sends one request and tells which of the origins got it.
fn taker(client: &mut Client, origins: &[Origin], request: &str) -> (usize, Response) {
    let before: Vec<usize> = origins.iter().map(Origin::count).collect();
    let response = client.ask(request).unwrap_or_else(|failed| panic!("{failed}"));
    let grown = |index: &usize| origins[*index].count() > before[*index];
    let taker = (0..origins.len()).find(grown).expect("one of them answered");
    (taker, response)
}

fn get(path: &str, header: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: t\r\n{header}\r\n")
}

/// The value of the first cookie the response sets.
fn cookie(response: &Response) -> Option<String> {
    let set = response.headers.get("set-cookie")?;
    Some(set.split(';').next().unwrap_or_default().to_owned())
}

#[test]
fn the_same_key_goes_to_the_same_endpoint_and_keys_are_spread() {
    let origins = origins(4);
    for (balance, request) in [
        ("hash: path", (|n: usize| get(&format!("/item/{n}"), "")) as fn(usize) -> String),
        ("hash: { header: X-Tenant }", |n| get("/x", &format!("x-tenant: t{n}\r\n"))),
        ("hash: { cookie: user }", |n| get("/x", &format!("Cookie: a=b; user=u{n}\r\n"))),
    ] {
        let gateway = in_front(&origins, &format!("balance: {{ {balance} }}"));
        let mut client = gateway.client();
        let mut used = HashSet::new();
        for n in 0..24 {
            let (first, _) = taker(&mut client, &origins, &request(n));
            let (second, _) = taker(&mut client, &origins, &request(n));
            assert_eq!(first, second, "{balance}: key {n}");
            used.insert(first);
        }
        assert!(used.len() >= 3, "{balance}: only {used:?} of four were used");
    }
}

#[test]
fn the_query_does_not_change_where_a_path_goes_nor_how_it_is_written() {
    let origins = origins(4);
    let gateway = in_front(&origins, "balance: { hash: path }");
    let mut client = gateway.client();
    let (plain, _) = taker(&mut client, &origins, &get("/a/b", ""));
    for path in ["/a/b?x=1", "/a/%62", "/a/./b", "/c/../a/b"] {
        assert_eq!(taker(&mut client, &origins, &get(path, "")).0, plain, "{path}");
    }
}

#[test]
fn an_endpoint_that_goes_moves_only_its_own_keys() {
    let origins = origins(4);
    let gateway = in_front(&origins, "balance: { hash: path }");
    let mut client = gateway.client();
    let keys: Vec<String> = (0..40).map(|n| get(&format!("/k{n}"), "")).collect();
    let before: Vec<usize> = keys.iter().map(|key| taker(&mut client, &origins, key).0).collect();
    gateway.write_settings(&settings(&origins[..3], "balance: { hash: path }"));
    gateway.await_metric("forebay_plan_generation", |generation| generation >= 2.0);
    for (key, before) in keys.iter().zip(before) {
        let (after, _) = taker(&mut client, &origins, key);
        assert!(after < 3 && (before == 3 || after == before), "{key}: {before} -> {after}");
    }
}

#[test]
fn a_cookie_leads_back_to_the_same_endpoint_over_reload_and_restart() {
    let origins = origins(3);
    let service = "balance: { sticky: { cookie: route, ttl: 1h } }";
    let gateway = in_front(&origins, service);
    let mut client = gateway.client();
    let (first, response) = taker(&mut client, &origins, &get("/x", ""));
    let given = cookie(&response).expect("a client without a cookie gets one");
    let line = response.headers.get("set-cookie").expect("it is there").to_owned();
    assert!(line.contains("Max-Age=3600") && line.contains("HttpOnly"), "{line}");
    assert!(!line.contains(&origins[first].address().to_string()), "{line}");
    let request = get("/x", &format!("Cookie: a=b; {given}\r\n"));
    let stays = |client: &mut Client, when: &str| {
        for _ in 0..10 {
            let (again, response) = taker(client, &origins, &request);
            assert_eq!((again, cookie(&response)), (first, None), "{when}");
        }
    };
    stays(&mut client, "at once");
    gateway.write_settings(&format!("{}limits: {{ headers: 60 }}\n", settings(&origins, service)));
    gateway.await_metric("forebay_plan_generation", |generation| generation >= 2.0);
    stays(&mut client, "after a reload");
    drop(client);
    gateway.stop();
    let gateway = in_front(&origins, service);
    stays(&mut gateway.client(), "after a restart");
}

#[test]
fn a_cookie_of_an_endpoint_that_is_away_leads_to_another_with_a_new_cookie() {
    let origins = origins(2);
    let gateway = in_front(&origins, "balance: sticky");
    let mut client = gateway.client();
    let (first, response) = taker(&mut client, &origins, &get("/x", ""));
    let given = cookie(&response).expect("a client without a cookie gets one");
    assert!(given.starts_with("forebay_app="), "{given}");
    origins[first].kill();
    let request = get("/x", &format!("Cookie: {given}\r\n"));
    // As long as it may only have hiccuped, the client is to come back to it; once it is out, it is not.
    let response = eventually("another endpoint is given", || {
        let (_, response) = taker(&mut client, &origins, &request);
        assert_eq!(response.status, 200);
        response.headers.get("set-cookie").is_some().then_some(response)
    });
    let all = response.headers.all("set-cookie");
    assert_eq!(all.len(), 1, "{all:?}");
    assert_ne!(cookie(&response), Some(given));
}

#[test]
fn a_made_up_cookie_is_replaced() {
    let origins = origins(2);
    let gateway = in_front(&origins, "balance: sticky");
    let mut client = gateway.client();
    for value in ["", "zz", "00", "ffffffffffffffffffffffffffff", "%00", "1;forebay_app=2"] {
        let request = get("/x", &format!("Cookie: forebay_app={value}\r\n"));
        let (_, response) = taker(&mut client, &origins, &request);
        assert!(response.status == 200 && cookie(&response).is_some(), "{value}");
    }
}

#[test]
fn the_slower_endpoint_gets_less_with_peak_ewma() {
    let slow = Origin::start(|conn| {
        while let Ok(request) = conn.request() {
            thread::sleep(Duration::from_millis(30));
            conn.echo(&request);
        }
    });
    let origins = [slow, Origin::named("quick")];
    let gateway = in_front(&origins, "balance: peak_ewma");
    let mut client = gateway.client();
    for _ in 0..100 {
        assert_eq!(client.get("/x").status, 200);
    }
    // One after the other, so that in-flight requests say nothing.
    assert!(origins[0].count() < 20, "{} of 100 went to the slow one", origins[0].count());
}

/// An origin whose answers to `/held` wait for the gate.
fn held(gate: &Gate) -> Origin {
    let wait = gate.clone();
    Origin::start(move |conn| {
        while let Ok(request) = conn.request() {
            if request.target == "/held" {
                wait.pass();
            }
            conn.echo(&request);
        }
    })
}

#[test]
fn requests_wait_for_room_in_order_and_are_answered() {
    let gate = Gate::new();
    let origins = [held(&gate)];
    let gateway = in_front(&origins, "pool: { requests_max: 1, queue_timeout: 20s }");
    let mut first = gateway.client();
    first.send(get("/held", "")).expect("connected");
    origins[0].await_count(1);
    let mut waiting: Vec<Client> = Vec::new();
    for n in 0..5 {
        let mut client = gateway.client();
        client.send(get(&format!("/{n}"), "")).expect("connected");
        gateway.await_metric("forebay_upstream_queue_waiting{service=\"app\"}", |now| now as usize == n + 1);
        waiting.push(client);
    }
    assert_eq!(origins[0].count(), 1);
    gate.open();
    assert_eq!(first.response("GET").map(|response| response.status).ok(), Some(200));
    for client in &mut waiting {
        assert_eq!(client.response("GET").map(|response| response.status).ok(), Some(200));
    }
    let seen: Vec<String> = origins[0].seen().iter().map(|seen| seen.request.target.clone()).collect();
    assert_eq!(seen, ["/held", "/0", "/1", "/2", "/3", "/4"]);
    gateway.await_metric("forebay_upstream_queue_waiting{service=\"app\"}", |now| now == 0.0);
}

#[test]
fn a_queue_is_bounded_in_length_and_time() {
    let gate = Gate::new();
    let origins = [held(&gate)];
    let gateway = in_front(&origins, "pool: { requests_max: 1, queue_max: 1, queue_timeout: 300ms }");
    let mut first = gateway.client();
    first.send(get("/held", "")).expect("connected");
    origins[0].await_count(1);
    let mut second = gateway.client();
    second.send(get("/late", "")).expect("connected");
    gateway.await_metric("forebay_upstream_queue_waiting{service=\"app\"}", |now| now == 1.0);
    let refused = gateway.get("/too-many");
    assert_eq!(problem(&refused, 503), Ok("queue_full".to_owned()));
    let late = second.response("GET").unwrap_or_else(|failed| panic!("{failed}"));
    assert_eq!(problem(&late, 503), Ok("queue_timeout".to_owned()));
    assert!(late.headers.get("retry-after").is_some(), "{late}");
    gate.open();
    assert_eq!(gateway.get("/y").status, 200);
}

#[test]
fn whoever_leaves_the_queue_makes_room_in_it() {
    let gate = Gate::new();
    let origins = [held(&gate)];
    let gateway = in_front(&origins, "pool: { requests_max: 1, queue_max: 1, queue_timeout: 20s }");
    let mut first = gateway.client();
    first.send(get("/held", "")).expect("connected");
    origins[0].await_count(1);
    let mut second = gateway.client();
    second.send(get("/gone", "")).expect("connected");
    gateway.await_metric("forebay_upstream_queue_waiting{service=\"app\"}", |now| now == 1.0);
    second.reset();
    gateway.await_metric("forebay_upstream_queue_waiting{service=\"app\"}", |now| now == 0.0);
    gate.open();
    assert_eq!(first.response("GET").map(|response| response.status).ok(), Some(200));
    assert_eq!(gateway.get("/y").status, 200);
    assert!(origins[0].seen().iter().all(|seen| seen.request.target != "/gone"));
}

/// A primary and a replica, and a route that splits between them.
fn split(primary: &Origin, replica: &Origin, rule: &str) -> Gateway {
    gateway!("{}", split_settings(primary, replica, rule))
}

fn split_settings(primary: &Origin, replica: &Origin, rule: &str) -> String {
    format!(
        "{}services:\n  primary: {{ endpoints: [\"{}\"] }}\n  replica: {{ endpoints: [\"{}\"] }}\n\
         routes:\n  - {{ match: /*, to: {{ read: replica, write: primary{rule} }} }}\n",
        top(),
        primary.address(),
        replica.address()
    )
}

#[test]
fn reads_and_writes_go_their_own_ways() {
    let (primary, replica) = (Origin::named("primary"), Origin::named("replica"));
    let gateway = split(&primary, &replica, "");
    let mut client = gateway.client();
    for (method, writes) in [
        ("GET", false),
        ("HEAD", false),
        ("OPTIONS", false),
        ("PUT", true),
        ("DELETE", true),
        ("PATCH", true),
    ] {
        let before = (primary.count(), replica.count());
        let response = client.ask(format!("{method} /x HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n"));
        assert_eq!(response.map(|response| response.status).ok(), Some(200), "{method}");
        let after = (primary.count(), replica.count());
        let expected = if writes { (before.0 + 1, before.1) } else { (before.0, before.1 + 1) };
        assert_eq!(after, expected, "{method}");
    }
}

#[test]
fn whoever_has_written_reads_its_own_write_by_cookie() {
    let (primary, replica) = (Origin::named("primary"), Origin::named("replica"));
    let gateway = split(&primary, &replica, ", read_after_write: 1h");
    let mut client = gateway.client();
    let written = client.ask("POST /x HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n");
    let written = written.unwrap_or_else(|failed| panic!("{failed}"));
    let given = cookie(&written).expect("a write gives a cookie");
    assert!(given.starts_with("forebay_wrote="), "{given}");
    let read = client.ask(get("/x", &format!("Cookie: {given}\r\n"))).expect("an answer");
    assert_eq!((read.status, primary.count(), replica.count()), (200, 2, 0));
    // Others, and those who claim to write in the future, read from the replica.
    for cookie in ["", "Cookie: forebay_wrote=99999999999\r\n", "Cookie: forebay_wrote=x\r\n"] {
        let read = client.ask(get("/x", cookie)).expect("an answer");
        assert_eq!((read.status, primary.count()), (200, 2), "{cookie}");
    }
}

#[test]
fn whoever_has_written_reads_its_own_write_by_header() {
    let (primary, replica) = (Origin::named("primary"), Origin::named("replica"));
    let gateway = split(&primary, &replica, ", read_after_write: { stay: 1h, header: X-User }");
    let mut client = gateway.client();
    let mut ask = |request: String| client.ask(request).expect("an answer");
    let written = ask("POST /x HTTP/1.1\r\nHost: t\r\nX-User: ann\r\nContent-Length: 0\r\n\r\n".to_owned());
    assert_eq!(cookie(&written), None);
    ask(get("/x", "x-user: ann\r\n"));
    assert_eq!((primary.count(), replica.count()), (2, 0));
    ask(get("/x", "x-user: bob\r\n"));
    ask(get("/x", ""));
    assert_eq!((primary.count(), replica.count()), (2, 2));
    // It is remembered over a reload, too.
    let rule = ", read_after_write: { stay: 1h, header: X-User }";
    gateway
        .write_settings(&format!("{}limits: {{ headers: 60 }}\n", split_settings(&primary, &replica, rule)));
    gateway.await_metric("forebay_plan_generation", |generation| generation >= 2.0);
    ask(get("/x", "x-user: ann\r\n"));
    assert_eq!((primary.count(), replica.count()), (3, 2));
}

#[test]
fn a_full_endpoint_does_not_lose_its_sessions() {
    let gate = Gate::new();
    let origins = [held(&gate), held(&gate)];
    let gateway = in_front(&origins, "balance: sticky, pool: { requests_max: 1 }");
    let mut client = gateway.client();
    let (first, response) = taker(&mut client, &origins, &get("/x", ""));
    let cookies = format!("Cookie: {}\r\n", cookie(&response).expect("a client without a cookie gets one"));
    let mut busy = gateway.client();
    busy.send(get("/held", &cookies)).expect("connected");
    origins[first].await_count(2);
    let (other, response) = taker(&mut client, &origins, &get("/x", &cookies));
    assert_eq!((other, cookie(&response)), (1 - first, None));
    gate.open();
    assert_eq!(busy.response("GET").map(|response| response.status).ok(), Some(200));
    assert_eq!(taker(&mut client, &origins, &get("/x", &cookies)).0, first);
}

#[test]
fn a_few_requests_of_one_key_at_a_time_stay_together() {
    let gate = Gate::new();
    let origins = [held(&gate), held(&gate), held(&gate)];
    let gateway = in_front(&origins, "balance: { hash: { header: x-tenant } }");
    let mut clients: Vec<Client> = (0..6).map(|_| gateway.client()).collect();
    for client in &mut clients {
        client.send(get("/held", "x-tenant: a\r\n")).expect("connected");
    }
    let arrived = || origins.iter().map(Origin::count).collect::<Vec<_>>();
    eventually("all have arrived", || (arrived().iter().sum::<usize>() == 6).then_some(()));
    gate.open();
    assert!(arrived().contains(&6), "{:?}", arrived());
}

/// What became of `count` requests on connections of their own, one after the other on each, `rounds` times.
fn all_at_once(gateway: &Gateway, count: usize, rounds: usize) -> Vec<Vec<u16>> {
    let clients: Vec<_> = (0..count)
        .map(|_| {
            let mut client = gateway.client();
            thread::spawn(move || (0..rounds).map(|_| client.get("/x").status).collect())
        })
        .collect();
    clients.into_iter().map(|client| client.join().expect("no panic")).collect()
}

#[test]
fn whoever_waits_is_served_in_turn_whichever_worker_it_came_to() {
    let origin = Origin::start(|conn| {
        while let Ok(request) = conn.request() {
            thread::sleep(Duration::from_millis(2));
            conn.echo(&request);
        }
    });
    let gateway = gateway!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 4\n\
         services:\n  app: {{ endpoints: [\"{}\"], pool: {{ requests_max: 1, queue_timeout: 5s }} }}\n\
         routes:\n  - {{ match: /*, to: app }}\n",
        origin.address()
    );
    // If one worker kept the endpoint to itself, the others' clients would wait for as long as this takes.
    for statuses in all_at_once(&gateway, 12, 100) {
        assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    }
    assert_eq!(gateway.metric("forebay_upstream_queue_waiting{service=\"app\"}"), 0.0);
}

#[test]
fn whoever_waits_is_served_although_the_gateway_drains() {
    let gate = Gate::new();
    let origins = [held(&gate)];
    let gateway = gateway!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 3\nlimits: {{ drain: 20s }}\n\
         services:\n  app: {{ endpoints: [\"{}\"], pool: {{ requests_max: 1, queue_timeout: 20s }} }}\n\
         routes:\n  - {{ match: /*, to: app }}\n",
        origins[0].address()
    );
    let mut first = gateway.client();
    first.send(get("/held", "")).expect("connected");
    origins[0].await_count(1);
    let mut waiting: Vec<Client> = (0..9).map(|_| gateway.client()).collect();
    for client in &mut waiting {
        client.send(get("/x", "")).expect("connected");
    }
    gateway.await_metric("forebay_upstream_queue_waiting{service=\"app\"}", |now| now == 9.0);
    gateway.signal(gateway::Signal::Terminate);
    eventually("it drains", || gateway.stderr().contains("draining").then_some(()));
    gate.open();
    waiting.push(first);
    for client in &mut waiting {
        assert_eq!(client.response("GET").map(|response| response.status).ok(), Some(200));
    }
}

#[test]
fn requests_that_wait_or_are_under_way_outlive_a_change_of_balance() {
    let gate = Gate::new();
    let origins = [held(&gate)];
    let pool = "pool: { requests_max: 1, queue_timeout: 20s }";
    let gateway = in_front(&origins, pool);
    let mut first = gateway.client();
    first.send(get("/held", "")).expect("connected");
    origins[0].await_count(1);
    let mut waiting: Vec<Client> = (0..3).map(|_| gateway.client()).collect();
    for client in &mut waiting {
        client.send(get("/x", "")).expect("connected");
    }
    gateway.await_metric("forebay_upstream_queue_waiting{service=\"app\"}", |now| now == 3.0);
    // One has begun, and its plan is the old one.
    let mut begun = gateway.client();
    begun.send("GET /y HTTP/1.1\r\nHost: t\r\n").expect("connected");
    gateway.await_metric("forebay_connections{state=\"busy\"}", |busy| busy >= 5.0);
    gateway.write_settings(&settings(&origins, &format!("balance: round_robin, {pool}")));
    gateway.await_metric("forebay_plan_generation", |generation| generation >= 2.0);
    begun.send("\r\n").expect("connected");
    gate.open();
    waiting.extend([first, begun]);
    for client in &mut waiting {
        assert_eq!(client.response("GET").map(|response| response.status).ok(), Some(200));
    }
}

#[test]
fn a_write_counts_from_its_end_however_long_it_takes() {
    let slow = Origin::start(|conn| {
        while let Ok(request) = conn.request() {
            if request.method == "POST" {
                thread::sleep(Duration::from_millis(2_500));
            }
            conn.echo(&request);
        }
    });
    let replica = Origin::named("replica");
    let gateway = split(&slow, &replica, ", read_after_write: 2s");
    let mut client = gateway.client();
    let written = client.ask("POST /x HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n").expect("an answer");
    let cookies = format!("Cookie: {}\r\n", cookie(&written).expect("a write gives a cookie"));
    assert_eq!(client.ask(get("/x", &cookies)).map(|response| response.status).ok(), Some(200));
    assert_eq!((slow.count(), replica.count()), (2, 0));
}
