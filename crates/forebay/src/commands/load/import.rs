//! `forebay load import`: other tools' requests as recordings, and their plans as plans.

use std::path::Path;

use anyhow::{Context as _, anyhow};
use clap::ValueEnum as _;
use clap::builder::PossibleValue;
use forebay_load::import::{self, BYTES_MAX, Imported, Options, Pace, Refused, Tree};

use super::{outputs, plan, tell};
use crate::cli::load::{Format, Import};
use crate::cli::{EXIT_OK, EXIT_PROBLEMS};
use crate::commands::Output;
use crate::load;

/// Largest file that is sent as a body, in bytes.
const BODY_MAX: u64 = 16 << 20;

/// What an import gives.
struct Made {
    bytes: Vec<u8>,
    notes: Vec<String>,
}

/// Imports the file. Gives the exit status.
///
/// # Errors
/// The file cannot be read, or the result not be written.
pub(super) fn import(args: &Import, out: &mut Output<'_>) -> anyhow::Result<u8> {
    let idle: Vec<_> = args.idle().collect();
    if !idle.is_empty() {
        let format = args.format.to_possible_value();
        let what = format!("it means nothing for {}", format.as_ref().map_or("", PossibleValue::get_name));
        let refused = plan::usage(&idle.join(", "), &what, "leave it out");
        tell(&refused.problems)?;
        return Ok(refused.status);
    }
    outputs::writable(&outputs::given([("--out", &args.out)]))?;
    let made = match made(args)? {
        Ok(made) => made,
        Err(refused) => {
            for problem in &refused.problems {
                Output::noted(&format!("{}: {problem}", args.file.display()));
            }
            return Ok(EXIT_PROBLEMS);
        }
    };
    made.notes.iter().for_each(|note| Output::noted(note));
    match &args.out {
        Some(file) => outputs::write_file(file, &made.bytes)?,
        None => out.line(String::from_utf8_lossy(&made.bytes).trim_end())?,
    }
    Ok(EXIT_OK)
}

fn made(args: &Import) -> anyhow::Result<Result<Made, Refused>> {
    let name = args.file.display();
    let bytes = load::read_file(&args.file, BYTES_MAX as u64)
        .map_err(|error| anyhow!("cannot read {name}: {error}"))?;
    let usual = Options::default().pace;
    let options = Options {
        host: args.host.clone(),
        secrets: args.secrets,
        all_methods: args.all_methods,
        pace: Pace { rate: args.rate.unwrap_or(usual.rate), length: args.length.unwrap_or(usual.length) },
    };
    if args.format == Format::AccessLog {
        return Ok(import::access_log::parse(&bytes, &options).map(recorded));
    }
    let text = String::from_utf8(bytes).with_context(|| format!("{name} is not UTF-8"))?;
    Ok(match args.format {
        Format::Vegeta => {
            let folder = args.file.parent().unwrap_or(Path::new(""));
            let mut body = |name: &str| load::read_file(&folder.join(name), BODY_MAX);
            import::vegeta::parse(&text, &options, &mut body).map(recorded)
        }
        Format::Har => import::har::parse(&text, &options).map(recorded),
        Format::Urls => import::urls::parse(&text, &options).map(recorded),
        Format::K6 => import::k6::parse(&text).map(drafted),
        Format::Artillery => match tree(&text) {
            Ok(tree) => import::artillery::parse(&tree).map(drafted),
            Err(problems) => Err(Refused { problems }),
        },
        Format::AccessLog => Err(Refused { problems: Vec::new() }),
    })
}

/// YAML or JSON, which is YAML too.
fn tree(text: &str) -> Result<Tree, Vec<String>> {
    load::tree(text)
}

fn recorded(imported: Imported) -> Made {
    let Imported { recording, origin, mut notes } = imported;
    let target = if origin.is_empty() { "http://..." } else { &origin };
    notes.push(format!("send it with `forebay load replay FILE --target {target}`"));
    Made { bytes: recording.to_lines(), notes }
}

fn drafted(draft: import::Draft) -> Made {
    Made { bytes: draft.yaml.into_bytes(), notes: draft.notes }
}
