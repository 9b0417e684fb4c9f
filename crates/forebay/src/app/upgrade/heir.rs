//! The new process of an upgrade: takes what the old one hands over, and serves once that one says so.

use std::env;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use forebay_net::address::Address;
use rustix::net::sockopt::socket_peercred;
use rustix::process::{getppid, getuid};
use serde_json::Value;

use super::wire::{self, Answer};
use crate::app::sockets::Inherited;

/// Tells a process whose heir it is and where that one waits: `PID:PATH`.
pub(super) const VARIABLE: &str = "FOREBAY_UPGRADE";
/// The old process hands over at once; longer than this, and it has gone.
const OFFER_WAIT: Duration = Duration::from_secs(10);

/// The way back to the process whose place we take.
pub(crate) struct Heir {
    stream: UnixStream,
}

impl Heir {
    /// If this process was started to take another one's place: what it begins with.
    ///
    /// # Errors
    /// It was, and the other one cannot be reached or is not who it should be.
    pub(crate) fn appointed() -> anyhow::Result<Option<(Self, Inherited)>> {
        let Some(appointment) = env::var_os(VARIABLE) else { return Ok(None) };
        let (pid, path) =
            read(&appointment).with_context(|| format!("{VARIABLE} is not for people to set; unset it"))?;
        if getppid().map(|parent| parent.as_raw_nonzero().get()) != Some(pid) {
            bail!("{VARIABLE} is set, but not by the process that started this one; unset it");
        }
        let stream = UnixStream::connect(path).context("cannot reach the running process")?;
        let peer = socket_peercred(&stream).context("cannot see who hands over")?;
        if peer.pid.as_raw_nonzero().get() != pid || peer.uid != getuid() {
            bail!("somebody else waits where the running process should");
        }
        stream.set_read_timeout(Some(OFFER_WAIT))?;
        stream.set_write_timeout(Some(OFFER_WAIT))?;
        let heir = Self { stream };
        match wire::accept(&heir.stream).context("cannot take over from the running process") {
            Ok(inherited) => Ok(Some((heir, inherited))),
            Err(error) => {
                heir.failed(&format!("{error:#}"));
                Err(error)
            }
        }
    }

    /// We could serve at once, and would listen on these of the addresses that were handed over. Waits for the word
    /// to do so; gives what we should know by now, and the way to say that it is done.
    ///
    /// # Errors
    /// The old one does not want us any more, or has ended. Nobody has been accepted, and nobody must be.
    pub(in crate::app) fn ready(self, kept: Vec<Address>) -> anyhow::Result<(Value, Opening)> {
        // However long it takes: it ends us when it does not want us, and this when it ends itself.
        self.stream.set_read_timeout(None)?;
        let state = wire::answer(&self.stream, &Answer::Ready { kept })
            .and_then(|()| wire::await_go(&self.stream))
            .context("the running process did not let go")?;
        Ok((state, Opening { stream: self.stream }))
    }

    /// We cannot: the old one goes on.
    pub(crate) fn failed(self, why: &str) {
        let _ = wire::answer(&self.stream, &Answer::Failed { why: why.to_owned() });
    }
}

/// We serve in a moment.
pub(in crate::app) struct Opening {
    stream: UnixStream,
}

impl Opening {
    /// We serve.
    pub(in crate::app) fn done(self) {
        // If it has gone already, there is all the more reason to serve.
        let _ = wire::opened(&self.stream);
    }
}

fn read(appointment: &OsStr) -> Option<(i32, &Path)> {
    let bytes = appointment.as_bytes();
    let colon = bytes.iter().position(|byte| *byte == b':')?;
    let pid = std::str::from_utf8(&bytes[..colon]).ok()?.parse().ok()?;
    Some((pid, Path::new(OsStr::from_bytes(&bytes[colon + 1..]))))
}
