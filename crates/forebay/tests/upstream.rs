//! Several endpoints: who gets how much, what happens when some are away, and when none is left.

use std::net::{SocketAddr, TcpListener};
use std::thread;

use forebay_testkit::check::problem;
use forebay_testkit::gateway;
use forebay_testkit::gateway::Gateway;
use forebay_testkit::origin::{Gate, Origin};
use forebay_testkit::settings::top;
use forebay_testkit::wire::Client;

/// A gateway whose service `app` has these settings.
fn in_front(service: &str) -> Gateway {
    gateway!("{}services:\n  app: {{ {service} }}\nroutes:\n  - {{ match: /*, to: app }}\n", top())
}

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
    listener.local_addr().expect("a bound listener has an address")
}

/// A listener that never takes its connections, with its queue already full: connecting to it hangs.
fn hanging() -> (socket2::Socket, Vec<socket2::Socket>, SocketAddr) {
    let new = || {
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("sockets are left")
    };
    let listener = new();
    listener.bind(&"127.0.0.1:0".parse::<SocketAddr>().expect("it is one").into()).expect("a port is free");
    listener.listen(0).expect("it is bound");
    let address = listener.local_addr().expect("it is bound").as_socket().expect("it is IPv4");
    let waiting = (0..4)
        .map(|_| {
            let socket = new();
            socket.set_nonblocking(true).expect("it is a socket");
            // In progress is all it can be.
            let _ = socket.connect(&address.into());
            socket
        })
        .collect();
    (listener, waiting, address)
}

#[test]
fn round_robin_takes_turns_by_weight() {
    let (one, two) = (Origin::named("one"), Origin::named("two"));
    let gateway = in_front(&format!(
        "balance: round_robin, endpoints: [{{ address: \"{}\", weight: 3 }}, \"{}\"]",
        one.address(),
        two.address()
    ));
    let mut client = gateway.client();
    for _ in 0..100 {
        let _ = client.get("/x");
    }
    assert_eq!((one.count(), two.count()), (75, 25));
}

#[test]
fn the_least_loaded_of_two_gets_the_next_request() {
    let gate = Gate::new();
    let wait = gate.clone();
    let slow = Origin::start(move |conn| {
        while let Ok(request) = conn.request() {
            wait.pass();
            conn.echo(&request);
        }
    });
    let quick = Origin::echo();
    let gateway = in_front(&format!("endpoints: [\"{}\", \"{}\"]", slow.address(), quick.address()));
    // Until the slow one has something to do, it is as good as the other.
    let mut busy = Vec::new();
    while slow.count() == 0 {
        let address = gateway.addr();
        busy.push(thread::spawn(move || Client::connect(address).get("/busy").status));
        gateway
            .await_metric("forebay_upstream_responses_total", |_| slow.count() + quick.count() >= busy.len());
    }
    for _ in 0..50 {
        assert_eq!(gateway.get("/x").status, 200);
    }
    assert_eq!(slow.count(), 1, "a busy endpoint was preferred to an idle one");
    gate.open();
    for request in busy {
        assert_eq!(request.join().ok(), Some(200));
    }
}

#[test]
fn an_endpoint_that_refuses_connections_costs_no_request() {
    let origin = Origin::named("alive");
    let (one, two) = (nobody(), nobody());
    for balance in ["round_robin", "least_loaded"] {
        let endpoints = format!("\"{one}\", \"{}\", \"{two}\"", origin.address());
        let gateway = in_front(&format!("balance: {balance}, endpoints: [{endpoints}]"));
        for _ in 0..30 {
            let posted =
                gateway.client().ask("POST /x HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello");
            assert_eq!(
                posted.map(|response| response.text()).map_err(|e| e.to_string()),
                Ok("alive".to_owned())
            );
        }
        assert!(gateway.metric("forebay_upstream_connect_failures_total") > 0.0);
    }
}

