//! News, and what becomes of endpoints: in virtual time.

use std::sync::atomic::Ordering::Relaxed;

use forebay_base::time::Instant;
use forebay_telemetry::log::{Level, Log, Settings};

use super::*;
use crate::plan::{self, Check, Endpoint, Health, Limits, Outlier, Plan};
use crate::route::{Matcher, Router};

const SECOND: Duration = Duration::from_secs(1);

/// A supervisor of one service, `app`.
struct Fixture {
    supervisor: Supervisor,
    spec: plan::Service,
    now: Instant,
}

impl Fixture {
    fn new(endpoints: &[&str], change: impl FnOnce(&mut plan::Service)) -> Self {
        let mut spec = plan::Service::new("app");
        spec.endpoints = endpoints.iter().map(|address| Endpoint::new(address)).collect();
        change(&mut spec);
        let log = Log::start(&Settings::to_stderr(Level::Error)).expect("a thread can be started");
        let supervisor = Supervisor::new(Arc::new(Registry::default()), log);
        let fixture = Self { supervisor, spec, now: Instant::from_nanos(1_000_000_000_000) };
        fixture.reload();
        fixture
    }

    fn reload(&self) {
        let (router, _) = Router::build(&[Matcher::default()]);
        let plan = Plan {
            router,
            routes: Vec::new(),
            services: vec![self.spec.clone()],
            limits: Limits::default(),
            trusted_proxies: forebay_net::cidr::CidrSet::default(),
            record: None,
            dns: plan::Dns::default(),
            listeners: Vec::new(),
            tls: None,
        };
        self.supervisor.reconcile(&plan, self.now);
    }

    /// Time passes.
    fn pass(&mut self, time: Duration) -> Vec<Trial> {
        self.now = self.now + time;
        self.supervisor.tick(|_, _| Tally::default(), self.now)
    }

    /// Who may be picked, as ports and weights.
    fn picks(&self) -> Vec<(u16, u32)> {
        let members = self.supervisor.registry.roster("app").members();
        members.picks.iter().map(|(index, weight)| (port(&members.all[*index].address), *weight)).collect()
    }

    fn ports(&self) -> Vec<u16> {
        self.picks().iter().map(|(port, _)| *port).collect()
    }

    fn epoch(&self) -> u64 {
        self.supervisor.registry.roster("app").epoch()
    }

    fn shared(&self, port: u16) -> Arc<crate::upstream::Shared> {
        let members = self.supervisor.registry.roster("app").members();
        let found = members.all.iter().find(|shared| shared.address == at(port));
        Arc::clone(found.expect("the test names one that is there"))
    }

    /// What a worker says of an endpoint.
    fn report(&self, port: u16, cause: Cause) {
        assert!(self.hear(port, Grief::Failing(cause)).is_none());
    }

    fn hear(&self, port: u16, grief: Grief) -> Option<Trial> {
        let endpoint = self.shared(port);
        let roster = self.supervisor.registry.roster("app");
        self.supervisor.reported(&Report { roster, endpoint, grief }, self.now)
    }

    /// As many connections as are too many could not be opened.
    fn cannot_connect(&self, port: u16) {
        self.shared(port).unreachable.store(3, Relaxed);
        self.report(port, Cause::ConnectFailures);
    }

    fn check(&self, port: u16, ok: bool) -> Option<Duration> {
        let target = self.target(port)?;
        self.supervisor.checked(&target, if ok { Ok(()) } else { Err("refused".into()) }, self.now)
    }

    fn checks(&self, ports: &[u16], ok: bool) {
        for port in ports {
            assert!(self.check(*port, ok).is_some(), "{port} is not checked");
        }
    }

    fn target(&self, port: u16) -> Option<Target> {
        self.supervisor.targets().into_iter().find(|target| target.address == at(port))
    }

    fn found(&self, source: &Source, ports: &[u16]) {
        let found = ports.iter().map(|port| Found { address: at(*port), weight: 1, priority: 0 }).collect();
        let answer = Answer { found: Ok(found), denied: 0, next: self.now + SECOND };
        self.supervisor.discovered("app", source, answer, self.now);
    }

    fn state(&self, port: u16) -> &'static str {
        let view = self.supervisor.service("app", self.now).expect("it is in the plan");
        let endpoint = view.endpoints.iter().find(|endpoint| endpoint.address == at(port));
        endpoint.map_or("gone", EndpointView::state)
    }

    fn steer(&self, port: u16, steer: Steer) {
        self.supervisor.steer("app", &at(port), steer, self.now).expect("it is there");
    }
}

fn at(port: u16) -> Address {
    std::net::SocketAddr::from(([127, 0, 0, 1], port)).into()
}

/// That of an IP address; 0 stands for a Unix socket.
fn port(address: &Address) -> u16 {
    address.ip().map_or(0, |address| address.port())
}

