//! Memory of connections that wait for their next request.

use std::time::Duration;

use anyhow::{Context, Result};

use super::client::Connector;
use super::peer::Peer;
use super::result::{Figures, Metric};
use super::row::Entry;

/// Requests before the first look at memory, so that what is set up once counts for nobody.
const WARM_UP: u32 = 200;
/// Time for allocators to settle.
const SETTLE: Duration = Duration::from_secs(1);

/// Opens the connections one after the other, one request on each, and compares memory.
pub(crate) fn measure(peer: &Peer, entry: Entry, connections: u32) -> Result<Figures> {
    let connector = Connector::new(entry)?;
    for _ in 0..WARM_UP {
        connector.connect(peer.address)?.get("/small")?;
    }
    std::thread::sleep(SETTLE);
    let before = peer.process.memory()?;
    let mut open = Vec::new();
    for number in 0..connections {
        let mut client = connector.connect(peer.address)?;
        client.get("/small").with_context(|| format!("connection {number}"))?;
        open.push(client);
    }
    std::thread::sleep(SETTLE);
    let after = peer.process.memory()?;
    let closed = open.iter().filter(|client| !client.is_open()).count();
    let growth = after as f64 - before as f64;
    Ok(Figures {
        values: vec![
            (Metric::Memory, growth / f64::from(connections)),
            (Metric::Base, before as f64 / 1024.0),
        ],
        fault: (closed > 0).then(|| format!("{closed} connections were closed")),
    })
}
