//! The gateway: settings, commands and the wiring of the crates below.

pub mod config;
