//! How many requests are planned, sent, and end in which bucket.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use forebay_load::plan::Arrival;
use forebay_testkit::scripted::{How, Reply, Scripted};

use super::*;

#[test]
fn an_even_rate_sends_rate_times_length() {
    let server = Scripted::start(|_| Reply::now());
    let outcome = run(&open(server.address(), 200.0, ms(2000)));
    assert_eq!(buckets(&outcome), (400, 400, 0, 0, 0));
    let truth = server.truth();
    assert_eq!((truth.requests, truth.given(How::Whole)), (400, 400));
    assert_eq!(outcome.total().statuses, BTreeMap::from([(200, 400)]));
    assert_eq!(outcome.generator.connects, truth.connections);
    assert!(truth.connections <= 1000, "one for each user at most");
    assert_eq!(outcome.generator.pacing.count(), 400);
    assert!(truth.faults.is_empty(), "{:?}", truth.faults);
}

#[test]
fn several_threads_send_no_more_and_no_less() {
    let server = Scripted::start(|_| Reply::now());
    let outcome = run(&Plan { workers: 3, ..open(server.address(), 250.0, ms(1000)) });
    assert_eq!(buckets(&outcome), (250, 250, 0, 0, 0));
    assert_eq!((server.truth().requests, outcome.generator.workers), (250, 3));
}

#[test]
fn a_ramp_sends_the_integral_of_its_rate() {
    let server = Scripted::start(|_| Reply::now());
    let mut plan = open(server.address(), 0.0, ms(1));
    plan.stages = vec![
        stage("up", 0.0, 300.0, ms(1000)),
        stage("flat", 300.0, 300.0, ms(500)),
        stage("down", 300.0, 0.0, ms(1000)),
    ];
    let outcome = run(&plan);
    let by_stage: Vec<u64> = outcome.series[0].stages.iter().map(|tally| tally.planned).collect();
    assert_eq!(by_stage, [150, 150, 150]);
    assert_eq!(server.truth().requests, 450);
    // Half of a ramp's arrivals come in its last 29 %.
    let truth = server.truth();
    let early = truth.entries.iter().filter(|entry| entry.at < ms(600)).count();
    assert!(early < 75, "{early} of the first 150 came within 0.6 s");
}

#[test]
fn what_is_sent_is_what_is_counted() {
    let server = Scripted::start(|request| Reply::now().size(request.body.len() * 2));
    let mut plan = open(server.address(), 100.0, ms(500));
    plan.scenarios[0].steps[0] = Step {
        method: "POST".to_owned(),
        body: Body::Bytes(Arc::from(vec![b'y'; 1000])),
        headers: vec![("X-Kind".to_owned(), template("test"))],
        ..get("/in")
    };
    let outcome = run(&plan);
    let total = outcome.total();
    assert_eq!(total.ok, 50);
    assert!(total.bytes_out > 50 * 1000 && total.bytes_out < 50 * 1300, "{}", total.bytes_out);
    assert!(total.bytes_in > 50 * 2000 && total.bytes_in < 50 * 2300, "{}", total.bytes_in);
}

#[test]
fn warm_up_is_sent_but_not_judged() {
    let server = Scripted::start(|request| match request.number {
        0..50 => Reply::now().status(500),
        _ => Reply::now(),
    });
    let mut plan = open(server.address(), 100.0, ms(500));
    let warm = Stage { warmup: true, ..stage("warm", 100.0, 100.0, ms(500)) };
    plan.stages.insert(0, warm);
    // One user: requests reach the server in the order of the plan.
    plan.users_max = 1;
    let outcome = run(&plan);
    assert_eq!(buckets(&outcome), (50, 50, 0, 0, 0));
    assert_eq!(buckets_of(&outcome.series[0].stages[0]), (50, 0, 50, 0, 0));
    assert_eq!(server.truth().requests, 100);
}

