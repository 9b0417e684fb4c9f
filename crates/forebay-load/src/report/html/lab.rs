//! What the lab saw: faults and recoveries, what processes used, and where their time and memory went.

use super::super::facts::Facts;

/// The sections; empty when there was nothing to see.
pub(super) fn section(_facts: &Facts<'_>) -> String {
    String::new()
}
