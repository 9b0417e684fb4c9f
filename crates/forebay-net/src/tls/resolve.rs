//! Which certificate is shown to whom.
