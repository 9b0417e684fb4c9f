//! What heads say of a connection: to services who has proved to be whom, to browsers how to come the next time.

use std::process::Command;

use forebay_testkit::check::eventually;
use forebay_testkit::gateway;
use forebay_testkit::gateway::Gateway;
use forebay_testkit::origin::Origin;
use forebay_testkit::scratch::Scratch;
use forebay_testkit::servers::{run, tool};
use forebay_testkit::tls::{Authority, Wish};

use crate::certificates::{self, server, text, write};
use crate::programs::output_of;

/// The answer of a gateway with TLS to `GET path`, head and all; `arguments` are curl's.
fn ask(gateway: &Gateway, folder: &Scratch, arguments: &[&str], path: &str) -> String {
    let mut curl = Command::new(tool("curl"));
    curl.args(["--silent", "--show-error", "--include", "--max-time", "20", "--cacert"]);
    curl.arg(folder.path().join("ca.pem")).args(arguments);
    output_of(curl.arg(format!("https://{}{path}", gateway.addr())))
}

/// All values of the header `name` in an answer.
fn values<'a>(answer: &'a str, name: &str) -> Vec<&'a str> {
    let head = answer.split("\r\n\r\n").next().unwrap_or_default();
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
}

#[test]
fn services_hear_by_which_names_a_client_has_proved_to_be_itself() {
    let (origin, folder, authority) = (Origin::echo(), Scratch::new("names"), Authority::new("a"));
    write(&server(&authority, &["127.0.0.1"]), &folder, "cert");
    folder.write("ca.pem", authority.pem());
    let wish = Wish {
        names: &["client1", "10.0.0.1"],
        uris: &["spiffe://shop.test/gateway"],
        subject: "client1",
        client: true,
        ..Wish::default()
    };
    write(&authority.grant(&wish), &folder, "client");
    let path = text(folder.path());
    let gateway = gateway!(
        "listen: https://127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 1\n\
         tls: {{ cert: \"{path}/cert.pem\", key: \"{path}/cert.key\", client_ca: \"{path}/ca.pem\" }}\n\
         services:\n  app: {{ endpoints: [\"{}\"] }}\nroutes:\n  - {{ match: /*, to: app }}\n",
        origin.address()
    );
    let mut openssl = Command::new(tool("openssl"));
    openssl.args(["x509", "-noout", "-fingerprint", "-sha256", "-in", &format!("{path}/client.pem")]);
    let told = output_of(&mut openssl);
    let hash = told.trim().split('=').nth(1).expect("a name and a hash").replace(':', "").to_lowercase();
    let shown = ["--cert", &format!("{path}/client.pem"), "--key", &format!("{path}/client.key")];
    for version in ["--http1.1", "--http2"] {
        ask(&gateway, &folder, &[&shown[..], &[version]].concat(), "/");
        let told = origin.last().headers.get("x-forwarded-client-cert").map(str::to_owned);
        let expected =
            format!("Hash={hash};Subject=\"CN=client1\";DNS=\"client1\";URI=\"spiffe://shop.test/gateway\"");
        assert_eq!(told, Some(expected), "{version}");
    }
}

#[test]
fn nobody_says_who_has_proved_to_be_whom_and_nobody_says_it_in_disguise() {
    let origin = Origin::echo();
    let start = |trusted: &str, underscores: &str| {
        gateway!(
            "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 1\ntrusted_proxies: [{trusted}]\n\
             limits: {{ header_underscores: {underscores} }}\n\
             services:\n  app: {{ endpoints: [\"{}\"] }}\n  other: {{ endpoints: [\"127.0.0.1:1\"] }}\n\
             routes:\n  - {{ match: /*, to: app }}\n\
             \x20 - {{ match: {{ path: /*, header: {{ x-forwarded-client-cert: \"*\" }} }}, to: other }}\n",
            origin.address()
        )
    };
    let sent = [
        "X-Forwarded-Client-Cert",
        "X_Forwarded_Client_Cert",
        "x-forwarded-client_cert",
        "X_Forwarded_For",
        "X_Real_IP",
        "X_Forwarded_Proto",
    ];
    for (trusted, underscores) in [("", "allow"), ("127.0.0.1", "allow"), ("127.0.0.1", "drop")] {
        let gateway = start(trusted, underscores);
        for version in ["--http1.1", "--http2-prior-knowledge"] {
            let mut curl = Command::new(tool("curl"));
            curl.args(["--silent", "--show-error", "--fail", "--max-time", "20", version]);
            for name in sent {
                curl.args(["--header", &format!("{name}: boss")]);
            }
            curl.args(["--header", "x_y: z", "--header", "X-Forwarded-Port: 7"]);
            let told = output_of(curl.arg(format!("http://{}/", gateway.addr()))).to_ascii_lowercase();
            assert!(!told.contains("boss"), "{trusted} {underscores} {version}: {told}");
            assert_eq!(told.contains("x_y: z\r\n"), underscores == "allow", "{told}");
            assert_eq!(told.contains("x-forwarded-port: 7\r\n"), !trusted.is_empty(), "{told}");
        }
    }
    let strict = start("127.0.0.1", "refuse");
    for name in ["X_Forwarded_For", "X-Forwarded-A_B"] {
        let mut curl = Command::new(tool("curl"));
        curl.args(["--silent", "--include", "--max-time", "20", "--header", &format!("{name}: boss")]);
        let told = output_of(curl.arg(format!("http://{}/", strict.addr())));
        assert!(told.starts_with("HTTP/1.1 400 ") && told.contains("header_underscore"), "{told}");
    }
}

