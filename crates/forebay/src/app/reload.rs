//! New settings for a running gateway: all of them or none.

use std::hash::{BuildHasher as _, RandomState};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::time::Duration;

use forebay_base::problem::{Position, Problem};
use forebay_net::tls;
use forebay_proxy::gateway::Gateway;
use forebay_proxy::plan::Plan;
use forebay_telemetry::log::{Event, Log};
use forebay_telemetry::recording::Recording;
use tokio::sync::Mutex;

use super::changes::Changes;
use super::record::Recorder;
use crate::acme::Keeper;
use crate::config::{self, Loaded, Server, Watched};

/// The settings file is looked at this often.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Where settings come from, and what the command line put in their place.
#[derive(Debug)]
pub struct Source {
    file: PathBuf,
    listen: Vec<String>,
    admin: Option<String>,
    hasher: RandomState,
    /// Hash of the file's content, and of the stamps of those it names, at the last attempt to load it, good or bad.
    attempted: AtomicU64,
    /// Files that were read besides at that attempt.
    files: Lock<Vec<Watched>>,
}

impl Source {
    /// A settings file; and `--listen` and `--admin`, if given.
    #[must_use]
    pub fn new(file: PathBuf, listen: Vec<String>, admin: Option<String>) -> Self {
        Self {
            file,
            listen,
            admin,
            hasher: RandomState::new(),
            attempted: AtomicU64::new(0),
            files: Lock::default(),
        }
    }

    /// Reads the settings. What the file, or one of certificates or keys that it names, becomes after this call has
    /// begun is a change.
    ///
    /// # Errors
    /// Every problem of the file and of the command line.
    pub fn load(&self) -> Result<Loaded, Vec<Problem>> {
        // First: what is written meanwhile is then at worst read twice.
        let content = std::fs::read(&self.file).ok();
        let mut files = Vec::new();
        let loaded = config::load_noting(&self.file, &mut files);
        self.attempted.store(self.hasher.hash_one((content, &files)), Ordering::Relaxed);
        *self.files.lock().unwrap_or_else(PoisonError::into_inner) = files;
        let mut loaded = loaded?;
        config::override_addresses(&mut loaded, &self.listen, self.admin.as_deref())?;
        Ok(loaded)
    }

    fn hash(&self) -> u64 {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let files: Vec<Watched> = files.iter().map(Watched::again).collect();
        self.hasher.hash_one((std::fs::read(&self.file).ok(), files))
    }

    fn attempted(&self) -> u64 {
        self.attempted.load(Ordering::Relaxed)
    }
}

/// Loads the settings file again, and installs it if there is nothing wrong with it.
pub(super) struct Reloader {
    gateway: Arc<Gateway>,
    log: Log,
    /// What the process was started with.
    running: Server,
    /// `None`: started without a file.
    source: Option<Source>,
    recorder: Arc<Recorder>,
    keeper: Arc<Keeper>,
    /// One reload at a time; holds the number of the plan in force.
    generation: Mutex<u64>,
}

/// Why settings were not taken.
#[derive(Debug)]
pub(super) enum ReloadError {
    /// There is no file to read them from.
    NoFile,
    /// There is something wrong with them. The old ones stay in force.
    Problems(Vec<Problem>),
    /// They differ in what only a new process can change.
    NeedsRestart(Vec<&'static str>),
}

/// What came of a reload.
#[derive(Debug)]
pub(super) struct Reloaded {
    /// Number of the plan; the first is 1.
    pub(super) generation: u64,
    /// How it differs from the one before; if it does not, that one stays, with its number.
    pub(super) changes: Changes,
}

impl std::fmt::Display for ReloadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoFile => f.write_str("started without a settings file, so there is nothing to reload"),
            Self::Problems(problems) => {
                for (index, problem) in problems.iter().enumerate() {
                    write!(f, "{}{problem}", if index == 0 { "" } else { "\n" })?;
                }
                Ok(())
            }
            Self::NeedsRestart(keys) => {
                write!(
                    f,
                    "`{}` changed, which only a new process can apply: restart, or say `forebay upgrade`; nothing was applied",
                    keys.join("`, `")
                )
            }
        }
    }
}

