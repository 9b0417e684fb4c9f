//! Services that speak HTTP/2: how many requests a connection carries is up to them, and nobody is refused for that who
//! could wait.

use std::thread;

use forebay_testkit::gateway;
use forebay_testkit::gateway::Gateway;
use forebay_testkit::streams::Streams;
use forebay_testkit::wire::Client;

/// A gateway with so many workers whose service `app` has these settings.
fn in_front(workers: usize, service: &str) -> Gateway {
    gateway!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: {workers}\n\
         services:\n  app: {{ protocol: h2c, {service} }}\nroutes:\n  - {{ match: /*, to: app }}\n"
    )
}

/// The statuses of so many requests at the same time, each on a connection of its own.
fn at_once(gateway: &Gateway, requests: usize) -> Vec<u16> {
    let address = gateway.addr();
    let ask = |_| thread::spawn(move || Client::connect(address).get("/x").status);
    let asking: Vec<_> = (0..requests).map(ask).collect();
    asking.into_iter().map(|one| one.join().expect("it does not panic")).collect()
}

/// So many requests at once get 200, over at most so many connections, and none of them is refused on the way.
#[track_caller]
fn check(workers: usize, streams_max: usize, connections_max: usize, requests: usize) {
    let origin = Streams::start(streams_max);
    let pool = format!("pool: {{ connections_max: {connections_max}, queue_timeout: 20s }}");
    let gateway = in_front(workers, &format!("endpoints: [\"{}\"], {pool}", origin.address()));
    for round in ["cold", "warm"] {
        let what = format!("{streams_max} on each of {connections_max}, {workers} workers, {round}");
        assert_eq!(at_once(&gateway, requests), vec![200; requests], "{what}");
        assert_eq!(origin.refused(), 0, "{what}");
    }
    assert!(origin.open_most() <= connections_max, "{} connections", origin.open_most());
}

#[test]
fn connections_carry_as_many_as_the_service_says_from_the_first_on() {
    check(1, 10, 2048, 60);
}

#[test]
fn those_who_find_every_connection_full_wait_in_line() {
    check(1, 1, 2, 40);
    check(1, 3, 1, 40);
}

#[test]
fn workers_hand_the_only_connection_to_each_other() {
    check(2, 10, 1, 60);
}

#[test]
fn a_connection_without_requests_is_given_to_the_worker_that_has_some() {
    let origin = Streams::start(10);
    let gateway =
        in_front(2, &format!("endpoints: [\"{}\"], pool: {{ connections_max: 1 }}", origin.address()));
    for _ in 0..24 {
        // The system deals new connections out to the workers.
        assert_eq!(Client::connect(gateway.addr()).get("/x").status, 200);
    }
    assert_eq!(origin.open_most(), 1);
}

#[test]
fn what_one_endpoint_refuses_to_look_at_another_answers_whatever_the_method() {
    let (refusing, good) = (Streams::refusing(), Streams::start(100));
    let gateway = in_front(
        1,
        &format!("endpoints: [\"{}\", \"{}\"], balance: round_robin", refusing.address(), good.address()),
    );
    let mut client = gateway.client();
    for _ in 0..10 {
        assert_eq!(client.get("/x").status, 200);
        let post = client.ask("POST /x HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\nhi");
        assert_eq!(post.expect("it is answered").status, 200);
    }
    assert_eq!(good.answered(), 20);
    assert!(refusing.refused() >= 10, "it was asked all along, as one that has not failed");
}

#[test]
fn the_only_endpoint_is_asked_again_a_few_times() {
    let origin = Streams::refusing();
    let gateway = in_front(1, &format!("endpoints: [\"{}\"]", origin.address()));
    let mut client = gateway.client();
    assert_eq!(client.get("/x").status, 502);
    assert_eq!(origin.refused(), 5);
    origin.refuse(false);
    assert_eq!(client.get("/x").status, 200);
}
