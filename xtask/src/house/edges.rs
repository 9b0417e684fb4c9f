//! Which crate may import which: the one table.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{shell, tree};

/// A crate with all it may import. Siblings never import siblings; what two need lies below both, or the
/// binary plugs one into the other.
const EDGES: &[(&str, &[&str])] = &[
    ("forebay-base", &[]),
    ("forebay-policy", &["forebay-base"]),
    ("forebay-telemetry", &["forebay-base"]),
    ("forebay-net", &["forebay-base"]),
    // The tester knows no gateway, so that it cannot favour one.
    ("forebay-load", &["forebay-base", "forebay-net"]),
    ("forebay-proxy", &["forebay-base", "forebay-net", "forebay-policy", "forebay-telemetry"]),
    (
        "forebay",
        &[
            "forebay-base",
            "forebay-net",
            "forebay-policy",
            "forebay-telemetry",
            "forebay-load",
            "forebay-proxy",
        ],
    ),
    ("forebay-testkit", &["forebay-base"]),
    // The load tester is measured against the testkit's server of known delays.
    ("xtask", &["forebay-testkit"]),
];

/// Anyone may test with it, nobody may ship it.
const TESTKIT: &str = "forebay-testkit";

#[derive(Debug)]
struct Edge {
    from: String,
    to: String,
    for_tests: bool,
}

#[test]
fn crates_import_only_what_the_table_allows() {
    let allowed: BTreeMap<&str, &[&str]> = EDGES.iter().copied().collect();
    let mut wrong = Vec::new();
    for Edge { from, to, for_tests } in edges() {
        let below = allowed.get(from.as_str()).is_some_and(|below| below.contains(&to.as_str()));
        let tested_with = for_tests && to == TESTKIT;
        if !below && !tested_with {
            wrong.push(format!("{from} -> {to}"));
        }
    }
    assert!(wrong.is_empty(), "not in the table of edges: {wrong:#?}");
}

#[test]
fn every_crate_is_in_the_table() {
    let listed: Vec<&str> = EDGES.iter().map(|(name, _)| *name).collect();
    let missing: Vec<String> = packages()
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| !listed.contains(&name.as_str()))
        .collect();
    assert!(missing.is_empty(), "no row in the table of edges: {missing:?}");
}

#[test]
fn the_workspace_has_edges_to_check() {
    let found = edges();
    assert!(found.iter().any(|edge| edge.from == "forebay" && edge.to == "forebay-proxy"), "{found:#?}");
}

/// Every import of one workspace crate by another.
fn edges() -> Vec<Edge> {
    let packages = packages();
    let names: Vec<String> = packages.iter().map(|(name, _)| name.clone()).collect();
    let mut edges = Vec::new();
    for (from, dependencies) in packages {
        for dependency in dependencies.as_array().into_iter().flatten() {
            let to = dependency["name"].as_str().unwrap_or_default().to_owned();
            if names.contains(&to) {
                edges.push(Edge { from: from.clone(), to, for_tests: dependency["kind"] == "dev" });
            }
        }
    }
    edges
}

/// The crates of the workspace with their dependencies as cargo describes them.
fn packages() -> Vec<(String, Value)> {
    let mut cargo = shell::cargo();
    cargo
        .args(["metadata", "--no-deps", "--offline", "--quiet", "--format-version", "1"])
        .current_dir(tree::root());
    let text = shell::read(&mut cargo).expect("cargo describes the workspace it runs in");
    let line = text.lines().find(|line| line.starts_with('{')).expect("the description is one line of JSON");
    let metadata: Value = serde_json::from_str(line).expect("cargo writes JSON");
    let packages = metadata["packages"].as_array().expect("a workspace has packages");
    packages
        .iter()
        .map(|package| {
            (package["name"].as_str().unwrap_or_default().to_owned(), package["dependencies"].clone())
        })
        .collect()
}