fn three(change: impl FnOnce(&mut plan::Service)) -> Fixture {
    Fixture::new(&["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"], change)
}

fn checked(spec: &mut plan::Service) {
    spec.health = Some(Health::new(Check::Tcp));
}

#[test]
fn endpoints_of_the_settings_are_picked_by_weight() {
    let fixture = three(|spec| spec.endpoints[1].weight = 5);
    assert_eq!(fixture.picks(), [(1, 1), (2, 5), (3, 1)]);
}

#[test]
fn a_reload_that_changes_nothing_is_not_noticed() {
    let fixture = three(|_| {});
    let before = (fixture.epoch(), fixture.shared(2));
    fixture.reload();
    assert!(before.0 == fixture.epoch() && Arc::ptr_eq(&before.1, &fixture.shared(2)));
}

#[test]
fn an_endpoint_that_stays_keeps_what_is_known_of_it() {
    let mut fixture = three(|_| {});
    fixture.cannot_connect(2);
    let before = fixture.shared(2);
    fixture.spec.endpoints.remove(0);
    fixture.spec.endpoints.push(Endpoint::new("127.0.0.1:4"));
    fixture.reload();
    assert!(Arc::ptr_eq(&before, &fixture.shared(2)));
    assert_eq!((fixture.state(1), fixture.state(2), fixture.state(4)), ("gone", "ejected", "up"));
    assert_eq!(fixture.ports(), [3, 4]);
}

#[test]
fn who_cannot_be_reached_is_left_out_and_tried_before_it_comes_back() {
    let mut fixture = three(|_| {});
    fixture.cannot_connect(2);
    assert_eq!((fixture.ports(), fixture.state(2)), (vec![1, 3], "ejected"));
    assert!(fixture.shared(2).lost.load(Relaxed) && fixture.shared(2).out.load(Relaxed));
    assert!(fixture.pass(SECOND / 2).is_empty());
    let trials = fixture.pass(SECOND / 2);
    assert_eq!(trials.iter().map(|trial| trial.address.clone()).collect::<Vec<_>>(), [at(2)]);
    // Not twice at a time.
    assert!(fixture.pass(SECOND).is_empty());
    fixture.supervisor.tried(&trials[0], Err("refused".into()), fixture.now);
    assert_eq!(fixture.ports(), [1, 3]);
    assert!(fixture.pass(SECOND / 2).is_empty());
    let trials = fixture.pass(SECOND / 2);
    fixture.supervisor.tried(&trials[0], Ok(()), fixture.now);
    assert_eq!((fixture.ports(), fixture.state(2)), (vec![1, 2, 3], "up"));
    assert!(!fixture.shared(2).lost.load(Relaxed) && !fixture.shared(2).out.load(Relaxed));
}

#[test]
fn who_was_gone_for_long_is_found_soon_and_only_who_comes_and_goes_waits_longer() {
    let mut fixture = three(|_| {});
    /// After how many tenths of a second it is tried so many times, in vain.
    fn tried(fixture: &mut Fixture, times: usize) -> Vec<u32> {
        let (mut at, mut tenths) = (Vec::new(), 0);
        while at.len() < times {
            tenths += 1;
            for trial in fixture.pass(SECOND / 10) {
                fixture.supervisor.tried(&trial, Err("refused".into()), fixture.now);
                at.push(tenths);
            }
        }
        at
    }
    let come_back = |fixture: &mut Fixture| {
        let trial = (0..100).find_map(|_| fixture.pass(SECOND / 10).pop()).expect("it is tried");
        fixture.supervisor.tried(&trial, Ok(()), fixture.now);
        assert_eq!(fixture.state(2), "up");
    };
    fixture.cannot_connect(2);
    assert_eq!(tried(&mut fixture, 5), [10, 20, 30, 40, 50]);
    let hour = tried(&mut fixture, 720);
    assert!(hour.windows(2).all(|two| two[1] - two[0] <= 50), "{hour:?}");
    assert_eq!(fixture.supervisor.view(fixture.now)[0].endpoints[1].ejections[0], 1);
    come_back(&mut fixture);
    // As it fails again at once, it is left alone for twice as long, then three times.
    fixture.cannot_connect(2);
    assert_eq!(tried(&mut fixture, 2), [100, 125]);
    come_back(&mut fixture);
    fixture.cannot_connect(2);
    assert_eq!(tried(&mut fixture, 1), [150]);
    come_back(&mut fixture);
    // It has been well for long enough: that is forgiven.
    fixture.pass(SECOND * 20);
    fixture.cannot_connect(2);
    assert_eq!(tried(&mut fixture, 1), [10]);
}

