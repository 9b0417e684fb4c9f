//! Runs plans while a person watches, and may end them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use anyhow::{Context as _, anyhow};
use forebay_load::outcome::Outcome;
use forebay_load::plan::Plan;
use forebay_load::run::{self, Progress};

use crate::app::Signals;

/// Exit status when a second signal ends the process at once: 128 and the number of SIGINT, as shells have it.
const EXIT_INTERRUPTED: i32 = 130;

/// Set by the first Ctrl-C; the second one ends the process.
pub(super) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From here on signals are listened to.
    ///
    /// # Errors
    /// When the system does not tell of signals.
    pub(super) fn listen() -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut signals = {
            let _inside = runtime.enter();
            Signals::new()?
        };
        // It ends with the process.
        let listen = move || {
            runtime.block_on(signals.stop());
            told.store(true, Ordering::Relaxed);
            runtime.block_on(signals.stop());
            std::process::exit(EXIT_INTERRUPTED);
        };
        thread::Builder::new().name("signals".to_owned()).spawn(listen).context("cannot start a thread")?;
        Ok(Self(stop))
    }

    /// Whether a signal came.
    pub(super) fn came(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Runs a plan; `watch` is told how it goes, here in this thread.
///
/// # Errors
/// Why there is no outcome, or those of `watch`.
pub(super) fn run(
    plan: &Plan,
    interrupt: &Interrupt,
    mut watch: impl FnMut(&Progress) -> anyhow::Result<()>,
) -> anyhow::Result<Outcome> {
    let (sender, progress) = mpsc::sync_channel(2);
    thread::scope(|scope| {
        let engine = scope.spawn(move || {
            // Who cannot keep up with twice a second misses some of it.
            let mut tell = |progress: &Progress| drop(sender.try_send(progress.clone()));
            run::run(plan, &interrupt.0, &mut tell)
        });
        let mut watched = Ok(());
        for progress in progress {
            if watched.is_ok() {
                watched = watch(&progress);
            }
        }
        let outcome = engine.join().map_err(|_| anyhow!("the load generator broke down"))?;
        watched?;
        outcome.map_err(|error| anyhow!("{error}"))
    })
}
