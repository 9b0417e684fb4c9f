//! The checker with a real supervisor and real sockets.

use std::net::{SocketAddr, TcpListener};

use forebay_policy::health::State;
use forebay_telemetry::access::{Format, Target as Output};
use forebay_telemetry::log::{Level, Settings};

use super::*;
use crate::plan::{Check, Dns, Endpoint, Health, HttpCheck, Limits, Plan, Service};
use crate::route::Router;
use crate::supervisor::CheckView;
use crate::upstream::Registry;

const PATIENT: Duration = Duration::from_secs(300);

/// A plan whose one service checks these endpoints.
fn plan(endpoints: &[SocketAddr], health: Health) -> Plan {
    let endpoints = endpoints.iter().map(|address| Endpoint::new(&address.to_string())).collect();
    let service = Service { endpoints, health: Some(health), ..Service::new("app") };
    Plan {
        router: Router::build(&[]).0,
        routes: Vec::new(),
        services: vec![service],
        limits: Limits::default(),
        trusted_proxies: Default::default(),
        record: None,
        dns: Dns::default(),
        listeners: Vec::new(),
        tls: None,
    }
}

/// A checker of these endpoints that has not begun.
fn checker(endpoints: &[SocketAddr], health: Health) -> Checker {
    let settings =
        Settings { level: Level::Error, format: Format::Text, colour: false, target: Output::Stderr };
    let log = Log::start(&settings).expect("a log");
    let supervisor = Arc::new(Supervisor::new(Arc::new(Registry::default()), log.clone()));
    supervisor.reconcile(&plan(endpoints, health), Instant::now());
    Checker::new(supervisor, log)
}

fn http() -> Health {
    let check = HttpCheck {
        path: "/up".into(),
        host: None,
        headers: Vec::new(),
        status: vec![(200, 299)],
        body: None,
    };
    Health { timeout: PATIENT, ..Health::new(Check::Http(check)) }
}

/// Loopback addresses where nobody listens: connections are refused at once.
fn nobody(count: u8) -> Vec<SocketAddr> {
    (1..=count).map(|last| SocketAddr::from(([127, 0, 7, last], 1))).collect()
}

/// Listeners at so many addresses which take connections and never answer.
fn silent(count: usize) -> (Vec<TcpListener>, Vec<SocketAddr>) {
    let all: Vec<_> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").expect("ports are free")).collect();
    let addresses = all.iter().map(|one| one.local_addr().expect("it is bound")).collect();
    (all, addresses)
}

fn checks(checker: &Checker) -> Vec<CheckView> {
    let view = checker.supervisor.view(Instant::now());
    view.into_iter().flat_map(|service| service.endpoints).filter_map(|endpoint| endpoint.check).collect()
}

#[tokio::test]
async fn the_first_round_ends_when_all_have_been_checked() {
    let hour = Duration::from_secs(3_600);
    let checker =
        checker(&nobody(40), Health { interval: hour, fast_interval: hour, ..Health::new(Check::Tcp) });
    let running = tokio::spawn(checker.clone().run());
    assert_eq!(checker.first_round(PATIENT).await, 0);
    let once = checks(&checker).iter().filter(|check| check.counts == (0, 1)).count();
    assert_eq!(once, 40);
    running.abort();
}

#[tokio::test]
async fn a_first_round_of_nothing_ends_at_once() {
    let checker = checker(&[], Health::new(Check::Tcp));
    let running = tokio::spawn(checker.clone().run());
    assert_eq!(checker.first_round(PATIENT).await, 0);
    running.abort();
}

#[tokio::test]
async fn a_first_round_that_takes_too_long_says_how_many_are_left() {
    let (_listeners, mut addresses) = silent(2);
    addresses.extend(nobody(1));
    let checker = checker(&addresses, http());
    let running = tokio::spawn(checker.clone().run());
    assert_eq!(checker.first_round(Duration::from_millis(200)).await, 2);
    running.abort();
}

#[tokio::test]
async fn what_comes_while_checking_is_checked_too() {
    let checker = checker(&nobody(3), Health::new(Check::Tcp));
    let running = tokio::spawn(checker.clone().run());
    assert_eq!(checker.first_round(PATIENT).await, 0);
    checker.supervisor.reconcile(&plan(&nobody(9), Health::new(Check::Tcp)), Instant::now());
    assert_eq!(checker.first_round(PATIENT).await, 0);
    assert_eq!(checks(&checker).iter().filter(|check| check.counts.1 > 0).count(), 9);
    running.abort();
}

