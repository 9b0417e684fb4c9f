//! All percentiles in one picture, as HDR plots have them: what clients met, and what the target alone took.

use std::fmt::Write as _;

use super::super::facts::Facts;
use super::super::figures::{self, count, float};
use super::super::hgrm;
use super::headline;
use super::plot::{Axis, Plot, Tick};
use super::timeline::figure;
use crate::hdr::Hdr;

/// The section; empty of times it says so.
pub(super) fn section(facts: &Facts<'_>) -> String {
    let mut out = String::from("<section><h2>Percentiles</h2>");
    let judged = facts.response.judged();
    if judged.is_empty() {
        out.push_str("<p class=\"nothing\">Nothing was answered, so there are no times.</p></section>\n");
        return out;
    }
    let note = facts.model_note();
    let _ = write!(out, "<p>{}{}.</p>", note[..1].to_uppercase(), &note[1..]);
    if let Some(hidden) = headline::hidden(facts) {
        let _ = write!(out, "<p class=\"say\">{hidden}</p>");
    }
    out.push_str(&picture(facts));
    out.push_str(&headline::times(facts));
    let censored = facts.total.censored.count();
    if censored > 0 {
        let _ = write!(
            out,
            "<p class=\"note\">{} not waited for to the end and counted as long as they were: the true times are \
             longer. Percentiles that may depend on that are marked with ≥.</p>",
            if censored == 1 {
                "1 request was".to_owned()
            } else {
                format!("{} requests were", count(censored))
            }
        );
    }
    out.push_str("</section>\n");
    out
}

fn picture(facts: &Facts<'_>) -> String {
    let response = curve(facts.response.judged());
    let service = curve(&facts.total.service);
    let low = response.iter().chain(&service).map(|(_, us)| *us).fold(f64::INFINITY, f64::min);
    let high = response.iter().map(|(_, us)| *us).fold(1.0, f64::max);
    let last = float(facts.response.judged().count()).max(10.0);
    let mut plot = Plot::new(axis(last), Axis::log_time(low, high));
    plot.between("response", &response, &service);
    let line = |points: &[(f64, f64)]| points.iter().map(|(x, y)| (*x, Some(*y))).collect::<Vec<_>>();
    plot.line("service", line(&service));
    plot.line("response", line(&response));
    let described = format!(
        "Percentiles of the response time and of the service time, up to the maximum, which is {} and {}.",
        figures::duration_or_none(facts.response.judged().max()),
        figures::duration_or_none(facts.total.service.max()),
    );
    figure(
        "Response time and service time by percentile",
        "<span class=\"response\">response, from the planned start</span><span class=\"service\">service, from the \
         actual start</span>",
        &plot.finish("high", &described, ""),
    )
}

/// Points of the curve: x is 1/(1-percentile); the maximum lies at the end.
fn curve(hdr: &Hdr) -> Vec<(f64, f64)> {
    let last = float(hdr.count().max(1));
    hgrm::points(hdr).into_iter().map(|point| ((1.0 / (1.0 - point.quantile)).min(last), point.us)).collect()
}

/// 0 %, 90 %, 99 %, … as far as there are samples.
fn axis(last: f64) -> Axis {
    let known = [
        (1.0, "0 %", false),
        (2.0, "50 %", true),
        (10.0, "90 %", false),
        (100.0, "99 %", false),
        (1e3, "99.9 %", false),
        (1e4, "99.99 %", false),
        (1e5, "99.999 %", false),
        (1e6, "99.9999 %", true),
        (1e7, "99.99999 %", true),
    ];
    let ticks = known.into_iter().filter(|(at, ..)| *at <= last);
    let ticks = ticks.map(|(value, label, minor)| Tick { value, label: label.to_owned(), minor });
    Axis::marked(1.0, last, true, ticks.collect())
}
