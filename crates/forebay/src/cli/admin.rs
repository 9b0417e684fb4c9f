//! The words by which commands reach a running gateway.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use forebay_base::units;

/// What every help of these commands ends with.
const STATUS: &str = "Exit status: 0 it is done; 1 it was refused, or could not be done; 2 the command line is wrong.\n\n\
     The token, where one is asked for, is that of --token-file, else that of the environment variable \
     FOREBAY_ADMIN_TOKEN, else that of the settings file.";

/// Where the running gateway is, and what it asks for.
#[derive(Debug, Args)]
pub struct Admin {
    /// The gateway's admin address [default: that of the settings file, or 127.0.0.1:9900]
    #[arg(long = "admin", value_name = "ADDR", value_parser = address)]
    pub at: Option<String>,
    /// The settings file [default: forebay.yaml, if it is there]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A file with the admin token in it
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

/// Load the settings of a running gateway anew.
#[derive(Debug, Args)]
#[command(after_help = STATUS)]
pub struct Reload {
    /// Where.
    #[command(flatten)]
    pub admin: Admin,
    /// Print JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// Let this program's file take over from a running gateway.
#[derive(Debug, Args)]
#[command(after_help = STATUS)]
pub struct Upgrade {
    /// Where.
    #[command(flatten)]
    pub admin: Admin,
    /// Print JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// See and change the endpoints of a running gateway.
#[derive(Debug, Args)]
#[command(after_help = STATUS)]
pub struct Endpoint {
    /// What to do.
    #[command(subcommand)]
    pub command: EndpointCommand,
}

/// What to do with endpoints.
#[derive(Debug, Subcommand)]
pub enum EndpointCommand {
    /// Show each endpoint: its state, why it is out, since when, and when it will be tried again
    #[command(after_help = STATUS)]
    List(List),
    /// Send it no new requests; those in flight finish, and health checks go on
    #[command(after_help = STATUS)]
    Drain(Drain),
    /// Send it no new requests and no health checks
    #[command(after_help = STATUS)]
    Disable(One),
    /// Back to normal: ends draining, disabling and ejection
    #[command(after_help = STATUS)]
    Enable(One),
    /// Add one; it stays through reloads, until it is removed or the gateway ends
    #[command(after_help = STATUS)]
    Add(Add),
    /// Remove one that was added; requests in flight finish
    #[command(after_help = STATUS)]
    Remove(One),
}

/// Show each endpoint.
#[derive(Debug, Args)]
pub struct List {
    /// Only those of this service
    pub service: Option<String>,
    /// Only those that are out
    #[arg(long)]
    pub out: bool,
    /// Where.
    #[command(flatten)]
    pub admin: Admin,
    /// Print JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// Change one.
#[derive(Debug, Args)]
pub struct One {
    /// Its service
    pub service: String,
    /// Its IP address and port, such as 10.0.0.1:80, as `list` shows it
    pub address: String,
    /// Where.
    #[command(flatten)]
    pub admin: Admin,
}

/// Drain one.
#[derive(Debug, Args)]
pub struct Drain {
    /// Which one.
    #[command(flatten)]
    pub one: One,
    /// Wait until none of its requests is in flight
    #[arg(long)]
    pub wait: bool,
    /// Longest such wait; then the status is 1, and it stays drained
    #[arg(long, value_name = "TIME", requires = "wait", value_parser = time, default_value = "60s")]
    pub timeout: Duration,
}

/// Add one.
#[derive(Debug, Args)]
pub struct Add {
    /// Which one.
    #[command(flatten)]
    pub one: One,
    /// Its share of requests relative to the others
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub weight: u32,
    /// It is used only while too few with a lesser number are well
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=9))]
    pub priority: u8,
}

/// `host:port`, or `:port` on this machine.
fn address(text: &str) -> Result<String, String> {
    let text = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
    let whole = if text.starts_with(':') { format!("127.0.0.1{text}") } else { text.to_owned() };
    match whole.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0) => Ok(whole),
        _ => Err("write `host:port`, such as 127.0.0.1:9900".to_owned()),
    }
}

fn time(text: &str) -> Result<Duration, String> {
    units::parse_duration(text).map_err(|error| error.to_string())
}