#[test]
fn a_short_ejection_makes_trials_as_frequent() {
    let mut fixture = three(|spec| spec.outlier.eject_for = SECOND / 10);
    fixture.cannot_connect(2);
    for _ in 0..5 {
        let trials = fixture.pass(SECOND / 10);
        fixture.supervisor.tried(&trials[0], Err("refused".into()), fixture.now);
    }
}

#[test]
fn requests_of_its_former_time_count_when_an_endpoint_comes_back() {
    let source = Source::Name("app.test:1".into());
    let mut fixture = Fixture::new(&["app.test:1"], |_| {});
    fixture.found(&source, &[1, 2]);
    // It leaves for a moment; for longer than it is remembered; and with its service.
    let in_use = fixture.shared(2);
    in_use.in_flight.store(7, Relaxed);
    for away in [SECOND, SECOND * 3_600] {
        fixture.found(&source, &[1]);
        fixture.pass(away);
        fixture.found(&source, &[1, 2]);
        assert!(Arc::ptr_eq(&in_use, &fixture.shared(2)));
    }
    let other = std::mem::replace(&mut fixture.spec, plan::Service::new("other"));
    fixture.reload();
    fixture.spec = other;
    fixture.reload();
    fixture.found(&source, &[1, 2]);
    assert_eq!(fixture.shared(2).load(), 7);
    assert!(!fixture.shared(2).out.load(Relaxed));
    // Nobody uses it, and nobody remembers it: it is a new one.
    drop(in_use);
    fixture.found(&source, &[1]);
    fixture.pass(SECOND * 3_600);
    fixture.found(&source, &[1, 2]);
    assert_eq!(fixture.shared(2).load(), 0);
}

#[test]
fn who_is_away_for_a_moment_keeps_ejection_health_and_slow_start() {
    let source = Source::Name("app.test:1".into());
    let mut fixture = Fixture::new(&["app.test:1"], |spec| {
        checked(spec);
        spec.slow_start = SECOND * 100;
    });
    fixture.found(&source, &[1, 2, 3, 4]);
    fixture.checks(&[1, 2, 3, 4], true);
    fixture.cannot_connect(1);
    fixture.checks(&[2, 2], false);
    fixture.found(&source, &[1, 2, 3, 4, 5]);
    fixture.checks(&[5], true);
    fixture.pass(SECOND * 3);
    fixture.found(&source, &[3, 4]);
    fixture.pass(SECOND);
    let old = fixture.target(3).expect("it is checked");
    fixture.found(&source, &[1, 2, 3, 4, 5]);
    let states = [1, 2, 3, 4, 5].map(|port| fixture.state(port));
    assert_eq!(states, ["ejected", "unhealthy", "up", "up", "ramping"]);
    assert_eq!(fixture.picks(), [(3, 100), (4, 100), (5, 10)]);
    // It has a place among those that are checked, and is tried.
    assert!(fixture.supervisor.checked(&old, Ok(()), fixture.now).is_some());
    fixture.checks(&[1, 2, 5], true);
    assert_eq!((fixture.state(1), fixture.state(2)), ("ramping", "unhealthy"));
    fixture.pass(SECOND * 46);
    assert_eq!(fixture.picks()[3], (5, 50));
}

#[test]
fn a_trial_under_way_when_an_endpoint_leaves_is_made_again() {
    let source = Source::Name("app.test:1".into());
    let mut fixture = Fixture::new(&["app.test:1"], |_| {});
    fixture.found(&source, &[1, 2, 3]);
    fixture.cannot_connect(2);
    let trial = fixture.pass(SECOND).pop().expect("it is tried");
    fixture.found(&source, &[1, 3]);
    fixture.supervisor.tried(&trial, Ok(()), fixture.now);
    fixture.found(&source, &[1, 2, 3]);
    assert_eq!(fixture.state(2), "ejected");
    assert_eq!(fixture.pass(SECOND).len(), 1);
}

#[test]
fn whoever_comes_back_after_many_checks_is_checked_first() {
    let source = Source::Name("app.test:1".into());
    let mut fixture = Fixture::new(&["app.test:1"], checked);
    fixture.found(&source, &[1, 2, 3, 4]);
    fixture.checks(&[1, 2, 3, 4], true);
    fixture.checks(&[3, 3], false);
    fixture.found(&source, &[1, 4]);
    fixture.pass(SECOND * 7);
    fixture.found(&source, &[1, 2, 3, 4]);
    assert_eq!((fixture.state(2), fixture.state(3)), ("unchecked", "unhealthy"));
    assert_eq!(fixture.ports(), [1, 4]);
    fixture.checks(&[2, 3], true);
    assert_eq!(fixture.ports(), [1, 2, 4]);
}

