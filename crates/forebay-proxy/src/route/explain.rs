//! Why a request gets the route it gets.

use std::fmt;

use super::matcher::{Matcher, Params};
use super::order::{Criterion, compare};
use super::router::{Found, Query, Router};

/// Which route a request gets, and why no other.
#[derive(Clone, Debug)]
pub struct Explanation<'a> {
    /// What [`Router::find`] finds.
    pub found: Found<'a>,
    /// The parameters of the path, if a route was found.
    pub params: Params<'a>,
    /// All other routes, the most specific first.
    pub rejected: Vec<Rejected<'a>>,
    /// How many nodes of the router were looked at.
    pub nodes: usize,
}

/// A route that a request does not get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejected<'a> {
    /// Index of the route.
    pub route: usize,
    /// Why it was not taken.
    pub why: Rejection<'a>,
}

/// Why a route is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection<'a> {
    /// For another host.
    Host,
    /// For another path.
    Path,
    /// For other methods.
    Method,
    /// The condition on this header does not hold.
    Header(&'a str),
    /// The condition on this query parameter does not hold.
    Query(&'a str),
    /// It matches, but another is more specific: by what.
    LessSpecific(Criterion),
}

impl Router {
    /// As [`Self::find`], with parameters and the reasons against every other route. Looks at all routes.
    #[must_use]
    pub fn find_explain<'a>(&'a self, query: &'a Query<'_>) -> Explanation<'a> {
        let (found, nodes) = self.find_counting(query);
        let winner = match found {
            Found::Route(route) => Some(route),
            Found::WrongMethod(_) | Found::Nothing => None,
        };
        let mut others: Vec<usize> = (0..self.matchers.len()).filter(|n| Some(*n) != winner).collect();
        others.sort_by(|a, b| compare(&self.matchers[*a], &self.matchers[*b]).0);
        let winner = winner.map(|route| &self.matchers[route]);
        let rejected = others
            .into_iter()
            .map(|route| Rejected { route, why: self.matchers[route].why_not(query, winner) });
        Explanation {
            params: winner.map(|matcher| matcher.params(query.path)).unwrap_or_default(),
            rejected: rejected.collect(),
            found,
            nodes,
        }
    }
}

impl Matcher {
    /// Whether the request is meant, with no regard to other routes.
    #[must_use]
    pub fn matches(&self, query: &Query<'_>) -> bool {
        self.mismatch(query).is_none()
    }

    fn why_not(&self, query: &Query<'_>, winner: Option<&Self>) -> Rejection<'_> {
        let criterion = winner.map_or(Criterion::Text, |winner| compare(winner, self).1);
        self.mismatch(query).unwrap_or(Rejection::LessSpecific(criterion))
    }

    fn mismatch(&self, query: &Query<'_>) -> Option<Rejection<'_>> {
        if !self.host.matches(query.host) {
            Some(Rejection::Host)
        } else if !self.path.matches(query.path) {
            Some(Rejection::Path)
        } else if !self.takes_method(query.method) {
            Some(Rejection::Method)
        } else if let Some(name) = self.failing_header(query) {
            Some(Rejection::Header(name))
        } else {
            self.failing_query(query).map(Rejection::Query)
        }
    }
}

impl fmt::Display for Rejection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("other host"),
            Self::Path => f.write_str("other path"),
            Self::Method => f.write_str("other method"),
            Self::Header(name) => write!(f, "condition on header `{name}` does not hold"),
            Self::Query(name) => write!(f, "condition on query parameter `{name}` does not hold"),
            Self::LessSpecific(criterion) => write!(f, "less specific than the winner ({criterion})"),
        }
    }
}
