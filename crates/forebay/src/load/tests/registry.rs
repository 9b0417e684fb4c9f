//! The registry, the reader, the JSON Schema and the pages agree, key by key.

use super::super::keys::PLANS;
use super::*;
use crate::config::schema::{Key, Table};

/// Plans around one table: `@` stands for its keys.
struct Frame {
    table: &'static str,
    file: &'static str,
    /// Keys that stand in it anyway.
    keys: &'static [(&'static str, &'static str)],
}

macro_rules! frame {
    (top $inner:literal) => {
        concat!("{target: 'http://127.0.0.1:1', scenarios: [{steps: [{get: /}]}], ", $inner, "}")
    };
    (scenario $inner:literal) => {
        concat!("{target: 'http://127.0.0.1:1', stages: 1s@1, scenarios: [", $inner, "]}")
    };
}

/// A place for every table of the registry.
const FRAMES: &[Frame] = &[
    Frame {
        table: "top",
        file: "{@}",
        keys: &[
            ("target", "'http://127.0.0.1:1'"),
            ("stages", "1s@1"),
            ("scenarios", "[{steps: [{get: /}]}]"),
        ],
    },
    Frame {
        table: "tls",
        file: "{target: 'https://127.0.0.1:1', stages: 1s@1, scenarios: [{steps: [{get: /}]}], tls: {@}}",
        keys: &[],
    },
    Frame {
        table: "stage",
        file: frame!(top "stages: [{@}, {duration: 1s, rate: 1}]"),
        keys: &[("duration", "1s"), ("rate", "1")],
    },
    Frame { table: "preset", file: frame!(top "preset: {@}"), keys: &[("soak", "{rate: 1}")] },
    Frame { table: "spike", file: frame!(top "preset: {spike: {@}}"), keys: &[("base", "1"), ("peak", "2")] },
    Frame { table: "soak", file: frame!(top "preset: {soak: {@}}"), keys: &[("rate", "1")] },
    Frame {
        table: "feeder",
        file: frame!(top "stages: 1s@1, feeders: {a: {@}}"),
        keys: &[("file", "other.csv")],
    },
    Frame {
        table: "process",
        file: frame!(top "stages: 1s@1, processes: {api: {@}}"),
        keys: &[("command", "api")],
    },
    Frame {
        table: "watch",
        file: frame!(top "stages: 1s@1, processes: {api: {command: api}}, watch: {w: {@}}"),
        keys: &[("port", "3000")],
    },
    Frame {
        table: "fault",
        file: frame!(top "stages: 5m@1, processes: {api: {command: api, restart: 1s}, db: {command: db}}, faults: [{@}]"),
        keys: &[("at", "1s"), ("kill", "db"), ("for", "2s")],
    },
    Frame {
        table: "cycles",
        file: frame!(top "stages: 20m@1, processes: {api: {command: api, restart: 1s}}, faults: [{at: 1s, kill: api}], cycles: {@}"),
        keys: &[("count", "2"), ("every", "3m")],
    },
    Frame {
        table: "recovered",
        file: frame!(top "stages: 5m@1, processes: {api: {command: api}}, faults: [{at: 1s, kill: api}], recovered: {@}"),
        keys: &[],
    },
    Frame {
        table: "scenario",
        file: frame!(scenario "{@}, {steps: [{get: /}]}"),
        keys: &[("steps", "[{get: /}]")],
    },
    Frame { table: "step", file: frame!(scenario "{steps: [{@}]}"), keys: &[("get", "/")] },
    Frame {
        table: "capture",
        file: frame!(scenario "{steps: [{get: /, capture: {a: {@}}}]}"),
        keys: &[("header", "a")],
    },
    Frame {
        table: "grpc",
        file: "{target: 'http://127.0.0.1:1', http2: on, stages: 1s@1, scenarios: [{steps: [{grpc: {@}}]}]}",
        keys: &[("method", "shop.Cart/Add")],
    },
    Frame {
        table: "message",
        file: "{target: 'http://127.0.0.1:1', http2: on, stages: 1s@1, scenarios: [{steps: [{grpc: {method: a/b, message: {@}}}]}]}",
        keys: &[("hex", "ff")],
    },
    Frame {
        table: "websocket",
        file: frame!(scenario "{steps: [{websocket: {@}}]}"),
        keys: &[("path", "/"), ("send", "hello")],
    },
    Frame { table: "expect", file: frame!(scenario "{steps: [{get: /, expect: {@}}]}"), keys: &[] },
];

