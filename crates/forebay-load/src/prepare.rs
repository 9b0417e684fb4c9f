//! A plan made ready for sending: requests without values in them are bytes before the run begins.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use forebay_base::seed::Random;

use crate::plan::{Body, CELLS_MAX, Kind, Model, Plan, SERIES_MAX, Step};
use crate::scope::Variables;
use crate::template::{Fault, Template};

/// The series of steps beyond `SERIES_MAX` names.
const OTHER: &str = "other";

/// A plan, ready.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) scenarios: Vec<Sequence>,
    /// Where each scenario's share of the weights ends.
    weights: Vec<u64>,
    /// Names of series with their tags.
    pub(crate) series: Vec<(String, Vec<(String, String)>)>,
    /// The plan's variables, which all users share.
    pub(crate) variables: Arc<[(String, String)]>,
    /// Every request is always the same, answers are judged by their status alone, and pauses do not vary.
    pub(crate) plain: bool,
}

/// A scenario, ready.
#[derive(Debug)]
pub(crate) struct Sequence {
    pub(crate) steps: Vec<Ready>,
}

/// A step, ready.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) series: u16,
    pub(crate) request: Request,
    pub(crate) head_only: bool,
    pub(crate) timeout: Duration,
    pub(crate) think: (Duration, Duration),
    /// The answer is looked at beyond its status.
    pub(crate) keeps: bool,
    pub(crate) step: Step,
}

/// What is sent.
#[derive(Debug)]
pub(crate) enum Request {
    /// The same each time.
    Bytes(Box<[u8]>),
    /// Rendered for each session.
    Rendered(Box<Parts>),
}

/// What a request is rendered from.
#[derive(Debug)]
pub(crate) struct Parts {
    /// Method, a space, and what is put before the path.
    start: Vec<u8>,
    path: Template,
    /// From the version on: `Host` and whatever else is the same each time.
    fixed: Vec<u8>,
    headers: Vec<(String, Template)>,
    body: Body,
}

impl Prepared {
    /// Makes a plan ready.
    pub(crate) fn new(plan: &Plan) -> Self {
        let mut series: Vec<(String, Vec<(String, String)>)> = Vec::new();
        let mut scenarios = Vec::with_capacity(plan.scenarios.len());
        let mut weights = Vec::with_capacity(plan.scenarios.len());
        let mut weight = 0;
        let most = SERIES_MAX.min(CELLS_MAX / plan.stages.len().max(1)).max(1);
        for scenario in &plan.scenarios {
            weight += u64::from(scenario.weight);
            weights.push(weight);
            let steps = scenario.steps.iter().map(|step| {
                // A recording has as many scenarios as different requests: their names select nothing.
                let own = match plan.model {
                    Model::Recorded(_) => None,
                    _ => Some(("scenario".to_owned(), scenario.name.clone())),
                };
                let tags = scenario.tags.iter().chain(&step.tags).chain(&own);
                let series = series_of(&mut series, most, &step.name, tags);
                Ready::new(plan, step, series)
            });
            scenarios.push(Sequence { steps: steps.collect() });
        }
        let plain = scenarios.iter().flat_map(|scenario| &scenario.steps).all(Ready::is_plain);
        Self { scenarios, weights, series, variables: plan.variables.clone().into(), plain }
    }

    /// A scenario by chance, in proportion to the weights.
    pub(crate) fn choose(&self, choices: &mut Random) -> usize {
        match self.weights.as_slice() {
            [] | [_] => 0,
            weights => {
                let at = choices.below(weights.last().copied().unwrap_or(0));
                weights.partition_point(|end| *end <= at).min(weights.len() - 1)
            }
        }
    }
}

/// The number of the series with that name and just these tags, which is made if it is new: what a threshold
/// selects by a tag must not hold what others have sent. Beyond `most`, all share one without tags.
fn series_of<'a>(
    series: &mut Vec<(String, Vec<(String, String)>)>,
    most: usize,
    name: &str,
    tags: impl Iterator<Item = &'a (String, String)>,
) -> u16 {
    let mut own: Vec<(String, String)> = tags.cloned().collect();
    own.sort();
    own.dedup();
    let full = series.len() + 1 >= most;
    let wanted = (name.to_owned(), own);
    let other = (OTHER.to_owned(), Vec::new());
    let found = series.iter().position(|known| *known == wanted);
    let found = found.or_else(|| full.then(|| series.iter().position(|known| *known == other)).flatten());
    let index = found.unwrap_or_else(|| {
        series.push(if full { other } else { wanted });
        series.len() - 1
    });
    u16::try_from(index).unwrap_or(u16::MAX)
}

