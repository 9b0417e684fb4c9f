//! What the lab saw: faults and recoveries, what processes used, and where their time and memory went.

use std::fmt::Write as _;
use std::time::Duration;

use super::super::facts::Facts;
use super::super::figures::{NONE, bytes, count, digits, float, length, micros};
use super::super::text::{growth, percent, sent};
use super::super::{ROWS_MAX, escape};
use super::plot::{Axis, Plot};
use super::table::{Cell, Table};
use super::timeline::{self, figure};
use crate::lab::{Captured, CapturedKind, End, Leak, LeakVerdict, Part, Recovery, Sample, Spread, Watched};
use crate::outcome::Outcome;

/// Processes that are drawn.
const DRAWN_MAX: usize = 12;
/// Points of a curve; the lab keeps hardly more.
const POINTS_MAX: usize = 400;
/// Bytes of one flame graph, and of all of them: a page must fit into a mail.
const FLAME_MAX: usize = 200_000;
const FLAMES_MAX: usize = 1_200_000;

/// The sections; empty when there was nothing to see.
pub(super) fn section(facts: &Facts<'_>) -> String {
    let outcome = facts.outcome;
    [notes(outcome), faults(outcome), processes(facts), profiles(outcome)].concat()
}

fn notes(outcome: &Outcome) -> String {
    if outcome.lab.notes.is_empty() {
        return String::new();
    }
    let notes = outcome.lab.notes.iter().take(ROWS_MAX).map(|note| escape::html_text(note));
    format!(
        "<section><h2>What went otherwise than planned</h2><ul><li>{}</ul></section>\n",
        notes.collect::<Vec<_>>().join("<li>")
    )
}

fn faults(outcome: &Outcome) -> String {
    let lab = &outcome.lab;
    if lab.episodes.is_empty() && lab.faults.is_empty() {
        return String::new();
    }
    let mut out = String::from(
        "<section><h2>Faults and recoveries</h2><p>Recovered is the first second after which the target was as good \
         as before the fault, and stayed so for the hold. Times are exact to a window of the timeline.</p>",
    );
    let columns = [
        "fault",
        ">cycle",
        ">from",
        ">to",
        "came to",
        ">noticed after",
        ">recovered, from its end",
        ">not ok",
        "to know",
    ];
    let mut table = Table::new("Faults and recoveries", &columns);
    for episode in &lab.episodes {
        let recovery = &episode.recovery;
        table.row(
            "",
            [
                Cell::Name(episode.what.clone()),
                Cell::Number((u64::from(episode.cycle) + 1).to_string()),
                Cell::Number(length(episode.on)),
                Cell::Number(episode.off.map_or_else(|| "the end".to_owned(), length)),
                Cell::Markup(ending(recovery)),
                Cell::Number(recovery.ttd.map_or_else(|| NONE.to_owned(), after)),
                Cell::Number(recovered(recovery)),
                // Where nothing can be told, nothing was counted.
                match recovery.end {
                    End::Unknown => Cell::Number(NONE.to_owned()),
                    _ => Cell::Bad(recovery.bad_requests),
                },
                Cell::Why(recovery.notes.join("; ")),
            ],
        );
    }
    out.push_str(&table.finish());
    for fault in lab.faults.iter().filter(|fault| fault.error.is_some()).take(ROWS_MAX) {
        let why = fault.error.as_deref().unwrap_or_default();
        let _ = write!(
            out,
            "<p class=\"note\"><b>{}</b>: {}</p>",
            escape::html(&fault.what),
            escape::html_text(why)
        );
    }
    if lab.recoveries.iter().any(|summary| summary.cycles > 1) {
        let columns = [
            "fault",
            ">cycles",
            ">ended well",
            ">unnoticed",
            ">noticed after",
            ">recovered, from its end",
            ">shown for",
        ];
        let mut table = Table::new("All cycles of each fault", &columns);
        for summary in &lab.recoveries {
            let proves = summary
                .proves
                .map_or_else(|| NONE.to_owned(), |share| format!("{} of such faults", percent(share)));
            table.row(
                "",
                [
                    Cell::Name(summary.what.clone()),
                    Cell::Number(count(summary.cycles as u64)),
                    Cell::Number(count(summary.recovered as u64)),
                    Cell::Number(count(summary.no_effect as u64)),
                    Cell::Number(spread(summary.ttd)),
                    Cell::Number(spread(summary.ttr_off)),
                    Cell::Number(proves),
                ],
            );
        }
        out.push_str(&table.finish());
    }
    out.push_str("</section>\n");
    out
}

