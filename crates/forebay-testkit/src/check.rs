//! What every test asks of an answer, said once.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::DEADLINE;
use crate::message::Response;

/// Asks `probe` again and again until it has an answer; panics with `what` after the deadline.
pub fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < end, "{what}: not within {DEADLINE:?}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Checks that `response` is a refusal by the gateway itself, complete and well formed; gives its reason.
pub fn problem(response: &Response, status: u16) -> Result<String, String> {
    if response.status != status {
        return Err(format!("status {} instead of {status}: {response}", response.status));
    }
    let kind = response.headers.get("content-type").unwrap_or("nothing");
    if kind != "application/problem+json" {
        return Err(format!("content-type is {kind}, not application/problem+json"));
    }
    let problem: Value = serde_json::from_slice(&response.body)
        .map_err(|error| format!("the problem is not JSON ({error}): {response}"))?;
    if problem["status"] != status {
        return Err(format!("the problem's status is {}", problem["status"]));
    }
    for field in ["title", "reason", "request_id"] {
        if problem[field].as_str().is_none_or(str::is_empty) {
            return Err(format!("the problem has no {field}: {problem}"));
        }
    }
    Ok(problem["reason"].as_str().unwrap_or_default().to_owned())
}

/// The JSON of a response, or a panic which shows what there was instead.
#[must_use]
pub fn json(response: &Response) -> Value {
    serde_json::from_slice(&response.body).unwrap_or_else(|error| panic!("not JSON ({error}): {response}"))
}
