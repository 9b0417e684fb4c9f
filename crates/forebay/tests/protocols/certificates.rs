//! Certificates in files, as settings and other programs want them.

use std::path::Path;

use forebay_testkit::scratch::Scratch;
use forebay_testkit::tls::{Authority, Issued, Wish};

/// For servers of these names; the first is the common name too.
pub(crate) fn server(authority: &Authority, names: &[&str]) -> Issued {
    authority.grant(&Wish { names, subject: names[0], ..Wish::default() })
}

/// Writes `NAME.key` and `NAME.pem`, one after the other.
pub(crate) fn write(issued: &Issued, folder: &Scratch, name: &str) {
    folder.write(&format!("{name}.key"), &issued.key);
    folder.write(&format!("{name}.pem"), &issued.certificate);
}

/// A folder with `cert.pem` and `cert.key` for this machine, and `ca.pem` of who issued it.
pub(crate) fn folder() -> Scratch {
    let folder = Scratch::new("certificates");
    let authority = Authority::new("tests' authority");
    write(&server(&authority, &["localhost", "127.0.0.1"]), &folder, "cert");
    folder.write("ca.pem", authority.pem());
    folder
}

/// As settings and command lines have it.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("temporary folders have plain names")
}
