//! What a scripted name server knows, and what it makes of a question.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use super::message::{Kind, Question, Record, Reply, Value};

/// Steps of an alias that are followed.
const STEPS_MAX: usize = 20;

/// How questions about a name fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// SERVFAIL.
    Server,
    /// REFUSED.
    Refused,
    /// No answer at all.
    Silence,
}

/// Every name with what is known of it. Names are in lower case.
#[derive(Debug)]
pub(super) struct Zone {
    names: HashMap<String, Vec<Record>>,
    failing: HashMap<String, Failure>,
    pub(super) negative_ttl: Option<u32>,
    pub(super) delay: Duration,
    pub(super) truncated: bool,
    pub(super) old: bool,
    pub(super) picky: bool,
    pub(super) strays: bool,
    pub(super) one_step: bool,
    pub(super) bare: bool,
}

impl Default for Zone {
    fn default() -> Self {
        Self {
            names: HashMap::new(),
            failing: HashMap::new(),
            negative_ttl: Some(1),
            delay: Duration::ZERO,
            truncated: false,
            old: false,
            picky: false,
            strays: false,
            one_step: false,
            bare: false,
        }
    }
}

impl Zone {
    pub(super) fn set_addresses(&mut self, name: &str, ttl: u32, addresses: Vec<IpAddr>) {
        self.set(name, ttl, addresses.into_iter().map(Value::Address).collect());
    }

    pub(super) fn set_services(&mut self, name: &str, ttl: u32, services: &[(u16, u16, u16, &str)]) {
        let value = |&(priority, weight, port, host): &(u16, u16, u16, &str)| Value::Service {
            priority,
            weight,
            port,
            host: host.to_ascii_lowercase(),
        };
        self.set(name, ttl, services.iter().map(value).collect());
    }

    pub(super) fn set_alias(&mut self, name: &str, ttl: u32, target: &str) {
        self.set(name, ttl, vec![Value::Alias(target.to_ascii_lowercase())]);
    }

    fn set(&mut self, name: &str, ttl: u32, values: Vec<Value>) {
        let name = name.to_ascii_lowercase();
        self.failing.remove(&name);
        let record = |value| Record { name: name.clone(), ttl, value };
        let records = values.into_iter().map(record).collect();
        self.names.insert(name.clone(), records);
    }

    pub(super) fn fail(&mut self, name: &str, failure: Failure) {
        self.failing.insert(name.to_ascii_lowercase(), failure);
    }

    pub(super) fn remove(&mut self, name: &str) {
        let name = name.to_ascii_lowercase();
        self.names.remove(&name);
        self.failing.remove(&name);
    }

    /// `None`: silence.
    pub(super) fn answer(&self, question: &Question) -> Option<Reply> {
        let mut reply = Reply::default();
        if self.old && question.size.is_some() {
            reply.code = 1;
            return Some(reply);
        }
        if self.picky && question.size.is_some() {
            return None;
        }
        let mut name = question.name.as_str();
        for _ in 0..STEPS_MAX {
            match self.failing.get(name) {
                Some(Failure::Silence) => return None,
                Some(Failure::Server) => return Some(Reply { code: 2, ..Reply::default() }),
                Some(Failure::Refused) => return Some(Reply { code: 5, ..Reply::default() }),
                None => {}
            }
            let Some(records) = self.names.get(name) else {
                reply.code = 3;
                reply.negative_ttl = self.negative_ttl;
                return Some(reply);
            };
            let matching = records.iter().filter(|record| record.value.kind() == question.kind);
            let alias = records.iter().find_map(|record| match &record.value {
                Value::Alias(target) => Some((record, target)),
                _ => None,
            });
            if let Some((record, target)) = alias {
                reply.answers.push(record.clone());
                if self.one_step {
                    return Some(reply);
                }
                name = target;
                continue;
            }
            let before = reply.answers.len();
            reply.answers.extend(matching.cloned());
            if reply.answers.len() == before {
                reply.negative_ttl = self.negative_ttl;
            }
            if !self.bare {
                reply.along = self.along(&reply.answers);
            }
            return Some(reply);
        }
        Some(reply)
    }

    fn along(&self, answers: &[Record]) -> Vec<Record> {
        let hosts = answers.iter().filter_map(|record| match &record.value {
            Value::Service { host, .. } if !self.failing.contains_key(host) => self.names.get(host),
            _ => None,
        });
        let address = |record: &&Record| matches!(record.value.kind(), Kind::A | Kind::Aaaa);
        hosts.flatten().filter(address).cloned().collect()
    }
}
