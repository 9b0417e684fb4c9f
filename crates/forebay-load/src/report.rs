//! What people and machines see of a load test: pages, tables and files, made from what the run found out.
//!
//! Everything here is a function from an [`Outcome`](crate::outcome::Outcome) to text. Names in it come from
//! plans and recordings, which may be a stranger's: each form escapes them its own way, and bounds their number.

pub mod figures;
pub mod html;
pub mod json;

mod escape;
mod facts;
mod hgrm;
mod judgement;
mod junit;
mod prometheus;
#[cfg(test)]
mod synthetic;
mod text;

pub use hgrm::hgrm;
pub use junit::junit;
pub use prometheus::prometheus;
pub use text::{Ink, text};

/// Steps, errors, statuses or processes a report names one by one. Those beyond are told as a number.
pub const ROWS_MAX: usize = 250;
/// Letters of a name a report shows; a longer one ends with `…`.
pub const NAME_MAX: usize = 120;

/// A name as it may be shown on a terminal: on one line, harmless, and cut after `NAME_MAX` letters.
#[must_use]
pub fn shown(name: &str) -> String {
    escape::plain(name)
}
