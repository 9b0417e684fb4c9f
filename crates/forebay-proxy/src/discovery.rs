//! Follows the names and files that lead to endpoints, and tells the supervisor what they say now.
//!
//! One task per name, however many services have it: it asks, tells every service, and sleeps until the answer's
//! time to live is over. One task per file, which looks at its content twice a second. A source that fails says
//! so and is asked again ever more rarely; the supervisor keeps its last good answer until there is another, for
//! as long as that takes: a name server that is down, or has lost a zone, must not take a site down with it.

mod denied;
mod file;
mod names;
mod watch;

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use forebay_base::time::Instant;
use forebay_net::address::Address;
use forebay_net::dns::{self, Resolver};
use forebay_telemetry::log::Log;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::plan::{Dns, Endpoint, Family, Plan, Service};
use crate::supervisor::{Answer, Found, Source, Supervisor};
pub use denied::is_denied;
pub use file::{FILE_MAX, LOOK_EVERY};
use watch::{Subscriber, Watch};

/// New sources are waited for so long; those that take longer are told when they have answered.
pub const RESOLVE_WAIT: Duration = Duration::from_secs(2);

/// Reads the content of an endpoints file, named for messages. An error says where the mistake is: path, line
/// and column.
pub type ReadEndpoints = Arc<dyn Fn(&[u8], &Path) -> Result<Vec<Found>, String> + Send + Sync>;

/// Who is told.
pub trait Sink: Send + Sync {
    /// A name or file of `service` was asked. Must not wait.
    fn discovered(&self, service: &str, source: &Source, answer: Answer, now: Instant);
}

impl Sink for Supervisor {
    fn discovered(&self, service: &str, source: &Source, answer: Answer, now: Instant) {
        Self::discovered(self, service, source, answer, now);
    }
}

/// Everything that is followed. Ends with it.
pub struct Discovery {
    teller: Arc<Teller>,
    read: ReadEndpoints,
    table: Mutex<Table>,
}

/// Where news go.
struct Teller {
    sink: Arc<dyn Sink>,
    log: Log,
}

#[derive(Default)]
struct Table {
    /// How names are looked up now, and what looks them up so.
    resolver: Option<(Dns, Resolver)>,
    followed: HashMap<Question, Followed>,
}

/// What is asked, whoever wants to know.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Question {
    /// Which addresses a host has. In lower case.
    Addresses(Box<str>),
    /// Which hosts offer a service (SRV). In lower case.
    Services(Box<str>),
    /// What a file says.
    File(Box<Path>),
}

/// A question with the task that asks it; which ends with this.
struct Followed {
    watch: Arc<Watch>,
    task: AbortHandle,
}

impl Discovery {
    /// Follows nothing yet. `read` reads endpoints files.
    #[must_use]
    pub fn new(sink: Arc<dyn Sink>, read: ReadEndpoints, log: Log) -> Self {
        Self { teller: Arc::new(Teller { sink, log }), read, table: Mutex::default() }
    }

    /// Follows the names and files of `plan`, and no others any more; those that were followed already are not
    /// asked anew. Waits until every new one has answered once, well or badly, but at most [`RESOLVE_WAIT`].
    ///
    /// To be called once the supervisor knows the plan, within a tokio runtime with I/O and time.
    pub async fn follow(&self, plan: &Plan) {
        let waiting = self.turn_to(plan);
        let all = async {
            for watch in waiting {
                watch.answered().await;
            }
        };
        // Too late is no failure: the answer is told when it comes.
        let _ = timeout(RESOLVE_WAIT, all).await;
    }

