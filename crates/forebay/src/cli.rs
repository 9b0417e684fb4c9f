//! The command line: what can be typed, and what each word means.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub mod admin;
pub mod load;

/// The settings file when none is named.
pub const FILE_DEFAULT: &str = "forebay.yaml";

/// Exit status when everything is well.
pub const EXIT_OK: u8 = 0;
/// Exit status when problems were found, or the work could not be done.
pub const EXIT_PROBLEMS: u8 = 1;
/// Exit status when the command line itself is wrong; the argument parser uses the same.
pub const EXIT_USAGE: u8 = 2;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "forebay",
    version,
    about = "A gateway in front of your services: fast, bounded, easy to understand",
    after_help = "Exit status: 0 all is well; 1 problems were found; 2 the command line is wrong. Those of `load` are its own.",
    max_term_width = 100
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve requests
    Run(Run),
    /// Load the settings of a running gateway anew, and tell what has changed
    Reload(admin::Reload),
    /// See and change the endpoints of a running gateway
    Endpoint(Box<admin::Endpoint>),
    /// Let the program's file, as it is now, take over from a running gateway
    Upgrade(admin::Upgrade),
    /// Tell every problem of a settings file
    Check(Check),
    /// Tell which route a request would take, and why
    Explain(Explain),
    /// Print the JSON Schema of the settings, for editors
    Schema,
    /// Print a page of the reference
    #[command(hide = true)]
    Reference(Reference),
    /// See it work: sample services, the gateway, and traffic, with no set-up
    Demo(Demo),
    /// Test a service under load: quickly, by a plan, for its capacity, before and after a change
    Load(Box<load::Load>),
}

/// Serve requests.
#[derive(Debug, Args)]
pub struct Run {
    /// The settings file [default: forebay.yaml]
    #[arg(short, long, value_name = "FILE", conflicts_with = "to")]
    pub config: Option<PathBuf>,
    /// Forward everything to this address; may be given several times. No file is read
    #[arg(long, value_name = "ADDR")]
    pub to: Vec<String>,
    /// Listen here, whatever the file says; may be given several times
    #[arg(long, value_name = "ADDR")]
    pub listen: Vec<String>,
    /// Serve metrics, health and status here, or `off`, whatever the file says
    #[arg(long, value_name = "ADDR|off")]
    pub admin: Option<String>,
}

/// Tell every problem of a settings file.
#[derive(Debug, Args)]
pub struct Check {
    /// The settings file
    #[arg(short, long, value_name = "FILE", default_value = FILE_DEFAULT)]
    pub config: PathBuf,
    /// Print JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// Tell which route a request would take, and why.
#[derive(Debug, Args)]
pub struct Explain {
    /// The method of the request, such as GET
    pub method: String,
    /// Its URL, such as `http://shop.test/cart?id=1`, or its path
    pub url: String,
    /// A header of the request; may be given several times
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub headers: Vec<String>,
    /// The settings file
    #[arg(short, long, value_name = "FILE", default_value = FILE_DEFAULT)]
    pub config: PathBuf,
    /// Print JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// Print a page of the reference.
#[derive(Debug, Args)]
pub struct Reference {
    /// Which one
    pub page: Page,
}

/// A generated page of the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Page {
    /// Every key of the settings.
    Settings,
    /// Every metric.
    Metrics,
    /// Every answer Forebay makes itself.
    Refusals,
    /// Every command.
    Cli,
    /// Every key of load plans.
    LoadPlan,
}

/// See it work.
#[derive(Debug, Args)]
pub struct Demo {
    /// How long traffic is made, in seconds; 0: no traffic but yours
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(..=3600))]
    pub seconds: u32,
    /// End when the traffic does, instead of serving on
    #[arg(long)]
    pub once: bool,
    /// Where the gateway listens [default: 127.0.0.1:8080, or a free port if that is taken]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Where metrics, health and status are served, or `off` [default: 127.0.0.1:9900, or a free port]
    #[arg(long, value_name = "ADDR|off")]
    pub admin: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Command, i32> {
        let line = std::iter::once("forebay").chain(line.split_whitespace());
        Cli::try_parse_from(line).map(|cli| cli.command).map_err(|error| error.exit_code())
    }

    #[test]
    fn the_definitions_hold_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_wrong_command_line_exits_with_2() {
        for line in ["", "serve", "check --no", "explain GET", "run -c f --to a:1", "demo --seconds 3601"] {
            assert_eq!(parse(line).err(), Some(i32::from(EXIT_USAGE)), "{line}");
        }
        assert_eq!(parse("--help").err(), Some(0));
    }

    #[test]
    fn a_running_gateway_is_reached_by_words_that_hold_together() {
        for line in [
            "reload",
            "reload --admin :9900 --json",
            "endpoint list",
            "endpoint list shop --out -c f",
            "endpoint drain shop 10.0.0.1:80 --wait --timeout 5s",
            "endpoint add shop [::1]:80 --weight 3 --priority 1 --token-file t",
            "endpoint remove shop 10.0.0.1:80",
            "upgrade --admin localhost:9900",
        ] {
            assert!(parse(line).is_ok(), "{line}");
        }
        for line in [
            "reload --token secret",
            "reload --admin 9900x",
            "endpoint",
            "endpoint drain shop",
            "endpoint drain shop 10.0.0.1:80 --timeout 5s",
            "endpoint add shop 10.0.0.1:80 --weight 0",
            "endpoint add shop 10.0.0.1:80 --priority 10",
        ] {
            assert_eq!(parse(line).err(), Some(i32::from(EXIT_USAGE)), "{line}");
        }
    }

    #[test]
    fn files_and_addresses_have_defaults() {
        assert!(matches!(parse("check"), Ok(Command::Check(check)) if check.config == *FILE_DEFAULT));
        assert!(matches!(parse("run"), Ok(Command::Run(run)) if run.config.is_none() && run.to.is_empty()));
        assert!(matches!(parse("demo --once"), Ok(Command::Demo(demo)) if demo.once && demo.seconds == 30));
    }

    #[test]
    fn run_takes_several_addresses() {
        let Ok(Command::Run(run)) = parse("run --to a:1 --to b:2 --listen :8080 --admin off") else {
            panic!("it is a valid line")
        };
        assert_eq!((run.to.len(), run.listen.len(), run.admin.as_deref()), (2, 1, Some("off")));
    }
}
