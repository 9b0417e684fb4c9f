//! Which protocols are spoken: what settings about them come to, and what is said about mistakes in them.

use std::time::Duration;

use forebay_net::h2;
use forebay_net::tls::{Offer, UnknownName, Version};
use forebay_proxy::plan::{
    Challenge, Check, Listener, Plan, Protocol, ProxyProtocol, Route, Service, Tls, Upgrades,
};
use forebay_testkit::scratch::Scratch;
use forebay_testkit::tls::{Authority, Wish};

use super::*;

/// A file of one route, with this in front.
fn file(first: &str) -> String {
    format!("{first}\nroutes: [{{match: /*, respond: 200}}]\n")
}

fn plan(text: &str) -> Plan {
    load_with_files(text).plan
}

/// The problems of a file in the folder of the examples, where there are certificates.
fn problems_with_files(text: &str) -> Vec<String> {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let found = match load_text("f", text, Surroundings { env: &|_| None, base: Some(&base) }) {
        Ok(loaded) => loaded.warnings,
        Err(problems) => problems,
    };
    let mut found: Vec<_> = lines(&found).iter().map(|line| line.replacen("f:", "", 1)).collect();
    found.retain(|line| !line.contains("can read the private key"));
    found
}

#[track_caller]
fn check_listen(written: &str, expected: &[&str]) {
    let text = file(&format!("listen: {written}"));
    assert_eq!(problems_with_files(&text), expected, "{text}");
}

/// `tls` of a gateway that is reached with TLS and without.
fn tls(written: &str) -> Tls {
    let text = file(&format!("listen: [\":80\", \"https://:443\"]\ntls: {written}"));
    plan(&text).tls.expect("there is `tls`")
}

/// Mistakes in `tls`, from line 2, column 6 on.
#[track_caller]
fn check_tls(written: &str, expected: &[&str]) {
    let text = file(&format!("listen: [\":80\", \"https://:443\"]\ntls: {written}"));
    assert_eq!(problems_with_files(&text), expected, "{text}");
}

/// A service of a file whose certificates are those of the examples.
fn service(written: &str) -> Service {
    plan(&service_file(written)).services.remove(0)
}

fn service_file(written: &str) -> String {
    format!("listen: :80\nroutes: [{{match: /*, to: app}}]\nservices: {{app: {written}}}\n")
}

/// Mistakes in a service, from line 3, column 17 on.
#[track_caller]
fn check_service(written: &str, expected: &[&str]) {
    assert_eq!(problems_with_files(&service_file(written)), expected, "{written}");
}

fn route(defaults: &str, written: &str) -> Route {
    let text = format!(
        "listen: :80\nservices: {{app: {{endpoints: [a:1]}}}}\ndefaults: {{{defaults}}}\n\
         routes: [{{match: /*, to: app{written}}}]\n"
    );
    plan(&text).routes.remove(0)
}

#[test]
fn what_is_spoken_at_an_address_stands_in_front_of_it_or_beside_it() {
    let text = file(
        "listen:\n  - :80\n  - https://:443\n  - unix:/run/a.sock\n  \
         - {address: https://:444, http2: off, http3: on}\n  - {address: https://:445, proxy_protocol: on}\n\
         tls: {domains: a.test}\ntrusted_proxies: [10.0.0.1]",
    );
    let loaded = load_ok(&text);
    let shown: Vec<_> = loaded.server.listen.iter().map(ToString::to_string).collect();
    let expected = [
        "0.0.0.0:80",
        "https://0.0.0.0:443",
        "unix:/run/a.sock",
        "https://0.0.0.0:444",
        "https://0.0.0.0:445",
    ];
    assert_eq!(shown, expected);
    let plain = Listener::default();
    let secured = Listener { tls: true, ..plain };
    let long = Listener { http2: false, http3: true, ..secured };
    let behind = Listener { proxy_protocol: true, ..secured };
    assert_eq!(loaded.plan.listeners, [plain, secured, plain, long, behind]);
}

