//! Pick the next endpoint of a service.
//!
//! Endpoints are indices from 0; weights are shares relative to each other, at least 1 each.

mod bounded;
mod ewma;
mod hash;
mod least_loaded;
mod lots;
mod parts;
mod peak_ewma;
mod ring;
mod round_robin;
#[cfg(test)]
mod tests;

pub use bounded::bounded;
pub use ewma::{DECAY, Ewma};
pub use hash::stable_hash;
pub use least_loaded::LeastLoaded;
pub use parts::Parts;
pub use peak_ewma::PeakEwma;
pub use ring::Ring;
pub use round_robin::RoundRobin;