impl Frame {
    fn table(&self) -> &'static Table {
        PLANS.tables.iter().find(|table| table.name == self.table).expect("every frame is of a table")
    }

    /// The plan with `key` beside the keys that stand there anyway, but for those it excludes.
    fn with(&self, key: &Key, value: &str) -> String {
        let excluded = |other: &str| {
            let mut choices = self.table().choices.iter().filter(|choice| choice.keys.contains(&key.name));
            other == key.name || choices.any(|choice| choice.keys.contains(&other))
        };
        let kept = self.keys.iter().filter(|(name, _)| value.is_empty() || !excluded(name));
        let mut written: Vec<_> = kept.map(|(name, value)| format!("{name}: {value}")).collect();
        if !value.is_empty() {
            written.push(format!("{}: {value}", key.name));
        }
        let file = self.file.replace("{@", &format!("{{{}", written.join(", ")));
        match key.name {
            // Some keys make sense only with users, or with another file.
            "connections" | "streams" | "grpc" => file.replace("target:", "http2: on, target:"),
            "tls" => file.replace("http:", "https:"),
            "cert" if !value.is_empty() => file.replace("cert:", "key: client.key, cert:"),
            "key" if !value.is_empty() => file.replace("key:", "cert: client.pem, key:"),
            "iterations" => file.replace("1s@1", "1s@1 users"),
            "faults" => file.replace("stages: 1s@1", "processes: {api: {command: api}}, stages: 5m@1"),
            "cycles" | "recovered" => file.replace(
                "stages: 1s@1",
                "processes: {api: {command: api}}, faults: [{at: 1s, kill: api}], stages: 15m@1",
            ),
            "logs" => file.replace("stages:", "processes: {api: {command: api}}, stages:"),
            "users" => file.replace("rate: 1}", "users: 1}"),
            "delimiter" if value == key.example => file.replace("other.csv", "semi.csv"),
            _ => file,
        }
    }
}

fn each_key(check: impl Fn(&Frame, &Key)) {
    for frame in FRAMES {
        frame.table().keys.iter().for_each(|key| check(frame, key));
    }
}

/// The files that examples name.
fn files() -> Scratch {
    let scratch = Scratch::new("load-registry");
    scratch.write("accounts.csv", "email,password\na,b\n");
    scratch.write("other.csv", "a,b\n1,2\n");
    scratch.write("semi.csv", "a;b\n3;4\n");
    scratch.write("body.bin", "body");
    let certificates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/certs");
    for (from, to) in [("ca.pem", "ca.pem"), ("shop.test.pem", "client.pem"), ("shop.test.key", "client.key")]
    {
        let text = std::fs::read_to_string(certificates.join(from)).expect("it is an example");
        scratch.write(to, &text);
    }
    scratch
}

fn meaning(file: &str, files: &Scratch) -> String {
    let loaded = read_with(file, files.path(), &Changes::default());
    let loaded = loaded.unwrap_or_else(|problems| panic!("{file}\n{}", lines(&problems).join("\n")));
    format!("{:?}", loaded.plan)
}

#[test]
fn every_table_has_a_place_in_these_tests() {
    for table in PLANS.tables {
        assert!(FRAMES.iter().any(|frame| frame.table == table.name), "{}", table.name);
    }
}

#[test]
fn every_key_is_documented_and_does_something() {
    let files = files();
    each_key(|frame, key| {
        assert!(key.doc.ends_with('.') && !key.example.is_empty(), "{}.{}", frame.table, key.name);
        let with = frame.with(key, key.example);
        let without = frame.with(key, "");
        let before = read_with(&without, files.path(), &Changes::default());
        let before = before.map_or_else(|_| String::new(), |loaded| format!("{:?}", loaded.plan));
        assert_ne!(meaning(&with, &files), before, "{}.{} does nothing:\n{with}", frame.table, key.name);
    });
}

#[test]
fn every_default_in_the_registry_is_the_one_in_force() {
    let files = files();
    each_key(|frame, key| {
        if !key.default.is_empty() && !key.required {
            let (with, without) = (frame.with(key, key.default), frame.with(key, ""));
            let name = format!("{}.{}", frame.table, key.name);
            assert_eq!(
                meaning(&with, &files),
                meaning(&without, &files),
                "{name} is not {} by default",
                key.default
            );
        }
    });
}

#[test]
fn the_schema_knows_every_table_and_key() {
    let schema = json_schema();
    each_key(|frame, key| {
        let table = match frame.table {
            "top" => &schema,
            name => &schema["$defs"][name],
        };
        assert!(table["properties"][key.name]["description"].is_string(), "{}.{}", frame.table, key.name);
    });
}

#[test]
fn every_example_is_right() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/load");
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).expect("there are examples") {
        let path = entry.expect("it was listed").path();
        if path.extension().is_some_and(|kind| kind == "yaml") {
            seen += 1;
            let loaded = load(&path, &Changes::default());
            let loaded = loaded.unwrap_or_else(|problems| panic!("{}", lines(&problems).join("\n")));
            assert_eq!(lines(&loaded.warnings), [""; 0], "{}", path.display());
        }
    }
    assert!(seen >= 5);
}
