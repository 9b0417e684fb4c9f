//! The recording in force: begun with the settings, and anew only when its own settings change.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use forebay_proxy::plan::Plan;
use forebay_telemetry::log::Log;
use forebay_telemetry::recording::{Counts, Recording};

/// Holds on to the recording of the plan in force.
pub(super) struct Recorder {
    counts: Arc<Counts>,
    log: Log,
    running: Mutex<Option<Recording>>,
}

impl Recorder {
    pub(super) fn new(counts: Arc<Counts>, log: Log) -> Self {
        Self { counts, log, running: Mutex::default() }
    }

    /// The recording for `plan`, which takes the place of the one before; `None`: it has none. The one before
    /// ends once the last request that is in it has.
    ///
    /// # Errors
    /// Its file cannot be made; the one before goes on.
    pub(super) fn turn_to(&self, plan: &Plan) -> io::Result<Option<Recording>> {
        let mut running = self.running();
        let Some(wanted) = plan.record.as_ref().map(|record| &record.settings) else {
            *running = None;
            return Ok(None);
        };
        if running.as_ref().is_none_or(|recording| recording.settings() != wanted) {
            let counts = Arc::clone(&self.counts);
            let started = Recording::start(wanted.clone(), counts, self.log.clone()).map_err(|error| {
                let file = wanted.file.display();
                io::Error::new(error.kind(), format!("cannot make the recording {file}: {error}"))
            })?;
            *running = Some(started);
        }
        Ok(running.clone())
    }

    /// Waits until what workers have handed over is written, no longer than `wait`.
    pub(super) fn flush(&self, wait: Duration) {
        if let Some(recording) = &*self.running() {
            // What is not written by then is lost: stopping must end.
            let _ = recording.flush(wait);
        }
    }

    fn running(&self) -> MutexGuard<'_, Option<Recording>> {
        self.running.lock().expect("nothing under this lock panics")
    }
}
