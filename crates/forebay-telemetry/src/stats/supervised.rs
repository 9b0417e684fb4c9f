//! What the control plane knows of services and endpoints, as numbers for a scrape.

/// A service at a moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServiceNumbers {
    /// Its name.
    pub service: Box<str>,
    /// Too few endpoints are usable, so all are used.
    pub panic: bool,
    /// Requests that wait because every endpoint has as many as it may.
    pub waiting: u64,
    /// Names and files that lead to endpoints: how many have a fresh answer, how many do not.
    pub sources: (u64, u64),
    /// Answers of names and files so far: good, failed.
    pub lookups: (u64, u64),
    /// Its endpoints.
    pub endpoints: Vec<EndpointNumbers>,
}

/// An endpoint at a moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EndpointNumbers {
    /// Where it is.
    pub address: Box<str>,
    /// Nothing keeps it out.
    pub up: bool,
    /// Why it is out: `disabled`, `drained`, `unhealthy`, `unchecked`, `ejected`; or `up`, `ramping`.
    pub state: &'static str,
    /// Its share of the service's picks, 0 to 1.
    pub share: f64,
    /// Health checks so far: passed, failed. `None`: it is not checked.
    pub checks: Option<(u64, u64)>,
    /// Ejections so far, by cause.
    pub ejections: Vec<(&'static str, u64)>,
}
