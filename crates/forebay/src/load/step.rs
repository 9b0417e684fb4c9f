//! One request of a scenario: what is sent, and what its answer must be like.

mod messages;

use std::sync::Arc;
use std::time::Duration;

use forebay_base::units;
use forebay_load::capture::Capture;
use forebay_load::plan::{Body, Kind, Step};
use forebay_load::template::{self, Template};

use super::lower::{Lower, TIMEOUT_DEFAULT, texts};
use super::names::Names;
use super::{Data, expect, files, json};
use crate::config::problems::{Mark, Spanned};
use crate::config::read::short;
use crate::config::value::{Fields, Pair, Value};

/// The keys whose names are methods.
const METHODS: [&str; 6] = ["get", "post", "put", "patch", "delete", "head"];
/// Headers the engine answers for: with another value nobody could tell where a request ends.
const FRAMING: [&str; 2] = ["content-length", "transfer-encoding"];

/// What holds for steps that do not say otherwise.
#[derive(Debug)]
pub(super) struct Usual {
    headers: Vec<(String, Template)>,
    /// Those of flags, which go before a step's own.
    strong: Vec<(String, Template)>,
    timeout: Duration,
}

impl Usual {
    /// What the flags and the top of the plan say.
    pub(super) fn of(lower: &mut Lower<'_, '_>, top: &Fields, names: &Names) -> Self {
        let flags = lower.changes;
        let mut strong = Vec::new();
        for (name, value) in &flags.headers {
            let value = Spanned { at: Mark::FILE, value: value.as_str() };
            strong.extend(header(lower, Spanned { at: Mark::FILE, value: name }, value, names));
        }
        Self {
            headers: headers_of(lower, top.map("headers"), names),
            strong,
            timeout: flags.timeout.or(top.time("timeout")).unwrap_or(TIMEOUT_DEFAULT),
        }
    }

    /// The headers of a step with `own`: what is said nearer to it takes the place of what is said farther off.
    fn headers_with(&self, own: Vec<(String, Template)>) -> Vec<(String, Template)> {
        let mut all = self.headers.clone();
        for near in [&own, &self.strong] {
            all.retain(|(name, _)| !near.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)));
            all.extend(near.iter().cloned());
        }
        all
    }
}

/// The step of a quick form.
pub(super) fn quick(
    lower: &mut Lower<'_, '_>,
    top: &Fields,
    method: Option<&str>,
    path: &str,
    data: Option<&Data>,
) -> Option<Step> {
    let names = Names::default();
    let usual = Usual::of(lower, top, &names);
    let path = if path.is_empty() { "/" } else { path };
    let at = Mark::FILE;
    let template = self::path(lower, Spanned { at, value: path }, &names);
    let body = match data {
        None => Body::None,
        Some(Data::Typed(text)) => {
            if let Err(error) = Template::parse(text) {
                let fix = "write it otherwise, or send a file as it is with `-d @FILE`";
                lower.problems.error_fix(at, format!("`-d` is a template: `{}`: {error}", short(text)), fix);
                return None;
            }
            body_of(filled(lower, Spanned { at, value: text }, &names)?)
        }
        Some(Data::Bytes(bytes)) => Body::Bytes(bytes.as_slice().into()),
    };
    let mut headers = usual.headers_with(Vec::new());
    let typed = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    if !typed && data.is_some_and(is_json) {
        headers.push(("content-type".to_owned(), Template::text("application/json")));
    }
    let method = method.unwrap_or(if matches!(body, Body::None) { "GET" } else { "POST" });
    Some(Step {
        kind: Kind::Http,
        name: format!("{method} {path}"),
        method: method.to_owned(),
        path: template?,
        headers,
        body,
        timeout: usual.timeout,
        think: (Duration::ZERO, Duration::ZERO),
        capture: Vec::new(),
        expect: Vec::new(),
        tags: Vec::new(),
    })
}

