//! What one sees first: the verdict, the figures people ask for, and where every request went.

use std::fmt::Write as _;

use super::super::facts::{Facts, QUANTILES, quantile_text};
use super::super::figures::{self, count, duration_or_none, share};
use super::super::judgement::State;
use super::super::{ROWS_MAX, escape};
use crate::outcome::Tally;

/// The banner.
pub(super) fn verdict(facts: &Facts<'_>) -> String {
    let judgement = &facts.judgement;
    let mut out = format!(
        "<div class=\"verdict {}\" role=\"status\"><strong>{}</strong> {}",
        judgement.state.label(),
        judgement.state.word(),
        judgement.meaning()
    );
    let reasons: Vec<String> =
        judgement.reasons.iter().take(ROWS_MAX).map(|reason| escape::html_said(reason)).collect();
    if !reasons.is_empty() {
        let _ = write!(out, "<ul><li>{}</ul>", reasons.join("<li>"));
    }
    out.push_str("</div>\n");
    out
}

/// The figures people ask for.
pub(super) fn tiles(facts: &Facts<'_>) -> String {
    let Facts { total, response, .. } = facts;
    let mut tiles = String::from("<div class=\"tiles\">");
    let planned = format!("of {} planned", figures::rate(facts.per_second(total.planned)));
    tile(&mut tiles, "", "ok", "Answered ok", &figures::rate(facts.throughput()), &planned);
    let bad = total.bad();
    let wrong = if bad > 0 { "wrong" } else { "" };
    let of = format!("{} of {}", count(bad), count(total.planned));
    tile(&mut tiles, wrong, "error", "Not ok", &share(bad, total.planned), &of);
    for (name, quantile) in QUANTILES.into_iter().filter(|(name, _)| *name != "p99.9") {
        let at = quantile_text(response.quantile(quantile));
        let service = format!("service {}", duration_or_none(total.service.quantile(quantile)));
        let service = if total.service.is_empty() { String::new() } else { service };
        tile(&mut tiles, "", name, &format!("{name} response"), &at, &service);
    }
    tiles.push_str("</div>\n");
    tiles
}

fn tile(out: &mut String, class: &str, tone: &str, title: &str, value: &str, below: &str) {
    let _ = write!(
        out,
        "<div class=\"tile {class}\"><h3 class=\"toned {tone}\">{title}</h3><b>{value}</b><p>{below}</p></div>"
    );
}

/// Where every planned request went: the sum is shown, and said to be wrong if it is.
pub(super) fn accounting(facts: &Facts<'_>) -> String {
    let total = &facts.total;
    let Tally { planned, ok, timeouts, not_started, .. } = total;
    let parts = [
        ("ok", "ok", *ok),
        ("error", "errors", total.errors()),
        ("timeout", "timeouts", *timeouts),
        ("unstarted", "not started", *not_started),
    ];
    let mut out = String::from("<section><h2>Where every planned request went</h2><div class=\"sum\">");
    let _ = write!(out, "<span><b>{}</b> planned</span>", count(*planned));
    for (index, (class, name, number)) in parts.iter().enumerate() {
        let sign = if index == 0 { "=" } else { "+" };
        let none = if *number == 0 { "none" } else { "" };
        let _ = write!(
            out,
            "<span class=\"part {class} {none}\"><i>{sign}</i> <b>{}</b> {name}</span>",
            count(*number)
        );
    }
    out.push_str("</div>");
    if !total.balances() {
        out.push_str("<p><span class=\"state invalid\">the sum does not hold</span> This is a defect of the generator.</p>");
    }
    bar(&mut out, *planned, &parts);
    let mut notes = vec![format!(
        "{} planned, {} started, {} ok, over {}",
        figures::rate(facts.per_second(*planned)),
        figures::rate(facts.per_second(facts.started())),
        figures::rate(facts.throughput()),
        figures::length(std::time::Duration::from_secs_f64(facts.seconds)),
    )];
    notes.extend(facts.warmup_note());
    notes.push(format!(
        "{} sent, {} received",
        figures::bytes(total.bytes_out),
        figures::bytes(total.bytes_in)
    ));
    let _ = writeln!(out, "<p class=\"note\">{}.</p></section>", notes.join(" · "));
    out
}

fn bar(out: &mut String, planned: u64, parts: &[(&str, &str, u64)]) {
    let described: Vec<_> =
        parts.iter().map(|(_, name, number)| format!("{name} {}", share(*number, planned))).collect();
    let _ = write!(out, "<div class=\"bar\" role=\"img\" aria-label=\"{}\">", described.join(", "));
    for (class, _, number) in parts.iter().filter(|(_, _, number)| *number > 0) {
        let _ = write!(out, "<i class=\"{class}\" style=\"flex:{number}\"></i>");
    }
    out.push_str("</div>");
}

/// What a plan from the real start would have hidden; `None`: nothing much.
pub(super) fn hidden(facts: &Facts<'_>) -> Option<String> {
    let response = facts.response.quantile(0.99)?;
    let service = facts.total.service.quantile(0.99)?;
    let much = facts.outcome.model != "closed" && response.at > service.saturating_mul(3) / 2;
    (much && facts.judgement.state != State::Invalid).then(|| {
        format!(
            "p99 is <b>{}</b>. A tool that starts its clock when a request is sent would say <b>{}</b>: the rest is the \
             time requests had to wait before they could be sent at all, because the target was busy with others.",
            response.text(),
            figures::duration(service)
        )
    })
}

/// Percentiles of every kind of time, as a table beside the picture.
pub(super) fn times(facts: &Facts<'_>) -> String {
    use super::table::{Cell, Table};
    let total = &facts.total;
    let mut columns = vec!["time", ">count"];
    let names: Vec<String> = QUANTILES.iter().map(|(name, _)| format!(">{name}")).collect();
    columns.extend(names.iter().map(String::as_str));
    columns.push(">mean");
    let mut table = Table::new("Percentiles of times", &columns);
    let head = |name: &str, number: u64| vec![Cell::Name(name.to_owned()), Cell::Number(count(number))];
    let mut first = head("response, from the planned start", facts.response.judged().count());
    first.extend(
        QUANTILES.iter().map(|(_, quantile)| Cell::Number(quantile_text(facts.response.quantile(*quantile)))),
    );
    first.push(Cell::Number(duration_or_none(facts.response.judged().mean())));
    table.row("", first);
    let others = [
        ("service, from the actual start", &total.service),
        ("start delay, between the two", &total.delay),
        ("first byte, from the actual start", &total.first_byte),
        ("connect", &total.connect),
        ("TLS handshake in it", &total.handshake),
        ("response of errors", &total.failed),
    ];
    for (name, hdr) in others.into_iter().filter(|(_, hdr)| !hdr.is_empty()) {
        let mut cells = head(name, hdr.count());
        cells.extend(
            QUANTILES.iter().map(|(_, quantile)| Cell::Number(duration_or_none(hdr.quantile(*quantile)))),
        );
        cells.push(Cell::Number(duration_or_none(hdr.mean())));
        table.row("", cells);
    }
    table.finish()
}
