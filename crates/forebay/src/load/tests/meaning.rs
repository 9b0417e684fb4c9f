//! What right plans come to.

use super::*;

#[test]
fn what_is_not_written_is_as_most_want_it() {
    let plan = load_ok(BASE);
    assert_eq!(plan.name, "plan");
    assert_eq!(plan.target.authority, "127.0.0.1:8080");
    assert_eq!(stages(&plan), [("50/s", 30, 50.0, 50.0)]);
    assert_eq!(plan.model, Model::Open(Arrivals::Uniform));
    assert_eq!(
        (plan.seed, plan.grace, plan.users_max, plan.workers),
        (1, Duration::from_secs(10), 10_000, 0)
    );
    assert!(plan.keep_alive);
    let scenario = &plan.scenarios[0];
    assert_eq!((scenario.name.as_str(), scenario.weight), ("scenario 1", 1));
    let step = &scenario.steps[0];
    assert_eq!(
        (step.name.as_str(), step.method.as_str(), step.timeout),
        ("GET /", "GET", Duration::from_secs(10))
    );
    assert!(matches!(step.body, Body::None));
}

#[test]
fn everything_that_is_written_is_in_the_plan() {
    let scratch = Scratch::new("load-plan");
    scratch.write("accounts.csv", "email,password\na@shop.test,one\nb@shop.test,two\n");
    scratch.write("body.bin", [0, 1, 255]);
    let text = "\
target: http://127.0.0.1:8080/api/
name: shop
seed: 7
arrivals: poisson
stages:
  - {duration: 5s, rate: 10, warmup: true, name: warm}
  - {duration: 30s, rate: 50/s, to: 200/s}
  - {duration: 1m, rate: 200}
users_max: 500
workers: 2
grace: 3s
keep_alive: false
timeout: 2s
tags: {team: shop}
headers: {accept: application/json, x-all: all}
variables: {base: v1}
feeders:
  accounts: {file: accounts.csv, order: random}
scenarios:
  - name: buy
    weight: 3
    tags: {kind: write}
    steps:
      - post: /{{ base }}/login
        name: login
        json: {email: '{{ email }}', remember: true, count: 2}
        capture: {token: {json: $.token}, etag: {header: ETag}, id: {regex: 'id=(\\d+)'}}
        expect: {status: [200, 201], contains: ok, json: {$.ok: true}, header: {content-type: json}, body_max: 1MiB}
        think: 1s..3s
      - {get: '/items/{{ id }}?page=1', headers: {authorization: 'Bearer {{ token }}', X-All: own}, timeout: 1s, think: 500ms}
      - {request: PURGE /cache, body: 'say {{ etag }}'}
      - {put: /file, body_file: body.bin, tags: {big: file}}
  - steps: [{delete: /x}, {head: /x}, {patch: /x, body: plain}]
thresholds: ['p(95)<100ms', 'errors<0.1%']
";
    let loaded = read_with(text, scratch.path(), &Changes::default());
    let plan = loaded.unwrap_or_else(|problems| panic!("{:#?}", lines(&problems))).plan;
    assert_eq!((plan.name.as_str(), plan.seed, plan.users_max, plan.workers), ("shop", 7, 500, 2));
    assert_eq!((plan.target.prefix.as_str(), plan.keep_alive), ("/api", false));
    assert_eq!(plan.model, Model::Open(Arrivals::Poisson));
    let expected = [("warm", 5, 10.0, 10.0), ("50 to 200/s", 30, 50.0, 200.0), ("200/s", 60, 200.0, 200.0)];
    assert_eq!(stages(&plan), expected);
    assert!(plan.stages[0].warmup && !plan.stages[1].warmup);
    assert_eq!((plan.thresholds.len(), plan.feeders.len(), plan.variables.len()), (2, 1, 1));

    let [login, item, purge, file] = plan.scenarios[0].steps.as_slice() else { panic!("there are four") };
    assert_eq!((login.method.as_str(), login.capture.len(), login.expect.len()), ("POST", 3, 5));
    assert_eq!(login.think, (Duration::from_secs(1), Duration::from_secs(3)));
    assert_eq!(login.timeout, Duration::from_secs(2));
    assert!(login.headers.iter().any(|(name, _)| name == "content-type"));
    assert!(matches!(&login.body, Body::Template(template) if template.names().eq(["email"])));
    let names: Vec<_> = item.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["accept", "authorization", "X-All"]);
    assert_eq!((item.timeout, item.think.1), (Duration::from_secs(1), Duration::from_millis(500)));
    assert_eq!((purge.method.as_str(), purge.name.as_str()), ("PURGE", "PURGE /cache"));
    assert!(matches!(&file.body, Body::Bytes(bytes) if **bytes == [0, 1, 255]));
    let methods: Vec<_> = plan.scenarios[1].steps.iter().map(|step| step.method.as_str()).collect();
    assert_eq!(methods, ["DELETE", "HEAD", "PATCH"]);
}

