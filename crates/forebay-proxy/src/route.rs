//! Which route a request means, and how a route changes a request.
//!
//! # What a `match` says
//! The short form is `[METHOD ]host/path`. Several methods are parted by commas. The host is exact, or
//! `*.example.com` for every name below `example.com` at any depth, or empty or `*` for any. The path is
//! case-sensitive and counts in canonical form; between its slashes stand
//! - literal text,
//! - text with `*` in it for any run of characters of that segment (`/img/*.png`, `/a/*/c`),
//! - `{name}` for a whole segment that is not empty,
//! - `**` for any number of whole segments, none included; once per path (`/a/**` matches `/a`, `/a/`, `/a/b/c`),
//! - `*` at the very end for anything that follows, slashes included (`/api/*` matches `/api/` and
//!   `/api/a/b` but not `/api`; `/api*` matches `/api`, `/apis` and `/api/a`).
//!
//! The long form adds conditions on headers and query parameters.
//!
//! # Which route wins
//! Of all routes that match, the most specific. Never the position in the file. In this order:
//! 1. Host: exact, then the longer `*.` suffix, then the shorter, then any.
//! 2. Path, segment by segment from the left: literal, then text with `*` (more literal characters first, then
//!    the longer beginning, then by alphabet), then `{name}`, then what spans segments: `text*` (longer text
//!    first), `**` with segments after it (more of them first), `*`, `**`.
//! 3. Method: named before any.
//! 4. More header conditions.
//! 5. More query conditions.
//!
//! What is still equal is told apart by the text of the `match`, and reported as ambiguous.

mod condition;
mod conflict;
mod edits;
mod explain;
mod host;
mod matcher;
mod order;
mod path;
mod rewrite;
mod router;
mod template;
#[cfg(test)]
mod tests;
mod trie;

pub use condition::ValueTest;
pub use conflict::{Conflict, ConflictKind};
pub use edits::{EditError, HeaderEdits};
pub use explain::{Explanation, Rejected, Rejection};
pub use matcher::{MatchError, MatchParts, Matcher, Params};
pub use order::Criterion;
pub use rewrite::{PathRewrite, Rewrite, RewriteError};
pub use router::{Found, Query, Router};
pub use template::{Template, TemplateError, Values};
