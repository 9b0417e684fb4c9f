//! Targets as clients and attackers send them.

use proptest::prelude::*;

use super::*;

const OPTIONS: TargetOptions = TargetOptions { merge_slashes: false, bytes_max: 8192 };
const MERGING: TargetOptions = TargetOptions { merge_slashes: true, bytes_max: 8192 };

fn parsed(method: &str, raw: &[u8], options: &TargetOptions) -> Result<Target, TargetError> {
    let mut target = Target::default();
    parse_target(method.as_bytes(), raw, options, &mut target).map(|()| target)
}

#[track_caller]
fn check(raw: &str, expected: Result<&str, TargetError>) {
    let found = parsed("GET", raw.as_bytes(), &OPTIONS);
    let found = found.as_ref().map(Target::path_and_query).map_err(|e| *e);
    assert_eq!(found, expected, "{raw:?}");
}

#[track_caller]
fn check_merged(raw: &str, expected: &str) {
    let found = parsed("GET", raw.as_bytes(), &MERGING).expect(raw);
    assert_eq!(found.path_and_query(), expected, "{raw:?}");
}

#[test]
fn canonical_paths_stay_as_they_are() {
    for raw in [
        "/",
        "/a",
        "/a/",
        "/a/b.c/d",
        "//",
        "//a//b/",
        "/.well-known/acme",
        "/..a/...",
        "/a.",
        "/a..",
        "/a/.b",
        "/~u/-_!$&'()*+,;=:@",
        "/%20",
        "/a%3Bb%3F%25",
        "/%C3%A9",
        "/a?",
        "/a?b=c&d=%zz&/../?",
        "/a?[x]={y}|\"<>^`\\",
    ] {
        check(raw, Ok(raw));
    }
}

#[test]
fn every_byte_of_a_path_has_one_spelling() {
    check("/%61%7e%2D", Ok("/a~-"));
    check("/%3b%3B", Ok("/%3B%3B"));
    check("/%c3%a9/%f0%9f%98%80", Ok("/%C3%A9/%F0%9F%98%80"));
    check("/a|b", Ok("/a%7Cb"));
    check("/\"<>^`{}[]", Ok("/%22%3C%3E%5E%60%7B%7D%5B%5D"));
    check("/%2a*", Ok("/%2A*"));
    check("/%41?%41", Ok("/A?%41"));
    check("/%252F", Ok("/%252F"));
    check("/%0d%0a", Ok("/%0D%0A"));
}

#[test]
fn dot_segments_are_resolved() {
    check("/.", Ok("/"));
    check("/./", Ok("/"));
    check("/./a", Ok("/a"));
    check("/a/.", Ok("/a/"));
    check("/a/..", Ok("/"));
    check("/a/../", Ok("/"));
    check("/a/b/../c", Ok("/a/c"));
    check("/a/b/..", Ok("/a/"));
    check("/a/b/../../c", Ok("/c"));
    check("/a//../b", Ok("/a/b"));
    check("/a/%2e%2E/b", Ok("/b"));
    check("/a/.%2e/b", Ok("/b"));
    check("/a/%2e./b", Ok("/b"));
    check("/a/%2e/b", Ok("/a/b"));
    check("/a/..?b", Ok("/?b"));
    check("/a/.?/../..", Ok("/a/?/../.."));
}

#[test]
fn leaving_the_root_is_refused() {
    for raw in [
        "/..",
        "/../",
        "/../etc/passwd",
        "/a/../..",
        "/a/../../b",
        "/%2e%2e/b",
        "/./..",
        "/..;/a",
        "/a/..;x=1/b",
        "/a/.;/b",
        "/a/%2e%2e;/b",
        "/..?",
    ] {
        check(raw, Err(TargetError::DotSegment));
    }
}

