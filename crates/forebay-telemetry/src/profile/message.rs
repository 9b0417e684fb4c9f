//! Profiles in the format of pprof: `profile.proto`, gzipped.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::Seen;
use super::modules::{Module, Modules};
use super::names::Names;
use super::stacks::Stack;

/// Stands in for callers that are not known.
const UNKNOWN: &str = "unknown callers";
/// Stands in for all of a thread that was not interrupted once, although it used time.
const UNSEEN: &str = "not seen";
/// Stands in for the name of a thread that was seen, and gone before it could be asked.
const ENDED: &str = "ended thread";

/// Writes it down.
pub(super) fn write(seen: &Seen, modules: &Modules, names: &Names) -> io::Result<Vec<u8>> {
    let mut tables = Tables::new(modules, names);
    tables.add_profile(seen);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&tables.message.bytes)?;
    gzip.finish()
}

/// The message with what it refers to by number. Things are numbered from one as they first occur.
struct Tables<'a> {
    modules: &'a Modules,
    names: &'a Names,
    message: Message,
    /// Numbered from zero, which is the empty one.
    strings: HashMap<String, u64>,
    functions: HashMap<String, u64>,
    /// By address, or by name where there is none.
    locations: HashMap<(u64, &'a str), u64>,
}

impl<'a> Tables<'a> {
    fn new(modules: &'a Modules, names: &'a Names) -> Self {
        Self {
            modules,
            names,
            message: Message::default(),
            strings: HashMap::new(),
            functions: HashMap::new(),
            locations: HashMap::new(),
        }
    }

    fn add_profile(&mut self, seen: &'a Seen) {
        // The format wants the empty string to be the first.
        self.string("");
        let samples = self.kind("samples", "count");
        let cpu = self.kind("cpu", "nanoseconds");
        self.message.message(1, &samples);
        self.message.message(1, &cpu);
        for (index, module) in (1..).zip(self.modules.iter()) {
            self.add_module(index, module);
        }
        for thread in seen.threads.iter() {
            let time = nanos(thread.time());
            if time > 0 && seen.stacks.of_thread(thread.number) == 0 {
                let locations = [self.location(0, UNSEEN), self.location(0, &thread.name)];
                self.add_sample(&locations, [0, time], &thread.name);
            }
        }
        for (stack, times) in seen.stacks.iter() {
            let thread = seen.threads.get(stack.thread);
            let name = thread.map_or(ENDED, |thread| &thread.name);
            let nanos = match thread {
                Some(thread) => share(nanos(thread.time()), times, seen.stacks.of_thread(stack.thread)),
                None => nanos(seen.period).saturating_mul(times),
            };
            let locations = self.stack(stack, name);
            self.add_sample(&locations, [times, nanos], name);
        }
        self.message.number(9, nanos(seen.began.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()));
        self.message.number(10, nanos(seen.lasted));
        self.message.message(11, &cpu);
        self.message.number(12, nanos(seen.period));
        let shown = self.string("cpu");
        self.message.number(14, shown);
    }

    fn add_sample(&mut self, locations: &[u64], values: [u64; 2], thread: &str) {
        let mut label = Message::default();
        label.number(1, self.string("thread"));
        label.number(2, self.string(thread));
        let mut sample = Message::default();
        sample.numbers(1, locations);
        sample.numbers(2, &values);
        sample.message(3, &label);
        self.message.message(2, &sample);
    }

    /// From the leaf to the thread.
    fn stack(&mut self, stack: &Stack, thread: &'a str) -> Vec<u64> {
        let mut locations: Vec<u64> =
            stack.addresses.iter().map(|address| self.location(*address, self.names.of(*address))).collect();
        if !stack.is_whole {
            locations.push(self.location(0, UNKNOWN));
        }
        locations.push(self.location(0, thread));
        locations
    }

