//! Deciders: pure state machines that are handed time, loads and chance as values.

pub mod balance;
pub mod health;
pub mod outlier;
