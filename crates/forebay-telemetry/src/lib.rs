//! Placeholder first line.
