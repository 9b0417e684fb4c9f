//! What is a change of settings, and what of the old plan holds in the new one.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use forebay_testkit::scratch::Scratch;

use super::*;

const SETTINGS: &str = "\
listen: [127.0.0.1:0, \"https://127.0.0.1:0\"]
tls: {cert: cert.pem, key: key.pem}
routes: [{match: /*, respond: 204}]
";

/// Settings with a certificate and its key, which come from the examples.
struct Place {
    scratch: Scratch,
    file: PathBuf,
}

impl Place {
    fn new() -> Self {
        let scratch = Scratch::new("reload");
        let file = scratch.write("forebay.yaml", SETTINGS);
        let place = Self { scratch, file };
        place.install("shop.test", "shop.test");
        place
    }

    fn install(&self, cert: &str, key: &str) {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/certs");
        for (name, from) in [("cert.pem", format!("{cert}.pem")), ("key.pem", format!("{key}.key"))] {
            let content = std::fs::read(examples.join(from)).expect("it is there");
            let path = self.scratch.write(name, content);
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("it is ours");
        }
    }

    fn source(&self) -> Source {
        Source::new(self.file.clone(), Vec::new(), None)
    }
}

fn is_changed(source: &Source) -> bool {
    source.hash() != source.attempted()
}

#[test]
fn a_certificate_that_changes_is_a_change_of_settings() {
    let place = Place::new();
    let source = place.source();
    source.load().expect("it is right");
    assert!(!is_changed(&source));
    place.install("app.internal", "app.internal");
    assert!(is_changed(&source));
    let loaded = source.load().expect("it is right");
    assert!(!is_changed(&source));
    let tls = loaded.plan.tls.expect("it is secured");
    assert!(tls.server.certificates()[0].names.iter().any(|name| &**name == "app.internal"));
}

#[test]
fn a_key_that_comes_later_than_its_certificate_is_waited_for() {
    let place = Place::new();
    let source = place.source();
    source.load().expect("it is right");
    place.install("app.internal", "shop.test");
    let problems = source.load().expect_err("they do not belong together");
    assert!(problems[0].what.contains("is not that of the certificate"), "{problems:?}");
    assert!(!is_changed(&source));
    place.install("app.internal", "app.internal");
    assert!(is_changed(&source));
    source.load().expect("it is right");
}

#[test]
fn files_of_settings_that_are_wrong_are_watched_too() {
    let place = Place::new();
    let source = place.source();
    std::fs::remove_file(place.scratch.path().join("key.pem")).expect("it was there");
    source.load().expect_err("there is no key");
    assert!(!is_changed(&source));
    place.install("shop.test", "shop.test");
    assert!(is_changed(&source));
}

#[test]
fn what_clients_know_of_tls_survives_a_reload() {
    let place = Place::new();
    let source = place.source();
    let plan = || source.load().expect("it is right").plan;
    let old = plan();
    let server = |plan: &Plan| Arc::clone(&plan.tls.as_ref().expect("it is secured").server);

    let mut same = plan();
    carry_over(&old, &mut same).expect("it is right");
    assert!(Arc::ptr_eq(&server(&old), &server(&same)), "nothing has changed");

    place.install("app.internal", "app.internal");
    let mut other = plan();
    carry_over(&old, &mut other).expect("it is right");
    assert!(!Arc::ptr_eq(&server(&old), &server(&other)));
    assert_eq!(server(&other).certificates()[0].subject, "CN=app.internal".into());
    assert!(!Changes::between(&old, &other).is_empty());
    assert!(Changes::between(&old, &same).is_empty());
}
