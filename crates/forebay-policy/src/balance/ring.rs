//! The same endpoint for the same key, whoever else comes or goes.

use std::sync::LazyLock;

use super::hash::mix;

#[cfg(test)]
mod tests;

/// Places on the ring. So many that one of a thousand endpoints has some 65 and a share exact to about a tenth;
/// two bytes each.
const PLACES: usize = 1 << 16;

/// Places that are looked at one after the other, before all endpoints are looked at, because the endpoints there
/// are not admitted.
const STEPS_MAX: usize = 64;

/// By how many bits the upper half of a place is folded onto the lower. Folding thrice would do nothing.
const FOLD: u32 = 7;

/// How much more it costs to ask an endpoint when it comes to a place than to let it go a step.
const ASKING_COST: usize = 4;

/// Consistent hashing: keys fall on places of a ring, and each place belongs to one endpoint.
///
/// An endpoint runs for every place, in an order and with times that follow from its id and weight alone, and the
/// place is the fastest one's. Hence, whichever way the set of endpoints changes, a place changes hands only if its
/// owner left, or if the new owner is new or gained weight. Shares are as the weights are; only their ratios
/// matter. It takes 128 KiB, for two endpoints as for a thousand.
#[derive(Clone, Debug)]
pub struct Ring {
    /// The index of each place's owner. Empty if there are no endpoints.
    places: Box<[u16]>,
    /// Who run, by index.
    runners: Box<[Runner]>,
}

#[derive(Clone, Copy, Debug)]
struct Runner {
    id: u64,
    weight: f64,
}

impl Ring {
    /// For as many endpoints as there are ids, at most 65,536; further ones never get a key. `ids` are stable
    /// hashes of what the endpoints are, such as their addresses; their order does not matter. Of equal ones, only
    /// the first gets keys. A weight of 0, or none, counts as 1.
    ///
    /// Costs about one millisecond for a few endpoints and three for a thousand: build it once for all workers, where
    /// no request waits, and not again until an endpoint comes, goes or has another weight. Whoever is out, or has
    /// only [part](super::Parts) of its keys for now, stays on it: [`pick`](Self::pick) passes it over.
    #[must_use]
    pub fn new(ids: &[u64], weights: &[u32]) -> Self {
        let weights = weights.iter().copied().chain(std::iter::repeat(1));
        let runner = |(id, weight): (&u64, u32)| Runner { id: *id, weight: f64::from(weight.max(1)) };
        let runners: Box<[Runner]> = ids.iter().zip(weights).map(runner).take(PLACES).collect();
        Self { places: race(&runners), runners }
    }

    /// The first endpoint that `admit` admits, from the key's place clockwise; `None` if it admits none. `key` is
    /// a [`stable_hash`](super::stable_hash) or any other number.
    ///
    /// Looks at one place if its owner is admitted. If that many in a row are not that hardly any can be, all
    /// endpoints are looked at, and each key has an order of its own in which it prefers them.
    #[must_use]
    pub fn pick(&self, key: u64, admit: impl Fn(usize) -> bool) -> Option<usize> {
        if self.places.is_empty() {
            return None;
        }
        let key = mix(key);
        let first = (key >> 48) as usize;
        let steps = (0..STEPS_MAX).map(|step| usize::from(self.places[(first + step) % PLACES]));
        let mut last = usize::MAX;
        for owner in steps {
            if owner != last && admit(owner) {
                return Some(owner);
            }
            last = owner;
        }
        self.preferred(key, admit)
    }

    /// Rendezvous hashing by weight.
    fn preferred(&self, key: u64, admit: impl Fn(usize) -> bool) -> Option<usize> {
        let admitted = self.runners.iter().enumerate().filter(|(n, _)| admit(*n));
        let time = |runner: &Runner| {
            let chance = (mix(key ^ mix(runner.id)) >> 11) as f64 + 0.5;
            -(chance / (1_u64 << 53) as f64).ln() / runner.weight
        };
        admitted.min_by(|(_, a), (_, b)| time(a).total_cmp(&time(b)).then(a.id.cmp(&b.id))).map(|(n, _)| n)
    }
}

/// One endpoint on its way from place to place.
struct Run<'a> {
    owner: u16,
    weight: f32,
    /// When it comes to its n-th place, if its weight is 1.
    times: &'a [f32; PLACES],
    /// The order of places: a permutation of them.
    add: u16,
    factors: [u16; 2],
    /// What undoes them.
    inverses: [u16; 2],
    /// How many places it has been at.
    steps: usize,
}

