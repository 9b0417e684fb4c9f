//! When the whole server stalls or is gone.

use std::time::{Duration, Instant};

/// From `from` on for `length`, both after the first request was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its beginning.
    pub from: Duration,
    /// Its length.
    pub length: Duration,
}

impl Span {
    /// From `from` on for `length`.
    #[must_use]
    pub const fn new(from: Duration, length: Duration) -> Self {
        Self { from, length }
    }
}

/// Stalls and outages on a clock that starts with the first request.
#[derive(Debug)]
pub(super) struct Schedule {
    stalls: Vec<Span>,
    outages: Vec<Span>,
    started: Option<Instant>,
}

impl Schedule {
    pub(super) fn new(stalls: Vec<Span>, outages: Vec<Span>) -> Self {
        Self { stalls, outages, started: None }
    }

    /// The first request's instant; starts the clock if this is it.
    pub(super) fn start(&mut self, now: Instant) -> Instant {
        *self.started.get_or_insert(now)
    }

    /// When the stall ends that `now` lies in.
    pub(super) fn stalled_until(&self, now: Instant) -> Option<Instant> {
        self.end(&self.stalls, now)
    }

    /// Whether `now` lies in an outage.
    pub(super) fn is_out(&self, now: Instant) -> bool {
        self.end(&self.outages, now).is_some()
    }

    /// The next instant after `now` at which anything begins or ends.
    pub(super) fn next_change(&self, now: Instant) -> Option<Instant> {
        let started = self.started?;
        let spans = self.stalls.iter().chain(&self.outages);
        let changes = spans.flat_map(|span| [started + span.from, started + span.from + span.length]);
        changes.filter(|change| *change > now).min()
    }

    fn end(&self, spans: &[Span], now: Instant) -> Option<Instant> {
        let since = now.checked_duration_since(self.started?)?;
        let within = |span: &&Span| span.from <= since && since < span.from + span.length;
        let span = spans.iter().find(within)?;
        Some(now + (span.from + span.length - since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_starts_with_the_first_request() {
        let second = Duration::from_secs(1);
        let mut schedule =
            Schedule::new(vec![Span::new(second, second)], vec![Span::new(second * 3, second)]);
        let start = Instant::now();
        assert_eq!((schedule.next_change(start), schedule.stalled_until(start + second)), (None, None));
        schedule.start(start);
        schedule.start(start + second);
        assert_eq!(schedule.next_change(start), Some(start + second));
        assert_eq!(schedule.stalled_until(start + second), Some(start + second * 2));
        assert_eq!(schedule.stalled_until(start + second * 2), None);
        assert!(schedule.is_out(start + second * 3));
        assert!(!schedule.is_out(start + second * 4));
    }
}
