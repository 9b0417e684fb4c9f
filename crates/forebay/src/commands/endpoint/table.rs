//! The table of endpoints: as much of it as the terminal is wide.

use std::io;
use std::time::Duration;

use forebay_base::units;
use serde_json::Value;

use super::super::remote::printable;
use crate::commands::Output;

/// Between two columns.
const GAP: &str = "  ";
/// Width for a terminal that does not know its own.
const WIDTH_USUAL: usize = 120;
/// The reasons are not cut below this, as long as there are other columns to leave out.
const WHY_MIN: usize = 24;

/// A column: its title, and what it says of an endpoint of a service.
struct Column {
    title: &'static str,
    cell: fn(&Value, &Value) -> String,
    /// Numbers stand to the right.
    right: bool,
    /// The least is left out first where there is no room; `None`: it always stays.
    rank: Option<u8>,
}

const STATE: &str = "STATE";
const WHY: &str = "WHY";

const COLUMNS: &[Column] = &[
    Column { title: "SERVICE", cell: |service, _| text(&service["name"]), right: false, rank: None },
    Column { title: "ENDPOINT", cell: |_, endpoint| text(&endpoint["address"]), right: false, rank: None },
    Column { title: STATE, cell: |_, endpoint| state(endpoint), right: false, rank: None },
    Column { title: WHY, cell: |_, endpoint| why(endpoint), right: false, rank: Some(9) },
    Column { title: "SINCE", cell: |_, endpoint| since(endpoint), right: true, rank: Some(7) },
    Column { title: "NEXT TRY", cell: |_, endpoint| next_try(endpoint), right: true, rank: Some(8) },
    Column { title: "SHARE", cell: |_, endpoint| share(endpoint), right: true, rank: Some(6) },
    Column { title: "WEIGHT", cell: |_, endpoint| text(&endpoint["weight"]), right: true, rank: Some(1) },
    Column { title: "PRIORITY", cell: |_, endpoint| text(&endpoint["priority"]), right: true, rank: Some(0) },
    Column {
        title: "IN FLIGHT",
        cell: |_, endpoint| text(&endpoint["in_flight"]),
        right: true,
        rank: Some(5),
    },
    Column { title: "CONNS", cell: |_, endpoint| text(&endpoint["connections"]), right: true, rank: Some(2) },
    Column { title: "LAST CHECK", cell: |_, endpoint| last_check(endpoint), right: false, rank: Some(4) },
    Column { title: "SOURCE", cell: |_, endpoint| text(&endpoint["source"]), right: false, rank: Some(3) },
];

/// Writes the table, and below it what is odd about whole services.
///
/// # Errors
/// When it cannot be written.
pub(super) fn show(services: &[Value], only_out: bool, out: &mut Output<'_>) -> io::Result<()> {
    let width = if out.is_terminal() { terminal_width() } else { usize::MAX };
    let wanted = |endpoint: &&Value| !only_out || !list(&endpoint["outs"]).is_empty();
    let rows: Vec<Vec<String>> = services
        .iter()
        .flat_map(|service| {
            list(&service["endpoints"]).iter().filter(wanted).map(move |endpoint| (service, endpoint))
        })
        .map(|(service, endpoint)| COLUMNS.iter().map(|column| (column.cell)(service, endpoint)).collect())
        .collect();
    if rows.is_empty() {
        out.line(if only_out { "no endpoint is out" } else { "there is no endpoint" })?;
    } else {
        lines(&rows, width, out)?;
    }
    for service in services {
        for note in notes(service) {
            out.line(format!("{} {note}", out.yellow("note:")))?;
        }
    }
    Ok(())
}

/// The state as a colour says it too.
pub(super) fn painted_state(endpoint: &Value, out: &Output<'_>) -> String {
    let state = state(endpoint);
    paint(&state, &state, out)
}

fn lines(rows: &[Vec<String>], width: usize, out: &mut Output<'_>) -> io::Result<()> {
    let widths: Vec<usize> = COLUMNS
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let cells = rows.iter().map(|row| chars(&row[index]));
            cells.chain([chars(column.title)]).max().unwrap_or(0)
        })
        .collect();
    let layout = layout(&widths, width);
    let titles: Vec<String> = COLUMNS.iter().map(|column| column.title.to_owned()).collect();
    let head = line(&titles, &layout, |_, padded| padded);
    out.line(out.bold(head.trim_end()))?;
    for row in rows {
        let text = line(row, &layout, |column, padded| match column.title {
            STATE => paint(padded.trim_end(), &padded, out),
            _ => padded,
        });
        out.line(text.trim_end())?;
    }
    Ok(())
}

/// Which columns are shown, and how wide: all if they fit, else the more important ones, the reasons cut.
fn layout(widths: &[usize], width: usize) -> Vec<(usize, usize)> {
    let mut shown: Vec<(usize, usize)> = widths.iter().copied().enumerate().collect();
    let need = |shown: &[(usize, usize)]| -> usize {
        let gaps = GAP.len() * shown.len().saturating_sub(1);
        shown.iter().map(|(_, width)| width).sum::<usize>() + gaps
    };
    loop {
        let over = need(&shown).saturating_sub(width);
        if over == 0 {
            return shown;
        }
        let why = shown.iter_mut().find(|(index, _)| COLUMNS[*index].title == WHY);
        if let Some((_, why)) = why.filter(|(_, why)| *why >= WHY_MIN + over) {
            *why -= over;
            return shown;
        }
        let least = shown
            .iter()
            .enumerate()
            .filter_map(|(at, (index, _))| COLUMNS[*index].rank.map(|rank| (rank, at)))
            .min();
        match least {
            Some((_, at)) => drop(shown.remove(at)),
            // The three that tell most stay, and the terminal wraps them.
            None => return shown,
        }
    }
}

