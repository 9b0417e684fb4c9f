//! Tools with no domain word in them: time as a value, units, settings problems.

pub mod base64;
pub mod nearest;
pub mod problem;
pub mod seed;
pub mod time;
pub mod units;
