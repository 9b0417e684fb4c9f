//! The admin side of a running gateway, as commands reach it: one request, one answer.

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use forebay_net::h1::{Body, HeadLimits, Outcome, ResponseHead};
use serde_json::Value;

use super::Output;
use crate::admin::SUCCEEDED;
use crate::cli::FILE_DEFAULT;
use crate::cli::admin::Admin;
use crate::config::{self, ADMIN_DEFAULT};

/// Names the environment variable with the token in it.
const TOKEN_VARIABLE: &str = "FOREBAY_ADMIN_TOKEN";
/// Largest file a token is read from, in bytes.
const TOKEN_FILE_MAX: u64 = 64 << 10;
/// Characters of a token: the settings take no shorter one, and a longer one fits in no head.
const TOKEN_MIN: usize = 16;
const TOKEN_MAX: usize = 8 << 10;
/// Longest wait for a connection.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Longest wait for the answer to a look or a small change.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(30);
/// Longest answer: a hundred services of a thousand endpoints take a third of it.
const ANSWER_BYTES_MAX: usize = 256 << 20;
const HEAD_LIMITS: HeadLimits = HeadLimits { bytes: 32 << 10, fields: 100, target: 0 };

/// A running gateway.
pub(super) struct Remote {
    address: SocketAddr,
    token: Option<String>,
}

/// What it said.
#[derive(Debug)]
pub(super) struct Answer {
    /// The status.
    pub(super) status: u16,
    body: Vec<u8>,
}

impl Remote {
    /// Finds out where the gateway is, and what it asks for.
    ///
    /// # Errors
    /// That cannot be told, or there is no admin side.
    pub(super) fn find(admin: &Admin) -> anyhow::Result<Self> {
        let Admin { at, config, token_file } = admin;
        let token = match token_file {
            Some(file) => Some(read_token(file)?),
            None => token_of_environment(std::env::var_os(TOKEN_VARIABLE))?,
        };
        if let Some(address) = at {
            // A token of the settings is for the gateway of the settings, not for whoever is at an address.
            return Ok(Self { address: resolve(address)?, token });
        }
        let admin = settings(config.as_deref())?;
        if admin.listen.port() == 0 {
            bail!("the settings leave the admin port to chance; name it with `--admin`");
        }
        let token = token.or_else(|| admin.token.map(|token| token.reveal().to_owned()));
        Ok(Self { address: reachable(admin.listen), token })
    }

    /// `GET`s what has to be there.
    ///
    /// # Errors
    /// It is not, or nobody answers.
    pub(super) fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.ask("GET", path, None, ANSWER_MAX)?.expect_done()
    }

    /// Asks for something.
    ///
    /// # Errors
    /// Nobody answers, or not in HTTP, or it takes longer than `patience`.
    pub(super) fn ask(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        patience: Duration,
    ) -> anyhow::Result<Answer> {
        let answer = self.ask_once(method, path, body, patience)?;
        if answer.comes_from_a_predecessor() {
            // It has done nothing; a new connection leads to the process that serves.
            return self.ask_once(method, path, body, patience);
        }
        Ok(answer)
    }

    fn ask_once(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        patience: Duration,
    ) -> anyhow::Result<Answer> {
        let address = self.address;
        let body = body.map(Value::to_string).unwrap_or_default();
        let token = self.token.as_ref().map(|token| format!("authorization: Bearer {token}\r\n"));
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\naccept: application/json\r\n\
             {}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            token.unwrap_or_default(),
            body.len()
        );
        let mut stream = TcpStream::connect_timeout(&address, CONNECT_MAX)
            .map_err(|error| anyhow!("no gateway's admin side at {address}: {error}; is it running? name another address with `--admin`, or the settings with `-c`"))?;
        let end = Instant::now() + patience;
        stream.set_write_timeout(Some(CONNECT_MAX))?;
        stream.write_all(request.as_bytes()).with_context(|| format!("{address} takes no request"))?;
        Answer::read(&mut |piece| read_until(&mut stream, piece, end))
            .with_context(|| format!("no answer from {address}"))
    }
}

