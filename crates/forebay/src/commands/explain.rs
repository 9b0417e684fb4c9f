//! `forebay explain`: which route a request takes, why no other, and what happens to it on the way.

use std::io;

use forebay_net::host;
use forebay_net::uri::{Target, TargetError, TargetOptions, parse_target};
use forebay_proxy::plan::{Plan, Underscores};
use forebay_proxy::refusal::Refusal;
use forebay_proxy::route::{Found, Query, Rejected, Rejection};
use serde_json::{Value, json};

use super::Output;
use crate::cli;
use crate::config::{self, Loaded};

mod listener;
mod request;
mod service;
mod stages;
#[cfg(test)]
mod tests;

use request::Request;
use stages::Stage;

/// Most losing routes that are told of.
const LOSERS_MAX: usize = 5;
/// The port that `https://` means.
const HTTPS_PORT: u16 = 443;
/// Requests without TLS are redirected with this: Permanent Redirect (RFC 9110 section 15.4.9).
const REDIRECT: u16 = 308;

/// Explains one request. Gives the exit status: 1 also when the request would be refused.
///
/// # Errors
/// When it cannot be written.
pub fn explain(args: &cli::Explain, out: &mut Output<'_>) -> io::Result<u8> {
    let request = match Request::parse(args) {
        Ok(request) => request,
        Err(wrong) => {
            out.line(format!("{}: {wrong}", out.red("error")))?;
            return Ok(cli::EXIT_USAGE);
        }
    };
    let loaded = match config::load(&args.config) {
        Ok(loaded) => loaded,
        Err(problems) => {
            out.problems(&problems)?;
            return Ok(cli::EXIT_PROBLEMS);
        }
    };
    let explained = Explained::find(&request, &loaded);
    if args.json {
        out.line(format!("{:#}", explained.as_json()))?;
    } else {
        explained.show(out)?;
    }
    Ok(if explained.refused.is_none() { cli::EXIT_OK } else { cli::EXIT_PROBLEMS })
}

/// What there is to say about a request.
struct Explained {
    /// `GET http://shop.test/a`
    asked: String,
    /// The target as it was sent, and its canonical form if it has one.
    sent: String,
    canonical: Option<String>,
    host: String,
    /// Where it comes in.
    listener: String,
    /// Things about the request a reader should know.
    notes: Vec<String>,
    taken: Option<Taken>,
    /// It is answered with this status and `Location` before routes are looked at, because it comes without TLS.
    redirected: Option<(u16, String)>,
    /// Why it is not served, in detail.
    refused: Option<(Refusal, String)>,
    /// The nearest first.
    losers: Vec<Loser>,
    /// Losers beyond `LOSERS_MAX`.
    more: usize,
}

/// The route that was found.
struct Taken {
    name: String,
    matcher: String,
    params: Vec<(String, String)>,
    stages: Vec<Stage>,
}

/// A route that was not.
struct Loser {
    name: String,
    matcher: String,
    why: String,
}

impl Explained {
    /// Goes the way of a request as far as it comes.
    fn find(request: &Request, loaded: &Loaded) -> Self {
        let plan = &loaded.plan;
        let arrival = listener::find(request.secured, &request.host, &loaded.server.listen, plan);
        let mut explained = Self {
            asked: format!("{} {}", request.method, request.url),
            sent: request.target.clone(),
            canonical: None,
            host: String::new(),
            listener: arrival.listener,
            notes: request.notes.iter().cloned().chain(arrival.note).collect(),
            taken: None,
            redirected: None,
            refused: None,
            losers: Vec::new(),
            more: 0,
        };
        if let Err(refused) = explained.follow(request, plan, arrival.secured) {
            explained.refused = Some(refused);
        }
        explained
    }

    fn follow(&mut self, request: &Request, plan: &Plan, secured: bool) -> Result<(), (Refusal, String)> {
        let target = read_target(request, plan)?;
        self.canonical = Some(target.path_and_query().to_owned());
        let host =
            host::parse(request.host.as_bytes()).map_err(|error| (Refusal::BadHost, error.to_string()))?;
        self.host = host.name.into_owned();
        self.read_headers(request, plan)?;
        if request.method == "TRACE" {
            return Err((Refusal::MethodNotAllowed, "TRACE is never served".to_owned()));
        }
        if target.path() == "*" {
            self.notes.push("`OPTIONS *` is about the gateway itself, which answers with 204".to_owned());
            return Ok(());
        }
        if let Some(port) = plan.tls.as_ref().and_then(|tls| tls.redirect).filter(|_| !secured) {
            let port = if port == HTTPS_PORT { String::new() } else { format!(":{port}") };
            let location = format!("https://{}{port}{}", self.host, target.path_and_query());
            self.redirected = Some((REDIRECT, location));
            return Ok(());
        }
        self.find_route(request, plan, &target, secured)
    }

