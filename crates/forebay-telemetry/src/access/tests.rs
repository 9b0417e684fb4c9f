//! Hostile bytes stay inside their field, and a full channel drops instead of waiting.

use std::net::Ipv4Addr;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::rfc3339::Clock;

fn record() -> AccessRecord<'static> {
    AccessRecord {
        unix_nanos: 1_709_164_800_123_456_789,
        client: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
        peer: SocketAddr::from(([127, 0, 0, 1], 50_123)),
        method: b"GET",
        host: b"shop.test",
        path: b"/cart",
        query: Some(b"item=1"),
        protocol: "HTTP/1.1",
        status: 200,
        grpc_status: None,
        secured: None,
        reason: None,
        route: Some("shop.test/*"),
        service: Some("shop"),
        endpoint: Some("10.0.0.1:3000"),
        request_id: b"0af7651916cd43dd",
        bytes_in: 0,
        bytes_out: 5_120,
        duration_nanos: 1_234_567,
        first_byte_nanos: Some(1_000_000),
        attempts: 1,
        user_agent: Some(b"curl/8.1"),
        referer: None,
        aborted: false,
    }
}

fn refused() -> AccessRecord<'static> {
    AccessRecord {
        method: b"",
        host: b"",
        path: b"",
        query: None,
        status: 0,
        reason: Some("header_timeout"),
        route: None,
        service: None,
        endpoint: None,
        request_id: b"",
        first_byte_nanos: None,
        attempts: 0,
        user_agent: None,
        aborted: true,
        ..record()
    }
}

fn json_line(record: &AccessRecord<'_>) -> String {
    let mut out = Vec::new();
    json::line(&mut out, &mut Clock::default(), record);
    String::from_utf8(out).unwrap()
}

fn text_line(record: &AccessRecord<'_>, colour: bool) -> String {
    let mut out = Vec::new();
    text::line(&mut out, &mut Clock::default(), record, colour);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_json_line_says_everything_that_is_known() {
    let line: Value = serde_json::from_str(&json_line(&record())).unwrap();
    let expected = json!({
        "time": "2024-02-29T00:00:00.123Z", "client": "192.0.2.7", "peer": "127.0.0.1:50123",
        "method": "GET", "host": "shop.test", "path": "/cart", "query": "item=1", "protocol": "HTTP/1.1",
        "status": 200, "route": "shop.test/*", "service": "shop", "endpoint": "10.0.0.1:3000",
        "request_id": "0af7651916cd43dd", "bytes_in": 0, "bytes_out": 5120,
        "duration": 0.001_234, "first_byte": 0.001, "attempts": 1, "user_agent": "curl/8.1",
    });
    assert_eq!(line, expected);
}

#[test]
fn what_is_unknown_is_left_out() {
    let line: Value = serde_json::from_str(&json_line(&refused())).unwrap();
    let keys: Vec<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "aborted",
        "attempts",
        "bytes_in",
        "bytes_out",
        "client",
        "duration",
        "peer",
        "protocol",
        "reason",
        "status",
        "time",
    ];
    assert_eq!(keys, expected);
}

#[test]
fn a_text_line_reads_from_the_left() {
    assert_eq!(
        text_line(&record(), false),
        "00:00:00.123 200   1.23 ms 192.0.2.7       GET    shop.test/cart?item=1 -> shop 10.0.0.1:3000 \
         out=5120 id=0af7651916cd43dd \"curl/8.1\"\n"
    );
    assert_eq!(
        text_line(&refused(), false),
        "00:00:00.123 ---   1.23 ms 192.0.2.7       -      - reason=header_timeout aborted out=5120\n"
    );
}

#[test]
fn durations_have_three_digits_and_a_unit() {
    let check = |duration_nanos, expected: &str| {
        let line = text_line(&AccessRecord { duration_nanos, ..record() }, false);
        assert_eq!(&line["00:00:00.123 200 ".len()..][..9], expected);
    };
    check(999, "     0 us");
    check(999_999, "   999 us");
    check(12_345_678, "  12.3 ms");
    check(999_999_999, "   999 ms");
    check(61_540_000_000, "   61.5 s");
    check(4_000_000_000_000, "   4000 s");
}

#[test]
fn colours_end_where_they_began() {
    let line = text_line(&AccessRecord { status: 503, ..record() }, true);
    assert!(line.contains("\x1b[31m503\x1b[0m"), "{line:?}");
    assert_eq!(line.matches("\x1b[0m").count() * 2, line.matches('\x1b').count());
}

