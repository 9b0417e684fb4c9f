//! Look after the certificate: look at what there is, decide, fetch it or let another replica do so, wait.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use forebay_base::seed::Random;
use forebay_net::tls::{CertificateInfo, Server};
use forebay_proxy::plan::{Acme, Challenge};
use forebay_telemetry::log::Event;
use tokio::sync::watch;

use super::attempts::{Attempts, Failure};
use super::decide::{self, Next, Why};
use super::lease::{self, Lease, Take};
use super::order::Issuer;
use super::storage::{self, Storage};
use super::{ORIGIN, Seconds, Shared, Shown, Wanted, certificate_of, now, on_disk, validity};

/// Longest time for getting a certificate.
const ISSUE_TIMEOUT: Duration = Duration::from_secs(900);
/// Others take us for gone when they have not heard of us for so long.
const REPLICA_LIFE: Seconds = 180;
/// They hear of us this often.
const REPLICA_EVERY: Seconds = 60;

/// Follows what is wanted, until nobody can want anything any more.
pub(super) async fn run(shared: Arc<Shared>, mut wanted: watch::Receiver<Option<Wanted>>) {
    loop {
        let current = wanted.borrow_and_update().clone();
        let work = async {
            match current {
                Some((turn, acme)) => Box::pin(Keep::new(&shared, turn, acme).run()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = work => {}
            changed = wanted.changed() => if changed.is_err() { return },
        }
    }
}

/// The certificate on disk: that for exactly these names, or the one that serves most of them for longest. `before`:
/// what was shown so far, which would do as well.
pub(super) fn find(acme: &Acme, storage: &Storage, before: Option<String>) -> std::io::Result<Option<Shown>> {
    if let Some(bundle) = storage.load_certificate()? {
        match shown(bundle, true) {
            Some(shown) => return Ok(Some(shown)),
            // It is fetched again, as if it were not there.
            None => storage.put_certificate_aside()?,
        }
    }
    let useful = |bundle: &String| {
        let info = CertificateInfo::of_pem(bundle.as_bytes(), ORIGIN).ok()?;
        let has = |domain: &str| info.names.iter().any(|name| name.eq_ignore_ascii_case(domain));
        let count = acme.domains.iter().filter(|domain| has(domain)).count();
        (count > 0 && validity(&info).not_after > now()).then_some((count, info.not_after))
    };
    let others = storage.load_others().into_iter().chain(before);
    let best = others.filter(|bundle| useful(bundle).is_some()).max_by_key(useful);
    Ok(best.and_then(|bundle| shown(bundle, false)))
}

fn shown(bundle: String, exact: bool) -> Option<Shown> {
    let info = CertificateInfo::of_pem(bundle.as_bytes(), ORIGIN).ok()?;
    Some(Shown { bundle, validity: validity(&info), exact, saved: true })
}

/// The work for one certificate.
struct Keep<'a> {
    shared: &'a Shared,
    /// When it is another one's, what we know is of no use any more.
    turn: u64,
    acme: Acme,
    storage: Arc<Storage>,
    /// From 0 to 1, the same for the whole life: drawn anew, the least of many draws would count.
    jitter: f64,
    /// When others last heard of us.
    told: Seconds,
    /// Who was last said to fetch the certificate in our place.
    said_of: Option<String>,
}

impl<'a> Keep<'a> {
    fn new(shared: &'a Shared, turn: u64, acme: Acme) -> Self {
        let storage = Arc::new(Storage::new(&acme));
        let jitter = Random::from_seed(storage::random()).below(1_001);
        let jitter = f64::from(u32::try_from(jitter).unwrap_or_default()) / 1_000.0;
        Self { shared, turn, acme, storage, jitter, told: 0, said_of: None }
    }

    /// Never ends.
    async fn run(mut self) {
        // Whoever has changed the settings may have put right what was wrong. The first ones of a process are no
        // change: a process that is started over and over asks no more often.
        if self.turn > 1 {
            self.hurry().await;
        }
        loop {
            let wait = match self.step().await {
                Ok(wait) => wait,
                // A disk's trouble is no server's: it is not written down, which could fail as well.
                Err(failure) => {
                    let (now, timing) = (now(), &self.shared.timing);
                    let wait = {
                        let mut state = self.shared.state();
                        state.unwritten.failed(now, &failure);
                        state.unwritten.earliest(timing, self.jitter).saturating_sub(now)
                    };
                    self.note_failure(&failure, now + wait);
                    Duration::from_secs(wait)
                }
            };
            self.shared.looks.fetch_add(1, Ordering::Relaxed);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.shared.hurry.notified() => self.hurry().await,
            }
        }
    }

    /// Does what is to be done now; how long to wait after it.
    async fn step(&mut self) -> Result<Duration, Failure> {
        self.be_there().await?;
        self.look().await?;
        let now = now();
        match self.decide(now).await? {
            Next::Wait { until, .. } => Ok(self.pause(until.saturating_sub(now))),
            Next::Issue(why) => self.fetch(why).await,
        }
    }

    /// Makes what is missing of the folders, and lets others know that we are there.
    async fn be_there(&mut self) -> Result<(), Failure> {
        let now = now();
        if now < self.told.saturating_add(REPLICA_EVERY) && now >= self.told {
            return Ok(());
        }
        let owner = self.shared.owner.clone();
        on_disk(&self.storage, move |storage| {
            storage.prepare()?;
            storage.put_replica(&owner, now + REPLICA_LIFE)
        })
        .await?;
        self.told = now;
        Ok(())
    }

    /// Shows what is on disk, and the proofs of other replicas.
    async fn look(&self) -> Result<(), Failure> {
        let acme = self.acme.clone();
        let found = on_disk(&self.storage, move |storage| find(&acme, storage, None)).await?;
        let unsaved = {
            let state = self.shared.state();
            state.shown.as_ref().filter(|shown| shown.exact && !shown.saved).map(|shown| shown.bundle.clone())
        };
        match (found, unsaved) {
            // Ours is newer than what is on disk, if anything is: it could not be written before.
            (_, Some(bundle)) => {
                on_disk(&self.storage, move |storage| storage.save_certificate(&bundle)).await?;
                if let Some(shown) = &mut self.shared.state().shown {
                    shown.saved = true;
                }
            }
            (found, None) => self.shared.show(self.turn, found),
        }
        if self.acme.challenge == Challenge::TlsAlpn01 {
            self.look_for_proofs().await?;
        }
        Ok(())
    }

    async fn look_for_proofs(&self) -> Result<(), Failure> {
        for domain in &self.acme.domains {
            let name = domain.clone();
            let found = on_disk(&self.storage, move |storage| Ok(storage.load_tls(&name))).await?;
            let mut state = self.shared.state();
            if state.proofs.get(domain) == found.as_ref() {
                continue;
            }
            if let Some(server) = &state.server {
                let certificate = found.as_deref().map(|bundle| certificate_of(bundle, "challenge"));
                // One that is of no use was not written by a replica.
                let _ = server.set_challenge(domain, certificate.as_ref());
            }
            match found {
                Some(bundle) => drop(state.proofs.insert(domain.clone(), bundle)),
                None => drop(state.proofs.remove(domain)),
            }
        }
        Ok(())
    }

    async fn decide(&self, now: Seconds) -> Result<Next, Failure> {
        let attempts = on_disk(&self.storage, move |storage| Ok(storage.load_attempts(now))).await?;
        let mut state = self.shared.state();
        let certificate = state.shown.as_ref().filter(|shown| shown.exact).map(|shown| shown.validity);
        let next = decide::next(now, certificate, &attempts, &self.shared.timing, self.jitter);
        state.next = Some(match next {
            Next::Wait { until, .. } => until,
            Next::Issue(_) => now,
        });
        state.error = attempts.error().map(str::to_owned);
        Ok(next)
    }

    fn pause(&self, seconds: Seconds) -> Duration {
        Duration::from_secs(seconds).min(self.shared.timing.look)
    }

    /// Fetches the certificate, if nobody else does; how long to wait after it.
    async fn fetch(&mut self, why: Why) -> Result<Duration, Failure> {
        let owner = self.shared.owner.clone();
        let taken = on_disk(&self.storage, move |storage| {
            let (folder, name) = storage.locks();
            Lease::take(&folder, name, &owner, now())
        });
        let lease = match taken.await? {
            Take::Taken(lease) => Arc::new(lease),
            Take::Held { owner } => {
                self.note_elsewhere(owner);
                return Ok(self.shared.timing.look);
            }
        };
        self.shared.state().elsewhere = None;
        self.said_of = None;
        // Somebody may have fetched it, or failed to, between our look and our lease.
        self.look().await?;
        let now = now();
        if let Next::Wait { until, .. } = self.decide(now).await? {
            return Ok(self.pause(until.saturating_sub(now)));
        }
        let settle = self.settle(now).await?;
        let names = self.acme.domains.join(", ");
        let directory = &*self.acme.directory;
        self.shared.log.emit(&Event::CertificateWanted { names: &names, directory, reason: why.text() });
        self.shared.state().busy = true;
        let issued = self.issue(&lease, settle).await;
        self.shared.state().busy = false;
        match issued {
            Ok(bundle) => self.issued(bundle).await?,
            Err(failure) => self.refused(&failure).await?,
        }
        // What comes next is decided by what stands on disk now.
        Ok(Duration::ZERO)
    }

    /// How long other replicas need to find what they have to show.
    async fn settle(&self, now: Seconds) -> Result<Option<Duration>, Failure> {
        if self.acme.challenge != Challenge::TlsAlpn01 {
            return Ok(None);
        }
        let owner = self.shared.owner.clone();
        let others = on_disk(&self.storage, move |storage| storage.has_other_replicas(&owner, now)).await?;
        Ok(others.then(|| self.shared.timing.look * 2 + Duration::from_secs(1)))
    }

    async fn issue(&self, lease: &Arc<Lease>, settle: Option<Duration>) -> Result<String, Failure> {
        let server = self.shared.state().server.clone();
        let server: Arc<Server> =
            server.ok_or_else(|| Failure::unreachable("nobody is to be shown a certificate"))?;
        let issuer = Issuer {
            acme: &self.acme,
            storage: &self.storage,
            challenges: &self.shared.challenges,
            server: &server,
            settle,
        };
        tokio::select! {
            issued = Box::pin(issuer.issue()) => issued,
            lost = self.hold(lease) => Err(lost),
            () = tokio::time::sleep(ISSUE_TIMEOUT) => {
                Err(Failure::refused("the ACME server and we did not come to an end within 15 minutes"))
            }
        }
    }

    /// Renews the lease for as long as that works; why it does not.
    async fn hold(&self, lease: &Arc<Lease>) -> Failure {
        loop {
            tokio::time::sleep(lease::RENEW_EVERY).await;
            let lease = Arc::clone(lease);
            match on_disk(&self.storage, move |_| lease.renew(now())).await {
                Ok(true) => {}
                Ok(false) => return Failure::unreachable("another replica has taken over the lease"),
                Err(failure) => return failure,
            }
        }
    }

    async fn issued(&self, bundle: String) -> Result<(), Failure> {
        self.shared.issued.fetch_add(1, Ordering::Relaxed);
        // In force before it is on disk: a full disk must not cost us what we have got.
        let shown = shown(bundle.clone(), true).map(|shown| Shown { saved: false, ..shown });
        {
            let mut state = self.shared.state();
            (state.unwritten, state.error) = (Attempts::default(), None);
        }
        self.shared.show(self.turn, shown);
        let names = self.acme.domains.join(", ");
        let validity = self.shared.state().shown.as_ref().map(|shown| shown.validity);
        if let Some(validity) = validity {
            let good_for = Duration::from_secs(validity.not_after.saturating_sub(now()));
            let renews = decide::renewal(validity, self.jitter);
            let renews_in = Duration::from_secs(renews.saturating_sub(now()));
            self.shared.log.emit(&Event::CertificateIssued { names: &names, good_for, renews_in });
        }
        on_disk(&self.storage, move |storage| {
            storage.save_certificate(&bundle)?;
            storage.save_attempts(&Attempts::default())
        })
        .await?;
        if let Some(shown) = &mut self.shared.state().shown {
            shown.saved = true;
        }
        Ok(())
    }

    async fn refused(&self, failure: &Failure) -> Result<(), Failure> {
        let now = now();
        let (failed, timing) = (failure.clone(), self.shared.timing);
        let (storage, jitter) = (&self.storage, self.jitter);
        let next = on_disk(storage, move |storage| {
            let mut attempts = storage.load_attempts(now);
            attempts.failed(now, &failed);
            storage.save_attempts(&attempts)?;
            Ok(attempts.earliest(&timing, jitter))
        });
        let next = next.await?;
        self.note_failure(failure, next);
        Ok(())
    }

    fn note_failure(&self, failure: &Failure, next: Seconds) {
        self.shared.failed.fetch_add(1, Ordering::Relaxed);
        let names = self.acme.domains.join(", ");
        let again_in = Duration::from_secs(next.saturating_sub(now()));
        let good_for = {
            let mut state = self.shared.state();
            state.error = Some(failure.text.clone());
            state.next = Some(next);
            state
                .shown
                .as_ref()
                .map(|shown| Duration::from_secs(shown.validity.not_after.saturating_sub(now())))
        };
        let event = Event::CertificateFailed { names: &names, error: &failure.text, again_in, good_for };
        self.shared.log.emit(&event);
    }

    fn note_elsewhere(&mut self, owner: String) {
        if self.said_of.as_ref() != Some(&owner) {
            let names = self.acme.domains.join(", ");
            self.shared.log.emit(&Event::CertificateAwaited { names: &names, owner: &owner });
        }
        self.shared.state().elsewhere = Some(owner.clone());
        self.said_of = Some(owner);
    }

    /// Lets the next attempt come at once, as far as servers' limits allow.
    async fn hurry(&self) {
        self.shared.state().unwritten.hurry();
        let now = now();
        let forgiven = on_disk(&self.storage, move |storage| {
            let mut attempts = storage.load_attempts(now);
            if attempts == Attempts::default() {
                return Ok(());
            }
            attempts.hurry();
            storage.save_attempts(&attempts)
        });
        // What is wrong with the disk is told by the next step.
        let _ = forgiven.await;
    }
}

impl Shared {
    /// Shows this to clients from now on, unless it is what they are shown. `turn`: whose it is.
    pub(super) fn show(&self, turn: u64, found: Option<Shown>) {
        let Some(found) = found else { return };
        let mut state = self.state();
        if state.turn != turn {
            return;
        }
        let known = state.shown.as_ref().is_some_and(|shown| shown.bundle == found.bundle);
        if known {
            state.shown = Some(found);
            return;
        }
        let Some(server) = &state.server else { return };
        match server.install(&certificate_of(&found.bundle, ORIGIN)) {
            Ok(()) => {
                state.elsewhere = None;
                state.shown = Some(found);
            }
            Err(error) => state.error = Some(error.to_string()),
        }
    }
}
