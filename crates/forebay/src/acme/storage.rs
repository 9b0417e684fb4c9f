//! What is kept of accounts, certificates and challenges: files that replicas may share.
//!
//! Every file is written whole or not at all, and only its owner may read it. Nothing here waits for anything but
//! the disk; callers see to it that a slow one holds nobody up.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use forebay_proxy::plan::Acme;
use serde_json::Value;

use super::Seconds;
use super::attempts::Attempts;

/// Largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// What was left in a folder for so long is of nobody alive.
const LEFTOVER_AGE: Duration = Duration::from_secs(86_400);
/// Other certificates that are looked at for one that serves until there is a better one.
const STAND_INS_MAX: usize = 200;
/// Other replicas that are looked at.
const REPLICAS_MAX: usize = 1_000;

const ACCOUNTS: &str = "accounts";
const CERTIFICATES: &str = "certificates";
const ATTEMPTS: &str = "attempts";
const LOCKS: &str = "locks";
const HTTP: &str = "challenges-http";
const TLS: &str = "challenges-tls";
const REPLICAS: &str = "replicas";

/// The files of one set of names at one ACME server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Storage {
    root: PathBuf,
    /// Names the certificate's files.
    name: String,
    /// Names the account's file.
    account: String,
}

/// A certificate as it is kept: its key, followed by its chain, in PEM. In one file, so that they always belong
/// together.
pub(super) type Bundle = String;

impl Storage {
    /// Those for these settings. Touches nothing yet.
    pub(super) fn new(acme: &Acme) -> Self {
        let mut domains: Vec<&str> = acme.domains.iter().map(|domain| &**domain).collect();
        domains.sort_unstable();
        let first: String =
            domains.first().copied().unwrap_or_default().chars().map(plain).take(100).collect();
        let what = domains.join(" ");
        Self {
            root: acme.storage.to_path_buf(),
            name: format!("{first}-{:016x}", fingerprint(&format!("{} {what}", acme.directory))),
            account: format!("{:016x}.json", fingerprint(&acme.directory)),
        }
    }