    fn location(&mut self, address: u64, name: &'a str) -> u64 {
        let next = self.locations.len() as u64 + 1;
        if let Some(known) = self.locations.get(&(address, name)) {
            return *known;
        }
        self.locations.insert((address, name), next);
        let module = self.modules.find(address);
        let mut line = Message::default();
        line.number(1, self.function(name));
        let mut location = Message::default();
        location.number(1, next);
        location.number(2, module.map_or(0, |index| index as u64 + 1));
        location.number(3, address);
        location.message(4, &line);
        self.message.message(4, &location);
        next
    }

    fn function(&mut self, name: &str) -> u64 {
        let next = self.functions.len() as u64 + 1;
        if let Some(known) = self.functions.get(name) {
            return *known;
        }
        self.functions.insert(name.to_owned(), next);
        let mut function = Message::default();
        function.number(1, next);
        function.number(2, self.string(name));
        self.message.message(5, &function);
        next
    }

    fn add_module(&mut self, index: u64, module: &Module) {
        let build_id = module.image.as_ref().and_then(super::image::Image::build_id).unwrap_or_default();
        let mut mapping = Message::default();
        mapping.number(1, index);
        mapping.number(2, module.start);
        mapping.number(3, module.end);
        mapping.number(4, module.offset);
        mapping.number(5, self.string(&module.path));
        mapping.number(6, self.string(&build_id));
        // Names are there already: nobody has to look for the file.
        mapping.number(7, 1);
        self.message.message(3, &mapping);
    }

    fn kind(&mut self, what: &str, unit: &str) -> Message {
        let mut kind = Message::default();
        kind.number(1, self.string(what));
        kind.number(2, self.string(unit));
        kind
    }

    fn string(&mut self, text: &str) -> u64 {
        let next = self.strings.len() as u64;
        if let Some(known) = self.strings.get(text) {
            return *known;
        }
        self.strings.insert(text.to_owned(), next);
        self.message.bytes(6, text.as_bytes());
        next
    }
}

/// A message of protobuf: fields one after the other, each with its number and the kind of its value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Message {
    bytes: Vec<u8>,
}

impl Message {
    fn number(&mut self, field: u64, value: u64) {
        self.varint(field << 3);
        self.varint(value);
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.bytes.extend_from_slice(value);
    }

    fn message(&mut self, field: u64, message: &Self) {
        self.bytes(field, &message.bytes);
    }

    fn numbers(&mut self, field: u64, values: &[u64]) {
        let mut packed = Self::default();
        for value in values {
            packed.varint(*value);
        }
        self.message(field, &packed);
    }

    /// Seven bits at a time, the lowest first; the eighth says that there are more.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.bytes.push(value.to_le_bytes()[0]);
    }
}

/// A thread's time is known; what is sampled is how it is shared out.
fn share(time: u64, times: u64, count: u64) -> u64 {
    let share = u128::from(time) * u128::from(times) / u128::from(count.max(1));
    u64::try_from(share).unwrap_or(u64::MAX)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_protobuf_has_them() {
        let check = |value, expected: &[u8]| {
            let mut message = Message::default();
            message.varint(value);
            assert_eq!(message.bytes, expected, "{value}");
        };
        check(0, &[0]);
        check(127, &[127]);
        check(128, &[0x80, 1]);
        check(300, &[0xac, 2]);
        check(u64::MAX, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
    }

    #[test]
    fn fields_carry_their_number_and_kind() {
        let mut inner = Message::default();
        inner.number(1, 150);
        assert_eq!(inner.bytes, [0x08, 0x96, 0x01]);
        let mut outer = Message::default();
        outer.bytes(2, b"testing");
        outer.message(3, &inner);
        outer.numbers(4, &[3, 270]);
        let expected: &[&[u8]] = &[b"\x12\x07testing", b"\x1a\x03\x08\x96\x01", b"\x22\x03\x03\x8e\x02"];
        assert_eq!(outer.bytes, expected.concat());
    }
}