#[test]
fn browsers_are_told_once_to_come_by_tls_only_and_by_the_service_first() {
    let origin = Origin::start(|conn| {
        while let Ok(request) = conn.request() {
            let hsts = match request.target.as_str() {
                "/own" | "/set" | "/add" | "/remove" => "Strict-Transport-Security: max-age=5\r\n",
                _ => "",
            };
            conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{hsts}\r\n"));
        }
    });
    let folder = certificates::folder();
    let path = text(folder.path());
    let gateway = gateway!(
        "listen: https://127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 1\n\
         tls: {{ cert: \"{path}/cert.pem\", key: \"{path}/cert.key\", hsts: 1d }}\n\
         services:\n  app: {{ endpoints: [\"{}\"] }}\nroutes:\n\
         \x20 - {{ match: /set, to: app, headers: {{ response: {{ set: {{ strict-transport-security: max-age=7 }} }} }} }}\n\
         \x20 - {{ match: /add, to: app, headers: {{ response: {{ add: {{ strict-transport-security: [max-age=7] }} }} }} }}\n\
         \x20 - {{ match: /remove, to: app, headers: {{ response: {{ remove: [strict-transport-security] }} }} }}\n\
         \x20 - {{ match: /fixed, respond: hello, headers: {{ response: {{ set: {{ strict-transport-security: max-age=7 }} }} }} }}\n\
         \x20 - {{ match: /bare, respond: hello, headers: {{ response: {{ remove: [strict-transport-security] }} }} }}\n\
         \x20 - {{ match: /here, respond: hello }}\n\
         \x20 - {{ match: /own, to: app }}\n  - {{ match: /none, to: app }}\n",
        origin.address()
    );
    for version in ["--http1.1", "--http2"] {
        let check = |path: &str, expected: &[&str]| {
            let told = ask(&gateway, &folder, &[version], path);
            assert_eq!(values(&told, "strict-transport-security"), expected, "{version} {path}: {told}");
        };
        check("/none", &["max-age=86400"]);
        check("/here", &["max-age=86400"]);
        check("/nowhere", &["max-age=86400"]);
        check("/own", &["max-age=5"]);
        check("/set", &["max-age=7"]);
        check("/add", &["max-age=5", "max-age=7"]);
        check("/remove", &[]);
        check("/fixed", &["max-age=7"]);
        check("/bare", &[]);
    }
}

#[test]
fn the_way_by_http_3_is_told_where_the_port_is_known() {
    let folder = certificates::folder();
    let path = text(folder.path());
    let gateway = gateway!(
        "listen: {{ address: \"https://127.0.0.1:0\", http3: on }}\nadmin: 127.0.0.1:0\nworkers: 1\n\
         tls: {{ cert: \"{path}/cert.pem\", key: \"{path}/cert.key\" }}\n\
         routes:\n  - {{ match: /*, respond: hello }}\n"
    );
    let port = gateway.addr().port();
    for version in ["--http1.1", "--http2"] {
        let check = |arguments: &[&str], path: &str, status: &str, expected: &[&str]| {
            let told = ask(&gateway, &folder, &[&[version], arguments].concat(), path);
            assert!(told.lines().next().is_some_and(|line| line.contains(status)), "{told}");
            assert_eq!(values(&told, "alt-svc"), expected, "{version} {arguments:?} {path}: {told}");
        };
        check(&[], "/", "200", &[&format!("h3=\":{port}\"; ma=86400")]);
        check(&["--header", "Host: localhost"], "/", "200", &["h3=\":443\"; ma=86400"]);
        // It was not looked at as far as the host.
        check(&[], "/%00", "400", &[]);
    }
}

#[test]
fn endpoints_that_do_not_let_us_in_after_the_handshake_say_so() {
    let (origin, folder) = (Origin::echo(), Scratch::new("refused"));
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    write(&server(&ours, &["127.0.0.1"]), &folder, "cert");
    write(&ours.issue_client("friend"), &folder, "friend");
    write(&theirs.issue_client("stranger"), &folder, "stranger");
    folder.write("ca.pem", ours.pem());
    let path = text(folder.path());
    let service = gateway!(
        "listen: https://127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 1\n\
         tls: {{ cert: \"{path}/cert.pem\", key: \"{path}/cert.key\", client_ca: \"{path}/ca.pem\" }}\n\
         services:\n  app: {{ endpoints: [\"{}\"] }}\nroutes:\n  - {{ match: /*, to: app }}\n",
        origin.address()
    );
    let check = |protocol: &str, client: &str, method: &str, expected: &str| {
        let shown = match client {
            "" => String::new(),
            name => format!(", cert: \"{path}/{name}.pem\", key: \"{path}/{name}.key\""),
        };
        let gateway = gateway!(
            "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 1\nservices:\n  inner:\n    protocol: {protocol}\n\
             \x20   endpoints: [\"{}\"]\n    tls: {{ ca: \"{path}/ca.pem\"{shown} }}\n\
             routes:\n  - {{ match: /*, to: inner }}\n",
            service.addr()
        );
        let mut curl = Command::new(tool("curl"));
        curl.args(["--silent", "--include", "--max-time", "20", "--request", method]);
        let output = run(curl.arg(format!("http://{}/", gateway.addr())));
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(told.starts_with(&format!("HTTP/1.1 {expected} ")), "{protocol} {client} {method}: {told}");
        if expected != "200" {
            assert!(told.contains("upstream_tls"), "{protocol} {client} {method}: {told}");
            // The log is written by a thread of its own.
            eventually("a line of the log", || gateway.stderr().contains("(refused)").then_some(()));
        }
    };
    for protocol in ["http1", "h2"] {
        for method in ["GET", "POST"] {
            check(protocol, "friend", method, "200");
            check(protocol, "", method, "502");
            check(protocol, "stranger", method, "502");
        }
    }
}
