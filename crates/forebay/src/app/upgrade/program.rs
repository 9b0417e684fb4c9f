//! Which binary this process is, and how another like it is started.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::{env, io};

use super::heir::VARIABLE;
use crate::app::systemd::OUR_VARIABLES;

/// What this process was started as. Found out at its start: later the file may be another.
#[derive(Debug)]
pub(crate) struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    /// This process's own.
    ///
    /// # Errors
    /// The system does not tell.
    pub(crate) fn own() -> io::Result<Self> {
        let mut arguments = env::args_os();
        let name = arguments.next().unwrap_or_default();
        let path = named(&name, &env::current_exe()?);
        Ok(Self { path, arguments: arguments.collect() })
    }

    #[cfg(test)]
    pub(super) fn of(path: &str, arguments: &[&str]) -> Self {
        Self { path: path.into(), arguments: arguments.iter().map(OsString::from).collect() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Starts what is at the path now, as this process was started, to take our place at `socket`.
    pub(super) fn start(&self, socket: &Path) -> io::Result<Child> {
        let mut appointment = OsString::from(format!("{}:", std::process::id()));
        appointment.push(socket);
        let mut command = Command::new(&self.path);
        command.args(&self.arguments).env(VARIABLE, appointment);
        for name in OUR_VARIABLES {
            command.env_remove(name);
        }
        command.spawn()
    }
}

/// The path by which `binary` was called, if that is how it was: a link that leads to another release by now is
/// to be followed anew.
fn named(name: &OsString, binary: &Path) -> PathBuf {
    let same = |path: &PathBuf| path.canonicalize().is_ok_and(|real| real == binary);
    let called = if name.as_bytes().contains(&b'/') {
        env::current_dir().map(|here| here.join(name)).ok().into_iter().collect()
    } else {
        let path = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&path)
            .filter(|folder| folder.is_absolute())
            .map(|folder| folder.join(name))
            .collect()
    };
    let called: Vec<PathBuf> = called;
    called.into_iter().find(same).unwrap_or_else(|| binary.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_by_which_we_were_called_is_kept() {
        let folder = env::temp_dir().join(format!("forebay-program-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("there is room");
        let (binary, link) = (folder.join("release-1"), folder.join("forebay"));
        std::fs::write(&binary, "").expect("there is room");
        std::os::unix::fs::symlink(&binary, &link).expect("it is new");
        let real = binary.canonicalize().expect("it is there");
        assert_eq!(named(&link.clone().into_os_string(), &real), link);
        // Whatever somebody called us without it being so.
        assert_eq!(named(&OsString::from("/bin/sh"), &real), real);
        assert_eq!(named(&OsString::from("no-such-program"), &real), real);
        std::fs::remove_dir_all(&folder).expect("it is ours");
    }
}
