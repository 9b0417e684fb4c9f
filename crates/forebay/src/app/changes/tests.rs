//! Two settings files, and what is said of their difference.

use super::*;
use crate::config;

fn plan(text: &str) -> Plan {
    let text = format!("listen: 127.0.0.1:8080\n{text}");
    config::load_str(&text).unwrap_or_else(|problems| panic!("{problems:#?}\n{text}")).plan
}

#[track_caller]
fn check(old: &str, new: &str, expected: &[&str]) {
    let changes = Changes::between(&plan(old), &plan(new));
    assert_eq!(changes.summary(), expected, "{old}\n{new}");
    assert_eq!(changes.is_empty(), expected.is_empty());
}

const BASE: &str = "\
services:
  shop: { endpoints: [\"10.0.0.1:80\", \"10.0.0.2:80\"] }
  blog: { endpoints: [\"10.0.1.1:80\"] }
routes:
  - { match: /shop/*, to: shop, name: shop }
  - { match: /blog/*, to: blog, name: blog, rewrite: { regex: { pattern: \"^/blog/(.*)$\", to: \"/$1\" } } }
";

#[test]
fn what_was_written_in_another_way_is_the_same() {
    check(BASE, BASE, &[]);
    check(BASE, &format!("# a remark\nlimits: {{ body_max: 64MiB }}\n{BASE}"), &[]);
}

#[test]
fn services_and_routes_come_and_go() {
    let more = BASE
        .replace("  blog:", "  cart: { endpoints: [\"10.0.2.1:80\"] }\n  blog:")
        .replace("  - { match: /blog", "  - { match: /cart/*, to: cart, name: cart }\n  - { match: /blog");
    check(BASE, &more, &["service added: cart", "route added: cart"]);
    // The index of `blog` is another, and the route to it still leads there.
    check(&more, BASE, &["service removed: cart", "route removed: cart"]);
}

#[test]
fn endpoints_are_counted() {
    let other = BASE.replace(
        "\"10.0.0.1:80\", \"10.0.0.2:80\"",
        "{ address: \"10.0.0.1:80\", weight: 3 }, \"10.0.0.3:80\", \"10.0.0.4:80\"",
    );
    check(BASE, &other, &["service changed: shop (endpoints +2 -1 ~1)"]);
    let turned = BASE.replace("\"10.0.0.1:80\", \"10.0.0.2:80\"", "\"10.0.0.2:80\", \"10.0.0.1:80\"");
    check(BASE, &turned, &["service changed: shop (endpoints)"]);
}

#[test]
fn only_what_differs_is_looked_into() {
    for (old, new, expected) in [
        ("abcd", "abcd", ("", "")),
        ("abcd", "abxd", ("c", "x")),
        ("abcd", "abcde", ("", "e")),
        ("aaaa", "aaa", ("a", "")),
        ("", "ab", ("", "ab")),
        ("abc", "xyz", ("abc", "xyz")),
    ] {
        let expected = (expected.0.as_bytes(), expected.1.as_bytes());
        assert_eq!(differing(old.as_bytes(), new.as_bytes()), expected, "{old} {new}");
    }
}

#[test]
fn keys_are_named() {
    let other = BASE
        .replace("[\"10.0.1.1:80\"]", "[\"10.0.1.1:80\"], balance: round_robin, timeout: 3s")
        .replace("^/blog/(.*)$", "^/blog/(.+)$")
        .replace("to: shop,", "to: { shop: 1, blog: 2 },");
    let other = format!("limits: {{ drain: 3s, idle: 4s }}\n{other}");
    check(
        BASE,
        &other,
        &[
            "limits changed: idle, drain",
            "service changed: blog (balance, timeout)",
            "route changed: shop (to)",
            "route changed: blog (rewrite)",
        ],
    );
    check(BASE, &BASE.replace("to: shop,", "redirect: /x,"), &["route changed: shop (redirect)"]);
}

#[test]
fn another_order_is_told_apart_from_a_change() {
    let turned = "\
services:
  blog: { endpoints: [\"10.0.1.1:80\"] }
  shop: { endpoints: [\"10.0.0.1:80\", \"10.0.0.2:80\"] }
";
    let (_, routes) = BASE.split_once("routes:").expect("it has routes");
    check(BASE, &format!("{turned}routes:{routes}"), &["services stand in another order"]);
}

#[test]
fn a_line_of_the_log_stays_short() {
    let routes: String =
        (0..2_000).map(|n| format!("  - {{ match: /{n}, respond: x, name: r{n} }}\n")).collect();
    let many = format!("limits: {{ drain: 3s }}\n{BASE}{routes}");
    let changes = Changes::between(&plan(BASE), &plan(&many));
    let line = changes.to_string();
    assert!(line.starts_with("limits changed: drain; route added: r0; "), "{line}");
    assert!(line.ends_with("; and 1992 more"), "{line}");
    assert_eq!(changes.summary().len(), 1_000);
    assert_eq!(changes.summary().last().map(String::as_str), Some("and 1002 more"));
    assert_eq!(changes.to_json()["routes"]["added"].as_array().map(Vec::len), Some(2_000));
}

#[test]
fn tools_get_names_and_numbers() {
    let other = BASE.replace("\"10.0.0.2:80\"", "\"10.0.0.3:80\"");
    let changes = Changes::between(&plan(BASE), &plan(&other)).to_json();
    assert_eq!(
        changes["services"]["changed"],
        json!([{ "name": "shop", "keys": ["endpoints"], "endpoints": { "added": 1, "removed": 1, "changed": 0 } }])
    );
    assert_eq!(changes["routes"]["changed"], json!([]));
}

#[test]
fn what_changes_about_tls_is_named() {
    let base = "routes: [{ match: /*, respond: 204 }]\n";
    let with = |tls: &str| format!("tls: {tls}\n{base}");
    check(base, &with("{ domains: a.test }"), &["tls changed: added"]);
    check(&with("{ domains: a.test }"), base, &["tls changed: removed"]);
    check(&with("{ domains: a.test }"), &with("{ domains: [A.test], hsts: off }"), &[]);
    check(
        &with("{ domains: a.test }"),
        &with("{ domains: [a.test, b.test], hsts: on, min_version: 1.3, acme: { directory: staging } }"),
        &["tls changed: min_version, hsts, domains, acme"],
    );
}

#[test]
fn what_changes_about_protocols_is_named() {
    check(
        BASE,
        &BASE.replace("[\"10.0.1.1:80\"]", "[\"10.0.1.1:80\"], protocol: h2c"),
        &["service changed: blog (protocol)"],
    );
    check(
        BASE,
        &BASE.replace("to: shop,", "to: shop, upgrade: off, grpc_web: on,"),
        &["route changed: shop (upgrade, grpc_web)"],
    );
    check(
        BASE,
        &format!("limits: {{ http2: {{ streams: 7 }}, handshake_timeout: 5s }}\n{BASE}"),
        &["limits changed: handshake_timeout, http2"],
    );
}
