//! `check`, `explain` and `schema` on real files: what is right passes, and all that is wrong is told at once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use forebay_testkit::binary;
use forebay_testkit::scratch::Scratch;
use forebay_testkit::servers::run;
use serde_json::Value;

fn forebay(arguments: &[&str], file: &Path) -> Output {
    let mut command = Command::new(binary!());
    // Examples read their secrets from the environment, as real files do.
    command.args(arguments).arg("-c").arg(file).env("ADMIN_TOKEN", "0123456789abcdef0123");
    run(&mut command)
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Every settings file of `examples/`.
fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "yaml" || kind == "yml"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "there is no example");
    files
}

#[test]
fn every_example_passes_check() {
    for file in examples() {
        let output = forebay(&["check"], &file);
        assert!(output.status.success(), "{}:\n{}", file.display(), text(&output));
    }
}

#[test]
fn every_example_can_be_explained() {
    for file in examples() {
        let output = forebay(&["explain", "GET", "http://shop.test/"], &file);
        assert!(output.status.code().is_some_and(|code| code <= 1), "{}:\n{}", file.display(), text(&output));
        assert!(!output.stdout.is_empty(), "{}:\n{}", file.display(), text(&output));
    }
}

#[test]
fn the_schema_is_a_json_schema_that_knows_every_key_of_the_examples() {
    let mut command = Command::new(binary!());
    let output = run(command.arg("schema"));
    assert!(output.status.success(), "{}", text(&output));
    let schema: Value = serde_json::from_slice(&output.stdout).expect("the schema is JSON");
    assert!(schema["$schema"].is_string(), "{schema}");
    let properties = schema["properties"].as_object().expect("it has properties");
    assert_eq!(schema["additionalProperties"], Value::Bool(false), "unknown keys must not pass");
    for file in examples() {
        let content = fs::read_to_string(&file).expect("it was just listed");
        let keys = content.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()));
        for key in keys.filter_map(|line| line.split_once(':')).map(|(key, _)| key) {
            assert!(properties.contains_key(key), "{}: {key} is not in the schema", file.display());
        }
    }
}

/// Five mistakes of five kinds, each on a line of its own.
const FIVE_MISTAKES: &str = "\
listen: 127.0.0.1:99999
limits:
  header_timeout: ten
  head_byte: 16KiB
services:
  app: { endpoints: [127.0.0.1:3000] }
routes:
  - { match: /*, to: ap }
  - { match: /b }
";

#[test]
fn five_mistakes_are_told_at_once_with_their_places() {
    let scratch = Scratch::new("settings");
    let file = scratch.write("broken.yaml", FIVE_MISTAKES);
    let output = forebay(&["check"], &file);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let told = text(&output);
    for (line, words) in [
        (1, &["99999"][..]),
        (3, &["header_timeout", "ten"]),
        (4, &["head_byte", "head_bytes"]),
        (8, &["ap", "app"]),
        (9, &["to"]),
    ] {
        let place = format!("broken.yaml:{line}:");
        let at = told.find(&place).unwrap_or_else(|| panic!("nothing is told of line {line}:\n{told}"));
        let end = told[at + 1..].find("broken.yaml:").map_or(told.len(), |next| at + 1 + next);
        for word in words {
            assert!(told[at..end].contains(word), "{word} is not told of line {line}:\n{told}");
        }
    }
}

#[test]
fn problems_come_as_json_too() {
    let scratch = Scratch::new("settings");
    let file = scratch.write("broken.yaml", FIVE_MISTAKES);
    let output = forebay(&["check", "--json"], &file);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let told: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output)));
    let problems = told.as_array().or_else(|| told["problems"].as_array()).expect("a list of problems");
    let lines: Vec<u64> = problems.iter().filter_map(|problem| problem["line"].as_u64()).collect();
    for line in [1, 3, 4, 8, 9] {
        assert!(lines.contains(&line), "nothing is told of line {line}: {told}");
    }
}

#[test]
fn a_file_that_is_not_there_is_told_and_nothing_is_served() {
    for command in [&["check"][..], &["run"]] {
        let output = forebay(command, Path::new("/nowhere/forebay.yaml"));
        assert_eq!(output.status.code(), Some(1), "{command:?}: {}", text(&output));
        assert!(text(&output).contains("/nowhere/forebay.yaml"), "{command:?}: {}", text(&output));
        assert!(!text(&output).contains("panicked"), "{command:?}: {}", text(&output));
    }
}

#[test]
fn a_broken_file_is_not_served_and_every_problem_is_told() {
    let scratch = Scratch::new("settings");
    let file = scratch.write("broken.yaml", FIVE_MISTAKES);
    let output = forebay(&["run"], &file);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    for line in [1, 3, 4, 8, 9] {
        assert!(text(&output).contains(&format!("broken.yaml:{line}:")), "{}", text(&output));
    }
}

#[test]
fn hostile_files_are_told_apart_and_never_crash() {
    let scratch = Scratch::new("settings");
    let deep = "[".repeat(100_000);
    let laughs = "a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\n\
        c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c]\n\
        e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d]\nf: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e]\n\
        g: &g [*f, *f, *f, *f, *f, *f, *f, *f, *f]\nh: &h [*g, *g, *g, *g, *g, *g, *g, *g, *g]\nlisten: *h\n";
    for (name, content) in [
        ("empty", &b""[..]),
        ("a list", b"- a\n- b\n"),
        ("a word", b"hello"),
        ("a tab", b"listen:\t127.0.0.1:0\n\troutes: []\n"),
        ("binary", b"\x00\x01\x02\xff\xfe"),
        ("deep", deep.as_bytes()),
        ("a billion laughs", laughs.as_bytes()),
        (
            "twice the same key",
            b"listen: 127.0.0.1:0\nlisten: 127.0.0.1:0\nroutes: [{match: /*, respond: 204}]\n",
        ),
        (
            "two documents",
            b"listen: 127.0.0.1:0\nroutes: [{match: /*, respond: 204}]\n---\nlisten: 127.0.0.1:1\n",
        ),
        ("an unset variable", b"listen: ${NO_SUCH_VARIABLE_HERE}\nroutes: [{match: /*, respond: 204}]\n"),
        ("a later feature", b"listen: 127.0.0.1:0\nroutes: [{match: /*, respond: 204, cache: on}]\n"),
    ] {
        let file = scratch.write("hostile.yaml", content);
        let output = forebay(&["check"], &file);
        assert_eq!(output.status.code(), Some(1), "{name}: {}", text(&output));
        assert!(text(&output).contains("hostile.yaml"), "{name}: {}", text(&output));
    }
}

#[test]
fn no_file_is_needed_to_forward() {
    let origin = forebay_testkit::origin::Origin::echo();
    let to = origin.address().to_string();
    let gateway = forebay_testkit::gateway::Gateway::start_with(
        env!("CARGO_BIN_EXE_forebay"),
        &["run", "--to", &to, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"],
    );
    assert_eq!(gateway.get("/x").headers.get("x-path"), Some("/x"));
}

#[test]
fn the_endpoints_files_of_the_examples_can_be_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/discovery");
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let files: Vec<PathBuf> = entries.map(|entry| entry.expect("the folder can be read").path()).collect();
    assert!(!files.is_empty(), "there is none");
    for file in files {
        let content = fs::read(&file).expect("it was just listed");
        let found =
            forebay::config::read_endpoints(&content, &file).unwrap_or_else(|wrong| panic!("{wrong}"));
        assert!(!found.is_empty(), "{}", file.display());
    }
}
