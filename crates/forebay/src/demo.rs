//! What `forebay demo` is made of: sample services, settings for them, traffic, and what a person sees of it.

pub(crate) mod closing;
pub(crate) mod live;
pub(crate) mod services;
pub(crate) mod settings;
pub(crate) mod traffic;

mod agreement;
mod client;
mod figures;
mod mix;
mod tally;
