//! Reads `outlier`.

use forebay_base::units::show_duration;
use forebay_proxy::plan::Outlier;

use super::lower::Lower;
use super::value::{Fields, Value};

/// When endpoints of a service are left out because of how they treat requests.
pub(super) fn read(lower: &mut Lower<'_, '_>, fields: &Fields) -> Outlier {
    match fields.get("outlier").map(|written| &written.value) {
        Some(Value::Word("off")) => Outlier::off(),
        Some(Value::Word("on")) => Outlier::on(),
        Some(Value::Table(long)) => self::long(lower, long),
        _ => Outlier::default(),
    }
}

fn long(lower: &mut Lower<'_, '_>, fields: &Fields) -> Outlier {
    let usual = Outlier::on();
    let eject_for = fields.time("eject_for").unwrap_or(usual.eject_for);
    // Who only makes the first one longer than the usual longest one means that all last as long.
    let eject_for_max = fields.time("eject_for_max").unwrap_or(usual.eject_for_max.max(eject_for));
    if eject_for_max < eject_for {
        let at = fields.get("eject_for_max").map_or(fields.at, |written| written.at);
        let what = format!(
            "the longest ejection, {}, is shorter than the first one, {}",
            show_duration(eject_for_max),
            show_duration(eject_for)
        );
        lower.problems.error_fix(at, what, "keep `eject_for_max` at least as long as `eject_for`");
    }
    Outlier {
        connect_failures: bound(fields, "connect_failures", usual.connect_failures),
        failures: bound(fields, "failures", usual.failures),
        error_ratio: bound(fields, "error_ratio", usual.error_ratio),
        latency_factor: bound(fields, "latency_factor", usual.latency_factor),
        window: fields.time("window").unwrap_or(usual.window),
        requests_min: fields.count("requests_min").unwrap_or(usual.requests_min),
        eject_for,
        eject_for_max,
        ejected_max: fields.count("ejected_max").unwrap_or(usual.ejected_max),
    }
}

/// A bound that may be `off`.
fn bound<N: TryFrom<u64> + Default>(fields: &Fields, name: &str, usual: N) -> N {
    match fields.word(name) {
        Some(_) => N::default(),
        None => fields.count(name).unwrap_or(usual),
    }
}