#[test]
fn whoever_was_away_for_long_is_forgotten() {
    let source = Source::Name("app.test:1".into());
    let mut fixture = Fixture::new(&["app.test:1"], |_| {});
    fixture.found(&source, &[1, 2, 3]);
    fixture.cannot_connect(2);
    fixture.found(&source, &[1, 3]);
    fixture.pass(SECOND * 60);
    fixture.found(&source, &[1, 2, 3]);
    assert_eq!(fixture.state(2), "up");
}

#[test]
fn those_who_come_back_ejected_are_no_more_than_may_be() {
    let source = Source::Name("app.test:1".into());
    let fixture = Fixture::new(&["app.test:1"], |spec| spec.panic_below = 0);
    fixture.found(&source, &[1, 2, 3, 4]);
    fixture.cannot_connect(1);
    fixture.cannot_connect(2);
    fixture.found(&source, &[3, 4]);
    fixture.found(&source, &[1, 2]);
    assert_eq!(fixture.ports().len(), 1);
    assert_eq!(fixture.supervisor.view(fixture.now)[0].endpoints.len(), 2);
}

#[test]
fn as_many_as_a_service_may_have_are_remembered() {
    let source = Source::Name("app.test:1".into());
    let mut fixture = Fixture::new(&["app.test:1"], |_| {});
    let ports = |from: u16| (from..from + 1_000).collect::<Vec<u16>>();
    for from in [1, 2_001, 4_001] {
        fixture.found(&source, &ports(from));
        fixture.cannot_connect(from);
        fixture.pass(SECOND / 2);
    }
    fixture.found(&source, &[1, 2_001, 4_001, 9_000]);
    assert_eq!([1, 2_001, 4_001].map(|port| fixture.state(port)), ["up", "ejected", "ejected"]);
}

#[test]
fn a_silent_host_is_tried_once_and_lost_if_it_stays_silent() {
    let fixture = three(|_| {});
    let trial = fixture.hear(2, Grief::Silent).expect("it is tried");
    assert!(fixture.hear(2, Grief::Silent).is_none());
    fixture.supervisor.tried(&trial, Ok(()), fixture.now);
    assert_eq!((fixture.ports(), fixture.state(2)), (vec![1, 2, 3], "up"));
    let trial = fixture.hear(2, Grief::Silent).expect("it is tried again");
    fixture.supervisor.tried(&trial, Err("not reachable".into()), fixture.now);
    assert_eq!((fixture.ports(), fixture.state(2)), (vec![1, 3], "ejected"));
    assert!(fixture.shared(2).lost.load(Relaxed));
}

#[test]
fn not_more_than_the_allowed_share_is_ejected() {
    let fixture = three(|_| {});
    fixture.cannot_connect(1);
    fixture.cannot_connect(2);
    assert_eq!(fixture.ports(), [2, 3]);
}

#[test]
fn the_only_endpoint_is_never_ejected() {
    let fixture = Fixture::new(&["127.0.0.1:1"], |_| {});
    fixture.cannot_connect(1);
    assert_eq!((fixture.ports(), fixture.state(1)), (vec![1], "up"));
}

#[test]
fn a_late_report_of_what_has_passed_is_not_believed() {
    let fixture = three(|_| {});
    fixture.report(2, Cause::ConnectFailures);
    assert_eq!(fixture.ports(), [1, 2, 3]);
    // Failing requests are not looked at by default.
    fixture.shared(2).failing.store(100, Relaxed);
    fixture.report(2, Cause::Failures);
    assert_eq!(fixture.ports(), [1, 2, 3]);
}

#[test]
fn whoever_failed_comes_back_on_probation() {
    let mut fixture = three(|spec| spec.outlier = Outlier::on());
    fixture.shared(2).failing.store(5, Relaxed);
    fixture.report(2, Cause::Failures);
    assert_eq!(fixture.state(2), "ejected");
    // Whoever waits for it may still get an answer.
    assert!(!fixture.shared(2).lost.load(Relaxed));
    assert!(fixture.pass(SECOND * 6).is_empty());
    assert_eq!((fixture.state(2), fixture.shared(2).failing.load(Relaxed)), ("up", 4));
}

#[test]
fn health_takes_out_and_brings_back() {
    let fixture = three(checked);
    // Not checked yet, and nobody is better.
    assert_eq!((fixture.ports(), fixture.state(1)), (vec![1, 2, 3], "unchecked"));
    for port in 1..=3 {
        assert!(fixture.check(port, true).is_some());
    }
    fixture.check(2, false);
    assert_eq!(fixture.state(2), "up");
    fixture.check(2, false);
    assert_eq!((fixture.ports(), fixture.state(2)), (vec![1, 3], "unhealthy"));
    assert!(fixture.shared(2).lost.load(Relaxed));
    fixture.check(2, true);
    fixture.check(2, true);
    assert_eq!((fixture.ports(), fixture.state(2)), (vec![1, 2, 3], "up"));
}

