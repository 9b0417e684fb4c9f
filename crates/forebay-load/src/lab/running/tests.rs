//! A whole lab: real processes, real faults, and made-up time lines.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

use super::super::outcome::CapturedKind;
use super::super::testing::{Stage as Actors, wait_until};
use super::super::{Budget, End, Of, Watch};
use super::*;

fn stage(seconds: u64, warmup: bool) -> Stage {
    Stage { name: String::new(), length: Duration::from_secs(seconds), from: 1.0, to: 1.0, warmup }
}

fn fault(kind: FaultKind, length_ms: u64) -> Fault {
    Fault { at: Duration::ZERO, length: Duration::from_millis(length_ms), kind }
}

fn prepare(lab: &Lab, stages: &[Stage]) -> Running {
    Running::prepare(lab, stages, &AtomicBool::new(false)).expect("nothing is in the way")
}

#[test]
fn a_kill_ends_the_process_and_starts_it_again() {
    let actors = Actors::new();
    let kill = fault(FaultKind::Kill { process: "api".to_owned() }, 1);
    let lab = Lab { processes: vec![actors.process("api")], faults: vec![kill], ..Lab::default() };
    let mut running = prepare(&lab, &[stage(600, false)]);
    let mut first = actors.next_call();
    running.begin(Instant::now());
    first.ends();
    let mut second = actors.next_call();
    let outcome = running.finish(&[]);
    second.ends();
    assert_eq!(outcome.processes[0].starts, 2);
    let injected = &outcome.faults[0];
    assert!(injected.on.is_some() && injected.on < injected.off && injected.error.is_none(), "{injected:?}");
    assert_eq!(outcome.episodes[0].recovery.end, End::Unknown);
    assert_eq!(outcome.recoveries[0].what, "kill api");
}

#[test]
fn a_pause_begins_and_ends_when_it_is_due() {
    let actors = Actors::new();
    let pause =
        Fault { at: Duration::from_secs(5), ..fault(FaultKind::Pause { process: "api".to_owned() }, 2_000) };
    let lab = Lab { processes: vec![actors.process("api")], faults: vec![pause], ..Lab::default() };
    let mut cast = Cast::start(&lab, &AtomicBool::new(false)).expect("nothing is in the way");
    let mut call = actors.next_call();
    let mut faults = Faults::of(&lab);
    assert!(!faults.apply(Duration::from_millis(4_999), &mut cast));
    call.answers();
    assert_eq!(faults.next(), Some(Duration::from_secs(5)));
    assert!(faults.apply(Duration::from_millis(5_002), &mut cast));
    wait_until(|| call.stands_still());
    // It came late and lasts as long.
    assert!(!faults.apply(Duration::from_millis(7_001), &mut cast));
    assert!(faults.apply(Duration::from_millis(7_002), &mut cast));
    call.answers();
    let (_, injected) = &faults.injected[0];
    assert_eq!(
        (injected.on, injected.off),
        (Some(Duration::from_millis(5_002)), Some(Duration::from_millis(7_002)))
    );
    assert_eq!((faults.next(), &injected.error), (None, &None));
}

#[test]
fn a_fault_on_what_does_not_run_says_so_and_is_not_removed() {
    let actors = Actors::new();
    let pause = fault(FaultKind::Pause { process: "api".to_owned() }, 1);
    let lab = Lab { processes: vec![actors.process("api")], faults: vec![pause], ..Lab::default() };
    let mut cast = Cast::start(&lab, &AtomicBool::new(false)).expect("nothing is in the way");
    cast.kill("api").expect("it runs");
    let mut faults = Faults::of(&lab);
    assert!(faults.apply(Duration::from_secs(1), &mut cast));
    assert!(faults.apply(Duration::from_secs(2), &mut cast));
    let (_, injected) = &faults.injected[0];
    assert_eq!((injected.on, injected.off), (None, None));
    assert!(injected.error.as_deref().is_some_and(|why| why.contains("does not run")), "{injected:?}");
}

#[test]
fn a_fault_whose_time_did_not_come_says_so() {
    let actors = Actors::new();
    let kind = FaultKind::Kill { process: "api".to_owned() };
    let late = Fault { at: Duration::from_secs(500), ..fault(kind, 1) };
    let lab = Lab { processes: vec![actors.process("api")], faults: vec![late], ..Lab::default() };
    let mut running = prepare(&lab, &[stage(600, false)]);
    running.begin(Instant::now());
    let outcome = running.finish(&[]);
    assert_eq!(outcome.faults[0].on, None);
    assert!(outcome.faults[0].error.as_deref().is_some_and(|why| why.contains("before its time came")));
    assert!(outcome.episodes.is_empty());
}

#[test]
fn what_was_prepared_but_not_begun_ends_too() {
    let actors = Actors::new();
    let running = prepare(&Lab { processes: vec![actors.process("api")], ..Lab::default() }, &[]);
    let mut call = actors.next_call();
    drop(running);
    call.ends();
}