#[test]
fn no_endpoint_left_becomes_502() {
    let gateway = in_front(&format!("endpoints: [\"{}\", \"{}\"]", nobody(), nobody()));
    assert_eq!(problem(&gateway.get("/x"), 502), Ok("connect_failed".to_owned()));
    // A body that was sent along is not taken for a request.
    let mut client = gateway.client();
    let response = client
        .ask("POST /x HTTP/1.1\r\nHost: t\r\nContent-Length: 35\r\n\r\nGET /y HTTP/1.1\r\nHost: smuggled\r\n\r\n")
        .unwrap_or_else(|failed| panic!("{failed}"));
    assert_eq!(problem(&response, 502), Ok("connect_failed".to_owned()));
    if !response.closes() {
        assert_eq!(client.get("/z").status, 502);
    }
    gateway.await_metric("forebay_refusals_total{reason=\"connect_failed\"}", |count| {
        (2.0..=3.0).contains(&count)
    });
}

#[test]
fn an_endpoint_that_comes_back_is_used_again() {
    let address = nobody();
    let gateway = in_front(&format!("endpoints: [\"{address}\"]"));
    assert_eq!(gateway.get("/x").status, 502);
    let listener = TcpListener::bind(address).expect("the port was free a moment ago");
    let serving = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the gateway connects");
        let _ = std::io::Read::read(&mut stream, &mut [0; 4096]);
        let _ = std::io::Write::write_all(&mut stream, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nback");
    });
    assert_eq!(gateway.get("/y").text(), "back");
    serving.join().expect("it met no error");
}

#[test]
fn what_is_sent_again_on_a_new_connection_is_counted() {
    let origin = Origin::start(|conn| {
        if let Ok(request) = conn.request() {
            conn.echo(&request);
        }
        // The next one finds the connection closed, as if it had been idle for too long.
        let _ = conn.request();
    });
    let gateway = in_front(&format!("endpoints: [\"{}\"]", origin.address()));
    let mut client = gateway.client();
    let resent = || gateway.metric("forebay_upstream_resent_total");
    assert_eq!((client.get("/a").headers.get("x-connection"), resent()), (Some("0"), 0.0));
    assert_eq!((client.get("/b").headers.get("x-connection"), resent()), (Some("1"), 1.0));
    let posted = client.ask("POST /c HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\nhi");
    let posted = posted.unwrap_or_else(|failed| panic!("{failed}"));
    assert_eq!((problem(&posted, 502), resent()), (Ok("upstream_closed".to_owned()), 1.0));
}

#[test]
fn connecting_that_takes_too_long_becomes_504() {
    let (_listener, _waiting, address) = hanging();
    let gateway = in_front(&format!("endpoints: [\"{address}\"], timeout: {{ connect: 200ms }}"));
    assert_eq!(problem(&gateway.get("/x"), 504), Ok("connect_timeout".to_owned()));
}

#[test]
fn another_endpoint_is_tried_when_connecting_takes_too_long() {
    let (_listener, _waiting, address) = hanging();
    let origin = Origin::named("alive");
    let endpoints = format!("\"{address}\", \"{}\"", origin.address());
    let gateway =
        in_front(&format!("balance: round_robin, endpoints: [{endpoints}], timeout: {{ connect: 200ms }}"));
    for _ in 0..4 {
        assert_eq!(gateway.get("/x").text(), "alive");
    }
}

#[test]
fn a_routes_timeout_goes_before_its_services() {
    let origin = Origin::start(|conn| {
        let _ = conn.request();
        conn.stall();
    });
    let gateway = gateway!(
        "{}services:\n  app: {{ endpoints: [\"{}\"], timeout: {{ first_byte: 1h }} }}\n\
         routes:\n  - {{ match: /*, to: app, timeout: {{ first_byte: 200ms }} }}\n  \
         - {{ match: /total, to: app, timeout: 200ms }}\n",
        top(),
        origin.address()
    );
    assert_eq!(problem(&gateway.get("/x"), 504), Ok("upstream_timeout".to_owned()));
    assert_eq!(problem(&gateway.get("/total"), 504), Ok("request_timeout".to_owned()));
}

