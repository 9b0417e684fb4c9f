//! A worker's copy of a roster: a balancer over those who may be picked, and what the worker has made of them.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use forebay_base::time::Instant;
use forebay_policy::balance::{Ewma, LeastLoaded, PeakEwma, RoundRobin, bounded};

use super::{Endpoint, Key, Members, Shared};
use crate::plan::Balance;

/// With fewer requests than this an endpoint is never passed over for having more than its share.
const FREE_LOAD: u32 = 8;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct View {
    members: Arc<Members>,
    /// By index into `members.all`: made when first picked, so that a worker has nothing to do for endpoints it
    /// never uses.
    made: Vec<OnceCell<Rc<Endpoint>>>,
    balancer: Balancer,
    /// Sum of the weights of those who may be picked.
    weights: u64,
}

/// Picks a place among `members.picks`; the ring, an index into `members.all`.
#[derive(Debug, Default)]
enum Balancer {
    /// There is nothing to choose.
    #[default]
    First,
    LeastLoaded(RefCell<LeastLoaded>),
    RoundRobin(RefCell<RoundRobin>),
    PeakEwma(RefCell<PeakEwma>),
    Ring,
}

impl View {
    /// Another with the same endpoints, for which no balancer is made yet.
    pub(super) fn share(&self) -> Self {
        Self { members: Arc::clone(&self.members), made: self.made.clone(), ..Self::default() }
    }

    /// Whether the endpoint with this hash may be picked.
    pub(super) fn may_pick(&self, hash: u64) -> bool {
        self.members.pick_of(hash).is_some()
    }

    /// Endpoints the worker has used.
    pub(super) fn made(&self) -> impl Iterator<Item = &Rc<Endpoint>> {
        self.made.iter().filter_map(OnceCell::get)
    }

    /// The same for `members`. Takes over what was made; what is not there any more, or out, has its idle
    /// connections closed.
    pub(super) fn renew(&mut self, members: Arc<Members>, balance: &Balance, seed: u64) -> Self {
        let mut before: HashMap<*const Shared, Rc<Endpoint>> = HashMap::new();
        for cell in &mut self.made {
            if let Some(endpoint) = cell.take() {
                before.insert(Arc::as_ptr(&endpoint.shared), endpoint);
            }
        }
        let carried = |shared: &Arc<Shared>| match before.remove(&Arc::as_ptr(shared)) {
            Some(endpoint) => OnceCell::from(endpoint),
            None => OnceCell::new(),
        };
        let made: Vec<OnceCell<Rc<Endpoint>>> = members.all.iter().map(carried).collect();
        before.values().for_each(|endpoint| endpoint.pool.retire(endpoint));
        for endpoint in made.iter().filter_map(OnceCell::get) {
            if endpoint.shared.out.load(std::sync::atomic::Ordering::Relaxed) {
                endpoint.pool.close_idle(endpoint);
            }
        }
        let balancer = self.balancer(&members, balance, seed);
        let weights = members.picks.iter().map(|(_, weight)| u64::from(*weight)).sum();
        Self { members, made, balancer, weights }
    }

    fn balancer(&self, members: &Members, balance: &Balance, seed: u64) -> Balancer {
        let weights: Vec<u32> = members.picks.iter().map(|(_, weight)| *weight).collect();
        match balance {
            Balance::Hash(_) => Balancer::Ring,
            Balance::RoundRobin => Balancer::RoundRobin(RefCell::new(self.resumed(members, &weights))),
            _ if weights.len() <= 1 => Balancer::First,
            Balance::PeakEwma => Balancer::PeakEwma(RefCell::new(PeakEwma::new(&weights, seed))),
            Balance::LeastLoaded | Balance::Sticky(_) => {
                Balancer::LeastLoaded(RefCell::new(LeastLoaded::new(&weights, seed)))
            }
        }
    }

