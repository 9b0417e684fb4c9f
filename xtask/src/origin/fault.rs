//! How an origin misbehaves, so that benches can see what becomes of its requests.

use std::os::fd::AsFd;

use anyhow::{Context, Result, bail};

/// A way to fail while the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Every packet to it is lost, as if its machine had lost its network.
    Dark,
    /// It accepts connections and requests, and never answers.
    Silent,
    /// It answers everything with 500.
    Failing,
}

impl Fault {
    /// What an order says; `None`: behave well.
    pub(super) fn named(word: &str) -> Result<Option<Self>> {
        Ok(Some(match word {
            "well" => return Ok(None),
            "dark" => Self::Dark,
            "silent" => Self::Silent,
            "failing" => Self::Failing,
            other => bail!("`{other}` is no order: write dark, silent, failing or well"),
        }))
    }
}

/// Has the kernel drop every packet to this socket before anything acknowledges it, for good.
pub(super) fn lose_packets(socket: &impl AsFd) -> Result<()> {
    // Classic BPF: return 0, which is how much of a packet is kept.
    let nothing = socket2::SockFilter::new(0x06, 0, 0, 0);
    socket2::SockRef::from(socket).attach_filter(&[nothing]).context("cannot filter a socket")
}
