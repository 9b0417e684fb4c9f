//! What a recording keeps, where it ends, and how much it holds meanwhile.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::AtomicUsize;

use super::*;
use crate::access::{Format, Target};
use crate::log::{self, Level};

const WAIT: Duration = Duration::from_secs(20);

/// A directory for one test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("forebay-recording-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory can be made");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn settings(folder: &Folder) -> Settings {
    Settings {
        file: folder.0.join("traffic.jsonl"),
        sample: "100%".parse().expect("it is a share"),
        body_max: 16,
        bytes_max: 1 << 20,
        redact: Box::default(),
        redact_query: Box::default(),
    }
}

/// A log beside the recording, so that the test's own output stays clean.
fn quiet(settings: &Settings) -> Log {
    let target = Target::File(settings.file.with_file_name("log"));
    let about = log::Settings { level: Level::Error, format: Format::Json, colour: false, target };
    Log::start(&about).expect("a log can be started")
}

fn start(settings: Settings) -> (Recording, Arc<Counts>) {
    let counts = Arc::<Counts>::default();
    let log = quiet(&settings);
    let recording = Recording::start(settings, Arc::clone(&counts), log).expect("a recording can be started");
    (recording, counts)
}

fn open(sink: &Sink, body_len: Option<u64>) -> Option<Tape> {
    let head =
        Head { arrived: Instant::now(), method: b"POST", target: "/", host: "a.test", port: None, body_len };
    sink.open(&head, std::iter::empty())
}

fn record(sink: &Sink, body_len: Option<u64>, pieces: &[&[u8]], complete: bool) {
    let Some(mut tape) = open(sink, body_len) else {
        assert_eq!(body_len, Some(0), "there is room");
        return;
    };
    pieces.iter().for_each(|piece| tape.take(piece));
    sink.close(tape, complete);
}

/// What stands behind the headers in each line but the first.
fn ends(recording: &Recording) -> Vec<String> {
    assert!(recording.flush(WAIT));
    let text = std::fs::read_to_string(recording.path()).expect("the file can be read");
    let lines = text.strip_suffix('\n').expect("it ends with a line").lines().skip(1);
    lines.map(|line| line.split_once("],").expect("a line has headers").1.to_owned()).collect()
}

#[test]
fn bodies_are_kept_whole_or_not_at_all() {
    let folder = Folder::new();
    let (recording, counts) = start(settings(&folder));
    let sink = recording.sink();
    record(&sink, Some(0), &[], true);
    record(&sink, Some(6), &[b"abc", b"def"], true);
    record(&sink, None, &[b"0123456789", b"abcdef"], true);
    record(&sink, None, &[b"0123456789", b"abcdefg", b"h"], true);
    record(&sink, Some(17), &[b"0123456789abcdefg"], true);
    record(&sink, Some(6), &[b"abc"], false);
    sink.flush();
    assert_eq!(
        ends(&recording),
        [
            r#""body_bytes":0}"#,
            r#""body":"YWJjZGVm","body_bytes":6}"#,
            r#""body":"MDEyMzQ1Njc4OWFiY2RlZg==","body_bytes":16}"#,
            r#""body_bytes":18,"body_omitted":true}"#,
            r#""body_bytes":17,"body_omitted":true}"#,
            r#""body_bytes":3,"body_omitted":true}"#,
        ]
    );
    assert_eq!((counts.written(), counts.dropped(), counts.limit()), (6, 0, 0));
    assert_eq!(recording.shared.memory.load(Ordering::Relaxed), 0, "everything is given back");
}

#[test]
fn the_file_ends_with_a_whole_line_before_its_bound() {
    let folder = Folder::new();
    let (recording, counts) = start(Settings { bytes_max: 1_000, ..settings(&folder) });
    let sink = recording.sink();
    for _ in 0..100 {
        record(&sink, Some(0), &[], true);
    }
    sink.flush();
    let lines = ends(&recording).len() as u64;
    let len = std::fs::metadata(recording.path()).expect("it is there").len();
    assert!((900..=1_000).contains(&len), "{len}");
    assert_eq!((counts.written(), counts.dropped(), counts.limit()), (lines, 0, 100 - lines));
    // What comes after the end is counted as that, and costs no memory.
    record(&sink, Some(0), &[], true);
    assert!(open(&sink, Some(1)).is_none());
    sink.flush();
    assert_eq!(counts.limit(), 102 - lines);
    assert_eq!(recording.shared.memory.load(Ordering::Relaxed), 0);
}

