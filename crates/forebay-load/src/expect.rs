//! What an answer must be like.

/// One condition.
#[derive(Clone, Debug)]
pub enum Expect {}
