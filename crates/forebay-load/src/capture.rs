//! What a step takes from an answer for later ones.

/// A value to take.
#[derive(Clone, Debug)]
pub struct Capture {
    /// What templates call it.
    pub name: String,
}
