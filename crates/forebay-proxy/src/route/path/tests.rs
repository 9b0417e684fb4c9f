//! Patterns and the paths they are for.

use super::*;

fn pattern(text: &str) -> PathPattern {
    PathPattern::parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

#[track_caller]
fn check(text: &str, inside: &[&str], outside: &[&str]) {
    let pattern = pattern(text);
    for path in inside {
        assert!(pattern.matches(path), "{text} matches {path}");
    }
    for path in outside {
        assert!(!pattern.matches(path), "{text} does not match {path}");
    }
    assert!(pattern.matches(&pattern.sample()), "{text} matches its sample {}", pattern.sample());
}

#[test]
fn exact_paths_match_themselves() {
    check("/", &["/"], &["//", "/a", "*"]);
    check("/a/b", &["/a/b"], &["/a", "/a/b/", "/A/b", "/a//b"]);
    check("/a/", &["/a/"], &["/a", "/a//"]);
    check("/a//b", &["/a//b"], &["/a/b"]);
}

#[test]
fn a_star_at_the_end_takes_all_that_follows() {
    check("/*", &["/", "/a", "/a/b/", "//", "*", ""], &[]);
    check("/api/*", &["/api/", "/api/a", "/api/a/b", "/api//"], &["/api", "/apis/a"]);
    check("/api*", &["/api", "/apis", "/api/a", "/api/"], &["/ap", "/a/api"]);
}

#[test]
fn a_star_inside_stays_in_its_segment() {
    check("/*/c", &["/a/c", "/*/c"], &["/c", "//c", "/a/b/c", "/a/c/"]);
    check("/img/*.png/x", &["/img/a.png/x", "/img/.png/x"], &["/img/a.jpg/x", "/img/a/b.png/x"]);
    check("/a*b*c/", &["/abc/", "/aXbYbZc/"], &["/ac/", "/abcX/", "/ab/c/"]);
    check("/x/*.png", &["/x/a.png"], &["/x/a.pngs", "/x/a/b.png"]);
}

#[test]
fn parameters_take_a_segment_that_is_not_empty() {
    check("/u/{id}", &["/u/1", "/u/%2A"], &["/u/", "/u", "/u/1/", "/u/1/2"]);
    check("/{a}/x/{b_2}/*", &["/1/x/2/", "/1/x/2/3/4"], &["/1/x/2"]);
}

#[test]
fn two_stars_span_segments() {
    check("/**", &["/", "/a/b", "*"], &[]);
    check("/a/**", &["/a", "/a/", "/a/b/c"], &["/ab", "/"]);
    check("/a/**/c", &["/a/c", "/a/b/c", "/a/b/b/c", "/a/c/c"], &["/a", "/a/b", "/a/c/", "/ac"]);
    check("/a/**/*.js", &["/a/x.js", "/a/b/x.js"], &["/a/b/x.jsx", "/a"]);
    check("/a/**/{x}/c", &["/a/1/c", "/a/b/1/c"], &["/a/c", "/a//c"]);
    check("/**/", &["/", "/a/"], &["/a"]);
}

#[test]
fn patterns_are_canonical_like_paths() {
    for (text, expected) in [
        ("/%61/b%7e", "/a/b~"),
        ("/%c3%a9", "/%C3%A9"),
        ("/café/*", "/caf%C3%A9/*"),
        ("/a|b", "/a%7Cb"),
        ("/%2a", "/%2A"),
        ("/.a/..b/.well-known/*", "/.a/..b/.well-known/*"),
        ("/.*", "/.*"),
        ("/..*/x", "/..*/x"),
    ] {
        assert_eq!(pattern(text).to_string(), expected);
        assert_eq!(pattern(expected), pattern(text));
    }
}

#[test]
fn what_can_match_nothing_is_refused() {
    use PathPatternError as E;
    let braces = |text: &str| E::Braces(text.into());
    for (text, error) in [
        ("", E::Slash),
        ("a", E::Slash),
        ("*", E::Slash),
        ("/a/../b", E::Dots),
        ("/.", E::Dots),
        ("/%2e%2E/", E::Dots),
        ("/..;x", E::Dots),
        ("/a/**b", E::DoubleStar),
        ("/a**/b", E::DoubleStar),
        ("/**/a/**", E::DoubleStar),
        ("/a***", E::TrailingStar),
        ("/a*b*", E::TrailingStar),
        ("/**/a*", E::TrailingStar),
        ("/**/*", E::TrailingStar),
        ("/{}", braces("{}")),
        ("/{1a}", braces("{1a}")),
        ("/{a", braces("{a")),
        ("/a}", braces("a}")),
        ("/x{a}", braces("x{a}")),
        ("/{a}{b}", braces("{a}{b}")),
        ("/{a}*", braces("{a}")),
        ("/{path}", braces("{path}")),
        ("/{a}/{a}", E::Duplicate("a".into())),
        ("/{a}/**/{a}", E::Duplicate("a".into())),
        ("/a%2Fb", E::Target(TargetError::EncodedSlash)),
        ("/a%", E::Target(TargetError::Escape)),
        ("/%*41/x", E::Target(TargetError::Escape)),
        ("/a?b", E::Target(TargetError::Character)),
        ("/a#b", E::Target(TargetError::Character)),
        ("/a b", E::Target(TargetError::Character)),
        ("/a\\b", E::Target(TargetError::Backslash)),
        ("/%ff", E::Target(TargetError::Utf8)),
    ] {
        assert_eq!(PathPattern::parse(text), Err(error), "{text}");
    }
    assert_eq!(PathPattern::parse(&"/a".repeat(SEGMENTS_MAX + 1)), Err(E::Segments));
    let many: String = (0..=PARAMS_MAX).map(|n| format!("/{{p{n}}}")).collect();
    assert_eq!(PathPattern::parse(&many), Err(E::Params));
}

#[test]
fn parameters_are_found_from_both_ends() {
    let pattern = pattern("/{a}/x/**/{b}/y");
    let mut found = Vec::new();
    pattern.each_param("/1/x/2/3/4/y", |name, value| found.push((name, value)));
    assert_eq!(found, [("a", "1"), ("b", "4")]);
}

#[test]
fn covering_is_known_segment_by_segment() {
    for (a, b, expected) in [
        ("/*", "/**", true),
        ("/**", "/*", true),
        ("/a/*", "/a/**", false),
        ("/a/**", "/a/*", true),
        ("/*/x", "/{id}/x", true),
        ("/{id}/x", "/*/x", true),
        ("/{id}", "/", false),
        ("/a*/x", "/{id}/x", false),
        ("/a*/x", "/ab*/x", true),
        ("/ab*/x", "/a*/x", false),
        ("/a*", "/ab/c", true),
        ("/a*", "/a*b/c", true),
        ("/a*", "/{x}", false),
        ("/**/c", "/a/**/c", true),
        ("/**/c", "/a/b/c", true),
        ("/**/c", "/a/*", false),
        ("/a/**/c", "/**/c", false),
        ("/a", "/a/", false),
        ("/a/b", "/a", false),
        ("/a/**", "/a", true),
    ] {
        assert_eq!(pattern(a).covers(&pattern(b)), expected, "{a} covers {b}");
    }
}

#[test]
fn globs_know_whether_they_overlap() {
    let glob = |text: &str| Glob::new(text.split('*').map(Into::into).collect());
    for (a, b, expected) in [
        ("a*", "*b", true),
        ("a*c", "a*d", false),
        ("a*c*", "a*d*", true),
        ("*", "abc*", true),
        ("ab*", "ac*", false),
        ("a*b", "ab*", true),
        ("a*a", "*aa", true),
        ("abc*", "*abd", true),
        ("*ab*", "b*", true),
    ] {
        assert_eq!(glob(a).overlaps(&glob(b)), expected, "{a} {b}");
        assert_eq!(glob(b).overlaps(&glob(a)), expected, "{b} {a}");
    }
}
