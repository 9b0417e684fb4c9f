//! The control plane's standing work: checks, trials, windows, and what workers report.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use forebay_base::time::Instant;
use forebay_net::address::Address;
use forebay_net::socket::Socket;
use forebay_telemetry::stats::{Class, Telemetry};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::supervisor::{Supervisor, Tally, Trial};
use crate::upstream::Report;

/// How often time is looked at: ejections end, shares grow, windows close.
const TICK: Duration = Duration::from_millis(100);
/// Reports that wait to be heard. More say nothing new: whoever cannot report goes on failing, and reports again.
pub(super) const REPORTS_MAX: usize = 1024;
/// The longest a trial may take, whatever the settings say of connecting.
const TRIAL_MAX: Duration = Duration::from_secs(1);

/// Hears reports and watches the time, for as long as there is a gateway.
pub(super) async fn supervise(
    supervisor: Arc<Supervisor>,
    telemetry: Arc<Telemetry>,
    mut reports: mpsc::Receiver<Report>,
) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            report = reports.recv() => match report {
                Some(report) => {
                    if let Some(trial) = supervisor.reported(&report, Instant::now()) {
                        tokio::spawn(attempt(Arc::clone(&supervisor), trial));
                    }
                }
                None => return,
            },
            _ = ticks.tick() => {
                let trials = supervisor.tick(|service, endpoint| tally(&telemetry, service, endpoint), Instant::now());
                if supervisor.take_gone() {
                    // What is still counting is let go of when it has ended.
                    telemetry.retain_endpoints(supervisor.has());
                }
                for trial in trials {
                    tokio::spawn(attempt(Arc::clone(&supervisor), trial));
                }
            }
        }
    }
}

/// What all workers have counted for an endpoint.
fn tally(telemetry: &Telemetry, service: &str, endpoint: &str) -> Tally {
    let mut tally = Tally::default();
    for stats in telemetry.endpoint(service, endpoint) {
        let unanswered = stats.connect_failures.get() + stats.timeouts.get() + stats.resets.get();
        let first_byte = stats.first_byte.snapshot();
        tally.requests += stats.responses.total() + unanswered;
        tally.failures += stats.responses.get(Class::ServerError) + unanswered;
        tally.answers += first_byte.count();
        tally.waited += first_byte.sum();
    }
    tally
}

/// Tries whether an endpoint accepts connections again, so that no request has to.
async fn attempt(supervisor: Arc<Supervisor>, trial: Trial) {
    let result = connect(&trial.address, trial.patience.min(TRIAL_MAX)).await;
    let result = result.map_err(|error| format!("not reachable: {error}").into());
    supervisor.tried(&trial, result, Instant::now());
}

async fn connect(address: &Address, patience: Duration) -> io::Result<()> {
    match tokio::time::timeout(patience, Socket::connect(address)).await {
        Ok(connected) => connected.map(drop),
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "timed out")),
    }
}
