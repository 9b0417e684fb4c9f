//! Reads `rewrite`.

use forebay_net::uri::{Target, TargetError};
use forebay_proxy::route::{Matcher, Params, PathRewrite, Rewrite, RewriteError, Values};

use super::lower::Lower;
use super::problems::Mark;
use super::value::Fields;

/// Reads the `rewrite` of a route that is meant by any of `matchers`.
pub(super) fn read(
    lower: &mut Lower<'_, '_>,
    route: &Fields,
    matchers: &[(Mark, Matcher)],
) -> Option<Rewrite> {
    let fields = route.table("rewrite")?;
    let (at, path) = match path_rewrite(fields) {
        Some((at, path)) => (at, accept(lower, at, path)),
        None => (fields.at, None),
    };
    for name in path.iter().flat_map(PathRewrite::params) {
        let lacking = matchers.iter().find(|(_, matcher)| matcher.param_names().all(|other| other != name));
        if let Some((_, matcher)) = lacking {
            lower.problems.error(at, format!("`{matcher}` has no parameter `{{{name}}}`"));
        }
    }
    let host = fields.text("host");
    if fields.written.is_empty() {
        lower.problems.error(fields.at, "this `rewrite` changes nothing");
    }
    match Rewrite::new(path, host.map(|host| host.value)) {
        Ok(rewrite) => Some(rewrite),
        Err(error) => {
            let at = host.map_or(fields.at, |host| host.at);
            lower.problems.error(at, format!("this is no `rewrite`: {error}"));
            None
        }
    }
}

/// The change of the path and where it stands.
fn path_rewrite(fields: &Fields) -> Option<(Mark, Result<PathRewrite, RewriteError>)> {
    if let Some(prefix) = fields.text("strip_prefix") {
        return Some((prefix.at, PathRewrite::strip_prefix(prefix.value)));
    }
    if let Some(path) = fields.text("path") {
        return Some((path.at, PathRewrite::template(path.value).and_then(tried)));
    }
    if let Some(long) = fields.table("replace_prefix") {
        let (from, to) = (long.text("from")?, long.text("to")?);
        return Some((from.at, PathRewrite::replace_prefix(from.value, to.value)));
    }
    let long = fields.table("regex")?;
    let (pattern, to) = (long.text("pattern")?, long.text("to")?);
    let checked = PathRewrite::regex(pattern.value, to.value);
    let at = if matches!(checked, Err(RewriteError::Group(_))) { to.at } else { pattern.at };
    Some((at, checked))
}

/// The rewrite, if it makes a path that services can be sent: a slip in its own text would fail every request.
fn tried(rewrite: PathRewrite) -> Result<PathRewrite, RewriteError> {
    let values = Values { host: "shop.test", path: "/", query: None, params: Params::default() };
    rewrite.apply(&values, &mut Target::default())?;
    Ok(rewrite)
}

fn accept(
    lower: &mut Lower<'_, '_>,
    at: Mark,
    checked: Result<PathRewrite, RewriteError>,
) -> Option<PathRewrite> {
    checked
        .map_err(|error| {
            let what = match &error {
                RewriteError::Regex(text) => format!("this is no regular expression: {}", last_line(text)),
                RewriteError::Path(TargetError::Form) => "a path begins with `/`".to_owned(),
                error => format!("this is no `rewrite`: {error}"),
            };
            lower.problems.error(at, what);
        })
        .ok()
}

/// The `regex` crate draws a picture over several lines and says in the last what is wrong.
fn last_line(text: &str) -> &str {
    let last = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
    last.trim_start_matches("error: ")
}
