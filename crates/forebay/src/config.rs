//! From a settings file to a plan: strict, complete, every problem told at once.
//!
//! Text becomes a tree with positions (`yaml`), variables are filled in (`expand`), the tree is checked
//! against the registry of keys (`keys`, `read`), and what was written is turned into a plan (`lower` and
//! those it calls). Each step goes on after a problem, so that one run tells all of them; the plan is given
//! out only if there is none.

use std::io::Read as _;
use std::path::Path;

use forebay_base::problem::{Position, Problem};
use forebay_proxy::plan::Plan;

mod acme;
mod action;
mod address;
mod balance;
mod dns;
mod edits;
mod endpoints_file;
pub(crate) mod expand;
mod files;
mod flags;
mod health;
pub(crate) mod json_schema;
mod keys;
mod listen;
mod lower;
mod names;
mod outlier;
pub(crate) mod problems;
pub(crate) mod read;
mod record;
pub(crate) mod reference;
mod rewrite;
mod routes;
pub(crate) mod schema;
mod server;
mod services;
mod split;
mod tls;
mod upgrade;
pub(crate) mod value;
pub(crate) mod yaml;

#[cfg(test)]
mod tests;

pub use endpoints_file::read_endpoints;
pub use files::Watched;
pub use flags::{from_flags, override_addresses, override_server};
pub(crate) use tls::dates;

pub use server::{ADMIN_DEFAULT, AccessFormat, Admin, Listen, LogTarget, Logs, Secret, Server, Workers};

use lower::Lowered;
use problems::Problems;

/// How a text is called in problems when it did not come from a file.
const UNNAMED: &str = "forebay.yaml";

/// The reference page of the settings, in Markdown.
#[must_use]
pub fn reference() -> String {
    reference::page(&keys::SETTINGS)
}

/// The schema of a settings file.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    json_schema::of(&keys::SETTINGS)
}

/// Settings without a mistake.
#[derive(Debug)]
pub struct Loaded {
    /// What the process needs to know.
    pub server: Server,
    /// What the data path works with.
    pub plan: Plan,
    /// What looks odd but can be served, in the order of the file.
    pub warnings: Vec<Problem>,
    /// Files that were read besides: when one of them changes, so may the plan.
    pub files: Vec<Watched>,
}

/// What settings may draw on besides their own text.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Looks a variable of the environment up.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Where relative paths begin; `None`: no file is read.
    pub base: Option<&'a Path>,
}

/// Reads a settings file, with the environment of this process.
///
/// # Errors
/// Every problem of the file, in its order; at least one is an error.
pub fn load(path: &Path) -> Result<Loaded, Vec<Problem>> {
    load_noting(path, &mut Vec::new())
}

/// As [`load`]; notes the files that were read besides, or could not be, whatever comes of it.
///
/// # Errors
/// As [`load`].
pub fn load_noting(path: &Path, files: &mut Vec<Watched>) -> Result<Loaded, Vec<Problem>> {
    let name = path.display().to_string();
    let text = read_file(path).map_err(|error| {
        let problem = Problem::error(Position::file(name.as_str()), format!("cannot be read: {error}"));
        vec![problem.fix("name another file with `-c`")]
    })?;
    let env = |name: &str| std::env::var(name).ok();
    let around = Surroundings { env: &env, base: Some(path.parent().unwrap_or(Path::new(""))) };
    let loaded = loaded(&name, &text, around);
    files.clone_from(&loaded.1);
    loaded.0
}

/// Reads settings from a text alone: no environment, no files.
///
/// # Errors
/// As [`load`].
pub fn load_str(text: &str) -> Result<Loaded, Vec<Problem>> {
    load_text(UNNAMED, text, Surroundings { env: &|_| None, base: None })
}

/// Reads settings from a text that is called `name` in problems.
///
/// # Errors
/// As [`load`].
pub fn load_text(name: &str, text: &str, around: Surroundings<'_>) -> Result<Loaded, Vec<Problem>> {
    loaded(name, text, around).0
}

/// What a text comes to, and the files that were read for it.
fn loaded(name: &str, text: &str, around: Surroundings<'_>) -> (Result<Loaded, Vec<Problem>>, Vec<Watched>) {
    let mut problems = Problems::new(name);
    match lowered(text, around, &mut problems) {
        Some(Lowered { server, plan, files }) if !problems.fatal() => {
            let loaded = Loaded { server, plan, warnings: problems.sorted(), files: files.clone() };
            (Ok(loaded), files)
        }
        lowered => (Err(problems.sorted()), lowered.map(|lowered| lowered.files).unwrap_or_default()),
    }
}

/// Where settings that have problems say that the admin side is, if they do: for those who want to reach a
/// gateway that may run with what the settings said before.
#[must_use]
pub fn admin_despite_problems(path: &Path) -> Option<Admin> {
    let text = read_file(path).ok()?;
    let env = |name: &str| std::env::var(name).ok();
    let around = Surroundings { env: &env, base: Some(path.parent().unwrap_or(Path::new(""))) };
    lowered(&text, around, &mut Problems::new(UNNAMED))?.server.admin
}

/// What a text means as far as it can be told; of use only if there is no problem.
fn lowered(text: &str, around: Surroundings<'_>, problems: &mut Problems) -> Option<Lowered> {
    let Surroundings { env, base: _ } = around;
    let mut tree = yaml::parse(text, keys::SETTINGS.hints, problems);
    // Most files have none, and some a hundred thousand endpoints.
    if let Some(tree) = tree.as_mut().filter(|_| text.contains('$')) {
        expand::expand(tree, env, problems);
    }
    tree.and_then(|tree| read::read(tree, &keys::SETTINGS, problems))
        .map(|top| lower::lower(&top, around, problems))
}

/// The text of a settings file, if it is one: not too large, UTF-8, a file.
///
/// # Errors
/// When it cannot be opened or read, or is no such file.
pub fn read_file(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    // One byte more than is accepted, so that too large a file is seen to be so.
    let bound = yaml::FILE_MAX as u64 + 1;
    std::fs::File::open(path)?.take(bound).read_to_string(&mut text)?;
    Ok(text)
}
