//! Drives an HTTP/2 connection over a link, and gives out its streams.
//!
//! One task per connection drives it: it reads, has the rules applied, writes, and keeps the deadlines. Streams are used
//! from other tasks of the same thread; what they send is gathered, and written by the driver in one go once they have
//! had their turn. A borrow of the shared state never lives across a wait.

mod client;
mod driver;
mod handle;
mod server;
mod state;

#[cfg(test)]
mod tests;

pub use client::Client;
pub use server::{Incoming, LentHead, Server};
