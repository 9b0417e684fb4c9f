//! Where endpoints are: addresses as they stand, names by the system's resolver.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use forebay_telemetry::log::{Event, Log};
use tokio::task::JoinSet;

use crate::plan::Plan;
use crate::upstream::{Registry, Shared};

/// A plan waits this long for names; those that take longer are tried again later.
const RESOLVE_WAIT: Duration = Duration::from_secs(2);

/// Sees to it that every endpoint of `plan` that can be resolved has an address.
pub(super) async fn resolve(registry: &Registry, plan: &Plan, log: &Log) {
    look_up(registry, plan, log, |shared| shared.addresses().is_empty()).await;
}

/// Resolves all names anew. One that fails keeps its last good answer.
pub(super) async fn refresh(registry: &Registry, plan: &Plan, log: &Log) {
    look_up(registry, plan, log, |_| true).await;
}

async fn look_up(registry: &Registry, plan: &Plan, log: &Log, wanted: impl Fn(&Shared) -> bool) {
    let mut asking = JoinSet::new();
    for service in &plan.services {
        for endpoint in &service.endpoints {
            let shared = registry.endpoint(&service.name, &endpoint.address);
            match endpoint.address.parse::<SocketAddr>() {
                Ok(address) => shared.set_addresses(vec![address]),
                Err(_) if wanted(&shared) => {
                    asking.spawn(ask(service.name.clone(), endpoint.address.clone(), shared, log.clone()));
                }
                Err(_) => {}
            }
        }
    }
    // Detached, not aborted: an answer that comes late is still an answer.
    let all = async { while asking.join_next().await.is_some() {} };
    if tokio::time::timeout(RESOLVE_WAIT, all).await.is_err() {
        asking.detach_all();
    }
}

async fn ask(service: Box<str>, name: Box<str>, shared: Arc<Shared>, log: Log) {
    let failed = match tokio::net::lookup_host(&*name).await {
        Ok(found) => {
            let addresses: Vec<SocketAddr> = found.collect();
            if !addresses.is_empty() {
                shared.set_addresses(addresses);
                return;
            }
            std::io::Error::other("the name has no address")
        }
        Err(error) => error,
    };
    log.emit(&Event::ResolveFailed { service: &service, endpoint: &name, error: &failed });
}
