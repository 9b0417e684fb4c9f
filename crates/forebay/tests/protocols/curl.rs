//! curl, with HTTP/1.1 and HTTP/2, with TLS and without.

use std::process::Command;

use forebay_testkit::gateway;
use forebay_testkit::gateway::Gateway;
use forebay_testkit::origin::Origin;
use forebay_testkit::scratch::Scratch;
use forebay_testkit::servers::tool;

use crate::certificates::{self, text};
use crate::programs::{output_of, settings};

/// The gateway before an origin, and the certificates it shows.
struct Setup {
    gateway: Gateway,
    folder: Scratch,
}

impl Setup {
    fn in_front_of(origin: &Origin) -> Self {
        let folder = certificates::folder();
        let gateway = gateway!("{}", settings(text(folder.path()), origin.address(), "", ""));
        Self { gateway, folder }
    }

    /// curl that believes the gateway's certificate and no other.
    fn curl(&self) -> Command {
        let mut curl = Command::new(tool("curl"));
        curl.args(["--silent", "--show-error", "--fail", "--max-time", "20", "--cacert"]);
        curl.arg(self.folder.path().join("ca.pem"));
        curl
    }

    fn plain(&self) -> String {
        format!("http://{}", self.gateway.listen()[0])
    }

    fn secured(&self) -> String {
        format!("https://{}", self.gateway.listen()[1])
    }
}

#[test]
fn every_version_is_spoken_with_and_without_tls() {
    let origin = Origin::echo();
    let setup = Setup::in_front_of(&origin);
    let check = |arguments: &[&str], base: &str, version: &str| {
        let mut curl = setup.curl();
        curl.args(arguments).args(["--write-out", "|%{http_version}", "--data-binary", "hello"]);
        let told = output_of(curl.arg(format!("{base}/a?b=c")));
        let expected = format!("hello|{version}");
        assert!(told.ends_with(&expected), "{arguments:?} {base}: {told}");
        assert!(told.starts_with("POST /a?b=c HTTP/1.1\r\n"), "{arguments:?} {base}: {told}");
        told.to_ascii_lowercase()
    };
    let (plain, secured) = (setup.plain(), setup.secured());
    check(&["--http1.1"], &plain, "1.1");
    check(&["--http2-prior-knowledge"], &plain, "2");
    check(&["--http1.1"], &secured, "1.1");
    let told = check(&["--http2"], &secured, "2");
    assert!(told.contains("x-forwarded-proto: https\r\n"), "{told}");
    check(&["--http2", "--tls-max", "1.2"], &secured, "2");
    check(&["--tlsv1.3", "--http2"], &secured, "2");
    check(&["--no-alpn"], &secured, "1.1");
    assert_eq!(origin.faults(), Vec::<String>::new());
}

#[test]
fn an_upgrade_to_h2c_is_not_taken_up_and_not_passed_on() {
    let origin = Origin::echo();
    let setup = Setup::in_front_of(&origin);
    let mut curl = setup.curl();
    curl.args(["--http2", "--write-out", "|%{http_version} %{http_code}"]);
    let told = output_of(curl.arg(format!("{}/a", setup.plain())));
    assert!(told.ends_with("|1.1 200"), "{told}");
    assert!(!told.to_ascii_lowercase().contains("h2c"), "{told}");
    assert!(!told.to_ascii_lowercase().contains("http2-settings"), "{told}");
}

#[test]
fn twenty_at_once_share_one_connection() {
    let origin = Origin::echo();
    let setup = Setup::in_front_of(&origin);
    let mut curl = setup.curl();
    curl.args(["--http2", "--parallel", "--parallel-max", "20", "--output", "/dev/null"]);
    curl.args(["--write-out", "%{http_code} %{num_connects}\n"]);
    let told = output_of(curl.arg(format!("{}/[1-20]", setup.secured())));
    let lines: Vec<&str> = told.lines().filter(|line| line.starts_with("200 ")).collect();
    assert_eq!(lines.len(), 20, "{told}");
    let connections = lines.iter().filter_map(|line| line.split(' ').nth(1)?.parse::<u32>().ok());
    assert_eq!(connections.sum::<u32>(), 1, "{told}");
    assert_eq!(origin.count(), 20);
}

#[test]
fn large_bodies_go_both_ways_whole() {
    let origin = Origin::start(|conn| {
        while let Ok(request) = conn.request() {
            conn.reply("200 OK", &request.body);
        }
    });
    let setup = Setup::in_front_of(&origin);
    let content: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    let file = setup.folder.write("large", &content);
    let back = setup.folder.path().join("back");
    for (base, version) in [
        (setup.plain(), "--http2-prior-knowledge"),
        (setup.secured(), "--http2"),
        (setup.secured(), "--http1.1"),
    ] {
        for framing in ["X-Framing: length", "Transfer-Encoding: chunked"] {
            let mut curl = setup.curl();
            curl.args([version, "--header", framing, "--upload-file"]).arg(&file);
            curl.arg("--output").arg(&back).arg(format!("{base}/up"));
            output_of(&mut curl);
            let same = std::fs::read(&back).expect("curl wrote it") == content;
            assert!(same, "{base} {version} {framing}: not what was sent");
        }
    }
    assert_eq!(origin.faults(), Vec::<String>::new());
}

#[test]
fn heads_without_bodies_and_refusals_look_alike_in_both_versions() {
    let origin = Origin::start(|conn| {
        while let Ok(request) = conn.request() {
            match request.target.as_str() {
                "/empty" => conn.send("HTTP/1.1 204 No Content\r\nx-a: b\r\n\r\n"),
                "/same" => conn.send("HTTP/1.1 304 Not Modified\r\netag: \"x\"\r\n\r\n"),
                _ => conn.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nx-a: b\r\n\r\n"),
            }
        }
    });
    let setup = Setup::in_front_of(&origin);
    let check = |arguments: &[&str], path: &str, expected: &[&str]| {
        for version in ["--http1.1", "--http2-prior-knowledge"] {
            let mut curl = Command::new(tool("curl"));
            curl.args(["--silent", "--show-error", "--max-time", "20", "--include", version]);
            let told = output_of(curl.args(arguments).arg(format!("{}{path}", setup.plain())));
            let told = told.to_ascii_lowercase();
            for part in expected {
                assert!(told.contains(part), "{version} {path}: no {part} in {told}");
            }
            assert!(!told.contains("transfer-encoding"), "{version} {path}: {told}");
        }
    };
    check(&[], "/empty", &[" 204", "x-a: b\r\n"]);
    check(&[], "/same", &[" 304", "etag: \"x\"\r\n"]);
    check(&["--head"], "/head", &[" 200", "content-length: 1000\r\n", "x-a: b\r\n"]);
    check(&["--request", "TRACE"], "/trace", &[" 405", "\r\nallow: "]);
}
