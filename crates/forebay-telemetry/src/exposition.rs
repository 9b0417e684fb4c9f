//! The numbers in Prometheus' text format: one catalogue says what there is, and writes it.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, UNIX_EPOCH};

use forebay_base::time::Instant;

use crate::collect::Collected;
use crate::process::Usage;
use crate::stats::{CertificateNumbers, EndpointNumbers, ServiceNumbers, Telemetry};
use catalogue::{CATALOGUE, Family, Kind};
use page::Page;

pub use reference::reference;

mod catalogue;
mod page;
mod reference;

/// A page never grows much beyond this; series that do not fit are left out and counted in
/// `forebay_metrics_omitted_series`.
const PAGE_BYTES_MAX: usize = 32 << 20;
/// Most endpoints that have series of their own. They take about four kilobytes of the page each.
const ENDPOINTS_MAX: usize = 2_000;
/// Most endpoints of the other services whose state is shown because they are out.
const OUT_MAX: usize = 1_000;

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
    /// Services and all their endpoints, in the order of the settings.
    services: Vec<ServiceNumbers>,
    certificates: CertificateNumbers,
    /// Names of the services whose endpoints have series of their own.
    detailed: HashSet<Box<str>>,
    /// Endpoints that were used and have no series, because there are too many.
    used_omitted: usize,
    /// Bound on the endpoints of other services that are shown because they are out.
    out_max: usize,
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
    let seen = Seen::of(telemetry, Usage::read(), ENDPOINTS_MAX, OUT_MAX);
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

impl<'a> Seen<'a> {
    fn of(telemetry: &'a Telemetry, usage: Option<Usage>, endpoints_max: usize, out_max: usize) -> Self {
        let services = telemetry.supervised();
        let mut collected = Collected::from(telemetry);
        let detailed = detailed(&services, &collected, endpoints_max);
        let used = collected.endpoints.len();
        collected.endpoints.retain(|endpoint| detailed.contains(&endpoint.service));
        let used_omitted = used - collected.endpoints.len();
        let certificates = telemetry.certified();
        Self { telemetry, collected, usage, services, certificates, detailed, used_omitted, out_max }
    }

    /// Endpoints whose state is shown: all of the services in detail; of the others, those that are out, up to
    /// a bound.
    fn shown(&self) -> impl Iterator<Item = (&str, &EndpointNumbers)> {
        let mut out_left = self.out_max;
        self.all().filter_map(move |(service, endpoint)| {
            if !self.detailed.contains(service) {
                if is_up(endpoint) || out_left == 0 {
                    return None;
                }
                out_left -= 1;
            }
            Some((service, endpoint))
        })
    }

    /// How many endpoints `shown` leaves out.
    fn states_omitted(&self) -> usize {
        self.all().count() - self.shown().count()
    }

    fn all(&self) -> impl Iterator<Item = (&str, &EndpointNumbers)> {
        self.services
            .iter()
            .flat_map(|service| service.endpoints.iter().map(move |endpoint| (&*service.service, endpoint)))
    }

    fn started_unix(&self) -> Duration {
        self.telemetry.started_at().duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    fn uptime(&self) -> Duration {
        Instant::now().since(self.telemetry.started())
    }
}

/// The services whose endpoints have series of their own: those with the fewest first, so that what is seen
/// changes with the settings and not with the traffic.
fn detailed(services: &[ServiceNumbers], collected: &Collected, endpoints_max: usize) -> HashSet<Box<str>> {
    let mut used = BTreeMap::<&str, usize>::new();
    for endpoint in &collected.endpoints {
        *used.entry(&endpoint.service).or_default() += 1;
    }
    for service in services {
        let count = used.entry(&service.service).or_default();
        *count = service.endpoints.len().max(*count);
    }
    let mut by_size: Vec<(usize, &str)> = used.into_iter().map(|(name, count)| (count, name)).collect();
    by_size.sort_unstable();
    let mut total = 0;
    let fit = by_size.into_iter().take_while(|(count, _)| {
        total += count;
        total <= endpoints_max
    });
    fit.map(|(_, name)| name.into()).collect()
}

/// Whether nothing keeps it out.
fn is_up(endpoint: &EndpointNumbers) -> bool {
    endpoint.up
}

#[cfg(test)]
mod tests;
