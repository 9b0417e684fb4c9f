//! Certificates that renew themselves (RFC 8555): kept on disk, fetched when they are missing, renewed in time.
//!
//! What is kept is served at once. What is missing is fetched by one of the replicas that share the directory; the
//! others wait for its files. Until there is a first certificate, handshakes are refused: one that nobody vouches for
//! would teach people to click warnings away.

mod attempts;
mod decide;
mod https;
mod keep;
mod lease;
mod order;
mod storage;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use forebay_net::tls::{self, Certificate, CertificateInfo};
use forebay_proxy::challenge::Challenges;
use forebay_proxy::plan::{Acme, Tls};
use forebay_telemetry::log::{Event, Log};
use forebay_telemetry::rfc3339;
use forebay_telemetry::stats::{CertificateNumbers, ShownCertificate};
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

use attempts::{Attempts, Failure};
use decide::Validity;
use storage::{Bundle, Storage};

use crate::config::dates;

/// Names the certificate among those of a server.
pub const ORIGIN: &str = "ACME";

/// How often the dates of certificates from files are looked at.
const DATES_EVERY: Duration = Duration::from_secs(86_400);

/// Since 1970.
type Seconds = u64;

/// How long to wait for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Between two looks at what other replicas have done.
    pub look: Duration,
    /// After the first time that the ACME server could not be asked; doubled every time.
    pub unreachable_first: Duration,
    /// The longest such wait.
    pub unreachable_most: Duration,
    /// After the first time that it said no; doubled every time.
    pub refused_first: Duration,
    /// The longest such wait.
    pub refused_most: Duration,
}

/// Keeps the certificate of the settings in force. Ends when dropped.
#[derive(Debug)]
pub struct Keeper {
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
    dates: tokio::task::JoinHandle<()>,
}

/// What is known of the certificate, for people and tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The names it is to have.
    pub domains: Vec<Box<str>>,
    /// The ACME server's directory.
    pub directory: Box<str>,
    /// Until when it is good; `None`: there is none.
    pub expires: Option<SystemTime>,
    /// When it is to be renewed, or fetched if there is none; past: now.
    pub next: Option<SystemTime>,
    /// Whether it is being fetched by us.
    pub busy: bool,
    /// Who else fetches it: machine and process.
    pub elsewhere: Option<String>,
    /// What went wrong last, unless it has gone well since.
    pub error: Option<String>,
    /// Certificates fetched by this process.
    pub issued: u64,
    /// Attempts of this process that failed.
    pub failed: u64,
    /// How often this process has looked at what is on disk.
    pub looks: u64,
}

#[derive(Debug)]
struct Shared {
    log: Log,
    timing: Timing,
    /// Machine, process and a number: names us to other replicas.
    owner: String,
    challenges: Arc<Challenges>,
    state: Mutex<State>,
    wanted: watch::Sender<Option<Wanted>>,
    /// Somebody wishes that we try at once.
    hurry: Notify,
    issued: AtomicU64,
    failed: AtomicU64,
    looks: AtomicU64,
}

/// The settings in force, and their number.
type Wanted = (u64, Acme);

#[derive(Debug, Default)]
struct State {
    /// The number of the settings all this belongs to.
    turn: u64,
    server: Option<Arc<tls::Server>>,
    /// What clients are shown.
    shown: Option<Shown>,
    /// Proofs of other replicas that we show, by domain.
    proofs: HashMap<Box<str>, Bundle>,
    next: Option<Seconds>,
    busy: bool,
    elsewhere: Option<String>,
    error: Option<String>,
    /// Failures that could not be written down.
    unwritten: Attempts,
}

#[derive(Clone, Debug)]
struct Shown {
    bundle: Bundle,
    validity: Validity,
    /// It is for exactly the names wanted; else it serves until there is one that is.
    exact: bool,
    /// It stands in a file.
    saved: bool,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            look: Duration::from_secs(5),
            unreachable_first: Duration::from_secs(5),
            unreachable_most: Duration::from_secs(600),
            refused_first: Duration::from_secs(60),
            refused_most: Duration::from_secs(6 * 3_600),
        }
    }
}

