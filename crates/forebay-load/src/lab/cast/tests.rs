//! Real processes: started, killed, paused, and never left behind.

use std::io::Write as _;

use super::*;
use crate::lab::procfs;
use crate::lab::testing::{Stage, wait_until};

fn lab(processes: Vec<Process>) -> Lab {
    Lab { processes, ..Lab::default() }
}

fn start(processes: Vec<Process>) -> Result<Cast, Error> {
    Cast::start(&lab(processes), &AtomicBool::new(false))
}

fn shell(name: &str, script: &str) -> Process {
    let command = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
    let ready = Some(Ready::Tcp(Stage::new().listens_at));
    Process {
        name: name.to_owned(),
        command,
        env: Vec::new(),
        ready,
        ready_within: Duration::ZERO,
        restart: None,
    }
}

#[test]
fn a_process_is_ready_when_it_listens_and_ends_with_its_cast() {
    let stage = Stage::new();
    let cast = start(vec![stage.process("api")]).expect("it listens");
    let mut call = stage.next_call();
    assert_eq!(cast.pid("api"), Some(call.pid));
    let started = cast.stop();
    assert_eq!((started[0].name.as_str(), started[0].starts), ("api", 1));
    call.ends();
}

#[test]
fn a_cast_that_is_dropped_leaves_nobody() {
    let stage = Stage::new();
    let cast = start(vec![stage.process("api")]).expect("it listens");
    let mut call = stage.next_call();
    drop(cast);
    call.ends();
}

#[test]
fn a_panic_leaves_nobody() {
    let stage = Stage::new();
    let process = stage.process("api");
    let broken = thread::spawn(move || {
        let _cast = start(vec![process]).expect("it listens");
        panic!("as planned");
    });
    let mut call = stage.next_call();
    assert!(broken.join().is_err());
    call.ends();
}

#[test]
fn one_that_is_not_ready_takes_the_others_with_it() {
    let stage = Stage::new();
    let sleeps = shell("lazy", "sleep 60");
    let error = start(vec![stage.process("api"), sleeps]).expect_err("it never listens");
    assert!(error.to_string().contains("the process `lazy` is not ready, after 0ns"), "{error}");
    stage.next_call().ends();
}

#[test]
fn one_that_ends_at_once_is_quoted() {
    let ends =
        Process { ready_within: Duration::from_secs(30), ..shell("api", "echo no such port >&2; exit 3") };
    let error = start(vec![ends]).expect_err("it ends").to_string();
    assert!(error.contains("exit status: 3") && error.contains("it said last: no such port"), "{error}");
}

#[test]
fn what_is_no_program_says_so() {
    let none = Process { command: vec!["/no/such/program".to_owned()], ..shell("api", "") };
    let error = start(vec![none]).expect_err("there is none").to_string();
    assert!(error.contains("cannot start the process `api` (/no/such/program)"), "{error}");
}

#[test]
fn a_stranger_at_the_address_is_not_taken_for_the_process() {
    let stage = Stage::new();
    let cast = start(vec![stage.process("first")]).expect("it listens");
    let error = start(vec![stage.process("second")]).expect_err("the address is taken").to_string();
    assert!(error.contains("something answers already where the process `second` is to be"), "{error}");
    drop(cast);
}

#[test]
fn told_to_stop_is_not_waiting_any_more() {
    let waits = Process { ready_within: Duration::from_secs(600), ..shell("api", "sleep 60") };
    let error = Cast::start(&lab(vec![waits]), &AtomicBool::new(true)).expect_err("it was told to stop");
    assert!(error.to_string().contains("told to stop"), "{error}");
}

#[test]
fn a_killed_process_can_be_started_again() {
    let stage = Stage::new();
    let mut cast = start(vec![stage.process("api")]).expect("it listens");
    let mut first = stage.next_call();
    assert!(cast.start_again("api").is_err_and(|error| error.to_string().contains("runs already")));
    cast.kill("api").expect("it runs");
    first.ends();
    assert_eq!(cast.pid("api"), None);
    assert!(cast.kill("api").is_err_and(|error| error.to_string().contains("does not run")));
    assert!(cast.look().is_empty(), "it did not end by itself");
    cast.start_again("api").expect("its address is free");
    let mut second = stage.next_call();
    assert_eq!(cast.pid("api"), Some(second.pid));
    assert_eq!(cast.stop()[0].starts, 2);
    second.ends();
}

#[test]
fn a_paused_process_stands_still_goes_on_and_can_be_ended() {
    let stage = Stage::new();
    let mut cast = start(vec![stage.process("api")]).expect("it listens");
    let mut call = stage.next_call();
    call.answers();
    cast.pause("api").expect("it runs");
    wait_until(|| call.stands_still());
    cast.resume("api").expect("it runs");
    call.answers();
    cast.pause("api").expect("it runs");
    wait_until(|| call.stands_still());
    drop(cast);
    call.ends();
}

#[test]
fn one_that_ends_by_itself_is_noticed_once() {
    let stage = Stage::new();
    let mut cast = start(vec![stage.process("api")]).expect("it listens");
    drop(stage.next_call());
    let mut ended = Vec::new();
    wait_until(|| {
        ended.extend(cast.look());
        !ended.is_empty()
    });
    assert!(ended[0].contains("the process `api` ended by itself"), "{ended:?}");
    assert!(cast.look().is_empty());
}

#[test]
fn children_end_with_the_process() {
    let mut cast =
        start(vec![Process { ready: None, ..shell("api", "sleep 60 & wait") }]).expect("it starts");
    let parent = cast.pid("api").expect("it runs");
    let path = format!("/proc/{parent}/task/{parent}/children");
    let mut child = 0;
    wait_until(|| {
        let children = fs::read_to_string(&path).unwrap_or_default();
        child = children.trim().parse().unwrap_or(0);
        child != 0
    });
    cast.kill("api").expect("it runs");
    wait_until(|| !procfs::is_alive(child));
}

#[test]
fn output_is_kept_within_bounds() {
    let directory = std::env::temp_dir().join(format!("forebay-log-{}", std::process::id()));
    let log = Log::open("api", Some(&directory)).expect("it can be written");
    let path = log.path.clone().expect("it was asked for");
    log.file.set_len(LOG_MAX).expect("a hole takes no room");
    log.bound();
    assert_eq!(fs::metadata(&path).expect("it is there").len(), LOG_MAX);
    log.file.set_len(LOG_MAX + 1).expect("a hole takes no room");
    log.bound();
    (&log.file).write_all(b"after").expect("it can be written");
    assert_eq!(fs::read(&path).expect("it is there"), b"after");
    assert_eq!(log.last_words(), "; it said last: after");
    fs::remove_dir_all(directory).expect("it is ours");
}
