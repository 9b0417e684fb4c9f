//! A real gateway process, in a directory of its own, on ports of its own.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use serde_json::Value;

use crate::DEADLINE;
use crate::check::{eventually, json};
use crate::message::Response;
use crate::metrics;
use crate::scratch::Scratch;
use crate::wire::Client;

/// Starts a gateway with these settings: the binary of the crate under test, or the one `FOREBAY_BIN` names.
#[macro_export]
macro_rules! gateway {
    ($($settings:tt)*) => {
        $crate::gateway::Gateway::start(env!("CARGO_BIN_EXE_forebay"), &format!($($settings)*))
    };
}

/// The binary under test: what `FOREBAY_BIN` names, else the one cargo built.
#[macro_export]
macro_rules! binary {
    () => {
        $crate::gateway::binary(env!("CARGO_BIN_EXE_forebay"))
    };
}

/// What to send to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Finish what is in flight, then exit.
    Terminate,
    /// Read the settings again.
    Hangup,
    /// As a person at the terminal does.
    Interrupt,
    /// Let the binary on disk take over.
    Upgrade,
}

impl Signal {
    /// Sends it to a process.
    pub fn send(self, pid: u32) {
        let name = match self {
            Self::Terminate => "TERM",
            Self::Hangup => "HUP",
            Self::Interrupt => "INT",
            Self::Upgrade => "USR2",
        };
        // The shell's own `kill` is on every machine; the program of that name is not.
        let command = format!("kill -{name} {pid}");
        let status = Command::new("sh").arg("-c").arg(&command).status();
        assert!(status.is_ok_and(|status| status.success()), "{command} failed");
    }
}

/// A running gateway; killed on drop. When the test fails, what it wrote is shown.
#[derive(Debug)]
pub struct Gateway {
    child: Child,
    scratch: Scratch,
    listen: Vec<SocketAddr>,
    admin: SocketAddr,
}

/// Where the binary under test is; `built` is the one cargo built.
#[must_use]
pub fn binary(built: &str) -> PathBuf {
    env::var_os("FOREBAY_BIN").map_or_else(|| PathBuf::from(built), PathBuf::from)
}

impl Gateway {
    /// Starts `forebay run` with these settings and waits until it serves.
    #[must_use]
    pub fn start(built: &str, settings: &str) -> Self {
        let scratch = Scratch::new("gateway");
        let path = scratch.write("forebay.yaml", settings);
        let mut command = Command::new(binary(built));
        command.arg("run").arg("-c").arg(path);
        Self::launch(command, scratch)
    }

