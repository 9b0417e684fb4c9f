//! TLS from outside: certificates by name, swapped while it runs, clients that prove who they are, versions, tickets.

use std::net::SocketAddr;
use std::process::Command;

use forebay_testkit::check::eventually;
use forebay_testkit::gateway;
use forebay_testkit::gateway::{Gateway, Signal};
use forebay_testkit::origin::Origin;
use forebay_testkit::scratch::Scratch;
use forebay_testkit::servers::{run, tool};
use forebay_testkit::tls::Authority;

use crate::certificates::{server, text, write};
use crate::programs::output_of;

/// A listener with TLS before an origin; `tls` are the settings of that name.
fn start(tls: &str, origin: &Origin) -> Gateway {
    gateway!(
        "listen: https://127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 1\ntls: {tls}\n\
         services:\n  app: {{ endpoints: [\"{}\"] }}\nroutes:\n  - {{ match: /*, to: app }}\n",
        origin.address()
    )
}

/// `openssl s_client` that asks for a name, if it is given one, and says good-bye.
fn s_client(address: SocketAddr, name: Option<&str>, arguments: &[&str]) -> String {
    let mut openssl = Command::new(tool("openssl"));
    openssl.args(["s_client", "-connect", &address.to_string()]).args(arguments);
    match name {
        Some(name) => openssl.args(["-servername", name]),
        None => openssl.arg("-noservername"),
    };
    let output = run(&mut openssl);
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// The common name of the certificate that is shown.
fn shown(address: SocketAddr, name: Option<&str>) -> String {
    let told = s_client(address, name, &[]);
    let subject = told.lines().find_map(|line| line.strip_prefix("subject="));
    let subject = subject.unwrap_or_else(|| panic!("no certificate: {told}"));
    subject.rsplit("CN = ").next().unwrap_or(subject).trim().to_owned()
}

#[test]
fn the_name_that_is_asked_for_chooses_the_certificate() {
    let (origin, folder, authority) = (Origin::echo(), Scratch::new("sni"), Authority::new("a"));
    for (file, names) in [("one", &["one.test"][..]), ("many", &["*.many.test"]), ("exact", &["x.many.test"])]
    {
        write(&server(&authority, names), &folder, file);
    }
    let path = text(folder.path());
    let item = |name: &str| format!("{{ cert: \"{path}/{name}.pem\", key: \"{path}/{name}.key\" }}");
    let all = ["one", "many", "exact"].map(item).join(", ");
    let gateway = start(&format!("{{ certificates: [{all}] }}"), &origin);
    let check = |name: Option<&str>, expected: &str| {
        assert_eq!(shown(gateway.addr(), name), expected, "{name:?}");
    };
    check(Some("one.test"), "one.test");
    check(Some("ONE.test"), "one.test");
    check(Some("a.many.test"), "*.many.test");
    check(Some("x.many.test"), "x.many.test");
    check(Some("a.b.many.test"), "one.test");
    check(Some("many.test"), "one.test");
    check(Some("other.test"), "one.test");
    check(None, "one.test");

    let strict = start(&format!("{{ certificates: [{all}], unknown_name: refuse }}"), &origin);
    assert_eq!(shown(strict.addr(), Some("one.test")), "one.test");
    let told = s_client(strict.addr(), Some("other.test"), &[]);
    assert!(told.contains("alert") && told.contains("no peer certificate"), "{told}");
}

#[test]
fn a_certificate_is_swapped_while_connections_go_on() {
    let (origin, folder) = (Origin::echo(), Scratch::new("swap"));
    write(&server(&Authority::new("a"), &["old.test"]), &folder, "it");
    let path = text(folder.path());
    let gateway = start(&format!("{{ cert: \"{path}/it.pem\", key: \"{path}/it.key\" }}"), &origin);
    assert_eq!(shown(gateway.addr(), Some("old.test")), "old.test");
    write(&server(&Authority::new("b"), &["new.test"]), &folder, "it");
    eventually("the new certificate", || (shown(gateway.addr(), None) == "new.test").then_some(()));
    // One without its key changes nothing, and neither does a file that is none.
    folder.write("it.pem", server(&Authority::new("c"), &["third.test"]).certificate);
    gateway.signal(Signal::Hangup);
    eventually("a complaint", || gateway.stderr().contains("it.pem").then_some(()));
    assert_eq!(shown(gateway.addr(), None), "new.test");
}

#[test]
fn clients_prove_who_they_are_or_are_refused() {
    let (origin, folder) = (Origin::echo(), Scratch::new("mtls"));
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    write(&server(&ours, &["a.test"]), &folder, "server");
    write(&ours.issue_client("friend"), &folder, "friend");
    write(&theirs.issue_client("stranger"), &folder, "stranger");
    folder.write("ca.pem", ours.pem());
    let path = text(folder.path());
    let tls = |how: &str| {
        format!(
            "{{ cert: \"{path}/server.pem\", key: \"{path}/server.key\", client_ca: \"{path}/ca.pem\", \
             client_auth: {how} }}"
        )
    };
    let ask = |gateway: &Gateway, name: Option<&str>, version: &str| {
        let mut curl = Command::new(tool("curl"));
        curl.args(["--silent", "--show-error", "--fail", "--max-time", "20", version, "--cacert"]);
        curl.arg(format!("{path}/ca.pem")).arg("--resolve");
        curl.arg(format!("a.test:{}:127.0.0.1", gateway.addr().port()));
        // What outsiders write about themselves must not arrive.
        curl.args(["--header", "X-Forwarded-Client-Cert: Subject=\"CN=boss\""]);
        if let Some(name) = name {
            curl.args(["--cert", &format!("{path}/{name}.pem"), "--key", &format!("{path}/{name}.key")]);
        }
        curl.arg(format!("https://a.test:{}/", gateway.addr().port()));
        let output = run(&mut curl);
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (require, request) = (start(&tls("require"), &origin), start(&tls("request"), &origin));
    for version in ["--http1.1", "--http2"] {
        for gateway in [&require, &request] {
            let told = ask(gateway, Some("friend"), version).expect("a friend is served");
            assert!(told.contains("friend") && !told.contains("boss"), "{told}");
            assert_eq!(ask(gateway, Some("stranger"), version), None);
        }
        assert_eq!(ask(&require, None, version), None);
        let told = ask(&request, None, version).expect("nobody has to");
        assert!(!told.contains("boss"), "{told}");
    }
}

#[test]
fn old_versions_are_refused_and_new_ones_agreed_on() {
    let (origin, folder) = (Origin::echo(), Scratch::new("versions"));
    write(&server(&Authority::new("a"), &["a.test"]), &folder, "it");
    let path = text(folder.path());
    let files = format!("cert: \"{path}/it.pem\", key: \"{path}/it.key\"");
    let usual = start(&format!("{{ {files} }}"), &origin);
    let newest = start(&format!("{{ {files}, min_version: \"1.3\" }}"), &origin);
    let check = |gateway: &Gateway, version: &str, expected: &str| {
        // Only then does OpenSSL try versions that are as old as that.
        let told = s_client(gateway.addr(), Some("a.test"), &[version, "-cipher", "DEFAULT:@SECLEVEL=0"]);
        assert!(told.contains(expected), "{version}: {told}");
    };
    check(&usual, "-tls1", "New, (NONE)");
    check(&usual, "-tls1_1", "New, (NONE)");
    check(&usual, "-tls1_2", "New, TLSv1.2");
    check(&usual, "-tls1_3", "New, TLSv1.3");
    check(&newest, "-tls1_2", "alert protocol version");
    check(&newest, "-tls1_3", "New, TLSv1.3");
    let alpn = |offered: &str| s_client(usual.addr(), Some("a.test"), &["-alpn", offered]);
    assert!(alpn("http/1.1,h2").contains("ALPN protocol: h2"));
    assert!(alpn("http/1.1").contains("ALPN protocol: http/1.1"));
    assert!(alpn("imap").contains("no application protocol"));
}

#[test]
fn sessions_are_resumed_with_tickets_unless_that_is_off() {
    let (origin, folder) = (Origin::echo(), Scratch::new("tickets"));
    write(&server(&Authority::new("a"), &["a.test"]), &folder, "it");
    let path = text(folder.path());
    let files = format!("cert: \"{path}/it.pem\", key: \"{path}/it.key\"");
    let session = folder.path().join("session");
    let again = |more: &str, version: &str| {
        let gateway = start(&format!("{{ {files}{more} }}"), &origin);
        let session = text(&session);
        // With TLS 1.3 tickets come behind the handshake, so an answer is waited for.
        let ask = |flag: &str| {
            let mut shell = Command::new("sh");
            let request = "GET / HTTP/1.1\\r\\nHost: a.test\\r\\nConnection: close\\r\\n\\r\\n";
            let openssl = text(&tool("openssl")).to_owned();
            let address = gateway.addr();
            shell.arg("-c").arg(format!(
                "printf '{request}' | {openssl} s_client -ign_eof {version} -servername a.test -connect {address} {flag} {session}"
            ));
            output_of(&mut shell)
        };
        let first = ask("-sess_out");
        assert!(first.contains("New, TLSv1."), "{first}");
        ask("-sess_in").contains("Reused, TLSv1.")
    };
    for version in ["-tls1_2", "-tls1_3"] {
        assert!(again("", version), "{version}");
    }
    assert!(!again(", tickets: off", "-tls1_3"));
}
