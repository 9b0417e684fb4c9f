//! Reads what a route does: `to`, `redirect` or `respond`.

use forebay_proxy::plan::{Action, Split, Target};
use forebay_proxy::route::{Matcher, Template};

use super::lower::Lower;
use super::problems::{Mark, Spanned};
use super::read::short;
use super::services::Services;
use super::split;
use super::value::{Fields, Value};

/// Most services one route leads to.
const TARGETS_MAX: usize = 100;
/// `Content-Type` of a `respond` that has a body and says nothing else.
const CONTENT_TYPE: &str = "text/plain; charset=utf-8";

/// What a route does, before it is known how often.
pub(super) enum Does {
    Forward(Vec<Target>),
    Split(Split),
    Redirect {
        status: u16,
        to: Template,
    },
    Respond {
        status: u16,
        content_type: Box<str>,
        body: Box<[u8]>,
    },
    /// Already reported.
    Bad,
}

impl Does {
    /// The action of one of the routes that share it.
    pub(super) fn copy(&self) -> Action {
        match self {
            Self::Forward(targets) => Action::Forward(targets.clone()),
            Self::Split(split) => Action::Split(split.clone()),
            Self::Redirect { status, to } => Action::Redirect { status: *status, to: to.clone() },
            Self::Respond { status, content_type, body } => {
                Action::Respond { status: *status, content_type: content_type.clone(), body: body.clone() }
            }
            Self::Bad => Action::Forward(Vec::new()),
        }
    }
}

/// Reads what a route does. Without a word for it, which is told elsewhere, it does nothing.
pub(super) fn read(
    lower: &mut Lower<'_, '_>,
    fields: &Fields,
    services: &mut Services,
    matchers: &[(Mark, Matcher)],
) -> Does {
    if let Some(to) = fields.get("to") {
        return match &to.value {
            Value::Table(fields) => split::read(lower, fields, services).map_or(Does::Bad, Does::Split),
            _ => Does::Forward(targets(lower, to, services)),
        };
    }
    if let Some(written) = fields.get("redirect") {
        return redirect(lower, written, matchers).unwrap_or(Does::Bad);
    }
    match fields.get("respond") {
        Some(written) => respond(lower, written),
        None => Does::Bad,
    }
}

fn targets(lower: &mut Lower<'_, '_>, to: &Spanned<Value>, services: &mut Services) -> Vec<Target> {
    let mut find = |name: Spanned<&str>| match services.find(name.value) {
        Ok(service) => Some(service),
        Err(fix) => {
            lower.problems.error_fix(name.at, format!("there is no service `{}`", short(name.value)), fix);
            None
        }
    };
    match &to.value {
        Value::Text(name) => {
            let found = find(to.with(name));
            found.map(|service| Target { service, weight: 1 }).into_iter().collect()
        }
        Value::Map(pairs) => {
            let mut targets = Vec::new();
            for pair in pairs {
                let service = find(pair.name.with(&pair.name.value));
                let weight = pair.value.value.number().and_then(|weight| u32::try_from(weight).ok());
                targets.extend(service.zip(weight).map(|(service, weight)| Target { service, weight }));
            }
            if targets.len() == pairs.len() && targets.iter().all(|target| target.weight == 0) {
                lower.problems.error_fix(
                    to.at,
                    "no service gets any requests",
                    "give one of them a weight above 0",
                );
            }
            if targets.len() > TARGETS_MAX {
                let what = format!("a route leads to at most {TARGETS_MAX} services, not {}", targets.len());
                lower.problems.error(to.at, what);
            }
            targets
        }
        _ => Vec::new(),
    }
}

fn redirect(
    lower: &mut Lower<'_, '_>,
    written: &Spanned<Value>,
    matchers: &[(Mark, Matcher)],
) -> Option<Does> {
    let (text, status) = match &written.value {
        Value::Text(text) => (written.with(text.as_str()), None),
        Value::Table(fields) => (fields.text("to")?, fields.count("status")),
        _ => return None,
    };
    // A parameter in front would let whoever writes the link choose the scheme, such as `javascript:`.
    if !["/", "http://", "https://", "{path}"].iter().any(|start| text.value.starts_with(start)) {
        let what = format!("`{}` is no target of a redirect: its beginning is open", short(text.value));
        lower.problems.error_fix(text.at, what, "begin with `/`, `http://`, `https://` or `{path}`");
        return None;
    }
    let parsed = Template::parse(text.value);
    let checked = parsed.and_then(|to| {
        matchers.iter().try_for_each(|(_, matcher)| to.check_params(matcher.param_names()))?;
        Ok(to)
    });
    match checked {
        // 302 by default: a permanent redirect stays in browsers for good, even a mistaken one.
        Ok(to) => Some(Does::Redirect { status: status.unwrap_or(302), to }),
        Err(error) => {
            let what = format!("`{}` is no target of a redirect: {error}", short(text.value));
            lower.problems.error(text.at, what);
            None
        }
    }
}

fn respond(lower: &mut Lower<'_, '_>, written: &Spanned<Value>) -> Does {
    let (status, body, content_type) = match &written.value {
        Value::Number(status) => (u16::try_from(*status).ok(), None, None),
        Value::Text(body) => (None, Some(written.with(body.as_str())), None),
        Value::Table(fields) => (fields.count("status"), fields.text("body"), fields.text("content_type")),
        _ => return Does::Bad,
    };
    let status = status.unwrap_or(200);
    let empty = body.is_none_or(|body| body.value.is_empty());
    if let Some(body) = body.filter(|_| !empty && matches!(status, 204 | 205 | 304)) {
        lower.problems.error_fix(
            body.at,
            format!("a response with status {status} has no body"),
            "remove one of the two",
        );
    }
    if let Some(content_type) = content_type {
        if empty {
            let what = "`content_type` without `body`";
            lower.problems.error_fix(content_type.at, what, "add a body, or remove it");
        } else if !content_type.value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            lower.problems.error(content_type.at, "a media type has only visible characters of ASCII");
        }
    }
    Does::Respond {
        status,
        content_type: content_type.map_or(CONTENT_TYPE, |text| text.value).into(),
        body: body.map_or("", |body| body.value).as_bytes().into(),
    }
}
