//! Lines a person or a machine reads, and floods that stay a trickle.

use serde_json::Value;

use super::*;

const TIME: u64 = 1_709_164_800_123_456_789;

fn written(style: Style, event: &Event<'_>, left_out: u64) -> String {
    String::from_utf8(line(style, TIME, &event.parts(), left_out)).unwrap()
}

fn connect_failed() -> Event<'static> {
    Event::ConnectFailed { service: "shop", endpoint: "10.0.0.1:80", error: &"connection refused" }
}

#[test]
fn text_is_one_line_with_its_fields() {
    assert_eq!(
        written(Style::Text { colour: false }, &connect_failed(), 0),
        "00:00:00.123 warn  cannot connect to an endpoint service=shop endpoint=10.0.0.1:80 \
         error=\"connection refused\"\n"
    );
    assert_eq!(
        written(Style::Text { colour: false }, &Event::Stopped, 3),
        "00:00:00.123 info  stopped (and 3 more like this)\n"
    );
}

#[test]
fn json_has_the_event_by_name() {
    let line: Value = serde_json::from_str(&written(Style::Json, &connect_failed(), 7)).unwrap();
    assert_eq!(line["time"], "2024-02-29T00:00:00.123Z");
    assert_eq!(line["level"], "warn");
    assert_eq!(line["event"], "connect_failed");
    assert_eq!(line["endpoint"], "10.0.0.1:80");
    assert_eq!(line["left_out"], 7);
}

#[test]
fn no_error_text_forges_a_line() {
    let event = Event::AcceptFailed { error: &"a\nfake line \x1b[2J\"}" };
    let json = written(Style::Json, &event, 0);
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["error"], "a\nfake line \x1b[2J\"}");
    for line in [json, written(Style::Text { colour: false }, &event, 0)] {
        assert_eq!(line.matches(|c: char| c.is_control()).count(), 1, "{line:?}");
    }
}

#[test]
fn a_flood_is_thinned_and_told() {
    let mut flood = Flood::default();
    let second = |second: u64| Instant::from_nanos(second * 1_000_000_000);
    let written = (0..25).filter(|_| flood.admit(second(1)) == Some(0)).count();
    assert_eq!(written, 10);
    assert_eq!(flood.admit(second(2)), Some(15));
    assert_eq!(flood.admit(second(2)), Some(0));
}

#[test]
fn what_matters_less_than_asked_for_is_not_written() {
    let path = std::env::temp_dir().join(format!("forebay-log-{}", std::process::id()));
    let settings = Settings {
        level: Level::Warn,
        format: Format::Json,
        colour: false,
        target: Target::File(path.clone()),
    };
    let log = Log::start(&settings).unwrap();
    log.emit(&Event::Stopped);
    log.emit(&connect_failed());
    assert!(log.wants(Level::Error) && !log.wants(Level::Info));
    assert!(log.flush(Duration::from_secs(10)));
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert_eq!(log.dropped(), 0);
}
