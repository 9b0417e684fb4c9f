//! Files that settings name: certificates, keys. Read within bounds, and remembered, so that they can be watched.

use std::fs::{self, Metadata};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use super::lower::Lower;
use super::problems::Spanned;
use super::read::short;

/// Largest file of certificates or keys, in bytes.
const PEM_MAX: u64 = 1 << 20;
/// The bit that lets everybody read a file.
const READABLE_BY_ALL: u32 = 0o004;

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
        if mode & READABLE_BY_ALL != 0 {
            let what =
                format!("everybody on this machine can read the private key in `{}`", short(name.value));
            self.problems.warn_fix(name.at, what, format!("say `chmod 600 {}`", short(name.value)));
        }
        Some(content)
    }

    fn read(&mut self, name: &str, bytes_max: u64) -> Result<Vec<u8>, String> {
        let path = self.base.ok_or("there are no files here")?.join(name);
        // First: if it is not there yet, its coming is a change.
        self.files.push(path.clone());
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
