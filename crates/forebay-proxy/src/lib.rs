//! The request path: which route, which endpoint, what goes in and what comes out. Start at `pipeline.rs`.

mod census;
mod connection;
mod date;
mod exchange;
mod forward;
pub mod gateway;
pub mod health;
mod heads;
mod pipeline;
pub mod plan;
mod recording;
pub mod refusal;
mod respond;
pub mod route;
pub mod supervisor;
pub mod upstream;
mod worker;
