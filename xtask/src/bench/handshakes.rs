//! Full handshakes of TLS 1.3, with nothing behind them.

use std::io::{ErrorKind, Read};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustls::ClientConfig;

use super::machine::Pinning;
use super::wire::tls;

/// To whom, for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) address: SocketAddr,
    /// Threads, each of which makes one handshake after the other.
    pub(crate) clients: u32,
    pub(crate) time: Duration,
    pub(crate) pinning: &'a Pinning,
}

/// How many there were; one that fails is an error.
pub(crate) fn run(plan: Plan<'_>) -> Result<u64> {
    let settings = tls::settings()?;
    let end = Instant::now() + plan.time;
    thread::scope(|scope| {
        let threads: Vec<_> =
            (0..plan.clients).map(|_| scope.spawn(|| one_after_the_other(plan, &settings, end))).collect();
        let counts = threads.into_iter().map(|thread| match thread.join() {
            Ok(count) => count,
            Err(_) => bail!("a thread of the load panicked"),
        });
        counts.sum()
    })
}

fn one_after_the_other(plan: Plan<'_>, settings: &Arc<ClientConfig>, end: Instant) -> Result<u64> {
    plan.pinning.join_rest()?;
    let mut count = 0;
    while Instant::now() < end {
        handshake(plan.address, settings).with_context(|| format!("after {count} handshakes"))?;
        count += 1;
    }
    Ok(count)
}

/// Says good-bye and waits for the server's end: only then is its part of the handshake behind it as well.
fn handshake(address: SocketAddr, settings: &Arc<ClientConfig>) -> Result<()> {
    let mut stream = tls::connect(address, settings)?;
    stream.conn.send_close_notify();
    stream.conn.write_tls(&mut stream.sock).context("cannot send")?;
    stream.sock.shutdown(Shutdown::Write)?;
    let mut rest = [0; 4 << 10];
    loop {
        match stream.sock.read(&mut rest) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(error).context("the server does not end the connection"),
        }
    }
}
