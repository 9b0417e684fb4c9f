//! Files a plan draws on: regular ones, of bounded size.

use std::path::Path;

/// Largest body, in bytes.
pub(super) const BODY_MAX: u64 = 16 << 20;

/// What stands in a file.
///
/// # Errors
/// When it cannot be read, is no regular file, or is larger than `max` bytes.
pub(crate) fn read(path: &Path, max: u64) -> Result<Vec<u8>, String> {
    let about = std::fs::metadata(path).map_err(|error| error.to_string())?;
    // A pipe or a device could keep us waiting for ever.
    if !about.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    if about.len() > max {
        return Err(format!("it has more than {max} bytes"));
    }
    std::fs::read(path).map_err(|error| error.to_string())
}
