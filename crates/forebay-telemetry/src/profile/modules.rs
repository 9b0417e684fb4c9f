//! The program and the libraries it is made of, as they lie in memory.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;

use super::Error;
use super::image::{Image, Unwinding};

/// Programs and libraries that are looked into; functions of any more stay without names.
const MODULES_MAX: usize = 64;
/// Bytes of the library the kernel gives every process.
const VDSO_BYTES_MAX: u64 = 1 << 20;

/// All of them, in the order of their addresses.
#[derive(Debug)]
pub(super) struct Modules {
    list: Vec<Module>,
}

/// A piece of memory with code.
#[derive(Debug)]
pub(super) struct Module {
    /// Its first address, and the first behind it.
    pub(super) start: u64,
    pub(super) end: u64,
    /// Where it begins in its file.
    pub(super) offset: u64,
    /// The file's path as the kernel says it.
    pub(super) path: String,
    /// What is to be added to an address in the file to have it in memory.
    pub(super) bias: u64,
    /// None where the file cannot be read.
    pub(super) image: Option<Image>,
    /// How callers are found.
    pub(super) unwinding: Option<Unwinding>,
}

impl Modules {
    /// Those there are now.
    ///
    /// # Errors
    /// The kernel does not say.
    pub(super) fn load() -> Result<Self, Error> {
        let maps = fs::read_to_string("/proc/self/maps")
            .map_err(|error| Error::unavailable("cannot read /proc/self/maps", &error))?;
        let list = maps.lines().filter_map(Mapping::parse).take(MODULES_MAX).map(Module::load).collect();
        Ok(Self { list })
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Module> {
        self.list.iter()
    }

    /// The index of the one that has this address.
    pub(super) fn find(&self, address: u64) -> Option<usize> {
        let index = self.list.partition_point(|module| module.end <= address);
        self.list.get(index).filter(|module| module.start <= address).map(|_| index)
    }
}

impl Module {
    fn load(mapping: Mapping<'_>) -> Self {
        let Mapping { start, end, offset, path } = mapping;
        let image = Image::open(|| mapping.open()).ok();
        let bias = image
            .as_ref()
            .and_then(|image| image.bias(start, &(offset..offset + (end - start))))
            .unwrap_or_default();
        let unwinding = image.as_ref().and_then(Image::unwinding);
        Self { start, end, offset, path: path.to_owned(), bias, image, unwinding }
    }

    /// The file's name, for functions of which nothing else is known.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

/// A line of `/proc/self/maps` that maps code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mapping<'a> {
    start: u64,
    end: u64,
    offset: u64,
    path: &'a str,
}

impl<'a> Mapping<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.splitn(6, ' ');
        let (start, end) = fields.next()?.split_once('-')?;
        let rights = fields.next()?;
        let offset = fields.next()?;
        let path = fields.nth(2)?.trim_start();
        let number = |text| u64::from_str_radix(text, 16).ok();
        let mapping = Self { start: number(start)?, end: number(end)?, offset: number(offset)?, path };
        (rights.contains('x') && mapping.is_readable()).then_some(mapping)
    }

    fn is_readable(&self) -> bool {
        self.path.starts_with('/') || self.path == "[vdso]"
    }

    fn open(&self) -> io::Result<super::image::Source> {
        if self.path == "[vdso]" {
            let size = (self.end - self.start).min(VDSO_BYTES_MAX);
            let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
            File::open("/proc/self/mem")?.read_exact_at(&mut bytes, self.start)?;
            return Ok(Box::new(io::Cursor::new(bytes)));
        }
        // The program may have been replaced while it runs; this still leads to the one that does.
        let program = fs::read_link("/proc/self/exe").is_ok_and(|program| program.as_os_str() == self.path);
        Ok(Box::new(File::open(if program { "/proc/self/exe" } else { self.path })?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_that_can_be_read_counts() {
        let check = |line, expected: Option<(u64, u64, u64, &str)>| {
            let mapping =
                Mapping::parse(line).map(|Mapping { start, end, offset, path }| (start, end, offset, path));
            assert_eq!(mapping, expected, "{line}");
        };
        check(
            "55d0-55f0 r-xp 00001000 fd:00 123      /opt/with a space/forebay",
            Some((0x55d0, 0x55f0, 0x1000, "/opt/with a space/forebay")),
        );
        check(
            "7fff1000-7fff3000 r-xp 00000000 00:00 0                          [vdso]",
            Some((0x7fff_1000, 0x7fff_3000, 0, "[vdso]")),
        );
        check("55f0-5600 rw-p 00000000 fd:00 123 /opt/forebay", None);
        check("55f0-5600 r-xp 00000000 00:00 0", None);
        check("ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0   [vsyscall]", None);
        for broken in ["", "-", "x-y r-xp 0 0 0 /a", "1-2", "1-2 r-xp zz 0 0 /a"] {
            check(broken, None);
        }
    }

    #[test]
    fn the_running_test_finds_itself() {
        let modules = Modules::load().unwrap();
        let here = the_running_test_finds_itself as fn() as usize as u64;
        let module = modules.find(here).and_then(|index| modules.iter().nth(index)).unwrap();
        let program = std::env::current_exe().unwrap();
        assert_eq!(Some(module.name()), program.file_name().and_then(|name| name.to_str()));
        assert!(module.image.is_some() && module.unwinding.is_some());
        assert_eq!(modules.find(0), None);
        assert_eq!(modules.find(u64::MAX), None);
    }
}