#[test]
fn who_was_not_checked_waits_while_others_are_well() {
    let fixture = three(checked);
    fixture.check(1, true);
    fixture.check(2, true);
    assert_eq!(fixture.ports(), [1, 2]);
    fixture.check(3, true);
    assert_eq!(fixture.ports(), [1, 2, 3]);
}

#[test]
fn health_survives_a_reload_and_another_check_begins_without_prejudice() {
    let mut fixture = three(checked);
    fixture.checks(&[1, 2, 3], true);
    fixture.checks(&[2, 2], false);
    let target = fixture.target(2).expect("it is checked");
    fixture.spec.slow_start = SECOND;
    fixture.reload();
    assert_eq!(fixture.ports(), [1, 3]);
    assert!(fixture.supervisor.checked(&target, Ok(()), fixture.now).is_some());
    fixture.spec.health = Some(Health { rise: 1, ..Health::new(Check::Tcp) });
    fixture.reload();
    assert_eq!(fixture.ports(), [1, 3]);
    // The old check has nothing to say any more.
    assert!(fixture.supervisor.checked(&target, Ok(()), fixture.now).is_none());
    fixture.check(2, true);
    assert_eq!(fixture.ports(), [1, 2, 3]);
    fixture.spec.health = None;
    fixture.reload();
    assert!(fixture.supervisor.targets().is_empty());
}

#[test]
fn who_is_spoken_with_in_another_way_is_checked_anew() {
    let mut fixture = three(checked);
    fixture.checks(&[1, 2, 3], true);
    let target = fixture.target(2).expect("it is checked");
    fixture.spec.protocol = plan::Protocol::H2c;
    fixture.reload();
    assert_eq!(fixture.ports(), [1, 2, 3]);
    // What an answer in HTTP/1.1 was worth says nothing about HTTP/2.
    assert!(fixture.supervisor.checked(&target, Ok(()), fixture.now).is_none());
    assert!(fixture.target(2).is_some_and(|now| now.speech.protocol == plan::Protocol::H2c));
}

#[test]
fn too_few_healthy_ones_are_panic_unless_that_is_switched_off() {
    let down = |fixture: &Fixture, ports: &[u16]| {
        fixture.checks(&[1, 2, 3], true);
        for port in ports {
            fixture.checks(&[*port, *port], false);
        }
    };
    let fixture = three(checked);
    down(&fixture, &[1, 2]);
    assert_eq!(fixture.ports(), [1, 2, 3]);
    assert!(fixture.supervisor.view(fixture.now)[0].panic);
    // Those that are used are not given up.
    assert!(!fixture.shared(1).lost.load(Relaxed));
    let fixture = three(|spec| {
        checked(spec);
        spec.panic_below = 0;
    });
    down(&fixture, &[1, 2, 3]);
    assert!(fixture.ports().is_empty());
}

#[test]
fn operators_take_out_and_bring_back_even_in_panic() {
    let fixture = three(checked);
    fixture.steer(1, Steer::Drain);
    fixture.steer(2, Steer::Disable);
    assert_eq!((fixture.ports(), fixture.state(1), fixture.state(2)), (vec![3], "drained", "disabled"));
    // Drained ones are checked, disabled ones are not.
    assert!(fixture.target(1).is_some() && fixture.target(2).is_none());
    fixture.checks(&[1, 3, 1, 3], false);
    assert_eq!(fixture.ports(), [3]);
    fixture.steer(1, Steer::Enable);
    assert_eq!(fixture.ports(), [1, 3]);
}

#[test]
fn what_checks_said_before_an_endpoint_was_disabled_does_not_hold_when_it_is_enabled() {
    let mut fixture = three(checked);
    fixture.checks(&[1, 2, 3], true);
    let under_way = fixture.target(2).expect("it is checked");
    fixture.steer(2, Steer::Disable);
    fixture.pass(SECOND * 60);
    fixture.steer(2, Steer::Enable);
    assert_eq!((fixture.ports(), fixture.state(2)), (vec![1, 3], "unchecked"));
    assert!(fixture.supervisor.checked(&under_way, Ok(()), fixture.now).is_none());
    fixture.check(2, true);
    assert_eq!(fixture.ports(), [1, 2, 3]);
    // The same by way of draining, which alone changes nothing: checks go on.
    fixture.steer(2, Steer::Disable);
    fixture.steer(2, Steer::Drain);
    fixture.steer(2, Steer::Enable);
    assert_eq!(fixture.state(2), "unchecked");
    fixture.check(2, true);
    fixture.steer(2, Steer::Drain);
    fixture.steer(2, Steer::Enable);
    assert_eq!(fixture.ports(), [1, 2, 3]);
    let unchecked = three(|_| {});
    unchecked.steer(2, Steer::Disable);
    unchecked.steer(2, Steer::Enable);
    assert_eq!(unchecked.ports(), [1, 2, 3]);
}

