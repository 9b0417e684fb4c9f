//! Asks for a name, tells the answer, sleeps for its time to live; and again.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use forebay_base::seed::Random;
use forebay_base::time::Instant;
use forebay_net::dns::{DnsError, Resolver, Services, SrvTarget};

use super::seed;
use super::watch::{Lead, LeadsTo, Watch};
use crate::plan::Dns;

/// After a failure, a name is asked for again after so long, then after twice as long, and so on,
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// up to this.
const RETRY_MAX: Duration = Duration::from_secs(30);

/// Follows the addresses of a host.
pub(super) async fn follow_addresses(watch: Arc<Watch>, resolver: Resolver, host: Box<str>, mut pace: Pace) {
    loop {
        let (leads, wait) = match resolver.addresses(&host).await {
            Ok(answer) => {
                (Ok(answer.addresses.into_iter().map(Lead::of).collect()), pace.after_answer(answer.ttl))
            }
            Err(error) => (Err(error.to_string().into()), pace.after_failure(error.ttl())),
        };
        watch.tell(leads, None, Instant::now() + wait);
        tokio::time::sleep(wait).await;
    }
}

/// Follows the hosts that offer a service, and their addresses.
pub(super) async fn follow_services(watch: Arc<Watch>, resolver: Resolver, name: Box<str>, mut pace: Pace) {
    let mut targets = Targets::default();
    loop {
        let (leads, wait) = match resolver.services(&name).await {
            Ok(services) => targets.take(services, &mut pace),
            Err(error) => (Err(error.to_string().into()), pace.after_failure(error.ttl())),
        };
        watch.tell(leads, None, Instant::now() + wait);
        tokio::time::sleep(wait).await;
    }
}

/// When to ask again.
pub(super) struct Pace {
    ttl_min: Duration,
    ttl_max: Duration,
    /// Failures in a row.
    failures: u32,
    random: Random,
}

impl Pace {
    pub(super) fn new(dns: &Dns) -> Self {
        let Dns { servers: _, ttl_min, ttl_max, timeout: _, family: _ } = dns;
        Self { ttl_min: *ttl_min, ttl_max: *ttl_max, failures: 0, random: Random::from_seed(seed()) }
    }

    fn after_answer(&mut self, ttl: Duration) -> Duration {
        self.failures = 0;
        let wait = ttl.min(self.ttl_max).max(self.ttl_min);
        self.jitter(wait)
    }

    /// Ever longer; and not before an absence is over that a server has spoken of, unless that is too long.
    fn after_failure(&mut self, absent: Option<Duration>) -> Duration {
        let doubled = RETRY_FIRST.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        let wait = doubled.max(absent.unwrap_or(Duration::ZERO)).min(RETRY_MAX);
        self.jitter(wait)
    }

    /// Give or take a tenth, so that names that came together are not asked for together for ever.
    fn jitter(&mut self, wait: Duration) -> Duration {
        let percent = 90 + u32::try_from(self.random.below(21)).unwrap_or(10);
        wait / 100 * percent
    }
}

/// The last good addresses of each target: one of them that fails does not take its endpoints away, nor keep
/// the others' news back.
#[derive(Default)]
struct Targets {
    good: HashMap<Box<str>, Vec<IpAddr>>,
}

impl Targets {
    fn take(&mut self, services: Services, pace: &mut Pace) -> (Result<Vec<Lead>, Box<str>>, Duration) {
        let Services { targets, ttl } = services;
        let mut leads = Vec::new();
        let mut failed: Option<(Box<str>, DnsError)> = None;
        let mut priorities: Vec<_> = targets.iter().map(|target| target.priority).collect();
        priorities.sort_unstable();
        priorities.dedup();
        let hosts: HashSet<_> = targets.iter().map(|target| target.host.clone()).collect();
        self.good.retain(|host, _| hosts.contains(host));
        for SrvTarget { host, port, priority, weight, addresses } in targets {
            let rank = priorities.binary_search(&priority).unwrap_or_default();
            match addresses {
                Ok(addresses) => {
                    self.good.insert(host.clone(), addresses);
                }
                Err(error) => {
                    if error.is_negative() {
                        self.good.remove(&host);
                    }
                    // Of several failures, one that is worth a sooner question.
                    if failed.as_ref().is_none_or(|(_, before)| before.is_negative()) {
                        failed = Some((host.clone(), error));
                    }
                }
            }
            leads.extend(self.good.get(&host).into_iter().flatten().map(|&address| Lead {
                to: LeadsTo::Address(SocketAddr::new(address, port).into()),
                weight: u32::from(weight).max(1),
                priority: u8::try_from(rank).unwrap_or(u8::MAX),
            }));
        }
        match failed {
            Some((host, error)) if leads.is_empty() => {
                let wait = pace.after_failure(error.ttl());
                (Err(format!("its target {host}: {error}").into()), wait)
            }
            Some((_, error)) if !error.is_negative() => (Ok(leads), pace.after_failure(None)),
            _ => (Ok(leads), pace.after_answer(ttl)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits of so many seconds, give or take a tenth.
    fn check(waits: impl IntoIterator<Item = Duration>, expected: &[u64]) {
        let waits: Vec<_> = waits.into_iter().collect();
        assert_eq!(waits.len(), expected.len());
        for (wait, seconds) in waits.iter().zip(expected) {
            let (least, most) =
                (Duration::from_millis(seconds * 900), Duration::from_millis(seconds * 1_100));
            assert!((least..=most).contains(wait), "{waits:?} instead of {expected:?}");
        }
    }

    fn pace() -> Pace {
        Pace::new(&Dns::default())
    }

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn an_answer_is_believed_for_its_time_within_bounds() {
        let mut pace = pace();
        let ttls = [0, 1, 60, 300, 86_400, u32::MAX.into()];
        check(ttls.map(|ttl| pace.after_answer(seconds(ttl))), &[1, 1, 60, 300, 300, 300]);
        assert!(pace.after_answer(Duration::MAX) <= seconds(330));
    }

    #[test]
    fn failures_are_asked_about_ever_more_rarely_until_one_is_not() {
        let mut pace = pace();
        check((0..7).map(|_| pace.after_failure(None)), &[1, 2, 4, 8, 16, 30, 30]);
        pace.after_answer(seconds(1));
        check([pace.after_failure(None)], &[1]);
        pace.failures = u32::MAX;
        check([pace.after_failure(None)], &[30]);
    }

    #[test]
    fn an_absence_is_believed_for_its_time_unless_that_is_long() {
        let mut pace = pace();
        check([5, 0, 3600].map(|absent| pace.after_failure(Some(seconds(absent)))), &[5, 2, 30]);
    }

    #[test]
    fn names_that_came_together_part() {
        let mut pace = pace();
        let waits: HashSet<_> = (0..50).map(|_| pace.after_answer(seconds(60))).collect();
        assert!(waits.len() > 5);
    }
}
