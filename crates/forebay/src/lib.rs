//! The gateway: settings, commands and the wiring of the crates below.

pub mod acme;
pub mod admin;
pub mod app;
pub mod cli;
pub mod commands;
pub mod config;
pub mod load;

mod demo;
