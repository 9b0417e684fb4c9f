//! nghttp and h2load, of another library than curl's users usually see: many streams, odd settings.

use std::process::Command;

use forebay_testkit::gateway;
use forebay_testkit::gateway::Gateway;
use forebay_testkit::scratch::Scratch;
use forebay_testkit::servers::{Nginx, tool};

use crate::certificates::{self, text};
use crate::programs::{output_of, settings};

const FILES: [(&str, &[u8]); 2] = [("small.html", b"hello"), ("large", &[b'x'; 300_000])];

fn start() -> (Nginx, Gateway, Scratch) {
    let nginx = Nginx::start(&FILES);
    let folder = certificates::folder();
    let gateway = gateway!("{}", settings(text(folder.path()), nginx.address(), "", ""));
    (nginx, gateway, folder)
}

/// Both ways in.
fn bases(gateway: &Gateway) -> [String; 2] {
    [format!("http://{}", gateway.listen()[0]), format!("https://{}", gateway.listen()[1])]
}

#[test]
fn a_thousand_requests_on_many_streams_have_no_error() {
    let (_nginx, gateway, _folder) = start();
    for base in bases(&gateway) {
        for path in ["small.html", "large"] {
            let mut h2load = Command::new(tool("h2load"));
            h2load.args(["--requests", "1000", "--clients", "4", "--threads", "1"]);
            h2load.args(["--max-concurrent-streams", "32", &format!("{base}/{path}")]);
            let told = output_of(&mut h2load);
            let expected = "1000 done, 1000 succeeded, 0 failed, 0 errored, 0 timeout";
            assert!(told.contains(expected), "{base}/{path}: {told}");
            assert!(told.contains("status codes: 1000 2xx"), "{base}/{path}: {told}");
        }
    }
    assert_eq!(gateway.metric("forebay_requests_total{class=\"5xx\"}"), 0.0);
}

#[test]
fn connections_that_come_and_go_have_no_error() {
    let (_nginx, gateway, _folder) = start();
    for base in bases(&gateway) {
        let mut h2load = Command::new(tool("h2load"));
        h2load.args(["--requests", "200", "--clients", "100", "--threads", "1"]);
        let told = output_of(h2load.arg(format!("{base}/small.html")));
        assert!(told.contains("200 succeeded, 0 failed, 0 errored"), "{base}: {told}");
    }
}

#[test]
fn odd_settings_and_frames_are_served_alike() {
    let (_nginx, gateway, _folder) = start();
    let check = |arguments: &[&str]| {
        for base in bases(&gateway) {
            let mut nghttp = Command::new(tool("nghttp"));
            nghttp.args(["--no-verify-peer", "--null-out", "--stat", "--multiply", "10"]).args(arguments);
            nghttp.args([format!("{base}/large"), format!("{base}/small.html")]);
            let told = output_of(&mut nghttp);
            // A line each: the place in the order of ends, times, code, size, URI.
            let count = told.lines().filter(|line| line.split_whitespace().any(|word| word == "200")).count();
            assert_eq!(count, 20, "{arguments:?} {base}: {told}");
        }
    };
    check(&[]);
    check(&["--window-bits=10", "--connection-window-bits=12"]);
    check(&["--header-table-size=0"]);
    check(&["--header-table-size=65536"]);
    check(&["--padding=200"]);
    check(&["--no-dep"]);
    check(&["--peer-max-concurrent-streams=1"]);
}

#[test]
fn an_upload_waits_for_the_window() {
    let origin = forebay_testkit::origin::Origin::start(|conn| {
        while let Ok(request) = conn.request() {
            conn.reply("200 OK", request.body.len().to_string().as_bytes());
        }
    });
    let folder = certificates::folder();
    let gateway = gateway!("{}", settings(text(folder.path()), origin.address(), "", ""));
    let file = folder.write("up", vec![b'u'; 1_000_000]);
    for base in bases(&gateway) {
        let mut nghttp = Command::new(tool("nghttp"));
        nghttp.args(["--no-verify-peer", "--data"]).arg(&file).arg(format!("{base}/up"));
        assert_eq!(output_of(&mut nghttp), "1000000");
    }
    assert_eq!(origin.faults(), Vec::<String>::new());
}
