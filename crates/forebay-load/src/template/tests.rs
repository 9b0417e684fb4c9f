//! What templates say, and what they are refused for.

use std::time::Duration;

use forebay_base::seed::Random;
use proptest::prelude::*;

use super::*;

fn variables() -> Variables {
    let shared = [("id".to_owned(), "7 8".to_owned()), ("next".to_owned(), "/a?b=ü".to_owned())];
    let mut variables = Variables::new(shared.into(), 3, Random::from_seed(1));
    variables.begin(12, Duration::from_millis(1_709_164_800_500));
    variables.set("break", b"a\r\nb: c");
    variables
}

fn rendered(text: &str) -> Result<String, Fault> {
    let mut out = Vec::new();
    Template::parse(text).unwrap().render(&mut variables(), &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

#[track_caller]
fn check(text: &str, expected: &str) {
    assert_eq!(rendered(text).as_deref(), Ok(expected), "{text}");
}

#[test]
fn values_stand_between_braces() {
    check("", "");
    check("plain } { }} text", "plain } { }} text");
    check("{{ id }}", "7 8");
    check("/items/{{id}}/x{{  id  }}", "/items/7 8/x7 8");
    check(r#"{"a":{"b":{{ id }}}}"#, r#"{"a":{"b":7 8}}"#);
    check("{{{ id }}}", "{7 8}");
    check("{{{{ id }}", "{{ id }}");
    check("{{{{{{ id }}", "{{7 8");
    check("{{ $user }}-{{ $iteration }}", "3-12");
    check("{{ $timestamp }} {{ $timestamp_ms }}", "1709164800 1709164800500");
    check("{{ $random(5, 5) }} {{ $pick(a) }}", "5 a");
}

#[test]
fn the_same_seed_makes_the_same_choices() {
    let text = "{{ $uuid }} {{ $random(1, 6) }} {{ $pick(red, \"a, b\", 'c') }}";
    let first = rendered(text).unwrap();
    assert_eq!(rendered(text).unwrap(), first);
    let (uuid, rest) = first.split_once(' ').unwrap();
    let groups: Vec<_> = uuid.split('-').map(str::len).collect();
    assert_eq!(groups, [8, 4, 4, 4, 12]);
    assert!(uuid.as_bytes()[14] == b'4' && b"89ab".contains(&uuid.as_bytes()[19]), "{uuid}");
    let (number, picked) = rest.split_once(' ').unwrap();
    assert!((1..=6).contains(&number.parse().unwrap()) && ["red", "a, b", "c"].contains(&picked));
}

#[test]
fn every_number_and_item_comes_up() {
    let (random, pick) = ("{{ $random(-1, 2) }}", "{{ $pick(a, b, c) }}");
    let mut variables = variables();
    for (text, expected) in [(random, vec!["-1", "0", "1", "2"]), (pick, vec!["a", "b", "c"])] {
        let template = Template::parse(text).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..1_000 {
            let mut out = Vec::new();
            template.render(&mut variables, &mut out).unwrap();
            seen.insert(String::from_utf8(out).unwrap());
        }
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_value_stays_in_its_place() {
    let target = |text: &str| {
        let mut out = Vec::new();
        let template = Template::parse(text).unwrap();
        template.render_target(&mut variables(), &mut out).map(|()| String::from_utf8(out).unwrap())
    };
    let field = |text: &str| {
        let mut out = Vec::new();
        let template = Template::parse(text).unwrap();
        template.render_field(&mut variables(), &mut out).map(|()| String::from_utf8(out).unwrap())
    };
    assert_eq!(target("/items/{{ id }}").as_deref(), Ok("/items/7%208"));
    assert_eq!(target("{{ next }}").as_deref(), Ok("/a?b=%C3%BC"));
    assert_eq!(target("/{{ break }}").as_deref(), Ok("/a%0D%0Ab:%20c"));
    assert_eq!(target("{{ id }}"), Err(Fault::Unfit("id".to_owned())));
    assert_eq!(field("Bearer {{ id }}").as_deref(), Ok("Bearer 7 8"));
    assert_eq!(field("{{ break }}"), Err(Fault::Unfit("break".to_owned())));
    assert_eq!(rendered("{{ nothing }}"), Err(Fault::Missing("nothing".to_owned())));
}

#[test]
fn what_surrounds_values_is_checked_once() {
    let check = |text: &str, target: bool, field: bool| {
        let template = Template::parse(text).unwrap();
        assert_eq!(
            (template.check_target().is_ok(), template.check_field().is_ok()),
            (target, field),
            "{text:?}"
        );
    };
    check("/items/{{ id }}?a=b", true, true);
    check("{{ next }}", true, true);
    check("items", false, true);
    check("", false, true);
    check("{{ $uuid }}", false, true);
    check("/a b", false, true);
    check("/a#b", false, true);
    check("/é", false, true);
    check("/a\r\nb: c", false, false);
    check("{{ $pick(/a, \"b\nc\") }}", false, false);
    check("/{{ $pick(a, \"b c\") }}", true, true);
}

#[test]
fn what_is_no_template_is_refused() {
    for (text, says) in [
        ("{{ id", "`{{ id` has no `}}`"),
        ("{{ }}", "a name is missing"),
        ("{{ a b }}", "`a b` is not a name"),
        ("{{ 1a }}", "`1a` is not a name"),
        ("{{ $nothing }}", "`$nothing` is not known"),
        ("{{ $uuid(1) }}", "`$uuid` takes no arguments"),
        ("{{ $random }}", "two whole numbers"),
        ("{{ $random(1) }}", "two whole numbers"),
        ("{{ $random(2, 1) }}", "two whole numbers"),
        ("{{ $random(1, 2 }}", "no `)`"),
        ("{{ $pick() }}", "something to choose from"),
        ("{{ $pick(a,) }}", "last comma"),
        ("{{ $pick(\"a) }}", "\" is missing"),
        ("{{ $pick(\"a\" b) }}", "a comma is missing"),
    ] {
        let Error(error) = Template::parse(text).unwrap_err();
        assert!(error.contains(says), "{text}: {error}");
    }
    let long = format!("{{{{ {} }}}}", "x".repeat(NAME_MAX + 1));
    assert!(Template::parse(&long).is_err());
    assert!(Template::parse(&"x".repeat(BYTES_MAX + 1)).is_err());
}

#[test]
fn names_are_told_apart_from_text() {
    let template = Template::parse("/{{ a }}/{{ $uuid }}/{{ b.c-d }}?{{ a }}").unwrap();
    assert_eq!(template.names().collect::<Vec<_>>(), ["a", "b.c-d", "a"]);
    assert_eq!(template.as_text(), None);
    assert_eq!(Template::parse("{{{{x").unwrap().as_text(), Some("{{x"));
    assert_eq!(Template::text("{{ a }}").as_text(), Some("{{ a }}"));
}

proptest! {
    #[test]
    fn no_text_is_a_panic(text in "[{}$a(), \"1\u{e9}-]{0,40}") {
        if let Ok(template) = Template::parse(&text) {
            let mut out = Vec::new();
            let _ = template.render(&mut variables(), &mut out);
            out.clear();
            if template.check_target().is_ok() && template.render_target(&mut variables(), &mut out).is_ok() {
                prop_assert!(out.iter().all(|byte| matches!(byte, b'!'..=b'~')), "{:?}", out);
            }
        }
    }
}

#[test]
fn the_values_that_are_told_of_are_those_there_are() {
    let mut seen = Vec::new();
    for (written, _) in BUILTINS {
        let template = Template::parse(&format!("{{{{ {written} }}}}")).expect("it is right");
        let [Part::Builtin(builtin)] = template.parts.as_slice() else { panic!("{written}") };
        seen.push(match builtin {
            Builtin::Uuid => "uuid",
            Builtin::Iteration => "iteration",
            Builtin::User => "user",
            Builtin::Timestamp => "timestamp",
            Builtin::TimestampMs => "timestamp_ms",
            Builtin::Random(..) => "random",
            Builtin::Pick(_) => "pick",
        });
        assert!(written.trim_start_matches('$').starts_with(seen[seen.len() - 1]), "{written}");
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), BUILTINS.len());
    let Error(told) = Template::parse("{{ $nothing }}").expect_err("there is no such value");
    assert!(BUILTINS.iter().all(|(written, _)| told.contains(written)), "{told}");
}
