//! Profiles as Go programs serve them: read, and drawn as a flame graph.
//!
//! The format is `profile.proto` of pprof: gzipped protobuf, strings by index, stacks with the leaf first. Where
//! a profile comes from is not trusted: everything is bounded, and what cannot be read is an error.

mod flame;
mod svg;
mod wire;

use std::collections::HashMap;
use std::fmt;
use std::io::Read as _;

use flate2::read::MultiGzDecoder;

pub use flame::{Flame, Frame, NODES_MAX};
pub use svg::flame_svg;
use wire::{Field, Fields, Numbers};

/// Bytes of a profile as served.
pub const RAW_MAX: usize = 8 * 1024 * 1024;
/// Bytes of it when unpacked.
const UNPACKED_MAX: usize = 32 * 1024 * 1024;
/// Kinds of values for each sample.
const KINDS_MAX: usize = 16;
/// Samples.
const SAMPLES_MAX: usize = 200_000;
/// Strings, functions and locations, each.
const TABLE_MAX: usize = 500_000;
/// Frames of one stack; those nearest to the leaf are left out beyond it.
const DEPTH_MAX: usize = 512;
/// Frames of all stacks together.
const FRAMES_MAX: usize = 4_000_000;
/// Characters of a name that are kept.
const NAME_MAX: usize = 300;

/// A profile: how much of something was seen in which stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// What the values are, as kind and unit: `cpu` in `nanoseconds`, `inuse_space` in `bytes`.
    pub kinds: Vec<(String, String)>,
    /// The kind to be shown unless somebody asks for another, by index into `kinds`.
    pub shown: usize,
    /// Names of functions, in alphabetical order, each once.
    pub names: Vec<String>,
    /// What was seen.
    pub samples: Vec<Sample>,
    /// How long was looked; 0: unknown.
    pub nanos: u64,
}

/// What was seen in one stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// From the outermost function to the leaf, by index into `names`.
    pub stack: Vec<u32>,
    /// One for each of the profile's kinds.
    pub values: Vec<i64>,
}

/// Why a profile cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Neither gzip nor protobuf, or broken within.
    Broken(&'static str),
    /// More than the named limit allows.
    TooLarge(&'static str),
}

impl Profile {
    /// The flame graph of the kind that is shown.
    #[must_use]
    pub fn flame(&self) -> Flame {
        flame::build(self, self.shown)
    }

    /// The sum of all values of a kind, by its index.
    #[must_use]
    pub fn total(&self, kind: usize) -> u64 {
        self.samples.iter().map(|sample| sample.value(kind)).fold(0, u64::saturating_add)
    }
}

impl Sample {
    /// How much of a kind. What profiles take away from others may leave less than nothing: that is nothing.
    pub(crate) fn value(&self, kind: usize) -> u64 {
        self.values.get(kind).map_or(0, |value| u64::try_from(*value).unwrap_or(0))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(what) => write!(f, "this is no profile that can be read: {what}"),
            Self::TooLarge(what) => write!(f, "the profile is too large: {what}; take a shorter one"),
        }
    }
}

impl std::error::Error for Error {}

/// Reads a profile, gzipped or not.
///
/// # Errors
/// It is broken, or larger than any real one.
pub fn decode(raw: &[u8]) -> Result<Profile, Error> {
    if raw.len() > RAW_MAX {
        return Err(Error::TooLarge("more than 8 MiB"));
    }
    if !raw.starts_with(&[0x1f, 0x8b]) {
        return Tables::read(raw)?.profile();
    }
    let mut bytes = Vec::new();
    MultiGzDecoder::new(raw)
        .take(UNPACKED_MAX as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|_| Error::Broken("the gzip data is damaged"))?;
    if bytes.len() > UNPACKED_MAX {
        return Err(Error::TooLarge("more than 32 MiB when unpacked"));
    }
    Tables::read(&bytes)?.profile()
}

