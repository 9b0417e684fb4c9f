//! Files that settings name: certificates, keys. Read within bounds, and remembered, so that they can be watched.

use std::fs::{self, Metadata};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::lower::Lower;
use super::problems::Spanned;
use super::read::short;

/// Largest file of certificates or keys, in bytes.
const PEM_MAX: u64 = 1 << 20;
/// The end of the line in front of a private key in PEM.
const KEY: &[u8] = b"PRIVATE KEY-----";
/// The bit that lets everybody read a file.
const READABLE_BY_ALL: u32 = 0o004;

/// A file that was read, or was to be, with what tells one content from the next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Watched {
    path: PathBuf,
    stamp: Option<Stamp>,
}

/// What changes when a file is written or another is put in its place. A content would have to be read to be known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    /// Seconds and nanoseconds.
    changed: (i64, i64),
}

impl Watched {
    /// The file as it is now.
    #[must_use]
    pub fn look(path: PathBuf) -> Self {
        let stamp = fs::metadata(&path).ok().map(|about| Stamp {
            device: about.dev(),
            inode: about.ino(),
            bytes: about.len(),
            changed: (about.mtime(), about.mtime_nsec()),
        });
        Self { path, stamp }
    }

    /// The same file as it is now.
    #[must_use]
    pub fn again(&self) -> Self {
        Self::look(self.path.clone())
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Lower<'_, '_> {
    /// What stands in a file of certificates or keys; a problem if it cannot be read.
    pub(super) fn pem(&mut self, name: Spanned<&str>) -> Option<Arc<[u8]>> {
        match self.read(name.value, PEM_MAX) {
            Ok(content) => Some(content.into()),
            Err(error) => {
                let what = format!("cannot read `{}`: {error}", short(name.value));
                self.problems.error_fix(name.at, what, "give the path of a file in PEM that we may read");
                None
            }
        }
    }

    /// As `pem`, for a private key: warns if others can read it.
    pub(super) fn private_key(&mut self, name: Spanned<&str>) -> Option<Arc<[u8]>> {
        let content = self.pem(name)?;
        let path = self.base.map(|base| base.join(name.value));
        let mode = path.and_then(|path| fs::metadata(path).ok()).map_or(0, |about| mode(&about));
        // The file may be that of a certificate, without the key that should stand in it.
        let has_key = content.windows(KEY.len()).any(|window| window == KEY);
        if has_key && mode & READABLE_BY_ALL != 0 {
            let what =
                format!("everybody on this machine can read the private key in `{}`", short(name.value));
            self.problems.warn_fix(name.at, what, format!("say `chmod 600 {}`", short(name.value)));
        }
        Some(content)
    }

    fn read(&mut self, name: &str, bytes_max: u64) -> Result<Vec<u8>, String> {
        let path = self.base.ok_or("there are no files here")?.join(name);
        // First: what happens to it from here on is a change, its coming too.
        self.files.push(Watched::look(path.clone()));
        read_regular(&path, bytes_max)
    }
}

/// What stands in a file that is one, and not too large.
pub(super) fn read_regular(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    let about = fs::metadata(path).map_err(|error| error.to_string())?;
    // A pipe or a device could keep us waiting for ever.
    if !about.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    if about.len() > bytes_max {
        return Err(format!("it has more than {bytes_max} bytes"));
    }
    fs::read(path).map_err(|error| error.to_string())
}

fn mode(about: &Metadata) -> u32 {
    about.permissions().mode()
}
