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
    /// Between minus and plus the sum of all weights.
    saved: i64,
}

impl RoundRobin {
    /// For as many endpoints as there are weights. A weight of 0 counts as 1.
    #[must_use]
    pub fn new(weights: &[u32]) -> Self {
        let turn = |weight: &u32| Turn { weight: i64::from((*weight).max(1)), saved: 0 };
        Self { endpoints: weights.iter().map(turn).collect() }
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
}