#[test]
fn a_full_pool_says_so_and_recovers() {
    let gate = Gate::new();
    let wait = gate.clone();
    let origin = Origin::start(move |conn| {
        while let Ok(request) = conn.request() {
            if request.target == "/held" {
                wait.pass();
            }
            conn.echo(&request);
        }
    });
    let gateway = in_front(&format!(
        "endpoints: [\"{}\"], pool: {{ connections_max: 2, queue_max: 0 }}",
        origin.address()
    ));
    let mut held: Vec<Client> = (0..2).map(|_| gateway.client()).collect();
    for client in &mut held {
        client.send("GET /held HTTP/1.1\r\nHost: t\r\n\r\n").expect("connected");
    }
    origin.await_count(2);
    let refused = gateway.get("/x");
    assert_eq!(problem(&refused, 503), Ok("pool_full".to_owned()));
    assert!(refused.headers.get("retry-after").is_some(), "{refused}");
    gate.open();
    for client in &mut held {
        let response = client.response("GET").unwrap_or_else(|failed| panic!("{failed}"));
        assert_eq!(response.status, 200);
    }
    assert_eq!(gateway.get("/y").status, 200);
    assert_eq!(origin.connections(), 2);
}

#[test]
fn what_one_worker_keeps_idle_does_not_lock_the_others_out() {
    let origin = Origin::echo();
    let gateway = gateway!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 4\n\
         services:\n  app: {{ endpoints: [\"{}\"], pool: {{ connections_max: 2, idle_timeout: 1h }} }}\n\
         routes:\n  - {{ match: /*, to: app }}\n",
        origin.address()
    );
    // Each on a connection of its own, so that every worker gets some; never two at a time.
    let refused = (0..64).filter(|_| gateway.get("/x").status != 200).count();
    assert_eq!(refused, 0, "of 64 requests, one after the other, with two connections allowed");
}

#[test]
fn no_pool_means_a_connection_per_request() {
    let origin = Origin::echo();
    let gateway = in_front(&format!("endpoints: [\"{}\"], pool: {{ idle_max: 0 }}", origin.address()));
    let mut client = gateway.client();
    for _ in 0..5 {
        assert_eq!(client.get("/x").status, 200);
    }
    assert_eq!(origin.connections(), 5);
}

#[test]
fn a_name_that_does_not_resolve_becomes_503_and_does_not_stop_the_start() {
    let origin = Origin::echo();
    let gateway = gateway!(
        "{}services:\n  app: {{ endpoints: [\"{}\"] }}\n  lost: {{ endpoints: [\"no-such-name.invalid:80\"] }}\n\
         routes:\n  - {{ match: /*, to: app }}\n  - {{ match: /lost, to: lost }}\n",
        top(),
        origin.address()
    );
    assert_eq!(problem(&gateway.get("/lost"), 503), Ok("no_endpoint".to_owned()));
    assert_eq!(gateway.get("/x").status, 200);
}

#[test]
fn an_endpoint_may_be_a_name() {
    let origin = Origin::echo();
    let gateway = in_front(&format!("endpoints: [\"localhost:{}\"]", origin.address().port()));
    assert_eq!(gateway.get("/x").status, 200);
}

/// One is opened for the request, and one more because the first might have been about to close.
#[test]
fn an_endpoint_that_does_not_speak_http2_is_not_asked_again_and_again() {
    for script in ["", "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"] {
        let origin = Origin::start(move |conn| {
            if !script.is_empty() {
                conn.send(script);
            }
        });
        let gateway = in_front(&format!("endpoints: [\"{}\"], protocol: h2c", origin.address()));
        let response = gateway.get("/x");
        assert_eq!(problem(&response, 502), Ok("upstream_closed".to_owned()), "{script:?}");
        assert!(origin.connections() <= 3, "{} connections", origin.connections());
    }
}
