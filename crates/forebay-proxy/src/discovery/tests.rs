//! Names and files that change, against a real name server on loopback.

use std::fmt::Write as _;

use forebay_telemetry::access::{Format, Target};
use forebay_telemetry::log::{Level, Settings};

use forebay_testkit::DEADLINE;
use forebay_testkit::dns::{Failure, NameServer};
use forebay_testkit::scratch::Scratch;
use tokio::sync::Notify;

use super::*;
use crate::plan::{Limits, Service};
use crate::route::Router;

/// A plan that can be changed, what follows it, and everything it was told.
struct Bench {
    server: NameServer,
    scratch: Scratch,
    heard: Arc<Heard>,
    discovery: Discovery,
    log: Log,
    plan: Plan,
}

#[derive(Default)]
struct Heard {
    all: Mutex<Vec<(String, Source, Answer)>>,
    more: Notify,
}

impl Sink for Heard {
    fn discovered(&self, service: &str, source: &Source, answer: Answer, _: Instant) {
        let news = (service.to_owned(), source.clone(), answer);
        self.all.lock().expect("no panic under this lock").push(news);
        self.more.notify_one();
    }
}

impl Heard {
    /// Everything so far, shown: `shop: 10.0.0.1:80*1/0 …` or `shop: error`, and how many were denied.
    fn shown(&self) -> Vec<String> {
        let all = self.all.lock().expect("no panic under this lock");
        all.iter().map(|(service, _, answer)| format!("{service}:{}", show(answer))).collect()
    }
}

fn show(answer: &Answer) -> String {
    let mut shown = String::new();
    match &answer.found {
        Ok(found) => {
            for Found { address, weight, priority } in found {
                let _ = write!(shown, " {address}*{weight}/{priority}");
            }
        }
        Err(error) => {
            let _ = write!(shown, " {error}");
        }
    }
    if answer.denied > 0 {
        let _ = write!(shown, " ({} denied)", answer.denied);
    }
    shown
}

impl Bench {
    fn new() -> Self {
        let (server, scratch) = (NameServer::start(), Scratch::new("discovery"));
        let heard = Arc::new(Heard::default());
        let log = Log::start(&Settings {
            level: Level::Info,
            format: Format::Text,
            colour: false,
            target: Target::File(scratch.path().join("log")),
        });
        let log = log.expect("the directory was just made");
        let sink: Arc<dyn Sink> = Arc::clone(&heard) as Arc<dyn Sink>;
        let discovery = Discovery::new(sink, Arc::new(read), log.clone());
        let dns = Dns {
            servers: vec![server.address()],
            ttl_min: Duration::from_millis(10),
            ttl_max: Duration::from_secs(300),
            timeout: DEADLINE * 3,
            family: Family::Auto,
        };
        let plan = Plan {
            router: Router::build(&[]).0,
            routes: Vec::new(),
            services: Vec::new(),
            limits: Limits::default(),
            trusted_proxies: "".parse().expect("nothing is a list"),
            record: None,
            listeners: Vec::new(),
            tls: None,
            dns,
        };
        Self { server, scratch, heard, discovery, log, plan }
    }

    /// With one service that has these endpoints.
    fn with(endpoints: &[&str]) -> Self {
        let mut bench = Self::new();
        bench.service("shop", endpoints);
        bench
    }

    fn service(&mut self, name: &str, endpoints: &[&str]) -> &mut Service {
        let endpoints = endpoints.iter().map(|address| Endpoint::new(address)).collect();
        self.plan.services.push(Service { endpoints, ..Service::new(name) });
        self.plan.services.last_mut().expect("it was just added")
    }

    async fn follow(&self) {
        self.discovery.follow(&self.plan).await;
    }

    /// Waits until this has been told.
    async fn hear(&self, expected: &str) {
        let wait = async {
            while !self.heard.shown().iter().any(|heard| heard == expected) {
                self.heard.more.notified().await;
            }
        };
        let heard = timeout(DEADLINE, wait).await;
        assert!(heard.is_ok(), "expected {expected}; heard {:#?}", self.heard.shown());
    }

