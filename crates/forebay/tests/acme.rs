//! Certificates from a real ACME server: got, kept, renewed, shared, and what happens when they do not come.

#[path = "acme/replica.rs"]
mod replica;
#[path = "acme/whole.rs"]
mod whole;

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;

use forebay_proxy::plan::Challenge;
use forebay_testkit::acme::{Behaviour, Pebble, free};
use forebay_testkit::check::eventually;
use forebay_testkit::dns::NameServer;
use forebay_testkit::scratch::Scratch;
use replica::{Door, Replica, Site};

/// A certificate authority and all it needs to look at us.
struct World {
    names: NameServer,
    http: Door,
    tls: Door,
    storage: Scratch,
}

impl World {
    fn new() -> Self {
        let names = NameServer::start();
        for name in ["shop.test", "www.shop.test"] {
            names.set(name, 60, &["127.0.0.1"]);
        }
        Self { names, http: Door::http(), tls: Door::tls(), storage: Scratch::new("acme") }
    }

    fn behaviour(&self) -> Behaviour {
        Behaviour::new(self.names.address(), self.http.port(), self.tls.port())
    }

    fn site(&self, pebble: &Pebble, domains: &[&str]) -> Site {
        Site::new(&pebble.directory(), pebble.ca(), self.storage.path(), domains)
    }

    /// One replica, which the authority finds behind both doors.
    fn replica(&self, site: &Site) -> Replica {
        let replica = Replica::start(site);
        self.http.lead_to(&replica);
        self.tls.lead_to(&replica);
        replica
    }

    /// The files of a folder of the storage.
    fn files(&self, folder: &str) -> Vec<std::path::PathBuf> {
        let entries = std::fs::read_dir(self.storage.path().join(folder));
        entries.into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    }
}