#[test]
fn mistakes_about_addresses_say_what_to_write() {
    let certificates = "write `tls: {cert: shop.pem, key: shop.key}`, or, to have one from Let's Encrypt, \
                        `tls: {domains: shop.example.com, email: you@example.com}`";
    check_listen(
        "[https://:443, https://:444]",
        &[&format!("1:10: error: `https://` needs a certificate; {certificates}")],
    );
    check_listen(
        "{address: :80, http3: on}",
        &[
            "1:31: error: HTTP/3 is always secured; write `https://` in front of the address, or remove `http3`",
        ],
    );
    check_listen(
        "{address: :80, proxy_protocol: on}",
        &["1:40: error: nobody may send a PROXY protocol header: no proxy is trusted; \
           name the balancer in front, such as `trusted_proxies: [10.0.0.0/8]`"],
    );
    check_listen(
        "{address: unix:/a, proxy_protocol: on}",
        &["1:44: error: nobody may send a PROXY protocol header: no proxy is trusted; \
           name the balancer in front, such as `trusted_proxies: [127.0.0.1]`"],
    );
    check_listen(
        "{address: https://:443, http3: on, proxy_protocol: on}\ntls: {domains: a.test}\ntrusted_proxies: [10.0.0.1]",
        &["1:40: error: connections of HTTP/3 have no PROXY protocol header in front of them; \
           remove one of them, or give each an address of its own"],
    );
    check_listen(
        "https://unix:/a",
        &["1:9: error: `https://unix:/a`: there is no TLS on Unix sockets; write `unix:/a`"],
    );
    check_listen(
        "{address: :80, http2: true}",
        &["1:31: error: `http2` must be `on` or `off`, not `true`; did you mean `on`?"],
    );
    check_listen(
        "unix:a.sock",
        &["1:9: error: `unix:a.sock`: a Unix socket has an absolute path; write `unix:/a.sock`"],
    );
    check_listen("[unix:/a, unix:/a]", &["1:19: error: unix:/a is listened on twice; keep one of them"]);
    check_listen(
        "[\"https://:80\", :80]\ntls: {domains: a.test}",
        &["1:25: error: 0.0.0.0:80 is listened on twice; keep one of them"],
    );
}

#[test]
fn certificates_come_from_files_or_from_an_acme_server() {
    let one = tls("{cert: certs/shop.test.pem, key: certs/shop.test.key}");
    let several = tls("{certificates: [{cert: certs/shop.test.pem, key: certs/shop.test.key}]}");
    assert_eq!(one.server.settings(), several.server.settings());
    assert_eq!(one.server.settings().certificates.len(), 1);
    assert_eq!((one.acme, &*one.server.settings().certificates[0].origin), (None, "certs/shop.test.pem"));

    let acme =
        tls("{domains: [Shop.test, www.shop.test.], email: ops@shop.test}").acme.expect("there are domains");
    let names: Vec<_> = acme.domains.iter().map(|name| &**name).collect();
    assert_eq!(names, ["shop.test", "www.shop.test"]);
    assert_eq!(acme.email.as_deref(), Some("ops@shop.test"));
    assert_eq!(&*acme.directory, "https://acme-v02.api.letsencrypt.org/directory");
    assert_eq!((&*acme.storage, acme.challenge), (Path::new("/var/lib/forebay/acme"), Challenge::Http01));
}

