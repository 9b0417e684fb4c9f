//! Scenarios of several steps: what one answer gives, the next request sends.

use std::collections::BTreeSet;
use std::sync::Mutex;

use forebay_load::capture::Capture;
use forebay_load::feeder::{Feeder, Format, Order};
use forebay_testkit::scripted::{Reply, Scripted};

use super::*;

/// Gives every login a token of its own, and knows each.
fn shop(tokens: &Arc<Mutex<BTreeSet<String>>>) -> Scripted {
    let tokens = Arc::clone(tokens);
    Scripted::start(move |request| {
        let mut tokens = tokens.lock().expect("no panic under this lock");
        match (request.method, request.target) {
            ("POST", "/login") => {
                let token = format!("t{}", request.number);
                let reply = Reply::now().body(format!("{{\"token\": \"{token}\"}}")).header("X-Shop", "main");
                tokens.insert(token);
                reply
            }
            ("GET", "/cart/main") => {
                let token = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
                // Each may be used once.
                let known = token.is_some_and(|token| tokens.remove(token));
                Reply::now().status(if known { 200 } else { 401 })
            }
            _ => Reply::now().status(404),
        }
    })
}

fn login() -> Step {
    Step {
        method: "POST".to_owned(),
        body: Body::Template(template("{\"user\": \"{{ user }}\"}")),
        capture: vec![
            Capture::parse_json("token", "$.token").expect("a path"),
            Capture::parse_header("shop", "X-Shop").expect("a name"),
        ],
        ..get("/login")
    }
}

fn cart() -> Step {
    Step {
        name: "cart".to_owned(),
        headers: vec![("Authorization".to_owned(), template("Bearer {{ token }}"))],
        ..get("/cart/{{ shop }}")
    }
}

#[test]
fn what_one_answer_gives_the_next_request_sends() {
    let tokens = Arc::default();
    let server = shop(&tokens);
    let mut plan = open(server.address(), 100.0, ms(1000));
    plan.scenarios[0].steps = vec![login(), cart()];
    plan.variables = vec![("user".to_owned(), "ann".to_owned())];
    let outcome = run(&plan);
    assert_eq!(buckets_of(&step(&outcome, "/login")), (100, 100, 0, 0, 0));
    assert_eq!(buckets_of(&step(&outcome, "cart")), (100, 100, 0, 0, 0));
    assert_eq!(server.truth().requests, 200);
    assert!(tokens.lock().expect("no panic under this lock").is_empty(), "each was used");
}

#[test]
fn a_scenario_ends_where_it_makes_no_sense_any_more() {
    // Every fourth login gives no token.
    let server = Scripted::start(|request| match request.target {
        "/login" if request.header("x-index").is_some_and(|index| index.ends_with('0')) => {
            Reply::now().body("{}")
        }
        "/login" => Reply::now().body("{\"token\": 1}").header("X-Shop", "main"),
        _ => Reply::now(),
    });
    let mut plan = open(server.address(), 100.0, ms(1000));
    let login = Step { headers: vec![("X-Index".to_owned(), template("{{ $iteration }}"))], ..login() };
    plan.scenarios[0].steps = vec![login, cart()];
    plan.variables = vec![("user".to_owned(), "ann".to_owned())];
    let outcome = run(&plan);
    assert_eq!(errors(&step(&outcome, "/login")), [(ErrorKind::Capture, 10)]);
    assert_eq!(buckets_of(&step(&outcome, "cart")), (90, 90, 0, 0, 0));
    assert_eq!(server.truth().requests, 190);
}

#[test]
fn think_time_is_nobodys_response_time() {
    let server = Scripted::start(|_| Reply::after(ms(5)));
    let mut plan = open(server.address(), 20.0, ms(500));
    plan.scenarios[0].steps = vec![Step { think: (ms(300), ms(300)), ..get("/a") }, get("/b")];
    let outcome = run(&plan);
    for name in ["/a", "/b"] {
        let tally = step(&outcome, name);
        assert_eq!(buckets_of(&tally), (10, 10, 0, 0, 0));
        assert!(tally.response.min() >= Some(ms(5)), "{name}");
        assert!(tally.response.quantile(0.5) < Some(ms(300)), "{name}: {:?}", tally.response.quantile(0.5));
    }
}

#[test]
fn rows_of_a_feeder_come_in_turn() {
    let seen: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let log = Arc::clone(&seen);
    let server = Scripted::start(move |request| {
        log.lock().expect("no panic under this lock").insert(request.target.to_owned());
        Reply::now()
    });
    let mut plan = open(server.address(), 100.0, ms(200));
    let text: String = std::iter::once("id".to_owned()).chain((0..20).map(|id| format!("\n{id}"))).collect();
    let format = Format { delimiter: ',', columns: None };
    plan.feeders = vec![Feeder::parse("items", &text, &format, Order::Once).expect("a table")];
    plan.scenarios[0].steps = vec![Step { name: "item".to_owned(), ..get("/items/{{ id }}") }];
    let outcome = run(&plan);
    assert_eq!(buckets(&outcome), (20, 20, 0, 0, 0));
    let expected: BTreeSet<String> = (0..20).map(|id| format!("/items/{id}")).collect();
    assert_eq!(*seen.lock().expect("no panic under this lock"), expected);
}

#[test]
fn the_same_seed_sends_the_same_requests() {
    let targets = |seed| {
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&seen);
        let server = Scripted::start(move |request| {
            log.lock().expect("no panic under this lock").push(request.target.to_owned());
            Reply::now()
        });
        let mut plan = open(server.address(), 100.0, ms(500));
        plan.seed = seed;
        // One user: requests reach the server in the order of the plan.
        plan.users_max = 1;
        plan.scenarios[0].steps = vec![Step { name: "any".to_owned(), ..get("/{{ $random(1, 1000000) }}") }];
        run(&plan);
        let seen = seen.lock().expect("no panic under this lock");
        seen.clone()
    };
    let first = targets(3);
    assert_eq!(first.len(), 50);
    assert_eq!(first, targets(3));
    assert_ne!(first, targets(4));
}
