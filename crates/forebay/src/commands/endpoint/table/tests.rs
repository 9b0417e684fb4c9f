//! What a person sees of some endpoints, at several widths.

use serde_json::json;

use super::*;

fn services() -> Vec<Value> {
    vec![json!({
        "name": "shop", "panic": true, "priority": 0, "waiting": 0,
        "sources": [{ "source": "name app.test:80", "found": 2, "denied": 1, "failing": { "why": "NXDOMAIN", "since_seconds_ago": 65.2 } }],
        "endpoints": [
            {
                "address": "10.0.0.1:80", "state": "up", "source": "settings", "weight": 1, "priority": 0,
                "share": 0.5, "ramp_percent": null, "outs": [], "in_flight": 3, "connections": 4, "check": null,
            },
            {
                "address": "10.0.0.2:80", "state": "ejected", "source": "admin", "weight": 1, "priority": 0,
                "share": null, "ramp_percent": null, "in_flight": 0, "connections": 0,
                "outs": [
                    { "reason": "ejected", "cause": "connect_failures", "detail": "3 connections in a row could not be opened", "since_seconds_ago": 2.9, "until_in_seconds": 4_000.0 },
                    { "reason": "unhealthy", "cause": null, "detail": "status 500\u{1b}[2J", "since_seconds_ago": 1.0, "until_in_seconds": null },
                ],
                "check": { "state": "down", "next_in_seconds": 0.2, "last": { "passed": false, "at_seconds_ago": 1.0 } },
            },
        ],
    })]
}

fn written(services: &[Value], only_out: bool) -> String {
    let mut buffer = Vec::new();
    show(services, only_out, &mut Output::new(&mut buffer, false)).expect("a buffer takes all");
    String::from_utf8(buffer).expect("it is text")
}

/// The table without notes, as wide as this.
fn at_width(width: usize) -> String {
    let rows: Vec<Vec<String>> = services()[0]["endpoints"]
        .as_array()
        .expect("it is a list")
        .iter()
        .map(|endpoint| COLUMNS.iter().map(|column| (column.cell)(&services()[0], endpoint)).collect())
        .collect();
    let mut buffer = Vec::new();
    lines(&rows, width, &mut Output::new(&mut buffer, false)).expect("a buffer takes all");
    String::from_utf8(buffer).expect("it is text")
}

#[test]
fn a_program_gets_every_column_whole() {
    let text = written(&services(), false);
    let head = text.lines().next().unwrap_or_default();
    assert!(COLUMNS.iter().all(|column| head.contains(column.title)), "{head}");
    for part in [
        "3 connections in a row could not be opened; also unhealthy; status 500\u{fffd}[2J",
        "2s ago",
        "in 1h6m",
        "50.0 %",
        "failed 1s ago",
        "note: shop is in panic",
        "note: shop: name app.test:80 has had no answer for 1m5s: NXDOMAIN; the last good one holds",
        "note: shop: name app.test:80 led to 1 link-local",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains('\x1b'));
}

#[test]
fn those_that_are_out_can_be_alone() {
    let text = written(&services(), true);
    assert!(!text.contains("10.0.0.1:80") && text.contains("10.0.0.2:80"), "{text}");
    let mut well = services();
    well[0]["endpoints"].as_array_mut().expect("it is a list").pop();
    assert!(written(&well, true).starts_with("no endpoint is out\n"));
}

#[test]
fn a_narrow_terminal_loses_columns_by_their_worth() {
    for width in [60, 70, 80, 100, 120, 140, 160] {
        let text = at_width(width);
        let widest = text.lines().map(chars).max().unwrap_or(0);
        assert!(widest <= width, "{widest} of {width}:\n{text}");
        assert!(text.contains("STATE") && text.contains("ejected"), "{text}");
    }
    assert!(!at_width(120).contains("PRIORITY") && at_width(120).contains("NEXT TRY"), "{}", at_width(120));
    assert!(at_width(80).contains(WHY) && at_width(80).contains('…'), "{}", at_width(80));
    // What is too narrow even for the three is wrapped by the terminal.
    assert!(at_width(10).contains("10.0.0.2:80"));
}

#[test]
fn times_are_short() {
    for (given, shown) in [(0.4, "0s"), (59.9, "59s"), (125.0, "2m5s"), (3_661.0, "1h1m"), (-3.0, "0s")] {
        assert_eq!(seconds(given), shown, "{given}");
    }
}
