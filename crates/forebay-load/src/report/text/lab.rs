//! What the lab saw, for the closing words: faults and recoveries, processes, and what went otherwise.

use super::super::figures::{NONE, bytes, count, digits, length, micros, whole};
use super::super::{ROWS_MAX, escape};
use super::{Columns, Ink, NAME, NAME_NARROW, Page, percent};
use crate::lab::{End, Episode, GENERATOR, Leak, LeakVerdict, Recovery, Summary};
use crate::outcome::Outcome;

impl Page<'_> {
    /// Each fault and how the target got over it.
    pub(super) fn faults(&mut self, outcome: &Outcome) {
        let lab = &outcome.lab;
        let failed = || lab.faults.iter().filter_map(|fault| Some((&fault.what, fault.error.as_ref()?)));
        if lab.episodes.is_empty() && failed().next().is_none() {
            return;
        }
        self.heading("Faults");
        let cycles = lab.episodes.iter().any(|episode| episode.cycle > 0);
        for episode in lab.episodes.iter().take(ROWS_MAX) {
            let (ink, ending) = ending(&episode.recovery);
            let what = format!("  {}: ", broken(episode, cycles));
            let more = details(&episode.recovery);
            self.pieces(4, &[(None, &what), (Some(ink), &ending), (None, &more)]);
        }
        for (what, why) in failed().take(ROWS_MAX) {
            let why = format!(": {}", escape::shorten(why, 300));
            self.pieces(4, &[(None, "  "), (Some(Ink::Bad), &escape::plain(what)), (None, &why)]);
        }
        for summary in lab.recoveries.iter().filter(|summary| summary.cycles > 1).take(ROWS_MAX) {
            self.soft(&all_cycles(summary));
        }
        let beyond = lab.episodes.len().saturating_sub(ROWS_MAX);
        if beyond > 0 {
            self.soft(&format!("and {beyond} more"));
        }
    }

    /// What each process that was watched used, stage by stage.
    pub(super) fn processes(&mut self, outcome: &Outcome) {
        let watched: Vec<_> = outcome.lab.watched.iter().filter(|one| one.name != GENERATOR).collect();
        if watched.is_empty() {
            return;
        }
        let columns = [("processors", 12), ("at most", 10), ("CPU/request", 13), ("memory", 11)];
        let table = Columns::fitting(&columns, &[1, 0], (NAME, NAME_NARROW), self.room);
        self.out.push('\n');
        self.table_line(Some(Ink::Strong), &table.head("Processes"));
        for one in watched {
            for (index, (stage, usage)) in outcome.stages.iter().zip(&one.stages).enumerate().take(ROWS_MAX) {
                // Processor time is told in steps of 10 ms: none of them is not nothing.
                let per = usage.cpu_per(sent(outcome, index)).filter(|cpu| !cpu.is_zero());
                let cells = [
                    digits(usage.cores()),
                    digits(usage.cores_max.max(usage.cores())),
                    per.map_or_else(|| NONE.to_owned(), |cpu| micros(cpu.as_secs_f64() * 1e6)),
                    bytes(usage.memory_max),
                ];
                let ink = stage.warmup.then_some(Ink::Soft);
                self.table_line(
                    ink,
                    &table.row(&format!("{}: {}", escape::shorten(&one.name, 40), stage.name), &cells),
                );
            }
            let name = escape::plain(&one.name);
            let (ink, word) = match one.leak.verdict {
                LeakVerdict::Growing => (Ink::Bad, "memory grows"),
                LeakVerdict::Flat => (Ink::Good, "memory is flat"),
                LeakVerdict::TooShort => {
                    self.soft(&format!("{name}: no leak check, for it was too short or too restless"));
                    continue;
                }
            };
            let grown = growth(&one.leak).map_or_else(String::new, |grown| format!(": {grown}"));
            self.pieces(4, &[(None, &format!("  {name}: ")), (Some(ink), word), (None, &grown)]);
        }
    }

    /// What went otherwise than planned.
    pub(super) fn notes(&mut self, outcome: &Outcome) {
        let notes = &outcome.lab.notes;
        if notes.is_empty() {
            return;
        }
        self.heading("What went otherwise than planned");
        for note in notes.iter().take(ROWS_MAX) {
            self.line(&format!("  - {}", escape::shorten(note, 400)));
        }
    }
}

