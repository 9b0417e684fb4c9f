//! An origin in a process of its own, which fails when it is told to.

use std::cell::RefCell;
use std::ffi::OsString;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ChildStdin;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::Scenario;
use crate::bench::machine::Pinning;
use crate::bench::process::Process;
use crate::bench::{peer, wire};

/// Longest wait for its first answer.
const START_WAIT: Duration = Duration::from_secs(10);

/// See the module. Ends with its input.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) address: SocketAddr,
    process: Process,
    orders: RefCell<ChildStdin>,
}

impl Origin {
    /// Starts one and waits until it answers.
    pub(super) fn start(folder: &Path, pinning: &Pinning) -> Result<Self> {
        let address = peer::free_address()?;
        let program = std::env::current_exe().context("cannot find our own program")?;
        let words = ["origin", "--control", "--port", &address.port().to_string()].map(OsString::from);
        let log = folder.join(format!("origin-{}.log", address.port()));
        let (process, orders) = Process::start_with_input(&program, &words, &pinning.rest, &log)?;
        let origin = Self { address, process, orders: RefCell::new(orders) };
        let deadline = Instant::now() + START_WAIT;
        while let Err(error) = wire::connect(address).and_then(|mut stream| wire::get(&mut stream, "/small"))
        {
            if Instant::now() > deadline {
                return Err(error.context("an origin does not serve"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(origin)
    }

    /// Begins to fail.
    pub(super) fn begin(&self, scenario: Scenario) -> Result<()> {
        let order = match scenario {
            Scenario::Kill => {
                self.process.kill();
                return Ok(());
            }
            Scenario::Dark => "dark\n",
            Scenario::Silent => "silent\n",
            Scenario::Failing => "failing\n",
        };
        self.orders.borrow_mut().write_all(order.as_bytes()).context("an origin takes no orders")
    }
}