#[test]
fn arrivals_by_chance_follow_from_the_seed() {
    let numbers = |seed| {
        let server = Scripted::start(|_| Reply::now());
        let mut plan = open(server.address(), 300.0, ms(1000));
        plan.model = Model::Open(Arrivals::Poisson);
        plan.seed = seed;
        plan.scenarios = vec![scenario("a", vec![get("/a")]), scenario("b", vec![get("/b")])];
        let outcome = run(&plan);
        assert_eq!(outcome.total().planned, server.truth().requests);
        (step(&outcome, "/a").planned, step(&outcome, "/b").planned)
    };
    let (first, again, other) = (numbers(7), numbers(7), numbers(8));
    assert_eq!(first, again);
    assert_ne!(first, other);
    for (a, b) in [first, other] {
        // Five standard deviations of a Poisson number of mean 300.
        assert!((a + b).abs_diff(300) < 87, "{a} + {b}");
    }
}

#[test]
fn scenarios_are_chosen_by_weight() {
    let server = Scripted::start(|_| Reply::now());
    let mut plan = open(server.address(), 400.0, ms(1000));
    plan.scenarios =
        vec![scenario("a", vec![get("/a")]), scenario("b", vec![get("/b")]), scenario("c", vec![get("/c")])];
    plan.scenarios[0].weight = 3;
    plan.scenarios[2].weight = 0;
    let outcome = run(&plan);
    let (a, b, c) = (step(&outcome, "/a").ok, step(&outcome, "/b").ok, step(&outcome, "/c").ok);
    assert_eq!((a + b, c), (400, 0));
    // Five standard deviations around three quarters.
    assert!(a.abs_diff(300) < 44, "{a} and {b}");
}

#[test]
fn users_ask_again_only_once_answered() {
    let server = Scripted::start(|_| Reply::after(ms(20)));
    let outcome = run(&closed(server.address(), 5, ms(1000)));
    let (planned, ok, ..) = buckets(&outcome);
    assert_eq!((planned, planned), (ok, server.truth().requests));
    // 20 ms each for 1 s, and those under way at the end.
    assert!((5..=5 * 51).contains(&planned), "{planned}");
    assert!(outcome.total().response.min() >= Some(ms(20)), "{:?}", outcome.total().response.min());
    assert_eq!((server.truth().connections, outcome.generator.in_flight_max), (5, 5));
    assert_eq!(outcome.model, "closed");
}

#[test]
fn a_number_of_iterations_is_kept_exactly() {
    for workers in [1, 2] {
        let server = Scripted::start(|_| Reply::now());
        let mut plan = closed(server.address(), 7, ms(20_000));
        plan.model = Model::Closed { iterations: Some(500) };
        plan.workers = workers;
        let outcome = run(&plan);
        assert_eq!(buckets(&outcome), (500, 500, 0, 0, 0));
        assert_eq!(server.truth().requests, 500);
        assert!(outcome.took < ms(20_000), "it is over when they are");
    }
}

#[test]
fn a_recording_is_sent_as_it_was() {
    let seen: Arc<Mutex<Vec<(String, Duration)>>> = Arc::default();
    let log = Arc::clone(&seen);
    let server = Scripted::start(move |request| {
        log.lock().expect("no panic under this lock").push((request.target.to_owned(), request.at));
        Reply::now()
    });
    let mut plan = open(server.address(), 0.0, ms(1000));
    plan.scenarios = vec![scenario("a", vec![get("/a")]), scenario("b", vec![get("/b")])];
    let arrivals = [(0, 0), (10, 1), (300, 1), (600, 0), (900, 1)];
    let arrivals: Vec<Arrival> =
        arrivals.iter().map(|&(at, scenario)| Arrival { at: ms(at), scenario }).collect();
    plan.model = Model::Recorded(arrivals.into());
    let outcome = run(&plan);
    assert_eq!(buckets(&outcome), (5, 5, 0, 0, 0));
    assert_eq!((step(&outcome, "/a").ok, step(&outcome, "/b").ok), (2, 3));
    let seen = seen.lock().expect("no panic under this lock");
    let order: Vec<&str> = seen.iter().map(|(target, _)| target.as_str()).collect();
    assert_eq!(order, ["/a", "/b", "/b", "/a", "/b"]);
    // The server's clock starts with the first, which may have come late, but not by most of a second.
    assert!(seen[4].1 > ms(450), "{:?}", seen[4].1);
    assert_eq!(outcome.model, "recorded");
}