    /// Makes the folders that are missing, and throws away what others left behind long ago.
    pub(super) fn prepare(&self) -> io::Result<()> {
        for folder in [ACCOUNTS, CERTIFICATES, ATTEMPTS, LOCKS, HTTP, TLS, REPLICAS] {
            let folder = self.root.join(folder);
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&folder)
                .map_err(|error| about(&folder, &error))?;
        }
        for folder in [HTTP, TLS, REPLICAS] {
            sweep(&self.root.join(folder));
        }
        Ok(())
    }

    /// Where answers to challenges by HTTP are, each in a file named as its token.
    pub(super) fn http_challenges(&self) -> PathBuf {
        self.root.join(HTTP)
    }

    /// The folder of leases, and what the names of ours begin with.
    pub(super) fn locks(&self) -> (PathBuf, &str) {
        (self.root.join(LOCKS), &self.name)
    }

    /// The certificate for exactly these names, if there is one.
    pub(super) fn load_certificate(&self) -> io::Result<Option<Bundle>> {
        read(&self.certificate())
    }

    /// Where it is.
    pub(super) fn certificate(&self) -> PathBuf {
        self.root.join(CERTIFICATES).join(format!("{}.pem", self.name))
    }

    /// Keeps a file that is no certificate for people to look at, but does not load it any more.
    pub(super) fn put_certificate_aside(&self) -> io::Result<()> {
        let path = self.certificate();
        fs::rename(&path, path.with_extension("broken")).map_err(|error| about(&path, &error))
    }

    pub(super) fn save_certificate(&self, bundle: &str) -> io::Result<()> {
        write(&self.certificate(), bundle.as_bytes())
    }

    /// Certificates that were fetched for other names or from other servers.
    pub(super) fn load_others(&self) -> Vec<Bundle> {
        let Ok(entries) = fs::read_dir(self.root.join(CERTIFICATES)) else { return Vec::new() };
        let paths = entries.flatten().map(|entry| entry.path());
        let ours = self.certificate();
        paths
            .filter(|path| path.extension().is_some_and(|end| end == "pem") && *path != ours)
            .take(STAND_INS_MAX)
            .filter_map(|path| read(&path).ok().flatten())
            .collect()
    }

    pub(super) fn load_account(&self) -> io::Result<Option<String>> {
        read(&self.root.join(ACCOUNTS).join(&self.account))
    }

    pub(super) fn save_account(&self, credentials: &str) -> io::Result<()> {
        write(&self.root.join(ACCOUNTS).join(&self.account), credentials.as_bytes())
    }

    /// Keeps the account for people to look at, but does not load it any more.
    pub(super) fn retire_account(&self) -> io::Result<()> {
        let path = self.root.join(ACCOUNTS).join(&self.account);
        let retired = path.with_extension("retired");
        fs::rename(&path, retired).map_err(|error| about(&path, &error))
    }

    pub(super) fn load_attempts(&self, now: Seconds) -> Attempts {
        // Without it we ask a little earlier, which is better than never.
        let text = read(&self.attempts()).ok().flatten().unwrap_or_default();
        Attempts::from_json(&serde_json::from_str(&text).unwrap_or(Value::Null), now)
    }

    pub(super) fn save_attempts(&self, attempts: &Attempts) -> io::Result<()> {
        write(&self.attempts(), attempts.to_json().to_string().as_bytes())
    }

    fn attempts(&self) -> PathBuf {
        self.root.join(ATTEMPTS).join(format!("{}.json", self.name))
    }

    /// Lets every replica answer a challenge by HTTP. `token` must be one: see `challenge::is_token`.
    pub(super) fn put_http(&self, token: &str, answer: &str) -> io::Result<()> {
        write(&self.root.join(HTTP).join(token), answer.as_bytes())
    }

    /// Lets every replica answer a challenge by TLS, with this certificate and key.
    pub(super) fn put_tls(&self, domain: &str, bundle: &str) -> io::Result<()> {
        write(&self.root.join(TLS).join(plain_name(domain)), bundle.as_bytes())
    }

    /// Those of all replicas: domain, certificate and key.
    pub(super) fn load_tls(&self, domain: &str) -> Option<Bundle> {
        read(&self.root.join(TLS).join(plain_name(domain))).ok().flatten()
    }

    /// Lets others know that we are there, until `expires`.
    pub(super) fn put_replica(&self, owner: &str, expires: Seconds) -> io::Result<()> {
        write(&self.root.join(REPLICAS).join(plain_name(owner)), expires.to_string().as_bytes())
    }

    /// We are there no more.
    pub(super) fn remove_replica(&self, owner: &str) {
        let _ = fs::remove_file(self.root.join(REPLICAS).join(plain_name(owner)));
    }

    /// Whether others than `owner` are there at `now`.
    pub(super) fn has_other_replicas(&self, owner: &str, now: Seconds) -> io::Result<bool> {
        let ours = plain_name(owner);
        let folder = self.root.join(REPLICAS);
        let entries = fs::read_dir(&folder).map_err(|error| about(&folder, &error))?;
        let others = entries.flatten().filter(|entry| entry.file_name() != *ours);
        let lives = |path: &Path| {
            let expires = read(path).ok().flatten().and_then(|text| text.trim().parse::<Seconds>().ok());
            expires.is_some_and(|expires| now < expires)
        };
        Ok(others.take(REPLICAS_MAX).any(|entry| lives(&entry.path())))
    }

    /// Ends both. What is not there need not be removed, and what cannot be is swept up later.
    pub(super) fn remove_challenge(&self, token: Option<&str>, domain: Option<&str>) {
        if let Some(token) = token {
            let _ = fs::remove_file(self.root.join(HTTP).join(token));
        }
        if let Some(domain) = domain {
            let _ = fs::remove_file(self.root.join(TLS).join(plain_name(domain)));
        }
    }
}

/// The content of a file; `None` if there is no such file.
pub(super) fn read(path: &Path) -> io::Result<Option<String>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(about(path, &error)),
    };
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(|error| about(path, &error))?;
    // What is none of ours is told by its reader.
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// Replaces a file whole, or leaves it as it was. Only its owner may read it.
pub(super) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    static SERIAL: AtomicU64 = AtomicU64::new(0);
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let folder = path.parent().unwrap_or(Path::new("."));
    // No other process on any machine uses this name; a token never begins so.
    let half = folder.join(format!(".half-{}-{serial}-{:x}", std::process::id(), random()));
    let written = create(&half)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&half, path))
        // The name is to survive a power cut as well. Not every file system can do that.
        .map(|()| drop(File::open(folder).and_then(|folder| folder.sync_all())));
    written.map_err(|error| {
        let _ = fs::remove_file(&half);
        about(path, &error)
    })
}

/// A new file that only its owner may read; an error if it exists.
pub(super) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// A number that others do not have.
pub(super) fn random() -> u64 {
    use std::hash::BuildHasher as _;
    std::hash::RandomState::new().hash_one(SystemTime::now())
}

fn about(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn sweep(folder: &Path) {
    let old = |path: &Path| {
        let changed = fs::metadata(path).and_then(|metadata| metadata.modified()).ok()?;
        SystemTime::now().duration_since(changed).ok().filter(|age| *age > LEFTOVER_AGE)
    };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if old(&entry.path()).is_some() {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// A domain as a file's name.
fn plain_name(domain: &str) -> String {
    domain.chars().map(plain).take(255).collect()
}

fn plain(character: char) -> char {
    match character.to_ascii_lowercase() {
        legal @ ('a'..='z' | '0'..='9' | '-' | '.') => legal,
        _ => '_',
    }
}

/// Tells texts apart, the same on all machines and in all versions (FNV-1a). Not for secrets.
fn fingerprint(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