#[test]
fn where_certificates_are_kept_is_what_the_environment_says() {
    let storage = |set: &[(&str, &str)]| {
        let env =
            |name: &str| set.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned());
        let text = file("listen: https://:443\ntls: {domains: a.test}");
        let loaded = load_text("f", &text, Surroundings { env: &env, base: None }).expect("it is right");
        loaded.plan.tls.and_then(|tls| tls.acme).expect("there are domains").storage
    };
    let home = ("HOME", "/home/me");
    let state = ("STATE_DIRECTORY", "/var/lib/gateway:/var/lib/other");
    assert_eq!(&*storage(&[]), Path::new("/var/lib/forebay/acme"));
    assert_eq!(&*storage(&[home]), Path::new("/home/me/.local/share/forebay/acme"));
    assert_eq!(&*storage(&[home, ("XDG_DATA_HOME", "/data")]), Path::new("/data/forebay/acme"));
    assert_eq!(&*storage(&[home, state]), Path::new("/var/lib/gateway/acme"));
    assert_eq!(&*storage(&[("HOME", "relative")]), Path::new("/var/lib/forebay/acme"));
}

#[test]
fn the_challenge_is_one_that_can_be_answered() {
    let challenge = |listen: &str, acme: &str| {
        let plan = plan(&file(&format!("listen: {listen}\ntls: {{domains: a.test, acme: {{{acme}}}}}")));
        plan.tls.and_then(|tls| tls.acme).map(|acme| acme.challenge)
    };
    assert_eq!(challenge("https://:443", ""), Some(Challenge::TlsAlpn01));
    assert_eq!(challenge("[\":80\", \"https://:443\"]", ""), Some(Challenge::Http01));
    assert_eq!(
        challenge("[\":80\", \"https://:443\"]", "challenge: tls-alpn-01"),
        Some(Challenge::TlsAlpn01)
    );
    let text = file("listen: https://:443\ntls: {domains: a.test, acme: {challenge: http-01}}");
    assert_eq!(
        problems_with_files(&text),
        [
            "2:42: error: nobody answers `http-01`, a request to port 80: no address is listened on without TLS; \
          write `http://0.0.0.0:80` under `listen`, or `challenge: tls-alpn-01`"
        ]
    );
}

#[test]
fn what_is_asked_of_clients_is_told() {
    let usual = tls("{domains: a.test}");
    let settings = usual.server.settings();
    assert_eq!((settings.min_version, settings.tickets, &settings.client_auth), (Version::V1_2, true, &None));
    assert_eq!((settings.unknown_name, usual.hsts), (UnknownName::First, None));

    let strict = tls(
        "{domains: a.test, min_version: 1.3, client_ca: certs/ca.pem, client_auth: request, tickets: off, \
         unknown_name: refuse}",
    );
    let settings = strict.server.settings();
    assert_eq!((settings.min_version, settings.tickets), (Version::V1_3, false));
    assert_eq!(settings.unknown_name, UnknownName::Refuse);
    assert!(settings.client_auth.as_ref().is_some_and(|auth| !auth.required));
    let required = tls("{domains: a.test, client_ca: certs/ca.pem}");
    assert!(required.server.settings().client_auth.as_ref().is_some_and(|auth| auth.required));
}

#[test]
fn browsers_are_told_for_how_long_to_come_with_tls() {
    for (written, expected) in [
        ("off", None),
        ("on", Some("max-age=31536000")),
        ("1d", Some("max-age=86400")),
        ("{}", Some("max-age=31536000")),
        ("{max_age: 1h, include_subdomains: true}", Some("max-age=3600; includeSubDomains")),
        ("{preload: true}", Some("max-age=31536000; includeSubDomains; preload")),
    ] {
        assert_eq!(
            tls(&format!("{{domains: a.test, hsts: {written}}}")).hsts.as_deref(),
            expected,
            "{written}"
        );
    }
    check_tls(
        "{domains: a.test, hsts: {preload: true, max_age: 1d}}",
        &["2:31: error: lists in browsers want all subdomains and a `max_age` of at least 365d; \
           remove `preload`, or what is in its way"],
    );
}