    /// Turns go on where they were, for those who stay.
    fn resumed(&self, members: &Members, weights: &[u32]) -> RoundRobin {
        let Balancer::RoundRobin(before) = &self.balancer else { return RoundRobin::new(weights) };
        let places = self.members.picks.iter().enumerate();
        let places: HashMap<*const Shared, usize> =
            places.map(|(place, (index, _))| (Arc::as_ptr(&self.members.all[*index]), place)).collect();
        let was = |place: usize| {
            let (index, _) = members.picks[place];
            places.get(&Arc::as_ptr(&members.all[index])).copied()
        };
        RoundRobin::resume(weights, &before.borrow(), was)
    }

    /// The endpoint with this index, made if need be.
    pub(super) fn endpoint(
        &self,
        index: usize,
        make: impl FnOnce(&Arc<Shared>) -> Rc<Endpoint>,
    ) -> &Rc<Endpoint> {
        self.made[index].get_or_init(|| make(&self.members.all[index]))
    }

    /// The next one: an index into all. Leaves out those that have `max` requests, and those tried.
    #[inline]
    pub(super) fn pick(&self, key: Key, now: Instant, max: u32, tried: &[Rc<Endpoint>]) -> Option<usize> {
        let Members { all, picks, .. } = &*self.members;
        let shared = |place: usize| &*all[picks[place].0];
        // The only one, as in most services: nothing to choose, and little to ask.
        if let [(index, _)] = picks.as_slice()
            && tried.is_empty()
        {
            return (all[*index].load() < max).then_some(*index);
        }
        let is_left_out = |shared: &Shared| shared.load() >= max || is_tried(shared, tried);
        let skip = |place: usize| is_left_out(shared(place));
        if let Key::Sticky(hash) = key
            && let Some(place) = self.members.pick_of(hash).filter(|place| !skip(*place))
        {
            return Some(picks[place].0);
        }
        let place = match &self.balancer {
            Balancer::First => (!picks.is_empty() && !skip(0)).then_some(0),
            Balancer::LeastLoaded(balancer) => balancer.borrow_mut().pick(|place| shared(place).load(), skip),
            Balancer::RoundRobin(balancer) => balancer.borrow_mut().pick(skip),
            Balancer::PeakEwma(balancer) => {
                let ewma = |place: usize| {
                    let made = self.made[picks[place].0].get();
                    made.map_or_else(Ewma::default, |endpoint| endpoint.ewma.get())
                };
                balancer.borrow_mut().pick(|place| ewma(place).cost(now, shared(place).load()), skip)
            }
            Balancer::Ring => return self.by_ring(key, is_left_out),
        };
        Some(picks[place?].0)
    }

    /// The first on the ring that has not far more to do than the others; if all have, the first.
    fn by_ring(&self, key: Key, is_left_out: impl Fn(&Shared) -> bool) -> Option<usize> {
        let Key::Hash(key) = key else { return None };
        let Members { all, picks, .. } = &*self.members;
        let weight = |index: usize| {
            let place = picks.binary_search_by_key(&index, |(index, _)| *index).ok()?;
            Some(picks[place].1)
        };
        let total = OnceCell::new();
        let sum = || picks.iter().map(|(index, _)| u64::from(all[*index].load())).sum();
        let has_room = |index: usize, weight: u32| {
            let load = all[index].load();
            // A key's own requests at a time must not drive it away, and mostly nobody needs the sum.
            load < FREE_LOAD || bounded(load, *total.get_or_init(sum), weight, self.weights)
        };
        let ring = self.members.ring();
        let admit = |index: usize| weight(index).filter(|_| !is_left_out(&all[index]));
        // Who starts slowly has a part of its keys.
        let has_key = |index: usize| self.members.admits(index, key);
        ring.pick(key, |index| admit(index).is_some_and(|weight| has_key(index) && has_room(index, weight)))
            .or_else(|| ring.pick(key, |index| admit(index).is_some()))
    }

    /// Whether there is anyone to pick who was not tried.
    pub(super) fn has_untried(&self, tried: &[Rc<Endpoint>]) -> bool {
        self.members.picks.iter().any(|(index, _)| !is_tried(&self.members.all[*index], tried))
    }
}

fn is_tried(shared: &Shared, tried: &[Rc<Endpoint>]) -> bool {
    tried.iter().any(|endpoint| std::ptr::eq(&*endpoint.shared, shared))
}
