//! `forebay demo` from outside: it needs nothing, tells what it did, and its counts are the gateway's.

use std::net::TcpListener;
use std::process::{Command, Output};

use forebay_testkit::binary;
use forebay_testkit::check::eventually;
use forebay_testkit::gateway::{Gateway, Signal};
use forebay_testkit::servers::run;

const ANYWHERE: [&str; 4] = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];

fn demo(arguments: &[&str]) -> Output {
    run(Command::new(binary!()).arg("demo").args(arguments))
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The row of the closing table with this label: requests, then status classes, then the percentiles.
fn row(text: &str, label: &str) -> Vec<String> {
    let (_, closing) = text.split_once("What clients saw").unwrap_or_else(|| panic!("no summary: {text}"));
    let line = closing.lines().find(|line| line.trim_start().starts_with(&format!("{label} ")));
    let line = line.unwrap_or_else(|| panic!("no row {label}: {text}"));
    let cells = line.trim_start().trim_start_matches(label).split("  ");
    cells.map(|cell| cell.trim().to_owned()).filter(|cell| !cell.is_empty()).collect()
}

fn number(cell: &str) -> f64 {
    let digits = cell.replace(',', "");
    digits.parse().unwrap_or_else(|_| panic!("not a number: {cell}"))
}

/// In milliseconds.
fn latency(cell: &str) -> f64 {
    match (cell.strip_suffix("ms"), cell.strip_suffix('s')) {
        (Some(millis), _) => number(millis),
        (None, Some(seconds)) => number(seconds) * 1e3,
        _ => panic!("not a duration: {cell}"),
    }
}

#[test]
fn it_ends_by_itself_with_counts_and_percentiles_on_which_both_sides_agree() {
    let output = demo(&[&["--seconds", "2", "--once"], &ANYWHERE[..]].concat());
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    let mut sum = 0.0;
    for label in ["/shop/*", "POST /shop/orders", "/reports/*", "/flaky/*", "/", "(no route)", "all"] {
        let row = row(&text, label);
        let [requests, success, redirect, client, server, p50, p95, p99] = &row[..] else {
            panic!("{label}: {row:?}")
        };
        let classes = [success, redirect, client, server].map(|cell| match cell.as_str() {
            "·" => 0.0,
            cell => number(cell),
        });
        let requests = number(requests);
        assert_eq!(requests, classes.iter().sum::<f64>(), "{label}: {row:?}");
        let quantiles = [p50, p95, p99].map(|cell| latency(cell));
        assert!(quantiles[0] > 0.0 && quantiles.is_sorted(), "{label}: {row:?}");
        if label == "all" {
            assert_eq!(requests, sum, "{text}");
        }
        sum += requests;
    }
    assert!(text.contains("are exactly what clients saw"), "{text}");
}

#[test]
fn it_shows_settings_that_check_accepts() {
    let output = demo(&[&["--seconds", "1", "--once"], &ANYWHERE[..]].concat());
    let text = text(&output);
    let settings: Vec<&str> = text
        .lines()
        .skip_while(|line| !line.starts_with("    listen: "))
        .take_while(|line| line.is_empty() || line.starts_with("    "))
        .map(|line| line.get(4..).unwrap_or_default())
        .collect();
    let scratch = forebay_testkit::scratch::Scratch::new("demo");
    let file = scratch.write("forebay.yaml", settings.join("\n"));
    let checked = run(Command::new(binary!()).arg("check").arg("-c").arg(file));
    assert!(checked.status.success(), "{text}\n{}", self::text(&checked));
}

#[test]
fn it_goes_on_after_the_summary_and_metrics_say_what_clients_saw() {
    let arguments = [&["demo", "--seconds", "1"], &ANYWHERE[..]].concat();
    let mut demo = Gateway::start_with(env!("CARGO_BIN_EXE_forebay"), &arguments);
    let text =
        eventually("the summary", || Some(demo.stdout()).filter(|text| text.contains("go on until Ctrl-C")));
    let requests = |label| number(&row(&text, label)[0]);
    for label in ["/shop/*", "POST /shop/orders", "/reports/*", "/flaky/*", "/"] {
        let series = format!("forebay_requests_total{{route=\"{label}\"}}");
        assert_eq!(demo.metric(&series), requests(label), "{label}: {text}");
    }
    assert_eq!(demo.metric("forebay_requests_unrouted_total"), requests("(no route)"), "{text}");
    assert_eq!(demo.get("/shop/").status, 200);
    demo.signal(Signal::Interrupt);
    assert!(demo.await_exit().success(), "{}", demo.stderr());
}

#[test]
fn an_interrupt_during_traffic_still_brings_the_summary() {
    let arguments = [&["demo", "--seconds", "600"], &ANYWHERE[..]].concat();
    let mut demo = Gateway::start_with(env!("CARGO_BIN_EXE_forebay"), &arguments);
    demo.await_metric("forebay_requests_total", |requests| requests > 50.0);
    demo.signal(Signal::Interrupt);
    assert!(demo.await_exit().success(), "{}", demo.stderr());
    let text = demo.stdout();
    assert!(number(&row(&text, "all")[0]) > 50.0, "{text}");
    assert!(text.contains("are exactly what clients saw"), "{text}");
}

#[test]
fn a_port_that_was_named_and_is_taken_is_refused_in_a_sentence() {
    let other = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
    let taken = other.local_addr().expect("it is bound").to_string();
    for flag in ["--listen", "--admin"] {
        let rest = if flag == "--listen" { "--admin" } else { "--listen" };
        let output = demo(&["--once", "--seconds", "1", flag, &taken, rest, "127.0.0.1:0"]);
        let text = text(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(&taken) && text.contains(flag) && text.lines().count() == 1, "{text}");
    }
}