#[test]
fn requests_without_tls_are_redirected_where_that_is_what_port_80_is_for() {
    let redirect = |listen: &str, written: &str| {
        let text = file(&format!("listen: {listen}\ntls: {{domains: a.test{written}}}"));
        plan(&text).tls.and_then(|tls| tls.redirect)
    };
    let (both, other) = ("[\":80\", \"https://:443\"]", "[\":8080\", \"https://:8443\"]");
    assert_eq!(redirect(both, ""), Some(443));
    assert_eq!(redirect(both, ", redirect: off"), None);
    assert_eq!(redirect(other, ""), None);
    assert_eq!(redirect(other, ", redirect: on"), Some(8443));
    assert_eq!(redirect(other, ", redirect: 443"), Some(443));
    assert_eq!(redirect("[\":80\", \":8080\", \"https://:443\"]", ""), None);
    assert_eq!(redirect("[\":80\", unix:/a, \"https://:443\"]", ""), None);
    assert_eq!(redirect("https://:443", ""), None);
}

#[test]
fn mistakes_about_tls_say_what_to_write() {
    check_tls(
        "{}",
        &["2:6: error: `cert`, `certificates` or `domains` is missing in this tls; \
           write, for example, `cert: certs/shop.test.pem`"],
    );
    check_tls(
        "{cert: nowhere.pem, key: nowhere.key}",
        &[
            "2:13: error: cannot read `nowhere.pem`: No such file or directory (os error 2); \
             give the path of a file in PEM that we may read",
            "2:31: error: cannot read `nowhere.key`: No such file or directory (os error 2); \
             give the path of a file in PEM that we may read",
        ],
    );
    check_tls(
        "{cert: certs, key: certs/shop.test.key}",
        &[
            "2:13: error: cannot read `certs`: it is not a regular file; give the path of a file in PEM that we may read",
        ],
    );
    check_tls(
        "{domains: a.test, key: a.key}",
        &["2:24: error: `key` without `cert`; write `cert: FILE` beside it"],
    );
    check_tls(
        "{cert: certs/shop.test.pem, key: certs/shop.test.key, email: a@b, acme: {}}",
        &[
            "2:60: error: `email` does nothing without `domains`; write `domains`, or remove it",
            "2:72: error: `acme` does nothing without `domains`; write `domains`, or remove it",
        ],
    );
    check_tls(
        "{domains: [\"*.a.test\", a.test:1, 10.0.0.1, a_b, a.test, A.test, -x.com, x-.com, localhost]}",
        &[
            "2:17: error: `*.a.test`: certificates for wildcards need a challenge by DNS, which is not available in \
             this version; list the names, or give a certificate by file",
            "2:29: error: `a.test:1`: a name has no port here; write, for example, `shop.example.com`",
            "2:39: error: `10.0.0.1`: certificates by ACME are for names, not for addresses; \
             write, for example, `shop.example.com`",
            "2:49: error: `a_b`: this is no host name; write, for example, `shop.example.com`",
            "2:62: error: `a.test` stands twice; keep one of them",
            "2:70: error: `-x.com`: this is no host name; write, for example, `shop.example.com`",
            "2:78: error: `x-.com`: this is no host name; write, for example, `shop.example.com`",
            "2:86: error: `localhost`: a name without a dot is nobody's in particular, and no ACME server vouches for it; \
             write, for example, `shop.example.com`",
        ],
    );
    check_tls(
        "{domains: a.test, email: nobody, acme: {directory: http://a.test/}}",
        &[
            "2:31: error: `nobody` is no address of e-mail; write, for example, `ops@example.com`",
            "2:57: error: `http://a.test/` is no directory of an ACME server; \
             write `production`, `staging`, or a URL that begins with `https://`",
        ],
    );
    check_tls(
        "{domains: a.test, email: mailto:ops@a.test}",
        &["2:31: error: `mailto:ops@a.test`: an address of e-mail, not a URL; write `ops@a.test`"],
    );
    check_tls(
        "{domains: a.test, client_auth: require}",
        &["2:24: error: `client_auth` does nothing without `client_ca`, who vouches for clients; \
           write `client_ca: FILE`, or remove it"],
    );
    check_tls(
        "{domains: a.test, min_version: 1.1}",
        &["2:37: error: `min_version` must be `1.2` or `1.3`, not `1.1`; did you mean `1.2`?"],
    );
    let long = "a".repeat(64);
    check_tls(
        &format!("{{domains: {long}.test}}"),
        &[&format!(
            "2:16: error: `{}...`: this is no host name; write, for example, `shop.example.com`",
            &long[..60]
        )],
    );
    check_tls(
        "{domains: a.test, acme: {storage: tls.yaml/acme}}",
        &["2:40: error: certificates cannot be kept in `tls.yaml/acme`: there is a file in its place; \
           give a folder, which is made if it is missing"],
    );
    assert_eq!(
        problems_with_files(&file("listen: :80\ntls: {domains: a.test, redirect: off}")),
        ["2:1: warning: `tls` does nothing: no address is listened on with it; \
          write, for example, `listen: https://0.0.0.0:443`"]
    );
}

