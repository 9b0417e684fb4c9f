//! Deciders: pure state machines that are handed time, loads and chance as values.
//!
//! How they fit together when a request looks for an endpoint of a service:
//!
//! 1. [`health`] and [`outlier`] say of each endpoint whether it is usable;
//! 2. [`select`](mod@select) makes of that, of weights and priorities, and of slow start, who may be picked with
//!    which weight;
//! 3. one of [`balance`] picks among those for each request;
//! 4. [`read_after_write`] says before all that whether a request that reads has to go where the writes go.
//!
//! None has a clock, a socket, a lock or a source of chance: `now` is an argument, and chance follows from a seed.
//! Whatever they are given, they do not panic, and what they keep is bounded.

pub mod balance;
pub mod health;
pub mod outlier;
pub mod read_after_write;
pub mod select;
