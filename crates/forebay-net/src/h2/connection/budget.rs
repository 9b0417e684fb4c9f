//! How much work without worth the other side may make: a count that rises with it and falls with time and with
//! requests served.

use std::time::Duration;

use forebay_base::time::Instant;

/// A whole budget is forgiven in this time, bit by bit: what a quiet connection does now and then adds up to nothing.
const FORGIVEN_IN: Duration = Duration::from_secs(60);

/// Excuses are not saved up beyond this.
const EXCUSES_MAX: u32 = 1_000;

/// What a request excuses: a window update, a ping, a priority.
const EXCUSED_BY_REQUEST: u32 = 4;

/// What a frame of body we send excuses: window updates for stream and connection, a ping to measure the way.
const EXCUSED_BY_DATA: u32 = 4;

/// What the count says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Go on.
    Fine,
    /// Three quarters are used: finish what has begun, on a new connection please.
    Leave,
    /// All of it is used.
    Close,
}

/// The count for one connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    max: u32,
    glitches: u32,
    /// Small frames that are expected, for what has been sent and asked for.
    excuses: u32,
    /// Time up to which has been forgiven.
    forgiven: Instant,
}

impl Budget {
    pub(crate) const fn new(max: u32, now: Instant) -> Self {
        Self { max, glitches: 0, excuses: EXCUSED_BY_REQUEST, forgiven: now }
    }

    pub(super) const fn glitches(&self) -> u32 {
        self.glitches
    }

    /// A request has come that will be served.
    pub(super) fn asked(&mut self) {
        self.excuse(EXCUSED_BY_REQUEST);
    }

    /// A frame of body has been sent.
    pub(super) fn sent(&mut self) {
        self.excuse(EXCUSED_BY_DATA);
    }

    /// A request has been answered, and both sides are done with it.
    pub(crate) fn served(&mut self) {
        self.glitches = self.glitches.saturating_sub(1);
    }

    fn excuse(&mut self, n: u32) {
        self.excuses = (self.excuses + n).min(EXCUSES_MAX);
    }

    /// A frame that traffic brings along, in proportion.
    pub(super) fn small(&mut self, now: Instant) -> Verdict {
        if self.excuses > 0 {
            self.excuses -= 1;
            return Verdict::Fine;
        }
        self.glitch(now)
    }

    /// A frame, or a fault, that made work and brought nothing.
    pub(crate) fn glitch(&mut self, now: Instant) -> Verdict {
        self.forgive(now);
        self.glitches = self.glitches.saturating_add(1);
        if self.glitches > self.max {
            Verdict::Close
        } else if u64::from(self.glitches) * 4 >= u64::from(self.max) * 3 {
            Verdict::Leave
        } else {
            Verdict::Fine
        }
    }

    fn forgive(&mut self, now: Instant) {
        let each = FORGIVEN_IN / self.max.max(1);
        let times = now.since(self.forgiven).as_nanos() / each.as_nanos().max(1);
        let times = u32::try_from(times).unwrap_or(u32::MAX);
        self.glitches = self.glitches.saturating_sub(times);
        self.forgiven = if times >= self.max { now } else { self.forgiven + each * times };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn three_quarters_ask_to_leave_and_more_than_all_closes() {
        let mut budget = Budget::new(100, at(0));
        let verdicts: Vec<_> = (0..101).map(|_| budget.glitch(at(0))).collect();
        assert_eq!(verdicts.iter().filter(|v| **v == Verdict::Fine).count(), 74);
        assert_eq!(
            (verdicts[74], verdicts[99], verdicts[100]),
            (Verdict::Leave, Verdict::Leave, Verdict::Close)
        );
    }

    #[test]
    fn time_and_served_requests_forgive() {
        let mut budget = Budget::new(60, at(0));
        for second in 0..10_000 {
            assert_eq!(budget.glitch(at(second)), Verdict::Fine);
        }
        for _ in 0..10_000 {
            assert_eq!(budget.glitch(at(10_000)), Verdict::Fine);
            budget.served();
        }
    }

    #[test]
    fn excuses_are_used_up_before_the_budget() {
        let mut budget = Budget::new(10, at(0));
        budget.sent();
        for _ in 0..EXCUSED_BY_DATA + EXCUSED_BY_REQUEST {
            assert_eq!(budget.small(at(0)), Verdict::Fine);
        }
        assert_eq!(budget.glitches(), 0);
        budget.small(at(0));
        assert_eq!(budget.glitches(), 1);
    }
}