#[tokio::test]
async fn a_flood_of_news_is_heard_at_once_and_looked_at_in_time() {
    let mut round = Round::new(checker(&nobody(3), Health::new(Check::Tcp)));
    round.look();
    let rest_until = round.rest_until;
    assert!(rest_until > Instant::now() - Duration::from_secs(60) && round.next_look.is_none());
    round.hear(rest_until - Duration::from_nanos(1));
    assert_eq!(round.next_look, Some(rest_until));
    round.hear(rest_until + Duration::from_secs(1));
    assert_eq!(round.next_look, Some(rest_until + Duration::from_secs(1)));
    round.look();
    assert_eq!(round.next_look, None);
}

#[tokio::test]
async fn two_failures_take_an_endpoint_out() {
    let health = Health { fast_interval: Duration::from_millis(1), ..Health::new(Check::Tcp) };
    let mut round = Round::new(checker(&nobody(1), health));
    round.look();
    for failures in 1..=2 {
        // The second one is due within a millisecond.
        round.start_due(Instant::now() + Duration::from_secs(1));
        let ended = round.probes.join_next().await.expect("a probe is under way");
        round.settle(ended, Instant::now());
        let check = checks(&round.checker).remove(0);
        let state = if failures == 2 { State::Down } else { State::Unchecked };
        assert_eq!((check.counts, check.state), ((0, failures), state));
    }
}

#[tokio::test]
async fn no_more_probes_than_there_may_be() {
    let (listeners, addresses) = silent(PROBES_MAX + 44);
    let mut round = Round::new(checker(&addresses, http()));
    round.look();
    let late = Instant::now() + Duration::from_secs(10);
    round.start_due(late);
    assert_eq!((round.probes.len(), round.next_start()), (PROBES_MAX, Instant::NEVER));
    // Each of them reaches its server before all of those are gone, or is refused.
    drop(listeners);
    for _ in 0..44 {
        let ended = round.probes.join_next().await.expect("probes are under way");
        round.settle(ended, late);
    }
    round.start_due(late);
    assert_eq!((round.probes.len(), round.running.len()), (PROBES_MAX, PROBES_MAX));
}

#[tokio::test]
async fn probes_of_what_has_gone_are_broken_off() {
    let (_listeners, addresses) = silent(2);
    let mut round = Round::new(checker(&addresses, http()));
    round.look();
    round.start_due(Instant::now());
    assert_eq!(round.running.len(), 2);
    round.checker.supervisor.reconcile(&plan(&addresses[..1], http()), Instant::now());
    round.look();
    let ended = round.probes.join_next().await.expect("two probes are under way");
    assert!(ended.as_ref().is_err_and(JoinError::is_cancelled));
    round.settle(ended, Instant::now());
    assert_eq!((round.probes.len(), round.running.len()), (1, 1));
}

#[tokio::test]
async fn trouble_of_this_machine_is_not_the_endpoints() {
    let mut round = Round::new(checker(&nobody(1), Health::new(Check::Tcp)));
    round.look();
    let now = Instant::now();
    let (target, _) = round.schedule.take_due(now).expect("it is new");
    round.settle(Ok((target, Err(Failure::Local("too many open files".into())))), now);
    assert_eq!((checks(&round.checker)[0].counts, round.schedule.unchecked()), ((0, 0), 1));
    assert!(round.schedule.next_due().is_some_and(|due| due > now));
}

#[tokio::test]
async fn a_probe_that_panics_is_a_failed_check() {
    let mut round = Round::new(checker(&nobody(1), Health::new(Check::Tcp)));
    round.look();
    let (target, _) = round.schedule.take_due(Instant::now()).expect("it is new");
    let probe = round.probes.spawn(async { panic!("a bug, as the test wants it") });
    round.running.insert(target.id, probe);
    let ended = round.probes.join_next().await.expect("it is under way");
    round.settle(ended, Instant::now());
    let check = checks(&round.checker).remove(0);
    assert_eq!(
        (check.counts, check.last.map(|(_, _, met)| met)),
        ((0, 1), Some("the check itself failed".into()))
    );
    assert!(round.running.is_empty());
}
