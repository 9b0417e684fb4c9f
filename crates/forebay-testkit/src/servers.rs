//! Programs that are not ours: real servers as backends, real clients.

use std::fs::File;
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;
use std::{env, thread};

use crate::DEADLINE;
use crate::scratch::Scratch;

/// A real nginx in a directory of its own; ended on drop.
#[derive(Debug)]
pub struct Nginx {
    child: Child,
    scratch: Scratch,
    address: SocketAddr,
}

/// The program of that name, in one of the usual directories.
///
/// # Panics
/// When it is not there: the tests' programs are installed by `cargo xtask test`.
#[must_use]
pub fn tool(name: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    // Servers often are where only root looks.
    let usual = ["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from);
    let found = env::split_paths(&path).chain(usual).map(|folder| folder.join(name)).find(|it| it.is_file());
    found
        .unwrap_or_else(|| panic!("{name} is not installed: `cargo xtask test` installs what the tests need"))
}

/// Runs a program to its end, which must come before the deadline; its output, whatever its exit status.
#[must_use]
pub fn run(command: &mut Command) -> Output {
    let scratch = Scratch::new("run");
    let create = |name: &str| File::create(scratch.path().join(name)).expect("the directory was just made");
    command.stdin(Stdio::null()).stdout(create("out")).stderr(create("err"));
    let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let end = Instant::now() + DEADLINE * 3;
    let status = loop {
        if let Some(status) = child.try_wait().expect("it is this process's child") {
            break status;
        }
        if Instant::now() > end {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{command:?} did not end; it said: {}{}", scratch.read("out"), scratch.read("err"));
        }
        thread::sleep(std::time::Duration::from_millis(5));
    };
    let bytes = |name: &str| {
        let mut bytes = Vec::new();
        let mut file = File::open(scratch.path().join(name)).expect("it was made above");
        file.read_to_end(&mut bytes).expect("a plain file can be read");
        bytes
    };
    Output { status, stdout: bytes("out"), stderr: bytes("err") }
}

impl Nginx {
    /// Starts it with these files (name, content) to serve; keep-alive on, access log in `access.log`.
    #[must_use]
    pub fn start(files: &[(&str, &[u8])]) -> Self {
        let scratch = Scratch::new("nginx");
        for (name, content) in files {
            scratch.write(name, content);
        }
        // nginx cannot choose a port itself: take one that was free just now, and another if it was lost.
        for _ in 0..5 {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
            let address = listener.local_addr().expect("a bound listener has an address");
            drop(listener);
            scratch.write("nginx.conf", config(address, &scratch));
            let mut child = launch(&scratch);
            if serves(&mut child, address) {
                return Self { child, scratch, address };
            }
        }
        panic!("nginx does not start: {}", scratch.read("error.log"));
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The lines of its access log so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.scratch.read("access.log")
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One process, so that ending it leaves nothing behind.
fn config(address: SocketAddr, scratch: &Scratch) -> String {
    let root = scratch.path().display();
    format!(
        "daemon off; master_process off; worker_processes 1;\n\
         pid {root}/nginx.pid; error_log {root}/error.log;\n\
         events {{ worker_connections 512; }}\n\
         http {{\n\
           types {{ text/html html; text/css css; application/javascript js; }}\n\
           default_type application/octet-stream; keepalive_requests 100000;\n\
           access_log {root}/access.log;\n\
           client_body_temp_path {root}/t1; proxy_temp_path {root}/t2; fastcgi_temp_path {root}/t3;\n\
           uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5;\n\
           server {{ listen {address}; root {root}; }}\n\
         }}\n"
    )
}

fn launch(scratch: &Scratch) -> Child {
    let mut command = Command::new(tool("nginx"));
    command.arg("-p").arg(scratch.path()).arg("-c").arg(scratch.path().join("nginx.conf"));
    command.arg("-e").arg(scratch.path().join("error.log"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap_or_else(|error| panic!("cannot start nginx: {error}"))
}

/// Waits until it takes connections; `false` when it ended instead.
fn serves(child: &mut Child, address: SocketAddr) -> bool {
    let end = Instant::now() + DEADLINE;
    loop {
        if child.try_wait().expect("it is this process's child").is_some() {
            return false;
        }
        if TcpStream::connect(address).is_ok() {
            return true;
        }
        assert!(Instant::now() < end, "nginx did not serve within {DEADLINE:?}");
        thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Client;

    #[test]
    fn nginx_serves_its_files() {
        let nginx = Nginx::start(&[("hello.html", b"hello")]);
        let answer = Client::connect(nginx.address()).get("/hello.html");
        assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
    }
}
