//! The view of a running test: drawn over itself, no wider than the terminal, and rare where nobody looks.

use super::*;

fn stages() -> Vec<Stage> {
    let stage = |name: &str, from, to, warmup| Stage {
        name: name.to_owned(),
        length: Duration::from_secs(60),
        from,
        to,
        warmup,
    };
    vec![stage("warm-up", 100.0, 100.0, true), stage(&"ramp\x1b[2J".repeat(30), 100.0, 900.0, false)]
}

fn view(form: Form) -> View {
    let name = forebay_load::report::shown("checkout\x1b[2J at peak");
    View { name, stages: stages(), rated: true, form, recent: VecDeque::new() }
}

fn progress(seconds: f64) -> Progress {
    Progress {
        elapsed: Duration::from_secs_f64(seconds),
        length: Duration::from_secs(120),
        stage: usize::from(seconds >= 60.0),
        planned: 1_234_567,
        ok: 1_230_000,
        errors: 12,
        timeouts: 3,
        in_flight: 64,
        backlog: 4_488,
        rate: 512.3,
        p50: Some(Duration::from_micros(6_470)),
        p95: Some(Duration::from_micros(27_700)),
        p99: None,
        ..Progress::default()
    }
}

/// What is written for each of these moments.
fn written(view: &mut View, moments: impl Iterator<Item = f64>, width: usize) -> Vec<String> {
    let shown = moments.map(|seconds| {
        let mut buffer = Vec::new();
        let mut out = Output::new(&mut buffer, true);
        match view.form {
            Form::Block(_) => {
                view.remember(&progress(seconds));
                view.draw(&mut out, &progress(seconds), width)
            }
            _ => view.show(&mut out, &progress(seconds)),
        }
        .expect("a buffer takes all");
        String::from_utf8(buffer).expect("it is text")
    });
    shown.collect()
}

/// Without what the terminal does not show.
fn visible(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_owned();
    let rest = parts.map(|part| part.split_once(|c: char| c.is_ascii_alphabetic()).map_or("", |(_, it)| it));
    std::iter::once(first.as_str()).chain(rest).collect()
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for width in [1, 20, 40, 80, 200] {
        let mut view = view(Form::Block(Block::default()));
        for text in written(&mut view, (0..240).map(|half| f64::from(half) / 2.0), width) {
            for line in visible(&text).replace('\r', "").lines() {
                assert!(line.chars().count() < width.max(2), "{width}: {line}");
            }
        }
    }
}

#[test]
fn the_next_picture_begins_where_the_last_one_did() {
    let mut view = view(Form::Block(Block::default()));
    let drawn = written(&mut view, [1.0, 1.5, 70.0, 125.0].into_iter(), 80);
    let height = drawn[0].matches('\n').count();
    for again in &drawn[1..] {
        assert!(again.starts_with(&format!("\x1b[{height}A\r")), "{again:?}");
        assert_eq!(again.matches('\n').count(), height);
    }
}

#[test]
fn a_terminal_that_became_narrower_has_broken_the_lines() {
    let mut view = view(Form::Block(Block::default()));
    written(&mut view, [1.0].into_iter(), 80);
    let again = written(&mut view, [1.5].into_iter(), 40);
    let rows: usize =
        again[0][2..].split('A').next().and_then(|rows| rows.parse().ok()).expect("it goes back");
    assert!((8..=14).contains(&rows), "{rows}");
}

#[test]
fn names_do_not_steer_the_terminal() {
    let mut view = view(Form::Block(Block::default()));
    let text = written(&mut view, [1.0, 61.0].into_iter(), 100).concat();
    assert!(!text.contains("\x1b[2J"), "{text:?}");
    let mut lines = self::view(Form::Lines(LINE));
    let text = written(&mut lines, [61.0].into_iter(), 100).concat();
    assert!(!text.contains('\x1b'), "{text:?}");
}

#[test]
fn lines_come_every_second_and_after_a_minute_every_five() {
    let mut view = view(Form::Lines(LINE));
    let moments = (1..=240).map(|half| f64::from(half) / 2.0 + 0.01);
    let text = written(&mut view, moments, 80).concat();
    let seconds: Vec<u64> =
        text.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect();
    let expected: Vec<u64> = (1..=60).chain((65..=120).step_by(5)).collect();
    assert_eq!(seconds, expected);
}

#[test]
fn programs_are_told_nothing() {
    assert_eq!(written(&mut view(Form::Nothing), [1.0, 2.0].into_iter(), 80).concat(), "");
}

#[test]
fn the_picture_goes_away() {
    let mut view = view(Form::Block(Block::default()));
    written(&mut view, [1.0].into_iter(), 80);
    let mut buffer = Vec::new();
    view.finish(&mut Output::new(&mut buffer, true)).expect("a buffer takes all");
    let text = String::from_utf8(buffer).expect("it is text");
    assert!(text.ends_with("\x1b[J\x1b[A\n"), "{text:?}");
}

#[test]
fn what_is_planned_follows_the_stages() {
    let at = |seconds| target(&stages(), Duration::from_secs(seconds));
    assert_eq!(
        [at(0), at(59), at(60), at(90), at(120)],
        [Some(100.0), Some(100.0), Some(100.0), Some(500.0), None]
    );
}
