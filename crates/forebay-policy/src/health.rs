//! Whether an endpoint is well, from the results of checks.

/// What checks amount to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Nothing is known yet.
    #[default]
    Unchecked,
    /// It is well.
    Up,
    /// It is not.
    Down,
}
