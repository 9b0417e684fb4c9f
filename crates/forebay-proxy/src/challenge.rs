//! Prove to a certificate authority that a domain is ours: the files it asks for by HTTP (RFC 8555 §8.3).
//!
//! Answers are kept in memory by whoever asked for the certificate. Replicas that share a directory find each
//! other's there: the authority may ask any of them.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};

/// Begins the path of every such question.
pub const PREFIX: &str = "/.well-known/acme-challenge/";
/// Longest token, in bytes. RFC 8555 wants at least 22.
pub const TOKEN_BYTES_MAX: usize = 128;
/// Longest answer, in bytes: a token, a point, and 43 characters.
const ANSWER_BYTES_MAX: usize = TOKEN_BYTES_MAX + 64;
/// Answers in memory: a certificate has at most a hundred names, and an order asks for one answer each.
const ANSWERS_MAX: usize = 1_000;
/// Files that are read at the same time, for all clients. Who comes beyond is told that there is nothing, and an
/// authority asks more than once.
const READS_MAX: usize = 8;

/// The answers there are. Shared by all workers and whoever fetches certificates.
#[derive(Debug, Default)]
pub struct Challenges {
    /// Whether there can be an answer at all.
    active: AtomicBool,
    answers: RwLock<Answers>,
    reads: AtomicUsize,
}

#[derive(Debug, Default)]
struct Answers {
    by_token: HashMap<Box<str>, Arc<str>>,
    directory: Option<Arc<Path>>,
}

impl Challenges {
    /// Knows no answer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether it is worth asking. One relaxed load: false for ever where no certificate is fetched.
    #[inline]
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed)
    }

    /// From now on, answers that are not in memory are looked for in files of this directory, named as their
    /// tokens; `None`: nowhere.
    pub fn set_directory(&self, directory: Option<PathBuf>) {
        self.change(|answers| answers.directory = directory.map(Arc::from));
    }

    /// Answers questions for `token` from now on. Does nothing if it is no token or there are too many.
    pub fn put(&self, token: &str, answer: &str) {
        if is_token(token) {
            self.change(|answers| {
                if answers.by_token.len() < ANSWERS_MAX {
                    answers.by_token.insert(token.into(), answer.into());
                }
            });
        }
    }

    /// Ends that.
    pub fn remove(&self, token: &str) {
        self.change(|answers| drop(answers.by_token.remove(token)));
    }

    /// The answer to a `GET` of this path, to be sent as `application/octet-stream`. `None`: not ours, and the
    /// request goes on as any other, for a service may fetch certificates itself.
    ///
    /// Cheap unless the path begins with [`PREFIX`]. A file is read by a thread of its own.
    pub async fn fetch(&self, path: &str) -> Option<Arc<str>> {
        if !self.is_active() {
            return None;
        }
        let token = path.strip_prefix(PREFIX).filter(|token| is_token(token))?;
        let directory = {
            let answers = self.answers.read().expect("no panic under this lock");
            if let Some(answer) = answers.by_token.get(token) {
                return Some(Arc::clone(answer));
            }
            Arc::clone(answers.directory.as_ref()?)
        };
        let _place = Place::take(&self.reads)?;
        let token: Box<str> = token.into();
        // A shared directory may be slow.
        tokio::task::spawn_blocking(move || read(&directory, &token)).await.ok().flatten()
    }

    fn change(&self, change: impl FnOnce(&mut Answers)) {
        let mut answers = self.answers.write().expect("no panic under this lock");
        change(&mut answers);
        let active = !answers.by_token.is_empty() || answers.directory.is_some();
        self.active.store(active, Ordering::Relaxed);
    }
}

/// One of the files that may be read at the same time.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(reads: &'a AtomicUsize) -> Option<Self> {
        let place = Self(reads);
        // Taken back on drop if there were too many.
        (reads.fetch_add(1, Ordering::Relaxed) < READS_MAX).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether it is a token, which is also to say: a plain file name (RFC 8555 §8.1).
#[must_use]
pub fn is_token(token: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=TOKEN_BYTES_MAX).contains(&token.len()) && token.bytes().all(legal)
}

