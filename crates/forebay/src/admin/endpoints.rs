//! Services and endpoints: what is asked of them, and what operators do to them.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::net::SocketAddr;

use forebay_base::nearest::nearest;
use forebay_net::address::Address;
use forebay_proxy::supervisor::{EndpointView, ServiceView, Steer, SteerError};
use forebay_telemetry::log::Event;
use hyper::StatusCode;
use serde_json::{Value, json};

use super::reply::{self, Reply};
use super::view::{self, Clocks};
use super::{AdminState, Change};

/// What weights may be.
const WEIGHTS: std::ops::RangeInclusive<u64> = 1..=1_000_000;
/// What priorities may be.
const PRIORITIES: std::ops::RangeInclusive<u64> = 0..=9;

/// Every service, in the order of the settings.
pub(super) fn services(state: &AdminState) -> Reply {
    let clocks = Clocks::read();
    let services = state.control.services();
    let mut text = String::new();
    push_array(&mut text, services.iter().map(|service| view::service(service, clocks)));
    reply::body(StatusCode::OK, "application/json", text)
}

/// One service.
pub(super) fn service(state: &AdminState, name: &str) -> Reply {
    match state.control.service(name) {
        Some(service) => reply::json(StatusCode::OK, &view::service(&service, Clocks::read())),
        None => refused(&no_service(state)),
    }
}

/// The endpoints of all services in one list, as far as `query` asks for them.
pub(super) fn list(state: &AdminState, query: Option<&str>) -> Reply {
    let wanted = match Wanted::parse(query.unwrap_or_default()) {
        Ok(wanted) => wanted,
        Err(problems) => {
            return reply::problem_with(
                StatusCode::BAD_REQUEST,
                "bad_query",
                "the query has mistakes",
                json!(problems),
            );
        }
    };
    let services = match &wanted.service {
        None => state.control.services(),
        Some(name) => match state.control.service(name) {
            Some(service) => vec![service],
            None => return refused(&no_service(state)),
        },
    };
    let all: Vec<(&ServiceView, &EndpointView)> = services
        .iter()
        .flat_map(|service| service.endpoints.iter().map(move |endpoint| (service, endpoint)))
        .filter(|(_, endpoint)| wanted.takes(endpoint))
        .collect();
    let total = all.len();
    let clocks = Clocks::read();
    let shown = wanted.cut(all);
    let mut text = format!("{{\"total\":{total},\"services\":");
    push_array(&mut text, services.iter().map(|service| view::summary(service, clocks)));
    text.push_str(",\"endpoints\":");
    push_array(&mut text, shown.iter().map(|(of, endpoint)| view::endpoint_of(&of.name, endpoint, clocks)));
    text.push('}');
    reply::body(StatusCode::OK, "application/json", text)
}

/// One endpoint.
pub(super) fn endpoint(state: &AdminState, service: &str, address: &str) -> Reply {
    match find(state, service, address) {
        Ok(value) => reply::json(StatusCode::OK, &value),
        Err(reply) => *reply,
    }
}

/// Adds an endpoint as the body says.
pub(super) fn add(state: &AdminState, peer: SocketAddr, service: &str, body: &[u8]) -> Reply {
    match Added::parse(body) {
        Ok(Added { address, weight, priority }) => {
            change(state, peer, service, &address, Change::Add { weight, priority })
        }
        Err(problems) => reply::problem_with(
            StatusCode::UNPROCESSABLE_ENTITY,
            "bad_body",
            "the body has mistakes; it is like {\"address\": \"10.0.0.1:80\", \"weight\": 1, \"priority\": 0}",
            json!(problems),
        ),
    }
}

/// Removes or steers an endpoint. The body says nothing, and has to.
pub(super) fn change_by_path(
    state: &AdminState,
    peer: SocketAddr,
    (service, address): (&str, &str),
    wish: Change,
    body: &[u8],
) -> Reply {
    if !matches!(body.trim_ascii(), b"" | b"{}") {
        let detail = "this takes no body: service, endpoint and action stand in the path";
        return reply::problem(StatusCode::UNPROCESSABLE_ENTITY, "bad_body", detail);
    }
    match parse_address(address) {
        Ok(address) => change(state, peer, service, &address, wish),
        Err(detail) => reply::problem(StatusCode::NOT_FOUND, "no_endpoint", &detail),
    }
}

