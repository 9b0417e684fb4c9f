//! Lines as people type them.

use clap::Parser as _;

use super::super::{Cli, Command as Top};
use super::*;

fn parse(line: &str) -> Result<Load, String> {
    let words = std::iter::once("forebay").chain(line.split_whitespace());
    match Cli::try_parse_from(words).map_err(|error| error.to_string())?.command {
        Top::Load(load) => Ok(*load),
        other => panic!("{line} is {other:?}"),
    }
}

#[test]
fn a_url_is_tested_unless_another_word_comes_first() {
    let load = parse("load http://a.test/ --rate 1000 --for 30s -H a:b -H c:d").expect("it is right");
    assert!(load.command.is_none());
    assert_eq!(load.test.what.as_deref(), Some("http://a.test/"));
    assert_eq!(load.test.amount.length, Some(Duration::from_secs(30)));
    assert_eq!(load.test.asked.headers.len(), 2);
    let load = parse("load check plan.yaml").expect("it is right");
    assert!(matches!(load.command, Some(Command::Check(_))));
    let load = parse("load import access-log a.log --out plan.yaml").expect("it is right");
    assert!(matches!(load.command, Some(Command::Import(Import { format: Format::AccessLog, .. }))));
}

#[test]
fn what_is_wrong_with_a_flag_is_said_with_what_to_write() {
    for (line, part) in [
        ("load", "<URL|PLAN>"),
        ("load http://a/ --for 30", "the unit is missing"),
        ("load http://a/ --rate fast", "`fast` is no number"),
        ("load http://a/ --rate 5 --users 5", "cannot be used with"),
        ("load http://a/ -H novalue", "name: value"),
        ("load http://a/ --workers 0", "1..=256"),
        ("load http://a/ --preset wave", "[possible values: spike, soak]"),
        ("load replay r --target ftp://a/", "write `http://` or `https://`"),
        ("load http://a/ --http2=maybe", "[possible values: on, off, auto]"),
        ("load https://a/ --insecure --ca f", "cannot be used with"),
        ("load https://a/ --cert f", "--key"),
        ("load replay r --target http://a/ --speed 0", "such as `2`"),
        ("load capacity p.yaml --precision 5", "such as `5%`"),
    ] {
        let error = parse(line).expect_err(line);
        assert!(error.contains(part), "{line}: {error}");
    }
}

#[test]
fn flags_that_would_do_nothing_are_known_by_name() {
    let idle = |line: &str| match parse(line).expect(line).command {
        Some(Command::Import(import)) => import.idle().collect::<Vec<_>>(),
        Some(Command::Compare(compare)) => compare.only_for_runs().collect(),
        other => panic!("{line} is {other:?}"),
    };
    let all = "--host a --secrets --all-methods --rate 5 --for 1s";
    for (format, expected) in [
        ("k6", vec!["--host", "--secrets", "--all-methods", "--rate", "--for"]),
        ("har", vec!["--all-methods", "--rate", "--for"]),
        ("vegeta", vec!["--all-methods"]),
        ("urls", vec!["--secrets", "--all-methods"]),
        ("access-log", vec!["--rate", "--for"]),
    ] {
        assert_eq!(idle(&format!("load import {format} x {all}")), expected, "{format}");
        assert!(idle(&format!("load import {format} x")).is_empty(), "{format}");
    }
    assert!(idle("load compare a.json b.json --effect 3% --json").is_empty());
    let runs = "load compare a.json b.json --runs 3 --rate 5 --for 1s -X PUT --seed 4";
    assert_eq!(idle(runs), ["--runs", "--rate", "--for", "-X", "--seed"]);
}
