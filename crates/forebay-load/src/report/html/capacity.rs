//! How much a target can take, as a page: the highest rate that held, and times over rate.

use std::fmt::Write as _;

use super::super::escape;
use super::super::figures::{NONE, count, digits, length, micros, rate};
use super::super::text::percent;
use super::plot::{Axis, Band, Plot};
use super::table::{Cell, Table};
use super::timeline::figure;
use super::{About, document};
use crate::capacity::{Capacity, Done, End, Phase, StepState};
use crate::stats::Usl;
use crate::threshold::Threshold;

/// The page of a search for capacity.
#[must_use]
pub(super) fn page(about: &About<'_>, capacity: &Capacity) -> String {
    let body =
        [banner(capacity), tiles(capacity), knee(capacity), scaling(capacity), steps(capacity)].concat();
    document::page(&format!("Capacity: {}", about.name), about.name, &about.line(), &body)
}

fn banner(capacity: &Capacity) -> String {
    let (class, word, meaning) = match capacity.end {
        End::Found => ("pass", "FOUND", "the highest rate that holds was found, and held again"),
        End::MaxRate => {
            ("inconclusive", "AT LEAST", "the highest rate that was allowed held: the limit is above")
        }
        End::GeneratorLimit => {
            ("invalid", "GENERATOR", "the generator could do no more: the target's limit is not known")
        }
        End::NothingHeld => ("fail", "NOTHING HELD", "not even the lowest rate held"),
        End::StepsMax => {
            ("inconclusive", "UNSETTLED", "there were too many steps: the target changes its mind")
        }
        End::Running => ("inconclusive", "UNFINISHED", "the search was ended before its time"),
    };
    let says: Vec<_> = capacity.says.iter().take(50).map(|text| escape::html_said(text)).collect();
    let says = if says.is_empty() { String::new() } else { format!("<ul><li>{}</ul>", says.join("<li>")) };
    format!("<div class=\"verdict {class}\" role=\"status\"><strong>{word}</strong> {meaning}{says}</div>\n")
}

fn tiles(capacity: &Capacity) -> String {
    let or_none = |value: Option<f64>| value.map_or_else(|| NONE.to_owned(), rate);
    let Capacity { last_passing, first_failing, knee, sustain_windows, sustain_passed, .. } = capacity;
    let tiles = [
        ("good", "Highest rate that held", or_none(*last_passing), "as planned, not as achieved".to_owned()),
        ("bad", "Lowest that did not", or_none(*first_failing), capacity.binding.clone().unwrap_or_default()),
        ("p95", "Limit, about", or_none(*knee), "between the two".to_owned()),
        (
            "done",
            "Confirmed",
            format!("{sustain_passed} of {sustain_windows}"),
            "times it held again".to_owned(),
        ),
    ];
    let mut out = String::from("<div class=\"tiles four\">");
    for (tone, title, value, below) in tiles {
        let _ = write!(
            out,
            "<div class=\"tile\"><h3 class=\"toned {tone}\">{title}</h3><b>{value}</b><p>{}</p></div>",
            escape::html(&below)
        );
    }
    out.push_str("</div>\n");
    out
}

/// Times over rate.
fn knee(capacity: &Capacity) -> String {
    let mut steps: Vec<&Done> = capacity.steps.iter().filter(|done| done.result.run.p99.is_some()).collect();
    let mut out = String::from("<section><h2>Response time over rate</h2>");
    if steps.is_empty() {
        out.push_str(
            "<p class=\"nothing\">No step was answered, so there is nothing to draw.</p></section>\n",
        );
        return out;
    }
    steps.sort_by(|one, other| one.rate.total_cmp(&other.rate));
    let us = |seconds: Option<f64>| seconds.map(|seconds| seconds * 1e6);
    let times = steps.iter().flat_map(|done| [us(done.result.run.p50), us(done.result.run.p99)]).flatten();
    let (low, high) =
        times.fold((f64::INFINITY, 1.0_f64), |(low, high), time| (low.min(time), high.max(time)));
    let limits: Vec<f64> = capacity
        .slos
        .iter()
        .filter_map(|slo| Threshold::parse(slo).ok()?.time_limit())
        .map(|limit| limit * 1e6)
        .collect();
    let high = limits.iter().copied().fold(high, f64::max);
    let greatest = steps.last().map_or(1.0, |done| done.rate);
    let mut plot = Plot::new(Axis::even(greatest, digits), Axis::log_time(low, high));
    if let Some(last) = capacity.last_passing {
        plot.band(&Band { from: 0.0, to: last, class: "held", label: "held" });
    }
    for limit in limits {
        plot.limit("bad dashed", limit);
    }
    let curve = |of: fn(&Done) -> Option<f64>| steps.iter().map(move |done| (done.rate, us(of(done))));
    plot.line("p50", curve(|done| done.result.run.p50));
    plot.line("p95", curve(|done| done.result.run.p95));
    plot.line("p99", curve(|done| done.result.run.p99));
    for done in &steps {
        let (class, word) = state(done.result.state);
        let label = format!("{}: {word}", rate(done.rate));
        plot.dot(class, done.rate, us(done.result.run.p99).unwrap_or(low), &label);
    }
    let described = format!(
        "Response times over the planned rate. The highest rate that held is {}.",
        capacity.last_passing.map_or_else(|| "not known".to_owned(), rate)
    );
    let keys = "<span class=\"p50\">p50</span><span class=\"p95\">p95</span><span class=\"p99\">p99</span><span \
                class=\"bad dashed\">limit</span>";
    out.push_str("<p>Each dot is a step: green held, red did not, yellow cannot be told.</p>");
    out.push_str(&figure(
        "Response time by planned requests per second",
        keys,
        &plot.finish("high", &described, ""),
    ));
    out.push_str("</section>\n");
    out
}