#[test]
fn a_certificate_and_a_key_of_another_are_told_apart() {
    check_tls(
        "{cert: certs/shop.test.pem, key: certs/app.internal.key}",
        &[
            "2:39: error: `certs/app.internal.key`: the private key for certs/shop.test.pem is not that of the \
           certificate; give the key it was issued for",
        ],
    );
    check_tls(
        "{cert: certs/shop.test.pem}",
        &["2:13: error: there is no private key for certs/shop.test.pem; \
           give one in PEM: PKCS #8, PKCS #1 or SEC 1"],
    );
}

#[test]
fn files_without_a_text_of_settings_are_not_read() {
    assert_eq!(
        problems(&file("listen: https://:443\ntls: {cert: a, key: b}")),
        [
            "2:13: error: cannot read `a`: there are no files here; give the path of a file in PEM that we may read",
            "2:21: error: cannot read `b`: there are no files here; give the path of a file in PEM that we may read",
        ]
    );
}

#[test]
fn a_key_that_everybody_can_read_is_told_and_files_are_noted() {
    let scratch = Scratch::new("keys");
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/certs");
    let copy = |name: &str| {
        let content = std::fs::read(examples.join(name)).expect("it is there");
        scratch.write(name, content)
    };
    let (cert, key) = (copy("shop.test.pem"), copy("shop.test.key"));
    let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(&key, mode(0o644)).expect("it was just written");
    let settings = scratch
        .write("forebay.yaml", file("listen: https://:443\ntls: {cert: shop.test.pem, key: shop.test.key}"));
    let mut files = Vec::new();
    let loaded = load_noting(&settings, &mut files).expect("it is right");
    let paths: Vec<_> = files.iter().map(Watched::path).collect();
    assert_eq!((&paths, &loaded.files), (&vec![&*cert, &*key], &files));
    let told = lines(&loaded.warnings);
    assert!(
        told[0].contains("everybody on this machine can read the private key in `shop.test.key`"),
        "{told:?}"
    );
    std::fs::set_permissions(&key, mode(0o640)).expect("it was just written");
    assert_eq!(lines(&load(&settings).expect("it is right").warnings), [""; 0]);
    std::fs::remove_file(&key).expect("it was there");
    load_noting(&settings, &mut files).expect_err("the key is gone");
    assert_eq!(files.len(), 2, "what is not there is watched too");
    assert!(files.iter().all(|file| file.again() == *file));
    scratch.write("shop.test.key", "");
    assert!(files[1].again() != files[1], "its coming is a change");
}

