//! Pick the next endpoint of a service.
//!
//! Endpoints are indices from 0; weights are shares relative to each other, at least 1 each.

mod least_loaded;
mod round_robin;
#[cfg(test)]
mod tests;

pub use least_loaded::LeastLoaded;
pub use round_robin::RoundRobin;