    /// Starts and ends tasks; gives those that have not answered yet.
    fn turn_to(&self, plan: &Plan) -> Vec<Arc<Watch>> {
        let mut wanted = wanted(plan);
        let mut table = self.table();
        let before = table.resolver.take().filter(|(dns, _)| *dns == plan.dns);
        let same_dns = before.is_some();
        let (dns, resolver) = before.unwrap_or_else(|| (plan.dns.clone(), Resolver::new(options(&plan.dns))));
        table.followed.retain(|question, _| {
            wanted.contains_key(question) && (same_dns || matches!(question, Question::File(_)))
        });
        for (question, subscribers) in wanted.drain() {
            match table.followed.get(&question) {
                Some(followed) => followed.watch.subscribe(subscribers),
                None => {
                    let watch = Watch::new(Arc::clone(&self.teller), subscribers);
                    let task = self.start(&question, &watch, &resolver, &plan.dns);
                    table.followed.insert(question, Followed { watch, task });
                }
            }
        }
        table.resolver = Some((dns, resolver));
        let watches = table.followed.values().map(|followed| &followed.watch);
        watches.filter(|watch| !watch.has_answered()).cloned().collect()
    }

    fn start(&self, question: &Question, watch: &Arc<Watch>, resolver: &Resolver, dns: &Dns) -> AbortHandle {
        let watch = Arc::clone(watch);
        let task = match question {
            Question::Addresses(host) => {
                let pace = names::Pace::new(dns);
                tokio::spawn(names::follow_addresses(watch, resolver.clone(), host.clone(), pace))
            }
            Question::Services(name) => {
                let pace = names::Pace::new(dns);
                tokio::spawn(names::follow_services(watch, resolver.clone(), name.clone(), pace))
            }
            Question::File(path) => tokio::spawn(file::follow(watch, path.clone(), Arc::clone(&self.read))),
        };
        task.abort_handle()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().expect("no panic under this lock")
    }
}

impl std::fmt::Debug for Discovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Discovery").field("followed", &self.table().followed.len()).finish_non_exhaustive()
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Every question of the plan with those who want to know.
fn wanted(plan: &Plan) -> HashMap<Question, Vec<Subscriber>> {
    let mut wanted: HashMap<Question, Vec<Subscriber>> = HashMap::new();
    let mut want = |question, subscriber| wanted.entry(question).or_default().push(subscriber);
    for service in &plan.services {
        for endpoint in &service.endpoints {
            if let Some((question, port)) = question(&endpoint.address) {
                want(question, subscriber(service, endpoint, port));
            }
        }
        if let Some(path) = &service.endpoints_file {
            let question = Question::File(path.clone());
            // What the file says holds as it stands: times one, and nothing added.
            let all = Subscriber { source: Source::File, ..subscriber(service, &Endpoint::new(""), 0) };
            want(question, all);
        }
    }
    wanted
}

/// What leads to this endpoint, and its port; `None`: its address stands in the settings.
fn question(address: &str) -> Option<(Question, u16)> {
    if Address::parse(address).is_some() {
        return None;
    }
    let lower = |name: &str| name.to_ascii_lowercase().into_boxed_str();
    match address.rsplit_once(':') {
        Some((host, port)) => Some((Question::Addresses(lower(host)), port.parse().ok()?)),
        None => Some((Question::Services(lower(address)), 0)),
    }
}

fn subscriber(service: &Service, endpoint: &Endpoint, port: u16) -> Subscriber {
    Subscriber {
        service: service.name.clone(),
        source: Source::Name(endpoint.address.clone()),
        port,
        weight: endpoint.weight,
        priority: endpoint.priority,
        allow: service.endpoints_allow.clone(),
    }
}

fn options(dns: &Dns) -> dns::Options {
    let Dns { servers, ttl_min: _, ttl_max: _, timeout, family } = dns;
    dns::Options {
        servers: servers.clone(),
        timeout: *timeout,
        family: match family {
            Family::Auto => dns::Family::Auto,
            Family::V4 => dns::Family::V4,
            Family::V6 => dns::Family::V6,
            Family::Both => dns::Family::Both,
        },
        ..dns::Options::default()
    }
}

/// A seed that differs from task to task and from process to process.
fn seed() -> u64 {
    RandomState::new().hash_one(())
}

#[cfg(test)]
mod tests;