impl Reloader {
    pub(super) fn new(
        gateway: Arc<Gateway>,
        log: Log,
        running: Server,
        source: Option<Source>,
        recorder: Arc<Recorder>,
        keeper: Arc<Keeper>,
    ) -> Self {
        Self { gateway, log, running, source, recorder, keeper, generation: Mutex::new(1) }
    }

    /// Loads and installs the settings file; the old plan stays in force if that fails. Logs what happened.
    ///
    /// # Errors
    /// Nothing was changed; the error says why.
    pub(super) async fn reload(&self) -> Result<Reloaded, ReloadError> {
        let mut generation = self.generation.lock().await;
        // The recording last: once it has turned to the new plan, nothing can go wrong any more.
        let result = self.load().and_then(|loaded| Ok((self.recording(&loaded.plan)?, loaded)));
        match result {
            Ok((recording, loaded)) => {
                for warning in &loaded.warnings {
                    self.log.emit(&Event::SettingsWarning { problem: warning });
                }
                let changes = Changes::between(&self.gateway.plan(), &loaded.plan);
                if changes.is_empty() {
                    self.keeper.follow(self.gateway.plan().tls.as_ref());
                    // The plan in force means the same: nobody needs to notice.
                    self.gateway.telemetry().plan_installed(*generation);
                    self.log.emit(&Event::NothingChanged { generation: *generation });
                    return Ok(Reloaded { generation: *generation, changes });
                }
                *generation += 1;
                let (routes, services) = (loaded.plan.routes.len(), loaded.plan.services.len());
                self.keeper.follow(loaded.plan.tls.as_ref());
                self.gateway.install(Arc::new(loaded.plan), recording).await;
                self.gateway.telemetry().plan_installed(*generation);
                let generation = *generation;
                self.log.emit(&Event::Reloaded { generation, routes, services, changes: &changes });
                Ok(Reloaded { generation, changes })
            }
            Err(error) => {
                self.gateway.telemetry().reload_failed();
                let problems = if let ReloadError::Problems(problems) = &error { problems.len() } else { 1 };
                self.log.emit(&Event::ReloadRefused { problems, first: &error });
                Err(error)
            }
        }
    }

    fn load(&self) -> Result<Loaded, ReloadError> {
        let source = self.source.as_ref().ok_or(ReloadError::NoFile)?;
        let mut loaded = source.load().map_err(ReloadError::Problems)?;
        let changed = self.running.changed(&loaded.server);
        if !changed.is_empty() {
            return Err(ReloadError::NeedsRestart(changed));
        }
        // Connections know their listener by its place, and that is the one of the first plan.
        if let Some(listeners) = self.running.listeners_of(&loaded.server) {
            loaded.plan.listeners = listeners;
        }
        carry_over(&self.gateway.plan(), &mut loaded.plan)
            .map_err(|error| self.problem(error.to_string()))?;
        Ok(loaded)
    }

    fn recording(&self, plan: &Plan) -> Result<Option<Recording>, ReloadError> {
        self.recorder.turn_to(plan).map_err(|error| self.problem(error.to_string()))
    }

    /// Something is wrong with the settings as a whole.
    fn problem(&self, what: String) -> ReloadError {
        let file = self.source.as_ref().map(|source| source.file.display().to_string());
        let at = Position::file(file.unwrap_or_default().as_str());
        ReloadError::Problems(vec![Problem::error(at, what)])
    }

    /// Waits until the settings file, or a certificate or key that it names, has changed and then stayed as it is
    /// for a moment: editors write in pieces, half a file may look like a whole one, and a certificate comes before
    /// its key or after it.
    pub(super) async fn file_changed(&self) {
        let Some(source) = &self.source else { return std::future::pending().await };
        let mut before = source.attempted();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = source.hash();
            if now == before && now != source.attempted() {
                return;
            }
            before = now;
        }
    }
}

/// What clients may know of the old plan holds in the new one: certificates fetched meanwhile, and tickets.
fn carry_over(old: &Plan, new: &mut Plan) -> Result<(), tls::TlsError> {
    let (Some(before), Some(now)) = (&old.tls, &mut new.tls) else { return Ok(()) };
    now.server = if before.server.settings() == now.server.settings() {
        Arc::clone(&before.server)
    } else {
        Arc::new(tls::Server::new(now.server.settings().clone(), Some(&before.server))?)
    };
    // The settings leave the port open, and it has been found when it was bound.
    if now.redirect == Some(0) {
        now.redirect = before.redirect;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