fn change(state: &AdminState, peer: SocketAddr, service: &str, address: &Address, wish: Change) -> Reply {
    if let Err(error) = state.control.change(service, address, wish) {
        return refused(&error);
    }
    let endpoint = address.to_string();
    state.log.emit(&Event::EndpointSteered { peer, service, endpoint: &endpoint, action: wish.label() });
    if wish == Change::Remove {
        let gone = json!({ "service": service, "address": endpoint, "removed": true });
        return reply::json(StatusCode::OK, &gone);
    }
    let status = if let Change::Add { .. } = wish { StatusCode::CREATED } else { StatusCode::OK };
    match find(state, service, &endpoint) {
        Ok(value) => reply::json(status, &value),
        // A reload has taken it away meanwhile.
        Err(reply) => *reply,
    }
}

fn find(state: &AdminState, service: &str, address: &str) -> Result<Value, Box<Reply>> {
    let address = parse_address(address)
        .map_err(|detail| reply::problem(StatusCode::NOT_FOUND, "no_endpoint", &detail))?;
    let Some(view) = state.control.service(service) else {
        return Err(Box::new(refused(&no_service(state))));
    };
    match view.endpoints.iter().find(|endpoint| endpoint.address == address) {
        Some(endpoint) => Ok(view::endpoint_of(service, endpoint, Clocks::read())),
        None => {
            let known = view.endpoints.iter().map(|endpoint| endpoint.address.clone()).collect();
            Err(Box::new(refused(&SteerError::NoEndpoint(known))))
        }
    }
}

fn no_service(state: &AdminState) -> SteerError {
    SteerError::NoService(state.control.services().into_iter().map(|service| service.name).collect())
}

fn refused(error: &SteerError) -> Reply {
    let (status, reason) = match error {
        SteerError::NoService(_) => (StatusCode::NOT_FOUND, "no_service"),
        SteerError::NoEndpoint(_) => (StatusCode::NOT_FOUND, "no_endpoint"),
        SteerError::NotAdded(_) => (StatusCode::CONFLICT, "not_added"),
        SteerError::AlreadyThere => (StatusCode::CONFLICT, "already_there"),
        SteerError::Full(_) => (StatusCode::CONFLICT, "service_full"),
        SteerError::Denied => (StatusCode::UNPROCESSABLE_ENTITY, "address_denied"),
        SteerError::HandedOver => (StatusCode::SERVICE_UNAVAILABLE, "succeeded"),
        SteerError::OutOfRange(_) => (StatusCode::UNPROCESSABLE_ENTITY, "out_of_range"),
    };
    reply::problem(status, reason, &error.to_string())
}

/// An IP address and a port, or a Unix socket.
fn parse_address(text: &str) -> Result<Address, String> {
    match Address::parse(text) {
        Some(address) if address.ip().is_none_or(|address| address.port() > 0) => Ok(address),
        _ => Err("endpoints are called by IP address and port, `10.0.0.1:80` or `[::1]:80`, or by the path of a Unix socket, `unix:/run/app.sock`".to_owned()),
    }
}

/// The percent-decoded segments of a path, or `None` if one of them cannot be decoded.
pub(super) fn segments(path: &str) -> Option<Vec<String>> {
    path.split('/').map(decode).collect()
}

fn decode(segment: &str) -> Option<String> {
    let mut bytes = segment.bytes();
    let mut decoded = Vec::with_capacity(segment.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

fn push_array(text: &mut String, items: impl Iterator<Item = Value>) {
    // One at a time: the tree of a hundred thousand would be far larger than their text.
    let mut before = '[';
    for item in items {
        write!(text, "{before}{item}").expect("a string takes everything");
        before = ',';
    }
    text.push_str(if before == '[' { "[]" } else { "]" });
}

/// What a query asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    service: Option<String>,
    state: Option<String>,
    limit: Option<usize>,
}

impl Wanted {
    const KEYS: [&str; 3] = ["service", "state", "limit"];
    const STATES: [&str; 8] =
        ["up", "ramping", "out", "disabled", "drained", "unhealthy", "unchecked", "ejected"];

    fn parse(query: &str) -> Result<Self, Vec<String>> {
        let mut wanted = Self::default();
        let mut problems = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(value) = decode(value) else {
                problems.push(format!("the value of `{key}` is not percent-encoded UTF-8"));
                continue;
            };
            match key {
                "service" => wanted.service = Some(value),
                "state" if Self::STATES.contains(&value.as_str()) => wanted.state = Some(value),
                "state" => problems.push(format!("`state` is one of {}", Self::STATES.join(", "))),
                "limit" => match value.parse() {
                    Ok(limit) => wanted.limit = Some(limit),
                    Err(_) => problems.push("`limit` is a whole number".to_owned()),
                },
                unknown => problems.push(unknown_key(unknown, &Self::KEYS)),
            }
        }
        if problems.is_empty() { Ok(wanted) } else { Err(problems) }
    }

    fn takes(&self, endpoint: &EndpointView) -> bool {
        match self.state.as_deref() {
            None => true,
            Some("out") => !endpoint.outs.is_empty(),
            Some(state) => endpoint.state() == state,
        }
    }

    /// If there are too many, those that are out stay first; the order remains.
    fn cut<'a>(
        &self,
        all: Vec<(&'a ServiceView, &'a EndpointView)>,
    ) -> Vec<(&'a ServiceView, &'a EndpointView)> {
        let Some(limit) = self.limit.filter(|limit| *limit < all.len()) else { return all };
        let is_out = |index: &usize| !all[*index].1.outs.is_empty();
        let (out, well): (Vec<usize>, Vec<usize>) = (0..all.len()).partition(is_out);
        let kept: HashSet<usize> = out.into_iter().chain(well).take(limit).collect();
        let kept_ones = all.iter().enumerate().filter(|(index, _)| kept.contains(index));
        kept_ones.map(|(_, one)| *one).collect()
    }
}

