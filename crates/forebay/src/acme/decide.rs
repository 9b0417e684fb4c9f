//! What to do next about a certificate, from the time, the certificate there is, and what was tried before.

use super::attempts::Attempts;
use super::{Seconds, Timing};

/// From when to when a certificate is good, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) not_before: Seconds,
    pub(super) not_after: Seconds,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Ask for a certificate now.
    Issue(Why),
    /// Do nothing before then.
    Wait {
        /// When to ask.
        until: Seconds,
        /// What for.
        why: Why,
    },
}

/// Why a certificate is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// There is none for these names yet.
    Missing,
    /// It has lived for two thirds of its time.
    Renewal,
}

impl Why {
    /// For people.
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Missing => "there is none for these names yet",
            Self::Renewal => "two thirds of its life are over",
        }
    }
}

/// What to do at `now`. `jitter`, from 0 to 1, spreads renewals and retries of many gateways.
pub(super) fn next(
    now: Seconds,
    certificate: Option<Validity>,
    attempts: &Attempts,
    timing: &Timing,
    jitter: f64,
) -> Next {
    let (due, why) = match certificate {
        None => (0, Why::Missing),
        Some(validity) => (renewal(validity, jitter), Why::Renewal),
    };
    let until = due.max(attempts.earliest(timing, jitter));
    if now >= until { Next::Issue(why) } else { Next::Wait { until, why } }
}

/// Two thirds of its life after it began, and up to a fiftieth of its life later.
pub(super) fn renewal(validity: Validity, jitter: f64) -> Seconds {
    let life = validity.not_after.saturating_sub(validity.not_before);
    validity.not_before + life / 3 * 2 + spread(life / 50, jitter)
}

/// So much of `most` as `jitter` says.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share, from 0 to 1, of a number of seconds"
)]
pub(super) fn spread(most: Seconds, jitter: f64) -> Seconds {
    (most as f64 * jitter.clamp(0.0, 1.0)) as Seconds
}

#[cfg(test)]
mod tests {
    use super::super::attempts::{Failure, Kind};
    use super::*;

    const DAY: Seconds = 86_400;
    const HOUR: Seconds = 3_600;
    /// When the story begins.
    const T: Seconds = 1_800_000_000;
    const MISSING: Option<Validity> = None;
    const NINETY: Option<Validity> = Some(Validity { not_before: T, not_after: T + 90 * DAY });

    /// What was tried: how, and when after `T`.
    fn after(failures: &[(Kind, Seconds)]) -> Attempts {
        let mut attempts = Attempts::default();
        for &(kind, at) in failures {
            attempts.failed(T + at, &Failure { kind, text: "no".to_owned(), retry_after: None });
        }
        attempts
    }

    fn check(now: Seconds, certificate: Option<Validity>, failures: &[(Kind, Seconds)], expected: Next) {
        let next = next(T + now, certificate, &after(failures), &Timing::default(), 0.0);
        assert_eq!(next, expected, "{now} s after the beginning, {failures:?}");
    }

    const fn wait(until: Seconds, why: Why) -> Next {
        Next::Wait { until: T + until, why }
    }

    #[test]
    fn it_asks_when_there_is_none_and_at_two_thirds_of_the_life() {
        for (now, certificate, expected) in [
            (0, MISSING, Next::Issue(Why::Missing)),
            (0, NINETY, wait(60 * DAY, Why::Renewal)),
            (60 * DAY - 1, NINETY, wait(60 * DAY, Why::Renewal)),
            (60 * DAY, NINETY, Next::Issue(Why::Renewal)),
            // Long after its end.
            (400 * DAY, NINETY, Next::Issue(Why::Renewal)),
            // A clock that was set back.
            (0, Some(Validity { not_before: T + DAY, not_after: T + 7 * DAY }), wait(5 * DAY, Why::Renewal)),
            // What cannot be.
            (0, Some(Validity { not_before: T, not_after: 0 }), Next::Issue(Why::Renewal)),
        ] {
            check(now, certificate, &[], expected);
        }
    }

    #[test]
    fn it_waits_longer_after_every_failure() {
        use Kind::{Refused, Unreachable};
        let missing = |until| wait(until, Why::Missing);
        for (now, failures, expected) in [
            (0, &[(Refused, 0)][..], missing(60)),
            (60, &[(Refused, 0)], Next::Issue(Why::Missing)),
            (60, &[(Refused, 0), (Refused, 60)], missing(180)),
            (180, &[(Refused, 0), (Refused, 60), (Refused, 180)], missing(420)),
            // An hour may have five.
            (
                900,
                &[(Refused, 0), (Refused, 60), (Refused, 180), (Refused, 420), (Refused, 900)],
                missing(HOUR),
            ),
            // Who cannot be reached counts nothing.
            (0, &[(Unreachable, 0)], missing(5)),
            (5, &[(Unreachable, 0), (Unreachable, 5)], missing(15)),
            (15, &[(Unreachable, 0), (Unreachable, 5), (Unreachable, 15)], missing(35)),
        ] {
            check(now, MISSING, failures, expected);
        }
    }

    #[test]
    fn waits_have_an_end() {
        for (kind, most) in [(Kind::Refused, 6 * HOUR), (Kind::Unreachable, 600)] {
            let failures: Vec<_> = (0..200).map(|number| (kind, number * DAY)).collect();
            check(199 * DAY, MISSING, &failures, wait(199 * DAY + most, Why::Missing));
        }
    }

    #[test]
    fn the_word_of_the_server_holds() {
        let mut attempts = Attempts::default();
        let retry_after = Some(std::time::Duration::from_secs(2 * DAY));
        attempts.failed(T, &Failure { kind: Kind::Refused, text: String::new(), retry_after });
        let next = next(T + DAY, NINETY, &attempts, &Timing::default(), 0.0);
        assert_eq!(next, wait(60 * DAY, Why::Renewal));
        assert_eq!(attempts.earliest(&Timing::default(), 0.0), T + 2 * DAY);
    }

    #[test]
    fn it_never_asks_more_than_five_times_an_hour_whatever_happens() {
        let (timing, mut attempts, mut asked) = (Timing::default(), Attempts::default(), Vec::new());
        let mut now = T;
        while now < T + 3 * DAY {
            match next(now, MISSING, &attempts, &timing, 0.5) {
                Next::Wait { until, .. } => now = until,
                Next::Issue(_) => {
                    asked.push(now);
                    attempts.failed(
                        now,
                        &Failure { kind: Kind::Refused, text: String::new(), retry_after: None },
                    );
                    // Somebody reloads again and again.
                    attempts.hurry();
                }
            }
        }
        for window in asked.windows(6) {
            assert!(window[5] - window[0] >= HOUR, "{window:?}");
        }
        assert!(asked.len() > 3 * 24, "but it goes on asking: {}", asked.len());
    }

    #[test]
    fn many_gateways_do_not_all_ask_at_once() {
        let validity = NINETY.expect("it is there");
        assert_eq!(renewal(validity, 0.0), T + 60 * DAY);
        assert_eq!(renewal(validity, 1.0), T + 60 * DAY + 90 * DAY / 50);
        assert_eq!(renewal(validity, 7.0), renewal(validity, 1.0));
    }
}
