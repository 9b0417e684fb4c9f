//! What is due when, without a clock.

use forebay_base::seed::Random;

use super::*;
use crate::health::Speech;
use crate::plan::{Check, Health};

const START: Instant = Instant::from_nanos(1_000_000_000_000);
const NONE: [u64; 0] = [];

fn target(id: u64) -> Target {
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 80)).into();
    let health = Arc::new(Health::new(Check::Tcp));
    let (host, name, speech) = ("app".into(), "app".into(), Speech::default());
    Target { service: "app".into(), address, host, name, health, speech, id }
}

fn targets(ids: impl IntoIterator<Item = u64>) -> Vec<Target> {
    ids.into_iter().map(target).collect()
}

fn at(millis: u64) -> Instant {
    START + Duration::from_millis(millis)
}

fn take_all(schedule: &mut Schedule, now: Instant) -> Vec<u64> {
    let mut ids: Vec<u64> =
        std::iter::from_fn(|| schedule.take_due(now)).map(|(target, _)| target.id).collect();
    ids.sort_unstable();
    ids
}

#[test]
fn new_targets_are_due_at_once_and_once_only() {
    let mut schedule = Schedule::default();
    assert_eq!(schedule.update(targets(0..3), START), NONE);
    assert_eq!(take_all(&mut schedule, START), [0, 1, 2]);
    assert_eq!(schedule.update(targets(0..3), at(1)), NONE);
    assert_eq!(take_all(&mut schedule, at(100_000)), NONE, "a probe of theirs is under way");
    assert_eq!(schedule.unchecked(), 3);
}

#[test]
fn many_new_targets_are_spread_over_a_moment() {
    let mut schedule = Schedule::default();
    schedule.update(targets(0..1_256), START);
    assert_eq!(take_all(&mut schedule, START).len(), 257);
    assert_eq!(take_all(&mut schedule, at(500)).len(), 500);
    assert_eq!(take_all(&mut schedule, at(999)).len(), 499);
}

#[test]
fn the_next_check_is_due_after_its_delay() {
    let mut schedule = Schedule::default();
    schedule.update(targets([7]), START);
    assert_eq!(take_all(&mut schedule, START), [7]);
    schedule.checked(7, Some(Duration::from_millis(250)), at(10));
    assert_eq!((schedule.unchecked(), schedule.next_due()), (0, Some(at(260))));
    assert_eq!(take_all(&mut schedule, at(259)), NONE);
    assert_eq!(
        schedule.take_due(at(300)).map(|(target, late)| (target.id, late)),
        Some((7, Duration::from_millis(40)))
    );
}

#[test]
fn what_stays_keeps_its_place_and_what_goes_is_forgotten() {
    let mut schedule = Schedule::default();
    schedule.update(targets([1, 2, 3]), START);
    take_all(&mut schedule, START);
    schedule.checked(1, Some(Duration::from_secs(1)), START);
    schedule.checked(2, Some(Duration::from_secs(1)), START);
    let mut gone = schedule.update(targets([1, 4]), at(1));
    gone.sort_unstable();
    assert_eq!((gone, schedule.unchecked()), (vec![2, 3], 1));
    assert_eq!(take_all(&mut schedule, at(1)), [4]);
    // The check of what has gone ends too late to matter.
    schedule.checked(3, Some(Duration::ZERO), at(2));
    assert_eq!(take_all(&mut schedule, at(1_000)), [1]);
}

#[test]
fn a_check_that_came_to_nothing_leaves_its_target_unchecked() {
    let mut schedule = Schedule::default();
    schedule.update(targets([1]), START);
    take_all(&mut schedule, START);
    schedule.postpone(1, Duration::from_secs(1), START);
    assert_eq!((schedule.unchecked(), take_all(&mut schedule, at(1_000))), (1, vec![1]));
}

#[test]
fn what_is_never_to_be_checked_again_is_dropped() {
    let mut schedule = Schedule::default();
    schedule.update(targets([1]), START);
    take_all(&mut schedule, START);
    schedule.checked(1, None, START);
    assert_eq!((schedule.len(), schedule.unchecked(), schedule.next_due()), (0, 0, None));
}

#[test]
fn no_delay_makes_a_busy_loop() {
    let mut schedule = Schedule::default();
    schedule.update(targets([1]), START);
    take_all(&mut schedule, START);
    schedule.checked(1, Some(Duration::ZERO), START);
    assert_eq!(take_all(&mut schedule, START), NONE);
}

/// However targets come, go and are checked: never two checks of one at a time, none forgotten, and the heap
/// stays in proportion.
#[test]
fn churn_neither_doubles_nor_forgets() {
    for seed in 0..20 {
        let mut random = Random::from_seed(seed);
        let mut schedule = Schedule::default();
        let mut present = std::collections::BTreeSet::new();
        let mut running = std::collections::BTreeSet::new();
        let mut now = START;
        for _ in 0..2_000 {
            now = now + Duration::from_millis(random.below(50));
            match random.below(8) {
                0 => {
                    present = (0..random.below(60)).map(|_| random.below(100)).collect();
                    for gone in schedule.update(targets(present.iter().copied()), now) {
                        running.remove(&gone);
                    }
                }
                1..4 => {
                    if let Some((target, _)) = schedule.take_due(now) {
                        assert!(present.contains(&target.id), "seed {seed}: {} has gone", target.id);
                        assert!(running.insert(target.id), "seed {seed}: two checks of {}", target.id);
                    }
                }
                _ => {
                    if let Some(id) = running.pop_first() {
                        schedule.checked(id, Some(Duration::from_millis(random.below(2_000))), now);
                    }
                }
            }
            assert!(schedule.heap.len() <= 2 * 100, "seed {seed}: {} in the heap", schedule.heap.len());
        }
        for id in std::mem::take(&mut running) {
            schedule.checked(id, Some(Duration::ZERO), now);
        }
        let all: Vec<u64> = present.into_iter().collect();
        assert_eq!(take_all(&mut schedule, now + Duration::from_secs(3)), all, "seed {seed}");
    }
}

#[test]
fn a_hundred_thousand_targets_fit() {
    let mut schedule = Schedule::default();
    schedule.update(targets(0..100_000), START);
    let mut now = START;
    let mut checks = 0;
    for _ in 0..40 {
        now = now + Duration::from_millis(100);
        for id in take_all(&mut schedule, now) {
            checks += 1;
            schedule.checked(id, Some(Duration::from_secs(2)), now);
        }
    }
    assert_eq!((checks, schedule.unchecked(), schedule.heap.len()), (200_000, 0, 100_000));
}
