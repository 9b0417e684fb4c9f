//! Origins that break the protocol, hang or vanish: what the client sees of it, and that the next one sees
//! nothing of it.

mod answers;
mod timing;
