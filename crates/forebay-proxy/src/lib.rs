//! The request path: which route, which endpoint, what goes in and what comes out. Start at `pipeline.rs`.

mod census;
pub mod challenge;
mod client;
mod connection;
mod cookie;
mod date;
pub mod discovery;
mod exchange;
mod forward;
pub mod gateway;
mod grpc;
mod heads;
pub mod health;
mod http3;
mod multiplexed;
mod pipeline;
pub mod plan;
mod recording;
pub mod refusal;
mod respond;
pub mod route;
pub mod split;
pub mod supervisor;
mod upgrade;
mod upstream;
mod welcome;
mod worker;
