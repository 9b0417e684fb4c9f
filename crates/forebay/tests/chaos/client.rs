//! A client with whims: pipelines, odd pieces, bodies that look like requests, hanging up at any moment.

use std::net::SocketAddr;

use forebay_testkit::chance::Chance;
use forebay_testkit::check::problem;
use forebay_testkit::message::{Broken, Response};
use forebay_testkit::wire::{Client, Failed};

use crate::Ledger;
use crate::origin::{MANNERS, sum_of};

/// Requests on one connection.
const REQUESTS_MAX: usize = 6;
const SIZES: &[usize] = &[0, 1, 37, 1_000, 4_096, 16_384, 20_000, 70_000, 200_000];

/// A request as it will be sent, and what may come of it.
struct Plan {
    id: String,
    method: &'static str,
    manner: &'static str,
    /// The origin's manners may cost this request its answer.
    may_fail: bool,
    bytes: Vec<u8>,
}

/// Opens a connection, asks for several things on it in some manner, and checks every answer.
pub(crate) fn visit(address: SocketAddr, name: &str, chance: &mut Chance, ledger: &Ledger) {
    let mut client = Client::connect(address);
    let mut number = 0;
    let mut story = String::new();
    while number < REQUESTS_MAX {
        let together = if chance.percent(30) { 1 + chance.below(4) } else { 1 };
        let plans: Vec<Plan> =
            (number..number + together).map(|n| plan(&format!("{name}-{n}"), chance)).collect();
        number += together;
        if chance.percent(8) {
            return give_up(client, &plans, chance, ledger);
        }
        for plan in &plans {
            ledger.sent_whole(&plan.id);
        }
        send(&mut client, &plans, chance);
        for plan in &plans {
            let Plan { id, method, manner, bytes, .. } = plan;
            story.push_str(&format!(" {method} /{manner}/{id} of {} bytes;", bytes.len()));
            if !receive(&mut client, plan, &story, ledger) {
                return;
            }
        }
        if chance.percent(10) {
            return;
        }
    }
}

fn plan(id: &str, chance: &mut Chance) -> Plan {
    let (manner, may_fail) = chance.pick(MANNERS);
    let method = chance.pick(&["GET", "GET", "HEAD", "POST", "POST", "PUT"]);
    let mut head = format!("{method} /{manner}/{id} HTTP/1.1\r\nHost: t\r\n");
    if chance.percent(10) {
        head.push_str(&format!("X-Filler: {}\r\n", "f".repeat(chance.below(20_000))));
    }
    let body = if matches!(method, "POST" | "PUT") { body(id, chance) } else { Vec::new() };
    head.push_str(&format!("x-sum: {}\r\n", sum_of(&body)));
    let mut bytes;
    if body.is_empty() && !chance.percent(30) {
        bytes = format!("{head}\r\n").into_bytes();
    } else if chance.percent(50) {
        bytes = format!("{head}Content-Length: {}\r\n\r\n", body.len()).into_bytes();
        bytes.extend_from_slice(&body);
    } else {
        bytes = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
        push_chunks(&mut bytes, &body, chance);
    }
    Plan { id: id.to_owned(), method, manner, may_fail, bytes }
}

/// Text that would be a request if it were read in the wrong place.
fn body(id: &str, chance: &mut Chance) -> Vec<u8> {
    let line = format!("GET /echo/smuggled-{id} HTTP/1.1\r\nHost: t\r\n\r\n");
    line.bytes().cycle().take(chance.pick(SIZES)).collect()
}

fn push_chunks(bytes: &mut Vec<u8>, body: &[u8], chance: &mut Chance) {
    let mut rest = body;
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at((1 + chance.below(30_000)).min(rest.len()));
        let extension = chance.pick(&["", "", ";a", ";a=\"b c\""]);
        bytes.extend_from_slice(format!("{:x}{extension}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
        rest = after;
    }
    bytes.extend_from_slice(chance.pick(&["0\r\n\r\n", "0\r\nX-Trailer: 1\r\n\r\n"]).as_bytes());
}

/// Sends all of it, in one piece or in several. The gateway may have closed: its answers tell.
fn send(client: &mut Client, plans: &[Plan], chance: &mut Chance) {
    let bytes: Vec<u8> = plans.iter().flat_map(|plan| &plan.bytes).copied().collect();
    let mut rest = &bytes[..];
    let pieces = chance.pick(&[1, 1, 2, 3, 10, 40]);
    for _ in 1..pieces {
        let (piece, after) = rest.split_at(chance.below(rest.len().min(4_000)));
        if client.send(piece).is_err() {
            return;
        }
        rest = after;
    }
    let _ = client.send(rest);
}

/// Sends a part and hangs up in some manner; what had been sent whole before it may count.
fn give_up(mut client: Client, plans: &[Plan], chance: &mut Chance, ledger: &Ledger) {
    let bytes: Vec<u8> = plans.iter().flat_map(|plan| &plan.bytes).copied().collect();
    // One byte short at the most: the last request is never whole.
    let cut = chance.below(bytes.len());
    let mut end = 0;
    for plan in plans {
        end += plan.bytes.len();
        if end <= cut {
            ledger.sent_whole(&plan.id);
        }
    }
    let _ = client.send(&bytes[..cut]);
    match chance.below(3) {
        0 => client.reset(),
        1 => {
            client.half_close();
            let _ = client.end();
        }
        _ => {}
    }
}

/// Reads the answer to `plan`; `false`: the connection is over.
fn receive(client: &mut Client, plan: &Plan, story: &str, ledger: &Ledger) -> bool {
    let answer = client.response(plan.method);
    if let Err(what) = judge(plan, &answer) {
        ledger.went_wrong(format!("after{story} {what}"));
        return false;
    }
    answer.is_ok_and(|response| !response.closes())
}

/// What is wrong with this answer.
fn judge(plan: &Plan, answer: &Result<Response, Failed>) -> Result<(), String> {
    let response = match answer {
        Ok(response) => response,
        Err(failed) => return judge_failure(plan, failed),
    };
    match response.status {
        200 | 204 if response.headers.get("x-id") == Some(plan.id.as_str()) => Ok(()),
        502 if plan.may_fail && plan.method == "HEAD" => Ok(()),
        502 if plan.may_fail => problem(response, 502).map(|_| ()),
        _ => Err(format!("not its answer: {response}")),
    }
}

fn judge_failure(plan: &Plan, failed: &Failed) -> Result<(), String> {
    let own =
        failed.partial.as_ref().is_none_or(|partial| partial.headers.get("x-id") == Some(plan.id.as_str()));
    let cut = matches!(failed.why, Broken::Truncated | Broken::Reset | Broken::Nothing);
    if plan.may_fail && own && cut { Ok(()) } else { Err(failed.to_string()) }
}