/// Whether it is an object or a list of JSON, as it was given.
fn is_json(data: &Data) -> bool {
    let bytes = match data {
        Data::Typed(text) => text.as_bytes(),
        Data::Bytes(bytes) => bytes,
    };
    let begins = matches!(bytes.trim_ascii_start().first(), Some(b'{' | b'['));
    begins && serde_json::from_slice::<serde_json::Value>(bytes).is_ok()
}

/// Reads a step; what it captures is among the names afterwards.
pub(super) fn lower(
    lower: &mut Lower<'_, '_>,
    fields: &Fields,
    usual: &Usual,
    names: &mut Names,
) -> Option<Step> {
    if let Some(asked) = fields.table("grpc") {
        return messages::grpc(lower, fields, asked, usual, names);
    }
    if let Some(asked) = fields.table("websocket") {
        return messages::websocket(lower, fields, asked, usual, names);
    }
    let asked = method_and_path(lower, fields);
    let template =
        asked.as_ref().and_then(|(_, at, path)| self::path(lower, Spanned { at: *at, value: path }, names));
    let mut headers = usual.headers_with(headers_of(lower, fields.map("headers"), names));
    let body = body(lower, fields, names);
    if fields.has("json") && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        headers.push(("content-type".to_owned(), Template::text("application/json")));
    }
    let think = fields.text("think").map_or(Some(Default::default()), |text| think(lower, text));
    let capture = capture(lower, fields, names);
    let expect = fields.table("expect").map(|fields| expect::lower(lower, fields)).unwrap_or_default();
    let (method, _, path) = asked?;
    let name = fields.text("name").map_or_else(|| format!("{method} {path}"), |name| name.value.to_owned());
    Some(Step {
        kind: Kind::Http,
        name,
        method,
        path: template?,
        headers,
        body: body?,
        timeout: fields.time("timeout").unwrap_or(usual.timeout),
        think: think?,
        capture,
        expect,
        tags: texts(fields.map("tags")),
    })
}

fn method_and_path(lower: &mut Lower<'_, '_>, fields: &Fields) -> Option<(String, Mark, String)> {
    if let Some((key, path)) = METHODS.iter().find_map(|key| Some((*key, fields.text(key)?))) {
        return Some((key.to_ascii_uppercase(), path.at, path.value.to_owned()));
    }
    let text = fields.text("request")?;
    let (method, path) = text.value.split_once(' ').unwrap_or((text.value, ""));
    if !is_token(method) || path.trim().is_empty() {
        let what = format!("`{}` is no method with a path", short(text.value));
        lower.problems.error_fix(text.at, what, "write, for example, `PURGE /cache`");
        return None;
    }
    Some((method.to_owned(), text.at, path.trim().to_owned()))
}

/// Whether this may stand in a request line as its method, or be the name of a header (RFC 9110 section 5.6.2).
pub(crate) fn is_token(text: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(token)
}

fn path(lower: &mut Lower<'_, '_>, text: Spanned<&str>, names: &Names) -> Option<Template> {
    let template = filled(lower, text, names)?;
    match template.check_target() {
        Ok(()) => Some(template),
        Err(error) => {
            lower.problems.error(text.at, format!("`{}`: {error}", short(text.value)));
            None
        }
    }
}

fn headers_of(lower: &mut Lower<'_, '_>, pairs: &[Pair], names: &Names) -> Vec<(String, Template)> {
    let mut headers = Vec::new();
    for Pair { name, value } in pairs {
        let Some(text) = value.text() else { continue };
        headers.extend(header(lower, name.with(&*name.value), text, names));
    }
    headers
}