fn ending(recovery: &Recovery) -> String {
    let (class, text) = match recovery.end {
        End::Unknown => ("inconclusive", "cannot be told"),
        End::NoEffect => ("pass", "no effect"),
        End::Recovered => ("pass", "recovered"),
        End::Unproven => ("inconclusive", "not proven"),
        End::Never => ("fail", "did not recover"),
    };
    format!("<span class=\"state {class}\">{text}</span>")
}

fn recovered(recovery: &Recovery) -> String {
    match recovery.end {
        End::Never => format!("> {}", length(recovery.watched)),
        _ => recovery.ttr_off.or(recovery.ttr_on).map_or_else(|| NONE.to_owned(), after),
    }
}

fn spread(spread: Option<Spread>) -> String {
    spread.map_or_else(
        || NONE.to_owned(),
        |Spread { median, max }| format!("{}, at most {}", length(median), length(max)),
    )
}

/// A time that is as good as none is said in words.
fn after(time: Duration) -> String {
    if time.is_zero() { "at once".to_owned() } else { length(time) }
}

fn processes(facts: &Facts<'_>) -> String {
    let outcome = facts.outcome;
    let watched = &outcome.lab.watched;
    if watched.iter().all(|one| one.curve.is_empty() && one.stages.is_empty()) {
        return String::new();
    }
    let mut out = String::from(
        "<section><h2>Processes</h2><p>CPU and memory once a second, children included. The generator is the load \
         tester itself.</p>",
    );
    for one in watched.iter().take(DRAWN_MAX).filter(|one| !one.curve.is_empty()) {
        out.push_str(&curves(outcome, one));
    }
    out.push_str(&usage(facts));
    out.push_str("</section>\n");
    out
}

fn curves(outcome: &Outcome, watched: &Watched) -> String {
    let end = timeline::end_of(outcome);
    let step = watched.curve.len().div_ceil(POINTS_MAX).max(1);
    let samples = || watched.curve.iter().step_by(step).filter(|sample| float(sample.at_ms) / 1e3 <= end);
    let picture = |class: &str,
                   high: f64,
                   label: &dyn Fn(f64) -> String,
                   of: &dyn Fn(&Sample) -> f64,
                   described: &str| {
        let mut plot = Plot::new(Axis::seconds(end), Axis::even(high, label));
        timeline::bands(&mut plot, outcome, end, false);
        let points =
            samples().map(|sample| (float(sample.at_ms) / 1e3, (sample.memory > 0).then(|| of(sample))));
        plot.line(class, points);
        plot.finish("low", described, "")
    };
    let cores = watched.curve.iter().map(|sample| sample.cores).fold(0.0, f64::max);
    let memory = watched.curve.iter().map(|sample| sample.memory).max().unwrap_or(0);
    let name = escape::html(&watched.name);
    let said = format!("Processors used by {}, at most {}.", escape::plain(&watched.name), digits(cores));
    let cpu = picture("cpu", cores, &digits, &|sample| sample.cores, &said);
    let said = format!("Memory held by {}, at most {}.", escape::plain(&watched.name), bytes(memory));
    let megabytes = float(memory) / 1e6;
    let held = picture(
        "memory",
        megabytes,
        &|mb| format!("{} MB", digits(mb)),
        &|sample| float(sample.memory) / 1e6,
        &said,
    );
    [
        "<div class=\"pair\">".to_owned(),
        figure(&format!("{name}: CPU"), "<span class=\"cpu\">processors used</span>", &cpu),
        figure(&format!("{name}: memory"), "<span class=\"memory\">held in RAM</span>", &held),
        "</div>".to_owned(),
        leak(&watched.leak),
    ]
    .concat()
}

