//! Which route a request means.

/// When a route is meant.
#[derive(Clone, Debug, Default)]
pub struct Matcher {}

/// Finds the most specific route.
#[derive(Debug, Default)]
pub struct Router {}

/// A text with `{host}`, `{path}` and `{query}` in it.
#[derive(Clone, Debug)]
pub struct Template {}

/// A change of the target.
#[derive(Clone, Debug)]
pub struct Rewrite {}

/// Headers to remove, set and add.
#[derive(Clone, Debug, Default)]
pub struct HeaderEdits {}
