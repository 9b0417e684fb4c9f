//! The demo's last word: what clients saw, what the gateway counted, and whether the two agree.

use std::io;
use std::time::Duration;

use forebay_base::time::Instant;
use forebay_telemetry::process::Usage;
use forebay_telemetry::stats::{Class, Telemetry};
use forebay_telemetry::summary::Summary;

use super::agreement::{Agreement, Difference};
use super::figures::{count, float, latency, rate, share, some, things};
use super::mix::Row;
use super::tally::Seen;
use super::traffic::Finished;
use crate::commands::Output;

/// A request is counted just after its last byte has left, so the last ones may take a moment.
const SETTLE_MAX: Duration = Duration::from_secs(2);
const SETTLE_LOOK: Duration = Duration::from_millis(5);
/// Routes and endpoints the gateway is asked about: more than the demo has.
const ROWS_MAX: usize = 100;
/// The service that may fail.
const FLAKY: &str = "flaky";

/// Everything there is to say.
pub(crate) struct Closing {
    pub(crate) finished: Finished,
    /// What the gateway counted.
    pub(crate) summary: Summary,
    /// CPU time of this process during traffic, if known.
    pub(crate) cpu: Option<Duration>,
    /// Connections the flaky service closed in place of an answer.
    pub(crate) dropped: u64,
}

/// CPU time this process has used so far, if known.
pub(crate) fn cpu() -> Option<Duration> {
    Usage::read().map(|usage| usage.cpu)
}

/// What the gateway counted, as soon as it has counted everything its clients saw, or soon after.
pub(crate) async fn settle(telemetry: &Telemetry, finished: &Finished) -> Summary {
    let end = Instant::now() + SETTLE_MAX;
    loop {
        let summary = Summary::of(telemetry, ROWS_MAX);
        let agrees = Agreement::of(&finished.tally, &summary).is_complete();
        if agrees || Instant::now() > end {
            return summary;
        }
        tokio::time::sleep(SETTLE_LOOK).await;
    }
}

impl Closing {
    /// Prints it. Returns whether clients and gateway agree.
    ///
    /// # Errors
    /// Nothing can be written any more.
    pub(crate) fn print(&self, out: &mut Output<'_>) -> io::Result<bool> {
        let agreement = Agreement::of(&self.finished.tally, &self.summary);
        self.clients(out)?;
        self.gateway(out)?;
        fact(out, "agreement", &self.agreement(&agreement))?;
        for difference in &agreement.differences {
            fact(out, "", &out.red(&describe(difference)))?;
        }
        out.line("")?;
        out.line(self.verdict(out, &agreement))?;
        Ok(agreement.is_complete())
    }

    /// The table of what clients saw.
    fn clients(&self, out: &mut Output<'_>) -> io::Result<()> {
        let Finished { tally, took, left_out } = &self.finished;
        let seconds = took.as_secs_f64();
        let requests = tally.total().requests();
        let rate = rate(requests, seconds);
        let title =
            format!("What clients saw: {} in {seconds:.1} s, {rate} per second", things(requests, "request"));
        out.line(format!("\n{}\n", out.bold(&title)))?;
        out.line(out.dim(&columns(
            "route",
            ["requests", "2xx", "3xx", "4xx", "5xx", "p50", "p95", "p99"].map(str::to_owned),
        )))?;
        for (row, seen) in tally.used() {
            out.line(line(row.label(), seen))?;
        }
        let total = tally.total();
        out.line(out.bold(&line("all", &total)))?;
        let failed = total.of_class(Class::Aborted);
        if failed > 0 {
            out.line(format!("  {} got no answer", out.red(&things(failed, "request"))))?;
        }
        if *left_out > 0 {
            let late = things(*left_out, "more request");
            out.line(format!("  {} could not be sent in time: this machine is too busy", out.yellow(&late)))?;
        }
        Ok(())
    }

    /// What the gateway has to say about itself.
    fn gateway(&self, out: &mut Output<'_>) -> io::Result<()> {
        let Summary { total, connections, refusals, endpoints, usage, .. } = &self.summary;
        out.line(format!("\n{}\n", out.bold("What the gateway counted")))?;
        let classes = [Class::Success, Class::Redirection, Class::ClientError, Class::ServerError];
        let classes = classes.map(|class| format!("{} {}", class.label(), count(total.of_class(class))));
        fact(out, "requests", &format!("{}: {}", count(total.requests()), classes.join(", ")))?;
        let took = &total.duration;
        let quantiles = [("p50", took.p50), ("p95", took.p95), ("p99", took.p99), ("longest", took.max)];
        let quantiles = quantiles.map(|(name, nanos)| format!("{name} {}", latency(nanos)));
        fact(out, "time taken", &quantiles.join(", "))?;
        let opened: u64 = endpoints.iter().map(|endpoint| endpoint.connects).sum();
        let reused: u64 = endpoints.iter().map(|endpoint| endpoint.reused).sum();
        let kept = share(reused, reused + opened);
        let accepted = count(connections.accepted);
        fact(
            out,
            "connections",
            &format!("{accepted} from clients, {} to services; {kept} of requests reused one", count(opened)),
        )?;
        if !refusals.is_empty() {
            let own: Vec<String> =
                refusals.iter().map(|(reason, times)| format!("{reason} {}", count(*times))).collect();
            fact(out, "own answers", &own.join(", "))?;
        }
        if let Some(text) = self.drops() {
            fact(out, "flaky", &text)?;
        }
        if let (Some(cpu), Some(usage)) = (self.cpu, usage) {
            let cores = cpu.as_secs_f64() * 100.0 / self.finished.took.as_secs_f64().max(0.001);
            let memory = float(usage.resident_bytes) / f64::from(1 << 20);
            fact(
                out,
                "this process",
                &format!("{cores:.1} % of a core and {memory:.0} MiB, services and clients included"),
            )?;
        }
        Ok(())
    }

