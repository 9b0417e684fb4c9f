//! A browser that is told to come by HTTP/3, and says by what it came.

use std::process::{Command, Stdio};

use forebay_testkit::origin::Origin;
use forebay_testkit::scratch::Scratch;
use forebay_testkit::servers::{run, tool};

use crate::site;

/// Posts a large body and takes it back, then says how it went and by which protocol.
const PAGE: &str = "<body><script>
async function main() {
  const sent = 'x'.repeat(1000000);
  const got = await (await fetch('/echo', { method: 'POST', body: sent })).text();
  const by = performance.getEntriesByType('navigation')[0].nextHopProtocol;
  document.body.textContent = 'came by ' + by + ', got ' + (got === sent ? 'all' : 'something else');
}
main().catch(error => document.body.textContent = String(error));
</script>";

#[test]
fn a_browser_comes_by_http3() {
    let origin = Origin::start(|conn| {
        while let Ok(request) = conn.request() {
            if request.method == "POST" {
                let body = request.body.clone();
                conn.reply("200 OK", &body);
            } else {
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n",
                    PAGE.len()
                );
                conn.send(format!("{head}{PAGE}"));
            }
        }
    });
    let site = site(&origin, "");
    let port = site.gateway.addr().port();
    let profile = Scratch::new("chromium");
    let mut chromium = Command::new(tool("chromium"));
    chromium
        .args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
        ])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--no-proxy-server", "--enable-quic", "--host-resolver-rules=MAP localhost 127.0.0.1"])
        .arg(format!("--origin-to-force-quic-on=localhost:{port}"))
        .arg(format!("--ignore-certificate-errors-spki-list={}", site.key_digest()))
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(["--virtual-time-budget=20000", "--dump-dom"])
        .arg(format!("https://localhost:{port}/"))
        .stdin(Stdio::null());
    let page = String::from_utf8_lossy(&run(&mut chromium).stdout).into_owned();
    assert!(page.contains("came by h3, got all"), "{page}");
}

impl crate::Site {
    /// What Chromium knows the certificate's key by: base64 of the SHA-256 of its public half.
    fn key_digest(&self) -> String {
        let script = "openssl pkey -in \"$0\" -pubout -outform der | openssl dgst -sha256 -binary | base64";
        let key = self.folder.path().join("cert.key");
        let output = run(Command::new("sh").args(["-c", script]).arg(key));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}
