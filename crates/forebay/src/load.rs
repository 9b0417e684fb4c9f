//! From a load plan as people write it, or a URL with flags, to a test the engine runs: strict, complete, every
//! problem told at once.
//!
//! Plans are read by the walker of the settings with a registry of their own (`keys`). Flags (`changes`) go
//! before the keys of the same name; `schedule` makes stages of either, `scenarios` and `step` what is sent.

use std::path::Path;

use forebay_base::problem::{Position, Problem};
use forebay_load::import::{Kind, Tree};
use forebay_load::lab::{Of, Watch};
use forebay_load::plan::{Plan, Scenario};
use forebay_load::threshold::Threshold;

use crate::config::problems::{Mark, Problems};
use crate::config::schema::Hints;
use crate::config::value::Fields;
use crate::config::{self, Surroundings, expand, read, yaml};

mod changes;
mod conditions;
mod expect;
mod feeders;
mod files;
mod json;
mod keys;
mod lab;
pub mod levels;
mod lower;
mod names;
pub mod protocol;
mod reference;
mod scenarios;
mod schedule;
mod step;
pub mod target;
#[cfg(test)]
mod tests;
mod variables;

pub use changes::{Changes, Data, Preset, Quick};
pub use conditions::unmet;

use lower::Lower;
use target::Url;

/// A plan without a mistake.
#[derive(Debug)]
pub struct Loaded {
    /// What the engine runs.
    pub plan: Plan,
    /// What looks odd but can be run, in the order of the file.
    pub warnings: Vec<Problem>,
}

/// Reads a plan file, with the environment of this process.
///
/// # Errors
/// Every problem of the file, in its order; at least one is an error.
pub fn load(path: &Path, changes: &Changes) -> Result<Loaded, Vec<Problem>> {
    let name = path.display().to_string();
    let text = config::read_file(path).map_err(|error| {
        let problem = Problem::error(Position::file(name.as_str()), format!("cannot be read: {error}"));
        let fix = match name.contains(':') && !path.exists() {
            true => format!("write `http://{name}` if a URL is meant"),
            false => "name a plan file, or a URL with `http://`".to_owned(),
        };
        vec![problem.fix(fix)]
    })?;
    if is_recording(&text) {
        let problem = Problem::error(Position::file(name.as_str()), "this is a recording, and no plan");
        let fix = format!("send it with `forebay load replay {name} --target http://...`");
        return Err(vec![problem.fix(fix)]);
    }
    let env = |name: &str| std::env::var(name).ok();
    let around = Surroundings { env: &env, base: Some(path.parent().unwrap_or(Path::new(""))) };
    load_text(&name, &text, around, changes)
}

/// Whether a text begins as recordings do.
fn is_recording(text: &str) -> bool {
    let first = text.lines().next().unwrap_or_default();
    first.starts_with('{') && first.contains("\"forebay_recording\"")
}

/// Reads a plan from a text that is called `name` in problems.
///
/// # Errors
/// As [`load`].
pub fn load_text(
    name: &str,
    text: &str,
    around: Surroundings<'_>,
    changes: &Changes,
) -> Result<Loaded, Vec<Problem>> {
    let mut problems = Problems::new(name);
    let mut tree = yaml::parse(text, keys::PLANS.hints, &mut problems);
    if let Some(tree) = &mut tree {
        expand::expand(tree, around.env, &mut problems);
    }
    let stem =
        Path::new(name).file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let top = tree.and_then(|tree| read::read(tree, &keys::PLANS, &mut problems));
    let base = around.base.unwrap_or(Path::new(""));
    let plan =
        top.and_then(|top| lower::lower(&mut Lower { problems: &mut problems, base, changes }, &top, &stem));
    match plan {
        Some(plan) if !problems.fatal() => Ok(Loaded { plan, warnings: problems.sorted() }),
        _ => Err(problems.sorted()),
    }
}

