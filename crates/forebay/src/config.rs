//! From a settings file to a plan: strict, complete, every problem told at once.

mod expand;
mod nearest;
mod problems;
mod yaml;
