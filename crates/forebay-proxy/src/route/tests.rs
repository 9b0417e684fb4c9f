//! The router against trying every route, and against numbers of routes.

use proptest::prelude::*;

use super::order::compare;
use super::*;

fn matchers(texts: &[&str]) -> Vec<Matcher> {
    texts.iter().map(|text| Matcher::parse_short(text).unwrap_or_else(|e| panic!("{text}: {e}"))).collect()
}

/// A request as a test writes it.
#[derive(Clone, Debug, Default)]
struct Request {
    host: String,
    path: String,
    method: String,
    query: Option<String>,
    headers: Vec<(String, String)>,
}

impl Request {
    fn parse(text: &str) -> Self {
        let (method, target) = text.split_once(' ').unwrap_or(("GET", text));
        let slash = target.find('/').unwrap_or(0);
        let (path, query) = match target[slash..].split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (&target[slash..], None),
        };
        let (host, path) = (target[..slash].to_owned(), path.to_owned());
        Self { host, path, method: method.to_owned(), query, headers: Vec::new() }
    }

    fn with<R>(&self, ask: impl FnOnce(&Query<'_>) -> R) -> R {
        let header = |name: &[u8]| {
            let found = self.headers.iter().find(|(other, _)| other.as_bytes() == name);
            found.map(|(_, value)| value.as_bytes())
        };
        let Self { host, path, method, query, headers: _ } = self;
        ask(&Query { host, path, method: method.as_bytes(), query: query.as_deref(), header: &header })
    }
}

/// The text of the route that a request gets, or the methods that would have been right.
#[track_caller]
fn check(routes: &[&str], cases: &[(&str, &str)]) {
    let matchers = matchers(routes);
    let (router, _) = Router::build(&matchers);
    for (request, expected) in cases {
        let found = Request::parse(request).with(|query| match router.find(query) {
            Found::Route(route) => routes[route].to_owned(),
            Found::WrongMethod(methods) => format!("allow {}", methods.join(", ")),
            Found::Nothing => "nothing".to_owned(),
        });
        assert_eq!(found, *expected, "{request}");
    }
}

#[test]
fn the_more_specific_host_wins() {
    check(
        &["a.test/*", "*.test/*", "*.b.test/*", "/*", "a.b.test/x"],
        &[
            ("a.test/x", "a.test/*"),
            ("c.test/x", "*.test/*"),
            ("x.b.test/x", "*.b.test/*"),
            ("y.x.b.test/x", "*.b.test/*"),
            ("b.test/x", "*.test/*"),
            ("a.b.test/x", "a.b.test/x"),
            ("a.b.test/y", "*.b.test/*"),
            ("test/x", "/*"),
            ("atest/x", "/*"),
            ("/x", "/*"),
            ("[::1]/x", "/*"),
            ("127.0.0.1/x", "/*"),
        ],
    );
}

#[test]
fn the_more_specific_path_wins() {
    let routes = [
        "/a/b",
        "/a/*.js",
        "/a/x*.js",
        "/a/{p}",
        "/a/b*",
        "/a/*",
        "/a/**/end",
        "/a/**/b/end",
        "/a/**",
        "/a/*/c",
        "/{p}/b",
        "/*",
    ];
    check(
        &routes,
        &[
            ("/a/b", "/a/b"),
            ("/a/y.js", "/a/*.js"),
            ("/a/xy.js", "/a/x*.js"),
            ("/a/z", "/a/{p}"),
            ("/a/bz", "/a/{p}"),
            ("/a/b/z", "/a/b*"),
            ("/a/z/c", "/a/*/c"),
            ("/a/z/end", "/a/**/end"),
            ("/a/z/b/end", "/a/**/b/end"),
            ("/a/b/end", "/a/b*"),
            ("/a/z/y", "/a/*"),
            ("/a/", "/a/*"),
            ("/a", "/a/**"),
            ("/z/b", "/{p}/b"),
            ("/z", "/*"),
            ("/", "/*"),
        ],
    );
}

#[test]
fn a_dead_end_leads_back() {
    check(
        &["/a/b/c", "/{p}/b/d", "/a/*", "/a/x*/z", "h.test/a/b/e", "/**/f"],
        &[
            ("/a/b/c", "/a/b/c"),
            ("/a/b/d", "/a/*"),
            ("/x/b/d", "/{p}/b/d"),
            ("/a/xy/z", "/a/x*/z"),
            ("/a/xy/y", "/a/*"),
            ("h.test/a/b/c", "/a/b/c"),
            ("/x/b/f", "/**/f"),
            ("/x/b/g", "nothing"),
        ],
    );
}

