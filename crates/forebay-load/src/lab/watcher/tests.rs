//! What is added up, and what is left out.

use super::*;

fn stage(seconds: u64, warmup: bool) -> Stage {
    Stage { name: String::new(), length: Duration::from_secs(seconds), from: 1.0, to: 1.0, warmup }
}

fn reading(cpu_ms: u64, memory: u64) -> Reading {
    Reading { cpu: Duration::from_millis(cpu_ms), memory, threads: memory / 10, descriptors: 3 }
}

fn watcher(stages: &[Stage]) -> Watcher {
    let lab = super::super::Lab::default();
    let cast = Cast::start(&lab, &std::sync::atomic::AtomicBool::new(false)).expect("it is empty");
    let mut watcher = Watcher::find(&[], &cast, stages).expect("we are here");
    watcher.begin();
    watcher
}

#[test]
fn it_looks_each_second_and_where_stages_end() {
    let mut watcher =
        watcher(&[stage(1, true), Stage { length: Duration::from_millis(1_500), ..stage(0, false) }]);
    let mut times = Vec::new();
    for _ in 0..5 {
        watcher.last = watcher.next();
        times.push(watcher.last.as_millis());
    }
    assert_eq!(times, [1_000, 2_000, 2_500, 3_000, 4_000]);
}

#[test]
fn usage_is_counted_by_stage() {
    let second = Duration::from_secs(1);
    let mut seen = Seen { stages: vec![Usage::default(); 2], ..Seen::new("api", Of::Port(1)) };
    for (index, (stage, cpu_ms, memory)) in (1..).zip([(0, 500, 50), (0, 700, 40), (1, 1_700, 90)]) {
        let reading = reading(cpu_ms, memory);
        if index > 1 {
            seen.count(stage, second, &reading);
        }
        seen.point(second * index, Some(reading));
        seen.before = Some(reading);
    }
    seen.point(second * 4, None);
    let watched = seen.finish(&[stage(2, true), stage(10, false)]);
    let [first, last] = &watched.stages[..] else { panic!("there are two stages") };
    assert_eq!((first.seen, first.cpu, first.memory_min), (second, Duration::from_millis(200), 40));
    assert_eq!((last.cores(), last.cores_max, last.memory_max, last.threads_max), (1.0, 1.0, 90, 9));
    assert_eq!(last.cpu_per(1_000), Some(Duration::from_millis(1)));
    assert_eq!((last.cpu_per(0), Usage::default().cpu_per(5), Usage::default().cores()), (None, None, 0.0));
    let cores: Vec<f64> = watched.curve.iter().map(|sample| sample.cores).collect();
    assert_eq!(cores, [0.5, 0.2, 1.0, 0.0]);
    assert_eq!(watched.curve[3].memory, 0);
}

#[test]
fn only_judged_stages_since_the_last_start_say_whether_memory_grows() {
    let sample = |second: u64, memory| Sample { at_ms: second * 1_000, memory, ..Sample::default() };
    let curve: Vec<Sample> =
        (1..=20).map(|second| sample(second, if second == 12 { 0 } else { second })).collect();
    let stages = [stage(10, true), stage(5, false), stage(2, true)];
    let seconds: Vec<f64> = judged(&curve, &stages).into_iter().map(|(at, _)| at).collect();
    assert_eq!(seconds, [13.0, 14.0, 15.0]);
}

#[cfg(target_os = "linux")]
#[test]
fn the_generator_is_always_watched() {
    let mut watcher = watcher(&[stage(1, false)]);
    let cast = Cast::start(&super::super::Lab::default(), &std::sync::atomic::AtomicBool::new(false));
    watcher.look(Duration::from_secs(1), &cast.expect("it is empty"));
    let (watched, notes) = watcher.finish();
    assert_eq!((watched.len(), watched[0].name.as_str(), notes.len()), (1, GENERATOR, 0));
    let usage = &watched[0].stages[0];
    assert!(usage.memory_max > 1 << 20 && usage.threads_max > 0 && usage.descriptors_max > 0, "{usage:?}");
    assert_eq!(usage.seen, Duration::from_secs(1));
}

#[test]
fn what_is_not_there_cannot_be_watched() {
    let lab = super::super::Lab::default();
    let cast = Cast::start(&lab, &std::sync::atomic::AtomicBool::new(false)).expect("it is empty");
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let port = port.expect("loopback has ports").port();
    for of in [Of::Pid(u32::MAX), Of::Process("api".to_owned()), Of::Port(port)] {
        let watch = [Watch { name: "api".to_owned(), of, profile: None }];
        let error = Watcher::find(&watch, &cast, &[]).expect_err("it is not there").to_string();
        assert!(error.contains("cannot watch `api`"), "{error}");
    }
}
