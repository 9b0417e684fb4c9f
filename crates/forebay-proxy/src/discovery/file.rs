//! Watches a file that lists endpoints.

use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use forebay_base::time::Instant;

use super::ReadEndpoints;
use super::watch::{Lead, LeadsTo, Watch};

/// The file is looked at this often.
pub const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Largest file, in bytes.
pub const FILE_MAX: u64 = 1 << 20;

/// What a look at the file showed.
type Content = Result<Vec<u8>, Box<str>>;

/// Follows the content of a file. By reading it, which works on every file system, through links and mounts.
pub(super) async fn follow(watch: Arc<Watch>, path: Box<Path>, read: ReadEndpoints) {
    let hasher = RandomState::new();
    let mut taken = None;
    let mut before = None;
    loop {
        let (content, hash) = look(&path, &hasher).await;
        // Editors write in pieces, and half a file may look like a whole one: what is new has to stay for a look.
        // At first there is nothing to lose.
        let settled = taken.is_none() || before == Some(hash);
        if settled && taken != Some(hash) {
            taken = Some(hash);
            let leads = content.and_then(|bytes| read(&bytes, &path).map_err(Into::into));
            let leads = leads.map(|found| found.into_iter().map(lead).collect());
            // It is looked at all the time.
            watch.tell(leads, Some(&path), Instant::NEVER);
        }
        before = Some(hash);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn lead(found: crate::supervisor::Found) -> Lead {
    let crate::supervisor::Found { address, weight, priority } = found;
    Lead { to: LeadsTo::Address(address), weight: weight.max(1), priority }
}

/// Reads the file in a thread where it may block: it may be on another machine's disk.
async fn look(path: &Path, hasher: &RandomState) -> (Content, u64) {
    let (path, hasher) = (Box::<Path>::from(path), hasher.clone());
    let looked = tokio::task::spawn_blocking(move || {
        let content = load(&path).map_err(|error| format!("{}: {error}", path.display()).into());
        let hash = hasher.hash_one(&content);
        (content, hash)
    });
    looked.await.unwrap_or_else(|_| (Err("the file could not be looked at".into()), 0))
}

fn load(path: &Path) -> io::Result<Vec<u8>> {
    // To open anything else might wait for ever.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut content = Vec::new();
    std::fs::File::open(path)?.take(FILE_MAX + 1).read_to_end(&mut content)?;
    if content.len() as u64 > FILE_MAX {
        return Err(io::Error::other(format!("it has more than {FILE_MAX} bytes, the most it may")));
    }
    Ok(content)
}