#[test]
fn a_named_method_goes_before_any() {
    check(
        &["/a", "GET /a", "PUT,POST /b", "GET /b*", "h.test/c", "DELETE h.test/d"],
        &[
            ("GET /a", "GET /a"),
            ("PUT /a", "/a"),
            ("PUT /b", "PUT,POST /b"),
            ("GET /b", "GET /b*"),
            ("DELETE /b", "allow GET, POST, PUT"),
            ("HEAD /b", "allow GET, POST, PUT"),
            ("get /b", "allow GET, POST, PUT"),
            ("PUT /bb", "allow GET"),
            ("PUT h.test/d", "allow DELETE"),
            ("PUT /d", "nothing"),
        ],
    );
}

#[test]
fn only_a_route_for_everything_takes_the_asterisk() {
    let asterisk = Request { method: "OPTIONS".into(), path: "*".into(), ..Request::default() };
    let found = |routes: &[&str]| {
        asterisk.with(|query| Router::build(&matchers(routes)).0.find(query) == Found::Route(0))
    };
    assert!(found(&["/*"]) && found(&["/**"]) && found(&["OPTIONS /*"]));
    assert!(!found(&["/{p}"]) && !found(&["/"]) && !found(&["/**/a"]) && !found(&["h.test/*"]));
}

#[test]
fn more_conditions_go_first() {
    let part = |headers: &[(&str, &str)], queries: &[(&str, &str)], methods: &[&str]| {
        let own = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), ValueTest::parse(value))).collect()
        };
        let methods = methods.iter().map(|method| (*method).to_owned()).collect();
        let parts = MatchParts {
            path: "/a".into(),
            headers: own(headers),
            queries: own(queries),
            methods,
            ..Default::default()
        };
        Matcher::from_parts(parts).expect("a test match")
    };
    let matchers = [
        part(&[], &[], &[]),
        part(&[], &[("q", "1")], &[]),
        part(&[("x", "1*")], &[], &[]),
        part(&[("x", "1*"), ("y", "*")], &[], &[]),
        part(&[("x", "12")], &[("q", "*")], &[]),
        part(&[], &[], &["POST"]),
        part(&[("z", "*")], &[], &["PATCH"]),
    ];
    let (router, _) = Router::build(&matchers);
    let find = |text: &str, headers: &[(&str, &str)]| {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let request = Request { headers, ..Request::parse(text) };
        request.with(|query| router.find(query).route())
    };
    assert_eq!(find("/a", &[]), Some(0));
    assert_eq!(find("/a?q=1", &[]), Some(1));
    assert_eq!(find("/a?q=2", &[]), Some(0));
    assert_eq!(find("/a?q=1", &[("x", "13")]), Some(2));
    assert_eq!(find("/a?q=1", &[("x", "13"), ("y", "")]), Some(3));
    assert_eq!(find("/a?q=1", &[("x", "12")]), Some(4));
    assert_eq!(find("POST /a?q=1", &[("x", "12")]), Some(5));
    assert_eq!(find("PATCH /a", &[]), Some(0));
    assert_eq!(find("PATCH /a", &[("z", "")]), Some(6));
}

#[test]
fn explanations_name_the_reason() {
    let matchers = matchers(&["h.test/a", "GET /a", "/{x}", "/b", "PUT /a"]);
    let (router, _) = Router::build(&matchers);
    Request::parse("/a").with(|query| {
        let explanation = router.find_explain(query);
        assert_eq!(explanation.found, Found::Route(1));
        let why: Vec<_> =
            explanation.rejected.iter().map(|rejected| (rejected.route, rejected.why)).collect();
        assert_eq!(
            why,
            [
                (0, Rejection::Host),
                (4, Rejection::Method),
                (3, Rejection::Path),
                (2, Rejection::LessSpecific(Criterion::Path)),
            ]
        );
    });
    Request::parse("/z").with(|query| {
        let explanation = router.find_explain(query);
        assert_eq!((explanation.found, explanation.params.get("x")), (Found::Route(2), Some("z")));
    });
}

