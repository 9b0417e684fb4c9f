//! `forebay demo`: see it work.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use anyhow::Context as _;
use forebay_telemetry::log::{Level, Log, Settings};

use super::Output;
use crate::app::{App, Bound, Signals};
use crate::cli::{self, EXIT_OK, EXIT_PROBLEMS};
use crate::demo::closing::{self, Closing};
use crate::demo::live;
use crate::demo::services::Services;
use crate::demo::settings::{self, Wanted};
use crate::demo::traffic::Traffic;

/// Runs the demo: sample services, the gateway, traffic, a summary. Returns the exit status.
///
/// # Errors
/// An address is not to be had, or nobody reads what is written.
pub fn demo(args: &cli::Demo, out: &mut Output<'_>) -> anyhow::Result<u8> {
    let (gateway, admin) = match settings::wanted(args) {
        Ok(wanted) => wanted,
        Err(problems) => {
            let mut errors = io::stderr().lock();
            let terminal = errors.is_terminal();
            Output::new(&mut errors, terminal).problems(&problems)?;
            return Ok(EXIT_PROBLEMS);
        }
    };
    let services = Services::start()?;
    let (text, bound) = settings::bind(gateway, admin, &services)?;
    let control = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    control.block_on(async {
        let mut signals = Signals::new()?;
        let app = start(bound).await?;
        introduce(out, &app, gateway, admin, &text, args.seconds > 0)?;
        let (agreed, interrupted) = match args.seconds {
            0 => (true, false),
            _ => show(args, out, &app, &services, &mut signals).await?,
        };
        if !args.once && !interrupted {
            out.line("\nThe gateway and its services go on until Ctrl-C.")?;
            signals.next().await;
            // Below what the terminal shows of the keys.
            out.line("\nStopping.")?;
        }
        drain(app, &mut signals).await;
        Ok(if agreed { EXIT_OK } else { EXIT_PROBLEMS })
    })
}

async fn start(bound: Bound) -> anyhow::Result<App> {
    // Services that fail are part of the show, and what goes well is shown in other ways.
    let log = Log::start(&Settings::to_stderr(Level::Error))?;
    bound.start(log, None).await
}

/// Where everything is, and the settings that make it so.
fn introduce(
    out: &mut Output<'_>,
    app: &App,
    gateway: Wanted,
    admin: Option<Wanted>,
    text: &str,
    traffic: bool,
) -> io::Result<()> {
    let traffic = if traffic { ", and traffic through it" } else { "" };
    out.line(out.bold(&format!("Three sample services, the gateway in front of them{traffic}")))?;
    out.line("")?;
    let listen = app.address().expect("the demo listens at an IP address");
    let pairs = [Some((gateway, listen)), admin.zip(app.admin())];
    for (wanted, actual) in pairs.into_iter().flatten().filter(|(wanted, actual)| wanted.differs(*actual)) {
        let (taken, actual) = (wanted.address, settings::reachable(actual));
        out.line(format!("  {}", out.yellow(&format!("{taken} is taken; {actual} is used instead"))))?;
    }
    let listen = settings::reachable(listen);
    out.line(format!("  gateway       http://{listen}/"))?;
    if let Some(admin) = app.admin().map(settings::reachable) {
        out.line(format!("  status page   http://{admin}/"))?;
        out.line(format!("  metrics       http://{admin}/metrics"))?;
    }
    out.line(format!(
        "\n{}\n",
        out.bold("Its settings, all of them: `forebay run -c FILE` takes such a file")
    ))?;
    for line in text.lines() {
        out.line(if line.is_empty() { String::new() } else { format!("    {line}") })?;
    }
    out.line("")
}

/// Makes traffic, shows it, and sums it up. Returns whether the counts agree, and whether a signal came.
async fn show(
    args: &cli::Demo,
    out: &mut Output<'_>,
    app: &App,
    services: &Services,
    signals: &mut Signals,
) -> anyhow::Result<(bool, bool)> {
    let address = settings::reachable(app.address().expect("the demo listens at an IP address"));
    let before = closing::cpu();
    let length = Duration::from_secs(u64::from(args.seconds));
    let mut traffic = Traffic::start(address, length).context("cannot make traffic")?;
    let interrupted = live::follow(out, &mut traffic, signals).await?;
    let finished = traffic.finish();
    let cpu = closing::cpu().zip(before).map(|(after, before)| after.saturating_sub(before));
    let summary = closing::settle(app.telemetry(), &finished).await;
    let closing = Closing { finished, summary, cpu, dropped: services.dropped() };
    Ok((closing.print(out)?, interrupted))
}

/// Finishes what is in flight; another signal ends it at once.
async fn drain(app: App, signals: &mut Signals) {
    tokio::select! {
        () = app.drain() => {}
        _ = signals.next() => {}
    }
}