#[test]
fn an_operators_wish_outlives_a_reload_and_an_endpoint_that_went_away() {
    let source = Source::Name("app.test:1".into());
    let fixture = Fixture::new(&["app.test:1"], |_| {});
    fixture.found(&source, &[1, 2]);
    fixture.steer(2, Steer::Drain);
    fixture.reload();
    assert_eq!(fixture.ports(), [1]);
    fixture.found(&source, &[1]);
    fixture.found(&source, &[1, 2]);
    assert_eq!((fixture.ports(), fixture.state(2)), (vec![1], "drained"));
}

#[test]
fn names_bring_and_take_endpoints_and_a_failure_changes_nothing() {
    let source = Source::Name("app.test:1".into());
    let fixture = Fixture::new(&["app.test:1", "127.0.0.1:9"], |_| {});
    assert_eq!(fixture.ports(), [9]);
    fixture.found(&source, &[1, 2]);
    let kept = fixture.shared(2);
    fixture.found(&source, &[2, 3]);
    assert_eq!(fixture.ports(), [2, 3, 9]);
    assert!(Arc::ptr_eq(&kept, &fixture.shared(2)));
    let failed = Answer { found: Err("no such name".into()), denied: 0, next: fixture.now + SECOND };
    fixture.supervisor.discovered("app", &source, failed, fixture.now);
    assert_eq!(fixture.ports(), [2, 3, 9]);
    let view = fixture.supervisor.service("app", fixture.now).expect("it is there");
    assert_eq!(view.sources[0].failing.as_ref().map(|(why, _)| &**why), Some("no such name"));
    // Nobody asked that.
    fixture.found(&Source::Name("other.test:1".into()), &[7]);
    fixture.found(&Source::File, &[7]);
    assert_eq!(fixture.ports(), [2, 3, 9]);
}

#[test]
fn a_service_has_no_more_endpoints_than_it_may() {
    let fixture = Fixture::new(&["app.test:1"], |_| {});
    let many: Vec<u16> = (1..=2_000).collect();
    fixture.found(&Source::Name("app.test:1".into()), &many);
    assert_eq!(fixture.ports().len(), ENDPOINTS_MAX);
    let one_more = Found { address: at(9_000), weight: 1, priority: 0 };
    assert_eq!(fixture.supervisor.add("app", one_more, fixture.now), Err(SteerError::Full(ENDPOINTS_MAX)));
}

#[test]
fn endpoints_are_added_and_removed_at_run_time() {
    let fixture = three(|_| {});
    let found = Found { address: at(4), weight: 2, priority: 0 };
    assert_eq!(fixture.supervisor.add("app", found.clone(), fixture.now), Ok(()));
    assert_eq!(fixture.supervisor.add("app", found.clone(), fixture.now), Err(SteerError::AlreadyThere));
    fixture.reload();
    assert_eq!(fixture.picks(), [(1, 1), (2, 1), (3, 1), (4, 2)]);
    let remove = |port| fixture.supervisor.remove("app", &at(port), fixture.now);
    assert_eq!(remove(1), Err(SteerError::NotAdded(Source::Settings)));
    assert_eq!(remove(4), Ok(()));
    assert_eq!(remove(4), Err(SteerError::NoEndpoint(vec![at(1), at(2), at(3)])));
    assert_eq!(fixture.ports(), [1, 2, 3]);
    let add = |address: &str, weight, priority| {
        let found = Found { address: address.parse().expect("an address"), weight, priority };
        fixture.supervisor.add("app", found, fixture.now)
    };
    assert_eq!(add("169.254.169.254:80", 1, 0), Err(SteerError::Denied));
    assert!(matches!(add("127.0.0.1:4", 0, 0), Err(SteerError::OutOfRange(_))));
    assert!(matches!(add("127.0.0.1:4", 1, 10), Err(SteerError::OutOfRange(_))));
    assert!(matches!(add("127.0.0.1:0", 1, 0), Err(SteerError::OutOfRange(_))));
    let nobody = fixture.supervisor.add("shop", found, fixture.now);
    assert_eq!(nobody, Err(SteerError::NoService(vec!["app".into()])));
}

#[test]
fn backups_are_used_when_the_first_are_too_few() {
    let fixture = three(|spec| {
        checked(spec);
        spec.endpoints[2].priority = 1;
    });
    fixture.checks(&[1, 2, 3], true);
    assert_eq!(fixture.ports(), [1, 2]);
    fixture.checks(&[1, 2, 1, 2], false);
    assert_eq!(fixture.ports(), [3]);
}