/// Routes of an API gateway: so many services, each with the same few routes.
fn services(count: usize) -> Vec<Matcher> {
    let routes = |n: usize| {
        [
            format!("s{n}.test/*"),
            format!("GET /v1/s{n}/items"),
            format!("/v1/s{n}/items/{{id}}"),
            format!("/v1/s{n}/**/edit"),
            format!("/files/s{n}-*"),
            format!("*.s{n}.test/a/*.png"),
        ]
    };
    let texts: Vec<String> = (0..count).flat_map(routes).collect();
    matchers(&texts.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn ten_thousand_routes_cost_what_ten_cost() {
    let (few, few_conflicts) = Router::build(&services(2));
    let (many, many_conflicts) = Router::build(&services(2_000));
    assert_eq!((few_conflicts.len(), many_conflicts.len()), (0, 0));
    for request in [
        "s1.test/x",
        "/v1/s1/items",
        "/v1/s1/items/7",
        "/v1/s1/a/b/edit",
        "/files/s1-x/y",
        "x.s1.test/a/b.png",
        "/v1/none/items",
        "/none",
        "none.test/",
        "PUT /v1/s1/items",
        "/v1/s1/items/7/8/9",
    ] {
        let (found_few, few) = Request::parse(request).with(|query| few.find_nodes(query));
        let (found_many, many) = Request::parse(request).with(|query| many.find_nodes(query));
        assert_eq!(found_few, found_many, "{request}");
        // The texts of `text*` have more lengths with more digits in them.
        assert!(many <= few + 3, "{request}: {few} and {many} nodes");
    }
}

#[test]
fn long_paths_do_not_multiply_the_cost() {
    let (router, _) = Router::build(&matchers(&["/**/a/a/b", "/a/**/a/b", "/{x}/**/a/{y}/b", "/*/a*/**/c"]));
    let path = "/a".repeat(4_000);
    let (found, nodes) = Request::parse(&path).with(|query| router.find_nodes(query));
    assert_eq!(found, None);
    assert!(nodes <= 20, "{nodes} nodes");
}

impl Found<'_> {
    fn route(&self) -> Option<usize> {
        match self {
            Self::Route(route) => Some(*route),
            Self::WrongMethod(_) | Self::Nothing => None,
        }
    }
}

impl Router {
    fn find_nodes(&self, query: &Query<'_>) -> (Option<usize>, usize) {
        let (found, nodes) = self.find_counting(query);
        (found.route(), nodes)
    }
}

/// Which route wins, by trying all.
fn brute_force(matchers: &[Matcher], query: &Query<'_>) -> Option<usize> {
    let matching = (0..matchers.len()).filter(|route| matchers[*route].matches(query));
    matching.min_by(|a, b| compare(&matchers[*a], &matchers[*b]).0)
}

/// Methods of the routes that match but for their method, by trying all.
fn brute_force_methods(matchers: &[Matcher], query: &Query<'_>) -> Vec<String> {
    let with_method = |method: &&'static str| {
        let query = Query { method: method.as_bytes(), ..*query };
        brute_force(matchers, &query).is_some()
    };
    ["GET", "PATCH", "POST", "PUT"].into_iter().filter(with_method).map(str::to_owned).collect()
}

fn patterns() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec!["a", "b", "ab", "a*b", "*b", "a*a*", "{p}", "*", "", "ba"]);
    let tail = prop::sample::select(vec![
        "",
        "",
        "/*",
        "/a*",
        "/ab*",
        "/**",
        "/**/b",
        "/**/a*b",
        "/**/a/b",
        "/**/{q}/b",
    ]);
    (prop::collection::vec(segment, 0..4), tail).prop_map(|(segments, tail)| {
        let mut names = 0;
        let mut text = String::new();
        for segment in segments {
            names += 1;
            let name = format!("{{p{names}}}");
            text.extend(["/", if segment == "{p}" { &name } else { segment }]);
        }
        text.push_str(if text.is_empty() && tail.is_empty() { "/" } else { tail });
        text
    })
}

