//! The service manager's side of things, played by the test: what it is told, and the sockets it gives.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

use forebay_testkit::DEADLINE;
use forebay_testkit::check::eventually;
use forebay_testkit::gateway::Signal;
use forebay_testkit::lineage::{Lineage, PLAINLY};
use forebay_testkit::origin::Origin;
use forebay_testkit::scratch::Scratch;
use forebay_testkit::settings::in_front_of;
use forebay_testkit::wire::Client;

const BUILT: &str = env!("CARGO_BIN_EXE_forebay");

/// Passes standard input and output on as the descriptors 3 and 4.
const PASS_SOCKETS: &str = r#"LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=clients:admin \
    exec "$@" 3<&0 4<&1 </dev/null >/dev/null"#;

/// Where messages to the service manager arrive.
struct Manager {
    socket: UnixDatagram,
    scratch: Scratch,
}

impl Manager {
    fn new() -> Self {
        let scratch = Scratch::new("systemd");
        let socket = UnixDatagram::bind(scratch.path().join("notify")).expect("the directory is new");
        socket.set_read_timeout(Some(DEADLINE)).expect("it is not zero");
        Self { socket, scratch }
    }

    fn introduce(&self, command: &mut Command) {
        command.env("NOTIFY_SOCKET", self.scratch.path().join("notify"));
    }

    /// The next message that is not about being alive.
    fn message(&self) -> String {
        loop {
            let text = self.any_message();
            if text != "WATCHDOG=1" {
                return text;
            }
        }
    }

    fn any_message(&self) -> String {
        let mut buffer = [0; 1024];
        let length = self.socket.recv(&mut buffer).expect("a message comes in time");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }
}

/// Sockets for clients and for the admin side, as a socket unit would open them.
struct Sockets {
    clients: TcpListener,
    admin: TcpListener,
}

impl Sockets {
    fn open() -> Self {
        let open = || TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
        Self { clients: open(), admin: open() }
    }

    fn settings(&self, origin: SocketAddr) -> String {
        let (clients, admin) = (address(&self.clients), address(&self.admin));
        in_front_of(origin, "")
            .replace("listen: 127.0.0.1:0", &format!("listen: {clients}"))
            .replace("admin: 127.0.0.1:0", &format!("admin: {admin}"))
    }

    fn pass(&self, command: &mut Command) {
        let pass = |listener: &TcpListener| {
            Stdio::from(OwnedFd::from(listener.try_clone().expect("the process has descriptors left")))
        };
        command.stdin(pass(&self.clients)).stdout(pass(&self.admin));
    }
}

fn address(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().expect("it is bound")
}

#[test]
fn it_is_told_of_every_turn() {
    let (manager, origin) = (Manager::new(), Origin::echo());
    let mut gateway = Lineage::start(BUILT, &in_front_of(origin.address(), ""), PLAINLY, |command| {
        manager.introduce(command);
        command.env("WATCHDOG_USEC", "200000");
    });
    assert_eq!(manager.message(), "READY=1\nSTATUS=serving; routes: 1, services: 1");
    for _ in 0..3 {
        while manager.any_message() != "WATCHDOG=1" {}
    }
    let pid = gateway.pid();
    gateway.signal(pid, Signal::Hangup);
    let reloading = manager.message();
    let micros = reloading.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
    assert!(reloading.starts_with("RELOADING=1\n"), "{reloading}");
    assert!(micros.is_some_and(|micros| micros.parse::<u64>().is_ok()), "{reloading}");
    assert!(manager.message().starts_with("READY=1\n"));
    gateway.signal(pid, Signal::Terminate);
    assert!(manager.message().starts_with("STOPPING=1\n"));
    gateway.await_end(pid);
}

#[test]
fn after_an_upgrade_the_other_process_is_the_main_one() {
    let (manager, origin) = (Manager::new(), Origin::echo());
    let mut gateway = Lineage::start(BUILT, &in_front_of(origin.address(), ""), PLAINLY, |command| {
        manager.introduce(command);
        // For the first process alone: the second must feel meant all the same.
        command.env("WATCHDOG_USEC", "200000");
    });
    let old = gateway.pid();
    assert!(manager.message().starts_with("READY=1\n"));
    gateway.signal(old, Signal::Upgrade);
    let new = gateway.await_successor(old);
    gateway.await_end(old);
    // The new one's own word comes first, and does not count yet.
    assert!(manager.message().starts_with("READY=1\n"));
    assert!(manager.message().starts_with(&format!("MAINPID={new}\nREADY=1\n")));
    assert_eq!(manager.any_message(), "WATCHDOG=1");
    gateway.signal(new, Signal::Terminate);
    // The old one has not said that the service stops, or that would be here before.
    assert!(manager.message().starts_with("STOPPING=1\n"));
}

#[test]
fn its_sockets_are_served_and_outlive_every_process() {
    let (sockets, origin) = (Sockets::open(), Origin::echo());
    let settings = sockets.settings(origin.address());
    for _ in 0..2 {
        // Nobody serves yet: it waits in the queue.
        let mut early = Client::connect(address(&sockets.clients));
        early.send("GET /early HTTP/1.1\r\nHost: t\r\n\r\n").expect("connected");
        let mut gateway = Lineage::start(BUILT, &settings, PASS_SOCKETS, |command| sockets.pass(command));
        let answer = early.response("GET").unwrap_or_else(|failed| panic!("{failed}"));
        assert_eq!(answer.headers.get("x-path"), Some("/early"));
        assert_eq!(gateway.admin_get("/readyz").status, 200);
        assert_eq!(gateway.addr(), address(&sockets.clients));

        let old = gateway.pid();
        assert_eq!(gateway.ask_for_upgrade().status, 200);
        let new = gateway.await_successor(old);
        gateway.await_end(old);
        assert_eq!(gateway.client().get("/x").status, 200);
        gateway.signal(new, Signal::Terminate);
        gateway.await_end(new);
    }
}

#[test]
fn a_socket_that_the_settings_do_not_speak_of_is_an_error() {
    let (sockets, other, origin) = (Sockets::open(), Sockets::open(), Origin::echo());
    let scratch = Scratch::new("systemd");
    scratch.write("forebay.yaml", sockets.settings(origin.address()));
    drop(sockets);
    let mut command = Command::new("sh");
    command.args(["-c", PASS_SOCKETS, "sh"]).arg(forebay_testkit::binary!()).args([
        "run",
        "-c",
        "forebay.yaml",
    ]);
    other.pass(&mut command);
    let log = std::fs::File::create(scratch.path().join("stderr.log")).expect("the directory is new");
    let mut child = command.current_dir(scratch.path()).stderr(log).spawn().expect("there is a shell");
    let status = eventually("its end", || child.try_wait().expect("it is ours"));
    assert_eq!(status.code(), Some(1));
    let words = scratch.read("stderr.log");
    let expected = format!("systemd listens on {} for us", address(&other.clients));
    assert!(words.contains(&expected), "{words}");
}