fn leak(leak: &Leak) -> String {
    let Some(growth) = growth(leak) else { return String::new() };
    let word = match leak.verdict {
        LeakVerdict::Growing => "<span class=\"state fail\">memory grows</span>",
        LeakVerdict::Flat => "<span class=\"state pass\">memory is flat</span>",
        LeakVerdict::TooShort => "<span class=\"state off\">no leak check: too short, or too restless</span>",
    };
    format!("<p class=\"note\">{word} {growth}.</p>")
}

fn usage(facts: &Facts<'_>) -> String {
    let outcome = facts.outcome;
    let columns = [
        "process",
        "stage",
        ">processors",
        ">at most",
        ">CPU per request",
        ">memory",
        ">threads",
        ">descriptors",
    ];
    let mut table = Table::new("Use of the machine by stage", &columns);
    for watched in &outcome.lab.watched {
        for (index, (stage, usage)) in outcome.stages.iter().zip(&watched.stages).enumerate() {
            let per = usage
                .cpu_per(sent(outcome, index))
                .map_or_else(|| NONE.to_owned(), |cpu| micros(cpu.as_secs_f64() * 1e6));
            table.row(
                if stage.warmup { " class=\"soft\"" } else { "" },
                [
                    Cell::Name(watched.name.clone()),
                    Cell::Text(stage.name.clone()),
                    Cell::Number(digits(usage.cores())),
                    Cell::Number(digits(usage.cores_max)),
                    Cell::Number(per),
                    Cell::Number(bytes(usage.memory_max)),
                    Cell::Number(count(usage.threads_max)),
                    Cell::Number(count(usage.descriptors_max)),
                ],
            );
        }
    }
    table.finish()
}

fn profiles(outcome: &Outcome) -> String {
    let mut out = String::new();
    let mut room = FLAMES_MAX;
    for watched in &outcome.lab.watched {
        for captured in watched.profiles.iter().take(ROWS_MAX) {
            out.push_str(&profile(outcome, watched, captured, &mut room));
        }
    }
    if out.is_empty() {
        return out;
    }
    format!(
        "<section><h2>Profiles</h2><p>Taken during the run: callers on top, width by what was used. With \
         <code>--out</code> the files stand beside this page, and <code>go tool pprof</code> reads them.</p>{out}\
         </section>\n"
    )
}

fn profile(outcome: &Outcome, watched: &Watched, captured: &Captured, room: &mut usize) -> String {
    let kind = match captured.kind {
        CapturedKind::Cpu => "CPU",
        CapturedKind::Heap => "memory",
    };
    let during = match captured.during {
        Part::Begin => "before the load".to_owned(),
        Part::Stage(index) => outcome
            .stages
            .get(index)
            .map_or_else(|| format!("stage {}", index + 1), |stage| stage.name.clone()),
        Part::End => "after the load".to_owned(),
    };
    let title = format!("{}, {kind}, {}", escape::shorten(&watched.name, 60), escape::shorten(&during, 60));
    let svg = captured.flame.as_ref().map(|flame| flame.svg(&title));
    let inside = match (svg, &captured.error) {
        (Some(svg), _) if svg.len() <= FLAME_MAX.min(*room) => {
            *room -= svg.len();
            format!("<div class=\"flame\">{svg}</div>")
        }
        (Some(_), _) => {
            format!("<p class=\"note\">too large for this page: see {}</p>", escape::html(&captured.file))
        }
        (None, Some(error)) => format!("<p class=\"note\">there is none: {}</p>", escape::html_text(error)),
        (None, None) => "<p class=\"note\">there is none</p>".to_owned(),
    };
    let open = if captured.kind == CapturedKind::Cpu { " open" } else { "" };
    format!("<details{open}><summary>{}</summary>{inside}</details>", escape::html(&title))
}