/// The file's content, if it looks like an answer for this token: nothing else is given to strangers.
fn read(directory: &Path, token: &str) -> Option<Arc<str>> {
    let file = std::fs::File::open(directory.join(token)).ok()?;
    let mut text = String::new();
    file.take(ANSWER_BYTES_MAX as u64 + 1).read_to_string(&mut text).ok()?;
    let thumbprint = text.strip_prefix(token)?.strip_prefix('.')?;
    (text.len() <= ANSWER_BYTES_MAX && is_token(thumbprint)).then(|| text.as_str().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetch(challenges: &Challenges, path: &str) -> Option<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime can be made");
        runtime.block_on(challenges.fetch(path)).map(|answer| answer.to_string())
    }

    fn path(token: &str) -> String {
        format!("{PREFIX}{token}")
    }

    /// A directory with files in it; removed on drop.
    struct Directory(PathBuf);

    impl Directory {
        fn with(name: &str, files: &[(&str, &str)]) -> Self {
            let path = std::env::temp_dir().join(format!("forebay-challenge-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).expect("the directory for temporary files can be written");
            for (name, content) in files {
                std::fs::write(path.join(name), content).expect("it was just made");
            }
            Self(path)
        }
    }

    impl Drop for Directory {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn there_is_nothing_to_ask_for_until_there_is_an_answer() {
        let challenges = Challenges::new();
        assert!(!challenges.is_active());
        challenges.put("abc", "abc.xyz");
        assert!(challenges.is_active());
        assert_eq!(fetch(&challenges, &path("abc")).as_deref(), Some("abc.xyz"));
        assert_eq!(fetch(&challenges, &path("abcd")), None);
        assert_eq!(fetch(&challenges, "/abc"), None);
        challenges.remove("abc");
        assert!(!challenges.is_active());
        assert_eq!(fetch(&challenges, &path("abc")), None);
    }

    #[test]
    fn what_another_replica_answers_stands_in_a_file() {
        let directory = Directory::with("shared", &[("abc", "abc.xyz"), ("secret", "key material")]);
        let challenges = Challenges::new();
        challenges.set_directory(Some(directory.0.clone()));
        assert!(challenges.is_active());
        assert_eq!(fetch(&challenges, &path("abc")).as_deref(), Some("abc.xyz"));
        assert_eq!(fetch(&challenges, &path("other")), None);
        assert_eq!(fetch(&challenges, &path("secret")), None, "no answer to a challenge");
        challenges.set_directory(None);
        assert_eq!(fetch(&challenges, &path("abc")), None);
    }

    #[test]
    fn no_other_file_can_be_asked_for() {
        let directory =
            Directory::with("strict", &[("a.b", "a.b.c"), ("long", &format!("long.{}", "x".repeat(500)))]);
        let challenges = Challenges::new();
        challenges.set_directory(Some(directory.0.clone()));
        let long = "a".repeat(TOKEN_BYTES_MAX + 1);
        for token in ["", ".", "..", "a.b", "../etc", "a/b", "a%2fb", "a\0b", "ä", "long", &long] {
            assert_eq!(fetch(&challenges, &path(token)), None, "{token:?}");
        }
    }

    #[test]
    fn only_so_many_files_are_read_at_once() {
        let directory = Directory::with("places", &[("abc", "abc.xyz")]);
        let challenges = Challenges::new();
        challenges.set_directory(Some(directory.0.clone()));
        let places: Vec<_> = (0..READS_MAX).filter_map(|_| Place::take(&challenges.reads)).collect();
        assert_eq!(places.len(), READS_MAX);
        assert_eq!(fetch(&challenges, &path("abc")), None);
        drop(places);
        assert_eq!(fetch(&challenges, &path("abc")).as_deref(), Some("abc.xyz"));
        assert_eq!(challenges.reads.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn answers_in_memory_are_bounded() {
        let challenges = Challenges::new();
        for number in 0..2 * ANSWERS_MAX {
            challenges.put(&number.to_string(), "answer");
        }
        assert_eq!(challenges.answers.read().expect("nobody panicked").by_token.len(), ANSWERS_MAX);
    }
}
