//! The numbers in Prometheus' text format: one catalogue says what there is, and writes it.

use std::time::{Duration, UNIX_EPOCH};

use forebay_base::time::Instant;

use crate::collect::Collected;
use crate::process::Usage;
use crate::stats::Telemetry;
use catalogue::{CATALOGUE, Family, Kind};
use page::Page;

pub use reference::reference;

mod catalogue;
mod page;
mod reference;

/// A page never grows much beyond this; series that do not fit are left out and counted in
/// `forebay_metrics_omitted_series`.
const PAGE_BYTES_MAX: usize = 32 << 20;

/// Which of two almost equal formats to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text format 0.0.4.
    #[default]
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

/// Everything a page is written from.
#[derive(Debug)]
pub(crate) struct Seen<'a> {
    telemetry: &'a Telemetry,
    collected: Collected,
    usage: Option<Usage>,
}

impl Format {
    /// The format a scraper asks for.
    #[must_use]
    pub fn accepted_by(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// The `Content-Type` of a page.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Writes all metrics, summed over the workers.
#[must_use]
pub fn write(telemetry: &Telemetry, format: Format) -> String {
    let seen = Seen { telemetry, collected: Collected::from(telemetry), usage: Usage::read() };
    write_seen(&seen, format, PAGE_BYTES_MAX)
}

fn write_seen(seen: &Seen<'_>, format: Format, bytes_max: usize) -> String {
    let mut page = Page::new(bytes_max);
    for family in CATALOGUE.iter().flat_map(|section| section.families) {
        head(&mut page, family, format);
        page.family(family);
        (family.samples)(&mut page, seen);
    }
    if format == Format::OpenMetrics {
        page.raw("# EOF\n");
    }
    page.finish()
}

fn head(page: &mut Page, family: &Family, format: Format) {
    let Family { name, kind, help, .. } = family;
    // OpenMetrics names a counter's family without the suffix its samples have.
    let name = match (format, kind) {
        (Format::OpenMetrics, Kind::Counter) => name.strip_suffix("_total").unwrap_or(name),
        _ => name,
    };
    page.raw(&format!("# HELP {name} {help}\n# TYPE {name} {}\n", kind.label()));
}

impl Seen<'_> {
    fn started_unix(&self) -> Duration {
        self.telemetry.started_at().duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    fn uptime(&self) -> Duration {
        Instant::now().since(self.telemetry.started())
    }
}

#[cfg(test)]
mod tests;
