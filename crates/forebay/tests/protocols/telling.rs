//! What metrics, the access log and the operator's log tell of protocols.

use std::process::Command;

use forebay_net::h2::frame::{ErrorCode, PREFACE, write};
use forebay_testkit::check::eventually;
use forebay_testkit::gateway;
use forebay_testkit::gateway::Gateway;
use forebay_testkit::metrics::sum;
use forebay_testkit::origin::Origin;
use forebay_testkit::scratch::Scratch;
use forebay_testkit::servers::{run, tool};
use forebay_testkit::tls::Authority;
use forebay_testkit::wire::Client;
use serde_json::Value;

use crate::certificates::{self, server, text, write as write_pair};
use crate::programs::{output_of, settings};

#[test]
fn metrics_tell_what_is_spoken() {
    let (origin, folder) = (Origin::echo(), certificates::folder());
    let gateway = gateway!("{}", settings(text(folder.path()), origin.address(), "", ""));
    let curl = |arguments: &[&str]| {
        let mut curl = Command::new(tool("curl"));
        curl.args(["--silent", "--show-error", "--fail", "--max-time", "20", "--cacert"]);
        run(curl.arg(folder.path().join("ca.pem")).args(arguments)).status.success()
    };
    let (plain, secured) =
        (format!("http://{}/", gateway.listen()[0]), format!("https://{}/", gateway.listen()[1]));
    assert!(curl(&["--http1.1", &plain]));
    assert!(curl(&["--http1.0", &plain]));
    assert!(curl(&["--http2-prior-knowledge", &plain]));
    assert!(curl(&["--http2", "--tls-max", "1.2", &secured]));
    assert!(curl(&["--http1.1", &secured]));
    // It does not believe us, and one speaks no TLS.
    assert!(!curl(&["--capath", "/nowhere", "--cacert", "/dev/null", &secured]));
    assert!(!curl(&["--http1.1", &format!("http://{}/", gateway.listen()[1])]));
    let expected = [
        ("forebay_requests_by_version_total{version=\"HTTP/1.0\"}", 1.0),
        ("forebay_requests_by_version_total{version=\"HTTP/1.1\"}", 2.0),
        ("forebay_requests_by_version_total{version=\"HTTP/2\"}", 2.0),
        ("forebay_tls_handshakes_total{version=\"TLSv1.2\",resumed=\"no\"}", 1.0),
        ("forebay_tls_handshakes_total{version=\"TLSv1.3\",resumed=\"no\"}", 1.0),
        ("forebay_tls_handshakes_failed_total{reason=\"not_tls\"}", 1.0),
        ("forebay_http2_connections_ended_total{side=\"client\"}", 2.0),
        ("forebay_connections_by_protocol", 0.0),
        ("forebay_streams", 0.0),
    ];
    for (series, value) in expected {
        gateway.await_metric(series, |now| (now - value).abs() < 0.5);
    }
}

#[test]
fn metrics_tell_of_an_attack_once_it_is_over() {
    let (origin, folder) = (Origin::echo(), certificates::folder());
    let gateway = gateway!("{}", settings(text(folder.path()), origin.address(), "", ""));
    let mut client = Client::connect(gateway.listen()[0]);
    let mut bytes = PREFACE.to_vec();
    write::settings(&mut bytes, &[]);
    for _ in 0..500 {
        write::ping(&mut bytes, *b"hurry up");
    }
    client.send(&bytes).expect("it is taken for long enough");
    let ended = "forebay_http2_goaways_total{side=\"client\",direction=\"sent\",code=\"ENHANCE_YOUR_CALM\"}";
    assert_eq!(ErrorCode::ENHANCE_YOUR_CALM.name(), Some("ENHANCE_YOUR_CALM"));
    gateway.await_metric(ended, |count| count >= 1.0);
    let page = gateway.metrics();
    assert!(sum(&page, "forebay_http2_glitches_total{side=\"client\"}") > Some(300.0), "{page}");
}

/// What the access log says of the only request.
fn record(gateway: &Gateway) -> Value {
    let line = eventually("an access record", || gateway.stdout().lines().next().map(str::to_owned));
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
fn the_access_log_tells_how_a_connection_is_secured() {
    let (origin, folder, authority) = (Origin::echo(), Scratch::new("telling"), Authority::new("ours"));
    write_pair(&server(&authority, &["localhost"]), &folder, "cert");
    write_pair(&authority.issue_client("friend"), &folder, "friend");
    folder.write("ca.pem", authority.pem());
    let path = text(folder.path());
    let gateway = gateway!(
        "listen: https://127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 1\nlogs: {{ access: json }}\n\
         tls: {{ cert: \"{path}/cert.pem\", key: \"{path}/cert.key\", client_ca: \"{path}/ca.pem\" }}\n\
         services:\n  app: {{ endpoints: [\"{}\"] }}\nroutes:\n  - {{ match: /*, to: app }}\n",
        origin.address()
    );
    let port = gateway.addr().port();
    let mut curl = Command::new(tool("curl"));
    curl.args(["--silent", "--show-error", "--max-time", "20", "--cacert", &format!("{path}/ca.pem")]);
    curl.args(["--cert", &format!("{path}/friend.pem"), "--key", &format!("{path}/friend.key")]);
    curl.args(["--resolve", &format!("localhost:{port}:127.0.0.1"), &format!("https://localhost:{port}/")]);
    output_of(&mut curl);
    let told = record(&gateway);
    assert_eq!([&told["tls"], &told["sni"], &told["client_subject"]], ["TLSv1.3", "localhost", "CN=friend"]);
}

#[test]
fn a_server_with_a_certificate_of_its_own_making_is_believed_if_it_is_given_as_ca() {
    let folder = Scratch::new("itself");
    let path = text(folder.path());
    let make = |name: &str| {
        let mut openssl = Command::new(tool("openssl"));
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
        openssl.args(["-keyout", &format!("{path}/{name}.key"), "-out", &format!("{path}/{name}.pem")]);
        openssl.args(["-days", "2", "-subj", "/CN=inner", "-addext", "subjectAltName=DNS:inner.test"]);
        output_of(&mut openssl);
    };
    make("own");
    make("another");
    let origin = Origin::echo();
    // A gateway stands for the server.
    let inner = gateway!(
        "listen: https://127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 1\n\
         tls: {{ cert: \"{path}/own.pem\", key: \"{path}/own.key\" }}\n\
         services:\n  app: {{ endpoints: [\"{}\"] }}\nroutes:\n  - {{ match: /*, to: app }}\n",
        origin.address()
    );
    let check = |ca: &str, name: &str, status: u16, reason: &str| {
        let outer = gateway!(
            "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 1\nservices:\n  app:\n    endpoints: [\"{}\"]\n    \
             tls: {{ ca: \"{path}/{ca}.pem\", name: {name} }}\nroutes:\n  - {{ match: /*, to: app }}\n",
            inner.addr()
        );
        assert_eq!(outer.get("/").status, status, "{ca} {name}");
        eventually("the reason", || outer.stderr().contains(reason).then_some(()));
    };
    check("own", "inner.test", 200, "");
    check("own", "other.test", 502, "wrong_name");
    check("another", "inner.test", 502, "bad_certificate");
}
