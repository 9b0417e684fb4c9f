//! Whatever the new process does but serve, nothing changes.

use std::time::Duration;

use forebay_telemetry::log::{Level, Log, Settings};
use serde_json::Value;

use super::*;

fn upgrader(program: io::Result<Program>) -> Arc<Upgrader> {
    let log = Log::start(&Settings::to_stderr(Level::Error)).expect("standard error is there");
    Arc::new(Upgrader::new(program, log, Sockets::default(), || Value::Null))
}

/// Why `upgrade` fails with this shell command in place of the binary.
fn refusal(command: &str, limit: Duration) -> String {
    let upgrader = upgrader(Ok(Program::of("/bin/sh", &["-c", command])));
    let program = upgrader.begin().expect("nothing is under way");
    let refusal = upgrader.settle(upgrader.replace(program, limit)).expect_err("no shell can serve");
    assert_eq!(*upgrader.stage.borrow(), Stage::Idle, "{refusal}");
    refusal
}

#[test]
fn a_binary_that_ends_is_told_of_with_its_status() {
    let refusal = refusal("exit 7", READY_WAIT);
    assert!(refusal.contains("ended before it was ready (exit status: 7)"), "{refusal}");
}

#[test]
fn a_binary_that_never_gets_ready_is_ended() {
    let refusal = refusal("exec sleep 600", Duration::from_millis(100));
    assert_eq!(refusal, "the new process did not call within 0.1 s");
}

#[test]
fn a_binary_that_cannot_be_started_is_told_of() {
    for (program, why) in [
        (Ok(Program::of("/nowhere/forebay", &[])), "cannot start /nowhere/forebay"),
        (Err(io::Error::other("no /proc")), "cannot tell which binary this is: no /proc"),
    ] {
        let upgrader = upgrader(program);
        let result = upgrader.begin().and_then(|program| upgrader.replace(program, READY_WAIT).map(|_| ()));
        assert!(result.as_ref().is_err_and(|found| found.starts_with(why)), "{result:?}");
    }
}

#[tokio::test]
async fn one_at_a_time_and_none_at_the_end() {
    let upgrader = upgrader(Ok(Program::of("/bin/sleep", &["600"])));
    let first = tokio::spawn({
        let upgrader = Arc::clone(&upgrader);
        async move { upgrader.upgrade().await }
    });
    let mut stages = upgrader.stage.subscribe();
    stages.wait_for(|stage| *stage == Stage::Starting).await.expect("it is ours");
    assert_eq!(upgrader.upgrade().await, Err("an upgrade is under way already".to_owned()));
    // The process that sleeps is ended by that, or this would take ten minutes.
    assert_eq!(upgrader.end().await, None);
    assert_eq!(first.await.expect("it does not panic"), Err(ENDING.to_owned()));
    assert_eq!(upgrader.upgrade().await, Err(ENDING.to_owned()));
}

#[test]
fn nothing_is_changed_any_more_once_the_new_process_has_been_told() {
    let upgrader = upgrader(Err(io::ErrorKind::NotFound.into()));
    for (stage, allowed) in [
        (Stage::Idle, true),
        (Stage::Starting, true),
        (Stage::Going, false),
        (Stage::Succeeded(Successor { pid: 7, kept: Vec::new() }), false),
    ] {
        upgrader.stage.send_replace(stage.clone());
        assert_eq!(upgrader.while_in_charge(|| ()).is_some(), allowed, "{stage:?}");
    }
}

#[tokio::test]
async fn who_ends_waits_for_one_that_has_been_let_go() {
    let upgrader = upgrader(Err(io::ErrorKind::NotFound.into()));
    let successor = Successor { pid: 7, kept: Vec::new() };
    for (result, expected) in [(Err("it ended".to_owned()), None), (Ok(successor.clone()), Some(successor))] {
        upgrader.stage.send_replace(Stage::Going);
        let settle = async { upgrader.settle(result) };
        let (ended, _) = tokio::join!(upgrader.end(), settle);
        assert_eq!(ended, expected);
    }
}

#[test]
fn a_program_that_knows_nothing_of_upgrades_may_end_in_its_own_way() {
    let word = std::env::temp_dir().join(format!("forebay-farewell-{}", std::process::id()));
    let script = format!("trap 'echo bye > {}; exit' TERM; while :; do sleep 0.01; done", word.display());
    let refusal = refusal(&script, Duration::from_secs(2));
    assert_eq!(refusal, "the new process did not call within 2 s");
    assert!(std::fs::remove_file(word).is_ok());
}

#[test]
fn an_answer_that_comes_with_the_end_is_heard() {
    let (old, new) = UnixStream::pair().expect("sockets can be made");
    old.set_read_timeout(Some(Duration::from_millis(1))).expect("it is not zero");
    let mut why = None;
    let mut new = Some(new);
    let failed = Answer::Failed { why: "line 3".to_owned() };
    // It answers and ends between our look at the socket and our look at the process.
    let check = || {
        if let Some(new) = new.take() {
            wire::answer(&new, &failed).expect("there is room");
        }
        Err("it ended".to_owned())
    };
    let heard = wire::read_answer(&mut Watched { stream: &old, check, why: &mut why });
    assert_eq!((heard.ok(), why.take()), (Some(Answer::Failed { why: "line 3".to_owned() }), None));
    // And if there is nothing to be heard, that is told.
    let heard = wire::read_answer(&mut Watched { stream: &old, check: || Ok(()), why: &mut why });
    assert!(heard.is_err_and(|error| error.kind() == io::ErrorKind::UnexpectedEof));
}
