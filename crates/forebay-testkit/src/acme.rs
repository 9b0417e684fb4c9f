//! A real certificate authority for tests: pebble, which speaks ACME (RFC 8555), in a directory of its own.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::json;

use crate::DEADLINE;
use crate::scratch::Scratch;
use crate::servers::{run, tool};

/// How it is to behave.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// Where it asks for names' addresses.
    pub names: SocketAddr,
    /// The port it takes for 80: where challenges by HTTP are answered.
    pub http_port: u16,
    /// The port it takes for 443: where challenges by TLS are answered.
    pub tls_port: u16,
    /// How long certificates are good, in seconds.
    pub validity: u64,
    /// Of a hundred good nonces, so many are rejected.
    pub nonces_rejected: u8,
    /// Where it is to listen; `None`: wherever there is a port.
    pub address: Option<SocketAddr>,
}

/// A running pebble; ended on drop.
#[derive(Debug)]
pub struct Pebble {
    child: Running,
    rest: Ended,
}

/// One that does not run, but can again: it has forgotten what it knew, but not who it is.
#[derive(Debug)]
pub struct Ended {
    behaviour: Behaviour,
    scratch: Scratch,
    ca: String,
}

#[derive(Debug)]
struct Running {
    child: Child,
    address: SocketAddr,
    /// Where it tells of itself.
    management: SocketAddr,
    log: PathBuf,
}

impl Behaviour {
    /// Certificates for ninety days, and no tricks. Challenges are answered at these ports of loopback.
    #[must_use]
    pub fn new(names: SocketAddr, http_port: u16, tls_port: u16) -> Self {
        Self { names, http_port, tls_port, validity: 90 * 86_400, nonces_rejected: 0, address: None }
    }
}

impl Pebble {
    /// Starts it and waits until it listens.
    #[must_use]
    pub fn start(behaviour: &Behaviour) -> Self {
        Ended::new(behaviour.clone()).start()
    }

    /// Ends it.
    #[must_use]
    pub fn end(self) -> Ended {
        self.rest
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.child.address
    }

    /// The URL of its directory.
    #[must_use]
    pub fn directory(&self) -> String {
        format!("https://{}/dir", self.address())
    }

    /// What its own HTTPS is to be checked by, in PEM. Certificates it issues come from elsewhere.
    #[must_use]
    pub fn ca(&self) -> &str {
        &self.rest.ca
    }

    /// How many orders it has had since it was started.
    #[must_use]
    pub fn orders(&self) -> usize {
        self.log().matches("Added order ").count()
    }

    /// What certificates of its own are to be checked by, in PEM. Another one each time it is started.
    #[must_use]
    pub fn root(&self) -> String {
        let ca = self.rest.scratch.write("ca.pem", self.ca());
        let mut curl = Command::new(tool("curl"));
        curl.arg("-s").arg("--cacert").arg(ca).arg(format!("https://{}/roots/0", self.child.management));
        String::from_utf8(run(&mut curl).stdout).expect("PEM is text")
    }

    /// What it has said since it was started.
    #[must_use]
    pub fn log(&self) -> String {
        self.rest.scratch.read("pebble.log")
    }
}

impl Ended {
    /// One that has not run yet, and will listen where `behaviour` says, or at a port that is free now.
    #[must_use]
    pub fn new(mut behaviour: Behaviour) -> Self {
        let scratch = Scratch::new("pebble");
        let ca = certify(&scratch);
        behaviour.address.get_or_insert_with(free);
        Self { behaviour, scratch, ca }
    }

    /// The URL its directory will have.
    #[must_use]
    pub fn directory(&self) -> String {
        self.behaviour.address.map(|address| format!("https://{address}/dir")).unwrap_or_default()
    }

    /// What its own HTTPS is to be checked by, in PEM.
    #[must_use]
    pub fn ca(&self) -> &str {
        &self.ca
    }

    /// The ports where challenges will be answered.
    #[must_use]
    pub fn with_ports(mut self, http_port: u16, tls_port: u16) -> Self {
        (self.behaviour.http_port, self.behaviour.tls_port) = (http_port, tls_port);
        self
    }

    /// Starts it and waits until it listens.
    #[must_use]
    pub fn start(self) -> Pebble {
        // It cannot choose a port itself: take one that was free just now, and another if it was lost.
        for _ in 0..5 {
            let address = self.behaviour.address.unwrap_or_else(free);
            let management = free();
            let child = launch(&self.scratch, address, management, &self.behaviour);
            let log = self.scratch.path().join("pebble.log");
            let mut child = Running { child, address, management, log };
            if child.listens() {
                return Pebble { child, rest: self };
            }
        }
        panic!("pebble does not start: {}", self.scratch.read("pebble.log"));
    }
}

impl Running {
    /// Waits until it takes connections; `false` when it ended instead.
    fn listens(&mut self) -> bool {
        let end = Instant::now() + DEADLINE;
        while self.child.try_wait().expect("it is this process's child").is_none() {
            if [self.address, self.management].iter().all(|address| TcpStream::connect(address).is_ok()) {
                return true;
            }
            assert!(Instant::now() < end, "pebble does not listen at {}", self.address);
            thread::sleep(Duration::from_millis(5));
        }
        false
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        #[expect(clippy::print_stderr, reason = "whoever reads why a test failed wants to see it")]
        if thread::panicking() {
            eprintln!("--- pebble:\n{}", fs::read_to_string(&self.log).unwrap_or_default());
        }
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A loopback address that was free just now.
#[must_use]
pub fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
    listener.local_addr().expect("a bound listener has an address")
}

/// Makes the certificate of its own HTTPS; gives that of the authority.
fn certify(scratch: &Scratch) -> String {
    let key = || KeyPair::generate().expect("there is randomness");
    let mut params = CertificateParams::new([]).expect("no name is a good list of names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // OpenSSL takes a certificate whose two names are the same for one that signs itself.
    params.distinguished_name.push(DnType::CommonName, "authority of a test");
    let authority = CertifiedIssuer::self_signed(params, key()).expect("its parts are good");
    let own = key();
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let params = CertificateParams::new(names).expect("they are names");
    let certificate = params.signed_by(&own, &authority).expect("its parts are good");
    scratch.write("certificate.pem", certificate.pem());
    scratch.write("key.pem", own.serialize_pem());
    authority.pem()
}

fn launch(scratch: &Scratch, address: SocketAddr, management: SocketAddr, behaviour: &Behaviour) -> Child {
    let Behaviour { names, http_port, tls_port, validity, nonces_rejected, address: _ } = behaviour;
    let settings = json!({ "pebble": {
        "listenAddress": address.to_string(),
        "managementListenAddress": management.to_string(),
        "certificate": scratch.path().join("certificate.pem"),
        "privateKey": scratch.path().join("key.pem"),
        "httpPort": http_port,
        "tlsPort": tls_port,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": false,
        "certificateValidityPeriod": validity,
    }});
    let config = scratch.write("pebble.json", settings.to_string());
    let log = File::create(scratch.path().join("pebble.log")).expect("the directory was just made");
    let errors = log.try_clone().expect("a file can be had twice");
    let mut command = Command::new(tool("pebble"));
    command.arg("-config").arg(config).arg("-dnsserver").arg(names.to_string()).arg("-strict");
    command.env("PEBBLE_VA_NOSLEEP", "1").env("PEBBLE_AUTHZREUSE", "0");
    command.env("PEBBLE_WFE_NONCEREJECT", nonces_rejected.to_string());
    command.stdin(Stdio::null()).stdout(log).stderr(errors);
    command.spawn().unwrap_or_else(|error| panic!("cannot start pebble: {error}"))
}