#[test]
fn what_servers_read_differently_is_refused() {
    for (raw, error) in [
        ("/a%2Fb", TargetError::EncodedSlash),
        ("/a%2fb", TargetError::EncodedSlash),
        ("/..%2f..%2fetc", TargetError::EncodedSlash),
        ("/a%5cb", TargetError::EncodedSlash),
        ("/a%00", TargetError::EncodedNul),
        ("/a\\b", TargetError::Backslash),
        ("/\\evil.example", TargetError::Backslash),
        ("/a#b", TargetError::Character),
        ("/a?b#c", TargetError::Character),
        ("/a b", TargetError::Character),
        ("/a?b c", TargetError::Character),
        ("/a\tb", TargetError::Character),
        ("/a\0", TargetError::Character),
        ("/a\x7f", TargetError::Character),
        ("/a?\x7f", TargetError::Character),
        ("/a\r\nX: y", TargetError::Character),
        ("/é", TargetError::Character),
        ("/a?é", TargetError::Character),
        ("/%", TargetError::Escape),
        ("/%4", TargetError::Escape),
        ("/%zz", TargetError::Escape),
        ("/%+1", TargetError::Escape),
        ("/%u0041", TargetError::Escape),
        ("/%ff", TargetError::Utf8),
        ("/%c3", TargetError::Utf8),
        ("/%c3x", TargetError::Utf8),
        ("/%c3/%a9", TargetError::Utf8),
        ("/%a9", TargetError::Utf8),
        ("/%c0%af", TargetError::Utf8),
        ("/%e0%80%af", TargetError::Utf8),
        ("/%ed%a0%80", TargetError::Utf8),
        ("/%f4%90%80%80", TargetError::Utf8),
        ("", TargetError::Form),
        ("a", TargetError::Form),
        ("*", TargetError::Form),
        ("?a", TargetError::Form),
        (" /", TargetError::Form),
        ("example.com:443", TargetError::Form),
        ("http:/a", TargetError::Form),
        ("http:a", TargetError::Form),
        ("ftp://a/", TargetError::Scheme),
        ("javascript://a/", TargetError::Scheme),
        ("http://u@a/", TargetError::UserInfo),
        ("http://u:p@a/", TargetError::UserInfo),
        ("http://", TargetError::Host(HostError::Empty)),
        ("http:///a", TargetError::Host(HostError::Empty)),
        ("http://a,b/", TargetError::Host(HostError::Character)),
        ("http://a:x/", TargetError::Host(HostError::Port)),
        ("http://a\\b/", TargetError::Backslash),
        ("http://a#b", TargetError::Character),
        ("http://a/..", TargetError::DotSegment),
    ] {
        check(raw, Err(error));
    }
    assert_eq!(parsed("GET", b"/\xc3\xa9", &OPTIONS), Err(TargetError::Character));
    assert_eq!(parsed("GET", b"/a?\xff", &OPTIONS), Err(TargetError::Character));
}

#[test]
fn slashes_merge_when_asked() {
    check_merged("//", "/");
    check_merged("//a///b//", "/a/b/");
    check_merged("/a//../b", "/b");
    check_merged("/a/%2e//b", "/a/b");
    check_merged("/a?//", "/a?//");
}

#[test]
fn absolute_targets_name_their_host() {
    let target = parsed("GET", b"HTTPS://Shop.Example:8443/%61/../b?q", &OPTIONS).expect("valid");
    assert_eq!(target.form(), Form::Absolute(Scheme::Https));
    assert_eq!(target.authority(), Some("shop.example:8443"));
    assert_eq!((target.path(), target.query()), ("/b", Some("q")));

    let target = parsed("GET", b"http://a", &OPTIONS).expect("valid");
    assert_eq!((target.path_and_query(), target.query()), ("/", None));
    let target = parsed("GET", b"http://a?b/@", &OPTIONS).expect("valid");
    assert_eq!((target.path(), target.query()), ("/", Some("b/@")));
}

#[test]
fn forms_go_with_their_methods() {
    let target = parsed("OPTIONS", b"*", &OPTIONS).expect("valid");
    assert_eq!((target.path(), target.form()), ("*", Form::Asterisk));
    let target = parsed("CONNECT", b"Example.com:443", &OPTIONS).expect("valid");
    assert_eq!((target.authority(), target.form()), (Some("example.com:443"), Form::Authority));
    assert_eq!(target.path(), "");
    let target = parsed("CONNECT", b"[::1]:443", &OPTIONS).expect("valid");
    assert_eq!(target.authority(), Some("[::1]:443"));
    for raw in ["example.com", "[::1]", "example.com:"] {
        assert_eq!(parsed("CONNECT", raw.as_bytes(), &OPTIONS), Err(TargetError::Form), "{raw}");
    }
    for raw in ["/", "*", "http://a/", "a/b:1"] {
        assert!(parsed("CONNECT", raw.as_bytes(), &OPTIONS).is_err(), "{raw}");
    }
}

