//! The registry, the reader, the JSON Schema and the pages agree, key by key.

use super::super::keys::TABLES;
use super::super::schema::{Choice, Key, Table};
use super::json::{self, Schema};
use forebay_proxy::plan::Tls;

use super::*;

/// Files around one table: `@` stands for its keys.
struct Frame {
    table: &'static str,
    file: &'static str,
    /// Keys that stand in it anyway.
    keys: &'static [(&'static str, &'static str)],
}

/// The rest of a file whose routes are the subject, and of one whose services are.
macro_rules! frame {
    (route $inner:literal) => {
        concat!(
            "{listen: \":80\", services: {app: {endpoints: [a:1]}, spare: {endpoints: [b:1]}}, ",
            "routes: [{match: \"/spare\", to: spare}, ",
            $inner,
            "]}"
        )
    };
    (service $inner:literal) => {
        concat!("{listen: \":80\", routes: [{match: /*, to: app}], services: {app: ", $inner, "}}")
    };
    (listen $inner:literal) => {
        concat!(
            "{trusted_proxies: [10.0.0.1], tls: {domains: a.test}, ",
            "routes: [{match: /*, respond: 200}], listen: [",
            $inner,
            "]}"
        )
    };
    (tls $inner:literal) => {
        concat!(
            "{listen: [\":8080\", \"https://:443\"], routes: [{match: /*, respond: 200}], tls: ",
            $inner,
            "}"
        )
    };
    (top $inner:literal) => {
        concat!("{listen: \":80\", routes: [{match: /*, respond: 200}], ", $inner, "}")
    };
}

/// A place for every table of the registry; some have several.
const FRAMES: &[Frame] = &[
    Frame {
        table: "top",
        file: "{@}",
        keys: &[("listen", "\":80\""), ("routes", "[{match: /x, respond: 200}]")],
    },
    Frame { table: "listener", file: frame!(listen "{@}"), keys: &[("address", "\"https://:443\"")] },
    Frame { table: "tls", file: frame!(tls "{@}"), keys: TLS_KEYS },
    Frame {
        table: "certificate",
        file: frame!(tls "{certificates: [{@}]}"),
        keys: &[("cert", "certs/shop.test.pem"), ("key", "certs/shop.test.key")],
    },
    Frame { table: "acme", file: frame!(tls "{domains: a.test, acme: {@}}"), keys: &[] },
    Frame { table: "hsts", file: frame!(tls "{domains: a.test, hsts: {@}}"), keys: &[] },
    Frame { table: "service", file: frame!(service "{@}"), keys: &[("endpoints", "[a:1]")] },
    Frame { table: "endpoint", file: frame!(service "{endpoints: [{@}]}"), keys: &[("address", "a:1")] },
    Frame {
        table: "balance",
        file: frame!(service "{endpoints: [a:1], balance: {@}}"),
        keys: &[("hash", "client")],
    },
    Frame {
        table: "hash",
        file: frame!(service "{endpoints: [a:1], balance: {hash: {@}}}"),
        keys: &[("header", "x-a")],
    },
    Frame { table: "sticky", file: frame!(service "{endpoints: [a:1], balance: {sticky: {@}}}"), keys: &[] },
    Frame {
        table: "health",
        file: frame!(service "{endpoints: [a:1], protocol: h2c, health: {@}}"),
        keys: &[("path", "/")],
    },
    Frame { table: "outlier", file: frame!(service "{endpoints: [a:1], outlier: {@}}"), keys: &[] },
    Frame { table: "timeout", file: frame!(service "{endpoints: [a:1], timeout: {@}}"), keys: &[] },
    Frame { table: "pool", file: frame!(service "{endpoints: [a:1], pool: {@}}"), keys: &[] },
    Frame {
        table: "service_tls",
        file: frame!(service "{endpoints: [a:1], tls: {@}}"),
        keys: &[("cert", "certs/gateway.pem"), ("key", "certs/gateway.key"), ("ca", "certs/ca.pem")],
    },
    Frame { table: "route", file: frame!(route "{@}"), keys: &[("match", "/*"), ("to", "app")] },
    Frame { table: "match", file: frame!(route "{match: {@}, to: app}"), keys: &[("path", "/x")] },
    Frame {
        table: "split",
        file: frame!(route "{match: /*, to: {@}}"),
        keys: &[("read", "spare"), ("write", "app")],
    },
    Frame {
        table: "read_after_write",
        file: frame!(route "{match: /*, to: {read: spare, write: app, read_after_write: {@}}}"),
        keys: &[("stay", "7s")],
    },
    Frame { table: "route_timeout", file: frame!(route "{match: /*, to: app, timeout: {@}}"), keys: &[] },
    Frame { table: "headers", file: frame!(route "{match: /*, to: app, headers: {@}}"), keys: &[] },
    Frame { table: "edits", file: frame!(route "{match: /*, to: app, headers: {request: {@}}}"), keys: &[] },
    Frame { table: "edits", file: frame!(route "{match: /*, to: app, headers: {response: {@}}}"), keys: &[] },
    Frame {
        table: "rewrite",
        file: frame!(route "{match: /*, to: app, rewrite: {@}}"),
        keys: &[("path", "/"), ("host", "a")],
    },
    Frame {
        table: "replace_prefix",
        file: frame!(route "{match: /*, to: app, rewrite: {replace_prefix: {@}}}"),
        keys: &[("from", "/a"), ("to", "/b")],
    },
    Frame {
        table: "regex",
        file: frame!(route "{match: /*, to: app, rewrite: {regex: {@}}}"),
        keys: &[("pattern", "(a)"), ("to", "b")],
    },
    Frame { table: "redirect", file: frame!(route "{match: /*, redirect: {@}}"), keys: &[("to", "/a")] },
    Frame { table: "respond", file: frame!(route "{match: /*, respond: {@}}"), keys: &[("body", "b")] },
    Frame { table: "upgrade", file: frame!(route "{match: /*, to: app, upgrade: {@}}"), keys: &[] },
    Frame { table: "defaults", file: frame!(service "{endpoints: [a:1]}}, defaults: {@"), keys: &[] },
    Frame { table: "limits", file: frame!(top "limits: {@}"), keys: &[] },
    Frame { table: "http2", file: frame!(top "limits: {http2: {@}}"), keys: &[] },
    Frame { table: "dns", file: frame!(top "dns: {@}"), keys: &[] },
    Frame { table: "admin", file: frame!(top "admin: {@}"), keys: &[] },
    Frame { table: "logs", file: frame!(top "logs: {@}"), keys: &[] },
    Frame { table: "record", file: frame!(top "record: {@}"), keys: &[("file", "a.jsonl")] },
];