#[test]
fn who_comes_back_starts_slowly_and_who_was_there_from_the_start_does_not() {
    let mut fixture = three(|spec| {
        checked(spec);
        spec.slow_start = SECOND * 10;
    });
    fixture.checks(&[1, 2, 3], true);
    assert_eq!(fixture.picks(), [(1, 1), (2, 1), (3, 1)]);
    fixture.checks(&[2, 2], false);
    fixture.checks(&[2, 2], true);
    assert_eq!((fixture.picks(), fixture.state(2)), (vec![(1, 100), (2, 10), (3, 100)], "ramping"));
    fixture.pass(SECOND * 5);
    assert_eq!(fixture.picks(), [(1, 100), (2, 50), (3, 100)]);
    fixture.pass(SECOND * 5);
    assert_eq!((fixture.picks(), fixture.state(2)), (vec![(1, 1), (2, 1), (3, 1)], "up"));
}

#[test]
fn the_ring_is_made_once_for_the_same_endpoints_and_weights() {
    let mut fixture = three(|spec| {
        checked(spec);
        spec.slow_start = SECOND * 10;
        spec.balance = plan::Balance::Hash(plan::HashBy::Client);
    });
    let members = |fixture: &Fixture| fixture.supervisor.registry.roster("app").members();
    let first = members(&fixture);
    let is_first = |fixture: &Fixture| std::ptr::eq(first.ring(), members(fixture).ring());
    fixture.checks(&[1, 2, 3], true);
    fixture.checks(&[2, 2], false);
    fixture.checks(&[2, 2], true);
    fixture.pass(SECOND * 5);
    assert_eq!((fixture.picks(), is_first(&fixture)), (vec![(1, 100), (2, 50), (3, 100)], true));
    fixture.spec.endpoints[0].weight = 2;
    fixture.reload();
    assert!(!is_first(&fixture));
}

#[test]
fn who_starts_slowly_admits_a_part_of_its_keys_and_the_view_says_which() {
    let mut fixture = three(|spec| {
        checked(spec);
        spec.slow_start = SECOND * 10;
        spec.balance = plan::Balance::Hash(plan::HashBy::Client);
    });
    fixture.checks(&[1, 2, 3], true);
    fixture.checks(&[2, 2], false);
    fixture.checks(&[2, 2], true);
    let mut before = 0;
    for _ in 0..11 {
        let members = fixture.supervisor.registry.roster("app").members();
        let key = |n: u32| forebay_policy::balance::stable_hash(&n.to_le_bytes());
        let owner = |n| members.ring().pick(key(n), |index| members.admits(index, key(n)));
        let keys = (0..10_000).filter(|n| owner(*n) == Some(1)).count();
        let view = fixture.supervisor.service("app", fixture.now).expect("it is there");
        let share = view.endpoints[1].share.expect("it is picked") as usize;
        assert!(keys.abs_diff(share * 10) < 200, "{keys} of 10,000, and {share} of 1,000");
        assert!(keys >= before, "{keys} after {before}");
        before = keys;
        fixture.pass(SECOND);
    }
    assert!(before > 3_000, "{before}");
}

#[test]
fn who_stands_out_in_a_window_is_ejected() {
    let mut fixture = three(|spec| spec.outlier = Outlier { failures: 0, ..Outlier::on() });
    let tally = |name: &str, rounds: u64| Tally {
        requests: 1_000 * rounds,
        failures: if name.ends_with(":2") { 400 * rounds } else { rounds },
        answers: 1_000 * rounds,
        waited: 1_000_000_000 * rounds,
    };
    fixture.now = fixture.now + SECOND * 9;
    fixture.supervisor.tick(|_, name| tally(name, 1), fixture.now);
    assert_eq!(fixture.ports(), [1, 2, 3]);
    fixture.now = fixture.now + SECOND * 2;
    fixture.supervisor.tick(|_, name| tally(name, 1), fixture.now);
    assert_eq!((fixture.ports(), fixture.state(2)), (vec![1, 3], "ejected"));
}

#[test]
fn numbers_say_the_same_as_the_view() {
    let fixture = three(checked);
    fixture.check(1, true);
    fixture.steer(3, Steer::Drain);
    let numbers = fixture.supervisor.numbers();
    let states: Vec<_> = numbers[0].endpoints.iter().map(|endpoint| (endpoint.up, endpoint.state)).collect();
    assert_eq!(states, [(true, "up"), (false, "unchecked"), (false, "drained")]);
    assert_eq!(numbers[0].endpoints[0].checks, Some((1, 0)));
}

#[test]
fn a_start_with_checks_is_no_panic() {
    let fixture = three(checked);
    fixture.check(1, true);
    assert!(!fixture.supervisor.view(fixture.now)[0].panic);
    assert_eq!(fixture.ports(), [1, 2, 3]);
    // Known to be down is another matter.
    fixture.checks(&[2, 2, 3, 3], false);
    assert!(fixture.supervisor.view(fixture.now)[0].panic);
}

