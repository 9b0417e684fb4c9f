//! What happened, counted and written down: metrics, histograms, access log, operator log.
//!
//! Workers count into memory only they write (`stats`); the control plane sums it when somebody asks
//! (`exposition`, `summary`). Nothing here takes a lock or makes a system call on the request path.

pub mod access;
pub mod exposition;
pub mod log;
pub mod metric;
pub mod process;
pub mod profile;
pub mod recording;
pub mod rfc3339;
pub mod stats;
pub mod summary;

mod collect;
mod escape;
mod writer;
