//! Where the new process finds the old one: a socket in a directory that nobody else can enter or guess.

use std::fs::DirBuilder;
use std::hash::{BuildHasher as _, RandomState};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// A socket to wait at. It is gone from the file system when this is.
pub(super) struct Place {
    directory: PathBuf,
    socket: PathBuf,
    pub(super) listener: UnixListener,
}

impl Place {
    /// Where the system keeps what does not outlive processes; the first place that can be written to.
    pub(super) fn make() -> io::Result<Self> {
        let runtime = ["RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR"];
        // Of several runtime directories the first will do.
        let first = |name| Some(PathBuf::from(env::var(name).ok()?.split(':').next()?));
        let bases = runtime.into_iter().filter_map(first).filter(|base| base.is_absolute());
        let mut failed = io::Error::from(io::ErrorKind::NotFound);
        for base in bases.chain([env::temp_dir(), PathBuf::from("/dev/shm")]) {
            match Self::make_in(&base) {
                Ok(place) => return Ok(place),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    fn make_in(base: &Path) -> io::Result<Self> {
        // Hashes under keys from the system's randomness.
        let random = || RandomState::new().hash_one(0);
        let directory = base.join(format!("forebay-{:016x}{:016x}", random(), random()));
        // Fails if it is there, whatever it is.
        DirBuilder::new().mode(0o700).create(&directory)?;
        let socket = directory.join("s");
        let listener = UnixListener::bind(&socket);
        let listener = listener.and_then(|listener| listener.set_nonblocking(true).map(|()| listener));
        match listener {
            Ok(listener) => Ok(Self { directory, socket, listener }),
            Err(error) => {
                remove(&socket, &directory);
                Err(error)
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.socket
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        remove(&self.socket, &self.directory);
    }
}

/// What cannot be removed stays: it is empty and of no use to anybody.
fn remove(socket: &Path, directory: &Path) {
    let _ = fs::remove_file(socket);
    let _ = fs::remove_dir(directory);
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn nobody_else_can_enter_and_nothing_is_left() {
        let place = Place::make().expect("there is room somewhere");
        let directory = place.directory.clone();
        let mode = fs::metadata(&directory).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert!(place.path().exists());
        drop(place);
        assert!(!directory.exists());
    }

    #[test]
    fn a_base_that_is_too_long_for_a_socket_leaves_nothing() {
        let base = env::temp_dir().join(format!("forebay-place-{}-{}", std::process::id(), "x".repeat(90)));
        fs::create_dir(&base).expect("it is new");
        assert!(Place::make_in(&base).is_err());
        assert_eq!(fs::read_dir(&base).expect("it is there").count(), 0);
        fs::remove_dir(&base).expect("it is empty");
    }
}
