//! Attacks on protocols, as they are known by name: each has a ceiling on the memory and the processor time it costs,
//! and two clients that behave are served throughout.
//!
//! Processor time is counted in requests served, measured with the same binary just before.

mod bombs;
mod floods;
mod raw;
mod scene;
mod schemes;
mod stalls;
mod tls;