/// What stands beside each key of `tls`.
const TLS_KEYS: &[(&str, &str)] = &[
    ("cert", "certs/shop.test.pem"),
    ("key", "certs/shop.test.key"),
    ("domains", "b.test"),
    ("client_ca", "certs/ca.pem"),
];

impl Frame {
    fn table(&self) -> &'static Table {
        TABLES.iter().find(|table| table.name == self.table).expect("every frame is of a table")
    }

    /// The file with `key` beside the keys that stand there anyway, but for those it excludes.
    fn with(&self, key: &Key, value: &str) -> String {
        let excluded = |other: &str| {
            let excludes = |choice: &&Choice| choice.excludes() && choice.keys.contains(&key.name);
            let mut choices = self.table().choices.iter().filter(excludes);
            other == key.name || choices.any(|choice| choice.keys.contains(&other))
        };
        let kept = self.keys.iter().filter(|(name, _)| !excluded(name));
        let kept: Vec<_> = kept.map(|(name, value)| format!("{name}: {value}")).collect();
        let written =
            if value.is_empty() { kept } else { [kept, vec![format!("{}: {value}", key.name)]].concat() };
        self.file.replace('@', &written.join(", "))
    }
}

fn each_key(check: impl Fn(&Frame, &Key)) {
    for frame in FRAMES {
        frame.table().keys.iter().for_each(|key| check(frame, key));
    }
}

fn meaning(file: &str) -> String {
    let Loaded { server, mut plan, warnings: _, files: _ } = load_with_files(file);
    // What TLS is made of says it all; what it makes of that is made anew each time.
    let tls = plan.tls.take().map(|Tls { server, redirect, hsts, acme }| {
        format!("{:?} {redirect:?} {hsts:?} {acme:?}", server.settings())
    });
    let services = plan.services.iter_mut().filter_map(|service| service.tls.take());
    let services: Vec<_> = services.map(|client| format!("{:?}", client.settings())).collect();
    format!("{server:?} {plan:?} {tls:?} {services:?}")
}

