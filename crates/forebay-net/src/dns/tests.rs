//! What is asked and what comes of it, against a real name server on loopback.

use std::time::Duration;

use forebay_testkit::dns::{self, Failure, NameServer, Way};
use forebay_testkit::scratch::Scratch;

use super::*;

/// A resolver of its own files, which asks a server that the test scripts.
struct Bench {
    server: NameServer,
    scratch: Scratch,
    options: Options,
}

impl Bench {
    fn new() -> Self {
        let (server, scratch) = (NameServer::start(), Scratch::new("resolver"));
        let options = Options {
            servers: vec![server.address()],
            timeout: forebay_testkit::DEADLINE,
            family: Family::Auto,
            resolv_conf: scratch.path().join("resolv.conf"),
            hosts: scratch.path().join("hosts"),
        };
        Self { server, scratch, options }
    }

    fn family(mut self, family: Family) -> Self {
        self.options.family = family;
        self
    }

    fn resolver(&self) -> Resolver {
        Resolver::new(self.options.clone())
    }

    /// The addresses and their time to live in seconds, as text; or why there are none.
    async fn ask(&self, name: &str) -> Result<String, DnsError> {
        let Answer { addresses, ttl } = self.resolver().addresses(name).await?;
        let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        Ok(format!("{} for {}", addresses.join(" "), ttl.as_secs()))
    }

    async fn check(&self, name: &str, expected: &str) {
        assert_eq!(self.ask(name).await.as_deref(), Ok(expected), "{name}");
    }

    async fn fails(&self, name: &str, expected: DnsError) {
        assert_eq!(self.ask(name).await, Err(expected), "{name}");
    }

    /// Each target as `priority host:port weight addresses`, and the time to live in seconds.
    async fn services(&self, name: &str) -> Result<(Vec<String>, u64), DnsError> {
        let Services { targets, ttl } = self.resolver().services(name).await?;
        let show = |target: &SrvTarget| {
            let SrvTarget { host, port, priority, weight, addresses } = target;
            let addresses = match addresses {
                Ok(addresses) => addresses.iter().map(|it| format!(" {it}")).collect::<String>(),
                Err(error) => format!(" {error}"),
            };
            format!("{priority} {host}:{port} {weight}{addresses}")
        };
        Ok((targets.iter().map(show).collect(), ttl.as_secs()))
    }
}

const fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

#[tokio::test]
async fn an_answer_has_its_addresses_in_order_and_its_time_to_live() {
    let bench = Bench::new();
    bench.server.set("shop.test", 30, &["10.0.0.2", "10.0.0.1", "10.0.0.2"]);
    bench.check("shop.test", "10.0.0.1 10.0.0.2 for 30").await;
    bench.check("SHOP.Test.", "10.0.0.1 10.0.0.2 for 30").await;
    bench.server.set("shop.test", 0, &["10.0.0.3"]);
    bench.check("shop.test", "10.0.0.3 for 0").await;
}

#[tokio::test]
async fn the_family_decides_which_addresses_are_taken() {
    for (family, both, only_v6) in [
        (Family::Auto, Ok("10.0.0.1 for 30"), Ok("::2 for 30")),
        (Family::V4, Ok("10.0.0.1 for 30"), Err(DnsError::NoData { ttl: seconds(1) })),
        (Family::V6, Ok("::1 for 30"), Ok("::2 for 30")),
        (Family::Both, Ok("10.0.0.1 ::1 for 30"), Ok("::2 for 30")),
    ] {
        let bench = Bench::new().family(family);
        bench.server.set("both.test", 30, &["::1", "10.0.0.1"]);
        bench.server.set("six.test", 30, &["::2"]);
        assert_eq!(bench.ask("both.test").await.as_deref(), both.as_deref(), "{family:?}");
        assert_eq!(bench.ask("six.test").await.as_deref(), only_v6.as_deref(), "{family:?}");
    }
}