    /// As `start`, from a shell that did `before` first: `ulimit -n 64` and the like.
    #[must_use]
    pub fn start_after(built: &str, before: &str, settings: &str) -> Self {
        let scratch = Scratch::new("gateway");
        let path = scratch.write("forebay.yaml", settings);
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("{before} && exec \"$@\"")).arg("sh");
        command.arg(binary(built)).arg("run").arg("-c").arg(path);
        Self::launch(command, scratch)
    }

    /// Starts the binary with these arguments, which make it serve.
    #[must_use]
    pub fn start_with(built: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(binary(built));
        command.args(arguments);
        Self::launch(command, Scratch::new("gateway"))
    }

    fn launch(mut command: Command, scratch: Scratch) -> Self {
        let file = |name: &str| {
            let file = File::create(scratch.path().join(name));
            file.unwrap_or_else(|error| panic!("cannot write {name}: {error}"))
        };
        let ready = scratch.path().join("ready.json");
        command.current_dir(scratch.path()).env("FOREBAY_READY_FILE", &ready);
        command.stdin(Stdio::null()).stdout(file("stdout.log")).stderr(file("stderr.log"));
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let (listen, admin) = await_ready(&mut child, &scratch, &ready);
        Self { child, scratch, listen, admin }
    }

    /// Where it listens for clients, the first if several.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.listen[0]
    }

    /// Where it listens for clients, but for Unix sockets.
    #[must_use]
    pub fn listen(&self) -> &[SocketAddr] {
        &self.listen
    }

    /// Where its admin side listens.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A new connection to it.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::connect(self.addr())
    }

    /// `GET`s a path on a connection of its own.
    #[must_use]
    pub fn get(&self, path: &str) -> Response {
        self.client().get(path)
    }

    /// `GET`s a path of the admin side.
    #[must_use]
    pub fn admin_get(&self, path: &str) -> Response {
        let mut client = Client::connect(self.admin);
        let host = self.admin;
        client
            .ask(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
            .unwrap_or_else(|failed| panic!("admin {path}: {failed}"))
    }

    /// What `GET /api/v1/status` says.
    #[must_use]
    pub fn status(&self) -> Value {
        json(&self.admin_get("/api/v1/status"))
    }

    /// The whole of `/metrics`.
    #[must_use]
    pub fn metrics(&self) -> String {
        self.admin_get("/metrics").text()
    }

    /// The sum of the series that `series` means, 0 when there is none: see `metrics::sum`.
    #[must_use]
    pub fn metric(&self, series: &str) -> f64 {
        metrics::sum(&self.metrics(), series).unwrap_or(0.0)
    }

    /// Waits until the series reaches a value that `enough` accepts.
    pub fn await_metric(&self, series: &str, enough: impl Fn(f64) -> bool) -> f64 {
        eventually(series, || Some(self.metric(series)).filter(|&value| enough(value)))
    }

    /// Everything it wrote to standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.scratch.read("stderr.log")
    }

    /// Everything it wrote to standard output so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.scratch.read("stdout.log")
    }

    /// Its own directory, where relative paths of its settings start.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.scratch.path()
    }

    /// Replaces the settings file, whole.
    pub fn write_settings(&self, settings: &str) {
        self.scratch.write("forebay.yaml", settings);
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        signal.send(self.child.id());
    }

    /// Waits until the process ends by itself.
    pub fn await_exit(&mut self) -> ExitStatus {
        let child = &mut self.child;
        eventually("the gateway's exit", || child.try_wait().expect("it is this process's child"))
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it is this process's child").is_none()
    }

    /// Asks it to finish and waits for its end.
    pub fn stop(mut self) -> ExitStatus {
        self.signal(Signal::Terminate);
        self.await_exit()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            show(&self.scratch);
        }
    }
}

/// Waits for the file a gateway writes once it serves; shows what it said if it ends or takes too long.
fn await_ready(child: &mut Child, scratch: &Scratch, ready: &Path) -> (Vec<SocketAddr>, SocketAddr) {
    let end = Instant::now() + DEADLINE;
    while !ready.exists() {
        let ended = child.try_wait().expect("it is this process's child");
        if ended.is_some() || Instant::now() > end {
            let _ = child.kill();
            let _ = child.wait();
            show(scratch);
            match ended {
                Some(status) => panic!("the gateway ended before it served: {status}"),
                None => panic!("the gateway did not serve within {DEADLINE:?}"),
            }
        }
        thread::sleep(Duration::from_millis(2));
    }
    let text = scratch.read("ready.json");
    let ready: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let address = |value: &Value| {
        let text = value.as_str().unwrap_or_else(|| panic!("no address: {ready}"));
        let text = text.strip_prefix("https://").unwrap_or(text);
        text.parse().unwrap_or_else(|_| panic!("no address: {text}"))
    };
    // Whoever asks for a Unix socket knows its path.
    let is_unix = |value: &&Value| value.as_str().is_some_and(|text| text.contains("unix:"));
    let all = ready["listen"].as_array().into_iter().flatten();
    let listen = all.filter(|value| !is_unix(value)).map(address).collect();
    (listen, address(&ready["admin"]))
}

#[expect(clippy::print_stderr, reason = "a failing test shows what the gateway had to say")]
fn show(scratch: &Scratch) {
    for name in ["stderr.log", "stdout.log"] {
        let text = scratch.read(name);
        let start = text.len().saturating_sub(2_000);
        let start = (start..=text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        eprintln!("--- gateway's {name} ({}):\n{}", scratch.path().display(), &text[start..]);
    }
}