fn conditions(names: [&'static str; 2]) -> impl Strategy<Value = Vec<(String, ValueTest)>> {
    let test = prop::sample::select(vec!["*", "1", "1*", "12"]);
    let condition = prop::option::weighted(0.2, test);
    (condition.clone(), condition).prop_map(move |(first, second)| {
        let pairs = names.into_iter().zip([first, second]);
        pairs.filter_map(|(name, test)| Some((name.to_owned(), ValueTest::parse(test?)))).collect()
    })
}

fn some_matchers() -> impl Strategy<Value = Vec<Matcher>> {
    let host = prop::sample::select(vec!["", "", "a.t", "b.a.t", "*.t", "*.a.t", "t"]);
    let methods =
        prop::sample::select(vec![vec![], vec![], vec!["GET"], vec!["PUT", "POST"], vec!["GET", "PUT"]]);
    let parts = (host, patterns(), methods, conditions(["x", "y"]), conditions(["q", "r"]));
    let matcher = parts.prop_filter_map("not a match", |(host, path, methods, headers, queries)| {
        let methods = methods.into_iter().map(str::to_owned).collect();
        Matcher::from_parts(MatchParts { host: host.into(), path, methods, headers, queries }).ok()
    });
    prop::collection::vec(matcher, 1..24)
}

fn requests() -> impl Strategy<Value = Request> {
    let host = prop::sample::select(vec!["", "t", "a.t", "b.a.t", "c.a.t", "d.c.a.t", "z"]);
    let segment = prop::sample::select(vec!["a", "b", "ab", "aab", "", "ba", "c"]);
    let path = prop::collection::vec(segment, 1..6).prop_map(|segments| format!("/{}", segments.join("/")));
    let method = prop::sample::select(vec!["GET", "PUT", "POST", "PATCH"]);
    let query = prop::option::of(prop::sample::select(vec!["", "q=1", "q=12&r=1", "r=2&q", "x=1&q=%31"]));
    let values = || prop::option::of(prop::sample::select(vec!["", "1", "12", "2"]));
    (host, path, method, query, values(), values()).prop_map(|(host, path, method, query, x, y)| Request {
        host: host.into(),
        path,
        method: method.into(),
        query: query.map(str::to_owned),
        headers: [("x", x), ("y", y)].into_iter().filter_map(|(n, v)| Some((n.into(), v?.into()))).collect(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_router_finds_what_trying_all_finds(
        matchers in some_matchers(),
        requests in prop::collection::vec(requests(), 1..24),
    ) {
        let (router, conflicts) = Router::build(&matchers);
        let texts = || matchers.iter().map(Matcher::to_string).collect::<Vec<_>>();
        for request in &requests {
            let found = request.with(|query| {
                let expected = brute_force(&matchers, query);
                let methods = brute_force_methods(&matchers, query);
                (router.find(query), expected, methods)
            });
            match found {
                (Found::Route(route), expected, _) => {
                    // Of routes with the same text, either may be found.
                    let text = expected.map(|expected| matchers[expected].to_string());
                    prop_assert_eq!(Some(matchers[route].to_string()), text, "{:?} {:?}", request, texts());
                }
                (Found::WrongMethod(methods), expected, others) => {
                    prop_assert_eq!(expected, None);
                    prop_assert_eq!(methods, others);
                }
                (Found::Nothing, expected, others) => {
                    prop_assert_eq!((expected, others), (None, vec![]), "{:?} {:?}", request, texts());
                }
            }
            for conflict in conflicts.iter().filter(|conflict| conflict.kind == ConflictKind::Unreachable) {
                let (first, second) = (&matchers[conflict.first], &matchers[conflict.second]);
                let is_shadowed = request.with(|query| !second.matches(query) || first.matches(query));
                prop_assert!(is_shadowed, "{} hides {} from {:?}", first, second, request);
                prop_assert!(compare(first, second).0.is_lt());
            }
        }
    }

    #[test]
    fn two_routes_that_tie_are_reported(
        matchers in some_matchers(),
        requests in prop::collection::vec(requests(), 1..24),
    ) {
        let conflicts = Router::build(&matchers).1;
        for request in &requests {
            let matching: Vec<usize> = request.with(|query| {
                (0..matchers.len()).filter(|route| matchers[*route].matches(query)).collect()
            });
            for a in &matching {
                for b in matching.iter().filter(|b| *b > a) {
                    let is_tie = compare(&matchers[*a], &matchers[*b]).1 == Criterion::Text;
                    let is_reported = conflicts.iter().any(|conflict| {
                        conflict.kind == ConflictKind::Ambiguous
                            && [conflict.first, conflict.second].iter().all(|route| [a, b].contains(&route))
                    });
                    prop_assert!(!is_tie || is_reported, "{} and {}", matchers[*a], matchers[*b]);
                }
            }
        }
    }

    #[test]
    fn specificity_is_a_total_order(matchers in some_matchers()) {
        let less = |a: &Matcher, b: &Matcher| compare(a, b).0.is_lt();
        for a in &matchers {
            for b in &matchers {
                prop_assert_eq!(compare(a, b).0, compare(b, a).0.reverse());
                prop_assert_eq!(compare(a, b).0.is_eq(), a.to_string() == b.to_string());
                for c in matchers.iter().filter(|c| less(a, b) && less(b, c)) {
                    prop_assert!(less(a, c), "{} < {} < {}", a, b, c);
                }
            }
        }
    }

    #[test]
    fn a_match_reads_what_it_shows(matchers in some_matchers()) {
        for matcher in matchers.iter().filter(|matcher| matcher.headers.len() + matcher.queries.len() == 0) {
            prop_assert_eq!(&Matcher::parse_short(&matcher.to_string()), &Ok(matcher.clone()));
        }
    }

    #[test]
    fn any_text_is_a_match_or_none(text in "([A-Z,]{0,4} )?[a-z*.\\[\\]:]{0,8}/[a-z{}*/%0-9.;?é ]{0,16}") {
        if let Ok(matcher) = Matcher::parse_short(&text) {
            prop_assert_eq!(Matcher::parse_short(&matcher.to_string()), Ok(matcher));
        }
    }
}
