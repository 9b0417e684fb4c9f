//! A gateway whose settings are written anew, again and again.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::check_changed;
use crate::bench::machine::Pinning;
use crate::bench::peer::free_address;
use crate::bench::process::Process;
use crate::bench::wire;

/// Longest wait until it serves, and for a reload.
const PATIENCE: Duration = Duration::from_secs(60);

/// Its addresses, as settings say them.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    listen: SocketAddr,
    admin: SocketAddr,
}

/// A running gateway.
pub(super) struct Gateway {
    /// Where clients connect.
    pub(super) address: SocketAddr,
    at: At,
    file: PathBuf,
    process: Process,
}

impl At {
    #[cfg(test)]
    pub(super) fn of(listen: u16, admin: u16) -> Self {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Self { listen: at(listen), admin: at(admin) }
    }
}

impl fmt::Display for At {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { listen, admin } = self;
        write!(out, "listen: {listen}\nadmin: {admin}\nworkers: 1\nlogs: {{ access: off }}\n")
    }
}

impl Gateway {
    /// Starts it and waits until it answers.
    pub(super) fn start(
        program: &Path,
        folder: &Path,
        pinning: &Pinning,
        settings: impl Fn(At) -> String,
    ) -> Result<Self> {
        let at = At { listen: free_address()?, admin: free_address()? };
        let file = folder.join(format!("forebay-{}.yaml", at.listen.port()));
        fs::write(&file, settings(at))?;
        let arguments: Vec<OsString> = vec!["run".into(), "-c".into(), file.clone().into()];
        let log = folder.join(format!("forebay-{}.log", at.listen.port()));
        let process = Process::start(program, &arguments, &pinning.proxy, &log)?;
        let mut gateway = Self { address: at.listen, at, file, process };
        gateway.wait().with_context(|| {
            let words = fs::read_to_string(&log).unwrap_or_default();
            format!("forebay does not serve: {}", words.lines().last().unwrap_or_default())
        })?;
        Ok(gateway)
    }

    /// Its addresses.
    pub(super) fn at(&self) -> At {
        self.at
    }

    /// Replaces the settings, whole: a gateway that looks by itself never sees a half.
    pub(super) fn write(&self, settings: &str) -> Result<()> {
        let half = self.file.with_extension("half");
        fs::write(&half, settings)?;
        fs::rename(&half, &self.file).context("cannot replace the settings")
    }

    /// Asks for a reload, which must change something; gives the time until the answer.
    pub(super) fn reload(&self) -> Result<Duration> {
        let start = Instant::now();
        let mut stream = TcpStream::connect(self.at.admin).context("no admin side")?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let host = self.at.admin;
        let request = format!(
            "POST /api/v1/reload HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        );
        stream.write_all(request.as_bytes())?;
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).context("no answer to a reload")?;
        let took = start.elapsed();
        let Some(end) = memchr::memmem::find(&reply, b"\r\n\r\n") else { bail!("half an answer") };
        if !reply.starts_with(b"HTTP/1.1 200 ") {
            bail!("a reload was refused: {}", String::from_utf8_lossy(&reply));
        }
        check_changed(&reply[end + 4..])?;
        Ok(took)
    }

    /// Resident memory, in bytes.
    pub(super) fn memory(&self) -> Result<u64> {
        self.process.memory()
    }

    /// An error when it has ended.
    pub(super) fn check_alive(&mut self) -> Result<()> {
        self.process.check_alive()
    }

    fn wait(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.process.check_alive()?;
            let answer = wire::connect(self.address).and_then(|mut stream| wire::get(&mut stream, "/small"));
            match answer {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }
}
