//! The standard suite: the product's own targets, run against the demo from low load to high, with a report.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::bench::machine;
use crate::{build, shell, tree};

/// Where the scenarios are.
const SCENARIOS: &str = "benches/scenarios";
/// How long the demo may take to answer its first request.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// Results of a scenario that are kept to compare with.
const KEPT: usize = 20;

/// What to run.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only scenarios whose name contains this; may be given several times
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Also write the summary to benches/scenarios/RESULTS.md, and the report of `targets` beside it
    #[arg(long)]
    publish: bool,
    /// Use this binary instead of building one
    #[arg(long, value_name = "FILE")]
    forebay: Option<PathBuf>,
}

/// One scenario's end.
struct Done {
    name: String,
    about: String,
    verdict: String,
    result: Value,
}

/// The demo, serving; ends when dropped.
struct Demo {
    child: Child,
    gateway: SocketAddr,
    admin: SocketAddr,
}

/// Runs the suite. The exit code tells whether every scenario passed.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let forebay = match &args.forebay {
        Some(forebay) => forebay.canonicalize().with_context(|| format!("no {}", forebay.display()))?,
        None => build::gateway("release")?,
    };
    let scenarios = scenarios(&args.only)?;
    if scenarios.is_empty() {
        bail!("no scenario of {SCENARIOS} has such a name");
    }
    let folder = build::target_folder().join("suite");
    let mut done = Vec::new();
    for file in &scenarios {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        eprintln!("\nxtask: {} of {}: {name}\n", done.len() + 1, scenarios.len());
        done.push(scenario(&forebay, file, &name, &folder.join(&name))?);
    }
    let summary = summary(&done);
    println!("\n{summary}");
    println!("Reports: {}/*/report.html", folder.display());
    if args.publish {
        publish(&summary, &folder)?;
    }
    let passed = done.iter().all(|done| done.verdict == "pass");
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn scenarios(only: &[String]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(tree::root().join(SCENARIOS))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let wanted = only.is_empty() || only.iter().any(|part| name.contains(part.as_str()));
        if name.ends_with(".yaml") && wanted {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Runs one scenario, against a demo of its own or one that its plan starts.
fn scenario(forebay: &Path, file: &Path, name: &str, out: &Path) -> Result<Done> {
    let text = fs::read_to_string(file)?;
    let about = text.lines().next().and_then(|line| line.strip_prefix("# ")).unwrap_or(name).to_owned();
    let history = out.join("history");
    fs::create_dir_all(&history)?;
    let mut load = Command::new(forebay);
    load.arg("load").arg(file).arg("--out").arg(out).env("FOREBAY", forebay);
    let demo = if text.contains("SUITE_PORT") {
        load.env("SUITE_PORT", free_port()?.port().to_string());
        None
    } else {
        let demo = Demo::start(forebay)?;
        load.arg("--target").arg(format!("http://{}", demo.gateway));
        load.arg("--watch").arg(format!("demo=port:{}", demo.gateway.port()));
        Some(demo)
    };
    if fs::read_dir(&history)?.next().is_some() {
        load.arg("--baseline").arg(&history);
    }
    eprintln!("{}", shell::spell(&load));
    let status = load.status().context("cannot start forebay")?;
    drop(demo);
    let verdict = match status.code() {
        Some(0) => "pass",
        Some(3) => "fail",
        Some(4) => "invalid",
        Some(5) => "inconclusive",
        _ => bail!("forebay load ended with {status}"),
    };
    let saved = fs::read_to_string(out.join("result.json")).context("there is no result")?;
    keep(&history, &saved)?;
    let result = serde_json::from_str(&saved).context("the result is not JSON")?;
    Ok(Done { name: name.to_owned(), about, verdict: verdict.to_owned(), result })
}

/// Adds a result to those that later runs are compared with; the oldest go.
fn keep(history: &Path, result: &str) -> Result<()> {
    let parsed: Value = serde_json::from_str(result)?;
    let started = parsed.get("started_unix_ms").and_then(Value::as_u64).unwrap_or(0);
    fs::write(history.join(format!("{started:015}.json")), result)?;
    let mut kept: Vec<PathBuf> =
        fs::read_dir(history)?.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    kept.sort();
    for old in kept.iter().rev().skip(KEPT) {
        fs::remove_file(old)?;
    }
    Ok(())
}

impl Demo {
    fn start(forebay: &Path) -> Result<Self> {
        let (gateway, admin) = (free_port()?, free_port()?);
        let child = Command::new(forebay)
            .args(["demo", "--seconds", "0", "--listen"])
            .args([gateway.to_string(), "--admin".to_owned(), admin.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("cannot start the demo")?;
        let demo = Self { child, gateway, admin };
        let end = Instant::now() + READY_WITHIN;
        while !is_ready(demo.admin) {
            if Instant::now() > end {
                bail!("the demo is not ready after {READY_WITHIN:?}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(demo)
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            // If it has ended already, there is nothing to ask for.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.child.wait();
    }
}

fn is_ready(admin: SocketAddr) -> bool {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&admin, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// What came of it, as a table.
fn summary(done: &[Done]) -> String {
    let mut text = String::from(
        "| scenario | what it is | verdict | planned | ok | p50 | p95 | p99 | max |\n|---|---|---|---:|---:|---:|---:|---:|---:|\n",
    );
    for Done { name, about, verdict, result } in done {
        let figure = |key: &str| result.pointer(&format!("/summary/{key}"));
        let count = |key: &str| figure(key).and_then(Value::as_u64).map_or("-".to_owned(), |n| n.to_string());
        let time = |key: &str| {
            let millis = figure(&format!("response_ms/{key}")).and_then(Value::as_f64);
            millis.map_or("-".to_owned(), |millis| format!("{millis:.1} ms"))
        };
        let (planned, ok) = (count("planned"), count("ok"));
        let [p50, p95, p99, max] = ["p50", "p95", "p99", "max"].map(time);
        text.push_str(&format!(
            "| {name} | {about} | **{verdict}** | {planned} | {ok} | {p50} | {p95} | {p99} | {max} |\n"
        ));
    }
    text
}

fn publish(summary: &str, folder: &Path) -> Result<()> {
    let to = tree::root().join(SCENARIOS);
    let facts: String = machine::describe().iter().map(|fact| format!("- {fact}\n")).collect();
    let text = format!(
        "# The standard suite against the demo\n\nWritten by `cargo xtask suite --publish`. Gateway, services and load \
         generator share one machine. How to read it: [docs/load-testing.md](../../docs/load-testing.md). The whole report of \
         `targets`: [targets.html](targets.html).\n\n{facts}\n{summary}"
    );
    fs::write(to.join("RESULTS.md"), text)?;
    let report = folder.join("2-targets").join("report.html");
    if report.exists() {
        fs::copy(&report, to.join("targets.html"))?;
    }
    eprintln!("xtask: wrote {}", to.join("RESULTS.md").display());
    Ok(())
}
