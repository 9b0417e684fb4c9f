//! Profiles as Go programs serve them, so that their tools can read this process too.

use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use forebay_telemetry::profile::{self, Busy, Turn};
use hyper::StatusCode;
use tokio::sync::oneshot;

use super::reply::{self, Reply};

/// Length of a profile if nothing is said: what Go's tools expect.
const SECONDS: u64 = 30;
const SECONDS_MAX: u64 = profile::LENGTH_MAX.as_secs();

const INDEX: &str = "\
Profiles of this process, for `go tool pprof` and whatever reads its format:

/debug/pprof/profile?seconds=30   where processor time goes; 1 to 60 seconds, one at a time
/debug/pprof/cmdline              the command line, its parts ended by NUL
";

/// A profile that Go programs serve, and this one does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// Who holds or asks for memory.
    Memory,
    /// What has to do with Go's own threads and locks.
    Go,
}

impl Missing {
    /// By the last part of its path.
    pub(super) fn by_name(name: &str) -> Option<Self> {
        match name {
            "heap" | "allocs" => Some(Self::Memory),
            "goroutine" | "block" | "mutex" | "threadcreate" | "trace" => Some(Self::Go),
            _ => None,
        }
    }

    pub(super) fn reply(self) -> Reply {
        let detail = match self {
            Self::Memory => {
                "this build does not profile memory; how much is in use stands in /metrics: \
                 process_resident_memory_bytes"
            }
            Self::Go => "this is a profile of Go's own workings; see /debug/pprof/profile for processor time",
        };
        reply::problem(StatusCode::NOT_FOUND, "no_such_profile", detail)
    }
}

/// What there is.
pub(super) fn index() -> Reply {
    reply::text(StatusCode::OK, INDEX.trim_end())
}

/// How this process was started.
pub(super) fn command_line() -> Reply {
    let parts: Vec<Vec<u8>> = std::env::args_os().map(|part| part.as_bytes().to_vec()).collect();
    reply::body(StatusCode::OK, "text/plain; charset=utf-8", parts.join(&0))
}

/// Takes a profile of the processor time and answers with it. If whoever asks leaves, it ends.
pub(super) async fn cpu(query: Option<&str>) -> Reply {
    let Some(seconds) = seconds(query.unwrap_or_default()) else {
        let detail = format!("`seconds` is a whole number from 1 to {SECONDS_MAX}, as in ?seconds={SECONDS}");
        return reply::problem(StatusCode::BAD_REQUEST, "bad_seconds", &detail);
    };
    match Turn::take(Duration::from_secs(seconds)) {
        Ok(turn) => taken(turn).await,
        Err(Busy { left }) => busy(left),
    }
}

/// Tells whoever takes a profile that nobody waits for it any more.
struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn taken(turn: Turn) -> Reply {
    let abandoned = Arc::new(AtomicBool::new(false));
    let _waiting = Waiting(Arc::clone(&abandoned));
    let (tell, told) = oneshot::channel();
    // A thread of its own: it has files to read and stacks to walk, and the control plane has one thread.
    let work = move || {
        // Nobody listens any more: then nobody wants it.
        let _ = tell.send(turn.cpu(&abandoned));
    };
    if let Err(error) = thread::Builder::new().name("profile".to_owned()).spawn(work) {
        return unavailable(&format!("cannot start a thread: {error}"));
    }
    match told.await {
        Ok(Ok(profile)) => reply::file("profile.pb.gz", profile),
        Ok(Err(error)) => unavailable(&error.to_string()),
        Err(_) => unavailable("it was broken off by a bug; the log says where: please report it"),
    }
}

fn unavailable(why: &str) -> Reply {
    reply::problem(
        StatusCode::SERVICE_UNAVAILABLE,
        "profile_unavailable",
        &format!("no profile can be taken: {why}"),
    )
}

fn busy(left: Duration) -> Reply {
    let seconds = left.as_secs() + 1;
    let detail = format!("another profile is being taken; ask again in {seconds} s");
    reply::retry_after(reply::problem(StatusCode::TOO_MANY_REQUESTS, "profile_busy", &detail), seconds)
}

/// None: it is not to be understood. Other parameters are those of other programs.
fn seconds(query: &str) -> Option<u64> {
    let mut values = query.split('&').filter_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name == "seconds").then_some(value)
    });
    match (values.next(), values.next()) {
        (None, _) => Some(SECONDS),
        (Some(value), None) if value.bytes().all(|byte| byte.is_ascii_digit()) => {
            value.parse().ok().filter(|seconds| (1..=SECONDS_MAX).contains(seconds))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_whole_and_few() {
        let check = |query, expected| assert_eq!(seconds(query), expected, "{query}");
        check("", Some(30));
        check("debug=0", Some(30));
        check("seconds=1", Some(1));
        check("debug=0&seconds=60", Some(60));
        for bad in [
            "seconds",
            "seconds=",
            "seconds=0",
            "seconds=61",
            "seconds=+5",
            "seconds=1.5",
            "seconds=-1",
            "seconds=99999999999999999999",
            "seconds=1&seconds=2",
            "seconds=5s",
        ] {
            check(bad, None);
        }
    }
}
