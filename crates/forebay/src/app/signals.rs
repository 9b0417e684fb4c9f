//! What the operating system tells us to do.

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals a gateway listens to.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen to signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    /// SIGTERM, or SIGINT as from Ctrl-C.
    pub(crate) async fn stop(&mut self) {
        Self::either(&mut self.terminate, &mut self.interrupt).await;
    }

    /// The first of any; `true`: stop, `false`: hang up.
    pub(crate) async fn next(&mut self) -> bool {
        tokio::select! {
            () = Self::either(&mut self.terminate, &mut self.interrupt) => true,
            _ = self.hang_up.recv() => false,
        }
    }

    async fn either(one: &mut Signal, other: &mut Signal) {
        tokio::select! {
            _ = one.recv() => {}
            _ = other.recv() => {}
        }
    }
}
