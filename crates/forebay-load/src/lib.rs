//! A load tester that cannot lie: what is sent, when, what came of it, and how sure one can be.

use forebay_base::base64;

pub mod answer;
mod arrival;
pub mod capacity;
pub mod capture;
mod client;
pub mod compare;
mod dial;
pub mod expect;
pub mod feeder;
pub mod hdr;
pub mod import;
pub mod json_path;
pub mod lab;
mod lanes;
pub mod outcome;
mod pacer;
pub mod plan;
pub mod pprof;
mod prepare;
mod recorder;
pub mod recording;
pub mod report;
pub mod run;
pub mod scope;
mod session;
pub mod stats;
pub mod template;
pub mod threshold;
mod usage;
pub mod verdict;
mod websocket;
mod window;
mod worker;
