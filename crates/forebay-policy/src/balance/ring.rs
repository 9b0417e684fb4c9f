//! The same endpoint for the same key, whoever else comes or goes.

use super::hash::mix;

#[cfg(test)]
mod tests;

/// Places on the ring. So many that one of a thousand endpoints has some 65 and a share exact to about a tenth;
/// two bytes each.
const PLACES: usize = 1 << 16;

/// Places that are looked at one after the other, before all endpoints are looked at, because the endpoints there
/// are not admitted.
const STEPS_MAX: usize = 64;

/// How much of the time in which an average place is won passes between two looks at whether all are won.
const ROUND: f64 = 2.0;

/// Consistent hashing: keys fall on places of a ring, and each place belongs to one endpoint.
///
/// An endpoint runs for every place, in an order and with times that follow from its id and weight alone, and the
/// place is the fastest one's. Hence, whichever way the set of endpoints changes, a place changes hands only if its
/// owner left, or if the new owner is new or gained weight. Shares are as the weights are; only their ratios
/// matter. Memory is the same for any number of endpoints.
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
    /// hashes of what the endpoints are, such as their addresses, and should differ; their order does not matter.
    /// A weight of 0, or none, counts as 1.
    ///
    /// Costs about a millisecond, for two endpoints as for a thousand: build it where nobody waits.
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
struct Run {
    owner: u16,
    weight: f64,
    /// The order of places: a permutation of them.
    add: u16,
    times: [u16; 2],
    /// How many places it has been at.
    steps: usize,
    /// When it comes to the next one; never, if it has been at all.
    time: f64,
}

impl Run {
    fn new(owner: u16, runner: Runner) -> Self {
        let drawn = mix(runner.id.wrapping_add(0x9e37_79b9_7f4a_7c15));
        let times = [(drawn >> 16) as u16 | 1, (drawn >> 32) as u16 | 1];
        let mut run = Self { owner, weight: runner.weight, add: drawn as u16, times, steps: 0, time: 0.0 };
        run.time = run.pause();
        run
    }

    /// From one place to the next; endless after the last. The mean of that between the n-th and the next of so
    /// many times that are exponentially distributed with the weight as rate: of such runners, each is first with
    /// a probability in proportion to its weight.
    fn pause(&self) -> f64 {
        1.0 / (self.weight * (PLACES - self.steps) as f64)
    }

    /// Where it comes next. For `steps` below `PLACES` each place exactly once: adding, multiplying by an odd
    /// number and folding the upper half onto the lower can all be undone.
    fn place(&self) -> usize {
        let mut place = (self.steps as u16).wrapping_add(self.add);
        for times in self.times {
            place = place.wrapping_mul(times);
            place ^= place >> 7;
        }
        usize::from(place)
    }

    /// Goes on until `end`, and takes each place where it comes before those who have been there.
    fn go_on(&mut self, end: f64, best: &mut [f32; PLACES], owners: &mut [u16; PLACES]) {
        // In single precision throughout, so that two with the same time meet in the same stretch, where the order
        // in which endpoints run decides, whatever `end` is.
        while f64::from(self.time as f32) <= end {
            let (place, time) = (self.place(), self.time as f32);
            let is_first = time < best[place];
            best[place] = if is_first { time } else { best[place] };
            owners[place] = if is_first { self.owner } else { owners[place] };
            self.steps += 1;
            self.time += self.pause();
        }
    }
}

/// Who owns each place.
fn race(runners: &[Runner]) -> Box<[u16]> {
    let mut best = Box::new([f32::INFINITY; PLACES]);
    let mut owners = Box::new([0_u16; PLACES]);
    let mut runs: Vec<Run> = (0..).zip(runners).map(|(n, runner)| Run::new(n, *runner)).collect();
    if runs.is_empty() {
        return Box::default();
    }
    runs.sort_by_key(|run| runners[usize::from(run.owner)].id);
    let round = ROUND / runs.iter().map(|run| run.weight).sum::<f64>();
    let mut end = 0.0;
    while best.contains(&f32::INFINITY) {
        end += round;
        for run in &mut runs {
            run.go_on(end, &mut best, &mut owners);
        }
    }
    owners
}
