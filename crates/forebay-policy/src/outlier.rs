//! When an endpoint is left out because of how it treats requests.

/// Why an endpoint is ejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Connections could not be opened.
    ConnectFailures,
    /// Requests in a row failed.
    Failures,
    /// More requests failed than at its peers.
    ErrorRatio,
    /// It took longer than its peers.
    Latency,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::ConnectFailures, Self::Failures, Self::ErrorRatio, Self::Latency];

    /// One word for it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::ConnectFailures => "connect_failures",
            Self::Failures => "failures",
            Self::ErrorRatio => "error_ratio",
            Self::Latency => "latency",
        }
    }
}
