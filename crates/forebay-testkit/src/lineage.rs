//! A gateway that is replaced by another process while it serves: a copy of the binary, so that the copy can be
//! replaced, and whoever runs it now.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;

use serde_json::Value;

use crate::check::eventually;
use crate::gateway::{Signal, binary};
use crate::message::Response;
use crate::scratch::Scratch;
use crate::wire::Client;

/// The shell's script where nothing is to be done before.
pub const PLAINLY: &str = "exec \"$@\"";

/// A gateway and the processes that come after it; all are killed on drop.
#[derive(Debug)]
pub struct Lineage {
    first: Child,
    scratch: Scratch,
}

/// Starts a gateway with these settings that can be replaced.
#[macro_export]
macro_rules! lineage {
    ($($settings:tt)*) => {
        $crate::lineage::Lineage::start(
            env!("CARGO_BIN_EXE_forebay"),
            &format!($($settings)*),
            $crate::lineage::PLAINLY,
            |_| {},
        )
    };
}

impl Lineage {
    /// Starts a copy of the binary with these settings and waits until it serves.
    ///
    /// A shell runs `script` to become it, with its command line as `"$@"`; `prepare` has a say in what that
    /// shell is started with.
    #[must_use]
    pub fn start(built: &str, settings: &str, script: &str, prepare: impl FnOnce(&mut Command)) -> Self {
        let scratch = Scratch::new("lineage");
        scratch.write("forebay.yaml", settings);
        let own = scratch.path().join("forebay");
        place(&binary(built), &own);
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh", "./forebay", "run", "-c", "forebay.yaml"]);
        let file = |name: &str| {
            let file = File::options().append(true).create(true).open(scratch.path().join(name));
            file.unwrap_or_else(|error| panic!("cannot write {name}: {error}"))
        };
        command.current_dir(scratch.path()).env("FOREBAY_READY_FILE", scratch.path().join("ready.json"));
        command.stdin(Stdio::null()).stdout(file("stdout.log")).stderr(file("stderr.log"));
        prepare(&mut command);
        let first = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let lineage = Self { first, scratch };
        eventually("a gateway that serves", || lineage.ready().map(|_| ()));
        lineage
    }

    /// The process that has said last that it serves.
    #[must_use]
    pub fn pid(&self) -> u32 {
        let pid = self.told()["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
        pid.expect("the ready file names a process")
    }

    /// Where it listens for clients, the first if several.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        address(&self.told()["listen"][0])
    }

    /// Everywhere it listens for clients.
    #[must_use]
    pub fn listen(&self) -> Vec<SocketAddr> {
        self.told()["listen"].as_array().into_iter().flatten().map(address).collect()
    }

    /// Where its admin side listens.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        address(&self.told()["admin"])
    }

    /// A new connection to it.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::connect(self.addr())
    }

    /// `GET`s a path of the admin side.
    #[must_use]
    pub fn admin_get(&self, path: &str) -> Response {
        self.admin_ask("GET", path, "")
    }

    /// Asks the admin side for an upgrade.
    #[must_use]
    pub fn ask_for_upgrade(&self) -> Response {
        self.admin_ask("POST", "/api/v1/upgrade", "")
    }

    /// Sends any request to the admin side.
    #[must_use]
    pub fn admin_ask(&self, method: &str, path: &str, body: &str) -> Response {
        let (host, length) = (self.admin(), body.len());
        Client::connect(host)
            .ask(format!(
                "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\
                 Content-Type: application/json\r\nConnection: close\r\n\r\n{body}"
            ))
            .unwrap_or_else(|failed| panic!("admin {path}: {failed}"))
    }

    /// Sends a signal to one of the processes.
    pub fn signal(&self, pid: u32, signal: Signal) {
        signal.send(pid);
    }

    /// Waits until another process than `before` serves.
    pub fn await_successor(&self, before: u32) -> u32 {
        eventually("a successor", || Some(self.pid()).filter(|pid| *pid != before))
    }

    /// Waits until a process has ended.
    pub fn await_end(&mut self, pid: u32) {
        if pid == self.first.id() {
            let first = &mut self.first;
            let status = eventually("the first one's end", || first.try_wait().expect("it is our child"));
            assert!(status.success(), "{status}");
        }
        eventually("a process's end", || (!is_running(pid)).then_some(()));
    }

    /// Whether a process has not ended.
    #[must_use]
    pub fn is_running(&self, pid: u32) -> bool {
        is_running(pid)
    }

    /// Puts a shell script where the binary is.
    pub fn replace_with_script(&self, script: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.scratch.write("script", format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
            .and_then(|()| fs::rename(&path, self.scratch.path().join("forebay")))
            .unwrap_or_else(|error| panic!("cannot replace the binary: {error}"));
    }

    /// Puts the binary back, as a new file.
    pub fn replace_with_binary(&self, built: &str) {
        let new = self.scratch.path().join("new");
        place(&binary(built), &new);
        fs::rename(&new, self.scratch.path().join("forebay"))
            .unwrap_or_else(|error| panic!("cannot replace the binary: {error}"));
    }

    /// Replaces the settings file, whole.
    pub fn write_settings(&self, settings: &str) {
        self.scratch.write("forebay.yaml", settings);
    }

    /// Its own directory, where relative paths of its settings start.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.scratch.path()
    }

    /// Everything its processes wrote to standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.scratch.read("stderr.log")
    }

    fn told(&self) -> Value {
        self.ready().unwrap_or_else(|| panic!("no ready file: {}", self.stderr()))
    }

    fn ready(&self) -> Option<Value> {
        serde_json::from_str(&self.scratch.read("ready.json")).ok()
    }

    /// Every process that runs a file of our directory, or one that was there.
    fn descendants(&self) -> Vec<u32> {
        let ours = |pid: &u32| {
            let binary = fs::read_link(format!("/proc/{pid}/exe"));
            binary.is_ok_and(|binary| binary.starts_with(self.scratch.path()))
        };
        let names = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.file_name());
        names.filter_map(|name| name.to_str()?.parse().ok()).filter(ours).collect()
    }
}

impl Drop for Lineage {
    fn drop(&mut self) {
        for pid in self.descendants() {
            if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
                // It fails only when it has ended already.
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        let _ = self.first.kill();
        let _ = self.first.wait();
        if thread::panicking() {
            show(&self.stderr());
        }
    }
}

#[expect(clippy::print_stderr, reason = "a failing test shows what the gateway had to say")]
fn show(text: &str) {
    eprintln!("--- what the gateways said:\n{text}");
}

/// A zombie has ended: whoever should have waited for it may never do.
fn is_running(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// A link where that is possible: the binary is large.
fn place(binary: &Path, at: &PathBuf) {
    let placed = fs::hard_link(binary, at).or_else(|_| fs::copy(binary, at).map(|_| ()));
    placed.unwrap_or_else(|error| panic!("cannot copy {}: {error}", binary.display()));
}

fn address(value: &Value) -> SocketAddr {
    let text = value.as_str().unwrap_or_default();
    let text = text.strip_prefix("https://").unwrap_or(text);
    text.parse().unwrap_or_else(|_| panic!("no address: {value}"))
}
