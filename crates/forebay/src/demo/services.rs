//! The demo's sample services: a fast one with two endpoints, a slow one, and one that fails now and then.

mod answer;
mod serve;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use anyhow::Context as _;
use tokio::sync::oneshot;

/// Servers on free ports of this machine, in a thread of their own; they end with this.
#[derive(Debug)]
pub(crate) struct Services {
    pub(super) shop: [SocketAddr; 2],
    pub(super) reports: SocketAddr,
    pub(super) flaky: SocketAddr,
    counters: Arc<Counters>,
    /// Dropped to end the thread.
    running: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Which service a server belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Shop,
    Reports,
    Flaky,
}

/// What the services count.
#[derive(Debug, Default)]
struct Counters {
    /// Requests to each service, by its [`Kind`]. The number of a request decides its fate.
    requests: [AtomicU64; 3],
    /// Connections closed in place of an answer.
    dropped: AtomicU64,
}

impl Services {
    /// Starts all of them.
    ///
    /// # Errors
    /// There is no free port or no thread to be had.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let mut servers = Vec::new();
        let mut listen = |kind| -> anyhow::Result<SocketAddr> {
            let listener = listener().context("cannot find a free port for a sample service")?;
            let address = listener.local_addr()?;
            servers.push((kind, listener));
            Ok(address)
        };
        let shop = [listen(Kind::Shop)?, listen(Kind::Shop)?];
        let (reports, flaky) = (listen(Kind::Reports)?, listen(Kind::Flaky)?);
        let counters = Arc::<Counters>::default();
        let (running, ended) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let serving = Arc::clone(&counters);
        let work = move || runtime.block_on(serve::all(servers, &serving, ended));
        let thread = thread::Builder::new().name("demo-services".to_owned()).spawn(work)?;
        Ok(Self { shop, reports, flaky, counters, running: Some(running), thread: Some(thread) })
    }

    /// Connections closed so far in place of an answer.
    pub(crate) fn dropped(&self) -> u64 {
        self.counters.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        self.running = None;
        if let Some(thread) = self.thread.take() {
            // If it panicked, that has been said.
            let _ = thread.join();
        }
    }
}

fn listener() -> io::Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
