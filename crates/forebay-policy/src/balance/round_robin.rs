//! In turn, smoothly by weight.

#[cfg(test)]
mod tests;

/// Weights and savings are counted in so fine parts that rounding does not matter when sets change.
const PARTS: i64 = 1 << 10;

/// Picks in turn, so that in any stretch of picks each endpoint has its share: with weights 5, 1, 1 not
/// `a a a a a b c` but `a a b a c a a`.
///
/// Every endpoint saves up its weight at each pick; the one with most is picked and pays the sum of all.
#[derive(Clone, Debug)]
pub struct RoundRobin {
    /// Never empty of meaning: one entry per endpoint.
    endpoints: Vec<Turn>,
}

#[derive(Clone, Copy, Debug)]
struct Turn {
    weight: i64,
    /// Divided by the sum of all weights, the number of picks the endpoint is owed. At least minus that sum; over
    /// all endpoints it adds up to 0.
    saved: i64,
}

impl RoundRobin {
    /// For as many endpoints as there are weights. A weight of 0 counts as 1.
    #[must_use]
    pub fn new(weights: &[u32]) -> Self {
        let turn = |weight: &u32| Turn { weight: i64::from((*weight).max(1)) * PARTS, saved: 0 };
        Self { endpoints: weights.iter().map(turn).collect() }
    }

    /// For a new set of endpoints that goes on where `before` was. `was` says which index an endpoint had there;
    /// `None`: it is new.
    ///
    /// What an endpoint is owed stays the same, counted in picks, whatever becomes of the weights; a new one starts
    /// as if it had just had its turn, so that nobody gains by leaving and coming back. What those who left were
    /// owed, or owed, all others share. Nobody ever is owed more than one pick or owes more than one: a change
    /// neither begins the cycle anew nor brings a burst, and however often members change, nobody who stays
    /// starves.
    #[must_use]
    pub fn resume(weights: &[u32], before: &Self, was: impl Fn(usize) -> Option<usize>) -> Self {
        let mut resumed = Self::new(weights);
        let (sum_before, sum) = (before.sum(), resumed.sum());
        let mut is_new = true;
        for (n, turn) in resumed.endpoints.iter_mut().enumerate() {
            turn.saved = match was(n).and_then(|old| before.endpoints.get(old)) {
                Some(old) => {
                    is_new = false;
                    scaled(old.saved, sum, sum_before).clamp(-sum, sum)
                }
                None => turn.weight - sum,
            };
        }
        if is_new {
            return Self::new(weights);
        }
        resumed.settle(sum);
        resumed
    }

    /// The next endpoint that `skip` does not leave out; `None` if it leaves out all. Looks at every endpoint.
    pub fn pick(&mut self, skip: impl Fn(usize) -> bool) -> Option<usize> {
        let mut sum = 0;
        let mut best: Option<(usize, i64)> = None;
        for (n, turn) in self.endpoints.iter_mut().enumerate() {
            if skip(n) {
                continue;
            }
            turn.saved += turn.weight;
            sum += turn.weight;
            if best.is_none_or(|(_, most)| turn.saved > most) {
                best = Some((n, turn.saved));
            }
        }
        let (picked, _) = best?;
        self.endpoints[picked].saved -= sum;
        Some(picked)
    }

    fn sum(&self) -> i64 {
        self.endpoints.iter().map(|turn| turn.weight).sum()
    }

    /// Makes the savings add up to 0 again, `sum` being that of the weights. Each gives or gets in proportion to its
    /// weight, as if picks had begun sooner or later; what would go beyond a pick, in proportion to how far it is
    /// from that.
    fn settle(&mut self, sum: i64) {
        let excess = self.excess();
        for turn in &mut self.endpoints {
            turn.saved = (turn.saved - scaled(excess, turn.weight, sum)).clamp(-sum, sum);
        }
        let excess = self.excess();
        let room = |saved: i64| if excess > 0 { saved + sum } else { sum - saved };
        let rooms: i64 = self.endpoints.iter().map(|turn| room(turn.saved)).sum();
        let mut left = excess;
        for turn in &mut self.endpoints {
            let part = scaled(excess, room(turn.saved), rooms);
            turn.saved -= part;
            left -= part;
        }
        // Because of rounding, less than one each. The first get and the last give: of equals, the first stays first.
        for n in 0..self.endpoints.len() {
            let n = if left > 0 { self.endpoints.len() - 1 - n } else { n };
            let turn = &mut self.endpoints[n];
            if room(turn.saved) > 0 {
                turn.saved -= left.signum();
                left -= left.signum();
            }
        }
    }

    fn excess(&self) -> i64 {
        self.endpoints.iter().map(|turn| turn.saved).sum()
    }
}

/// `amount` · `part` / `whole`, without overflow between; 0 if `whole` is 0.
fn scaled(amount: i64, part: i64, whole: i64) -> i64 {
    let product = i128::from(amount) * i128::from(part);
    product.checked_div(i128::from(whole)).map_or(0, |scaled| scaled as i64)
}
