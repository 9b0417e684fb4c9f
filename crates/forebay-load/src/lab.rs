//! What is started, watched and broken while load is on.

use serde::{Deserialize, Serialize};

/// What to do besides sending.
#[derive(Clone, Debug, Default)]
pub struct Lab {}

/// What was seen.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LabOutcome {}
