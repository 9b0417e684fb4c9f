//! Memory of connections that wait for their next request.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result};

use super::peer::Peer;
use super::result::{Figures, Metric};
use super::wire;

/// Requests before the first look at memory, so that what is set up once counts for nobody.
const WARM_UP: u32 = 200;
/// Time for allocators to settle.
const SETTLE: Duration = Duration::from_secs(1);

/// Opens the connections one after the other, one request on each, and compares memory.
pub(crate) fn measure(peer: &Peer, connections: u32) -> Result<Figures> {
    for _ in 0..WARM_UP {
        wire::get(&mut wire::connect(peer.address)?, "/small")?;
    }
    std::thread::sleep(SETTLE);
    let before = peer.process.memory()?;
    let mut open = Vec::new();
    for number in 0..connections {
        let mut stream = wire::connect(peer.address)?;
        wire::get(&mut stream, "/small").with_context(|| format!("connection {number}"))?;
        open.push(stream);
    }
    std::thread::sleep(SETTLE);
    let after = peer.process.memory()?;
    let closed = open.iter().filter(|stream| !is_open(stream)).count();
    let growth = after as f64 - before as f64;
    Ok(Figures {
        values: vec![
            (Metric::Memory, growth / f64::from(connections)),
            (Metric::Base, before as f64 / 1024.0),
        ],
        fault: (closed > 0).then(|| format!("{closed} connections were closed")),
    })
}

fn is_open(mut stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).is_ok()
        && matches!(stream.read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}
