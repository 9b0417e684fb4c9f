//! How a row of a table of byte streams is run and judged.

use forebay_testkit::check::problem;
use forebay_testkit::gateway;
use forebay_testkit::gateway::Gateway;
use forebay_testkit::message::{Request, Response};
use forebay_testkit::origin::{Origin, Seen};
use forebay_testkit::settings::in_front_of;
use forebay_testkit::wire::{Client, End};

/// One byte stream and what must come of it.
pub(crate) struct Row {
    name: String,
    bytes: Vec<u8>,
    half_close: bool,
    expect: Expect,
}

/// What must come of a row.
enum Expect {
    /// These targets are served in order, then one refusal with this status and reason, then the end.
    Refused { served: &'static [&'static str], status: u16, reason: &'static str },
    /// Refused by itself as above, but the request was understood: the connection either says that it ends and
    /// does, or goes on and works.
    Declined { status: u16, reason: &'static str },
    /// Closed without a byte.
    Silent,
    /// Each target reaches the origin with its body and is answered in order; then the connection still works.
    Served { wanted: Vec<(String, Vec<u8>)>, look: Look },
}

/// A closer look at the last request that reached the origin: what is wrong with it, if anything.
type Look = fn(&Request) -> Option<String>;

/// Refused by status and reason, and the connection ends. Nothing of it reaches the origin whole.
pub(crate) fn refused(name: &str, bytes: impl AsRef<[u8]>, status: u16, reason: &'static str) -> Row {
    row(name, bytes, Expect::Refused { served: &[], status, reason })
}

/// As `refused`, but the client ends its side after the bytes.
pub(crate) fn refused_at_end(name: &str, bytes: impl AsRef<[u8]>, status: u16, reason: &'static str) -> Row {
    Row { half_close: true, ..refused(name, bytes, status, reason) }
}

/// These targets are served, then what follows is refused and the connection ends.
pub(crate) fn refused_after(
    name: &str,
    bytes: impl AsRef<[u8]>,
    served: &'static [&'static str],
    status: u16,
    reason: &'static str,
) -> Row {
    row(name, bytes, Expect::Refused { served, status, reason })
}

/// Refused by status and reason, whether or not the connection goes on.
pub(crate) fn declined(name: &str, bytes: impl AsRef<[u8]>, status: u16, reason: &'static str) -> Row {
    row(name, bytes, Expect::Declined { status, reason })
}

/// Not worth an answer: the connection ends.
pub(crate) fn silent_at_end(name: &str, bytes: impl AsRef<[u8]>) -> Row {
    Row { half_close: true, ..row(name, bytes, Expect::Silent) }
}

/// Harmless: one request for `target` with `body` reaches the origin, and `look` finds nothing wrong with it.
pub(crate) fn served(name: &str, bytes: impl AsRef<[u8]>, target: &str, body: &str, look: Look) -> Row {
    let wanted = vec![(target.to_owned(), body.as_bytes().to_vec())];
    row(name, bytes, Expect::Served { wanted, look })
}

/// Harmless: these targets with these bodies reach the origin in order.
pub(crate) fn all_served(name: &str, bytes: impl AsRef<[u8]>, wanted: &[(&str, &str)]) -> Row {
    let wanted =
        wanted.iter().map(|(target, body)| ((*target).to_owned(), body.as_bytes().to_vec())).collect();
    row(name, bytes, Expect::Served { wanted, look: fine })
}

/// Nothing more to look at.
pub(crate) fn fine(_: &Request) -> Option<String> {
    None
}

fn row(name: &str, bytes: impl AsRef<[u8]>, expect: Expect) -> Row {
    Row { name: name.to_owned(), bytes: bytes.as_ref().to_vec(), half_close: false, expect }
}

/// Runs every row; fails with all that went wrong, not only the first.
#[track_caller]
pub(crate) fn check(rows: &[Row]) {
    check_with("", rows);
}

/// As `check`, with further top-level settings.
#[track_caller]
pub(crate) fn check_with(settings: &str, rows: &[Row]) {
    let origin = Origin::echo();
    let gateway = gateway!("{}", in_front_of(origin.address(), settings));
    let mut house = House { witness: gateway.client(), gateway, origin, judged: 0 };
    let wrong: Vec<String> = rows.iter().filter_map(|row| house.judge(row).err()).collect();
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    // Rows that cut a request short cost an upstream connection each; more than that were not pooled.
    let most = rows.len() + 2;
    assert!(house.origin.connections() <= most, "{} upstream connections", house.origin.connections());
}

/// A gateway in front of an origin, and the witness who must never notice anything.
struct House {
    gateway: Gateway,
    origin: Origin,
    witness: Client,
    judged: usize,
}

impl House {
    fn judge(&mut self, row: &Row) -> Result<(), String> {
        let outcome = self.attempt(row);
        self.judged += 1;
        if outcome.is_err() {
            // A witness that was harmed must not be blamed on the next row too.
            self.witness = self.gateway.client();
        }
        outcome.map_err(|what| format!("- {}: {what}", row.name))
    }

    fn attempt(&mut self, row: &Row) -> Result<(), String> {
        let number = self.judged;
        ask(&mut self.witness, &format!("/before/{number}")).map_err(|e| format!("before: {e}"))?;
        let mark = self.origin.count();
        let mut client = self.gateway.client();
        // The gateway may refuse and close before it took everything.
        let _ = client.send(&row.bytes);
        if row.half_close {
            client.half_close();
        }
        let answered = row.expect.check(row, &mut client);
        drop(client);
        let fresh = ask(&mut self.gateway.client(), &format!("/fresh/{number}"));
        let again = ask(&mut self.witness, &format!("/again/{number}"));
        answered?;
        fresh.map_err(|e| format!("a new client afterwards: {e}"))?;
        again.map_err(|e| format!("the witness afterwards: {e}"))?;
        self.seen_since(mark, row)
    }