#[test]
fn certificates_that_are_never_shown_or_vouch_for_nobody_are_told() {
    let scratch = Scratch::new("certificates");
    let authority = Authority::new("a root");
    let write = |name: &str, wish: &Wish<'_>| {
        let issued = authority.grant(wish);
        let path = scratch.write(name, issued.certificate + &issued.key);
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .expect("it was just written");
    };
    let good = Wish { names: &["a.test"], subject: "somebody", ..Wish::default() };
    write("one.pem", &good);
    write("two.pem", &good);
    write("edwards.pem", &Wish { ed25519: true, ..good.clone() });
    write("nameless.pem", &Wish { names: &[], ..good });
    let old = Wish { subject: "old root", authority: true, expired: true, ..Wish::default() };
    scratch.write("old.pem", forebay_testkit::tls::Issued::self_signed(&old).certificate);
    scratch.write("ca.pem", authority.pem());
    let check = |written: &str, expected: &[&str]| {
        let text = file(&format!("listen: [\":80\", \"https://:443\"]\ntls: {written}"));
        let around = Surroundings { env: &|_| None, base: Some(scratch.path()) };
        let warnings = load_text("f", &text, around).expect("it can be used").warnings;
        assert_eq!(lines(&warnings), expected, "{text}");
    };
    check("{certificates: [{cert: one.pem}, {cert: edwards.pem}], client_ca: ca.pem}", &[]);
    check(
        "{certificates: [{cert: one.pem}, {cert: edwards.pem}, {cert: two.pem}]}",
        &["f:2:21: warning: the certificate in `two.pem` is not shown while that in `one.pem` is valid; \
           keep one of them: the names and the kind of key are the same"],
    );
    check(
        "{cert: one.pem, domains: [a.test]}",
        &[
            "f:2:13: warning: `a.test` is in `domains` and in `one.pem`; keep one of them: the certificate in the \
           file is shown, the one that renews itself is not",
        ],
    );
    check(
        "{cert: nameless.pem}",
        &["f:2:13: warning: the certificate in `nameless.pem` is for no name: browsers refuse it; \
           issue it anew with the extension subjectAltName"],
    );
    check(
        "{cert: one.pem, client_ca: two.pem}",
        &["f:2:33: warning: `CN=somebody` in `two.pem` vouches for nobody: it is not a CA; \
           give the certificate of who issued those of clients"],
    );
    check(
        "{cert: one.pem, client_ca: old.pem}",
        &["f:2:33: warning: `CN=old root` in `old.pem` is not valid now; \
           take it out, or give a new one: clients that it vouches for are still let in"],
    );
}

#[test]
fn services_say_what_their_endpoints_speak() {
    let usual = service("{endpoints: [a:1]}");
    assert_eq!((usual.protocol, usual.tls.is_none(), usual.proxy_protocol), (Protocol::Http1, true, None));
    let h2c = service("{endpoints: [unix:/run/a.sock], protocol: h2c}");
    assert_eq!((h2c.protocol, &*h2c.endpoints[0].address), (Protocol::H2c, "unix:/run/a.sock"));
    assert_eq!(service("{endpoints: [a:1], proxy_protocol: v2}").proxy_protocol, Some(ProxyProtocol::V2));
    for (protocol, expected, offer) in [
        ("http1", Protocol::Http1, Offer::Http1),
        ("h2", Protocol::H2, Offer::Http2),
        ("auto", Protocol::Auto, Offer::Both),
    ] {
        let service = service(&format!(
            "{{endpoints: [a:1], protocol: {protocol}, tls: {{ca: certs/ca.pem, cert: certs/gateway.pem, \
             key: certs/gateway.key, name: app.internal}}}}"
        ));
        let settings = service.tls.as_ref().expect("it is secured").settings();
        assert_eq!((service.protocol, settings.offer), (expected, offer));
        assert_eq!(settings.name.as_deref(), Some("app.internal"));
        assert!(settings.ca.is_some() && settings.certificate.is_some());
    }
}