    /// As `hear`, but forgets all before and what it waited for.
    async fn hear_next(&self, expected: &str) {
        self.hear(expected).await;
        self.heard.all.lock().expect("no panic under this lock").clear();
    }

    fn check(&self, expected: &[&str]) {
        let mut heard = self.heard.shown();
        heard.sort();
        assert_eq!(heard, expected);
    }

    /// Lines of the log that have this in them.
    fn logged(&self, part: &str) -> usize {
        assert!(self.log.flush(DEADLINE));
        self.scratch.read("log").lines().filter(|line| line.contains(part)).count()
    }
}

/// Lines of `address weight priority`.
fn read(bytes: &[u8], path: &Path) -> Result<Vec<Found>, String> {
    let text = String::from_utf8_lossy(bytes);
    let line = |(number, line): (usize, &str)| {
        let mut words = line.split(' ');
        let mut word = || words.next().ok_or(());
        let mut found = || {
            let address = word()?.parse().map_err(|_| ())?;
            let weight = word()?.parse().map_err(|_| ())?;
            Ok::<_, ()>(Found { address, weight, priority: word()?.parse().map_err(|_| ())? })
        };
        let name = path.file_name().unwrap_or_default().display();
        found().map_err(|()| format!("{name}:{}:1: no endpoint", number + 1))
    };
    text.lines().enumerate().map(line).collect()
}

#[tokio::test]
async fn a_name_leads_to_all_its_addresses_with_what_the_endpoint_says() {
    let mut bench = Bench::with(&["10.9.9.9:1", "shop.test:80"]);
    bench.plan.services[0].endpoints[1] =
        Endpoint { weight: 3, priority: 2, ..Endpoint::new("Shop.test:80") };
    bench.server.set("shop.test", 300, &["10.0.0.2", "10.0.0.1"]);
    bench.follow().await;
    bench.check(&["shop: 10.0.0.1:80*3/2 10.0.0.2:80*3/2"]);
    let heard = bench.heard.all.lock().expect("no panic under this lock");
    assert_eq!(heard[0].1, Source::Name("Shop.test:80".into()));
    let wait = heard[0].2.next.since(Instant::now());
    assert!(wait <= Duration::from_secs(330) && wait > Duration::from_secs(200), "{wait:?}");
}

#[tokio::test]
async fn an_answer_is_asked_for_again_when_its_time_is_over() {
    let bench = Bench::with(&["shop.test:80"]);
    bench.server.set("shop.test", 0, &["10.0.0.1"]);
    bench.follow().await;
    bench.check(&["shop: 10.0.0.1:80*1/0"]);
    bench.server.set("shop.test", 0, &["10.0.0.1", "10.0.0.2"]);
    bench.hear_next("shop: 10.0.0.1:80*1/0 10.0.0.2:80*1/0").await;
    bench.server.set("shop.test", 0, &["10.0.0.2"]);
    bench.hear("shop: 10.0.0.2:80*1/0").await;
}

#[tokio::test]
async fn failures_are_told_and_logged_once_and_end() {
    let bench = Bench::with(&["shop.test:80"]);
    let server = bench.server.address();
    bench.server.set_negative_ttl(None);
    bench.follow().await;
    bench.check(&["shop: there is no such name (NXDOMAIN)"]);
    // The next question finds the server failing, the one after it an address.
    bench.server.fail("shop.test", Failure::Server);
    bench.hear(&format!("shop: name server {server} failed (SERVFAIL)")).await;
    bench.server.set("shop.test", 0, &["10.0.0.1"]);
    bench.hear("shop: 10.0.0.1:80*1/0").await;
    assert_eq!(bench.logged("NXDOMAIN"), 1);
    assert_eq!(bench.logged("SERVFAIL"), 1);
}

#[tokio::test]
async fn a_name_that_is_not_answered_does_not_hold_the_others_up() {
    let bench = Bench::with(&["silent.test:80", "shop.test:80"]);
    bench.server.fail("silent.test", Failure::Silence);
    bench.server.set("shop.test", 300, &["10.0.0.1"]);
    // It ends, although the name has a minute to be answered.
    bench.follow().await;
    bench.check(&["shop: 10.0.0.1:80*1/0"]);
}