#[test]
fn mistakes_are_told_before_anything_is_started() {
    let kill = fault(FaultKind::Kill { process: "api".to_owned() }, 1);
    let lab = Lab { faults: vec![kill], ..Lab::default() };
    let error = Running::prepare(&lab, &[], &AtomicBool::new(false)).expect_err("there is no such process");
    assert!(error.to_string().contains("there is no process `api`"), "{error}");
}

#[test]
fn profiles_are_taken_of_what_serves_them() {
    // CPU: one kind, no samples; heap: not served.
    let profile = b"\x0a\x04\x08\x01\x10\x02\x32\x00\x32\x03cpu\x32\x0bnanoseconds";
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
    let address = listener.local_addr().expect("it is bound");
    let server = thread::spawn(move || {
        let mut asked = Vec::new();
        for stream in listener.incoming().take(3) {
            let mut stream = stream.expect("the client comes");
            let mut lines = BufReader::new(stream.try_clone().expect("a socket has copies")).lines();
            let line = lines.next().expect("the client asks").expect("it is ASCII");
            assert!(lines.any(|line| line.is_ok_and(|line| line.is_empty())), "the head ends");
            let answer = if line.contains("heap") {
                &b"HTTP/1.1 404 No\r\n\r\n"[..]
            } else {
                b"HTTP/1.1 200 OK\r\n\r\n"
            };
            let body = if line.contains("heap") { &b""[..] } else { profile };
            stream.write_all(&[answer, body].concat()).expect("the client reads");
            asked.push(line);
        }
        asked
    });
    let profile = Some(format!("http://{address}"));
    let watch = Watch { name: "api".to_owned(), of: Of::Pid(std::process::id()), profile };
    let mut running =
        prepare(&Lab { watch: vec![watch], ..Lab::default() }, &[stage(0, true), stage(10, false)]);
    running.begin(Instant::now());
    wait_until(|| running.profiler.as_ref().is_some_and(Profiler::is_done));
    let outcome = running.finish(&[]);
    let asked = server.join().expect("the server does not panic");
    assert!(asked[0].starts_with("GET /debug/pprof/heap ") && asked[2].starts_with("GET /debug/pprof/heap "));
    assert!(asked[1].starts_with("GET /debug/pprof/profile?seconds="), "{asked:?}");
    let profiles = &outcome.watched[1].profiles;
    let cpu = profiles.iter().find(|one| one.kind == CapturedKind::Cpu).expect("it was served");
    assert_eq!((cpu.during, cpu.file.as_str()), (Part::Stage(1), "api-1-cpu.pb.gz"));
    assert!(
        cpu.flame.as_ref().is_some_and(|flame| flame.kind == "cpu" && flame.unit == "nanoseconds"),
        "{cpu:?}"
    );
    assert_eq!(profiles.len(), 1, "one that is not there is none: {profiles:?}");
    assert!(!outcome.notes.iter().any(|note| note.contains("heap")), "{:?}", outcome.notes);
}

#[test]
fn faults_that_overlap_heal_together() {
    let secs = Duration::from_secs;
    let injected = |what: &str, cycle, on, off| Injected {
        what: what.to_owned(),
        cycle,
        on: Some(secs(on)),
        off: Some(secs(off)),
        error: None,
    };
    let faults = [
        injected("kill api", 0, 20, 23),
        injected("pause db", 0, 22, 25),
        injected("kill api", 0, 60, 61),
        injected("kill api", 1, 120, 123),
        injected("pause db", 1, 122, 125),
    ];
    let timeline: Vec<Window> = (0..200)
        .map(|second| {
            let errors =
                if [20..30, 60..62, 120..127].iter().any(|bad| bad.contains(&second)) { 50 } else { 0 };
            Window {
                start_ms: second * 1_000,
                length_ms: 1_000,
                planned: 100,
                finished: 100,
                errors,
                ..Window::default()
            }
        })
        .collect();
    let lab = Lab { budget: Budget { hold: secs(5), ..Budget::default() }, ..Lab::default() };
    let episodes = episodes(&faults, &[stage(10, true), stage(190, false)], &lab, &timeline);
    let told: Vec<_> = episodes
        .iter()
        .map(|one| (one.what.as_str(), one.recovery.ttr_off.map(|time| time.as_secs())))
        .collect();
    let both = "kill api + pause db";
    assert_eq!(told, [(both, Some(5)), ("kill api", Some(1)), (both, Some(2))]);
    let summaries = summaries(&episodes);
    assert_eq!(summaries.len(), 2);
    assert_eq!((summaries[0].what.as_str(), summaries[0].cycles), (both, 2));
    assert_eq!(summaries[0].ttr_off.map(|spread| spread.max), Some(secs(5)));
}