/// The message as it comes: everything refers to something else by number, and may do so before it is there.
#[derive(Default)]
struct Tables<'a> {
    kinds: Vec<(u64, u64)>,
    samples: Vec<&'a [u8]>,
    locations: HashMap<u64, Location<'a>>,
    /// Names of functions by index into `strings`.
    functions: HashMap<u64, u64>,
    strings: Vec<&'a [u8]>,
    shown: u64,
    nanos: u64,
}

/// A place in the program.
struct Location<'a> {
    address: u64,
    /// Its lines, innermost first; more than one where calls were inlined.
    message: &'a [u8],
}

impl<'a> Tables<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Error> {
        let mut tables = Self::default();
        for field in Fields::new(bytes) {
            match field? {
                (1, Field::Bytes(kind)) => {
                    bounded(&mut tables.kinds, pair(kind)?, KINDS_MAX, "too many kinds")?
                }
                (2, Field::Bytes(sample)) => {
                    bounded(&mut tables.samples, sample, SAMPLES_MAX, "too many samples")?;
                }
                (4, Field::Bytes(location)) => tables.add_location(location)?,
                (5, Field::Bytes(function)) => tables.add_function(function)?,
                (6, Field::Bytes(string)) => {
                    bounded(&mut tables.strings, string, TABLE_MAX, "too many strings")?;
                }
                (10, Field::Number(nanos)) => tables.nanos = nanos,
                (14, Field::Number(shown)) => tables.shown = shown,
                _ => {}
            }
        }
        if tables.kinds.is_empty() {
            return Err(Error::Broken("it says of no value what it is"));
        }
        Ok(tables)
    }

    fn add_location(&mut self, message: &'a [u8]) -> Result<(), Error> {
        let (mut id, mut address) = (0, 0);
        for field in Fields::new(message) {
            match field? {
                (1, Field::Number(number)) => id = number,
                (3, Field::Number(number)) => address = number,
                _ => {}
            }
        }
        if self.locations.len() >= TABLE_MAX {
            return Err(Error::TooLarge("too many locations"));
        }
        self.locations.insert(id, Location { address, message });
        Ok(())
    }

    fn add_function(&mut self, message: &[u8]) -> Result<(), Error> {
        let (id, name) = pair(message)?;
        if self.functions.len() >= TABLE_MAX {
            return Err(Error::TooLarge("too many functions"));
        }
        self.functions.insert(id, name);
        Ok(())
    }

    fn profile(&self) -> Result<Profile, Error> {
        let mut names = Names::default();
        let locations = self.locations(&mut names)?;
        let mut frames = 0;
        let mut samples = Vec::with_capacity(self.samples.len());
        for message in &self.samples {
            let sample = self.sample(message, &locations)?;
            frames += sample.stack.len();
            enough(frames)?;
            samples.push(sample);
        }
        let kinds = self.kinds.iter().map(|(kind, unit)| (self.text(*kind), self.text(*unit))).collect();
        let default = self.kinds.iter().position(|(kind, _)| *kind == self.shown && self.shown != 0);
        // Unless it says so, the last kind is the one that is meant.
        let shown = default.unwrap_or(self.kinds.len() - 1);
        let mut profile = Profile { kinds, shown, names: Vec::new(), samples, nanos: self.nanos };
        names.in_order(&mut profile);
        Ok(profile)
    }

    /// The functions of each location, innermost first. Each location is read once, however often it is named.
    fn locations(&self, names: &mut Names) -> Result<HashMap<u64, Vec<u32>>, Error> {
        let mut frames = 0;
        let mut locations = HashMap::with_capacity(self.locations.len());
        for (id, location) in &self.locations {
            let functions = self.functions_of(location, names)?;
            frames += functions.len();
            enough(frames)?;
            locations.insert(*id, functions);
        }
        Ok(locations)
    }

    fn functions_of(&self, location: &Location<'_>, names: &mut Names) -> Result<Vec<u32>, Error> {
        let mut functions = Vec::new();
        for field in Fields::new(location.message) {
            if let (4, Field::Bytes(line)) = field? {
                let (function, _) = pair(line)?;
                let name = self.functions.get(&function).map_or_else(String::new, |name| self.text(*name));
                let name = if name.is_empty() { unnamed(location.address) } else { name };
                bounded(&mut functions, names.index(name), DEPTH_MAX, "too many calls inlined in one place")?;
            }
        }
        if functions.is_empty() {
            functions.push(names.index(unnamed(location.address)));
        }
        Ok(functions)
    }

    fn sample(&self, message: &[u8], locations: &HashMap<u64, Vec<u32>>) -> Result<Sample, Error> {
        let mut sample = Sample::default();
        for field in Fields::new(message) {
            match field? {
                (1, field) => {
                    for id in Numbers::of(field) {
                        let frames =
                            locations.get(&id?).ok_or(Error::Broken("a sample names no known place"))?;
                        sample.stack.extend_from_slice(frames);
                        not_too_deep(&sample.stack)?;
                    }
                }
                (2, field) => {
                    for value in Numbers::of(field) {
                        bounded(&mut sample.values, value?.cast_signed(), KINDS_MAX, "too many values")?;
                    }
                }
                _ => {}
            }
        }
        if sample.values.len() != self.kinds.len() {
            return Err(Error::Broken("a sample has not one value for each kind"));
        }
        sample.stack.reverse();
        sample.stack.truncate(DEPTH_MAX);
        sample.stack.shrink_to_fit();
        Ok(sample)
    }

    fn text(&self, index: u64) -> String {
        let bytes = usize::try_from(index).ok().and_then(|index| self.strings.get(index)).copied();
        // A character has at most four bytes: no more is ever needed, however long the string is.
        let bytes = bytes.map_or(&[][..], |bytes| &bytes[..bytes.len().min(NAME_MAX * 4)]);
        String::from_utf8_lossy(bytes).chars().take(NAME_MAX).collect()
    }
}

