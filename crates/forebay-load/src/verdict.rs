//! What came of a run: pass, fail, inconclusive, or invalid.

use serde::{Deserialize, Serialize};

/// What came of a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Verdict {}