#[test]
fn an_address_is_the_same_however_it_is_written() {
    let fixture = Fixture::new(&["127.0.0.1:1", "[::1]:2"], |_| {});
    let add = |address: &str| {
        let found = Found { address: address.parse().expect("an address"), weight: 1, priority: 0 };
        fixture.supervisor.add("app", found, fixture.now)
    };
    for address in ["[::ffff:127.0.0.1]:1", "[::1%5]:2", "[0:0::1]:2"] {
        assert_eq!(add(address), Err(SteerError::AlreadyThere), "{address}");
    }
    let mapped: Address = "[::ffff:127.0.0.1]:1".parse().expect("an address");
    fixture.supervisor.steer("app", &mapped, Steer::Drain, fixture.now).expect("it is there");
    assert_eq!(fixture.ports(), [2]);
}

#[test]
fn a_unix_socket_is_an_endpoint_like_any_other() {
    let mut fixture = Fixture::new(&["127.0.0.1:1", "unix:/run/app.sock"], |spec| {
        spec.health = Some(Health { port: Some(99), rise: 1, ..Health::new(Check::Tcp) });
    });
    let app: Address = "unix:/run/app.sock".parse().expect("an address");
    let targets = fixture.supervisor.targets();
    let hosts: Vec<_> = targets.iter().map(|target| (target.address.clone(), &*target.host)).collect();
    assert_eq!(hosts, [(at(1), "127.0.0.1:1"), (app.clone(), "localhost")]);
    for target in &targets {
        assert!(fixture.supervisor.checked(target, Ok(()), fixture.now).is_some());
    }
    assert_eq!(fixture.ports(), [1, 0]);
    let add = |address: &str| {
        let found = Found { address: address.parse().expect("an address"), weight: 1, priority: 0 };
        fixture.supervisor.add("app", found, fixture.now)
    };
    assert_eq!(add("unix:/run/app.sock"), Err(SteerError::AlreadyThere));
    assert_eq!(add("unix:/run/other.sock"), Ok(()));
    fixture.supervisor.steer("app", &app, Steer::Drain, fixture.now).expect("it is there");
    fixture.checks(&[1], true);
    assert_eq!(fixture.ports(), [1]);
    fixture.spec.endpoints.pop();
    fixture.reload();
    let there = |fixture: &Fixture| -> Vec<String> {
        let view = fixture.supervisor.service("app", fixture.now).expect("it is in the plan");
        view.endpoints.iter().map(|endpoint| endpoint.address.to_string()).collect()
    };
    assert_eq!(there(&fixture), ["127.0.0.1:1", "unix:/run/other.sock"]);
    let other = "unix:/run/other.sock".parse().expect("an address");
    assert_eq!(fixture.supervisor.remove("app", &other, fixture.now), Ok(()));
    assert_eq!(there(&fixture), ["127.0.0.1:1"]);
}

#[test]
fn a_check_that_reaches_a_unix_socket_ends_its_ejection() {
    let fixture = Fixture::new(&["127.0.0.1:1", "unix:/run/app.sock"], |spec| {
        spec.health = Some(Health { port: Some(99), rise: 1, ..Health::new(Check::Tcp) });
    });
    let targets = fixture.supervisor.targets();
    let pass = || {
        for target in &targets {
            assert!(fixture.supervisor.checked(target, Ok(()), fixture.now).is_some());
        }
    };
    pass();
    let members = fixture.supervisor.registry.roster("app").members();
    for endpoint in &members.all {
        endpoint.unreachable.store(3, Relaxed);
        let roster = fixture.supervisor.registry.roster("app");
        let grief = Grief::Failing(Cause::ConnectFailures);
        let report = Report { roster, endpoint: Arc::clone(endpoint), grief };
        fixture.supervisor.reported(&report, fixture.now);
        let is_out = |fixture: &Fixture| !fixture.ports().contains(&port(&endpoint.address));
        assert!(is_out(&fixture));
        pass();
        // That another port can be reached says nothing, and a socket has no other.
        assert_eq!(is_out(&fixture), endpoint.address.ip().is_some());
        endpoint.unreachable.store(0, Relaxed);
        fixture.supervisor.steer("app", &endpoint.address, Steer::Enable, fixture.now).expect("it is there");
    }
}

#[test]
fn wishes_for_endpoints_that_never_come_are_not_kept_without_end() {
    let fixture = three(|_| {});
    fixture.steer(2, Steer::Drain);
    for port in 10..=2 * ENDPOINTS_MAX as u16 {
        fixture.supervisor.foresee("app", &at(port), Steer::Drain, fixture.now);
        let known = fixture.supervisor.lock().services[0].wishes.len();
        assert!(known <= ENDPOINTS_MAX, "{known}");
    }
    // Those of endpoints that are there outlive the rest.
    fixture.reload();
    assert_eq!(fixture.ports(), [1, 3]);
}