fn header(
    lower: &mut Lower<'_, '_>,
    name: Spanned<&str>,
    value: Spanned<&str>,
    names: &Names,
) -> Option<(String, Template)> {
    if !is_token(name.value) {
        let what = format!("`{}` cannot be the name of a header", short(name.value));
        lower.problems.error_fix(name.at, what, "write letters, digits and `-`");
        return None;
    }
    if FRAMING.iter().any(|framing| name.value.eq_ignore_ascii_case(framing)) {
        let what = format!("`{}` follows from the body", name.value);
        lower.problems.error_fix(name.at, what, "leave it out");
        return None;
    }
    let template = filled(lower, value, names)?;
    match template.check_field() {
        Ok(()) => Some((name.value.to_owned(), template)),
        Err(error) => {
            lower.problems.error(value.at, format!("the value of `{}`: {error}", name.value));
            None
        }
    }
}

/// `None`: it is wrong, which has been told.
fn body(lower: &mut Lower<'_, '_>, fields: &Fields, names: &Names) -> Option<Body> {
    if let Some(Spanned { at, value: Value::Any(json) }) = fields.get("json") {
        let text = json::text(json);
        return filled(lower, Spanned { at: *at, value: &text }, names).map(body_of);
    }
    if let Some(text) = fields.text("body") {
        return filled(lower, text, names).map(body_of);
    }
    let Some(name) = fields.text("body_file") else {
        let bad = ["json", "body", "body_file"].iter().any(|key| fields.has(key));
        return (!bad).then_some(Body::None);
    };
    match files::read(&lower.base.join(name.value), files::BODY_MAX) {
        Ok(bytes) => Some(Body::Bytes(bytes.into())),
        Err(error) => {
            lower
                .problems
                .error(name.at, format!("cannot read the body in `{}`: {error}", short(name.value)));
            None
        }
    }
}

fn think(lower: &mut Lower<'_, '_>, text: Spanned<&str>) -> Option<(Duration, Duration)> {
    let (from, to) = text.value.split_once("..").unwrap_or((text.value, text.value));
    let error = match (units::parse_duration(from.trim()), units::parse_duration(to.trim())) {
        (Ok(from), Ok(to)) if from <= to => return Some((from, to)),
        (Ok(_), Ok(_)) => "the shorter one comes first".to_owned(),
        (Err(error), _) | (_, Err(error)) => error.to_string(),
    };
    let what = format!("`think` cannot be `{}`: {error}", short(text.value));
    lower.problems.error_fix(text.at, what, "write, for example, `1s` or `1s..3s`");
    None
}

fn capture(lower: &mut Lower<'_, '_>, fields: &Fields, names: &mut Names) -> Vec<Capture> {
    let mut captures = Vec::new();
    for Pair { name, value } in fields.map("capture") {
        let label = &*name.value;
        if let Err(error) = template::check_name(label) {
            lower.problems.error(name.at, error.to_string());
        }
        // Even what cannot be captured has its name now, so that one slip is told once.
        names.define(label);
        let Value::Table(source) = &value.value else { continue };
        let (text, made) = if let Some(path) = source.text("json") {
            (path, Capture::parse_json(label, path.value))
        } else if let Some(field) = source.text("header") {
            (field, Capture::parse_header(label, field.value))
        } else if let Some(pattern) = source.text("regex") {
            (pattern, Capture::parse_regex(label, pattern.value, None))
        } else {
            continue;
        };
        match made {
            Ok(capture) => captures.push(capture),
            Err(error) => lower.problems.error(text.at, error.to_string()),
        }
    }
    captures
}

/// A template all of whose names have values.
fn filled(lower: &mut Lower<'_, '_>, text: Spanned<&str>, names: &Names) -> Option<Template> {
    let template = match Template::parse(text.value) {
        Ok(template) => template,
        Err(error) => {
            lower.problems.error(text.at, format!("`{}`: {error}", short(text.value)));
            return None;
        }
    };
    for name in template.names() {
        if let Some((what, fix)) = names.missing(name) {
            lower.problems.error_fix(text.at, what, fix);
        }
    }
    Some(template)
}

/// Fixed texts are bytes, so that nothing is done for each request.
fn body_of(template: Template) -> Body {
    match template.as_text() {
        Some(text) => Body::Bytes(Arc::from(text.as_bytes())),
        None => Body::Template(template),
    }
}
