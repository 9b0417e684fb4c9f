//! In turn, smoothly by weight.

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
    /// Between minus and plus the sum of all weights. Divided by that sum, it is the number of picks the endpoint
    /// is owed. Over all endpoints it adds up to 0.
    saved: i64,
}

impl RoundRobin {
    /// For as many endpoints as there are weights. A weight of 0 counts as 1.
    #[must_use]
    pub fn new(weights: &[u32]) -> Self {
        let turn = |weight: &u32| Turn { weight: i64::from((*weight).max(1)), saved: 0 };
        Self { endpoints: weights.iter().map(turn).collect() }
    }

    /// For a new set of endpoints that goes on where `before` was. `was` says which index an endpoint had there;
    /// `None`: it is new.
    ///
    /// What an endpoint is owed stays the same, counted in picks, whatever becomes of the weights; a new one is
    /// owed nothing. What those who left were owed, or owe, all others share, and nobody is ever owed more than
    /// one pick or owes more than one: so a change neither begins the cycle anew nor brings a burst, and however
    /// often members change, nobody waits for ever.
    #[must_use]
    pub fn resume(weights: &[u32], before: &Self, was: impl Fn(usize) -> Option<usize>) -> Self {
        let mut resumed = Self::new(weights);
        let (old_sum, sum) = (before.sum(), resumed.sum());
        for (n, turn) in resumed.endpoints.iter_mut().enumerate() {
            if let Some(old) = was(n).and_then(|old| before.endpoints.get(old)) {
                turn.saved = scaled(old.saved, sum, old_sum).clamp(-sum, sum);
            }
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

    /// Makes the savings add up to 0 again, each giving or taking in proportion to how far it is from the bound
    /// (`sum`, or minus that): so all keep within the bounds, and in order.
    fn settle(&mut self, sum: i64) {
        let excess: i64 = self.endpoints.iter().map(|turn| turn.saved).sum();
        let room = |saved: i64| if excess > 0 { saved + sum } else { sum - saved };
        let rooms: i64 = self.endpoints.iter().map(|turn| room(turn.saved)).sum();
        let mut left = excess;
        for turn in &mut self.endpoints {
            let part = scaled(excess, room(turn.saved), rooms);
            turn.saved -= part;
            left -= part;
        }
        // Less than one each, because of rounding.
        for turn in self.endpoints.iter_mut().filter(|turn| room(turn.saved) > 0) {
            turn.saved -= left.signum();
            left -= left.signum();
        }
    }
}

/// `amount` · `part` / `whole`, without overflow between; 0 if `whole` is 0.
fn scaled(amount: i64, part: i64, whole: i64) -> i64 {
    let product = i128::from(amount) * i128::from(part);
    product.checked_div(i128::from(whole)).map_or(0, |scaled| scaled as i64)
}
