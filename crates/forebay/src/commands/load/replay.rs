//! `forebay load replay`: recorded traffic again, with its timing.

use std::time::Duration;

use anyhow::anyhow;
use forebay_load::lab::Lab;
use forebay_load::plan::{Model, Plan, Stage};
use forebay_load::recording::{BYTES_MAX, Error, Recording, Replay as How};

use super::{plan, tell, test};
use crate::cli::EXIT_USAGE;
use crate::cli::load::Replay;
use crate::commands::Output;
use crate::load;

/// Sends it. Gives the exit status.
///
/// # Errors
/// The recording cannot be read or sent, or results not be written.
pub(super) fn replay(args: &Replay, out: &mut Output<'_>) -> anyhow::Result<u8> {
    let (plan, sampled) = plan(args)?;
    let unmet = load::unmet(&plan, "--threshold", &args.thresholds);
    if !unmet.is_empty() {
        tell(&unmet)?;
        return Ok(EXIT_USAGE);
    }
    test::judged(&plan, &args.outputs, None, sampled, out)
}

/// What is sent, and what is to be known of how it was picked.
fn plan(args: &Replay) -> anyhow::Result<(Plan, Option<String>)> {
    let name = args.recording.display();
    let unfit = |Error { line, what }| match line {
        0 => anyhow!("{name} cannot be sent again: {what}"),
        line => anyhow!("{name}:{line}: {what}"),
    };
    let bytes = load::read_file(&args.recording, BYTES_MAX as u64)
        .map_err(|error| anyhow!("cannot read {name}: {error}"))?;
    let recording = Recording::parse(&bytes).map_err(unfit)?;
    drop(bytes);
    let how = How { keep_host: !args.new_host, timeout: args.timeout, ..How::at(args.speed) };
    let parts = recording.plan_parts(&how).map_err(unfit)?;
    for note in parts.notes.iter().chain(&parts.sampled) {
        Output::noted(note);
    }
    // The last arrival lies within the stage.
    let length = parts.length + Duration::from_millis(1);
    let rate = parts.arrivals.len() as f64 / length.as_secs_f64();
    let stem =
        args.recording.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let protocol = plan::protocol(&args.protocol);
    let plan = Plan {
        name: stem,
        target: protocol.target(&args.target).map_err(|(what, fix)| anyhow!("{what}; {fix}"))?,
        http2: protocol.http2(),
        model: Model::Recorded(parts.arrivals),
        stages: vec![Stage { name: "replay".to_owned(), length, from: rate, to: rate, warmup: false }],
        scenarios: parts.scenarios,
        thresholds: args.thresholds.clone(),
        seed: 1,
        grace: Duration::from_secs(10),
        users_max: args.users_max as usize,
        keep_alive: true,
        workers: 0,
        variables: Vec::new(),
        feeders: Vec::new(),
        tags: Vec::new(),
        lab: Lab::default(),
    };
    Ok((plan, parts.sampled))
}
