//! The control plane's knowledge of every endpoint: which there are, which may be picked, and why not.
//!
//! One place decides, whatever the news: settings, names and files, health checks, failing requests, operators,
//! and time itself. Each change is published to the workers as a new roster of the service. No socket and no
//! clock in here.

mod view;

use std::net::SocketAddr;
use std::time::Duration;

use forebay_base::time::Instant;
use forebay_telemetry::stats::ServiceNumbers;

use crate::plan::Plan;
pub use view::{
    Answer, CheckView, EndpointView, Found, Out, Reason, ServiceView, Source, SourceView, Steer, SteerError,
    Target,
};

/// Most endpoints of one service, from all its sources.
pub const ENDPOINTS_MAX: usize = 1_000;

/// See the module.
#[derive(Debug, Default)]
pub struct Supervisor {}

impl Supervisor {
    /// Takes over a new plan: services and endpoints that stay keep all that is known of them.
    pub fn reconcile(&self, plan: &Plan, now: Instant) {
        let _ = (plan, now);
    }

    /// A name or file of `service` was asked.
    pub fn discovered(&self, service: &str, source: &Source, answer: Answer, now: Instant) {
        let _ = (service, source, answer, now);
    }

    /// Every endpoint that is to be checked now.
    #[must_use]
    pub fn targets(&self) -> Vec<Target> {
        Vec::new()
    }

    /// A check of `target` has ended; `Err` says what it met. Returns when to check again; `None`: never, for
    /// the endpoint is gone, or is checked in another way now.
    pub fn checked(&self, target: &Target, result: Result<(), Box<str>>, now: Instant) -> Option<Duration> {
        let _ = (target, result, now);
        None
    }

    /// Waits until `targets` may have changed. Missed changes count: it returns at once after one.
    pub async fn targets_changed(&self) {
        std::future::pending().await
    }

    /// An operator's wish.
    ///
    /// # Errors
    /// There is no such endpoint.
    pub fn steer(
        &self,
        service: &str,
        endpoint: SocketAddr,
        steer: Steer,
        now: Instant,
    ) -> Result<(), SteerError> {
        let _ = (service, endpoint, steer, now);
        Err(SteerError::NoService(Vec::new()))
    }

    /// Adds an endpoint at run time; it stays through reloads, until it is removed or the process ends.
    ///
    /// # Errors
    /// It cannot be added; the error says why.
    pub fn add(&self, service: &str, found: Found, now: Instant) -> Result<(), SteerError> {
        let _ = (service, found, now);
        Err(SteerError::NoService(Vec::new()))
    }

    /// Removes an endpoint that was added at run time. Requests in flight finish.
    ///
    /// # Errors
    /// There is none, or it came from elsewhere.
    pub fn remove(&self, service: &str, endpoint: SocketAddr, now: Instant) -> Result<(), SteerError> {
        let _ = (service, endpoint, now);
        Err(SteerError::NoService(Vec::new()))
    }

    /// Every service in the order of the settings.
    #[must_use]
    pub fn view(&self, now: Instant) -> Vec<ServiceView> {
        let _ = now;
        Vec::new()
    }

    /// One service.
    #[must_use]
    pub fn service(&self, service: &str, now: Instant) -> Option<ServiceView> {
        let _ = (service, now);
        None
    }

    /// What metrics show of every service.
    #[must_use]
    pub fn numbers(&self) -> Vec<ServiceNumbers> {
        Vec::new()
    }
}