/// An endpoint that is to be added.
#[derive(Debug, PartialEq, Eq)]
struct Added {
    address: Address,
    weight: u32,
    priority: u8,
}

impl Added {
    const KEYS: [&str; 3] = ["address", "weight", "priority"];

    /// Tells every mistake at once.
    fn parse(body: &[u8]) -> Result<Self, Vec<String>> {
        let value: Value =
            serde_json::from_slice(body).map_err(|error| vec![format!("it is not JSON: {error}")])?;
        let Value::Object(members) = value else { return Err(vec!["it is not a JSON object".to_owned()]) };
        let mut problems: Vec<String> = members
            .keys()
            .filter(|key| !Self::KEYS.contains(&key.as_str()))
            .map(|key| unknown_key(key, &Self::KEYS))
            .collect();
        problems.extend(repeated(body, &Self::KEYS));
        let address = match members.get("address") {
            None => Err("`address` is missing".to_owned()),
            Some(Value::String(text)) => parse_address(text)
                .map_err(|_| format!("`address` is an IP address with a port, such as 10.0.0.1:80, or a Unix socket, such as unix:/run/app.sock; names belong into the settings; this is {text:?}")),
            Some(_) => Err("`address` is a text, such as \"10.0.0.1:80\"".to_owned()),
        };
        let number = |key: &str, usual: u64, range: std::ops::RangeInclusive<u64>| match members.get(key) {
            None => Ok(usual),
            Some(value) => value.as_u64().filter(|number| range.contains(number)).ok_or_else(|| {
                format!("`{key}` is a whole number from {} to {}", range.start(), range.end())
            }),
        };
        let (weight, priority) = (number("weight", 1, WEIGHTS), number("priority", 0, PRIORITIES));
        problems.extend(
            [address.as_ref().err(), weight.as_ref().err(), priority.as_ref().err()]
                .into_iter()
                .flatten()
                .cloned(),
        );
        match (address, weight, priority) {
            (Ok(address), Ok(weight), Ok(priority)) if problems.is_empty() => {
                let weight = u32::try_from(weight).expect("it is within WEIGHTS");
                let priority = u8::try_from(priority).expect("it is within PRIORITIES");
                Ok(Self { address, weight, priority })
            }
            _ => Err(problems),
        }
    }
}

/// Keys that stand more than once in an object, which is valid JSON; the parser keeps the last of each.
fn repeated(object: &[u8], known: &[&str]) -> Vec<String> {
    let (mut depth, mut escaped, mut string) = (0_usize, false, None);
    // The last string of the object itself, which is a key once a colon follows.
    let mut last = 0..0;
    let mut counts = vec![0_usize; known.len()];
    for (at, byte) in object.iter().enumerate() {
        match (string, byte) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), b'\\') => escaped = true,
            (Some(start), b'"') => {
                string = None;
                last = start..at + 1;
            }
            (Some(_), _) => {}
            (None, b'"') => string = Some(at),
            (None, b'{' | b'[') => depth += 1,
            (None, b'}' | b']') => depth = depth.saturating_sub(1),
            (None, b':') if depth == 1 => {
                let key: String = serde_json::from_slice(&object[last.clone()]).unwrap_or_default();
                if let Some(index) = known.iter().position(|known| **known == key) {
                    counts[index] += 1;
                }
            }
            (None, _) => {}
        }
    }
    let repeated = known.iter().zip(counts).filter(|(_, count)| *count > 1);
    repeated.map(|(key, count)| format!("`{key}` stands {count} times; keep one of them")).collect()
}