#[test]
fn every_table_has_a_place_in_these_tests() {
    for table in TABLES.iter().filter(|table| table.name != "secret") {
        assert!(FRAMES.iter().any(|frame| frame.table == table.name), "{}", table.name);
    }
}

#[test]
fn every_key_is_documented_and_does_something() {
    each_key(|frame, key| {
        assert!(key.doc.ends_with('.') && !key.example.is_empty(), "{}.{}", frame.table, key.name);
        let with = frame.with(key, key.example);
        let without =
            FRAMES.iter().find(|other| other.file == frame.file).map_or_else(String::new, |frame| {
                let kept: Vec<_> =
                    frame.keys.iter().map(|(name, value)| format!("{name}: {value}")).collect();
                frame.file.replace('@', &kept.join(", "))
            });
        // A rewrite or header edit needs at least one key to be one.
        let before = load_str(&without).map_or_else(|_| String::new(), |_| meaning(&without));
        assert_ne!(meaning(&with), before, "{}.{} does nothing:\n{with}", frame.table, key.name);
    });
}

#[test]
fn every_default_in_the_registry_is_the_one_in_force() {
    each_key(|frame, key| {
        if !key.default.is_empty() && !key.required {
            let (with, without) = (frame.with(key, key.default), frame.with(key, ""));
            let name = format!("{}.{}", frame.table, key.name);
            assert_eq!(meaning(&with), meaning(&without), "{name} is not {} by default", key.default);
        }
    });
}

#[test]
fn the_schema_accepts_every_example_of_a_key() {
    let schema = Schema::of_settings();
    each_key(|frame, key| {
        let file = frame.with(key, key.example);
        assert_eq!(schema.check(&json::of_yaml(&file)), Ok(()), "{file}");
    });
}

#[test]
fn the_schema_refuses_what_the_reader_refuses() {
    let schema = Schema::of_settings();
    for mistake in [
        "workers: 0",
        "workers: many",
        "lisen: 1",
        "limits: {idle: 10}",
        "limits: {idle: 1.5s}",
        "limits: {merge_slashes: \"yes\"}",
        "limits: {body_max: 16M}",
        "services: {a: {}}",
        "services: {\"a b\": {endpoints: [a:1]}}",
        "services: {a: {endpoints: []}}",
        "services: {a: {endpoints: [a]}}",
        "admin: {tokens: 1}",
        "trusted_proxies: [x]",
        "services: {a: {endpoints: [_a]}}",
        "services: {a: {endpoints: [a:1], balance: random}}",
        "services: {a: {endpoints: [a:1], balance: {hash: path, sticky: {}}}}",
        "services: {a: {endpoints: [a:1], health: healthz}}",
        "services: {a: {endpoints: [a:1], health: {path: /, tcp: true}}}",
        "services: {a: {endpoints: [a:1], health: {}}}",
        "services: {a: {endpoints: [a:1], health: {path: /, status: 99}}}",
        "services: {a: {endpoints: [a:1], outlier: {error_ratio: 101}}}",
        "services: {a: {endpoints: [a:1], panic_below: some}}",
        "dns: {servers: [ns.test]}",
        "dns: {family: ipv5}",
    ] {
        let file = format!("{{listen: \":80\", routes: [{{match: /*, respond: 200}}], {mistake}}}");
        assert!(load_str(&file).is_err(), "{file}");
        assert!(schema.check(&json::of_yaml(&file)).is_err(), "{file}");
    }
    let to = ["{read: a}", "{read: a, write: a, also: a}", "{read: a, write: 5}", "{a: -1}"];
    let to: Vec<_> = to.iter().map(|to| format!("{{match: /*, to: {to}}}")).collect();
    let routes = ["{match: /*}", "{match: /*, to: a, respond: 200}", "{to: a}", "{match: [], to: a}"];
    for route in routes.into_iter().chain(to.iter().map(String::as_str)) {
        let file = format!("{{listen: \":80\", services: {{a: {{endpoints: [a:1]}}}}, routes: [{route}]}}");
        assert!(load_str(&file).is_err(), "{file}");
        assert!(schema.check(&json::of_yaml(&file)).is_err(), "{file}");
    }
}

#[test]
fn the_reference_page_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/settings.md");
    let page = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        page.trim_end() == reference().trim_end(),
        "docs/reference/settings.md is stale: run `cargo xtask reference`"
    );
}
