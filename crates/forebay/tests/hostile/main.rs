//! Byte streams from strangers, each with the exact answer it deserves, and proof that nobody else is harmed.
//!
//! Every row of every table runs against a gateway in front of an origin that records all it saw, between two
//! ordinary requests of a witness whose upstream connection is pooled: if a row smuggles, splits, poisons or
//! desynchronises anything, the witness gets somebody else's answer or the origin sees what nobody sent.

mod chunked;
mod framing;
mod hosts;
mod methods;
mod origins;
mod pipeline;
mod sizes;
mod slow;
mod syntax;
mod table;
mod targets;