#[test]
fn what_does_not_agree_in_a_service_is_told() {
    check_service(
        "{endpoints: [a:1], protocol: h2}",
        &["3:46: error: `h2` is HTTP/2 with TLS, and there is no `tls`; \
           add `tls: on`, or write `h2c` for HTTP/2 without it"],
    );
    check_service(
        "{endpoints: [a:1], protocol: auto}",
        &["3:46: error: `auto` is agreed on during the TLS handshake, and there is no `tls`; \
           add `tls: on`, or write `http1` or `h2c`"],
    );
    check_service(
        "{endpoints: [a:1], protocol: h2c, tls: {ca: certs/ca.pem}}",
        &["3:46: error: `h2c` is HTTP/2 without TLS, and there is `tls`; write `h2`, or remove `tls`"],
    );
    check_service(
        "{endpoints: [a:1], protocol: h2c, proxy_protocol: v1}",
        &["3:67: error: an HTTP/2 connection serves many clients, and `proxy_protocol` names one; \
           write `protocol: http1`, or remove `proxy_protocol`: `Forwarded` says who the client is"],
    );
    check_service(
        "{endpoints: [unix:/a], tls: {ca: certs/ca.pem}}",
        &["3:45: error: it is not known which name a server behind a Unix socket has to prove; \
           write, for example, `tls: {name: app.internal}`"],
    );
    check_service(
        "{endpoints: [a:1], tls: {ca: certs/ca.pem, name: a:1}}",
        &["3:66: error: `a:1` is no name that a certificate can be for; \
           write a host name without port, such as `app.internal`"],
    );
    check_service(
        "{endpoints: [https://a.test]}",
        &["3:30: error: `https://a.test`: an endpoint is `host:port`, without `https://`; \
           write `a.test:443`, and `tls: on` in its service"],
    );
    check_service(
        "{endpoints: [unix:/a, unix:/A, unix:/a]}",
        &[
            "3:48: error: `unix:/a` stands twice in this service; keep one, with a `weight` if it is to get more",
        ],
    );
    check_service(
        "{endpoints: [unix:/a], health: {path: /h, port: 1}}",
        &[
            "3:65: error: a Unix socket has no other port to ask at; remove `port`, or name endpoints by IP address",
        ],
    );
}

#[test]
fn health_is_asked_for_by_the_protocol_of_grpc() {
    let check = |health: &str| {
        let service = service(&format!("{{endpoints: [a:1], protocol: h2c, health: {health}}}"));
        service.health.map(|health| health.check)
    };
    assert_eq!(check("grpc"), Some(Check::Grpc("".into())));
    assert_eq!(check("{grpc: shop.Cart, interval: 5s}"), Some(Check::Grpc("shop.Cart".into())));
    check_service(
        "{endpoints: [a:1], health: grpc}",
        &["3:44: error: gRPC is spoken over HTTP/2, and this service speaks HTTP/1.1; \
           write `protocol: h2c`, or `h2` with `tls: on`"],
    );
    check_service(
        "{endpoints: [a:1], protocol: h2c, health: {grpc: a, status: 200}}",
        &["3:69: error: `status` needs `path`: a gRPC check asks as the protocol says; \
           remove it, or write `path` in place of `grpc`"],
    );
}

#[test]
fn a_route_says_what_connections_may_turn_into_or_the_defaults_do() {
    let names = |route: &Route| route.upgrade.allowed.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(route("", "").upgrade, Upgrades::default());
    assert_eq!(names(&route("upgrade: off", "")), [""; 0]);
    assert_eq!(names(&route("upgrade: off", ", upgrade: websocket")), ["websocket"]);
    assert_eq!(names(&route("", ", upgrade: [WebSocket, chat]")), ["websocket", "chat"]);
    let long = route("", ", upgrade: {allow: chat, idle: 1h, lifetime: 24h}").upgrade;
    let (idle, lifetime) = (Duration::from_secs(3_600), Some(Duration::from_secs(86_400)));
    assert_eq!(long, Upgrades { allowed: vec!["chat".into()], idle, lifetime });
    assert_eq!(route("", ", upgrade: {idle: 1h}").upgrade, Upgrades { idle, ..Upgrades::default() });
    assert!(!route("", "").grpc_web && route("grpc_web: on", "").grpc_web);
    assert!(!route("grpc_web: on", ", grpc_web: off").grpc_web);
}

