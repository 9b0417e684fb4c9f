//! What the admin side may ask of the running gateway.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use forebay_proxy::gateway::Gateway;
use forebay_proxy::plan::{Action, Plan, Route, Service};
use serde_json::{Value, json};

use super::reload::{ReloadError, Reloader};
use crate::admin::{Control, Reload};

/// Answers the admin side from the running gateway.
pub(super) struct Controls {
    gateway: Arc<Gateway>,
    reloader: Arc<Reloader>,
    listen: Vec<SocketAddr>,
}

impl Controls {
    pub(super) fn new(gateway: Arc<Gateway>, reloader: Arc<Reloader>, listen: Vec<SocketAddr>) -> Self {
        Self { gateway, reloader, listen }
    }

    fn service(&self, service: &Service) -> Value {
        let endpoints: Vec<Value> = service
            .endpoints
            .iter()
            .map(|endpoint| {
                let shared = self.gateway.registry().endpoint(&service.name, &endpoint.address);
                let addresses: Vec<String> = shared.addresses().iter().map(ToString::to_string).collect();
                json!({
                    "address": endpoint.address,
                    "weight": endpoint.weight,
                    "resolved": addresses,
                    "in_flight": shared.in_flight.load(Ordering::Relaxed),
                    "connections": shared.connections.load(Ordering::Relaxed),
                })
            })
            .collect();
        json!({ "name": service.name, "balance": service.balance.label(), "endpoints": endpoints })
    }
}

impl Control for Controls {
    fn routes(&self) -> Value {
        let plan = self.gateway.plan();
        plan.routes.iter().map(|route| describe(&plan, route)).collect()
    }

    fn services(&self) -> Value {
        let plan = self.gateway.plan();
        plan.services.iter().map(|service| self.service(service)).collect()
    }

    fn listen(&self) -> Vec<SocketAddr> {
        self.listen.clone()
    }

    fn reload(&self) -> Pin<Box<dyn Future<Output = Reload> + Send + '_>> {
        Box::pin(async {
            match self.reloader.reload().await {
                Ok(reloaded) => Reload::Done { generation: reloaded.generation },
                Err(ReloadError::NoFile) => Reload::Unavailable,
                Err(ReloadError::Problems(problems)) => {
                    Reload::Refused { problems: problems.iter().map(ToString::to_string).collect() }
                }
                Err(error @ ReloadError::NeedsRestart(_)) => {
                    Reload::Refused { problems: vec![error.to_string()] }
                }
            }
        })
    }
}

fn describe(plan: &Plan, route: &Route) -> Value {
    let action = match &route.action {
        Action::Forward(targets) => {
            let name = |index: usize| plan.services.get(index).map_or("", |service| &*service.name);
            let targets: serde_json::Map<String, Value> = targets
                .iter()
                .map(|target| (name(target.service).to_owned(), json!(target.weight)))
                .collect();
            json!({ "to": targets })
        }
        Action::Split(split) => {
            let name = |index: usize| plan.services.get(index).map_or("", |service| &*service.name);
            json!({ "to": { "read": name(split.read), "write": name(split.write) } })
        }
        Action::Redirect { status, .. } => json!({ "redirect": status }),
        Action::Respond { status, .. } => json!({ "respond": status }),
    };
    json!({ "name": route.name, "match": route.matcher.to_string(), "action": action })
}