fn line(cells: &[String], layout: &[(usize, usize)], paint: impl Fn(&Column, String) -> String) -> String {
    let padded = layout.iter().map(|&(index, width)| {
        let (cell, column) = (cut(&cells[index], width), &COLUMNS[index]);
        let room = " ".repeat(width.saturating_sub(chars(&cell)));
        paint(column, if column.right { room + &cell } else { cell + &room })
    });
    padded.collect::<Vec<_>>().join(GAP)
}

fn cut(text: &str, width: usize) -> String {
    if chars(text) <= width {
        return text.to_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    kept + "…"
}

fn chars(text: &str) -> usize {
    text.chars().count()
}

/// `text` in the colour of `state`.
fn paint(state: &str, text: &str, out: &Output<'_>) -> String {
    match state {
        "up" => out.green(text),
        "unhealthy" | "ejected" => out.red(text),
        _ => out.yellow(text),
    }
}

fn state(endpoint: &Value) -> String {
    match endpoint["ramp_percent"].as_u64() {
        Some(percent) if endpoint["state"] == "ramping" => format!("ramping {percent} %"),
        _ => text(&endpoint["state"]),
    }
}

/// The first reason in full, then the words of the others.
fn why(endpoint: &Value) -> String {
    let mut parts = Vec::new();
    for (index, out) in list(&endpoint["outs"]).iter().enumerate() {
        let (reason, cause, detail) = (text(&out["reason"]), text(&out["cause"]), text(&out["detail"]));
        if index > 0 {
            parts.push(format!("also {reason}"));
        }
        // The details of a failing check and of an ejection say what the cause is.
        parts.extend([detail, cause].into_iter().find(|part| !part.is_empty()));
    }
    parts.join("; ")
}

fn since(endpoint: &Value) -> String {
    list(&endpoint["outs"]).first().map(|out| ago(&out["since_seconds_ago"])).unwrap_or_default()
}

/// When it will be tried again: with requests, or else by a check.
fn next_try(endpoint: &Value) -> String {
    let Some(out) = list(&endpoint["outs"]).first() else { return String::new() };
    let by_check = matches!(out["reason"].as_str(), Some("unhealthy" | "unchecked"));
    match (out["until_in_seconds"].as_f64(), endpoint["check"]["next_in_seconds"].as_f64()) {
        (Some(wait), _) => format!("in {}", seconds(wait)),
        (None, Some(wait)) if by_check => format!("check in {}", seconds(wait)),
        _ => "by hand".to_owned(),
    }
}

fn share(endpoint: &Value) -> String {
    endpoint["share"].as_f64().map_or("-".to_owned(), |share| format!("{:.1} %", share * 100.0))
}

fn last_check(endpoint: &Value) -> String {
    let check = &endpoint["check"];
    match (check.is_null(), check["last"]["passed"].as_bool()) {
        (true, _) => String::new(),
        (false, None) => "none yet".to_owned(),
        (false, Some(passed)) => {
            let word = if passed { "passed" } else { "failed" };
            format!("{word} {}", ago(&check["last"]["at_seconds_ago"]))
        }
    }
}

/// What is odd about a service as a whole.
fn notes(service: &Value) -> Vec<String> {
    let name = text(&service["name"]);
    let mut notes = Vec::new();
    if service["panic"] == true {
        notes.push(format!("{name} is in panic: too few endpoints are well, so all are used"));
    }
    match service["priority"].as_u64() {
        Some(priority) if priority > 0 => {
            notes.push(format!(
                "{name} uses priority {priority}: too few endpoints of the lesser ones are well"
            ));
        }
        _ => {}
    }
    match service["waiting"].as_u64() {
        Some(waiting) if waiting > 0 => {
            notes.push(format!("{name}: {waiting} requests wait, for every endpoint has as many as it may"));
        }
        _ => {}
    }
    for source in list(&service["sources"]) {
        let (what, why) = (text(&source["source"]), text(&source["failing"]["why"]));
        if source["failing"].is_object() {
            let since = source["failing"]["since_seconds_ago"].as_f64().map(seconds).unwrap_or_default();
            let then =
                if source["found"] == 0 { "it has led nowhere yet" } else { "the last good one holds" };
            notes.push(format!("{name}: {what} has had no answer for {since}: {why}; {then}"));
        }
        if let Some(denied) = source["denied"].as_u64().filter(|denied| *denied > 0) {
            notes.push(format!(
                "{name}: {what} led to {denied} link-local or metadata addresses, which are left out; see \
                 `endpoints_allow`"
            ));
        }
    }
    notes
}

fn ago(value: &Value) -> String {
    value.as_f64().map_or("-".to_owned(), |ago| format!("{} ago", seconds(ago)))
}

/// A time short enough for a table: `3s`, `2m5s`.
fn seconds(seconds: f64) -> String {
    let whole = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX).as_secs();
    match whole {
        0 => "0s".to_owned(),
        1..3_600 => units::show_duration(Duration::from_secs(whole)),
        // Seconds are noise after an hour.
        _ => units::show_duration(Duration::from_secs(whole / 60 * 60)),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => printable(text),
        other => other.to_string(),
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn terminal_width() -> usize {
    let size = rustix::termios::tcgetwinsize(io::stdout());
    size.ok().map(|size| usize::from(size.ws_col)).filter(|width| *width > 0).unwrap_or(WIDTH_USUAL)
}

#[cfg(test)]
mod tests;
