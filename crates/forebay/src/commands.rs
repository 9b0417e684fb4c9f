//! What each word of the command line does.

pub mod check;
pub mod schema;

mod output;

pub use output::Output;
