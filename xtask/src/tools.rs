//! The programs that tests and benches need: found, or installed from the distribution.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::shell;

/// A program of the distribution.
pub(crate) struct Tool {
    /// Any of these on the search path will do.
    programs: &'static [&'static str],
    /// The Debian package that has it.
    package: &'static str,
    /// The service that installing the package may start.
    service: Option<&'static str>,
}

/// What `cargo xtask test` needs.
pub(crate) const FOR_TESTS: &[Tool] =
    &[NGINX, HAPROXY, WRK, CURL, PYTHON, CHROMIUM, MAKE, OPENSSL, NGHTTP2_CLIENT, PYTHON_WEBSOCKETS, PEBBLE];
/// What `cargo xtask bench` needs.
pub(crate) const FOR_BENCH: &[Tool] = &[NGINX, HAPROXY, WRK, MAKE, CURL, OPENSSL, NGHTTP2_CLIENT];

/// A load generator to compare with.
pub(crate) const HEY: &[Tool] = &[Tool { programs: &["hey"], package: "hey", service: None }];

const NGINX: Tool = Tool { programs: &["nginx"], package: "nginx", service: Some("nginx") };
const HAPROXY: Tool = Tool { programs: &["haproxy"], package: "haproxy", service: Some("haproxy") };
const WRK: Tool = Tool { programs: &["wrk"], package: "wrk", service: None };
const CURL: Tool = Tool { programs: &["curl"], package: "curl", service: None };
const PYTHON: Tool = Tool { programs: &["python3"], package: "python3", service: None };
const CHROMIUM: Tool =
    Tool { programs: &["chromium", "chromium-browser", "google-chrome"], package: "chromium", service: None };
const OPENSSL: Tool = Tool { programs: &["openssl"], package: "openssl", service: None };
// `nghttp` is in the same package.
const NGHTTP2_CLIENT: Tool = Tool { programs: &["h2load"], package: "nghttp2-client", service: None };
const PEBBLE: Tool = Tool { programs: &["pebble"], package: "pebble", service: None };
// A module of the distribution's own Python: that of the search path may be another one.
const PYTHON_WEBSOCKETS: Tool = Tool {
    programs: &["/usr/lib/python3/dist-packages/websockets/__init__.py"],
    package: "python3-websockets",
    service: None,
};
// The allocator's build script runs it.
const MAKE: Tool = Tool { programs: &["make"], package: "make", service: None };

/// Finds each tool, installs the missing ones, and says on stderr what it did.
pub(crate) fn provide(tools: &[Tool]) -> Result<()> {
    let missing: Vec<&Tool> = tools.iter().filter(|tool| !tool.found()).collect();
    if missing.is_empty() {
        let names: Vec<&str> = tools.iter().map(|tool| tool.package).collect();
        eprintln!("xtask: found {}", names.join(", "));
        return Ok(());
    }
    install(&missing)?;
    for tool in &missing {
        if !tool.found() {
            bail!("{} is still not found after installing it", tool.package);
        }
        stop_service(tool)?;
    }
    Ok(())
}

/// The search path for children: system folders are not on every user's own.
pub(crate) fn search_path() -> std::ffi::OsString {
    env::join_paths(folders()).unwrap_or_else(|_| env::var_os("PATH").unwrap_or_default())
}

impl Tool {
    fn found(&self) -> bool {
        self.programs.iter().any(|program| find(program).is_some())
    }
}

/// Where a program lies, if it is installed.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    folders().into_iter().map(|folder| folder.join(program)).find(|path| path.is_file())
}

fn folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
    for system in ["/usr/local/sbin", "/usr/sbin", "/sbin"] {
        let system = PathBuf::from(system);
        if !folders.contains(&system) {
            folders.push(system);
        }
    }
    folders
}

fn install(missing: &[&Tool]) -> Result<()> {
    let packages: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
    let by_hand = format!("apt-get update && apt-get install -y {}", packages.join(" "));
    if find("apt-get").is_none() {
        bail!(
            "missing: {}. Install them with your package manager (on Debian: {by_hand})",
            packages.join(", ")
        );
    }
    if !is_root() && find("sudo").is_none() {
        bail!("missing: {}, and neither root nor sudo here. As root, run: {by_hand}", packages.join(", "));
    }
    eprintln!("xtask: installing {} with apt-get", packages.join(", "));
    let steps = [
        shell::run(as_root("apt-get").args(["update", "-q"])),
        shell::run(
            as_root("apt-get").args(["install", "-y", "-q", "--no-install-recommends"]).args(&packages),
        ),
    ];
    // A stale mirror may fail the update and still serve the packages: only the install decides.
    if let Err(error) = &steps[1] {
        bail!("cannot install {} ({error:#}). As root, run: {by_hand}", packages.join(", "));
    }
    eprintln!("xtask: installed {}", packages.join(", "));
    Ok(())
}

/// Installing a server starts it on many machines; nobody asked for that here.
fn stop_service(tool: &Tool) -> Result<()> {
    let Some(service) = tool.service else { return Ok(()) };
    let under_systemd = Path::new("/run/systemd/system").exists();
    if under_systemd {
        shell::run(as_root("systemctl").args(["disable", "--now", service]))?;
        eprintln!("xtask: stopped and disabled the service {service} that came with the package");
    } else if runs(service) {
        shell::run(as_root("service").args([service, "stop"]))?;
        eprintln!("xtask: stopped the service {service} that came with the package");
    }
    Ok(())
}

fn runs(program: &str) -> bool {
    let Ok(processes) = std::fs::read_dir("/proc") else { return false };
    processes
        .flatten()
        .filter_map(|process| std::fs::read_to_string(process.path().join("comm")).ok())
        .any(|name| name.trim() == program)
}

fn as_root(program: &str) -> Command {
    let mut command = Command::new(if is_root() { "env" } else { "sudo" });
    if !is_root() {
        command.arg("env");
    }
    command.arg("DEBIAN_FRONTEND=noninteractive").arg(program);
    command
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
