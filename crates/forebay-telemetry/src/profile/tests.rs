//! Profiles of the test itself.

use std::hint::black_box;
use std::io::Read as _;

use flate2::read::GzDecoder;

use super::*;

/// The turn and the timer are one for the process, and so is this test.
#[test]
fn one_at_a_time_names_who_burns_and_leaves_nothing_behind() {
    let turn = Turn::take(LENGTH_MAX).unwrap();
    let Err(Busy { left }) = Turn::take(Duration::from_secs(1)) else { panic!("two at a time") };
    assert!(left <= LENGTH_MAX);
    assert_eq!(turn.cpu(&AtomicBool::new(true)), Err(Error::Abandoned));

    // Until there is enough to see, however busy the machine is.
    let done = AtomicBool::new(false);
    let profile = thread::scope(|threads| {
        threads.spawn(|| burn(&done));
        let profile = Turn::take(Duration::from_secs(2)).unwrap().cpu(&AtomicBool::new(false));
        done.store(true, Ordering::Relaxed);
        profile.unwrap()
    });
    let mut text = Vec::new();
    GzDecoder::new(&profile[..]).read_to_end(&mut text).unwrap();
    let text = String::from_utf8_lossy(&text);
    for name in ["forebay_telemetry::profile::tests::burn", "nanoseconds", "std::thread"] {
        assert!(text.contains(name), "{name}");
    }
    drop(Turn::take(Duration::ZERO).unwrap());
}

#[inline(never)]
fn burn(done: &AtomicBool) {
    let mut sum = 0_u64;
    while !done.load(Ordering::Relaxed) {
        sum = black_box(sum.wrapping_mul(31).wrapping_add(7));
    }
}