/// Names, each once.
#[derive(Default)]
struct Names {
    known: HashMap<String, u32>,
}

impl Names {
    fn index(&mut self, name: String) -> u32 {
        let next = u32::try_from(self.known.len()).unwrap_or(u32::MAX);
        *self.known.entry(name).or_insert(next)
    }

    /// Puts them in order, and makes the stacks refer to them so.
    fn in_order(self, profile: &mut Profile) {
        let mut names: Vec<(String, u32)> = self.known.into_iter().collect();
        names.sort_unstable();
        let mut places = vec![0; names.len()];
        for (place, (_, index)) in (0_u32..).zip(&names) {
            places[*index as usize] = place;
        }
        for frame in profile.samples.iter_mut().flat_map(|sample| &mut sample.stack) {
            *frame = places[*frame as usize];
        }
        profile.names = names.into_iter().map(|(name, _)| name).collect();
    }
}

/// A stack that is much deeper than what is kept only costs memory: no program has one.
fn not_too_deep(stack: &[u32]) -> Result<(), Error> {
    if stack.len() > DEPTH_MAX * 16 { Err(Error::TooLarge("a stack is too deep")) } else { Ok(()) }
}

fn enough(frames: usize) -> Result<(), Error> {
    if frames > FRAMES_MAX { Err(Error::TooLarge("too many frames")) } else { Ok(()) }
}

fn bounded<T>(list: &mut Vec<T>, item: T, most: usize, what: &'static str) -> Result<(), Error> {
    if list.len() >= most {
        return Err(Error::TooLarge(what));
    }
    list.push(item);
    Ok(())
}

/// The first two numbers of a message.
fn pair(message: &[u8]) -> Result<(u64, u64), Error> {
    let mut pair = (0, 0);
    for field in Fields::new(message) {
        match field? {
            (1, Field::Number(number)) => pair.0 = number,
            (2, Field::Number(number)) => pair.1 = number,
            _ => {}
        }
    }
    Ok(pair)
}

fn unnamed(address: u64) -> String {
    format!("0x{address:x}")
}

#[cfg(test)]
mod tests;