impl<'a> Run<'a> {
    fn new(owner: u16, runner: Runner, times: &'a [f32; PLACES]) -> Self {
        let drawn = mix(runner.id.wrapping_add(0x9e37_79b9_7f4a_7c15));
        let factors = [(drawn >> 16) as u16 | 1, (drawn >> 32) as u16 | 1];
        let (weight, add) = (runner.weight as f32, drawn as u16);
        Self { owner, weight, times, add, factors, inverses: factors.map(inverse), steps: 0 }
    }

    /// The place it comes to after so many others, each exactly once: adding, multiplying by an odd number and
    /// folding the upper half onto the lower can all be undone.
    fn place(&self, steps: usize) -> usize {
        let mut place = (steps as u16).wrapping_add(self.add);
        for factor in self.factors {
            place = place.wrapping_mul(factor);
            place ^= place >> FOLD;
        }
        usize::from(place)
    }

    /// When it comes to this place.
    fn time_at(&self, place: usize) -> f32 {
        let mut steps = place as u16;
        for inverse in self.inverses.iter().rev() {
            steps ^= (steps >> FOLD) ^ (steps >> (2 * FOLD));
            steps = steps.wrapping_mul(*inverse);
        }
        self.times[usize::from(steps.wrapping_sub(self.add))] / self.weight
    }

    /// Goes on until `end`, and takes each place where it comes before those who have been there.
    fn go_on(&mut self, end: f32, best: &mut [f32; PLACES], owners: &mut [u16; PLACES]) {
        while let Some(time) = self.times.get(self.steps).map(|time| time / self.weight)
            && time <= end
        {
            let place = self.place(self.steps);
            let is_first = time < best[place];
            best[place] = if is_first { time } else { best[place] };
            owners[place] = if is_first { self.owner } else { owners[place] };
            self.steps += 1;
        }
    }
}

/// The number that times `odd` is 1. Each round doubles the bits that are right, from three on.
fn inverse(odd: u16) -> u16 {
    (0..3).fold(odd, |inverse, _| inverse.wrapping_mul(2_u16.wrapping_sub(odd.wrapping_mul(inverse))))
}

/// When a runner with a weight of 1 comes to each of its places: as many times as there are places, spread as
/// exponentially distributed ones are on average. Of runners with such times, divided by their weights, each is
/// first at a place with a probability in proportion to its weight.
static TIMES: LazyLock<Box<[f32; PLACES]>> = LazyLock::new(|| {
    let mut times = Box::new([0.0; PLACES]);
    let mut sum = 0.0;
    for (left, time) in (1..=PLACES).rev().zip(times.iter_mut()) {
        sum += 1.0 / left as f64;
        *time = sum as f32;
    }
    times
});

/// Who owns each place.
fn race(runners: &[Runner]) -> Box<[u16]> {
    let mut runs: Vec<Run> = (0..).zip(runners).map(|(n, runner)| Run::new(n, *runner, &TIMES)).collect();
    if runs.is_empty() {
        return Box::default();
    }
    // Of those who come at the same time, the first is first.
    runs.sort_by_key(|run| runners[usize::from(run.owner)].id);
    let mut best = Box::new([f32::INFINITY; PLACES]);
    let mut owners = Box::new([0_u16; PLACES]);
    let weights: f32 = runs.iter().map(|run| run.weight).sum();
    let mut end = 0.0;
    // In each stretch, all together go about as many steps as there are places, and of the places that were left,
    // win two thirds. In the end it costs less to ask at each place that is left who would come first.
    let is_left = |time: &&f32| time.is_infinite();
    while best.iter().filter(is_left).count() * runs.len() > PLACES / ASKING_COST {
        end += 1.0 / weights;
        runs.iter_mut().for_each(|run| run.go_on(end, &mut best, &mut owners));
    }
    let left = best.iter().zip(owners.iter_mut()).enumerate().filter(|(_, (time, _))| time.is_infinite());
    for (place, (_, owner)) in left {
        *owner = first_at(place, &runs);
    }
    owners
}

/// Who comes first to a place.
fn first_at(place: usize, runs: &[Run]) -> u16 {
    let mut first = (f32::INFINITY, 0);
    for run in runs {
        let time = run.time_at(place);
        first = if time < first.0 { (time, run.owner) } else { first };
    }
    first.1
}
