//! Profiles made by hand: read, drawn, and broken in every way.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;

/// A message, field by field.
#[derive(Clone, Default)]
struct Message(Vec<u8>);

impl Message {
    fn number(mut self, field: u64, number: u64) -> Self {
        self.varint(field << 3);
        self.varint(number);
        self
    }

    fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    fn packed(self, field: u64, numbers: &[u64]) -> Self {
        let mut packed = Self::default();
        numbers.iter().for_each(|number| packed.varint(*number));
        self.bytes(field, &packed.0)
    }

    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }
}

/// A CPU profile with these functions (function and location `n` is name `n - 1`) and these samples, each a
/// stack with the leaf first and its nanoseconds.
fn profile(functions: &[&str], samples: &[(&[u64], u64)]) -> Vec<u8> {
    let mut message = Message::default()
        .bytes(1, &Message::default().number(1, 1).number(2, 2).0)
        .bytes(1, &Message::default().number(1, 3).number(2, 4).0);
    for (stack, nanos) in samples {
        message = message.bytes(2, &Message::default().packed(1, stack).packed(2, &[1, *nanos]).0);
    }
    let strings = ["", "samples", "count", "cpu", "nanoseconds"];
    for (id, _) in (1..).zip(functions) {
        let line = Message::default().number(1, id).number(2, 42);
        message =
            message.bytes(4, &Message::default().number(1, id).number(3, 0x1000 + id).bytes(4, &line.0).0);
        message =
            message.bytes(5, &Message::default().number(1, id).number(2, strings.len() as u64 + id - 1).0);
    }
    for string in strings.iter().chain(functions) {
        message = message.bytes(6, string.as_bytes());
    }
    message.number(10, 5_000_000_000).0
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("a Vec takes everything");
    encoder.finish().expect("a Vec takes everything")
}

fn small() -> Vec<u8> {
    profile(&["main", "work", "rest"], &[(&[2, 1], 600), (&[3, 1], 300), (&[1], 100)])
}

#[test]
fn a_profile_is_read_gzipped_or_not() {
    let read = decode(&small()).expect("it is whole");
    assert_eq!(decode(&gzipped(&small())), Ok(read.clone()));
    assert_eq!(read.kinds[1], ("cpu".to_owned(), "nanoseconds".to_owned()));
    assert_eq!((read.shown, read.nanos, read.total(1)), (1, 5_000_000_000, 1_000));
    assert_eq!(read.names, ["main", "rest", "work"]);
    assert_eq!(read.samples[0], Sample { stack: vec![0, 2], values: vec![1, 600] });
}

#[test]
fn the_kind_to_be_shown_may_be_said() {
    let mut raw = small();
    raw.extend(Message::default().number(14, 1).0);
    assert_eq!(decode(&raw).map(|read| read.shown), Ok(0));
}

#[test]
fn inlined_calls_are_frames_of_their_own() {
    let functions = profile(&["outer", "inlined"], &[]);
    let line = |function| Message::default().number(1, function);
    let location = Message::default().number(1, 9).bytes(4, &line(2).0).bytes(4, &line(1).0);
    let sample = Message::default().number(1, 9).number(2, 1).number(2, 7);
    let raw = [functions, Message::default().bytes(4, &location.0).bytes(2, &sample.0).0].concat();
    let read = decode(&raw).expect("it is whole");
    let stack: Vec<&str> = read.samples[0].stack.iter().map(|name| &*read.names[*name as usize]).collect();
    assert_eq!(stack, ["outer", "inlined"]);
}

#[test]
fn a_place_without_a_function_shows_its_address() {
    let location = Message::default().number(1, 9).number(3, 0xbeef);
    let sample = Message::default().packed(1, &[9]).packed(2, &[1, 1]);
    let raw = [profile(&[], &[]), Message::default().bytes(4, &location.0).bytes(2, &sample.0).0].concat();
    assert_eq!(decode(&raw).map(|read| read.names), Ok(vec!["0xbeef".to_owned()]));
}

#[test]
fn stacks_become_a_flame_graph() {
    let flame = decode(&small()).expect("it is whole").flame();
    assert_eq!((flame.total, &*flame.kind), (1_000, "cpu"));
    let frames: Vec<_> = flame
        .frames
        .iter()
        .map(|frame| (&*frame.name, frame.depth, frame.start, frame.value, frame.own))
        .collect();
    assert_eq!(frames, [("main", 0, 0, 1_000, 100), ("rest", 1, 100, 300, 300), ("work", 1, 400, 600, 600)]);
}

