//! A canonical target stays as it is when it is read again, and hides nothing from the router.
#![no_main]

use forebay_net::uri::{Form, Target, TargetOptions, parse_target};
use libfuzzer_sys::fuzz_target;

const BYTES_MAX: usize = 4 << 10;

fuzz_target!(|input: &[u8]| {
    let Some((first, raw)) = input.split_first() else { return };
    let options = TargetOptions { merge_slashes: first & 1 == 1, bytes_max: BYTES_MAX };
    let method: &[u8] = [b"GET", &b"OPTIONS"[..], b"CONNECT", b"POST"][usize::from(first >> 1) % 4];
    let mut target = Target::default();
    if parse_target(method, raw, &options, &mut target).is_err() {
        return;
    }
    let text = target.path_and_query();
    assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text:?}");
    if let Some(authority) = target.authority() {
        assert!(!authority.is_empty() && !authority.contains(['@', '/', ' ', ',']), "{authority:?}");
        assert_eq!(authority.to_ascii_lowercase(), authority);
    }
    match target.form() {
        Form::Origin | Form::Absolute(_) => check(&target, &options),
        Form::Asterisk => assert_eq!((method, text), (&b"OPTIONS"[..], "*")),
        Form::Authority => assert_eq!((method, text), (&b"CONNECT"[..], "")),
    }
});

fn check(target: &Target, options: &TargetOptions) {
    let path = target.path();
    assert!(path.starts_with('/'), "{path:?}");
    assert!(path.split('/').all(|segment| segment != "." && segment != ".."), "{path:?}");
    for hidden in ["\\", "%2F", "%2f", "%5C", "%5c", "%00", "%2E", "%2e", "%41", "#", "?"] {
        assert!(!path.contains(hidden), "{path:?}");
    }
    assert!(!(options.merge_slashes && path.contains("//")), "{path:?}");

    let mut again = Target::default();
    // What is canonical may have grown by a little when it was encoded.
    let options = TargetOptions { bytes_max: 4 * BYTES_MAX, ..*options };
    assert_eq!(parse_target(b"GET", target.path_and_query().as_bytes(), &options, &mut again), Ok(()));
    assert_eq!((again.path(), again.query()), (path, target.query()));
}
