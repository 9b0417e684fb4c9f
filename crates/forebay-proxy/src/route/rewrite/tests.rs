//! Rewrites and what comes of them.

use super::super::Matcher;
use super::*;

#[track_caller]
fn check(rewrite: Result<PathRewrite, RewriteError>, cases: &[(&str, &str)]) {
    let rewrite = rewrite.expect("a test rewrite");
    for (target, expected) in cases {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (*target, None),
        };
        let matcher = Matcher::parse_short("/u/{id}/*").expect("a test match");
        let params = if path.starts_with("/u/") { matcher.params(path) } else { Default::default() };
        let mut out = Target::default();
        let result = rewrite.apply(&Values { host: "shop.test", path, query, params }, &mut out);
        let found =
            result.map(|()| out.path_and_query().to_owned()).unwrap_or_else(|error| error.to_string());
        assert_eq!(found, *expected, "{target}");
    }
}

#[test]
fn prefixes_are_stripped_at_segments() {
    let cases = [
        ("/api/a?q", "/a?q"),
        ("/api/", "/"),
        ("/api", "/"),
        ("/api?q", "/?q"),
        ("/apis/a", "/apis/a"),
        ("/x/api/a", "/x/api/a"),
        ("/api//evil.test", "/evil.test"),
    ];
    check(PathRewrite::strip_prefix("/api"), &cases);
    check(PathRewrite::strip_prefix("/%61pi/"), &cases);
    check(PathRewrite::strip_prefix("/a/b"), &[("/a/b/c", "/c"), ("/a/c", "/a/c")]);
}

#[test]
fn prefixes_are_replaced_at_segments() {
    let cases = [("/v1/a", "/v2/x/a"), ("/v1", "/v2/x"), ("/v1/", "/v2/x/"), ("/v10/a", "/v10/a")];
    check(PathRewrite::replace_prefix("/v1", "/v2/x"), &cases);
    check(PathRewrite::replace_prefix("/v1/", "/v2/x/"), &cases);
    check(PathRewrite::replace_prefix("/v1", "/"), &[("/v1/a", "/a"), ("/v1", "/")]);
}

#[test]
fn expressions_replace_the_first_match() {
    check(
        PathRewrite::regex("^/u/(?<id>[0-9]+)/(.*)$", "/users/${id}/$2"),
        &[("/u/7/a/b?q", "/users/7/a/b?q"), ("/u/x/a", "/u/x/a")],
    );
    check(PathRewrite::regex("^/s/(.+)$", "/search?term=$1"), &[("/s/a?old", "/search?term=a")]);
    check(PathRewrite::regex("a", "b"), &[("/a/a", "/b/a")]);
    check(
        PathRewrite::regex("/x", "$$"),
        &[("/a/x", "/a$"), ("/x", "rewritten path: form of target not allowed")],
    );
}

#[test]
fn templates_take_the_place_of_the_path() {
    check(PathRewrite::template("/new{path}"), &[("/a?q", "/new/a?q"), ("/a", "/new/a")]);
    check(PathRewrite::template("/i?id={id}"), &[("/u/7/x?q", "/i?id=7")]);
    check(PathRewrite::template("/i{query}"), &[("/a?q", "/i?q"), ("/a", "/i")]);
    check(PathRewrite::template("{path}/x"), &[("/a?q", "/a/x?q")]);
}

#[test]
fn what_comes_out_is_canonical_or_refused() {
    let regex = PathRewrite::regex("^/p/(.*)$", "/q/../$1");
    let climbs = "rewritten path: dot segment leaves the root or has parameters";
    check(regex, &[("/p/a", "/a"), ("/p/x%7Cy", "/x%7Cy")]);
    check(PathRewrite::regex("^/p/(.*)$", "/../$1"), &[("/p/a", climbs)]);
    check(PathRewrite::regex("x", "."), &[("/xx/a", "/.x/a"), ("/x", "/")]);
    check(PathRewrite::regex("x", ".."), &[("/x", climbs)]);
    check(
        PathRewrite::regex("%25", "%"),
        &[("/%252F", "rewritten path: encoded slash or backslash in path"), ("/%2541", "/A")],
    );
}

#[test]
fn what_is_no_rewrite_is_refused() {
    use RewriteError as E;
    let error = |rewrite: Result<PathRewrite, E>| rewrite.expect_err("no rewrite");
    assert_eq!(error(PathRewrite::strip_prefix("/")), E::Prefix);
    assert_eq!(error(PathRewrite::strip_prefix("api")), E::Prefix);
    assert_eq!(error(PathRewrite::strip_prefix("/a?b")), E::Path(TargetError::Character));
    assert_eq!(error(PathRewrite::strip_prefix("/..")), E::Path(TargetError::DotSegment));
    assert_eq!(error(PathRewrite::regex("(a)", "$2")), E::Group("2".into()));
    assert_eq!(error(PathRewrite::regex("(a)", "$1x")), E::Group("1x".into()));
    assert_eq!(error(PathRewrite::regex("(a)", "${b}")), E::Group("b".into()));
    assert_eq!(error(PathRewrite::regex("a", "x$")), E::Group(String::new()));
    assert!(matches!(error(PathRewrite::regex("(", "")), E::Regex(_)));
    assert!(matches!(error(PathRewrite::regex(r"(\w{1000}){1000}", "")), E::Regex(_)));
    assert_eq!(error(PathRewrite::regex(&"a".repeat(TEXT_MAX + 1), "")), E::TooLong);
    assert_eq!(error(PathRewrite::template("{")), E::Template(TemplateError::Braces));
    let host = Rewrite::new(None, Some("a b")).expect_err("no host");
    assert_eq!(host, E::Host(host::HostError::Character));
}

#[test]
fn the_host_is_canonical() {
    let rewrite = Rewrite::new(None, Some("Origin.TEST.:8080")).expect("a host");
    assert_eq!(rewrite.host(), Some("origin.test:8080"));
    let mut out = Target::default();
    let values = Values { path: "/a", query: Some("q"), ..Values::default() };
    assert_eq!(rewrite.apply(&values, &mut out), Ok(()));
    assert_eq!(out.path_and_query(), "/a?q");
}