impl Keeper {
    /// Starts without a certificate to keep. Must be called within a tokio runtime.
    #[must_use]
    pub fn start(log: Log, timing: Timing) -> Self {
        let shared = Arc::new(Shared {
            log,
            timing,
            owner: owner(),
            challenges: Arc::default(),
            state: Mutex::default(),
            wanted: watch::Sender::new(None),
            hurry: Notify::new(),
            issued: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            looks: AtomicU64::new(0),
        });
        let task = tokio::spawn(keep::run(Arc::clone(&shared), shared.wanted.subscribe()));
        let dates = tokio::spawn(watch_dates(Arc::clone(&shared)));
        Self { shared, task, dates }
    }

    /// Where workers find what ACME servers ask for by HTTP.
    #[must_use]
    pub fn challenges(&self) -> &Arc<Challenges> {
        &self.shared.challenges
    }

    /// Keeps the certificate of these settings from now on. One that is on disk is shown before this returns, so call
    /// it before the settings are put in use.
    pub fn follow(&self, tls: Option<&Tls>) {
        let shared = &self.shared;
        let acme = tls.and_then(|tls| tls.acme.as_ref());
        let server = tls.map(|tls| Arc::clone(&tls.server));
        if shared.wanted.borrow().as_ref().map(|(_, acme)| acme) == acme {
            let mut state = shared.state();
            if let (Some(server), Some(shown)) = (&server, &state.shown) {
                // It was good for the server before.
                let _ = server.install(&certificate_of(&shown.bundle, ORIGIN));
            }
            state.server = server;
            drop(state);
            // Whoever loads settings again may have put right what was wrong.
            shared.hurry.notify_one();
            return;
        }
        let storage = acme.map(Storage::new);
        let turn = shared.state().turn + 1;
        let before = std::mem::replace(&mut *shared.state(), State { turn, server, ..State::default() });
        let shown = before.shown.map(|shown| shown.bundle);
        // What is wrong with the disk is told when the certificate is looked after.
        let find = |(acme, storage)| keep::find(acme, storage, shown).ok().flatten();
        let found = acme.zip(storage.as_ref()).and_then(find);
        shared.challenges.set_directory(storage.as_ref().map(Storage::http_challenges));
        shared.show(turn, found);
        let state = shared.state();
        if state.shown.is_none() {
            // Servers share what is installed: that of the plan before is cleared as well.
            before.server.iter().chain(&state.server).for_each(|server| server.uninstall(ORIGIN));
        }
        drop(state);
        shared.wanted.send_replace(acme.map(|acme| (turn, acme.clone())));
    }

    /// All certificates that clients may be shown, and how often one was fetched, for a scrape.
    #[must_use]
    pub fn numbers(&self) -> CertificateNumbers {
        let shared = &self.shared;
        let server = shared.state().server.clone();
        let shown = server.map(|server| server.certificates()).unwrap_or_default();
        let shown = shown.into_iter().map(|info| ShownCertificate {
            expires: validity(&info).not_after,
            name: info.names.into_iter().next().unwrap_or_default(),
            source: (*info.origin).into(),
        });
        let counts = || (shared.issued.load(Ordering::Relaxed), shared.failed.load(Ordering::Relaxed));
        let fetches = shared.wanted.borrow().is_some().then(counts);
        CertificateNumbers { shown: shown.collect(), fetches }
    }

    /// Keeps nothing from now on: what is being fetched is given up, and another replica may fetch it.
    pub fn stop(&self) {
        // With it go its lease and its proofs.
        self.task.abort();
        self.dates.abort();
        if let Some((_, acme)) = &*self.shared.wanted.borrow() {
            Storage::new(acme).remove_replica(&self.shared.owner);
        }
    }