#[test]
fn stages_are_a_line_a_list_or_a_preset() {
    let plan = |stages: &str| load_ok(&BASE.replace("stages: 30s@50", stages));
    let one = plan("stages: '30s@50, 1m@200, 1m@200..1000, 30s@50'");
    let expected = [
        ("50/s", 30, 50.0, 50.0),
        ("200/s", 60, 200.0, 200.0),
        ("200 to 1000/s", 60, 200.0, 1000.0),
        ("50/s (2)", 30, 50.0, 50.0),
    ];
    assert_eq!(stages(&one), expected);
    let users = plan("stages: [{duration: 30s, users: 50, to: 100}]\niterations: 1000");
    assert_eq!(stages(&users), [("50 to 100 users", 30, 50.0, 100.0)]);
    assert_eq!(users.model, Model::Closed { iterations: Some(1000) });
    let spike = plan("preset: {spike: {base: 100/s, peak: 1000/s, for: 20s}}");
    let names: Vec<_> = stages(&spike).into_iter().map(|(name, length, ..)| (name, length)).collect();
    assert_eq!(names, [("before", 60), ("up", 10), ("peak", 20), ("down", 10), ("after", 120)]);
    let soak = plan("preset: {soak: {rate: 100}}");
    assert_eq!(stages(&soak), [("100/s", 1_800, 100.0, 100.0)]);
    let warm = plan("stages: 30s@50..200\nwarmup: 5s");
    assert_eq!(stages(&warm)[0], ("warm-up", 5, 50.0, 50.0));
    assert!(warm.stages[0].warmup && !warm.stages[1].warmup);
}

#[test]
fn variables_of_the_environment_are_filled_in() {
    let env = |name: &str| (name == "PORT").then(|| "9".to_owned());
    let text = BASE.replace("8080", "${PORT}");
    let around = Surroundings { env: &env, base: None };
    let loaded = load_text("plan.yaml", &text, around, &Changes::default()).expect("it is right");
    assert_eq!(loaded.plan.target.authority, "127.0.0.1:9");
}

/// The body of the only step.
fn body_of(step: &str) -> String {
    let plan = load_ok(&BASE.replace("{get: /}", step));
    match &plan.scenarios[0].steps[0].body {
        Body::Bytes(bytes) => String::from_utf8(bytes.to_vec()).expect("it is text"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_json_body_is_sent_as_it_is_written() {
    for (json, expected) in [
        ("{z: 1, a: 2, m: {y: 0, b: ~}}", r#"{"z":1,"a":2,"m":{"y":0,"b":null}}"#),
        ("[12345678901234567890123, 0.10, 1e999, -0]", "[12345678901234567890123,0.10,1e999,-0]"),
        ("['1', 007, yes, true, 'true']", r#"["1","007","yes",true,"true"]"#),
        ("text", r#""text""#),
    ] {
        assert_eq!(body_of(&format!("{{post: /, json: {json}}}")), expected, "{json}");
    }
}

#[test]
fn a_variable_may_use_those_above_it() {
    let text = format!(
        "{BASE}variables: {{a: v1, d: '/{{{{ a }}}}/x', e: '{{{{ d }}}}{{{{ a }}}}', f: '{{{{{{{{'}}\n"
    );
    let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let expected = [own("a", "v1"), own("d", "/v1/x"), own("e", "/v1/xv1"), own("f", "{{")];
    assert_eq!(load_ok(&text).variables, expected);
}
