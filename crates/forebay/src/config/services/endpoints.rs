//! Reads `endpoints`. A file may have a hundred thousand of them, so the usual ones take a short way.

use std::borrow::Cow;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::Path;

use forebay_net::address::Address;
use forebay_net::cidr::CidrSet;
use forebay_proxy::plan::Endpoint;
use forebay_proxy::supervisor::ENDPOINTS_MAX;

use super::super::address;
use super::super::lower::{self, Lower};
use super::super::problems::Spanned;
use super::super::read::short;
use super::super::value::{Fields, Value};

/// What a service names itself.
pub(super) fn read(lower: &mut Lower<'_, '_>, fields: &Fields) -> Vec<Endpoint> {
    let items = fields.list("endpoints");
    if let Some(one_more) = items.get(ENDPOINTS_MAX) {
        lower.problems.error(one_more.at, format!("more than {ENDPOINTS_MAX} endpoints in one service"));
        return Vec::new();
    }
    let mut endpoints = Vec::with_capacity(items.len());
    let mut seen = Seen::default();
    for item in items {
        let (text, weight, priority) = match &item.value {
            Value::Text(text) => (item.with(text.as_str()), 1, 0),
            Value::Table(fields) => match fields.text("address") {
                Some(text) => {
                    (text, fields.count("weight").unwrap_or(1), fields.count("priority").unwrap_or(0))
                }
                None => continue,
            },
            _ => continue,
        };
        match address::endpoint(text.value) {
            Ok(literal) if seen.insert(text.value, literal, items.len()) => {
                endpoints.push(Endpoint { address: text.value.into(), weight, priority });
            }
            Ok(_) => {
                let what = format!("`{}` stands twice in this service", text.value);
                lower.problems.error_fix(text.at, what, "keep one, with a `weight` if it is to get more");
            }
            Err(wrong) => {
                let what = format!("`{}`: {}", short(text.value), wrong.what);
                lower.problems.error_fix(text.at, what, wrong.fix);
            }
        }
    }
    endpoints
}

/// The file that lists more of them.
pub(super) fn file(lower: &mut Lower<'_, '_>, fields: &Fields) -> Option<Box<Path>> {
    let written = fields.text("endpoints_file")?;
    let path = lower.base.map_or_else(|| written.value.into(), |base| base.join(written.value));
    Some(path.into())
}

/// Blocks that discovered endpoints may be in although they are special.
pub(super) fn allowed(lower: &mut Lower<'_, '_>, fields: &Fields) -> CidrSet {
    lower::blocks(lower, fields.list("endpoints_allow").iter().filter_map(Spanned::text))
}

/// Addresses that stood before, however they were written.
#[derive(Default)]
struct Seen<'t> {
    literal: HashSet<SocketAddr>,
    names: HashSet<Cow<'t, str>>,
}

impl<'t> Seen<'t> {
    /// Whether the address is new. About `all` of them are to come.
    fn insert(&mut self, text: &'t str, literal: Option<SocketAddr>, all: usize) -> bool {
        match literal {
            Some(address) => {
                if self.literal.is_empty() {
                    self.literal.reserve(all);
                }
                self.literal.insert(address)
            }
            // Case counts in paths.
            None if text.starts_with(Address::UNIX) => self.names.insert(text.into()),
            None if text.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                self.names.insert(text.to_ascii_lowercase().into())
            }
            None => self.names.insert(text.into()),
        }
    }
}