impl Ready {
    fn new(plan: &Plan, step: &Step, series: u16) -> Self {
        let parts = Parts::new(plan, step);
        let request = match parts.fixed() {
            Some(bytes) => Request::Bytes(bytes.into()),
            None => Request::Rendered(Box::new(parts)),
        };
        let keeps = !step.capture.is_empty() || !step.expect.is_empty();
        Self {
            series,
            request,
            head_only: step.method == "HEAD",
            timeout: step.timeout,
            think: step.think,
            keeps,
            step: step.clone(),
        }
    }
}

impl Ready {
    fn is_plain(&self) -> bool {
        let Self { request, think: (least, most), keeps, .. } = self;
        let fixed = match &self.step.kind {
            Kind::WebSocket(asked) => !matches!(asked.send, Body::Template(_)),
            Kind::Http | Kind::Grpc(_) => true,
        };
        matches!(request, Request::Bytes(_)) && least == most && !keeps && fixed
    }
}

impl Parts {
    fn new(plan: &Plan, step: &Step) -> Self {
        let named = |name: &str| step.headers.iter().any(|(header, _)| header.eq_ignore_ascii_case(name));
        let start = format!("{} {}", step.method, plan.target.prefix).into_bytes();
        let mut fixed = b" HTTP/1.1\r\n".to_vec();
        if !named("host") {
            push_field(&mut fixed, "Host", plan.target.authority.as_bytes());
        }
        if !named("user-agent") {
            push_field(
                &mut fixed,
                "User-Agent",
                concat!("forebay-load/", env!("CARGO_PKG_VERSION")).as_bytes(),
            );
        }
        match step.kind {
            Kind::Http => {
                if !plan.keep_alive && !named("connection") {
                    push_field(&mut fixed, "Connection", b"close");
                }
            }
            Kind::Grpc(_) => {
                push_field(&mut fixed, "TE", b"trailers");
                if !named("content-type") {
                    push_field(&mut fixed, "Content-Type", b"application/grpc");
                }
            }
            Kind::WebSocket(_) => {
                push_field(&mut fixed, "Connection", b"Upgrade");
                push_field(&mut fixed, "Upgrade", b"websocket");
                push_field(&mut fixed, "Sec-WebSocket-Version", b"13");
            }
        }
        let headers = step.headers.clone();
        Self { start, path: step.path.clone(), fixed, headers, body: step.body.clone() }
    }

    /// The whole request, if it is the same each time.
    fn fixed(&self) -> Option<Vec<u8>> {
        let Self { start, path, fixed, headers, body } = self;
        let mut bytes = start.clone();
        push_target(&mut bytes, path.as_text()?);
        bytes.extend_from_slice(fixed);
        for (name, value) in headers {
            push_field(&mut bytes, name, value.as_text()?.as_bytes());
        }
        let body = match body {
            Body::None => None,
            Body::Bytes(body) => Some(&body[..]),
            Body::Template(text) => Some(text.as_text()?.as_bytes()),
        };
        self.push_body(&mut bytes, body);
        Some(bytes)
    }

    /// Renders the request into `out`, with `scratch` for its parts. Takes no memory once both are large enough.
    ///
    /// # Errors
    /// A value is missing, or would break the head apart.
    pub(crate) fn render(
        &self,
        variables: &mut Variables,
        scratch: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        out.clear();
        out.extend_from_slice(&self.start);
        self.path.render_target(variables, out)?;
        out.extend_from_slice(&self.fixed);
        for (name, value) in &self.headers {
            scratch.clear();
            value.render_field(variables, scratch)?;
            push_field(out, name, scratch);
        }
        match &self.body {
            Body::None => self.push_body(out, None),
            Body::Bytes(body) => self.push_body(out, Some(body)),
            Body::Template(text) => {
                scratch.clear();
                text.render(variables, scratch)?;
                self.push_body(out, Some(scratch));
            }
        }
        Ok(())
    }

