//! Runs other people's programs, and the gateway's settings that most tests here begin with.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use forebay_testkit::servers::run;

/// The distribution's own Python, which has the modules that its packages bring.
pub(crate) const PYTHON: &str = "/usr/bin/python3";

/// Two listeners, the first without TLS and the second with it, by `cert.pem` and `cert.key` in `folder`; every request
/// goes to `endpoint`. `service` and `more` are further lines of the service and of the settings.
pub(crate) fn settings(folder: &str, endpoint: SocketAddr, service: &str, more: &str) -> String {
    format!(
        "listen: [\"127.0.0.1:0\", \"https://127.0.0.1:0\"]\nadmin: 127.0.0.1:0\nworkers: 1\n\
         tls: {{ cert: \"{folder}/cert.pem\", key: \"{folder}/cert.key\", redirect: off }}\n\
         services:\n  app: {{ endpoints: [\"{endpoint}\"]{service} }}\n\
         routes:\n  - {{ match: /*, to: app }}\n{more}\n"
    )
}

/// Runs a program that must succeed; what it printed.
pub(crate) fn output_of(command: &mut Command) -> String {
    let output = run(command);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}{err}", output.status);
    out.into_owned()
}

/// A program that serves until it is dropped, and whose first line is the port of 127.0.0.1 where it does.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let mut line = String::new();
        let out = child.stdout.take().expect("it was asked for");
        BufReader::new(out).read_line(&mut line).expect("a pipe can be read");
        let port = line.trim().parse().unwrap_or_else(|_| panic!("no port: {line}"));
        Self { child, address: SocketAddr::from(([127, 0, 0, 1], port)) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
