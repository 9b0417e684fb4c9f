//! A process for tests to start, watch and break: this test program again, which calls its test and answers.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::{Process, Ready};

/// Where the actor calls; only an actor has it.
const CALL: &str = "FOREBAY_LAB_ACTOR_CALL";
/// Where the actor listens, if it is to.
const LISTEN: &str = "FOREBAY_LAB_ACTOR_LISTEN";
/// After this, whatever did not come will not.
pub(super) const DEADLINE: Duration = Duration::from_secs(30);

/// The test's end of its actors' calls.
pub(super) struct Stage {
    listener: TcpListener,
    pub(super) listens_at: SocketAddr,
}

/// One life of an actor: ends when this is dropped, at the latest.
pub(super) struct Call {
    stream: TcpStream,
    pub(super) pid: u32,
}

impl Stage {
    pub(super) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
        // Nobody else uses this address, so the port stays free until the actor takes it.
        let port = TcpListener::bind("127.77.7.7:0").expect("all of 127/8 is loopback");
        let listens_at = port.local_addr().expect("it is bound");
        Self { listener, listens_at }
    }

    /// The actor, which is ready once it listens.
    pub(super) fn process(&self, name: &str) -> Process {
        let test = std::env::current_exe().expect("a running program has a file");
        let call = self.listener.local_addr().expect("it is bound").to_string();
        Process {
            name: name.to_owned(),
            command: vec![
                test.display().to_string(),
                "--exact".to_owned(),
                "lab::testing::acts_if_it_is_an_actor".to_owned(),
            ],
            env: vec![(CALL.to_owned(), call), (LISTEN.to_owned(), self.listens_at.to_string())],
            ready: Some(Ready::Tcp(self.listens_at)),
            ready_within: DEADLINE,
            restart: None,
        }
    }

    /// Waits for an actor to call.
    pub(super) fn next_call(&self) -> Call {
        self.listener.set_nonblocking(true).expect("a socket has modes");
        let mut found = None;
        wait_until(|| {
            found = self.listener.accept().ok();
            found.is_some()
        });
        let (mut stream, _) = found.expect("it was waited for");
        stream.set_nonblocking(false).expect("a socket has modes");
        stream.set_read_timeout(Some(DEADLINE)).expect("it is not zero");
        let mut pid = [0; 4];
        stream.read_exact(&mut pid).expect("an actor says who it is");
        Call { stream, pid: u32::from_be_bytes(pid) }
    }
}

impl Call {
    /// Waits for the end of the actor.
    pub(super) fn ends(&mut self) {
        // A reset is an end as well.
        assert!(matches!(self.stream.read(&mut [0; 1]), Ok(0) | Err(_)));
        wait_until(|| !super::procfs::is_alive(self.pid));
    }

    /// Whether the kernel lets it stand still: `T` in `/proc`.
    pub(super) fn stands_still(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('T'))
    }

    /// Waits for the actor to answer.
    pub(super) fn answers(&mut self) {
        self.stream.write_all(b"?").expect("the actor is there");
        self.stream.read_exact(&mut [0; 1]).expect("the actor answers");
    }
}

/// Waits for something that has to come, and says so when it does not.
#[track_caller]
pub(super) fn wait_until(mut come: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !come() {
        assert!(Instant::now() < deadline, "it did not come within {DEADLINE:?}");
        thread::yield_now();
    }
}

/// No test of its own unless the environment says that this process is an actor: then it calls the test, says
/// who it is, and answers until the call ends.
#[test]
fn acts_if_it_is_an_actor() {
    let Ok(call) = std::env::var(CALL) else { return };
    let address = std::env::var(LISTEN).expect("an actor is told where to listen");
    let listener = TcpListener::bind(address).expect("the address is free");
    let mut call = TcpStream::connect(call).expect("the test waits");
    call.write_all(&std::process::id().to_be_bytes()).expect("the test listens");
    let mut byte = [0; 1];
    while matches!(call.read(&mut byte), Ok(1)) {
        call.write_all(&byte).expect("the test listens");
    }
    drop(listener);
}
