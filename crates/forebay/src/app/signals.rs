//! What the operating system tells us to do.

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals a gateway listens to.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    user_2: Signal,
}

/// What one of them asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// SIGTERM, or SIGINT as from Ctrl-C.
    Stop,
    /// SIGHUP.
    Reload,
    /// SIGUSR2.
    Upgrade,
}

impl Signals {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen to signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
            user_2: listen(SignalKind::user_defined2())?,
        })
    }

    /// SIGTERM, or SIGINT as from Ctrl-C.
    pub(crate) async fn stop(&mut self) {
        Self::either(&mut self.terminate, &mut self.interrupt).await;
    }

    /// The first of any.
    pub(crate) async fn next(&mut self) -> Order {
        tokio::select! {
            () = Self::either(&mut self.terminate, &mut self.interrupt) => Order::Stop,
            _ = self.hang_up.recv() => Order::Reload,
            _ = self.user_2.recv() => Order::Upgrade,
        }
    }

    async fn either(one: &mut Signal, other: &mut Signal) {
        tokio::select! {
            _ = one.recv() => {}
            _ = other.recv() => {}
        }
    }
}
