//! Numbers one thread writes and any thread reads: an increment is a plain add, never a locked one.
//!
//! The price is a rule: each value has a **single writer** at a time. Two threads adding to the same counter
//! lose increments (nothing worse). Every worker therefore has its own set, summed when read.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

pub use histogram::{Histogram, Snapshot};

mod histogram;

/// A count that only grows. Single writer, any reader.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// A counter at zero.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Adds one.
    #[inline]
    pub fn inc(&self) {
        self.add(1);
    }

    /// Adds `n`; wraps past 2^64.
    #[inline]
    pub fn add(&self, n: u64) {
        // One writer: a relaxed load and store compile to a plain add, where `fetch_add` would lock the bus.
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }

    /// Keeps the larger of the present value and `n`.
    #[inline]
    fn raise(&self, n: u64) {
        if n > self.get() {
            self.0.store(n, Ordering::Relaxed);
        }
    }

    /// The count so far, as any thread sees it.
    #[inline]
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A level that goes up and down. Single writer, any reader.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// A gauge at zero.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicI64::new(0))
    }

    /// Adds one.
    #[inline]
    pub fn inc(&self) {
        self.add(1);
    }

    /// Takes one away.
    #[inline]
    pub fn dec(&self) {
        self.sub(1);
    }

    /// Adds `n`.
    #[inline]
    pub fn add(&self, n: i64) {
        self.set(self.get().wrapping_add(n));
    }

    /// Takes `n` away.
    #[inline]
    pub fn sub(&self, n: i64) {
        self.set(self.get().wrapping_sub(n));
    }

    /// Replaces the level.
    #[inline]
    pub fn set(&self, level: i64) {
        self.0.store(level, Ordering::Relaxed);
    }

    /// The level now, as any thread sees it.
    #[inline]
    #[must_use]
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_adds() {
        let counter = Counter::new();
        counter.inc();
        counter.add(41);
        assert_eq!(counter.get(), 42);
    }

    #[test]
    fn a_gauge_may_go_below_zero() {
        let gauge = Gauge::new();
        gauge.inc();
        gauge.sub(3);
        assert_eq!(gauge.get(), -2);
        gauge.set(7);
        gauge.dec();
        assert_eq!(gauge.get(), 6);
    }
}