    /// The end of the head, and the body.
    fn push_body(&self, out: &mut Vec<u8>, body: Option<&[u8]>) {
        let named = self.headers.iter().any(|(name, _)| {
            name.eq_ignore_ascii_case("content-length") || name.eq_ignore_ascii_case("transfer-encoding")
        });
        // A method that usually has a body says when it has none (RFC 9110 §8.6).
        let usual = [&b"POST "[..], b"PUT ", b"PATCH "].iter().any(|method| self.start.starts_with(method));
        if !named && (body.is_some() || usual) {
            // Writing to a vector cannot fail.
            let _ = write!(out, "Content-Length: {}\r\n", body.map_or(0, <[u8]>::len));
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(body.unwrap_or_default());
    }
}

fn push_field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// A request target as the plan says it; what cannot stand in one (RFC 9112 §3.2) is percent-encoded.
fn push_target(out: &mut Vec<u8>, path: &str) {
    for byte in path.bytes() {
        match byte {
            b'!' | b'$'..=b';' | b'=' | b'?'..=b'[' | b']' | b'_' | b'a'..=b'z' | b'~' => out.push(byte),
            // Writing to a vector cannot fail.
            _ => write!(out, "%{byte:02X}").unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(method: &str, path: &str, headers: &[(&str, &str)], body: Body, keep_alive: bool) -> String {
        let step = Step { body, ..crate::plan::tests::step(method, path, headers) };
        let plan = Plan { keep_alive, ..crate::plan::tests::plan(vec![step.clone()]) };
        let parts = Parts::new(&plan, &step);
        let rendered = parts.fixed().unwrap_or_else(|| {
            let mut variables =
                Variables::new(Arc::from([("id".to_owned(), "7 8".to_owned())]), 0, Random::from_seed(1));
            let (mut scratch, mut out) = (Vec::new(), Vec::new());
            parts.render(&mut variables, &mut scratch, &mut out).expect("every value is there");
            out
        });
        String::from_utf8(rendered)
            .expect("it is text")
            .replace(concat!("forebay-load/", env!("CARGO_PKG_VERSION")), "U")
    }

    #[test]
    fn a_request_is_what_the_plan_says() {
        assert_eq!(
            bytes("GET", "/a?b=c", &[("X-One", "1")], Body::None, true),
            "GET /v1/a?b=c HTTP/1.1\r\nHost: shop.test\r\nUser-Agent: U\r\nX-One: 1\r\n\r\n"
        );
        assert_eq!(
            bytes(
                "POST",
                "/a",
                &[("user-agent", "x"), ("host", "other")],
                Body::Bytes(b"abc"[..].into()),
                false
            ),
            "POST /v1/a HTTP/1.1\r\nConnection: close\r\nuser-agent: x\r\nhost: other\r\nContent-Length: 3\r\n\r\nabc"
        );
        assert!(bytes("PUT", "/", &[], Body::None, true).contains("\r\nContent-Length: 0\r\n"));
    }

    #[test]
    fn a_value_is_put_in_and_counted() {
        let body = Body::Template(Template::parse("<{{ id }}>").expect("it is a template"));
        assert_eq!(
            bytes("POST", "/x/{{ id }}", &[("X", "{{ id }}")], body, true),
            "POST /v1/x/7%208 HTTP/1.1\r\nHost: shop.test\r\nUser-Agent: U\r\nX: 7 8\r\nContent-Length: 5\r\n\r\n<7 8>"
        );
    }

    #[test]
    fn more_names_than_series_share_the_last() {
        let steps = (0..SERIES_MAX + 50).map(|n| {
            let path = format!("/{n}");
            Step { name: path.clone(), ..crate::plan::tests::step("GET", &path, &[]) }
        });
        let prepared = Prepared::new(&crate::plan::tests::plan(steps.collect()));
        assert_eq!(prepared.series.len(), SERIES_MAX);
        assert_eq!(prepared.series.last().map(|(name, _)| name.as_str()), Some(OTHER));
        let last = prepared.scenarios[0].steps.last().map(|step| usize::from(step.series));
        assert_eq!(last, Some(SERIES_MAX - 1));
    }

    #[test]
    fn scenarios_are_chosen_by_weight() {
        let mut plan = crate::plan::tests::plan(vec![crate::plan::tests::step("GET", "/", &[])]);
        let one = plan.scenarios[0].clone();
        plan.scenarios = [3, 0, 1].map(|weight| crate::plan::Scenario { weight, ..one.clone() }).into();
        let prepared = Prepared::new(&plan);
        let mut random = Random::from_seed(5);
        let mut counts = [0_u32; 3];
        for _ in 0..10_000 {
            counts[prepared.choose(&mut random)] += 1;
        }
        assert!((7_300..7_700).contains(&counts[0]) && counts[1] == 0, "{counts:?}");
    }
}
