//! Finds the most specific route at about the same cost for ten routes and for ten thousand.

use std::collections::HashMap;
use std::fmt;

use foldhash::fast::RandomState;

use super::conflict::{self, Conflict};
use super::host::HostPattern;
use super::matcher::Matcher;
use super::order::compare;
use super::trie::{Trie, Walk};

/// Finds the most specific route. Hosts are hashed and paths walked segment by segment, so the cost grows with
/// the request, not with the number of routes; only routes that differ in nothing but method, headers or query
/// are tried one by one.
#[derive(Debug, Default)]
pub struct Router {
    pub(super) matchers: Vec<Matcher>,
    exact: HashMap<Box<str>, Trie, RandomState>,
    /// By the part after `*.`.
    under: HashMap<Box<str>, Trie, RandomState>,
    /// Most labels of a key of `under`.
    under_labels: usize,
    any: Trie,
}

/// What the router looks at, in canonical form.
#[derive(Clone, Copy)]
pub struct Query<'a> {
    /// As [`forebay_net::host::parse`] gives it, without port; empty if the request has none.
    pub host: &'a str,
    /// As [`forebay_net::uri::Target::path`] gives it.
    pub path: &'a str,
    /// As it came.
    pub method: &'a [u8],
    /// What follows `?`, as it came.
    pub query: Option<&'a str>,
    /// The value of the first header of a name. The router asks in lower case.
    pub header: &'a dyn Fn(&[u8]) -> Option<&'a [u8]>,
}

/// What the router found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<'r> {
    /// The most specific route that matches: its index.
    Route(usize),
    /// Routes match but for their method. The methods that would have matched, sorted: for `Allow`.
    WrongMethod(Vec<&'r str>),
    /// No route matches.
    Nothing,
}

impl Router {
    /// Builds a router over `matchers`, whose indices it will find. Conflicts do not stop it: of routes that
    /// are equally specific, the first by text wins.
    #[must_use]
    pub fn build(matchers: &[Matcher]) -> (Self, Vec<Conflict>) {
        let mut router = Self { matchers: matchers.to_vec(), ..Self::default() };
        let mut by_specificity: Vec<usize> = (0..matchers.len()).collect();
        by_specificity.sort_by(|a, b| compare(&matchers[*a], &matchers[*b]).0);
        for route in by_specificity {
            let Matcher { host, path, .. } = &matchers[route];
            router.trie_mut(host).insert(path, route);
        }
        let conflicts = conflict::find(&router);
        (router, conflicts)
    }

    /// The most specific route that matches. Allocates only to say which methods would match.
    #[must_use]
    pub fn find(&self, query: &Query<'_>) -> Found<'_> {
        self.find_counting(query).0
    }

    /// As [`Self::find`], and how many nodes it took.
    pub(super) fn find_counting(&self, query: &Query<'_>) -> (Found<'_>, usize) {
        let mut is_wrong_method = false;
        let mut walk = Walk {
            visit: |route: usize| {
                let matcher = &self.matchers[route];
                let takes_method = matcher.takes_method(query.method);
                is_wrong_method |= !takes_method;
                takes_method && matcher.takes_conditions(query)
            },
            nodes: 0,
        };
        let found = self.walk(&mut walk, query);
        let nodes = walk.nodes;
        match found {
            Some(route) => (Found::Route(route), nodes),
            None if is_wrong_method => (self.find_methods(query), nodes),
            None => (Found::Nothing, nodes),
        }
    }

    /// The methods of all routes that match but for their method.
    #[cold]
    fn find_methods(&self, query: &Query<'_>) -> Found<'_> {
        let mut methods = Vec::new();
        let visit = |route: usize| {
            let matcher = &self.matchers[route];
            if matcher.takes_conditions(query) {
                methods.extend(matcher.methods());
            }
            false
        };
        self.walk(&mut Walk { visit, nodes: 0 }, query);
        methods.sort_unstable();
        methods.dedup();
        if methods.is_empty() { Found::Nothing } else { Found::WrongMethod(methods) }
    }

    /// Walks exact host, wildcards from long to short, then any host.
    fn walk<V: FnMut(usize) -> bool>(&self, walk: &mut Walk<V>, query: &Query<'_>) -> Option<usize> {
        if !self.exact.is_empty() {
            let found = self.exact.get(query.host).and_then(|trie| walk.find(trie, query.path));
            if found.is_some() {
                return found;
            }
        }
        for name in names_above(query.host, self.under_labels) {
            let found = self.under.get(name).and_then(|trie| walk.find(trie, query.path));
            if found.is_some() {
                return found;
            }
        }
        walk.find(&self.any, query.path)
    }

    fn trie_mut(&mut self, host: &HostPattern) -> &mut Trie {
        match host {
            HostPattern::Exact(name) => self.exact.entry(name.clone()).or_default(),
            HostPattern::Under(name) => {
                self.under_labels = self.under_labels.max(name.split('.').count());
                self.under.entry(name.clone()).or_default()
            }
            HostPattern::Any => &mut self.any,
        }
    }
}

impl fmt::Debug for Query<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, path, method, query, header: _ } = self;
        f.debug_struct("Query")
            .field("host", host)
            .field("path", path)
            .field("method", &String::from_utf8_lossy(method))
            .field("query", query)
            .finish_non_exhaustive()
    }
}

/// The names that `host` is below, from long to short, of at most `labels_max` labels.
fn names_above(host: &str, labels_max: usize) -> impl Iterator<Item = &str> {
    let start = match labels_max {
        0 => host.len(),
        _ => memchr::memrchr_iter(b'.', host.as_bytes()).nth(labels_max - 1).unwrap_or(0),
    };
    memchr::memchr_iter(b'.', &host.as_bytes()[start..]).map(move |dot| &host[start + dot + 1..])
}