/// A test of one URL; `changes` says the rest.
///
/// # Errors
/// Every problem of what was typed, or that its name has no address.
pub fn of_url(url: &Url, quick: &Quick, changes: &Changes) -> Result<Loaded, Vec<Problem>> {
    let mut problems = Problems::new("forebay load");
    // The path is that of the one step, not a prefix of it.
    let changes = Changes { target: Some(url.without_path()), ..changes.clone() };
    let top = Fields { at: Mark::FILE, table: keys::PLANS.top(), written: Vec::new(), meant: Vec::new() };
    let lower = &mut Lower { problems: &mut problems, base: Path::new(""), changes: &changes };
    let step = step::quick(lower, &top, quick.method.as_deref(), &url.path, quick.body.as_ref());
    let scenario = |step| Scenario { name: "url".to_owned(), weight: 1, steps: vec![step], tags: Vec::new() };
    let plan = lower::finish(lower, &top, step.map(scenario).into_iter().collect());
    match plan {
        Some(plan) if !problems.fatal() => {
            let name = plan
                .scenarios
                .iter()
                .flat_map(|scenario| &scenario.steps)
                .map(|step| step.name.clone())
                .next();
            let name = name.unwrap_or_default();
            Ok(Loaded { plan: Plan { name, ..plan }, warnings: problems.sorted() })
        }
        _ => Err(problems.sorted()),
    }
}

/// What must hold, as typed: `p(95)<100ms`.
///
/// # Errors
/// What is wrong with it.
pub fn threshold(text: &str) -> Result<Threshold, String> {
    Threshold::parse(text).map_err(|error| error.to_string())
}

/// Settings of another tool, YAML or JSON, as a tree.
///
/// # Errors
/// Why the text is none, with line and column.
pub fn tree(text: &str) -> Result<Tree, Vec<String>> {
    let mut problems = Problems::new("");
    let hints = Hints { empty: "name another file", shared: "write it out" };
    let tree = yaml::parse(text, hints, &mut problems);
    match tree {
        Some(tree) if !problems.fatal() => Ok(tree_of(&tree)),
        _ => Err(problems.sorted().iter().map(told).collect()),
    }
}

/// A problem of a file that is named elsewhere.
fn told(problem: &Problem) -> String {
    let Problem { at, what, fix, .. } = problem;
    let fix = fix.as_ref().map_or_else(String::new, |fix| format!("; {fix}"));
    match at.line {
        0 => format!("{what}{fix}"),
        line => format!("line {line}, column {}: {what}{fix}", at.column),
    }
}

fn tree_of(node: &yaml::Node) -> Tree {
    let kind = match &node.kind {
        yaml::Kind::Bad => Kind::Text { text: String::new(), plain: true },
        yaml::Kind::Scalar(scalar) => Kind::Text { text: scalar.text.clone(), plain: scalar.plain },
        yaml::Kind::List(items) => Kind::List(items.iter().map(tree_of).collect()),
        yaml::Kind::Map(entries) => {
            Kind::Map(entries.iter().map(|entry| (entry.key.to_string(), tree_of(&entry.value))).collect())
        }
    };
    Tree { line: node.at.line as usize, kind }
}

/// Whether this may stand in a request line as its method.
pub(crate) use step::is_token;

/// What stands in a file a plan or flag names.
pub(crate) use files::read as read_file;

/// What to look at, as typed: `api=pid:123`, `api=port:8080`, either with `,http://...` where it serves profiles.
///
/// # Errors
/// What is wrong with it.
pub fn watch(text: &str) -> Result<Watch, String> {
    let help = "write `api=pid:123` or `api=port:8080`, either with `,http://127.0.0.1:6060` where it serves \
                profiles, or `api=http://127.0.0.1:6060` for the process there";
    let (name, of) = text.split_once('=').ok_or(help)?;
    let (of, profile) = match of.split_once(',') {
        Some((of, profile)) => (of, Some(profile.to_owned())),
        None if target::has_scheme(of) => (of, Some(of.to_owned())),
        None => (of, None),
    };
    let of = match of.split_once(':') {
        Some(("pid", pid)) => Of::Pid(pid.parse().map_err(|_| format!("`{pid}` is no process; {help}"))?),
        Some(("port", port)) => Of::Port(port.parse().map_err(|_| format!("`{port}` is no port; {help}"))?),
        _ if target::has_scheme(of) && !of.starts_with("https:") => {
            Of::Port(target::parse(of).map_err(|wrong| format!("{}; {}", wrong.what, wrong.fix))?.port())
        }
        _ => return Err(help.to_owned()),
    };
    Ok(Watch { name: name.to_owned(), of, profile })
}

/// The schema of a plan file.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    config::json_schema::of(&keys::PLANS)
}

/// The reference page of plan files, in Markdown.
#[must_use]
pub fn reference() -> String {
    config::reference::page(&keys::PLANS) + &reference::languages()
}