#[tokio::test]
async fn each_failure_has_its_name() {
    let mut bench = Bench::new();
    let server = bench.server.address();
    bench.server.set_negative_ttl(Some(7));
    bench.fails("no.test", DnsError::NoSuchName { ttl: seconds(7) }).await;
    bench.server.set("empty.test", 30, &[]);
    bench.fails("empty.test", DnsError::NoData { ttl: seconds(7) }).await;
    bench.server.set_negative_ttl(None);
    bench.fails("no.test", DnsError::NoSuchName { ttl: None }).await;
    bench.server.set_negative_ttl(Some(1_000_000));
    bench.fails("no.test", DnsError::NoSuchName { ttl: Some(NEGATIVE_TTL_MAX) }).await;
    bench.server.fail("bad.test", Failure::Server);
    bench.fails("bad.test", DnsError::ServerFailure(server)).await;
    bench.server.fail("bad.test", Failure::Refused);
    bench.fails("bad.test", DnsError::Refused(server)).await;
    bench.fails("a..b", DnsError::BadName(BadName::EmptyLabel)).await;
    bench.options.timeout = Duration::from_millis(20);
    bench.server.fail("bad.test", Failure::Silence);
    bench.fails("bad.test", DnsError::Timeout(server)).await;
    assert_eq!(bench.server.asked("bad.test"), 4, "silence may be a lost packet, so it is asked again once");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_from_one_that_is_silent() {
    let mut bench = Bench::new();
    let server = NameServer::start();
    bench.options.servers = vec![server.address()];
    let address = server.address();
    drop(server);
    // Its thread ends a moment later, and with it its socket; what comes in between is met with silence.
    bench.options.timeout = Duration::from_millis(50);
    while !matches!(bench.ask("a.test").await, Err(DnsError::Unreachable(at, _)) if at == address) {}
}

#[tokio::test]
async fn the_next_server_is_asked_when_one_fails() {
    let mut bench = Bench::new();
    let bad = NameServer::start();
    bad.fail("shop.test", Failure::Server);
    bench.server.set("shop.test", 30, &["10.0.0.1"]);
    bench.options.servers.insert(0, bad.address());
    bench.check("shop.test", "10.0.0.1 for 30").await;
    // That there is no such name is an answer.
    bad.remove("shop.test");
    bench.fails("shop.test", DnsError::NoSuchName { ttl: seconds(1) }).await;
}

#[tokio::test]
async fn aliases_are_followed_within_an_answer_and_beyond() {
    let bench = Bench::new();
    bench.server.set_alias("a.test", 90, "b.test");
    bench.server.set_alias("b.test", 20, "c.test");
    bench.server.set("c.test", 60, &["10.0.0.1"]);
    for one_step in [false, true] {
        bench.server.set_one_step(one_step);
        bench.check("a.test", "10.0.0.1 for 20").await;
    }
    bench.server.remove("c.test");
    bench.fails("a.test", DnsError::NoSuchName { ttl: seconds(1) }).await;
    bench.server.set("c.test", 60, &[]);
    bench.fails("a.test", DnsError::NoData { ttl: seconds(1) }).await;
}

#[tokio::test]
async fn aliases_in_a_circle_end() {
    let bench = Bench::new();
    bench.server.set_alias("a.test", 90, "b.test");
    bench.server.set_alias("b.test", 90, "a.test");
    for one_step in [false, true] {
        bench.server.set_one_step(one_step);
        bench.fails("a.test", DnsError::Endless).await;
    }
}

#[tokio::test]
async fn what_is_too_long_for_udp_comes_over_tcp() {
    let bench = Bench::new();
    bench.server.set_truncated(true);
    bench.server.set("shop.test", 30, &["10.0.0.1"]);
    bench.check("shop.test", "10.0.0.1 for 30").await;
    assert_eq!(bench.server.asked_for("shop.test", dns::Kind::A, Way::Tcp), 1);
    bench.server.set_truncated(false);
    let many: Vec<_> = (0..2_000).map(|number| format!("10.1.{}.{}", number / 250, number % 250)).collect();
    bench.server.set("many.test", 30, &many.iter().map(String::as_str).collect::<Vec<_>>());
    let answer = bench.resolver().addresses("many.test").await.map(|answer| answer.addresses.len());
    assert_eq!(answer, Ok(2_000));
}

#[tokio::test]
async fn some_seventy_addresses_fit_a_packet() {
    let bench = Bench::new();
    let many: Vec<_> = (0..70).map(|number| format!("10.1.0.{number}")).collect();
    bench.server.set("many.test", 30, &many.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(bench.resolver().addresses("many.test").await.map(|answer| answer.addresses.len()), Ok(70));
    assert_eq!(bench.server.asked_for("many.test", dns::Kind::A, Way::Tcp), 0);
}

#[tokio::test]
async fn old_servers_are_asked_in_the_old_way() {
    let bench = Bench::new();
    bench.server.set_old(true);
    bench.server.set("shop.test", 30, &["10.0.0.1"]);
    bench.check("shop.test", "10.0.0.1 for 30").await;
}

#[tokio::test]
async fn networks_that_lose_newer_questions_get_old_ones() {
    let mut bench = Bench::new();
    bench.options.timeout = Duration::from_millis(500);
    bench.server.set_picky(true);
    bench.server.set("shop.test", 30, &["10.0.0.1"]);
    bench.check("shop.test", "10.0.0.1 for 30").await;
}

#[tokio::test]
async fn answers_to_other_questions_are_passed_over() {
    let bench = Bench::new();
    bench.server.set_strays(true);
    bench.server.set("shop.test", 30, &["10.0.0.1"]);
    bench.check("shop.test", "10.0.0.1 for 30").await;
}

#[tokio::test]
async fn search_domains_are_tried_as_the_system_does() {
    let bench = Bench::new();
    let server = &bench.server;
    bench.scratch.write("resolv.conf", "search one.test two.test\noptions ndots:2\n");
    server.set("app.two.test", 30, &["10.0.0.2"]);
    bench.check("app", "10.0.0.2 for 30").await;
    server.set("app", 30, &["10.0.0.9"]);
    bench.check("app", "10.0.0.2 for 30").await;
    bench.check("app.", "10.0.0.9 for 30").await;
    // Two dots are enough to be asked for first.
    server.set("a.b.c", 30, &["10.0.0.3"]);
    bench.check("a.b.c", "10.0.0.3 for 30").await;
    assert_eq!(server.asked("a.b.c.one.test"), 0);
    // While it is not known what the first means, no other is taken.
    server.fail("app.one.test", Failure::Server);
    bench.fails("app", DnsError::ServerFailure(server.address())).await;
    server.set("x.one.test", 30, &[]);
    bench.fails("x", DnsError::NoData { ttl: seconds(1) }).await;
}

#[tokio::test]
async fn some_names_need_no_server() {
    let bench = Bench::new().family(Family::Both);
    bench.scratch.write("hosts", "10.0.0.5 app.test\n::5 app.test\n");
    bench.check("App.test", "10.0.0.5 ::5 for 5").await;
    bench.scratch.write("hosts", "10.0.0.6 app.test\n");
    bench.check("app.test", "10.0.0.6 for 5").await;
    bench.check("localhost", "127.0.0.1 ::1 for 300").await;
    bench.check("10.1.2.3", "10.1.2.3 for 300").await;
    let bench = bench.family(Family::Auto);
    bench.check("x.localhost", "127.0.0.1 for 300").await;
    assert_eq!(bench.server.asked("app.test") + bench.server.asked("x.localhost"), 0);
}

#[tokio::test]
async fn services_have_hosts_and_those_addresses() {
    let bench = Bench::new();
    let server = &bench.server;
    server.set_services("_http._tcp.shop.test", 30, &[(20, 0, 81, "b.test"), (10, 5, 80, "A.test")]);
    server.set("a.test", 60, &["10.0.0.1", "10.0.0.2"]);
    server.set("b.test", 10, &["10.0.0.3"]);
    let expected = ["10 a.test:80 5 10.0.0.1 10.0.0.2", "20 b.test:81 0 10.0.0.3"].map(str::to_owned);
    assert_eq!(bench.services("_http._tcp.shop.test").await, Ok((expected.to_vec(), 10)));
    assert_eq!(server.asked("a.test"), 0, "its addresses came along");
    server.set_along(false);
    assert_eq!(bench.services("_http._tcp.shop.test").await, Ok((expected.to_vec(), 10)));
    assert_eq!(server.asked("a.test"), 1);
}

#[tokio::test]
async fn a_target_that_fails_stands_beside_one_that_does_not() {
    let bench = Bench::new();
    let server = &bench.server;
    server.set_services("_http._tcp.shop.test", 30, &[(1, 1, 80, "a.test"), (1, 1, 80, "b.test")]);
    server.set("a.test", 60, &["10.0.0.1"]);
    server.fail("b.test", Failure::Server);
    let failed = format!("1 b.test:80 1 name server {} failed (SERVFAIL)", server.address());
    let found = bench.services("_http._tcp.shop.test").await;
    assert_eq!(found, Ok((vec!["1 a.test:80 1 10.0.0.1".to_owned(), failed], 30)));
}

#[tokio::test]
async fn a_service_that_is_not_offered_says_so() {
    let bench = Bench::new();
    bench.server.set_services("_http._tcp.shop.test", 30, &[(0, 0, 0, ".")]);
    let found = bench.services("_http._tcp.shop.test").await;
    assert_eq!(found, Err(DnsError::NotOffered { ttl: seconds(30) }));
    assert_eq!(bench.services("_x._tcp.shop.test").await, Err(DnsError::NoSuchName { ttl: seconds(1) }));
}

#[tokio::test]
async fn so_many_questions_are_on_their_way_and_no_more() {
    let mut bench = Bench::new();
    bench.options.timeout = forebay_testkit::DEADLINE * 3;
    let names: Vec<_> = (0..QUESTIONS_MAX + 50).map(|number| format!("{number}.test")).collect();
    let resolver = bench.resolver();
    let mut asking = JoinSet::new();
    for name in names.clone() {
        bench.server.fail(&name, Failure::Silence);
        let resolver = resolver.clone();
        asking.spawn(async move { resolver.addresses(&name).await });
    }
    let asked = || names.iter().map(|name| bench.server.asked(name)).sum::<usize>();
    // Another resolver has a bound of its own, and its questions come behind those of the first.
    while asked() < QUESTIONS_MAX {
        bench.fails("no.test", DnsError::NoSuchName { ttl: seconds(1) }).await;
    }
    bench.fails("no.test", DnsError::NoSuchName { ttl: seconds(1) }).await;
    assert_eq!(asked(), QUESTIONS_MAX);
}
