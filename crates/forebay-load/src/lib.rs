//! A load tester that cannot lie: what is sent, when, what came of it, and how sure one can be.

pub mod answer;
pub mod base64;
pub mod capture;
pub mod expect;
pub mod feeder;
pub mod hdr;
pub mod json_path;
pub mod lab;
pub mod outcome;
pub mod plan;
pub mod recording;
pub mod pprof;
pub mod scope;
pub mod stats;
pub mod template;
pub mod threshold;
pub mod verdict;
