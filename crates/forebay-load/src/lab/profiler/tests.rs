//! When profiles are taken, and what becomes of a bad one.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

use super::*;

fn stage(seconds: u64, warmup: bool) -> Stage {
    Stage { name: String::new(), length: Duration::from_secs(seconds), from: 1.0, to: 1.0, warmup }
}

/// Stage, target, begin and seconds of each.
fn check(stages: &[Stage], targets: usize, expected: &[(usize, usize, u64, Option<u64>)]) {
    let takes: Vec<_> = schedule(stages, targets)
        .into_iter()
        .map(|take| (take.stage, take.target, take.at.as_secs(), take.seconds))
        .collect();
    assert_eq!(takes, expected);
}

#[test]
fn the_steady_part_of_each_judged_stage_is_profiled() {
    check(&[stage(10, true), stage(20, false)], 1, &[(1, 0, 14, Some(15))]);
    check(&[stage(300, false), stage(300, false)], 1, &[(0, 0, 10, Some(30)), (1, 0, 310, Some(30))]);
}

#[test]
fn targets_take_turns() {
    check(&[stage(40, false)], 2, &[(0, 0, 8, Some(15)), (0, 1, 24, Some(15))]);
}

#[test]
fn a_short_stage_has_no_room_for_a_profile() {
    check(&[stage(3, false)], 1, &[(0, 0, 0, None)]);
    check(&[stage(3, false)], 0, &[]);
}

#[test]
fn a_profile_that_is_late_is_shortened_or_left_out() {
    let url = Url::parse("http://127.0.0.1:1").expect("it is one");
    let target = Target { name: "api".to_owned(), url };
    let until = Duration::from_secs(20);
    let take = Take { target: 0, stage: 0, at: Duration::from_secs(4), until, seconds: Some(15) };
    let at =
        |seconds| cpu(&target, &take, Duration::from_secs(seconds), 1, &AtomicBool::new(false)).unwrap_err();
    assert!(at(10).contains("seconds=9"), "{}", at(10));
    assert!(at(18).contains("make the stage longer"), "{}", at(18));
}

#[test]
fn a_cpu_profile_that_is_not_served_is_told_and_a_heap_profile_is_not() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let target = Target { name: "api".to_owned(), url: Url::parse(&url).expect("it is one") };
    let server = thread::spawn(move || {
        for stream in listener.incoming().take(2) {
            let mut stream = stream.expect("the client comes");
            let mut lines = BufReader::new(stream.try_clone().expect("a socket has copies")).lines();
            assert!(lines.any(|line| line.is_ok_and(|line| line.is_empty())), "the head ends");
            stream.write_all(b"HTTP/1.1 404 No\r\n\r\n").expect("the client reads");
        }
    });
    let until = Duration::from_secs(20);
    let take = Take { target: 0, stage: 0, at: Duration::ZERO, until, seconds: Some(15) };
    let stop = AtomicBool::new(false);
    let told = cpu(&target, &take, Duration::ZERO, pprof::RAW_MAX, &stop).unwrap_err();
    assert!(told.contains("enable profiles there"), "{told}");
    assert!(heaps(&[target], Part::Begin, &stop).is_empty());
    server.join().expect("the server does not panic");
}

#[test]
fn bytes_that_are_no_profile_are_kept_with_the_reason() {
    let kept = captured(CapturedKind::Heap, Part::End, "x".to_owned(), Ok(b"<html>".to_vec()));
    assert_eq!((kept.raw.as_slice(), kept.flame), (&b"<html>"[..], None));
    assert!(kept.error.is_some_and(|why| why.contains("no profile that can be read")));
    let failed = captured(CapturedKind::Cpu, Part::Stage(1), "x".to_owned(), Err("gone".to_owned()));
    assert_eq!((failed.raw.len(), failed.error.as_deref()), (0, Some("gone")));
}

#[test]
fn profiles_of_a_run_are_bounded_and_that_is_said() {
    let stages = vec![stage(20, false); 60];
    assert_eq!((schedule(&stages, 2).len(), schedule(&stages, 1).len()), (PROFILES_MAX, 60));
    assert!(left_out(&stages, 2).is_some_and(|why| why.contains("100 of 120")));
    assert_eq!(left_out(&stages, 1), None);
}
