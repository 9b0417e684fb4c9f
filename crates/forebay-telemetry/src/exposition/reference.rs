//! The reference page of the metrics, written from the catalogue.

use std::fmt::Write;

use super::catalogue::{CATALOGUE, Family, STATES, Section};
use super::page::BOUNDS;
use crate::stats::Class;

/// The text of `docs/reference/metrics.md`.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(HEAD);
    for of_section in CATALOGUE {
        section(&mut page, of_section);
    }
    let classes = Class::ALL.map(|class| format!("`{}`", class.label())).join(", ");
    let bounds = BOUNDS.map(|(_, seconds)| seconds.trim_end_matches(".0")).join(", ");
    write!(page, "\n## Values\n\n- `class` is one of {classes}.\n- `le`, the upper bounds of histogram buckets in seconds: {bounds}, +Inf.\n")
        .expect("a string takes everything");
    page.push_str(&TAIL.replace("{states}", &STATES.map(|state| format!("`{state}`")).join(", ")));
    page
}

const HEAD: &str = "\
<!-- Generated from the catalogue of metrics; do not edit. `cargo xtask reference` writes it anew. -->
# Metrics

`GET /metrics` on the admin address answers in Prometheus' text format, or in OpenMetrics where the scraper asks
for it. Names end in their unit; counters end in `_total`.
";

const TAIL: &str = "\
- `state` of an endpoint is one of {states}.
- `route` is the route's `name`, or the text of its `match`; `service` is as written in the settings. An
  `endpoint` is an address, `10.0.0.1:80`: a name in the settings leads to one for each address it has. No label
  holds anything a client sent.

## What to know

- A route's series appear with its first request, and those of an endpoint's traffic with its first connection.
  So ten thousand routes that nobody calls cost nothing. Counts of endpoints by state, and the state of each, are
  there from the start.
- At most 2,000 endpoints have series of their own: those of the services with the fewest. Of the other services,
  up to 1,000 endpoints that are out have theirs of state and health, so that an alert can name them; how many are
  in which state, `forebay_upstream_endpoints` says of every service. What is left out is counted in
  `forebay_metrics_omitted_series`.
- Series of a route or endpoint end when it has gone and its last request is over. Should it come back
  later, its counters start from zero, which `rate()` and `increase()` take for what it is: a reset.
- Durations are counted in fine buckets (1/16 of their value wide) and folded into the `le` above, so a bucket's
  count is off by at most what lies within 1/32 of its bound.
- Each worker counts for itself and a scrape adds them up. A scrape is no snapshot: a request that ends meanwhile
  may be in one number and not yet in the next.
- The page has a bound. When it is full, further series are left out and `forebay_metrics_omitted_series` says how
  many.
";

fn section(page: &mut String, section: &Section) {
    let Section { title, families } = section;
    let rows: String = families.iter().map(row).collect();
    write!(page, "\n## {title}\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n{rows}")
        .expect("a string takes everything");
}

fn row(family: &Family) -> String {
    let Family { name, kind, help, labels, samples: _ } = family;
    let labels = labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(" ");
    format!("| `{name}` | {} | {labels} | {help} |\n", kind.label())
}
