//! Endpoints that have left a service a moment ago: answers of names take turns, and files are written in haste.

use std::collections::BTreeMap;
use std::time::Duration;

use forebay_base::time::Instant;
use forebay_net::address::Address;

use super::ENDPOINTS_MAX;
use super::member::Member;

/// So long an endpoint that has left is remembered.
const KEPT: Duration = Duration::from_secs(60);

/// Those that left, with when: what is known of them holds on if they come back in time. At most as many as a
/// service may have endpoints; beyond that, whoever left first is forgotten first.
#[derive(Debug, Default)]
pub(super) struct Memory(BTreeMap<Address, (Instant, Member)>);

impl Memory {
    pub(super) fn keep(&mut self, member: Member, now: Instant) {
        if self.0.len() >= ENDPOINTS_MAX {
            let first = self.0.iter().min_by_key(|(_, (left, _))| *left).map(|(address, _)| address.clone());
            first.map(|first| self.0.remove(&first));
        }
        self.0.insert(member.address().clone(), (now, member));
    }

    /// The endpoint at this address, if it is remembered.
    pub(super) fn take(&mut self, address: &Address, now: Instant) -> Option<Member> {
        let (left, member) = self.0.remove(address)?;
        (now.since(left) < KEPT).then_some(member)
    }

    pub(super) fn forget_old(&mut self, now: Instant) {
        self.0.retain(|_, (left, _)| now.since(*left) < KEPT);
    }

    pub(super) fn members(&mut self) -> impl Iterator<Item = &mut Member> {
        self.0.values_mut().map(|(_, member)| member)
    }
}
