//! Labs that can be run, and those that cannot.

use super::*;

fn process(name: &str) -> Process {
    Process {
        name: name.to_owned(),
        command: vec!["api".to_owned()],
        env: Vec::new(),
        ready: None,
        ready_within: READY_WITHIN,
        restart: None,
    }
}

fn kill(process: &str, at: u64, length: u64) -> Fault {
    let kind = FaultKind::Kill { process: process.to_owned() };
    Fault { at: Duration::from_secs(at), length: Duration::from_secs(length), kind }
}

fn pause(process: &str, at: u64, length: u64) -> Fault {
    let kind = FaultKind::Pause { process: process.to_owned() };
    Fault { kind, ..kill("", at, length) }
}

fn watch(name: &str, of: Of) -> Watch {
    Watch { name: name.to_owned(), of, profile: None }
}

/// The one problem of a lab says this.
#[track_caller]
fn check(lab: &Lab, problem: &str) {
    let problems = lab.problems();
    assert!(problems.len() == 1 && problems[0].contains(problem), "{problems:?}");
}

#[test]
fn an_empty_lab_and_a_full_one_can_be_run() {
    assert!(Lab::default().is_empty() && Lab::default().problems().is_empty());
    let lab = Lab {
        processes: vec![process("api"), process("db")],
        watch: vec![watch("api", Of::Process("api".to_owned())), watch("web", Of::Port(80))],
        faults: vec![kill("api", 5, 1), pause("db", 5, 2)],
        cycles: 3,
        cycle: Duration::from_secs(30),
        ..Lab::default()
    };
    assert_eq!(lab.problems(), [""; 0]);
}

#[test]
fn every_mistake_is_named() {
    let api = || Lab { processes: vec![process("api")], ..Lab::default() };
    check(
        &Lab { processes: vec![process("api"), process("api")], ..api() },
        "two processes are called `api`",
    );
    check(&Lab { processes: vec![process("../x")], ..api() }, "the process name `../x` will not do");
    let no_command = Process { command: Vec::new(), ..process("api") };
    check(&Lab { processes: vec![no_command], ..api() }, "has no command");
    let bad_url = Process { ready: Some(Ready::Http("https://x/".to_owned())), ..process("api") };
    check(&Lab { processes: vec![bad_url], ..api() }, "not a plain http URL");
    check(&Lab { faults: vec![kill("web", 1, 1)], ..api() }, "there is no process `web`");
    check(&Lab { faults: vec![pause("api", 1, 0)], ..api() }, "has no length");
    check(&Lab { watch: vec![watch("generator", Of::Port(1))], ..api() }, "called `generator`");
    check(&Lab { watch: vec![watch("a/b", Of::Port(1))], ..api() }, "`a/b`");
    let profile = Some("127.0.0.1:6060".to_owned());
    check(&Lab { watch: vec![Watch { profile, ..watch("x", Of::Port(1)) }], ..api() }, "`profile` of `x`");
    check(
        &Lab { watch: vec![watch("x", Of::Process("web".to_owned()))], ..api() },
        "there is no process `web`",
    );
    check(&Lab { cycles: CYCLES_MAX + 1, ..api() }, "101 cycles are more than 100");
}

#[test]
fn cycles_must_not_overlap() {
    let cycle = Duration::from_secs(10);
    let lab =
        Lab { processes: vec![process("api")], faults: vec![pause("api", 5, 5)], cycle, ..Lab::default() };
    assert!(lab.problems().is_empty());
    check(&Lab { cycles: 2, ..lab }, "make the cycle longer");
}

#[test]
fn a_kill_lasts_as_long_as_it_says_or_as_the_process_does() {
    let restart = Some(Duration::from_secs(3));
    let lab =
        Lab { processes: vec![process("once"), Process { restart, ..process("again") }], ..Lab::default() };
    assert_eq!(lab.length_of(&kill("again", 0, 0)), restart);
    assert_eq!(lab.length_of(&kill("again", 0, 7)), Some(Duration::from_secs(7)));
    assert_eq!(lab.length_of(&kill("once", 0, 0)), None);
}

#[test]
fn each_cycle_has_all_faults() {
    let lab = Lab {
        faults: vec![kill("api", 1, 1), pause("api", 5, 1)],
        cycles: 2,
        cycle: Duration::from_secs(20),
        ..Lab::default()
    };
    let at: Vec<(u32, usize, u64)> =
        lab.schedule().map(|(cycle, fault, at)| (cycle, fault, at.as_secs())).collect();
    assert_eq!(at, [(0, 0, 1), (0, 1, 5), (1, 0, 21), (1, 1, 25)]);
    assert_eq!(Lab { cycles: 0, ..lab }.schedule().count(), 2);
}

#[test]
fn the_worst_recovery_is_what_a_threshold_needs() {
    let episode = |end, seconds| Episode {
        what: "kill api".to_owned(),
        cycle: 0,
        on: Duration::ZERO,
        off: Some(Duration::ZERO),
        recovery: Recovery {
            end,
            ttr_off: Some(Duration::from_secs(seconds)),
            watched: Duration::from_secs(60),
            ..Recovery::default()
        },
    };
    let worst = |episodes: Vec<Episode>| LabOutcome { episodes, ..LabOutcome::default() }.worst_recovery();
    let recovered = |seconds| episode(End::Recovered, seconds);
    assert_eq!(worst(vec![]), Worst::Unknown);
    assert_eq!(worst(vec![recovered(3), recovered(7), recovered(1)]), Worst::Within(Duration::from_secs(7)));
    assert_eq!(worst(vec![episode(End::NoEffect, 0)]), Worst::Within(Duration::ZERO));
    assert_eq!(worst(vec![recovered(3), episode(End::Unproven, 0)]), Worst::Unknown);
    let never = worst(vec![episode(End::Unknown, 0), episode(End::Never, 0), recovered(1)]);
    assert_eq!(never, Worst::Beyond(Duration::from_secs(60)));
    let missed = LabOutcome {
        episodes: vec![recovered(3)],
        faults: vec![Injected::default()],
        ..LabOutcome::default()
    };
    assert_eq!(missed.worst_recovery(), Worst::Unknown);
}
