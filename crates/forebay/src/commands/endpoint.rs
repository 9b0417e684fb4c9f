//! `forebay endpoint`: see the endpoints of a running gateway, and change them.

use std::thread;
use std::time::{Duration, Instant};

use forebay_base::units;
use serde_json::{Value, json};

use super::Output;
use super::remote::{ANSWER_MAX, Remote, segment};
use crate::cli::admin::{Add, Drain, EndpointCommand, List, One};
use crate::cli::{EXIT_OK, EXIT_PROBLEMS};

mod table;

/// Between two looks at what is still in flight.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Does what is asked. Gives the exit status.
///
/// # Errors
/// It was refused, or nobody answers.
pub fn endpoint(command: &EndpointCommand, out: &mut Output<'_>) -> anyhow::Result<u8> {
    match command {
        EndpointCommand::List(args) => list(args, out),
        EndpointCommand::Drain(args) => drain(args, out),
        EndpointCommand::Disable(one) => steer(one, "disable", out),
        EndpointCommand::Enable(one) => steer(one, "enable", out),
        EndpointCommand::Add(args) => add(args, out),
        EndpointCommand::Remove(one) => remove(one, out),
    }
}

fn list(args: &List, out: &mut Output<'_>) -> anyhow::Result<u8> {
    let List { service, out: only_out, admin, json } = args;
    let remote = Remote::find(admin)?;
    if *json {
        let service = service.as_ref().map(|service| format!("service={}", segment(service)));
        let state = only_out.then(|| "state=out".to_owned());
        let query: Vec<String> = [service, state].into_iter().flatten().collect();
        let found = remote.get(&format!("/api/v1/endpoints?{}", query.join("&")))?;
        out.line(format!("{found:#}"))?;
        return Ok(EXIT_OK);
    }
    let services = match service {
        Some(service) => vec![remote.get(&format!("/api/v1/services/{}", segment(service)))?],
        None => match remote.get("/api/v1/services")? {
            Value::Array(services) => services,
            _ => Vec::new(),
        },
    };
    table::show(&services, *only_out, out)?;
    Ok(EXIT_OK)
}

fn drain(args: &Drain, out: &mut Output<'_>) -> anyhow::Result<u8> {
    let Drain { one, wait, timeout } = args;
    let remote = Remote::find(&one.admin)?;
    let endpoint = post(&remote, one, "drain")?;
    tell(one, &endpoint, out)?;
    if !wait {
        return Ok(EXIT_OK);
    }
    let end = Instant::now() + *timeout;
    let mut left = in_flight(&endpoint);
    while left > 0 {
        if Instant::now() >= end {
            out.line(format!(
                "{}: {} still in flight after {}; it stays drained",
                out.yellow("not done"),
                requests(left),
                units::show_duration(*timeout)
            ))?;
            return Ok(EXIT_PROBLEMS);
        }
        thread::sleep(LOOK_EVERY.min(end.saturating_duration_since(Instant::now())));
        let answer = remote.ask("GET", &path(one), None, ANSWER_MAX)?;
        // An endpoint that is gone has nothing in flight that anybody could wait for.
        left = if answer.status == 404 { 0 } else { in_flight(&answer.expect_done()?) };
    }
    out.line(format!("{}: nothing is in flight any more", out.green("done")))?;
    Ok(EXIT_OK)
}

fn steer(one: &One, action: &str, out: &mut Output<'_>) -> anyhow::Result<u8> {
    let endpoint = post(&Remote::find(&one.admin)?, one, action)?;
    tell(one, &endpoint, out)?;
    Ok(EXIT_OK)
}

fn add(args: &Add, out: &mut Output<'_>) -> anyhow::Result<u8> {
    let Add { one, weight, priority } = args;
    let remote = Remote::find(&one.admin)?;
    let path = format!("/api/v1/services/{}/endpoints", segment(&one.service));
    let body = json!({ "address": one.address, "weight": weight, "priority": priority });
    let endpoint = remote.ask("POST", &path, Some(&body), ANSWER_MAX)?.expect_done()?;
    out.line(format!("added to {}: {}", one.service, one.address))?;
    tell(one, &endpoint, out)?;
    Ok(EXIT_OK)
}

fn remove(one: &One, out: &mut Output<'_>) -> anyhow::Result<u8> {
    let remote = Remote::find(&one.admin)?;
    remote.ask("DELETE", &path(one), None, ANSWER_MAX)?.expect_done()?;
    out.line(format!("removed from {}: {}", one.service, one.address))?;
    Ok(EXIT_OK)
}

fn post(remote: &Remote, one: &One, action: &str) -> anyhow::Result<Value> {
    remote.ask("POST", &format!("{}/{action}", path(one)), None, ANSWER_MAX)?.expect_done()
}

fn path(one: &One) -> String {
    format!("/api/v1/services/{}/endpoints/{}", segment(&one.service), segment(&one.address))
}

/// `shop 10.0.0.1:80 is drained, 3 requests in flight`
fn tell(one: &One, endpoint: &Value, out: &mut Output<'_>) -> anyhow::Result<()> {
    let state = table::painted_state(endpoint, out);
    let left = requests(in_flight(endpoint));
    out.line(format!("{} {} is {state}, {left} in flight", one.service, one.address))?;
    Ok(())
}

fn in_flight(endpoint: &Value) -> u64 {
    endpoint["in_flight"].as_u64().unwrap_or(0)
}

fn requests(count: u64) -> String {
    if count == 1 { "1 request".to_owned() } else { format!("{count} requests") }
}