const fn state(state: StepState) -> (&'static str, &'static str) {
    match state {
        StepState::Held => ("good", "held"),
        StepState::Missed => ("bad", "did not hold"),
        StepState::Unclear => ("doubt", "cannot be told"),
        StepState::Generator => ("doubt ring", "the generator could not"),
    }
}

/// What the law of scaling says.
fn scaling(capacity: &Capacity) -> String {
    let Some(Usl { single, serial, crosstalk, crosstalk_interval: _, peak, error }) = &capacity.usl else {
        return String::new();
    };
    let peak = peak.map_or_else(
        || {
            "Crosstalk may as well be none, so no point is known beyond which more load means less."
                .to_owned()
        },
        |(at, throughput)| {
            format!(
                "Beyond {} requests at once, where it does {}, more load means less.",
                digits(at),
                rate(throughput)
            )
        },
    );
    format!(
        "<section><h2>How it scales</h2><p>The universal scalability law, fitted to the steps: a diagnosis, not a \
         promise.</p><dl class=\"facts\"><div><dt>one at a time</dt><dd>{}</dd></div><div><dt>done one at a \
         time</dt><dd>{}</dd></div><div><dt>crosstalk</dt><dd>{}</dd></div><div><dt>typical error of the \
         fit</dt><dd>{}</dd></div></dl><p class=\"note\">{peak}</p></section>\n",
        rate(*single),
        percent(*serial),
        percent(*crosstalk),
        percent(*error),
    )
}

fn steps(capacity: &Capacity) -> String {
    let mut columns =
        vec!["step", ">planned/s", ">ok/s", "came to", ">p50", ">p95", ">p99", ">not ok", ">judged"];
    columns.extend([">generator", "why"]);
    let mut table = Table::new("Steps of the search", &columns);
    let time =
        |seconds: Option<f64>| Cell::Number(seconds.map_or_else(|| NONE.to_owned(), |at| micros(at * 1e6)));
    for (index, done) in capacity.steps.iter().enumerate() {
        let Done { rate, phase, length: judged, result } = done;
        let phase = match phase {
            Phase::Double => "doubling",
            Phase::Halve => "halving",
            Phase::Bisect => "narrowing",
            Phase::Confirm => "confirming",
        };
        let class = match result.state {
            StepState::Held => "pass",
            StepState::Missed => "fail",
            StepState::Unclear | StepState::Generator => "inconclusive",
        };
        table.row(
            "",
            [
                Cell::Name(format!("{} {phase}", count(index as u64 + 1))),
                Cell::Number(digits(*rate)),
                Cell::Number(digits(result.run.throughput)),
                Cell::Markup(format!("<span class=\"state {class}\">{}</span>", state(result.state).1)),
                time(result.run.p50),
                time(result.run.p95),
                time(result.run.p99),
                Cell::Number(percent(result.run.errors)),
                Cell::Number(length(*judged)),
                Cell::Number(percent(result.generator)),
                Cell::Why(result.reasons.join("; ")),
            ],
        );
    }
    let slos: Vec<_> =
        capacity.slos.iter().take(50).map(|slo| format!("<code>{}</code>", escape::html(slo))).collect();
    format!(
        "<section><h2>Steps</h2><p>What had to hold: {}.</p>{}</section>\n",
        slos.join(", "),
        table.finish()
    )
}