impl Answer {
    /// Reads an answer to its end, which need not be that of the connection. `fill` gives the next bytes.
    fn read(fill: &mut dyn FnMut(&mut [u8]) -> io::Result<usize>) -> anyhow::Result<Self> {
        let mut piece = vec![0; 64 << 10];
        let mut input = Vec::new();
        let mut head = ResponseHead::default();
        loop {
            let length = fill(&mut piece)?;
            input.extend_from_slice(&piece[..length]);
            match head.parse(&input, &HEAD_LIMITS, false) {
                Ok(Outcome::Complete(length)) => {
                    input.drain(..length);
                    break;
                }
                Ok(Outcome::Partial) if length > 0 => {}
                _ => bail!("what it says is not HTTP: it is no admin side"),
            }
        }
        let (mut body, mut whole) = (Body::new(head.framing), Vec::new());
        loop {
            let mut taken = 0;
            while taken < input.len() && !body.is_done() {
                let part = body.take(&mut input[taken..]).map_err(|_| anyhow!("what it says is not HTTP"))?;
                whole.extend_from_slice(&input[taken..taken + part.data]);
                taken += part.consumed;
                if part.consumed == 0 {
                    break;
                }
            }
            input.drain(..taken);
            if body.is_done() {
                return Ok(Self { status: head.status, body: whole });
            }
            let length = fill(&mut piece)?;
            if length == 0 {
                body.end_of_input().map_err(|_| anyhow!("it broke off"))?;
            }
            input.extend_from_slice(&piece[..length]);
            if whole.len() + input.len() > ANSWER_BYTES_MAX {
                bail!("it is too long");
            }
        }
    }

    /// Another process has taken over from the one that was asked, which therefore did nothing.
    fn comes_from_a_predecessor(&self) -> bool {
        let reason = || Some(serde_json::from_slice::<Value>(&self.body).ok()?["reason"] == SUCCEEDED);
        self.status == 503 && reason() == Some(true)
    }

    /// The JSON of a success.
    ///
    /// # Errors
    /// What the gateway says is wrong, and what to do.
    pub(super) fn expect_done(self) -> anyhow::Result<Value> {
        let value: Option<Value> = serde_json::from_slice(&self.body).ok();
        match (self.status, value) {
            (200..=299, Some(value)) => Ok(value),
            (401, _) => bail!(
                "the gateway asks for its token, and this is not it; give it with `--token-file`, or in \
                 {TOKEN_VARIABLE}"
            ),
            (_, Some(problem)) if problem["detail"].is_string() => Err(anyhow!(told(&problem))),
            (status, _) => bail!("the gateway answered with status {status} and says not why"),
        }
    }
}

/// A problem's detail, and what is listed below it.
fn told(problem: &Value) -> String {
    let mut text = printable(problem["detail"].as_str().unwrap_or_default());
    for line in problem["problems"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        text.push_str("\n  ");
        text.push_str(&printable(line));
    }
    text
}

/// A text from elsewhere, without what would steer a terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A text as one segment of a path.
pub(super) fn segment(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b':' => {
                encoded.push(char::from(byte));
            }
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// The next bytes, until then at the latest.
fn read_until(stream: &mut TcpStream, piece: &mut [u8], end: Instant) -> io::Result<usize> {
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            done => return done,
        }
    }
}

/// What the settings say of the admin side, as far as they say it.
fn settings(named: Option<&Path>) -> anyhow::Result<config::Admin> {
    const USUAL: config::Admin = config::Admin { listen: ADMIN_DEFAULT, token: None };
    let file = named.unwrap_or(Path::new(FILE_DEFAULT));
    if named.is_none() && !file.exists() {
        return Ok(USUAL);
    }
    if let Ok(loaded) = config::load(file) {
        let off = "the settings say `admin: off`, so the gateway cannot be asked for anything";
        return loaded.server.admin.context(off);
    }
    // They may be what the gateway is about to refuse; it will say so itself.
    let admin = config::admin_despite_problems(file).unwrap_or(USUAL);
    Output::noted(&format!(
        "forebay: {} has problems; the gateway is sought at {}, and `--admin` names another address",
        file.display(),
        admin.listen
    ));
    Ok(admin)
}

fn read_token(file: &Path) -> anyhow::Result<String> {
    let cannot = || format!("cannot read the token from {}", file.display());
    let mut text = String::new();
    let opened = std::fs::File::open(file).with_context(cannot)?;
    opened.take(TOKEN_FILE_MAX).read_to_string(&mut text).with_context(cannot)?;
    token(&text).with_context(cannot)
}

/// None if the variable is not set, or is empty.
fn token_of_environment(value: Option<OsString>) -> anyhow::Result<Option<String>> {
    let Some(value) = value.filter(|value| !value.is_empty()) else { return Ok(None) };
    token(&value.to_string_lossy())
        .map(Some)
        .with_context(|| format!("cannot take the token of {TOKEN_VARIABLE}"))
}

