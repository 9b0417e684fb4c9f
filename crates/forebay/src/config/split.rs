//! Reads `to` where it parts reads from writes.

use forebay_proxy::plan::{ReadAfterWrite, Split, WriterBy};

use super::lower::Lower;
use super::names::{cookie, header, whole_seconds};
use super::problems::Spanned;
use super::read::short;
use super::services::Services;
use super::value::{Fields, Value};

/// The cookie of a client that has written unless told otherwise.
const COOKIE: &str = "forebay_wrote";

/// Where reads and writes go. `None`: one of the services is not there, which is told.
pub(super) fn read(lower: &mut Lower<'_, '_>, fields: &Fields, services: &mut Services) -> Option<Split> {
    let read = fields.text("read").and_then(|name| find(lower, services, name));
    let write = fields.text("write").and_then(|name| find(lower, services, name));
    let read_after_write = read_after_write(lower, fields);
    let Some((read, write)) = read.zip(write) else {
        services.miss();
        return None;
    };
    if read == write {
        let at = fields.get("write").map_or(fields.at, |written| written.at);
        let what = "`read` and `write` are the same service, which parts nothing";
        lower.problems.warn_fix(at, what, "name two, or write the service alone as `to`");
    }
    Some(Split { read, write, read_after_write })
}

fn find(lower: &mut Lower<'_, '_>, services: &mut Services, name: Spanned<&str>) -> Option<usize> {
    let fix = match services.find(name.value) {
        Ok(service) => return Some(service),
        Err(_) if name.value.bytes().all(|byte| byte.is_ascii_digit()) => {
            "name services for both `read` and `write`, or give every service a weight".to_owned()
        }
        Err(fix) => fix,
    };
    lower.problems.error_fix(name.at, format!("there is no service `{}`", short(name.value)), fix);
    None
}

fn read_after_write(lower: &mut Lower<'_, '_>, fields: &Fields) -> Option<ReadAfterWrite> {
    let written = fields.get("read_after_write")?;
    let (stay, by) = match &written.value {
        Value::Time(stay) => (written.with(*stay), None),
        Value::Table(long) => {
            let by = match (long.text("cookie"), long.text("header")) {
                (Some(name), _) => cookie(lower, name).map(WriterBy::Cookie),
                (None, Some(name)) => header(lower, name).map(WriterBy::Header),
                (None, None) => None,
            };
            (long.get("stay")?.with(long.time("stay")?), by)
        }
        _ => return None,
    };
    whole_seconds(lower, stay.at, "stay", stay.value);
    Some(ReadAfterWrite { stay: stay.value, by: by.unwrap_or_else(|| WriterBy::Cookie(COOKIE.into())) })
}