    /// Checks that the origin saw what the row may make it see, and nothing else.
    fn seen_since(&self, mark: usize, row: &Row) -> Result<(), String> {
        let faults = self.origin.faults();
        if let Some(fault) = faults.last() {
            return Err(format!("what went upstream is not HTTP: {fault}"));
        }
        let seen = self.origin.seen();
        let after = &seen[mark..];
        let ours = |seen: &&Seen| {
            !["/before/", "/fresh/", "/again/"].iter().any(|own| seen.request.target.starts_with(own))
        };
        let whole: Vec<&Seen> = after.iter().filter(ours).filter(|seen| seen.complete).collect();
        let targets: Vec<&str> = whole.iter().map(|seen| seen.request.target.as_str()).collect();
        let wanted = row.expect.targets();
        if targets != wanted {
            return Err(format!("{targets:?} reached the origin, not {wanted:?}"));
        }
        if let Some(stray) = after.iter().filter(ours).find(|seen| seen.request.target.contains("smuggled")) {
            return Err(format!("smuggled: {stray:?}"));
        }
        row.expect.look(&whole)
    }
}

impl Expect {
    fn check(&self, row: &Row, client: &mut Client) -> Result<(), String> {
        match self {
            Self::Refused { served, status, reason } => {
                for target in *served {
                    answer_of(client, "GET", target)?;
                }
                let response = response(client, &row.method())?;
                is_problem(&response, *status, reason)?;
                ends(client, &response)
            }
            Self::Declined { status, reason } => {
                let response = response(client, &row.method())?;
                is_problem_to(&row.method(), &response, *status, reason)?;
                if response.closes() {
                    ends(client, &response)
                } else {
                    ask(client, "/fresh/same-connection")
                }
            }
            Self::Silent => match client.end() {
                End::Closed => Ok(()),
                other => Err(format!("{other:?} instead of a silent close")),
            },
            Self::Served { wanted, .. } => {
                for (target, _) in wanted {
                    answer_of(client, &row.method(), target)?;
                }
                if !row.says("connection: close") && !row.says("http/1.0") {
                    return ask(client, "/fresh/same-connection");
                }
                match client.end() {
                    End::Closed => Ok(()),
                    other => Err(format!("{other:?} instead of the connection's end")),
                }
            }
        }
    }

    /// What may reach the origin whole.
    fn targets(&self) -> Vec<&str> {
        match self {
            Self::Refused { served, .. } => served.to_vec(),
            Self::Declined { .. } | Self::Silent => Vec::new(),
            Self::Served { wanted, .. } => wanted.iter().map(|(target, _)| target.as_str()).collect(),
        }
    }

    fn look(&self, whole: &[&Seen]) -> Result<(), String> {
        let Self::Served { wanted, look } = self else { return Ok(()) };
        for ((target, body), seen) in wanted.iter().zip(whole) {
            if *body != seen.request.body {
                let found = String::from_utf8_lossy(&seen.request.body);
                return Err(format!("the body of {target} became {found:?}"));
            }
        }
        let last = whole.last().ok_or("nothing reached the origin")?;
        match look(&last.request) {
            Some(wrong) => Err(format!("{wrong}: {}", String::from_utf8_lossy(&last.request.head))),
            None => Ok(()),
        }
    }
}

impl Row {
    fn method(&self) -> String {
        let start = self.bytes.iter().position(u8::is_ascii_alphabetic).unwrap_or(0);
        let bytes = self.bytes[start..].split(|&byte| byte == b' ').next().unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    }

    fn says(&self, what: &str) -> bool {
        String::from_utf8_lossy(&self.bytes).to_ascii_lowercase().contains(what)
    }
}

/// Asks for a path and checks that the answer is its own.
pub(crate) fn ask(client: &mut Client, path: &str) -> Result<(), String> {
    let sent = client.send(format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n"));
    sent.map_err(|error| format!("cannot send {path}: {error}"))?;
    answer_of(client, "GET", path)
}

fn answer_of(client: &mut Client, method: &str, target: &str) -> Result<(), String> {
    let response = response(client, method)?;
    match response.headers.get("x-path") {
        Some(path) if path == target && response.status == 200 => Ok(()),
        _ => Err(format!("not the answer of {target}: {response}")),
    }
}

fn response(client: &mut Client, method: &str) -> Result<Response, String> {
    client.response(method).map_err(|failed| format!("no whole response: {failed}"))
}

fn is_problem(response: &Response, status: u16, reason: &str) -> Result<(), String> {
    let found = problem(response, status)?;
    if found == reason { Ok(()) } else { Err(format!("reason {found} instead of {reason}")) }
}

fn is_problem_to(method: &str, response: &Response, status: u16, reason: &str) -> Result<(), String> {
    if method != "HEAD" {
        return is_problem(response, status, reason);
    }
    if response.status == status { Ok(()) } else { Err(format!("not {status} to HEAD: {response}")) }
}

/// Checks that the connection ends as the refusal must say.
fn ends(client: &mut Client, response: &Response) -> Result<(), String> {
    if !response.closes() {
        return Err(format!("does not say that the connection ends: {response}"));
    }
    match client.end() {
        End::Closed => Ok(()),
        End::Reset => Err("reset: the client may lose the answer".to_owned()),
        other => Err(format!("{other:?} instead of the connection's end")),
    }
}
