//! One replica at a time: a lease in a shared directory, held by whoever made the file with the highest number.
//!
//! Making a file that must not exist yet is the one step that two cannot both do, on any file system. A lease that
//! has run out is never taken over or removed first: the next number is made beside it, and of several who try, one
//! succeeds. Should two hold one all the same, because a clock is wrong or a process slept for minutes, the one with
//! the lower number notices when it renews, and the worst that comes of it is a second certificate.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::Seconds;
use super::storage;

/// A lease ends so long after it was last renewed.
pub(super) const LIFE: Duration = Duration::from_secs(60);
/// It is renewed this often.
pub(super) const RENEW_EVERY: Duration = Duration::from_secs(15);
/// Leases of a name that are looked at; there are hardly ever two.
const LEASES_MAX: usize = 1_000;

/// A lease that is ours. Given back on drop.
#[derive(Debug)]
pub(super) struct Lease {
    folder: PathBuf,
    name: String,
    number: u64,
    owner: String,
}

/// What came of asking for it.
#[derive(Debug)]
pub(super) enum Take {
    /// It is ours.
    Taken(Lease),
    /// Somebody else has it.
    Held {
        /// Who: machine and process.
        owner: String,
    },
}

/// A file of the folder.
struct Found {
    number: u64,
    /// `None`: it has been made, but nobody has written into it.
    content: Option<(String, Seconds)>,
}

impl Lease {
    /// Takes the lease of this name, if nobody has it at `now`.
    ///
    /// # Errors
    /// The folder cannot be read or written.
    pub(super) fn take(folder: &Path, name: &str, owner: &str, now: Seconds) -> io::Result<Take> {
        let before = find(folder, name)?;
        if let Some(holder) = holder(&before, now) {
            return Ok(Take::Held { owner: holder });
        }
        let number = before.iter().map(|found| found.number).max().unwrap_or_default().saturating_add(1);
        let lease =
            Self { folder: folder.to_owned(), name: name.to_owned(), number, owner: owner.to_owned() };
        match storage::create(&lease.path()) {
            Ok(mut file) => file.write_all(lease.text(now).as_bytes())?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // Not ours to give back.
                std::mem::forget(lease);
                return Ok(Take::Held { owner: "another replica".to_owned() });
            }
            Err(error) => {
                let text = format!("{}: {error}", lease.path().display());
                std::mem::forget(lease);
                return Err(io::Error::new(error.kind(), text));
            }
        }
        // What we knew may have been old by the time we made ours.
        let after = find(folder, name)?;
        let others: Vec<Found> = after.into_iter().filter(|found| found.number != number).collect();
        if others.iter().any(|found| found.number > number) || holder(&others, now).is_some() {
            return Ok(Take::Held { owner: "another replica".to_owned() });
        }
        for gone in others {
            let _ = std::fs::remove_file(path(folder, name, gone.number));
        }
        Ok(Take::Taken(lease))
    }

    /// Keeps it for another [`LIFE`]. False: it is not ours any more, and what it protects must not be done.
    ///
    /// # Errors
    /// The folder cannot be read or written.
    pub(super) fn renew(&self, now: Seconds) -> io::Result<bool> {
        let leases = find(&self.folder, &self.name)?;
        let ours = leases.iter().any(|found| found.number == self.number);
        if !ours || leases.iter().any(|found| found.number > self.number) {
            return Ok(false);
        }
        storage::write(&self.path(), self.text(now).as_bytes())?;
        Ok(true)
    }

    fn path(&self) -> PathBuf {
        path(&self.folder, &self.name, self.number)
    }

    fn text(&self, now: Seconds) -> String {
        json!({ "owner": self.owner, "expires": now + LIFE.as_secs() }).to_string()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // If that fails it runs out by itself.
        let _ = std::fs::remove_file(self.path());
    }
}

/// Who holds one of them at `now`.
fn holder(leases: &[Found], now: Seconds) -> Option<String> {
    leases.iter().find_map(|found| match &found.content {
        // A time too far away comes from a clock that is wrong.
        Some((owner, expires)) => {
            (now < *expires && *expires <= now + 2 * LIFE.as_secs()).then(|| owner.clone())
        }
        None => Some("another replica".to_owned()),
    })
}

fn find(folder: &Path, name: &str) -> io::Result<Vec<Found>> {
    let entries = std::fs::read_dir(folder)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", folder.display())))?;
    let number = |file: &str| file.strip_prefix(name)?.strip_prefix('.')?.parse::<u64>().ok();
    let mut leases = Vec::new();
    for entry in entries.flatten().take(LEASES_MAX) {
        let Some(number) = entry.file_name().to_str().and_then(number) else { continue };
        leases.push(Found { number, content: content(&entry.path()) });
    }
    Ok(leases)
}