proptest! {
    #[test]
    fn no_bytes_break_out_of_their_field(
        method in prop::collection::vec(any::<u8>(), 1..20),
        path in prop::collection::vec(any::<u8>(), 1..200),
        user_agent in prop::collection::vec(any::<u8>(), 0..200),
        host in "\\PC{1,20}",
    ) {
        let record = AccessRecord {
            method: &method, path: &path, query: Some(&path), user_agent: Some(&user_agent),
            host: host.as_bytes(), referer: Some(&method), request_id: &user_agent, ..record()
        };
        let line = json_line(&record);
        let value: Value = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(value["host"].as_str(), Some(&*host));
        prop_assert_eq!(value["status"].as_u64(), Some(200));
        for line in [line, text_line(&record, false)] {
            let (body, end) = line.split_at(line.len() - 1);
            prop_assert_eq!(end, "\n");
            prop_assert!(body.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{}", body);
        }
    }

    #[test]
    fn readable_utf8_comes_back_as_it_was(path in "\\PC{1,50}") {
        let value: Value =
            serde_json::from_str(&json_line(&AccessRecord { path: path.as_bytes(), ..record() })).unwrap();
        prop_assert_eq!(value["path"].as_str(), Some(&*path));
    }
}

#[test]
fn a_monstrous_field_makes_no_monstrous_line() {
    let monster = vec![b'\0'; 1 << 20];
    let line = json_line(&AccessRecord { path: &monster, ..record() });
    assert!(line.len() < 60_000, "{}", line.len());
    assert!(line.contains(r#"\u0000...","query"#));
}

/// A sink with room for one batch on its way to a writer that never comes.
fn stuck_sink() -> (AccessSink, Receiver<Batch>) {
    let (batches, received) = sync_channel(1);
    (AccessSink::new(Style::Json, batches, Arc::default()), received)
}

#[test]
fn a_full_channel_drops_lines_and_counts_them() {
    let (mut sink, received) = stuck_sink();
    for lines in [2, 3, 4] {
        (0..lines).for_each(|_| sink.record(&record()));
        sink.flush();
    }
    assert_eq!(sink.dropped.load(Ordering::Relaxed), 7);
    assert_eq!(received.try_recv().map(|batch| batch.lines), Ok(2));
    assert!(received.try_recv().is_err());
}

#[test]
fn a_full_buffer_is_handed_over_by_itself() {
    let (mut sink, received) = stuck_sink();
    let line = json_line(&record()).len();
    (0..BATCH_BYTES / line).for_each(|_| sink.record(&record()));
    assert!(received.try_recv().is_err());
    sink.record(&record());
    assert_eq!(received.try_recv().map(|batch| batch.bytes.len()), Ok((BATCH_BYTES / line + 1) * line));
}

#[test]
fn emptied_buffers_are_used_again() {
    let (mut sink, received) = stuck_sink();
    sink.record(&record());
    sink.flush();
    let batch = received.try_recv().unwrap();
    let address = batch.bytes.as_ptr();
    batch.recycle();
    sink.record(&record());
    sink.flush();
    sink.record(&record());
    assert_eq!(sink.buffer.as_ptr(), address);
}

fn log_to(path: &std::path::Path) -> AccessLog {
    let settings = Settings { format: Format::Json, target: Target::File(path.into()), colour: false };
    AccessLog::start(settings, Arc::default()).unwrap()
}

fn lines_in(path: &std::path::Path) -> usize {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().for_each(|line| assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}"));
    text.lines().count()
}

#[test]
fn everything_handed_over_is_written_by_a_flush() {
    let folder = Folder::new("written");
    let path = folder.0.join("access.log");
    let log = log_to(&path);
    for worker in [300, 20] {
        let mut sink = log.sink();
        (0..worker).for_each(|_| sink.record(&record()));
    }
    assert!(log.flush(Duration::from_secs(10)));
    assert_eq!((lines_in(&path), log.dropped()), (320, 0));
}

#[test]
fn a_renamed_file_is_left_behind_on_reopening() {
    let folder = Folder::new("rotated");
    let (path, old) = (folder.0.join("access.log"), folder.0.join("access.log.1"));
    let log = log_to(&path);
    let mut sink = log.sink();
    sink.record(&record());
    sink.flush();
    std::fs::rename(&path, &old).unwrap();
    log.reopen();
    sink.record(&record());
    drop(sink);
    assert!(log.flush(Duration::from_secs(10)));
    // Whether the first line was written before the order or after it is the thread's business.
    assert_eq!(lines_in(&path) + lines_in(&old), 2);
    assert!(lines_in(&path) >= 1);
    assert!(log.last_error().is_none());
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_counted_and_told() {
    let log = log_to("/dev/full".as_ref());
    let mut sink = log.sink();
    sink.record(&record());
    drop(sink);
    assert!(log.flush(Duration::from_secs(10)));
    assert_eq!(log.dropped(), 1);
    assert_eq!(log.last_error().map(|error| error.kind()), Some(io::ErrorKind::StorageFull));
}

#[test]
fn a_folder_that_is_not_there_is_an_error_at_the_start() {
    let settings = Settings {
        format: Format::Json,
        target: Target::File("/nowhere/at/all/access.log".into()),
        colour: false,
    };
    assert!(AccessLog::start(settings, Arc::default()).is_err());
}

/// A folder of a test's own, removed at its end.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("forebay-access-{test}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn how_a_connection_is_secured_is_told_where_it_is() {
    let told = |secured| -> Value {
        let value: Value = serde_json::from_str(&json_line(&AccessRecord { secured, ..record() })).unwrap();
        serde_json::json!([value["tls"], value["sni"], value["client_subject"]])
    };
    let secured = Secured { version: "TLSv1.3", sni: Some("shop.test"), subject: Some("CN=it \"quoted\"") };
    assert_eq!(told(None), serde_json::json!([null, null, null]));
    assert_eq!(
        told(Some(Secured { sni: None, subject: None, ..secured })),
        serde_json::json!(["TLSv1.3", null, null])
    );
    assert_eq!(told(Some(secured)), serde_json::json!(["TLSv1.3", "shop.test", "CN=it \"quoted\""]));
}
