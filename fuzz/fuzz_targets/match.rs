//! Every `match` that is accepted is written back as the same one, and routes as it says.
#![no_main]

use forebay_net::host;
use forebay_net::uri::{Target, TargetOptions, parse_target};
use forebay_proxy::route::{Found, Matcher, Query, Router};
use libfuzzer_sys::fuzz_target;

const OPTIONS: TargetOptions = TargetOptions { merge_slashes: false, bytes_max: 4 << 10 };

// The lines: host and target of a request, then one `match` each.
fuzz_target!(|text: &str| {
    let mut lines = text.split('\n');
    let (name, raw) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let matchers: Vec<Matcher> = lines.take(16).filter_map(|line| Matcher::parse_short(line).ok()).collect();
    for matcher in &matchers {
        assert_eq!(Matcher::parse_short(&matcher.to_string()).as_ref(), Ok(matcher));
    }
    let (router, _) = Router::build(&matchers);

    let mut target = Target::default();
    let Ok(host) = host::parse(name.as_bytes()) else { return };
    if parse_target(b"GET", raw.as_bytes(), &OPTIONS, &mut target).is_err() {
        return;
    }
    let query = Query {
        host: host.name.as_ref(),
        path: target.path(),
        method: b"GET",
        query: target.query(),
        header: &|_| None,
    };
    match router.find(&query) {
        Found::Route(index) => assert!(matchers[index].matches(&query)),
        Found::WrongMethod(methods) => assert!(!methods.is_empty() && !methods.contains(&"GET")),
        Found::Nothing => assert!(!matchers.iter().any(|matcher| matcher.matches(&query))),
    }
});
