//! Values that come from files, one row for each run of a scenario.

/// A file's rows.
#[derive(Clone, Debug)]
pub struct Feeder {}
