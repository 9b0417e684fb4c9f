//! From what was typed to a plan.

use std::path::Path;

use forebay_base::problem::{Position, Problem};
use forebay_load::plan::When;

use crate::cli::load::{self as typed, Amount, Asked, Preset};
use crate::cli::{EXIT_PROBLEMS, EXIT_USAGE};
use crate::load::protocol::{Protocol, Securing};
use crate::load::{self, Changes, Data, Loaded, Quick, target};

/// Largest file that is sent as a body, in bytes.
const BODY_MAX: u64 = 16 << 20;

/// Why there is no plan.
#[derive(Debug)]
pub(super) struct Refused {
    /// What is wrong, and what to do.
    pub(super) problems: Vec<Problem>,
    /// The exit status that says whether the command line or a file is wrong.
    pub(super) status: u8,
}

/// What to test, and what flags say about it.
pub(super) fn load(what: &str, amount: &Amount, asked: &Asked) -> Result<Loaded, Refused> {
    let mut changes = changes(amount, asked)?;
    if !target::has_scheme(what) {
        let quick = [("-d", asked.data.is_some()), ("-X", asked.method.is_some())];
        if let Some((flag, _)) = quick.iter().find(|(_, given)| *given) {
            let fix = "write it into the plan's steps, or name a URL instead of a plan";
            return Err(usage(flag, "it goes with a URL only", fix));
        }
        return load::load(Path::new(what), &changes)
            .map_err(|problems| Refused { problems, status: EXIT_PROBLEMS });
    }
    let url = target::parse(what).map_err(|wrong| usage(what, &wrong.what, &wrong.fix))?;
    if changes.target.take().is_some() {
        return Err(usage("--target", "the URL says already where requests go", "leave it out"));
    }
    let body = asked.data.as_deref().map(body).transpose()?;
    let quick = Quick { method: asked.method.clone(), body };
    load::of_url(&url, &quick, &changes).map_err(|problems| Refused { problems, status: EXIT_USAGE })
}

/// What flags say in place of a plan's keys.
pub(super) fn changes(amount: &Amount, asked: &Asked) -> Result<Changes, Refused> {
    let Amount { rate, users, length, iterations, preset, warmup, poisson } = amount;
    let Asked {
        headers,
        data: _,
        method: _,
        target,
        timeout,
        grace,
        seed,
        workers,
        users_max,
        no_keep_alive,
        protocol,
    } = asked;
    Ok(Changes {
        target: target.clone(),
        levels: rate.clone().or_else(|| users.clone()),
        length: *length,
        preset: preset.map(|preset| match preset {
            Preset::Spike => load::Preset::Spike,
            Preset::Soak => load::Preset::Soak,
        }),
        iterations: *iterations,
        headers: headers.clone(),
        timeout: *timeout,
        grace: *grace,
        poisson: *poisson,
        warmup: *warmup,
        thresholds: Vec::new(),
        seed: *seed,
        workers: workers.map(usize::from),
        users_max: users_max.map(|most| most as usize),
        no_keep_alive: *no_keep_alive,
        protocol: self::protocol(protocol),
    })
}

/// What is spoken.
pub(super) fn protocol(typed: &typed::Protocol) -> Protocol {
    let typed::Protocol { http2, connections, streams, insecure, ca, cert, key, server_name, resume } = typed;
    Protocol {
        http2: http2.map(|when| match when {
            typed::When::On => When::On,
            typed::When::Off => When::Off,
            typed::When::Auto => When::Auto,
        }),
        connections: connections.map(|most| most as usize),
        streams: streams.map(|most| most as usize),
        tls: Securing {
            insecure: *insecure,
            ca: ca.clone(),
            cert: cert.clone(),
            key: key.clone(),
            name: server_name.clone(),
            resume: *resume,
        },
    }
}

/// What `-d` stands for.
fn body(text: &str) -> Result<Data, Refused> {
    let Some(file) = text.strip_prefix('@') else { return Ok(Data::Typed(text.to_owned())) };
    load::read_file(Path::new(file), BODY_MAX)
        .map(Data::Bytes)
        .map_err(|error| usage("-d", &format!("cannot read `{file}`: {error}"), "name another file"))
}

/// A mistake in the command line.
pub(super) fn usage(flag: &str, what: &str, fix: &str) -> Refused {
    let problem = Problem::error(Position::file(flag), what).fix(fix);
    Refused { problems: vec![problem], status: EXIT_USAGE }
}