#[test]
fn long_targets_have_their_own_error() {
    let options = TargetOptions { merge_slashes: false, bytes_max: 64 };
    let path = format!("/{}", "a".repeat(63));
    assert!(parsed("GET", path.as_bytes(), &options).is_ok());
    assert_eq!(parsed("GET", format!("{path}a").as_bytes(), &options), Err(TargetError::TooLong));
}

#[test]
fn a_target_used_again_remembers_nothing() {
    let mut target = Target::default();
    parse_target(b"GET", b"http://a:1/long/path?query", &OPTIONS, &mut target).expect("valid");
    parse_target(b"GET", b"/x", &OPTIONS, &mut target).expect("valid");
    assert_eq!(target, parsed("GET", b"/x", &OPTIONS).expect("valid"));
    assert_eq!((target.authority(), target.query()), (None, None));
}

#[test]
fn setting_a_target_canonicalises_the_path() {
    let mut target = Target::default();
    assert_eq!(target.set(b"/a/%2e%2e/{x}", Some("q=1"), false), Ok(()));
    assert_eq!(target.path_and_query(), "/%7Bx%7D?q=1");
    assert_eq!(target.set(b"a", None, false), Err(TargetError::Form));
    assert_eq!(target.set(b"/a", Some("b c"), false), Err(TargetError::Character));
}

#[test]
fn a_written_target_brings_its_query_or_keeps_the_old() {
    let mut target = Target::default();
    let mut check = |text: &str, expected: Result<&str, TargetError>| {
        let result = target.set_written(Some("old"), |out| {
            out.push_str(text);
            Ok(())
        });
        assert_eq!(result.map(|()| target.path_and_query()), expected);
    };
    check("/a/../%62", Ok("/b?old"));
    check("/a?new?", Ok("/a?new?"));
    check("/a?", Ok("/a?"));
    check("a", Err(TargetError::Form));
    check("/a?b c", Err(TargetError::Character));
    check("/", Ok("/?old"));
}

/// Pieces that meet every rule when strung together.
fn paths() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "/", "/", "/", ".", "..", "a", "b", "%2e", "%2E", "%61", "%41", "%3b", "%25", "%c3%a9", "%C3", "%2f",
        "%5C", "%00", "|", "{", "}", "[", ";", "*", "=", "%", "%4", "\\", " ", "?", "//", "/..", "/./",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

/// What must hold for every path that comes out.
fn assert_canonical(target: &Target, merge_slashes: bool) {
    let path = target.path();
    assert!(path.starts_with('/'), "{path}");
    for part in path[1..].split('/') {
        assert!(!matches!(part, "." | ".."), "dot segment in {path}");
        assert!(!part.starts_with(".;") && !part.starts_with("..;"), "dot segment in {path}");
    }
    assert!(!(merge_slashes && path.contains("//")), "{path}");
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        let digits = &rest[at + 1..at + 3];
        assert!(digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F')), "{path}");
        let byte = u8::from_str_radix(digits, 16).expect("two digits");
        assert!(!matches!(byte, 0 | b'/' | b'\\') && !class::is_unreserved(byte), "{path}");
        rest = &rest[at + 3..];
    }
    assert!(path.bytes().all(|b| b == b'%' || b == b'/' || class::is_plain(b)), "{path}");
}

fn assert_stable(raw: &[u8], options: &TargetOptions) {
    let Ok(target) = parsed("GET", raw, options) else { return };
    assert_canonical(&target, options.merge_slashes);
    assert!(target.path_and_query().len() <= raw.len() * 3 + 1);
    let again = parsed("GET", target.path_and_query().as_bytes(), options).expect("canonical is valid");
    assert_eq!(again.path_and_query(), target.path_and_query());
    let path = target.path();
    let plain = path.find('%').unwrap_or(path.len());
    assert_eq!(class::plain_path_len(path.as_bytes(), options.merge_slashes), plain, "one scan for {path}");
}

proptest! {
    #[test]
    fn canonical_form_is_reached_in_one_step(path in paths()) {
        assert_stable(path.as_bytes(), &OPTIONS);
        assert_stable(path.as_bytes(), &MERGING);
    }

    #[test]
    fn any_bytes_are_taken_or_refused(raw in prop::collection::vec(any::<u8>(), 0..64)) {
        assert_stable(&raw, &OPTIONS);
        assert_stable(&[b"/", &*raw].concat(), &OPTIONS);
        let _ = parsed("CONNECT", &raw, &OPTIONS);
        let _ = parsed("OPTIONS", &[b"http://", &*raw].concat(), &OPTIONS);
    }
}