fn unknown_key(key: &str, known: &[&'static str]) -> String {
    const SHOWN_MAX: usize = 40;
    let shown: String = key.chars().take(SHOWN_MAX).collect();
    match nearest(key, known.iter().copied()) {
        Some(meant) => format!("`{shown}` is unknown; did you mean `{meant}`?"),
        None => format!("`{shown}` is unknown; known are {}", known.join(", ")),
    }
}

/// The action a path ends with.
pub(super) fn steer(word: &str) -> Option<Steer> {
    Some(match word {
        "drain" => Steer::Drain,
        "disable" => Steer::Disable,
        "enable" => Steer::Enable,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_decoded_once() {
        for (segment, expected) in [
            ("10.0.0.1:80", Some("10.0.0.1:80")),
            ("10.0.0.1%3A80", Some("10.0.0.1:80")),
            ("%5b::1%5D:80", Some("[::1]:80")),
            ("a%2525", Some("a%25")),
            ("a%2", None),
            ("a%", None),
            ("%zz", None),
            ("%+1", None),
            ("%ff", None),
        ] {
            assert_eq!(decode(segment).as_deref(), expected, "{segment}");
        }
    }

    #[track_caller]
    fn check(body: &str, expected: Result<(&str, u32, u8), &[&str]>) {
        let added = Added::parse(body.as_bytes());
        match (added, expected) {
            (Ok(added), Ok((address, weight, priority))) => {
                let address = address.parse().expect("it is an address");
                assert_eq!(added, Added { address, weight, priority });
            }
            (Err(problems), Err(texts)) => {
                assert_eq!(problems.len(), texts.len(), "{problems:?}");
                for (problem, text) in problems.iter().zip(texts) {
                    assert!(problem.contains(text), "{problem}");
                }
            }
            (added, _) => panic!("{body}: {added:?}"),
        }
    }

    #[test]
    fn what_is_added_is_read_strictly() {
        check(r#"{"address":"10.0.0.1:80"}"#, Ok(("10.0.0.1:80", 1, 0)));
        check(r#"{"address":"[::1]:80","weight":3,"priority":9}"#, Ok(("[::1]:80", 3, 9)));
        check(r#"{"address":"10.0.0.1:80","wieght":3}"#, Err(&["did you mean `weight`"]));
        check(r#"{"adress":"10.0.0.1:80"}"#, Err(&["did you mean `address`", "`address` is missing"]));
        check(
            r#"{"address":"app.test:80","weight":0,"priority":10}"#,
            Err(&["names belong into the settings", "1 to 1000000", "0 to 9"]),
        );
        check(r#"{"address":"10.0.0.1:0"}"#, Err(&["an IP address with a port"]));
        check(r#"{"address":7,"weight":"1"}"#, Err(&["is a text", "whole number"]));
        check(r#"{"address":"10.0.0.1:80","weight":1,"weight":2}"#, Err(&["`weight` stands 2 times"]));
        check(
            r#"{"address":"10.0.0.1:80","w\u0065ight":1,"x\"weight\":":{"weight":1},"weight":2}"#,
            Err(&["is unknown", "`weight` stands 2 times"]),
        );
        check(r#"{"address":"10.0.0.1:80","weight":1,"priority":1}"#, Ok(("10.0.0.1:80", 1, 1)));
        check(r#"{"address":"unix:/run/app.sock"}"#, Ok(("unix:/run/app.sock", 1, 0)));
        check(r#"{"address":"unix:app.sock"}"#, Err(&["unix:/run/app.sock"]));
        check("[]", Err(&["not a JSON object"]));
        check("", Err(&["not JSON"]));
    }

    #[test]
    fn a_query_is_read_strictly() {
        let wanted =
            Wanted { service: Some("a b".to_owned()), state: Some("out".to_owned()), limit: Some(5) };
        assert_eq!(Wanted::parse("service=a%20b&state=out&limit=5"), Ok(wanted));
        assert_eq!(Wanted::parse(""), Ok(Wanted::default()));
        for (query, text) in [("stat=up", "`state`"), ("state=well", "ramping"), ("limit=-1", "whole number")]
        {
            let problems = Wanted::parse(query).expect_err("it has a mistake");
            assert!(problems.len() == 1 && problems[0].contains(text), "{problems:?}");
        }
    }
}
