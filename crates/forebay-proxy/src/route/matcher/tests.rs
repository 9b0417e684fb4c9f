//! Texts of `match`, good and bad.

use super::*;

#[track_caller]
fn check(text: &str, expected: &str) {
    let matcher = Matcher::parse_short(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(matcher.to_string(), expected);
    assert_eq!(Matcher::parse_short(expected), Ok(matcher));
}

#[track_caller]
fn check_error(text: &str, error: MatchError) {
    assert_eq!(Matcher::parse_short(text), Err(error), "{text}");
}

#[test]
fn short_forms_have_a_canonical_text() {
    check("/", "/");
    check("*/a", "/a");
    check("Shop.Example.COM./*", "shop.example.com/*");
    check("*.Example.com/a/{id}", "*.example.com/a/{id}");
    check("GET /a", "GET /a");
    check("POST,GET,GET shop.test/a/**", "GET,POST shop.test/a/**");
    check("M-SEARCH */%61*", "M-SEARCH /a*");
    check("[::1]/x", "[::1]/x");
    check("[0::1]/x", "[::1]/x");
    check("127.0.0.1/x", "127.0.0.1/x");
}

#[test]
fn what_is_no_match_is_refused() {
    check_error("", MatchError::Empty);
    check_error("GET ", MatchError::Space);
    check_error("GET  /a", MatchError::Space);
    check_error("/a b", MatchError::Space);
    check_error("GET /a b", MatchError::Space);
    check_error(" /a", MatchError::Method(String::new()));
    check_error("get /a", MatchError::Method("get".into()));
    check_error("GET, /a", MatchError::Method(String::new()));
    check_error("G/ET /a", MatchError::Space);
    check_error("G:T /a", MatchError::Method("G:T".into()));
    check_error("shop.test", MatchError::PathMissing);
    check_error("*", MatchError::PathMissing);
    check_error("shop.test:80/a", MatchError::HostPort);
    check_error("a..b/", MatchError::Host(HostError::Label));
    check_error("café.test/", MatchError::Host(HostError::Character));
    check_error("*.*.test/", MatchError::HostWildcard);
    check_error("a.*/", MatchError::HostWildcard);
    check_error("*a.test/", MatchError::HostWildcard);
    check_error("*./", MatchError::Host(HostError::Empty));
    check_error("/a?b=c", MatchError::PathQuery);
    check_error("/a/../b", MatchError::Dots);
    check_error("/a%2fb", MatchError::Path(TargetError::EncodedSlash));
    check_error("https://a/b", MatchError::Scheme);
    check_error("GET http://a/b", MatchError::Scheme);
}

#[test]
fn the_long_form_adds_conditions() {
    let parts = MatchParts {
        host: "a.test".into(),
        methods: vec!["PUT".into(), "GET".into()],
        headers: vec![("X-B".into(), ValueTest::Present), ("X-A".into(), ValueTest::parse("v*"))],
        queries: vec![("debug".into(), ValueTest::parse("1"))],
        ..MatchParts::default()
    };
    let matcher = Matcher::from_parts(parts).expect("valid");
    assert_eq!(matcher.to_string(), "GET,PUT a.test/* x-a:v* x-b:* ?debug=1");
}

#[test]
fn the_default_matches_everything() {
    assert_eq!(Matcher::from_parts(MatchParts::default()), Ok(Matcher::default()));
    assert_eq!(Matcher::parse_short("/*"), Ok(Matcher::default()));
}

#[test]
fn impossible_conditions_are_refused() {
    let error = |parts| Matcher::from_parts(parts).expect_err("refused");
    let header = |name: &str, test: &str| MatchParts {
        headers: vec![(name.into(), ValueTest::parse(test))],
        ..MatchParts::default()
    };
    assert_eq!(error(header("a b", "1")), MatchError::HeaderName("a b".into()));
    assert_eq!(error(header("", "1")), MatchError::HeaderName(String::new()));
    assert_eq!(error(header("a", "1\n")), MatchError::HeaderValue("a".into()));
    assert_eq!(error(header("a", " 1")), MatchError::HeaderValue("a".into()));
    let both = [header("A", "1").headers, header("a", "2").headers].concat();
    let parts = MatchParts { headers: both, ..MatchParts::default() };
    assert_eq!(error(parts), MatchError::HeaderTwice("a".into()));
    let query = |name: &str| (name.to_owned(), ValueTest::Present);
    let parts = MatchParts { queries: vec![query("")], ..MatchParts::default() };
    assert_eq!(error(parts), MatchError::QueryName);
    let parts = MatchParts { queries: vec![query("a"), query("a")], ..MatchParts::default() };
    assert_eq!(error(parts), MatchError::QueryTwice("a".into()));
    assert_eq!(
        Matcher::from_parts(MatchParts { path: "a".into(), ..MatchParts::default() }),
        Err(MatchError::PathSlash)
    );
}

#[test]
fn parameters_have_names_and_values() {
    let matcher = Matcher::parse_short("/u/{id}/**/{last}").expect("valid");
    let params = matcher.params("/u/7/x/y/z");
    assert_eq!((params.get("id"), params.get("last"), params.get("x")), (Some("7"), Some("z"), None));
    assert_eq!(matcher.param_names().collect::<Vec<_>>(), ["id", "last"]);
}