    /// What the headers ask for that is not on offer, and which of them do not count.
    fn read_headers(&mut self, request: &Request, plan: &Plan) -> Result<(), (Refusal, String)> {
        for (name, _) in &request.headers {
            if name.contains('_') && plan.limits.header_underscores == Underscores::Refuse {
                return Err((Refusal::HeaderUnderscore, format!("`{name}` has `_` in its name")));
            }
            let note = match visibility(name, plan) {
                Visibility::Seen => continue,
                Visibility::Underscore => "has `_` in its name and is left out",
                Visibility::Disguised => "looks like one that only proxies send, and is left out",
                Visibility::Ours => "is written by the gateway only, and left out",
                Visibility::Untrusted => "is left out: there are no `trusted_proxies` to send it",
                Visibility::Trusted => "counts because `trusted_proxies` are assumed to send it",
            };
            self.notes.push(format!("`{name}` {note}"));
        }
        Ok(())
    }

    fn find_route(
        &mut self,
        request: &Request,
        plan: &Plan,
        target: &Target,
        secured: bool,
    ) -> Result<(), (Refusal, String)> {
        let seen = |name: &str| matches!(visibility(name, plan), Visibility::Seen | Visibility::Trusted);
        let header = |name: &[u8]| request.header_among(name, seen);
        let host = self.host.clone();
        let query = Query {
            host: &host,
            path: target.path(),
            method: request.method.as_bytes(),
            query: target.query(),
            header: &header,
        };
        let explanation = plan.router.find_explain(&query);
        self.tell_losers(plan, explanation.rejected);
        match explanation.found {
            Found::Route(index) => {
                let route = &plan.routes[index];
                self.taken = Some(Taken {
                    name: route.name.to_string(),
                    matcher: route.matcher.to_string(),
                    params: explanation
                        .params
                        .iter()
                        .map(|(name, value)| (name.into(), value.into()))
                        .collect(),
                    stages: stages::of(plan, index, request, target, &host, secured),
                });
                stages::refused_upgrade(route, request).map_or(Ok(()), |protocol| {
                    let detail = format!("`{protocol}` is not among the protocols of its `upgrade`");
                    Err((Refusal::UpgradeUnsupported, detail))
                })
            }
            Found::WrongMethod(methods) => {
                Err((Refusal::MethodNotAllowed, format!("served here: {}", methods.join(", "))))
            }
            Found::Nothing => Err((Refusal::NoRoute, "a route with `match: /*` would catch all".to_owned())),
        }
    }

    /// Keeps the routes that came nearest; of those that came equally near, the most specific.
    fn tell_losers(&mut self, plan: &Plan, mut rejected: Vec<Rejected<'_>>) {
        rejected.sort_by_key(|loser| distance(&loser.why));
        self.more = rejected.len().saturating_sub(LOSERS_MAX);
        let near = rejected.into_iter().take(LOSERS_MAX).map(|loser| {
            let route = &plan.routes[loser.route];
            Loser {
                name: route.name.to_string(),
                matcher: route.matcher.to_string(),
                why: loser.why.to_string(),
            }
        });
        self.losers = near.collect();
    }

