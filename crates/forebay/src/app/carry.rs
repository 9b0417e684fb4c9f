//! What operators have done to endpoints at run time, told to the process that takes over: settings do not tell.

use forebay_base::time::Instant;
use forebay_net::address::Address;
use forebay_proxy::supervisor::{Found, Reason, ServiceView, Source, Steer, Supervisor};
use serde_json::{Value, json};

/// Endpoints that were added, drained or disabled, by service.
pub(super) fn tell(services: &[ServiceView]) -> Value {
    let mut all = serde_json::Map::new();
    for service in services {
        let mut added = Vec::new();
        let mut steered = Vec::new();
        for endpoint in &service.endpoints {
            let address = endpoint.address.to_string();
            if endpoint.source == Source::Admin {
                let (weight, priority) = (endpoint.weight, endpoint.priority);
                added.push(json!({ "address": address, "weight": weight, "priority": priority }));
            }
            let wish =
                endpoint.outs.iter().map(|out| out.reason).find(|reason| wish(reason.label()).is_some());
            if let Some(reason) = wish {
                steered.push(json!({ "address": address, "wish": reason.label() }));
            }
        }
        if !added.is_empty() || !steered.is_empty() {
            all.insert(service.name.to_string(), json!({ "added": added, "steered": steered }));
        }
    }
    json!({ "services": all })
}

/// Does the same here. What the settings no longer allow is left out.
pub(super) fn restore(told: &Value, supervisor: &Supervisor, now: Instant) {
    for (service, told) in told["services"].as_object().into_iter().flatten() {
        for endpoint in told["added"].as_array().into_iter().flatten() {
            if let Some(found) = found(endpoint) {
                // It may stand in the settings by now.
                let _ = supervisor.add(service, found, now);
            }
        }
        for endpoint in told["steered"].as_array().into_iter().flatten() {
            let wish = endpoint["wish"].as_str().and_then(wish);
            if let (Some(address), Some(wish)) = (address(endpoint), wish) {
                // A name may not have led to it yet: then it holds once it does.
                if supervisor.steer(service, &address, wish, now).is_err() {
                    supervisor.foresee(service, &address, wish, now);
                }
            }
        }
    }
}

/// As `restore(after)`, where `before` has been restored already: what is no longer told of is undone.
pub(super) fn amend(before: &Value, after: &Value, supervisor: &Supervisor, now: Instant) {
    for (service, before) in before["services"].as_object().into_iter().flatten() {
        let after = &after["services"][service.as_str()];
        for endpoint in missing(&before["added"], &after["added"]) {
            if let Some(address) = address(endpoint) {
                // It may stand in the settings by now.
                let _ = supervisor.remove(service, &address, now);
            }
        }
        for endpoint in missing(&before["steered"], &after["steered"]) {
            if let Some(address) = address(endpoint)
                && supervisor.steer(service, &address, Steer::Enable, now).is_err()
            {
                supervisor.foresee(service, &address, Steer::Enable, now);
            }
        }
    }
    restore(after, supervisor, now);
}

/// What is in `before` and not in `after`, in just this way.
fn missing<'a>(before: &'a Value, after: &'a Value) -> impl Iterator<Item = &'a Value> {
    let kept = move |one: &Value| after.as_array().is_some_and(|after| after.contains(one));
    before.as_array().into_iter().flatten().filter(move |one| !kept(one))
}

fn wish(label: &str) -> Option<Steer> {
    [(Reason::Drained, Steer::Drain), (Reason::Disabled, Steer::Disable)]
        .into_iter()
        .find(|(reason, _)| reason.label() == label)
        .map(|(_, steer)| steer)
}

fn address(endpoint: &Value) -> Option<Address> {
    Address::parse(endpoint["address"].as_str()?)
}

fn found(endpoint: &Value) -> Option<Found> {
    let weight = u32::try_from(endpoint["weight"].as_u64()?).ok()?;
    let priority = u8::try_from(endpoint["priority"].as_u64()?).ok()?;
    Some(Found { address: address(endpoint)?, weight, priority })
}