    /// What is known of the certificate; `None`: there is none to keep.
    #[must_use]
    pub fn view(&self) -> Option<View> {
        let shared = &self.shared;
        let (_, acme) = shared.wanted.borrow().clone()?;
        let state = shared.state();
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        Some(View {
            domains: acme.domains,
            directory: acme.directory,
            expires: state.shown.as_ref().map(|shown| at(shown.validity.not_after)),
            next: state.next.map(at),
            busy: state.busy,
            elsewhere: state.elsewhere.clone(),
            error: state.error.clone(),
            issued: shared.issued.load(Ordering::Relaxed),
            failed: shared.failed.load(Ordering::Relaxed),
            looks: shared.looks.load(Ordering::Relaxed),
        })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Tells every day of certificates from files that end; when settings are read, those who read them do.
async fn watch_dates(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(DATES_EVERY).await;
        let server = shared.state().server.clone();
        let shown = server.map(|server| server.certificates()).unwrap_or_default();
        for (info, state) in ending(&shown, now()) {
            let names = info.names.join(", ");
            shared.log.emit(&Event::CertificateEnds { names: &names, file: &info.origin, state: &state });
        }
    }
}

/// Those from files that are worth a word, with that word.
fn ending(shown: &[CertificateInfo], now: Seconds) -> impl Iterator<Item = (&CertificateInfo, String)> {
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    // What is wrong with the one that renews itself is told whenever it fails.
    let from_files = shown.iter().filter(|info| &*info.origin != ORIGIN);
    from_files.filter_map(move |info| Some((info, dates(info.not_before, info.not_after, now)?.0)))
}

/// What a certificate says, for `/api/v1`.
pub(crate) fn describe(info: &CertificateInfo) -> Value {
    let validity = validity(info);
    let at = |seconds| rfc3339::text(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    let CertificateInfo { names, subject, issuer, serial, origin, .. } = info;
    json!({
        "names": names,
        "subject": subject,
        "issuer": issuer,
        "serial": serial,
        "not_before": at(validity.not_before),
        "expires": at(validity.not_after),
        "source": &**origin,
        "state": dates(info.not_before, info.not_after, i64::try_from(now()).unwrap_or(i64::MAX))
            .map_or_else(|| "valid".to_owned(), |(state, _)| state),
    })
}

impl View {
    /// For `/api/v1`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let Self { domains, directory, expires, next, busy, elsewhere, error, issued, failed, looks: _ } =
            self;
        json!({
            "names": domains,
            "source": "acme",
            "directory": directory,
            "expires": expires.map(rfc3339::text),
            "next_attempt": next.map(rfc3339::text),
            "busy": busy,
            "fetched_by": elsewhere,
            "last_error": error,
            "issued": issued,
            "failed": failed,
        })
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic under this lock")
    }
}

/// Machine, process, and a number that other processes of that number do not have.
fn owner() -> String {
    let system = rustix::system::uname();
    let machine = system.nodename().to_string_lossy();
    format!("{machine}-{}-{:08x}", std::process::id(), storage::random() & 0xffff_ffff)
}

fn now() -> Seconds {
    // Before 1970 there were no certificates.
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn certificate_of(bundle: &str, origin: &str) -> Certificate {
    let bytes: Arc<[u8]> = bundle.as_bytes().into();
    Certificate { chain: Arc::clone(&bytes), key: bytes, origin: origin.into() }
}

fn validity(info: &CertificateInfo) -> Validity {
    let seconds = |at: i64| Seconds::try_from(at).unwrap_or_default();
    Validity { not_before: seconds(info.not_before), not_after: seconds(info.not_after) }
}

/// Does something with files, where it may take its time.
async fn on_disk<T: Send + 'static>(
    storage: &Arc<Storage>,
    work: impl FnOnce(&Storage) -> std::io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let storage = Arc::clone(storage);
    let done = tokio::task::spawn_blocking(move || work(&storage)).await;
    let done = done.map_err(|error| Failure::unreachable(format!("work on files broke off: {error}")))?;
    done.map_err(|error| Failure::unreachable(format!("cannot use the storage of certificates: {error}")))
}

#[cfg(test)]
mod tests {
    use forebay_testkit::tls::{Authority, Wish};

    use super::*;

    #[test]
    fn certificates_from_files_that_end_are_told_and_the_one_that_renews_itself_is_not() {
        let wish = Wish { names: &["a.test"], expired: true, ..Wish::default() };
        let issued = Authority::new("a root").grant(&wish);
        let info =
            |origin| CertificateInfo::of_pem(issued.certificate.as_bytes(), origin).expect("it is one");
        let shown = [info("a.pem"), info(ORIGIN)];
        let end = validity(&shown[0]).not_after;
        let check = |now: Seconds, expected: &[&str]| {
            let told: Vec<_> =
                ending(&shown, now).map(|(info, state)| format!("{}: {state}", info.origin)).collect();
            assert_eq!(told, expected);
        };
        check(end - 30 * 86_400, &[]);
        check(end - 3 * 86_400, &["a.pem: expires in 3 days"]);
        check(end + 86_400, &["a.pem: expired 1 day ago"]);
    }
}
