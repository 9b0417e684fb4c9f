//! What must hold: `p(95)<100ms`.

/// A condition on a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {}