#[tokio::test]
async fn services_share_a_question_and_each_has_its_own_port() {
    let mut bench = Bench::with(&["shop.test:80", "SHOP.test:81"]);
    bench.service("other", &["shop.test:82"]);
    bench.server.set("shop.test", 300, &["10.0.0.1"]);
    bench.follow().await;
    bench.check(&["other: 10.0.0.1:82*1/0", "shop: 10.0.0.1:80*1/0", "shop: 10.0.0.1:81*1/0"]);
    assert_eq!(bench.server.asked("shop.test"), 1);
}

#[tokio::test]
async fn a_reload_asks_only_what_is_new() {
    let mut bench = Bench::with(&["shop.test:80"]);
    bench.server.set("shop.test", 300, &["10.0.0.1"]);
    bench.server.set("new.test", 300, &["10.0.0.7"]);
    bench.follow().await;
    bench.follow().await;
    bench.check(&["shop: 10.0.0.1:80*1/0"]);
    // Who comes later hears what is known, and so does who has changed its mind.
    bench.service("late", &["shop.test:90", "new.test:90"]);
    bench.plan.services[0].endpoints[0].weight = 5;
    bench.follow().await;
    bench.check(&[
        "late: 10.0.0.1:90*1/0",
        "late: 10.0.0.7:90*1/0",
        "shop: 10.0.0.1:80*1/0",
        "shop: 10.0.0.1:80*5/0",
    ]);
    assert_eq!((bench.server.asked("shop.test"), bench.server.asked("new.test")), (1, 1));
}

#[tokio::test]
async fn what_is_no_longer_wanted_is_no_longer_asked() {
    let mut bench = Bench::with(&["gone.test:80"]);
    bench.service("stays", &["stays.test:80"]);
    bench.server.set("gone.test", 0, &["10.0.0.1"]);
    bench.server.set("stays.test", 0, &["10.0.0.2"]);
    bench.follow().await;
    bench.plan.services.remove(0);
    bench.follow().await;
    bench.heard.all.lock().expect("no panic under this lock").clear();
    let before = bench.server.asked("gone.test");
    bench.server.set("stays.test", 0, &["10.0.0.3"]);
    bench.hear("stays: 10.0.0.3:80*1/0").await;
    // A question may have been on its way.
    assert!(bench.server.asked("gone.test") <= before + 1);
    assert!(!bench.heard.shown().iter().any(|heard| heard.starts_with("shop")), "{:?}", bench.heard.shown());
}

#[tokio::test]
async fn other_name_servers_are_asked_at_once() {
    let mut bench = Bench::with(&["shop.test:80"]);
    bench.server.set("shop.test", 300, &["10.0.0.1"]);
    bench.follow().await;
    let other = NameServer::start();
    other.set("shop.test", 300, &["10.0.0.2"]);
    bench.plan.dns.servers = vec![other.address()];
    bench.follow().await;
    bench.check(&["shop: 10.0.0.1:80*1/0", "shop: 10.0.0.2:80*1/0"]);
}

#[tokio::test]
async fn services_by_name_have_weights_and_ranks() {
    let mut bench = Bench::with(&["_http._tcp.shop.test"]);
    bench.plan.services[0].endpoints[0].weight = 2;
    bench.plan.services[0].endpoints[0].priority = 1;
    let name = "_http._tcp.shop.test";
    bench.server.set("a.test", 300, &["10.0.0.1"]);
    bench.server.set("b.test", 300, &["10.0.0.2", "10.0.0.3"]);
    bench.server.set_services(
        name,
        0,
        &[(100, 0, 80, "b.test"), (7, 30, 81, "a.test"), (7, 1, 82, "a.test")],
    );
    bench.follow().await;
    bench.check(&["shop: 10.0.0.1:81*60/1 10.0.0.1:82*2/1 10.0.0.2:80*2/2 10.0.0.3:80*2/2"]);
    bench.server.set_services(name, 0, &[(0, 0, 0, ".")]);
    bench.hear("shop: the service is not available at this name (SRV target `.`)").await;
}