/// Requests that were sent in a stage.
pub(crate) fn sent(outcome: &Outcome, stage: usize) -> u64 {
    let tallies = outcome.series.iter().filter_map(|series| series.stages.get(stage));
    tallies.map(|tally| tally.planned.saturating_sub(tally.not_started)).sum()
}

/// How fast memory grew, how sure that is, and what would matter; `None`: it was not seen for long enough.
pub(crate) fn growth(leak: &Leak) -> Option<String> {
    let Leak { verdict: _, per_hour, interval, matters, length: over } = leak;
    let amount =
        |growth: f64| format!("{}{}/h", if growth < 0.0 { "-" } else { "" }, bytes(whole(growth.abs())));
    let interval =
        interval.map(|(low, high)| format!(", at 95 % between {} and {}", amount(low), amount(high)));
    Some(format!(
        "{}{} over {}; {} would matter",
        amount((*per_hour)?),
        interval.unwrap_or_default(),
        length(*over),
        amount(*matters),
    ))
}

fn broken(episode: &Episode, cycles: bool) -> String {
    let cycle = if cycles { format!(" (cycle {})", u64::from(episode.cycle) + 1) } else { String::new() };
    let until = episode.off.map_or_else(|| "to the end".to_owned(), |off| format!("to {}", length(off)));
    format!("{}{cycle} from {} {until}", escape::plain(&episode.what), length(episode.on))
}

fn ending(recovery: &Recovery) -> (Ink, String) {
    let after = |time: std::time::Duration, of: &str| {
        if time.is_zero() {
            "recovered at once".to_owned()
        } else {
            format!("recovered {} after {of}", length(time))
        }
    };
    match recovery.end {
        End::Unknown => (Ink::Doubtful, "what came of it cannot be told".to_owned()),
        End::NoEffect => (Ink::Good, "no effect".to_owned()),
        End::Recovered => {
            let from_off = recovery.ttr_off.map(|time| after(time, "its end"));
            let said = from_off.or_else(|| recovery.ttr_on.map(|time| after(time, "it began")));
            (Ink::Good, said.unwrap_or_else(|| "recovered".to_owned()))
        }
        End::Unproven => {
            (Ink::Doubtful, "recovery is not proven: it was not good for the whole hold".to_owned())
        }
        End::Never => (Ink::Bad, format!("did not recover within {}", length(recovery.watched))),
    }
}

fn details(recovery: &Recovery) -> String {
    let mut said = String::new();
    if let Some(noticed) = recovery.ttd {
        let noticed =
            if noticed.is_zero() { "at once".to_owned() } else { format!("after {}", length(noticed)) };
        said.push_str(&format!(", noticed {noticed}"));
    }
    // Where nothing can be told, nothing was counted.
    if recovery.end != End::Unknown {
        said.push_str(&format!(", {} not ok", count(recovery.bad_requests)));
    }
    for note in recovery.notes.iter().take(ROWS_MAX) {
        said.push_str(&format!("; {}", escape::shorten(note, 300)));
    }
    said
}

fn all_cycles(summary: &Summary) -> String {
    let Summary { what, cycles, recovered, ttr_off, proves, .. } = summary;
    let mut said = format!("{}: {recovered} of {cycles} cycles ended well", escape::plain(what));
    if let Some(times) = ttr_off {
        said.push_str(&format!(", recovered after {}, at most {}", length(times.median), length(times.max)));
    }
    if let Some(share) = proves {
        said.push_str(&format!("; shown for {} of such faults", percent(*share)));
    }
    said
}
