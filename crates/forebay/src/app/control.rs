//! What the admin side may ask of the running gateway.

use std::pin::Pin;
use std::sync::Arc;

use forebay_base::time::Instant;
use forebay_net::address::Address;
use forebay_proxy::gateway::Gateway;
use forebay_proxy::plan::{Action, Plan, Route};
use forebay_proxy::supervisor::{Found, ServiceView, SteerError, Supervisor};
use serde_json::{Value, json};

use super::reload::{ReloadError, Reloaded, Reloader};
use super::upgrade::Upgrader;
use crate::acme::{self, Keeper};
use crate::admin::{Change, Control, Reload, Upgrade};

/// Answers the admin side from the running gateway.
pub(super) struct Controls {
    gateway: Arc<Gateway>,
    reloader: Arc<Reloader>,
    upgrader: Arc<Upgrader>,
    keeper: Arc<Keeper>,
    listen: Vec<String>,
    supervisor: Arc<Supervisor>,
}

impl Controls {
    pub(super) fn new(
        gateway: Arc<Gateway>,
        reloader: Arc<Reloader>,
        upgrader: Arc<Upgrader>,
        keeper: Arc<Keeper>,
        listen: Vec<String>,
    ) -> Self {
        let supervisor = Arc::clone(gateway.supervisor());
        Self { gateway, reloader, upgrader, keeper, listen, supervisor }
    }

    fn supervisor(&self) -> &Supervisor {
        &self.supervisor
    }
}

impl Control for Controls {
    fn routes(&self) -> Value {
        let plan = self.gateway.plan();
        plan.routes.iter().map(|route| describe(&plan, route)).collect()
    }

    fn services(&self) -> Vec<ServiceView> {
        self.supervisor().view(Instant::now())
    }

    fn service(&self, name: &str) -> Option<ServiceView> {
        self.supervisor().service(name, Instant::now())
    }

    fn change(&self, service: &str, endpoint: &Address, wish: Change) -> Result<(), SteerError> {
        let (supervisor, now) = (self.supervisor(), Instant::now());
        let change = || match wish {
            Change::Add { weight, priority } => {
                supervisor.add(service, Found { address: endpoint.clone(), weight, priority }, now)
            }
            Change::Remove => supervisor.remove(service, endpoint, now),
            Change::Steer(steer) => supervisor.steer(service, endpoint, steer, now),
        };
        self.upgrader.while_in_charge(change).unwrap_or(Err(SteerError::HandedOver))
    }

    fn certificates(&self) -> Value {
        let shown = self.gateway.plan().tls.as_ref().map(|tls| tls.server.certificates()).unwrap_or_default();
        json!({
            "certificates": shown.iter().map(acme::describe).collect::<Vec<_>>(),
            "acme": self.keeper.view().map(|view| view.to_json()),
        })
    }

    fn listen(&self) -> Vec<String> {
        self.listen.clone()
    }

    fn reload(&self) -> Pin<Box<dyn Future<Output = Reload> + Send + '_>> {
        Box::pin(async {
            match self.reloader.reload().await {
                Ok(Reloaded { generation, changes }) => {
                    Reload::Done { generation, changes: Box::new(changes) }
                }
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

    fn upgrade(&self) -> Pin<Box<dyn Future<Output = Upgrade> + Send + '_>> {
        Box::pin(async {
            match self.upgrader.upgrade().await {
                Ok(pid) => Upgrade::Done { pid },
                Err(reason) => Upgrade::Refused { reason },
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