#[test]
fn a_certificate_comes_by_http() {
    let world = World::new();
    let pebble = Pebble::start(&world.behaviour());
    let replica = world.replica(&world.site(&pebble, &["shop.test", "www.shop.test"]));
    let certificate = replica.await_certificate();
    assert_eq!(names(&certificate.names), ["shop.test", "www.shop.test"]);
    assert_eq!(pebble.orders(), 1);
    eventually("files", || (world.files("certificates").len() == 1).then_some(()));
    // Until then files are written beside and renamed.
    eventually("the lease to be given back", || world.files("locks").is_empty().then_some(()));
    for file in [world.files("certificates"), world.files("accounts")].concat() {
        let mode = file.metadata().expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
    for folder in ["challenges-http", "challenges-tls"] {
        assert_eq!(world.files(folder), [] as [std::path::PathBuf; 0], "{folder} is swept");
    }
    let view = replica.view();
    assert_eq!((view.issued, view.failed, view.error), (1, 0, None));
    replica.await_logged("new certificate in use");
}

#[test]
fn a_certificate_comes_by_tls() {
    let world = World::new();
    let pebble = Pebble::start(&world.behaviour());
    let site = world.site(&pebble, &["shop.test", "www.shop.test"]).by(Challenge::TlsAlpn01);
    let replica = world.replica(&site);
    assert_eq!(names(&replica.await_certificate().names), ["shop.test", "www.shop.test"]);
    assert_eq!(pebble.orders(), 1);
    assert_eq!(world.http.asked(), 0);
    assert!(world.tls.asked() >= 2);
}

#[test]
fn what_is_kept_is_shown_at_once_after_a_restart() {
    let world = World::new();
    let pebble = Pebble::start(&world.behaviour());
    let site = world.site(&pebble, &["shop.test"]);
    let serial = world.replica(&site).await_saved(&world.storage).serial;
    let orders = pebble.orders();
    drop(pebble);
    let replica = Replica::start(&site);
    assert_eq!(replica.certificates()[0].serial, serial, "before anybody could be asked");
    replica.await_look();
    assert_eq!((orders, replica.view().issued, replica.view().failed), (1, 0, 0));
}

#[test]
fn a_certificate_is_renewed_before_it_ends() {
    let world = World::new();
    let pebble = Pebble::start(&Behaviour { validity: 9, ..world.behaviour() });
    let replica = world.replica(&world.site(&pebble, &["shop.test"]));
    let first = replica.await_certificate();
    let second = eventually("another certificate", || {
        replica.certificates().into_iter().find(|certificate| certificate.serial != first.serial)
    });
    assert!(second.not_before < first.not_after, "the first had not ended");
    assert_eq!(replica.certificates().len(), 1, "one takes the place of the other");
    replica.await_logged("two thirds of its life are over");
}

#[test]
fn of_replicas_that_share_a_directory_one_asks_and_any_may_be_looked_at() {
    let world = World::new();
    let pebble = Pebble::start(&world.behaviour());
    for (challenge, orders) in [(Challenge::Http01, 1), (Challenge::TlsAlpn01, 2)] {
        let site = world.site(&pebble, &["shop.test"]).by(challenge).labelled(orders);
        let replicas = [Replica::start(&site), Replica::start(&site), Replica::start(&site)];
        // The authority is led to each in turn, so to some that did not ask.
        for door in [&world.http, &world.tls] {
            door.lead_to_all(&replicas);
        }
        let serials = replicas.each_ref().map(|replica| replica.await_certificate().serial);
        assert!(serials.iter().all(|serial| *serial == serials[0]), "{serials:?}");
        for replica in &replicas {
            replica.await_look();
        }
        let issued: u64 = replicas.iter().map(|replica| replica.view().issued).sum();
        assert_eq!((issued, pebble.orders()), (1, orders));
    }
}

#[test]
fn a_server_that_rejects_good_nonces_is_asked_again() {
    let world = World::new();
    let pebble = Pebble::start(&Behaviour { nonces_rejected: 40, ..world.behaviour() });
    let replica = world.replica(&world.site(&pebble, &["shop.test"]));
    replica.await_certificate();
}

#[test]
fn a_server_that_is_down_is_asked_until_it_comes_back() {
    let world = World::new();
    let address = free();
    let behaviour = Behaviour { address: Some(address), ..world.behaviour() };
    let pebble = Pebble::start(&behaviour);
    let site = world.site(&pebble, &["shop.test"]);
    let ended = pebble.end();
    let replica = world.replica(&site);
    replica.await_logged("cannot connect to");
    replica.await_logged("no certificate: secured connections are refused");
    assert_eq!(replica.certificates(), []);
    let pebble = ended.start();
    replica.await_certificate();
    assert_eq!(pebble.orders(), 1);
    assert_eq!(replica.view().error, None, "it is over");
}

#[test]
fn a_proof_that_fails_is_told_and_not_tried_again_at_once() {
    let world = World::new();
    let pebble = Pebble::start(&world.behaviour());
    let kept = world.replica(&world.site(&pebble, &["shop.test"])).await_saved(&world.storage);
    // Nobody knows the second name.
    let replica = world.replica(&world.site(&pebble, &["shop.test", "gone.test"]));
    replica.await_logged("the names could not be proved to be ours: gone.test: ");
    replica.await_logged("no new certificate, the one there is stays in use");
    assert_eq!(replica.certificates()[0].serial, kept.serial, "serving goes on");
    replica.await_look();
    assert_eq!(pebble.orders(), 2);
    let view = replica.view();
    assert!(view.next > Some(std::time::SystemTime::now()), "{view:?}");
    // Another process is no more patient, and neither is one that is told to try.
    drop(replica);
    let replica = Replica::start(&world.site(&pebble, &["shop.test", "gone.test"]));
    replica.await_look();
    assert_eq!((pebble.orders(), replica.view().failed), (2, 0));
    assert!(replica.view().error.is_some_and(|error| error.contains("gone.test")));
}

#[test]
fn settings_that_change_are_tried_at_once() {
    let world = World::new();
    let pebble = Pebble::start(&world.behaviour());
    let site = world.site(&pebble, &["late.test"]);
    let replica = world.replica(&site);
    replica.await_logged("the names could not be proved to be ours: late.test: ");
    world.names.set("late.test", 60, &["127.0.0.1"]);
    replica.follow(&site.by(Challenge::TlsAlpn01));
    assert_eq!(names(&replica.await_certificate().names), ["late.test"]);
    assert_eq!(pebble.orders(), 2);
}

#[test]
fn a_certificate_that_is_cut_off_is_fetched_again_and_put_aside() {
    let world = World::new();
    let pebble = Pebble::start(&world.behaviour());
    let site = world.site(&pebble, &["shop.test"]);
    let first = world.replica(&site).await_saved(&world.storage);
    let file = world.files("certificates").pop().expect("it was saved");
    let whole = std::fs::read(&file).expect("it can be read");
    std::fs::write(&file, &whole[..400]).expect("it can be written");
    let second = world.replica(&site).await_saved(&world.storage);
    assert_ne!(first.serial, second.serial);
    assert_eq!(std::fs::read(file.with_extension("broken")).ok().as_deref(), Some(&whole[..400]));
}

#[test]
fn a_storage_that_cannot_be_written_is_told_and_nobody_is_asked() {
    let world = World::new();
    let pebble = Pebble::start(&world.behaviour());
    let file = world.storage.write("file", "no folder");
    let storage = file.join("acme");
    let replica = world.replica(&Site::new(&pebble.directory(), pebble.ca(), &storage, &["shop.test"]));
    replica.await_logged(&format!("cannot use the storage of certificates: {}", storage.display()));
    assert_eq!(pebble.orders(), 0);
}

#[test]
fn names_that_change_get_a_new_certificate_while_the_old_one_is_shown() {
    let world = World::new();
    let pebble = Pebble::start(&world.behaviour());
    let replica = world.replica(&world.site(&pebble, &["shop.test"]));
    let first = replica.await_saved(&world.storage);
    replica.follow(&world.site(&pebble, &["shop.test", "www.shop.test"]));
    assert_eq!(replica.certificates()[0].serial, first.serial);
    eventually("both names", || (replica.certificates()[0].names.len() == 2).then_some(()));
    // Back again: nobody needs to be asked.
    replica.follow(&world.site(&pebble, &["shop.test"]));
    assert_eq!(replica.certificates()[0].serial, first.serial);
    replica.await_look();
    assert_eq!(pebble.orders(), 2);
    // None at all.
    replica.unfollow();
    assert_eq!(replica.certificates(), []);
}

#[test]
fn an_account_that_the_server_has_forgotten_is_replaced() {
    let world = World::new();
    let address: SocketAddr = free();
    let behaviour = Behaviour { address: Some(address), ..world.behaviour() };
    let pebble = Pebble::start(&behaviour);
    let site = world.site(&pebble, &["shop.test"]);
    world.replica(&site).await_saved(&world.storage);
    // It forgets everything when it ends.
    let _pebble = pebble.end().start();
    let site = Site { domains: vec!["www.shop.test".into()], ..site };
    assert_eq!(names(&world.replica(&site).await_certificate().names), ["www.shop.test"]);
}

fn names(names: &[Box<str>]) -> Vec<&str> {
    let mut names: Vec<&str> = names.iter().map(|name| &**name).collect();
    names.sort_unstable();
    names
}