#[test]
fn mistakes_about_upgrades_say_what_to_write() {
    let check = |written: &str, expected: &[&str]| {
        let text = format!(
            "listen: :80\nservices: {{app: {{endpoints: [a:1]}}}}\nroutes: [{{match: /*, to: app, upgrade: {written}}}]\n"
        );
        assert_eq!(problems(&text), expected, "{written}");
    };
    check(
        "h2c",
        &["3:40: error: an upgrade to `h2c` would be a tunnel past all routes; \
           remove it; for HTTP/2 to the service, write `protocol: h2c` there"],
    );
    check(
        "[a b, chat, Chat]",
        &[
            "3:41: error: `a b` is not the name of a protocol; write, for example, `websocket`, without version",
            "3:52: error: `chat` stands twice; keep one of them",
        ],
    );
    assert_eq!(
        problems("listen: :80\nroutes: [{match: /*, respond: 200, upgrade: off, grpc_web: on}]\n"),
        [
            "2:36: error: `upgrade` does nothing here: nothing is forwarded by a route with `respond`; remove it",
            "2:50: error: `grpc_web` does nothing here: nothing is forwarded by a route with `respond`; remove it",
        ]
    );
}

#[test]
fn bounds_on_http2_are_their_own_and_those_of_all_requests() {
    let http2 =
        |written: &str| load_ok(&file(&format!("listen: :80\nlimits: {{{written}}}"))).plan.limits.http2;
    let usual = h2::Limits::default();
    assert_eq!(http2("idle: 1s"), usual);
    assert_eq!(
        http2("head_bytes: 16KiB, headers: 50, write_stall: 3s"),
        h2::Limits { head_bytes: 16 << 10, fields: 50, stall: Duration::from_secs(3), ..usual }
    );
    assert_eq!(
        http2("http2: {streams: 5, stream_window: 2MiB}"),
        h2::Limits { streams: 5, stream_window: 2 << 20, connection_window: 2 << 20, ..usual }
    );
    assert_eq!(
        problems(&file("listen: :80\nlimits: {http2: {stream_window: 2MiB, connection_window: 1MiB}}")),
        [
            "2:58: error: all requests of a connection together have less room than one of them, `stream_window`; \
          keep `connection_window` at least as large as `stream_window`"
        ]
    );
}

#[test]
fn addresses_of_the_command_line_are_secured_by_the_certificates_of_the_file() {
    let text =
        file("listen: [\":80\", {address: https://127.0.0.1:443, http2: off}]\ntls: {domains: a.test}");
    let listen = |addresses: &[&str]| {
        let mut loaded = load_ok(&text);
        let addresses: Vec<_> = addresses.iter().map(|address| (*address).to_owned()).collect();
        override_addresses(&mut loaded, &addresses, None).map(|()| loaded.plan)
    };
    let plan =
        listen(&["https://127.0.0.1:443", "https://127.0.0.1:444", "127.0.0.1:81"]).expect("it is right");
    let secured = Listener { tls: true, ..Listener::default() };
    assert_eq!(plan.listeners, [Listener { http2: false, ..secured }, secured, Listener::default()]);
    assert_eq!(plan.tls.and_then(|tls| tls.redirect), Some(443));
    let plain = listen(&["127.0.0.1:81"]).expect("it is right");
    assert_eq!(plain.tls.and_then(|tls| tls.redirect), None, "there is nothing to redirect to");
    let to = ["a:1".to_owned()];
    let told = from_flags(&to, &["https://127.0.0.1:443".to_owned()]).expect_err("there is no certificate");
    assert_eq!(
        lines(&told),
        [
            "--listen: error: `https://127.0.0.1:443` needs a certificate; in a settings file, write `tls: {cert: \
          shop.pem, key: shop.key}`, or, to have one from Let's Encrypt, `tls: {domains: shop.example.com, email: \
          you@example.com}`"
        ]
    );
}