#[tokio::test]
async fn a_target_that_fails_keeps_its_last_good_addresses() {
    let bench = Bench::with(&["_http._tcp.shop.test"]);
    let name = "_http._tcp.shop.test";
    bench.server.set("a.test", 0, &["10.0.0.1"]);
    bench.server.set("b.test", 0, &["10.0.0.2"]);
    bench.server.set_services(name, 0, &[(0, 1, 80, "a.test"), (0, 1, 80, "b.test")]);
    bench.follow().await;
    bench.check(&["shop: 10.0.0.1:80*1/0 10.0.0.2:80*1/0"]);
    bench.server.fail("b.test", Failure::Server);
    bench.server.set("a.test", 0, &["10.0.0.7"]);
    bench.hear_next("shop: 10.0.0.2:80*1/0 10.0.0.7:80*1/0").await;
    // One that is gone is gone.
    bench.server.remove("b.test");
    bench.hear("shop: 10.0.0.7:80*1/0").await;
}

#[tokio::test]
async fn metadata_and_link_local_addresses_are_left_out_and_told_once() {
    let mut bench = Bench::with(&["shop.test:80"]);
    bench.service("trusting", &["shop.test:80"]).endpoints_allow =
        "169.254.0.0/16".parse().expect("it is a block");
    bench.server.set("shop.test", 0, &["10.0.0.1", "169.254.169.254"]);
    bench.follow().await;
    for _ in 0..3 {
        bench.hear("shop: 10.0.0.1:80*1/0 (1 denied)").await;
        bench.hear_next("trusting: 10.0.0.1:80*1/0 169.254.169.254:80*1/0").await;
    }
    bench.server.set("shop.test", 0, &["169.254.169.254"]);
    bench.hear("trusting: 169.254.169.254:80*1/0").await;
    // A name that leads there alone is as good as none: the last good answer holds.
    bench
        .hear(
            "shop: leads only to addresses that are not taken (169.254.169.254); list them in \
             `endpoints_allow` if they are meant (1 denied)",
        )
        .await;
    assert_eq!(bench.logged("left out"), 1);
}

#[tokio::test]
async fn a_file_is_followed_through_all_that_may_happen_to_it() {
    let mut bench = Bench::new();
    let path = bench.scratch.write("endpoints", "10.0.0.1:80 3 1\n10.0.0.2:80 1 0\n");
    for name in ["shop", "other"] {
        bench.service(name, &[]).endpoints_file = Some(path.clone().into());
    }
    bench.follow().await;
    bench.check(&["other: 10.0.0.1:80*3/1 10.0.0.2:80*1/0", "shop: 10.0.0.1:80*3/1 10.0.0.2:80*1/0"]);
    bench.scratch.write("endpoints", "10.0.0.2:80 1 0\n");
    bench.hear_next("shop: 10.0.0.2:80*1/0").await;
    bench.scratch.write("endpoints", "10.0.0.2:80 1 0\nnonsense\n");
    bench.hear_next("shop: endpoints:2:1: no endpoint").await;
    assert_eq!(bench.logged("endpoints:2:1"), 2, "once for each service");
    bench.scratch.write("endpoints", "");
    bench.hear_next("shop:").await;
    std::fs::remove_file(&path).expect("it was there");
    bench.hear_next(&format!("shop: {}: No such file or directory (os error 2)", path.display())).await;
    bench.scratch.write("endpoints", "10.0.0.2:80 1 0\n169.254.169.254:80 1 0\n");
    bench.hear_next("shop: 10.0.0.2:80*1/0 (1 denied)").await;
    bench.scratch.write("endpoints", "10.0.0.2:80 1 0\nunix:/run/app.sock 2 1\n");
    bench.hear_next("shop: 10.0.0.2:80*1/0 unix:/run/app.sock*2/1").await;
    bench.scratch.write("endpoints", vec![b'\n'; FILE_MAX as usize + 1]);
    let path = path.display();
    bench.hear_next(&format!("shop: {path}: it has more than 1048576 bytes, the most it may")).await;
}

#[tokio::test]
async fn a_file_that_is_not_one_is_not_waited_for() {
    let mut bench = Bench::new();
    let path = bench.scratch.path().to_owned();
    bench.service("shop", &[]).endpoints_file = Some(path.clone().into());
    bench.follow().await;
    bench.check(&[&*format!("shop: {}: it is not a file", path.display())]);
}