#[test]
fn a_flame_graph_leaves_out_the_smallest_and_never_a_caller() {
    let names: Vec<String> = (0..3_000).map(|number| format!("f{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    // 900 chains of three, each as large as the next and just large enough to be drawn.
    let stacks: Vec<[u64; 4]> =
        (0..900).map(|chain| [chain * 3 + 4, chain * 3 + 3, chain * 3 + 2, 1]).collect();
    let samples: Vec<(&[u64], u64)> = stacks.iter().map(|stack| (&stack[..], 10 + stack[0] % 7)).collect();
    let flame = decode(&profile(&names, &samples)).expect("it is whole").flame();
    assert!((1..=NODES_MAX).contains(&flame.frames.len()), "{}", flame.frames.len());
    for frame in flame.frames.iter().filter(|frame| frame.depth > 0) {
        let held = flame.frames.iter().any(|below| {
            below.depth + 1 == frame.depth
                && below.start <= frame.start
                && frame.start + frame.value <= below.start + below.value
        });
        assert!(held, "{frame:?} hangs in the air");
    }
}

#[test]
fn a_picture_is_escaped_and_closed() {
    let raw = profile(&["<script>alert('&\"')</script>\u{7}", "ok"], &[(&[2, 1], 5)]);
    let svg = flame_svg(&decode(&raw).expect("it is whole"), "</svg><script>");
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>"), "{svg}");
    assert!(!svg.contains("<script") && !svg.contains('\u{7}'), "{svg}");
    assert!(svg.contains("&lt;script&gt;alert(&#39;&amp;&quot;&#39;)"), "{svg}");
    for tag in ["g", "text", "title"] {
        let opened = svg.matches(&format!("<{tag}>")).count() + svg.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, svg.matches(&format!("</{tag}>")).count(), "{tag} in {svg}");
    }
}

#[test]
fn an_empty_profile_is_a_picture_too() {
    let empty = decode(&profile(&[], &[])).expect("it is whole");
    assert!(empty.flame().frames.is_empty());
    assert!(flame_svg(&empty, "idle").contains("nothing was seen"));
}

#[test]
fn amounts_have_units_people_read() {
    let amount = |value, unit: &str| Flame { unit: unit.to_owned(), ..Flame::default() }.amount(value);
    assert_eq!(amount(1_520_000_000, "nanoseconds"), "1.52 s");
    assert_eq!(amount(0, "nanoseconds"), "0.00 ns");
    assert_eq!(amount(3 << 20, "bytes"), "3.00 MiB");
    assert_eq!((amount(7, "count"), amount(7, "goroutines")), ("7".to_owned(), "7 goroutines".to_owned()));
}

#[test]
fn what_is_negative_counts_as_nothing() {
    let minus = (-5_i64).cast_unsigned();
    let read = decode(&profile(&["main"], &[(&[1], minus), (&[1], 3)])).expect("it is whole");
    assert_eq!((read.total(1), read.flame().frames[0].value), (3, 3));
}

#[test]
fn a_broken_profile_is_an_error() {
    for (raw, why) in [
        (vec![], "nothing"),
        (b"404 page not found\n".to_vec(), "a text"),
        (profile(&["main"], &[(&[7], 1)]), "a location that is not there"),
        (gzipped(&small())[..20].to_vec(), "cut gzip"),
    ] {
        assert!(matches!(decode(&raw), Err(Error::Broken(_))), "{why}: {:?}", decode(&raw));
    }
}

#[test]
fn a_profile_that_unpacks_without_end_is_refused() {
    let bomb = gzipped(&vec![0; UNPACKED_MAX + 1]);
    assert!(bomb.len() < 1024 * 1024);
    assert!(matches!(decode(&bomb), Err(Error::TooLarge(_))));
    assert!(matches!(decode(&vec![0; RAW_MAX + 1]), Err(Error::TooLarge(_))));
}

#[test]
fn a_stack_deeper_than_any_program_is_refused_and_a_deep_one_cut() {
    let deep = |depth: usize| profile(&["f"], &[(&vec![1; depth][..], 1)]);
    assert_eq!(decode(&deep(5_000)).map(|read| read.samples[0].stack.len()), Ok(DEPTH_MAX));
    assert!(matches!(decode(&deep(9_000)), Err(Error::TooLarge(_))));
    assert_eq!(decode(&deep(5_000)).map(|read| read.flame().frames.len()), Ok(DEPTH_MAX));
}

proptest! {
    #[test]
    fn no_damage_to_a_profile_is_a_panic(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut raw = small();
        for (place, byte) in damage {
            let place = place.index(raw.len());
            raw[place] = byte;
        }
        raw.truncate(cut.index(raw.len() + 1));
        if let Ok(profile) = decode(&raw) {
            let svg = flame_svg(&profile, "damaged");
            prop_assert!(svg.ends_with("</svg>"));
        }
    }
}