#[test]
fn requests_are_dropped_when_memory_is_short_and_room_comes_back() {
    let folder = Folder::new();
    let body_max = 8 << 20;
    let (recording, counts) = start(Settings { body_max, bytes_max: 1 << 30, ..settings(&folder) });
    let sink = recording.sink();
    let mut tapes = Vec::new();
    while let Some(tape) = open(&sink, None) {
        tapes.push(tape);
    }
    assert_eq!((tapes.len(), counts.dropped()), (3, 1), "three of 8 MiB and their heads, of 32 MiB");
    // One with a short body still fits.
    record(&sink, Some(3), &[b"abc"], true);
    drop(tapes.pop());
    assert!(open(&sink, None).is_some());
    // A body that has become too long gives its room back at once.
    let too_long = vec![0; body_max + 1];
    tapes.iter_mut().for_each(|tape| tape.take(&too_long));
    assert!(recording.shared.memory.load(Ordering::Relaxed) < 1_000);
}

#[test]
fn a_file_that_cannot_be_written_ends_the_recording() {
    let folder = Folder::new();
    let (recording, counts) = start(settings(&folder));
    // A second thread for the same recording, whose file is only open for reading.
    let file = std::fs::File::open(recording.path()).expect("it is there");
    let (batches, received) = sync_channel(BATCHES_MAX);
    let log = quiet(recording.settings());
    writer::start(file, b"", Arc::clone(&recording.shared), log, received).expect("nothing is written yet");
    let broken = Recording { shared: Arc::clone(&recording.shared), batches };
    let sink = broken.sink();
    record(&sink, Some(0), &[], true);
    sink.flush();
    assert!(broken.flush(WAIT));
    assert_eq!((counts.written(), counts.dropped()), (0, 1));
    assert!(open(&sink, Some(1)).is_none(), "it has ended");
    sink.flush();
    assert_eq!((counts.dropped(), ends(&recording).len()), (2, 0));
    assert_eq!(recording.shared.memory.load(Ordering::Relaxed), 0);
}

#[test]
fn an_existing_file_is_left_alone_and_the_new_one_is_the_owners() {
    let folder = Folder::new();
    std::fs::write(folder.0.join("traffic.jsonl"), "precious").expect("it can be written");
    let names: Vec<_> = (0..2)
        .map(|_| start(settings(&folder)).0)
        .map(|recording| {
            let mode = std::fs::metadata(recording.path()).expect("it is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            recording.path().file_name().expect("it has a name").to_owned()
        })
        .collect();
    assert_eq!(names, ["traffic-2.jsonl", "traffic-3.jsonl"]);
    assert_eq!(std::fs::read(folder.0.join("traffic.jsonl")).expect("it is there"), b"precious");
}

#[test]
fn a_link_to_another_file_is_not_followed() {
    let folder = Folder::new();
    std::os::unix::fs::symlink(folder.0.join("victim"), folder.0.join("traffic.jsonl")).expect("a link");
    let (recording, _) = start(settings(&folder));
    assert_eq!(recording.path(), folder.0.join("traffic-2.jsonl"));
    assert!(!folder.0.join("victim").exists());
}

#[test]
fn a_file_that_cannot_be_made_is_an_error() {
    let folder = Folder::new();
    let settings = settings(&folder);
    let (file, log) = (folder.0.join("nowhere/traffic.jsonl"), quiet(&settings));
    let started = Recording::start(Settings { file, ..settings }, Arc::default(), log);
    assert_eq!(started.err().map(|error| error.kind()), Some(io::ErrorKind::NotFound));
}

#[test]
fn the_sample_is_its_share_and_the_same_in_each_run() {
    let folder = Folder::new();
    let picks = || {
        let sample = "1%".parse().expect("it is a share");
        let sink = start(Settings { sample, ..settings(&folder) }).0.sink();
        (0..100_000).filter(|_| sink.picks()).collect::<Vec<_>>()
    };
    let first = picks();
    assert!((900..1_100).contains(&first.len()), "{}", first.len());
    assert_eq!(first, picks());
}