    /// What became of the requests whose connection the flaky service closed.
    fn drops(&self) -> Option<String> {
        if self.dropped == 0 {
            return None;
        }
        let refused = self.summary.refusals.iter().find(|(reason, _)| *reason == "upstream_closed");
        let refused = refused.map_or(0, |(_, times)| *times);
        let again = self.dropped.saturating_sub(refused);
        Some(format!(
            "closed {}; {} sent again unnoticed, {} answered with 502",
            things(self.dropped, "connection"),
            things(again, "request"),
            count(refused),
        ))
    }

    /// Whether the counts are the same, in one line.
    fn agreement(&self, agreement: &Agreement) -> String {
        let compared = Row::ALL.len() * Class::ALL.len();
        match agreement {
            Agreement { differences, .. } if !differences.is_empty() => {
                format!("{} of {compared} counts are not what clients saw", differences.len())
            }
            Agreement { visitors: 0, .. } => format!("all {compared} counts are exactly what clients saw"),
            // Who else asked explains counts that are higher.
            Agreement { visitors, .. } => {
                let others = things(*visitors, "other connection");
                format!("all that clients saw is in the {compared} counts, beside {others}")
            }
        }
    }

    /// All of it in one line.
    fn verdict(&self, out: &Output<'_>, agreement: &Agreement) -> String {
        let tally = &self.finished.tally;
        let total = tally.total();
        let requests = things(total.requests(), "request");
        let lost = match total.of_class(Class::Aborted) {
            0 => "none lost".to_owned(),
            lost => format!("{} lost", count(lost)),
        };
        let others = total.errors() - tally.rows[Row::Flaky as usize].errors();
        let errors = things(total.errors(), "error");
        let errors = match (total.errors(), others) {
            (0, _) => "no errors".to_owned(),
            (_, 0) => format!("{errors}, all from `{FLAKY}` as arranged"),
            (_, others) => format!("{errors}, {} of them not from `{FLAKY}`", count(others)),
        };
        let text = format!("{requests}, {lost}; {errors}");
        match (agreement.is_complete(), others) {
            (false, _) => format!("  {} {text}, and counts that differ", out.red("Not well:")),
            (true, 0) => format!("  {} {text}", out.green("All is well:")),
            (true, _) => format!("  {} {text}", out.yellow("Look closer:")),
        }
    }
}

fn describe(difference: &Difference) -> String {
    let Difference { row, class, clients, gateway } = difference;
    let (row, class) = (row.label(), class.label());
    format!("{row} {class}: clients saw {}, the gateway counted {}", count(*clients), count(*gateway))
}

fn fact(out: &mut Output<'_>, name: &str, text: &str) -> io::Result<()> {
    let name = out.dim(&format!("{name:<14}"));
    out.line(format!("  {name}{text}"))
}

fn line(label: &str, seen: &Seen) -> String {
    let class = |class| some(seen.of_class(class));
    let quantile = |q| latency(seen.durations.quantile(q));
    columns(
        label,
        [
            count(seen.requests()),
            class(Class::Success),
            class(Class::Redirection),
            class(Class::ClientError),
            class(Class::ServerError),
            quantile(0.5),
            quantile(0.95),
            quantile(0.99),
        ],
    )
}

fn columns(label: &str, [requests, ok, moved, client, server, p50, p95, p99]: [String; 8]) -> String {
    format!("  {label:<18}{requests:>9}{ok:>8}{moved:>6}{client:>6}{server:>6}{p50:>8}{p95:>8}{p99:>8}")
}

#[cfg(test)]
mod tests {
    use forebay_telemetry::summary::{Connections, RouteSummary, Traffic};

    use super::super::tally::Counters;
    use super::*;

    /// What is said, and whether it is agreed, when clients saw `seen` and the gateway counted so many.
    fn said(seen: &[(Row, Option<u16>)], counted: u64) -> (String, bool) {
        let mut counters = Counters::default();
        counters.count_connection();
        for (row, status) in seen {
            counters.count(*row, *status, Duration::from_millis(5));
        }
        let finished = Finished { tally: counters.read(), took: Duration::from_secs(1), left_out: 0 };
        let mut traffic = Traffic::default();
        traffic.by_class[Class::Success as usize] = counted;
        let summary = Summary {
            connections: Connections { accepted: 1, ..Connections::default() },
            total: traffic.clone(),
            routes: vec![RouteSummary { name: Row::Shop.label().into(), traffic }],
            ..Summary::default()
        };
        let closing = Closing { finished, summary, cpu: None, dropped: 0 };
        let mut buffer = Vec::new();
        let agreed = closing.print(&mut Output::new(&mut buffer, false)).expect("a buffer takes all");
        (String::from_utf8(buffer).expect("it is text"), agreed)
    }

    #[test]
    fn the_same_counts_are_well() {
        let (text, agreed) = said(&[(Row::Shop, Some(200)), (Row::Shop, Some(200))], 2);
        assert!(agreed && text.contains("All is well: 2 requests, none lost; no errors"), "{text}");
    }

    #[test]
    fn a_difference_is_told_with_both_counts() {
        let (text, agreed) = said(&[(Row::Shop, Some(200))], 2);
        assert!(!agreed && text.contains("/shop/* 2xx: clients saw 1, the gateway counted 2"), "{text}");
        assert!(text.contains("Not well: 1 request"), "{text}");
    }

    #[test]
    fn an_answer_that_never_came_is_lost() {
        let (text, agreed) = said(&[(Row::Shop, Some(200)), (Row::Shop, None)], 1);
        assert!(!agreed && text.contains("1 lost") && text.contains("1 request got no answer"), "{text}");
    }
}