/// What stands in it. A file that nobody has written into for the life of a lease has no holder either.
fn content(path: &Path) -> Option<(String, Seconds)> {
    let value = storage::read(path).ok().flatten().and_then(|text| serde_json::from_str::<Value>(&text).ok());
    let known =
        value.and_then(|value| Some((value["owner"].as_str()?.to_owned(), value["expires"].as_u64()?)));
    if known.is_some() {
        return known;
    }
    let made = std::fs::metadata(path).and_then(|metadata| metadata.modified());
    // One that has just been removed has none.
    let Ok(made) = made else { return Some((String::new(), 0)) };
    let old = made.elapsed().is_ok_and(|age| age > LIFE);
    old.then(|| (String::new(), 0))
}

fn path(folder: &Path, name: &str, number: u64) -> PathBuf {
    folder.join(format!("{name}.{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Seconds = 1_800_000_000;
    const LATER: Seconds = NOW + LIFE.as_secs();

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("forebay-lease-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).expect("the directory for temporary files can be written");
            Self(path)
        }

        fn take(&self, owner: &str, now: Seconds) -> Result<Lease, String> {
            match Lease::take(&self.0, "shop", owner, now).expect("the folder can be written") {
                Take::Taken(lease) => Ok(lease),
                Take::Held { owner } => Err(owner),
            }
        }

        fn files(&self) -> usize {
            std::fs::read_dir(&self.0).expect("it is there").count()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn one_has_it_and_the_next_gets_it_when_it_is_given_back() {
        let folder = Folder::new("two");
        let lease = folder.take("a", NOW).expect("nobody has it");
        assert_eq!(folder.take("b", NOW).expect_err("it is held"), "a");
        assert_eq!(folder.take("a", NOW).expect_err("not even the holder has it twice"), "a");
        drop(lease);
        assert_eq!(folder.files(), 0);
        folder.take("b", NOW).expect("it is free");
    }

    #[test]
    fn it_runs_out_unless_it_is_renewed() {
        let folder = Folder::new("life");
        let lease = folder.take("a", NOW).expect("nobody has it");
        assert!(lease.renew(NOW + 30).expect("the folder can be written"));
        folder.take("b", LATER).expect_err("it was renewed");
        let other = folder.take("b", LATER + 30).expect("it has run out");
        assert!(!lease.renew(LATER + 30).expect("the folder can be read"), "it was lost");
        drop(lease);
        assert!(
            other.renew(LATER + 40).expect("the folder can be written"),
            "giving back what was lost does no harm"
        );
        assert_eq!(folder.take("c", LATER + 40).expect_err("it is held"), "b");
    }

    #[test]
    fn of_many_who_try_at_once_one_succeeds() {
        let folder = Folder::new("many");
        // As it is after a crash.
        std::mem::forget(folder.take("gone", NOW).expect("nobody has it"));
        let barrier = std::sync::Barrier::new(16);
        let taken: Vec<_> = std::thread::scope(|scope| {
            let try_it = || {
                barrier.wait();
                folder.take("one of many", LATER).ok()
            };
            let all: Vec<_> = (0..16).map(|_| scope.spawn(try_it)).collect();
            all.into_iter().filter_map(|one| one.join().expect("nobody panics")).collect()
        });
        assert_eq!(taken.len(), 1);
    }

    #[test]
    fn a_file_nobody_has_written_into_is_held_while_it_is_young() {
        let folder = Folder::new("empty");
        std::fs::write(folder.0.join("shop.7"), "").expect("the folder can be written");
        folder.take("a", NOW).expect_err("somebody is about to write into it");
        std::fs::write(folder.0.join("shop.7"), r#"{"owner":"a","expires":99999999999}"#)
            .expect("it can be written");
        folder.take("a", NOW).expect("nobody has a lease for thousands of years");
    }

    #[test]
    fn leases_of_other_names_are_not_ours() {
        let folder = Folder::new("names");
        for other in ["shopping.1", "shop", "shop.", "shop.x", "shop.1.2"] {
            std::fs::write(folder.0.join(other), r#"{"owner":"x","expires":1800000030}"#)
                .expect("it can be written");
        }
        folder.take("a", NOW).expect("nobody has it");
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_named() {
        let error =
            Lease::take(Path::new("/nowhere/at/all"), "shop", "a", NOW).expect_err("there is no such folder");
        assert!(error.to_string().starts_with("/nowhere/at/all: "), "{error}");
    }
}