/// A token as the settings take it, which makes part of a request's head. White space around it is not part of
/// it.
fn token(text: &str) -> anyhow::Result<String> {
    let token = text.trim();
    // A text that is no UTF-8 has other characters by now.
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        bail!("it has to be one word of visible ASCII characters");
    }
    if !(TOKEN_MIN..=TOKEN_MAX).contains(&token.len()) {
        bail!("it has {} characters, and tokens have {TOKEN_MIN} to {TOKEN_MAX}", token.len());
    }
    Ok(token.to_owned())
}

fn resolve(address: &str) -> anyhow::Result<SocketAddr> {
    let mut found = address.to_socket_addrs().with_context(|| format!("cannot look {address} up"))?;
    let first = found.next().ok_or_else(|| anyhow!("{address} leads nowhere; name an IP address"))?;
    Ok(reachable(first))
}

/// Whoever listens on every address listens on this machine's own.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &str, expected: Result<Value, &str>) {
        for step in [1, 7, 1_000] {
            check_in_steps(bytes, step, &expected);
        }
    }

    /// The answer comes in pieces of this size, and then the connection ends.
    #[track_caller]
    fn check_in_steps(bytes: &str, step: usize, expected: &Result<Value, &str>) {
        let mut left = bytes.as_bytes();
        let done = Answer::read(&mut |piece| {
            let (now, later) = left.split_at(step.min(left.len()));
            piece[..now.len()].copy_from_slice(now);
            left = later;
            Ok(now.len())
        })
        .and_then(Answer::expect_done);
        match (done, expected) {
            (Ok(value), Ok(expected)) => assert_eq!(value, *expected),
            (Err(error), Err(text)) => assert!(format!("{error:#}").contains(text), "{error:#}"),
            (done, _) => panic!("{bytes}: {done:?}"),
        }
    }

    #[test]
    fn answers_are_taken_whole_or_not_at_all() {
        check("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ntrue", Ok(true.into()));
        check("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ntrue and more", Ok(true.into()));
        check("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\ntrue", Ok(true.into()));
        check(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\ntr\r\n2\r\nue\r\n0\r\n\r\n",
            Ok(true.into()),
        );
        check("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\ntrue", Err("broke off"));
        check("SSH-2.0-OpenSSH_9.9\r\n", Err("not HTTP"));
        check("", Err("not HTTP"));
        check("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", Err("says not why"));
    }

    #[test]
    fn problems_are_told_with_all_their_lines() {
        let body = r#"{"detail":"no \u001b[31mgood","problems":["a:1:1: one","two"]}"#;
        let answer = format!("HTTP/1.1 422 X\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        check(&answer, Err("no \u{fffd}[31mgood\n  a:1:1: one\n  two"));
        check("HTTP/1.1 401 X\r\ncontent-length: 0\r\n\r\n", Err("FOREBAY_ADMIN_TOKEN"));
    }

    #[test]
    fn tokens_are_checked_before_they_are_sent() {
        let taken =
            |value: &str| token_of_environment(Some(value.into())).map_err(|error| format!("{error:#}"));
        assert_eq!(taken(""), Ok(None));
        assert_eq!(taken("0123456789abcdef\n"), Ok(Some("0123456789abcdef".to_owned())));
        for (wrong, text) in [
            ("0123456789abcdef\r\nx: y", "visible"),
            ("0123456789 abcdef", "visible"),
            ("0123456789abcd\u{e9}f", "visible"),
            ("short", "it has 5 characters"),
            (&"x".repeat(TOKEN_MAX + 1), "16 to 8192"),
        ] {
            let error = taken(wrong).expect_err("it is no token");
            assert!(error.contains(TOKEN_VARIABLE) && error.contains(text), "{error}");
        }
    }

    #[test]
    fn segments_keep_to_themselves() {
        assert_eq!(segment("[::1]:80"), "%5B::1%5D:80");
        assert_eq!(segment("a/b?c é"), "a%2Fb%3Fc%20%C3%A9");
    }

    #[test]
    fn every_address_is_reached_at_this_machine() {
        assert_eq!(reachable(([0, 0, 0, 0], 9900).into()), SocketAddr::from(([127, 0, 0, 1], 9900)));
        assert_eq!(reachable(([10, 0, 0, 1], 9900).into()), SocketAddr::from(([10, 0, 0, 1], 9900)));
    }
}
