//! The tables of a reload run.

use std::fmt::Write;
use std::time::Duration;

use super::{Bench, ENDPOINTS, Held, Large, RATE, SERVICES, middle_and_most};
use crate::bench::headline::{self, Goal};
use crate::bench::machine;

/// Most growth of memory over the reloads, in percent.
const GROWTH_MAX: f64 = 5.0;
/// The longest a reload of the large settings may take.
const LARGE_MAX: Duration = Duration::from_millis(200);

/// The report, with what machine and which version it is about.
pub(super) fn markdown(bench: &Bench, held: &Held, large: &Large) -> String {
    let mut text = String::from(
        "# Reloads\n\nWritten by `cargo xtask bench reload`. What is measured and how: \
         [README](README.md#reloads).\n\n",
    );
    for line in machine::describe().into_iter().chain([bench.pinning.describe(), bench.version()]) {
        let _ = writeln!(text, "- {line}");
    }
    let growth = growth(&held.memory);
    let (middle, most) = middle_and_most(&held.took);
    let (large_middle, large_most) = middle_and_most(&large.took);
    let goals = [
        goal("streams dropped", "0", held.streams.dropped.to_string(), held.streams.dropped == 0),
        goal("growth of memory over the reloads, %", "5", format!("{growth:.1}"), growth <= GROWTH_MAX),
        goal(
            &format!("reload of {SERVICES} services of {ENDPOINTS} endpoints, ms"),
            "200",
            millis(large_middle),
            large_middle <= LARGE_MAX,
        ),
        goal("requests failed meanwhile", "0", large.failed.to_string(), large.failed == 0),
    ];
    text.push('\n');
    text.push_str(&headline::goals(&[], &goals));

    let memory: Vec<String> =
        held.memory.iter().map(|bytes| format!("{:.1}", *bytes as f64 / f64::from(1 << 20))).collect();
    let _ = write!(
        text,
        "\n## Streams\n\n{} streams, chunked both ways, with a byte to the origin and back every second; {} reloads \
         in {:.0} s, each of other settings: an endpoint comes or goes, a weight and a route change, none of them the \
         streams' own. {} bytes went and came back.\n\n\
         - a reload: median {} ms, longest {} ms\n- resident memory, MiB, after the warm-up and each tenth of the \
         reloads: {}\n",
        held.streams.opened,
        held.reloads,
        held.time.as_secs_f64(),
        held.streams.bytes,
        millis(middle),
        millis(most),
        memory.join(", "),
    );
    if let Some(first) = &held.streams.first {
        let _ = writeln!(text, "- the first stream that was dropped: {first}");
    }
    let _ = write!(
        text,
        "\n## Large settings\n\n{SERVICES} services of {ENDPOINTS} endpoints each, {:.1} MiB, of which one endpoint of \
         every service changes; {} reloads, each timed from `POST /api/v1/reload` to its answer, beside {RATE} small \
         requests per second on the same core.\n\n\
         - a reload: median {} ms, longest {} ms\n- p99 of the requests: {:.0} µs without reloads, {:.0} µs with them\n",
        large.bytes as f64 / f64::from(1 << 20),
        large.took.len(),
        millis(large_middle),
        millis(large_most),
        large.p99[0],
        large.p99[1],
    );
    text
}

fn goal(what: &str, most: &str, measured: String, reached: bool) -> Goal {
    Goal { what: what.to_owned(), most: most.to_owned(), measured, reached, others: Vec::new() }
}

/// From the first look to the greatest, in percent.
fn growth(memory: &[u64]) -> f64 {
    let (Some(first), Some(most)) = (memory.first(), memory.iter().max()) else { return 0.0 };
    (*most as f64 / *first as f64 - 1.0) * 100.0
}

fn millis(time: Duration) -> String {
    format!("{:.1}", time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_that_of_the_worst_moment() {
        assert_eq!(growth(&[100, 110, 90]).round().to_bits(), 10f64.to_bits());
        assert_eq!(growth(&[]).to_bits(), 0f64.to_bits());
    }
}