    fn show(&self, out: &mut Output<'_>) -> io::Result<()> {
        let rows = |out: &mut Output<'_>, name: &str, text: &str| {
            let name = out.dim(&format!("{name:<12}"));
            out.line(format!("{name}{text}"))
        };
        out.line(out.bold(&self.asked))?;
        match &self.canonical {
            Some(canonical) if *canonical == self.sent => rows(out, "target", canonical)?,
            Some(canonical) => rows(out, "target", &format!("{canonical}  (sent as {})", self.sent))?,
            None => rows(out, "target", &self.sent)?,
        }
        rows(out, "host", &self.host)?;
        rows(out, "listener", &self.listener)?;
        for note in &self.notes {
            rows(out, "note", note)?;
        }
        if let Some((status, location)) = &self.redirected {
            rows(out, "redirect", &format!("{status} to {location}, because it comes without TLS"))?;
        }
        if let Some(Taken { name, matcher, params, stages }) = &self.taken {
            let also = if name == matcher { String::new() } else { format!("  (match: {matcher})") };
            rows(out, "route", &format!("{}{also}", out.green(name)))?;
            for (name, value) in params {
                rows(out, "", &format!("{{{name}}} is {value}"))?;
            }
            for stage in stages {
                for (number, line) in stage.does.iter().enumerate() {
                    rows(out, if number == 0 { stage.name } else { "" }, line)?;
                }
            }
        }
        if let Some((refusal, detail)) = &self.refused {
            let reason = out.red(&format!("{} {}", refusal.status(), refusal.reason()));
            rows(out, "refused", &format!("{reason}: {}", refusal.title()))?;
            rows(out, "", detail)?;
        }
        for (number, loser) in self.losers.iter().enumerate() {
            let also =
                if loser.name == loser.matcher { String::new() } else { format!(" ({})", loser.matcher) };
            let name = if number == 0 { "not taken" } else { "" };
            rows(out, name, &format!("{}{also}: {}", loser.name, loser.why))?;
        }
        match self.more {
            0 => Ok(()),
            1 => rows(out, "", "and one more"),
            more => rows(out, "", &format!("and {more} more")),
        }
    }

    fn as_json(&self) -> Value {
        let losers = self.losers.iter();
        let losers: Vec<_> = losers
            .map(|loser| json!({ "route": loser.name, "match": loser.matcher, "why": loser.why }))
            .collect();
        let route = self.taken.as_ref().map(|taken| {
            let params: serde_json::Map<String, Value> =
                taken.params.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
            json!({ "name": taken.name, "match": taken.matcher, "params": params })
        });
        let stages: Vec<_> = self.taken.iter().flat_map(|taken| &taken.stages).collect();
        let stages: Vec<_> =
            stages.iter().map(|stage| json!({ "stage": stage.name, "does": stage.does })).collect();
        let refused = self.refused.as_ref().map(|(refusal, detail)| {
            json!({
                "status": refusal.status(),
                "reason": refusal.reason(),
                "title": refusal.title(),
                "detail": detail,
            })
        });
        json!({
            "asked": self.asked,
            "target": { "sent": self.sent, "canonical": self.canonical },
            "host": self.host,
            "listener": self.listener,
            "redirect": self.redirected.as_ref().map(|(status, to)| json!({ "status": status, "to": to })),
            "notes": self.notes,
            "route": route,
            "stages": stages,
            "refused": refused,
            "not_taken": losers,
            "not_taken_more": self.more,
        })
    }
}

/// Whether a header counts for routes and reaches services.
enum Visibility {
    Seen,
    /// If a proxy that is trusted sends it.
    Trusted,
    /// There are no such proxies.
    Untrusted,
    /// Who has proved to be whom is for the gateway to say.
    Ours,
    /// Its name has `_` in it.
    Underscore,
    /// And is but for that one that proxies send.
    Disguised,
}

/// As the gateway judges it.
fn visibility(name: &str, plan: &Plan) -> Visibility {
    let underscore = name.contains('_');
    let proxies = match name.to_ascii_lowercase().replace('_', "-").as_str() {
        "forwarded" | "x-real-ip" | "x-request-id" => true,
        name => name.len() > "x-forwarded-".len() && name.starts_with("x-forwarded-"),
    };
    if underscore && proxies {
        Visibility::Disguised
    } else if underscore && plan.limits.header_underscores != Underscores::Allow {
        Visibility::Underscore
    } else if !proxies {
        Visibility::Seen
    } else if name.eq_ignore_ascii_case("x-forwarded-client-cert") {
        Visibility::Ours
    } else if plan.trusted_proxies.is_empty() {
        Visibility::Untrusted
    } else {
        Visibility::Trusted
    }
}

fn read_target(request: &Request, plan: &Plan) -> Result<Target, (Refusal, String)> {
    if request.method == "CONNECT" {
        return Err((Refusal::ConnectUnsupported, "CONNECT would be a tunnel to anywhere".to_owned()));
    }
    let limits = &plan.limits;
    let options = TargetOptions { merge_slashes: limits.merge_slashes, bytes_max: limits.uri_bytes };
    let mut target = Target::default();
    match parse_target(request.method.as_bytes(), request.target.as_bytes(), &options, &mut target) {
        Ok(()) => Ok(target),
        Err(error @ TargetError::TooLong) => Err((Refusal::TargetTooLong, error.to_string())),
        Err(error) => Err((Refusal::BadTarget, error.to_string())),
    }
}

/// How far a route was from being taken.
fn distance(why: &Rejection<'_>) -> u8 {
    match why {
        Rejection::LessSpecific(_) => 0,
        Rejection::Header(_) | Rejection::Query(_) => 1,
        Rejection::Method => 2,
        Rejection::Path => 3,
        Rejection::Host => 4,
    }
}
