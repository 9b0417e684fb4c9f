//! How long an endpoint takes, remembered so that bad news counts at once and good news slowly.

use std::time::Duration;

use forebay_base::time::Instant;

/// In this time, old latencies lose all but 1/e (37 %) of their say.
pub const DECAY: Duration = Duration::from_secs(10);

/// What is assumed of requests in flight to an endpoint that has never answered, in seconds. So much that it gets
/// hardly a second request before it has answered the first, unless the others are as slow.
const UNKNOWN: f64 = 1.0;

/// The latency of one endpoint: an exponentially weighted moving average over time that jumps to every peak and
/// sinks from it with the time constant [`DECAY`].
///
/// Tell it how long successful requests took to their first byte, and failed ones only if they took long, such as
/// time-outs: an endpoint that refuses quickly must not look like a fast one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ewma {
    /// Seconds; finite and not negative.
    latency: f64,
    /// When it was observed last.
    observed: Option<Instant>,
}

impl Ewma {
    /// A request has taken `latency`. An instant before the last one counts as that.
    pub fn observe(&mut self, now: Instant, latency: Duration) {
        let latency = latency.as_secs_f64();
        let old = self.remaining(now);
        self.latency = match self.observed {
            Some(_) if latency < self.latency => self.latency * old + latency * (1.0 - old),
            _ => latency,
        };
        self.observed = Some(self.observed.map_or(now, |last| last.max(now)));
    }

    /// What one more request would cost: how long it and the `in_flight` before it take, in seconds. Finite, not
    /// negative, and never sinks when `in_flight` grows.
    ///
    /// Those in flight count with the last known latency. The new one counts with what time has left of it, so
    /// that an endpoint that was slow is tried again after a while, but by one request, not by all. An endpoint
    /// that has never answered is tried at once when idle, and then counts as if it took a second.
    ///
    /// `in_flight` should count the requests that will be observed here: if each worker observes for itself, each
    /// should count its own.
    #[must_use]
    pub fn cost(&self, now: Instant, in_flight: u32) -> f64 {
        let in_flight = f64::from(in_flight);
        match self.observed {
            None => in_flight * UNKNOWN,
            Some(_) => self.latency * (in_flight + self.remaining(now)),
        }
    }

    /// What time has left of the last observation: from 1, just now, down to 0, long ago.
    fn remaining(&self, now: Instant) -> f64 {
        let Some(observed) = self.observed else { return 0.0 };
        let passed = now.since(observed);
        (-passed.as_secs_f64() / DECAY.as_secs_f64()).exp()
    }
}
