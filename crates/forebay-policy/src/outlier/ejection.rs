//! How long an endpoint is left out, longer each time, until it has behaved.

use std::time::Duration;

use forebay_base::time::Instant;

/// The ejections of one endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ejection {
    /// How many there have been that are not forgiven.
    times: u32,
    /// When the one that goes on will end.
    until: Option<Instant>,
    /// From when on good behaviour counts.
    well_since: Option<Instant>,
}

impl Ejection {
    /// Leaves the endpoint out: the first time for `base`, the n-th in a row for n times as long, but at most for
    /// `max`. Until when. One that is out already stays out until then, and is not punished twice.
    pub fn begin(&mut self, now: Instant, base: Duration, max: Duration) -> Instant {
        if let Some(until) = self.until.filter(|until| now < *until) {
            return until;
        }
        self.times = self.times.saturating_add(1);
        let until = now + base.saturating_mul(self.times).min(max);
        self.until = Some(until);
        self.well_since = None;
        until
    }

    /// Until when the endpoint is left out; `None`: it is not. The instant may have passed: [`end`](Self::end)
    /// brings it back.
    #[must_use]
    pub fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Brings the endpoint back, because its time is over or because it has shown that it is well again. From now
    /// on good behaviour counts.
    pub fn end(&mut self, now: Instant) {
        if self.until.take().is_some() {
            self.well_since = Some(now);
        }
    }

    /// The endpoint has behaved until now. For each time as long as `base` since it came back, one ejection is
    /// forgiven; what is left of such a time counts on. Does nothing while it is out.
    pub fn well(&mut self, now: Instant, base: Duration) {
        let Some(since) = self.well_since else { return };
        let passed = now.since(since).as_nanos();
        let steps = passed.checked_div(base.as_nanos()).unwrap_or(u128::MAX);
        let steps = u32::try_from(steps).unwrap_or(u32::MAX).min(self.times);
        self.times -= steps;
        self.well_since = Some(since + base.saturating_mul(steps)).filter(|_| self.times > 0);
    }
}

/// Whether one more of `all` endpoints may be ejected when `ejected` are. At most `max_percent` of them, but one
/// always may be if there are others.
#[must_use]
pub fn may_eject(ejected: usize, all: usize, max_percent: u8) -> bool {
    let allowed = all as u128 * u128::from(max_percent.min(100));
    (ejected == 0 && all > 1) || (ejected as u128 + 1) * 100 <= allowed
}