#[test]
fn who_finds_no_free_user_is_counted_as_not_started() {
    let server = Scripted::start(|_| Reply::now().how(How::Never));
    let mut plan = open(server.address(), 100.0, ms(1000));
    plan.users_max = 10;
    plan.grace = ms(300);
    let outcome = run(&plan);
    assert_eq!(buckets(&outcome), (100, 0, 0, 10, 90));
    assert_eq!(server.truth().requests, 10);
    // The first waited from 0 to the end of grace, the last planned at 0.99 s.
    let total = outcome.total();
    assert!(
        total.censored.max() >= Some(ms(1299)) && total.censored.min() >= Some(ms(309)),
        "{:?}",
        total.censored
    );
    assert_eq!(total.delay.count(), 10);
}

#[test]
fn what_is_unanswered_after_the_grace_has_timed_out() {
    let server = Scripted::start(|_| Reply::after(ms(30_000)));
    let outcome = run(&Plan { grace: ms(200), ..open(server.address(), 50.0, ms(400)) });
    assert_eq!(buckets(&outcome), (20, 0, 0, 20, 0));
    assert_eq!(server.truth().requests, 20);
}

#[test]
fn a_connection_serves_many_requests_unless_the_plan_says_otherwise() {
    for (keep_alive, connections) in [(true, 1), (false, 100)] {
        let server = Scripted::start(|_| Reply::now());
        let mut plan = closed(server.address(), 1, ms(20_000));
        plan.model = Model::Closed { iterations: Some(100) };
        plan.keep_alive = keep_alive;
        let outcome = run(&plan);
        assert_eq!(buckets(&outcome), (100, 100, 0, 0, 0));
        assert_eq!((server.truth().connections, outcome.generator.connects), (connections, connections));
        assert_eq!(outcome.total().connect.count(), connections);
    }
}

#[test]
fn a_server_that_ends_connections_gets_new_ones() {
    let server =
        Scripted::start(|request| if request.turn == 4 { Reply::now().close() } else { Reply::now() });
    let mut plan = closed(server.address(), 1, ms(20_000));
    plan.model = Model::Closed { iterations: Some(100) };
    let outcome = run(&plan);
    assert_eq!(buckets(&outcome), (100, 100, 0, 0, 0));
    assert_eq!(server.truth().connections, 20);
}

#[test]
fn a_run_that_is_stopped_counts_what_it_did() {
    let server = Scripted::start(|_| Reply::now());
    let stop = Arc::<AtomicBool>::default();
    let plan = open(server.address(), 200.0, ms(60_000));
    let outcome = std::thread::scope(|scope| {
        let running = scope.spawn(|| run_until(&plan, &stop));
        server.await_requests(50);
        stop.store(true, Ordering::SeqCst);
        running.join().expect("the run ends in order")
    });
    let (planned, ok, ..) = buckets(&outcome);
    assert!(outcome.interrupted && outcome.took < ms(60_000));
    assert!((50..12_000).contains(&planned), "{planned}");
    assert!(ok >= 50 && server.truth().requests >= ok);
}

#[test]
fn a_plan_without_anything_to_run_is_refused() {
    let server = Scripted::start(|_| Reply::now());
    let whole = || open(server.address(), 100.0, ms(100));
    let refused = |plan: Plan| match run::run(&plan, &Arc::default(), &mut |_| {}) {
        Err(run::Error::Empty(what)) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(Plan { stages: Vec::new(), ..whole() }), "stages");
    assert_eq!(refused(Plan { scenarios: Vec::new(), ..whole() }), "scenarios");
    assert_eq!(
        refused(Plan { scenarios: vec![scenario("a", Vec::new())], ..whole() }),
        "steps in a scenario"
    );
    assert_eq!(server.truth().connections, 0);
}
